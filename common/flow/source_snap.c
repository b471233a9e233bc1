#include "common/flow/source_snap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "common/base/child.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/text.h"
#include "common/flow/source_note.h"

#define BTRFS_MAGIC	0x9123683eL
#define XFS_MAGIC	0x58465342L
#define SUBVOLUME_TOP	256		/* inode number of a subvolume's top directory */
#define MOUNTS_MAX	(16u << 20)
#define MOUNT_PLAIN	"ro,nodev,nosuid,noexec"
#define LVM_SHARE	"10%ORIGIN"	/* room for what changes meanwhile, where the volume is not thin */

/* ${dir}${between}${name}${end} into ${out} of PATH_MAX bytes. */
static int
path_join(char *out, const char *dir, const char *between, const char *name, const char *end, struct err *e)
{
	int len = snprintf(out, PATH_MAX, "%s%s%s%s", dir, between, name, end);

	return len >= 0 && len < PATH_MAX ? 0 : err_set(e, ERR_SOURCE, "%s: the name is too long for a snapshot", dir);
}

/* --- btrfs --- */

/* Go up from the PATH to the top of its subvolume. */
static int
btrfs_top(struct source_snap *s, struct err *e)
{
	struct statfs fs;
	struct stat st;
	char safe[1024], *slash;
	int fd;

	(void)text_safe(safe, sizeof(safe), s->path, strlen(s->path));
	if ((fd = dir_open(AT_FDCWD, s->path, e)) == -1)
		return -1;
	if (io->fstatfs(fd, &fs) != 0 || io->fstat(fd, &st) != 0) {
		(void)err_errno(e, "look at %s", safe);
		(void)io->close(fd);
		return -1;
	}
	(void)io->close(fd);
	if ((uint32_t)fs.f_type != (uint32_t)BTRFS_MAGIC)
		return err_set(e, ERR_SOURCE, "%s does not lie on btrfs", safe);
	(void)snprintf(s->top, sizeof(s->top), "%s", s->path);
	while (st.st_ino != SUBVOLUME_TOP && strcmp(s->top, "/") != 0) {
		slash = strrchr(s->top, '/');
		slash[slash == s->top ? 1 : 0] = '\0';
		if (io->fstatat(AT_FDCWD, s->top, &st, AT_SYMLINK_NOFOLLOW) != 0)
			return err_errno(e, "look at %s", s->top);
	}
	if (st.st_ino != SUBVOLUME_TOP)
		return err_set(e, ERR_SOURCE, "the subvolume of %s cannot be found", safe);
	return path_join(s->real, strcmp(s->top, "/") == 0 ? "" : s->top, "/.samara-", s->name, "", e);
}

static int
btrfs_take(const struct source_snap *s, struct err *e)
{
	struct btrfs_ioctl_vol_args_v2 args;
	int fd = dir_open(AT_FDCWD, s->top, e), rc;

	if (fd == -1)
		return -1;
	memset(&args, 0, sizeof(args));
	args.fd = fd;
	args.flags = BTRFS_SUBVOL_RDONLY;
	(void)snprintf(args.name, sizeof(args.name), ".samara-%s", s->name);
	if ((rc = ioctl(fd, BTRFS_IOC_SNAP_CREATE_V2, &args)) != 0)
		(void)err_errno(e, "take a snapshot of the subvolume %s", s->top);
	(void)io->close(fd);
	return rc;
}

static int
btrfs_remove(const struct source_snap *s, struct err *e)
{
	struct btrfs_ioctl_vol_args args;
	struct stat st;
	int fd, rc = 0;

	if (io->fstatat(AT_FDCWD, s->real, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : err_errno(e, "look for the snapshot %s", s->real);
	if ((fd = dir_open(AT_FDCWD, s->top, e)) == -1)
		return -1;
	memset(&args, 0, sizeof(args));
	(void)snprintf(args.name, sizeof(args.name), ".samara-%s", s->name);
	if (ioctl(fd, BTRFS_IOC_SNAP_DESTROY, &args) != 0 && errno != ENOENT)
		rc = err_errno(e, "remove the snapshot %s", s->real);
	(void)io->close(fd);
	return rc;
}

/* --- lvm --- */

static bool
is_within(const char *path, const char *top)
{
	size_t n = strcmp(top, "/") == 0 ? 0 : strlen(top);

	return strncmp(path, top, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* The mount that a PATH lies in: the deepest, of those the last. */
static int
mount_of(struct source_snap *s, struct err *e)
{
	uint8_t *bytes;
	size_t len;
	char *line, *next, *device, *where, *save;

	if (file_read(AT_FDCWD, "/proc/self/mounts", MOUNTS_MAX, &bytes, &len, e) != 0)
		return -1;
	s->top[0] = s->device[0] = '\0';
	for (line = (char *)bytes; line != NULL && *line != '\0'; line = next) {
		if ((next = strchr(line, '\n')) != NULL)
			*next++ = '\0';
		if ((device = strtok_r(line, " ", &save)) == NULL || (where = strtok_r(NULL, " ", &save)) == NULL)
			continue;
		mount_unescape(where);
		mount_unescape(device);
		if (is_within(s->path, where) && strlen(where) >= strlen(s->top)) {
			(void)snprintf(s->top, sizeof(s->top), "%s", where);
			(void)snprintf(s->device, sizeof(s->device), "%s", device);
		}
	}
	free(bytes);
	return s->device[0] == '/' ? 0 : err_set(e, ERR_SOURCE, "%s does not lie on a volume", s->path);
}

static int
lvm_plan(struct source_snap *s, const char *mountdir, struct err *e)
{
	const char *const argv[] = { "lvs", "--noheadings", "--options", "vg_name,lv_name", s->device, NULL };
	char said[1024], group[256], volume[256];

	if (mount_of(s, e) != 0)
		return -1;
	if (child_must(argv, s->env, said, sizeof(said), e) != 0)
		return err_during(e, "ask about the volume of %s", s->path);
	if (sscanf(said, " %255s %255s", group, volume) != 2)
		return err_set(e, ERR_SOURCE, "%s does not lie on a logical volume", s->path);
	if (path_join(s->device, group, "/", volume, "", e) != 0)
		return -1;
	return path_join(s->real, mountdir, "/", s->name, ".mnt", e);
}

/* "VG/samara-NAME" */
static int
lvm_name(const struct source_snap *s, char out[PATH_MAX])
{
	size_t n = strcspn(s->device, "/");

	return snprintf(out, PATH_MAX, "%.*s/samara-%s", (int)n, s->device, s->name) < PATH_MAX ? 0 : -1;
}

/* A snapshot of xfs has the name of what is mounted already, and a log that cannot be written to. */
static const char *
lvm_mount_options(const struct source_snap *s)
{
	struct statfs fs;
	int fd = dir_open(AT_FDCWD, s->top, NULL), xfs;

	if (fd == -1)
		return MOUNT_PLAIN;
	xfs = io->fstatfs(fd, &fs) == 0 && (uint32_t)fs.f_type == (uint32_t)XFS_MAGIC;
	(void)io->close(fd);
	return xfs ? MOUNT_PLAIN ",nouuid,norecovery" : MOUNT_PLAIN;
}

static int
lvm_take(const struct source_snap *s, struct err *e)
{
	char volume[PATH_MAX], device[PATH_MAX + 8], name[SNAP_NAME_MAX + 8];
	const char *const argv[] = { "lvcreate", "--snapshot", "--extents", LVM_SHARE, "--permission", "r", "--name", name,
	    s->device, NULL };
	const char *const mount[] = { "mount", "-o", lvm_mount_options(s), device, s->real, NULL };

	(void)lvm_name(s, volume);
	(void)snprintf(name, sizeof(name), "samara-%s", s->name);
	(void)snprintf(device, sizeof(device), "/dev/%s", volume);
	if (child_must(argv, s->env, NULL, 0, e) != 0)
		return err_during(e, "take a snapshot of the volume %s", s->device);
	if (dir_make(AT_FDCWD, s->real, 0700, e) != 0)
		return -1;
	return child_must(mount, s->env, NULL, 0, e) == 0 ? 0 : err_during(e, "mount the snapshot of %s", s->device);
}

static int
lvm_remove(const struct source_snap *s, struct err *e)
{
	char volume[PATH_MAX];
	const char *const unmount[] = { "umount", s->real, NULL };
	const char *const there[] = { "lvs", "--noheadings", "--options", "lv_name", volume, NULL };
	const char *const argv[] = { "lvremove", "--yes", volume, NULL };
	struct err mounted;
	struct stat st, up;
	char said[1024], above[PATH_MAX];
	int rc;

	(void)lvm_name(s, volume);
	(void)snprintf(above, sizeof(above), "%s", s->real);
	*strrchr(above, '/') = '\0';
	err_clear(&mounted);
	if (io->fstatat(AT_FDCWD, s->real, &st, AT_SYMLINK_NOFOLLOW) == 0 && io->fstatat(AT_FDCWD, above, &up, 0) == 0) {
		if (st.st_dev != up.st_dev && child_must(unmount, s->env, NULL, 0, e) != 0)
			return err_during(e, "unmount the snapshot of %s", s->device);
		(void)io->unlinkat(AT_FDCWD, s->real, AT_REMOVEDIR);
	}
	if ((rc = child_run(there, s->env, said, sizeof(said), e)) == -1)
		return -1;
	if (rc != 0)
		return 0;	/* it never was */
	return child_must(argv, s->env, NULL, 0, e) == 0 ? 0 : err_during(e, "remove the snapshot of %s", s->device);
}

/* --- hook --- */

static int
hook_take(struct source_snap *s, struct err *e)
{
	const char *const argv[] = { s->hook, "take", s->path, NULL };
	struct stat st;

	if (child_must(argv, s->env, s->real, sizeof(s->real), e) != 0)
		return err_during(e, "take a snapshot of %s", s->path);
	s->real[strcspn(s->real, "\n")] = '\0';
	if (s->real[0] != '/' || io->fstatat(AT_FDCWD, s->real, &st, 0) != 0 || !S_ISDIR(st.st_mode))
		return err_set(e, ERR_PROGRAM, "%s take %s does not print the absolute name of a directory", s->hook, s->path);
	return 0;
}

static int
hook_remove(const struct source_snap *s, struct err *e)
{
	const char *const argv[] = { s->hook, "remove", s->path, s->real, NULL };

	return child_must(argv, s->env, NULL, 0, e) == 0 ? 0 : err_during(e, "remove the snapshot of %s", s->path);
}

int
snap_plan(struct source_snap *s, const char *mountdir, struct err *e)
{
	if (strcmp(s->kind, "btrfs") == 0)
		return btrfs_top(s, e);
	if (strcmp(s->kind, "lvm") == 0)
		return lvm_plan(s, mountdir, e);
	(void)snprintf(s->top, sizeof(s->top), "%s", s->path);
	return 0;
}

int
snap_take(struct source_snap *s, struct err *e)
{
	if (strcmp(s->kind, "btrfs") == 0)
		return btrfs_take(s, e);
	if (strcmp(s->kind, "lvm") == 0)
		return lvm_take(s, e);
	return hook_take(s, e);
}

int
snap_remove(const struct source_snap *s, struct err *e)
{
	if (strcmp(s->kind, "btrfs") == 0)
		return btrfs_remove(s, e);
	if (strcmp(s->kind, "lvm") == 0)
		return lvm_remove(s, e);
	return hook_remove(s, e);
}
