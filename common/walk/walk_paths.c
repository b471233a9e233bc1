#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/text.h"
#include "common/walk/walk_paths.h"
#include "formats/fmt_listing.h"

static int
in_listing_order(const void *a, const void *b)
{
	const struct given_path *x = *(struct given_path *const *)a, *y = *(struct given_path *const *)b;
	int c = path_order(view_of(x->resolved, x->len), view_of(y->resolved, y->len));

	return c != 0 ? c : (x > y) - (x < y);
}

/* The length of a directory's name as a prefix of what lies below it: "/" counts as nothing. */
static size_t
prefix_len(const char *dir, size_t len)
{
	return len == 1 && dir[0] == '/' ? 0 : len;
}

static bool
is_below(const struct given_path *p, const char *dir, size_t len)
{
	len = prefix_len(dir, len);
	return p->len > len + 1 && p->resolved[len] == '/' && memcmp(p->resolved, dir, len) == 0;
}

static int
path_resolve(struct given_path *p, const char *given, struct err *e)
{
	struct stat st;
	char safe[600], *trimmed;
	size_t n = strlen(given);

	p->given = given;
	(void)text_safe(safe, sizeof(safe), given, n);
	if ((p->resolved = realpath(given, NULL)) == NULL) {
		(void)err_errno(e, "look for %s", safe);
		if (e != NULL && e->code != ERR_MEMORY)
			e->code = ERR_SOURCE;
		return -1;
	}
	p->len = strlen(p->resolved);
	while (n > 1 && given[n - 1] == '/')
		n--;
	if ((trimmed = strndup(given, n)) == NULL)
		return err_errno(e, "look for %s", safe);
	p->followed = io->fstatat(AT_FDCWD, trimmed, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
	free(trimmed);
	return 0;
}

int
path_list_init(struct path_list *l, const char *const *paths, size_t n, struct err *e)
{
	struct given_path *last = NULL;

	*l = (struct path_list){ 0 };
	if (n == 0)
		return err_set(e, ERR_USAGE, "no path to walk was given");
	l->given = calloc(n, sizeof(*l->given));
	l->sorted = calloc(n, sizeof(*l->sorted));
	if (l->given == NULL || l->sorted == NULL) {
		(void)err_errno(e, "note the paths");
		goto fail;
	}
	for (; l->n < n; l->n++) {
		if (path_resolve(&l->given[l->n], paths[l->n], e) != 0) {
			free(l->given[l->n].resolved);
			goto fail;
		}
		l->sorted[l->n] = &l->given[l->n];
	}
	qsort(l->sorted, n, sizeof(*l->sorted), in_listing_order);
	for (size_t i = 0; i < n; i++) {
		struct given_path *p = l->sorted[i];
		struct given_path *before = l->nsorted > 0 ? l->sorted[l->nsorted - 1] : NULL;

		p->inside = (before != NULL && strcmp(before->resolved, p->resolved) == 0) ||
		    (last != NULL && is_below(p, last->resolved, last->len));
		if (before == NULL || strcmp(before->resolved, p->resolved) != 0)
			l->sorted[l->nsorted++] = p;
		if (!p->inside)
			last = p;
	}
	return 0;
fail:
	path_list_release(l);
	return -1;
}

void
path_list_release(struct path_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->given[i].resolved);
	free(l->given);
	free(l->sorted);
	*l = (struct path_list){ 0 };
}

struct path_range
path_list_below(const struct path_list *l, const char *dir, size_t len)
{
	struct path_range r;

	for (r.from = 0; r.from < l->nsorted && !is_below(l->sorted[r.from], dir, len); r.from++)
		;
	for (r.to = r.from; r.to < l->nsorted && is_below(l->sorted[r.to], dir, len); r.to++)
		;
	return r;
}

/* The name below a directory of ${dir_len} bytes that leads to ${p}. */
static size_t
next_name(const struct given_path *p, size_t dir_len, const char **name)
{
	dir_len = prefix_len(p->resolved, dir_len);
	*name = p->resolved + dir_len + 1;
	return strcspn(*name, "/");
}

enum path_claim
path_list_claim(const struct path_list *l, struct path_range r, size_t dir_len, const char *name, size_t len)
{
	enum path_claim claim = CLAIM_NONE;
	const char *step;

	for (size_t i = r.from; i < r.to; i++) {
		if (next_name(l->sorted[i], dir_len, &step) != len || memcmp(step, name, len) != 0)
			continue;
		if (step[len] == '\0')
			return CLAIM_EXACT;
		claim = CLAIM_ABOVE;
	}
	return claim;
}

bool
path_list_step(const struct path_list *l, struct path_range r, size_t dir_len, size_t *at,
    const char **name, size_t *len)
{
	const char *again;

	if (*at >= r.to)
		return false;
	*len = next_name(l->sorted[(*at)++], dir_len, name);
	while (*at < r.to && next_name(l->sorted[*at], dir_len, &again) == *len &&
	    memcmp(again, *name, *len) == 0)
		(*at)++;
	return true;
}
