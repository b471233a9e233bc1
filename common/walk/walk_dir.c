#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/io.h"
#include "common/walk/walk_dir.h"
#include "common/walk/walker.h"

struct walk_dir {
	atomic_uint held;
	int fd;
	size_t len;
	char path[];
};

struct walk_dir *
walk_dir_new(int fd, const char *path, size_t len)
{
	struct walk_dir *d = malloc(sizeof(*d) + len + 1);

	if (d == NULL) {
		(void)io->close(fd);
		return NULL;
	}
	atomic_init(&d->held, 1);
	d->fd = fd;
	d->len = len;
	memcpy(d->path, path, len);
	d->path[len] = '\0';
	return d;
}

int
walk_dir_fd(const struct walk_dir *d)
{
	return d->fd;
}

struct fmt_view
walk_dir_path(const struct walk_dir *d)
{
	return view_of(d->path, d->len);
}

struct walk_dir *
walk_dir_hold(struct walk_dir *d)
{
	(void)atomic_fetch_add_explicit(&d->held, 1, memory_order_relaxed);
	return d;
}

void
walk_dir_release(struct walk_dir *d)
{
	if (d == NULL || atomic_fetch_sub_explicit(&d->held, 1, memory_order_acq_rel) != 1)
		return;
	(void)io->close(d->fd);
	free(d);
}
