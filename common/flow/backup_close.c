/* A snapshot that has its envelope: lists, commit, and what the state keeps of it. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/crypto/sign.h"
#include "common/flow/backup_job.h"
#include "common/flow/line_envelopes.h"
#include "common/flow/line_list.h"
#include "common/flow/line_note.h"

#define HEADS_TRIED	8u	/* as often another set of this machine may be quicker */
#define KEPT		2u	/* listings of a set that stay in the state */

/* --- the vault's head --- */

int
backup_head_check(struct backup *k, struct err *e)
{
	const struct session_opened *o = &k->t.opened;
	struct build *b = k->b;
	uint8_t digest[DIGEST_LEN], *bytes = NULL;
	struct line_note known;
	struct envelope env;
	size_t len;
	int rc;

	if (line_note_load(b->s, b->k, &known, e) != 0)
		return -1;
	if (o->head_seq < known.head_seq)
		return err_set(e, ERR_ROLLBACK, "%s acknowledged snapshot %llu before and now knows none after %llu", line_name(k->l),
		    (unsigned long long)known.head_seq, (unsigned long long)o->head_seq);
	/* What lies before this machine's own first number was another's, whose place it took. */
	if (o->head_seq == 0 || o->head_seq < b->s->member.from_seq)
		return 0;
	if ((rc = state_envelope(b->s, o->head_seq, &bytes, &len, &env, e)) == -1)
		return -1;
	if (rc == 0)
		statement_digest(&envelope_schema, bytes, len, digest);
	free(bytes);
	if (rc == 0 && memcmp(digest, o->head, DIGEST_LEN) == 0)
		return 0;
	return err_set(e, ERR_FORK, "%s knows a snapshot %llu of this machine that was not made here", line_name(k->l),
	    (unsigned long long)o->head_seq);
}

/* --- commit --- */

static int
commit_once(struct backup *k, struct committed *done, struct err *e)
{
	struct commit c = { .head_seq = k->t.opened.head_seq };
	struct buf rows;
	int rc;

	buf_init(&rows);
	memcpy(c.head_id, k->t.opened.head_id, ID_LEN);
	if ((rc = line_envelopes(k->b->s, c.head_seq, &k->b->im->envelope, k->b->im->envelope_bytes, k->b->im->envelope_len, &rows,
	    e)) == 0) {
		c.envelopes = view_of(rows.p, rows.len);
		rc = line_session_commit(&k->t, &c, done, e);
	}
	buf_release(&rows);
	return rc;
}

/* 0 committed; 1 the vault lacks chunks; -1. */
static int
commit_try(struct backup *k, struct committed *done, struct err *e)
{
	int rc = -1;

	for (unsigned i = 0; i < HEADS_TRIED; i++) {
		err_clear(e);
		if ((rc = commit_once(k, done, e)) == 0 || e->code != ERR_HEAD)
			break;
		/* Another set of this machine was quicker. */
		if (line_session_again(&k->t, e) != 0 || backup_head_check(k, e) != 0)
			return -1;
	}
	if (rc != 0 && e->code == ERR_MISSING) {
		err_clear(e);
		return line_session_lacking(&k->t, backup_absent, k, e) != 0 ? -1 : 1;
	}
	return rc;
}

/* The vault took it before, and its answer was lost. */
static bool
is_committed(const struct backup *k)
{
	const struct session_opened *o = &k->t.opened;
	uint8_t digest[DIGEST_LEN];

	if (o->head_seq != k->b->im->envelope.seq)
		return false;
	statement_digest(&envelope_schema, k->b->im->envelope_bytes, k->b->im->envelope_len, digest);
	return memcmp(o->head, digest, DIGEST_LEN) == 0;
}

/* --- what the state keeps --- */

/* Remove one file of snapshot ${seq} from snaps/. */
static int
snap_drop(int snaps, uint64_t seq, const char *end, struct err *e)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "%08llu.%s", (unsigned long long)seq, end);
	return io->unlinkat(snaps, name, 0) == 0 || errno == ENOENT ? 0 : err_errno(e, "remove %s", name);
}

/*
 * Listings and lists of earlier backups over the line, whose chunks the vault
 * has: the newest are enough to go on from.  Envelopes stay, and all that an image needs.
 */
static int
old_drop(struct backup *k, struct err *e)
{
	static const uint8_t none[ID_LEN];
	static const char *const ends[] = { "itm", "use", "root" };
	unsigned kept = 0;
	struct envelope env;
	uint8_t *bytes;
	char part[8];
	size_t len;
	int snaps = dir_open(k->b->s->fd, "snaps", e), rc = snaps == -1 ? -1 : 0;

	for (uint64_t seq = k->b->im->envelope.seq; seq > 0 && rc == 0; seq--) {
		if ((rc = state_envelope(k->b->s, seq, &bytes, &len, &env, e)) != 0) {
			rc = rc == 1 ? 0 : -1;
			continue;
		}
		free(bytes);
		if (strcmp(env.set_name, k->b->set) != 0 || memcmp(env.image_id, none, ID_LEN) != 0 || kept++ < KEPT)
			continue;
		if (kept > KEPT + 2)	/* those before went with earlier runs */
			break;
		for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]) && rc == 0; i++)
			rc = snap_drop(snaps, seq, ends[i], e);
		for (unsigned i = 0; i < REFS_PARTS_MOST && rc == 0; i++) {
			(void)snprintf(part, sizeof(part), "r%02u", i);
			rc = snap_drop(snaps, seq, part, e);
		}
	}
	if (snaps != -1)
		io->close(snaps);
	return rc;
}

/* From here on the state knows that the vault has it.  Done again it is the same. */
static int
state_agree(struct backup *k, const struct committed *done, struct err *e)
{
	struct build *b = k->b;
	uint64_t latest;

	if (line_note_acknowledged(b->s, b->k, done->head_seq, done->head, e) != 0 || build_items_keep(b, e) != 0 || set_latest(b->s, b->set, &latest, e) != 0)
		return -1;
	if (latest < b->im->envelope.seq && set_latest_save(b->s, b->set, b->im->envelope.seq, e) != 0)
		return -1;
	if (old_drop(k, e) != 0)
		return -1;
	if (journal_put(b->j, JOURNAL_SEALED, NULL, 0, e) != 0 || journal_sync(b->j, e) != 0)
		return -1;
	return 0;
}

static int
lists_send(struct backup *k, struct err *e)
{
	int snaps, rc;

	/* A run that only goes on with the commit of an earlier one has needed it for nothing so far. */
	if (build_runs_open(k->b, e) != 0 || (snaps = dir_open(k->b->s->fd, "snaps", e)) == -1)
		return -1;
	rc = line_list_send(&k->t, snaps, k->b->runs_fd, &k->b->im->envelope, &k->base, e);
	io->close(snaps);
	return rc;
}

int
backup_close(struct backup *k, struct err *e)
{
	struct committed done = { .state = LINE_UNKNOWN };
	int rc = 0;

	if (is_committed(k)) {
		done.head_seq = k->t.opened.head_seq;
		memcpy(done.head, k->t.opened.head, DIGEST_LEN);
	} else if ((rc = lists_send(k, e)) == 0) {
		rc = commit_try(k, &done, e);
	}
	if (rc != 0)
		return rc;
	k->r->seq = k->b->im->envelope.seq;
	k->r->state = done.state;
	memcpy(k->r->snapshot_id, k->b->im->envelope.snapshot_id, ID_LEN);
	return state_agree(k, &done, e);
}
