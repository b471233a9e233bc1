#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/text.h"
#include "common/walk/beneath.h"
#include "common/walk/place_object.h"

struct place_file {
	struct place_dir *dir;
	int fd;
	int direct;		/* the same file, past the cache; -1: not to be had */
	uint64_t end;		/* behind the last byte written; atomic */
	bool named;		/* has its final name from the start */
	char temp[TEMP_NAME_LEN];
	char name[NAME_LEN_MAX + 1];
};

/* Open the temporary file, new; one that a stopped run of the same restore left is removed. */
static int
temp_open(const struct place_dir *d, const char *temp)
{
	int fd = -1;

	for (unsigned try = 0; try < 2 && fd == -1; try++) {
		fd = beneath_open(d->fd, temp, O_WRONLY | O_CREAT | O_EXCL, 0600);
		if (fd == -1 && (errno != EEXIST || io->unlinkat(d->fd, temp, 0) != 0))
			break;
	}
	return fd;
}

/*
 * In a directory that this run made nothing is in the way, and nobody takes a
 * file for whole before its times are set, which comes last: the next run of
 * this restore would write it anew.  So it needs no name for the meantime,
 * unless that next run leaves alone what it finds.
 */
static int
file_open(struct place_file *f, struct place_dir *d)
{
	f->named = d->fresh && d->opt->overwrite != PLACE_NEVER;
	if (f->named && (f->fd = beneath_open(d->fd, f->name, O_WRONLY | O_CREAT | O_EXCL, 0600)) == -1) {
		if (errno != EEXIST)
			return -1;
		f->named = false;	/* a listing that names it twice, or somebody else */
	}
	if (f->fd == -1) {
		object_temp(d, f->name, f->temp);
		f->fd = temp_open(d, f->temp);
	}
	return f->fd;
}

/* What is there has the right content; owner and mode may have been left behind. */
static int
same_complete(const struct place_dir *d, const char *name, const struct entry *en, const struct stat *st,
    struct meta_report *report, struct err *e)
{
	if ((st->st_mode & 07777) == en->mode && st->st_uid == en->uid && st->st_gid == en->gid)
		return 0;
	return meta_apply(-1, d->fd, name, en, &d->opt->meta, report, e) == -1 ? -1 : 0;
}

int
place_file_begin(struct place_dir *d, const struct entry *en, struct place_file **f,
    enum place_result *res, struct place_id *id, struct meta_report *report, struct err *e)
{
	struct place_file *new;
	struct stat st;
	char safe[600];

	*f = NULL;
	if ((new = calloc(1, sizeof(*new))) == NULL)
		return err_errno(e, "make a file");
	new->fd = -1;
	new->direct = -1;
	if (object_name(en, new->name, e) != 0 || object_there(d, new->name, en, res, &st, e) != 0)
		goto fail;
	if (*res != PLACE_DONE) {
		if (*res == PLACE_SAME && same_complete(d, new->name, en, &st, report, e) != 0)
			goto fail;
		if (*res == PLACE_SAME && id != NULL)
			*id = (struct place_id){ .dev = st.st_dev, .ino = st.st_ino };
		free(new);
		return 0;
	}
	if (file_open(new, d) == -1) {
		(void)err_errno(e, "make %s", text_safe(safe, sizeof(safe), new->name, strlen(new->name)));
		goto fail;
	}
	(void)__atomic_add_fetch(&d->held, 1, __ATOMIC_RELAXED);
	new->dir = d;
	*f = new;
	return 0;
fail:
	free(new);
	return -1;
}

int
place_file_there(struct place_dir *d, const struct entry *en, enum place_result *res, struct err *e)
{
	char name[NAME_LEN_MAX + 1];
	struct stat st;

	return object_name(en, name, e) != 0 ? -1 : object_there(d, name, en, res, &st, e);
}

int
place_file_large(struct place_file *f, uint64_t size, struct err *e)
{
	char path[64], safe[600];

	if (io->ftruncate(f->fd, (off_t)size) != 0)
		return err_errno(e, "give %s its size", text_safe(safe, sizeof(safe), f->name, strlen(f->name)));
	f->end = size;
	/* A description of its own, since the flag belongs to the description; without /proc it stays in the cache. */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd);
	f->direct = io->open(AT_FDCWD, path, O_WRONLY | O_CLOEXEC | O_DIRECT, 0);
	return 0;
}

/* Whole blocks past the cache.  0; 1 it cannot be done so; -1 with errno. */
static int
blocks_write(struct place_file *f, const void *buf, size_t n, uint64_t at)
{
	if (f->direct == -1 || ((uintptr_t)buf | n | at) % PLACE_BLOCK != 0)
		return 1;
	if (io_write_full(f->direct, buf, n, (off_t)at) == 0)
		return 0;
	return errno == EINVAL ? 1 : -1;
}

int
place_file_write(struct place_file *f, const void *buf, size_t n, uint64_t at, struct err *e)
{
	char safe[600];
	uint64_t was;
	int rc;

	if (n > (uint64_t)INT64_MAX || at > (uint64_t)INT64_MAX - n)
		return err_set(e, ERR_FORMAT, "a file longer than any file can be");
	rc = blocks_write(f, buf, n, at);
	if (rc == -1 || (rc == 1 && io_write_full(f->fd, buf, n, (off_t)at) != 0))
		return err_errno(e, "write %s", text_safe(safe, sizeof(safe), f->name, strlen(f->name)));
	was = __atomic_load_n(&f->end, __ATOMIC_RELAXED);
	while (at + n > was &&
	    !__atomic_compare_exchange_n(&f->end, &was, at + n, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	return 0;
}

static void
file_free(struct place_file *f)
{
	if (f->fd != -1)
		(void)io->close(f->fd);
	if (f->direct != -1)
		(void)io->close(f->direct);
	place_dir_release(f->dir);
	free(f);
}

void
place_file_abandon(struct place_file *f)
{
	if (f == NULL)
		return;
	(void)io->unlinkat(f->dir->fd, f->named ? f->name : f->temp, 0);
	file_free(f);
}

/* See that a temporary name still is this file: only it may get the final one. */
static int
still_there(const struct place_file *f, struct place_id *id)
{
	struct stat own, named;

	if (f->named && id == NULL)
		return 0;
	if (io->fstat(f->fd, &own) != 0 ||
	    (!f->named && io->fstatat(f->dir->fd, f->temp, &named, AT_SYMLINK_NOFOLLOW) != 0))
		return -1;
	if (f->named)
		named = own;
	if (own.st_dev != named.st_dev || own.st_ino != named.st_ino) {
		errno = ESTALE;
		return -1;
	}
	if (id != NULL)
		*id = (struct place_id){ .dev = own.st_dev, .ino = own.st_ino };
	return 0;
}

int
place_file_commit(struct place_file *f, const struct entry *en, struct meta_report *report,
    enum place_result *res, struct place_id *id, struct err *e)
{
	struct meta_options meta = f->dir->opt->meta;
	char safe[600];
	int missed, fd;

	(void)text_safe(safe, sizeof(safe), f->name, strlen(f->name));
	meta.bare = f->dir->fresh && !f->dir->opt->inherits;
	*res = PLACE_DONE;
	if (f->end != en->size && io->ftruncate(f->fd, (off_t)en->size) != 0) {
		(void)err_errno(e, "give %s its size", safe);
		goto fail;
	}
	if ((missed = meta_apply(f->fd, -1, f->name, en, &meta, report, e)) == -1)
		goto fail;
	if (still_there(f, id) != 0) {
		(void)err_errno(e, "finish %s: its temporary name was taken away", safe);
		goto fail_keep;
	}
	fd = f->fd;
	f->fd = -1;
	if (io->close(fd) != 0) {
		(void)err_errno(e, "finish %s", safe);
		goto fail;
	}
	if (!f->named && object_publish(f->dir, f->temp, f->name, res, e) != 0)
		missed = -1;
	file_free(f);
	return missed;
fail:
	place_file_abandon(f);
	return -1;
fail_keep:
	file_free(f);		/* whatever has that name now is not this file */
	return -1;
}
