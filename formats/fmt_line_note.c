#include "formats/fmt_line_note.h"

static const struct fmt_field line_note_fields[] = {
	FMT_BYTES(line_note, vault_id),
	FMT_U32(line_note, generation, 0, UINT32_MAX),
	FMT_U64(line_note, head_seq, 0, INT64_MAX),
	FMT_BYTES(line_note, head),
	FMT_I64(line_note, first_contact),
	FMT_I64(line_note, last_contact),
	FMT_U64(line_note, rate, 0, UINT64_MAX),
	FMT_U64(line_note, receipt, 0, UINT64_MAX),
	FMT_BYTES(line_note, mac),
};
const struct fmt_schema line_note_schema = {
	"note of the line", "SAMLNOT\n", 1, NULL,
	sizeof(struct line_note), 0, FMT_FIELDS(line_note_fields), NULL
};
