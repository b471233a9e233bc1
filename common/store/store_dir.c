#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/space.h"
#include "common/store/store_dir.h"

#define BLOCK		(4u << 20)	/* streamed content is written in these */
#define DIRECT_LEAST	(1u << 20)	/* shorter objects go through the page cache */
#define DIRECT_ALIGN	4096u

int
store_name_is_valid(const char *name)
{
	size_t part = 0, n;

	if (strncmp(name, STORE_TMP "/", sizeof(STORE_TMP)) == 0 || strcmp(name, STORE_TMP) == 0 ||
	    strncmp(name, STORE_LOCAL "/", sizeof(STORE_LOCAL)) == 0 || strcmp(name, STORE_LOCAL) == 0)
		return 0;
	for (n = 0; name[n] != '\0'; n++) {
		char c = name[n];

		if (c == '/') {
			if (part == 0)
				return 0;
			part = 0;
			continue;
		}
		if ((c == '.' && part == 0) || ++part > STORE_PART_MAX)
			return 0;
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_'))
			return 0;
	}
	return part > 0 && n < STORE_NAME_MAX - 1;
}

static int
name_check(const char *name, struct err *e)
{
	if (store_name_is_valid(name))
		return 0;
	return err_set(e, ERR_INTERNAL, "\"%.80s\" is not the name of an object", name);
}

/* 1 if this handle has made ${dir} durable before. */
static int
dir_is_known(struct store_dir *d, const char *dir)
{
	int found = 0;

	(void)pthread_mutex_lock(&d->lock);
	for (size_t i = 0; i < d->nknown && !found; i++)
		found = strcmp(d->known[i], dir) == 0;
	(void)pthread_mutex_unlock(&d->lock);
	return found;
}

static void
dir_remember(struct store_dir *d, const char *dir)
{
	char *copy = strdup(dir);

	if (copy == NULL)
		return;
	(void)pthread_mutex_lock(&d->lock);
	if (d->nknown < STORE_DIRS_KNOWN) {
		d->known[d->nknown++] = copy;
		copy = NULL;
	}
	(void)pthread_mutex_unlock(&d->lock);
	free(copy);
}

/* See to it that the directory of ${name} is there and durable; its name goes into ${dir}. */
static int
dir_ready(struct store_dir *d, const char *name, char dir[STORE_NAME_MAX], struct err *e)
{
	const char *slash = strrchr(name, '/');

	if (slash == NULL) {
		(void)snprintf(dir, STORE_NAME_MAX, ".");
		return 0;
	}
	(void)snprintf(dir, STORE_NAME_MAX, "%.*s", (int)(slash - name), name);
	if (dir_is_known(d, dir))
		return 0;
	if (dir_make(d->root, dir, 0755, e) != 0)
		return err_during(e, "%s", d->path);
	dir_remember(d, dir);
	return 0;
}

/* Clear or set O_DIRECT; -1 where the file system has none. */
static int
set_direct(int fd, int on)
{
	int flags = io->fcntl_int(fd, F_GETFL, 0);

	if (flags == -1)
		return -1;
	return io->fcntl_int(fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT);
}

/*
 * Write a large piece past the page cache where that is possible: as many whole
 * blocks as there are go directly, the rest in the ordinary way.
 */
static int
write_large(int fd, const uint8_t *data, size_t len)
{
	size_t whole = len & ~(size_t)(DIRECT_ALIGN - 1);

	if (len < DIRECT_LEAST || (uintptr_t)data % DIRECT_ALIGN != 0 || set_direct(fd, 1) != 0)
		return io_write_full(fd, data, len, 0);
	if (io_write_full(fd, data, whole, 0) != 0) {
		/* A file system may take the flag and refuse the write. */
		if (errno != EINVAL || set_direct(fd, 0) != 0)
			return -1;
		return io_write_full(fd, data, len, 0);
	}
	if (set_direct(fd, 0) != 0)
		return -1;
	return io_write_full(fd, data + whole, len - whole, (off_t)whole);
}

static int
write_stream(int fd, content_fn read, void *arg, const char *name, struct err *e)
{
	uint8_t *block = malloc(BLOCK);
	ssize_t got;
	int rc = -1;

	if (block == NULL)
		return err_errno(e, "write %s", name);
	while ((got = read(arg, block, BLOCK, e)) > 0)
		if (io_write_full(fd, block, (size_t)got, -1) != 0) {
			(void)err_errno(e, "write %s", name);
			goto free;
		}
	rc = got < 0 ? -1 : 0;
free:
	free(block);
	return rc;
}

/* Sync ${fd}, give it its name, sync the directory: 0 made, 1 the name is taken, -1. */
static int
publish(struct store_dir *d, int fd, const char *tmp, const char *name, const char *dir, struct err *e)
{
	int rc;

	if (io->fsync(fd) != 0) {
		(void)err_errno(e, "fsync %s/%s", d->path, name);
		if (e != NULL)
			e->code = ERR_FSYNC;
		return -1;
	}
	if ((rc = file_publish(d->root, tmp, name, 0, e)) == -1)
		return err_during(e, "%s", d->path);
	if (dir_sync(d->root, dir, e) != 0)
		return err_during(e, "%s", d->path);
	return rc;
}

static void
sweep_once(struct store_dir *d)
{
	int first;

	(void)pthread_mutex_lock(&d->lock);
	first = !d->swept;
	d->swept = 1;
	(void)pthread_mutex_unlock(&d->lock);
	if (first)
		store_tmp_sweep(d);
}

static int
put(struct store_dir *d, const char *name, const void *data, size_t len, content_fn read, void *arg, struct err *e)
{
	char dir[STORE_NAME_MAX], tmp[64];
	struct stat st;
	int fd, rc = -1;

	if (name_check(name, e) != 0)
		return -1;
	sweep_once(d);
	if (dir_ready(d, name, dir, e) != 0)
		return -1;
	if (io->fstatat(d->root, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		/* Whoever made it may have been stopped before it was durable. */
		return dir_sync(d->root, dir, e) != 0 ? -1 : 1;
	if ((fd = store_tmp_create(d, tmp, e)) == -1)
		return -1;
	if (read != NULL) {
		if (write_stream(fd, read, arg, name, e) != 0)
			goto remove;
	} else if (write_large(fd, data, len) != 0) {
		(void)err_errno(e, "write %s/%s", d->path, name);
		goto remove;
	}
	if ((rc = publish(d, fd, tmp, name, dir, e)) == 0)
		goto close;
remove:
	/* The name was made with O_EXCL and is locked: it is ours. */
	(void)io->unlinkat(d->root, tmp, 0);
close:
	(void)io->close(fd);
	return rc;
}

static int
dir_put_new(struct store *s, const char *name, const void *data, size_t len, struct err *e)
{
	return put((struct store_dir *)s, name, data, len, NULL, NULL, e);
}

static int
dir_put_new_from(struct store *s, const char *name, content_fn read, void *arg, struct err *e)
{
	return put((struct store_dir *)s, name, NULL, 0, read, arg, e);
}

static int
dir_get(struct store *s, const char *name, uint64_t off, void *out, size_t len, size_t *got, struct err *e)
{
	const int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
	struct store_dir *d = (struct store_dir *)s;
	struct stat st;
	ssize_t n;
	int fd, rc = -1;

	*got = 0;
	if (name_check(name, e) != 0)
		return -1;
	if ((fd = io->open(d->root, name, flags, 0)) == -1)
		return err_errno(e, "read %s/%s", d->path, name);
	if (io->fstat(fd, &st) != 0 || off > INT64_MAX - len) {
		(void)err_errno(e, "read %s/%s", d->path, name);
	} else if (!S_ISREG(st.st_mode)) {
		(void)err_set(e, ERR_FORMAT, "read %s/%s: it is not a regular file", d->path, name);
	} else if ((n = io_read_full(fd, out, len, (off_t)off)) < 0) {
		(void)err_errno(e, "read %s/%s", d->path, name);
	} else {
		*got = (size_t)n;
		rc = 0;
	}
	(void)io->close(fd);
	return rc;
}

static int
dir_stat(struct store *s, const char *name, uint64_t *len, struct err *e)
{
	struct store_dir *d = (struct store_dir *)s;
	struct stat st;

	*len = 0;
	if (name_check(name, e) != 0)
		return -1;
	if (io->fstatat(d->root, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno == ENOENT)
			return 1;
		return err_errno(e, "look at %s/%s", d->path, name);
	}
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_FORMAT, "%s/%s is not a regular file", d->path, name);
	*len = (uint64_t)st.st_size;
	return 0;
}

static int
dir_del(struct store *s, const char *name, struct err *e)
{
	struct store_dir *d = (struct store_dir *)s;
	char dir[STORE_NAME_MAX];
	const char *slash = strrchr(name, '/');

	if (name_check(name, e) != 0)
		return -1;
	if (io->unlinkat(d->root, name, 0) != 0) {
		if (errno != ENOENT)
			return err_errno(e, "delete %s/%s", d->path, name);
	}
	(void)snprintf(dir, sizeof(dir), "%.*s", slash == NULL ? 1 : (int)(slash - name), slash == NULL ? "." : name);
	/* Also where it was gone: that may not be durable yet. */
	if (dir_sync(d->root, dir, e) != 0) {
		if (errno != ENOENT)
			return -1;
		if (e != NULL)
			err_clear(e);
	}
	return 0;
}

static int
dir_room(struct store *s, uint64_t *bytes, struct err *e)
{
	struct store_dir *d = (struct store_dir *)s;
	struct space room;
	int rc = space_read(d->root, d->path, &room, e);

	*bytes = room.free;
	return rc;
}

static void
dir_free(struct store *s)
{
	struct store_dir *d = (struct store_dir *)s;

	if (d == NULL)
		return;
	for (size_t i = 0; i < d->nknown; i++)
		free(d->known[i]);
	free(d->known);
	if (d->root != -1)
		(void)io->close(d->root);
	(void)pthread_mutex_destroy(&d->lock);
	free(d->path);
	free(d);
}

static const struct store_ops dir_ops = {
	dir_put_new, dir_put_new_from, dir_get, dir_stat, store_dir_list, dir_del, dir_room, dir_free
};

/* Can this file system give a name without replacing?  A file in tmp/ is named by the ladder, and removed. */
static int
probe(struct store_dir *d, struct err *e)
{
	char tmp[64], named[80];
	int fd, rc;

	if ((fd = store_tmp_create(d, tmp, e)) == -1)
		return -1;
	(void)snprintf(named, sizeof(named), "%.*s%s", (int)sizeof(tmp), tmp, "-named");
	rc = file_publish(d->root, tmp, named, 0, e);
	(void)io->unlinkat(d->root, rc == 0 ? named : tmp, 0);
	(void)io->close(fd);
	if (rc == 1)
		return err_set(e, ERR_VAULT_EXISTS, "%s is in use by someone else", d->path);
	return rc;
}

/* A new store's directory: absent, or empty but for what samara itself puts there. */
static int
dir_prepare(struct store_dir *d, struct err *e)
{
	if (dir_make(AT_FDCWD, d->path, 0755, e) != 0)
		return -1;
	if ((d->root = dir_open(AT_FDCWD, d->path, e)) == -1)
		return -1;
	if (dir_make(d->root, STORE_TMP, 0755, e) != 0)
		return -1;
	return probe(d, e);
}

static int
dir_find(struct store_dir *d, struct err *e)
{
	struct stat st;

	if ((d->root = dir_open(AT_FDCWD, d->path, e)) == -1) {
		if (errno == ENOENT || errno == ENOTDIR)
			return err_set(e, ERR_NO_VAULT, errno == ENOTDIR ? "%s is not a directory, so it is no vault" :
			    "there is no vault at %s", d->path);
		return -1;
	}
	if (io->fstatat(d->root, STORE_TMP, &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT &&
	    io->fstatat(d->root, "vault", &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
		return err_set(e, ERR_NO_VAULT, "there is no vault at %s", d->path);
	/* A copy may have come without it; on a read-only one it is not needed. */
	if (io->mkdirat(d->root, STORE_TMP, 0755) != 0 && errno != EEXIST && errno != EROFS && errno != EACCES)
		return err_errno(e, "create %s/" STORE_TMP, d->path);
	return 0;
}

struct store *
store_dir_open(const char *path, int create, struct err *e)
{
	struct store_dir *d = calloc(1, sizeof(*d));

	if (d == NULL) {
		(void)err_errno(e, "open the store %s", path);
		return NULL;
	}
	d->base.ops = &dir_ops;
	d->root = -1;
	(void)pthread_mutex_init(&d->lock, NULL);
	if ((d->path = strdup(path)) == NULL || (d->known = calloc(STORE_DIRS_KNOWN, sizeof(char *))) == NULL) {
		(void)err_errno(e, "open the store %s", path);
		goto free;
	}
	if ((create ? dir_prepare(d, e) : dir_find(d, e)) != 0)
		goto free;
	return &d->base;
free:
	dir_free(&d->base);
	return NULL;
}
