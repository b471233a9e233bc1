/* Heads of the parts of a disk index. */
#include "tests/fuzz/fuzz.h"

#include "formats/fmt_disk.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[INDEX_PART_HEAD_LEN];
	struct index_part h;

	if (index_part_decode(&h, data, size) != FMT_OK)
		return 0;
	index_part_encode(&h, again);
	fuzz_same("index part", again, sizeof(again), data, INDEX_PART_HEAD_LEN);
	return 0;
}
