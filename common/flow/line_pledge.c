#include "common/flow/line_pledge.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/progress.h"
#include "common/crypto/sign.h"
#include "common/flow/image_state.h"
#include "common/flow/image_told.h"
#include "common/flow/line_envelopes.h"
#include "common/flow/line_list.h"
#include "common/flow/line_note.h"
#include "common/flow/line_packs.h"
#include "common/flow/line_session.h"
#include "common/flow/parcel.h"
#include "common/flow/topup.h"
#include "formats/fmt_listing.h"

#define LEVEL		3	/* zstd, of listings: they are small, and the line is thin */
#define BASES_TRIED	4u
#define CARRIED		"carried"

/* --- session, base, reference list --- */

/* Is snapshot ${seq} of the set, with its list here?  1 with ${base}, 0, -1. */
static int
base_look(struct state *s, uint64_t seq, const char *set, struct envelope *base, struct err *e)
{
	uint8_t *bytes = NULL;
	char name[64];
	struct stat st;
	size_t len;
	int rc;

	(void)snprintf(name, sizeof(name), "snaps/%08llu.r00", (unsigned long long)seq);
	if (io->fstatat(s->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	if ((rc = state_envelope(s, seq, &bytes, &len, base, e)) != 0)
		return rc == 1 ? 0 : -1;
	free(bytes);
	return strcmp(base->set_name, set) == 0;
}

/*
 * A session on the newest snapshot of the set that the vault knows and whose list
 * is here, so that the list goes as a difference: 0 with ${base} (seq 0: none); -1.
 */
static int
session_find(struct line_session *t, struct line *l, struct state *s, const struct envelope *env, struct envelope *base,
    struct err *e)
{
	unsigned tried = 0;
	int rc;

	for (uint64_t seq = env->seq; seq > 1 && tried < BASES_TRIED; seq--) {
		if ((rc = base_look(s, seq - 1, env->set_name, base, e)) == 0)
			continue;
		if (rc == -1)
			return -1;
		tried++;
		if ((rc = line_session_begin(t, l, LINE_PLEDGE, base->snapshot_id, e)) != 1)
			return rc;
	}
	memset(base, 0, sizeof(*base));
	if ((rc = line_session_begin(t, l, LINE_PLEDGE, NULL, e)) == 1)
		rc = err_set(e, ERR_PROTOCOL, "%s does not know a session without base", line_name(l));
	return rc;
}

static int
list_put(struct line_session *t, struct state *s, const struct envelope *env, const struct envelope *base, struct err *e)
{
	int snaps = -1, runs = -1, rc = -1;

	if (dir_make(s->fd, "runs", 0700, e) == 0 && (runs = dir_open(s->fd, "runs", e)) != -1 &&
	    (snaps = dir_open(s->fd, "snaps", e)) != -1)
		rc = line_list_send(t, snaps, runs, env, base, e);
	if (snaps != -1)
		(void)io->close(snaps);
	if (runs != -1)
		(void)io->close(runs);
	return rc;
}

/* What an image without snapshots carries. */
static int
carried_put(struct line_session *t, struct state *s, const struct image_state *im, struct err *e)
{
	int runs = -1, fd = -1, rc = -1;
	struct stat st;

	if (dir_make(s->fd, "runs", 0700, e) != 0 || (runs = dir_open(s->fd, "runs", e)) == -1)
		return -1;
	(void)io->unlinkat(runs, CARRIED, 0);
	if (topup_carried_save(s, im, runs, runs, CARRIED, e) < 0)
		goto close;
	if ((fd = io->open(runs, CARRIED, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0)) == -1 || io->fstat(fd, &st) != 0)
		(void)err_errno(e, "list of what is carried");
	else
		rc = line_session_carried(t, fd, (uint64_t)st.st_size, e);
	if (fd != -1)
		(void)io->close(fd);
	(void)io->unlinkat(runs, CARRIED, 0);
close:
	(void)io->close(runs);
	return rc;
}

/* --- the listing --- */

static int
meta_put(struct line_session *t, struct state *s, const struct domain_keys *k, const struct image_state *im, struct line_told *told,
    struct err *e)
{
	struct line_packs_totals totals;
	struct line_packs *p = line_packs_new(t, s, k, LEVEL, e);
	int rc;

	if (p == NULL)
		return -1;
	progress_start("pledge", 0);
	rc = snapshot_meta_each(s, k, im->envelope.seq, line_packs_add, p, e);
	if (rc == 1) {
		say_warn("image %s: the state has not all of its listing; names and sizes reach the vault with the disks",
		    im->begin.short_name);
		rc = 0;
	}
	if (rc == 0)
		rc = line_packs_flush(p, e);
	progress_end();
	line_packs_totals(p, &totals);
	told->bytes += totals.bytes;
	line_packs_free(p);
	return rc;
}

/* --- the pledge itself --- */

static int
commit_make(struct state *s, const struct session_opened *o, const struct image_state *im, struct buf *out, struct err *e)
{
	struct commit c = { .head_seq = o->head_seq };
	struct buf rows;
	int rc;

	buf_init(&rows);
	memcpy(c.head_id, o->head_id, ID_LEN);
	if ((rc = line_envelopes(s, o->head_seq, &im->envelope, im->envelope_bytes, im->envelope_len, &rows, e)) == 0) {
		c.envelopes = view_of(rows.p, rows.len);
		rc = statement_make(&commit_schema, &c, NULL, out, e);
	}
	buf_release(&rows);
	return rc;
}

static int
pledge_post(struct line_session *t, struct state *s, const struct image_state *im, struct pledge_taken *taken, struct err *e)
{
	struct pledge_post p = { .manifest = view_of(im->manifest_bytes, im->manifest_len),
	    .announcement = view_of(im->parcel_bytes, im->parcel_len) };
	struct buf commit;
	int rc = 0;

	buf_init(&commit);
	if (im->envelope.seq != 0)
		rc = commit_make(s, &t->opened, im, &commit, e);
	p.commit = view_of(commit.p, commit.len);
	if (rc == 0)
		rc = line_session_pledge(t, &p, taken, e);
	if (rc == 0 && (memcmp(taken->image_id, im->begin.image_id, ID_LEN) != 0 || taken->generation < im->manifest.generation))
		rc = err_set(e, ERR_PROTOCOL, "%s answers for another image", line_name(t->l));
	buf_release(&commit);
	return rc;
}

static int
pledge_note(const struct image_state *im, const struct pledge_taken *taken, struct err *e)
{
	struct image_told told;
	struct parcel p;

	if (image_told_load(im, &told, e) != 0)
		return -1;
	told.generation = im->manifest.generation;
	if (parcel_of(im, &p, NULL) == 0)
		told.parcel = p.generation;
	told.until = taken->until;
	told.disks_out = taken->disks_out;
	return image_told_save(im, &told, e);
}

int
pledge_send(struct line *l, struct state *s, const struct domain_keys *k, const struct image_state *im, struct line_told *told,
    struct err *e)
{
	uint8_t digest[DIGEST_LEN];
	struct pledge_taken taken;
	struct line_session t;
	struct envelope base;
	int rc = 0;

	if (session_find(&t, l, s, &im->envelope, &base, e) != 0)
		return err_during(e, "pledge image %s", im->begin.short_name);
	if (im->envelope.seq == 0)
		rc = carried_put(&t, s, im, e);
	else if (meta_put(&t, s, k, im, told, e) != 0 || list_put(&t, s, &im->envelope, &base, e) != 0)
		rc = -1;
	if (rc == 0)
		rc = pledge_post(&t, s, im, &taken, e);
	line_session_end(&t);
	if (rc == 0 && im->envelope.seq != 0) {
		statement_digest(&envelope_schema, im->envelope_bytes, im->envelope_len, digest);
		rc = line_note_acknowledged(s, k, im->envelope.seq, digest, e);
	}
	if (rc == 0)
		rc = pledge_note(im, &taken, e);
	if (rc != 0)
		return err_during(e, "pledge image %s", im->begin.short_name);
	told->pledges++;
	return 0;
}
