/* A vault's handles: a catalog's belongs to one thread at a time, and opening one costs more than most requests. */

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/catalog/catalog.h"
#include "common/flow/serve_frame.h"

struct vault *
pool_take(struct serve_vault *sv, struct err *e)
{
	struct vault *v = NULL;

	(void)pthread_mutex_lock(&sv->lock);
	while (sv->nidle == 0 && sv->nopen == POOL_HANDLES)
		(void)pthread_cond_wait(&sv->returned, &sv->lock);
	if (sv->nidle > 0)
		v = sv->idle[--sv->nidle];
	else
		sv->nopen++;
	(void)pthread_mutex_unlock(&sv->lock);
	if (v != NULL)
		return v;
	if ((v = vault_again(sv->first, e)) != NULL) {
		catalog_memory(v->catalog, HANDLE_MEMORY);
		return v;
	}
	(void)pthread_mutex_lock(&sv->lock);
	sv->nopen--;
	(void)pthread_cond_signal(&sv->returned);
	(void)pthread_mutex_unlock(&sv->lock);
	return NULL;
}

void
pool_give(struct serve_vault *sv, struct vault *v)
{
	if (v == NULL)
		return;
	(void)pthread_mutex_lock(&sv->lock);
	sv->idle[sv->nidle++] = v;
	(void)pthread_cond_signal(&sv->returned);
	(void)pthread_mutex_unlock(&sv->lock);
}
