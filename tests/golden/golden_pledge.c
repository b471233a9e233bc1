#include "formats/fmt_pledge.h"
#include "tests/golden/golden_world.h"

/* What is said of the image while it travels, and of a copy that is wrong. */

static void
make_files_lost(void)
{
	static uint8_t rows[2 * FILES_LOST_ROW_LEN];
	struct wr out = { .p = rows, .left = sizeof(rows) };
	const struct files_lost_row row[2] = { { 3, 1 }, { 7, 12 } };
	struct files_lost l = { .number = 1, .rows = { rows, sizeof(rows) }, .time = BEGIN + 60 };
	struct files_lost_page p = { .rows = { rows, sizeof(rows) } };

	for (unsigned i = 0; i < 2; i++)
		element_put(files_lost_row_fields, files_lost_row_nfields, &out, &row[i]);
	memcpy(l.vault_id, w.vault_id, ID_LEN);
	memcpy(l.machine_id, w.machine_id, ID_LEN);
	golden("files_lost", &files_lost_schema, &l, w.machine_secret);
	memcpy(p.vault_id, w.vault_id, ID_LEN);
	memcpy(p.machine_id, w.machine_id, ID_LEN);
	golden("files_lost_page", &files_lost_page_schema, &p, NULL);
}

void
make_pledge(void)
{
	static uint8_t bytes[64], rows[2 * DISPUTE_ROW_LEN];
	struct wr out = { .p = rows, .left = sizeof(rows) };
	struct fate_statement f = { .short_name = "RM4K", .number = 2, .fate = FATE_IS_FOUND, .why = "it lay in another depot",
		.time = BEGIN + 40 };
	struct dispute d = { .rows = { rows, sizeof(rows) }, .time = BEGIN + 50 };
	struct dispute_row row = { .copy = 1 };
	struct pledge_post p = { { bytes, 64 }, { bytes, 48 }, { bytes, 32 } };
	struct pledge_taken t = { .generation = 2, .until = BEGIN / 1000000000 + 60 * 86400, .disks_out = 2 };
	struct rec_lease l = { .short_name = "RM4K", .seconds = 30 * 86400, .why = "customs" };
	struct image_told n = { .generation = 2, .parcel = 1, .fate = 2, .fate_is = FATE_IS_FOUND, .fate_done = 1, .custody = 7,
		.until = BEGIN / 1000000000 + 60 * 86400, .disks_out = 2, .time = BEGIN / 1000000000 };

	rising(bytes, sizeof(bytes), 0x20);
	memcpy(f.vault_id, w.vault_id, ID_LEN);
	memcpy(f.machine_id, w.machine_id, ID_LEN);
	memcpy(f.image_id, w.image_id, ID_LEN);
	golden("fate", &fate_schema, &f, w.machine_secret);
	for (unsigned i = 0; i < 2; i++) {
		rising(row.id, DIGEST_LEN, 0x31 + i);
		rising(row.pack_id, DIGEST_LEN, 0x41);
		row.copy += i;
		element_put(dispute_row_fields, dispute_row_nfields, &out, &row);
	}
	memcpy(d.vault_id, w.vault_id, ID_LEN);
	memcpy(d.machine_id, w.machine_id, ID_LEN);
	rising(d.domain_id, DIGEST_LEN, 0x51);
	golden("dispute", &dispute_schema, &d, w.machine_secret);
	golden("pledge_post", &pledge_post_schema, &p, NULL);
	memcpy(t.image_id, w.image_id, ID_LEN);
	golden("pledge_taken", &pledge_taken_schema, &t, NULL);
	memcpy(l.image_id, w.image_id, ID_LEN);
	memcpy(l.machine_id, w.machine_id, ID_LEN);
	golden("rec_lease", &rec_lease_schema, &l, NULL);
	memcpy(n.image_id, w.image_id, ID_LEN);
	rising(n.answer, DIGEST_LEN, 0x61);
	golden("image_told", &image_told_schema, &n, NULL);
	make_files_lost();
}
