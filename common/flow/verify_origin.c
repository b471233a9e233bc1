#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/flow/verify_origin.h"
#include "common/pack/pack_view.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

/* The origin in hand: neighbours mostly share one. */
struct origin {
	uint8_t id[DIGEST_LEN];
	uint8_t *bytes;
	struct pack_view view;
	struct pack_row *row;	/* sorted by id and digest */
	int has;
};

static int
row_order(const void *a, const void *b)
{
	const struct pack_row *x = a, *y = b;
	int c = memcmp(x->id, y->id, DIGEST_LEN);

	return c != 0 ? c : memcmp(x->digest, y->digest, DIGEST_LEN);
}

static void
origin_drop(struct origin *o)
{
	free(o->bytes);
	free(o->row);
	memset(o, 0, sizeof(*o));
}

/* Signed with one of the keys that its writer had? */
static int
origin_signed(struct origin *o, size_t len, const struct verify_books *b, const uint8_t writer[ID_LEN], struct err *e)
{
	const struct verify_machine *m = verify_books_machine(b, writer, NULL);
	const uint8_t *foot = o->bytes + len - PACK_FOOT_LEN;
	struct err older;

	if (pack_view_open(&o->view, o->bytes, len - PACK_FOOT_LEN, foot, m->id, m->pub, e) == 0)
		return 0;
	while ((m = verify_books_machine(b, writer, m)) != NULL) {
		err_clear(&older);
		if (pack_view_open(&o->view, o->bytes, len - PACK_FOOT_LEN, foot, m->id, m->pub, &older) == 0) {
			err_clear(e);
			return 0;
		}
	}
	return -1;
}

/* Read the table ${id}, signed by ${writer}. */
static int
origin_read(struct origin *o, struct store *s, const struct verify_books *b, const uint8_t id[DIGEST_LEN],
    const uint8_t writer[ID_LEN], struct err *e)
{
	char name[VAULT_NAME_MAX];
	size_t len;

	origin_drop(o);
	if (verify_books_machine(b, writer, NULL) == NULL)
		return err_set(e, ERR_SIGNATURE, "its writer is not a machine of this vault");
	vault_name_origin(name, id);
	if (store_read(s, name, PACK_TABLE_MAX + PACK_FOOT_LEN, &o->bytes, &len, e) != 0)
		return -1;
	if (len < PACK_FOOT_LEN)
		return err_set(e, ERR_DAMAGE, "%s is cut short", name);
	if (origin_signed(o, len, b, writer, e) != 0)
		return err_during(e, "%s", name);
	if (memcmp(o->view.foot.pack_id, id, DIGEST_LEN) != 0)
		return err_set(e, ERR_DAMAGE, "%s is another table", name);
	if ((o->row = calloc(o->view.table.count + 1, sizeof(*o->row))) == NULL)
		return err_set(e, ERR_MEMORY, "no memory for a table");
	for (uint32_t i = 0; i < o->view.table.count; i++)
		pack_table_row(&o->view.table, i, &o->row[i]);
	qsort(o->row, o->view.table.count, sizeof(*o->row), row_order);
	memcpy(o->id, id, DIGEST_LEN);
	o->has = 1;
	return 0;
}

int
verify_origins(struct verify_job *j, struct store *s, const struct verify_books *b, const struct pack_view *v,
    const char *where)
{
	struct origin o = { 0 };
	struct pack_row row;
	struct err own;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < v->table.count; i++) {
		pack_table_row(&v->table, i, &row);
		err_clear(&own);
		if ((!o.has || memcmp(o.id, row.origin, DIGEST_LEN) != 0) &&
		    origin_read(&o, s, b, row.origin, row.writer, &own) != 0) {
			finding_err(j->found, SEV_LOST, where, "no machine's signature stands behind chunks of this pack", &own);
			rc = -1;
		} else if (memcmp(o.view.foot.maker, row.writer, ID_LEN) != 0 ||
		    bsearch(&row, o.row, o.view.table.count, sizeof(*o.row), row_order) == NULL) {
			finding_tell(j->found, SEV_LOST, ERR_SIGNATURE, where, "no machine's signature stands behind this chunk",
			    "chunk %02x%02x%02x%02x does not stand in the table that it names", row.id[0], row.id[1], row.id[2], row.id[3]);
			rc = -1;
		}
	}
	origin_drop(&o);
	return rc;
}
