/* An item log, read from its beginning: directories, entries, extents. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/stop.h"
#include "common/flow/topup_job.h"

#define SPILL_HEAD	(1 + DIGEST_LEN)

struct walking {
	const struct topup_walk *w;
	struct base_layer layer;
	struct journal_reader *reader;
	uint8_t dir[PATH_LEN_MAX];
	size_t dir_len;
	int in_dir;
	struct journal_mark spills;	/* of the entry to come */
	int spilled;
	/* While the extents of one file are told. */
	struct topup_file file;
	uint64_t at;
};

static int
extents_tell(struct walking *k, struct fmt_view rows, struct err *e)
{
	struct extent x;

	for (size_t i = 0; i + EXTENT_LEN <= rows.len; i += EXTENT_LEN) {
		extent_get(rows.p + i, &x);
		if (!extent_is_hole(&x) && k->w->extent(k->w->arg, &k->file, k->at, &x, e) != 0)
			return -1;
		k->at += x.len;
	}
	return 0;
}

/* A piece of a long file's extents: leaves of its tree, in order. */
static int
spill_tell(void *arg, unsigned what, const uint8_t *id, struct fmt_view plain, struct err *e)
{
	struct rd r;
	unsigned level;
	uint32_t n;

	(void)id;
	if (what != LONG_EXTENTS || spill_node_decode(plain.p, plain.len, &r, &level, &n) == FMT_OK)
		return 0;
	return extents_tell(arg, plain, e);
}

static int
entry_tell(struct walking *k, const struct entry *en, struct err *e)
{
	int had = k->spilled;

	k->spilled = 0;
	if (k->w->entry != NULL && k->w->entry(k->w->arg, en, e) != 0)
		return -1;
	if (en->type != ENTRY_FILE || k->w->extent == NULL)
		return 0;
	k->file = (struct topup_file){ view_of(k->dir, k->dir_len), en };
	k->at = 0;
	if ((en->longs & LONG_EXTENTS) == 0)
		return extents_tell(k, en->extents, e);
	/* Another name of a file that was told before has no spill chunks of its own. */
	return had ? base_spills(&k->layer, k->spills, spill_tell, k, e) : 0;
}

static int
dir_tell(struct walking *k, struct fmt_view path, struct err *e)
{
	if (k->in_dir && k->dir_len == path.len && memcmp(k->dir, path.p, path.len) == 0)
		return 0;		/* a record begins in the middle of it */
	memcpy(k->dir, path.p, path.len);
	k->dir_len = path.len;
	k->in_dir = 1;
	return k->w->dir != NULL ? k->w->dir(k->w->arg, path, e) : 0;
}

static int
items_tell(struct walking *k, struct fmt_view items, struct err *e)
{
	struct rd r = { .p = items.p, .left = items.len };
	struct item it;

	while (r.left > 0) {
		if (item_next(&r, &it) != FMT_OK)
			return err_set(e, ERR_STATE, "an item log in the state directory is damaged");
		if ((it.tag == ITEM_DIR ? dir_tell(k, it.path, e) : entry_tell(k, &it.entry, e)) != 0)
			return -1;
	}
	k->spilled = 0;			/* what nobody took belonged to a file that was left out */
	return stop_check(e);
}

static int
records_tell(struct walking *k, struct err *e)
{
	struct journal_mark before;
	struct fmt_view payload;
	unsigned type;
	int got;

	for (;;) {
		before = journal_here(k->reader);
		if ((got = journal_next(k->reader, &type, &payload, e)) != 1)
			return got;
		if (type == JOURNAL_SPILL && payload.len >= SPILL_HEAD) {
			if (!k->spilled)
				k->spills = before;
			k->spilled = 1;
			if (k->w->spill != NULL &&
			    k->w->spill(k->w->arg, view_of(payload.p + SPILL_HEAD, payload.len - SPILL_HEAD), e) != 0)
				return -1;
		} else if (type == JOURNAL_ITEMS && items_tell(k, payload, e) != 0) {
			return -1;
		}
	}
}

int
topup_walk(struct state *s, uint64_t seq, const struct topup_walk *w, struct err *e)
{
	struct walking *k = calloc(1, sizeof(*k));
	int snaps = -1, rc = -1;
	struct err mine;

	err_clear(&mine);
	if (k == NULL)
		return err_errno(e, "item log");
	k->w = w;
	if ((snaps = dir_open(s->fd, "snaps", e)) != -1) {
		k->layer.dirfd = snaps;
		(void)snprintf(k->layer.name, sizeof(k->layer.name), "%08llu.itm", (unsigned long long)seq);
		if ((k->reader = journal_reader_new(snaps, k->layer.name, &mine)) != NULL)
			rc = records_tell(k, e);
		else if (mine.code == ERR_NOT_FOUND)
			rc = 1;
		else if (e != NULL)
			*e = mine;
	}
	journal_reader_free(k->reader);
	if (snaps != -1)
		(void)io->close(snaps);
	free(k);
	return rc;
}
