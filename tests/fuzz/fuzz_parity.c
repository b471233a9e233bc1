/* Tables of parity packs. */
#include "tests/fuzz/fuzz.h"

#include "formats/fmt_parity.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct parity_table t;
	struct parity_member *members;
	uint64_t *sums;
	uint8_t *again;
	size_t len;

	if (parity_table_decode(&t, data, size) != FMT_OK)
		return 0;
	len = parity_table_len(t.k, t.m, t.rows);
	members = (struct parity_member *)(void *)fuzz_room(t.k * sizeof(*members));
	sums = (uint64_t *)(void *)fuzz_room((size_t)t.rows * (t.k + t.m) * sizeof(*sums));
	again = fuzz_room(len);
	for (uint32_t i = 0; i < t.k; i++)
		parity_member_get(&t, i, &members[i]);
	for (uint32_t row = 0; row < t.rows; row++)
		for (uint32_t i = 0; i < (uint32_t)t.k + t.m; i++)
			sums[(size_t)row * (t.k + t.m) + i] = parity_sum_get(&t, row, i);
	parity_table_encode(&t, members, sums, again);
	le64_put(again + t.summed, t.xxh);
	fuzz_same("parity table", again, len, data, len);
	free(members);
	free(sums);
	free(again);
	return 0;
}
