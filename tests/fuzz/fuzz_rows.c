/* Rows that stand in blobs: extended attributes, file systems. */
#include "tests/fuzz/fuzz.h"

#include "formats/fmt_listing.h"
#include "formats/fmt_snapshot.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *again = fuzz_room(size);
	struct rd r = { .p = data, .left = size };
	struct wr w = { .p = again, .left = size };
	struct fmt_view name, value;
	struct filesystem fs;

	while (r.left > 0 && xattr_next(&r, &name, &value) == FMT_OK)
		xattr_put(&w, name, value);
	fuzz_true(!w.bad, "attributes that are decoded can be encoded");
	fuzz_same("attributes", again, size - w.left, data, size - w.left);
	r = (struct rd){ .p = data, .left = size };
	w = (struct wr){ .p = again, .left = size };
	while (r.left > 0 && filesystem_next(&r, &fs) == FMT_OK)
		filesystem_put(&w, &fs);
	fuzz_true(!w.bad, "file systems that are decoded can be encoded");
	fuzz_same("file systems", again, size - w.left, data, size - w.left);
	free(again);
	return 0;
}
