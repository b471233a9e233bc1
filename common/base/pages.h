#ifndef SAMARA_BASE_PAGES_H
#define SAMARA_BASE_PAGES_H

/* Memory for what is read, hashed and coded by the megabyte. */

#include <stddef.h>

/**
 * pages_new(len):
 * ${len} bytes of memory, not zero, that begin at a multiple of PAGES_ALIGN;
 * the system is asked for large pages (madvise(2), MADV_HUGEPAGE), since a walk
 * through small ones costs more than the work done on them.  Where it has none
 * the memory is as good.  NULL without memory; free(3) it.
 */
#define PAGES_ALIGN	(2u << 20)
void *pages_new(size_t len);

#endif
