#include "common/flow/listing_diff.h"

#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/stop.h"
#include "common/flow/path_within.h"
#include "common/pack/listing_read.h"

/* One listing, its next entry in view. */
struct side {
	struct listing_reader *r;
	struct fmt_view top, dir;	/* dir: relative, begins with '/' */
	struct entry en;
	int is;				/* 1: there is an entry, 0: the end */
};

/* ${dir} without the top above it. */
static struct fmt_view
below(struct fmt_view dir, struct fmt_view top)
{
	uint32_t skip = top.len > 1 ? top.len : 0;

	return dir.len > skip ? view_of(dir.p + skip, dir.len - skip) : view_of("/", 1);
}

static int
side_next(struct side *s, struct err *e)
{
	struct fmt_view dir;
	int rc;

	while ((rc = listing_reader_next(s->r, &dir, &s->en, e)) == 2 && path_is_within(dir, s->top))
		;
	s->is = rc == 1;
	if (rc == 1)
		s->dir = below(dir, s->top);
	return rc < 0 ? -1 : 0;
}

static int
side_open(struct side *s, const struct diff_side *d, struct err *e)
{
	const struct snapshot_root *root = &d->snap->root;

	memset(s, 0, sizeof(*s));
	s->top = view_of(d->top, strlen(d->top));
	if ((s->r = listing_reader_new(root->top_id, root->levels, source_get, d->reader, NULL, NULL)) == NULL)
		return err_set(e, ERR_MEMORY, "no memory to read a listing");
	if (s->top.len > 1 && listing_reader_seek(s->r, s->top, e) != 0)
		return -1;
	return side_next(s, e);
}

static int
views_differ(struct fmt_view a, struct fmt_view b)
{
	return a.len != b.len || (a.len > 0 && memcmp(a.p, b.p, a.len) != 0);
}

static int
longs_differ(const struct entry *a, const struct entry *b, unsigned which, const struct spill *x, const struct spill *y)
{
	return (a->longs & which) != (b->longs & which) ||
	    ((a->longs & which) != 0 && memcmp(x->id, y->id, DIGEST_LEN) != 0);
}

/* What there is between two entries of one name; 0: nothing. */
static int
entries_differ(const struct entry *a, const struct entry *b)
{
	int times = a->mtime_s != b->mtime_s || a->mtime_ns != b->mtime_ns;

	if (a->type != b->type)
		return DIFF_TYPE;
	if (a->size != b->size || views_differ(a->target, b->target) || a->major != b->major || a->minor != b->minor)
		return DIFF_CHANGED;
	if (times && (views_differ(a->extents, b->extents) ||
	    longs_differ(a, b, LONG_EXTENTS, &a->long_extents, &b->long_extents)))
		return DIFF_CHANGED;
	if (times || a->mode != b->mode || a->uid != b->uid || a->gid != b->gid || views_differ(a->user, b->user) ||
	    views_differ(a->group, b->group) || views_differ(a->xattrs, b->xattrs) ||
	    longs_differ(a, b, LONG_XATTRS, &a->long_xattrs, &b->long_xattrs))
		return DIFF_META;
	return 0;
}

/* The order of two entries in a listing. */
static int
sides_order(const struct side *a, const struct side *b)
{
	int order;

	if (!a->is || !b->is)
		return a->is ? -1 : 1;
	order = path_order(a->dir, b->dir);
	return order != 0 ? order : name_order(a->en.name, b->en.name);
}

static int
tell(struct buf *path, const struct side *s, enum diff_kind kind, const struct entry *a, const struct entry *b, diff_fn fn,
    void *arg, struct err *e)
{
	buf_reset(path);
	if (s->dir.len > 1) {
		buf_add(path, s->dir.p + 1, s->dir.len - 1);
		buf_u8(path, '/');
	}
	buf_add(path, s->en.name.p, s->en.name.len);
	if (buf_check(path, e) != 0)
		return -1;
	return fn(arg, kind, view_of(path->p, path->len), a, b, e);
}

int
listing_diff(const struct diff_side *da, const struct diff_side *db, diff_fn fn, void *arg, struct err *e)
{
	struct side a = { 0 }, b = { 0 };
	struct buf path;
	int rc, order, kind;

	buf_init(&path);
	if ((rc = side_open(&a, da, e)) == 0)
		rc = side_open(&b, db, e);
	while (rc == 0 && (a.is || b.is)) {
		if ((order = sides_order(&a, &b)) < 0)
			rc = tell(&path, &a, DIFF_REMOVED, &a.en, NULL, fn, arg, e);
		else if (order > 0)
			rc = tell(&path, &b, DIFF_ADDED, NULL, &b.en, fn, arg, e);
		else if ((kind = entries_differ(&a.en, &b.en)) != 0)
			rc = tell(&path, &a, (enum diff_kind)kind, &a.en, &b.en, fn, arg, e);
		if (rc == 0 && order <= 0)
			rc = side_next(&a, e);
		if (rc == 0 && order >= 0)
			rc = side_next(&b, e);
		if (rc == 0)
			rc = stop_check(e);
	}
	if (a.r != NULL)
		listing_reader_free(a.r);
	if (b.r != NULL)
		listing_reader_free(b.r);
	buf_release(&path);
	return rc;
}
