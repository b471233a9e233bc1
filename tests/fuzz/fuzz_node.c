/* Index nodes of a listing, and nodes of spill trees. */
#include "tests/fuzz/fuzz.h"

#include "formats/fmt_listing.h"

static void
rows(struct rd *r, uint32_t n, struct wr *w)
{
	struct index_row row;

	for (uint32_t i = 0; i < n && index_row_next(r, &row) == FMT_OK; i++) {
		index_row_put(w, &row);
		fuzz_true(!w->bad, "what is decoded can be encoded");
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *again = fuzz_room(size), head[NODE_HEAD_LEN];
	struct wr w = { .p = again, .left = size };
	struct rd r;
	unsigned level;
	uint32_t n;

	if (node_decode(data, size, &r, &level, &n) == FMT_OK) {
		node_head_encode(wr_room(&w, NODE_HEAD_LEN), level, n);
		rows(&r, n, &w);
		fuzz_same("node", again, size - w.left, data, size - w.left);
	}
	if (spill_node_decode(data, size, &r, &level, &n) == FMT_OK) {
		spill_node_head_encode(head, level, n);
		fuzz_same("spill node", head, sizeof(head), data, NODE_HEAD_LEN);
		fuzz_true(r.left == (size_t)n * SPILL_ROW_LEN, "a spill node has its rows");
	}
	free(again);
	return 0;
}
