#include <errno.h>
#include <stdatomic.h>

#include "common/base/io.h"
#include "common/base/io_fault.h"

static struct fault_plan plan;
static atomic_uint_fast64_t count, hits;
static const struct io_ops *below;
static struct io_ops ops;

/* Count one call; 1 if it is to fail. */
static int
hit(enum fault_kind kind)
{
	uint64_t n;

	if (kind != plan.kind && plan.kind != FAULT_ANY)
		return 0;
	n = atomic_fetch_add(&count, 1) + 1;
	if (plan.nth == 0 || n < plan.nth || (n > plan.nth && !plan.every))
		return 0;
	(void)atomic_fetch_add(&hits, 1);
	return 1;
}

/* 1 if the call is to fail, with errno set. */
static int
fails(enum fault_kind kind)
{
	if (!hit(kind))
		return 0;
	errno = plan.sys != 0 ? plan.sys : EIO;
	return 1;
}

/*
 * For reads and writes: 0 go on, 1 fail with errno; a plan without errno cuts
 * ${n} to half and goes on.
 */
static int
fails_or_short(enum fault_kind kind, size_t *n)
{
	if (!hit(kind))
		return 0;
	if (plan.sys == 0) {
		*n = *n > 1 ? *n / 2 : *n;
		return 0;
	}
	errno = plan.sys;
	return 1;
}

static int
fault_open(int dirfd, const char *path, int flags, mode_t mode)
{
	return fails(FAULT_OPEN) ? -1 : below->open(dirfd, path, flags, mode);
}

static int
fault_openat2(int dirfd, const char *path, const struct open_how *how)
{
	return fails(FAULT_OPEN) ? -1 : below->openat2(dirfd, path, how);
}

static int
fault_close(int fd)
{
	int rc = below->close(fd);

	return fails(FAULT_CLOSE) ? -1 : rc;
}

static ssize_t
fault_read(int fd, void *buf, size_t n)
{
	return fails_or_short(FAULT_READ, &n) ? -1 : below->read(fd, buf, n);
}

static ssize_t
fault_pread(int fd, void *buf, size_t n, off_t at)
{
	return fails_or_short(FAULT_READ, &n) ? -1 : below->pread(fd, buf, n, at);
}

static ssize_t
fault_write(int fd, const void *buf, size_t n)
{
	return fails_or_short(FAULT_WRITE, &n) ? -1 : below->write(fd, buf, n);
}

static ssize_t
fault_pwrite(int fd, const void *buf, size_t n, off_t at)
{
	return fails_or_short(FAULT_WRITE, &n) ? -1 : below->pwrite(fd, buf, n, at);
}

static int
fault_fsync(int fd)
{
	return fails(FAULT_FSYNC) ? -1 : below->fsync(fd);
}

static int
fault_ftruncate(int fd, off_t len)
{
	return fails(FAULT_TRUNCATE) ? -1 : below->ftruncate(fd, len);
}

static int
fault_fallocate(int fd, int mode, off_t at, off_t len)
{
	return fails(FAULT_FALLOCATE) ? -1 : below->fallocate(fd, mode, at, len);
}

static int
fault_fstat(int fd, struct stat *st)
{
	return fails(FAULT_STAT) ? -1 : below->fstat(fd, st);
}

static int
fault_fstatat(int dirfd, const char *path, struct stat *st, int flags)
{
	return fails(FAULT_STAT) ? -1 : below->fstatat(dirfd, path, st, flags);
}

static int
fault_fstatfs(int fd, struct statfs *fs)
{
	return fails(FAULT_STAT) ? -1 : below->fstatfs(fd, fs);
}

static int
fault_flock(int fd, int op)
{
	return fails(FAULT_LOCK) ? -1 : below->flock(fd, op);
}

static int
fault_unlinkat(int dirfd, const char *path, int flags)
{
	return fails(FAULT_UNLINK) ? -1 : below->unlinkat(dirfd, path, flags);
}

static int
fault_mkdirat(int dirfd, const char *path, mode_t mode)
{
	return fails(FAULT_MKDIR) ? -1 : below->mkdirat(dirfd, path, mode);
}

static int
fault_renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
	return fails(FAULT_RENAME) ? -1 : below->renameat2(from, old, to, new, flags);
}

static int
fault_linkat(int from, const char *old, int to, const char *new, int flags)
{
	return fails(FAULT_LINK) ? -1 : below->linkat(from, old, to, new, flags);
}

static int
fault_symlinkat(const char *target, int dirfd, const char *path)
{
	return fails(FAULT_META) ? -1 : below->symlinkat(target, dirfd, path);
}

static int
fault_mknodat(int dirfd, const char *path, mode_t mode, dev_t dev)
{
	return fails(FAULT_META) ? -1 : below->mknodat(dirfd, path, mode, dev);
}

static int
fault_fchownat(int dirfd, const char *path, uid_t u, gid_t g, int flags)
{
	return fails(FAULT_META) ? -1 : below->fchownat(dirfd, path, u, g, flags);
}

static int
fault_fchmod(int fd, mode_t mode)
{
	return fails(FAULT_META) ? -1 : below->fchmod(fd, mode);
}

static int
fault_utimensat(int dirfd, const char *path, const struct timespec t[2], int flags)
{
	return fails(FAULT_META) ? -1 : below->utimensat(dirfd, path, t, flags);
}

static int
fault_setxattr(const char *path, const char *name, const void *v, size_t n, int nofollow)
{
	return fails(FAULT_META) ? -1 : below->setxattr(path, name, v, n, nofollow);
}

static int
fault_fsetxattr(int fd, const char *name, const void *v, size_t n)
{
	return fails(FAULT_META) ? -1 : below->fsetxattr(fd, name, v, n);
}

static DIR *
fault_fdopendir(int fd)
{
	return fails(FAULT_LIST) ? NULL : below->fdopendir(fd);
}

static struct dirent *
fault_readdir(DIR *d)
{
	return fails(FAULT_LIST) ? NULL : below->readdir(d);
}

void
fault_start(const struct fault_plan *p)
{
	plan = *p;
	atomic_store(&count, 0);
	atomic_store(&hits, 0);
	ops = *io;
	ops.open = fault_open;
	ops.openat2 = fault_openat2;
	ops.close = fault_close;
	ops.read = fault_read;
	ops.pread = fault_pread;
	ops.write = fault_write;
	ops.pwrite = fault_pwrite;
	ops.fsync = fault_fsync;
	ops.ftruncate = fault_ftruncate;
	ops.fallocate = fault_fallocate;
	ops.fstat = fault_fstat;
	ops.fstatat = fault_fstatat;
	ops.fstatfs = fault_fstatfs;
	ops.flock = fault_flock;
	ops.unlinkat = fault_unlinkat;
	ops.mkdirat = fault_mkdirat;
	ops.renameat2 = fault_renameat2;
	ops.linkat = fault_linkat;
	ops.symlinkat = fault_symlinkat;
	ops.mknodat = fault_mknodat;
	ops.fchownat = fault_fchownat;
	ops.fchmod = fault_fchmod;
	ops.utimensat = fault_utimensat;
	ops.setxattr = fault_setxattr;
	ops.fsetxattr = fault_fsetxattr;
	ops.fdopendir = fault_fdopendir;
	ops.readdir = fault_readdir;
	below = io_use(&ops);
}

uint64_t
fault_count(void)
{
	return atomic_load(&count);
}

uint64_t
fault_hits(void)
{
	return atomic_load(&hits);
}

void
fault_stop(void)
{
	(void)io_use(below);
}
