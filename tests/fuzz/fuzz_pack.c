/* Pack headers, tables and footers. */
#include "tests/fuzz/fuzz.h"

#include "formats/fmt_pack.h"

static void
table(const uint8_t *data, size_t size)
{
	uint8_t *again;
	struct pack_table t;
	struct pack_row row;
	struct wr w;

	if (pack_table_decode(&t, data, size) != FMT_OK)
		return;
	again = fuzz_room(size);
	w = (struct wr){ .p = again, .left = size };
	pack_head_encode(&t.head, wr_room(&w, PACK_HEAD_LEN));
	for (uint32_t i = 0; i < t.count; i++) {
		pack_table_row(&t, i, &row);
		pack_row_put(&w, t.head.flags, &row);
	}
	fuzz_true(!w.bad, "the table fits its own size");
	fuzz_same("table", again, size - w.left, data, size);
	free(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t head[PACK_HEAD_LEN], foot[PACK_FOOT_LEN];
	struct pack_head h;
	struct pack_foot f;

	if (pack_head_decode(&h, data, size) == FMT_OK) {
		pack_head_encode(&h, head);
		fuzz_same("pack header", head, sizeof(head), data, PACK_HEAD_LEN);
	}
	table(data, size);
	if (pack_foot_decode(&f, data, size) == FMT_OK) {
		pack_foot_encode(&f, foot);
		fuzz_same("pack footer", foot, sizeof(foot), data, size);
	}
	return 0;
}
