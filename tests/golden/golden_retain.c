#include "formats/fmt_retain.h"
#include "tests/golden/golden_world.h"

/* What a vault says about a snapshot that is deleted, and about a collection. */

void
make_retain(void)
{
	struct rec_snapshot s = { .seq = 7, .by = RETAIN_BY_RULE, .why = "keep-daily 7, keep-weekly 4" };
	struct rec_collected c = { .packs = 3, .bytes = 50331648, .chunks = 192, .repacked = 1, .snapshots = 2 };

	memcpy(s.machine_id, w.machine_id, ID_LEN);
	rising(s.snapshot_id, ID_LEN, 0x71);
	golden("rec_snapshot", &rec_snapshot_schema, &s, NULL);
	golden("rec_collected", &rec_collected_schema, &c, NULL);
}
