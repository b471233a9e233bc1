#include "common/flow/medium.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "common/base/file.h"
#include "common/base/io.h"
#include "common/disk/disk_device.h"

#define FUSE_MAGIC	0x65735546
#define SECTOR		512u

static void
go_blind(struct medium *m)
{
	__atomic_store_n(&m->blind, 1, __ATOMIC_RELAXED);
}

/* Sectors that the device has read so far: the third number of its counters.  0, or -1. */
static int
sectors_read(const struct medium *m, uint64_t *out)
{
	char path[64], text[512];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/stat", m->major, m->minor);
	if ((fd = io->open(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0)) == -1)
		return -1;
	n = io->read(fd, text, sizeof(text) - 1);
	(void)io->close(fd);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	return sscanf(text, "%*u %*u %" SCNu64, out) == 1 ? 0 : -1;
}

/* Open the node ${path} if it is that device; -1. */
static int
node_open(const struct medium *m, const char *path)
{
	struct stat st;
	int fd = io->open(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);

	if (fd == -1 || (io->fstat(fd, &st) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == makedev(m->major, m->minor)))
		return fd;
	(void)io->close(fd);
	return -1;
}

/* The block device, by its number or, where nothing keeps nodes by number, by the name that the system tells. */
static int
device_open(const struct medium *m)
{
	char path[320], text[1024], name[256];
	const char *at;
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/dev/block/%u:%u", m->major, m->minor);
	if ((fd = node_open(m, path)) != -1)
		return fd;
	(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/uevent", m->major, m->minor);
	if ((fd = io->open(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0)) == -1)
		return -1;
	n = io->read(fd, text, sizeof(text) - 1);
	(void)io->close(fd);
	text[n > 0 ? n : 0] = '\0';
	if ((at = strstr(text, "DEVNAME=")) == NULL || sscanf(at, "DEVNAME=%255s", name) != 1)
		return -1;
	(void)snprintf(path, sizeof(path), "/dev/%s", name);
	return node_open(m, path);
}

void
medium_begin(struct medium *m, int fd)
{
	struct statfs fs;

	m->device = -1;
	m->bytes = 0;
	m->blind = 0;
	if (io->fstatfs(fd, &fs) != 0) {
		go_blind(m);
		return;
	}
	if (fs.f_type != FUSE_MAGIC)
		return;
	if (disk_under(fd, &m->major, &m->minor) == 0)
		m->device = device_open(m);
	if (m->device == -1 || sectors_read(m, &m->sectors) != 0)
		go_blind(m);
	else
		medium_flush(m);
}

void
medium_flush(struct medium *m)
{
	if (m->device != -1 && io->flush_device(m->device) != 0)
		go_blind(m);
}

void
medium_open(struct medium *m, int fd)
{
	(void)io->fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	if (io->fcntl_int(fd, F_SETFL, O_RDONLY | O_DIRECT) != 0 && m->device == -1)
		go_blind(m);
}

void
medium_count(struct medium *m, uint64_t n)
{
	__atomic_fetch_add(&m->bytes, n, __ATOMIC_RELAXED);
}

bool
medium_end(struct medium *m)
{
	uint64_t now;

	if (m->device != -1) {
		if (sectors_read(m, &now) != 0 || (now - m->sectors) * SECTOR < m->bytes)
			go_blind(m);
		(void)io->close(m->device);
		m->device = -1;
	}
	return __atomic_load_n(&m->blind, __ATOMIC_RELAXED) == 0;
}
