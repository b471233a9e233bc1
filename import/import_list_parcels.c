/* Images that are on their way to the vault: announced, or with disks that have not come. */

#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/out.h"
#include "common/base/text.h"
#include "common/catalog/catalog.h"
#include "common/flow/parcel.h"
#include "common/flow/vault_count.h"
#include "common/flow/vault_fate.h"
#include "common/flow/vault_status.h"
#include "import/import_list.h"

static void
row_print(struct listing *l, const struct cat_parcel *p, const char *state, uint32_t out)
{
	char machine[NAME_MAX_LEN * 4 + 4], words[PARCEL_WORDS_MAX], disks[24] = "?", late[40] = "";
	int64_t days = parcel_days_late(p->arrives, io_now());
	struct out *o = out_object("image");

	if (out > 0)
		(void)snprintf(disks, sizeof(disks), "%u", out);
	if (days > 0)
		(void)snprintf(late, sizeof(late), "; %lld day%s late", (long long)days, days == 1 ? "" : "s");
	if (l->rows++ == 0)
		out_text("%-6s %-24s  %-10s  %-5s  parcel\n", "image", "machine", "state", "disks");
	out_text("%-6s %-24s  %-10s  %5s  %s%s\n", p->short_name, text_safe(machine, sizeof(machine), p->machine_name,
	    strlen(p->machine_name)), state, disks, p->tracking[0] != '\0' ? parcel_words(words, p->shipped, p->arrives, p->carrier,
	    p->tracking) : "not announced", late);
	out_str(o, "image", p->short_name);
	out_bytes(o, "image_id", p->image_id, ID_LEN);
	out_bytes(o, "machine_id", p->machine_id, ID_LEN);
	out_name(o, "machine", p->machine_name, strlen(p->machine_name));
	out_str(o, "state", state);
	out_u64(o, "disks_out", out);
	out_name(o, "carrier", p->carrier, strlen(p->carrier));
	out_name(o, "tracking", p->tracking, strlen(p->tracking));
	out_i64(o, "shipped", p->shipped);
	out_i64(o, "arrives", p->arrives);
	out_i64(o, "days_late", days);
	out_emit(o);
}

static int
parcel_row(void *arg, const void *row, struct err *e)
{
	const struct cat_parcel *p = row;
	struct listing *l = arg;
	struct cat_image i;
	uint32_t out;
	int rc = vault_parcel_waits(l->v, p, &out, e);

	if (rc != 1)
		return rc;
	memcpy(i.id, p->image_id, ID_LEN);
	if ((rc = catalog_get(l->v->catalog, &cat_images, &i, e)) < 0)
		return -1;
	row_print(l, p, rc == 0 ? image_state_text(i.state) : "announced", out);
	return 0;
}

/* An image with disks to come, of whose parcel nobody has told. */
static int
image_row(void *arg, const void *row, struct err *e)
{
	const struct cat_image *i = row;
	struct listing *l = arg;
	struct cat_parcel p;
	uint32_t out;
	int rc;

	memset(&p, 0, sizeof(p));
	memcpy(p.image_id, i->id, ID_LEN);
	if ((rc = catalog_get(l->v->catalog, &cat_parcels, &p, e)) != 1)
		return rc;
	memset(&p, 0, sizeof(p));
	memcpy(p.image_id, i->id, ID_LEN);
	if ((rc = vault_parcel_waits(l->v, &p, &out, e)) != 1 || out == 0)
		return rc == 1 ? 0 : rc;
	memcpy(p.machine_id, i->machine_id, ID_LEN);
	memcpy(p.short_name, i->short_name, sizeof(p.short_name));
	memcpy(p.machine_name, i->machine_name, sizeof(p.machine_name));
	row_print(l, &p, image_state_text(i->state), out);
	return 0;
}

int
list_expected(struct listing *l, struct err *e)
{
	if (catalog_each(l->v->catalog, &cat_parcels, 0, NULL, parcel_row, l, e) != 0)
		return -1;
	return catalog_each(l->v->catalog, &cat_images, 0, NULL, image_row, l, e);
}
