#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/io.h"
#include "common/walk/beneath.h"

int
beneath_open(int dirfd, const char *name, int flags, mode_t mode)
{
	struct open_how how = { 0 };
	int fd;

	if (strchr(name, '/') != NULL || strcmp(name, "..") == 0) {
		errno = EINVAL;
		return -1;
	}
	flags |= O_NOFOLLOW | O_CLOEXEC | O_NOCTTY;
	how.flags = (uint64_t)(unsigned)flags;
	how.mode = (flags & O_CREAT) != 0 ? mode : 0;
	how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
	if ((flags & O_PATH) != 0)
		how.flags &= (uint64_t)(O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);	/* it is strict */
	fd = io->openat2(dirfd, name, &how);
	if (fd == -1 && (errno == ENOSYS || errno == EPERM))
		fd = io->open(dirfd, name, flags, mode);
	return fd;
}

int
beneath_dir(int dirfd, const char *name)
{
	return beneath_open(dirfd, name, O_PATH | O_DIRECTORY, 0);
}

int
beneath_unlock(int fd)
{
	char proc[40];

	(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	return io->fchmodat(AT_FDCWD, proc, 0700, 0);
}
