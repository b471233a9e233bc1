#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/flow/chunk_map.h"

#define FIRST_ROWS	4096u
#define RADIX		65536u

struct chunk_map {
	struct chunk_at *at;
	size_t n, cap;
	size_t memory;
	int fd;			/* -1: the table is in memory of its own */
	size_t *first;		/* RADIX + 1: where ids with these two first bytes begin */
};

struct chunk_map *
chunk_map_new(size_t memory)
{
	struct chunk_map *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->memory = memory;
	m->fd = -1;
	if ((m->first = calloc(RADIX + 1, sizeof(*m->first))) == NULL) {
		free(m);
		return NULL;
	}
	return m;
}

static void
table_drop(struct chunk_map *m)
{
	if (m->cap > 0)
		(void)munmap(m->at, m->cap * sizeof(*m->at));
	m->at = NULL;
	m->cap = 0;
}

void
chunk_map_free(struct chunk_map *m)
{
	if (m == NULL)
		return;
	table_drop(m);
	if (m->fd != -1)
		(void)io->close(m->fd);
	free(m->first);
	free(m);
}

/* A file without a name for the table. */
static int
file_open(struct chunk_map *m, struct err *e)
{
	const char *dir = getenv("TMPDIR");

	if (dir == NULL || *dir == '\0')
		dir = "/var/tmp";
	m->fd = io->open(AT_FDCWD, dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (m->fd == -1)
		return err_errno(e, "make a temporary file for the table of chunks in %s", dir);
	return 0;
}

/* Map room for ${cap} rows, in memory or in the file; the old rows are copied. */
static int
table_grow(struct chunk_map *m, size_t cap, struct err *e)
{
	size_t len = cap * sizeof(*m->at);
	int was_file = m->fd != -1;
	void *p;

	if (!was_file && len > m->memory && file_open(m, e) != 0)
		return -1;
	if (m->fd != -1 && io->ftruncate(m->fd, (off_t)len) != 0)
		return err_errno(e, "the table of chunks");
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, m->fd != -1 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, m->fd, 0);
	if (p == MAP_FAILED)
		return err_set(e, ERR_MEMORY, "no memory for a table of %zu chunks", cap);
	if (m->n > 0 && !was_file)
		memcpy(p, m->at, m->n * sizeof(*m->at));
	table_drop(m);
	m->at = p;
	m->cap = cap;
	return 0;
}

int
chunk_map_add(struct chunk_map *m, const uint8_t id[DIGEST_LEN], uint32_t pack, uint32_t off, uint32_t len,
    unsigned kind, struct err *e)
{
	struct chunk_at *at;

	if (m->n == m->cap && table_grow(m, m->cap == 0 ? FIRST_ROWS : m->cap * 2, e) != 0)
		return -1;
	at = &m->at[m->n++];
	memcpy(at->prefix, id, CHUNK_PREFIX_LEN);
	at->pack = pack;
	at->off = off;
	at->len = len;
	at->kind = (uint16_t)kind;
	at->mark = at->zero = 0;
	return 0;
}

static size_t
digit(const struct chunk_at *at)
{
	return (size_t)at->prefix[0] << 8 | at->prefix[1];
}

static int
at_order(const void *a, const void *b)
{
	const struct chunk_at *x = a, *y = b;
	int c = memcmp(x->prefix, y->prefix, CHUNK_PREFIX_LEN);

	if (c != 0)
		return c;
	if (x->pack != y->pack)
		return x->pack < y->pack ? -1 : 1;
	return (x->off > y->off) - (x->off < y->off);
}

/* Bring each row to where its two first bytes belong, swapping in place. */
static void
table_spread(struct chunk_map *m, size_t *next)
{
	for (size_t b = 0; b < RADIX; b++) {
		while (next[b] < m->first[b + 1]) {
			struct chunk_at row = m->at[next[b]], held;
			size_t d;

			while ((d = digit(&row)) != b) {
				held = m->at[next[d]];
				m->at[next[d]++] = row;
				row = held;
			}
			m->at[next[b]++] = row;
		}
	}
}

void
chunk_map_sort(struct chunk_map *m)
{
	size_t *next = calloc(RADIX + 1, sizeof(*next)), sum = 0;

	memset(m->first, 0, (RADIX + 1) * sizeof(*m->first));
	for (size_t i = 0; i < m->n; i++)
		m->first[digit(&m->at[i]) + 1]++;
	for (size_t b = 0; b <= RADIX; b++)
		m->first[b] = sum += m->first[b];
	if (next == NULL) {	/* slower, and as good */
		qsort(m->at, m->n, sizeof(*m->at), at_order);
		return;
	}
	memcpy(next, m->first, (RADIX + 1) * sizeof(*next));
	table_spread(m, next);
	free(next);
	for (size_t b = 0; b < RADIX; b++)
		if (m->first[b + 1] - m->first[b] > 1)
			qsort(m->at + m->first[b], m->first[b + 1] - m->first[b], sizeof(*m->at), at_order);
}

const struct chunk_at *
chunk_map_find(const struct chunk_map *m, const uint8_t id[DIGEST_LEN], size_t *n)
{
	size_t d = (size_t)id[0] << 8 | id[1], low = m->first[d], end = m->first[d + 1], high = end, mid;

	*n = 0;
	while (low < high) {
		mid = low + (high - low) / 2;
		if (memcmp(m->at[mid].prefix, id, CHUNK_PREFIX_LEN) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	while (low + *n < end && memcmp(m->at[low + *n].prefix, id, CHUNK_PREFIX_LEN) == 0)
		++*n;
	return *n > 0 ? m->at + low : NULL;
}

void
chunk_map_mark(struct chunk_map *m, const struct chunk_at *at, uint8_t bits)
{
	(void)__atomic_fetch_or(&m->at[at - m->at].mark, bits, __ATOMIC_RELAXED);
}

uint8_t
chunk_map_marked(const struct chunk_at *at)
{
	return __atomic_load_n(&at->mark, __ATOMIC_RELAXED);
}

const struct chunk_at *
chunk_map_all(const struct chunk_map *m, size_t *n)
{
	*n = m->n;
	return m->at;
}
