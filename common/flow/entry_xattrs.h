#ifndef SAMARA_FLOW_ENTRY_XATTRS_H
#define SAMARA_FLOW_ENTRY_XATTRS_H

#include "common/flow/source.h"
#include "formats/fmt_listing.h"

struct buf;
struct err;

/* Of one object; more cannot be put back anywhere. */
#define ENTRY_XATTRS_MAX	(64u << 20)

/**
 * entry_xattrs(en, reader, keep, e):
 * Where the attributes of ${en} are in a spill tree, read them into ${keep}
 * (overwritten; initialised by the caller) and let en->xattrs point there.  0
 * or -1 with ${e}.
 */
int entry_xattrs(struct entry *en, struct source_reader *reader, struct buf *keep, struct err *e);

#endif
