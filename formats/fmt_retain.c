#include "formats/fmt_retain.h"

static const struct fmt_field rec_snapshot_fields[] = {
	FMT_BYTES(rec_snapshot, machine_id),
	FMT_U64(rec_snapshot, seq, 1, INT64_MAX),
	FMT_BYTES(rec_snapshot, snapshot_id),
	FMT_U8(rec_snapshot, by, RETAIN_BY_HAND, RETAIN_WITH_MACHINE),
	FMT_STR(rec_snapshot, why, 0),
};
const struct fmt_schema rec_snapshot_schema = {
	"record of a snapshot", "SAMRSNP\n", 1, NULL,
	sizeof(struct rec_snapshot), 0, FMT_FIELDS(rec_snapshot_fields), NULL
};

static const struct fmt_field rec_collected_fields[] = {
	FMT_U64(rec_collected, packs, 0, UINT64_MAX),
	FMT_U64(rec_collected, bytes, 0, UINT64_MAX),
	FMT_U64(rec_collected, chunks, 0, UINT64_MAX),
	FMT_U64(rec_collected, repacked, 0, UINT64_MAX),
	FMT_U64(rec_collected, snapshots, 0, UINT64_MAX),
};
const struct fmt_schema rec_collected_schema = {
	"record of a collection", "SAMRCOL\n", 1, NULL,
	sizeof(struct rec_collected), 0, FMT_FIELDS(rec_collected_fields), NULL
};
