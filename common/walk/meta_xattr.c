#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/text.h"
#include "common/walk/meta.h"

#define LIST_FIRST	1024u		/* most lists of names fit */
#define LIST_MAX	(1u << 20)
#define PROC_PATH_MAX	320		/* "/proc/self/fd/N/" and a name */

void
xattr_rows_release(struct xattr_rows *x)
{
	free(x->p);
	*x = (struct xattr_rows){ 0 };
}

/* The object: a descriptor, or a path through one that needs no path of its own. */
struct object {
	int fd;				/* -1: by path */
	char path[PROC_PATH_MAX];
};

static ssize_t
object_list(const struct object *o, char *list, size_t n)
{
	return o->fd != -1 ? io->flistxattr(o->fd, list, n) : io->listxattr(o->path, list, n, 1);
}

static ssize_t
object_get(const struct object *o, const char *name, void *v, size_t n)
{
	return o->fd != -1 ? io->fgetxattr(o->fd, name, v, n) : io->getxattr(o->path, name, v, n, 1);
}

static bool
means_none(int sys)
{
	return sys == ENOTSUP || sys == ENOSYS;
}

/* Room for ${n} more bytes. */
static int
rows_reserve(struct xattr_rows *x, size_t n)
{
	size_t cap = x->cap == 0 ? 512 : x->cap;
	uint8_t *grown;

	if (x->cap - x->len >= n)
		return 0;
	while (cap - x->len < n)
		cap *= 2;
	if ((grown = realloc(x->p, cap)) == NULL)
		return -1;
	x->p = grown;
	x->cap = cap;
	return 0;
}

/* Only the ACLs of POSIX among what file systems make up themselves can be put back. */
static bool
is_wanted(const char *name)
{
	if (strncmp(name, "system.", 7) != 0)
		return true;
	return strcmp(name, "system.posix_acl_access") == 0 || strcmp(name, "system.posix_acl_default") == 0;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Append the row of ${name}; 0 also where it vanished or is too long. */
static int
row_add(const struct object *o, const char *name, struct xattr_rows *x)
{
	size_t head = 1 + strlen(name) + 4, room = 256;
	ssize_t got;

	for (;;) {
		if (rows_reserve(x, head + room) != 0)
			return -1;
		got = object_get(o, name, x->p + x->len + head, room);
		if (got != -1 || errno != ERANGE)
			break;
		if (room >= XATTR_VALUE_MAX)
			break;
		room = room < 4096 ? 4096 : XATTR_VALUE_MAX;
	}
	if (got == -1 && errno == ERANGE) {
		x->passed++;
		return 0;
	}
	if (got == -1)
		return errno == ENODATA || means_none(errno) ? 0 : -1;
	x->p[x->len] = (uint8_t)(head - 5);
	memcpy(x->p + x->len + 1, name, head - 5);
	le32_put(x->p + x->len + head - 4, (uint32_t)got);
	x->len += head + (size_t)got;
	return 0;
}

/* The rows of the ${len} bytes of zero-terminated names at ${list}. */
static int
rows_read(const struct object *o, const char *list, size_t len, struct xattr_rows *x)
{
	const char **names;
	size_t n = 0, all = 0;
	int rc = 0;

	for (size_t i = 0; i < len; i++)
		all += list[i] == '\0';
	if (all == 0)
		return 0;
	if ((names = calloc(all, sizeof(*names))) == NULL)
		return -1;
	for (const char *p = list; p < list + len; p += strlen(p) + 1) {
		if (is_wanted(p) && strlen(p) <= XATTR_NAME_MAX_LEN && *p != '\0')
			names[n++] = p;
		else
			x->passed++;
	}
	qsort(names, n, sizeof(*names), by_name);
	for (size_t i = 0; i < n && rc == 0; i++) {
		if (i >= XATTRS_MAX)
			x->passed++;
		else if (i == 0 || strcmp(names[i - 1], names[i]) != 0)
			rc = row_add(o, names[i], x);
	}
	free(names);
	return rc;
}

/* The list of names is longer than the first guess. */
static int
rows_read_long(const struct object *o, struct xattr_rows *x)
{
	ssize_t len = -1;
	char *list = NULL, *grown;
	int rc = -1;

	for (size_t n = LIST_FIRST * 16; n <= LIST_MAX && len == -1; n *= 4) {
		if ((grown = realloc(list, n)) == NULL)
			break;
		list = grown;
		len = object_list(o, list, n);
		if (len == -1 && errno != ERANGE)
			break;
	}
	if (len != -1)
		rc = rows_read(o, list, (size_t)len, x);
	free(list);
	return rc;
}

static int
object_read(const struct object *o, struct xattr_rows *x)
{
	char list[LIST_FIRST];
	ssize_t len = object_list(o, list, sizeof(list));

	if (len == 0 || (len == -1 && means_none(errno)))
		return 0;
	if (len > 0)
		return rows_read(o, list, (size_t)len, x);
	return errno == ERANGE ? rows_read_long(o, x) : -1;
}

/*
 * Without /proc only what can be opened can be asked: files and directories.
 * Devices are never opened.  Return a descriptor; -1 with errno, or with 0 where
 * there is nothing to ask.
 */
static int
open_plain(int dirfd, const char *name)
{
	struct stat st;

	if (io->fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return -1;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
		errno = 0;
		return -1;
	}
	return io->open(dirfd, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, 0);
}

int
meta_xattrs_read(int fd, int dirfd, const char *name, struct xattr_rows *x, struct err *e)
{
	struct object o = { .fd = fd };
	char safe[600];
	int own = -1, rc;

	x->len = 0;
	x->passed = 0;
	if (fd == -1)
		(void)snprintf(o.path, sizeof(o.path), "/proc/self/fd/%d/%s", dirfd, name);
	rc = object_read(&o, x);
	if (rc != 0 && fd == -1 && (errno == ENOENT || errno == ENOTDIR)) {
		if ((own = open_plain(dirfd, name)) == -1 && errno == 0)
			return 0;
		o.fd = own;
		x->len = 0;
		rc = own == -1 ? -1 : object_read(&o, x);
	}
	if (rc != 0) {
		(void)err_errno(e, "read the extended attributes of %s",
		    name != NULL ? text_safe(safe, sizeof(safe), name, strlen(name)) : "a file");
		x->len = 0;
	}
	if (own != -1)
		(void)io->close(own);
	return rc;
}
