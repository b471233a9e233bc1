/* Build journals: the head, and records up to the first that is not whole. */
#include "tests/fuzz/fuzz.h"

#include "formats/fmt_journal.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t head[JOURNAL_HEAD_LEN], record[JOURNAL_RECORD_HEAD];
	struct journal_record rec;
	size_t at = JOURNAL_HEAD_LEN;

	if (journal_head_decode(data, size) != FMT_OK)
		return 0;
	journal_head_encode(head);
	fuzz_same("journal", head, sizeof(head), data, JOURNAL_HEAD_LEN);
	while (journal_record_decode(&rec, data + at, size - at) == FMT_OK) {
		journal_record_head_encode(record, rec.type, rec.payload.len);
		fuzz_same("record", record, sizeof(record), data + at, JOURNAL_RECORD_HEAD);
		at += rec.len;
		fuzz_true(at <= size, "a record ends within the file");
	}
	return 0;
}
