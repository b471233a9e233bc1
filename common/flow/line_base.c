#include "common/flow/line_base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/stop.h"
#include "common/flow/journal.h"
#include "common/flow/keyring.h"
#include "common/flow/line_read.h"
#include "common/flow/refs_out.h"
#include "common/flow/refs_read.h"
#include "common/flow/snapshot_open.h"
#include "common/pack/listing_read.h"

#define MEMORY		((size_t)64 << 20)
#define BLOCK_LEN	((size_t)64 << 10)
#define TMP		"fetched.tmp"

struct fetching {
	struct line *l;
	struct state *s;
	struct keyring *keys;
	struct source *source;
	struct source_reader *reader;
	struct snapshot_list list;
	const struct snapshot *snap;
	int dirfd;			/* snaps/ */
	/* The item log being written. */
	struct journal *items;
	struct buf block;		/* items, the first a directory; empty: none is begun */
	uint8_t dir[PATH_LEN_MAX];
	size_t dir_len;
	uint8_t what;			/* LONG_…: what a spill chunk that is read belongs to */
};

/* --- the item log --- */

static int
block_end(struct fetching *f, struct err *e)
{
	int rc = buf_check(&f->block, e);

	if (rc == 0 && f->block.len > 0)
		rc = journal_put(f->items, JOURNAL_ITEMS, f->block.p, f->block.len, e);
	buf_reset(&f->block);
	return rc;
}

static int
dir_put(struct fetching *f, struct err *e)
{
	size_t room = f->dir_len + 16;
	struct wr w = { .p = buf_room(&f->block, room), .left = room };

	if (w.p == NULL)
		return buf_check(&f->block, e);
	item_dir_put(&w, view_of(f->dir, f->dir_len));
	buf_grew(&f->block, room - w.left);
	return w.bad ? err_set(e, ERR_INTERNAL, "a directory's name is not valid") : 0;
}

static int
dir_take(struct fetching *f, struct fmt_view path, struct err *e)
{
	memcpy(f->dir, path.p, path.len);
	f->dir_len = path.len;
	if (f->block.len >= BLOCK_LEN && block_end(f, e) != 0)
		return -1;
	return dir_put(f, e);
}

/* A spill chunk goes into the log as it is read. */
static int
spill_get(void *arg, const uint8_t id[DIGEST_LEN], unsigned kind, const uint8_t **plain, size_t *len, struct err *e)
{
	struct fetching *f = arg;
	struct fmt_view parts[3];

	if (source_get(f->reader, id, kind, plain, len, e) != 0)
		return -1;
	parts[0] = view_of(&f->what, 1);
	parts[1] = view_of(id, DIGEST_LEN);
	parts[2] = view_of(*plain, *len);
	return journal_add(f->items, JOURNAL_SPILL, parts, 3, e);
}

static int
spill_take(struct fetching *f, const struct spill *s, uint8_t what, struct err *e)
{
	struct spill_reader *r;
	const uint8_t *p;
	size_t n;
	int rc;

	f->what = what;
	if ((r = spill_reader_new(s, spill_get, f, NULL, NULL)) == NULL)
		return err_set(e, ERR_MEMORY, "no memory to read a listing");
	while ((rc = spill_reader_next(r, &p, &n, e)) == 1)
		;
	spill_reader_free(r);
	return rc;
}

static int
entry_take(struct fetching *f, const struct entry *en, struct err *e)
{
	size_t room = item_entry_size(en);
	struct wr w;

	/* What an entry has in spill chunks stands right before it. */
	if ((en->longs != 0 || f->block.len >= BLOCK_LEN) && block_end(f, e) != 0)
		return -1;
	if (((en->longs & LONG_XATTRS) != 0 && spill_take(f, &en->long_xattrs, LONG_XATTRS, e) != 0) ||
	    ((en->longs & LONG_EXTENTS) != 0 && spill_take(f, &en->long_extents, LONG_EXTENTS, e) != 0))
		return -1;
	if (f->block.len == 0 && dir_put(f, e) != 0)
		return -1;
	w = (struct wr){ .p = buf_room(&f->block, room), .left = room };
	if (w.p == NULL)
		return buf_check(&f->block, e);
	item_entry_put(&w, en);
	buf_grew(&f->block, room - w.left);
	return w.bad ? err_set(e, ERR_INTERNAL, "an entry of a listing cannot be written") : stop_check(e);
}

static int
items_write(struct fetching *f, const struct snapshot_root *root, struct err *e)
{
	struct listing_reader *r = listing_reader_new(root->top_id, root->levels, source_get, f->reader, NULL, NULL);
	struct fmt_view dir;
	struct entry en;
	int rc, got = 1;

	if (r == NULL)
		return err_set(e, ERR_MEMORY, "no memory to read a listing");
	(void)io->unlinkat(f->dirfd, TMP, 0);
	if ((f->items = journal_create(f->dirfd, TMP, 0, NULL, 0, e)) == NULL)
		got = -1;
	while (got > 0 && (got = listing_reader_next(r, &dir, &en, e)) > 0)
		if ((got == 2 ? dir_take(f, dir, e) : entry_take(f, &en, e)) != 0)
			got = -1;
	listing_reader_free(r);
	rc = got < 0 || block_end(f, e) != 0 || journal_sync(f->items, e) != 0 ? -1 : 0;
	journal_close(f->items);
	return rc;
}

/* --- all of it --- */

static void
bad_told(void *arg, const char *where, const uint8_t *id, const struct err *why)
{
	(void)arg;
	(void)id;
	say_warn("%s: %s", where, why->msg);
}

static int
places_open(struct fetching *f, struct err *e)
{
	const struct source_options so = { .memory = MEMORY, .bad = bad_told };
	struct source_options o = so;
	struct container_trust trust;
	struct container *c;
	uint64_t rate;

	if ((f->keys = keyring_from_state(f->s, e)) == NULL ||
	    line_remembered(f->s, f->keys->keys, &trust, &rate, e) != 0)
		return -1;
	o.keys = f->keys->keys;
	if ((f->source = source_new(&o, e)) == NULL ||
	    (c = container_line(f->l, f->keys->vault_id, f->keys->machine_id, &trust, e)) == NULL ||
	    source_add_container(f->source, c, e) != 0 || source_index(f->source, e) != 0 ||
	    (f->reader = source_reader_new(f->source, e)) == NULL)
		return -1;
	return snapshot_list_read(&f->list, f->source, f->keys->machine_id, f->keys->machine_pub, f->keys->member.from_seq, bad_told,
	    NULL, e);
}

static int
refs_fetch(struct fetching *f, struct err *e)
{
	const struct snapshot *snap = f->snap;
	struct refs_reader *r = refs_reader_new(source_line(f->source), &snap->at[0].place, &snap->env, e);
	struct refs_out out;
	uint8_t id[DIGEST_LEN];
	int rc;

	if (r == NULL)
		return -1;
	refs_out_init(&out, f->dirfd, &snap->env);
	while ((rc = refs_reader_next(r, id, e)) == 1)
		if (refs_out_id(&out, id, e) != 0) {
			rc = -1;
			break;
		}
	if (rc == 0)
		rc = refs_out_end(&out, e);
	refs_out_release(&out);
	refs_reader_free(r);
	return rc;
}

/* Root and envelope as files. */
static int
statements_write(struct fetching *f, struct err *e)
{
	const struct envelope *env = &f->snap->env;
	uint8_t bytes[ENVELOPE_LEN_MAX];
	const uint8_t *plain;
	char name[64];
	size_t len;

	if (source_get(f->reader, env->root_id, KIND_ROOT, &plain, &len, e) != 0)
		return -1;
	(void)snprintf(name, sizeof(name), "%08llu.root", (unsigned long long)env->seq);
	if (file_replace(f->dirfd, name, plain, len, 0600, e) != 0)
		return -1;
	if (schema_encode(&envelope_schema, env, bytes, sizeof(bytes), &len) != FMT_OK)
		return err_set(e, ERR_INTERNAL, "an envelope cannot be written");
	(void)snprintf(name, sizeof(name), "%08llu.env", (unsigned long long)env->seq);
	return file_replace(f->dirfd, name, bytes, len, 0600, e);
}

static int
snapshot_fetch(struct fetching *f, struct err *e)
{
	struct open_snapshot open;
	char name[64];
	int rc = -1;

	if (snapshot_open(&open, f->source, f->reader, f->snap, f->keys, e) != 0)
		return -1;
	if (refs_fetch(f, e) == 0 && items_write(f, &open.root, e) == 0 && statements_write(f, e) == 0) {
		(void)snprintf(name, sizeof(name), "%08llu.itm", (unsigned long long)f->snap->env.seq);
		rc = io->renameat2(f->dirfd, TMP, f->dirfd, name, 0) != 0 ? err_errno(e, "keep the listing") : dir_sync(f->dirfd, NULL, e);
	}
	(void)io->unlinkat(f->dirfd, TMP, 0);
	snapshot_close(&open);
	return rc;
}

int
line_base_fetch(struct line *l, struct state *s, const char *set, uint64_t *seq, struct err *e)
{
	struct fetching f = { .l = l, .s = s, .dirfd = -1 };
	int rc = -1;

	buf_init(&f.block);
	if (dir_make(s->fd, "snaps", 0700, e) == 0 && (f.dirfd = dir_open(s->fd, "snaps", e)) != -1)
		rc = places_open(&f, e);
	for (size_t i = 0; rc == 0 && i < f.list.n; i++)
		if (!f.list.snap[i].older && strcmp(f.list.snap[i].env.set_name, set) == 0 && snapshot_on_line(f.source, &f.list.snap[i]) != NULL)
			f.snap = &f.list.snap[i];
	if (rc == 0)
		rc = f.snap == NULL ? 1 : snapshot_fetch(&f, e);
	if (rc == 0)
		*seq = f.snap->env.seq;
	snapshot_list_release(&f.list);
	source_reader_free(f.reader);
	source_free(f.source);
	keyring_free(f.keys);
	buf_release(&f.block);
	if (f.dirfd != -1)
		(void)io->close(f.dirfd);
	return rc < 0 ? err_during(e, "the earlier listing of set %s", set) : rc;
}
