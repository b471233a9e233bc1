/* Reading what an export needs out of the vault's packs, and re-packing it. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/progress.h"
#include "common/base/stop.h"
#include "common/flow/export_job.h"
#include "common/pack/pack_build.h"
#include "common/pack/pack_view.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

#define PLACE_ID	24u

struct packing {
	struct exporting *x;
	uint8_t *in, *bytes, *out;	/* the pack in hand; frames one behind the other; the finished pack */
	struct pack_frame *frames;
	uint32_t count, cap;
	uint64_t len;
};

/* Sign what was gathered, and write it. */
static int
pack_finish(struct packing *p, struct err *e)
{
	const struct vault *v = p->x->v;
	struct pack_info info;

	if (p->count == 0)
		return 0;
	if (export_room(p->x, (uint32_t)pack_rebuild_len(p->count, p->len), PACK_HEAD_LEN + p->count * PACK_ROW_REPACKED_LEN, e) != 0)
		return -1;
	pack_rebuild(p->x->machine.domain_id, v->desc.vault_id, v->sign_secret, p->frames, p->count, p->out, &info);
	p->count = 0;
	p->len = 0;
	return export_put(p->x, p->out, info.len, info.table_len, e);
}

static int
frame_add(struct packing *p, const struct pack_view *v, const struct pack_row *row, const uint8_t *frame, struct err *e)
{
	struct pack_frame *f;

	if ((p->count == PACK_FRAMES_MAX || pack_rebuild_len(p->count + 1, p->len + row->len) > PACK_LEN_MAX) &&
	    pack_finish(p, e) != 0)
		return -1;
	if (p->count == p->cap) {
		uint32_t cap = p->cap == 0 ? 256 : p->cap * 2;

		if ((f = realloc(p->frames, cap * sizeof(*f))) == NULL)
			return err_errno(e, "re-packing");
		p->frames = f;
		p->cap = cap;
	}
	f = &p->frames[p->count++];
	f->row = *row;
	if ((v->table.head.flags & PACK_REPACKED) == 0) {
		memcpy(f->row.writer, v->foot.maker, ID_LEN);
		memcpy(f->row.origin, v->foot.pack_id, DIGEST_LEN);
	}
	memcpy(p->bytes + p->len, frame, row->len);
	f->bytes = p->bytes + p->len;
	p->len += row->len;
	return 0;
}

/* Is it what its name says, made by the machine's or the vault's key?  0 with ${v}, or -1 with ${e}. */
static int
pack_believe(const struct exporting *x, const uint8_t *in, size_t len, const struct export_pack *at, struct pack_view *v,
    struct err *e)
{
	struct err mine;
	int rc;

	err_clear(&mine);
	rc = pack_view_bytes(v, in, len, x->v->desc.vault_id, x->v->desc.sign_pub, NULL);
	/* Another machine of the key domain may have written it: its table then only counts by the checks of a restore. */
	for (size_t i = 0; i < x->nkeys && rc != 0; i++)
		rc = pack_view_bytes(v, in, len, NULL, x->keys[i].pub, i == 0 ? &mine : NULL);
	if (rc != 0) {
		if (e != NULL)
			*e = mine;
		return -1;
	}
	if (memcmp(v->foot.pack_id, at->id, DIGEST_LEN) != 0 || memcmp(v->foot.domain_id, x->machine.domain_id, DIGEST_LEN) != 0)
		return err_set(e, ERR_DAMAGE, "it is another pack than its name says");
	return 0;
}

static int
by_beginning(const void *a, const void *b)
{
	return memcmp(a, b, PLACE_ID);
}

static int
is_wanted(const uint8_t *ids, size_t n, const uint8_t id[DIGEST_LEN])
{
	return bsearch(id, ids, n, PLACE_ID, by_beginning) != NULL;
}

/* The wanted frames of one pack: ${ids} are ${n} beginnings of ids, rising. */
static int
pack_take(struct packing *p, const struct export_pack *at, const uint8_t *ids, size_t n, struct err *e)
{
	struct exporting *x = p->x;
	uint64_t off = PACK_HEAD_LEN;
	char name[VAULT_NAME_MAX];
	struct pack_view v;
	struct pack_row row;
	struct err mine;
	size_t got = 0, had = 0;

	err_clear(&mine);
	vault_name_pack(name, at->id, at->copy);
	progress_item(name, strlen(name));
	if (x->v->store->ops->get(x->v->store, name, 0, p->in, PACK_LEN_MAX + 1, &got, &mine) != 0 ||
	    pack_believe(x, p->in, got, at, &v, &mine) != 0) {
		say_warn("%s: %s", name, mine.msg);
		x->r->bad += n;
		return 0;
	}
	for (uint32_t i = 0; i < v.table.count; i++, off += row.len) {
		const char *why;

		pack_table_row(&v.table, i, &row);
		if (!is_wanted(ids, n, row.id))
			continue;
		had++;
		why = off > got || row.len > got - off ? "the pack ends before it" :
		    pack_frame_check(&row, p->in + off, v.table.head.domain_id, PACK_FULL);
		if (why != NULL) {
			say_warn("%s: chunk %02x%02x%02x%02x: %s", name, row.id[0], row.id[1], row.id[2], row.id[3], why);
			x->r->bad++;
			continue;
		}
		if (frame_add(p, &v, &row, p->in + off, e) != 0)
			return -1;
	}
	if (had < n)
		x->r->bad += n - had;
	progress_add(got, 1);
	return 0;
}

/* All that is planned, pack by pack, in the order in which the vault got them. */
static int
packs_each(struct packing *p, struct err *e)
{
	uint8_t *ids = malloc((size_t)PACK_FRAMES_MAX * PLACE_ID), key[DIGEST_LEN], now[8];
	const struct export_pack *at;
	size_t n = 0;
	int have, rc = ids == NULL ? err_errno(e, "re-packing") : id_sorter_rewind(p->x->places, e);

	have = rc == 0 ? id_sorter_next(p->x->places, key, e) : 0;
	while (rc == 0 && have == 1) {
		uint64_t number = 0;

		memcpy(now, key, 8);
		for (n = 0; have == 1 && memcmp(now, key, 8) == 0; have = id_sorter_next(p->x->places, key, e))
			if (n < PACK_FRAMES_MAX)
				memcpy(ids + n++ * PLACE_ID, key + 8, PLACE_ID);
		for (int i = 0; i < 8; i++)
			number = number << 8 | now[i];
		if ((at = export_pack_of(p->x, (int64_t)number)) == NULL)
			rc = err_set(e, ERR_CATALOG, "the catalog names a pack that it does not know");
		else if ((rc = pack_take(p, at, ids, n, e)) == 0)
			rc = stop_check(e);
	}
	free(ids);
	return rc != 0 || have == -1 ? -1 : pack_finish(p, e);
}

int
export_packs(struct exporting *x, struct err *e)
{
	struct packing p = { .x = x };
	int rc = -1;

	p.in = malloc(PACK_LEN_MAX + 1);
	p.bytes = malloc(PACK_LEN_MAX);
	p.out = aligned_alloc(4096, PACK_LEN_MAX);
	if (p.in == NULL || p.bytes == NULL || p.out == NULL)
		(void)err_errno(e, "re-packing");
	else
		rc = packs_each(&p, e);
	free(p.in);
	free(p.bytes);
	free(p.out);
	free(p.frames);
	return rc;
}
