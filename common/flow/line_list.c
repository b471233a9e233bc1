/* The reference list of a snapshot on its way to the vault: what it adds to its base's, and what it removes. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/flow/line_list.h"
#include "common/flow/line_session.h"
#include "common/flow/refs_files.h"
#include "formats/fmt_snapshot.h"

#define BUFFER		((size_t)1 << 20)
#define TMP_NAME	"list.tmp"
#define TMP_TRIES	16u

enum side { SIDE_ADDED, SIDE_REMOVED };

/* Takes an id that stands in one of two lists only. */
typedef int (*side_fn)(void *arg, enum side side, const uint8_t *id, struct err *e);

struct list_out {
	struct line_session *t;
	uint64_t seq;
	int runs;			/* where the file goes that is being sent */
	struct refs_head head;
	enum side wanted;
	struct buf buf;
	int fd;				/* -1: no part is open */
	uint64_t len, ids, left;	/* of the open part; ids that it still takes */
};

/* Both lists side by side. */
static int
both_walk(int snaps, uint64_t old_seq, uint64_t new_seq, side_fn fn, void *arg, struct err *e)
{
	struct refs_files *old = refs_files_new(snaps, old_seq, e), *new = refs_files_new(snaps, new_seq, e);
	const uint8_t *a = NULL, *b = NULL;
	int has_a = -1, has_b = -1, order, rc = -1;

	if (old != NULL && new != NULL && (has_a = refs_files_next(old, &a, e)) != -1 && (has_b = refs_files_next(new, &b, e)) != -1)
		rc = 0;
	while (rc == 0 && (has_a == 1 || has_b == 1)) {
		order = has_a != 1 ? 1 : has_b != 1 ? -1 : memcmp(a, b, DIGEST_LEN);
		if (order != 0)
			rc = fn(arg, order < 0 ? SIDE_REMOVED : SIDE_ADDED, order < 0 ? a : b, e);
		if (rc == 0 && order <= 0 && (has_a = refs_files_next(old, &a, e)) == -1)
			rc = -1;
		if (rc == 0 && order >= 0 && (has_b = refs_files_next(new, &b, e)) == -1)
			rc = -1;
	}
	refs_files_free(old);
	refs_files_free(new);
	return rc;
}

static int
side_count(void *arg, enum side side, const uint8_t *id, struct err *e)
{
	struct refs_head *h = arg;

	(void)id, (void)e;
	++*(side == SIDE_ADDED ? &h->added : &h->removed);
	return 0;
}

static int
out_flush(struct list_out *o, struct err *e)
{
	if (buf_check(&o->buf, e) != 0)
		return -1;
	if (o->buf.len > 0 && io_write_full(o->fd, o->buf.p, o->buf.len, (off_t)o->len) != 0)
		return err_errno(e, "write the reference list");
	o->len += o->buf.len;
	buf_reset(&o->buf);
	return 0;
}

/* Send the open part. */
static int
part_send(struct list_out *o, struct err *e)
{
	int rc = out_flush(o, e);

	if (rc == 0)
		rc = line_session_list(o->t, o->seq, o->head.kind, o->head.part, o->fd, o->len, e);
	(void)io->close(o->fd);
	o->fd = -1;
	o->head.part++;
	return rc;
}

/* A file without a name.  Another run may use the same name for a moment. */
static int
tmp_open(int dirfd)
{
	int fd = -1;

	for (unsigned i = 0; i < TMP_TRIES && fd == -1; i++) {
		(void)io->unlinkat(dirfd, TMP_NAME, 0);
		if ((fd = io->open(dirfd, TMP_NAME, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)) == -1 && errno != EEXIST)
			return -1;
	}
	if (fd != -1)
		(void)io->unlinkat(dirfd, TMP_NAME, 0);
	return fd;
}

static int
part_begin(struct list_out *o, struct err *e)
{
	uint8_t head[REFS_HEAD_LEN];

	if ((o->fd = tmp_open(o->runs)) == -1)
		return err_errno(e, "write the reference list");
	refs_head_encode(&o->head, head);
	o->len = 0;
	o->left = refs_part_ids(&o->head);
	buf_add(&o->buf, head, sizeof(head));
	return 0;
}

static int
side_put(void *arg, enum side side, const uint8_t *id, struct err *e)
{
	struct list_out *o = arg;

	if (side != o->wanted)
		return 0;
	if (o->fd == -1 && part_begin(o, e) != 0)
		return -1;
	buf_add(&o->buf, id, DIGEST_LEN);
	if (o->buf.len >= BUFFER && out_flush(o, e) != 0)
		return -1;
	return --o->left == 0 ? part_send(o, e) : 0;
}

static int
delta_send(struct list_out *o, int snaps, uint64_t base, struct err *e)
{
	int rc = 0;

	buf_init(&o->buf);
	o->fd = -1;
	for (unsigned i = 0; i < 2 && rc == 0; i++) {
		o->wanted = i == 0 ? SIDE_ADDED : SIDE_REMOVED;
		rc = both_walk(snaps, base, o->seq, side_put, o, e);
	}
	if (o->fd != -1) {
		if (rc == 0)
			rc = err_set(e, ERR_STATE, "a reference list in the state changed while it was read");
		(void)io->close(o->fd);
	}
	buf_release(&o->buf);
	return rc;
}

/* The parts as they stand in the state. */
static int
whole_send(struct line_session *t, int snaps, uint64_t seq, struct err *e)
{
	char name[64];
	struct stat st;
	int fd, rc = 0;

	for (unsigned part = 0; rc == 0; part++) {
		(void)snprintf(name, sizeof(name), "%08llu.r%02u", (unsigned long long)seq, part);
		if (io->fstatat(snaps, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			return part > 0 ? 0 : err_errno(e, "reference list %s", name);
		if ((fd = io->open(snaps, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0)) == -1)
			return err_errno(e, "reference list %s", name);
		rc = line_session_list(t, seq, REFS_WHOLE, part, fd, (uint64_t)st.st_size, e);
		(void)io->close(fd);
	}
	return rc;
}

int
line_list_send(struct line_session *t, int snaps, int runs, const struct envelope *env, const struct envelope *base, struct err *e)
{
	struct list_out o = { .t = t, .seq = env->seq, .runs = runs };
	uint64_t ids, parts;

	if (base->seq == 0)
		return whole_send(t, snaps, env->seq, e);
	if (both_walk(snaps, base->seq, env->seq, side_count, &o.head, e) != 0)
		return -1;
	ids = o.head.added + o.head.removed;
	parts = (ids + REFS_PART_IDS - 1) / REFS_PART_IDS;
	if (ids == 0 || ids >= env->refs_count || parts > REFS_PARTS_MOST)
		return whole_send(t, snaps, env->seq, e);
	o.head.kind = REFS_DELTA;
	o.head.parts = (uint16_t)parts;
	memcpy(o.head.domain_id, env->domain_id, DIGEST_LEN);
	memcpy(o.head.digest, env->refs_digest, DIGEST_LEN);
	memcpy(o.head.base, base->refs_digest, DIGEST_LEN);
	o.head.count = env->refs_count;
	return delta_send(&o, snaps, base->seq, e);
}
