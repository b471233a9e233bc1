#include <stddef.h>

#include "common/base/err.h"
#include "common/pack/listing_write.h"

static size_t
entry_len(const struct entry *en)
{
	return item_entry_size(en) - 5;	/* without tag and length */
}

/* Move ${v} into a spill tree. */
static int
part_spill(const uint8_t key[32], size_t record, struct fmt_view *v, struct spill *out, chunk_put_fn put, void *arg,
    struct err *e)
{
	struct spill_writer *w = spill_writer_new(key, record, put, arg);
	int rc;

	if (w == NULL)
		return err_set(e, ERR_MEMORY, "spill tree: no memory");
	rc = spill_writer_add(w, v->p, v->len, e);
	if (rc == 0)
		rc = spill_writer_finish(w, out, e);
	spill_writer_free(w);
	if (rc == 0)
		*v = (struct fmt_view){ .p = NULL, .len = 0 };
	return rc;
}

int
entry_spill(const uint8_t key[32], struct entry *en, chunk_put_fn put, void *arg, struct err *e)
{
	if (entry_len(en) > ENTRY_LONG && en->xattrs.len > 0) {
		if (part_spill(key, 1, &en->xattrs, &en->long_xattrs, put, arg, e) != 0)
			return -1;
		en->longs |= LONG_XATTRS;
	}
	if (entry_len(en) > ENTRY_LONG && en->extents.len > 0) {
		if (part_spill(key, EXTENT_LEN, &en->extents, &en->long_extents, put, arg, e) != 0)
			return -1;
		en->longs |= LONG_EXTENTS;
	}
	return 0;
}
