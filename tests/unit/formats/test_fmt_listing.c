#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "formats/fmt_listing.h"

#include "tests/unit/formats/bytes.h"

static struct fmt_view
text(const char *s)
{
	return view_of(s, strlen(s));
}

/* Room for what an entry's views point at. */
struct entry_room {
	uint8_t name[255], user[40], target[300], xattrs[400], extents[40 * EXTENT_LEN];
};

static struct fmt_view
random_xattrs(struct rng *r, uint8_t *out, size_t cap)
{
	struct wr w = { .p = out, .left = cap };
	uint64_t n = rng_next(r) % 4;

	for (uint64_t i = 0; i < n; i++) {
		char name[32];
		uint8_t value[40];

		snprintf(name, sizeof(name), "user.%u", (unsigned)i);
		rng_fill(r, value, sizeof(value));
		xattr_put(&w, text(name), view_of(value, rng_next(r) % sizeof(value)));
	}
	assert_false(w.bad);
	return view_of(out, (size_t)(w.p - out));
}

static void
random_extents(struct rng *r, struct entry *e, uint8_t *out)
{
	uint64_t n = rng_next(r) % 6;

	e->size = 0;
	for (uint64_t i = 0; i < n; i++) {
		struct extent x = { .len = 1 + rng_next(r) % 100000 };

		if (rng_next(r) % 3 != 0) {
			rng_fill(r, x.id, sizeof(x.id));
			x.offset = (uint32_t)(rng_next(r) % 100000);
		} else if (rng_next(r) % 2 != 0) {
			x.len = rng_next(r) >> 8;	/* a hole can be large */
		}
		extent_put(out + i * EXTENT_LEN, &x);
		e->size += x.len;
	}
	e->extents = view_of(out, n * EXTENT_LEN);
}

static void
random_spill(struct rng *r, struct spill *s)
{
	s->levels = (uint8_t)rng_from(r, 0, SPILL_LEVELS_MAX);
	s->len = rng_from(r, 1, 1u << 30) * EXTENT_LEN;
	rng_fill(r, s->id, sizeof(s->id));
}

static void
random_entry(struct rng *r, struct entry *e, struct entry_room *room)
{
	memset(e, 0, sizeof(*e));
	e->type = (uint8_t)rng_from(r, 1, ENTRY_TYPE_MAX);
	e->flags = (uint16_t)rng_from(r, 0, ENTRY_FLAGS);
	e->mode = (uint32_t)rng_from(r, 0, 07777);
	e->uid = (uint32_t)rng_next(r);
	e->gid = (uint32_t)rng_next(r);
	e->mtime_s = (int64_t)rng_next(r);
	e->ctime_s = (int64_t)rng_next(r);
	e->mtime_ns = (uint32_t)rng_from(r, 0, 999999999);
	e->ctime_ns = (uint32_t)rng_from(r, 0, 999999999);
	e->inode = rng_next(r);
	e->nlink = (uint32_t)rng_next(r);
	e->fs = (uint16_t)rng_next(r);
	memset(room->name, 'a' + (int)(rng_next(r) % 26), sizeof(room->name));
	e->name = view_of(room->name, rng_from(r, 1, sizeof(room->name)));
	memset(room->user, 'u', sizeof(room->user));
	e->user = view_of(room->user, rng_from(r, 0, sizeof(room->user)));
	e->group = view_of(room->user, rng_from(r, 0, sizeof(room->user)));
	memset(room->target, '/', sizeof(room->target));
	if (e->type == ENTRY_SYMLINK)
		e->target = view_of(room->target, rng_from(r, 1, sizeof(room->target)));
	if (rng_next(r) % 4 == 0) {
		e->longs |= LONG_XATTRS;
		random_spill(r, &e->long_xattrs);
	} else {
		e->xattrs = random_xattrs(r, room->xattrs, sizeof(room->xattrs));
	}
	if (e->type == ENTRY_FILE && rng_next(r) % 4 == 0) {
		e->longs |= LONG_EXTENTS;
		e->size = rng_next(r) >> 1;
		random_spill(r, &e->long_extents);
	} else if (e->type == ENTRY_FILE) {
		random_extents(r, e, room->extents);
	}
}

static size_t
put(const struct entry *e, uint8_t *out, size_t cap)
{
	struct wr w = { .p = out, .left = cap };

	item_entry_put(&w, e);
	return w.bad ? 0 : (size_t)(w.p - out);
}

/* Read one item from exactly these bytes; what is accepted must be written the same way again. */
static enum fmt_status
item_read_exact(const uint8_t *b, size_t len)
{
	static const struct item none;
	uint8_t *exact = bytes_copy(b, len), *again = bytes_copy(b, len);
	struct rd r = { .p = exact, .left = len };
	struct wr w = { .p = again, .left = len };
	struct item it;
	enum fmt_status st = item_next(&r, &it);

	if (st != FMT_OK) {
		assert_memory_equal(&it, &none, sizeof(it));
	} else {
		if (it.tag == ITEM_DIR)
			item_dir_put(&w, it.path);
		else
			item_entry_put(&w, &it.entry);
		assert_false(w.bad);
		assert_int_equal(w.left, r.left);
		assert_memory_equal(again, exact, len - r.left);
	}
	free(exact);
	free(again);
	return st;
}

static void
an_entry_comes_back_as_it_was(void **state)
{
	static uint8_t b[ENTRY_LEN_MAX + 16];
	static struct entry_room room;
	struct rng r = { 3 };
	struct entry e;
	struct item it;

	(void)state;
	for (int k = 0; k < 3000; k++) {
		struct rd rd;
		size_t n;

		random_entry(&r, &e, &room);
		n = put(&e, b, sizeof(b));
		assert_true(n > 0);
		assert_int_equal(n, item_entry_size(&e));
		assert_int_equal(item_read_exact(b, n), FMT_OK);
		rd = (struct rd){ .p = b, .left = n };
		assert_int_equal(item_next(&rd, &it), FMT_OK);
		assert_int_equal(it.tag, ITEM_ENTRY);
		assert_int_equal(it.entry.type, e.type);
		assert_int_equal(it.entry.longs, e.longs);
		assert_int_equal(it.entry.flags, e.flags);
		assert_int_equal(it.entry.mode, e.mode);
		assert_int_equal(it.entry.uid, e.uid);
		assert_int_equal(it.entry.gid, e.gid);
		assert_int_equal(it.entry.mtime_s, e.mtime_s);
		assert_int_equal(it.entry.mtime_ns, e.mtime_ns);
		assert_int_equal(it.entry.ctime_s, e.ctime_s);
		assert_int_equal(it.entry.ctime_ns, e.ctime_ns);
		assert_int_equal(it.entry.size, e.size);
		assert_int_equal(it.entry.inode, e.inode);
		assert_int_equal(it.entry.nlink, e.nlink);
		assert_int_equal(it.entry.fs, e.fs);
		assert_int_equal(name_order(it.entry.name, e.name), 0);
		assert_int_equal(name_order(it.entry.target, e.target), 0);
		assert_int_equal(name_order(it.entry.xattrs, e.xattrs), 0);
		assert_int_equal(name_order(it.entry.extents, e.extents), 0);
		assert_memory_equal(&it.entry.long_extents, &e.long_extents, 9);
		assert_memory_equal(it.entry.long_xattrs.id, e.long_xattrs.id, DIGEST_LEN);
	}
}

static void
a_cut_item_is_refused(void **state)
{
	static uint8_t b[ENTRY_LEN_MAX + 16];
	static struct entry_room room;
	struct rng r = { 4 };
	struct entry e;

	(void)state;
	for (int k = 0; k < 30; k++) {
		size_t n;

		random_entry(&r, &e, &room);
		n = put(&e, b, sizeof(b));
		for (size_t i = 0; i < n; i++)
			assert_int_equal(item_read_exact(b, i), FMT_SHORT);
		for (uint32_t len = 0; len < n - 5; len++) {	/* the entry inside cut, its length telling so */
			le32_put(b + 1, len);
			assert_int_not_equal(item_read_exact(b, n), FMT_OK);
		}
		le32_put(b + 1, (uint32_t)(n - 5 + 1));
		b[n] = 0;
		assert_int_not_equal(item_read_exact(b, n + 1), FMT_OK);
		le32_put(b + 1, ENTRY_LEN_MAX + 1);
		assert_int_equal(item_read_exact(b, n), FMT_RANGE);
		le32_put(b + 1, 0xffffffff);
		assert_int_equal(item_read_exact(b, n), FMT_RANGE);
	}
}

static void
a_damaged_entry_is_refused_or_reads_as_what_it_says(void **state)
{
	static uint8_t b[ENTRY_LEN_MAX + 16];
	static struct entry_room room;
	struct rng r = { 5 };
	struct entry e;
	int ok = 0;

	(void)state;
	for (int k = 0; k < 40000; k++) {
		size_t n;

		random_entry(&r, &e, &room);
		n = put(&e, b, sizeof(b));
		bytes_mutate(&r, b, n);
		ok += item_read_exact(b, n) == FMT_OK;
	}
	assert_true(ok > 1000);
}

/* A small valid file to spoil. */
static struct entry
plain_file(void)
{
	static uint8_t x[2 * EXTENT_LEN];
	struct extent a = { .id = { 1 }, .offset = 5, .len = 10 }, hole = { .len = 90 };

	extent_put(x, &a);
	extent_put(x + EXTENT_LEN, &hole);
	return (struct entry){ .type = ENTRY_FILE, .mode = 0644, .size = 100, .nlink = 1, .name = text("f"),
		.extents = view_of(x, sizeof(x)) };
}

static void
an_entry_that_contradicts_itself_is_not_written(void **state)
{
	static uint8_t b[ENTRY_LEN_MAX + 16], x[EXTENT_LEN], long_text[5000];
	struct extent bad[] = {
		{ .id = { 1 }, .len = 0 },				/* empty */
		{ .id = { 1 }, .offset = CHUNK_PLAIN_MAX, .len = 1 },	/* behind any chunk */
		{ .id = { 1 }, .offset = 0xffffffff, .len = 1 },
		{ .id = { 1 }, .len = CHUNK_PLAIN_MAX + 1 },
		{ .id = { 1 }, .len = UINT64_MAX },
		{ .offset = 1, .len = 1 },				/* a hole with an offset */
		{ .len = UINT64_C(1) << 63 },
	};
	struct entry t[20];
	struct entry e = plain_file();

	(void)state;
	assert_int_not_equal(put(&e, b, sizeof(b)), 0);
	memset(long_text, 'x', sizeof(long_text));
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		t[i] = plain_file();
	t[0].type = 0;
	t[1].type = ENTRY_TYPE_MAX + 1;
	t[2].flags = ENTRY_FLAGS + 1;
	t[3].mode = 010000;
	t[4].mtime_ns = 1000000000;
	t[5].ctime_ns = 1000000000;
	t[6].size = UINT64_C(1) << 63;
	t[7].size = 99;				/* extents do not sum to it */
	t[8].name = text("..");
	t[9].name = text("a/b");
	t[10].target = text("x");		/* a file with a target */
	t[11].type = ENTRY_DIR;			/* a directory with a size */
	t[12].type = ENTRY_SYMLINK;		/* a symlink without target */
	t[13].longs = 4;
	t[14].longs = LONG_EXTENTS;		/* extents here and below */
	t[15].user = view_of(long_text, 256);
	t[16].group = view_of(long_text, 256);
	t[17].extents.len--;
	t[18].longs = LONG_XATTRS;		/* an empty spill tree */
	t[19].longs = LONG_XATTRS;
	t[19].long_xattrs = (struct spill){ .levels = SPILL_LEVELS_MAX + 1, .len = 1 };
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		if (put(&t[i], b, sizeof(b)) != 0)
			fail_msg("row %zu was written", i);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		extent_put(x, &bad[i]);
		e.extents = view_of(x, sizeof(x));
		e.size = bad[i].len;
		if (put(&e, b, sizeof(b)) != 0)
			fail_msg("extent %zu was written", i);
	}
	e = (struct entry){ .type = ENTRY_SYMLINK, .name = text("l"), .target = view_of(long_text, LINK_LEN_MAX) };
	assert_int_not_equal(put(&e, b, sizeof(b)), 0);
	e.target.len++;
	assert_int_equal(put(&e, b, sizeof(b)), 0);
	e.target = view_of("a\0b", 3);
	assert_int_equal(put(&e, b, sizeof(b)), 0);
	e = plain_file();
	e.size = 0;
	e.extents.len = 0;
	e.longs = LONG_EXTENTS;
	e.long_extents = (struct spill){ .len = EXTENT_LEN + 1 };
	assert_int_equal(put(&e, b, sizeof(b)), 0);
}

static void
sizes_that_sum_beyond_what_fits_are_refused(void **state)
{
	static uint8_t b[ENTRY_LEN_MAX + 16], x[3 * EXTENT_LEN];
	struct extent hole = { .len = INT64_MAX };
	struct entry e = plain_file();

	(void)state;
	for (size_t i = 0; i < 3; i++)
		extent_put(x + i * EXTENT_LEN, &hole);
	e.size = INT64_MAX;
	e.extents = view_of(x, EXTENT_LEN);
	assert_int_not_equal(put(&e, b, sizeof(b)), 0);
	e.extents = view_of(x, 3 * EXTENT_LEN);	/* wraps around to INT64_MAX - 2 */
	e.size = (uint64_t)INT64_MAX * 3;
	assert_int_equal(put(&e, b, sizeof(b)), 0);
	e.size = INT64_MAX - 2;
	assert_int_equal(put(&e, b, sizeof(b)), 0);
}

static void
attributes_rise_and_have_names(void **state)
{
	static uint8_t b[ENTRY_LEN_MAX + 16], rows[2048], big[XATTR_VALUE_MAX + 1];
	struct wr w = { .p = rows, .left = sizeof(rows) };
	struct fmt_view name, value;
	struct entry e = plain_file();
	struct rd r;

	(void)state;
	xattr_put(&w, text("user.b"), text("1"));
	xattr_put(&w, text("user.a"), text("2"));
	e.xattrs = view_of(rows, (size_t)(w.p - rows));
	assert_int_equal(put(&e, b, sizeof(b)), 0);
	e.xattrs.len /= 2;
	assert_int_not_equal(put(&e, b, sizeof(b)), 0);
	e.xattrs.len--;
	assert_int_equal(put(&e, b, sizeof(b)), 0);
	r = (struct rd){ .p = rows, .left = (size_t)(w.p - rows) };
	assert_int_equal(xattr_next(&r, &name, &value), FMT_OK);
	assert_memory_equal(name.p, "user.b", name.len);
	assert_memory_equal(value.p, "1", value.len);
	assert_int_equal(xattr_next(&r, &name, &value), FMT_OK);
	assert_int_equal(xattr_next(&r, &name, &value), FMT_SHORT);

	w = (struct wr){ .p = rows, .left = sizeof(rows) };
	xattr_put(&w, text(""), text("1"));
	assert_true(w.bad);
	w = (struct wr){ .p = rows, .left = sizeof(rows) };
	xattr_put(&w, view_of("a\0b", 3), text("1"));
	assert_true(w.bad);
	w = (struct wr){ .p = rows, .left = sizeof(rows) };
	xattr_put(&w, view_of(big, 256), text("1"));
	assert_true(w.bad);
	w = (struct wr){ .p = rows, .left = sizeof(rows) };
	xattr_put(&w, text("a"), view_of(big, sizeof(big)));
	assert_true(w.bad);
	r = (struct rd){ .p = (const uint8_t *)"\1a\xff\xff\xff\xff", .left = 6 };
	assert_int_equal(xattr_next(&r, &name, &value), FMT_RANGE);
}

/* A leaf of a directory and a few entries. */
static size_t
make_leaf(struct rng *r, uint8_t *out, size_t cap)
{
	static struct entry_room room;
	struct wr w = { .p = out + LEAF_HEAD_LEN, .left = cap - LEAF_HEAD_LEN };
	struct entry e;

	leaf_head_encode(out, 5);
	item_dir_put(&w, text("/srv/a"));
	for (int i = 0; i < 3; i++) {
		random_entry(r, &e, &room);
		item_entry_put(&w, &e);
	}
	item_dir_put(&w, text("/srv/b"));
	assert_false(w.bad);
	return (size_t)(w.p - out);
}

static enum fmt_status
leaf_read(const uint8_t *b, size_t len)
{
	uint8_t *exact = bytes_copy(b, len);
	struct rd r;
	struct item it;
	uint32_t n;
	enum fmt_status st = leaf_decode(exact, len, &r, &n);

	for (uint32_t i = 0; st == FMT_OK && i < n; i++)
		st = item_next(&r, &it);
	if (st == FMT_OK && r.left != 0)
		st = FMT_TRAILING;
	free(exact);
	return st;
}

static void
a_leaf_is_read_to_its_end_and_no_further(void **state)
{
	static uint8_t b[65536], long_one[LISTING_CHUNK_MAX + 1];
	struct rng r = { 6 };
	size_t len = make_leaf(&r, b, sizeof(b));

	(void)state;
	assert_int_equal(leaf_read(b, len), FMT_OK);
	for (size_t n = 0; n < len; n++)
		assert_int_not_equal(leaf_read(b, n), FMT_OK);
	b[len] = 0;
	assert_int_equal(leaf_read(b, len + 1), FMT_TRAILING);
	b[0] ^= 1;
	assert_int_equal(leaf_read(b, len), FMT_MAGIC);
	b[0] ^= 1;
	b[8] = 2;
	assert_int_equal(leaf_read(b, len), FMT_VERSION);
	b[8] = 1;
	b[10] = 1;
	assert_int_equal(leaf_read(b, len), FMT_RANGE);
	b[10] = 0;
	le32_put(b + 12, 4);
	assert_int_equal(leaf_read(b, len), FMT_TRAILING);
	le32_put(b + 12, 6);
	assert_int_equal(leaf_read(b, len), FMT_SHORT);
	le32_put(b + 12, 0x80000000);
	assert_int_equal(leaf_read(b, len), FMT_RANGE);
	le32_put(b + 12, 0xffffffff);
	assert_int_equal(leaf_read(b, len), FMT_RANGE);
	le32_put(b + 12, 0);
	assert_int_equal(leaf_read(b, LEAF_HEAD_LEN), FMT_OK);
	le32_put(b + 12, 5);
	b[16] = ITEM_ENTRY;
	assert_int_equal(leaf_read(b, len), FMT_CONTRADICTION);
	b[16] = ITEM_ENTRY + 1;
	assert_int_equal(leaf_read(b, len), FMT_CONTRADICTION);
	leaf_head_encode(long_one, 0);
	assert_int_equal(leaf_read(long_one, sizeof(long_one)), FMT_RANGE);
	for (int k = 0; k < 20000; k++) {
		len = make_leaf(&r, b, sizeof(b));
		bytes_mutate(&r, b, len);
		(void)leaf_read(b, len);
	}
}

static void
an_extent_comes_back_as_it_was(void **state)
{
	struct rng r = { 9 };
	struct extent in, out;
	uint8_t b[EXTENT_LEN];

	(void)state;
	for (int k = 0; k < 1000; k++) {
		rng_fill(&r, in.id, sizeof(in.id));
		in.offset = (uint32_t)rng_next(&r);
		in.len = rng_next(&r);
		extent_put(b, &in);
		extent_get(b, &out);
		assert_memory_equal(out.id, in.id, sizeof(in.id));
		assert_int_equal(out.offset, in.offset);
		assert_int_equal(out.len, in.len);
		assert_false(extent_is_hole(&out));
	}
	memset(in.id, 0, sizeof(in.id));
	assert_true(extent_is_hole(&in));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_comes_back_as_it_was),
		cmocka_unit_test(a_cut_item_is_refused),
		cmocka_unit_test(a_damaged_entry_is_refused_or_reads_as_what_it_says),
		cmocka_unit_test(an_entry_that_contradicts_itself_is_not_written),
		cmocka_unit_test(sizes_that_sum_beyond_what_fits_are_refused),
		cmocka_unit_test(attributes_rise_and_have_names),
		cmocka_unit_test(a_leaf_is_read_to_its_end_and_no_further),
		cmocka_unit_test(an_extent_comes_back_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
