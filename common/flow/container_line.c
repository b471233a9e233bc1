#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/crypto/sign.h"
#include "common/flow/container.h"
#include "common/flow/line.h"
#include "common/flow/line_read.h"
#include "formats/fmt_pledge.h"
#include "formats/fmt_snapshot.h"

struct container_line {
	struct container base;
	struct line *line;
	uint8_t vault[ID_LEN], machine[ID_LEN];
	struct container_trust trust;
};

/* One enumeration. */
struct rows_job {
	struct container_line *v;
	snap_found_fn fn;
	void *arg;
	container_bad_fn bad;
	void *bad_arg;
	uint64_t last;		/* number of the row before */
	struct files_lost_row *lost;	/* once one of them is partial */
	size_t nlost;
	int asked;
};

static int
line_packs(struct container *c, const uint8_t *domain_id, pack_found_fn fn, void *arg, container_bad_fn bad,
    void *bad_arg, struct err *e)
{
	(void)c;
	(void)domain_id;
	(void)fn;
	(void)arg;
	(void)bad;
	(void)bad_arg;
	(void)e;
	return 0;
}

static int
line_read(struct container *c, const struct pack_place *p, uint64_t off, void *out, size_t len, struct err *e)
{
	return line_pack_range(((struct container_line *)c)->line, p->id, p->number, off, out, len, e);
}

/* Numbers between two rows that the vault acknowledged: it keeps silent about them. */
static void
silence_told(const struct rows_job *j, uint64_t to)
{
	uint64_t upto = to < j->v->trust.head + 1 ? to : j->v->trust.head + 1;
	struct err own;

	err_clear(&own);
	if (j->last + 1 >= upto)
		return;
	if (j->last + 2 == upto)
		(void)err_set(&own, ERR_ROLLBACK, "the vault does not show snapshot %llu, which it acknowledged, and does not say that it is gone",
		    (unsigned long long)(j->last + 1));
	else
		(void)err_set(&own, ERR_ROLLBACK, "the vault does not show snapshots %llu to %llu, which it acknowledged, and does not say "
		    "that they are gone", (unsigned long long)(j->last + 1), (unsigned long long)(upto - 1));
	j->bad(j->bad_arg, "snapshots", &own);
}

/* The envelope of the acknowledged head must be the one that was acknowledged. */
static int
head_check(const struct rows_job *j, const struct line_snapshot *s, struct err *e)
{
	static const uint8_t none[DIGEST_LEN];
	uint8_t digest[DIGEST_LEN];
	struct envelope env;

	if (s->seq != j->v->trust.head || memcmp(j->v->trust.digest, none, DIGEST_LEN) == 0)
		return 0;
	if (schema_decode(&envelope_schema, &env, s->envelope.p, s->envelope.len) != FMT_OK)
		return 0;	/* told as what it is */
	statement_digest(&envelope_schema, s->envelope.p, s->envelope.len, digest);
	return memcmp(digest, j->v->trust.digest, DIGEST_LEN) == 0 ? 0 :
	    err_set(e, ERR_ROLLBACK, "the vault shows another snapshot %llu than the one it acknowledged",
	    (unsigned long long)s->seq);
}

/* Files of a partial snapshot that are lost; 0 where the vault does not say: the state stands without the count. */
static uint64_t
lost_find(struct rows_job *j, uint64_t seq)
{
	struct err own;

	err_clear(&own);
	if (!j->asked && line_files_lost(j->v->line, j->v->vault, j->v->machine, &j->lost, &j->nlost, &own) != 0)
		j->bad(j->bad_arg, "files lost", &own);
	j->asked = 1;
	for (size_t i = 0; i < j->nlost; i++)
		if (j->lost[i].seq == seq)
			return j->lost[i].files;
	return 0;
}

static int
row_found(void *arg, const struct line_snapshot *s, struct err *e)
{
	struct rows_job *j = arg;
	struct snap_place p = { .seq = s->seq, .state = s->state, .flags = s->flags, .missing = s->missing,
	    .given_up = s->given_up };
	struct envelope env;
	struct err own;

	silence_told(j, s->seq);
	j->last = s->seq;
	if (s->state == LINE_GONE)
		return 0;
	if (s->state == LINE_PARTIAL)
		p.files_lost = lost_find(j, s->seq);
	memcpy(p.machine, j->v->machine, ID_LEN);
	memcpy(p.image, s->image, sizeof(p.image));
	if (head_check(j, s, e) != 0)
		return -1;
	if (schema_decode(&envelope_schema, &env, s->envelope.p, s->envelope.len) == FMT_OK &&
	    (env.seq != s->seq || memcmp(env.machine_id, j->v->machine, ID_LEN) != 0)) {
		err_clear(&own);
		(void)err_set(&own, ERR_PROTOCOL, env.seq != s->seq ? "the vault shows the envelope of another number as snapshot %llu" :
		    "the vault shows the envelope of another machine as snapshot %llu", (unsigned long long)s->seq);
		j->bad(j->bad_arg, "snapshots", &own);
		return 0;
	}
	return j->fn(j->arg, &p, s->envelope.p, s->envelope.len, e);
}

static int
line_snapshots_each(struct container *c, snap_found_fn fn, void *arg, container_bad_fn bad, void *bad_arg, struct err *e)
{
	struct container_line *v = (struct container_line *)c;
	struct rows_job j = { .v = v, .fn = fn, .arg = arg, .bad = bad, .bad_arg = bad_arg };
	uint64_t head = 0;
	int rc = line_snapshots(v->line, v->vault, v->machine, &head, row_found, &j, e);

	free(j.lost);
	if (rc != 0)
		return rc;
	if (head < v->trust.head) {
		(void)err_set(e, ERR_ROLLBACK, "the newest snapshot that the vault shows is %llu, and it acknowledged %llu",
		    (unsigned long long)head, (unsigned long long)v->trust.head);
		return -1;
	}
	silence_told(&j, v->trust.head + 1);
	return 0;
}

static int
line_refs(struct container *c, const struct snap_place *p, unsigned kind, unsigned part, uint64_t off, void *out,
    size_t len, size_t *got, struct err *e)
{
	*got = 0;
	if (line_list_part(((struct container_line *)c)->line, p->seq, kind, part, off, out, len, e) != 0)
		return -1;
	*got = len;
	return 0;
}

static void
line_free(struct container *c)
{
	free(c);
}

static const struct container_ops line_ops = { line_packs, line_read, NULL, line_snapshots_each, line_refs, line_free };

struct container *
container_line(struct line *l, const uint8_t vault_id[ID_LEN], const uint8_t machine_id[ID_LEN],
    const struct container_trust *trust, struct err *e)
{
	struct container_line *v = calloc(1, sizeof(*v));

	if (v == NULL) {
		(void)err_set(e, ERR_MEMORY, "no memory for the line");
		return NULL;
	}
	v->base.ops = &line_ops;
	v->base.is_line = 1;
	v->line = l;
	memcpy(v->vault, vault_id, ID_LEN);
	memcpy(v->machine, machine_id, ID_LEN);
	if (trust != NULL)
		v->trust = *trust;
	(void)snprintf(v->base.name, sizeof(v->base.name), "line, %.300s", line_name(l));
	return &v->base;
}

int
container_places(struct container *c, const uint8_t *ids, size_t n, struct line_place *out, struct err *e)
{
	return line_places(((struct container_line *)c)->line, ids, n, out, e);
}
