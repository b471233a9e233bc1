#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/store/store_dir.h"

/* One call of the verb list. */
struct walk {
	struct store_dir *d;
	const char *prefix, *from;
	int (*fn)(void *arg, const char *name, uint64_t len, struct err *e);
	void *arg;
};

struct item {
	char *key;		/* whole name; of a directory with '/' at its end, so that bytewise order is that of what is in it */
	uint64_t len;
	int is_dir;
};

/* May anything below the directory ${key} ("a/b/") be asked for? */
static int
dir_concerns(const struct walk *w, const char *key)
{
	size_t n = strlen(key), p = strlen(w->prefix);

	if (strncmp(key, w->prefix, n < p ? n : p) != 0)
		return 0;
	return strncmp(key, w->from, n) >= 0;
}

static int
item_order(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->key, ((const struct item *)b)->key);
}

static void
items_free(struct item *items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(items[i].key);
	free(items);
}

/* Look at one name in ${dir} ("" or "a/b/"): 0 it is an item, 1 it is nothing of ours, -1. */
static int
item_make(const struct walk *w, const char *dir, const char *name, struct item *it, struct err *e)
{
	char key[STORE_NAME_MAX];
	struct stat st;
	int n;

	n = snprintf(key, sizeof(key) - 1, "%s%s", dir, name);
	if (n < 0 || (size_t)n >= sizeof(key) - 1 || !store_name_is_valid(key))
		return 1;
	if (io->fstatat(w->d->root, key, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno == ENOENT)	/* deleted meanwhile */
			return 1;
		return err_errno(e, "look at %s/%s", w->d->path, key);
	}
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return 1;
	it->is_dir = S_ISDIR(st.st_mode);
	it->len = (uint64_t)st.st_size;
	if (it->is_dir)
		key[n] = '/', key[n + 1] = '\0';
	if ((it->key = strdup(key)) == NULL)
		return err_errno(e, "list %s", w->d->path);
	return 0;
}

static int
items_read(const struct walk *w, const char *dir, struct item **items, size_t *count, struct err *e)
{
	char **names;
	size_t n, kept = 0;
	int rc = 0;

	*items = NULL;
	*count = 0;
	if (dir_list(w->d->root, *dir == '\0' ? "." : dir, &names, &n, e) != 0) {
		if (errno != ENOENT)
			return err_during(e, "list %s", w->d->path);
		if (e != NULL)
			err_clear(e);
		return 0;
	}
	if ((*items = calloc(n + 1, sizeof(**items))) == NULL) {
		dir_list_free(names, n);
		return err_errno(e, "list %s", w->d->path);
	}
	for (size_t i = 0; i < n && rc >= 0; i++) {
		if ((rc = item_make(w, dir, names[i], &(*items)[kept], e)) == 0)
			kept++;
	}
	dir_list_free(names, n);
	*count = kept;
	if (rc < 0) {
		items_free(*items, kept);
		*items = NULL;
		return -1;
	}
	qsort(*items, kept, sizeof(**items), item_order);
	return 0;
}

/* Depth is bounded by the length of a valid name. */
static int
walk_dir(const struct walk *w, const char *dir, struct err *e)
{
	struct item *items;
	size_t n;
	int rc = 0;

	if (items_read(w, dir, &items, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n && rc == 0; i++) {
		if (items[i].is_dir) {
			if (dir_concerns(w, items[i].key))
				rc = walk_dir(w, items[i].key, e);
		} else if (strncmp(items[i].key, w->prefix, strlen(w->prefix)) == 0 &&
		    strcmp(items[i].key, w->from) > 0) {
			rc = w->fn(w->arg, items[i].key, items[i].len, e);
		}
	}
	items_free(items, n);
	return rc;
}

int
store_dir_list(struct store *s, const char *prefix, const char *from,
    int (*fn)(void *arg, const char *name, uint64_t len, struct err *e), void *arg, struct err *e)
{
	struct walk w = { (struct store_dir *)s, prefix, from, fn, arg };
	char start[STORE_NAME_MAX] = "";
	const char *slash = strrchr(prefix, '/');

	/* Begin where all of the prefix's objects are, not at the top. */
	if (slash != NULL && (size_t)(slash - prefix) + 2 < sizeof(start)) {
		memcpy(start, prefix, (size_t)(slash - prefix) + 1);
		start[slash - prefix] = '\0';
		if (!store_name_is_valid(start))
			return 0;
		start[slash - prefix] = '/';
	}
	return walk_dir(&w, start, e);
}
