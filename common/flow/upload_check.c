/* Are the ids that a commit adds held or promised?  Looked up outside any transaction, relied on in one. */

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/stop.h"
#include "common/catalog/catalog.h"
#include "common/flow/refs_parts.h"
#include "common/flow/refs_read.h"
#include "common/flow/upload_job.h"
#include "common/flow/vault_count.h"

#define BATCH	ASK_IDS_MAX

struct check {
	struct upload_job *j;
	uint8_t *ids, *states;
	size_t n;
	struct id_run_writer *lacking;	/* NULL: nothing so far */
	uint64_t nlacking;
};

static int
lack_note(struct check *k, const uint8_t id[DIGEST_LEN], struct err *e)
{
	static const uint8_t print[DIGEST_LEN];

	if (k->lacking == NULL && (k->lacking = id_run_new(k->j->dirfd, "lacking", print, e)) == NULL)
		return -1;
	k->nlacking++;
	return id_run_add(k->lacking, id, e);
}

static int
batch_check(struct check *k, struct err *e)
{
	struct upload_job *j = k->j;

	if (k->n == 0)
		return 0;
	if (upload_answer(j->v, j->m, &j->s, k->ids, k->n, k->states, e) != 0)
		return -1;
	for (size_t i = 0; i < k->n; i++) {
		if (k->states[i] == ID_PROMISED)
			j->promised = 1;
		if (k->states[i] == ID_MISSING && lack_note(k, k->ids + i * DIGEST_LEN, e) != 0)
			return -1;
	}
	k->n = 0;
	return stop_check(e);
}

static int
id_check(struct check *k, const uint8_t id[DIGEST_LEN], struct err *e)
{
	if (k->n > 0 && memcmp(k->ids + (k->n - 1) * DIGEST_LEN, id, DIGEST_LEN) >= 0)
		return err_set(e, ERR_FORMAT, "the ids of a reference list are not in order");
	memcpy(k->ids + k->n++ * DIGEST_LEN, id, DIGEST_LEN);
	return k->n == BATCH ? batch_check(k, e) : 0;
}

/* What the delta ${h} adds. */
static int
added_check(struct check *k, const struct snap_place *p, const struct refs_head *h, struct err *e)
{
	uint8_t id[DIGEST_LEN];
	struct refs_parts s;
	int rc;

	memset(&s, 0, sizeof(s));
	if ((rc = refs_parts_init(&s, k->j->from, p, h, 0, h->added, e)) == 0)
		while ((rc = refs_parts_next(&s, id, e)) == 1 && (rc = id_check(k, id, e)) == 0)
			;
	refs_parts_release(&s);
	return rc;
}

/* All ids of the list. */
static int
all_check(struct check *k, const struct snap_place *p, const struct envelope *env, struct err *e)
{
	struct refs_reader *r = refs_reader_new(k->j->from, p, env, e);
	uint8_t id[DIGEST_LEN];
	int rc = -1;

	if (r != NULL)
		while ((rc = refs_reader_next(r, id, e)) == 1 && (rc = id_check(k, id, e)) == 0)
			;
	refs_reader_free(r);
	return rc;
}

static int
list_check(struct check *k, struct err *e)
{
	struct upload_job *j = k->j;
	const struct upload_envelope *x = &j->envs[j->n - 1];
	struct snap_place p = { .seq = x->env.seq };
	struct refs_head h;

	memcpy(p.machine, j->m->id, ID_LEN);
	j->whole = 0;
	if (j->has_base && refs_parts_head(j->from, &p, REFS_WHOLE, &h, NULL) != 0 &&
	    refs_parts_head(j->from, &p, REFS_DELTA, &h, NULL) == 0 &&
	    memcmp(h.base, j->base.refs_digest, DIGEST_LEN) == 0)
		return added_check(k, &p, &h, e);
	j->whole = 1;
	return all_check(k, &p, &x->env, e);
}

/* What the answers stand on. */
static int
ground_note(struct upload_job *j, int64_t *removals, int64_t *epoch, uint8_t pledges[DIGEST_LEN], struct err *e)
{
	struct promising by;

	if (catalog_number(j->v->catalog, "removals", removals, e) < 0 || catalog_number(j->v->catalog, "epoch", epoch, e) < 0)
		return -1;
	return vault_promises(j->v, j->m->id, pledges, &by, e);
}

static int
check_end(struct check *k, struct err *e)
{
	if (k->nlacking == 0)
		return 0;
	if (id_run_finish(k->lacking, e) != 0)
		return -1;
	return err_set(e, ERR_MISSING, "%llu chunk%s that the snapshot needs %s neither in the vault nor on %s way",
	    (unsigned long long)k->nlacking, k->nlacking == 1 ? "" : "s", k->nlacking == 1 ? "is" : "are",
	    k->nlacking == 1 ? "its" : "their");
}

int
upload_check(struct upload_job *j, struct err *e)
{
	struct check k = { .j = j, .ids = malloc((size_t)BATCH * DIGEST_LEN), .states = malloc(BATCH) };
	int rc = -1;

	j->promised = 0;
	if (k.ids == NULL || k.states == NULL)
		(void)err_errno(e, "check a commit");
	else if (ground_note(j, &j->removals, &j->epoch, j->pledges, e) == 0 && list_check(&k, e) == 0 &&
	    batch_check(&k, e) == 0)
		rc = check_end(&k, e);
	id_run_drop(k.lacking);
	free(k.ids);
	free(k.states);
	return rc;
}

int
upload_check_holds(struct upload_job *j, struct err *e)
{
	int64_t removals, epoch;
	uint8_t pledges[DIGEST_LEN];

	if (ground_note(j, &removals, &epoch, pledges, e) != 0)
		return -1;
	return removals != j->removals || epoch != j->epoch || memcmp(pledges, j->pledges, DIGEST_LEN) != 0;
}
