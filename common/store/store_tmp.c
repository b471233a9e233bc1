#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/store/store_dir.h"

#define TMP_STEM	"put-"
#define TMP_TRIES	16

/*
 * Lock a file that was just made.  0: ours.  1: a sweep was faster and took it
 * for one that was left; make another.  Where the file system has no locks
 * nobody can sweep either.
 */
static int
tmp_lock(int fd)
{
	struct stat st;
	int rc;

	do {
		rc = io->flock(fd, LOCK_EX | LOCK_NB);
	} while (rc != 0 && errno == EINTR);
	if (rc != 0)
		return errno == EWOULDBLOCK;
	return io->fstat(fd, &st) == 0 && st.st_nlink == 0;
}

int
store_tmp_create(struct store_dir *d, char tmp[64], struct err *e)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;

	for (int i = 0; i < TMP_TRIES; i++) {
		uint64_t r;
		int fd;

		io_random(&r, sizeof(r));
		(void)snprintf(tmp, 64, STORE_TMP "/" TMP_STEM "%016" PRIx64, r);
		if ((fd = io->open(d->root, tmp, flags, 0644)) == -1) {
			if (errno == EEXIST)
				continue;
			return err_errno(e, "create %s/%s", d->path, tmp);
		}
		if (tmp_lock(fd) == 0)
			return fd;
		(void)io->close(fd);
	}
	errno = EEXIST;
	return err_errno(e, "create a temporary file in %s/" STORE_TMP, d->path);
}

static int
is_tmp_name(const char *name)
{
	return strlen(name) == strlen(TMP_STEM) + 16 && strncmp(name, TMP_STEM, strlen(TMP_STEM)) == 0 &&
	    strspn(name + strlen(TMP_STEM), "0123456789abcdef") == 16;
}

/* Remove tmp/${name} if nobody holds it.  Its name was random and is used once, so the lock is enough. */
static void
sweep_one(struct store_dir *d, const char *name)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), STORE_TMP "/%s", name);
	if ((fd = io->open(d->root, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0)) == -1)
		return;
	if (io->flock(fd, LOCK_EX | LOCK_NB) == 0)
		(void)io->unlinkat(d->root, path, 0);
	(void)io->close(fd);
}

void
store_tmp_sweep(struct store_dir *d)
{
	char **names;
	size_t n;

	if (dir_list(d->root, STORE_TMP, &names, &n, NULL) != 0)
		return;
	for (size_t i = 0; i < n; i++)
		if (is_tmp_name(names[i]))
			sweep_one(d, names[i]);
	dir_list_free(names, n);
}
