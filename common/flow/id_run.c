#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/flow/id_run.h"
#include "formats/fmt.h"

#define HEAD_LEN	(DIGEST_LEN + 8)
#define BLOCK_IDS	2048u
#define NEAR_IDS	128u

struct id_run_writer {
	int dirfd, fd, finished;
	char name[64], tmp[96];
	uint8_t print[DIGEST_LEN], last[DIGEST_LEN];
	uint64_t n;
	size_t used;
	uint8_t block[BLOCK_IDS * DIGEST_LEN];
};

struct id_run_writer *
id_run_new(int dirfd, const char *name, const uint8_t print[DIGEST_LEN], struct err *e)
{
	struct id_run_writer *w = calloc(1, sizeof(*w));
	uint8_t head[HEAD_LEN] = { 0 };
	uint64_t mark;

	if (w == NULL) {
		(void)err_errno(e, "ids of a session");
		return NULL;
	}
	w->dirfd = dirfd;
	memcpy(w->print, print, DIGEST_LEN);
	io_random(&mark, sizeof(mark));
	(void)snprintf(w->name, sizeof(w->name), "%s", name);
	(void)snprintf(w->tmp, sizeof(w->tmp), ".%s-%016llx", w->name, (unsigned long long)mark);
	if ((w->fd = io->open(dirfd, w->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)) == -1) {
		(void)err_errno(e, "create %s", w->tmp);
		free(w);
		return NULL;
	}
	if (io_write_full(w->fd, head, sizeof(head), -1) != 0) {
		(void)err_errno(e, "write %s", w->tmp);
		id_run_drop(w);
		return NULL;
	}
	return w;
}

static int
block_write(struct id_run_writer *w, struct err *e)
{
	if (w->used > 0 && io_write_full(w->fd, w->block, w->used, -1) != 0)
		return err_errno(e, "write %s", w->tmp);
	w->used = 0;
	return 0;
}

int
id_run_add(struct id_run_writer *w, const uint8_t id[DIGEST_LEN], struct err *e)
{
	if (w->n > 0 && memcmp(w->last, id, DIGEST_LEN) >= 0)
		return err_set(e, ERR_INTERNAL, "ids that do not rise");
	memcpy(w->last, id, DIGEST_LEN);
	memcpy(w->block + w->used, id, DIGEST_LEN);
	w->used += DIGEST_LEN;
	w->n++;
	return w->used == sizeof(w->block) ? block_write(w, e) : 0;
}

int
id_run_finish(struct id_run_writer *w, struct err *e)
{
	uint8_t head[HEAD_LEN];

	memcpy(head, w->print, DIGEST_LEN);
	le64_put(head + DIGEST_LEN, w->n);
	if (block_write(w, e) != 0)
		return -1;
	if (io_write_full(w->fd, head, sizeof(head), 0) != 0)
		return err_errno(e, "write %s", w->tmp);
	if (io->fsync(w->fd) != 0)
		return err_errno(e, "fsync %s", w->tmp);
	if (io->renameat2(w->dirfd, w->tmp, w->dirfd, w->name, 0) != 0)
		return err_errno(e, "rename %s", w->tmp);
	w->finished = 1;
	return dir_sync(w->dirfd, NULL, e);
}

void
id_run_drop(struct id_run_writer *w)
{
	if (w == NULL)
		return;
	(void)io->close(w->fd);
	if (!w->finished)
		(void)io->unlinkat(w->dirfd, w->tmp, 0);	/* made with O_EXCL: it is ours */
	free(w);
}

int
id_run_open(int dirfd, const char *name, struct id_run *r, struct err *e)
{
	uint8_t head[HEAD_LEN];
	struct stat st;
	ssize_t got;

	memset(r, 0, sizeof(*r));
	if ((r->fd = io->open(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0)) == -1)
		return errno == ENOENT ? 1 : err_errno(e, "open %s", name);
	if (io->fstat(r->fd, &st) != 0 || (got = io_read_full(r->fd, head, sizeof(head), 0)) < 0) {
		(void)err_errno(e, "read %s", name);
		id_run_close(r);
		return -1;
	}
	memcpy(r->print, head, DIGEST_LEN);
	r->n = le64_get(head + DIGEST_LEN);
	if (got == (ssize_t)sizeof(head) && r->n <= REFS_MAX && (uint64_t)st.st_size == HEAD_LEN + r->n * DIGEST_LEN)
		return 0;
	id_run_close(r);
	return 1;
}

void
id_run_close(struct id_run *r)
{
	if (r->fd != -1)
		(void)io->close(r->fd);
	r->fd = -1;
}

/* ${n} ids from position ${at}. */
static int
ids_read(const struct id_run *r, uint64_t at, uint8_t *out, size_t n, struct err *e)
{
	ssize_t got = io_read_full(r->fd, out, n * DIGEST_LEN, (off_t)(HEAD_LEN + at * DIGEST_LEN));

	if (got < 0)
		return err_errno(e, "read the ids of a session");
	return (size_t)got == n * DIGEST_LEN ? 0 : err_set(e, ERR_DAMAGE, "the ids of a session are cut short");
}

/* The first position from ${lo} on whose id is at least ${id} (above it, if ${above}); r->n: there is none. */
static int
lower_bound(const struct id_run *r, uint64_t lo, const uint8_t *id, int above, uint64_t *at, struct err *e)
{
	uint8_t near[NEAR_IDS * DIGEST_LEN];
	uint64_t hi = r->n;
	size_t n, i = 0;

	while (hi - lo > NEAR_IDS) {
		uint64_t mid = lo + (hi - lo) / 2;
		uint8_t there[DIGEST_LEN];
		int order;

		if (ids_read(r, mid, there, 1, e) != 0)
			return -1;
		order = memcmp(there, id, DIGEST_LEN);
		if (order < 0 || (above && order == 0))
			lo = mid + 1;
		else
			hi = mid;
	}
	n = (size_t)(hi - lo);
	if (n > 0 && ids_read(r, lo, near, n, e) != 0)
		return -1;
	for (; i < n; i++) {
		int order = memcmp(near + i * DIGEST_LEN, id, DIGEST_LEN);

		if (order > 0 || (!above && order == 0))
			break;
	}
	*at = lo + i;
	return 0;
}

int
id_run_find(const struct id_run *r, const uint8_t *ids, size_t n, uint8_t *found, struct err *e)
{
	uint8_t there[DIGEST_LEN];
	uint64_t at = 0;

	memset(found, 0, n);
	for (size_t i = 0; i < n; i++) {
		const uint8_t *id = ids + i * DIGEST_LEN;

		if (lower_bound(r, at, id, 0, &at, e) != 0)
			return -1;
		if (at == r->n)
			return 0;
		if (ids_read(r, at, there, 1, e) != 0)
			return -1;
		found[i] = memcmp(there, id, DIGEST_LEN) == 0;
	}
	return 0;
}

int
id_run_page(const struct id_run *r, const uint8_t *after, uint8_t *out, size_t cap, size_t *n, int *more, struct err *e)
{
	uint64_t at = 0;

	if (after != NULL && lower_bound(r, 0, after, 1, &at, e) != 0)
		return -1;
	*n = r->n - at < cap ? (size_t)(r->n - at) : cap;
	*more = r->n - at > *n;
	return *n == 0 ? 0 : ids_read(r, at, out, *n, e);
}
