#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "common/flow/ingest.h"
#include "common/flow/verify.h"
#include "flow/read_back.h"

#define T(x)	cmocka_unit_test_setup_teardown(x, read_back_setup, read_back_teardown)

/* All that was found, a line each: "severity where what". */
struct found {
	char text[200000];
	size_t len;
	struct verify_result r;
};

static void
told(void *arg, const struct finding *f)
{
	struct found *g = arg;

	g->len += (size_t)snprintf(g->text + g->len, sizeof(g->text) - g->len, "%s %s: %s\n", severity_text(f->severity), f->where,
	    f->what);
	assert_true(g->len < sizeof(g->text));
}

/* Check the disk, with the key if ${keyed}. */
static struct found *
check(struct read_back *t, int keyed, int quick)
{
	static struct found g;
	const char *paths[1] = { t->b.disk };
	struct state *s = keyed ? state_open(t->b.m.state, &t->e) : NULL;
	struct keyring *k = keyed ? keyring_from_state(s, &t->e) : NULL;
	struct verify_options o = { .keys = k, .quick = quick, .workers = 3, .memory = 200u << 20, .fn = told, .arg = &g };

	memset(&g, 0, sizeof(g));
	err_clear(&t->e);
	if (verify_disks(paths, 1, &o, &g.r, &t->e) != 0)
		fail_msg("%s", t->e.msg);
	keyring_free(k);
	state_free(s);
	return &g;
}

static void
says(const struct found *g, const char *what)
{
	if (strstr(g->text, what) == NULL)
		fail_msg("\"%s\" is not among:\n%s", what, g->text);
}

static void
a_whole_disk_is_found_whole_at_every_level_of_proof(void **state)
{
	struct read_back *t = *state;

	for (int level = 0; level < 3; level++) {
		struct found *g = check(t, level == 2, level == 0);

		if (g->len > 0)
			fail_msg("%s", g->text);
		assert_int_equal(g->r.proof, (enum proof)level);
		assert_int_equal(g->r.snapshots_whole, 1);
		assert_int_equal(g->r.bad_chunks, 0);
		assert_true(g->r.chunks > 20);
	}
}

static void
with_the_key_a_bad_chunk_is_named_with_its_files(void **state)
{
	struct read_back *t = *state;
	uint8_t id[DIGEST_LEN];
	struct found *g;

	assert_int_equal(read_back_open(t), 0);
	read_back_spoil_file(t, "big", id);
	g = check(t, 0, 0);
	assert_int_equal(g->r.bad_chunks, 1);
	assert_int_equal(g->r.lost, 2);
	says(g, "incomplete: 1 chunks");
	assert_null(strstr(g->text, "big"));
	g = check(t, 1, 0);
	assert_int_equal(g->r.lost, 3);
	says(g, "/big cannot be restored whole");
	assert_null(strstr(g->text, "small"));
}

static void
one_flipped_bit_anywhere_is_found(void **state)
{
	static const struct { const char *name; off_t at; enum severity worst; } t_[] = {
		{ "label", 30, SEV_REPAIRABLE },
		{ "label2", -10, SEV_REPAIRABLE },
		{ "stmt", 50, SEV_REPAIRABLE },
		{ "stmt2", -1, SEV_REPAIRABLE },
		{ "keys/domain", 20, SEV_REPAIRABLE },
		{ "keys2/member", 80, SEV_REPAIRABLE },
		{ "keys2/regist", -5, SEV_REPAIRABLE },
		{ "keys/slots", -5, SEV_REPAIRABLE },
		{ "manif/g0001", 60, SEV_REPAIRABLE },
		{ "index/p0000", 100, SEV_REPAIRABLE },
		{ "index2/p0000", 100, SEV_REPAIRABLE },
		{ "snap2/00000000.r00", 200, SEV_REPAIRABLE },
		{ "snap/00000000.env", 40, SEV_REPAIRABLE },
		{ "snap2/00000000.env", -3, SEV_REPAIRABLE },
		{ "packs/0000/00000000.pk", 20, SEV_REPAIRABLE },	/* header: stands in the table again */
		{ "packs/0000/00000000.pk", 500, SEV_LOST },
		{ "packs/0000/00000000.pk", -200, SEV_REPAIRABLE },	/* table: stands in the index again */
		{ "packs/0000/00000000.pk", -20, SEV_REPAIRABLE },	/* footer */
	};
	struct read_back *t = *state;

	for (size_t i = 0; i < sizeof(t_) / sizeof(t_[0]); i++) {
		struct found *g;

		read_back_spoil(t, t_[i].name, 0, t_[i].at);
		g = check(t, 0, 0);
		if (g->len == 0)
			fail_msg("%s at %ld: nothing found", t_[i].name, (long)t_[i].at);
		if ((g->r.lost > 0) != (t_[i].worst == SEV_LOST))
			fail_msg("%s at %ld: %s", t_[i].name, (long)t_[i].at, g->text);
		read_back_spoil(t, t_[i].name, 0, t_[i].at);
	}
	assert_int_equal(check(t, 0, 0)->len, 0);
}

static void
a_quick_check_finds_accidents(void **state)
{
	struct read_back *t = *state;
	struct found *g;

	read_back_spoil(t, NULL, 0, 700);
	g = check(t, 0, 1);
	assert_int_equal(g->r.bad_chunks, 1);
	says(g, "its checksum does not agree");
}

static void
missing_and_extra_and_misplaced_packs_are_told_apart(void **state)
{
	struct read_back *t = *state;
	char a[256], b[256];
	struct found *g;
	FILE *f;

	(void)snprintf(a, sizeof(a), "%s/packs/0000/00000000.pk", t->image);
	(void)snprintf(b, sizeof(b), "%s/packs/0000/00000500.pk", t->image);
	assert_int_equal(rename(a, b), 0);
	g = check(t, 1, 0);
	says(g, "repairable");
	says(g, "this is the pack that belongs to packs/0000/00000000.pk");
	assert_int_equal(g->r.lost, 0);
	assert_int_equal(g->r.snapshots_whole, 1);
	assert_int_equal(rename(b, a), 0);
	f = fopen(b, "w");
	assert_non_null(f);
	(void)fputs("something", f);
	(void)fclose(f);
	g = check(t, 0, 0);
	says(g, "note");
	says(g, "00000500.pk: the disk's index does not name this file");
	assert_int_equal(g->r.lost + g->r.repairable, 0);
	assert_int_equal(unlink(a), 0);
	g = check(t, 0, 0);
	says(g, "00000000.pk: the pack is not on the disk");
	says(g, "incomplete");
	assert_int_equal(g->r.snapshots_whole, 0);
}

static void
a_pack_replaced_by_something_else_is_refused(void **state)
{
	struct read_back *t = *state;
	char a[256], b[256];

	(void)snprintf(a, sizeof(a), "%s/packs/0000/00000000.pk", t->image);
	(void)snprintf(b, sizeof(b), "%s/pack", t->b.m.root);
	assert_int_equal(rename(a, b), 0);
	for (int kind = 0; kind < 3; kind++) {
		struct found *g;

		if (kind == 0)
			assert_int_equal(mkfifo(a, 0644), 0);
		else if (kind == 1)
			assert_int_equal(mkdir(a, 0755), 0);
		else
			assert_int_equal(symlink(b, a), 0);
		g = check(t, 0, 0);
		says(g, "not a regular file");
		assert_true(g->r.lost > 0);
		assert_int_equal(kind == 1 ? rmdir(a) : unlink(a), 0);
	}
}

static void
a_list_that_lost_an_id_or_a_byte_is_found(void **state)
{
	struct read_back *t = *state;
	char a[256];
	struct stat st;
	struct found *g;

	read_back_spoil(t, "snap/00000000.r00", 0, 300);
	g = check(t, 0, 0);
	assert_int_equal(g->r.lost, 0);
	says(g, "repairable");
	says(g, "reference list");
	read_back_spoil(t, "snap2/00000000.r00", 0, 300);
	g = check(t, 0, 0);
	assert_int_equal(g->r.lost, 1);
	assert_int_equal(g->r.snapshots_whole, 0);
	read_back_spoil(t, "snap/00000000.r00", 0, 300);
	(void)snprintf(a, sizeof(a), "%s/snap/00000000.r00", t->image);
	assert_int_equal(stat(a, &st), 0);
	assert_int_equal(truncate(a, st.st_size - 32), 0);
	g = check(t, 0, 0);
	says(g, "reference list: it is cut short");
}

static void
the_keys_of_another_machine_open_nothing_and_are_said_to_be_wrong(void **state)
{
	struct read_back *t = *state;
	static struct found g;
	const char *paths[1] = { t->b.disk };
	struct machine_maker other;
	struct verify_options o = { .keys_must = 1, .memory = 100u << 20, .fn = told, .arg = &g };
	struct state *s;
	struct keyring *k;
	struct err e;

	err_clear(&e);
	machine_maker_start(&other);
	assert_int_equal(machine_maker_register(&other, &e), 0);
	assert_non_null(s = state_open(other.state, &e));
	assert_non_null(k = keyring_from_state(s, &e));
	o.keys = k;
	assert_int_equal(verify_disks(paths, 1, &o, &g.r, &e), -1);
	assert_int_equal(e.code, ERR_WRONG_DISK);
	o.keys_must = 0;
	err_clear(&e);
	assert_int_equal(verify_disks(paths, 1, &o, &g.r, &e), 0);
	assert_int_equal(g.r.proof, PROOF_DIGESTS);
	assert_int_equal(g.r.lost, 0);
	keyring_free(k);
	state_free(s);
	machine_maker_end(&other);
}

static void
one_snapshot_is_checked_by_itself(void **state)
{
	struct read_back *t = *state;
	static struct found g;
	struct verify_options o = { .workers = 3, .memory = 100u << 20, .fn = told, .arg = &g };
	uint8_t id[DIGEST_LEN];

	assert_int_equal(read_back_open(t), 0);
	o.keys = t->s.keys;
	memset(&g, 0, sizeof(g));
	assert_int_equal(verify_snapshot(&t->s, &t->s.list.snap[0], &o, &g.r, &t->e), 0);
	assert_int_equal(g.len, 0);
	assert_int_equal(g.r.proof, PROOF_OPENED);
	read_back_spoil_file(t, "deep/er/a", id);
	session_close(&t->s);	/* with the packs that it holds in memory */
	assert_int_equal(read_back_open(t), 0);
	o.keys = t->s.keys;
	memset(&g, 0, sizeof(g));
	assert_int_equal(verify_snapshot(&t->s, &t->s.list.snap[0], &o, &g.r, &t->e), 0);
	says(&g, "/deep/er/a cannot be restored whole");
	says(&g, "/hard cannot be restored whole");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_whole_disk_is_found_whole_at_every_level_of_proof),
		T(with_the_key_a_bad_chunk_is_named_with_its_files),
		T(one_flipped_bit_anywhere_is_found),
		T(a_quick_check_finds_accidents),
		T(missing_and_extra_and_misplaced_packs_are_told_apart),
		T(a_pack_replaced_by_something_else_is_refused),
		T(a_list_that_lost_an_id_or_a_byte_is_found),
		T(the_keys_of_another_machine_open_nothing_and_are_said_to_be_wrong),
		T(one_snapshot_is_checked_by_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
