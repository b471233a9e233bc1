#include <stdlib.h>

#include "tests/golden/golden_world.h"

static struct sealed chunks[4];		/* stored data, compressed data, listing, root */
static struct pack packs[3];
static uint8_t sorted[4 * DIGEST_LEN], without_root[3 * DIGEST_LEN];

static void
make_leaf(void)
{
	static uint8_t leaf[1024], xattrs[64], extents[3][EXTENT_LEN];
	struct wr out = { .p = leaf + LEAF_HEAD_LEN, .left = sizeof(leaf) - LEAF_HEAD_LEN };
	struct wr x = { .p = xattrs, .left = sizeof(xattrs) };
	struct extent a = { .len = 301 }, b = { .len = 1000 }, hole = { .len = 1u << 20 };
	struct entry e = { .type = ENTRY_DIR, .flags = ENTRY_ABOVE, .mode = 0755, .mtime_s = CREATED, .ctime_s = CREATED,
		.inode = 11, .nlink = 3, .name = view_of("srv", 3), .user = view_of("root", 4), .group = view_of("root", 4) };

	memcpy(a.id, chunks[0].row.id, DIGEST_LEN);
	memcpy(b.id, chunks[1].row.id, DIGEST_LEN);
	extent_put(extents[0], &a);
	extent_put(extents[1], &b);
	extent_put(extents[2], &hole);
	xattr_put(&x, view_of("user.note", 9), view_of("kept", 4));
	item_dir_put(&out, view_of("/", 1));
	item_entry_put(&out, &e);
	item_dir_put(&out, view_of("/srv", 4));
	e = (struct entry){ .type = ENTRY_SYMLINK, .mode = 0777, .mtime_s = -1, .mtime_ns = 999999999, .ctime_s = CREATED,
		.inode = 12, .nlink = 1, .name = view_of("a link", 6), .target = view_of("../b", 4) };
	item_entry_put(&out, &e);
	e = (struct entry){ .type = ENTRY_FILE, .mode = 04755, .uid = 1000, .gid = 1000, .mtime_s = CREATED,
		.mtime_ns = 5, .ctime_s = CREATED, .ctime_ns = 6, .size = 301 + 1000 + (1u << 20), .inode = 13, .nlink = 1,
		.name = view_of("file", 4), .user = view_of("amy", 3), .group = view_of("staff", 5),
		.xattrs = view_of(xattrs, (size_t)(x.p - xattrs)), .extents = view_of(extents, sizeof(extents)) };
	item_entry_put(&out, &e);
	e = (struct entry){ .type = ENTRY_CHAR, .mode = 0600, .mtime_s = CREATED, .ctime_s = CREATED, .inode = 14, .nlink = 1,
		.major = 1, .minor = 3, .name = view_of("null", 4) };
	item_entry_put(&out, &e);
	if (out.bad)
		die("leaf");
	leaf_head_encode(leaf, 6);
	save("leaf.bin", leaf, (size_t)(out.p - leaf));
	seal(&chunks[2], KIND_LISTING, 0, leaf, (size_t)(out.p - leaf), 2);
}

static void
sort_ids(uint8_t *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		memcpy(out + i * DIGEST_LEN, chunks[i].row.id, DIGEST_LEN);
	qsort(out, n, DIGEST_LEN, by_bytes);
}

/* Envelope and root, which say the same. */
static struct fmt_view
make_snapshot(void)
{
	struct envelope e = { .seq = 1, .set_name = "files", .kind = SNAP_FILES, .begin_ns = BEGIN, .end_ns = BEGIN + 5,
		.refs_count = 4 };
	struct snapshot_root r = { .seq = 1, .set_name = "files", .kind = SNAP_FILES, .begin_ns = BEGIN,
		.end_ns = BEGIN + 5, .refs_count = 3, .levels = 0, .entries = 4, .files = 1, .bytes = 301 + 1000 + (1u << 20),
		.unreadable = 0, .host = "web1.example", .program = "samara 0.1.0" };
	static uint8_t rows[128];
	struct wr out = { .p = rows, .left = sizeof(rows) };
	struct filesystem fs = { .type = view_of("ext4", 4), .uuid = view_of("0f1e-2d3c", 9), .path = view_of("/", 1) };
	struct fmt_view v;

	filesystem_put(&out, &fs);
	r.filesystems = view_of(rows, (size_t)(out.p - rows));
	r.paths = view_of("\4\0/srv", 6);
	memcpy(r.snapshot_id, w.snapshot_id, ID_LEN);
	memcpy(r.machine_id, w.machine_id, ID_LEN);
	memcpy(r.domain_id, w.domain_id, DIGEST_LEN);
	memcpy(r.image_id, w.image_id, ID_LEN);
	memcpy(r.signer_pub, w.machine_pub, 32);
	memcpy(r.top_id, chunks[2].row.id, DIGEST_LEN);
	sort_ids(without_root, 3);
	refs_digest(without_root, 3, r.refs_digest);
	v = golden("snapshot_root", &snapshot_root_schema, &r, NULL);
	seal(&chunks[3], KIND_ROOT, 0, v.p, v.len, 3);
	sort_ids(sorted, 4);
	memcpy(e.snapshot_id, w.snapshot_id, ID_LEN);
	memcpy(e.machine_id, w.machine_id, ID_LEN);
	memcpy(e.domain_id, w.domain_id, DIGEST_LEN);
	memcpy(e.root_id, chunks[3].row.id, DIGEST_LEN);
	refs_digest(sorted, 4, e.refs_digest);
	memcpy(e.image_id, w.image_id, ID_LEN);
	return golden("envelope", &envelope_schema, &e, w.machine_secret);
}

/* A whole list and a delta to one id less, one more. */
static struct fmt_view
make_refs(void)
{
	struct refs_head h = { .kind = REFS_WHOLE, .count = 4, .added = 4 };
	struct refs_head delta = { .kind = REFS_DELTA, .count = 4, .added = 1, .removed = 1 };
	uint8_t next[4 * DIGEST_LEN], change[2 * DIGEST_LEN];
	struct fmt_view v, d;

	refs_digest(sorted, 4, h.digest);
	v = refs_file(&h, sorted);
	save("refs-whole.bin", v.p, v.len);
	memcpy(change + DIGEST_LEN, sorted + DIGEST_LEN, DIGEST_LEN);	/* removed */
	memset(change, 0xff, DIGEST_LEN);				/* added; sorts last */
	memcpy(next, sorted, DIGEST_LEN);
	memcpy(next + DIGEST_LEN, sorted + 2 * DIGEST_LEN, 2 * DIGEST_LEN);
	memcpy(next + 3 * DIGEST_LEN, change, DIGEST_LEN);
	refs_digest(next, 4, delta.digest);
	memcpy(delta.base, h.digest, DIGEST_LEN);
	d = refs_file(&delta, change);
	save("refs-delta.bin", d.p, d.len);
	return v;
}

static struct fmt_view
make_label(uint8_t label_digest[DIGEST_LEN])
{
	struct label l = { .short_name = "RM4K", .disk = 1, .vault_name = "north", .machine_name = "web1",
		.format = FORMAT_VERSION, .suite = SUITE_1, .fs_type = "ext4", .created = CREATED + 10 };
	struct fmt_view v;

	memcpy(l.image_id, w.image_id, ID_LEN);
	memcpy(l.vault_id, w.vault_id, ID_LEN);
	memcpy(l.machine_id, w.machine_id, ID_LEN);
	memcpy(l.machine_pub, w.machine_pub, 32);
	memcpy(l.domain_id, w.domain_id, DIGEST_LEN);
	rising(l.fs_id, ID_LEN, 0x91);
	v = golden("label", &label_schema, &l, w.machine_secret);
	digest(v.p, v.len, label_digest);
	return v;
}

static struct fmt_view
make_index(struct index_part *h)
{
	static uint8_t b[4096];
	struct wr out = { .p = b + INDEX_PART_HEAD_LEN, .left = sizeof(b) - INDEX_PART_HEAD_LEN };

	for (uint32_t i = 0; i < 2; i++) {
		const struct pack *p = &packs[i];

		wr_u32(&out, i);
		wr_u32(&out, (uint32_t)p->len);
		wr_u32(&out, (uint32_t)p->table_len);
		wr_bytes(&out, p->b + p->table_off, p->table_len);
		wr_bytes(&out, p->b + p->len - PACK_FOOT_LEN, PACK_FOOT_LEN);
	}
	if (out.bad)
		die("index");
	h->disk = 1;
	memcpy(h->image_id, w.image_id, ID_LEN);
	h->payload_len = (size_t)(out.p - b) - INDEX_PART_HEAD_LEN;
	index_part_encode(h, b);
	save("index-part.bin", b, (size_t)(out.p - b));
	return view_of(b, (size_t)(out.p - b));
}

static struct fmt_view
make_statement(const uint8_t label_digest[DIGEST_LEN], struct fmt_view index, const struct index_part *part)
{
	struct disk_statement s = { .disk = 1, .packs = 2, .pack_bytes = packs[0].len + packs[1].len, .chunks = 4,
		.index_parts = 1, .index_bytes = part->payload_len, .closed = CREATED + 20 };
	uint8_t d[DIGEST_LEN];

	memcpy(s.vault_id, w.vault_id, ID_LEN);
	memcpy(s.machine_id, w.machine_id, ID_LEN);
	memcpy(s.domain_id, w.domain_id, DIGEST_LEN);
	memcpy(s.image_id, w.image_id, ID_LEN);
	memcpy(s.label_digest, label_digest, DIGEST_LEN);
	digest(index.p, index.len, d);
	digest(d, DIGEST_LEN, s.index_digest);
	return golden("disk_statement", &disk_statement_schema, &s, w.machine_secret);
}

static void
image_root(const uint8_t envelope[DIGEST_LEN], uint8_t out[DIGEST_LEN])
{
	uint8_t b[32 + 2 * ID_LEN + 4 + 2 * DIGEST_LEN] = "samara root v1";

	memcpy(b + 32, w.vault_id, ID_LEN);
	memcpy(b + 48, w.image_id, ID_LEN);
	le32_put(b + 64, 1);
	memcpy(b + 68, envelope, DIGEST_LEN);
	digest(b, sizeof(b), out);
}

static struct fmt_view
make_manifest(struct fmt_view stmt, struct fmt_view envelope)
{
	static uint8_t disks[MANIFEST_DISK_LEN], env[DIGEST_LEN];
	struct wr out = { .p = disks, .left = sizeof(disks) };
	struct manifest m = { .short_name = "RM4K", .generation = 1, .disks = { disks, sizeof(disks) },
		.envelopes = { env, sizeof(env) }, .leans_on = { env, 0 }, .key_tested = 1, .sealed = CREATED + 30 };
	struct manifest_disk d = { .disk = 1 };

	digest(stmt.p, stmt.len - SIGN_LEN, d.statement);
	element_put(manifest_disk_fields, manifest_disk_nfields, &out, &d);
	digest(envelope.p, envelope.len - SIGN_LEN, env);
	memcpy(m.vault_id, w.vault_id, ID_LEN);
	memcpy(m.machine_id, w.machine_id, ID_LEN);
	memcpy(m.domain_id, w.domain_id, DIGEST_LEN);
	memcpy(m.image_id, w.image_id, ID_LEN);
	image_root(env, m.root);
	return golden("manifest", &manifest_schema, &m, w.machine_secret);
}

static void
make_packs(void)
{
	make_pack(&packs[0], 0, w.machine_id, w.machine_secret, chunks, 2);
	make_pack(&packs[1], 0, w.machine_id, w.machine_secret, chunks + 2, 2);
	save("frame.bin", chunks[0].frame, chunks[0].row.len);
	save("pack.bin", packs[0].b, packs[0].len);
	for (size_t i = 0; i < 4; i++) {
		memcpy(chunks[i].row.writer, w.machine_id, ID_LEN);
		memcpy(chunks[i].row.origin, packs[i / 2].id, DIGEST_LEN);
	}
	make_pack(&packs[2], PACK_REPACKED, w.vault_id, w.vault_secret, chunks, 4);
	save("pack-repacked.bin", packs[2].b, packs[2].len);
}

#define IMAGE	"image/samara/rm4k"

static void
image_directories(void)
{
	static const char *const dirs[] = { "image", "image/samara", IMAGE, IMAGE "/index", IMAGE "/index2", IMAGE "/keys",
		IMAGE "/keys2", IMAGE "/snap", IMAGE "/snap2", IMAGE "/packs", IMAGE "/packs/0000", IMAGE "/custody",
		IMAGE "/manif", IMAGE "/manif2" };
	static const char readme[] = "This disk carries an image of samara.\n";

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		directory(dirs[i]);
	save("image/samara/README.txt", readme, sizeof(readme) - 1);
}

static void
make_image(struct fmt_view envelope, struct fmt_view refs, struct fmt_view custody)
{
	struct index_part part = { 0 };
	uint8_t label_digest[DIGEST_LEN];
	struct fmt_view label = make_label(label_digest), index = make_index(&part);
	struct fmt_view stmt = make_statement(label_digest, index, &part), manifest = make_manifest(stmt, envelope);

	image_directories();
	save_twice(IMAGE "/label", IMAGE "/label2", label.p, label.len);
	save_twice(IMAGE "/stmt", IMAGE "/stmt2", stmt.p, stmt.len);
	save_twice(IMAGE "/index/p0000", IMAGE "/index2/p0000", index.p, index.len);
	save_twice(IMAGE "/manif/g0001", IMAGE "/manif2/g0001", manifest.p, manifest.len);
	save_twice(IMAGE "/snap/00000000.env", IMAGE "/snap2/00000000.env", envelope.p, envelope.len);
	save_twice(IMAGE "/snap/00000000.r00", IMAGE "/snap2/00000000.r00", refs.p, refs.len);
	save_twice(IMAGE "/keys/slots", IMAGE "/keys2/slots", keys_bytes.p, keys_bytes.len);
	save_twice(IMAGE "/keys/regist", IMAGE "/keys2/regist", regist_bytes.p, regist_bytes.len);
	save_twice(IMAGE "/keys/domain", IMAGE "/keys2/domain", domain_bytes.p, domain_bytes.len);
	save_twice(IMAGE "/keys/member", IMAGE "/keys2/member", member_bytes.p, member_bytes.len);
	save(IMAGE "/packs/0000/00000000.pk", packs[0].b, packs[0].len);
	save(IMAGE "/packs/0000/00000001.pk", packs[1].b, packs[1].len);
	save(IMAGE "/custody/00000001", custody.p, custody.len);
}

void
make_golden_image(void)
{
	uint8_t noise[301], even[1000];
	struct fmt_view envelope, refs;

	rising(noise, sizeof(noise), 7);
	memset(even, 'a', sizeof(even));
	seal(&chunks[0], KIND_BUNDLE, 0, noise, sizeof(noise), 0);
	seal(&chunks[1], KIND_DATA, 1, even, sizeof(even), 1);
	make_leaf();
	envelope = make_snapshot();
	refs = make_refs();
	make_packs();
	make_image(envelope, refs, make_custody());
}
