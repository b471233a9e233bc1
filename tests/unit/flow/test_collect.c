/* Soft deletion and collection: what nobody needs goes, and nothing else does. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flow/vault_site.h"

#include "common/base/text.h"
#include "common/flow/machine_fate.h"
#include "common/flow/pack_put.h"
#include "common/flow/vault_status.h"
#include "flow/keep_maker.h"
#include "flow/upload_maker.h"

#define T(x)	cmocka_unit_test_setup_teardown(x, site_setup, site_teardown)

/* Image ${name}: snapshot ${seq} needs ${n} chunks from ${from}, of which the disk carries those from ${carried} on. */
static void
image_take(struct site *s, unsigned disk, const char *name, uint64_t seq, uint32_t from, uint32_t n, uint32_t carried)
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

/* Snapshot 1 needs chunks 0 to 31, snapshot 2 chunks 16 to 47. */
static void
two_snapshots(struct site *s)
{
	image_take(s, 0, "AAAA", 1, 0, 32, 0);
	image_take(s, 1, "BBBB", 2, 16, 32, 32);
}

static void
what_a_deleted_snapshot_alone_needs_goes_after_two_weeks(void **state)
{
	struct site *s = *state;
	struct collect_result r;

	two_snapshots(s);
	assert_int_equal(keep_objects(s, "packs/"), 6);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.packs + r.condemned + r.repacked, 0);
	assert_int_equal(keep_act(s, 1, RETAIN_DELETE), 0);
	assert_int_equal(keep_act(s, 1, RETAIN_DELETE), 1);
	site_rebuild_agrees(s);
	keep_wait(s, RETAIN_SOFT - KEEP_DAY);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.snapshots_gone + r.packs, 0);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_WHOLE);
	keep_wait(s, 2 * KEEP_DAY);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.snapshots_gone, 1);
	assert_int_equal(r.packs, 2);
	assert_int_equal(r.chunks_deleted, 16);
	assert_int_equal(keep_objects(s, "packs/"), 4);
	assert_int_equal(keep_objects(s, "quarantine/"), 0);
	assert_int_equal(keep_objects(s, "snapshots/"), 2);
	assert_int_equal(site_snapshot(s, 1, NULL), 0);
	assert_int_equal(site_snapshot(s, 2, NULL), SNAPSHOT_WHOLE);
	for (uint32_t i = 0; i < 48; i++)
		assert_int_equal(keep_chunk(s, i), i < 16 ? 0 : COPY_GOOD);
	site_rebuild_agrees(s);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.packs + r.snapshots_gone + r.condemned, 0);
}

static void
an_undeleted_snapshot_is_as_it_was(void **state)
{
	struct site *s = *state;
	struct collect_result r;

	two_snapshots(s);
	assert_int_equal(keep_act(s, 1, RETAIN_DELETE), 0);
	keep_wait(s, 13 * KEEP_DAY);
	assert_int_equal(keep_act(s, 1, RETAIN_UNDELETE), 0);
	keep_wait(s, 30 * KEEP_DAY);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.snapshots_gone + r.packs, 0);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_WHOLE);
	site_rebuild_agrees(s);
}

static void
a_protected_snapshot_is_not_deleted_and_does_not_go(void **state)
{
	struct site *s = *state;
	struct collect_result r;

	two_snapshots(s);
	assert_int_equal(keep_act(s, 1, RETAIN_PROTECT), 0);
	assert_int_equal(keep_act(s, 1, RETAIN_DELETE), -1);
	assert_int_equal(s->e.code, ERR_RULE);
	assert_int_equal(keep_act(s, 1, RETAIN_UNPROTECT), 0);
	assert_int_equal(keep_act(s, 1, RETAIN_DELETE), 0);
	assert_int_equal(keep_act(s, 1, RETAIN_PROTECT), 0);
	keep_wait(s, 30 * KEEP_DAY);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.snapshots_gone + r.packs, 0);
	assert_int_equal(keep_act(s, 1, RETAIN_UNPROTECT), 0);
	site_rebuild_agrees(s);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.snapshots_gone, 1);
}

static void
the_newest_whole_snapshot_is_not_deleted(void **state)
{
	struct site *s = *state;

	two_snapshots(s);
	assert_int_equal(keep_act(s, 2, RETAIN_DELETE), -1);
	assert_int_equal(s->e.code, ERR_RULE);
}

static void
a_disk_that_turns_up_does_not_bring_back_what_is_gone(void **state)
{
	struct site *s = *state;
	struct collect_result r;

	two_snapshots(s);
	assert_int_equal(keep_act(s, 1, RETAIN_DELETE), 0);
	keep_wait(s, 15 * KEEP_DAY);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_false(s->r.unclaimed);
	assert_int_equal(site_snapshot(s, 1, NULL), 0);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(site_snapshot(s, 2, NULL), SNAPSHOT_WHOLE);
	site_rebuild_agrees(s);
}

static void
a_session_that_was_open_before_is_waited_for(void **state)
{
	struct site *s = *state;
	struct cat_session session = { .kind = SESSION_BACKUP };
	struct collect_result r;
	struct vault *v;

	two_snapshots(s);
	assert_int_equal(keep_act(s, 1, RETAIN_DELETE), 0);
	keep_wait(s, 15 * KEEP_DAY);
	memcpy(session.machine_id, s->m.id, ID_LEN);
	v = keep_open(s);
	assert_int_equal(session_enter_now(v, &session, &s->e), 0);
	vault_close(v);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.waits, 1);
	assert_int_equal(r.packs, 0);
	assert_int_equal(keep_objects(s, "packs/"), 6);
	assert_int_equal(keep_chunk(s, 3), COPY_CONDEMNED);
	/* A session that opens now sees that they are gone, and nobody waits for it. */
	v = keep_open(s);
	assert_int_equal(session_end_now(v, session.id, &s->e), 0);
	assert_int_equal(session_enter_now(v, &session, &s->e), 0);
	vault_close(v);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.packs, 2);
	assert_int_equal(keep_objects(s, "packs/"), 4);
}

static void
a_base_stays_while_its_session_is_open_and_one_that_nobody_touches_ends(void **state)
{
	struct site *s = *state;
	struct cat_session session = { .kind = SESSION_BACKUP, .base_seq = 1 };
	struct collect_result r;
	struct vault *v;

	two_snapshots(s);
	assert_int_equal(keep_act(s, 1, RETAIN_DELETE), 0);
	keep_wait(s, 15 * KEEP_DAY);
	memcpy(session.machine_id, s->m.id, ID_LEN);
	v = keep_open(s);
	assert_int_equal(session_enter_now(v, &session, &s->e), 0);
	vault_close(v);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.snapshots_gone, 0);
	keep_wait(s, 2 * KEEP_DAY);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.snapshots_gone, 1);
	assert_int_equal(r.packs, 2);
}

/* What is condemned and asked for again is held again, and stays. */
static void
what_is_revived_stays(void **state)
{
	struct site *s = *state;
	struct cat_session session = { .kind = SESSION_BACKUP };
	struct collect_result r;
	uint8_t ids[2 * DIGEST_LEN], states[2];
	struct vault *v;

	two_snapshots(s);
	assert_int_equal(keep_act(s, 1, RETAIN_DELETE), 0);
	keep_wait(s, 15 * KEEP_DAY);
	v = keep_open(s);
	assert_int_equal(session_enter_now(v, &session, &s->e), 0);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_true(r.condemned >= 16);
	seed_chunk(&s->m, 3, ids, NULL, NULL);
	seed_chunk(&s->m, 40, ids + DIGEST_LEN, NULL, NULL);
	if (memcmp(ids, ids + DIGEST_LEN, DIGEST_LEN) > 0) {
		seed_chunk(&s->m, 40, ids, NULL, NULL);
		seed_chunk(&s->m, 3, ids + DIGEST_LEN, NULL, NULL);
	}
	assert_int_equal(vault_begin(v, &s->e), 0);
	assert_int_equal(chunks_revive(v->catalog, s->m.k->domain_id, s->m.id, ids, 2, states, &s->e), 0);
	assert_int_equal(vault_commit(v, &s->e), 0);
	assert_int_equal(states[0], COPY_GOOD);
	assert_int_equal(states[1], COPY_GOOD);
	assert_int_equal(session_end_now(v, session.id, &s->e), 0);
	vault_close(v);
	assert_int_equal(keep_chunk(s, 3), COPY_GOOD);
	/* Taken in again it is stored where it was, or anew. */
	assert_int_equal(site_ingest(s, 0), 0);
	for (uint32_t i = 0; i < 16; i++)
		assert_int_equal(keep_chunk(s, i) & COPY_GOOD, COPY_GOOD);
}

/* Chunks 0 to 5 of a pack of eight are needed no more: the rest is written anew, the old pack goes with the next run. */
static void
the_rest_of_a_pack_is_written_anew(void **state)
{
	struct site *s = *state;
	struct collect_result r;

	image_take(s, 0, "AAAA", 1, 0, 16, 0);
	image_take(s, 1, "BBBB", 2, 6, 20, 16);
	assert_int_equal(keep_objects(s, "packs/"), 4);
	assert_int_equal(keep_act(s, 1, RETAIN_DELETE), 0);
	keep_wait(s, 15 * KEEP_DAY);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.snapshots_gone, 1);
	assert_int_equal(r.repacked, 1);
	assert_int_equal(keep_objects(s, "packs/"), 5);
	assert_int_equal(keep_objects(s, "origins/"), 1);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.packs, 1);
	assert_int_equal(r.repacked, 0);
	assert_int_equal(keep_objects(s, "packs/"), 4);
	for (uint32_t i = 0; i < 26; i++)
		assert_int_equal(keep_chunk(s, i), i < 6 ? 0 : COPY_GOOD);
	assert_int_equal(site_snapshot(s, 2, NULL), SNAPSHOT_WHOLE);
	site_rebuild_agrees(s);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.packs + r.repacked + r.condemned, 0);
	/* What is taken in again stays as it is. */
	assert_int_equal(site_ingest(s, 1), 0);
	site_rebuild_agrees(s);
}

/* A pack on a disk whose image has no manifest yet: nobody knows what needs it, and it is kept for its lease. */
static void
what_came_without_a_manifest_is_kept_for_its_lease(void **state)
{
	struct site *s = *state;
	struct collect_result r;
	struct seed_image im;

	image_take(s, 0, "AAAA", 1, 0, 8, 0);
	seed_image_make(&im, &s->m, "BBBB");
	seed_disk(&im, s->disk[1], 1, 8, 8);
	assert_int_equal(site_ingest(s, 1), 0);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.held_back, 1);
	assert_int_equal(r.condemned, 0);
	keep_wait(s, 59 * KEEP_DAY);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.condemned, 0);
	keep_wait(s, 2 * KEEP_DAY);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.packs, 1);
	/* Late, and welcome. */
	seed_snapshot(&im, s->disk[1], 2, 8, 8);
	seed_manifest(&im, s->disk[1], 1);
	assert_int_equal(site_ingest(s, 1), 0);
	assert_int_equal(site_snapshot(s, 2, NULL), SNAPSHOT_WHOLE);
	site_rebuild_agrees(s);
}

static void
a_list_that_builds_on_one_that_goes_is_stored_whole(void **state)
{
	struct site *s = *state;
	struct collect_result r;
	unsigned n;

	image_take(s, 0, "AAAA", 1, 0, 40, 0);
	image_take(s, 1, "BBBB", 2, 2, 40, 40);
	image_take(s, 2, "CCCC", 3, 3, 40, 42);
	assert_int_equal(keep_objects(s, "snapshots/"), 6);
	assert_int_equal(keep_act(s, 1, RETAIN_DELETE), 0);
	assert_int_equal(keep_act(s, 2, RETAIN_DELETE), 0);
	keep_wait(s, 15 * KEEP_DAY);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.snapshots_gone, 2);
	assert_int_equal(n = keep_objects(s, "snapshots/"), 2);
	assert_int_equal(site_snapshot(s, 3, NULL), SNAPSHOT_WHOLE);
	site_rebuild_agrees(s);
	assert_int_equal(site_snapshot(s, 3, NULL), SNAPSHOT_WHOLE);
}

static void
a_list_that_cannot_be_read_holds_everything_back(void **state)
{
	struct site *s = *state;
	struct collect_result r;
	char cmd[256];

	two_snapshots(s);
	assert_int_equal(keep_act(s, 1, RETAIN_DELETE), 0);
	keep_wait(s, 15 * KEEP_DAY);
	/* The list of snapshot 2, whole or as a delta. */
	(void)snprintf(cmd, sizeof(cmd), "f=$(ls %s/snapshots/*/0000000000000002.?00) && printf x | dd of=$f bs=1 seek=150 conv=notrunc 2>/dev/null",
	    s->vault);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.packs, 0);
	assert_int_equal(r.held_back, 1);
}

static void
attention_take(void *arg, const struct attention *a)
{
	if (strcmp(a->kind, "list") == 0)
		(void)snprintf(arg, 600, "%s", a->next);
}

/* The other machine's snapshot ${seq} of ${n} chunks from ${from}. */
static void
other_sends(struct up *u, struct up_snap *x, uint64_t seq, const struct up_snap *before, uint32_t from, uint32_t n)
{
	assert_int_equal(up_open(u, NULL), 0);
	assert_int_equal(up_pack(u, from, n), 0);
	up_snap(u, x, seq, before, NULL, from, n);
	assert_int_equal(up_list(u, x, NULL), 0);
	assert_int_equal(up_commit(u, before, x), 0);
}

/* Machine laptop has a list that cannot be read; what machine desk does not need goes. */
static void
what_holds_one_machine_back_is_said_and_others_go_on(void **state)
{
	struct site *s = *state;
	struct seed_machine desk;
	struct collect_result r;
	struct credential c;
	struct vault_status st;
	struct up_snap a, b;
	struct up u;
	char cmd[640], next[600] = "", hex[2 * ID_LEN + 1];

	two_snapshots(s);
	site_credential(s, "desk", &c);
	seed_machine_make(&desk, "desk", &c);
	up_start(&u, s->vault, &desk);
	other_sends(&u, &a, 1, NULL, 100, 8);
	other_sends(&u, &b, 2, &a, 200, 8);
	up_end(&u);
	(void)text_hex(hex, s->m.id, ID_LEN);
	(void)snprintf(cmd, sizeof(cmd), "f=$(ls %s/snapshots/%s/0000000000000002.?00) && cp $f %s/list && chmod u+w $f && printf x |"
	    " dd of=$f bs=1 seek=150 conv=notrunc 2>/dev/null", s->vault, hex, s->root);
	assert_int_equal(system(cmd), 0);
	u.v = keep_open(s);
	assert_int_equal(retain_decide(u.v, "desk/1", RETAIN_DELETE, "", 0, &(struct cat_snapshot){ .seq = 0 }, &s->e), 0);
	vault_close(u.v);
	assert_int_equal(keep_act(s, 1, RETAIN_DELETE), 0);
	keep_wait(s, 15 * KEEP_DAY);
	for (int i = 0; i < 2; i++)
		assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.held_back, 1);
	assert_int_equal(r.unread, 1);
	assert_int_equal(keep_objects(s, "packs/"), 6 + 1);
	u.v = keep_open(s);
	assert_int_equal(vault_status(u.v, &st, attention_take, next, &s->e), 0);
	vault_close(u.v);
	assert_non_null(strstr(next, "delete VAULT laptop/2"));
	/* The file comes back from a copy. */
	(void)snprintf(cmd, sizeof(cmd), "cp %s/list $(ls %s/snapshots/%s/0000000000000002.?00)", s->root, s->vault, hex);
	assert_int_equal(system(cmd), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.held_back + r.unread, 0);
	assert_int_equal(keep_objects(s, "packs/"), 4 + 1);
	next[0] = '\0';
	u.v = keep_open(s);
	assert_int_equal(vault_status(u.v, &st, attention_take, next, &s->e), 0);
	vault_close(u.v);
	assert_string_equal(next, "");
	up_drop(&a);
	up_drop(&b);
	seed_machine_drop(&desk);
}

/* A pack that somebody put and was stopped over. */
static void
stray_put(struct site *s, uint32_t from, struct pack_info *info)
{
	uint8_t *bytes = up_pack_make(&s->m, from, 8, info);
	struct vault *v = keep_open(s);
	struct pack_put put;

	assert_int_equal(pack_put(v->store, info->id, bytes, info->len, &put, &s->e), 0);
	vault_close(v);
	free(bytes);
}

static void
packs_that_stand_in_no_catalog_go_with_the_second_run(void **state)
{
	struct site *s = *state;
	struct collect_result r;
	struct pack_info info;

	two_snapshots(s);
	stray_put(s, 100, &info);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.strays, 0);
	assert_int_equal(keep_objects(s, "packs/"), 7);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.strays, 1);
	assert_int_equal(keep_objects(s, "packs/"), 6);
	site_rebuild_agrees(s);
}

static void
catalog_copy(struct site *s, const char *from, const char *to)
{
	char a[PATH_MAX], b[PATH_MAX];
	uint8_t *bytes;
	size_t len;

	(void)snprintf(a, sizeof(a), "%s/local/%s", s->vault, from);
	(void)snprintf(b, sizeof(b), "%s/local/%s", s->vault, to);
	assert_int_equal(file_read(AT_FDCWD, a, SIZE_MAX, &bytes, &len, &s->e), 0);
	assert_int_equal(file_replace(AT_FDCWD, b, bytes, len, 0600, &s->e), 0);
	free(bytes);
}

/* One that cannot be read may be needed for all one knows. */
static void
a_pack_in_no_catalog_that_cannot_be_read_stays(void **state)
{
	struct site *s = *state;
	struct collect_result r;
	struct pack_info info;
	char name[VAULT_NAME_MAX], path[PATH_MAX];

	two_snapshots(s);
	stray_put(s, 100, &info);
	vault_name_pack(name, info.id, 1);
	(void)snprintf(path, sizeof(path), "%s/%s", s->vault, name);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(truncate(path, (off_t)info.len - 10), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(keep_collect(s, 0, &r), 0);
		assert_int_equal(r.strays + r.strays_needed, 0);
	}
	assert_int_equal(keep_objects(s, "packs/"), 7);
}

/* Somebody puts a catalog back that is older than the vault: what came since stands in no row, and is needed all the same. */
static void
an_old_catalog_takes_nothing_that_came_since(void **state)
{
	struct site *s = *state;
	struct collect_result r;
	struct rebuild_result made;

	image_take(s, 0, "AAAA", 1, 0, 32, 0);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	catalog_copy(s, VAULT_CATALOG, "old.db");
	image_take(s, 1, "BBBB", 2, 16, 32, 32);
	assert_int_equal(keep_objects(s, "packs/"), 6);
	catalog_copy(s, "old.db", VAULT_CATALOG);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(keep_collect(s, 0, &r), 0);
		assert_int_equal(r.strays + r.origins, 0);
		assert_int_equal(r.strays_needed, i == 0 ? 0 : 2);
	}
	assert_int_equal(keep_objects(s, "packs/"), 6);
	assert_int_equal(vault_rebuild(s->vault, &made, &s->e), 0);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.strays_needed, 0);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_WHOLE);
	assert_int_equal(site_snapshot(s, 2, NULL), SNAPSHOT_WHOLE);
}

/* The machine puts its pack, and is slow; collections run meanwhile. */
static void
a_pack_whose_rows_are_just_being_written_is_put_anew(void **state)
{
	struct site *s = *state;
	struct collect_result r;
	struct pack_info info;
	struct up u;

	two_snapshots(s);
	stray_put(s, 100, &info);
	for (int i = 0; i < 2; i++) {
		up_start(&u, s->vault, &s->m);
		assert_int_equal(up_open(&u, NULL), 0);
		/* Announced before it comes; deleted before it comes. */
		assert_int_equal(keep_collect(s, 0, &r), 0);
		assert_int_equal(r.strays, i);
		if (i == 0) {
			assert_int_equal(upload_end(u.v, &u.m, u.session, &s->e), 0);
			up_end(&u);
		}
	}
	assert_int_equal(up_pack(&u, 100, 8), 0);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.strays, 0);
	assert_int_equal(up_open(&u, NULL), 0);
	assert_int_equal(up_ask(&u, 101), ID_HELD);
	up_end(&u);
	assert_int_equal(keep_objects(s, "packs/"), 7);
	site_rebuild_agrees(s);
}

static uint64_t
used_by(struct site *s)
{
	struct vault *v = keep_open(s);
	uint64_t used;

	assert_int_equal(catalog_used(v->catalog, s->m.id, &used, &s->e), 0);
	vault_close(v);
	return used;
}

/* By line and by disk, exact after a collection and a rebuild; one byte too many is one too many. */
static void
a_quota_holds_to_the_byte_whatever_came_and_went(void **state)
{
	struct machine_order o = { .fate = MFATE_QUOTA };
	struct rebuild_result rebuilt;
	struct site *s = *state;
	struct pack_info info;
	struct cat_machine m;
	struct seed_image im;
	uint64_t full, less;
	struct up u;

	two_snapshots(s);
	full = used_by(s);
	assert_int_equal(keep_act(s, 1, RETAIN_DELETE), 0);
	keep_wait(s, 15 * KEEP_DAY);
	for (int i = 0; i < 2; i++)
		assert_int_equal(keep_collect(s, 0, &(struct collect_result){ .packs = 0 }), 0);
	assert_true((less = used_by(s)) < full && less > 0);
	assert_int_equal(vault_rebuild(s->vault, &rebuilt, &s->e), 0);
	assert_true(used_by(s) == less);
	up_start(&u, s->vault, &s->m);
	free(up_pack_make(&s->m, 100, 8, &info));
	assert_int_equal(up_open(&u, NULL), 0);
	o.value = less + info.len - 1;
	assert_int_equal(machine_decide(u.v, "laptop", &o, &m, &u.e), 0);
	assert_int_equal(up_pack(&u, 100, 8), -1);
	assert_int_equal(u.e.code, ERR_QUOTA);
	o.value++;
	assert_int_equal(machine_decide(u.v, "laptop", &o, &m, &u.e), 0);
	assert_int_equal(up_pack(&u, 100, 8), 0);
	assert_int_equal(up_pack(&u, 108, 1), -1);
	assert_int_equal(u.e.code, ERR_QUOTA);
	up_end(&u);
	seed_image_make(&im, &s->m, "CCCC");
	seed_disk(&im, s->disk[2], 1, 200, 8);
	seed_snapshot(&im, s->disk[2], 3, 200, 8);
	seed_manifest(&im, s->disk[2], 1);
	assert_int_equal(site_ingest(s, 2), -1);
	assert_int_equal(s->e.code, ERR_QUOTA);
	assert_true(used_by(s) == less + info.len);
}

static void
tables_that_no_pack_names_any_more_go(void **state)
{
	struct site *s = *state;
	struct collect_result r;
	struct vault *v;

	/* Of pack 2 of AAAA little is needed: it is written anew, and its table is kept beside it. */
	image_take(s, 0, "AAAA", 1, 0, 16, 0);
	image_take(s, 1, "BBBB", 2, 14, 12, 16);
	assert_int_equal(keep_act(s, 1, RETAIN_DELETE), 0);
	keep_wait(s, 15 * KEEP_DAY);
	for (int i = 0; i < 3; i++)
		assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(keep_objects(s, "origins/"), 1);
	assert_int_equal(r.origins, 0);
	image_take(s, 2, "CCCC", 3, 30, 8, 30);
	assert_int_equal(keep_act(s, 2, RETAIN_DELETE), 0);
	keep_wait(s, 15 * KEEP_DAY);
	/* One that somebody was stopped over as well. */
	v = keep_open(s);
	assert_true(v->store->ops->put_new(v->store, "origins/00/0000000000000000000000000000000000000000000000000000000000000000", "x", 1,
	    &s->e) >= 0);
	vault_close(v);
	for (int i = 0; i < 2; i++)
		assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(keep_objects(s, "origins/"), 0);
	site_rebuild_agrees(s);
}

static void
all_that_a_deleted_machine_had_goes_but_what_is_protected(void **state)
{
	const struct machine_order o = { .fate = MFATE_DELETED, .why = "a test" };
	struct site *s = *state;
	struct collect_result r;
	struct cat_machine m;
	struct vault *v;

	two_snapshots(s);
	image_take(s, 2, "CCCC", 3, 48, 8, 48);
	assert_int_equal(keep_act(s, 1, RETAIN_PROTECT), 0);
	v = keep_open(s);
	assert_int_equal(machine_decide(v, "laptop", &o, &m, &s->e), 0);
	vault_close(v);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.snapshots_gone, 0);
	keep_wait(s, 15 * KEEP_DAY);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.snapshots_gone, 2);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_WHOLE);
	for (uint32_t i = 0; i < 56; i++)
		assert_int_equal(keep_chunk(s, i), i < 32 ? COPY_GOOD : 0);
	site_rebuild_agrees(s);
}

/* What seeds bugs must be found, else the tests above are worth nothing. */
static void
a_collection_that_waits_for_nobody_is_found_out(void **state)
{
	struct site *s = *state;
	struct cat_session session = { .kind = SESSION_BACKUP };
	struct collect_result r;
	struct vault *v;

	two_snapshots(s);
	assert_int_equal(keep_act(s, 1, RETAIN_DELETE), 0);
	keep_wait(s, 15 * KEEP_DAY);
	v = keep_open(s);
	assert_int_equal(session_enter_now(v, &session, &s->e), 0);
	vault_close(v);
	assert_int_equal(keep_collect(s, COLLECT_BUG_NO_WAIT, &r), 0);
	assert_true(r.packs > 0);
}

static void
a_dry_run_says_what_a_run_does_and_writes_nothing(void **state)
{
	const struct collect_options dry = { .dry_run = 1, .memory = 1u << 20 };
	struct site *s = *state;
	struct collect_result r, would;
	struct vault *v;
	char *before, *after;

	image_take(s, 0, "AAAA", 1, 0, 8, 0);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	v = keep_open(s);
	/* Chunks that came and that nobody needs. */
	assert_int_equal(catalog_begin(v->catalog, 1, &s->e), 0);
	assert_int_equal(catalog_commit(v->catalog, &s->e), 0);
	before = site_dump(s);
	assert_int_equal(collect_run(v, &dry, &would, &s->e), 0);
	vault_close(v);
	after = site_dump(s);
	assert_string_equal(before, after);
	assert_int_equal(would.packs, 0);
	free(before);
	free(after);
	image_take(s, 1, "BBBB", 2, 8, 8, 8);
	image_take(s, 2, "CCCC", 3, 16, 8, 16);
	assert_int_equal(keep_act(s, 1, RETAIN_DELETE), 0);
	keep_wait(s, 15 * KEEP_DAY);
	v = keep_open(s);
	assert_int_equal(collect_run(v, &dry, &would, &s->e), 0);
	vault_close(v);
	assert_int_equal(would.snapshots_gone, 1);
	assert_int_equal(would.packs, 1);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.snapshots_gone, 1);
	assert_int_equal(r.packs, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_a_deleted_snapshot_alone_needs_goes_after_two_weeks),
		T(an_undeleted_snapshot_is_as_it_was),
		T(a_protected_snapshot_is_not_deleted_and_does_not_go),
		T(the_newest_whole_snapshot_is_not_deleted),
		T(a_disk_that_turns_up_does_not_bring_back_what_is_gone),
		T(a_session_that_was_open_before_is_waited_for),
		T(a_base_stays_while_its_session_is_open_and_one_that_nobody_touches_ends),
		T(what_is_revived_stays),
		T(the_rest_of_a_pack_is_written_anew),
		T(what_came_without_a_manifest_is_kept_for_its_lease),
		T(a_list_that_builds_on_one_that_goes_is_stored_whole),
		T(a_list_that_cannot_be_read_holds_everything_back),
		T(what_holds_one_machine_back_is_said_and_others_go_on),
		T(packs_that_stand_in_no_catalog_go_with_the_second_run),
		T(an_old_catalog_takes_nothing_that_came_since), T(a_pack_in_no_catalog_that_cannot_be_read_stays),
		T(a_pack_whose_rows_are_just_being_written_is_put_anew),
		T(a_quota_holds_to_the_byte_whatever_came_and_went),
		T(tables_that_no_pack_names_any_more_go),
		T(all_that_a_deleted_machine_had_goes_but_what_is_protected),
		T(a_collection_that_waits_for_nobody_is_found_out),
		T(a_dry_run_says_what_a_run_does_and_writes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
