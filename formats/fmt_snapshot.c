#include "formats/fmt_snapshot.h"

static const struct fmt_field envelope_fields[] = {
	FMT_BYTES(envelope, snapshot_id),
	FMT_BYTES(envelope, machine_id),
	FMT_BYTES(envelope, domain_id),
	FMT_U64(envelope, seq, 1, UINT64_MAX),
	FMT_BYTES(envelope, previous),
	FMT_STR(envelope, set_name, 1),
	FMT_BYTES(envelope, base),
	FMT_U8(envelope, kind, SNAP_FILES, SNAP_STREAM),
	FMT_I64(envelope, begin_ns),
	FMT_I64(envelope, end_ns),
	FMT_BYTES(envelope, root_id),
	FMT_BYTES(envelope, refs_digest),
	FMT_U64(envelope, refs_count, 1, REFS_MAX),
	FMT_BYTES(envelope, image_id),
};
const struct fmt_schema envelope_schema = {
	"snapshot envelope", "SAMENVL\n", 1, "samara envelope v1",
	sizeof(struct envelope), offsetof(struct envelope, sig), FMT_FIELDS(envelope_fields), NULL
};

static enum fmt_status
path_rows_check(struct fmt_view v)
{
	struct rd r = { .p = v.p, .left = v.len };

	while (r.left > 0) {
		if (rd_bytes(&r, rd_u16(&r)) == NULL)
			return FMT_RANGE;
	}
	return FMT_OK;
}

static enum fmt_status
snapshot_root_check(const void *value)
{
	const struct snapshot_root *s = value;
	struct rd r = { .p = s->filesystems.p, .left = s->filesystems.len };
	struct filesystem fs;
	uint32_t n = 0;

	if (s->files > s->entries)
		return FMT_CONTRADICTION;
	while (r.left > 0) {
		if (filesystem_next(&r, &fs) != FMT_OK || ++n > FILESYSTEMS_MAX)
			return FMT_RANGE;
	}
	return path_rows_check(s->paths);
}

static const struct fmt_field snapshot_root_fields[] = {
	FMT_BYTES(snapshot_root, snapshot_id),
	FMT_BYTES(snapshot_root, machine_id),
	FMT_BYTES(snapshot_root, domain_id),
	FMT_U64(snapshot_root, seq, 1, UINT64_MAX),
	FMT_BYTES(snapshot_root, previous),
	FMT_STR(snapshot_root, set_name, 1),
	FMT_BYTES(snapshot_root, base),
	FMT_U8(snapshot_root, kind, SNAP_FILES, SNAP_STREAM),
	FMT_I64(snapshot_root, begin_ns),
	FMT_I64(snapshot_root, end_ns),
	FMT_BYTES(snapshot_root, refs_digest),
	FMT_U64(snapshot_root, refs_count, 0, REFS_MAX),
	FMT_BYTES(snapshot_root, image_id),
	FMT_BYTES(snapshot_root, signer_pub),
	FMT_BYTES(snapshot_root, top_id),
	FMT_U8(snapshot_root, levels, 0, LISTING_LEVELS_MAX),
	FMT_U64(snapshot_root, entries, 0, UINT64_MAX),
	FMT_U64(snapshot_root, files, 0, UINT64_MAX),
	FMT_U64(snapshot_root, bytes, 0, UINT64_MAX),
	FMT_U64(snapshot_root, unreadable, 0, UINT64_MAX),
	FMT_STR(snapshot_root, host, 0),
	FMT_STR(snapshot_root, program, 0),
	FMT_BLOB(snapshot_root, filesystems, 0, 2u << 20),
	FMT_BLOB(snapshot_root, paths, 0, 2u << 20),
};
const struct fmt_schema snapshot_root_schema = {
	"snapshot root", "SAMROOT\n", 1, NULL,
	sizeof(struct snapshot_root), 0, FMT_FIELDS(snapshot_root_fields), snapshot_root_check
};

static void
view_next(struct rd *r, size_t n, struct fmt_view *v)
{
	v->len = (uint32_t)n;
	v->p = rd_bytes(r, n);
	if (v->p == NULL)
		v->len = 0;
}

enum fmt_status
filesystem_next(struct rd *r, struct filesystem *fs)
{
	memset(fs, 0, sizeof(*fs));
	view_next(r, rd_u8(r), &fs->type);
	view_next(r, rd_u8(r), &fs->uuid);
	view_next(r, rd_u16(r), &fs->path);
	fs->subvolume = rd_u64(r);
	if (r->bad) {
		memset(fs, 0, sizeof(*fs));
		return FMT_SHORT;
	}
	return FMT_OK;
}

void
filesystem_put(struct wr *w, const struct filesystem *fs)
{
	if (fs->type.len > 255 || fs->uuid.len > 255 || fs->path.len > PATH_LEN_MAX) {
		w->bad = true;
		return;
	}
	wr_u8(w, (uint8_t)fs->type.len);
	wr_bytes(w, fs->type.p, fs->type.len);
	wr_u8(w, (uint8_t)fs->uuid.len);
	wr_bytes(w, fs->uuid.p, fs->uuid.len);
	wr_u16(w, (uint16_t)fs->path.len);
	wr_bytes(w, fs->path.p, fs->path.len);
	wr_u64(w, fs->subvolume);
}

static const char refs_magic[8] = { 'S', 'A', 'M', 'R', 'E', 'F', 'S', '\n' };

static enum fmt_status
refs_head_check(const struct refs_head *h)
{
	static const uint8_t none[DIGEST_LEN];
	uint64_t ids, parts;

	if (h->kind > REFS_DELTA || h->count > REFS_MAX || h->added > REFS_MAX || h->removed > REFS_MAX)
		return FMT_RANGE;
	if (h->kind == REFS_WHOLE && (h->added != h->count || h->removed != 0))
		return FMT_CONTRADICTION;
	if (h->kind == REFS_WHOLE && memcmp(h->base, none, DIGEST_LEN) != 0)
		return FMT_RANGE;
	if (h->added > h->count)
		return FMT_CONTRADICTION;
	ids = h->added + h->removed;
	parts = ids == 0 ? 1 : (ids + REFS_PART_IDS - 1) / REFS_PART_IDS;
	if (parts > PARTS_MAX || h->parts != parts || h->part >= h->parts)
		return FMT_RANGE;
	return FMT_OK;
}

enum fmt_status
refs_head_decode(struct refs_head *h, const uint8_t *in, size_t len)
{
	struct rd r = { .p = in, .left = len };
	const uint8_t *m = rd_bytes(&r, 8);
	uint16_t version = rd_u16(&r);
	uint8_t zero;
	enum fmt_status st;

	memset(h, 0, sizeof(*h));
	h->kind = rd_u8(&r);
	zero = rd_u8(&r);
	h->part = rd_u16(&r);
	h->parts = rd_u16(&r);
	rd_copy(&r, h->domain_id, DIGEST_LEN);
	rd_copy(&r, h->digest, DIGEST_LEN);
	h->count = rd_u64(&r);
	rd_copy(&r, h->base, DIGEST_LEN);
	h->added = rd_u64(&r);
	h->removed = rd_u64(&r);
	if (r.bad)
		st = FMT_SHORT;
	else if (memcmp(m, refs_magic, 8) != 0)
		st = FMT_MAGIC;
	else if (version != 1)
		st = FMT_VERSION;
	else
		st = zero != 0 ? FMT_RANGE : refs_head_check(h);
	if (st != FMT_OK)
		memset(h, 0, sizeof(*h));
	return st;
}

void
refs_head_encode(const struct refs_head *h, uint8_t out[REFS_HEAD_LEN])
{
	struct wr w = { .p = out, .left = REFS_HEAD_LEN };

	wr_bytes(&w, refs_magic, 8);
	wr_u16(&w, 1);
	wr_u8(&w, h->kind);
	wr_u8(&w, 0);
	wr_u16(&w, h->part);
	wr_u16(&w, h->parts);
	wr_bytes(&w, h->domain_id, DIGEST_LEN);
	wr_bytes(&w, h->digest, DIGEST_LEN);
	wr_u64(&w, h->count);
	wr_bytes(&w, h->base, DIGEST_LEN);
	wr_u64(&w, h->added);
	wr_u64(&w, h->removed);
}

uint64_t
refs_part_ids(const struct refs_head *h)
{
	uint64_t ids = h->added + h->removed, before = h->part * REFS_PART_IDS;

	return ids - before < REFS_PART_IDS ? ids - before : REFS_PART_IDS;
}
