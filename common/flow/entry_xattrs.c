#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/flow/entry_xattrs.h"
#include "common/pack/listing_read.h"

int
entry_xattrs(struct entry *en, struct source_reader *reader, struct buf *keep, struct err *e)
{
	struct spill_reader *r;
	const uint8_t *p;
	size_t n;
	int rc;

	if ((en->longs & LONG_XATTRS) == 0)
		return 0;
	if (en->long_xattrs.len > ENTRY_XATTRS_MAX)
		return err_set(e, ERR_DAMAGE, "its attributes have %llu bytes", (unsigned long long)en->long_xattrs.len);
	if ((r = spill_reader_new(&en->long_xattrs, source_get, reader, NULL, NULL)) == NULL)
		return err_set(e, ERR_MEMORY, "no memory for attributes");
	buf_reset(keep);
	while ((rc = spill_reader_next(r, &p, &n, e)) == 1)
		buf_add(keep, p, n);
	spill_reader_free(r);
	if (rc != 0 || buf_check(keep, e) != 0)
		return -1;
	en->longs &= (uint8_t)~LONG_XATTRS;
	en->xattrs = view_of(keep->p, keep->len);
	return 0;
}
