/* Where a build may write. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/disk/disk_device.h"
#include "common/disk/image_dir.h"
#include "common/disk/image_file.h"
#include "common/disk/image_sweep.h"
#include "common/disk/mount.h"
#include "common/flow/disk_readme.h"
#include "common/flow/disk_write.h"
#include "common/walk/walk_fs.h"

static int
same_device(dev_t dev, int dirfd, const char *path)
{
	struct stat st;

	return io->fstatat(dirfd, path, &st, 0) == 0 && st.st_dev == dev;
}

/* Something must be mounted there that is nothing we read or live on. */
static int
target_check(const struct disk_target *t, int state_fd, const char *const *sources, size_t n, struct err *e)
{
	struct stat st;

	if (io->fstat(t->fd, &st) != 0)
		return err_errno(e, "look at %s", t->path);
	if (same_device(st.st_dev, AT_FDCWD, "/"))
		return err_set(e, ERR_TARGET, "nothing is mounted at %s", t->path);
	if (same_device(st.st_dev, state_fd, "."))
		return err_set(e, ERR_TARGET, "%s is on the same file system as the state directory", t->path);
	for (size_t i = 0; i < n; i++)
		if (same_device(st.st_dev, AT_FDCWD, sources[i]))
			return err_set(e, ERR_TARGET, "%s is on the same file system as %s, which is to be backed up", t->path, sources[i]);
	return 0;
}

/* What the file system is called; empty where nobody knows. */
static void
fs_name(int fd, const char *path, char out[32])
{
	struct fs_table *table = fs_table_new();
	struct stat st;
	int i;

	if (table != NULL && io->fstat(fd, &st) == 0 &&
	    (i = fs_table_add(table, st.st_dev, fd, path, strlen(path), NULL)) >= 0)
		snprintf(out, 32, "%.31s", fs_table_row(table, (size_t)i)->type);
	fs_table_free(table);
}

int
disk_target_open(const char *path, bool plain, int state_fd, const char *const *sources, size_t n,
    struct disk_target *t, struct err *e)
{
	struct statfs fs;

	memset(t, 0, sizeof(*t));
	snprintf(t->path, sizeof(t->path), "%s", path);
	t->plain = plain;
	if (disk_mount_open(path, DISK_MOUNT_WRITE, "SAMARA", &t->mount, e) != 0) {
		t->fd = -1;
		if (t->mount.device[0] == '\0' && (errno == ENOENT || errno == ENOTDIR))
			err_set(e, ERR_TARGET, "%s: %s", path, errno == ENOENT ? "nothing is there" : "not a directory");
		return -1;
	}
	t->fd = t->mount.fd;
	if (io->fstatfs(t->fd, &fs) != 0) {
		err_errno(e, "look at %s", path);
		goto fail;
	}
	if ((fs.f_flags & ST_RDONLY) != 0) {
		err_set(e, ERR_PERMISSION, "%s is mounted read-only", path);
		err_next(e, "mount it for writing: mount -o remount,rw %s; a disk that the system made read-only by itself is failing: use another", path);
		goto fail;
	}
	fs_name(t->fd, path, t->fs_type);
	(void)disk_identity(t->fd, t->fs_id);
	if (!plain && target_check(t, state_fd, sources, n, e) != 0)
		goto fail;
	return 0;
fail:
	(void)disk_target_close(t);
	return -1;
}

int
disk_target_close(struct disk_target *t)
{
	struct err e;
	int rc = 0;

	err_clear(&e);
	if (t->fd != -1 && (rc = disk_mount_close(&t->mount, &e)) != 0)
		say_warn("%s; %s", e.msg, e.next);
	t->fd = -1;
	return rc;
}

static void
image_path(char out[64], const char *name)
{
	snprintf(out, 64, IMAGE_TOP "/%s", name);
}

bool
disk_has_image(const struct disk_target *t, const char *name)
{
	struct stat st;
	char path[64];

	image_path(path, name);
	return io->fstatat(t->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

int
disk_write_twice(int imagefd, const char *first, const char *second, const void *bytes, size_t len, struct err *e)
{
	const char *const names[2] = { first, second };
	char dir[64];
	char *slash;

	for (int i = 0; i < 2; i++) {
		snprintf(dir, sizeof(dir), "%s", names[i]);
		if ((slash = strrchr(dir, '/')) != NULL) {
			*slash = 0;
			if (dir_make(imagefd, dir, 0755, e) != 0)
				return -1;
		}
		if (file_replace(imagefd, names[i], bytes, len, 0644, e) != 0)
			return -1;
	}
	return 0;
}

/* One statement of the machine's, into keys/ and keys2/. */
static int
write_key(int imagefd, const char *what, const void *bytes, size_t len, struct err *e)
{
	char first[IMAGE_NAME_MAX], second[IMAGE_NAME_MAX];

	image_name_keys(first, 0, what);
	image_name_keys(second, 1, what);
	return disk_write_twice(imagefd, first, second, bytes, len, e);
}

/* The letter to the vault, out of the registration. */
static int
write_slots(int imagefd, struct state *s, struct err *e)
{
	struct registration reg;
	struct disk_keys k = { 0 };
	uint8_t *out;
	size_t len, cap;
	enum fmt_status st;
	int rc;

	if ((st = schema_decode(&registration_schema, &reg, s->regist_bytes, s->regist_len)) != FMT_OK)
		return err_set(e, ERR_STATE, "registration in the state directory: %s", fmt_status_text(st));
	memcpy(k.vault_id, reg.vault_id, ID_LEN);
	memcpy(k.machine_id, reg.machine_id, ID_LEN);
	memcpy(k.domain_id, s->id.domain_id, DIGEST_LEN);
	k.blob = reg.sealed_slots;
	cap = schema_size(&disk_keys_schema, &k);
	if ((out = malloc(cap + 1)) == NULL)
		return err_errno(e, "keys");
	st = schema_encode(&disk_keys_schema, &k, out, cap, &len);
	rc = st != FMT_OK ? err_set(e, ERR_INTERNAL, "sealed slots: %s", fmt_status_text(st)) : write_key(imagefd, "slots", out, len, e);
	free(out);
	return rc;
}

/* keys/older1, keys/older2, …: of an export, so that snapshots signed with them can be checked without a key. */
static int
write_older(int imagefd, const struct state *s, struct err *e)
{
	struct rd r = { .p = s->older_bytes, .left = s->older_len };
	char what[16];

	for (unsigned n = 1; r.left > 0; n++) {
		uint32_t len = rd_u32(&r);
		const uint8_t *bytes = rd_bytes(&r, len);

		if (bytes == NULL)
			return err_set(e, ERR_INTERNAL, "the older memberships of a machine");
		(void)snprintf(what, sizeof(what), "older%u", n);
		if (write_key(imagefd, what, bytes, len, e) != 0)
			return -1;
	}
	return 0;
}

int
disk_begin(const struct disk_target *t, struct state *s, const char *name, const uint8_t *label, size_t len, struct err *e)
{
	char path[64];
	struct label l;
	int fd;

	if (schema_decode(&label_schema, &l, label, len) != FMT_OK)
		return err_set(e, ERR_INTERNAL, "label");
	image_path(path, name);
	if (dir_make(t->fd, path, 0755, e) != 0 || (fd = dir_open(t->fd, path, e)) == -1)
		return err_during(e, "disk %s", t->path);
	if (write_key(fd, "domain", s->domain_bytes, s->domain_len, e) != 0 ||
	    write_key(fd, "member", s->member_bytes, s->member_len, e) != 0 || write_older(fd, s, e) != 0 ||
	    (s->regist_bytes != NULL && (write_key(fd, "regist", s->regist_bytes, s->regist_len, e) != 0 ||
	    write_slots(fd, s, e) != 0)) || dir_make(fd, "packs", 0755, e) != 0 || dir_make(fd, "custody", 0755, e) != 0 ||
	    disk_readme_write(t->fd, &l, e) != 0 || disk_write_twice(fd, "label2", "label", label, len, e) != 0) {
		io->close(fd);
		return err_during(e, "disk %s", t->path);
	}
	(void)image_sweep(fd);	/* it may have been begun before, and cut off with its first packs half written */
	return fd;
}

/* A copy of the image on another disk is not the disk: what the journal says of it need not hold there. */
static int
identity_check(const struct disk_target *t, const char *name, const uint8_t *label, size_t len, struct err *e)
{
	static const uint8_t unknown[ID_LEN];
	struct label l;

	if (schema_decode(&label_schema, &l, label, len) != FMT_OK)
		return err_set(e, ERR_INTERNAL, "label");
	if (memcmp(l.fs_id, unknown, ID_LEN) == 0 || memcmp(t->fs_id, unknown, ID_LEN) == 0 ||
	    memcmp(l.fs_id, t->fs_id, ID_LEN) == 0)
		return 0;
	(void)err_set(e, ERR_WRONG_DISK, "%s carries image %s, but it is not the file system on which disk %s-%u was begun", t->path, name,
	    l.short_name, l.disk);
	return err_next(e, "give the disk itself, not a copy; if it is lost: samara-seed build --replace %s-%u=DISK", l.short_name, l.disk);
}

int
disk_resume(const struct disk_target *t, const char *name, const uint8_t *label, size_t len, struct err *e)
{
	char path[64];
	uint8_t *have = NULL;
	size_t n = 0;
	int fd;

	image_path(path, name);
	if ((fd = dir_open(t->fd, path, e)) == -1)
		return err_set(e, ERR_WRONG_DISK, "%s does not carry image %s", t->path, name);
	if (image_file_read(fd, "label", SMALL_STATEMENT_MAX, &have, &n, e) != 0)
		(void)image_file_read(fd, "label2", SMALL_STATEMENT_MAX, &have, &n, e);
	if (have == NULL || n != len || memcmp(have, label, len) != 0) {
		io->close(fd);
		fd = err_set(e, ERR_WRONG_DISK, "the image %s on %s is not the one that was begun", name, t->path);
	} else if (identity_check(t, name, label, len, e) != 0) {
		io->close(fd);
		fd = -1;
	}
	if (fd != -1)
		(void)image_sweep(fd);
	free(have);
	return fd;
}
