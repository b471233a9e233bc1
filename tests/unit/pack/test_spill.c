#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/pack/listing_read.h"
#include "common/pack/listing_write.h"
#include "formats/fmt_pack.h"
#include "pack/shelf.h"
#include "pack/tree.h"

static const uint8_t key[KEY_LEN] = { 7 };

static uint8_t *
noise(struct tree *t, size_t n)
{
	uint8_t *p = tree_bytes(t, n);

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(tree_random(t) >> 9);
	return p;
}

/* In steps of any length. */
static void
spill(struct tree *t, struct shelf *s, const uint8_t *in, size_t len, size_t record, struct spill *out)
{
	struct spill_writer *w = spill_writer_new(key, record, shelf_put, s);
	struct err e;

	err_clear(&e);
	assert_non_null(w);
	for (size_t at = 0, n; at < len; at += n) {
		n = 1 + (size_t)tree_below(t, 100000);
		if (n > len - at)
			n = len - at;
		assert_int_equal(spill_writer_add(w, in + at, n, &e), 0);
	}
	assert_int_equal(spill_writer_finish(w, out, &e), 0);
	spill_writer_free(w);
}

static enum err_code
unspill(struct shelf *s, const struct spill *sp, uint8_t *out, size_t *len)
{
	struct spill_reader *r = spill_reader_new(sp, shelf_get, s, NULL, NULL);
	const uint8_t *p;
	struct err e;
	size_t n;
	int rc;

	err_clear(&e);
	*len = 0;
	while ((rc = spill_reader_next(r, &p, &n, &e)) == 1) {
		if (out != NULL)
			memcpy(out + *len, p, n);
		*len += n;
		assert_true(*len <= sp->len);
	}
	spill_reader_free(r);
	return rc == 0 ? ERR_NONE : e.code;
}

static void
any_stream_comes_back(void **state)
{
	static const size_t len[] = { 1, 2, 16383, 16384, 65536, 262144, 262145, 1000003, 40000000 };
	struct tree t = { .seed = 31 };

	(void)state;
	for (size_t i = 0; i < sizeof(len) / sizeof(len[0]); i++) {
		struct shelf s = { 0 };
		struct spill sp;
		uint8_t *in = noise(&t, len[i]), *out = tree_bytes(&t, len[i]);
		size_t got;

		spill(&t, &s, in, len[i], 1, &sp);
		assert_int_equal(sp.len, len[i]);
		assert_int_equal(sp.levels == 0, s.n == 1);
		for (size_t k = 0; k < s.n; k++)
			assert_true(s.chunk[k].len <= SPILL_CHUNK_MAX);
		assert_int_equal(unspill(&s, &sp, out, &got), ERR_NONE);
		assert_int_equal(got, len[i]);
		assert_memory_equal(in, out, got);
		shelf_free(&s);
	}
	tree_free(&t);
}

static void
records_are_never_cut(void **state)
{
	struct tree t = { .seed = 32 };
	struct shelf s = { 0 };
	struct spill sp;
	size_t len = 200000 * EXTENT_LEN;
	uint8_t *in = noise(&t, len);

	(void)state;
	spill(&t, &s, in, len, EXTENT_LEN, &sp);
	assert_true(sp.levels >= 1);
	for (size_t k = 0; k < s.n; k++)
		if (memcmp(s.chunk[k].bytes, "SAMSPIL\n", 8) != 0)
			assert_int_equal(s.chunk[k].len % EXTENT_LEN, 0);
	shelf_free(&s);
	tree_free(&t);
}

static void
a_changed_record_touches_little(void **state)
{
	struct tree t = { .seed = 33 };
	struct shelf a = { 0 }, b = { 0 };
	struct spill sa, sb;
	size_t len = 200000 * EXTENT_LEN;
	uint8_t *in = noise(&t, len);

	(void)state;
	spill(&t, &a, in, len, EXTENT_LEN, &sa);
	in[len / 2] ^= 1;
	spill(&t, &b, in, len, EXTENT_LEN, &sb);
	assert_in_range(shelf_new_in(&a, &b), 2, 8 + sb.levels);
	assert_true(a.n > 60);
	shelf_free(&a);
	shelf_free(&b);
	tree_free(&t);
}

static void
the_same_bytes_give_the_same_tree_in_any_steps(void **state)
{
	struct tree t = { .seed = 34 };
	struct shelf a = { 0 }, b = { 0 };
	struct spill sa, sb;
	uint8_t *in = noise(&t, 3000000);

	(void)state;
	spill(&t, &a, in, 3000000, 1, &sa);
	spill(&t, &b, in, 3000000, 1, &sb);
	assert_int_equal(sa.levels, sb.levels);
	assert_memory_equal(sa.id, sb.id, DIGEST_LEN);
	shelf_free(&a);
	shelf_free(&b);
	tree_free(&t);
}

static void
damage_in_a_tree_is_found(void **state)
{
	struct tree t = { .seed = 35 };
	struct shelf s = { 0 };
	struct spill sp, lie;
	struct shelf_chunk *top;
	size_t got, len;

	(void)state;
	spill(&t, &s, noise(&t, 3000000), 3000000, 1, &sp);
	assert_int_equal(sp.levels, 1);
	top = shelf_find(&s, sp.id);
	for (int round = 0; round < 2000; round++) {	/* all of the head and of the first row's length */
		size_t at = (size_t)tree_below(&t, round % 2 == 0 ? NODE_HEAD_LEN : top->len);
		uint8_t bit = (uint8_t)(1u << tree_below(&t, 8));
		enum err_code code;

		top->bytes[at] ^= bit;
		s.most_gets = s.gets + 2 * s.n;
		code = unspill(&s, &sp, NULL, &got);
		assert_true(code == ERR_DAMAGE || code == ERR_VERSION || code == ERR_MISSING);
		top->bytes[at] ^= bit;
	}
	for (int round = 0; round < 100; round++) {
		struct shelf_chunk *c = &s.chunk[tree_below(&t, s.n)];

		len = c->len;
		c->len = (size_t)tree_below(&t, len);
		assert_int_equal(unspill(&s, &sp, NULL, &got), ERR_DAMAGE);
		c->len = len;
		s.most_gets = 0;
	}
	lie = sp;
	lie.len++;
	assert_int_equal(unspill(&s, &lie, NULL, &got), ERR_DAMAGE);
	lie = sp;
	lie.levels = 2;
	assert_int_equal(unspill(&s, &lie, NULL, &got), ERR_DAMAGE);
	lie.levels = SPILL_LEVELS_MAX + 1;
	assert_int_equal(unspill(&s, &lie, NULL, &got), ERR_DAMAGE);
	lie.levels = 255;
	assert_int_equal(unspill(&s, &lie, NULL, &got), ERR_DAMAGE);
	shelf_free(&s);
	tree_free(&t);
}

struct collect {
	uint8_t *at;
	uint64_t next;
};

static int
collect(void *arg, uint64_t at, const struct extent *x, struct err *e)
{
	struct collect *c = arg;

	(void)e;
	assert_int_equal(at, c->next);
	c->next += x->len;
	extent_put(c->at, x);
	c->at += EXTENT_LEN;
	return 0;
}

static void
long_entries_become_short_and_say_the_same(void **state)
{
	struct tree t = { .seed = 36 };
	static const struct { unsigned extents, xattrs; uint8_t longs; } c[] = {
		{ 3, 2, 0 },
		{ 100, 40, LONG_XATTRS },
		{ 300, 2, LONG_XATTRS | LONG_EXTENTS },
		{ 300, 0, LONG_EXTENTS },
		{ 100000, 500, LONG_XATTRS | LONG_EXTENTS },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		struct shelf s = { 0 };
		struct entry en = { .type = ENTRY_FILE, .name = view_of("n", 1) };
		struct fmt_view extents, xattrs;
		struct collect col;
		uint8_t *out;
		struct err e;
		size_t got;

		err_clear(&e);
		tree_extents(&t, &en, c[i].extents);
		tree_xattrs(&t, &en, c[i].xattrs, 200);
		extents = en.extents;
		xattrs = en.xattrs;
		assert_int_equal(entry_spill(key, &en, shelf_put, &s, &e), 0);
		assert_int_equal(en.longs, c[i].longs);
		assert_true(item_entry_size(&en) <= ENTRY_LONG + 5);
		out = tree_bytes(&t, extents.len + EXTENT_LEN);
		col = (struct collect){ .at = out };
		assert_int_equal(extents_each(&en, shelf_get, &s, NULL, NULL, collect, &col, &e), 0);
		assert_int_equal(col.next, en.size);
		assert_memory_equal(out, extents.p, extents.len);
		if ((en.longs & LONG_XATTRS) != 0) {
			out = tree_bytes(&t, xattrs.len);
			assert_int_equal(unspill(&s, &en.long_xattrs, out, &got), ERR_NONE);
			assert_int_equal(got, xattrs.len);
			assert_memory_equal(out, xattrs.p, got);
		}
		en.size++;	/* extents that do not make up the size */
		col = (struct collect){ .at = tree_bytes(&t, extents.len + EXTENT_LEN) };
		assert_int_equal(extents_each(&en, shelf_get, &s, NULL, NULL, collect, &col, &e), -1);
		assert_int_equal(e.code, ERR_DAMAGE);
		en.size -= 2;
		col = (struct collect){ .at = tree_bytes(&t, extents.len + EXTENT_LEN) };
		assert_int_equal(extents_each(&en, shelf_get, &s, NULL, NULL, collect, &col, &e), -1);
		assert_int_equal(e.code, ERR_DAMAGE);
		shelf_free(&s);
	}
	tree_free(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_stream_comes_back),
		cmocka_unit_test(records_are_never_cut),
		cmocka_unit_test(a_changed_record_touches_little),
		cmocka_unit_test(the_same_bytes_give_the_same_tree_in_any_steps),
		cmocka_unit_test(damage_in_a_tree_is_found),
		cmocka_unit_test(long_entries_become_short_and_say_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
