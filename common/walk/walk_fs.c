#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/walk/walk_fs.h"
#include "formats/limits.h"

#define MOUNTS_MAX	(16u << 20)

struct fs_table {
	struct fs_row *row;
	size_t n, cap;
	size_t last;		/* the row found last: nearly always the next one too */
	char *mounts;		/* /proc/self/mountinfo, or NULL */
};

/* Numbers from statfs(2) and the kernel's linux/magic.h. */
static const struct magic {
	uint32_t magic;
	const char *type;
} magics[] = {
	{ 0xef53, "ext4" }, { 0x58465342, "xfs" }, { 0x9123683e, "btrfs" }, { 0x01021994, "tmpfs" },
	{ 0x858458f6, "ramfs" }, { 0x794c7630, "overlay" }, { 0x9fa0, "proc" }, { 0x62656572, "sysfs" },
	{ 0x1cd1, "devpts" }, { 0x27e0eb, "cgroup" }, { 0x63677270, "cgroup2" }, { 0x73636673, "securityfs" },
	{ 0x64626720, "debugfs" }, { 0x74726163, "tracefs" }, { 0x6165676c, "pstore" }, { 0xcafe4a11, "bpf" },
	{ 0x62656570, "configfs" }, { 0x65735543, "fusectl" }, { 0x19800202, "mqueue" }, { 0x958458f6, "hugetlbfs" },
	{ 0x0187, "autofs" }, { 0x42494e4d, "binfmt_misc" }, { 0xde5e81e4, "efivarfs" }, { 0x67596969, "rpc_pipefs" },
	{ 0x6e736673, "nsfs" }, { 0x534f434b, "sockfs" }, { 0x50495045, "pipefs" }, { 0xf97cff8c, "selinuxfs" },
	{ 0x43415d53, "smackfs" }, { 0x7655821, "resctrl" }, { 0xabba1974, "xenfs" }, { 0x6c6f6f70, "binder" },
	{ 0x6969, "nfs" }, { 0xff534d42, "cifs" }, { 0xfe534d42, "smb2" }, { 0x517b, "smbfs" },
	{ 0x01021997, "9p" }, { 0x00c36400, "ceph" }, { 0x5346414f, "afs" }, { 0x6b414653, "afs" },
	{ 0x73757245, "coda" }, { 0x564c, "ncpfs" }, { 0x0bd00bd0, "lustre" }, { 0x20030528, "orangefs" },
	{ 0x65735546, "fuse" }, { 0x4d44, "vfat" }, { 0x2011bab0, "exfat" }, { 0x7366746e, "ntfs3" },
	{ 0x5346544e, "ntfs" }, { 0x9660, "iso9660" }, { 0x15013346, "udf" }, { 0x73717368, "squashfs" },
	{ 0xf2f52010, "f2fs" }, { 0x2fc12fc1, "zfs" }, { 0xca451a4e, "bcachefs" }, { 0x3153464a, "jfs" },
	{ 0x52654973, "reiserfs" }, { 0x482b, "hfsplus" }, { 0xe0f5e1e2, "erofs" }, { 0x01161970, "gfs2" },
	{ 0x7461636f, "ocfs2" },
};

static const char *const pseudo_types[] = {
	"proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "securityfs", "debugfs", "tracefs", "pstore",
	"bpf", "configfs", "fusectl", "mqueue", "hugetlbfs", "autofs", "binfmt_misc", "efivarfs", "rpc_pipefs",
	"nfsd", "nsfs", "sockfs", "pipefs", "selinuxfs", "smackfs", "resctrl", "xenfs", "binder", "functionfs",
	"fuse.lxcfs", "fuse.gvfsd-fuse", "fuse.portal", NULL
};
static const char *const network_types[] = {
	"nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "9p", "ceph", "fuse.ceph", "afs", "coda", "ncpfs", "lustre",
	"orangefs", "beegfs", "davfs", "fuse.davfs2", "fuse.sshfs", "fuse.rclone", "fuse.s3fs", "fuse.glusterfs",
	"fuse.curlftpfs", "fuse.goofys", "fuse.gcsfuse", "fuse.moosefs", NULL
};
static const char *const unstable_types[] = {
	"vfat", "msdos", "exfat", "ntfs", "ntfs3", "iso9660", "virtiofs", "vboxsf", NULL
};

static bool
is_one_of(const char *type, const char *const *list)
{
	for (; *list != NULL; list++)
		if (strcmp(type, *list) == 0)
			return true;
	return false;
}

void
fs_row_classify(struct fs_row *row)
{
	row->pseudo = is_one_of(row->type, pseudo_types);
	row->memory = strcmp(row->type, "tmpfs") == 0 || strcmp(row->type, "ramfs") == 0 ||
	    strcmp(row->type, "rootfs") == 0;
	row->network = is_one_of(row->type, network_types);
	row->stable = !row->network && strncmp(row->type, "fuse", 4) != 0 && !is_one_of(row->type, unstable_types);
}

/* The whole text of the mount table, or NULL: then types go by their magic. */
static char *
mounts_read(void)
{
	size_t cap = 16384, len = 0;
	char *text = malloc(cap), *grown;
	ssize_t got = -1;
	int fd = io->open(AT_FDCWD, "/proc/self/mountinfo", O_RDONLY | O_CLOEXEC, 0);

	while (fd != -1 && text != NULL && (got = io_read_full(fd, text + len, cap - len - 1, -1)) > 0) {
		len += (size_t)got;
		if (len < cap - 1)
			break;
		if (cap >= MOUNTS_MAX || (grown = realloc(text, cap * 2)) == NULL)
			break;
		text = grown;
		cap *= 2;
	}
	if (fd != -1)
		(void)io->close(fd);
	if (got == -1) {
		free(text);
		return NULL;
	}
	text[len] = '\0';
	return text;
}

/*
 * "36 35 98:0 /root /mount/point rw,noatime master:1 - ext4 /dev/sda1 rw": the
 * type is the word behind " - " (proc(5)).
 */
static bool
type_from_mounts(const struct fs_table *t, dev_t dev, char *type, size_t n)
{
	const char *line, *end, *p;
	char number[32];
	size_t len, width;

	len = (size_t)snprintf(number, sizeof(number), " %u:%u ", major(dev), minor(dev));
	for (line = t->mounts; line != NULL && *line != '\0'; line = end + 1) {
		end = line + strcspn(line, "\n");
		p = memmem(line, (size_t)(end - line), number, len);
		if (p != NULL && (p = memmem(p, (size_t)(end - p), " - ", 3)) != NULL) {
			width = strcspn(p + 3, " \n");
			(void)snprintf(type, n, "%.*s", (int)width, p + 3);
			return width > 0;
		}
		if (*end == '\0')
			break;
	}
	return false;
}

const char *
walk_fs_type_name(const struct statfs *fs)
{
	for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++)
		if (magics[i].magic == (uint32_t)fs->f_type)
			return magics[i].type;
	return "unknown";
}

static void
type_from_magic(int fd, char *type, size_t n)
{
	struct statfs fs;

	(void)snprintf(type, n, "%s", io->fstatfs(fd, &fs) == 0 ? walk_fs_type_name(&fs) : "unknown");
}

/* The name in /dev/disk/by-uuid that leads to the block device ${dev}. */
static void
uuid_find(dev_t dev, char *uuid, size_t n)
{
	char **names = NULL;
	size_t count = 0;
	struct stat st;
	int fd;

	if (major(dev) == 0)
		return;
	fd = io->open(AT_FDCWD, "/dev/disk/by-uuid", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd == -1)
		return;
	if (dir_list(fd, ".", &names, &count, NULL) == 0)
		for (size_t i = 0; i < count; i++)
			if (strlen(names[i]) < n && io->fstatat(fd, names[i], &st, 0) == 0 &&
			    S_ISBLK(st.st_mode) && st.st_rdev == dev) {
				(void)snprintf(uuid, n, "%s", names[i]);
				break;
			}
	dir_list_free(names, count);
	(void)io->close(fd);
}

/* Of btrfs: each subvolume has a device number of its own, made up anew at each mount. */
static uint64_t
subvolume_find(int fd)
{
	uint64_t id = 0;
	char path[64];
	struct stat st;
	int again;

	if (io->fstat(fd, &st) != 0 || (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)))
		return 0;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);	/* it may be one that can only be looked at */
	if ((again = io->open(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0)) == -1)
		return 0;
	if (io->subvolume(again, &id) != 0)
		id = 0;
	(void)io->close(again);
	return id;
}

struct fs_table *
fs_table_new(void)
{
	struct fs_table *t = calloc(1, sizeof(*t));

	if (t != NULL)
		t->mounts = mounts_read();
	return t;
}

void
fs_table_free(struct fs_table *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->n; i++)
		free(t->row[i].path);
	free(t->row);
	free(t->mounts);
	free(t);
}

int
fs_table_find(struct fs_table *t, dev_t dev)
{
	if (t->last < t->n && t->row[t->last].dev == dev)
		return (int)t->last;
	for (size_t i = 0; i < t->n; i++)
		if (t->row[i].dev == dev) {
			t->last = i;
			return (int)i;
		}
	return -1;
}

int
fs_table_add(struct fs_table *t, dev_t dev, int fd, const char *path, size_t len, struct err *e)
{
	struct fs_row *row;

	if (t->n >= FILESYSTEMS_MAX)
		return -2;
	if (t->n == t->cap) {
		size_t more = t->cap == 0 ? 16 : t->cap * 2;
		struct fs_row *grown = reallocarray(t->row, more, sizeof(*grown));

		if (grown == NULL)
			return err_errno(e, "note a file system");
		t->row = grown;
		t->cap = more;
	}
	row = &t->row[t->n];
	memset(row, 0, sizeof(*row));
	if ((row->path = malloc(len + 1)) == NULL)
		return err_errno(e, "note a file system");
	memcpy(row->path, path, len);
	row->path[len] = '\0';
	row->path_len = len;
	row->dev = dev;
	if (!type_from_mounts(t, dev, row->type, sizeof(row->type)))
		type_from_magic(fd, row->type, sizeof(row->type));
	uuid_find(dev, row->uuid, sizeof(row->uuid));
	if (strcmp(row->type, "btrfs") == 0)
		row->subvolume = subvolume_find(fd);
	fs_row_classify(row);
	t->last = t->n++;
	return (int)t->last;
}

const struct fs_row *
fs_table_row(const struct fs_table *t, size_t i)
{
	return i < t->n ? &t->row[i] : NULL;
}
