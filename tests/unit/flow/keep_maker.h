#ifndef SAMARA_TESTS_FLOW_KEEP_MAKER_H
#define SAMARA_TESTS_FLOW_KEEP_MAKER_H

/* What a vault keeps, seen from a test: its clocks set on, images handed off, collections.  After vault_site.h. */

#include "common/catalog/catalog_doubt.h"
#include "common/flow/collect.h"
#include "common/flow/epoch.h"
#include "common/flow/retain.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

#define KEEP_DAY	(INT64_C(86400) * 1000000000)

static inline struct vault *
keep_open(struct site *s)
{
	struct vault *v;

	err_clear(&s->e);
	if ((v = vault_open(s->vault, 0, &s->e)) == NULL)
		fail_msg("%s", s->e.msg);
	return v;
}

/* The slow clock goes on by ${by} nanoseconds. */
static inline void
keep_wait(struct site *s, int64_t by)
{
	struct vault *v = keep_open(s);
	int64_t slow;

	assert_int_equal(catalog_begin(v->catalog, 1, &s->e), 0);
	assert_true(catalog_number(v->catalog, "clock slow", &slow, &s->e) >= 0);
	assert_int_equal(catalog_number_set(v->catalog, "clock slow", slow + by, &s->e), 0);
	assert_int_equal(catalog_commit(v->catalog, &s->e), 0);
	vault_close(v);
}

/* The record of the machine's answer to a receipt for this image. */
static inline void
keep_hand_off(struct site *s, const struct seed_image *im)
{
	struct vault *v = keep_open(s);
	struct rec_image k = { .why = "" };

	memcpy(k.image_id, im->id, ID_LEN);
	memcpy(k.machine_id, s->m.id, ID_LEN);
	memcpy(k.short_name, im->short_name, sizeof(k.short_name));
	/* A loss frees the image as well as a hand-off does, and takes no receipt. */
	assert_int_equal(vault_begin(v, &s->e), 0);
	assert_int_equal(vault_record(v, REC_LOST, &rec_image_schema, &k, &s->e), 0);
	assert_int_equal(vault_commit(v, &s->e), 0);
	vault_close(v);
}

static inline int
keep_act(struct site *s, int64_t seq, enum retain_act act)
{
	struct vault *v = keep_open(s);
	struct cat_snapshot row;
	char name[64];
	int rc;

	(void)snprintf(name, sizeof(name), "laptop/%lld", (long long)seq);
	rc = retain_decide(v, name, act, "a test", 0, &row, &s->e);
	vault_close(v);
	return rc;
}

static inline int
keep_collect(struct site *s, unsigned bugs, struct collect_result *r)
{
	const struct collect_options o = { .memory = 1u << 20, .bugs = bugs };
	struct vault *v = keep_open(s);
	int rc = collect_run(v, &o, r, &s->e);

	vault_close(v);
	return rc;
}

/* The states of the copies of chunk ${n}, all together. */
static inline unsigned
keep_chunk(struct site *s, uint32_t n)
{
	uint8_t id[DIGEST_LEN], state;
	struct vault *v = keep_open(s);

	seed_chunk(&s->m, n, id, NULL, NULL);
	assert_int_equal(chunks_find(v->catalog, s->m.k->domain_id, s->m.id, id, 1, &state, &s->e), 0);
	vault_close(v);
	return state;
}

static inline int
keep_count_one(void *arg, const char *name, uint64_t len, struct err *e)
{
	(void)name, (void)len, (void)e;
	++*(unsigned *)arg;
	return 0;
}

/* Objects whose names begin with ${prefix}. */
static inline unsigned
keep_objects(struct site *s, const char *prefix)
{
	struct vault *v = keep_open(s);
	unsigned n = 0;

	assert_int_equal(v->store->ops->list(v->store, prefix, "", keep_count_one, &n, &s->e), 0);
	vault_close(v);
	return n;
}

#endif
