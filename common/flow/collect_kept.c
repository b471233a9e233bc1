/* Whether a pack that was put, or found in its place, is still there when its rows are written. */

#include <string.h>

#include "common/base/err.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_rows.h"
#include "common/flow/collect.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

int
pack_is_kept(struct vault *v, const uint8_t id[DIGEST_LEN], uint32_t copy, struct err *e)
{
	struct cat_removal gone = { .copy = copy };
	struct cat_pack there = { .copy = copy };
	char name[VAULT_NAME_MAX];
	uint64_t len;
	int rc;

	memcpy(there.id, id, DIGEST_LEN);
	if ((rc = catalog_get(v->catalog, &cat_packs, &there, e)) != 1)
		return rc;
	/* Its rows are gone and its bytes may go at any moment. */
	memcpy(gone.id, id, DIGEST_LEN);
	gone.copy = copy;
	if ((rc = catalog_get(v->catalog, &cat_removals, &gone, e)) != 1)
		return rc < 0 ? -1 : 1;
	vault_name_pack(name, id, copy);
	return v->store->ops->stat(v->store, name, &len, e);
}
