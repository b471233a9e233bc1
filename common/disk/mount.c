#include <errno.h>
#include <libmount.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/text.h"
#include "common/disk/disk_device.h"
#include "common/disk/mount.h"
#include "common/disk/mount_private.h"
#include "common/disk/mount_probe.h"

#define GUARDS		"nodev,nosuid,noexec"
#define SAID_MAX	256	/* of a driver's own words */

extern char **environ;

/* File systems that a kernel may lack, and what then mounts them. */
static const struct driver {
	const char *type;	/* as libblkid says it */
	const char *kernel;	/* as the kernel says it */
	const char *program, *package;
} drivers[] = {
	{ "exfat", "exfat", "mount.exfat-fuse", "exfat-fuse" },
	{ "ntfs", "ntfs3", "ntfs-3g", "ntfs-3g" },
};

static const struct driver *
driver_of(const char *type)
{
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		if (strcmp(drivers[i].type, type) == 0)
			return &drivers[i];
	return NULL;
}

static bool
fd_read_only(int fd)
{
	struct statfs fs;

	return io->fstatfs(fd, &fs) == 0 && (fs.f_flags & ST_RDONLY) != 0;
}

/* Is ${fs} a mount of the device ${dev}? */
static bool
is_of_device(struct libmnt_fs *fs, dev_t dev)
{
	const char *source = mnt_fs_get_source(fs);
	struct stat st;

	if (mnt_fs_get_devno(fs) == dev)
		return true;
	/* btrfs has a number of its own. */
	return source != NULL && source[0] == '/' && io->fstatat(AT_FDCWD, source, &st, 0) == 0 && S_ISBLK(st.st_mode) &&
	    st.st_rdev == dev;
}

/*
 * Use the mount ${fs} if it is somebody else's, shows the whole file system and
 * suits.  1, or 0; ${locked} is set where only writing is missing.
 */
static int
mount_use(struct disk_mount *m, struct libmnt_fs *fs, bool write, bool *locked)
{
	const char *root = mnt_fs_get_root(fs), *target = mnt_fs_get_target(fs);
	int fd;

	if (root == NULL || strcmp(root, "/") != 0 || target == NULL || strlen(target) >= sizeof(m->path) ||
	    strncmp(target, MOUNT_PRIVATE "/", sizeof(MOUNT_PRIVATE)) == 0 || (fd = dir_open(AT_FDCWD, target, NULL)) == -1)
		return 0;
	if (disk_mount_id(fd) == mnt_fs_get_id(fs)) {	/* nothing else lies over it */
		(void)snprintf(m->path, sizeof(m->path), "%s", target);
		if (!write || !fd_read_only(fd)) {
			m->fd = fd;
			return 1;
		}
		*locked = true;
	}
	(void)io->close(fd);
	return 0;
}

static int
in_use(const char *device, struct err *e)
{
	(void)err_set(e, ERR_BUSY, "%s is in use: mounted by another job, or part of something else", device);
	return err_next(e, "wait until the other job ends, or unmount it");
}

/*
 * Where the device is mounted already: 1 used, 0 nowhere, -1 with ${e}.  The
 * kernel keeps two mounts of one file system apart; two FUSE drivers would
 * write over each other.
 */
static int
mounted_use(struct disk_mount *m, dev_t dev, bool write, struct err *e)
{
	struct libmnt_table *table = mnt_new_table_from_file("/proc/self/mountinfo");
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_BACKWARD);
	struct libmnt_fs *fs;
	bool locked = false, fuse = false;
	int used = 0;

	while (used == 0 && table != NULL && iter != NULL && mnt_table_next_fs(table, iter, &fs) == 0)
		if (is_of_device(fs, dev)) {
			used = mount_use(m, fs, write, &locked);
			fuse |= strncmp(mnt_fs_get_fstype(fs), "fuse", 4) == 0;
		}
	mnt_free_iter(iter);
	mnt_unref_table(table);
	if (!used && !locked && fuse)
		return in_use(m->device, e);
	if (used || !locked)
		return used;
	(void)err_set(e, ERR_PERMISSION, "%s is mounted read-only at %s", m->device, m->path);
	return err_next(e, "mount -o remount,rw %s; a disk that the system made read-only by itself is failing: use another",
	    m->path);
}

/* mount(2) by libmount, no helpers.  0, or the errno. */
static int
mount_kernel(const char *device, const char *type, const char *options, bool write, const char *dir)
{
	struct libmnt_context *c = mnt_new_context();
	int rc;

	if (c == NULL)
		return ENOMEM;
	(void)mnt_context_disable_helpers(c, 1);
	(void)mnt_context_disable_mtab(c, 1);
	(void)mnt_context_enable_rwonly_mount(c, write);	/* never read-only by itself */
	if (mnt_context_set_source(c, device) != 0 || mnt_context_set_target(c, dir) != 0 ||
	    mnt_context_set_fstype(c, type) != 0 || mnt_context_set_options(c, options) != 0) {
		mnt_free_context(c);
		return ENOMEM;
	}
	rc = mnt_context_mount(c);
	if (rc != 0)
		rc = mnt_context_syscall_called(c) && mnt_context_get_syscall_errno(c) != 0 ?
		    mnt_context_get_syscall_errno(c) : rc < 0 ? -rc : EINVAL;
	mnt_free_context(c);
	return rc;
}

/* The last line of what a driver said. */
static void
driver_said(int fd, char out[SAID_MAX])
{
	char text[1024];
	ssize_t len = io->pread(fd, text, sizeof(text) - 1, 0);
	char *line;

	out[0] = '\0';
	if (len <= 0)
		return;
	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == ' '))
		len--;
	text[len] = '\0';
	line = strrchr(text, '\n');
	line = line != NULL ? line + 1 : text;
	(void)text_safe(out, SAID_MAX, line, strlen(line));
}

/* Run a driver till it has mounted or failed; it goes on by itself then.  0 or the errno of not even starting it, -1 it failed. */
static int
driver_run(const struct driver *d, const char *options, const char *device, const char *dir, char said[SAID_MAX])
{
	char *const argv[] = { strdup(d->program), strdup("-o"), strdup(options), strdup(device), strdup(dir), NULL };
	int fd = memfd_create("driver", MFD_CLOEXEC), status = 0, rc = ENOMEM;
	posix_spawn_file_actions_t actions;
	pid_t pid;

	said[0] = '\0';
	if (fd == -1 || posix_spawn_file_actions_init(&actions) != 0)
		goto free_words;
	if (argv[0] == NULL || argv[1] == NULL || argv[2] == NULL || argv[3] == NULL || argv[4] == NULL ||
	    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0) != 0 ||
	    posix_spawn_file_actions_adddup2(&actions, fd, 1) != 0 || posix_spawn_file_actions_adddup2(&actions, fd, 2) != 0)
		goto free_actions;
	if ((rc = posix_spawnp(&pid, d->program, &actions, NULL, argv, environ)) != 0)
		goto free_actions;
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		driver_said(fd, said);
		rc = -1;
	}
free_actions:
	(void)posix_spawn_file_actions_destroy(&actions);
free_words:
	if (fd != -1)
		(void)io->close(fd);
	for (size_t i = 0; i < sizeof(argv) / sizeof(argv[0]); i++)
		free(argv[i]);
	return rc;
}

/* Mount by a FUSE driver.  0, or -1 with ${e}. */
static int
mount_driver(const struct driver *d, const struct disk_mount *m, bool write, struct err *e)
{
	/* exfat-fuse leaves noexec out; it can be set on the mount itself. */
	const unsigned long guards = MS_REMOUNT | MS_BIND | MS_NODEV | MS_NOSUID | MS_NOEXEC;
	char said[SAID_MAX];
	int rc = driver_run(d, write ? GUARDS : "ro," GUARDS, m->device, m->path, said);

	if (rc == ENOENT) {
		(void)err_set(e, ERR_TARGET, "mount %s: this system's kernel does not know %s, and there is no %s", m->device, d->type,
		    d->program);
		return err_next(e, "apt-get install %s", d->package);
	}
	if (rc != 0)
		return err_set(e, ERR_IO, "mount %s: %s%s%s", m->device, d->program, rc > 0 ? ": " : said[0] != '\0' ? " says: " : " failed",
		    rc > 0 ? strerror(rc) : said);
	if (mount(NULL, m->path, NULL, guards | (write ? 0 : MS_RDONLY), NULL) == 0)
		return 0;
	(void)err_errno(e, "mount %s", m->device);
	(void)umount2(m->path, UMOUNT_NOFOLLOW | MNT_DETACH);
	return -1;
}

/* Say why the kernel did not mount it.  Always -1. */
static int
mount_refused(const struct disk_mount *m, const struct mount_probe *p, bool write, int sys, struct err *e)
{
	errno = sys;
	(void)err_errno(e, "mount %s (%s)", m->device, p->type);
	if (sys == EPERM)
		return err_next(e, "only root may mount: run as root, or mount it and give the directory");
	if (sys == EBUSY)
		return in_use(m->device, e);
	if (sys == ENODEV) {
		(void)err_set(e, ERR_TARGET, "mount %s: this system's kernel does not know %s", m->device, p->type);
		return err_next(e, "plug it into a system that does");
	}
	if (!write && (sys == EUCLEAN || sys == EINVAL || sys == EIO))
		return err_next(e, "the file system may be damaged: check a copy of the disk, not the disk itself");
	return -1;
}

/* Mount the device on ${m->path}. */
static int
mount_do(const struct disk_mount *m, const struct mount_probe *p, bool write, struct err *e)
{
	const struct driver *d = driver_of(p->type);
	const char *type = d != NULL ? d->kernel : p->type;
	int sys = mount_kernel(m->device, type, write ? "rw," GUARDS : "ro," GUARDS, write, m->path);

	/* What was not unmounted wants its log replayed, which a write-protected device cannot have: as it stands then. */
	if (sys != 0 && !write && p->read_only && strncmp(type, "ext", 3) == 0)
		sys = mount_kernel(m->device, type, "ro,noload," GUARDS, false, m->path);
	else if (sys != 0 && !write && p->read_only && strcmp(type, "xfs") == 0)
		sys = mount_kernel(m->device, type, "ro,norecovery," GUARDS, false, m->path);
	if (sys == ENODEV && d != NULL)
		return mount_driver(d, m, write, e);
	return sys == 0 ? 0 : mount_refused(m, p, write, sys, e);
}

static int
write_protected(const char *device, struct err *e)
{
	(void)err_set(e, ERR_PERMISSION, "%s is write-protected", device);
	return err_next(e, "slide its switch, or use another disk");
}

/* In a directory of our own. */
static int
mount_ours(struct disk_mount *m, const struct mount_probe *p, bool write, struct err *e)
{
	if (write && p->read_only)
		return write_protected(m->device, e);
	if (geteuid() != 0) {
		(void)err_set(e, ERR_PERMISSION, "only root may mount %s", m->device);
		return err_next(e, "run as root, or mount it and give the directory");
	}
	if (mount_private_new(m->path, sizeof(m->path), &m->lock, e) != 0)
		return -1;
	if (mount_do(m, p, write, e) != 0) {
		mount_private_remove(m->path, m->lock);
		m->lock = -1;
		return -1;
	}
	m->ours = true;
	if ((m->fd = dir_open(AT_FDCWD, m->path, e)) != -1 && (!write || !fd_read_only(m->fd)))
		return 0;
	if (m->fd != -1)
		(void)write_protected(m->device, e);
	(void)disk_mount_close(m, NULL);
	return -1;
}

static int
device_mount(struct disk_mount *m, bool write, const char *label, struct err *e)
{
	struct mount_probe p;
	struct stat st;
	int rc;

	if (io->fstatat(AT_FDCWD, m->device, &st, 0) != 0)
		return err_errno(e, "look at %s", m->device);
	if ((rc = mounted_use(m, st.st_rdev, write, e)) != 0)
		return rc < 0 ? -1 : 0;
	if (mount_probe(m->device, write, label, &p, e) != 0)
		return -1;
	return mount_ours(m, &p, write, e);
}

int
disk_mount_open(const char *path, unsigned flags, const char *label, struct disk_mount *m, struct err *e)
{
	struct stat st;
	int rc;

	memset(m, 0, sizeof(*m));
	m->fd = m->lock = -1;
	if (strlen(path) >= sizeof(m->path))
		return err_set(e, ERR_TARGET, "%.64s…: the path is too long", path);
	disk_mount_sweep();
	if (io->fstatat(AT_FDCWD, path, &st, 0) != 0 || !S_ISBLK(st.st_mode)) {
		(void)snprintf(m->path, sizeof(m->path), "%s", path);
		return (m->fd = dir_open(AT_FDCWD, path, e)) != -1 ? 0 : -1;
	}
	(void)snprintf(m->device, sizeof(m->device), "%s", path);
	rc = device_mount(m, (flags & DISK_MOUNT_WRITE) != 0, label, e);
	if (rc != 0)
		m->fd = -1;
	return rc;
}

int
disk_mount_close(struct disk_mount *m, struct err *e)
{
	int rc = 0;

	if (m->fd != -1)
		(void)io->close(m->fd);
	m->fd = -1;
	if (!m->ours)
		return 0;
	m->ours = false;
	if (umount2(m->path, UMOUNT_NOFOLLOW) != 0) {
		rc = err_set(e, ERR_BUSY, "%s cannot be unmounted yet: %s", m->device, strerror(errno));
		(void)err_next(e, "do not remove it before it is no longer named in /proc/mounts");
		(void)umount2(m->path, UMOUNT_NOFOLLOW | MNT_DETACH);
	}
	mount_private_remove(m->path, m->lock);
	m->lock = -1;
	return rc;
}
