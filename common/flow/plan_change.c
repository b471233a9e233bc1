#include "common/flow/plan_change.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"

/* One directory on the way down to the one at hand. */
struct change_dir {
	char *path;
	size_t len;
	bool above;
	uint64_t sum;			/* all below it so far */
	struct plan_path top[PLAN_TOP];	/* disjoint, most first */
	size_t n;
};

struct plan_change {
	struct change_dir *dir;
	size_t n, cap;
};

struct plan_change *
plan_change_new(void)
{
	return calloc(1, sizeof(struct plan_change));
}

static void
top_release(struct change_dir *d)
{
	for (size_t i = 0; i < d->n; i++)
		free(d->top[i].path);
	d->n = 0;
}

void
plan_change_free(struct plan_change *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->n; i++) {
		top_release(&c->dir[i]);
		free(c->dir[i].path);
	}
	free(c->dir);
	free(c);
}

/* Whether ${bytes} would be among the most. */
static bool
top_takes(const struct change_dir *d, uint64_t bytes)
{
	return bytes > 0 && (d->n < PLAN_TOP || bytes > d->top[PLAN_TOP - 1].bytes);
}

/* Put ${path}, which is taken over, where it belongs. */
static void
top_put(struct change_dir *d, char *path, uint64_t bytes)
{
	size_t i;

	if (d->n == PLAN_TOP)
		free(d->top[--d->n].path);
	for (i = d->n++; i > 0 && d->top[i - 1].bytes < bytes; i--)
		d->top[i] = d->top[i - 1];
	d->top[i] = (struct plan_path){ .path = path, .bytes = bytes };
}

/* What stands for a directory that is complete: itself, or what holds most of it. */
static void
dir_settle(struct change_dir *d)
{
	uint64_t named = 0;

	for (size_t i = 0; i < d->n; i++)
		named += d->top[i].bytes;
	if (d->above || d->sum == 0 || named / 3 >= d->sum / 5)
		return;
	top_release(d);
	d->top[d->n++] = (struct plan_path){ .path = d->path, .bytes = d->sum };
	d->path = NULL;
}

/* The deepest directory is complete: it goes into the one above it. */
static void
dir_close(struct plan_change *c)
{
	struct change_dir *d = &c->dir[c->n - 1], *up = c->n > 1 ? d - 1 : NULL;

	dir_settle(d);
	if (up == NULL)
		return;
	up->sum += d->sum;
	for (size_t i = 0; i < d->n; i++) {
		if (top_takes(up, d->top[i].bytes))
			top_put(up, d->top[i].path, d->top[i].bytes);
		else
			free(d->top[i].path);
	}
	free(d->path);
	c->n--;
}

static bool
is_below(const struct change_dir *d, struct fmt_view path)
{
	size_t len = d->len == 1 ? 0 : d->len;

	return path.len > len + 1 && memcmp(path.p, d->path, len) == 0 && path.p[len] == '/';
}

int
plan_change_dir(struct plan_change *c, struct fmt_view path, bool above, struct err *e)
{
	struct change_dir *grown, *d;

	while (c->n > 1 && !is_below(&c->dir[c->n - 1], path))
		dir_close(c);
	if (c->n == c->cap) {
		if ((grown = realloc(c->dir, (c->cap + 64) * sizeof(*grown))) == NULL)
			return err_errno(e, "note what changes");
		c->dir = grown;
		c->cap += 64;
	}
	d = &c->dir[c->n];
	memset(d, 0, sizeof(*d));
	if ((d->path = strndup((const char *)path.p, path.len)) == NULL)
		return err_errno(e, "note what changes");
	d->len = path.len;
	d->above = above;
	c->n++;
	return 0;
}

int
plan_change_file(struct plan_change *c, struct fmt_view name, uint64_t bytes, struct err *e)
{
	struct change_dir *d = &c->dir[c->n - 1];
	size_t len = d->len == 1 ? 0 : d->len;
	char *path;

	d->sum += bytes;
	if (!top_takes(d, bytes))
		return 0;
	if ((path = malloc(len + name.len + 2)) == NULL)
		return err_errno(e, "note what changes");
	memcpy(path, d->path, len);
	path[len] = '/';
	memcpy(path + len + 1, name.p, name.len);
	path[len + 1 + name.len] = '\0';
	top_put(d, path, bytes);
	return 0;
}

void
plan_change_finish(struct plan_change *c, struct plan_path top[PLAN_TOP], size_t *n)
{
	struct change_dir *d;

	*n = 0;
	while (c->n > 1)
		dir_close(c);
	if (c->n == 0)
		return;
	d = &c->dir[0];
	dir_settle(d);
	for (; *n < d->n; (*n)++)
		top[*n] = d->top[*n];
	d->n = 0;
}
