#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
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

static struct {
	pthread_mutex_t lock;
	struct tape *tape;
	const struct io_ops *below;
	struct io_ops ops;
	dev_t dev;
	unsigned bugs;
	struct slot *slots;
	size_t nslots, nused;
	uint32_t *held;			/* fsyncs that wait for a rename */
	size_t nheld;
} now = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* A tool of tests: without memory or spill file there is nothing to go on with. */
static void *
must(void *p)
{
	if (p == NULL) {
		(void)fputs("samara: a tape has no memory\n", stderr);
		abort();
	}
	return p;
}

/* ---- inodes ---- */

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
	now.slots = must(calloc(now.nslots, sizeof(*now.slots)));
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

static uint32_t
node_of_stat(const struct stat *st)
{
	const struct slot *s;

	if (st->st_dev != now.dev)
		return TAPE_NONE;
	s = slot_of(st->st_ino);
	return s->used ? s->node : TAPE_NONE;
}

static uint32_t
node_of_fd(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? node_of_stat(&st) : TAPE_NONE;
}

static uint32_t
node_of_path(int dirfd, const char *path, int flags)
{
	struct stat st;

	return fstatat(dirfd, path, &st, flags) == 0 ? node_of_stat(&st) : TAPE_NONE;
}

static uint32_t
node_new(const struct stat *st)
{
	struct tape *t = now.tape;

	if (t->nnodes == t->nodes_cap) {
		t->nodes_cap = t->nodes_cap == 0 ? 256 : t->nodes_cap * 2;
		t->nodes = must(reallocarray(t->nodes, t->nodes_cap, sizeof(*t->nodes)));
	}
	t->nodes[t->nnodes] = (struct tape_node){ .mode = st->st_mode, .rdev = st->st_rdev };
	slot_set(st->st_ino, (uint32_t)t->nnodes);
	return (uint32_t)t->nnodes++;
}

/*
 * The node of the directory that ${path} lies in, and a copy of the last part
 * of the path in ${name} if that is on the tape.
 */
static uint32_t
parent_of(int dirfd, const char *path, char **name)
{
	char *copy = must(strdup(path)), *slash;
	size_t len = strlen(copy);
	uint32_t node;

	*name = NULL;
	while (len > 1 && copy[len - 1] == '/')
		copy[--len] = '\0';
	if ((slash = strrchr(copy, '/')) == NULL) {
		node = dirfd == AT_FDCWD ? node_of_path(dirfd, ".", 0) : node_of_fd(dirfd);
		if (node != TAPE_NONE)
			*name = must(strdup(copy));
	} else {
		char *last = must(strdup(slash + 1));

		slash[slash == copy ? 1 : 0] = '\0';
		if ((node = node_of_path(dirfd, copy, 0)) != TAPE_NONE)
			*name = last;
		else
			free(last);
	}
	free(copy);
	return node;
}

/* ---- operations ---- */

static struct tape_op *
op_add(enum tape_what what, uint32_t node)
{
	struct tape *t = now.tape;
	struct tape_op *op;

	if (t->nops == t->ops_cap) {
		t->ops_cap = t->ops_cap == 0 ? 1024 : t->ops_cap * 2;
		t->ops = must(reallocarray(t->ops, t->ops_cap, sizeof(*t->ops)));
	}
	op = &t->ops[t->nops];
	*op = (struct tape_op){ .what = what, .node = node, .dir = TAPE_NONE, .dir2 = TAPE_NONE };
	/* tape_length may be asked by another thread. */
	__atomic_store_n(&t->nops, t->nops + 1, __ATOMIC_RELEASE);
	return op;
}

/* Takes ${name} over. */
static void
op_name(enum tape_what what, uint32_t node, uint32_t dir, char *name)
{
	struct tape_op *op = op_add(what, node);

	op->dir = dir;
	op->name = name;
}

static void
op_length(enum tape_what what, uint32_t node, uint64_t len)
{
	op_add(what, node)->len = len;
}

static void
op_write(uint32_t node, const void *bytes, size_t n, uint64_t off)
{
	struct tape *t = now.tape;
	struct tape_op *op = op_add(TAPE_WRITE, node);

	op->off = off;
	op->len = n;
	op->spill = t->spill_len;
	for (size_t done = 0; done < n;) {
		ssize_t put = pwrite(t->spill, (const uint8_t *)bytes + done, n - done,
		    (off_t)(t->spill_len + done));

		if (put <= 0)
			must(NULL);
		done += (size_t)put;
	}
	t->spill_len += n;
}

/* The fsyncs that came too early by TAPE_SYNC_AFTER_RENAME. */
static void
held_release(void)
{
	for (size_t i = 0; i < now.nheld; i++)
		(void)op_add(TAPE_FSYNC, now.held[i]);
	now.nheld = 0;
}

/* ---- the table ---- */

static void
lock(void)
{
	(void)pthread_mutex_lock(&now.lock);
}

/* Give the lock back without touching errno, which is the call's. */
static void
unlock(void)
{
	int kept = errno;

	(void)pthread_mutex_unlock(&now.lock);
	errno = kept;
}

/* What an open that may create or truncate has done; ${st} was there before it. */
static void
opened(int fd, int dirfd, const char *path, int flags, int there, const struct stat *before)
{
	struct stat st;
	uint32_t dir;
	char *name;

	if (fstat(fd, &st) != 0)
		return;
	if ((flags & O_TMPFILE) == O_TMPFILE) {
		if (node_of_path(dirfd, path, 0) != TAPE_NONE)
			op_name(TAPE_MAKE, node_new(&st), TAPE_NONE, NULL);
		else if (st.st_dev == now.dev)
			slot_set(st.st_ino, TAPE_NONE);	/* reused outside */
	} else if (!there) {
		if ((dir = parent_of(dirfd, path, &name)) != TAPE_NONE)
			op_name(TAPE_MAKE, node_new(&st), dir, name);
		else if (st.st_dev == now.dev)
			slot_set(st.st_ino, TAPE_NONE);
	} else if ((flags & O_TRUNC) && before->st_size > 0 && node_of_stat(&st) != TAPE_NONE) {
		op_length(TAPE_TRUNCATE, node_of_stat(&st), 0);
	}
}

static int
tape_open(int dirfd, const char *path, int flags, mode_t mode)
{
	struct stat before;
	int fd, there;

	if ((flags & (O_CREAT | O_TRUNC)) == 0 && (flags & O_TMPFILE) != O_TMPFILE)
		return now.below->open(dirfd, path, flags, mode);
	lock();
	there = fstatat(dirfd, path, &before, AT_SYMLINK_NOFOLLOW) == 0;
	if ((fd = now.below->open(dirfd, path, flags, mode)) != -1)
		opened(fd, dirfd, path, flags, there, &before);
	unlock();
	return fd;
}

static int
tape_openat2(int dirfd, const char *path, const struct open_how *how)
{
	struct stat before;
	int fd, there, flags = (int)how->flags;

	if ((flags & (O_CREAT | O_TRUNC)) == 0 && (flags & O_TMPFILE) != O_TMPFILE)
		return now.below->openat2(dirfd, path, how);
	lock();
	there = fstatat(dirfd, path, &before, AT_SYMLINK_NOFOLLOW) == 0;
	if ((fd = now.below->openat2(dirfd, path, how)) != -1)
		opened(fd, dirfd, path, flags, there, &before);
	unlock();
	return fd;
}

static ssize_t
tape_write(int fd, const void *buf, size_t n)
{
	uint32_t node;
	ssize_t put;
	off_t end;

	lock();
	if ((node = node_of_fd(fd)) == TAPE_NONE) {	/* perhaps a pipe: do not wait locked */
		unlock();
		return now.below->write(fd, buf, n);
	}
	put = now.below->write(fd, buf, n);
	if (put > 0 && (end = lseek(fd, 0, SEEK_CUR)) >= put)
		op_write(node, buf, (size_t)put, (uint64_t)(end - put));
	unlock();
	return put;
}

static ssize_t
tape_pwrite(int fd, const void *buf, size_t n, off_t at)
{
	uint32_t node;
	ssize_t put;

	lock();
	node = node_of_fd(fd);
	put = now.below->pwrite(fd, buf, n, at);
	if (put > 0 && node != TAPE_NONE)
		op_write(node, buf, (size_t)put, (uint64_t)at);
	unlock();
	return put;
}

static int
tape_fsync(int fd)
{
	struct stat st;
	uint32_t node = TAPE_NONE;
	int is_dir;

	lock();
	if (fstat(fd, &st) == 0)
		node = node_of_stat(&st);
	if (node == TAPE_NONE) {
		unlock();
		return now.below->fsync(fd);
	}
	is_dir = S_ISDIR(st.st_mode);
	if (now.bugs & (is_dir ? TAPE_DROP_DIR_SYNC : TAPE_DROP_FILE_SYNC)) {
		;
	} else if (!is_dir && (now.bugs & TAPE_SYNC_AFTER_RENAME)) {
		now.held = must(reallocarray(now.held, now.nheld + 1, sizeof(*now.held)));
		now.held[now.nheld++] = node;
	} else {
		(void)op_add(TAPE_FSYNC, node);
	}
	unlock();
	return 0;
}

static int
tape_ftruncate(int fd, off_t len)
{
	int rc;

	lock();
	rc = now.below->ftruncate(fd, len);
	if (rc == 0 && node_of_fd(fd) != TAPE_NONE)
		op_length(TAPE_TRUNCATE, node_of_fd(fd), (uint64_t)len);
	unlock();
	return rc;
}

static int
tape_fallocate(int fd, int mode, off_t at, off_t len)
{
	const int known = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
	struct tape_op *op;
	uint32_t node;
	int rc;

	lock();
	node = node_of_fd(fd);
	if (node != TAPE_NONE && (mode & ~known) != 0) {
		errno = EOPNOTSUPP;
		rc = -1;
	} else {
		rc = now.below->fallocate(fd, mode, at, len);
	}
	if (rc == 0 && node != TAPE_NONE) {
		if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) {
			op = op_add(TAPE_ZERO, node);
			op->off = (uint64_t)at;
			op->len = (uint64_t)len;
		}
		if (!(mode & FALLOC_FL_KEEP_SIZE))
			op_length(TAPE_EXTEND, node, (uint64_t)at + (uint64_t)len);
	}
	unlock();
	return rc;
}

static int
tape_fchmod(int fd, mode_t mode)
{
	int rc;

	lock();
	rc = now.below->fchmod(fd, mode);
	if (rc == 0 && node_of_fd(fd) != TAPE_NONE)
		op_add(TAPE_CHMOD, node_of_fd(fd))->mode = mode & 07777;
	unlock();
	return rc;
}

static int
tape_unlinkat(int dirfd, const char *path, int flags)
{
	uint32_t node, dir;
	char *name;
	int rc;

	lock();
	node = node_of_path(dirfd, path, AT_SYMLINK_NOFOLLOW);
	dir = parent_of(dirfd, path, &name);
	rc = now.below->unlinkat(dirfd, path, flags);
	if (rc == 0 && dir != TAPE_NONE) {
		op_name(TAPE_UNLINK, node, dir, name);
		name = NULL;
	}
	free(name);
	unlock();
	return rc;
}

/* Something new has got its name: a directory, a symlink, a node. */
static void
made(int dirfd, const char *path, const char *target)
{
	struct stat st;
	uint32_t dir, node;
	char *name;

	if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return;
	if ((dir = parent_of(dirfd, path, &name)) == TAPE_NONE) {
		if (st.st_dev == now.dev)
			slot_set(st.st_ino, TAPE_NONE);
		return;
	}
	node = node_new(&st);
	if (target != NULL)
		now.tape->nodes[node].target = must(strdup(target));
	op_name(TAPE_MAKE, node, dir, name);
}

static int
tape_mkdirat(int dirfd, const char *path, mode_t mode)
{
	int rc;

	lock();
	if ((rc = now.below->mkdirat(dirfd, path, mode)) == 0)
		made(dirfd, path, NULL);
	unlock();
	return rc;
}

static int
tape_symlinkat(const char *target, int dirfd, const char *path)
{
	int rc;

	lock();
	if ((rc = now.below->symlinkat(target, dirfd, path)) == 0)
		made(dirfd, path, target);
	unlock();
	return rc;
}

static int
tape_mknodat(int dirfd, const char *path, mode_t mode, dev_t dev)
{
	int rc;

	lock();
	if ((rc = now.below->mknodat(dirfd, path, mode, dev)) == 0)
		made(dirfd, path, NULL);
	unlock();
	return rc;
}

static int
tape_renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
	uint32_t node, dir, dir2, there;
	char *name, *name2;
	int rc = -1;

	lock();
	node = node_of_path(from, old, AT_SYMLINK_NOFOLLOW);
	there = node_of_path(to, new, AT_SYMLINK_NOFOLLOW);
	dir = parent_of(from, old, &name);
	dir2 = parent_of(to, new, &name2);
	if ((dir == TAPE_NONE) != (dir2 == TAPE_NONE))
		errno = EXDEV;
	else if (dir != TAPE_NONE && (flags & ~(unsigned)RENAME_NOREPLACE) != 0)
		errno = EINVAL;
	else
		rc = now.below->renameat2(from, old, to, new, flags);
	if (rc == 0 && dir != TAPE_NONE && node != there) {	/* else two names of one file */
		struct tape_op *op = op_add(TAPE_RENAME, node);

		op->dir = dir;
		op->name = name;
		op->dir2 = dir2;
		op->name2 = name2;
		name = name2 = NULL;
		held_release();
	}
	free(name);
	free(name2);
	unlock();
	return rc;
}

static int
tape_linkat(int from, const char *old, int to, const char *new, int flags)
{
	uint32_t node, dir;
	char *name;
	int rc = -1;

	lock();
	node = node_of_path(from, old, (flags & AT_EMPTY_PATH) |
	    (flags & AT_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW));
	dir = parent_of(to, new, &name);
	if ((node == TAPE_NONE) != (dir == TAPE_NONE))
		errno = EXDEV;
	else
		rc = now.below->linkat(from, old, to, new, flags);
	if (rc == 0 && dir != TAPE_NONE) {
		op_name(TAPE_LINK, node, dir, name);
		name = NULL;
		held_release();
	}
	free(name);
	unlock();
	return rc;
}

/* ---- beginning and end ---- */

static int scan(int dirfd, uint32_t dir, struct err *e);

/* The bytes of the file ${fd}, without blocks of zeros, as they are now. */
static int
scan_bytes(int fd, uint32_t node, off_t size)
{
	static const uint8_t zeros[65536];
	uint8_t block[sizeof(zeros)];
	ssize_t n;

	for (off_t at = 0; (n = pread(fd, block, sizeof(block), at)) > 0; at += n)
		if (memcmp(block, zeros, (size_t)n) != 0)
			op_write(node, block, (size_t)n, (uint64_t)at);
	op_length(TAPE_EXTEND, node, (uint64_t)size);
	return n < 0 ? -1 : 0;
}

static int
scan_entry(int dirfd, uint32_t dir, const char *name, struct err *e)
{
	char target[4097];
	struct stat st;
	uint32_t node;
	ssize_t len;
	int fd, rc;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return err_errno(e, "tape %s", name);
	if (st.st_dev != now.dev)
		return err_set(e, ERR_INTERNAL, "tape %s: another file system", name);
	if ((node = node_of_stat(&st)) != TAPE_NONE) {
		op_name(TAPE_LINK, node, dir, must(strdup(name)));
		return 0;
	}
	node = node_new(&st);
	op_name(TAPE_MAKE, node, dir, must(strdup(name)));
	if (S_ISLNK(st.st_mode)) {
		if ((len = readlinkat(dirfd, name, target, sizeof(target) - 1)) == -1)
			return err_errno(e, "tape %s", name);
		now.tape->nodes[node].target = must(strndup(target, (size_t)len));
	}
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return 0;
	fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return err_errno(e, "tape %s", name);
	if (S_ISDIR(st.st_mode))
		return scan(fd, node, e);
	if ((rc = scan_bytes(fd, node, st.st_size)) != 0)
		(void)err_errno(e, "tape %s", name);
	(void)close(fd);
	return rc;
}

/* Put all that is in the directory on the tape; ${dirfd} is closed. */
static int
scan(int dirfd, uint32_t dir, struct err *e)
{
	DIR *d = fdopendir(dirfd);
	struct dirent *entry;
	int rc = 0;

	if (d == NULL) {
		(void)close(dirfd);
		return err_errno(e, "tape a directory");
	}
	while (rc == 0 && (entry = readdir(d)) != NULL) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			rc = scan_entry(dirfd, dir, entry->d_name, e);
	}
	(void)closedir(d);
	return rc;
}

static int
spill_open(struct err *e)
{
	const char *where = getenv("TMPDIR");
	int fd = open(where != NULL && where[0] != '\0' ? where : "/tmp",
	    O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

	return fd != -1 ? fd : err_errno(e, "make the spill file of a tape");
}

static void
table_fill(struct io_ops *ops)
{
	*ops = *io;
	ops->open = tape_open;
	ops->openat2 = tape_openat2;
	ops->write = tape_write;
	ops->pwrite = tape_pwrite;
	ops->fsync = tape_fsync;
	ops->ftruncate = tape_ftruncate;
	ops->fallocate = tape_fallocate;
	ops->fchmod = tape_fchmod;
	ops->unlinkat = tape_unlinkat;
	ops->mkdirat = tape_mkdirat;
	ops->symlinkat = tape_symlinkat;
	ops->mknodat = tape_mknodat;
	ops->renameat2 = tape_renameat2;
	ops->linkat = tape_linkat;
}

struct tape *
tape_start(const char *root, unsigned bugs, struct err *e)
{
	struct tape *t = must(calloc(1, sizeof(*t)));
	struct stat st;
	int fd;

	now.tape = t;
	now.bugs = bugs;
	if ((t->spill = spill_open(e)) == -1)
		goto free_tape;
	if ((fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1 || fstat(fd, &st) != 0) {
		(void)err_errno(e, "tape %s", root);
		if (fd != -1)
			(void)close(fd);
		goto free_tape;
	}
	now.dev = st.st_dev;
	slots_grow();
	(void)node_new(&st);		/* TAPE_ROOT */
	if (scan(fd, TAPE_ROOT, e) != 0)
		goto free_slots;
	t->base = t->nops;
	table_fill(&now.ops);
	now.below = io_use(&now.ops);
	return t;

free_slots:
	free(now.slots);
	now.slots = NULL;
	now.nslots = now.nused = 0;
free_tape:
	now.tape = NULL;
	tape_free(t);
	return NULL;
}

uint64_t
tape_length(const struct tape *t)
{
	return __atomic_load_n(&t->nops, __ATOMIC_ACQUIRE) - t->base;
}

void
tape_stop(struct tape *t)
{
	void *bytes;

	(void)io_use(now.below);
	free(now.slots);
	free(now.held);
	now.slots = NULL;
	now.held = NULL;
	now.nslots = now.nused = now.nheld = 0;
	now.tape = NULL;
	if (t->spill_len == 0)
		return;
	bytes = mmap(NULL, t->spill_len, PROT_READ, MAP_SHARED, t->spill, 0);
	t->bytes = must(bytes == MAP_FAILED ? NULL : bytes);
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
