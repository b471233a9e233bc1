#include <ctype.h>
#include <errno.h>
#include <libmount.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "common/base/file.h"
#include "common/base/io.h"
#include "common/disk/disk_device.h"

#define SMALL_FILE_MAX	65536	/* sysfs says 4,096 of every file, /proc 0 */

int
disk_mount_id(int fd)
{
	char path[64];
	uint8_t *text;
	const char *at;
	size_t len;
	int id = -1;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	if (file_read(AT_FDCWD, path, SMALL_FILE_MAX, &text, &len, NULL) != 0)
		return -1;
	if ((at = strstr((const char *)text, "mnt_id:")) != NULL)
		id = (int)strtol(at + strlen("mnt_id:"), NULL, 10);
	free(text);
	return id;
}

/* The device that the mount of ${fd} names as its source. */
static int
under_by_mount(int fd, unsigned *major, unsigned *minor)
{
	struct libmnt_table *table = mnt_new_table_from_file("/proc/self/mountinfo");
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs;
	int id = disk_mount_id(fd), rc = -1;
	struct stat st;

	while (rc != 0 && id != -1 && table != NULL && iter != NULL && mnt_table_next_fs(table, iter, &fs) == 0) {
		const char *source = mnt_fs_get_source(fs);

		if (mnt_fs_get_id(fs) == id && source != NULL && source[0] == '/' &&
		    io->fstatat(AT_FDCWD, source, &st, 0) == 0 && S_ISBLK(st.st_mode)) {
			*major = (unsigned)major(st.st_rdev);
			*minor = (unsigned)minor(st.st_rdev);
			rc = 0;
		}
	}
	mnt_free_iter(iter);
	mnt_unref_table(table);
	return rc;
}

int
disk_under(int fd, unsigned *major, unsigned *minor)
{
	struct stat st;

	if (io->fstat(fd, &st) != 0)
		return -1;
	if (major(st.st_dev) == 0)	/* a number made up for the file system */
		return under_by_mount(fd, major, minor);
	*major = (unsigned)major(st.st_dev);
	*minor = (unsigned)minor(st.st_dev);
	return 0;
}

/* Fit for a label: printable, no blanks at the ends, not all zeros. */
static int
serial_take(const uint8_t *p, size_t len, char out[DISK_SERIAL_MAX])
{
	while (len > 0 && (isspace(p[len - 1]) || p[len - 1] == 0))
		len--;
	while (len > 0 && isspace(*p)) {
		p++;
		len--;
	}
	if (len == 0 || len >= DISK_SERIAL_MAX)
		return -1;
	for (size_t i = 0; i < len; i++)
		if (p[i] < 0x20 || p[i] > 0x7e)
			return -1;
	if (strspn((const char *)p, "0") >= len)
		return -1;
	memcpy(out, p, len);
	out[len] = '\0';
	return 0;
}

/* The file ${path} without its first ${skip} bytes, as a serial number. */
static int
serial_read(int sysfd, const char *path, size_t skip, char out[DISK_SERIAL_MAX])
{
	uint8_t *text;
	size_t len;
	int rc;

	if (file_read(sysfd, path, SMALL_FILE_MAX, &text, &len, NULL) != 0)
		return -1;
	rc = len > skip ? serial_take(text + skip, len - skip, out) : -1;
	free(text);
	return rc;
}

/* Append ${name} to the directory ${dir}. */
static int
join(char *out, size_t n, const char *dir, const char *name)
{
	int len = snprintf(out, n, "%s/%s", dir, name);

	return len > 0 && (size_t)len < n ? 0 : -1;
}

/*
 * The directory ${link} points to, from the top of sysfs: "devices/…/block/sda".
 * The link stands in dev/block/ and begins with "../../".
 */
static int
device_path(int sysfd, unsigned major, unsigned minor, char *out, size_t n)
{
	char link[64], text[PATH_MAX];
	const char *p = text;
	ssize_t len;

	(void)snprintf(link, sizeof(link), "dev/block/%u:%u", major, minor);
	if ((len = io->readlinkat(sysfd, link, text, sizeof(text) - 1)) <= 0)
		return -1;
	text[len] = '\0';
	while (strncmp(p, "../", 3) == 0)
		p += 3;
	return strlen(p) < n && p[0] != '/' ? (memcpy(out, p, strlen(p) + 1), 0) : -1;
}

int
disk_serial_in(int sysfd, unsigned major, unsigned minor, char out[DISK_SERIAL_MAX])
{
	char dir[PATH_MAX], file[PATH_MAX];
	struct stat st;
	char *slash;

	out[0] = '\0';
	if (device_path(sysfd, major, minor, dir, sizeof(dir)) != 0)
		return -1;
	/* A partition lies in the directory of its disk. */
	if (join(file, sizeof(file), dir, "partition") == 0 && io->fstatat(sysfd, file, &st, 0) == 0 &&
	    (slash = strrchr(dir, '/')) != NULL)
		*slash = '\0';
	/* SCSI and SATA: the page of the unit's serial number, behind four bytes of head. */
	if (join(file, sizeof(file), dir, "device/vpd_pg80") == 0 && serial_read(sysfd, file, 4, out) == 0)
		return 0;
	/* NVMe and virtio have "serial" beside the device, USB at the plug, further up; above the plug it is the hub's. */
	for (; strchr(dir, '/') != NULL; *strrchr(dir, '/') = '\0') {
		if (join(file, sizeof(file), dir, "serial") == 0 && serial_read(sysfd, file, 0, out) == 0)
			return 0;
		if (join(file, sizeof(file), dir, "device/serial") == 0 && serial_read(sysfd, file, 0, out) == 0)
			return 0;
		if (join(file, sizeof(file), dir, "idVendor") == 0 && io->fstatat(sysfd, file, &st, 0) == 0)
			return -1;
	}
	return -1;
}

int
disk_serial(int fd, char out[DISK_SERIAL_MAX])
{
	unsigned major, minor;
	int sysfd, rc;

	out[0] = '\0';
	if (disk_under(fd, &major, &minor) != 0 || (sysfd = dir_open(AT_FDCWD, "/sys", NULL)) == -1)
		return -1;
	rc = disk_serial_in(sysfd, major, minor, out);
	(void)io->close(sysfd);
	return rc;
}
