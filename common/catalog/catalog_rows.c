#include "common/catalog/catalog_rows.h"

#define I64(S, m)	{ #m, CAT_I64, offsetof(struct S, m), 8 }
#define U32(S, m)	{ #m, CAT_U32, offsetof(struct S, m), 4 }
#define BYTES(S, m)	{ #m, CAT_BYTES, offsetof(struct S, m), sizeof(((struct S *)0)->m) }
#define TEXT(S, m)	{ #m, CAT_TEXT, offsetof(struct S, m), sizeof(((struct S *)0)->m) }
#define TABLE(name, S, nkeys, cols)	{ name, nkeys, sizeof(cols) / sizeof((cols)[0]), sizeof(struct S), cols }

static const struct cat_col machine_cols[] = {
	BYTES(cat_machine, id), TEXT(cat_machine, name), U32(cat_machine, state), BYTES(cat_machine, pub),
	BYTES(cat_machine, domain_id), U32(cat_machine, chunk_avg), I64(cat_machine, from_seq),
	I64(cat_machine, registered), BYTES(cat_machine, credential_id), BYTES(cat_machine, registration),
	I64(cat_machine, quota), U32(cat_machine, subscription), I64(cat_machine, changed),
	I64(cat_machine, taken_over), I64(cat_machine, slots_changed),
};
const struct cat_table cat_machines = TABLE("machines", cat_machine, 1, machine_cols);

static const struct cat_col machine_key_cols[] = {
	BYTES(cat_machine_key, machine_id), BYTES(cat_machine_key, pub), I64(cat_machine_key, from_seq),
	I64(cat_machine_key, since),
};
const struct cat_table cat_machine_keys = TABLE("machine_keys", cat_machine_key, 2, machine_key_cols);

static const struct cat_col token_cols[] = {
	BYTES(cat_token, hash), BYTES(cat_token, machine_id), BYTES(cat_token, pub), U32(cat_token, purpose),
	I64(cat_token, until), I64(cat_token, given),
};
const struct cat_table cat_tokens = TABLE("tokens", cat_token, 1, token_cols);

static const struct cat_col credential_cols[] = {
	BYTES(cat_credential, id), U32(cat_credential, purpose), TEXT(cat_credential, machine_name),
	BYTES(cat_credential, machine_id), I64(cat_credential, issued), I64(cat_credential, use_by),
	I64(cat_credential, arrive_by), U32(cat_credential, state), BYTES(cat_credential, used_by),
	I64(cat_credential, used), I64(cat_credential, record),
};
const struct cat_table cat_credentials = TABLE("credentials", cat_credential, 1, credential_cols);

static const struct cat_col image_cols[] = {
	BYTES(cat_image, id), TEXT(cat_image, short_name), BYTES(cat_image, machine_id), TEXT(cat_image, machine_name),
	U32(cat_image, state), TEXT(cat_image, why), I64(cat_image, seen), U32(cat_image, generation),
	BYTES(cat_image, manifest), BYTES(cat_image, root), U32(cat_image, disks), I64(cat_image, pledge_until),
	U32(cat_image, custody), BYTES(cat_image, custody_head), U32(cat_image, fate),
};
const struct cat_table cat_images = TABLE("images", cat_image, 1, image_cols);

static const struct cat_col disk_cols[] = {
	BYTES(cat_disk, image_id), U32(cat_disk, number), U32(cat_disk, state), BYTES(cat_disk, statement),
	U32(cat_disk, complete), I64(cat_disk, chunks_new), I64(cat_disk, chunks_held), I64(cat_disk, chunks_bad),
	I64(cat_disk, bytes_stored), I64(cat_disk, time), U32(cat_disk, replaced),
};
const struct cat_table cat_disks = TABLE("disks", cat_disk, 2, disk_cols);

static const struct cat_col refusal_cols[] = {
	BYTES(cat_refusal, image_id), U32(cat_refusal, number), BYTES(cat_refusal, machine_id),
	TEXT(cat_refusal, short_name), BYTES(cat_refusal, label), TEXT(cat_refusal, why), I64(cat_refusal, time),
};
const struct cat_table cat_refusals = TABLE("refusals", cat_refusal, 2, refusal_cols);

static const struct cat_col snapshot_cols[] = {
	BYTES(cat_snapshot, machine_id), I64(cat_snapshot, seq), BYTES(cat_snapshot, id), TEXT(cat_snapshot, set_name),
	U32(cat_snapshot, kind), I64(cat_snapshot, begin_ns), I64(cat_snapshot, end_ns),
	BYTES(cat_snapshot, image_id), BYTES(cat_snapshot, digest), BYTES(cat_snapshot, refs_digest),
	I64(cat_snapshot, refs_count), I64(cat_snapshot, received), U32(cat_snapshot, state),
	I64(cat_snapshot, missing), I64(cat_snapshot, promised), I64(cat_snapshot, given_up),
	I64(cat_snapshot, deleted), I64(cat_snapshot, deleted_time), U32(cat_snapshot, deleted_by),
	U32(cat_snapshot, is_protected),
	BYTES(cat_snapshot, pending_on),
};
const struct cat_table cat_snapshots = TABLE("snapshots", cat_snapshot, 2, snapshot_cols);

static const struct cat_col pack_cols[] = {
	BYTES(cat_pack, id), U32(cat_pack, copy), I64(cat_pack, n), BYTES(cat_pack, domain_id), BYTES(cat_pack, maker),
	U32(cat_pack, flags), I64(cat_pack, len), U32(cat_pack, count), U32(cat_pack, state), BYTES(cat_pack, owner),
};
const struct cat_table cat_packs = TABLE("packs", cat_pack, 2, pack_cols);

static const struct cat_col gone_cols[] = {
	BYTES(cat_gone, machine_id), I64(cat_gone, seq), BYTES(cat_gone, id), BYTES(cat_gone, digest),
	BYTES(cat_gone, image_id), I64(cat_gone, time),
};
const struct cat_table cat_gone = TABLE("gone", cat_gone, 2, gone_cols);

static const struct cat_col removal_cols[] = {
	BYTES(cat_removal, id), U32(cat_removal, copy), U32(cat_removal, used), I64(cat_removal, len),
};
const struct cat_table cat_removals = TABLE("removals", cat_removal, 2, removal_cols);

static const struct cat_col session_cols[] = {
	BYTES(cat_session, id), BYTES(cat_session, machine_id), U32(cat_session, kind), I64(cat_session, epoch),
	I64(cat_session, base_seq), TEXT(cat_session, set_name), I64(cat_session, opened), I64(cat_session, touched),
	I64(cat_session, packs), I64(cat_session, bytes),
};
const struct cat_table cat_sessions = TABLE("sessions", cat_session, 1, session_cols);

static const struct cat_col passed_cols[] = {
	BYTES(cat_passed, machine_id), I64(cat_passed, seq), BYTES(cat_passed, id), BYTES(cat_passed, digest),
	I64(cat_passed, time),
};
const struct cat_table cat_passed = TABLE("passed", cat_passed, 2, passed_cols);

static const struct cat_col fork_cols[] = {
	BYTES(cat_fork, machine_id), I64(cat_fork, seq), BYTES(cat_fork, digest), BYTES(cat_fork, id), I64(cat_fork, time),
};
const struct cat_table cat_forks = TABLE("forks", cat_fork, 3, fork_cols);

static const struct cat_col unstored_cols[] = {
	BYTES(cat_unstored, machine_id), BYTES(cat_unstored, id), BYTES(cat_unstored, image_id), U32(cat_unstored, disk),
};
const struct cat_table cat_unstored = TABLE("unstored", cat_unstored, 3, unstored_cols);

static const struct cat_col given_up_cols[] = {
	BYTES(cat_given_up, machine_id), BYTES(cat_given_up, id),
};
const struct cat_table cat_given_up = TABLE("given_up", cat_given_up, 2, given_up_cols);

static const struct cat_col files_lost_cols[] = {
	BYTES(cat_files_lost, machine_id), I64(cat_files_lost, seq), I64(cat_files_lost, number), I64(cat_files_lost, files),
};
const struct cat_table cat_files_lost = TABLE("files_lost", cat_files_lost, 3, files_lost_cols);

static const struct cat_col receipt_cols[] = {
	BYTES(cat_receipt, image_id), I64(cat_receipt, number), BYTES(cat_receipt, digest), U32(cat_receipt, whole),
	I64(cat_receipt, given_up), I64(cat_receipt, time), U32(cat_receipt, answered),
	I64(cat_receipt, record),
};
const struct cat_table cat_receipts = TABLE("receipts", cat_receipt, 2, receipt_cols);

static const struct cat_col parcel_cols[] = {
	BYTES(cat_parcel, image_id), BYTES(cat_parcel, machine_id), TEXT(cat_parcel, short_name), TEXT(cat_parcel, machine_name),
	TEXT(cat_parcel, carrier), TEXT(cat_parcel, tracking), I64(cat_parcel, shipped), I64(cat_parcel, arrives),
	U32(cat_parcel, generation), I64(cat_parcel, time),
};
const struct cat_table cat_parcels = TABLE("parcels", cat_parcel, 1, parcel_cols);

const struct cat_table *const cat_tables[] = {
	&cat_machines, &cat_machine_keys, &cat_tokens, &cat_credentials, &cat_images, &cat_disks, &cat_refusals, &cat_snapshots, &cat_packs,
	&cat_unstored, &cat_given_up, &cat_files_lost, &cat_receipts, &cat_parcels, &cat_passed, &cat_forks, &cat_gone, &cat_removals, &cat_sessions, NULL
};
