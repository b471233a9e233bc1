#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/formats/statements.h"

static struct label
label_of(const char *short_name, const char *vault, const char *machine)
{
	struct label l = { .disk = 1, .format = FORMAT_VERSION, .suite = SUITE_1, .fs_type = "ext4" };

	strcpy(l.short_name, short_name);
	strcpy(l.vault_name, vault);
	strcpy(l.machine_name, machine);
	return l;
}

static void
a_label_with_a_name_that_leads_elsewhere_is_refused(void **state)
{
	static const struct { const char *short_name, *vault, *machine; size_t fits; } t[] = {
		{ "RM4K", "north", "web1", 1 }, { "/../", "north", "web1", 0 }, { "rm4k", "north", "web1", 0 },
		{ "RM4K", "../north", "web1", 0 }, { "RM4K", "north", "../web1", 0 }, { "RM4K", "n\nrth", "web1", 0 },
		{ "RM4K", "north", "w\x1b[1m", 0 }, { "RM4", "north", "web1", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct label l = label_of(t[i].short_name, t[i].vault, t[i].machine);

		assert_int_equal(schema_size(&label_schema, &l) > 0, t[i].fits);
	}
}

static enum fmt_status
part_read(const uint8_t *b, size_t len)
{
	static const struct index_part none;
	uint8_t *exact = bytes_copy(b, len), again[INDEX_PART_HEAD_LEN];
	struct index_part h;
	enum fmt_status st = index_part_decode(&h, exact, len);

	if (st == FMT_OK) {
		index_part_encode(&h, again);
		assert_memory_equal(again, exact, sizeof(again));
	} else {
		assert_memory_equal(&h, &none, sizeof(h));
	}
	free(exact);
	return st;
}

static void
make_part(struct rng *r, uint8_t out[INDEX_PART_HEAD_LEN])
{
	struct index_part h = { .part = (uint16_t)rng_from(r, 0, PARTS_MAX - 1),
		.disk = (uint32_t)rng_from(r, 1, DISKS_MAX), .payload_len = rng_from(r, 0, PART_LEN_MAX) };

	rng_fill(r, h.image_id, sizeof(h.image_id));
	index_part_encode(&h, out);
}

static void
an_index_part_holds_to_its_layout(void **state)
{
	static const struct { size_t off, n; uint64_t v; enum fmt_status want; } t[] = {
		{ 0, 1, 'X', FMT_MAGIC }, { 8, 2, 2, FMT_VERSION }, { 8, 2, 0, FMT_VERSION },
		{ 10, 2, PARTS_MAX - 1, FMT_OK }, { 10, 2, PARTS_MAX, FMT_RANGE },
		{ 12, 4, 1, FMT_RANGE }, { 12, 4, 0x80000000, FMT_RANGE },
		{ 32, 4, 0, FMT_RANGE }, { 32, 4, DISKS_MAX, FMT_OK }, { 32, 4, DISKS_MAX + 1, FMT_RANGE },
		{ 32, 4, 0xffffffff, FMT_RANGE }, { 36, 8, 0, FMT_OK }, { 36, 8, PART_LEN_MAX, FMT_OK },
		{ 36, 8, PART_LEN_MAX + 1, FMT_RANGE }, { 36, 8, UINT64_C(1) << 63, FMT_RANGE },
		{ 36, 8, UINT64_MAX, FMT_RANGE },
	};
	struct rng r = { 1 };
	uint8_t b[INDEX_PART_HEAD_LEN], v[8];

	(void)state;
	for (int k = 0; k < 1000; k++) {
		make_part(&r, b);
		assert_int_equal(part_read(b, sizeof(b)), FMT_OK);
		bytes_mutate(&r, b, sizeof(b));
		(void)part_read(b, sizeof(b));
	}
	for (size_t n = 0; n < sizeof(b); n++)
		assert_int_equal(part_read(b, n), FMT_SHORT);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		make_part(&r, b);
		le64_put(v, t[i].v);
		memcpy(b + t[i].off, v, t[i].n);
		assert_int_equal(part_read(b, sizeof(b)), t[i].want);
	}
}

/* A manifest of these disks and envelopes (first bytes). */
static enum fmt_status
manifest_of(const uint32_t *disks, size_t nd, const uint8_t *first, size_t ne, uint8_t carried)
{
	static uint8_t d[8 * MANIFEST_DISK_LEN], e[8 * DIGEST_LEN], code[4096];
	struct manifest m = { .short_name = "RM4K", .generation = 1, .carried = { carried } }, again;
	size_t len;
	enum fmt_status st;

	memset(d, 0, sizeof(d));
	memset(e, 0, sizeof(e));
	for (size_t i = 0; i < nd; i++)
		le32_put(d + i * MANIFEST_DISK_LEN, disks[i]);
	for (size_t i = 0; i < ne; i++)
		e[i * DIGEST_LEN] = first[i];
	m.disks = view_of(d, nd * MANIFEST_DISK_LEN);
	m.envelopes = view_of(e, ne * DIGEST_LEN);
	st = schema_encode(&manifest_schema, &m, code, sizeof(code), &len);
	if (st == FMT_OK)
		assert_int_equal(schema_decode(&manifest_schema, &again, code, len), FMT_OK);
	return st;
}

static void
disks_and_envelopes_of_a_manifest_rise(void **state)
{
	(void)state;
	assert_int_equal(manifest_of((const uint32_t[]){ 1, 2, 7 }, 3, (const uint8_t[]){ 0, 1, 200 }, 3, 0), FMT_OK);
	assert_int_equal(schema_size(&manifest_schema, &(struct manifest){ .short_name = "RM4K", .generation = 1 }), 0);
	assert_int_equal(manifest_of((const uint32_t[]){ 1, 2 }, 2, (const uint8_t[]){ 2, 1 }, 2, 0), FMT_RANGE);
	assert_int_equal(manifest_of((const uint32_t[]){ 1, 2 }, 2, (const uint8_t[]){ 2, 2 }, 2, 0), FMT_RANGE);
	assert_int_equal(manifest_of((const uint32_t[]){ 2, 1 }, 2, NULL, 0, 0), FMT_RANGE);
	assert_int_equal(manifest_of((const uint32_t[]){ 1, 1 }, 2, NULL, 0, 0), FMT_RANGE);
	assert_int_equal(manifest_of((const uint32_t[]){ 0 }, 1, NULL, 0, 0), FMT_RANGE);
	assert_int_equal(manifest_of((const uint32_t[]){ DISKS_MAX + 1 }, 1, NULL, 0, 0), FMT_RANGE);
}

static void
a_manifest_carries_ids_of_its_own_only_without_snapshots(void **state)
{
	(void)state;
	assert_int_equal(manifest_of((const uint32_t[]){ 1 }, 1, NULL, 0, 9), FMT_OK);
	assert_int_equal(manifest_of((const uint32_t[]){ 1 }, 1, (const uint8_t[]){ 1 }, 1, 9), FMT_RANGE);
}

static void
an_unordered_manifest_from_a_disk_is_refused_in_words(void **state)
{
	static uint8_t d[2 * MANIFEST_DISK_LEN], code[1024];
	struct manifest m = { .short_name = "RM4K", .generation = 1 }, again;
	size_t len;

	(void)state;
	le32_put(d, 1);
	le32_put(d + MANIFEST_DISK_LEN, 2);
	m.disks = view_of(d, sizeof(d));
	assert_int_equal(schema_encode(&manifest_schema, &m, code, sizeof(code), &len), FMT_OK);
	code[statement_offset(&manifest_schema, code, 6) + 4] = 2;
	assert_int_equal(schema_decode(&manifest_schema, &again, code, len), FMT_ORDER);
	code[statement_offset(&manifest_schema, code, 6) + 4] = 0;
	assert_int_equal(schema_decode(&manifest_schema, &again, code, len), FMT_RANGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_label_with_a_name_that_leads_elsewhere_is_refused),
		cmocka_unit_test(an_index_part_holds_to_its_layout),
		cmocka_unit_test(disks_and_envelopes_of_a_manifest_rise),
		cmocka_unit_test(a_manifest_carries_ids_of_its_own_only_without_snapshots),
		cmocka_unit_test(an_unordered_manifest_from_a_disk_is_refused_in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
