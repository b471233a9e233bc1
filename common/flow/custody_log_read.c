/* Where custody logs stand. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/disk/image_dir.h"
#include "common/disk/image_file.h"
#include "common/disk/mount.h"
#include "common/flow/custody_log.h"
#include "formats/fmt_custody_log.h"

#define WHERE_LEN	4352
#define NAME_LEN	8	/* of a record's file: its number in digits */

static int
is_record_name(const char *name)
{
	return strlen(name) == NAME_LEN && strspn(name, "0123456789") == NAME_LEN;
}

/* The records in the directory ${fd}: 0, 1 there is none, -1. */
static int
records_read(struct custody_log *l, struct findings *found, int fd, const char *where, struct err *e)
{
	char here[WHERE_LEN], **names;
	size_t n, taken = 0;
	int rc = 0;

	if (dir_list(fd, ".", &names, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n && rc == 0; i++) {
		uint8_t *bytes;
		size_t len;

		if (!is_record_name(names[i]))
			continue;
		taken++;
		(void)snprintf(here, sizeof(here), "%.4000s/%s", where, names[i]);
		if ((rc = image_file_read(fd, names[i], CUSTODY_RECORD_MAX, &bytes, &len, e)) != 0) {
			if (e == NULL || (e->code != ERR_FORMAT && e->code != ERR_IO))
				break;
			/* What cannot be read is told as a record that says nothing. */
			err_clear(e);
			rc = custody_log_add(l, found, "", 0, here, e);
			continue;
		}
		rc = custody_log_add(l, found, bytes, len, here, e);
		free(bytes);
	}
	dir_list_free(names, n);
	return rc != 0 ? -1 : taken == 0;
}

/* As records_read, of a directory below ${fd}; 1 where it is not there. */
static int
below_read(struct custody_log *l, struct findings *found, int fd, const char *dir, const char *where, struct err *e)
{
	struct err own;
	int sub, rc;

	err_clear(&own);
	if ((sub = image_subdir_open(fd, dir, &own)) == -1) {
		if (own.code == ERR_NOT_FOUND)
			return 1;
		if (e != NULL)
			*e = own;
		return -1;
	}
	rc = records_read(l, found, sub, where, e);
	(void)io->close(sub);
	return rc;
}

int
custody_log_read_dir(struct custody_log *l, struct findings *found, int imagefd, const char *where, struct err *e)
{
	return below_read(l, found, imagefd, "custody", where, e) == -1 ? -1 : 0;
}

/* The logs of all that stands in the directory ${dir} below ${fd}: a disk's images, or those of a state.  As records_read. */
static int
images_read(struct custody_log *l, struct findings *found, int fd, const char *dir, const char *path, struct err *e)
{
	char sub[NAME_LEN + 256 + 16], where[WHERE_LEN], **names;
	struct err own;
	struct stat st;
	size_t n, taken = 0;
	int rc = 0;

	err_clear(&own);
	if (dir_list(fd, dir, &names, &n, &own) != 0)
		return 1;
	for (size_t i = 0; i < n && rc != -1; i++) {
		(void)snprintf(sub, sizeof(sub), "%s/%.255s", dir, names[i]);
		if (io->fstatat(fd, sub, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(st.st_mode))
			continue;
		(void)snprintf(sub, sizeof(sub), "%s/%.255s/custody", dir, names[i]);
		(void)snprintf(where, sizeof(where), "%.3800s/%s", path, sub);
		err_clear(&own);
		rc = below_read(l, found, fd, sub, where, &own);
		taken += rc == 0;
	}
	dir_list_free(names, n);
	if (rc == -1 && e != NULL)
		*e = own;
	return rc == -1 ? -1 : taken == 0;
}

static int
directory_read(struct custody_log *l, struct findings *found, int fd, const char *path, struct err *e)
{
	char where[WHERE_LEN];
	int rc;

	(void)snprintf(where, sizeof(where), "%.4000s/custody", path);
	if ((rc = records_read(l, found, fd, path, e)) != 1 || (rc = below_read(l, found, fd, "custody", where, e)) != 1 ||
	    (rc = images_read(l, found, fd, IMAGE_TOP, path, e)) != 1 || (rc = images_read(l, found, fd, "images", path, e)) != 1)
		return rc;
	(void)err_set(e, ERR_NOT_FOUND, "there is no custody log in %s", path);
	return err_next(e, "Name a disk, a directory custody/, or a file made by samara-import list custody --out.");
}

/* The rows of a log, or the one record that the file is. */
static int
bytes_read(struct custody_log *l, struct findings *found, const uint8_t *bytes, size_t len, const char *path, struct err *e)
{
	enum fmt_status st = custody_log_head_decode(bytes, len);
	struct rd r = { .p = bytes, .left = len };
	struct fmt_view record;
	char where[WHERE_LEN];

	if (len >= 8 && memcmp(bytes, custody_schema.magic, 8) == 0)
		return custody_log_add(l, found, bytes, len, path, e);
	if (st != FMT_OK)
		return err_set(e, st == FMT_VERSION ? ERR_VERSION : ERR_FORMAT, "%s is no custody log: %s", path, fmt_status_text(st));
	(void)rd_bytes(&r, CUSTODY_LOG_HEAD_LEN);
	for (unsigned n = 1; r.left > 0; n++) {
		(void)snprintf(where, sizeof(where), "%.4000s, row %u", path, n);
		if ((st = custody_log_next(&r, &record)) != FMT_OK)
			return err_set(e, ERR_FORMAT, "%s: %s", where, fmt_status_text(st));
		if (custody_log_add(l, found, record.p, record.len, where, e) != 0)
			return -1;
	}
	return 0;
}

int
custody_log_read(struct custody_log *l, struct findings *found, const char *path, struct err *e)
{
	struct disk_mount m;
	uint8_t *bytes;
	struct stat st;
	size_t len;
	int rc;

	if (io->fstatat(AT_FDCWD, path, &st, 0) != 0)
		return err_errno(e, "%s", path);
	if (S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode)) {
		if (disk_mount_open(path, 0, NULL, &m, e) != 0)
			return -1;
		rc = directory_read(l, found, m.fd, path, e);
		(void)disk_mount_close(&m, NULL);
		return rc;
	}
	if (file_read(AT_FDCWD, path, CUSTODY_LOG_MAX, &bytes, &len, e) != 0)
		return -1;
	rc = bytes_read(l, found, bytes, len, path, e);
	free(bytes);
	return rc;
}
