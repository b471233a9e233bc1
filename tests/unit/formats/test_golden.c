#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <blake3.h>
#include <sodium.h>

#include "formats/armor.h"
#include "formats/fmt_pack.h"

#include "tests/golden/golden_text.h"
#include "tests/unit/formats/statements.h"

/* The files of golden/1 are frozen: what they hold must be read for ever. */

enum signer { NOBODY, DOMAIN, MACHINE, VAULT };

static const struct {
	const char *file;
	const struct fmt_schema *schema;
	enum signer signer;
} goldens[] = {
	{ "domain_desc", &domain_desc_schema, DOMAIN },
	{ "membership", &membership_schema, DOMAIN },
	{ "identity", &identity_schema, NOBODY },
	{ "slot_header", &slot_header_schema, NOBODY },
	{ "registration", &registration_schema, MACHINE },
	{ "kit", &kit_schema, NOBODY },
	{ "trust", &trust_schema, NOBODY },
	{ "vault_desc", &vault_desc_schema, VAULT },
	{ "vault_key", &vault_key_schema, NOBODY },
	{ "vault_key_wrapped", &vault_key_wrapped_schema, NOBODY },
	{ "credential", &credential_schema, VAULT },
	{ "record", &record_schema, VAULT },
	{ "rec_image", &rec_image_schema, NOBODY },
	{ "rec_disk", &rec_disk_schema, NOBODY },
	{ "rec_damage", &rec_damage_schema, NOBODY },
	{ "rec_loss", &rec_loss_schema, NOBODY },
	{ "rec_note", &rec_note_schema, NOBODY },
	{ "rec_received", &rec_received_schema, NOBODY },
	{ "rec_refused", &rec_refused_schema, NOBODY },
	{ "custody", &custody_schema, MACHINE },
	{ "label", &label_schema, MACHINE },
	{ "disk_statement", &disk_statement_schema, MACHINE },
	{ "manifest", &manifest_schema, MACHINE },
	{ "disk_keys", &disk_keys_schema, NOBODY },
	{ "envelope", &envelope_schema, MACHINE },
	{ "snapshot_root", &snapshot_root_schema, NOBODY },
	{ "journal_begin", &journal_begin_schema, NOBODY },
	{ "receipt", &receipt_schema, VAULT },
	{ "handoff", &handoff_schema, MACHINE },
	{ "gap_list", &gap_list_schema, VAULT },
	{ "given_up", &given_up_schema, MACHINE },
	{ "carried", &carried_schema, MACHINE },
	{ "parcel", &parcel_schema, MACHINE },
	{ "rec_parcel", &rec_parcel_schema, NOBODY },
	{ "rec_wiped", &rec_wiped_schema, NOBODY },
	{ "rec_snapshot", &rec_snapshot_schema, NOBODY },
	{ "rec_collected", &rec_collected_schema, NOBODY },
	{ "line_note", &line_note_schema, NOBODY },
	{ "token_request", &token_request_schema, MACHINE },
	{ "token_grant", &token_grant_schema, NOBODY },
	{ "contact", &contact_schema, NOBODY },
	{ "rec_token", &rec_token_schema, NOBODY },
	{ "rec_machine_fate", &rec_machine_fate_schema, NOBODY },
	{ "rec_takeover", &rec_takeover_schema, NOBODY },
	{ "line_page", &line_page_schema, NOBODY },
	{ "line_places", &line_places_schema, NOBODY },
	{ "session_open", &session_open_schema, NOBODY },
	{ "session_opened", &session_opened_schema, NOBODY },
	{ "id_page", &id_page_schema, NOBODY },
	{ "ask", &ask_schema, NOBODY },
	{ "answer", &answer_schema, NOBODY },
	{ "commit", &commit_schema, NOBODY },
	{ "committed", &committed_schema, NOBODY },
	{ "fate", &fate_schema, MACHINE },
	{ "dispute", &dispute_schema, MACHINE },
	{ "pledge_post", &pledge_post_schema, NOBODY },
	{ "pledge_taken", &pledge_taken_schema, NOBODY },
	{ "rec_lease", &rec_lease_schema, NOBODY },
	{ "image_told", &image_told_schema, NOBODY },
	{ "files_lost", &files_lost_schema, MACHINE },
	{ "files_lost_page", &files_lost_page_schema, NOBODY },
};

/* A whole golden file, to be freed; ${n} bytes and a zero. */
static uint8_t *
load(const char *name, const char *ending, size_t *n)
{
	static uint8_t buf[65536];
	char path[512];
	FILE *f;
	uint8_t *p;

	snprintf(path, sizeof(path), "%s/1/%s%s", SAMARA_GOLDEN, name, ending);
	if ((f = fopen(path, "rb")) == NULL)
		fail_msg("%s is not there", path);
	*n = fread(buf, 1, sizeof(buf) - 1, f);
	fclose(f);
	buf[*n] = 0;
	p = bytes_copy(buf, *n + 1);
	return p;
}

static void
digest(const void *in, size_t n, uint8_t out[DIGEST_LEN])
{
	blake3_hasher h;

	blake3_hasher_init(&h);
	blake3_hasher_update(&h, in, n);
	blake3_hasher_finalize(&h, out, DIGEST_LEN);
}

static void
key_of(enum signer who, uint8_t pub[SIGN_PUB_LEN])
{
	uint8_t seed[KEY_LEN], secret[64], master[KEY_LEN];

	for (size_t i = 0; i < KEY_LEN; i++) {
		master[i] = (uint8_t)i;
		seed[i] = (uint8_t)((who == MACHINE ? 0x20 : 0x40) + i);
	}
	if (who == DOMAIN)
		crypto_kdf_derive_from_key(seed, KEY_LEN, 6, "samara01", master);
	crypto_sign_seed_keypair(pub, secret, seed);
}

/* By the rule of docs/formats/README.md, with nothing of samara. */
static void
signature_holds(const char *context, const uint8_t *in, size_t n, const uint8_t sig[SIGN_LEN], enum signer who)
{
	uint8_t m[64] = { 0 }, pub[SIGN_PUB_LEN];

	memcpy(m, context, strlen(context));
	digest(in, n, m + 32);
	key_of(who, pub);
	assert_int_equal(crypto_sign_verify_detached(sig, m, sizeof(m), pub), 0);
	m[31] ^= 1;
	assert_int_not_equal(crypto_sign_verify_detached(sig, m, sizeof(m), pub), 0);
}

static void
every_statement_has_a_golden_file(void **state)
{
	(void)state;
	assert_int_equal(sizeof(goldens) / sizeof(goldens[0]), STATEMENTS);
	for (size_t i = 0; i < STATEMENTS; i++) {
		size_t found = 0;

		for (size_t k = 0; k < STATEMENTS; k++)
			found += goldens[k].schema == statements[i];
		assert_int_equal(found, 1);
	}
}

static void
golden_statements_read_as_ever_and_encode_to_the_same_bytes(void **state)
{
	static union statement_value value;
	static uint8_t again[65536];

	(void)state;
	for (size_t i = 0; i < sizeof(goldens) / sizeof(goldens[0]); i++) {
		const struct fmt_schema *s = goldens[i].schema;
		size_t n, nt, len;
		uint8_t *b = load(goldens[i].file, ".bin", &n), *want = load(goldens[i].file, ".txt", &nt);
		char *text;

		if (schema_decode(s, &value, b, n) != FMT_OK)
			fail_msg("%s.bin is refused", goldens[i].file);
		text = statement_text(s, &value);
		assert_string_equal(text, (const char *)want);
		assert_int_equal(schema_encode(s, &value, again, sizeof(again), &len), FMT_OK);
		assert_int_equal(len, n);
		assert_memory_equal(again, b, n);
		assert_int_equal(s->context != NULL, goldens[i].signer != NOBODY);
		if (s->context != NULL)
			signature_holds(s->context, b, n - SIGN_LEN, b + n - SIGN_LEN, goldens[i].signer);
		free(text);
		free(want);
		free(b);
	}
}

static void
the_golden_frame_is_where_its_layout_says(void **state)
{
	size_t n;
	uint8_t *b = load("frame", ".bin", &n), head[FRAME_HEAD_LEN];
	struct frame f;

	(void)state;
	assert_int_equal(frame_decode(&f, b, n), FMT_OK);
	assert_int_equal(n, 448);
	assert_int_equal(f.kind, KIND_BUNDLE);
	assert_int_equal(f.epoch, 1);
	assert_int_equal(f.sealed_len, 336);
	assert_int_equal(f.domain_id[0], 0x3b);
	assert_int_equal(f.xxh, le64_get(b + 440));
	frame_head_encode(head, f.kind, f.epoch, f.domain_id, f.sealed_len);
	assert_memory_equal(head, b, sizeof(head));
	free(b);
}

static void
golden_pack_holds(const char *name, uint16_t flags, uint32_t count, enum signer maker)
{
	size_t n, at = PACK_HEAD_LEN;
	uint8_t *b = load(name, ".bin", &n), d[DIGEST_LEN], again[PACK_FOOT_LEN];
	const uint8_t *foot = b + n - PACK_FOOT_LEN, *table;
	struct pack_foot f;
	struct pack_table t;
	struct pack_row row;
	struct frame frame;

	assert_int_equal(pack_foot_decode(&f, foot, PACK_FOOT_LEN), FMT_OK);
	pack_foot_encode(&f, again);
	assert_memory_equal(again, foot, sizeof(again));
	assert_int_equal(f.count, count);
	assert_int_equal(n, PACK_HEAD_LEN + f.body_len + f.table_len + PACK_FOOT_LEN);
	table = foot - f.table_len;
	assert_int_equal(pack_table_decode(&t, table, f.table_len), FMT_OK);
	assert_int_equal(t.head.flags, flags);
	assert_int_equal(t.count, count);
	assert_int_equal(t.body_len, f.body_len);
	assert_memory_equal(table, b, PACK_HEAD_LEN);
	assert_int_equal(f.maker[0], maker == VAULT ? 0xa0 : 0xb0);
	digest(table, f.table_len, d);
	assert_memory_equal(d, f.pack_id, DIGEST_LEN);
	signature_holds(PACK_CONTEXT, foot, PACK_FOOT_SIGNED, f.sig, maker);
	for (uint32_t i = 0; i < count; i++) {
		pack_table_row(&t, i, &row);
		assert_int_equal(frame_decode(&frame, b + at, row.len), FMT_OK);
		assert_memory_equal(frame.id, row.id, DIGEST_LEN);
		assert_int_equal(frame.kind, row.kind);
		assert_int_equal(frame.xxh, row.xxh);
		assert_int_equal(row.writer[0], 0xb0);
		digest(b + at, row.len, d);
		assert_memory_equal(d, row.digest, DIGEST_LEN);
		at += row.len;
	}
	free(b);
}

static void
golden_packs_hold_with_tables_signatures_and_frames(void **state)
{
	(void)state;
	golden_pack_holds("pack", 0, 2, MACHINE);
	golden_pack_holds("pack-repacked", PACK_REPACKED, 4, VAULT);
}

static void
the_golden_index_names_its_packs(void **state)
{
	size_t n, np;
	uint8_t *b = load("index-part", ".bin", &n), *pack = load("pack", ".bin", &np), again[INDEX_PART_HEAD_LEN];
	struct index_part h;

	(void)state;
	assert_int_equal(index_part_decode(&h, b, n), FMT_OK);
	index_part_encode(&h, again);
	assert_memory_equal(again, b, sizeof(again));
	assert_int_equal(h.part, 0);
	assert_int_equal(h.disk, 1);
	assert_int_equal(h.image_id[0], 0xc0);
	assert_int_equal(h.payload_len, n - INDEX_PART_HEAD_LEN);
	assert_int_equal(le32_get(b + 44), 0);
	assert_int_equal(le32_get(b + 48), np);
	assert_int_equal(le32_get(b + 52), PACK_HEAD_LEN + 2 * PACK_ROW_LEN);
	assert_memory_equal(b + 56, pack + np - PACK_FOOT_LEN - 224, 224 + PACK_FOOT_LEN);
	free(pack);
	free(b);
}

/* BLAKE3("samara refs v1" | domain id | count | leaves), of ids in one array. */
static void
refs_digest(const uint8_t domain[DIGEST_LEN], const uint8_t *ids, size_t n, uint8_t out[DIGEST_LEN])
{
	static const uint8_t none[DIGEST_LEN];
	uint8_t head[72] = "samara refs v1", leaf[DIGEST_LEN];
	blake3_hasher h;
	size_t i = 0, from;

	memcpy(head + 32, domain, DIGEST_LEN);
	le64_put(head + 64, n);
	blake3_hasher_init(&h);
	blake3_hasher_update(&h, head, sizeof(head));
	for (unsigned first = 0; first < 65536; first++) {
		for (from = i; i < n && ((unsigned)ids[i * 32] << 8 | ids[i * 32 + 1]) == first; i++)
			;
		digest(ids + from * 32, (i - from) * 32, leaf);
		blake3_hasher_update(&h, i > from ? leaf : none, DIGEST_LEN);
	}
	blake3_hasher_finalize(&h, out, DIGEST_LEN);
}

static void
golden_lists_have_the_digests_they_name(void **state)
{
	size_t n, nd;
	uint8_t *b = load("refs-whole", ".bin", &n), *delta = load("refs-delta", ".bin", &nd), d[DIGEST_LEN];
	uint8_t ids[4 * DIGEST_LEN];
	struct refs_head h, hd;

	(void)state;
	assert_int_equal(refs_head_decode(&h, b, n), FMT_OK);
	assert_int_equal(h.kind, REFS_WHOLE);
	assert_int_equal(h.count, 4);
	assert_int_equal(n, REFS_HEAD_LEN + 4 * DIGEST_LEN);
	refs_digest(h.domain_id, b + REFS_HEAD_LEN, 4, d);
	assert_memory_equal(d, h.digest, DIGEST_LEN);
	assert_int_equal(refs_head_decode(&hd, delta, nd), FMT_OK);
	assert_int_equal(hd.kind, REFS_DELTA);
	assert_int_equal(hd.added, 1);
	assert_int_equal(hd.removed, 1);
	assert_memory_equal(hd.base, h.digest, DIGEST_LEN);
	memcpy(ids, b + REFS_HEAD_LEN, sizeof(ids));	/* take the second out, put the new one, all ones, at the end */
	assert_memory_equal(delta + REFS_HEAD_LEN + DIGEST_LEN, ids + DIGEST_LEN, DIGEST_LEN);
	memmove(ids + DIGEST_LEN, ids + 2 * DIGEST_LEN, 2 * DIGEST_LEN);
	memcpy(ids + 3 * DIGEST_LEN, delta + REFS_HEAD_LEN, DIGEST_LEN);
	refs_digest(hd.domain_id, ids, 4, d);
	assert_memory_equal(d, hd.digest, DIGEST_LEN);
	free(delta);
	free(b);
}

static void
entry_is(const struct item *it, uint8_t type, const char *name, uint32_t mode, uint64_t size)
{
	assert_int_equal(it->tag, ITEM_ENTRY);
	assert_int_equal(it->entry.type, type);
	assert_int_equal(it->entry.name.len, strlen(name));
	assert_memory_equal(it->entry.name.p, name, it->entry.name.len);
	assert_int_equal(it->entry.mode, mode);
	assert_int_equal(it->entry.size, size);
}

static void
the_golden_leaf_lists_what_it_always_did(void **state)
{
	size_t n;
	uint8_t *b = load("leaf", ".bin", &n);
	struct item it[6];
	struct extent x;
	uint32_t items;
	struct rd r;

	(void)state;
	assert_int_equal(leaf_decode(b, n, &r, &items), FMT_OK);
	assert_int_equal(items, 6);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(item_next(&r, &it[i]), FMT_OK);
	assert_int_equal(r.left, 0);
	assert_int_equal(it[0].tag, ITEM_DIR);
	assert_int_equal(it[0].path.len, 1);
	entry_is(&it[1], ENTRY_DIR, "srv", 0755, 0);
	assert_int_equal(it[1].entry.flags, ENTRY_ABOVE);
	assert_int_equal(it[2].tag, ITEM_DIR);
	assert_memory_equal(it[2].path.p, "/srv", 4);
	entry_is(&it[3], ENTRY_SYMLINK, "a link", 0777, 0);
	assert_int_equal(it[3].entry.mtime_s, -1);
	assert_int_equal(it[3].entry.mtime_ns, 999999999);
	assert_memory_equal(it[3].entry.target.p, "../b", 4);
	entry_is(&it[4], ENTRY_FILE, "file", 04755, 301 + 1000 + (1u << 20));
	assert_int_equal(it[4].entry.inode, 13);
	assert_memory_equal(it[4].entry.user.p, "amy", 3);
	assert_memory_equal(it[4].entry.group.p, "staff", 5);
	assert_int_equal(it[4].entry.extents.len, 3 * EXTENT_LEN);
	extent_get(it[4].entry.extents.p + 2 * EXTENT_LEN, &x);
	assert_true(extent_is_hole(&x));
	assert_int_equal(x.len, 1u << 20);
	entry_is(&it[5], ENTRY_CHAR, "null", 0600, 0);
	assert_int_equal(it[5].entry.major, 1);
	assert_int_equal(it[5].entry.minor, 3);
	free(b);
}

static void
golden_nodes_point_where_they_always_did(void **state)
{
	size_t n;
	uint8_t *b = load("node", ".bin", &n);
	struct index_row row;
	unsigned level;
	uint32_t rows;
	struct rd r;

	(void)state;
	assert_int_equal(node_decode(b, n, &r, &level, &rows), FMT_OK);
	assert_int_equal(level, 1);
	assert_int_equal(rows, 2);
	assert_int_equal(index_row_next(&r, &row), FMT_OK);
	assert_int_equal(row.entries, 4);
	assert_int_equal(row.name.len, 0);
	assert_int_equal(index_row_next(&r, &row), FMT_OK);
	assert_int_equal(row.child[31], 33);
	assert_int_equal(row.entries, 70000);
	assert_memory_equal(row.path.p, "/srv", 4);
	assert_memory_equal(row.name.p, "file", 4);
	assert_int_equal(r.left, 0);
	free(b);
	b = load("spill-node", ".bin", &n);
	assert_int_equal(spill_node_decode(b, n, &r, &level, &rows), FMT_OK);
	assert_int_equal(level, 1);
	assert_int_equal(rows, 2);
	assert_int_equal(r.p[0], 3);
	assert_int_equal(le64_get(r.p + SPILL_ROW_LEN + DIGEST_LEN), 44001);
	free(b);
}

static void
the_golden_journal_has_three_records(void **state)
{
	static const uint8_t types[] = { JOURNAL_BEGIN, JOURNAL_READ_BACK, JOURNAL_CANCELLED };
	static struct journal_begin begin;
	struct journal_record rec;
	size_t n, at = JOURNAL_HEAD_LEN;
	uint8_t *b = load("journal", ".bin", &n);

	(void)state;
	assert_int_equal(journal_head_decode(b, n), FMT_OK);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(journal_record_decode(&rec, b + at, n - at), FMT_OK);
		assert_int_equal(rec.type, types[i]);
		at += rec.len;
		if (i == 0)
			assert_int_equal(schema_decode(&journal_begin_schema, &begin, rec.payload.p, rec.payload.len), FMT_OK);
	}
	assert_int_equal(at, n);
	assert_int_equal(begin.level_u, -1);
	free(b);
}

static void
golden_armour_holds_the_golden_statements(void **state)
{
	static const struct { const char *file, *what; } t[] = {
		{ "kit", ARMOR_KIT }, { "credential", ARMOR_CREDENTIAL },
	};
	static uint8_t out[8192];
	static char again[16384];
	unsigned line;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		size_t n, nt, len;
		uint8_t *b = load(t[i].file, ".bin", &n), *text = load(t[i].file, ".armor", &nt);

		assert_int_equal(armor_decode(t[i].what, (const char *)text, nt, out, sizeof(out), &len, &line), FMT_OK);
		assert_int_equal(len, n);
		assert_memory_equal(out, b, n);
		assert_int_equal(armor_encode(t[i].what, b, n, again, sizeof(again)), FMT_OK);
		assert_string_equal(again, (const char *)text);
		free(text);
		free(b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_statement_has_a_golden_file),
		cmocka_unit_test(golden_statements_read_as_ever_and_encode_to_the_same_bytes),
		cmocka_unit_test(the_golden_frame_is_where_its_layout_says),
		cmocka_unit_test(golden_packs_hold_with_tables_signatures_and_frames),
		cmocka_unit_test(the_golden_index_names_its_packs),
		cmocka_unit_test(golden_lists_have_the_digests_they_name),
		cmocka_unit_test(the_golden_leaf_lists_what_it_always_did),
		cmocka_unit_test(golden_nodes_point_where_they_always_did),
		cmocka_unit_test(the_golden_journal_has_three_records),
		cmocka_unit_test(golden_armour_holds_the_golden_statements),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
