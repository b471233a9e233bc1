/*
 * A commit: lists and envelopes are in the store and the ids are looked up before the
 * one short transaction that decides.  Until it is committed nothing names what was put.
 */

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/catalog/catalog.h"
#include "common/flow/epoch.h"
#include "common/flow/ingest_job.h"
#include "common/flow/list_file.h"
#include "common/flow/upload_job.h"
#include "common/flow/vault_token.h"

#define TRIES		100
#define FORK_AGAIN	(INT64_C(86400) * 1000000000)

static struct upload_envelope *
last_of(const struct upload_job *j)
{
	return &j->envs[j->n - 1];
}

/* --- what is asked of the snapshot that the session is about --- */

static int
last_fits(const struct upload_job *j, struct err *e)
{
	static const uint8_t none[ID_LEN];
	const struct upload_envelope *x = last_of(j);
	unsigned long long seq = (unsigned long long)x->env.seq;

	if (!x->has_list)
		return err_set(e, ERR_RULE, "the reference list of snapshot %llu has not come", seq);
	if (j->s.kind != SESSION_BACKUP)
		return 0;
	if (strcmp(x->env.set_name, j->s.set_name) != 0)
		return err_set(e, ERR_RULE, "snapshot %llu is of another set than this session", seq);
	if (memcmp(x->env.base, j->has_base ? j->base.id : none, ID_LEN) != 0)
		return err_set(e, ERR_RULE, "snapshot %llu builds on another snapshot than this session", seq);
	if (memcmp(x->env.image_id, none, ID_LEN) != 0)
		return err_set(e, ERR_RULE, "snapshot %llu is of an image, which is pledged", seq);
	return 0;
}

/* --- a fork --- */

/* Kept once a day for each envelope that is sent: whose fault it was is for a person to find out. */
static int
fork_record(struct upload_job *j, const struct upload_envelope *x, struct err *e)
{
	struct cat_fork f = { .seq = (int64_t)x->env.seq };
	int rc;

	memcpy(f.machine_id, j->m->id, ID_LEN);
	memcpy(f.digest, x->digest, DIGEST_LEN);
	if (vault_begin(j->v, e) != 0)
		return -1;
	if ((rc = catalog_get(j->v->catalog, &cat_forks, &f, e)) < 0 ||
	    ((rc == 1 || j->v->now - f.time > FORK_AGAIN) && vault_record_bytes(j->v, REC_FORK, x->bytes, x->len, e) != 0)) {
		vault_rollback(j->v);
		return -1;
	}
	return vault_commit(j->v, e);
}

/* ${e} says what it is; what is recorded besides must not hide that. */
static int
fork_refuse(struct upload_job *j, const struct upload_envelope *fork)
{
	struct err mine;

	err_clear(&mine);
	if (fork != NULL && fork_record(j, fork, &mine) != 0)
		say_warn("machine %s: a fork cannot be recorded: %s", j->m->name, mine.msg);
	return -1;
}

/* --- putting --- */

static int
lists_put(struct upload_job *j, struct err *e)
{
	struct lists *l = lists_new(j->v, j->m->id, j->m->name, e);
	int rc = l == NULL ? -1 : 0;

	for (size_t i = 0; i < j->n && rc == 0; i++) {
		const struct upload_envelope *x = &j->envs[i];
		struct list_from from = { j->from, { .seq = x->env.seq }, 1 };

		if (x->known || !x->has_list)
			continue;
		memcpy(from.place.machine, j->m->id, ID_LEN);
		if ((rc = lists_file(l, &x->env, &from, e)) == 1)
			rc = err_set(e, ERR_DAMAGE, "the reference list of snapshot %llu is not the one that its envelope names",
			    (unsigned long long)x->env.seq);
		if (rc == 0)
			rc = envelope_file(j->v, &x->env, x->bytes, x->len, j->m->name, e);
	}
	lists_free(l);
	return rc;
}

/* --- the transaction --- */

static int
head_is(struct upload_job *j, struct err *e)
{
	struct upload_head h;

	if (upload_head(j->v, j->m->id, &h, e) != 0)
		return -1;
	if (h.seq == j->c->head_seq && memcmp(h.id, j->c->head_id, ID_LEN) == 0)
		return 0;
	return err_set(e, ERR_HEAD, "the newest snapshot of machine %s in the vault is number %llu, not %llu", j->m->name,
	    (unsigned long long)h.seq, (unsigned long long)j->c->head_seq);
}

static int
records_put(struct upload_job *j, struct err *e)
{
	for (size_t i = 0; i < j->n; i++) {
		const struct upload_envelope *x = &j->envs[i];

		if (x->known || (x->passed && !x->has_list))
			continue;
		if (vault_record_bytes(j->v, x->has_list ? REC_SNAPSHOT_RECEIVED : REC_PASSED_OVER, x->bytes, x->len, e) != 0)
			return -1;
	}
	return 0;
}

/* The last snapshot's row. */
static int
last_row(struct upload_job *j, struct cat_snapshot *row, struct err *e)
{
	memcpy(row->machine_id, j->m->id, ID_LEN);
	row->seq = (int64_t)last_of(j)->env.seq;
	return catalog_get(j->v->catalog, &cat_snapshots, row, e);
}

/* All that it adds is held; if all that it builds on is too, it is whole and needs no counting. */
static int
state_set(struct upload_job *j, struct err *e)
{
	struct cat_snapshot row;
	int rc = last_row(j, &row, e);

	if (rc != 0)
		return rc < 0 ? -1 : err_set(e, ERR_INTERNAL, "a snapshot that was filed has no row");
	if (j->s.kind == SESSION_PLEDGE || j->promised || row.state != SNAPSHOT_UNKNOWN ||
	    (!j->whole && j->base.state != SNAPSHOT_WHOLE))
		return 0;
	row.state = SNAPSHOT_WHOLE;
	return catalog_put(j->v->catalog, &cat_snapshots, &row, e);
}

/* In the transaction: 0 decided, 1 what was looked up does not hold any more, -1 (${fork}). */
static int
decide(struct upload_job *j, const struct upload_envelope **fork, struct err *e)
{
	int rc;

	*fork = NULL;
	if (upload_get(j->v, j->m, j->id, &j->s, e) != 0 || (rc = upload_base(j->v, &j->s, &j->base, e)) < 0)
		return -1;
	j->has_base = rc == 0;
	if (upload_envelopes_look(j, fork, e) != 0)
		return -1;
	/* Whoever was killed over this very commit had written its records: this transaction has read them. */
	if (last_of(j)->known)
		return session_end(j->v, j->id, e);
	if (head_is(j, e) != 0 || upload_envelopes_chain(j, fork, e) != 0)
		return -1;
	if (j->s.kind != SESSION_PLEDGE && (rc = upload_check_holds(j, e)) != 0)
		return rc;
	/* What a new machine commits first ends the one whose place it takes. */
	if (records_put(j, e) != 0 || state_set(j, e) != 0 ||
	    vault_takeover(j->v, j->m->id, last_of(j)->pub, last_of(j)->env.seq, e) < 0)
		return -1;
	return session_end(j->v, j->id, e);
}

/* 0, 1 again, -1. */
static int
commit_once(struct upload_job *j, struct err *e)
{
	const struct upload_envelope *fork;
	int rc;

	if (lists_put(j, e) != 0 || vault_begin(j->v, e) != 0)
		return -1;
	if ((rc = decide(j, &fork, e)) == 0)
		return vault_commit(j->v, e);
	vault_rollback(j->v);
	return rc == 1 ? 1 : fork_refuse(j, fork);
}

/* Nobody else files meanwhile. */
static int
commit_in_turn(struct upload_job *j, struct err *e)
{
	int turn = vault_turn(j->v, "snapshots.lock", e), rc = 1;

	if (turn == -1)
		return -1;
	for (int i = 0; i < TRIES && rc == 1; i++)
		if (i == 0 || (rc = upload_check(j, e)) == 0)
			rc = commit_once(j, e);
	if (rc == 1)
		rc = err_set(e, ERR_BUSY, "things are taken away from the vault faster than a commit can be checked");
	(void)io->close(turn);
	return rc;
}

/* --- the whole of it --- */

/* What the machine is told.  States that are not known yet are computed; where that fails, they stay so. */
static int
answer(struct upload_job *j, struct committed *out, struct err *e)
{
	struct cat_snapshot row;
	struct upload_head h;
	int rc = last_row(j, &row, e);

	if (rc == 0 && (row.state == SNAPSHOT_UNKNOWN || j->s.packs > 0)) {
		upload_heal(j->v, j->m);
		rc = last_row(j, &row, e);
	}
	if (rc < 0 || upload_head(j->v, j->m->id, &h, e) != 0)
		return -1;
	memset(out, 0, sizeof(*out));
	out->head_seq = h.seq;
	memcpy(out->head_id, h.id, ID_LEN);
	memcpy(out->head, h.digest, DIGEST_LEN);
	out->state = (uint8_t)(rc == 0 ? row.state : LINE_UNKNOWN);	/* it may have gone since */
	out->time = rc == 0 ? row.received : j->v->now;
	return 0;
}

/* Is it all known?  Then an answer was lost, or it came on a disk meanwhile: 1, and the session ends; 0; -1. */
static int
was_done(struct upload_job *j, struct err *e)
{
	const struct upload_envelope *fork;

	if (upload_envelopes_look(j, &fork, e) != 0)
		return fork_refuse(j, fork);
	if (!last_of(j)->known)
		return 0;
	return upload_end(j->v, j->m, j->id, e) != 0 ? -1 : 1;
}

static int
commit_run(struct upload_job *j, struct err *e)
{
	struct err mine;
	int rc;

	if (upload_envelopes_read(j, e) != 0 || (rc = was_done(j, e)) < 0)
		return -1;
	if (rc == 1)
		return 0;
	if (upload_touch(j->v, j->m, j->id, &j->s, e) != 0 || (rc = upload_base(j->v, &j->s, &j->base, e)) < 0)
		return -1;
	j->has_base = rc == 0;
	if (last_fits(j, e) != 0 || (j->from = container_upload(j->v, j->id, j->m->id, e)) == NULL ||
	    (j->s.kind != SESSION_PLEDGE && upload_check(j, e) != 0) || commit_in_turn(j, e) != 0)
		return -1;
	err_clear(&mine);
	if (upload_dir_remove(j->v, j->id, &mine) != 0)
		say_warn("%s", mine.msg);
	return 0;
}

int
upload_commit(struct vault *v, const struct cat_machine *m, const uint8_t id[ID_LEN], const struct commit *c,
    struct committed *out, struct err *e)
{
	struct upload_job j = { .v = v, .m = m, .id = id, .c = c, .dirfd = -1 };
	struct err mine;
	int rc = -1;

	_Static_assert((int)LINE_UNKNOWN == (int)SNAPSHOT_UNKNOWN && (int)LINE_WHOLE == (int)SNAPSHOT_WHOLE &&
	    (int)LINE_PENDING == (int)SNAPSHOT_PENDING && (int)LINE_GAP == (int)SNAPSHOT_GAP &&
	    (int)LINE_PARTIAL == (int)SNAPSHOT_PARTIAL, "one numbering of states");
	err_clear(&mine);
	if ((j.dirfd = upload_dir(v, id, 0, &mine)) == -1 && mine.code != ERR_NOT_FOUND) {
		if (e != NULL)
			*e = mine;
		return -1;
	}
	if (commit_run(&j, e) == 0)
		rc = answer(&j, out, e);
	container_free(j.from);
	upload_envelopes_free(&j);
	if (j.dirfd != -1)
		(void)io->close(j.dirfd);
	return rc;
}
