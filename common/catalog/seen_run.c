#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/catalog/seen_run.h"

struct seen_run {
	int fd;
	uint64_t count;
	uint64_t *fence;	/* high of each block's first key */
	size_t nfence, fence_cap;
};

/* A file without a name. */
static int
run_file(int dirfd, struct err *e)
{
	uint64_t number;
	char name[32];
	int fd;

	io_random(&number, sizeof(number));
	(void)snprintf(name, sizeof(name), "seen-%016llx.tmp", (unsigned long long)number);
	fd = io->open(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1)
		return err_errno(e, "create %s", name);
	if (io->unlinkat(dirfd, name, 0) != 0) {
		err_errno(e, "unlink %s", name);
		(void)io->close(fd);
		return -1;
	}
	return fd;
}

struct seen_run *
seen_run_new(int dirfd, uint64_t most, struct err *e)
{
	struct seen_run *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		err_errno(e, "a run of the duplicate index");
		return NULL;
	}
	r->fence_cap = (size_t)((most + SEEN_BLOCK - 1) / SEEN_BLOCK);
	r->fence = calloc(r->fence_cap > 0 ? r->fence_cap : 1, sizeof(*r->fence));
	if (r->fence == NULL)
		err_errno(e, "a run of the duplicate index");
	else if ((r->fd = run_file(dirfd, e)) != -1)
		return r;
	free(r->fence);
	free(r);
	return NULL;
}

void
seen_run_free(struct seen_run *r)
{
	if (r == NULL)
		return;
	(void)io->close(r->fd);
	free(r->fence);
	free(r);
}

int
seen_run_add(struct seen_run *r, const struct seen_key *keys, size_t n, struct err *e)
{
	size_t first = (size_t)((SEEN_BLOCK - r->count % SEEN_BLOCK) % SEEN_BLOCK);

	if (n == 0)
		return 0;
	if (io_write_full(r->fd, keys, n * sizeof(*keys), (off_t)(r->count * sizeof(*keys))) != 0)
		return err_errno(e, "write a run of the duplicate index");
	for (size_t i = first; i < n && r->nfence < r->fence_cap; i += SEEN_BLOCK)
		r->fence[r->nfence++] = keys[i].high;
	r->count += n;
	return 0;
}

uint64_t
seen_run_count(const struct seen_run *r)
{
	return r->count;
}

size_t
seen_run_memory(const struct seen_run *r)
{
	return sizeof(*r) + r->fence_cap * sizeof(*r->fence);
}

static int
block_read(const struct seen_run *r, uint64_t number, struct seen_block *b, struct err *e)
{
	uint64_t first = number * SEEN_BLOCK;
	size_t n = r->count - first < SEEN_BLOCK ? (size_t)(r->count - first) : SEEN_BLOCK;
	ssize_t got;

	if (b->run == r && b->number == number)
		return 0;
	b->run = NULL;
	got = io_read_full(r->fd, b->keys, n * sizeof(*b->keys), (off_t)(first * sizeof(*b->keys)));
	if (got == -1)
		return err_errno(e, "read a run of the duplicate index");
	if ((size_t)got != n * sizeof(*b->keys))
		return err_set(e, ERR_IO, "read a run of the duplicate index: the file became shorter");
	b->run = r;
	b->number = number;
	b->count = n;
	return 0;
}

static int
block_has(const struct seen_block *b, struct seen_key key)
{
	size_t low = 0, high = b->count, mid;
	int c;

	while (low < high) {
		mid = (low + high) / 2;
		if ((c = seen_key_compare(b->keys[mid], key)) == 0)
			return 1;
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return 0;
}

int
seen_run_has(const struct seen_run *r, struct seen_key key, struct seen_block *b, struct err *e)
{
	size_t low = 0, high = r->nfence, mid;

	/* Blocks from low on begin above the key. */
	while (low < high) {
		mid = (low + high) / 2;
		if (r->fence[mid] <= key.high)
			low = mid + 1;
		else
			high = mid;
	}
	/* It is in the one before, or further back where blocks begin with its very first 8 bytes. */
	while (low-- > 0) {
		if (block_read(r, low, b, e) != 0)
			return -1;
		if (block_has(b, key))
			return 1;
		if (r->fence[low] != key.high)
			return 0;
	}
	return 0;
}
