#include <blkid.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/human.h"
#include "common/base/io.h"
#include "common/base/text.h"
#include "common/disk/mount_probe.h"

#define PARTITIONS_NAMED	8	/* in one message */
#define SMALL_FILE_MAX		65536

/* Open ${device} for looking; ERR_TARGET if it is no block device. */
static int
device_open(const char *device, struct stat *st, struct err *e)
{
	int fd = io->open(AT_FDCWD, device, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);

	if (fd == -1) {
		int sys = errno;

		(void)err_errno(e, "open %s", device);
		if (sys == EACCES || sys == EPERM)
			(void)err_next(e, "only root may read a device: run as root, or mount it and give the directory");
		return -1;
	}
	if (io->fstat(fd, st) == 0 && S_ISBLK(st->st_mode))
		return fd;
	(void)io->close(fd);
	return err_set(e, ERR_TARGET, "%s is not a block device", device);
}

/* The kernel's word for write-protected. */
static bool
device_read_only(dev_t dev)
{
	char path[64];
	uint8_t *text;
	size_t len;
	bool ro;

	/* A partition's own file says what its disk's says too. */
	(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/ro", (unsigned)major(dev), (unsigned)minor(dev));
	if (file_read(AT_FDCWD, path, SMALL_FILE_MAX, &text, &len, NULL) != 0)
		return false;
	ro = len > 0 && text[0] == '1';
	free(text);
	return ro;
}

/* A probe of ${fd}, or NULL with ${e}. */
static blkid_probe
probe_new(int fd, const char *device, struct err *e)
{
	blkid_probe p = blkid_new_probe();

	if (p == NULL) {
		(void)err_set(e, ERR_MEMORY, "no memory");
		return NULL;
	}
	if (blkid_probe_set_device(p, fd, 0, 0) == 0)
		return p;
	(void)err_errno(e, "look at %s", device);
	blkid_free_probe(p);
	return NULL;
}

static const char *
value(blkid_probe p, const char *name)
{
	const char *v = NULL;

	return blkid_probe_lookup_value(p, name, &v, NULL) == 0 && v != NULL ? v : "";
}

/* "/dev/sdb1", "/dev/nvme0n1p1": as the kernel makes these names. */
static void
partition_name(char *out, size_t n, const char *device, int number)
{
	size_t len = strlen(device);
	int digit = len > 0 && device[len - 1] >= '0' && device[len - 1] <= '9';

	(void)snprintf(out, n, "%s%s%d", device, digit ? "p" : "", number);
}

/* What stands on the partition ${device}: "ext4", or "no file system"; 1 if it is a file system. */
static int
partition_type(const char *device, char out[64])
{
	struct stat st;
	blkid_probe p = NULL;
	int fd = device_open(device, &st, NULL), found = 0;

	(void)snprintf(out, 64, "no file system");
	if (fd != -1 && (p = probe_new(fd, device, NULL)) != NULL && blkid_do_safeprobe(p) == 0) {
		found = strcmp(value(p, "USAGE"), "filesystem") == 0;
		if (value(p, "TYPE")[0] != '\0')
			(void)text_safe(out, 64, value(p, "TYPE"), strlen(value(p, "TYPE")));
	}
	blkid_free_probe(p);
	if (fd != -1)
		(void)io->close(fd);
	return found;
}

/* A whole disk: name its partitions.  Always -1. */
static int
partitions_named(blkid_probe p, const char *device, struct err *e)
{
	blkid_partlist list = blkid_probe_get_partitions(p);
	int n = list == NULL ? 0 : blkid_partlist_numof_partitions(list);
	char name[4160], type[64], size[HUMAN_MAX], use[4160] = "";
	struct buf b;

	if (n <= 0)
		return err_set(e, ERR_TARGET, "%s has a partition table, and no partition in it", device);
	buf_init(&b);
	for (int i = 0; i < n && i < PARTITIONS_NAMED; i++) {
		blkid_partition part = blkid_partlist_get_partition(list, i);

		partition_name(name, sizeof(name), device, blkid_partition_get_partno(part));
		if (partition_type(name, type) && use[0] == '\0')
			(void)snprintf(use, sizeof(use), "%s", name);
		buf_print(&b, "%s%s (%s, %s)", i > 0 ? ", " : "", name, type,
		    human_size(size, (uint64_t)blkid_partition_get_size(part) * 512));
	}
	if (buf_check(&b, e) == 0) {
		(void)err_set(e, ERR_TARGET, "%s is a whole disk with %d %s: %.*s%s", device, n,
		    n == 1 ? "partition" : "partitions", (int)b.len, (const char *)b.p, n > PARTITIONS_NAMED ? ", …" : "");
		if (use[0] != '\0')
			(void)err_next(e, "name the one that is meant, %s for example", use);
		else
			(void)err_next(e, "none of them has a file system yet; make one and name that partition");
	}
	buf_release(&b);
	return -1;
}

/* An empty device.  Always -1. */
static int
nothing_there(const char *device, bool write, const char *label, struct err *e)
{
	(void)err_set(e, ERR_TARGET, "there is no file system on %s", device);
	if (!write)
		return err_next(e, "nothing was ever stored there, or it is damaged: do not format it; look whether it is the right disk");
	return err_next(e, "samara never formats.  If nothing on it is needed: mkfs.ext4 -m 0 -T largefile4 %s%s%s%s",
	    label != NULL ? "-L " : "", label != NULL ? label : "", label != NULL ? " " : "", device);
}

/* Something that is not a file system.  Always -1. */
static int
other_there(blkid_probe p, const char *device, struct err *e)
{
	const char *usage = value(p, "USAGE"), *type = value(p, "TYPE");
	char safe[64];

	(void)err_set(e, ERR_TARGET, "%s holds %s, which is no file system", device,
	    text_safe(safe, sizeof(safe), type, strlen(type)));
	if (strcmp(usage, "crypto") == 0)
		return err_next(e, "open it first (cryptsetup open %s NAME) and name /dev/mapper/NAME", device);
	if (strcmp(usage, "raid") == 0)
		return err_next(e, "it is one part of something larger: name the device that is made of it");
	return err_next(e, "name another device");
}

static int
probed(blkid_probe p, const char *device, bool write, const char *label, char type[32], struct err *e)
{
	int rc;

	(void)blkid_probe_enable_superblocks(p, 1);
	(void)blkid_probe_set_superblocks_flags(p, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE);
	(void)blkid_probe_enable_partitions(p, 1);
	if ((rc = blkid_do_safeprobe(p)) == -2)
		return err_set(e, ERR_TARGET, "%s bears the marks of more than one file system (wipefs %s shows them)", device, device);
	if (rc < 0)
		return err_errno(e, "read %s", device);
	if (rc == 1)
		return nothing_there(device, write, label, e);
	if (strcmp(value(p, "USAGE"), "filesystem") == 0) {
		(void)snprintf(type, 32, "%s", value(p, "TYPE"));
		return 0;
	}
	if (value(p, "TYPE")[0] != '\0')
		return other_there(p, device, e);
	return partitions_named(p, device, e);
}

int
mount_probe(const char *device, bool write, const char *label, struct mount_probe *p, struct err *e)
{
	struct stat st;
	blkid_probe probe;
	int fd, rc = -1;

	memset(p, 0, sizeof(*p));
	if ((fd = device_open(device, &st, e)) == -1)
		return -1;
	p->dev = st.st_rdev;
	p->read_only = device_read_only(st.st_rdev);
	if ((probe = probe_new(fd, device, e)) != NULL) {
		rc = probed(probe, device, write, label, p->type, e);
		blkid_free_probe(probe);
	}
	(void)io->close(fd);
	return rc;
}
