/* Receipts that nobody has to ask for, and how a machine gets them over the line. */

#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/stop.h"
#include "common/base/text.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_rows.h"
#include "common/flow/receipt.h"

struct newest {
	struct cat_receipt row;		/* number 0: none */
	uint64_t after;
};

static int
receipt_newest(void *arg, const void *row, struct err *e)
{
	struct newest *n = arg;
	const struct cat_receipt *r = row;

	(void)e;
	if (r->number > n->row.number)
		n->row = *r;
	return 0;
}

static int
newest_find(struct vault *v, const uint8_t image[ID_LEN], struct newest *n, struct err *e)
{
	struct cat_receipt like;

	memset(n, 0, sizeof(*n));
	memcpy(like.image_id, image, ID_LEN);
	return catalog_each(v->catalog, &cat_receipts, 1, &like, receipt_newest, n, e);
}

static int
is_due(const struct cat_image *i)
{
	return i->state == IMAGE_WHOLE || i->state == IMAGE_PARTIAL;
}

/* Images that are due, gathered first: a receipt changes the catalog. */
struct due {
	struct vault *v;
	uint8_t (*ids)[ID_LEN];
	size_t n;
};

static int
due_look(void *arg, const void *row, struct err *e)
{
	const struct cat_image *i = row;
	struct due *d = arg;
	struct newest n;
	void *more;

	if (!is_due(i))
		return 0;
	if (newest_find(d->v, i->id, &n, e) != 0)
		return -1;
	if (n.row.number != 0)
		return 0;
	if ((more = realloc(d->ids, (d->n + 1) * sizeof(*d->ids))) == NULL)
		return err_errno(e, "receipts");
	d->ids = more;
	memcpy(d->ids[d->n++], i->id, ID_LEN);
	return 0;
}

static int
due_give(struct vault *v, const uint8_t image[ID_LEN], struct err *e)
{
	char hex[2 * ID_LEN + 1];
	struct receipt_result r;
	struct err mine;
	struct buf out;
	int rc;

	buf_init(&out);
	err_clear(&mine);
	rc = vault_receipt(v, text_hex(hex, image, ID_LEN), 0, &out, &r, &mine);
	buf_release(&out);
	if (rc == 0)
		say_info("receipt %llu for image %s: %s", (unsigned long long)r.number, r.short_name, r.whole ? "whole" : "partial");
	if (rc != -1)
		return stop_check(e);
	if (mine.code == ERR_INTERRUPTED || mine.code == ERR_MEMORY) {
		if (e != NULL)
			*e = mine;
		return -1;
	}
	say_warn("no receipt for image %s: %s", r.short_name[0] != '\0' ? r.short_name : hex, mine.msg);
	return 0;
}

int
vault_receipts_due(struct vault *v, struct err *e)
{
	struct due d = { .v = v };
	int rc = catalog_each(v->catalog, &cat_images, 0, NULL, due_look, &d, e);

	for (size_t i = 0; i < d.n && rc == 0; i++)
		rc = due_give(v, d.ids[i], e);
	free(d.ids);
	return rc;
}

/* The lowest above a number, of the images of one machine. */
struct next {
	struct vault *v;
	const uint8_t *machine;
	uint64_t after;
	struct cat_receipt row;		/* number 0: none */
};

static int
next_look(void *arg, const void *row, struct err *e)
{
	const struct cat_receipt *r = row;
	struct next *n = arg;
	struct cat_image i;
	int rc;

	if ((uint64_t)r->number <= n->after || (n->row.number != 0 && r->number > n->row.number))
		return 0;
	memcpy(i.id, r->image_id, ID_LEN);
	if ((rc = catalog_get(n->v->catalog, &cat_images, &i, e)) != 0)
		return rc == 1 ? 0 : -1;
	if (memcmp(i.machine_id, n->machine, ID_LEN) == 0)
		n->row = *r;
	return 0;
}

/* The receipt itself stands in its record. */
static int
receipt_bytes(struct vault *v, const struct cat_receipt *row, uint8_t **bytes, size_t *len, struct err *e)
{
	struct record r;
	uint8_t *record;
	size_t n;
	int rc;

	*bytes = NULL;
	if ((rc = vault_record_read(v, (uint64_t)row->record, &r, &record, &n, e)) != 0)
		return rc == 1 ? err_set(e, ERR_DAMAGE, "record %lld of the vault is not there", (long long)row->record) : -1;
	if (r.type != REC_RECEIPT || r.body.len == 0)
		rc = err_set(e, ERR_CATALOG, "record %lld is no receipt", (long long)row->record);
	else if ((*bytes = malloc(r.body.len)) == NULL)
		rc = err_errno(e, "receipt");
	if (rc == 0) {
		memcpy(*bytes, r.body.p, r.body.len);
		*len = r.body.len;
	}
	free(record);
	return rc;
}

int
vault_receipt_get(struct vault *v, const uint8_t machine[ID_LEN], const uint8_t *image, uint64_t after, uint8_t **bytes,
    size_t *len, struct err *e)
{
	struct next n = { .v = v, .machine = machine, .after = after };
	struct newest newest;
	struct cat_image i;
	int rc;

	*bytes = NULL;
	if (image == NULL) {
		if (catalog_each(v->catalog, &cat_receipts, 0, NULL, next_look, &n, e) != 0)
			return -1;
		return n.row.number == 0 ? 1 : receipt_bytes(v, &n.row, bytes, len, e);
	}
	memcpy(i.id, image, ID_LEN);
	if ((rc = catalog_get(v->catalog, &cat_images, &i, e)) != 0 || memcmp(i.machine_id, machine, ID_LEN) != 0)
		return rc < 0 ? -1 : 1;
	if (newest_find(v, image, &newest, e) != 0)
		return -1;
	if (newest.row.number == 0)
		return is_due(&i) ? 2 : 1;
	return receipt_bytes(v, &newest.row, bytes, len, e);
}
