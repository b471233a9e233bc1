#include "common/flow/journal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/chunk/codec.h"

#define FLUSH_AT	(1u << 20)

struct journal {
	pthread_mutex_t lock;
	int fd;
	uint64_t off;		/* where the buffer will go */
	uint64_t sum;		/* of the last record */
	struct buf buf;
	int failed;
	char name[64];
};

static struct journal *
journal_alloc(int fd, const char *name, struct err *e)
{
	struct journal *j = calloc(1, sizeof(*j));

	if (j == NULL) {
		err_errno(e, "journal %s", name);
		return NULL;
	}
	pthread_mutex_init(&j->lock, NULL);
	j->fd = fd;
	buf_init(&j->buf);
	strncpy(j->name, name, sizeof(j->name) - 1);
	return j;
}

/* The bytes of a new journal. */
static int
journal_first(struct buf *b, unsigned type, const void *payload, size_t len, uint64_t *sum, struct err *e)
{
	uint8_t head[JOURNAL_HEAD_LEN], rec[JOURNAL_RECORD_HEAD];

	journal_head_encode(head);
	buf_add(b, head, sizeof(head));
	if (type != 0) {
		journal_record_head_encode(rec, (uint8_t)type, (uint32_t)len);
		buf_add(b, rec, sizeof(rec));
		buf_add(b, payload, len);
		if (buf_check(b, e) != 0)
			return -1;
		*sum = checksum_seeded(b->p + sizeof(head), b->len - sizeof(head), 0);
		buf_u64(b, *sum);
	}
	return buf_check(b, e);
}

struct journal *
journal_create(int dirfd, const char *name, unsigned type, const void *payload, size_t len, struct err *e)
{
	struct journal *j = NULL;
	struct buf b;
	uint64_t sum = 0;
	int fd, made;

	buf_init(&b);
	if (journal_first(&b, type, payload, len, &sum, e) != 0)
		goto out;
	if ((made = file_put_new(dirfd, name, b.p, b.len, 0600, e)) != 0) {
		if (made == 1)
			err_set(e, ERR_INTERNAL, "journal %s exists already", name);
		goto out;
	}
	if ((fd = io->open(dirfd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0)) == -1) {
		err_errno(e, "journal %s", name);
		goto out;
	}
	if ((j = journal_alloc(fd, name, e)) == NULL) {
		io->close(fd);
		goto out;
	}
	j->off = b.len;
	j->sum = sum;
out:
	buf_release(&b);
	return j;
}

/* Find the end of what is whole. */
static int
journal_end(int dirfd, const char *name, struct journal_mark *end, struct err *e)
{
	struct journal_reader *r = journal_reader_new(dirfd, name, e);
	struct fmt_view payload;
	unsigned type;
	int got;

	if (r == NULL)
		return -1;
	while ((got = journal_next(r, &type, &payload, e)) == 1)
		;
	*end = journal_here(r);
	journal_reader_free(r);
	return got;
}

struct journal *
journal_append(int dirfd, const char *name, struct err *e)
{
	struct journal_mark end = { 0, 0 };
	struct journal *j;
	struct stat st;
	int fd;

	if (journal_end(dirfd, name, &end, e) != 0)
		return NULL;
	if ((fd = io->open(dirfd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0)) == -1) {
		err_errno(e, "journal %s", name);
		return NULL;
	}
	if (io->fstat(fd, &st) != 0 ||
	    ((uint64_t)st.st_size > end.off && (io->ftruncate(fd, (off_t)end.off) != 0 || io->fsync(fd) != 0))) {
		err_errno(e, "cut the torn end of journal %s", name);
		goto fail;
	}
	if ((j = journal_alloc(fd, name, e)) == NULL)
		goto fail;
	j->off = end.off;
	j->sum = end.sum;
	return j;
fail:
	io->close(fd);
	return NULL;
}

/* The lock is held. */
static int
journal_write(struct journal *j, struct err *e)
{
	if (j->failed)
		return err_set(e, ERR_IO, "journal %s failed before", j->name);
	if (j->buf.len == 0)
		return 0;
	if (io_write_full(j->fd, j->buf.p, j->buf.len, (off_t)j->off) != 0) {
		j->failed = 1;
		return err_errno(e, "write journal %s in the state directory", j->name);
	}
	j->off += j->buf.len;
	buf_reset(&j->buf);
	return 0;
}

int
journal_add(struct journal *j, unsigned type, const struct fmt_view *parts, size_t n, struct err *e)
{
	uint8_t head[JOURNAL_RECORD_HEAD];
	size_t len = 0, start;
	int rc = -1;

	for (size_t i = 0; i < n; i++)
		len += parts[i].len;
	if (len > JOURNAL_RECORD_MAX)
		return err_set(e, ERR_INTERNAL, "journal record of %zu bytes", len);
	journal_record_head_encode(head, (uint8_t)type, (uint32_t)len);
	pthread_mutex_lock(&j->lock);
	start = j->buf.len;
	buf_add(&j->buf, head, sizeof(head));
	for (size_t i = 0; i < n; i++)
		buf_add(&j->buf, parts[i].p, parts[i].len);
	if (buf_check(&j->buf, e) != 0) {
		j->failed = 1;
		goto out;
	}
	j->sum = checksum_seeded(j->buf.p + start, j->buf.len - start, j->sum);
	buf_u64(&j->buf, j->sum);
	if (buf_check(&j->buf, e) != 0) {
		j->failed = 1;
		goto out;
	}
	rc = j->buf.len >= FLUSH_AT ? journal_write(j, e) : 0;
out:
	pthread_mutex_unlock(&j->lock);
	return rc;
}

int
journal_put(struct journal *j, unsigned type, const void *payload, size_t len, struct err *e)
{
	struct fmt_view v = { .p = payload, .len = (uint32_t)len };

	return journal_add(j, type, &v, 1, e);
}

int
journal_sync(struct journal *j, struct err *e)
{
	int rc;

	pthread_mutex_lock(&j->lock);
	rc = journal_write(j, e);
	if (rc == 0 && io->fsync(j->fd) != 0) {
		j->failed = 1;
		rc = err_set(e, ERR_FSYNC, "sync journal %s in the state directory: %s", j->name, strerror(errno));
	}
	pthread_mutex_unlock(&j->lock);
	return rc;
}

void
journal_close(struct journal *j)
{
	if (j == NULL)
		return;
	io->close(j->fd);
	buf_release(&j->buf);
	pthread_mutex_destroy(&j->lock);
	free(j);
}

struct journal_reader {
	int fd;
	uint64_t off;		/* of the next record */
	uint64_t sum;
	uint8_t *buf;		/* a window of the file */
	size_t cap, have;	/* bytes in it */
	uint64_t at;		/* file offset of buf[0] */
	char name[64];
};

struct journal_reader *
journal_reader_new(int dirfd, const char *name, struct err *e)
{
	uint8_t head[JOURNAL_HEAD_LEN];
	struct journal_reader *r;
	enum fmt_status st;
	ssize_t n;
	int fd;

	if ((fd = io->open(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0)) == -1) {
		err_errno(e, "journal %s", name);
		return NULL;
	}
	if ((n = io_read_full(fd, head, sizeof(head), 0)) == -1) {
		err_errno(e, "read journal %s", name);
		goto fail;
	}
	if ((st = journal_head_decode(head, (size_t)n)) != FMT_OK) {
		err_set(e, st == FMT_VERSION ? ERR_VERSION : ERR_FORMAT, "journal %s: %s", name, fmt_status_text(st));
		goto fail;
	}
	if ((r = calloc(1, sizeof(*r))) == NULL || (r->buf = malloc(FLUSH_AT)) == NULL) {
		free(r);
		err_errno(e, "journal %s", name);
		goto fail;
	}
	r->fd = fd;
	r->cap = FLUSH_AT;
	r->off = JOURNAL_HEAD_LEN;
	strncpy(r->name, name, sizeof(r->name) - 1);
	return r;
fail:
	io->close(fd);
	return NULL;
}

/* Have at least ${n} bytes at r->off in the window, if the file has them. */
static int
reader_fill(struct journal_reader *r, size_t n, const uint8_t **p, size_t *have, struct err *e)
{
	size_t skip = r->off >= r->at && r->off <= r->at + r->have ? (size_t)(r->off - r->at) : r->have;
	uint8_t *grown;
	ssize_t got;

	if (r->have - skip < n || r->off < r->at) {
		memmove(r->buf, r->buf + skip, r->have - skip);
		r->have -= skip;
		if (r->have == 0)
			r->at = r->off;
		else
			r->at += skip;
		if (n > r->cap) {
			if ((grown = realloc(r->buf, n)) == NULL)
				return err_errno(e, "journal %s", r->name);
			r->buf = grown;
			r->cap = n;
		}
		got = io_read_full(r->fd, r->buf + r->have, r->cap - r->have, (off_t)(r->at + r->have));
		if (got == -1)
			return err_errno(e, "read journal %s", r->name);
		r->have += (size_t)got;
		skip = 0;
	}
	*p = r->buf + skip;
	*have = r->have - skip;
	return 0;
}

int
journal_next(struct journal_reader *r, unsigned *type, struct fmt_view *payload, struct err *e)
{
	struct journal_record rec;
	const uint8_t *p = NULL;
	size_t have = 0, want;
	enum fmt_status st;

	if (reader_fill(r, JOURNAL_RECORD_OVERHEAD, &p, &have, e) != 0)
		return -1;
	if (have < JOURNAL_RECORD_OVERHEAD)
		return 0;
	want = (size_t)le32_get(p) + JOURNAL_RECORD_OVERHEAD;
	if (want > JOURNAL_RECORD_MAX + JOURNAL_RECORD_OVERHEAD)
		return 0;
	if (reader_fill(r, want, &p, &have, e) != 0)
		return -1;
	st = journal_record_decode(&rec, p, have);
	if (st != FMT_OK || checksum_seeded(p, rec.len - 8, r->sum) != rec.xxh)
		return 0;
	r->off += rec.len;
	r->sum = rec.xxh;
	*type = rec.type;
	*payload = rec.payload;
	return 1;
}

struct journal_mark
journal_here(const struct journal_reader *r)
{
	return (struct journal_mark){ .off = r->off, .sum = r->sum };
}

void
journal_go(struct journal_reader *r, struct journal_mark m)
{
	r->off = m.off;
	r->sum = m.sum;
}

void
journal_reader_free(struct journal_reader *r)
{
	if (r == NULL)
		return;
	io->close(r->fd);
	free(r->buf);
	free(r);
}
