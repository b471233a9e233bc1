#include "formats/fmt_parcel.h"
#include "tests/golden/golden_world.h"

/* The image in a parcel, as its machine announces it and the vault keeps it; and a disk that was wiped. */

void
make_parcel(void)
{
	struct parcel p = { .machine_name = "web1", .short_name = "RM4K", .generation = 2, .disks = 2, .carrier = "DHL",
		.tracking = "00340434161094042557", .shipped = BEGIN / 1000000000, .arrives = BEGIN / 1000000000 + 4 * 86400,
		.address = "Example Ltd, 1 Harbour Road, Seaton" };
	struct rec_parcel r = { .short_name = "RM4K", .machine_name = "web1", .carrier = "DHL", .tracking = "00340434161094042557",
		.arrives = BEGIN / 1000000000 + 4 * 86400, .why = "" };
	struct rec_wiped d = { .disk = 1, .files = 19, .bytes = 1234567, .forced = 1, .why = "the customer asked for it" };

	memcpy(p.vault_id, w.vault_id, ID_LEN);
	memcpy(p.machine_id, w.machine_id, ID_LEN);
	memcpy(p.machine_pub, w.machine_pub, SIGN_PUB_LEN);
	memcpy(p.image_id, w.image_id, ID_LEN);
	rising(p.manifest, DIGEST_LEN, 0x93);
	r.announcement = golden("parcel", &parcel_schema, &p, w.machine_secret);
	memcpy(r.image_id, w.image_id, ID_LEN);
	memcpy(r.machine_id, w.machine_id, ID_LEN);
	golden("rec_parcel", &rec_parcel_schema, &r, NULL);
	memcpy(d.image_id, w.image_id, ID_LEN);
	golden("rec_wiped", &rec_wiped_schema, &d, NULL);
}
