#include "common/base/pages.h"

#include <stdlib.h>
#include <sys/mman.h>

void *
pages_new(size_t len)
{
	void *p;

	if (posix_memalign(&p, PAGES_ALIGN, len) != 0)
		return NULL;
	/* Only whole pages of it; a hint, so nothing is lost where it is refused. */
	if (len >= PAGES_ALIGN)
		(void)madvise(p, len / PAGES_ALIGN * PAGES_ALIGN, MADV_HUGEPAGE);
	return p;
}
