#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/io.h"
#include "common/walk/walk_block.h"

#define KEEP_BYTES	(4u << 20)
#define SORT_INODES	32u	/* fewer names than this lie close together anyway */

void
block_release(struct block *b)
{
	free(b->arena);
	free(b->name);
	*b = (struct block){ 0 };
}

void
block_reset(struct block *b)
{
	if (b->cap > KEEP_BYTES)
		block_release(b);
	b->len = 0;
	b->n = 0;
}

static int
block_reserve(struct block *b, size_t bytes)
{
	if (b->cap - b->len < bytes) {
		size_t cap = b->cap == 0 ? 65536 : b->cap + b->cap / 2;
		uint8_t *grown = realloc(b->arena, cap);

		if (grown == NULL)
			return -1;
		b->arena = grown;
		b->cap = cap;
	}
	if (b->n == b->names_cap) {
		size_t cap = b->names_cap == 0 ? 1024 : b->names_cap + b->names_cap / 2;
		struct block_name *grown = reallocarray(b->name, cap, sizeof(*grown));

		if (grown == NULL)
			return -1;
		b->name = grown;
		b->names_cap = cap;
	}
	return 0;
}

int
block_add(struct block *b, const char *name, size_t len, uint8_t type, uint64_t inode)
{
	uint8_t *at;

	if (len == 0 || len > 255) {
		errno = EINVAL;
		return -1;
	}
	if (block_reserve(b, len + 3) != 0)
		return -1;
	at = b->arena + b->len;
	at[0] = (uint8_t)len;
	at[1] = type;
	memcpy(at + 2, name, len);
	at[2 + len] = 0;
	b->name[b->n++] = (struct block_name){ .inode = inode, .at = b->len };
	b->len += len + 3;
	return 0;
}

int
block_read(struct block *b, int fd)
{
	struct dirent *entry;
	int again, sys = 0;
	DIR *d;

	if ((again = io->fcntl_int(fd, F_DUPFD_CLOEXEC, 3)) == -1)
		return -1;
	if ((d = io->fdopendir(again)) == NULL) {
		sys = errno;
		(void)io->close(again);
		errno = sys;
		return -1;
	}
	while ((errno = 0, entry = io->readdir(d)) != NULL) {
		const char *name = entry->d_name;

		if (name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0')))
			continue;
		if (block_add(b, name, strlen(name), entry->d_type, entry->d_ino) != 0)
			break;
	}
	sys = errno;
	(void)io->closedir(d);
	errno = sys;
	return sys == 0 ? 0 : -1;
}

/* How many bytes at the start are the same in all names. */
static size_t
shared_prefix(const struct block *b)
{
	const char *first = block_text(b, 0);
	size_t shared = block_text_len(b, 0);

	for (size_t i = 1; i < b->n && shared > 0; i++) {
		const char *name = block_text(b, i);
		size_t k = 0;

		while (k < shared && name[k] == first[k])	/* the zero byte ends a shorter one */
			k++;
		shared = k;
	}
	return shared;
}

static int
by_name(const void *a, const void *b, void *arena)
{
	const struct block_name *x = a, *y = b;
	const uint8_t *p, *q;
	int c;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	p = (const uint8_t *)arena + x->at;
	q = (const uint8_t *)arena + y->at;
	c = memcmp(p + 2, q + 2, p[0] < q[0] ? p[0] : q[0]);
	return c != 0 ? c : (p[0] > q[0]) - (p[0] < q[0]);
}

void
block_sort(struct block *b)
{
	size_t shared;

	if (b->n < 2)
		return;
	shared = shared_prefix(b);
	for (size_t i = 0; i < b->n; i++) {
		const uint8_t *p = b->arena + b->name[i].at;
		uint64_t key = 0;

		for (size_t k = 0; k < 8; k++)
			key = key << 8 | (shared + k < p[0] ? p[2 + shared + k] : 0u);
		b->name[i].key = key;
	}
	qsort_r(b->name, b->n, sizeof(*b->name), by_name, b->arena);
}

int
window_init(struct window *w)
{
	w->from = w->to = 0;
	w->slot = calloc(WINDOW_NAMES, sizeof(*w->slot));
	return w->slot != NULL ? 0 : -1;
}

void
window_release(struct window *w)
{
	free(w->slot);
	*w = (struct window){ 0 };
}

struct place_on_disk {
	uint64_t inode;
	size_t i;
};

static int
by_inode(const void *a, const void *b)
{
	const struct place_on_disk *x = a, *y = b;

	return (x->inode > y->inode) - (x->inode < y->inode);
}

static void
slot_fill(struct window *w, const struct block *b, size_t i, int dirfd)
{
	struct stat_slot *s = &w->slot[i - w->from];

	s->sys = 0;
	if (io->fstatat(dirfd, block_text(b, i), &s->st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0)
		s->sys = errno;
}

void
window_fill(struct window *w, const struct block *b, size_t from, int dirfd)
{
	struct place_on_disk order[WINDOW_NAMES];
	size_t n = b->n - from < WINDOW_NAMES ? b->n - from : WINDOW_NAMES;

	w->from = from;
	w->to = from + n;
	if (n < SORT_INODES) {
		for (size_t i = from; i < w->to; i++)
			slot_fill(w, b, i, dirfd);
		return;
	}
	for (size_t i = 0; i < n; i++)
		order[i] = (struct place_on_disk){ .inode = b->name[from + i].inode, .i = from + i };
	qsort(order, n, sizeof(order[0]), by_inode);
	for (size_t i = 0; i < n; i++)
		slot_fill(w, b, order[i].i, dirfd);
}

const struct stat_slot *
window_slot(struct window *w, const struct block *b, size_t i, int dirfd)
{
	if (i < w->from || i >= w->to)
		window_fill(w, b, i, dirfd);
	return &w->slot[i - w->from];
}
