#include <stdlib.h>
#include <string.h>

#include "common/base/queue.h"
#include "common/base/stop.h"
#include "common/base/text.h"
#include "common/flow/path_within.h"
#include "common/flow/restore_job.h"
#include "common/pack/listing_read.h"

#define BIG_BYTES	(4u << 20)	/* larger files are written by several threads */
#define UNIT_BYTES	(2u << 20)
#define UNIT_FILES	64u
#define PART_BYTES	(8u << 20)	/* of a large file, for one thread */

/* Handing out work in listing order. */
struct hand {
	struct restorer *w;
	struct restore_job *j;
	struct restore_unit *files;	/* of the current directory, being filled */
	struct restore_unit *parts;	/* of a large file, being filled */
	struct restore_big *big;
	int skip;		/* the current directory could not be made */
	uint8_t bundle[DIGEST_LEN];	/* the last that a file was in; zeros: none */
	int gap;		/* a part of the listing between that one and the next is not known yet */
};

/* The path below the target: without the root that was asked for. */
static struct fmt_view
below_target(const struct restore_job *j, struct fmt_view path)
{
	if (path.len <= j->prefix)
		return view_of("/", 1);
	return view_of(path.p + j->prefix, path.len - j->prefix);
}

static int
unit_put(struct hand *h, struct restore_unit **u, struct err *e)
{
	struct restore_unit *full = *u;

	*u = NULL;
	if (full == NULL)
		return 0;
	if (full->path.failed || full->entries.failed || full->parts.failed || full->wants.failed) {
		if (full->big != NULL)
			restore_big_drop(h->w, full->big);
		restore_unit_free(h->j, full);
		return err_set(e, ERR_MEMORY, "no memory to hand out work");
	}
	if (queue_put(h->j->queue, full) != 0) {
		if (full->big != NULL)
			restore_big_drop(h->w, full->big);
		restore_unit_free(h->j, full);
	}
	return 0;
}

static struct restore_unit *
unit_new(struct err *e)
{
	struct restore_unit *u = calloc(1, sizeof(*u));

	if (u == NULL) {
		(void)err_set(e, ERR_MEMORY, "no memory to hand out work");
		return NULL;
	}
	buf_init(&u->path);
	buf_init(&u->entries);
	buf_init(&u->parts);
	buf_init(&u->wants);
	return u;
}

/* The chunk will be asked for soon. */
static void
unit_wants(struct hand *h, struct restore_unit *u, const struct extent *x)
{
	if (extent_is_hole(x) ||
	    (u->wants.len > 0 && memcmp(u->wants.p + u->wants.len - DIGEST_LEN, x->id, DIGEST_LEN) == 0))
		return;
	buf_add(&u->wants, x->id, DIGEST_LEN);
	if (!u->wants.failed)
		source_want(h->j->opt->source, x->id);
}

static int
files_begin(struct hand *h, struct fmt_view dir, struct err *e)
{
	if (h->files != NULL)
		return 0;
	if ((h->files = unit_new(e)) == NULL)
		return -1;
	h->files->dir = place_dir_hold(h->j->place);
	buf_add(&h->files->path, dir.p, dir.len);
	return 0;
}

static int
entry_encode(struct buf *b, const struct entry *en, struct err *e)
{
	size_t n = item_entry_size(en);
	struct wr w = { .p = buf_room(b, n), .left = n };

	if (w.p == NULL)
		return err_set(e, ERR_MEMORY, "no memory to hand out work");
	item_entry_put(&w, en);
	if (w.bad)
		return err_set(e, ERR_INTERNAL, "an entry cannot be copied");
	buf_grew(b, n - w.left);
	return 0;
}

static int
small_file(struct hand *h, struct fmt_view dir, const struct entry *en, struct err *e)
{
	struct extent x;

	if (files_begin(h, dir, e) != 0 || entry_encode(&h->files->entries, en, e) != 0)
		return -1;
	for (size_t i = 0; i + EXTENT_LEN <= en->extents.len; i += EXTENT_LEN) {
		extent_get(en->extents.p + i, &x);
		unit_wants(h, h->files, &x);
	}
	h->files->n++;
	h->files->bytes += en->size;
	if (h->files->n >= UNIT_FILES || h->files->bytes >= UNIT_BYTES)
		return unit_put(h, &h->files, e);
	return 0;
}

static int
part_add(void *arg, uint64_t at, const struct extent *x, struct err *e)
{
	struct hand *h = arg;
	struct part p = { .at = at, .x = *x };

	if (extent_is_hole(x))
		return 0;
	if (restore_stopped(h->j))
		return err_set(e, ERR_INTERRUPTED, "stopped");
	if (h->parts == NULL) {
		if ((h->parts = unit_new(e)) == NULL)
			return -1;
		h->parts->big = h->big;
		__atomic_add_fetch(&h->big->parts, 1, __ATOMIC_RELAXED);
	}
	buf_add(&h->parts->parts, &p, sizeof(p));
	unit_wants(h, h->parts, x);
	h->parts->bytes += x->len;
	return h->parts->bytes >= PART_BYTES ? unit_put(h, &h->parts, e) : 0;
}

static struct restore_big *
big_new(struct hand *h, struct fmt_view dir, const struct entry *en, struct err *e)
{
	struct restore_big *b = calloc(1, sizeof(*b));
	struct rd r;
	struct item it;

	if (b == NULL) {
		(void)err_set(e, ERR_MEMORY, "no memory to hand out work");
		return NULL;
	}
	buf_init(&b->entry);
	buf_init(&b->path);
	buf_add(&b->path, dir.p, dir.len);
	if (entry_encode(&b->entry, en, e) != 0 || buf_check(&b->path, e) != 0)
		goto fail;
	r = (struct rd){ .p = b->entry.p, .left = b->entry.len };
	if (item_next(&r, &it) != FMT_OK) {
		(void)err_set(e, ERR_INTERNAL, "an entry cannot be copied");
		goto fail;
	}
	b->en = it.entry;
	b->parts = 1;
	b->dir = place_dir_hold(h->j->place);
	return b;
fail:
	buf_release(&b->entry);
	buf_release(&b->path);
	free(b);
	return NULL;
}

/* A large file: begun here, filled by all threads, finished by the last. */
static int
big_file(struct hand *h, struct fmt_view dir, const struct entry *en, struct err *e)
{
	struct place_dir *d = place_dir_hold(h->j->place);
	struct place_file *file;
	enum place_result res;
	struct err own;
	int rc;

	err_clear(&own);
	rc = place_file_begin(d, en, &file, &res, NULL, &h->w->meta, &own);
	place_dir_release(d);
	if (rc != 0) {
		restore_failed(h->j, dir, en->name, &own);
		return 0;
	}
	if (file == NULL)	/* there already: looked at again with the small ones, and counted */
		return small_file(h, dir, en, e);
	if ((h->big = big_new(h, dir, en, e)) == NULL) {
		place_file_abandon(file);
		return -1;
	}
	h->big->file = file;
	rc = place_file_large(file, en->size, &own);
	if (rc == 0)
		rc = extents_each(en, source_get, h->w->reader, NULL, NULL, part_add, h, &own);
	if (rc != 0 && !__atomic_exchange_n(&h->big->failed, 1, __ATOMIC_RELAXED) && !restore_stopped(h->j))
		restore_failed(h->j, dir, en->name, &own);
	rc = unit_put(h, &h->parts, e);
	restore_big_drop(h->w, h->big);
	h->big = NULL;
	return rc;
}

/* A name of a file that has several. */
static int
linked_file(struct hand *h, struct fmt_view dir, const struct entry *en, struct err *e, int *later)
{
	enum link_claim c;
	struct err own;

	pthread_mutex_lock(&h->j->lock);
	c = links_claim(h->j->links, dir, en);
	if (c == LINK_DIFFERENT || c == LINK_FULL)
		h->j->r->unlinked++;
	pthread_mutex_unlock(&h->j->lock);
	*later = c == LINK_LATER;
	if (*later)
		return notes_add(&h->j->link_notes, dir, en, e);
	if (c == LINK_DIFFERENT) {
		err_clear(&own);
		(void)err_set(&own, ERR_NONE, "its hard link had changed while it was read: it becomes a file of its own");
		restore_warn(h->j, dir, en->name, &own);
	}
	return 0;
}

/* FIFOs and devices: at once. */
static void
special(struct hand *h, struct fmt_view dir, const struct entry *en)
{
	struct place_dir *d = place_dir_hold(h->j->place);
	struct entry own_en = *en;
	enum place_result res;
	struct err own;

	err_clear(&own);
	if (restore_xattrs(h->w, &own_en, &own) != 0 || place_special(d, &own_en, &h->w->meta, &res, &own) == -1) {
		restore_failed(h->j, dir, en->name, &own);
	} else {
		pthread_mutex_lock(&h->j->lock);
		h->j->r->others += res != PLACE_LEFT;
		h->j->r->left += res == PLACE_LEFT;
		pthread_mutex_unlock(&h->j->lock);
	}
	place_dir_release(d);
}

/* Directories and symlinks: noted, with all their attributes, for the end. */
static void
noted(struct hand *h, struct fmt_view dir, const struct entry *en)
{
	enum place_result res = PLACE_DONE;
	struct entry own_en = *en;
	struct err own;
	int rc;

	err_clear(&own);
	if ((rc = restore_xattrs(h->w, &own_en, &own)) == 0)
		rc = en->type == ENTRY_DIR ? place_subdir(h->j->place, &own_en, &res, &own) :
		    place_symlink(h->j->place, &own_en, &own);
	if (rc != 0)
		restore_failed(h->j, dir, en->name, &own);
}

static void
count_only(struct hand *h, const struct entry *en)
{
	struct restore_report *r = h->j->r;

	switch (en->type) {
	case ENTRY_FILE:
		r->files++;
		r->bytes += en->size;
		break;
	case ENTRY_DIR:
		r->dirs++;
		break;
	case ENTRY_SYMLINK:
		r->symlinks++;
		break;
	default:
		r->others++;
	}
}

struct at_hand {
	struct hand *h;
	struct source *s;
	uint64_t away;			/* extents whose chunk is not there */
	enum source_mark mark;
};

static int
extent_at_hand(void *arg, uint64_t at, const struct extent *x, struct err *e)
{
	struct at_hand *g = arg;

	(void)at;
	(void)e;
	g->away += !extent_is_hole(x) && !source_has(g->s, x->id, NULL, NULL);
	return 0;
}

static int
extent_mark(void *arg, uint64_t at, const struct extent *x, struct err *e)
{
	const struct at_hand *g = arg;
	struct source_standing s;

	(void)at;
	(void)e;
	if (extent_is_hole(x) || !source_stands(g->s, x->id, &s))
		return 0;
	source_mark(g->s, x->id, g->mark);
	if (s.kind == KIND_BUNDLE) {
		if (g->h->gap)
			source_mark(g->s, x->id, SOURCE_WAITED);
		g->h->gap = 0;
		memcpy(g->h->bundle, x->id, DIGEST_LEN);
	}
	return 0;
}

/* Bundles are filled in listing order: those on both sides of a gap may hold files that stand in it. */
static void
gap_begin(struct hand *h)
{
	source_mark(h->j->opt->source, h->bundle, SOURCE_WAITED);
	h->gap = 1;
	h->j->r->unread++;
}

/*
 * Where disks follow: has a file to wait for one?  1 yes (counted, and its
 * chunks that are here marked to be kept), 0 no.
 */
static int
file_waits(struct hand *h, struct fmt_view dir, const struct entry *en)
{
	struct at_hand g = { .h = h, .s = h->j->opt->source };
	enum place_result there = PLACE_DONE;
	struct entry own_en = *en;
	struct place_dir *d;
	struct err own;
	int rc, unread;

	err_clear(&own);
	rc = extents_each(en, source_get, h->w->reader, NULL, NULL, extent_at_hand, &g, &own);
	if (rc == 0)
		rc = restore_xattrs(h->w, &own_en, &own);
	if (rc != 0 && own.code != ERR_MISSING)
		return 0;	/* not a matter of disks: told when it is tried */
	unread = rc != 0;
	d = place_dir_hold(h->j->place);
	err_clear(&own);
	if (place_file_there(d, en, &there, &own) != 0)
		there = PLACE_DONE;
	place_dir_release(d);
	g.mark = there != PLACE_DONE || (g.away == 0 && !unread) ? SOURCE_USED : SOURCE_WAITED;
	err_clear(&own);
	(void)extents_each(en, source_get, h->w->reader, NULL, NULL, extent_mark, &g, &own);
	if (g.mark == SOURCE_USED)
		return 0;
	(void)err_set(&own, ERR_MISSING, "it waits for another disk");
	restore_failed(h->j, dir, en->name, &own);
	h->j->r->unread += (uint64_t)unread;
	return 1;
}

static int
entry_hand(struct hand *h, struct fmt_view dir, const struct entry *en, struct err *e)
{
	int later = 0;

	if (h->j->place == NULL) {
		count_only(h, en);
		return 0;
	}
	if (h->skip)
		return 0;
	switch (en->type) {
	case ENTRY_FILE:
		if (en->nlink > 1 && linked_file(h, dir, en, e, &later) != 0)
			return -1;
		if (later || (h->j->opt->disks_follow && file_waits(h, dir, en)))
			return 0;
		return en->size > BIG_BYTES || (en->longs & LONG_EXTENTS) != 0 ? big_file(h, dir, en, e) :
		    small_file(h, dir, en, e);
	case ENTRY_DIR:
	case ENTRY_SYMLINK:
		noted(h, dir, en);
		return 0;
	default:
		special(h, dir, en);
		return 0;
	}
}

/* Make ${dir} the current directory of the target. */
static int
dir_begin(struct hand *h, struct fmt_view dir, struct err *e)
{
	struct err own;

	if (h->j->place == NULL)
		return 0;
	if (unit_put(h, &h->files, e) != 0)
		return -1;
	err_clear(&own);
	h->skip = place_enter(h->j->place, below_target(h->j, dir), &own) != 0;
	if (h->skip)
		restore_failed(h->j, dir, view_of("", 0), &own);
	return 0;
}

/* A part of the listing cannot be read: tell, and go on behind it.  0, or -1 where that is no use. */
static int
part_lost(struct hand *h, struct fmt_view dir, const struct err *why)
{
	struct err own = *why;

	if (err_exit(why->code) != err_exit(ERR_DAMAGE) && why->code != ERR_MISSING)
		return -1;
	if (h->j->opt->disks_follow && why->code == ERR_MISSING)
		gap_begin(h);
	(void)err_during(&own, "what follows in the listing here is lost");
	restore_failed(h->j, dir, view_of("", 0), &own);
	h->skip = 0;
	return restore_stopped(h->j) ? -1 : 0;
}

static int
items_hand(struct hand *h, struct listing_reader *r, struct fmt_view top, struct err *e)
{
	struct fmt_view dir = view_of("/", 1);
	struct entry en;
	int rc;

	while ((rc = listing_reader_next(r, &dir, &en, e)) != 0) {
		if (rc == -1) {
			if (part_lost(h, dir, e) != 0)
				return -1;
			err_clear(e);
			continue;
		}
		if (rc == 2 && !path_is_within(dir, top))
			return 0;
		if (restore_stopped(h->j))
			return 0;
		if ((rc == 2 ? dir_begin(h, dir, e) : entry_hand(h, dir, &en, e)) != 0)
			return -1;
		if (stop_check(e) != 0)
			return -1;
	}
	return 0;
}

int
restore_walk(struct restorer *w, struct fmt_view path, struct err *e)
{
	const struct snapshot_root *root = &w->j->snap.root;
	struct hand h = { .w = w, .j = w->j };
	struct listing_reader *r = listing_reader_new(root->top_id, root->levels, source_get, w->reader, NULL, NULL);
	int rc;

	if (r == NULL)
		return err_set(e, ERR_MEMORY, "no memory to read a listing");
	rc = path.len > 1 ? listing_reader_seek(r, path, e) : 0;
	if (rc == 0)
		rc = items_hand(&h, r, path, e);
	if (rc == 0)
		rc = unit_put(&h, &h.files, e);
	else if (h.files != NULL)
		restore_unit_free(w->j, h.files);
	listing_reader_free(r);
	return rc;
}

/* The entry of ${path}; its directory becomes the current one. */
static int
entry_at(struct restorer *w, struct hand *h, struct fmt_view path, struct entry *en, uint8_t *copy, struct fmt_view *dir,
    struct err *e)
{
	const struct snapshot_root *root = &w->j->snap.root;
	char safe[512];
	uint32_t slash;
	int rc = listing_find(root->top_id, root->levels, source_get, w->reader, path, en, copy, e);

	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(e, ERR_NOT_FOUND, "%s is not in the snapshot", text_safe(safe, sizeof(safe), path.p, path.len));
	for (slash = path.len - 1; path.p[slash] != '/'; slash--)
		;
	*dir = view_of(path.p, slash > 0 ? slash : 1);
	return dir_begin(h, *dir, e);
}

int
restore_one(struct restorer *w, const char *text, struct err *e)
{
	struct fmt_view path = view_of(text, strlen(text)), dir;
	struct hand h = { .w = w, .j = w->j };
	uint8_t copy[ENTRY_LEN_MAX + 16];
	struct entry en = { 0 };
	int rc = 0;

	if (path.len == 1)
		return restore_walk(w, path, e);
	/* The directories above it, with their attributes; then itself. */
	for (uint32_t i = (uint32_t)w->j->prefix + 1; rc == 0 && i <= path.len; i++) {
		if (i < path.len && path.p[i] != '/')
			continue;
		rc = entry_at(w, &h, view_of(path.p, i), &en, copy, &dir, e);
		if (rc == 0)
			rc = entry_hand(&h, dir, &en, e);
	}
	if (rc == 0)
		rc = unit_put(&h, &h.files, e);
	else if (h.files != NULL)
		restore_unit_free(w->j, h.files);
	return rc == 0 && en.type == ENTRY_DIR ? restore_walk(w, path, e) : rc;
}
