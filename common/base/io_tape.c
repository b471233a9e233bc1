#include <errno.h>
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

static struct {
	pthread_mutex_t lock;
	const struct io_ops *below;
	struct io_ops ops;
	unsigned bugs;
	uint32_t *held;			/* fsyncs that wait for a rename */
	size_t nheld;
} now = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* The fsyncs that came too early by TAPE_SYNC_AFTER_RENAME. */
static void
held_release(void)
{
	for (size_t i = 0; i < now.nheld; i++)
		(void)tape_op_add(TAPE_FSYNC, now.held[i]);
	now.nheld = 0;
}

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
		if (tape_node_of_path(dirfd, path, 0) != TAPE_NONE)
			tape_op_name(TAPE_MAKE, tape_node_new(&st), TAPE_NONE, NULL);
		else
			tape_node_forget(&st);	/* reused outside */
	} else if (!there) {
		if ((dir = tape_parent_of(dirfd, path, &name)) != TAPE_NONE)
			tape_op_name(TAPE_MAKE, tape_node_new(&st), dir, name);
		else
			tape_node_forget(&st);
	} else if ((flags & O_TRUNC) && before->st_size > 0 && tape_node_of_stat(&st) != TAPE_NONE) {
		tape_op_length(TAPE_TRUNCATE, tape_node_of_stat(&st), 0);
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
	if ((node = tape_node_of_fd(fd)) == TAPE_NONE) {	/* perhaps a pipe: do not wait locked */
		unlock();
		return now.below->write(fd, buf, n);
	}
	put = now.below->write(fd, buf, n);
	if (put > 0 && (end = lseek(fd, 0, SEEK_CUR)) >= put)
		tape_op_write(node, buf, (size_t)put, (uint64_t)(end - put));
	unlock();
	return put;
}

static ssize_t
tape_pwrite(int fd, const void *buf, size_t n, off_t at)
{
	uint32_t node;
	ssize_t put;

	lock();
	node = tape_node_of_fd(fd);
	put = now.below->pwrite(fd, buf, n, at);
	if (put > 0 && node != TAPE_NONE)
		tape_op_write(node, buf, (size_t)put, (uint64_t)at);
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
		node = tape_node_of_stat(&st);
	if (node == TAPE_NONE) {
		unlock();
		return now.below->fsync(fd);
	}
	is_dir = S_ISDIR(st.st_mode);
	if (now.bugs & (is_dir ? TAPE_DROP_DIR_SYNC : TAPE_DROP_FILE_SYNC)) {
		;
	} else if (!is_dir && (now.bugs & TAPE_SYNC_AFTER_RENAME)) {
		now.held = tape_must(reallocarray(now.held, now.nheld + 1, sizeof(*now.held)));
		now.held[now.nheld++] = node;
	} else {
		(void)tape_op_add(TAPE_FSYNC, node);
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
	if (rc == 0 && tape_node_of_fd(fd) != TAPE_NONE)
		tape_op_length(TAPE_TRUNCATE, tape_node_of_fd(fd), (uint64_t)len);
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
	node = tape_node_of_fd(fd);
	if (node != TAPE_NONE && (mode & ~known) != 0) {
		errno = EOPNOTSUPP;
		rc = -1;
	} else {
		rc = now.below->fallocate(fd, mode, at, len);
	}
	if (rc == 0 && node != TAPE_NONE) {
		if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) {
			op = tape_op_add(TAPE_ZERO, node);
			op->off = (uint64_t)at;
			op->len = (uint64_t)len;
		}
		if (!(mode & FALLOC_FL_KEEP_SIZE))
			tape_op_length(TAPE_EXTEND, node, (uint64_t)at + (uint64_t)len);
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
	if (rc == 0 && tape_node_of_fd(fd) != TAPE_NONE)
		tape_op_add(TAPE_CHMOD, tape_node_of_fd(fd))->mode = mode & 07777;
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
	node = tape_node_of_path(dirfd, path, AT_SYMLINK_NOFOLLOW);
	dir = tape_parent_of(dirfd, path, &name);
	rc = now.below->unlinkat(dirfd, path, flags);
	if (rc == 0 && dir != TAPE_NONE) {
		tape_op_name(TAPE_UNLINK, node, dir, name);
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
	if ((dir = tape_parent_of(dirfd, path, &name)) == TAPE_NONE) {
		tape_node_forget(&st);
		return;
	}
	node = tape_node_new(&st);
	if (target != NULL)
		tape_node_target(node, target);
	tape_op_name(TAPE_MAKE, node, dir, name);
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
	node = tape_node_of_path(from, old, AT_SYMLINK_NOFOLLOW);
	there = tape_node_of_path(to, new, AT_SYMLINK_NOFOLLOW);
	dir = tape_parent_of(from, old, &name);
	dir2 = tape_parent_of(to, new, &name2);
	if ((dir == TAPE_NONE) != (dir2 == TAPE_NONE))
		errno = EXDEV;
	else if (dir != TAPE_NONE && (flags & ~(unsigned)RENAME_NOREPLACE) != 0)
		errno = EINVAL;
	else
		rc = now.below->renameat2(from, old, to, new, flags);
	if (rc == 0 && dir != TAPE_NONE && node != there) {	/* else two names of one file */
		struct tape_op *op = tape_op_add(TAPE_RENAME, node);

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
	node = tape_node_of_path(from, old, (flags & AT_EMPTY_PATH) |
	    (flags & AT_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW));
	dir = tape_parent_of(to, new, &name);
	if ((node == TAPE_NONE) != (dir == TAPE_NONE))
		errno = EXDEV;
	else
		rc = now.below->linkat(from, old, to, new, flags);
	if (rc == 0 && dir != TAPE_NONE) {
		tape_op_name(TAPE_LINK, node, dir, name);
		name = NULL;
		held_release();
	}
	free(name);
	unlock();
	return rc;
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
	struct tape *t = tape_must(calloc(1, sizeof(*t)));
	struct stat st;
	int fd;

	t->spill = -1;
	if ((fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1 || fstat(fd, &st) != 0) {
		(void)err_errno(e, "tape %s", root);
		goto free_tape;
	}
	if (tape_log_start(t, &st, e) != 0)
		goto free_tape;
	if (tape_scan(fd, TAPE_ROOT, e) != 0) {
		fd = -1;
		tape_log_stop();
		goto free_tape;
	}
	t->base = t->nops;
	now.bugs = bugs;
	table_fill(&now.ops);
	now.below = io_use(&now.ops);
	return t;

free_tape:
	if (fd != -1)
		(void)close(fd);
	tape_free(t);
	return NULL;
}

void
tape_stop(struct tape *t)
{
	void *bytes;

	(void)io_use(now.below);
	tape_log_stop();
	free(now.held);
	now.held = NULL;
	now.nheld = 0;
	if (t->spill_len == 0)
		return;
	bytes = mmap(NULL, t->spill_len, PROT_READ, MAP_SHARED, t->spill, 0);
	t->bytes = tape_must(bytes == MAP_FAILED ? NULL : bytes);
}
