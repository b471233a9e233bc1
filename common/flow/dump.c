#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/stop.h"
#include "common/base/text.h"
#include "common/flow/dump.h"
#include "common/flow/entry_xattrs.h"
#include "common/flow/link_table.h"
#include "common/flow/path_within.h"
#include "common/pack/listing_read.h"
#include "common/walk/tar_out.h"

#define ZEROS_LEN	(64u << 10)
#define LINKS_MEMORY	((size_t)96 << 20)

#define AHEAD_EXTENTS	64u

struct dump {
	struct source *source;
	struct source_reader *reader;
	int fd;
	/* Extents that come next: their chunks are wanted, and got meanwhile. */
	struct extent ahead[AHEAD_EXTENTS];
	size_t first, n;
	int (*use)(void *arg, const struct extent *x, struct err *e);
	void *arg;
};

/* The oldest of those that wait is used, or, with ${keep} 0, all of them are. */
static int
ahead_use(struct dump *d, size_t keep, struct err *e)
{
	int rc = 0;

	while (rc == 0 && d->n > keep) {
		struct extent *x = &d->ahead[d->first];

		rc = d->use(d->arg, x, e);
		if (!extent_is_hole(x))
			source_unwant(d->source, x->id);
		d->first = (d->first + 1) % AHEAD_EXTENTS;
		d->n--;
	}
	return rc;
}

static int
extent_comes(void *arg, uint64_t at, const struct extent *x, struct err *e)
{
	struct dump *d = arg;

	(void)at;
	if (d->n == AHEAD_EXTENTS && ahead_use(d, AHEAD_EXTENTS - 1, e) != 0)
		return -1;
	d->ahead[(d->first + d->n++) % AHEAD_EXTENTS] = *x;
	if (!extent_is_hole(x))
		source_want(d->source, x->id);
	return 0;
}

/* All extents of ${en} through ${use}, chunks being got ahead of it. */
static int
extents_use(struct dump *d, const struct entry *en, int (*use)(void *arg, const struct extent *x, struct err *e), void *arg,
    struct err *e)
{
	int rc;

	d->use = use;
	d->arg = arg;
	rc = extents_each(en, source_get, d->reader, NULL, NULL, extent_comes, d, e);
	if (rc == 0)
		rc = ahead_use(d, 0, e);
	for (; d->n > 0; d->n--, d->first = (d->first + 1) % AHEAD_EXTENTS)
		if (!extent_is_hole(&d->ahead[d->first]))
			source_unwant(d->source, d->ahead[d->first].id);
	return rc;
}

static int
zeros_write(struct dump *d, uint64_t len, struct err *e)
{
	static const uint8_t zeros[ZEROS_LEN];

	while (len > 0) {
		size_t n = len < ZEROS_LEN ? (size_t)len : ZEROS_LEN;

		if (io_write_full(d->fd, zeros, n, -1) != 0)
			return err_errno(e, "write to the output");
		if (stop_check(e) != 0)
			return -1;
		len -= n;
	}
	return 0;
}

static int
extent_dump(void *arg, const struct extent *x, struct err *e)
{
	struct dump *d = arg;
	const uint8_t *plain;
	size_t len;

	if (extent_is_hole(x))
		return zeros_write(d, x->len, e);
	if (source_get(d->reader, x->id, 0, &plain, &len, e) != 0)
		return -1;
	if (x->offset > len || x->len > len - x->offset)
		return err_set(e, ERR_DAMAGE, "an extent of the file lies outside its chunk");
	if (io_write_full(d->fd, plain + x->offset, (size_t)x->len, -1) != 0)
		return err_errno(e, "write to the output");
	return stop_check(e);
}

/* One archive. */
struct archive {
	struct dump d;
	struct tar_out *tar;
	struct links *links;
	size_t strip;		/* bytes of each path that fall away */
	struct buf path, link, xattrs;
};

static int
extent_archive(void *arg, const struct extent *x, struct err *e)
{
	struct archive *a = arg;
	const uint8_t *plain;
	size_t len;

	if (extent_is_hole(x))
		return tar_out_hole(a->tar, x->len, e);
	if (source_get(a->d.reader, x->id, 0, &plain, &len, e) != 0)
		return -1;
	if (x->offset > len || x->len > len - x->offset)
		return err_set(e, ERR_DAMAGE, "an extent of the file lies outside its chunk");
	return tar_out_data(a->tar, plain + x->offset, (size_t)x->len, e);
}

/* The member's name of ${name} in ${dir}. */
static struct fmt_view
member(struct buf *b, size_t strip, struct fmt_view dir, struct fmt_view name)
{
	buf_reset(b);
	if (dir.len > 1)
		buf_add(b, dir.p, dir.len);
	buf_u8(b, '/');
	buf_add(b, name.p, name.len);
	return b->len > strip ? view_of(b->p + strip, b->len - strip) : view_of("", 0);
}

static int
entry_archive(struct archive *a, struct fmt_view dir, const struct entry *given, struct err *e)
{
	struct fmt_view link = view_of("", 0), first_dir, first_name;
	struct place_id id = { 0 };
	struct entry en = *given;
	int rc;

	if (en.type == ENTRY_FILE && en.nlink > 1) {
		switch (links_claim(a->links, dir, given)) {
		case LINK_FIRST:
			links_made(a->links, given, &id);
			break;
		case LINK_LATER:
			if (links_first(a->links, given, &first_dir, &first_name, &id))
				link = member(&a->link, a->strip, first_dir, first_name);
			break;
		default:
			break;
		}
	}
	if (entry_xattrs(&en, a->d.reader, &a->xattrs, e) != 0)
		return -1;
	rc = tar_out_entry(a->tar, member(&a->path, a->strip, dir, en.name), &en, link, e);
	if (rc == 0 && en.type == ENTRY_FILE && link.len == 0)
		rc = extents_use(&a->d, &en, extent_archive, a, e);
	return rc == 0 ? stop_check(e) : rc;
}

static int
items_archive(struct archive *a, const struct open_snapshot *o, struct fmt_view top, struct err *e)
{
	struct listing_reader *r = listing_reader_new(o->root.top_id, o->root.levels, source_get, a->d.reader, NULL, NULL);
	struct fmt_view dir;
	struct entry en;
	char safe[512];
	int rc;

	if (r == NULL)
		return err_set(e, ERR_MEMORY, "no memory to read a listing");
	rc = listing_reader_seek(r, top, e);
	while (rc == 0 && (rc = listing_reader_next(r, &dir, &en, e)) > 0) {
		if (rc == 2 && !path_is_within(dir, top)) {
			rc = 0;
			break;
		}
		rc = rc == 2 ? 0 : entry_archive(a, dir, &en, e);
		if (rc != 0)
			(void)err_during(e, "%s/%s", dir.len > 1 ? "…" : "", text_safe(safe, sizeof(safe), en.name.p, en.name.len));
	}
	listing_reader_free(r);
	return rc;
}

/* The directory ${top}, whose entry is ${en} (not looked at for "/"), under its own last name. */
static int
dump_archive(const struct open_snapshot *o, const struct dump *d, struct fmt_view top, const struct entry *en, struct err *e)
{
	struct archive a = { .d = *d, .strip = 1 };
	struct fmt_view parent = view_of("/", 1);
	int rc = -1;

	buf_init(&a.path);
	buf_init(&a.link);
	buf_init(&a.xattrs);
	if (top.len > 1) {
		uint32_t slash = top.len - 1;

		while (top.p[slash] != '/')
			slash--;
		parent = view_of(top.p, slash > 0 ? slash : 1);
		a.strip = slash + 1;
	}
	if ((a.links = links_new(LINKS_MEMORY)) == NULL)
		(void)err_set(e, ERR_MEMORY, "no memory for links");
	else if ((a.tar = tar_out_new_fd(d->fd, e)) != NULL &&
	    (top.len == 1 || entry_archive(&a, parent, en, e) == 0) && items_archive(&a, o, top, e) == 0)
		rc = tar_out_end(a.tar, e);
	tar_out_free(a.tar);
	links_free(a.links);
	buf_release(&a.path);
	buf_release(&a.link);
	buf_release(&a.xattrs);
	return rc;
}

int
dump_path(const struct open_snapshot *o, struct source *s, struct source_reader *reader, const char *text, int fd, struct err *e)
{
	struct fmt_view path = view_of(text, strlen(text));
	struct dump d = { .source = s, .reader = reader, .fd = fd };
	uint8_t copy[ENTRY_LEN_MAX + 16];
	struct entry en = { .type = ENTRY_DIR };
	char safe[512];
	int rc = 1;

	(void)text_safe(safe, sizeof(safe), path.p, path.len);
	if (path.len > 1)
		rc = listing_find(o->root.top_id, o->root.levels, source_get, reader, path, &en, copy, e);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(e, ERR_NOT_FOUND, "%s is not in the snapshot", safe);
	if (en.type == ENTRY_FILE)
		return extents_use(&d, &en, extent_dump, &d, e) == 0 ? 0 : err_during(e, "%s", safe);
	if (en.type == ENTRY_DIR)
		return dump_archive(o, &d, path, &en, e) == 0 ? 0 : err_during(e, "%s", safe);
	return err_set(e, ERR_USAGE, "%s is neither a file nor a directory", safe);
}
