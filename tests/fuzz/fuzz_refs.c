/* Heads of reference lists. */
#include "tests/fuzz/fuzz.h"

#include "formats/fmt_snapshot.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[REFS_HEAD_LEN];
	struct refs_head h;

	if (refs_head_decode(&h, data, size) != FMT_OK)
		return 0;
	refs_head_encode(&h, again);
	fuzz_same("list", again, sizeof(again), data, REFS_HEAD_LEN);
	fuzz_true(refs_part_ids(&h) <= REFS_PART_IDS, "a part holds no more than it can");
	return 0;
}
