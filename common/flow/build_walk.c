/* The walker's thread: the live tree, merged with what is known, as units in listing order. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/pace.h"
#include "common/base/progress.h"
#include "common/base/stop.h"
#include "common/base/text.h"
#include "common/catalog/seen.h"
#include "common/chunk/cutter.h"
#include "common/flow/build_engine.h"
#include "common/flow/bundle_use.h"
#include "common/flow/inode_map.h"
#include "common/walk/owner.h"

#define LINKS_MEMORY	((size_t)8 << 20)

struct walking {
	struct engine *g;
	struct base_list *base;
	struct unit *u;			/* being filled; NULL: none */
	struct fmt_view path;		/* of the current directory, in u's slab */
	struct walk_dir *dir;		/* current, held by u or NULL */
	uint8_t dirbuf[PATH_LEN_MAX];
	size_t dirlen;
	struct inode_map *links;	/* inodes of which more names are to come: how many */
	uint64_t thin_left;		/* files of thin bundles that may still be read again */
};

/* Hand the unit over; waits while there are too many. */
static int
unit_push(struct walking *w)
{
	struct engine *g = w->g;
	struct unit *u = w->u;
	int rc = 0;

	w->u = NULL;
	w->dir = NULL;
	if (u == NULL)
		return 0;
	pthread_mutex_lock(&g->lock);
	while (!g->failed && !g->ending && g->nunits >= UNITS_MAX)
		pthread_cond_wait(&g->room, &g->lock);
	if (g->failed || g->ending) {
		rc = -1;
	} else {
		if (u->small_bytes == 0 && u->big == NULL && u->ndirs == 0)
			u->state = UNIT_DONE;
		if (g->last != NULL)
			g->last->next = u;
		else
			g->first = u;
		g->last = u;
		g->nunits++;
		engine_tick_work(g);
	}
	pthread_mutex_unlock(&g->lock);
	if (rc != 0)
		unit_free(u);
	return rc;
}

/* A new piece in the unit at hand. */
static struct piece *
piece_new(struct walking *w, enum piece_kind kind, struct err *e)
{
	struct piece *p;

	if (w->u != NULL && (w->u->n == UNIT_PIECES || w->u->small_bytes >= UNIT_BYTES) && unit_push(w) != 0)
		return NULL;
	if (w->u == NULL) {
		if ((w->u = malloc(sizeof(*w->u) + (kind == PIECE_BIG ? 1 : UNIT_PIECES) * sizeof(*p))) == NULL) {
			err_errno(e, "walk");
			return NULL;
		}
		memset(w->u, 0, sizeof(*w->u));
		w->path = view_of(w->dirbuf, w->dirlen);
		if (!slab_view(&w->u->slab, &w->path)) {
			err_errno(e, "walk");
			return NULL;
		}
	}
	p = &w->u->pieces[w->u->n++];
	memset(p, 0, sizeof(*p));
	p->kind = kind;
	p->path = w->path;
	return p;
}

/* Copy an entry's borrowed parts into the unit. */
static int
entry_keep(struct unit *u, struct entry *en, struct err *e)
{
	if (!slab_view(&u->slab, &en->name) || !slab_view(&u->slab, &en->user) || !slab_view(&u->slab, &en->group) ||
	    !slab_view(&u->slab, &en->target) || !slab_view(&u->slab, &en->xattrs) || !slab_view(&u->slab, &en->extents))
		return err_errno(e, "walk");
	return 0;
}

/*
 * A name of a file with several: 1 if another one was met before, 0 if this is
 * the first, -1.  Whoever had as many as it has links is forgotten.
 */
static int
link_meet(struct walking *w, const struct walk_item *it, bool *more, struct err *e)
{
	uint64_t left = it->entry.nlink;
	size_t len;
	int met = inode_map_get(w->links, it->dev, it->entry.inode, &left, sizeof(left), &len, e);

	if (met == -1)
		return -1;
	*more = --left > 0;
	if (*more && inode_map_put(w->links, it->dev, it->entry.inode, &left, sizeof(left), e) != 0)
		return -1;
	if (!*more && met == 1 && inode_map_drop(w->links, it->dev, it->entry.inode, e) != 0)
		return -1;
	return met;
}

bool
entry_is_unchanged(const struct build_source *s, const struct walker *walker, const struct entry *live,
    const struct entry *base, const struct base_place *place)
{
	bool stable = walker_inode_stable(walker, live->fs);

	if (s->force_read || base->type != live->type || base->size != live->size ||
	    base->mtime_s != live->mtime_s || base->mtime_ns != live->mtime_ns || (base->flags & ENTRY_UNSURE) != 0)
		return false;
	if (stable && !s->ignore_ctime && (base->ctime_s != live->ctime_s || base->ctime_ns != live->ctime_ns))
		return false;
	if (stable && !s->ignore_inode && base->inode != live->inode)
		return false;
	return base->longs == 0 || place->has;
}

/*
 * A small file in a bundle of which little is used any more: taken anew, up to
 * a twentieth of the small files in a run.
 */
static bool
is_in_thin_bundle(struct walking *w, const struct entry *base)
{
	struct extent x;

	if (w->thin_left == 0 || base->size >= cutter_min(w->g->cutter) || base->extents.len != EXTENT_LEN)
		return false;
	extent_get(base->extents.p, &x);
	if (!bundle_use_thin(w->g->base_use, x.id))
		return false;
	w->thin_left--;
	return true;
}

/* Whether the chunks of ${extents} are held: 1, 0, -1. */
static int
extents_are_held(struct seen *seen, struct fmt_view extents, struct err *e)
{
	struct extent x;
	int held = 1;

	for (size_t i = 0; i + EXTENT_LEN <= extents.len && held == 1; i += EXTENT_LEN) {
		extent_get(extents.p + i, &x);
		if (!extent_is_hole(&x))
			held = seen_has(seen, x.id, e);
	}
	return held;
}

/* Looking at the spill chunks of an entry. */
struct spills_look {
	struct seen *seen;
	const struct entry *en;
	unsigned tops;			/* LONG_*: whose top was met */
	int held;
};

static int
spill_look(void *arg, unsigned what, const uint8_t *id, struct fmt_view plain, struct err *e)
{
	struct spills_look *l = arg;
	const struct spill *s = what == LONG_EXTENTS ? &l->en->long_extents : &l->en->long_xattrs;
	unsigned level;
	uint32_t n;
	struct rd r;

	if (l->held != 1)
		return 0;
	if (memcmp(id, s->id, DIGEST_LEN) == 0)
		l->tops |= what;
	if ((l->held = seen_has(l->seen, id, e)) == 1 && what == LONG_EXTENTS &&
	    spill_node_decode(plain.p, plain.len, &r, &level, &n) != FMT_OK)
		l->held = extents_are_held(l->seen, plain, e);
	return l->held == -1 ? -1 : 0;
}

/*
 * Whether all that an entry points at is in this image or in one that it may
 * lean on: an image may have been given up since the entry was written, also
 * by an earlier run of this very build.  1, 0, -1.
 */
static int
entry_is_held(const struct engine *g, const struct entry *base, const struct base_place *place, struct err *e)
{
	struct spills_look l = { .seen = g->seen, .en = base, .held = 1 };
	int held = extents_are_held(g->seen, base->extents, e);

	if (held != 1 || base->longs == 0)
		return held;
	if (base_spills(&g->layers[place->layer], place->mark, spill_look, &l, e) != 0)
		return -1;
	return l.held == 1 && l.tops == base->longs;
}

/* Where the file lives: its directory stays open until the unit was read. */
static int
dir_keep(struct walking *w, struct walk_dir *dir, struct piece *p)
{
	struct unit *u = w->u;

	if (w->dir != dir) {
		u->dirs[u->ndirs++] = walk_dir_hold(dir);
		w->dir = dir;
	}
	p->dir = dir;
	return 0;
}

static int
big_start(struct walking *w, struct err *e)
{
	struct big_file *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return err_errno(e, "walk");
	b->fd = -1;
	w->u->big = b;
	return unit_push(w) != 0 ? -1 : 0;
}

/* A regular file that must be read. */
static int
take_file(struct walking *w, const struct walk_item *it, bool more_names, struct err *e)
{
	bool big = it->entry.size >= cutter_min(w->g->cutter);
	struct piece *p;

	if (w->u != NULL && (big || (w->dir != it->dir && w->u->ndirs == UNIT_DIRS)) && unit_push(w) != 0)
		return -1;
	if ((p = piece_new(w, big ? PIECE_BIG : PIECE_SMALL, e)) == NULL)
		return -1;
	p->en = it->entry;
	p->dev = it->dev;
	p->more_names = more_names;
	if (entry_keep(w->u, &p->en, e) != 0 || dir_keep(w, it->dir, p) != 0)
		return -1;
	w->u->small_bytes += it->entry.size;
	return big ? big_start(w, e) : 0;
}

static int
take_entry(struct walking *w, const struct walk_item *it, struct err *e)
{
	struct entry base;
	struct base_place place;
	struct piece *p;
	bool more = false;
	int found, seen = 0, reuse = 0;

	if (it->entry.type == ENTRY_FILE && it->entry.nlink > 1 && (seen = link_meet(w, it, &more, e)) == -1)
		return -1;
	if ((found = base_list_find(w->base, it->path, it->entry.name, &base, &place, e)) == -1)
		return -1;
	if (it->entry.type == ENTRY_FILE && !seen && found &&
	    entry_is_unchanged(w->g->src, w->g->walker, &it->entry, &base, &place) && !is_in_thin_bundle(w, &base) &&
	    (reuse = entry_is_held(w->g, &base, &place, e)) == -1)
		return -1;
	if (it->entry.type == ENTRY_FILE && !seen && !reuse)
		return take_file(w, it, more, e);
	if ((p = piece_new(w, seen ? PIECE_LINK : PIECE_READY, e)) == NULL)
		return -1;
	p->dev = it->dev;
	p->more_names = more;
	p->en = it->entry;
	if (it->entry.type == ENTRY_FILE && !seen) {
		p->en.flags = base.flags;
		p->en.xattrs = base.xattrs;
		p->en.extents = base.extents;
		p->en.longs = base.longs;
		p->en.long_extents = base.long_extents;
		p->en.long_xattrs = base.long_xattrs;
		p->place = place;
		w->g->res->unchanged++;
		progress_add(it->entry.size, 1);
	}
	return entry_keep(w->u, &p->en, e);
}

static int
take_dir(struct walking *w, const struct walk_item *it, struct err *e)
{
	struct piece *p;

	memcpy(w->dirbuf, it->path.p, it->path.len);
	w->dirlen = it->path.len;
	if (w->u != NULL) {
		w->path = it->path;
		if (!slab_view(&w->u->slab, &w->path))
			return err_errno(e, "walk");
	}
	if ((p = piece_new(w, PIECE_DIR, e)) == NULL)
		return -1;
	p->large_dir = it->small_bytes > cutter_avg(w->g->cutter);
	progress_item(it->path.p, it->path.len);
	return 0;
}

static int
take_item(struct walking *w, const struct walk_item *it, struct err *e)
{
	struct engine *g = w->g;
	char path[4096];

	switch (it->kind) {
	case WALK_DIR:
		return take_dir(w, it, e);
	case WALK_ENTRY:
		return take_entry(w, it, e);
	case WALK_SKIPPED:
		g->res->skipped++;
		say_info("left out: %s: %s", text_safe(path, sizeof(path), it->path.p, it->path.len), walk_reason_text(it->reason));
		return 0;
	case WALK_ERROR:
		if (it->err->sys == ENOENT) {
			engine_warn(g, it->path, view_of(NULL, 0), "vanished while it was walked");
		} else {
			engine_warn(g, it->path, view_of(NULL, 0), "%s", it->err->msg);
			pthread_mutex_lock(&g->lock);
			g->res->unreadable++;
			pthread_mutex_unlock(&g->lock);
		}
		return 0;
	}
	return 0;
}

static void
walking_free(struct walking *w)
{
	if (w->u != NULL)
		unit_free(w->u);
	inode_map_free(w->links);
	base_list_free(w->base);
	free(w);
}

void
engine_walk(void *arg)
{
	struct engine *g = arg;
	struct walking *w = calloc(1, sizeof(*w));
	struct walk_item it;
	struct err e;
	int got = -1, rc = -1;

	err_clear(&e);
	pace_idle();
	if (w == NULL || (w->links = inode_map_new(g->runs_fd, LINKS_MEMORY)) == NULL) {
		err_errno(&e, "walk");
		engine_fail(g, &e);
		free(w);
		return;
	}
	w->g = g;
	w->thin_left = (bundle_use_files(g->base_use) + 19) / 20;
	if ((w->base = base_list_new(g->layers, g->nlayers, &e)) != NULL) {
		rc = 0;
		while (rc == 0 && !stop_asked() && (got = walker_next(g->walker, &it, &e)) == 1)
			rc = take_item(w, &it, &e);
		if (rc == 0 && stop_asked())
			rc = stop_check(&e);
		if (rc == 0 && got == 0)
			rc = unit_push(w);
		else if (rc == 0)
			rc = -1;
	}
	if (rc != 0 && e.code != ERR_NONE)
		engine_fail(g, &e);
	pthread_mutex_lock(&g->lock);
	g->walked = true;
	engine_tick_all(g);
	pthread_mutex_unlock(&g->lock);
	walking_free(w);
}
