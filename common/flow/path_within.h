#ifndef SAMARA_FLOW_PATH_WITHIN_H
#define SAMARA_FLOW_PATH_WITHIN_H

#include "formats/fmt_listing.h"

/* True if the absolute ${path} is ${top} or lies below it. */
static inline bool
path_is_within(struct fmt_view path, struct fmt_view top)
{
	if (top.len == 1)
		return true;
	return path.len >= top.len && memcmp(path.p, top.p, top.len) == 0 &&
	    (path.len == top.len || path.p[top.len] == '/');
}

#endif
