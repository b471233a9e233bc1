/* Is what cannot be read a bad spot of a disk, or is the whole disk gone? */

#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/disk/image_file.h"
#include "common/flow/ingest_job.h"

#define PROBES		16
#define MISSES_MOST	4
#define BLOCK		4096u

/* The label, from the medium and not out of the system's memory, as far as the system lets that be asked. */
static int
label_comes(const struct ingest *g)
{
	char name[IMAGE_NAME_MAX];
	uint8_t byte;
	uint64_t len;
	int there = 0;

	for (int copy = 0; copy < 2 && !there; copy++) {
		int fd;

		image_name_label(name, copy);
		if ((fd = image_file_open(g->dir.fd, name, &len, NULL)) == -1)
			continue;
		(void)io->fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		there = io_read_full(fd, &byte, 1, 0) == 1;
		(void)io->close(fd);
	}
	return there;
}

/*
 * Do most of some blocks come, from anywhere on the device?  A bad spot is
 * missed by nearly all of them; of a device that is gone only those come that
 * still lie in some memory.
 */
static int
blocks_come(int fd)
{
	off_t len = io->lseek(fd, 0, SEEK_END);
	void *block;
	int misses = 0;

	if (len < (off_t)(PROBES * BLOCK) || (block = aligned_alloc(BLOCK, BLOCK)) == NULL)
		return 1;	/* nothing can be said */
	for (int i = 0; i < PROBES && misses <= MISSES_MOST; i++) {
		uint64_t at;

		io_random(&at, sizeof(at));
		at = at % ((uint64_t)len / BLOCK) * BLOCK;
		misses += io->pread(fd, block, BLOCK, (off_t)at) != (ssize_t)BLOCK;
	}
	free(block);
	return misses <= MISSES_MOST;
}

/* Past all caches, where this user may read the device that the disk's file system lies on. */
static int
device_answers(const struct ingest *g)
{
	char path[64];
	struct stat st;
	int fd, answers;

	if (io->fstat(g->dir.fd, &st) != 0)
		return 0;
	(void)snprintf(path, sizeof(path), "/dev/block/%u:%u", major(st.st_dev), minor(st.st_dev));
	if ((fd = io->open(AT_FDCWD, path, O_RDONLY | O_DIRECT | O_CLOEXEC, 0)) == -1)
		return 1;
	answers = blocks_come(fd);
	(void)io->close(fd);
	return answers;
}

int
ingest_is_there(const struct ingest *g, struct err *e)
{
	if (label_comes(g) && device_answers(g))
		return 0;
	(void)err_set(e, ERR_IO, "%s: the disk at %s is gone", g->name, g->path);
	return err_next(e, "Plug it in again and give the same command: it goes on where it was.");
}
