/* Gaps: how large they are, and the list that a refill needs. */

#include <string.h>

#include "common/base/err.h"
#include "common/base/out.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_rows.h"
#include "common/flow/gaps.h"
#include "common/flow/vault_machine.h"
#include "common/pack/id_sorter.h"
#include "import/import_list.h"

#define SORT_MEMORY	((size_t)32 << 20)

/* With --json every id that is missing is a row. */
static int
missing_print(struct listing *l, const struct cat_machine *m, struct err *e)
{
	struct id_sorter *ids = id_sorter_new(l->v->local, SORT_MEMORY, e);
	uint8_t id[DIGEST_LEN];
	int rc = -1;

	if (ids != NULL && gaps_find(l->v, m->id, l->has_image ? l->image_id : NULL, ids, e) == 0 && id_sorter_rewind(ids, e) == 0)
		while ((rc = id_sorter_next(ids, id, e)) == 1) {
			struct out *j = out_object("missing");

			out_bytes(j, "machine_id", m->id, ID_LEN);
			out_bytes(j, "chunk", id, DIGEST_LEN);
			out_emit(j);
		}
	id_sorter_free(ids);
	return rc;
}

struct machines {
	struct cat_machine m[64];
	size_t n;
};

/* Machines that have a gap; more than fit are left to --machine. */
static int
machine_note(void *arg, const void *row, struct err *e)
{
	struct machines *all = arg;

	(void)e;
	if (all->n < sizeof(all->m) / sizeof(all->m[0]))
		all->m[all->n++] = *(const struct cat_machine *)row;
	return 0;
}

int
list_missing(struct listing *l, struct err *e)
{
	struct machines all = { .n = 0 };
	int rc;

	if (!out_is_json())
		return 0;
	if (l->has_machine) {
		memcpy(all.m[0].id, l->machine_id, ID_LEN);
		return missing_print(l, &all.m[0], e);
	}
	rc = catalog_each(l->v->catalog, &cat_machines, 0, NULL, machine_note, &all, e);
	for (size_t i = 0; i < all.n && rc == 0; i++)
		rc = missing_print(l, &all.m[i], e);
	return rc;
}

int
gap_list_write(struct listing *l, const char *path, struct err *e)
{
	uint8_t machine[ID_LEN];
	uint64_t n = 0;
	int rc = 0;

	if (l->has_machine)
		memcpy(machine, l->machine_id, ID_LEN);
	else if ((rc = gaps_machine(l->v, machine, e)) < 0)
		return -1;
	if (rc == 0 && gaps_save(l->v, machine, l->has_image ? l->image_id : NULL, path, &n, e) != 0)
		return -1;
	if (n == 0)
		out_text("nothing is missing: %s was not written\n", path);
	else
		out_text("%s names %llu chunks.  Next, on the machine: samara-seed build --missing %s --to DISK\n", path,
		    (unsigned long long)n, path);
	return 0;
}
