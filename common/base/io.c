#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/base/io.h"

static int
real_open(int dirfd, const char *path, int flags, mode_t mode)
{
	return openat(dirfd, path, flags, mode);
}

static int
real_openat2(int dirfd, const char *path, const struct open_how *how)
{
	return (int)syscall(SYS_openat2, dirfd, path, how, sizeof(*how));
}

static int
real_fadvise(int fd, off_t at, off_t len, int advice)
{
	int rc = posix_fadvise(fd, at, len, advice);

	if (rc == 0)
		return 0;
	errno = rc;
	return -1;
}

static int
real_fcntl_int(int fd, int cmd, int arg)
{
	return fcntl(fd, cmd, arg);
}

static int
real_renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
	return renameat2(from, old, to, new, flags);
}

static ssize_t
real_listxattr(const char *path, char *list, size_t n, int nofollow)
{
	return nofollow ? llistxattr(path, list, n) : listxattr(path, list, n);
}

static ssize_t
real_getxattr(const char *path, const char *name, void *v, size_t n, int nofollow)
{
	return nofollow ? lgetxattr(path, name, v, n) : getxattr(path, name, v, n);
}

static int
real_setxattr(const char *path, const char *name, const void *v, size_t n, int nofollow)
{
	return nofollow ? lsetxattr(path, name, v, n, 0) : setxattr(path, name, v, n, 0);
}

static int
real_fsetxattr(int fd, const char *name, const void *v, size_t n)
{
	return fsetxattr(fd, name, v, n, 0);
}

static int
real_random(void *buf, size_t n)
{
	uint8_t *p = buf;

	while (n > 0) {
		ssize_t got = getrandom(p, n, 0);

		if (got == -1 && errno == EINTR)
			continue;
		if (got <= 0) {
			(void)fputs("samara: the system gives no random numbers\n", stderr);
			abort();
		}
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

static int
real_flush_device(int fd)
{
	return ioctl(fd, BLKFLSBUF, 0);
}

static int
real_subvolume(int fd, uint64_t *id)
{
	struct btrfs_ioctl_ino_lookup_args a = { .treeid = 0, .objectid = BTRFS_FIRST_FREE_OBJECTID };

	if (ioctl(fd, BTRFS_IOC_INO_LOOKUP, &a) != 0)
		return -1;
	*id = a.treeid;
	return 0;
}

static const struct io_ops real = {
	.open = real_open,
	.openat2 = real_openat2,
	.close = close,
	.read = read,
	.pread = pread,
	.write = write,
	.pwrite = pwrite,
	.lseek = lseek,
	.fsync = fsync,
	.subvolume = real_subvolume,
	.flush_device = real_flush_device,
	.ftruncate = ftruncate,
	.fallocate = fallocate,
	.fstat = fstat,
	.fstatat = fstatat,
	.fstatfs = fstatfs,
	.flock = flock,
	.fadvise = real_fadvise,
	.fcntl_int = real_fcntl_int,
	.unlinkat = unlinkat,
	.mkdirat = mkdirat,
	.renameat2 = real_renameat2,
	.linkat = linkat,
	.symlinkat = symlinkat,
	.readlinkat = readlinkat,
	.mknodat = mknodat,
	.fchownat = fchownat,
	.fchmod = fchmod,
	.fchmodat = fchmodat,
	.utimensat = utimensat,
	.listxattr = real_listxattr,
	.getxattr = real_getxattr,
	.setxattr = real_setxattr,
	.flistxattr = flistxattr,
	.fgetxattr = fgetxattr,
	.fsetxattr = real_fsetxattr,
	.fremovexattr = fremovexattr,
	.fdopendir = fdopendir,
	.readdir = readdir,
	.closedir = closedir,
	.clock_gettime = clock_gettime,
	.random = real_random,
};

const struct io_ops *io = &real;

const struct io_ops *
io_real(void)
{
	return &real;
}

const struct io_ops *
io_use(const struct io_ops *ops)
{
	const struct io_ops *before = io;

	io = ops;
	return before;
}

ssize_t
io_read_full(int fd, void *buf, size_t n, off_t at)
{
	uint8_t *p = buf;
	size_t done = 0;

	while (done < n) {
		ssize_t got = at == -1 ? io->read(fd, p + done, n - done) :
		    io->pread(fd, p + done, n - done, at + (off_t)done);

		if (got == -1 && errno == EINTR)
			continue;
		if (got == -1)
			return -1;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

int
io_write_full(int fd, const void *buf, size_t n, off_t at)
{
	const uint8_t *p = buf;
	size_t done = 0;

	while (done < n) {
		ssize_t put = at == -1 ? io->write(fd, p + done, n - done) :
		    io->pwrite(fd, p + done, n - done, at + (off_t)done);

		if (put == -1 && errno == EINTR)
			continue;
		if (put == -1)
			return -1;
		if (put == 0) {		/* neither progress nor reason: do not spin */
			errno = EIO;
			return -1;
		}
		done += (size_t)put;
	}
	return 0;
}

static int64_t
clock_ns(clockid_t id)
{
	struct timespec ts;

	if (io->clock_gettime(id, &ts) != 0)
		abort();		/* both clocks always exist on Linux */
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t
io_now_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

int64_t
io_now(void)
{
	int64_t ns = io_now_ns();

	return ns / 1000000000 - (ns % 1000000000 < 0);	/* down, also before 1970 */
}

int64_t
io_mono_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

void
io_random(void *buf, size_t n)
{
	if (io->random(buf, n) != 0)
		abort();
}
