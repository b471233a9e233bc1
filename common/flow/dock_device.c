/* What is in a bay: by the system's block devices, or by what lies in a directory. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/disk/image_dir.h"
#include "common/flow/dock_bay.h"

#define BLOCK		"/sys/class/block"
#define DEVICES		"/sys/dev/block"

/* A number in a small file of sysfs; ${other} if there is none. */
static uint64_t
number_in(const char *dir, const char *name, const char *file, uint64_t other)
{
	char path[512], text[32];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s/%s", dir, name, file);
	if ((fd = io->open(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0)) == -1)
		return other;
	n = io->read(fd, text, sizeof(text) - 1);
	(void)io->close(fd);
	if (n <= 0)
		return other;
	text[n] = '\0';
	return strtoull(text, NULL, 10);
}

static int
is_there(const char *name, const char *file)
{
	char path[512];
	struct stat st;

	(void)snprintf(path, sizeof(path), BLOCK "/%s/%s", name, file);
	return io->fstatat(AT_FDCWD, path, &st, 0) == 0;
}

/* Has the disk partitions?  Their directories lie in its own and begin with its name. */
static int
has_partitions(const char *name)
{
	char path[512], **names;
	size_t n;
	int found = 0;

	(void)snprintf(path, sizeof(path), BLOCK "/%s", name);
	if (dir_list(AT_FDCWD, path, &names, &n, NULL) != 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		found |= strncmp(names[i], name, strlen(name)) == 0;
	dir_list_free(names, n);
	return found;
}

/* Kinds of block device that no disk of ours comes on. */
static int
is_no_disk(const char *name)
{
	static const char *const kinds[] = { "ram", "zram", "dm-", "md", "sr", "fd" };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strncmp(name, kinds[i], strlen(kinds[i])) == 0)
			return 1;
	return 0;
}

void
devices_list(struct device_names *all)
{
	char **names;
	size_t n;

	all->n = 0;
	if (dir_list(AT_FDCWD, BLOCK, &names, &n, NULL) != 0)
		return;
	for (size_t i = 0; i < n && all->n < DOCK_BAYS_MAX; i++) {
		if (is_no_disk(names[i]) || strlen(names[i]) >= sizeof(all->name[0]))
			continue;
		if (number_in(BLOCK, names[i], "size", 0) == 0)
			continue;	/* no medium in it */
		if (!is_there(names[i], "partition") && has_partitions(names[i]))
			continue;
		(void)snprintf(all->name[all->n++], sizeof(all->name[0]), "%s", names[i]);
	}
	dir_list_free(names, n);
}

int
device_is_removable(const char *name)
{
	return number_in(BLOCK, name, "removable", number_in(BLOCK, name, "../removable", 0)) == 1;
}

static int
look_device(const struct bay *b, struct occupant *who)
{
	struct stat st;
	char name[32];

	memset(who, 0, sizeof(*who));
	/* It may be named by its place, which is a symlink. */
	if (io->fstatat(AT_FDCWD, b->path, &st, 0) != 0 || !S_ISBLK(st.st_mode))
		return 0;
	(void)snprintf(name, sizeof(name), "%u:%u", major(st.st_rdev), minor(st.st_rdev));
	if ((who->a = number_in(DEVICES, name, "size", 0)) == 0)
		return 0;
	/* Counts up each time a disk is put in. */
	who->b = number_in(DEVICES, name, "diskseq", number_in(DEVICES, name, "../diskseq", 0));
	who->c = (uint64_t)st.st_rdev;
	return 1;
}

static int
look_directory(const struct bay *b, struct occupant *who)
{
	struct stat st;
	char **names;
	size_t n;
	int fd, there = 0;

	memset(who, 0, sizeof(*who));
	if ((fd = dir_open(AT_FDCWD, b->path, NULL)) == -1)
		return 0;
	if (io->fstatat(fd, IMAGE_TOP, &st, 0) == 0 && image_list(fd, &names, &n, NULL) == 0) {
		dir_list_free(names, n);
		who->a = (uint64_t)st.st_dev;
		who->b = (uint64_t)st.st_ino;
		who->c = (uint64_t)st.st_ctim.tv_sec;
		who->d = (uint64_t)st.st_ctim.tv_nsec;
		there = 1;
	}
	(void)io->close(fd);
	return there;
}

int
bay_look(const struct bay *b, struct occupant *who)
{
	return b->device ? look_device(b, who) : look_directory(b, who);
}
