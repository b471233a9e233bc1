/* What of a disk is new to the vault, and what that takes. */

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/log.h"
#include "common/base/stop.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_chunks.h"
#include "common/catalog/catalog_rows.h"
#include "common/flow/ingest_rows.h"
#include "common/flow/machine_fate.h"
#include "common/flow/pack_reread.h"
#include "common/pack/pack_view.h"
#include "common/store/store.h"

#define BATCH		65536u	/* ids that are looked up together */
#define PLAN_STEP	4096u

/* One chunk of the rows in hand. */
struct wanted {
	uint8_t id[DIGEST_LEN];
	uint32_t row, len;
};

struct planning {
	struct ingest *g;
	struct wanted *w;
	uint8_t *ids, *states;
	size_t n;
	uint32_t first;			/* row that the batch begins with */
	uint64_t *fresh, *len;		/* of each row of the batch: bytes that are new, of the file */
	size_t rows;
	uint64_t chunks;		/* in all tables */
	int again;			/* the disk was taken in before: what is held of it is read where it lies now */
};

static int
by_id(const void *a, const void *b)
{
	return memcmp(((const struct wanted *)a)->id, ((const struct wanted *)b)->id, DIGEST_LEN);
}

/* Look up what was gathered and decide its rows. */
static int
batch_decide(struct planning *p, struct err *e)
{
	struct ingest *g = p->g;

	qsort(p->w, p->n, sizeof(*p->w), by_id);
	for (size_t i = 0; i < p->n; i++)
		memcpy(p->ids + i * DIGEST_LEN, p->w[i].id, DIGEST_LEN);
	if (chunks_find(g->v->catalog, g->st.domain_id, g->st.machine_id, p->ids, p->n, p->states, e) != 0)
		return -1;
	for (size_t i = 0; i < p->n; i++) {
		if (p->states[i] & COPY_GOOD) {
			g->r->chunks_held++;
			continue;
		}
		p->fresh[p->w[i].row - p->first] += p->w[i].len;
	}
	for (size_t i = 0; i < p->rows; i++) {
		uint8_t *plan = &g->plan[p->first + i];

		if (p->fresh[i] == 0)
			*plan = PLAN_SKIP;
		else
			*plan = p->fresh[i] * 2 >= p->len[i] ? PLAN_WHOLE : PLAN_PARTS;
		g->r->needed += *plan == PLAN_WHOLE ? p->len[i] : p->fresh[i] + p->fresh[i] / 64;
		g->to_read += *plan == PLAN_SKIP ? 0 : p->len[i];
	}
	p->first += (uint32_t)p->rows;
	p->n = p->rows = 0;
	return stop_check(e);
}

/* Gather one row's chunks.  A table that cannot be believed has none: its pack is read, and found bad. */
static int
row_gather(struct planning *p, uint32_t file_len, const uint8_t *table, uint32_t table_len, const uint8_t *foot,
    struct err *e)
{
	struct ingest *g = p->g;
	struct pack_view v;
	struct err mine;
	uint32_t row;

	if (g->rows % PLAN_STEP == 0) {
		uint8_t *more = realloc(g->plan, g->rows + PLAN_STEP);

		if (more == NULL)
			return err_errno(e, "%s", g->name);
		g->plan = more;
	}
	row = g->rows;
	if (p->rows == BATCH && batch_decide(p, e) != 0)
		return -1;
	err_clear(&mine);
	if (pack_view_open(&v, table, table_len, foot, g->st.machine_id, g->dir.label.machine_pub, &mine) != 0)
		v.table.count = 0;
	else if (p->again && (pack_reread(g->v, &v, table, foot, e) != 0 || stop_check(e) != 0))
		return -1;
	if (p->n + v.table.count > BATCH && p->n > 0 && batch_decide(p, e) != 0)
		return -1;
	g->rows++;
	p->chunks += v.table.count;
	p->fresh[p->rows] = v.table.count == 0 ? file_len : 0;
	p->len[p->rows++] = file_len;
	for (uint32_t i = 0; i < v.table.count; i++) {
		struct pack_row r;

		pack_table_row(&v.table, i, &r);
		memcpy(p->w[p->n].id, r.id, DIGEST_LEN);
		p->w[p->n].len = r.len;
		p->w[p->n++].row = row;
	}
	return 0;
}

static int
plan_rows(struct planning *p, struct err *e)
{
	struct disk_rows *r = disk_rows_new(p->g, e);
	struct disk_row row;
	int rc;

	if (r == NULL)
		return -1;
	while ((rc = disk_rows_next(r, &row, e)) == 1)
		if (row_gather(p, row.file_len, row.table, row.table_len, row.foot, e) != 0) {
			rc = -1;
			break;
		}
	if (rc == 0)
		rc = batch_decide(p, e);
	if (disk_rows_without_index(r) && rc == 0) {
		say_warn("%s: both copies of its index are damaged; its %u packs speak for themselves", p->g->name, p->g->rows);
		p->g->r->damage++;
		/* The statement knows how many chunks there should be. */
		if (p->g->st.chunks > p->chunks)
			p->g->r->chunks_bad += p->g->st.chunks - p->chunks;
	}
	disk_rows_free(r);
	return rc;
}

/* Before the first byte: what is new against what is free. */
static int
room_check(struct ingest *g, struct err *e)
{
	char need[HUMAN_MAX], have[HUMAN_MAX];

	if (g->v->store->ops->room(g->v->store, &g->r->room, e) != 0)
		return -1;
	if (g->r->needed <= g->r->room)
		return 0;
	(void)err_set(e, ERR_NO_SPACE, "%s: %s on it are new to the vault, %s are free in %s; nothing was written", g->name,
	    human_size(need, g->r->needed), human_size(have, g->r->room), g->v->path);
	return err_next(e, "Make room in the vault's file system, then give the same command again.");
}

/* The machine's quota holds whichever way its bytes come. */
static int
quota_check(struct ingest *g, struct err *e)
{
	struct quota_figures q;

	if (g->r->needed == 0 || machine_quota(g->v, g->st.machine_id, g->r->needed, &q, e) == 0)
		return 0;
	(void)err_during(e, "%s: nothing was taken", g->name);
	return err_next(e, "Give it more (samara-import machine %s M quota SIZE), or make room (samara-import prune), then "
	    "give the same command again.", g->v->path);
}

/* Was this very disk taken in before, to its end?  One that was cut off goes on without reading again. */
static int
was_taken_in(const struct ingest *g, int *again, struct err *e)
{
	struct cat_disk d = { .number = g->st.disk };
	int rc;

	memcpy(d.image_id, g->st.image_id, ID_LEN);
	if ((rc = catalog_get(g->v->catalog, &cat_disks, &d, e)) < 0)
		return -1;
	*again = rc == 0 && !g->o->dry_run && d.state == DISK_INGESTED &&
	    memcmp(d.statement, g->st_digest, DIGEST_LEN) == 0;
	return 0;
}

int
ingest_plan(struct ingest *g, struct err *e)
{
	struct planning p = { .g = g };
	int rc = -1;

	if (was_taken_in(g, &p.again, e) != 0)
		return -1;
	p.w = calloc(BATCH + PACK_FRAMES_MAX, sizeof(*p.w));
	p.ids = malloc((size_t)(BATCH + PACK_FRAMES_MAX) * DIGEST_LEN);
	p.states = malloc(BATCH + PACK_FRAMES_MAX);
	p.fresh = calloc(BATCH, sizeof(*p.fresh));
	p.len = calloc(BATCH, sizeof(*p.len));
	if (p.w == NULL || p.ids == NULL || p.states == NULL || p.fresh == NULL || p.len == NULL)
		(void)err_errno(e, "%s", g->name);
	else if ((rc = plan_rows(&p, e)) == 0 && (rc = room_check(g, e)) == 0)
		rc = quota_check(g, e);
	free(p.w);
	free(p.ids);
	free(p.states);
	free(p.fresh);
	free(p.len);
	return rc;
}
