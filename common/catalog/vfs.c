#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/io.h"
#include "common/catalog/vfs.h"
#include "common/catalog/vfs_lock.h"

#define PATH_LEN	4096
#define SECTOR		4096

struct file {
	sqlite3_file base;		/* first: SQLite knows only this */
	int fd;
	int fresh;			/* made by this open: its name is not durable yet */
	int own_directory;		/* its name matters after a power cut */
	struct vfs_lock *lock;		/* of a main database, else NULL */
	char *path;
};

/* fsync the directory that ${path} lies in. */
static int
sync_directory(const char *path)
{
	char dir[PATH_LEN];
	const char *slash = strrchr(path, '/');
	int fd, rc;

	if (slash == NULL || (size_t)(slash - path) >= sizeof(dir))
		(void)snprintf(dir, sizeof(dir), ".");
	else
		(void)snprintf(dir, sizeof(dir), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	if ((fd = io->open(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)) == -1)
		return SQLITE_CANTOPEN;
	rc = io->fsync(fd) == 0 ? SQLITE_OK : SQLITE_IOERR_DIR_FSYNC;
	(void)io->close(fd);
	return rc;
}

static int
f_close(sqlite3_file *base)
{
	struct file *f = (struct file *)base;

	vfs_lock_free(f->lock);
	f->lock = NULL;
	if (f->fd != -1)
		(void)io->close(f->fd);
	f->fd = -1;
	free(f->path);
	f->path = NULL;
	return SQLITE_OK;
}

static int
f_read(sqlite3_file *base, void *out, int n, sqlite3_int64 at)
{
	struct file *f = (struct file *)base;
	ssize_t got = io_read_full(f->fd, out, (size_t)n, (off_t)at);

	if (got == n)
		return SQLITE_OK;
	if (got < 0)
		return SQLITE_IOERR_READ;
	memset((char *)out + got, 0, (size_t)(n - got));
	return SQLITE_IOERR_SHORT_READ;
}

static int
f_write(sqlite3_file *base, const void *in, int n, sqlite3_int64 at)
{
	struct file *f = (struct file *)base;

	if (io_write_full(f->fd, in, (size_t)n, (off_t)at) == 0)
		return SQLITE_OK;
	return errno == ENOSPC || errno == EDQUOT ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

static int
f_truncate(sqlite3_file *base, sqlite3_int64 len)
{
	struct file *f = (struct file *)base;

	return io->ftruncate(f->fd, (off_t)len) == 0 ? SQLITE_OK : SQLITE_IOERR_TRUNCATE;
}

static int
f_sync(sqlite3_file *base, int flags)
{
	struct file *f = (struct file *)base;

	(void)flags;
	if (io->fsync(f->fd) != 0)
		return SQLITE_IOERR_FSYNC;
	if (f->fresh && f->own_directory) {
		int rc = sync_directory(f->path);

		if (rc != SQLITE_OK)
			return rc;
		f->fresh = 0;
	}
	return SQLITE_OK;
}

static int
f_size(sqlite3_file *base, sqlite3_int64 *len)
{
	struct file *f = (struct file *)base;
	struct stat st;

	if (io->fstat(f->fd, &st) != 0)
		return SQLITE_IOERR_FSTAT;
	*len = (sqlite3_int64)st.st_size;
	return SQLITE_OK;
}

static int
f_lock(sqlite3_file *base, int level)
{
	struct file *f = (struct file *)base;

	if (f->lock == NULL)
		return SQLITE_OK;
	switch (vfs_lock_raise(f->lock, (enum vfs_level)level)) {
	case 0:
		return SQLITE_OK;
	case 1:
		return SQLITE_BUSY;
	default:
		return SQLITE_IOERR_LOCK;
	}
}

static int
f_unlock(sqlite3_file *base, int level)
{
	struct file *f = (struct file *)base;

	if (f->lock == NULL || vfs_lock_lower(f->lock, (enum vfs_level)level) == 0)
		return SQLITE_OK;
	return SQLITE_IOERR_UNLOCK;
}

static int
f_check_reserved(sqlite3_file *base, int *out)
{
	struct file *f = (struct file *)base;

	*out = f->lock != NULL && vfs_lock_is_reserved(f->lock);
	return SQLITE_OK;
}

static int
f_control(sqlite3_file *base, int op, void *arg)
{
	(void)base;
	(void)op;
	(void)arg;
	return SQLITE_NOTFOUND;
}

static int
f_sector(sqlite3_file *base)
{
	(void)base;
	return SECTOR;
}

/* Nothing is promised: no atomic writes, no ordering, neighbours of a torn write may suffer. */
static int
f_characteristics(sqlite3_file *base)
{
	(void)base;
	return 0;
}

static const sqlite3_io_methods methods = {
	.iVersion = 1,
	.xClose = f_close,
	.xRead = f_read,
	.xWrite = f_write,
	.xTruncate = f_truncate,
	.xSync = f_sync,
	.xFileSize = f_size,
	.xLock = f_lock,
	.xUnlock = f_unlock,
	.xCheckReservedLock = f_check_reserved,
	.xFileControl = f_control,
	.xSectorSize = f_sector,
	.xDeviceCharacteristics = f_characteristics,
};

/* Open ${path}, noticing whether it had to be made. */
static int
file_open(struct file *f, const char *path, int flags)
{
	const int common = O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
	const int access = (flags & SQLITE_OPEN_READWRITE) != 0 ? O_RDWR : O_RDONLY;

	f->fd = io->open(AT_FDCWD, path, access | common, 0);
	if (f->fd == -1 && errno == ENOENT && (flags & SQLITE_OPEN_CREATE) != 0) {
		f->fd = io->open(AT_FDCWD, path, access | common | O_CREAT | O_EXCL, 0600);
		f->fresh = f->fd != -1;
		if (f->fd == -1 && errno == EEXIST)
			f->fd = io->open(AT_FDCWD, path, access | common, 0);
	}
	return f->fd != -1 ? 0 : -1;
}

static int
v_open(sqlite3_vfs *v, const char *path, sqlite3_file *base, int flags, int *out)
{
	struct file *f = (struct file *)base;

	(void)v;
	memset(f, 0, sizeof(*f));
	f->fd = -1;
	/* Temporary tables and sorts stay in memory (temp_store): a file without a name is not asked for. */
	if (path == NULL)
		return SQLITE_CANTOPEN;
	if (file_open(f, path, flags) != 0) {
		if ((flags & SQLITE_OPEN_MAIN_DB) == 0 || (errno != EROFS && errno != EACCES && errno != EPERM))
			return SQLITE_CANTOPEN;
		flags = (flags & ~(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)) | SQLITE_OPEN_READONLY;
		if (file_open(f, path, flags) != 0)
			return SQLITE_CANTOPEN;
	}
	f->own_directory = (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_MAIN_JOURNAL)) != 0;
	if ((f->path = strdup(path)) == NULL)
		goto fail;
	if ((flags & SQLITE_OPEN_MAIN_DB) != 0 && (f->lock = vfs_lock_new(path)) == NULL)
		goto fail;
	f->base.pMethods = &methods;
	if (out != NULL)
		*out = flags;
	return SQLITE_OK;
fail:
	(void)f_close(base);
	return SQLITE_CANTOPEN;
}

static int
v_delete(sqlite3_vfs *v, const char *path, int sync)
{
	(void)v;
	if (io->unlinkat(AT_FDCWD, path, 0) != 0)
		return errno == ENOENT ? SQLITE_IOERR_DELETE_NOENT : SQLITE_IOERR_DELETE;
	return sync ? sync_directory(path) : SQLITE_OK;
}

static int
v_access(sqlite3_vfs *v, const char *path, int how, int *out)
{
	struct stat st;

	(void)v;
	(void)how;
	/* As unix does for a hot journal: one without content does not count. */
	*out = io->fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && (!S_ISREG(st.st_mode) || st.st_size > 0);
	return SQLITE_OK;
}

static int
v_full_path(sqlite3_vfs *v, const char *path, int n, char *out)
{
	char cwd[PATH_LEN] = "";
	int len;

	(void)v;
	if (path[0] != '/' && getcwd(cwd, sizeof(cwd)) == NULL)
		return SQLITE_CANTOPEN;
	len = snprintf(out, (size_t)n, "%s%s%s", cwd, cwd[0] != '\0' ? "/" : "", path);
	return len < 0 || len >= n ? SQLITE_CANTOPEN : SQLITE_OK;
}

static int
v_random(sqlite3_vfs *v, int n, char *out)
{
	(void)v;
	io_random(out, (size_t)n);
	return n;
}

static int
v_sleep(sqlite3_vfs *v, int us)
{
	struct timespec t = { us / 1000000, (long)(us % 1000000) * 1000 };

	(void)v;
	(void)nanosleep(&t, NULL);
	return us;
}

/* Milliseconds of the Julian day, as SQLite counts. */
static int
v_now64(sqlite3_vfs *v, sqlite3_int64 *out)
{
	(void)v;
	*out = 24405875LL * 8640000LL + io_now_ns() / 1000000;
	return SQLITE_OK;
}

static int
v_now(sqlite3_vfs *v, double *out)
{
	sqlite3_int64 ms;

	(void)v_now64(v, &ms);
	*out = (double)ms / 86400000.0;
	return SQLITE_OK;
}

static int
v_last_error(sqlite3_vfs *v, int n, char *out)
{
	(void)v;
	(void)n;
	(void)out;
	return errno;
}

static sqlite3_vfs vfs = {
	.iVersion = 2,
	.szOsFile = (int)sizeof(struct file),
	.mxPathname = PATH_LEN,
	.zName = VFS_NAME,
	.xOpen = v_open,
	.xDelete = v_delete,
	.xAccess = v_access,
	.xFullPathname = v_full_path,
	.xRandomness = v_random,
	.xSleep = v_sleep,
	.xCurrentTime = v_now,
	.xGetLastError = v_last_error,
	.xCurrentTimeInt64 = v_now64,
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int registered = -1;

static void
register_once(void)
{
	registered = sqlite3_initialize() == SQLITE_OK && sqlite3_vfs_register(&vfs, 0) == SQLITE_OK ? 0 : -1;
}

int
vfs_register(void)
{
	(void)pthread_once(&once, register_once);
	return registered;
}
