#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/flow/ingest_repack.h"
#include "common/pack/pack_build.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

struct repack {
	struct ingest *g;
	uint8_t *bytes, *out;		/* frames one behind the other; the finished pack */
	struct pack_frame *frames;
	uint32_t count, cap;
	uint64_t len;
	struct pack_view view;
	uint32_t *offs;			/* of the frames of the source in hand */
	size_t offs_cap;
	int origin_put;
};

struct repack *
repack_new(struct ingest *g, struct err *e)
{
	struct repack *r = calloc(1, sizeof(*r));

	if (r == NULL || (r->bytes = malloc(PACK_LEN_MAX)) == NULL ||
	    (r->out = aligned_alloc(4096, PACK_LEN_MAX)) == NULL) {
		(void)err_set(e, ERR_MEMORY, "no memory for re-packing");
		repack_free(r);
		return NULL;
	}
	r->g = g;
	return r;
}

void
repack_free(struct repack *r)
{
	if (r == NULL)
		return;
	free(r->bytes);
	free(r->out);
	free(r->frames);
	free(r->offs);
	free(r);
}

int
repack_source(struct repack *r, const struct pack_slot *s, struct err *e)
{
	uint32_t off = PACK_HEAD_LEN;

	if (s->view.table.count > r->offs_cap) {
		uint32_t *more = realloc(r->offs, s->view.table.count * sizeof(*more));

		if (more == NULL)
			return err_set(e, ERR_MEMORY, "no memory for re-packing");
		r->offs = more;
		r->offs_cap = s->view.table.count;
	}
	for (uint32_t i = 0; i < s->view.table.count; i++) {
		struct pack_row row;

		pack_table_row(&s->view.table, i, &row);
		r->offs[i] = off;
		off += row.len;
	}
	r->origin_put = 0;
	return 0;
}

int
repack_fits(const struct repack *r, const struct pack_slot *s, uint32_t i)
{
	struct pack_row row;

	pack_table_row(&s->view.table, i, &row);
	return r->count < PACK_FRAMES_MAX && pack_rebuild_len(r->count + 1, r->len + row.len) <= PACK_LEN_MAX;
}

/* Table and footer of the pack that the frames come from: what their signatures stand on. */
static int
origin_put(struct repack *r, const struct pack_slot *s, struct err *e)
{
	char name[VAULT_NAME_MAX];
	struct buf b;
	int rc;

	if (r->origin_put)
		return 0;
	vault_name_origin(name, s->view.foot.pack_id);
	buf_init(&b);
	buf_add(&b, s->table, s->table_len);
	buf_add(&b, s->foot, PACK_FOOT_LEN);
	if ((rc = buf_check(&b, e)) == 0)
		rc = r->g->v->store->ops->put_new(r->g->v->store, name, b.p, b.len, e);
	buf_release(&b);
	r->origin_put = rc >= 0;
	return rc < 0 ? -1 : 0;
}

int
repack_add(struct repack *r, const struct pack_slot *s, uint32_t i, struct err *e)
{
	struct pack_frame *f;

	if (origin_put(r, s, e) != 0)
		return -1;
	if (r->count == r->cap) {
		uint32_t cap = r->cap == 0 ? 256 : r->cap * 2;

		if ((f = realloc(r->frames, cap * sizeof(*f))) == NULL)
			return err_set(e, ERR_MEMORY, "no memory for re-packing");
		r->frames = f;
		r->cap = cap;
	}
	f = &r->frames[r->count++];
	pack_table_row(&s->view.table, i, &f->row);
	memcpy(f->row.writer, s->view.foot.maker, ID_LEN);
	memcpy(f->row.origin, s->view.foot.pack_id, DIGEST_LEN);
	memcpy(r->bytes + r->len, s->pack + r->offs[i], f->row.len);
	f->bytes = r->bytes + r->len;
	r->len += f->row.len;
	return 0;
}

int
repack_finish(struct repack *r, const struct pack_view **view, struct pack_put *put, struct err *e)
{
	const struct vault *v = r->g->v;
	struct pack_info info;

	*view = NULL;
	if (r->count == 0)
		return 0;
	pack_rebuild(r->g->st.domain_id, v->desc.vault_id, v->sign_secret, r->frames, r->count, r->out, &info);
	if (pack_view_bytes(&r->view, r->out, info.len, v->desc.vault_id, NULL, e) != 0)
		return err_during(e, "re-pack");
	if (pack_put(v->store, info.id, r->out, info.len, put, e) != 0)
		return -1;
	r->count = 0;
	r->len = 0;
	*view = &r->view;
	return 0;
}
