#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/io_tape.h"
#include "common/base/io_tape_log.h"

/* Which node an inode of the file system is now. */
struct slot {
	ino_t ino;
	uint32_t node;
	int used;
};

/* The tape that runs; the caller of everything here holds the lock of io_tape.c. */
static struct {
	struct tape *tape;
	dev_t dev;
	struct slot *slots;
	size_t nslots, nused;
} now;

void *
tape_must(void *p)
{
	if (p == NULL) {
		(void)fputs("samara: a tape has no memory\n", stderr);
		abort();
	}
	return p;
}

static struct slot *
slot_of(ino_t ino)
{
	size_t i = (size_t)(ino * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (now.nslots - 1);

	while (now.slots[i].used && now.slots[i].ino != ino)
		i = (i + 1) & (now.nslots - 1);
	return &now.slots[i];
}

static void
slots_grow(void)
{
	struct slot *old = now.slots;
	size_t n = now.nslots;

	now.nslots = n == 0 ? 1024 : n * 2;
	now.slots = tape_must(calloc(now.nslots, sizeof(*now.slots)));
	for (size_t i = 0; i < n; i++)
		if (old[i].used)
			*slot_of(old[i].ino) = old[i];
	free(old);
}

/* From now on ${ino} is ${node}; an inode that was freed comes back as another. */
static void
slot_set(ino_t ino, uint32_t node)
{
	struct slot *s;

	if (now.nused * 2 >= now.nslots)
		slots_grow();
	s = slot_of(ino);
	now.nused += (size_t)!s->used;
	s->used = 1;
	s->ino = ino;
	s->node = node;
}

void
tape_node_forget(const struct stat *st)
{
	if (st->st_dev == now.dev)
		slot_set(st->st_ino, TAPE_NONE);
}

uint32_t
tape_node_of_stat(const struct stat *st)
{
	const struct slot *s;

	if (st->st_dev != now.dev)
		return TAPE_NONE;
	s = slot_of(st->st_ino);
	return s->used ? s->node : TAPE_NONE;
}

uint32_t
tape_node_of_fd(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? tape_node_of_stat(&st) : TAPE_NONE;
}

uint32_t
tape_node_of_path(int dirfd, const char *path, int flags)
{
	struct stat st;

	return fstatat(dirfd, path, &st, flags) == 0 ? tape_node_of_stat(&st) : TAPE_NONE;
}

uint32_t
tape_node_new(const struct stat *st)
{
	struct tape *t = now.tape;

	if (t->nnodes == t->nodes_cap) {
		t->nodes_cap = t->nodes_cap == 0 ? 256 : t->nodes_cap * 2;
		t->nodes = tape_must(reallocarray(t->nodes, t->nodes_cap, sizeof(*t->nodes)));
	}
	t->nodes[t->nnodes] = (struct tape_node){ .mode = st->st_mode, .rdev = st->st_rdev };
	slot_set(st->st_ino, (uint32_t)t->nnodes);
	return (uint32_t)t->nnodes++;
}

void
tape_node_target(uint32_t node, const char *target)
{
	now.tape->nodes[node].target = tape_must(strdup(target));
}

uint32_t
tape_parent_of(int dirfd, const char *path, char **name)
{
	char *copy = tape_must(strdup(path)), *slash;
	size_t len = strlen(copy);
	uint32_t node;

	*name = NULL;
	while (len > 1 && copy[len - 1] == '/')
		copy[--len] = '\0';
	if ((slash = strrchr(copy, '/')) == NULL) {
		node = dirfd == AT_FDCWD ? tape_node_of_path(dirfd, ".", 0) : tape_node_of_fd(dirfd);
		if (node != TAPE_NONE)
			*name = tape_must(strdup(copy));
	} else {
		char *last = tape_must(strdup(slash + 1));

		slash[slash == copy ? 1 : 0] = '\0';
		if ((node = tape_node_of_path(dirfd, copy, 0)) != TAPE_NONE)
			*name = last;
		else
			free(last);
	}
	free(copy);
	return node;
}

struct tape_op *
tape_op_add(enum tape_what what, uint32_t node)
{
	struct tape *t = now.tape;
	struct tape_op *op;

	if (t->nops == t->ops_cap) {
		t->ops_cap = t->ops_cap == 0 ? 1024 : t->ops_cap * 2;
		t->ops = tape_must(reallocarray(t->ops, t->ops_cap, sizeof(*t->ops)));
	}
	op = &t->ops[t->nops];
	*op = (struct tape_op){ .what = what, .node = node, .dir = TAPE_NONE, .dir2 = TAPE_NONE };
	/* tape_length may be asked by another thread. */
	__atomic_store_n(&t->nops, t->nops + 1, __ATOMIC_RELEASE);
	return op;
}

void
tape_op_name(enum tape_what what, uint32_t node, uint32_t dir, char *name)
{
	struct tape_op *op = tape_op_add(what, node);

	op->dir = dir;
	op->name = name;
}

void
tape_op_length(enum tape_what what, uint32_t node, uint64_t len)
{
	tape_op_add(what, node)->len = len;
}

void
tape_op_write(uint32_t node, const void *bytes, size_t n, uint64_t off)
{
	struct tape *t = now.tape;
	struct tape_op *op = tape_op_add(TAPE_WRITE, node);

	op->off = off;
	op->len = n;
	op->spill = t->spill_len;
	for (size_t done = 0; done < n;) {
		ssize_t put = pwrite(t->spill, (const uint8_t *)bytes + done, n - done,
		    (off_t)(t->spill_len + done));

		if (put <= 0)
			tape_must(NULL);
		done += (size_t)put;
	}
	t->spill_len += n;
}

int
tape_log_start(struct tape *t, const struct stat *root, struct err *e)
{
	const char *where = getenv("TMPDIR");

	t->spill = open(where != NULL && where[0] != '\0' ? where : "/tmp",
	    O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (t->spill == -1)
		return err_errno(e, "make the spill file of a tape");
	now.tape = t;
	now.dev = root->st_dev;
	slots_grow();
	(void)tape_node_new(root);	/* TAPE_ROOT */
	return 0;
}

void
tape_log_stop(void)
{
	free(now.slots);
	now.slots = NULL;
	now.nslots = now.nused = 0;
	now.tape = NULL;
}

uint64_t
tape_length(const struct tape *t)
{
	return __atomic_load_n(&t->nops, __ATOMIC_ACQUIRE) - t->base;
}

void
tape_free(struct tape *t)
{
	if (t == NULL)
		return;
	if (t->bytes != NULL)
		(void)munmap((void *)(uintptr_t)t->bytes, t->spill_len);
	if (t->spill != -1)
		(void)close(t->spill);
	for (size_t i = 0; i < t->nops; i++) {
		free(t->ops[i].name);
		free(t->ops[i].name2);
	}
	for (size_t i = 0; i < t->nnodes; i++)
		free(t->nodes[i].target);
	free(t->nodes);
	free(t->ops);
	free(t);
}

char *
tape_describe(const struct tape *t, uint64_t i, char *buf, size_t n)
{
	static const char *const what[] = { "make", "link", "unlink", "rename", "write", "zero",
		"truncate", "extend", "chmod", "fsync" };
	const struct tape_op *op;

	if (i >= tape_length(t)) {
		(void)snprintf(buf, n, "the end");
		return buf;
	}
	op = &t->ops[t->base + i];
	if (op->what == TAPE_RENAME)
		(void)snprintf(buf, n, "rename #%" PRIu32 " from #%" PRIu32 "/%s to #%" PRIu32 "/%s",
		    op->node, op->dir, op->name, op->dir2, op->name2);
	else if (op->name != NULL)
		(void)snprintf(buf, n, "%s #%" PRIu32 " as #%" PRIu32 "/%s", what[op->what],
		    op->node, op->dir, op->name);
	else
		(void)snprintf(buf, n, "%s #%" PRIu32 " at %" PRIu64 ", %" PRIu64 " bytes",
		    what[op->what], op->node, op->off, op->len);
	return buf;
}
