#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/stop.h"
#include "common/flow/path_within.h"
#include "common/flow/refs_read.h"
#include "common/flow/restore.h"
#include "common/flow/snapshot_open.h"
#include "common/pack/listing_read.h"

#define IDS_KEPT	65536u		/* when there are more of the line, each second falls away, again and again */
#define IDS_ASKED	4096u		/* so many places are asked for, at most */

/* What no disk and no vault has: ids that stand for 2^shift of them each, chosen by themselves, so that one id counts once. */
struct planner {
	const struct source *s;
	struct restore_plan *p;
	uint8_t *ids;
	size_t n;
	unsigned shift;
};

/* Ids are as good as random: bytes that nothing else here looks at decide. */
static int
id_stays(const uint8_t id[DIGEST_LEN], unsigned shift)
{
	return shift == 0 || (le64_get(id + 16) & ((UINT64_C(1) << shift) - 1)) == 0;
}

static int
id_order(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_LEN);
}

/* Sort, once each; those that fall away at ${shift} go. */
static void
ids_thin(struct planner *g, unsigned shift)
{
	size_t kept = 0;

	qsort(g->ids, g->n, DIGEST_LEN, id_order);
	g->shift = shift;
	for (size_t i = 0; i < g->n; i++) {
		const uint8_t *id = g->ids + i * DIGEST_LEN;

		if (!id_stays(id, shift) || (kept > 0 && memcmp(g->ids + (kept - 1) * DIGEST_LEN, id, DIGEST_LEN) == 0))
			continue;
		memmove(g->ids + kept++ * DIGEST_LEN, id, DIGEST_LEN);
	}
	g->n = kept;
}

static void
id_add(struct planner *g, const uint8_t id[DIGEST_LEN])
{
	if (!id_stays(id, g->shift))
		return;
	if (g->n == IDS_KEPT) {
		ids_thin(g, g->shift);
		while (g->n > IDS_KEPT / 2)
			ids_thin(g, g->shift + 1);
	}
	if (id_stays(id, g->shift)) {
		memcpy(g->ids + g->n * DIGEST_LEN, id, DIGEST_LEN);
		g->n++;
	}
}

/* One chunk that is needed. */
static void
needed(struct planner *g, const uint8_t id[DIGEST_LEN])
{
	uint32_t len;
	size_t from;

	if (source_has(g->s, id, &len, &from))
		g->p->bytes[from] += len;
	else if (source_line(g->s) != NULL)
		id_add(g, id);
	else
		g->p->missing++;
}

/* Where the line is: its position among the containers. */
static size_t
line_position(const struct source *s)
{
	size_t i = 0;

	while (source_container(s, i) != source_line(s))
		i++;
	return i;
}

/* What is left is asked for. */
static int
line_ask_for(struct planner *g, struct err *e)
{
	uint64_t bytes = 0, missing = 0;
	uint32_t *len;
	int rc;

	if (source_line(g->s) == NULL)
		return 0;
	ids_thin(g, g->shift);
	while (g->n > IDS_ASKED)
		ids_thin(g, g->shift + 1);
	if ((len = calloc(g->n + 1, sizeof(*len))) == NULL)
		return err_set(e, ERR_MEMORY, "no memory to plan");
	rc = source_places(g->s, g->ids, g->n, len, e);
	for (size_t i = 0; rc == 0 && i < g->n; i++) {
		bytes += len[i];
		missing += len[i] == 0;
	}
	g->p->bytes[line_position(g->s)] += bytes << g->shift;
	g->p->missing += missing << g->shift;
	g->p->about |= g->shift > 0;
	free(len);
	return rc;
}

static int
planner_init(struct planner *g, const struct source *s, struct restore_plan *p, struct err *e)
{
	*g = (struct planner){ .s = s, .p = p };
	memset(p->bytes, 0, source_containers(s) * sizeof(*p->bytes));
	p->missing = 0;
	p->about = 0;
	return (g->ids = malloc((size_t)(IDS_KEPT + 1) * DIGEST_LEN)) != NULL ? 0 : err_set(e, ERR_MEMORY, "no memory to plan");
}

/* By the list at place ${i} of ${snap}. */
static int
plan_by(const struct source *s, const struct snapshot *snap, size_t i, struct restore_plan *p, struct err *e)
{
	struct refs_reader *r = refs_reader_new(source_container(s, snap->at[i].container), &snap->at[i].place, &snap->env, e);
	uint8_t id[DIGEST_LEN];
	struct planner g;
	int rc;

	if (r == NULL)
		return -1;
	rc = planner_init(&g, s, p, e);
	while (rc == 0 && (rc = refs_reader_next(r, id, e)) == 1) {
		needed(&g, id);
		rc = stop_check(e);
	}
	refs_reader_free(r);
	if (rc == 0)
		rc = line_ask_for(&g, e);
	free(g.ids);
	return rc;
}

int
restore_plan(const struct source *s, const struct snapshot *snap, struct restore_plan *p, struct err *e)
{
	int rc = err_set(e, ERR_NOT_FOUND, "no reference list is there");

	/* From the line only what is nowhere else. */
	for (int line = 0; line < 2; line++)
		for (size_t i = 0; rc != 0 && i < snap->places; i++) {
			if (source_container(s, snap->at[i].container)->is_line != line ||
			    (e != NULL && (e->code == ERR_INTERRUPTED || e->code == ERR_LINE)))
				continue;
			err_clear(e);
			rc = plan_by(s, snap, i, p, e);
		}
	return rc;
}

static int
extent_needed(void *arg, uint64_t at, const struct extent *x, struct err *e)
{
	(void)at;
	(void)e;
	if (!extent_is_hole(x))
		id_add(arg, x->id);
	return 0;
}

static int
entry_needed(struct planner *g, struct source_reader *r, const struct entry *en, struct err *e)
{
	if (en->type == ENTRY_FILE && extents_each(en, source_get, r, NULL, NULL, extent_needed, g, e) != 0) {
		if (err_exit(e->code) != err_exit(ERR_DAMAGE) && e->code != ERR_MISSING)
			return -1;
		err_clear(e);	/* told when it is restored */
	}
	return stop_check(e);
}

/* ${path} and what is below it. */
static int
path_needed(struct planner *g, const struct open_snapshot *o, struct source_reader *r, const char *text, struct err *e)
{
	struct fmt_view path = view_of(text, strlen(text)), dir;
	struct listing_reader *l;
	uint8_t copy[ENTRY_LEN_MAX + 16];
	struct entry en = { .type = ENTRY_DIR };
	int rc = 1;

	if (path.len > 1)
		rc = listing_find(o->root.top_id, o->root.levels, source_get, r, path, &en, copy, e);
	if (rc != 1 || en.type != ENTRY_DIR)
		return rc == 1 ? entry_needed(g, r, &en, e) : rc;
	if ((l = listing_reader_new(o->root.top_id, o->root.levels, source_get, r, NULL, NULL)) == NULL)
		return err_set(e, ERR_MEMORY, "no memory to read a listing");
	rc = listing_reader_seek(l, path, e);
	while (rc == 0 && (rc = listing_reader_next(l, &dir, &en, e)) > 0) {
		if (rc == 2 && !path_is_within(dir, path)) {
			rc = 0;
			break;
		}
		rc = rc == 2 ? 0 : entry_needed(g, r, &en, e);
	}
	listing_reader_free(l);
	return rc;
}

int
restore_plan_paths(struct source *s, const struct snapshot *snap, const struct keyring *k, const char *const *paths, size_t n,
    struct restore_plan *p, struct err *e)
{
	struct source_reader *r = source_reader_new(s, e);
	struct open_snapshot open;
	struct planner g;
	uint32_t len;
	size_t from, away = 0;
	int rc = -1;

	if (r == NULL)
		return -1;
	if (planner_init(&g, s, p, e) == 0 && snapshot_open(&open, s, r, snap, k, e) == 0) {
		rc = 0;
		for (size_t i = 0; rc == 0 && i < n; i++)
			rc = path_needed(&g, &open, r, paths[i], e);
		snapshot_close(&open);
	}
	if (rc == 0)
		ids_thin(&g, g.shift);
	/* Disks first; the line is asked for the others. */
	for (size_t i = 0; rc == 0 && i < g.n; i++) {
		const uint8_t *id = g.ids + i * DIGEST_LEN;

		if (source_has(s, id, &len, &from))
			p->bytes[from] += (uint64_t)len << g.shift;
		else if (source_line(s) == NULL)
			p->missing += UINT64_C(1) << g.shift;
		else
			memmove(g.ids + away++ * DIGEST_LEN, id, DIGEST_LEN);
	}
	p->about |= g.shift > 0;
	g.n = away;
	if (rc == 0)
		rc = line_ask_for(&g, e);
	free(g.ids);
	source_reader_free(r);
	return rc;
}
