#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "common/base/io.h"
#include "common/catalog/vfs_lock.h"

enum { P, R, S, NLOCKS };

struct vfs_lock {
	int fd[NLOCKS];		/* -1: nothing can be locked here (read-only medium without the files) */
	enum vfs_level level;
};

static int
lock_open(const char *path, char which)
{
	const int flags = O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
	char name[4200];
	int fd;

	(void)snprintf(name, sizeof(name), "%s-lock-%c", path, which);
	fd = io->open(AT_FDCWD, name, O_RDWR | O_CREAT | flags, 0644);
	if (fd == -1 && (errno == EROFS || errno == EACCES))
		fd = io->open(AT_FDCWD, name, O_RDONLY | flags, 0);
	return fd;
}

struct vfs_lock *
vfs_lock_new(const char *path)
{
	static const char names[NLOCKS] = { 'p', 'r', 's' };
	struct vfs_lock *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	for (int i = 0; i < NLOCKS; i++)
		l->fd[i] = -1;
	for (int i = 0; i < NLOCKS; i++) {
		l->fd[i] = lock_open(path, names[i]);
		if (l->fd[i] == -1 && errno != EROFS && errno != EACCES && errno != ENOENT) {
			vfs_lock_free(l);
			return NULL;
		}
	}
	return l;
}

void
vfs_lock_free(struct vfs_lock *l)
{
	if (l == NULL)
		return;
	for (int i = 0; i < NLOCKS; i++)
		if (l->fd[i] != -1)
			(void)io->close(l->fd[i]);
	free(l);
}

/* 0 done, 1 somebody else has it, -1. */
static int
set(const struct vfs_lock *l, int which, int op)
{
	int rc;

	if (l->fd[which] == -1)
		return 0;
	do {
		rc = io->flock(l->fd[which], op | LOCK_NB);
	} while (rc != 0 && errno == EINTR);
	if (rc == 0)
		return 0;
	return errno == EWOULDBLOCK ? 1 : -1;
}

static int
to_shared(struct vfs_lock *l)
{
	int rc = set(l, P, LOCK_SH), un;

	if (rc != 0)
		return rc;
	rc = set(l, S, LOCK_SH);
	un = set(l, P, LOCK_UN);
	if (rc == 0 && un == 0)
		l->level = VFS_SHARED;
	return rc != 0 ? rc : un;
}

/*
 * From reader to sole user.  Changing a flock is not one step, the old one is
 * lost when the new one is refused; but while p is ours nobody else can come
 * to s, so the shared one can be taken again.
 */
static int
to_exclusive(struct vfs_lock *l)
{
	int rc;

	if (l->level < VFS_PENDING) {
		if ((rc = set(l, P, LOCK_EX)) != 0)
			return rc;
		l->level = VFS_PENDING;
	}
	if ((rc = set(l, S, LOCK_EX)) == 0) {
		l->level = VFS_EXCLUSIVE;
		return 0;
	}
	return set(l, S, LOCK_SH) == 0 ? rc : -1;
}

int
vfs_lock_raise(struct vfs_lock *l, enum vfs_level to)
{
	int rc = 0;

	if (l->level >= to)
		return 0;
	if (l->level == VFS_NONE && (rc = to_shared(l)) != 0)
		return rc;
	if (to == VFS_RESERVED) {
		if ((rc = set(l, R, LOCK_EX)) == 0)
			l->level = VFS_RESERVED;
	} else if (to > VFS_RESERVED) {
		rc = to_exclusive(l);
	}
	return rc;
}

int
vfs_lock_lower(struct vfs_lock *l, enum vfs_level to)
{
	int rc = 0;

	if (l->level <= to)
		return 0;
	if (l->level > VFS_SHARED) {
		if (to == VFS_SHARED)
			rc |= set(l, S, LOCK_SH);
		rc |= set(l, R, LOCK_UN);
		rc |= set(l, P, LOCK_UN);
	}
	if (to == VFS_NONE)
		rc |= set(l, S, LOCK_UN);
	l->level = to;
	return rc == 0 ? 0 : -1;
}

int
vfs_lock_is_reserved(struct vfs_lock *l)
{
	if (l->level >= VFS_RESERVED)
		return 1;
	if (set(l, R, LOCK_SH) != 0)
		return 1;
	(void)set(l, R, LOCK_UN);
	return 0;
}
