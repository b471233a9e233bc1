/* Chunk frames. */
#include "tests/fuzz/fuzz.h"

#include "formats/fmt_pack.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t head[FRAME_HEAD_LEN];
	struct frame f;

	if (frame_decode(&f, data, size) != FMT_OK)
		return 0;
	frame_head_encode(head, f.kind, f.epoch, f.domain_id, f.sealed_len);
	fuzz_same("frame", head, sizeof(head), data, FRAME_HEAD_LEN);
	fuzz_true(f.sealed + f.sealed_len + 8 == data + size, "the sealed part ends before the checksum");
	return 0;
}
