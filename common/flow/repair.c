#include "common/flow/repair.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/stop.h"
#include "common/flow/repair_group.h"
#include "common/pack/pack_view.h"

#define WHY_MAX	160

struct repair {
	const struct image_dir *d;
	struct disk_statement s;
	struct parity_member *packs;	/* by rising numbers */
	uint32_t n;
	uint8_t *wanted;		/* a byte a pack */
	uint32_t nwanted;
	pthread_mutex_t lock;
};

/* One run: memory that is not needed before. */
struct run {
	struct repair *r;
	struct repair_group *g;
	uint8_t *out;
	repaired_fn fn;
	void *arg;
};

static int
index_take(struct repair *r, struct err *e)
{
	struct index_reader *index = index_reader_new(r->d, &r->s, e);
	const uint8_t *table, *foot;
	struct parity_member *p;
	struct pack_foot f;
	uint32_t table_len;
	int rc;

	if (index == NULL)
		return -1;
	while (r->n < r->s.packs) {
		p = &r->packs[r->n];
		if ((rc = index_reader_next(index, &p->number, &p->file_len, &table, &table_len, &foot, e)) != 1)
			break;
		if (pack_foot_decode(&f, foot, PACK_FOOT_LEN) != FMT_OK || p->file_len == 0) {
			rc = err_set(e, ERR_DAMAGE, "the disk's index has a footer that is none");
			break;
		}
		memcpy(p->id, f.pack_id, DIGEST_LEN);
		r->n++;
	}
	index_reader_free(index);
	if (r->n == r->s.packs)
		return 0;
	return rc == -1 ? -1 : err_set(e, ERR_DAMAGE, "the disk's index has fewer packs than its statement says");
}

struct repair *
repair_new(const struct image_dir *d, const struct disk_statement *s, struct err *e)
{
	struct repair *r;

	if (s->parity_groups == 0 || s->parity_groups != parity_groups(s->packs, s->parity_percent)) {
		(void)err_set(e, ERR_NOT_FOUND, "the disk has no parity");
		return NULL;
	}
	if ((r = calloc(1, sizeof(*r))) == NULL) {
		(void)err_set(e, ERR_MEMORY, "no memory to repair packs");
		return NULL;
	}
	pthread_mutex_init(&r->lock, NULL);
	r->d = d;
	r->s = *s;
	r->packs = calloc(s->packs, sizeof(*r->packs));
	r->wanted = calloc(s->packs, 1);
	if (r->packs == NULL || r->wanted == NULL)
		(void)err_set(e, ERR_MEMORY, "no memory to repair packs");
	else if (index_take(r, e) == 0)
		return r;
	repair_free(r);
	return NULL;
}

void
repair_free(struct repair *r)
{
	if (r == NULL)
		return;
	pthread_mutex_destroy(&r->lock);
	free(r->packs);
	free(r->wanted);
	free(r);
}

void
repair_want(struct repair *r, uint32_t number)
{
	uint32_t low = 0, high = r->n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (r->packs[mid].number < number)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == r->n || r->packs[low].number != number)
		return;
	pthread_mutex_lock(&r->lock);
	r->nwanted += !r->wanted[low];
	r->wanted[low] = 1;
	pthread_mutex_unlock(&r->lock);
}

uint32_t
repair_wanted(struct repair *r)
{
	uint32_t n;

	pthread_mutex_lock(&r->lock);
	n = r->nwanted;
	pthread_mutex_unlock(&r->lock);
	return n;
}

int
repair_is_pack(const struct image_dir *d, const struct parity_member *x, const uint8_t *in, size_t len)
{
	const struct label *l = &d->label;
	size_t at = PACK_HEAD_LEN;
	struct pack_view v;
	struct pack_row row;

	if (len != x->file_len)
		return 0;
	if (pack_view_bytes(&v, in, len, l->machine_id, l->machine_pub, NULL) != 0 ||
	    memcmp(v.foot.pack_id, x->id, DIGEST_LEN) != 0)
		return 0;
	for (uint32_t i = 0; i < v.table.count; i++) {
		pack_table_row(&v.table, i, &row);
		if (pack_frame_check(&row, in + at, v.table.head.domain_id, PACK_FULL) != NULL)
			return 0;
		at += row.len;
	}
	return 1;
}

void
repair_group_describe(const struct repair *r, uint32_t group, struct parity_table *t, struct parity_member *members,
    uint32_t *first)
{
	uint32_t longest = 1;

	memset(t, 0, sizeof(*t));
	t->groups = r->s.parity_groups;
	t->group = group;
	t->disk = r->s.disk;
	memcpy(t->image_id, r->s.image_id, ID_LEN);
	t->k = (uint16_t)parity_group_packs(r->n, t->groups, group);
	t->m = (uint16_t)parity_group_parity(t->k, r->s.parity_percent);
	for (uint32_t i = 0; i < t->k; i++) {
		members[i] = r->packs[group + i * t->groups];
		if (members[i].file_len > longest)
			longest = members[i].file_len;
	}
	t->rows = (longest + PARITY_SHARD_LEN - 1) / PARITY_SHARD_LEN;
	*first = parity_number(r->n, t->groups, r->s.parity_percent, group);
}

static int
member_give(struct run *u, const struct parity_member *x, uint32_t i, int known, struct err *e)
{
	struct repaired p = { .number = x->number, .file_len = x->file_len, .bytes = u->out, .len = x->file_len };
	char why[WHY_MAX] = "";
	uint32_t had, missing = repair_group_make(u->g, u->r->d, i, u->out, &had);

	memcpy(p.id, x->id, DIGEST_LEN);
	p.why = why;
	p.empty = had == 0;
	p.whole = repair_is_pack(u->r->d, x, u->out, x->file_len);
	if (!known && !p.whole)
		(void)snprintf(why, sizeof(why), "no table of its parity can be read");
	else if (missing > 0 && !p.whole)
		(void)snprintf(why, sizeof(why), "parity cannot make %u of its pieces again: too many others of the same rows are damaged",
		    missing);
	else if (!p.whole)
		(void)snprintf(why, sizeof(why), "what parity makes of it is not the pack that was signed");
	return u->fn(u->arg, &p, e);
}

static int
group_run(struct run *u, uint32_t group, struct err *e)
{
	struct repair *r = u->r;
	struct parity_member members[PARITY_GROUP_MAX];
	struct parity_table t;
	uint32_t first;
	int known;

	repair_group_describe(r, group, &t, members, &first);
	if ((known = repair_group_load(u->g, r->d, &t, members, first, e)) == -1)
		return -1;
	for (uint32_t i = 0; i < t.k; i++) {
		uint32_t j = group + i * t.groups;

		if (!r->wanted[j])
			continue;
		if (stop_check(e) != 0 || member_give(u, &members[i], i, known == 0, e) != 0)
			return -1;
		r->wanted[j] = 0;
		r->nwanted--;
	}
	return 0;
}

static int
group_is_wanted(const struct repair *r, uint32_t group)
{
	for (uint32_t j = group; j < r->n; j += r->s.parity_groups)
		if (r->wanted[j])
			return 1;
	return 0;
}

int
repair_run(struct repair *r, repaired_fn fn, void *arg, struct err *e)
{
	struct run u = { .r = r, .fn = fn, .arg = arg };
	uint32_t k = parity_group_packs(r->n, r->s.parity_groups, 0);
	int rc = 0;

	if (r->nwanted == 0)
		return 0;
	if ((u.g = repair_group_new(k, parity_group_parity(k, r->s.parity_percent), e)) == NULL)
		return -1;
	if ((u.out = malloc(PACK_LEN_MAX)) == NULL)
		rc = err_set(e, ERR_MEMORY, "no memory to repair packs");
	for (uint32_t group = 0; rc == 0 && group < r->s.parity_groups; group++)
		if (group_is_wanted(r, group))
			rc = group_run(&u, group, e);
	free(u.out);
	repair_group_free(u.g);
	return rc;
}
