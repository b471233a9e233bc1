#ifndef SAMARA_TESTS_CRASH_COLLECT_WORLD_H
#define SAMARA_TESTS_CRASH_COLLECT_WORLD_H

/* A vault in which there is something to collect, and what must hold of it whatever becomes of a collection.  After cmocka.h. */

#include "common/flow/verify.h"
#include "common/pack/pack_view.h"
#include "flow/vault_site.h"

#include "flow/keep_maker.h"

#define FIRST_LIVE	22u	/* chunk: below it only snapshots that are deleted need any */
#define CHUNKS		56u

static unsigned collect_bugs;	/* of the collection that is watched */

static inline void
collect_image(struct site *s, unsigned disk, const char *name, uint64_t seq, uint32_t from, uint32_t n, uint32_t carried)
{
	struct seed_image im;

	seed_image_make(&im, &s->m, name);
	seed_disk(&im, s->disk[disk], 1, carried, from + n - carried);
	seed_snapshot(&im, s->disk[disk], seq, from, n);
	seed_manifest(&im, s->disk[disk], 1);
	assert_int_equal(site_ingest(s, disk), 0);
	assert_int_equal(site_snapshot(s, (int64_t)seq, NULL), SNAPSHOT_WHOLE);
	keep_hand_off(s, &im);
}

/* Snapshots 1 and 2 are deleted; lists build on theirs; the third pack is needed by a quarter. */
static inline void
vault_fill(struct site *s)
{
	collect_image(s, 0, "AAAA", 1, 0, 40, 0);
	collect_image(s, 1, "BBBB", 2, 4, 40, 40);
	collect_image(s, 2, "CCCC", 3, FIRST_LIVE, 26, 44);
	collect_image(s, 3, "DDDD", 4, FIRST_LIVE, CHUNKS - FIRST_LIVE, 48);
	assert_int_equal(keep_act(s, 1, RETAIN_DELETE), 0);
	assert_int_equal(keep_act(s, 2, RETAIN_DELETE), 0);
	keep_wait(s, RETAIN_SOFT + KEEP_DAY);
}

static inline int
collect_twice(struct site *s)
{
	const struct collect_options o = { .memory = 1u << 20, .bugs = collect_bugs };
	struct collect_result r;
	struct vault *v;
	int rc;

	err_clear(&s->e);
	if ((v = vault_open(s->vault, 0, &s->e)) == NULL)
		return -1;
	if ((rc = collect_run(v, &o, &r, &s->e)) == 0)
		rc = collect_run(v, &o, &r, &s->e);
	vault_close(v);
	return rc;
}

/* ---- what must hold ---- */


static inline int
pack_has_bytes(void *arg, const void *row, struct err *e)
{
	const struct cat_pack *p = row;
	struct vault *v = arg;
	char name[VAULT_NAME_MAX];
	struct pack_view view;
	uint8_t *bytes;
	size_t len;
	int rc;

	vault_name_pack(name, p->id, p->copy);
	if (store_read(v->store, name, PACK_LEN_MAX, &bytes, &len, e) != 0)
		return err_during(e, "a row of the catalog has no bytes");
	rc = pack_view_bytes(&view, bytes, len, NULL, NULL, e);
	free(bytes);
	return rc;
}

static inline int
chunks_are_held(struct site *s, struct vault *v, struct err *e)
{
	for (uint32_t i = FIRST_LIVE; i < CHUNKS; i++) {
		uint8_t id[DIGEST_LEN], state;

		seed_chunk(&s->m, i, id, NULL, NULL);
		if (chunks_find(v->catalog, s->m.k->domain_id, s->m.id, id, 1, &state, e) != 0)
			return -1;
		if (!(state & COPY_GOOD))
			return err_set(e, ERR_DIFFERENT, "chunk %u is needed and in state %u", i, state);
	}
	return 0;
}

static inline int
snapshots_are_whole(struct site *s, struct vault *v, struct err *e)
{
	for (int64_t seq = 3; seq <= 4; seq++) {
		struct cat_snapshot row = { .seq = seq };

		memcpy(row.machine_id, s->m.id, ID_LEN);
		if (catalog_get(v->catalog, &cat_snapshots, &row, e) != 0 || row.state != SNAPSHOT_WHOLE)
			return err_set(e, ERR_DIFFERENT, "snapshot %lld is in state %u", (long long)seq, row.state);
	}
	return 0;
}

static inline int
vault_holds(struct site *s, struct err *e)
{
	struct vault *v = vault_open(s->vault, VAULT_NO_KEY, e);
	int rc = -1;

	if (v == NULL)
		return -1;
	if (vault_begin(v, e) == 0 && vault_commit(v, e) == 0 &&
	    catalog_each(v->catalog, &cat_packs, 0, NULL, pack_has_bytes, v, e) == 0 && chunks_are_held(s, v, e) == 0 &&
	    snapshots_are_whole(s, v, e) == 0)
		rc = 0;
	vault_close(v);
	return rc;
}

static inline void
finding_keep(void *arg, const struct finding *f)
{
	char *first = arg;

	if (f->severity != SEV_NOTE && first[0] == '\0')
		snprintf(first, 400, "%.150s: %.200s", f->where, f->what);
}

/* Without catalog and key: everything that is there is good, and the two snapshots have all they need. */
static inline int
verified(struct site *s, struct err *e)
{
	char first[400] = "";
	const struct verify_options o = { .workers = 1, .memory = 64u << 20, .fn = finding_keep, .arg = first };
	struct verify_result r;

	if (verify_vault(s->vault, &o, &r, e) != 0)
		return -1;
	if (first[0] != '\0')
		return err_set(e, ERR_DIFFERENT, "verify: %s", first);
	if (r.snapshots != 2 || r.snapshots_whole != 2)
		return err_set(e, ERR_DIFFERENT, "verify: %llu of %llu snapshots are whole", (unsigned long long)r.snapshots_whole,
		    (unsigned long long)r.snapshots);
	return 0;
}

static inline int
state_check(struct site *s, struct err *e)
{
	struct rebuild_result r;

	if (vault_holds(s, e) != 0)
		return -1;
	if (collect_twice(s) != 0) {
		*e = s->e;
		return err_during(e, "again");
	}
	if (vault_holds(s, e) != 0 || verified(s, e) != 0 || vault_rebuild(s->vault, &r, e) != 0 || vault_holds(s, e) != 0)
		return err_during(e, "after the same command again");
	return 0;
}

#endif
