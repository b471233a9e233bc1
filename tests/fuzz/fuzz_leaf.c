/* Leaves of a listing: directories and entries, with attributes and extents. */
#include "tests/fuzz/fuzz.h"

#include "formats/fmt_listing.h"

static void
entry(const struct entry *e)
{
	struct rd r = { .p = e->xattrs.p, .left = e->xattrs.len };
	struct fmt_view name, value;
	struct extent x;
	uint64_t sum = 0;

	fuzz_true(e->name.len > 0 && memchr(e->name.p, '/', e->name.len) == NULL && memchr(e->name.p, 0, e->name.len) == NULL,
	    "an entry has a name that stays in its directory");
	while (r.left > 0)
		fuzz_true(xattr_next(&r, &name, &value) == FMT_OK, "attributes of a checked entry can be read");
	for (size_t i = 0; i < e->extents.len / EXTENT_LEN; i++) {
		extent_get(e->extents.p + i * EXTENT_LEN, &x);
		sum += x.len;
	}
	fuzz_true((e->longs & LONG_EXTENTS) != 0 || sum == e->size, "extents sum to the size");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *again;
	struct item it;
	struct rd r;
	struct wr w;
	uint32_t n;

	if (leaf_decode(data, size, &r, &n) != FMT_OK)
		return 0;
	again = fuzz_room(size);
	w = (struct wr){ .p = again, .left = size };
	leaf_head_encode(wr_room(&w, LEAF_HEAD_LEN), n);
	for (uint32_t i = 0; i < n && item_next(&r, &it) == FMT_OK; i++) {
		if (it.tag == ITEM_DIR) {
			fuzz_true(path_is_valid(it.path), "a directory has an absolute name");
			item_dir_put(&w, it.path);
		} else {
			entry(&it.entry);
			item_entry_put(&w, &it.entry);
		}
		fuzz_true(!w.bad, "what is decoded can be encoded");
	}
	fuzz_same("leaf", again, size - w.left, data, size - w.left);
	free(again);
	return 0;
}
