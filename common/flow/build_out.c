/* What goes out of a build, in listing order. */

#include <stdlib.h>

#include "common/base/io.h"
#include "common/base/progress.h"
#include "common/chunk/cutter.h"
#include "common/flow/build_order.h"
#include "common/flow/bundle_use.h"
#include "common/flow/inode_map.h"
#include "common/pack/refs.h"

#define BLOCK_LEN	(64u << 10)
#define PENDING_HURRY	(16u << 20)
#define PENDING_WAIT	(64u << 20)
#define INLINE_EXTENTS	(4u << 10)	/* bytes of extents that stay in the entry */
#define SYNC_NS		INT64_C(5000000000)
#define MEMO_MEMORY	((size_t)16 << 20)
#define MEMO_MAX	(8 + ENTRY_LEN_MAX + 16)	/* of a file with several names: seq, then the item */

static int
ref_add(struct order *o, const uint8_t *id, struct err *e)
{
	if (memcmp(o->last_ref, id, DIGEST_LEN) == 0)
		return 0;
	memcpy(o->last_ref, id, DIGEST_LEN);
	return id_sorter_add(o->refs, id, e);
}

static int
refs_of_extents(struct order *o, struct fmt_view extents, struct err *e)
{
	struct extent x;

	for (size_t i = 0; i + EXTENT_LEN <= extents.len; i += EXTENT_LEN) {
		extent_get(extents.p + i, &x);
		if (!extent_is_hole(&x) && ref_add(o, x.id, e) != 0)
			return -1;
	}
	return 0;
}

/* --- the item log --- */

void
out_close_block(struct order *o)
{
	if (o->block == NULL)
		return;
	if (o->tail != NULL)
		o->tail->next = o->block;
	else
		o->head = o->block;
	o->tail = o->block;
	o->block = NULL;
}

static struct log_block *
block_new(struct order *o, unsigned type, size_t cap, struct err *e)
{
	struct log_block *b = calloc(1, sizeof(*b));

	if (b == NULL || (b->p = malloc(cap)) == NULL) {
		free(b);
		err_errno(e, "item log");
		return NULL;
	}
	b->type = type;
	b->cap = cap;
	o->pending += cap;
	return b;
}

static int
block_begin(struct order *o, struct err *e)
{
	struct wr w;

	if ((o->block = block_new(o, JOURNAL_ITEMS, BLOCK_LEN + PATH_LEN_MAX + ENTRY_LEN_MAX + 64, e)) == NULL)
		return -1;
	w = (struct wr){ .p = o->block->p, .left = o->block->cap };
	item_dir_put(&w, view_of(o->dir, o->dir_len));
	o->block->len = o->block->cap - w.left;
	o->spills_open = false;
	return w.bad ? err_set(e, ERR_INTERNAL, "a directory's name is not valid") : 0;
}

/* Spill chunks of a file that is left out after all: so that no later entry takes them for its own. */
static int
spills_disown(struct order *o, struct err *e)
{
	if (!o->spills_open)
		return 0;
	if (block_begin(o, e) != 0)
		return -1;
	out_close_block(o);
	return 0;
}

static int
log_spill(struct order *o, unsigned what, const uint8_t *id, struct fmt_view plain, uint64_t seq, struct err *e)
{
	struct log_block *b = block_new(o, JOURNAL_SPILL, 1 + DIGEST_LEN + plain.len, e);

	if (b == NULL)
		return -1;
	out_close_block(o);
	b->p[0] = (uint8_t)what;
	memcpy(b->p + 1, id, DIGEST_LEN);
	memcpy(b->p + 1 + DIGEST_LEN, plain.p, plain.len);
	b->len = b->cap;
	b->seq = seq;
	o->block = b;
	out_close_block(o);
	o->spills_open = true;
	return 0;
}

static int
log_entry(struct order *o, const struct entry *en, uint64_t seq, struct err *e)
{
	struct wr w;

	/*
	 * What waits for a later pack begins a block of its own, so that a full
	 * or dead disk keeps back no more than the packs that it did not take.
	 */
	if (o->block != NULL && (o->block->len >= BLOCK_LEN || o->block->type != JOURNAL_ITEMS ||
	    (seq > o->block->seq && o->block->entries)))
		out_close_block(o);
	if (o->block == NULL && block_begin(o, e) != 0)
		return -1;
	w = (struct wr){ .p = o->block->p + o->block->len, .left = o->block->cap - o->block->len };
	item_entry_put(&w, en);
	if (w.bad)
		return err_set(e, ERR_INTERNAL, "an entry of the listing cannot be written");
	o->block->len = o->block->cap - w.left;
	o->block->entries = true;
	if (seq > o->block->seq)
		o->block->seq = seq;
	return 0;
}

int
out_drain(struct order *o, bool sync, struct err *e)
{
	struct log_block *b;
	uint64_t durable = pack_sink_durable(o->g->sink);
	bool any = false;
	int rc = 0;

	while (rc == 0 && (b = o->head) != NULL && b->seq <= durable) {
		if (o->g->items != NULL)
			rc = journal_put(o->g->items, b->type, b->p, b->len, e);
		any = true;
		if ((o->head = b->next) == NULL)
			o->tail = NULL;
		o->pending -= b->cap;
		free(b->p);
		free(b);
	}
	if (rc == 0 && o->g->items != NULL && (sync || (any && io_mono_ns() - o->synced >= SYNC_NS))) {
		o->synced = io_mono_ns();
		rc = journal_sync(o->g->items, e);
	}
	if (rc == 0 && o->pending > PENDING_WAIT)
		rc = pack_sink_flush(o->g->sink, e);
	else if (rc == 0 && o->pending > PENDING_HURRY)
		pack_sink_hurry(o->g->sink);
	return rc;
}

/* --- chunks of the listing itself --- */

int
out_put(void *arg, unsigned kind, const uint8_t *plain, size_t len, uint8_t id[DIGEST_LEN], struct err *e)
{
	struct order *o = arg;
	uint32_t n = (uint32_t)len;
	uint64_t seq;

	if (store_chunks(&o->w, kind, plain, &n, 1, id, &seq, e) != 0 || ref_add(o, id, e) != 0)
		return -1;
	if (kind == KIND_SPILL)
		return log_spill(o, o->spill_what, id, view_of(plain, len), seq, e);
	return 0;
}

/* --- entries --- */

/* Note a file with several names as it goes out. */
static int
memo_save(struct order *o, const struct piece *p, uint64_t seq, struct err *e)
{
	struct wr w = { .p = o->memo_buf, .left = MEMO_MAX };

	wr_u64(&w, seq);
	item_entry_put(&w, &p->en);
	if (w.bad)
		return err_set(e, ERR_INTERNAL, "an entry of the listing cannot be written");
	return inode_map_put(o->memo, p->dev, p->en.inode, o->memo_buf, MEMO_MAX - w.left, e);
}

/* The entry as it is goes into listing and log. */
static int
out_plain(struct order *o, struct piece *p, uint64_t seq, struct err *e)
{
	struct build_result *res = o->g->res;

	if (listing_writer_entry(o->listing, &p->en, e) != 0 || log_entry(o, &p->en, seq, e) != 0)
		return -1;
	res->entries++;
	if (p->en.type == ENTRY_FILE) {
		res->files++;
		res->bytes += p->en.size;
	}
	return 0;
}

int
out_dir(struct order *o, struct fmt_view path, struct err *e)
{
	struct wr w;

	memcpy(o->dir, path.p, path.len);
	o->dir_len = path.len;
	if (listing_writer_dir(o->listing, path, e) != 0)
		return -1;
	if (o->block != NULL && o->block->len < BLOCK_LEN && o->block->type == JOURNAL_ITEMS) {
		w = (struct wr){ .p = o->block->p + o->block->len, .left = o->block->cap - o->block->len };
		item_dir_put(&w, path);
		if (!w.bad) {
			o->block->len = o->block->cap - w.left;
			return 0;
		}
	}
	/* Also a directory that nothing is in stands in the log: the listing can be written again from it. */
	out_close_block(o);
	return block_begin(o, e);
}

int
out_entry(struct order *o, struct piece *p, uint64_t seq, struct err *e)
{
	struct entry before = p->en;

	if (refs_of_extents(o, p->en.extents, e) != 0)
		return -1;
	o->spill_what = LONG_XATTRS;
	if (entry_spill(o->g->keys->cut, &p->en, out_put, o, e) != 0)
		return -1;
	if ((p->en.longs & ~before.longs & LONG_EXTENTS) != 0)
		return err_set(e, ERR_INTERNAL, "extents spilled out of turn");
	if (p->en.type == ENTRY_FILE && p->more_names && memo_save(o, p, seq, e) != 0)
		return -1;
	return out_plain(o, p, seq, e);
}

/*
 * What this name showed when the walk met it, and what was read by the first:
 * not the same content if they differ in size or time of change; the inode
 * may have been given to another file in between.  (A ctime that differs alone
 * is one more link, or another mode.)
 */
static bool
link_moved(const struct entry *met, const struct entry *first)
{
	return (met->ctime_s != first->ctime_s || met->ctime_ns != first->ctime_ns) &&
	    (met->size != first->size || met->mtime_s != first->mtime_s || met->mtime_ns != first->mtime_ns);
}

int
out_link(struct order *o, struct piece *p, struct err *e)
{
	bool moved;
	struct fmt_view name = p->en.name;
	ino_t ino = p->en.inode;
	struct item it;
	uint64_t seq;
	struct rd r;
	size_t len;
	int met = inode_map_get(o->memo, p->dev, ino, o->memo_buf, MEMO_MAX, &len, e);

	if (met == -1)
		return -1;
	if (met == 0) {
		engine_warn(o->g, p->path, name, "another name of this file could not be read; it is not in the snapshot");
		o->g->res->unreadable++;
		return 0;
	}
	r = (struct rd){ .p = o->memo_buf, .left = len };
	seq = rd_u64(&r);
	if (item_next(&r, &it) != FMT_OK)
		return err_set(e, ERR_INTERNAL, "a hard link's entry cannot be read");
	moved = link_moved(&p->en, &it.entry);
	p->en = it.entry;
	p->en.name = name;
	if (moved) {	/* the next backup reads it by this name */
		p->en.flags |= ENTRY_UNSURE | ENTRY_CHANGED;
		engine_warn(o->g, p->path, name, "changed between two of its names, or is another file by now");
	}
	progress_add(0, 1);
	if (out_plain(o, p, seq, e) != 0)
		return -1;
	return p->more_names ? 0 : inode_map_drop(o->memo, p->dev, ino, e);
}

struct take_over {
	struct order *o;
};

static int
spill_take_over(void *arg, unsigned what, const uint8_t *id, struct fmt_view plain, struct err *e)
{
	struct order *o = ((struct take_over *)arg)->o;
	struct rd r;
	unsigned level;
	uint32_t n;

	if (ref_add(o, id, e) != 0)
		return -1;
	if (what == LONG_EXTENTS && spill_node_decode(plain.p, plain.len, &r, &level, &n) != FMT_OK &&
	    refs_of_extents(o, plain, e) != 0)
		return -1;
	return log_spill(o, what, id, plain, 0, e);
}

int
out_use(struct order *o, const struct piece *p, uint32_t total, struct err *e)
{
	struct extent x;

	if (p->en.type != ENTRY_FILE || p->en.size >= cutter_min(o->g->cutter) || p->en.extents.len != EXTENT_LEN)
		return 0;
	extent_get(p->en.extents.p, &x);
	if (bundle_use_add(o->g->use, x.id, x.offset, (uint32_t)x.len, total) != 0)
		return err_set(e, ERR_MEMORY, "no memory for the use of bundles");
	return 0;
}

int
out_reused(struct order *o, struct piece *p, struct err *e)
{
	struct take_over t = { .o = o };

	if (p->en.longs != 0 &&
	    base_spills(&o->g->layers[p->place.layer], p->place.mark, spill_take_over, &t, e) != 0)
		return -1;
	if (out_use(o, p, 0, e) != 0)
		return -1;
	return out_entry(o, p, 0, e);
}

/* --- big files --- */

static int
extents_keep(struct order *o, struct big_file *b, const struct stretch *s, struct err *e)
{
	size_t add = (size_t)s->n * EXTENT_LEN, cap;
	uint8_t *grown;

	if (b->spill == NULL && b->extents.len + add > INLINE_EXTENTS) {
		if ((b->spill = spill_writer_new(o->g->keys->cut, EXTENT_LEN, out_put, o)) == NULL)
			return err_errno(e, "extents");
		if (b->extents.len > 0 && spill_writer_add(b->spill, b->extents.p, b->extents.len, e) != 0)
			return -1;
		b->extents.len = 0;
	}
	if (b->spill != NULL)
		return add > 0 ? spill_writer_add(b->spill, s->extents, add, e) : 0;
	if (b->extents.len + add > b->extents.cap) {
		cap = INLINE_EXTENTS;
		if ((grown = realloc(b->extents.p, cap)) == NULL)
			return err_errno(e, "extents");
		b->extents.p = grown;
		b->extents.cap = cap;
	}
	if (add > 0)
		memcpy(b->extents.p + b->extents.len, s->extents, add);
	b->extents.len += add;
	return 0;
}

static void
big_again(struct big_file *b, unsigned generation)
{
	b->taking = generation;
	b->extents.len = 0;
	spill_writer_free(b->spill);
	b->spill = NULL;
	b->size = 0;
	b->seq = 0;
}

static int
big_done(struct order *o, struct unit *u, struct err *e)
{
	struct big_file *b = u->big;
	struct piece *p = &u->pieces[0];

	if (p->skip)
		return spills_disown(o, e) != 0 ? -1 : 1;
	p->en.size = b->size;
	if (b->spill != NULL) {
		if (spill_writer_finish(b->spill, &p->en.long_extents, e) != 0)
			return -1;
		p->en.longs |= LONG_EXTENTS;
	} else {
		p->en.extents = view_of(b->extents.p, b->extents.len);
	}
	progress_add(0, 1);
	return engine_news(o->g, p, e) != 0 || out_entry(o, p, b->seq, e) != 0 ? -1 : 1;
}

int
out_stretch(struct order *o, struct unit *u, struct stretch *s, struct err *e)
{
	struct big_file *b = u->big;

	if (s->generation != b->taking)
		big_again(b, s->generation);
	o->spill_what = LONG_EXTENTS;
	if (!u->pieces[0].skip || !s->last) {
		if (refs_of_extents(o, view_of(s->extents, (size_t)s->n * EXTENT_LEN), e) != 0 || extents_keep(o, b, s, e) != 0)
			return -1;
		b->size += s->bytes;
		if (s->seq > b->seq)
			b->seq = s->seq;
	}
	return s->last ? big_done(o, u, e) : 0;
}

/* --- beginning and end --- */

int
out_init(struct order *o, struct engine *g, int tmpfd, struct err *e)
{
	memset(o, 0, sizeof(*o));
	o->g = g;
	o->listing = listing_writer_new(g->keys->cut, out_put, o);
	o->refs = id_sorter_new(tmpfd, 32u << 20, e);
	o->memo = inode_map_new(tmpfd, MEMO_MEMORY);
	o->memo_buf = malloc(MEMO_MAX);
	if (o->listing == NULL || o->refs == NULL || o->memo == NULL || o->memo_buf == NULL)
		return err_set(e, ERR_MEMORY, "no memory for the listing");
	return 0;
}

void
out_release(struct order *o)
{
	struct log_block *b;

	out_close_block(o);
	while ((b = o->head) != NULL) {
		o->head = b->next;
		free(b->p);
		free(b);
	}
	inode_map_free(o->memo);
	free(o->memo_buf);
	listing_writer_free(o->listing);
	id_sorter_free(o->refs);
}
