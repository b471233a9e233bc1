/* The server: where good copies of chunks lie.  The catalog knows the pack, the pack's own table the place in it. */

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_chunks.h"
#include "common/flow/serve_job.h"
#include "common/flow/serve_read.h"
#include "common/flow/store_pack.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"
#include "formats/fmt_line_read.h"

/* An id that was asked for, by the pack that has it. */
struct wanted {
	int64_t pack;
	uint32_t i;
};

struct placing {
	struct serve_call *c;
	const uint8_t *ids;
	struct wanted *w;		/* by pack, then by id */
	size_t n;
	struct line_place *place;	/* by position among the ids */
	struct store_pack room;
};

static int
wanted_order(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;

	if (x->pack != y->pack)
		return x->pack < y->pack ? -1 : 1;
	return (x->i > y->i) - (x->i < y->i);
}

/* Is ${id} one of w[from .. to)?  Its position, or SIZE_MAX. */
static size_t
wanted_find(const struct placing *p, size_t from, size_t to, const uint8_t id[DIGEST_LEN])
{
	while (from < to) {
		size_t mid = from + (to - from) / 2;
		int order = memcmp(p->ids + (size_t)p->w[mid].i * DIGEST_LEN, id, DIGEST_LEN);

		if (order == 0)
			return mid;
		if (order < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return SIZE_MAX;
}

/* The places in one pack.  One that cannot be read now has none to give. */
static int
pack_places(struct placing *p, size_t from, size_t to, struct err *e)
{
	char name[VAULT_NAME_MAX];
	struct cat_pack row;
	struct pack_view v;
	uint64_t off = PACK_HEAD_LEN;
	struct err own;
	int rc = catalog_pack(p->c->v->catalog, p->w[from].pack, &row, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (row.state != PACK_GOOD || memcmp(row.domain_id, p->c->machine.domain_id, DIGEST_LEN) != 0)
		return 0;
	vault_name_pack(name, row.id, row.copy);
	err_clear(&own);
	if (store_pack_table(p->c->v->store, name, (uint64_t)row.len, &p->room, &v, &own) != 0 ||
	    memcmp(v.foot.pack_id, row.id, DIGEST_LEN) != 0)
		return own.code == ERR_MEMORY ? err_set(e, ERR_MEMORY, "no memory to answer") : 0;
	for (uint32_t i = 0; i < v.table.count; i++) {
		struct pack_row at;
		size_t k;

		pack_table_row(&v.table, i, &at);
		if ((k = wanted_find(p, from, to, at.id)) != SIZE_MAX) {
			struct line_place *out = &p->place[p->w[k].i];

			memcpy(out->pack_id, row.id, DIGEST_LEN);
			out->copy = row.copy;
			out->off = off;
			out->len = at.len;
		}
		off += at.len;
	}
	return 0;
}

/* Which pack has what: the ids by pack. */
static int
packs_find(struct placing *p, size_t nids, struct err *e)
{
	int64_t *packs = calloc(nids, sizeof(*packs));
	int rc;

	if (packs == NULL)
		return err_set(e, ERR_MEMORY, "no memory to answer");
	rc = chunks_packs(p->c->v->catalog, p->c->machine.domain_id, p->ids, nids, packs, e);
	for (size_t i = 0; rc == 0 && i < nids; i++)
		if (packs[i] != 0)
			p->w[p->n++] = (struct wanted){ .pack = packs[i], .i = (uint32_t)i };
	free(packs);
	if (rc == 0 && p->n > 1)
		qsort(p->w, p->n, sizeof(*p->w), wanted_order);
	return rc;
}

/* The answer, as bytes. */
static int
places_reply(struct serve_call *c, const struct line_place *place, size_t n, struct err *e)
{
	uint8_t *bytes = malloc(n * LINE_PLACE_LEN);
	struct wr w = { .p = bytes, .left = n * LINE_PLACE_LEN };
	struct line_places answer = { .places = { bytes, (uint32_t)(n * LINE_PLACE_LEN) } };
	int rc;

	if (bytes == NULL)
		return err_set(e, ERR_MEMORY, "no memory to answer");
	for (size_t i = 0; i < n; i++)
		element_put(line_place_fields, line_place_nfields, &w, &place[i]);
	rc = serve_reply(c, &line_places_schema, &answer, e);
	free(bytes);
	return rc;
}

static int
places_answer(struct serve_call *c, const struct ask *wanted, struct err *e)
{
	size_t n = list_count(wanted->ids, DIGEST_LEN), end;
	struct placing p = { .c = c, .ids = wanted->ids.p };
	int rc = -1;

	p.w = calloc(n, sizeof(*p.w));
	p.place = calloc(n, sizeof(*p.place));
	if (p.w == NULL || p.place == NULL)
		(void)err_set(e, ERR_MEMORY, "no memory to answer");
	else
		rc = packs_find(&p, n, e);
	for (size_t at = 0; rc == 0 && at < p.n; at = end) {
		for (end = at + 1; end < p.n && p.w[end].pack == p.w[at].pack; end++)
			;
		rc = pack_places(&p, at, end, e);
	}
	if (rc == 0)
		rc = places_reply(c, p.place, n, e);
	free(p.room.end);
	free(p.place);
	free(p.w);
	return rc;
}

int
serve_places(struct serve_call *c, struct err *e)
{
	struct ask wanted;
	const uint8_t *body;
	enum fmt_status st;
	size_t len;
	int rc;

	if (serve_body(c, LINE_PLACES_BODY, &body, &len, e) != 0)
		return -1;
	if ((st = schema_decode(&ask_schema, &wanted, body, len)) != FMT_OK)
		rc = err_set(e, ERR_USAGE, "the ids that places are asked for: %s", fmt_status_text(st));
	else
		rc = places_answer(c, &wanted, e);
	serve_body_free(c, body);
	return rc;
}
