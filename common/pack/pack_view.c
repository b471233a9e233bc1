#include <string.h>

#include "common/base/err.h"
#include "common/chunk/codec.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"
#include "common/pack/pack_view.h"

static int
status_err(struct err *e, const char *what, enum fmt_status st)
{
	return err_set(e, st == FMT_VERSION ? ERR_VERSION : ERR_FORMAT, "%s of a pack: %s", what, fmt_status_text(st));
}

/* Footer by itself: form and checksum. */
static int
foot_open(struct pack_foot *f, const uint8_t in[PACK_FOOT_LEN], struct err *e)
{
	enum fmt_status st = pack_foot_decode(f, in, PACK_FOOT_LEN);

	if (st != FMT_OK)
		return status_err(e, "footer", st);
	if (checksum(in, PACK_FOOT_SUMMED) != f->xxh)
		return err_set(e, ERR_DAMAGE, "footer of a pack: its checksum does not agree");
	return 0;
}

/* Table by itself, and that it is the one the footer speaks of. */
static int
table_open(struct pack_view *v, const uint8_t *in, size_t len, struct err *e)
{
	uint8_t digest[DIGEST_LEN];
	enum fmt_status st;

	if (len != v->foot.table_len)
		return err_set(e, ERR_FORMAT, "table of a pack: it has %zu bytes, its footer says %u", len,
		    v->foot.table_len);
	hash_once(in, len, digest);
	if (memcmp(digest, v->foot.pack_id, DIGEST_LEN) != 0)
		return err_set(e, ERR_DAMAGE, "table of a pack: its digest is not the one in the footer");
	if ((st = pack_table_decode(&v->table, in, len)) != FMT_OK)
		return status_err(e, "table", st);
	if (v->table.count != v->foot.count || v->table.body_len != v->foot.body_len ||
	    memcmp(v->table.head.domain_id, v->foot.domain_id, DIGEST_LEN) != 0 ||
	    memcmp(v->table.head.maker, v->foot.maker, ID_LEN) != 0)
		return err_set(e, ERR_FORMAT, "table of a pack: it contradicts its footer");
	return 0;
}

static int
view_fill(struct pack_view *v, const uint8_t *table, size_t table_len, const uint8_t *foot, const uint8_t *maker,
    const uint8_t *pub, struct err *e)
{
	if (foot_open(&v->foot, foot, e) != 0 || table_open(v, table, table_len, e) != 0)
		return -1;
	if (maker != NULL && memcmp(maker, v->foot.maker, ID_LEN) != 0)
		return err_set(e, ERR_SIGNATURE, "a pack: it was made by another machine or vault");
	if (pub != NULL && !sign_check(v->foot.sig, pub, PACK_CONTEXT, foot, PACK_FOOT_SIGNED))
		return err_set(e, ERR_SIGNATURE, "a pack: it is not signed by who should have signed it");
	v->file_len = PACK_HEAD_LEN + v->foot.body_len + v->foot.table_len + PACK_FOOT_LEN;
	return 0;
}

int
pack_view_open(struct pack_view *v, const uint8_t *table, size_t table_len, const uint8_t foot[PACK_FOOT_LEN],
    const uint8_t *maker, const uint8_t *pub, struct err *e)
{
	memset(v, 0, sizeof(*v));
	if (view_fill(v, table, table_len, foot, maker, pub, e) == 0)
		return 0;
	memset(v, 0, sizeof(*v));
	return -1;
}

int
pack_view_bytes(struct pack_view *v, const uint8_t *in, size_t len, const uint8_t *maker, const uint8_t *pub,
    struct err *e)
{
	struct pack_foot f;
	const uint8_t *table;

	memset(v, 0, sizeof(*v));
	if (len < 2 * PACK_HEAD_LEN + PACK_FOOT_LEN || len > PACK_LEN_MAX)
		return err_set(e, ERR_FORMAT, "a pack: no pack has %zu bytes", len);
	if (foot_open(&f, in + len - PACK_FOOT_LEN, e) != 0)
		return -1;
	if ((uint64_t)PACK_HEAD_LEN + f.body_len + f.table_len + PACK_FOOT_LEN != len)
		return err_set(e, ERR_FORMAT, "a pack: it has %zu bytes, its footer says otherwise", len);
	table = in + PACK_HEAD_LEN + f.body_len;
	if (pack_view_open(v, table, f.table_len, in + len - PACK_FOOT_LEN, maker, pub, e) != 0)
		return -1;
	if (memcmp(in, table, PACK_HEAD_LEN) == 0)
		return 0;
	memset(v, 0, sizeof(*v));
	return err_set(e, ERR_DAMAGE, "a pack: its header is not the one in its table");
}

const char *
pack_frame_check(const struct pack_row *row, const uint8_t *frame, const uint8_t domain_id[DIGEST_LEN],
    enum pack_depth depth)
{
	uint8_t digest[DIGEST_LEN];
	struct frame f;

	if (frame_decode(&f, frame, row->len) != FMT_OK)
		return "it is no chunk";
	if (checksum(frame, row->len - 8) != f.xxh)
		return "its checksum does not agree";
	if (f.xxh != row->xxh || memcmp(f.id, row->id, DIGEST_LEN) != 0 || f.kind != row->kind)
		return "it is not the chunk that the table names";
	if (memcmp(f.domain_id, domain_id, DIGEST_LEN) != 0)
		return "it belongs to another key domain";
	if (depth == PACK_QUICK)
		return NULL;
	hash_once(frame, row->len, digest);
	if (memcmp(digest, row->digest, DIGEST_LEN) != 0)
		return "its digest is not the one in the signed table";
	return NULL;
}
