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
#include "common/flow/line_note.h"
#include "common/flow/line_packs.h"
#include "common/flow/parcel.h"
#include "common/flow/topup.h"

#define TRIES		5u
#define LEVEL		3	/* zstd, of listings: they are small, and the line is thin */
#define COMMIT_ROOM	((size_t)2 << 20)

/* --- the reference list --- */

struct part_file {
	int fd;
};

static long
part_send(void *arg, uint64_t off, void *out, size_t cap)
{
	struct part_file *f = arg;
	ssize_t n = io_read_full(f->fd, out, cap, (off_t)off);

	return n < 0 ? -1 : (long)n;
}

/* Part ${part} of the list: 0 sent, 1 there is none such, -1. */
static int
part_put(struct line_talk *t, struct state *s, uint64_t seq, unsigned part, struct err *e)
{
	char name[64], what[64], path[LINE_TALK_PATH];
	struct net_ask a = { .method = "PUT", .path = path, .send = part_send, .tries = TRIES };
	struct net_answer r = { .status = 0 };
	struct part_file f;
	struct stat st;
	int rc = -1;

	(void)snprintf(name, sizeof(name), "snaps/%08llu.r%02u", (unsigned long long)seq, part);
	(void)snprintf(what, sizeof(what), "lists/%llu-whole-%u", (unsigned long long)seq, part);
	line_talk_path(t, path, what);
	if (io->fstatat(s->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return part > 0 ? 1 : err_errno(e, "state %s: %s", s->path, name);
	if ((f.fd = io->open(s->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0)) == -1)
		return err_errno(e, "state %s: %s", s->path, name);
	a.send_arg = &f;
	a.body_len = (uint64_t)st.st_size;
	if ((rc = line_ask(t->l, &a, &r, e)) == 0)
		net_answer_free(&r);
	(void)io->close(f.fd);
	return rc;
}

static int
list_put(struct line_talk *t, struct state *s, uint64_t seq, struct err *e)
{
	int rc = 0;

	for (unsigned part = 0; rc == 0; part++)
		rc = part_put(t, s, seq, part, e);
	return rc < 0 ? -1 : 0;
}

/* --- the listing --- */

static int
meta_put(struct line_talk *t, struct state *s, const struct domain_keys *k, const struct image_state *im, struct line_told *told,
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

/* The envelopes from behind the vault's head up to the image's, or that alone where the head is beyond it. */
static int
envelopes_put(struct state *s, const struct session_opened *o, uint64_t seq, struct wr *w, struct err *e)
{
	struct envelope env;
	uint8_t *bytes;
	size_t len;
	int rc = 0;

	for (uint64_t n = o->head_seq < seq ? o->head_seq + 1 : seq; n <= seq && rc == 0; n++) {
		if ((rc = state_envelope(s, n, &bytes, &len, &env, e)) == 1)
			return err_set(e, ERR_STATE, "state %s: snapshot %llu is not there, and the vault has not seen it", s->path,
			    (unsigned long long)n);
		if (rc == 0) {
			commit_put(w, bytes, len);
			free(bytes);
		}
	}
	return rc;
}

static int
commit_make(struct state *s, const struct session_opened *o, uint64_t seq, struct buf *out, struct err *e)
{
	struct commit c = { .head_seq = o->head_seq };
	uint8_t *rows = malloc(COMMIT_ROOM);
	struct wr w = { .p = rows, .left = COMMIT_ROOM };
	int rc;

	if (rows == NULL)
		return err_errno(e, "pledge");
	memcpy(c.head_id, o->head_id, ID_LEN);
	rc = envelopes_put(s, o, seq, &w, e);
	if (rc == 0 && w.bad)
		rc = err_set(e, ERR_INTERNAL, "more snapshots wait than one pledge can bring");
	c.envelopes = (struct fmt_view){ rows, (uint32_t)(COMMIT_ROOM - w.left) };
	if (rc == 0)
		rc = statement_make(&commit_schema, &c, NULL, out, e);
	free(rows);
	return rc;
}

static int
pledge_post(struct line_talk *t, struct state *s, const struct image_state *im, struct pledge_taken *taken, struct err *e)
{
	struct pledge_post p = { .manifest = { im->manifest_bytes, (uint32_t)im->manifest_len },
	    .announcement = { im->parcel_bytes, (uint32_t)im->parcel_len } };
	char path[LINE_TALK_PATH];
	uint8_t *bytes = NULL;
	struct buf commit;
	int rc = 0;

	buf_init(&commit);
	if (im->envelope.seq != 0)
		rc = commit_make(s, &t->opened, im->envelope.seq, &commit, e);
	p.commit = (struct fmt_view){ commit.p, (uint32_t)commit.len };
	line_talk_path(t, path, "pledge");
	if (rc == 0)
		rc = line_call(t->l, "POST", path, TRIES, &pledge_post_schema, &p, &pledge_taken_schema, taken, &bytes, e);
	if (rc == 0 && (memcmp(taken->image_id, im->begin.image_id, ID_LEN) != 0 || taken->generation < im->manifest.generation))
		rc = err_set(e, ERR_PROTOCOL, "%s answers for another image", line_name(t->l));
	free(bytes);
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
	struct line_talk t;
	int rc = 0;

	if (line_talk_open(&t, l, LINE_PLEDGE, "", NULL, e) != 0)
		return err_during(e, "pledge image %s", im->begin.short_name);
	if (im->envelope.seq != 0 && (meta_put(&t, s, k, im, told, e) != 0 || list_put(&t, s, im->envelope.seq, e) != 0))
		rc = -1;
	if (rc == 0)
		rc = pledge_post(&t, s, im, &taken, e);
	line_talk_end(&t);
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
