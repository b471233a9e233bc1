#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/text.h"
#include "common/disk/mount.h"
#include "common/disk/mount_private.h"

/*
 * Below MOUNT_PRIVATE, for each mount: the file "NNNNNNNN.lock" that its run
 * keeps locked, and the directory "NNNNNNNN".  A lock that can be had belongs
 * to a run that is gone.
 */
#define NAME_LEN	8
#define LOCK_SUFFIX	".lock"
#define TRIES		16

/* A directory of root's that nobody else can write to; ${mode} if it is made. */
static int
own_dir(const char *path, mode_t mode, struct err *e)
{
	struct stat st;

	if (io->mkdirat(AT_FDCWD, path, mode) != 0 && errno != EEXIST)
		return err_errno(e, "make %s", path);
	if (io->fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return err_errno(e, "look at %s", path);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 0777 & ~mode) != 0) {
		(void)err_set(e, ERR_PERMISSION, "%s is not a directory of root's alone", path);
		return err_next(e, "remove it, or mount the disk yourself and give the directory");
	}
	return 0;
}

/* The directory above MOUNT_PRIVATE, then itself. */
static int
private_open(int make, struct err *e)
{
	char above[sizeof(MOUNT_PRIVATE)];

	(void)snprintf(above, sizeof(above), "%s", MOUNT_PRIVATE);
	*strrchr(above, '/') = '\0';
	if (make && (own_dir(above, 0755, e) != 0 || own_dir(MOUNT_PRIVATE, 0700, e) != 0))
		return -1;
	return dir_open(AT_FDCWD, MOUNT_PRIVATE, e);
}

/* Is the lock file still the one of that name?  A sweep may have removed it before it was locked. */
static int
lock_is_linked(int lock)
{
	struct stat st;

	return io->fstat(lock, &st) == 0 && st.st_nlink > 0;
}

/* One try: 0, 1 the name is taken, -1. */
static int
private_try(int dir, char name[NAME_LEN + 1], int *lock, struct err *e)
{
	char file[NAME_LEN + sizeof(LOCK_SUFFIX)];
	uint8_t random[NAME_LEN / 2];

	io_random(random, sizeof(random));
	(void)text_hex(name, random, sizeof(random));
	(void)snprintf(file, sizeof(file), "%s" LOCK_SUFFIX, name);
	if ((*lock = lock_take(dir, file, 0, e)) == -1)
		return e->code == ERR_BUSY ? 1 : -1;
	if (lock_is_linked(*lock) && io->mkdirat(dir, name, 0700) == 0)
		return 0;
	(void)io->close(*lock);
	*lock = -1;
	return errno == EEXIST || errno == ENOENT ? 1 : err_errno(e, "make %s/%s", MOUNT_PRIVATE, name);
}

int
mount_private_new(char *path, size_t n, int *lock, struct err *e)
{
	char name[NAME_LEN + 1];
	int dir, rc = 1;

	*lock = -1;
	if ((dir = private_open(1, e)) == -1)
		return -1;
	for (int i = 0; i < TRIES && rc == 1; i++)
		rc = private_try(dir, name, lock, e);
	(void)io->close(dir);
	if (rc != 0)
		return rc < 0 ? -1 : err_set(e, ERR_INTERNAL, "no free name in %s", MOUNT_PRIVATE);
	(void)snprintf(path, n, MOUNT_PRIVATE "/%s", name);
	return 0;
}

/* Directory first: a lock without a directory is swept, a directory without a lock would stay. */
static void
private_unlink(int dir, const char *name)
{
	char file[NAME_LEN + sizeof(LOCK_SUFFIX)];

	(void)snprintf(file, sizeof(file), "%.*s" LOCK_SUFFIX, NAME_LEN, name);
	if (io->unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		(void)io->unlinkat(dir, file, 0);
}

void
mount_private_remove(const char *path, int lock)
{
	const char *slash = strrchr(path, '/');
	int dir = private_open(0, NULL);

	if (dir != -1) {
		if (slash != NULL)
			private_unlink(dir, slash + 1);
		(void)io->close(dir);
	}
	if (lock != -1)
		(void)io->close(lock);
}

/* "0123abcd.lock": one of our own. */
static int
is_lock_name(const char *name)
{
	return strspn(name, "0123456789abcdef") == NAME_LEN && strcmp(name + NAME_LEN, LOCK_SUFFIX) == 0;
}

/* What may be mounted there goes, even where its driver is dead or somebody looks at it. */
static void
leftover_remove(int dir, const char *file)
{
	char name[NAME_LEN + 1], path[sizeof(MOUNT_PRIVATE) + NAME_LEN + 1];
	int lock;

	if ((lock = lock_take(dir, file, 0, NULL)) == -1)
		return;
	(void)snprintf(name, sizeof(name), "%.*s", NAME_LEN, file);
	(void)snprintf(path, sizeof(path), MOUNT_PRIVATE "/%s", name);
	if (lock_is_linked(lock)) {
		if (umount2(path, UMOUNT_NOFOLLOW) != 0 && errno == EBUSY)
			(void)umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
		private_unlink(dir, name);
	}
	(void)io->close(lock);
}

void
disk_mount_sweep(void)
{
	char **names = NULL;
	size_t n = 0;
	int dir = private_open(0, NULL);

	if (dir == -1)
		return;
	if (dir_list(dir, ".", &names, &n, NULL) == 0)
		for (size_t i = 0; i < n; i++)
			if (is_lock_name(names[i]))
				leftover_remove(dir, names[i]);
	dir_list_free(names, n);
	(void)io->close(dir);
}
