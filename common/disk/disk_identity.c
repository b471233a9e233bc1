#include <blkid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "common/base/file.h"
#include "common/base/io.h"
#include "common/crypto/hash.h"
#include "common/disk/disk_device.h"

#define UUID_MAX	64
#define BY_UUID		"/dev/disk/by-uuid"

/* As the file system itself says it, where this user may read the device. */
static int
uuid_from_device(dev_t dev, char uuid[UUID_MAX])
{
	char *name = blkid_devno_to_devname(dev);
	const char *value = NULL;
	blkid_probe p = NULL;
	int fd = name == NULL ? -1 : io->open(AT_FDCWD, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0), rc = -1;

	if (fd != -1 && (p = blkid_new_probe()) != NULL && blkid_probe_set_device(p, fd, 0, 0) == 0 &&
	    blkid_probe_enable_superblocks(p, 1) == 0 && blkid_probe_set_superblocks_flags(p, BLKID_SUBLKS_UUID) == 0 &&
	    blkid_do_safeprobe(p) == 0 && blkid_probe_lookup_value(p, "UUID", &value, NULL) == 0 && strlen(value) < UUID_MAX) {
		(void)snprintf(uuid, UUID_MAX, "%s", value);
		rc = 0;
	}
	blkid_free_probe(p);
	if (fd != -1)
		(void)io->close(fd);
	free(name);
	return rc;
}

/* As the system has noted it. */
static int
uuid_from_links(dev_t dev, char uuid[UUID_MAX])
{
	char **names = NULL;
	size_t n = 0;
	struct stat st;
	int fd = io->open(AT_FDCWD, BY_UUID, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), rc = -1;

	if (fd == -1)
		return -1;
	if (dir_list(fd, ".", &names, &n, NULL) == 0)
		for (size_t i = 0; i < n && rc != 0; i++)
			if (strlen(names[i]) < UUID_MAX && io->fstatat(fd, names[i], &st, 0) == 0 && S_ISBLK(st.st_mode) &&
			    st.st_rdev == dev) {
				(void)snprintf(uuid, UUID_MAX, "%s", names[i]);
				rc = 0;
			}
	dir_list_free(names, n);
	(void)io->close(fd);
	return rc;
}

int
disk_identity(int fd, uint8_t id[ID_LEN])
{
	uint8_t digest[DIGEST_LEN];
	unsigned major, minor;
	char uuid[UUID_MAX];
	dev_t dev;

	memset(id, 0, ID_LEN);
	if (disk_under(fd, &major, &minor) != 0)
		return -1;
	dev = makedev(major, minor);
	if (uuid_from_device(dev, uuid) != 0 && uuid_from_links(dev, uuid) != 0)
		return -1;
	hash_once(uuid, strlen(uuid), digest);
	memcpy(id, digest, ID_LEN);
	return 0;
}
