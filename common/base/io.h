#ifndef SAMARA_BASE_IO_H
#define SAMARA_BASE_IO_H

/*
 * Every call of samara to the operating system for files, clocks and random
 * numbers, in one table.  The functions mirror the system calls: the same
 * arguments, -1 and errno.  The table in force is one per process:
 * io_real() passes through; for tests io_fault.h fails and io_tape.h records.
 * SQLite runs on the same table through the VFS in common/catalog.
 */

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

struct err;

struct io_ops {
	int (*open)(int dirfd, const char *path, int flags, mode_t mode);
	int (*openat2)(int dirfd, const char *path, const struct open_how *how);
	int (*close)(int fd);
	ssize_t (*read)(int fd, void *buf, size_t n);
	ssize_t (*pread)(int fd, void *buf, size_t n, off_t at);
	ssize_t (*write)(int fd, const void *buf, size_t n);
	ssize_t (*pwrite)(int fd, const void *buf, size_t n, off_t at);
	off_t (*lseek)(int fd, off_t at, int whence);
	int (*fsync)(int fd);
	int (*subvolume)(int fd, uint64_t *id);	/* btrfs: the subvolume that a file or directory lies in (BTRFS_IOC_INO_LOOKUP) */
	int (*flush_device)(int fd);		/* a block device: write its buffers and forget them (BLKFLSBUF) */
	int (*ftruncate)(int fd, off_t len);
	int (*fallocate)(int fd, int mode, off_t at, off_t len);
	int (*fstat)(int fd, struct stat *st);
	int (*fstatat)(int dirfd, const char *path, struct stat *st, int flags);
	int (*fstatfs)(int fd, struct statfs *fs);
	int (*flock)(int fd, int op);
	int (*fadvise)(int fd, off_t at, off_t len, int advice);
	int (*fcntl_int)(int fd, int cmd, int arg);
	int (*unlinkat)(int dirfd, const char *path, int flags);
	int (*mkdirat)(int dirfd, const char *path, mode_t mode);
	int (*renameat2)(int from, const char *old, int to, const char *new, unsigned flags);
	int (*linkat)(int from, const char *old, int to, const char *new, int flags);
	int (*symlinkat)(const char *target, int dirfd, const char *path);
	ssize_t (*readlinkat)(int dirfd, const char *path, char *buf, size_t n);
	int (*mknodat)(int dirfd, const char *path, mode_t mode, dev_t dev);
	int (*fchownat)(int dirfd, const char *path, uid_t u, gid_t g, int flags);
	int (*fchmod)(int fd, mode_t mode);
	int (*fchmodat)(int dirfd, const char *path, mode_t mode, int flags);
	int (*utimensat)(int dirfd, const char *path, const struct timespec t[2], int flags);
	ssize_t (*listxattr)(const char *path, char *list, size_t n, int nofollow);
	ssize_t (*getxattr)(const char *path, const char *name, void *v, size_t n, int nofollow);
	int (*setxattr)(const char *path, const char *name, const void *v, size_t n, int nofollow);
	ssize_t (*flistxattr)(int fd, char *list, size_t n);
	ssize_t (*fgetxattr)(int fd, const char *name, void *v, size_t n);
	int (*fsetxattr)(int fd, const char *name, const void *v, size_t n);
	int (*fremovexattr)(int fd, const char *name);
	DIR *(*fdopendir)(int fd);		/* takes fd over, as fdopendir(3) */
	struct dirent *(*readdir)(DIR *d);
	int (*closedir)(DIR *d);
	int (*clock_gettime)(clockid_t id, struct timespec *ts);
	int (*random)(void *buf, size_t n);	/* fills all of it or aborts the process */
};

/* The operating system itself. */
const struct io_ops *io_real(void);

/* The table in force; io_real() at start. */
extern const struct io_ops *io;

/**
 * io_use(ops):
 * Put ${ops} in force and return what was before.  Only while no other thread
 * of samara runs (tests, start of a program).
 */
const struct io_ops *io_use(const struct io_ops *ops);

/**
 * io_read_full(fd, buf, n, at):
 * Read ${n} bytes from offset ${at} (or from the current place if ${at} is
 * -1), going on after EINTR and short reads.  Return the bytes read, less
 * than ${n} only at the end of the file, or -1 with errno.
 */
ssize_t io_read_full(int fd, void *buf, size_t n, off_t at);

/**
 * io_write_full(fd, buf, n, at):
 * Write all ${n} bytes at offset ${at} (or at the current place if -1), going
 * on after EINTR and short writes.  Return 0, or -1 with errno; then any part
 * of the bytes may have been written.
 */
int io_write_full(int fd, const void *buf, size_t n, off_t at);

/* Wall time in nanoseconds since 1970; seconds; monotonic nanoseconds. */
int64_t io_now_ns(void);
int64_t io_now(void);
int64_t io_mono_ns(void);

/**
 * io_random(buf, n):
 * Fill ${buf} with ${n} bytes from the system's generator.  Never fails: the
 * process ends if the system has none.
 */
void io_random(void *buf, size_t n);

#endif
