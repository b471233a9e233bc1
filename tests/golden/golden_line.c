#include "formats/fmt_line_note.h"
#include "formats/fmt_line_read.h"
#include "tests/golden/golden_world.h"

/* What is read back over the line. */
static void
make_line_read(const uint8_t *envelope, size_t len)
{
	static uint8_t rows[2048], places[2 * LINE_PLACE_LEN];
	struct wr out = { .p = rows, .left = sizeof(rows) }, at = { .p = places, .left = sizeof(places) };
	struct line_snapshot whole = { .seq = 2, .state = LINE_PENDING, .flags = LINE_PROTECTED, .promised = 17, .received = BEGIN,
	    .image = "RM4K", .envelope = { envelope, (uint32_t)len } }, gone = { .seq = 1, .state = LINE_GONE };
	struct line_page p = { .head = 9, .more = 1 };
	struct line_place place = { .copy = 1, .off = 4711, .len = 300 }, none = { 0 };
	struct line_places l = { .places = { places, sizeof(places) } };

	rising(p.vault_id, ID_LEN, 0x21);
	rising(p.machine_id, ID_LEN, 0x31);
	line_snapshot_put(&out, &gone);
	line_snapshot_put(&out, &whole);
	p.rows = (struct fmt_view){ rows, (uint32_t)(out.p - rows) };
	golden("line_page", &line_page_schema, &p, NULL);
	rising(place.pack_id, DIGEST_LEN, 0x41);
	element_put(line_place_fields, line_place_nfields, &at, &place);
	element_put(line_place_fields, line_place_nfields, &at, &none);
	golden("line_places", &line_places_schema, &l, NULL);
}

/* A session over the line: opened, asked in, committed. */

void
make_line(void)
{
	static uint8_t envelope[ENVELOPE_LEN_MAX];
	FILE *f = fopen("envelope.bin", "rb");
	size_t len = f != NULL ? fread(envelope, 1, sizeof(envelope), f) : 0;
	static uint8_t ids[3 * DIGEST_LEN], states[3] = { ID_HELD, ID_MISSING, ID_PROMISED }, rows[1024];
	struct wr out = { .p = rows, .left = sizeof(rows) };
	struct session_open o = { .kind = LINE_BACKUP, .set_name = "files" };
	struct session_opened d = { .epoch = 12, .head_seq = 3, .base_whole = 1, .seconds = 86400 };
	struct id_page p = { .ids = { ids, sizeof(ids) }, .more = 1 };
	struct ask a = { .ids = { ids, sizeof(ids) } };
	struct answer s = { .states = { states, sizeof(states) } };
	struct commit c = { .head_seq = 3 };
	struct line_note note = { .generation = 2, .head_seq = 7, .first_contact = 1700000000, .last_contact = 1700086400,
	    .rate = 2500000, .receipt = 3 };
	struct committed t = { .head_seq = 4, .state = LINE_PENDING, .time = BEGIN + 30 };

	for (unsigned i = 0; i < 3; i++)
		rising(ids + i * DIGEST_LEN, DIGEST_LEN, 0x10 * (i + 1));
	rising(o.session_id, ID_LEN, 0x51);
	rising(o.base, ID_LEN, 0x61);
	golden("session_open", &session_open_schema, &o, NULL);
	memcpy(d.session_id, o.session_id, ID_LEN);
	memcpy(d.head_id, o.base, ID_LEN);
	rising(d.head, DIGEST_LEN, 0x71);
	golden("session_opened", &session_opened_schema, &d, NULL);
	golden("id_page", &id_page_schema, &p, NULL);
	golden("ask", &ask_schema, &a, NULL);
	golden("answer", &answer_schema, &s, NULL);
	memcpy(c.head_id, o.base, ID_LEN);
	if (len == 0 || fclose(f) != 0)
		die("envelope.bin");
	commit_put(&out, envelope, len);
	c.envelopes = (struct fmt_view){ rows, (uint32_t)(out.p - rows) };
	golden("commit", &commit_schema, &c, NULL);
	memcpy(t.head_id, w.snapshot_id, ID_LEN);
	rising(t.head, DIGEST_LEN, 0x81);
	golden("committed", &committed_schema, &t, NULL);
	memcpy(note.vault_id, w.vault_id, ID_LEN);
	rising(note.head, DIGEST_LEN, 0x91);
	golden("line_note", &line_note_schema, &note, NULL);
	make_line_read(envelope, len);
}
