/* Plain keep rules over the vault's own time of receipt. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/err.h"
#include "common/catalog/catalog.h"
#include "common/flow/retain.h"
#include "common/flow/vault_machine.h"
#include "formats/fmt_retain.h"

#define SECOND		INT64_C(1000000000)
#define TOGETHER	32u	/* records in one transaction */

struct one {
	struct cat_snapshot s;
	const char *rule;	/* that keeps it; NULL: none */
	int is_counted;
};

struct pruning {
	struct vault *v;
	const struct prune_options *o;
	struct prune_result *r;
	struct one *all;	/* of the machine in hand, newest first */
	size_t n, cap;
	char why[TEXT_MAX_LEN + 1];
};

/* --- periods, UTC --- */

static int64_t
period_each(const struct cat_snapshot *s)
{
	return s->seq;
}

static int64_t
period_day(const struct cat_snapshot *s)
{
	return s->received / SECOND / 86400;
}

/* Weeks begin on Monday; 1970 began on a Thursday. */
static int64_t
period_week(const struct cat_snapshot *s)
{
	return (period_day(s) + 3) / 7;
}

static int64_t
period_month(const struct cat_snapshot *s)
{
	time_t t = (time_t)(s->received / SECOND);
	struct tm tm;

	return gmtime_r(&t, &tm) == NULL ? 0 : (int64_t)tm.tm_year * 12 + tm.tm_mon;
}

static int64_t
period_year(const struct cat_snapshot *s)
{
	return period_month(s) / 12;
}

/* --- one set --- */

/* The newest of each of the last ${n} periods that have one. */
static void
rule_apply(struct one **set, size_t count, uint64_t n, int64_t (*period)(const struct cat_snapshot *s), const char *name)
{
	int64_t last = 0;
	uint64_t seen = 0;

	for (size_t i = 0; i < count && n > 0; i++) {
		int64_t p = period(&set[i]->s);

		if (seen > 0 && p == last)
			continue;
		if (seen++ == n)
			return;
		last = p;
		if (set[i]->rule == NULL)
			set[i]->rule = name;
	}
}

static void
rules_apply(const struct prune_rules *k, struct one **set, size_t n)
{
	rule_apply(set, n, k->last, period_each, "keep-last");
	rule_apply(set, n, k->daily, period_day, "keep-daily");
	rule_apply(set, n, k->weekly, period_week, "keep-weekly");
	rule_apply(set, n, k->monthly, period_month, "keep-monthly");
	rule_apply(set, n, k->yearly, period_year, "keep-yearly");
}

/* What is neither deleted nor counted, in words; NULL: it is counted. */
static const char *
apart(struct pruning *p, const struct cat_snapshot *s, struct err *e)
{
	static const uint8_t none[ID_LEN];
	struct cat_image i;
	int rc;

	if (s->state == SNAPSHOT_PENDING)
		return "pending";
	if (s->state == SNAPSHOT_UNKNOWN)
		return "being looked at";
	if (s->received > p->v->late)
		return "received in the future";
	if (memcmp(s->image_id, none, ID_LEN) == 0)
		return NULL;
	memcpy(i.id, s->image_id, ID_LEN);
	if ((rc = catalog_get(p->v->catalog, &cat_images, &i, e)) != 0)
		return NULL;
	return i.state == IMAGE_HANDED_OFF || i.state == IMAGE_RELEASED || i.state == IMAGE_LOST || i.state == IMAGE_CANCELLED ?
	    NULL : "not handed off";
}

/* Newest first; of those received at once the higher number. */
static int
newest_first(const void *a, const void *b)
{
	const struct cat_snapshot *x = &((const struct one *)a)->s, *y = &((const struct one *)b)->s;

	if (x->received != y->received)
		return x->received > y->received ? -1 : 1;
	return x->seq > y->seq ? -1 : x->seq < y->seq;
}

/* The set that ${first} is of: the whole ones by themselves, the others by themselves. */
static int
set_judge(struct pruning *p, size_t first, struct err *e)
{
	struct one **set = calloc(p->n + 1, sizeof(*set));
	struct one *newest = NULL;

	if (set == NULL)
		return err_errno(e, "prune");
	for (int whole = 0; whole < 2; whole++) {
		size_t n = 0;

		for (size_t i = first; i < p->n; i++)
			if (p->all[i].is_counted && (p->all[i].s.state == SNAPSHOT_WHOLE) == whole &&
			    strcmp(p->all[i].s.set_name, p->all[first].s.set_name) == 0)
				set[n++] = &p->all[i];
		rules_apply(&p->o->rules, set, n);
	}
	for (size_t i = first; i < p->n; i++)
		if (p->all[i].s.state == SNAPSHOT_WHOLE && strcmp(p->all[i].s.set_name, p->all[first].s.set_name) == 0 &&
		    (newest == NULL || p->all[i].s.seq > newest->s.seq))
			newest = &p->all[i];
	if (newest != NULL && newest->rule == NULL)
		newest->rule = "newest whole";
	free(set);
	return 0;
}

static int
one_add(void *arg, const void *row, struct err *e)
{
	const struct cat_snapshot *s = row;
	struct pruning *p = arg;
	struct one *more;

	if (s->deleted != 0 || (p->o->set != NULL && strcmp(s->set_name, p->o->set) != 0))
		return 0;
	if (p->n == p->cap) {
		size_t cap = p->cap == 0 ? 256 : p->cap * 2;

		if ((more = realloc(p->all, cap * sizeof(*more))) == NULL)
			return err_errno(e, "prune");
		p->all = more;
		p->cap = cap;
	}
	p->all[p->n++] = (struct one){ .s = *s };
	return 0;
}

/* --- records --- */

static int
one_delete(struct pruning *p, const struct one *x, struct err *e)
{
	struct rec_snapshot k = { .seq = (uint64_t)x->s.seq, .by = RETAIN_BY_RULE };
	struct cat_snapshot now = x->s;
	int rc;

	/* As it was when it was judged? */
	if ((rc = catalog_get(p->v->catalog, &cat_snapshots, &now, e)) != 0)
		return rc < 0 ? -1 : 0;
	if (now.deleted != 0 || now.is_protected || now.state != x->s.state)
		return 0;
	memcpy(k.machine_id, now.machine_id, ID_LEN);
	memcpy(k.snapshot_id, now.id, ID_LEN);
	memcpy(k.why, p->why, sizeof(k.why));
	p->r->deleted++;
	return vault_record(p->v, REC_DELETED, &rec_snapshot_schema, &k, e);
}

static int
machine_delete(struct pruning *p, struct err *e)
{
	size_t i = p->n;

	/* The oldest first: stopped in between, nothing newer is missing than what is left. */
	while (i > 0) {
		size_t n = 0;

		if (vault_begin(p->v, e) != 0)
			return -1;
		for (; i > 0 && n < TOGETHER; i--) {
			if (p->all[i - 1].rule != NULL)
				continue;
			if (one_delete(p, &p->all[i - 1], e) != 0) {
				vault_rollback(p->v);
				return -1;
			}
			n++;
		}
		if (vault_commit(p->v, e) != 0)
			return -1;
	}
	return 0;
}

static int
machine_prune(void *arg, const void *row, struct err *e)
{
	const struct cat_machine *m = row;
	struct pruning *p = arg;
	struct cat_snapshot like;
	struct err mine;

	p->n = 0;
	memcpy(like.machine_id, m->id, ID_LEN);
	if (catalog_each(p->v->catalog, &cat_snapshots, 1, &like, one_add, p, e) != 0)
		return -1;
	if (p->n > 1)
		qsort(p->all, p->n, sizeof(*p->all), newest_first);
	err_clear(&mine);
	for (size_t i = 0; i < p->n; i++) {
		p->all[i].rule = apart(p, &p->all[i].s, &mine);
		p->all[i].is_counted = p->all[i].rule == NULL;
		if (p->all[i].s.is_protected)
			p->all[i].rule = "protected";
	}
	if (mine.code != ERR_NONE) {
		*e = mine;
		return -1;
	}
	for (size_t i = 0; i < p->n; i++) {
		size_t k = 0;

		while (strcmp(p->all[k].s.set_name, p->all[i].s.set_name) != 0)
			k++;
		if (k == i && set_judge(p, i, e) != 0)
			return -1;
	}
	for (size_t i = p->n; i-- > 0;) {
		p->r->looked++;
		p->r->kept += p->all[i].rule != NULL;
		p->r->deleted += p->all[i].rule == NULL && p->o->dry_run;
		if (p->o->fn != NULL)
			p->o->fn(p->o->arg, &p->all[i].s, m, p->all[i].rule);
	}
	return p->o->dry_run ? 0 : machine_delete(p, e);
}

/* --- all --- */

static void
why_make(struct pruning *p)
{
	const struct prune_rules *k = &p->o->rules;
	const struct { const char *name; uint64_t n; } t[] = { { "keep-last", k->last }, { "keep-daily", k->daily },
		{ "keep-weekly", k->weekly }, { "keep-monthly", k->monthly }, { "keep-yearly", k->yearly } };
	size_t at = 0;

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		if (t[i].n > 0)
			at += (size_t)snprintf(p->why + at, sizeof(p->why) - at, "%s%s %llu", at == 0 ? "" : ", ", t[i].name,
			    (unsigned long long)t[i].n);
}

static int
clock_check(struct vault *v, struct err *e)
{
	if (vault_begin(v, e) != 0 || vault_commit(v, e) != 0)
		return -1;
	if (!v->clock_jumped)
		return 0;
	(void)err_set(e, ERR_RULE, "the clock of this computer jumped; nothing is deleted by a rule until somebody says that it is right");
	return err_next(e, "Set it right, then samara-import clock %s --confirm.", v->path);
}

int
prune_run(struct vault *v, const struct prune_options *o, struct prune_result *r, struct err *e)
{
	struct pruning p = { .v = v, .o = o, .r = r };
	const struct prune_rules *k = &o->rules;
	struct cat_machine m;
	int rc;

	memset(r, 0, sizeof(*r));
	if (k->last + k->daily + k->weekly + k->monthly + k->yearly == 0)
		return err_set(e, ERR_USAGE, "no rule says what is kept: give --keep-last, --keep-daily, --keep-weekly, --keep-monthly or --keep-yearly");
	if (clock_check(v, e) != 0)
		return err_during(e, "prune vault %s", v->desc.name);
	why_make(&p);
	if (o->machine == NULL)
		rc = catalog_each(v->catalog, &cat_machines, 0, NULL, machine_prune, &p, e);
	else if ((rc = vault_machine_find(v, o->machine, &m, e)) == 0)
		rc = machine_prune(&p, &m, e);
	free(p.all);
	return rc == 0 ? 0 : err_during(e, "prune vault %s", v->desc.name);
}
