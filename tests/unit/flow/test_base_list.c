/* What is known from earlier runs: layers of item logs, read as one sorted list. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/scratch.h"
#include "common/base/err.h"
#include "common/base/io.h"
#include "common/flow/base_list.h"

#define NAMES	400u

static char root[64];
static int dir;

static int
set_up(void **state)
{
	(void)state;
	dir = scratch_make(root);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	(void)close(dir);
	scratch_remove(root);
	return 0;
}

/* Directory and name of entry ${i}, rising with i in listing order. */
static void
key_of(unsigned i, char d[32], char name[32])
{
	snprintf(d, 32, "/d%02u/s%u", i / 40, i / 10 % 4);
	snprintf(name, 32, "f%u", i % 10);
}

static struct fmt_view
text(const char *s)
{
	return view_of(s, strlen(s));
}

/* One layer: entries first..last-1 whose number ${divides}; their inode says which layer wrote them. */
static struct base_layer
layer_make(const char *name, unsigned first, unsigned last, unsigned divides, uint64_t mark)
{
	struct base_layer l = { .dirfd = dir };
	uint8_t bytes[65536];
	struct journal *j;
	struct wr w;
	struct err e;

	err_clear(&e);
	snprintf(l.name, sizeof(l.name), "%s", name);
	assert_non_null(j = journal_create(dir, name, 0, NULL, 0, &e));
	for (unsigned i = first; i < last;) {
		char at[32] = "", d[32], n[32];

		w = (struct wr){ .p = bytes, .left = sizeof(bytes) };
		for (unsigned k = 0; k < 17 && i < last; k++, i++) {
			struct entry en = { .type = ENTRY_FILE, .mode = 0644, .inode = mark + i, .nlink = 1 };

			if (i % divides != 0)
				continue;
			key_of(i, d, n);
			if (strcmp(at, d) != 0) {
				item_dir_put(&w, text(d));
				snprintf(at, sizeof(at), "%s", d);
			}
			en.name = text(n);
			item_entry_put(&w, &en);
		}
		assert_false(w.bad);
		if (w.left < sizeof(bytes))
			assert_int_equal(journal_put(j, JOURNAL_ITEMS, bytes, sizeof(bytes) - w.left, &e), 0);
	}
	assert_int_equal(journal_sync(j, &e), 0);
	journal_close(j);
	return l;
}

/* Ask for entries 0, step, 2 * step, ...; found[i] is what was said of i: 0, or the inode. */
static void
ask(const struct base_layer *layers, size_t n, unsigned step, uint64_t found[NAMES])
{
	struct base_place place;
	struct base_list *b;
	struct entry en;
	struct err e;
	char d[32], name[32];
	int got;

	err_clear(&e);
	assert_non_null(b = base_list_new(layers, n, &e));
	for (unsigned i = 0; i < NAMES; i += step) {
		key_of(i, d, name);
		got = base_list_find(b, text(d), text(name), &en, &place, &e);
		assert_true(got == 0 || got == 1);
		found[i] = got == 1 ? en.inode : 0;
		if (got == 1)
			assert_true(en.name.len == strlen(name) && memcmp(en.name.p, name, en.name.len) == 0);
	}
	base_list_free(b);
}

static void
no_layers_are_an_empty_list(void **state)
{
	uint64_t found[NAMES];

	(void)state;
	ask(NULL, 0, 1, found);
	for (unsigned i = 0; i < NAMES; i++)
		assert_int_equal(found[i], 0);
}

static void
one_layer_has_what_was_written(void **state)
{
	struct base_layer l = layer_make("one", 0, NAMES, 3, 1000);
	uint64_t found[NAMES];

	(void)state;
	for (unsigned step = 1; step < 50; step += 7) {
		ask(&l, 1, step, found);
		for (unsigned i = 0; i < NAMES; i += step)
			assert_int_equal(found[i], i % 3 == 0 ? 1000 + i : 0);
	}
}

/* Each ends at another name; each older one goes on only behind the end of the newer. */
static void
an_older_layer_goes_on_behind_the_newer_ones_last_name(void **state)
{
	uint64_t found[NAMES];

	(void)state;
	for (unsigned cut = 0; cut <= NAMES; cut += 37) {
		struct base_layer l[3];
		char name[3][32];

		for (unsigned k = 0; k < 3; k++)
			snprintf(name[k], sizeof(name[k]), "cut%u.%u", cut, k);
		l[0] = layer_make(name[0], 0, cut, 2, 10000);
		l[1] = layer_make(name[1], 0, cut + 50 < NAMES ? cut + 50 : NAMES, 5, 20000);
		l[2] = layer_make(name[2], 0, NAMES, 1, 30000);
		/* The last name that each has. */
		int end0 = cut == 0 ? -1 : (int)((cut - 1) / 2 * 2);
		int end1 = (int)(((cut + 50 < NAMES ? cut + 50 : NAMES) - 1) / 5 * 5);

		ask(l, 3, 1, found);
		for (int i = 0; i < (int)NAMES; i++) {
			uint64_t want;

			if (i <= end0)
				want = i % 2 == 0 ? 10000u + (unsigned)i : 0;
			else if (i <= end1)
				want = i % 5 == 0 ? 20000u + (unsigned)i : 0;
			else
				want = 30000u + (unsigned)i;
			assert_int_equal(found[i], want);
		}
	}
}

/* A newer run that got further than an older one hides it wholly. */
static void
an_older_layer_that_ends_before_adds_nothing(void **state)
{
	struct base_layer l[2];
	uint64_t found[NAMES];

	(void)state;
	l[0] = layer_make("long", 0, 300, 1, 10000);
	l[1] = layer_make("short", 0, 100, 1, 20000);
	ask(l, 2, 1, found);
	for (unsigned i = 0; i < NAMES; i++)
		assert_int_equal(found[i], i < 300 ? 10000 + i : 0);
}

static void
a_layer_that_is_missing_is_said(void **state)
{
	struct base_layer none = { .dirfd = dir, .name = "none" };
	struct err e;

	(void)state;
	err_clear(&e);
	assert_null(base_list_new(&none, 1, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

/* A torn layer is just a shorter one. */
static void
a_torn_layer_gives_way_to_the_older_one(void **state)
{
	struct base_layer l[2];
	uint64_t found[NAMES];
	struct stat st;

	(void)state;
	l[0] = layer_make("torn", 0, NAMES, 1, 10000);
	l[1] = layer_make("whole", 0, NAMES, 1, 20000);
	assert_int_equal(fstatat(dir, "torn", &st, 0), 0);
	for (off_t len = st.st_size; len >= 16; len -= 211) {
		int fd = openat(dir, "torn", O_WRONLY | O_CLOEXEC);
		bool old = false;

		assert_int_equal(ftruncate(fd, len), 0);
		close(fd);
		ask(l, 2, 1, found);
		for (unsigned i = 0; i < NAMES; i++) {
			old = old || found[i] == 20000 + i;
			assert_int_equal(found[i], old ? 20000 + i : 10000 + i);
		}
	}
}

/* --- spill chunks --- */

struct spilled {
	unsigned n, what;
	uint8_t id[8];
	uint32_t len[8];
};

static int
take_spill(void *arg, unsigned what, const uint8_t *id, struct fmt_view plain, struct err *e)
{
	struct spilled *s = arg;

	(void)e;
	assert_true(s->n < 8);
	s->what = what;
	s->id[s->n] = id[0];
	s->len[s->n++] = plain.len;
	for (size_t i = 0; i < plain.len; i++)
		assert_int_equal(plain.p[i], id[0]);
	return 0;
}

/* ${chunks} spill chunks, then the entry that they belong to (none: a plain one). */
static void
put_long(struct journal *j, const char *name, unsigned chunks, uint8_t first_id)
{
	struct entry en = { .type = ENTRY_FILE, .mode = 0644, .inode = 1, .nlink = 1, .name = text(name) };
	uint8_t spill[1 + DIGEST_LEN + 100], bytes[4096];
	struct wr w = { .p = bytes, .left = sizeof(bytes) };
	struct err e;

	err_clear(&e);
	for (unsigned i = 0; i < chunks; i++) {
		memset(spill, first_id + (int)i, sizeof(spill));
		spill[0] = LONG_EXTENTS;
		assert_int_equal(journal_put(j, JOURNAL_SPILL, spill, 1 + DIGEST_LEN + 50 + i, &e), 0);
	}
	if (chunks > 0) {
		en.longs = LONG_EXTENTS;
		en.size = 4000;
		en.long_extents = (struct spill){ .levels = 0, .len = EXTENT_LEN };
		memset(en.long_extents.id, 1, DIGEST_LEN);
	}
	item_dir_put(&w, text("/d"));
	item_entry_put(&w, &en);
	assert_false(w.bad);
	assert_int_equal(journal_put(j, JOURNAL_ITEMS, bytes, sizeof(bytes) - w.left, &e), 0);
}

static void
each_long_entry_knows_its_spill_chunks(void **state)
{
	static const struct { const char *name; unsigned chunks; uint8_t id; } t[] = {
		{ "a", 0, 0 }, { "b", 3, 10 }, { "c", 1, 20 }, { "d", 0, 0 }, { "e", 2, 30 }, { "f", 0, 0 },
	};
	struct base_layer l = { .dirfd = dir, .name = "spills" };
	struct base_place place;
	struct base_list *b;
	struct journal *j;
	struct entry en;
	struct err e;

	(void)state;
	err_clear(&e);
	assert_non_null(j = journal_create(dir, l.name, 0, NULL, 0, &e));
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		put_long(j, t[i].name, t[i].chunks, t[i].id);
	assert_int_equal(journal_sync(j, &e), 0);
	journal_close(j);
	/* All of them asked for, and only every second. */
	for (size_t step = 1; step <= 2; step++) {
		assert_non_null(b = base_list_new(&l, 1, &e));
		for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i += step) {
			struct spilled s = { 0 };

			assert_int_equal(base_list_find(b, text("/d"), text(t[i].name), &en, &place, &e), 1);
			assert_int_equal(place.has, t[i].chunks > 0);
			if (!place.has)
				continue;
			assert_int_equal(base_spills(&l, place.mark, take_spill, &s, &e), 0);
			assert_int_equal(s.n, t[i].chunks);
			assert_int_equal(s.what, LONG_EXTENTS);
			for (unsigned k = 0; k < s.n; k++) {
				assert_int_equal(s.id[k], t[i].id + k);
				assert_int_equal(s.len[k], 50 + k);
			}
		}
		base_list_free(b);
	}
}

/* Only spill chunks, of a file that was left out in the end. */
static void
put_orphans(struct journal *j, bool closed)
{
	uint8_t spill[1 + DIGEST_LEN + 60] = { LONG_EXTENTS, 99 }, bytes[64];
	struct wr w = { .p = bytes, .left = sizeof(bytes) };
	struct err e;

	err_clear(&e);
	assert_int_equal(journal_put(j, JOURNAL_SPILL, spill, sizeof(spill), &e), 0);
	item_dir_put(&w, text("/d"));
	if (closed)
		assert_int_equal(journal_put(j, JOURNAL_ITEMS, bytes, sizeof(bytes) - w.left, &e), 0);
}

/* They stand before the spill chunks of ${next} (or a plain entry): nobody takes them for its own. */
static void
spill_chunks_of_a_file_left_out_belong_to_nobody(void **state)
{
	struct base_layer l = { .dirfd = dir, .name = "orphans" };
	struct base_place place;
	struct base_list *b;
	struct journal *j;
	struct entry en;
	struct err e;

	(void)state;
	err_clear(&e);
	assert_non_null(j = journal_create(dir, l.name, 0, NULL, 0, &e));
	put_orphans(j, false);
	put_long(j, "b", 0, 0);
	put_long(j, "c", 2, 20);
	put_orphans(j, true);
	put_long(j, "d", 3, 30);
	assert_int_equal(journal_sync(j, &e), 0);
	journal_close(j);
	assert_non_null(b = base_list_new(&l, 1, &e));
	for (uint8_t i = 1; i < 4; i++) {
		struct spilled s = { 0 };
		char name[2] = { (char)('a' + i), 0 };

		assert_int_equal(base_list_find(b, text("/d"), text(name), &en, &place, &e), 1);
		assert_int_equal(place.has, i > 1);
		if (!place.has)
			continue;
		assert_int_equal(base_spills(&l, place.mark, take_spill, &s, &e), 0);
		assert_int_equal(s.n, i);
		assert_int_equal(s.id[0], i * 10);
	}
	base_list_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(no_layers_are_an_empty_list, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_layer_has_what_was_written, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_older_layer_goes_on_behind_the_newer_ones_last_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_older_layer_that_ends_before_adds_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_layer_that_is_missing_is_said, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_torn_layer_gives_way_to_the_older_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(each_long_entry_knows_its_spill_chunks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(spill_chunks_of_a_file_left_out_belong_to_nobody, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
