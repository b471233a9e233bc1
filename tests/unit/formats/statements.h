#ifndef SAMARA_TESTS_FORMATS_STATEMENTS_H
#define SAMARA_TESTS_FORMATS_STATEMENTS_H

/* Every statement there is, and values of each that its schema accepts. */

#include <stdio.h>

#include "formats/fmt_disk.h"
#include "formats/fmt_journal.h"
#include "formats/fmt_line.h"
#include "formats/fmt_line_machine.h"
#include "formats/fmt_line_note.h"
#include "formats/fmt_line_read.h"
#include "formats/fmt_listing.h"
#include "formats/fmt_machine.h"
#include "formats/fmt_parcel.h"
#include "formats/fmt_pledge.h"
#include "formats/fmt_receipt.h"
#include "formats/fmt_retain.h"
#include "formats/fmt_snapshot.h"
#include "formats/fmt_vault.h"

#include "tests/unit/formats/bytes.h"

static const struct fmt_schema *const statements[] = {
	&domain_desc_schema, &membership_schema, &identity_schema, &slot_header_schema, &registration_schema,
	&kit_schema, &trust_schema,
	&vault_desc_schema, &vault_key_schema, &vault_key_wrapped_schema, &credential_schema, &record_schema,
	&rec_image_schema, &rec_disk_schema, &rec_damage_schema, &rec_loss_schema, &rec_note_schema, &rec_received_schema,
	&rec_refused_schema, &custody_schema,
	&label_schema, &disk_statement_schema, &manifest_schema, &disk_keys_schema,
	&envelope_schema, &snapshot_root_schema, &journal_begin_schema,
	&receipt_schema, &handoff_schema, &gap_list_schema, &given_up_schema, &carried_schema,
	&parcel_schema, &rec_parcel_schema, &rec_wiped_schema, &rec_snapshot_schema, &rec_collected_schema,
	&line_note_schema,
	&token_request_schema, &token_grant_schema, &contact_schema, &rec_token_schema, &rec_machine_fate_schema,
	&rec_takeover_schema,
	&line_page_schema, &line_places_schema,
	&session_open_schema, &session_opened_schema, &id_page_schema, &ask_schema, &answer_schema, &commit_schema,
	&committed_schema,
	&fate_schema, &dispute_schema, &pledge_post_schema, &pledge_taken_schema, &rec_lease_schema, &image_told_schema,
	&files_lost_schema, &files_lost_page_schema,
};
#define STATEMENTS	(sizeof(statements) / sizeof(statements[0]))

/* Room for a value of any schema, and for what its views point at. */
union statement_value {
	_Alignas(16) uint8_t bytes[4096];
	struct manifest manifest;
	struct slot_header slot_header;
	struct snapshot_root snapshot_root;
	struct receipt receipt;
	struct handoff handoff;
	struct id_list id_list;
	struct id_page id_page;
	struct session_open session_open;
	struct line_page line_page;
	struct token_request token_request;
	struct rec_machine_fate rec_machine_fate;
};
struct statement_room {
	union statement_value value;
	uint8_t data[4][2048];
	size_t used;
};
#define STATEMENT_ROOM	16384	/* bytes that an encoded value from statement_fill takes, at most */

static inline int
field_is(const struct fmt_field *f, const char *name)
{
	return strcmp(f->name, name) == 0;
}

static inline void
fill_number(const struct fmt_field *f, struct rng *r, uint8_t *at)
{
	uint64_t v = f->type == FT_I64 ? rng_next(r) : rng_from(r, f->min, f->max);
	uint8_t b[8];

	if (field_is(f, "chunk_avg_min"))
		v = CHUNK_AVG_MIN << rng_next(r) % 3;
	else if (field_is(f, "chunk_avg_max"))
		v = CHUNK_AVG_MAX >> rng_next(r) % 3;
	else if (field_is(f, "chunk_avg"))
		v = CHUNK_AVG_MIN << rng_next(r) % 6;
	else if (field_is(f, "files"))
		v &= 0xffff;
	else if (field_is(f, "entries"))
		v |= 0x10000;
	le64_put(b, v);
	if (f->size == 1)
		*at = b[0];
	else if (f->size == 2)
		memcpy(at, &(uint16_t){ le16_get(b) }, 2);
	else if (f->size == 4)
		memcpy(at, &(uint32_t){ le32_get(b) }, 4);
	else
		memcpy(at, &v, 8);
}

static inline void
fill_text(const struct fmt_field *f, struct rng *r, uint8_t *at)
{
	static const char capitals[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	uint64_t n = rng_from(r, f->min, f->size);

	if (field_is(f, "machine_name") && n == 1)
		n = 2;
	for (uint64_t i = 0; i < n; i++)
		at[i] = (uint8_t)capitals[rng_next(r) % (i == 0 ? 26 : 36)];
	at[n] = 0;
}

static inline void
fill_slots(struct wr *w, struct rng *r, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		struct slot s;

		rng_fill(r, &s, sizeof(s));
		s.type = (uint8_t)rng_from(r, SLOT_PASSPHRASE, SLOT_LOCAL);
		s.kdf_ops = rng_from(r, KDF_OPS_MIN, KDF_OPS_MAX);
		s.kdf_mem = rng_from(r, KDF_MEM_MIN, KDF_MEM_MAX);
		element_put(slot_fields, slot_nfields, w, &s);
	}
}

static inline void
fill_disks(struct wr *w, struct rng *r, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		struct manifest_disk d = { .disk = (uint32_t)(i * 3 + 1), .replaces = (uint32_t)rng_from(r, 0, DISKS_MAX) };

		rng_fill(r, d.statement, sizeof(d.statement));
		element_put(manifest_disk_fields, manifest_disk_nfields, w, &d);
	}
}

/* Elements in rising order, whatever they are. */
static inline void
fill_rising(struct wr *w, struct rng *r, uint64_t n, size_t size)
{
	for (uint64_t i = 0; i < n; i++) {
		uint8_t e[96];

		rng_fill(r, e, size);
		e[0] = (uint8_t)i;
		wr_bytes(w, e, size);
	}
}

static inline void
fill_paths(struct wr *w, struct rng *r, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		char path[32];
		int len = snprintf(path, sizeof(path), "/p/%u", (unsigned)rng_next(r));

		wr_u16(w, (uint16_t)len);
		wr_bytes(w, path, (size_t)len);
	}
}

static inline void
fill_filesystems(struct wr *w, struct rng *r, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		struct filesystem fs = { .type = view_of("ext4", 4), .uuid = view_of("0123-4567", i % 10),
			.path = view_of("/mnt/a", 6), .subvolume = rng_next(r) };

		filesystem_put(w, &fs);
	}
}

/* Rows as a commit brings them; what is in them is another schema's. */
static inline void
fill_commit(struct wr *w, struct rng *r, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		uint8_t e[64];
		uint64_t len = rng_from(r, 1, sizeof(e));

		rng_fill(r, e, sizeof(e));
		commit_put(w, e, len);
	}
}

static inline void
fill_states(struct wr *w, struct rng *r, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		wr_u8(w, (uint8_t)rng_from(r, ID_HELD, ID_MISSING));
}

/* Rows of a page of snapshots, by rising number. */
static inline void
fill_snapshots(struct wr *w, struct rng *r, uint64_t n)
{
	static const uint8_t envelope[40];

	for (uint64_t i = 0; i < n; i++) {
		struct line_snapshot s = { .seq = i * 2 + 1, .state = (uint8_t)rng_from(r, LINE_UNKNOWN, LINE_GONE),
		    .flags = (uint8_t)rng_from(r, 0, LINE_FLAGS), .missing = rng_from(r, 0, 9), .received = (int64_t)i };

		if (s.state == LINE_PENDING)
			memcpy(s.image, "RM4K", SHORT_LEN);
		if (s.state != LINE_GONE)
			s.envelope = view_of(envelope, rng_from(r, 1, sizeof(envelope)));
		line_snapshot_put(w, &s);
	}
}

/* Places: of good copies, and of none. */
static inline void
fill_places(struct wr *w, struct rng *r, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		struct line_place p = { .copy = (uint32_t)i + 1, .off = rng_from(r, PACK_HEAD_LEN, 1000000), .len = FRAME_LEN_MIN };

		rng_fill(r, p.pack_id, sizeof(p.pack_id));
		if (i % 3 == 2)
			memset(&p, 0, sizeof(p));
		element_put(line_place_fields, line_place_nfields, w, &p);
	}
}

/* Files lost of snapshots, by rising number. */
static inline void
fill_lost(struct wr *w, struct rng *r, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		struct files_lost_row row = { i * 3 + 1, rng_from(r, 1, 1000) };

		element_put(files_lost_row_fields, files_lost_row_nfields, w, &row);
	}
}

static inline void
fill_view(const struct fmt_field *f, struct rng *r, struct statement_room *room, uint8_t *at)
{
	uint8_t *data = room->data[room->used++];
	struct wr w = { .p = data, .left = sizeof(room->data[0]) };
	uint64_t most = f->type == FT_LIST ? sizeof(room->data[0]) / f->size : 40;
	uint64_t n = rng_from(r, f->min, f->max < most ? f->max : most);
	struct fmt_view v;

	if (field_is(f, "slots") && f->type == FT_LIST)
		fill_slots(&w, r, n);
	else if (field_is(f, "rows") && f->max == LINE_ROWS_MAX)
		fill_snapshots(&w, r, n % 12);
	else if (field_is(f, "rows") && f->type == FT_LIST && f->size == FILES_LOST_ROW_LEN)
		fill_lost(&w, r, n);
	else if (field_is(f, "places") && f->size == LINE_PLACE_LEN)
		fill_places(&w, r, n);
	else if (field_is(f, "disks"))
		fill_disks(&w, r, n);
	else if (field_is(f, "paths") || field_is(f, "excludes"))
		fill_paths(&w, r, n);
	else if (field_is(f, "filesystems"))
		fill_filesystems(&w, r, n);
	else if (field_is(f, "envelopes") && f->type == FT_BLOB)
		fill_commit(&w, r, 1 + n % 25);
	else if (field_is(f, "states"))
		fill_states(&w, r, n);
	else
		fill_rising(&w, r, n, f->type == FT_LIST ? f->size : 1);
	if (w.bad)
		abort();
	v = (struct fmt_view){ .p = data, .len = (uint32_t)(w.p - data) };
	memcpy(at, &v, sizeof(v));
}

/* Counts that go together: whole, or something is given up. */
static inline void
agree_receipt(struct statement_room *room, struct rng *r)
{
	struct receipt *p = &room->value.receipt;
	struct wr w = { .p = room->data[0], .left = sizeof(room->data[0]) };	/* snapshots: the first list of all */
	uint64_t n = list_count(p->snapshots, RECEIPT_SNAPSHOT_LEN);

	p->given_up = p->whole ? 0 : rng_from(r, 1, 1000);
	p->held = rng_from(r, 0, 1000);
	p->needed = p->held + p->given_up;
	for (uint64_t i = 0; i < n; i++) {
		struct receipt_snapshot s = { .given_up = rng_from(r, 0, p->given_up) };

		rng_fill(r, s.envelope, sizeof(s.envelope));
		s.envelope[0] = (uint8_t)i;
		s.held = s.given_up == 0 && p->held == 0 ? 1 : rng_from(r, s.given_up == 0, p->held);
		s.needed = s.held + s.given_up;
		if (s.needed > p->needed)
			p->held = p->needed = s.needed;	/* only where nothing was needed at all */
		element_put(receipt_snapshot_fields, receipt_snapshot_nfields, &w, &s);
	}
	if (p->whole) {
		memset(p->missing, 0, DIGEST_LEN);
		p->returned.len = 0;
	}
}

/* What a schema asks for beyond single fields. */
static inline void
statement_agree(const struct fmt_schema *s, struct rng *r, struct statement_room *room)
{
	struct handoff *h = &room->value.handoff;
	struct id_list *l = &room->value.id_list;

	if (s == &manifest_schema && room->value.manifest.envelopes.len > 0)
		memset(room->value.manifest.carried, 0, DIGEST_LEN);
	if (s == &receipt_schema)
		agree_receipt(room, r);
	if (s == &handoff_schema) {
		h->given_up = h->whole ? 0 : rng_from(r, 1, REFS_MAX);
		if (h->whole)
			memset(h->missing, 0, DIGEST_LEN);
	}
	if (s == &line_page_schema) {
		struct line_page *p = &room->value.line_page;
		struct line_snapshot at = { 0 };
		struct rd rd = { .p = p->rows.p, .left = p->rows.len };

		p->after = 0;
		while (rd.left > 0)
			(void)line_snapshot_next(&rd, &at);
		p->head = at.seq + (uint64_t)(p->more = (uint8_t)(p->more && at.seq > 0));
	}
	if (s == &token_request_schema) {
		struct token_request *q = &room->value.token_request;

		if (q->registration.len > 0) {
			q->purpose = PURPOSE_NEW;
			memset(q->credential_id, 0, ID_LEN);
			memset(q->mac, 0, DIGEST_LEN);
		} else {
			q->purpose = PURPOSE_RESTORE_ONLY;
			q->credential_id[0] |= 1;
		}
	}
	if (s == &rec_machine_fate_schema) {
		struct rec_machine_fate *f = &room->value.rec_machine_fate;

		memset(f->name, 0, sizeof(f->name));
		if (f->fate == MFATE_RENAMED)
			memcpy(f->name, "db9", 3);
		if (f->fate == MFATE_SUBSCRIPTION)
			f->value = SUBSCRIPTION_EXPIRED;
		else if (f->fate != MFATE_QUOTA)
			f->value = 0;
	}
	if (s == &session_open_schema && room->value.session_open.set_name[0] == 0)
		room->value.session_open.kind = LINE_PLEDGE;
	if (s == &id_page_schema && room->value.id_page.ids.len == 0)
		room->value.id_page.more = 0;
	if (s == &gap_list_schema || s == &given_up_schema || s == &carried_schema) {
		l->part = l->ids.len == 0 ? 0 : (uint32_t)rng_from(r, 0, 5);
		l->parts = l->part + 1;
		l->count = (uint64_t)l->part * ID_LIST_PART + list_count(l->ids, DIGEST_LEN);
	}
}

/* A value that ${s} accepts, another one each time. */
static inline void
statement_fill(const struct fmt_schema *s, struct rng *r, struct statement_room *room)
{
	memset(room, 0, sizeof(*room));
	for (size_t i = 0; i < s->nfields; i++) {
		const struct fmt_field *f = &s->fields[i];
		uint8_t *at = room->value.bytes + f->off;

		switch (f->type) {
		case FT_BYTES:
			rng_fill(r, at, f->size);
			break;
		case FT_STR:
			fill_text(f, r, at);
			break;
		case FT_BLOB:
		case FT_LIST:
			fill_view(f, r, room, at);
			break;
		default:
			fill_number(f, r, at);
		}
	}
	statement_agree(s, r, room);
	if (s->context != NULL)
		rng_fill(r, room->value.bytes + s->sig_off, SIGN_LEN);
}

/* Where field ${which} of a valid encoding ${b} begins; ${which} = nfields: where the fields end. */
static inline size_t
statement_offset(const struct fmt_schema *s, const uint8_t *b, size_t which)
{
	size_t at = 10;

	for (size_t i = 0; i < which; i++) {
		const struct fmt_field *f = &s->fields[i];

		if (f->type == FT_STR)
			at += 2u + le16_get(b + at);
		else if (f->type == FT_BLOB)
			at += 4u + le32_get(b + at);
		else if (f->type == FT_LIST)
			at += 4u + (size_t)le32_get(b + at) * f->size;
		else
			at += f->size;
	}
	return at;
}

#endif
