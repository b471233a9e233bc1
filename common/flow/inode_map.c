#include "common/flow/inode_map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"

#define FIRST_BUCKETS	1024u
#define FIRST_SLOTS	((uint64_t)1 << 14)
#define SLOTS_AT_ONCE	16u		/* read of the table in one go */
#define SLOT_FREE	0u		/* values of slot.place; a value at 0 has place 1 */
#define SLOT_DROPPED	UINT64_MAX

struct node {
	struct node *next;
	uint64_t dev, ino;
	size_t len;
	uint8_t value[];
};

/* A row of the table in a file: open addressing, a power of two of them. */
struct slot {
	uint64_t dev, ino;
	uint64_t place;			/* where the value begins in the other file, plus 1 */
	uint64_t len;
};

struct inode_map {
	int dirfd, slots_fd, values_fd;	/* -1: not there yet */
	size_t memory, used;
	struct node **bucket;
	size_t buckets, n;
	uint64_t slots, taken, live;	/* taken: with the dropped ones */
	uint64_t values_len;
};

struct inode_map *
inode_map_new(int dirfd, size_t memory)
{
	struct inode_map *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->dirfd = dirfd;
	m->slots_fd = m->values_fd = -1;
	m->memory = memory;
	m->buckets = FIRST_BUCKETS;
	if ((m->bucket = calloc(m->buckets, sizeof(*m->bucket))) == NULL) {
		free(m);
		return NULL;
	}
	return m;
}

void
inode_map_free(struct inode_map *m)
{
	struct node *n;

	if (m == NULL)
		return;
	for (size_t i = 0; i < m->buckets; i++)
		while ((n = m->bucket[i]) != NULL) {
			m->bucket[i] = n->next;
			free(n);
		}
	if (m->slots_fd != -1)
		(void)io->close(m->slots_fd);
	if (m->values_fd != -1)
		(void)io->close(m->values_fd);
	free(m->bucket);
	free(m);
}

static uint64_t
hash_of(uint64_t dev, uint64_t ino)
{
	uint64_t h = (ino ^ dev << 48 ^ dev >> 16) * UINT64_C(0x9e3779b97f4a7c15);

	return h ^ h >> 32;
}

static size_t
cost_of(size_t len)
{
	return sizeof(struct node) + len + 2 * sizeof(void *);
}

/* --- in memory --- */

static struct node **
node_find(const struct inode_map *m, uint64_t dev, uint64_t ino)
{
	struct node **at = &m->bucket[hash_of(dev, ino) & (m->buckets - 1)];

	while (*at != NULL && ((*at)->ino != ino || (*at)->dev != dev))
		at = &(*at)->next;
	return at;
}

/* Twice the buckets; where there is no memory for them the lists get longer. */
static void
buckets_grow(struct inode_map *m)
{
	size_t more = m->buckets * 2;
	struct node **bucket = calloc(more, sizeof(struct node *)), *n, **to;

	if (bucket == NULL)
		return;
	for (size_t i = 0; i < m->buckets; i++)
		while ((n = m->bucket[i]) != NULL) {
			m->bucket[i] = n->next;
			to = &bucket[hash_of(n->dev, n->ino) & (more - 1)];
			n->next = *to;
			*to = n;
		}
	free(m->bucket);
	m->bucket = bucket;
	m->buckets = more;
}

static int
node_add(struct inode_map *m, uint64_t dev, uint64_t ino, const void *value, size_t len, struct err *e)
{
	struct node *n = malloc(sizeof(*n) + len), **at;

	if (n == NULL)
		return err_errno(e, "hard links");
	if (m->n >= m->buckets)
		buckets_grow(m);
	at = node_find(m, dev, ino);
	n->next = NULL;
	n->dev = dev;
	n->ino = ino;
	n->len = len;
	memcpy(n->value, value, len);
	*at = n;
	m->n++;
	m->used += cost_of(len);
	return 0;
}

/* --- in files --- */

/* A new file that has no name. */
static int
file_new(const struct inode_map *m, struct err *e)
{
	char name[40];
	uint64_t number;
	int fd;

	io_random(&number, sizeof(number));
	(void)snprintf(name, sizeof(name), "inodes-%016llx.tmp", (unsigned long long)number);
	fd = io->open(m->dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1)
		return err_errno(e, "create %s", name);
	if (io->unlinkat(m->dirfd, name, 0) != 0) {
		err_errno(e, "unlink %s", name);
		(void)io->close(fd);
		return -1;
	}
	return fd;
}

/* A table of ${slots} free slots: a file that is one hole. */
static int
table_new(const struct inode_map *m, uint64_t slots, struct err *e)
{
	int fd = file_new(m, e);

	if (fd != -1 && io->ftruncate(fd, (off_t)(slots * sizeof(struct slot))) != 0) {
		err_errno(e, "table of hard links");
		(void)io->close(fd);
		return -1;
	}
	return fd;
}

/*
 * Find the inode's slot, or the first free one: its number in ${at}, what
 * stands there in ${found}.  1 it is there, 0 it is not, -1.
 */
static int
slot_find(int fd, uint64_t slots, uint64_t dev, uint64_t ino, uint64_t *at, struct slot *found, struct err *e)
{
	struct slot some[SLOTS_AT_ONCE];
	uint64_t i = hash_of(dev, ino) & (slots - 1), n;

	for (;;) {
		n = slots - i < SLOTS_AT_ONCE ? slots - i : SLOTS_AT_ONCE;
		if (io_read_full(fd, some, n * sizeof(*some), (off_t)(i * sizeof(*some))) != (ssize_t)(n * sizeof(*some)))
			return err_errno(e, "read the table of hard links");
		for (uint64_t k = 0; k < n; k++) {
			*at = i + k;
			*found = some[k];
			if (found->place == SLOT_FREE)
				return 0;
			if (found->place != SLOT_DROPPED && found->ino == ino && found->dev == dev)
				return 1;
		}
		i = (i + n) & (slots - 1);
	}
}

static int
slot_write(int fd, uint64_t at, const struct slot *s, struct err *e)
{
	if (io_write_full(fd, s, sizeof(*s), (off_t)(at * sizeof(*s))) != 0)
		return err_errno(e, "write the table of hard links");
	return 0;
}

/* Take what is live over into a table with room. */
static int
table_grow(struct inode_map *m, struct err *e)
{
	uint64_t slots = m->slots == 0 ? FIRST_SLOTS : m->live * 2 >= m->slots ? m->slots * 2 : m->slots, at;
	int fd = table_new(m, slots, e), got;
	struct slot s, unused;

	if (fd == -1)
		return -1;
	for (uint64_t i = 0; i < m->slots; i++) {
		if (io_read_full(m->slots_fd, &s, sizeof(s), (off_t)(i * sizeof(s))) != (ssize_t)sizeof(s)) {
			err_errno(e, "read the table of hard links");
			goto fail;
		}
		if (s.place == SLOT_FREE || s.place == SLOT_DROPPED)
			continue;
		if ((got = slot_find(fd, slots, s.dev, s.ino, &at, &unused, e)) == -1 || slot_write(fd, at, &s, e) != 0)
			goto fail;
	}
	if (m->slots_fd != -1)
		(void)io->close(m->slots_fd);
	m->slots_fd = fd;
	m->slots = slots;
	m->taken = m->live;
	return 0;
fail:
	(void)io->close(fd);
	return -1;
}

static int
slot_add(struct inode_map *m, uint64_t dev, uint64_t ino, const void *value, size_t len, struct err *e)
{
	struct slot s, unused;
	uint64_t at;

	if (m->values_fd == -1 && (m->values_fd = file_new(m, e)) == -1)
		return -1;
	if ((m->taken + 1) * 4 > m->slots * 3 && table_grow(m, e) != 0)
		return -1;
	if (slot_find(m->slots_fd, m->slots, dev, ino, &at, &unused, e) == -1)
		return -1;
	if (io_write_full(m->values_fd, value, len, (off_t)m->values_len) != 0)
		return err_errno(e, "write what is known of hard links");
	s = (struct slot){ .dev = dev, .ino = ino, .place = m->values_len + 1, .len = len };
	if (slot_write(m->slots_fd, at, &s, e) != 0)
		return -1;
	m->values_len += len;
	m->taken++;
	m->live++;
	return 0;
}

/* --- both --- */

int
inode_map_put(struct inode_map *m, dev_t dev, ino_t ino, const void *value, size_t len, struct err *e)
{
	struct node *n = *node_find(m, dev, ino);
	struct slot s;
	uint64_t at;
	int got = 0;

	if (n == NULL && m->live > 0 && (got = slot_find(m->slots_fd, m->slots, dev, ino, &at, &s, e)) == -1)
		return -1;
	if ((n != NULL && n->len != len) || (got == 1 && s.len != len))
		return err_set(e, ERR_INTERNAL, "hard links: a note changed its length");
	if (n != NULL) {
		memcpy(n->value, value, len);
		return 0;
	}
	if (got == 1)
		return io_write_full(m->values_fd, value, len, (off_t)(s.place - 1)) == 0 ? 0 :
		    err_errno(e, "write what is known of hard links");
	if (m->used + cost_of(len) <= m->memory)
		return node_add(m, dev, ino, value, len, e);
	return slot_add(m, dev, ino, value, len, e);
}

int
inode_map_get(struct inode_map *m, dev_t dev, ino_t ino, void *value, size_t cap, size_t *len, struct err *e)
{
	const struct node *n = *node_find(m, dev, ino);
	struct slot s;
	uint64_t at;
	int got;

	if (n == NULL) {
		if (m->live == 0)
			return 0;
		if ((got = slot_find(m->slots_fd, m->slots, dev, ino, &at, &s, e)) != 1)
			return got;
	}
	*len = n != NULL ? n->len : (size_t)s.len;
	if (*len > cap)
		return err_set(e, ERR_INTERNAL, "hard links: a note is too long");
	if (n != NULL)
		memcpy(value, n->value, n->len);
	else if (io_read_full(m->values_fd, value, *len, (off_t)(s.place - 1)) != (ssize_t)*len)
		return err_errno(e, "read what is known of hard links");
	return 1;
}

int
inode_map_drop(struct inode_map *m, dev_t dev, ino_t ino, struct err *e)
{
	struct node **at = node_find(m, dev, ino), *n = *at;
	struct slot s;
	uint64_t i;
	int got;

	if (n != NULL) {
		*at = n->next;
		m->used -= cost_of(n->len);
		m->n--;
		free(n);
		return 0;
	}
	if (m->live == 0)
		return 0;
	if ((got = slot_find(m->slots_fd, m->slots, dev, ino, &i, &s, e)) != 1)
		return got;
	s.place = SLOT_DROPPED;
	if (slot_write(m->slots_fd, i, &s, e) != 0)
		return -1;
	m->live--;
	return 0;
}

size_t
inode_map_memory(const struct inode_map *m)
{
	return m->used;
}

uint64_t
inode_map_spilled(const struct inode_map *m)
{
	return m->live;
}
