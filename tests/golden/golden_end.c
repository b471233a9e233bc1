#include "tests/golden/golden_world.h"

/* The end of the image: two chunks of four are gone, one of them is there after all. */

static void
make_receipt(const uint8_t ids[2 * DIGEST_LEN])
{
	static uint8_t row[RECEIPT_SNAPSHOT_LEN];
	struct wr out = { .p = row, .left = sizeof(row) };
	struct receipt_snapshot s = { .needed = 4, .held = 3, .given_up = 1 };
	struct receipt r = { .number = 7, .short_name = "RM4K", .whole = 0, .redundancy = REDUNDANCY_LOCAL, .needed = 4, .held = 3,
		.given_up = 1, .returned = { ids, DIGEST_LEN }, .time = BEGIN + 20 };
	struct handoff h = { .short_name = "RM4K", .number = 7, .whole = 0, .given_up = 1, .time = BEGIN + 21 };
	struct fmt_view bytes;

	rising(s.envelope, DIGEST_LEN, 0x91);
	element_put(receipt_snapshot_fields, receipt_snapshot_nfields, &out, &s);
	memcpy(r.vault_id, w.vault_id, ID_LEN);
	memcpy(r.image_id, w.image_id, ID_LEN);
	memcpy(r.machine_id, w.machine_id, ID_LEN);
	memcpy(r.domain_id, w.domain_id, DIGEST_LEN);
	rising(r.root, DIGEST_LEN, 0x92);
	r.snapshots = view_of(row, sizeof(row));
	refs_digest(ids + DIGEST_LEN, 1, r.missing);
	bytes = golden("receipt", &receipt_schema, &r, w.vault_secret);

	memcpy(h.vault_id, w.vault_id, ID_LEN);
	memcpy(h.machine_id, w.machine_id, ID_LEN);
	memcpy(h.image_id, w.image_id, ID_LEN);
	digest(bytes.p, bytes.len - SIGN_LEN, h.receipt);
	memcpy(h.root, r.root, DIGEST_LEN);
	memcpy(h.missing, r.missing, DIGEST_LEN);
	golden("handoff", &handoff_schema, &h, w.machine_secret);
}

void
make_end(void)
{
	static uint8_t ids[2 * DIGEST_LEN];
	struct id_list l = { .count = 2, .part = 0, .parts = 1, .time = BEGIN + 18, .ids = { ids, sizeof(ids) } };

	rising(ids, DIGEST_LEN, 0x10);
	rising(ids + DIGEST_LEN, DIGEST_LEN, 0x20);
	memcpy(l.vault_id, w.vault_id, ID_LEN);
	memcpy(l.machine_id, w.machine_id, ID_LEN);
	memcpy(l.domain_id, w.domain_id, DIGEST_LEN);
	memcpy(l.image_id, w.image_id, ID_LEN);
	rising(l.list_id, ID_LEN, 0xe0);
	refs_digest(ids, 2, l.digest);
	golden("gap_list", &gap_list_schema, &l, w.vault_secret);
	rising(l.list_id, ID_LEN, 0xf0);
	l.time++;
	golden("given_up", &given_up_schema, &l, w.machine_secret);
	rising(l.list_id, ID_LEN, 0xd0);
	golden("carried", &carried_schema, &l, w.machine_secret);
	make_receipt(ids);
}
