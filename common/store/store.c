#include <stdlib.h>

#include "common/base/err.h"
#include "common/store/store.h"

int
store_read(struct store *s, const char *name, size_t max, uint8_t **out, size_t *len, struct err *e)
{
	uint64_t size;
	size_t got;
	uint8_t *p;
	int rc;

	*out = NULL;
	*len = 0;
	if ((rc = s->ops->stat(s, name, &size, e)) < 0)
		return -1;
	if (rc == 1)
		return err_set(e, ERR_NOT_FOUND, "there is no %s in the vault", name);
	if (size > max)
		return err_set(e, ERR_FORMAT, "%s has %llu bytes, at most %zu can be right", name,
		    (unsigned long long)size, max);
	if ((p = malloc((size_t)size + 1)) == NULL)
		return err_errno(e, "read %s", name);
	if (s->ops->get(s, name, 0, p, (size_t)size, &got, e) != 0) {
		free(p);
		return -1;
	}
	p[got] = 0;
	*out = p;
	*len = got;
	return 0;
}
