#include "formats/fmt_listing.h"

static const char leaf_magic[8] = { 'S', 'A', 'M', 'L', 'I', 'S', 'T', '\n' };
static const char node_magic[8] = { 'S', 'A', 'M', 'L', 'I', 'D', 'X', '\n' };
static const char spill_magic[8] = { 'S', 'A', 'M', 'S', 'P', 'I', 'L', '\n' };

#define NODE_ROW_MIN	(DIGEST_LEN + 8 + 2 + 1 + 1)	/* a row for "/" */
#define ENTRY_FIXED	(1 + 1 + 2 + 4 + 4 + 4 + 8 + 4 + 8 + 4 + 8 + 8 + 4 + 2 + 4 + 4)

void
extent_get(const uint8_t in[EXTENT_LEN], struct extent *x)
{
	memcpy(x->id, in, DIGEST_LEN);
	x->offset = le32_get(in + DIGEST_LEN);
	x->len = le64_get(in + DIGEST_LEN + 4);
}

void
extent_put(uint8_t out[EXTENT_LEN], const struct extent *x)
{
	memcpy(out, x->id, DIGEST_LEN);
	le32_put(out + DIGEST_LEN, x->offset);
	le64_put(out + DIGEST_LEN + 4, x->len);
}

static void
view_rd(struct rd *r, size_t n, struct fmt_view *v)
{
	v->p = rd_bytes(r, n);
	v->len = v->p != NULL ? (uint32_t)n : 0;
}

enum fmt_status
xattr_next(struct rd *r, struct fmt_view *name, struct fmt_view *value)
{
	uint32_t n;

	view_rd(r, rd_u8(r), name);
	n = rd_u32(r);
	if (!r->bad && (n > XATTR_VALUE_MAX || name->len == 0 || memchr(name->p, 0, name->len) != NULL))
		return FMT_RANGE;
	view_rd(r, n, value);
	return r->bad ? FMT_SHORT : FMT_OK;
}

void
xattr_put(struct wr *w, struct fmt_view name, struct fmt_view value)
{
	if (name.len == 0 || name.len > XATTR_NAME_MAX_LEN || memchr(name.p, 0, name.len) != NULL ||
	    value.len > XATTR_VALUE_MAX) {
		w->bad = true;
		return;
	}
	wr_u8(w, (uint8_t)name.len);
	wr_bytes(w, name.p, name.len);
	wr_u32(w, value.len);
	wr_bytes(w, value.p, value.len);
}

bool
name_is_valid(struct fmt_view name)
{
	if (name.len == 0 || name.len > NAME_LEN_MAX)
		return false;
	if (memchr(name.p, 0, name.len) != NULL || memchr(name.p, '/', name.len) != NULL)
		return false;
	if (name.p[0] == '.' && (name.len == 1 || (name.len == 2 && name.p[1] == '.')))
		return false;
	return true;
}

bool
path_is_valid(struct fmt_view path)
{
	const uint8_t *p, *end, *slash;

	if (path.len == 0 || path.len > PATH_LEN_MAX || path.p[0] != '/')
		return false;
	if (path.len == 1)
		return true;
	end = path.p + path.len;
	for (p = path.p + 1; p <= end; p = slash + 1) {
		slash = p < end ? memchr(p, '/', (size_t)(end - p)) : NULL;
		if (slash == NULL)
			slash = end;
		if (!name_is_valid(view_of(p, (size_t)(slash - p))))
			return false;
	}
	return true;
}

int
name_order(struct fmt_view a, struct fmt_view b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int c = n > 0 ? memcmp(a.p, b.p, n) : 0;

	return c != 0 ? c : (a.len > b.len) - (a.len < b.len);
}

int
path_order(struct fmt_view a, struct fmt_view b)
{
	size_t n = a.len < b.len ? a.len : b.len, i;
	unsigned x, y;

	if (a.len == 1 || b.len == 1)		/* "/" is above all */
		return (a.len > 1) - (b.len > 1);
	for (i = 0; i < n && a.p[i] == b.p[i]; i++)
		;
	if (i == n)
		return (a.len > b.len) - (a.len < b.len);
	x = a.p[i] == '/' ? 0 : a.p[i];
	y = b.p[i] == '/' ? 0 : b.p[i];
	return (x > y) - (x < y);
}

static enum fmt_status
xattrs_check(struct fmt_view v)
{
	struct rd r = { .p = v.p, .left = v.len };
	struct fmt_view name, value, last = { 0 };
	enum fmt_status st;

	for (uint32_t n = 0; r.left > 0; n++) {
		if (n >= XATTRS_MAX)
			return FMT_RANGE;
		if ((st = xattr_next(&r, &name, &value)) != FMT_OK)
			return FMT_RANGE;
		if (n > 0 && name_order(last, name) >= 0)
			return FMT_ORDER;
		last = name;
	}
	return FMT_OK;
}

static enum fmt_status
extents_check(const struct entry *e)
{
	struct extent x;
	uint64_t sum = 0;

	if (e->extents.len % EXTENT_LEN != 0)
		return FMT_RANGE;
	for (size_t i = 0; i < e->extents.len / EXTENT_LEN; i++) {
		extent_get(e->extents.p + i * EXTENT_LEN, &x);
		if (x.len == 0 || x.len > (uint64_t)INT64_MAX - sum)
			return FMT_RANGE;
		if (extent_is_hole(&x) ? x.offset != 0 :
		    x.offset > CHUNK_PLAIN_MAX || x.len > CHUNK_PLAIN_MAX - x.offset)
			return FMT_RANGE;
		sum += x.len;
	}
	if ((e->longs & LONG_EXTENTS) == 0 && sum != e->size)
		return FMT_CONTRADICTION;
	return FMT_OK;
}

static enum fmt_status
spill_read(struct rd *r, struct spill *s)
{
	s->levels = rd_u8(r);
	s->len = rd_u64(r);
	rd_copy(r, s->id, DIGEST_LEN);
	return r->bad ? FMT_SHORT : FMT_OK;
}

static bool
spill_fits(const struct spill *s)
{
	return s->levels <= SPILL_LEVELS_MAX && s->len > 0 && s->len <= SPILL_LEN_MAX;
}

/* What stands below an entry, beside the entry itself. */
static enum fmt_status
longs_check(const struct entry *e)
{
	if ((e->longs & ~(LONG_EXTENTS | LONG_XATTRS)) != 0)
		return FMT_RANGE;
	if (((e->longs & LONG_EXTENTS) != 0 && e->extents.len != 0) ||
	    ((e->longs & LONG_XATTRS) != 0 && e->xattrs.len != 0))
		return FMT_CONTRADICTION;
	if ((e->longs & LONG_EXTENTS) != 0 &&
	    (!spill_fits(&e->long_extents) || e->long_extents.len % EXTENT_LEN != 0))
		return FMT_RANGE;
	return (e->longs & LONG_XATTRS) != 0 && !spill_fits(&e->long_xattrs) ? FMT_RANGE : FMT_OK;
}

static enum fmt_status
entry_check(const struct entry *e)
{
	enum fmt_status st;

	if (e->type == 0 || e->type > ENTRY_TYPE_MAX || (e->flags & ~ENTRY_FLAGS) != 0 || e->mode > 07777 ||
	    e->mtime_ns > 999999999 || e->ctime_ns > 999999999 || e->size > (uint64_t)INT64_MAX)
		return FMT_RANGE;
	if (!name_is_valid(e->name) || e->target.len > LINK_LEN_MAX)
		return FMT_RANGE;
	if (e->type != ENTRY_FILE && (e->size != 0 || e->extents.len != 0 || (e->longs & LONG_EXTENTS) != 0))
		return FMT_CONTRADICTION;
	if ((e->type == ENTRY_SYMLINK) != (e->target.len > 0))
		return FMT_CONTRADICTION;
	if (e->target.len > 0 && memchr(e->target.p, 0, e->target.len) != NULL)
		return FMT_RANGE;
	if ((st = longs_check(e)) != FMT_OK)
		return st;
	if ((st = xattrs_check(e->xattrs)) != FMT_OK)
		return st;
	return extents_check(e);
}

/* Read what stands in exactly ${len} bytes. */
static enum fmt_status
entry_read(const uint8_t *in, size_t len, struct entry *e)
{
	struct rd r = { .p = in, .left = len };
	uint32_t n;
	enum fmt_status st;

	e->type = rd_u8(&r);
	e->longs = rd_u8(&r);
	e->flags = rd_u16(&r);
	e->mode = rd_u32(&r);
	e->uid = rd_u32(&r);
	e->gid = rd_u32(&r);
	e->mtime_s = rd_i64(&r);
	e->mtime_ns = rd_u32(&r);
	e->ctime_s = rd_i64(&r);
	e->ctime_ns = rd_u32(&r);
	e->size = rd_u64(&r);
	e->inode = rd_u64(&r);
	e->nlink = rd_u32(&r);
	e->fs = rd_u16(&r);
	e->major = rd_u32(&r);
	e->minor = rd_u32(&r);
	view_rd(&r, rd_u8(&r), &e->name);
	view_rd(&r, rd_u8(&r), &e->user);
	view_rd(&r, rd_u8(&r), &e->group);
	view_rd(&r, rd_u16(&r), &e->target);
	view_rd(&r, rd_u32(&r), &e->xattrs);
	n = rd_u32(&r);
	if (n > len / EXTENT_LEN)
		return FMT_SHORT;
	view_rd(&r, (size_t)n * EXTENT_LEN, &e->extents);
	if (r.bad)
		return FMT_SHORT;
	if ((e->longs & LONG_EXTENTS) != 0 && (st = spill_read(&r, &e->long_extents)) != FMT_OK)
		return st;
	if ((e->longs & LONG_XATTRS) != 0 && (st = spill_read(&r, &e->long_xattrs)) != FMT_OK)
		return st;
	if (r.left != 0)
		return FMT_TRAILING;
	return entry_check(e);
}

static enum fmt_status
item_read(struct rd *r, struct item *it)
{
	uint32_t n;
	const uint8_t *p;

	it->tag = rd_u8(r);
	if (r->bad)
		return FMT_SHORT;
	if (it->tag == ITEM_DIR) {
		view_rd(r, rd_u16(r), &it->path);
		if (r->bad)
			return FMT_SHORT;
		return path_is_valid(it->path) ? FMT_OK : FMT_RANGE;
	}
	if (it->tag != ITEM_ENTRY)
		return FMT_RANGE;
	n = rd_u32(r);
	if (!r->bad && n > ENTRY_LEN_MAX)
		return FMT_RANGE;
	p = rd_bytes(r, n);
	if (p == NULL)
		return FMT_SHORT;
	return entry_read(p, n, &it->entry);
}

enum fmt_status
item_next(struct rd *r, struct item *it)
{
	enum fmt_status st;

	memset(it, 0, sizeof(*it));
	if ((st = item_read(r, it)) != FMT_OK)
		memset(it, 0, sizeof(*it));
	return st;
}

static void
spill_write(struct wr *w, const struct spill *s)
{
	wr_u8(w, s->levels);
	wr_u64(w, s->len);
	wr_bytes(w, s->id, DIGEST_LEN);
}

size_t
item_entry_size(const struct entry *e)
{
	return 1 + 4 + ENTRY_FIXED + 1 + e->name.len + 1 + e->user.len + 1 + e->group.len + 2 + e->target.len +
	    4 + e->xattrs.len + 4 + e->extents.len +
	    ((e->longs & LONG_EXTENTS) != 0 ? 9 + DIGEST_LEN : 0) + ((e->longs & LONG_XATTRS) != 0 ? 9 + DIGEST_LEN : 0);
}

void
item_entry_put(struct wr *w, const struct entry *e)
{
	size_t n = item_entry_size(e);

	if (n - 5 > ENTRY_LEN_MAX || n > w->left || e->user.len > 255 || e->group.len > 255 || entry_check(e) != FMT_OK) {
		w->bad = true;
		return;
	}
	wr_u8(w, ITEM_ENTRY);
	wr_u32(w, (uint32_t)(n - 5));
	wr_u8(w, e->type);
	wr_u8(w, e->longs);
	wr_u16(w, e->flags);
	wr_u32(w, e->mode);
	wr_u32(w, e->uid);
	wr_u32(w, e->gid);
	wr_u64(w, (uint64_t)e->mtime_s);
	wr_u32(w, e->mtime_ns);
	wr_u64(w, (uint64_t)e->ctime_s);
	wr_u32(w, e->ctime_ns);
	wr_u64(w, e->size);
	wr_u64(w, e->inode);
	wr_u32(w, e->nlink);
	wr_u16(w, e->fs);
	wr_u32(w, e->major);
	wr_u32(w, e->minor);
	wr_u8(w, (uint8_t)e->name.len);
	wr_bytes(w, e->name.p, e->name.len);
	wr_u8(w, (uint8_t)e->user.len);
	wr_bytes(w, e->user.p, e->user.len);
	wr_u8(w, (uint8_t)e->group.len);
	wr_bytes(w, e->group.p, e->group.len);
	wr_u16(w, (uint16_t)e->target.len);
	wr_bytes(w, e->target.p, e->target.len);
	wr_u32(w, e->xattrs.len);
	wr_bytes(w, e->xattrs.p, e->xattrs.len);
	wr_u32(w, e->extents.len / EXTENT_LEN);
	wr_bytes(w, e->extents.p, e->extents.len);
	if ((e->longs & LONG_EXTENTS) != 0)
		spill_write(w, &e->long_extents);
	if ((e->longs & LONG_XATTRS) != 0)
		spill_write(w, &e->long_xattrs);
}

void
item_dir_put(struct wr *w, struct fmt_view path)
{
	if (!path_is_valid(path)) {
		w->bad = true;
		return;
	}
	wr_u8(w, ITEM_DIR);
	wr_u16(w, (uint16_t)path.len);
	wr_bytes(w, path.p, path.len);
}

/* The 16-byte head that leaves, nodes and spill nodes share. */
static enum fmt_status
head_decode(const char magic[8], const uint8_t *in, size_t len, struct rd *r, uint16_t *level, uint32_t *n)
{
	const uint8_t *m;
	uint16_t version;

	*r = (struct rd){ .p = in, .left = len };
	m = rd_bytes(r, 8);
	version = rd_u16(r);
	*level = rd_u16(r);
	*n = rd_u32(r);
	if (r->bad)
		return FMT_SHORT;
	if (memcmp(m, magic, 8) != 0)
		return FMT_MAGIC;
	return version != 1 ? FMT_VERSION : FMT_OK;
}

static void
head_encode(const char magic[8], uint8_t out[16], unsigned level, uint32_t n)
{
	memcpy(out, magic, 8);
	le16_put(out + 8, 1);
	le16_put(out + 10, (uint16_t)level);
	le32_put(out + 12, n);
}

enum fmt_status
leaf_decode(const uint8_t *in, size_t len, struct rd *r, uint32_t *n)
{
	uint16_t zero;
	enum fmt_status st = head_decode(leaf_magic, in, len, r, &zero, n);

	if (st != FMT_OK)
		return st;
	if (zero != 0 || len > LISTING_CHUNK_MAX || *n > len)
		return FMT_RANGE;
	if (*n > 0 && (r->left == 0 || r->p[0] != ITEM_DIR))
		return FMT_CONTRADICTION;
	return FMT_OK;
}

void
leaf_head_encode(uint8_t out[LEAF_HEAD_LEN], uint32_t items)
{
	head_encode(leaf_magic, out, 0, items);
}

enum fmt_status
node_decode(const uint8_t *in, size_t len, struct rd *r, unsigned *level, uint32_t *n)
{
	uint16_t l;
	enum fmt_status st = head_decode(node_magic, in, len, r, &l, n);

	if (st != FMT_OK)
		return st;
	*level = l;
	return l == 0 || l > LISTING_LEVELS_MAX || *n == 0 || len > LISTING_CHUNK_MAX || *n > len / NODE_ROW_MIN ? FMT_RANGE : FMT_OK;
}

void
node_head_encode(uint8_t out[NODE_HEAD_LEN], unsigned level, uint32_t rows)
{
	head_encode(node_magic, out, level, rows);
}

static bool
index_row_fits(const struct index_row *row)
{
	return path_is_valid(row->path) && (row->name.len == 0 || name_is_valid(row->name));
}

enum fmt_status
index_row_next(struct rd *r, struct index_row *row)
{
	enum fmt_status st;

	memset(row, 0, sizeof(*row));
	rd_copy(r, row->child, DIGEST_LEN);
	row->entries = rd_u64(r);
	view_rd(r, rd_u16(r), &row->path);
	view_rd(r, rd_u8(r), &row->name);
	st = r->bad ? FMT_SHORT : index_row_fits(row) ? FMT_OK : FMT_RANGE;
	if (st != FMT_OK)
		memset(row, 0, sizeof(*row));
	return st;
}

void
index_row_put(struct wr *w, const struct index_row *row)
{
	if (!index_row_fits(row)) {
		w->bad = true;
		return;
	}
	wr_bytes(w, row->child, DIGEST_LEN);
	wr_u64(w, row->entries);
	wr_u16(w, (uint16_t)row->path.len);
	wr_bytes(w, row->path.p, row->path.len);
	wr_u8(w, (uint8_t)row->name.len);
	wr_bytes(w, row->name.p, row->name.len);
}

enum fmt_status
spill_node_decode(const uint8_t *in, size_t len, struct rd *r, unsigned *level, uint32_t *n)
{
	uint16_t l;
	enum fmt_status st = head_decode(spill_magic, in, len, r, &l, n);

	if (st != FMT_OK)
		return st;
	*level = l;
	if (l == 0 || l > SPILL_LEVELS_MAX || *n == 0 || len > LISTING_CHUNK_MAX)
		return FMT_RANGE;
	return r->left == (uint64_t)*n * SPILL_ROW_LEN ? FMT_OK : FMT_CONTRADICTION;
}

void
spill_node_head_encode(uint8_t out[NODE_HEAD_LEN], unsigned level, uint32_t rows)
{
	head_encode(spill_magic, out, level, rows);
}
