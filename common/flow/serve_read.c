/* The server, where machines read their snapshots back: what it has, in which state, and the bytes of it. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/catalog/catalog.h"
#include "common/flow/serve_job.h"
#include "common/flow/serve_read.h"
#include "common/flow/vault_lost.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"
#include "formats/fmt_line_read.h"
#include "formats/fmt_snapshot.h"

#define STREAM_STEP	(256u << 10)	/* bytes of an object that are read at once */
#define ROW_ROOM	(128u + SMALL_STATEMENT_MAX)	/* a row of a page, at most */

/* --- snapshots --- */

/* The page that is being filled. */
struct paging {
	struct serve_call *c;
	uint64_t after;
	struct buf rows;
	uint64_t head;
	int full;
	uint64_t *gone;			/* numbers that were deleted for good, rising; from next_gone on they are still to be told */
	size_t ngone, next_gone;
	char waits[SHORT_LEN + 1];	/* the image that pending snapshots of no image wait for */
};

/* Of images on their way the one that was seen last. */
struct on_its_way {
	const uint8_t *machine;
	int64_t seen;
	char *name;
};

static int
image_looked_at(void *arg, const void *row, struct err *e)
{
	const struct cat_image *im = row;
	struct on_its_way *w = arg;

	(void)e;
	if (memcmp(im->machine_id, w->machine, ID_LEN) != 0 || im->seen < w->seen)
		return 0;
	if (im->state != IMAGE_RECEIVED && im->state != IMAGE_INGESTING && im->state != IMAGE_SHIPPED && im->state != IMAGE_GAP &&
	    im->state != IMAGE_CLAIMED)
		return 0;
	w->seen = im->seen;
	memcpy(w->name, im->short_name, SHORT_LEN + 1);
	return 0;
}

/* The image that a pending snapshot waits for. */
static int
row_image(struct paging *p, const struct cat_snapshot *s, struct line_snapshot *row, struct err *e)
{
	struct cat_image im = { 0 };
	int rc;

	if (s->state != SNAPSHOT_PENDING)
		return 0;
	memcpy(im.id, s->image_id, ID_LEN);
	if ((rc = catalog_get(p->c->v->catalog, &cat_images, &im, e)) == -1)
		return -1;
	memcpy(row->image, rc == 0 ? im.short_name : p->waits, SHORT_LEN);
	return 0;
}

/* Add a row, if there is room for it. */
static int
row_put(struct paging *p, const struct line_snapshot *row, struct err *e)
{
	struct wr w;
	uint8_t *at;

	if (p->rows.len + ROW_ROOM > LINE_ROWS_MAX) {
		p->full = 1;
		return 0;
	}
	if ((at = buf_room(&p->rows, ROW_ROOM)) == NULL)
		return buf_check(&p->rows, e);
	w = (struct wr){ .p = at, .left = ROW_ROOM };
	line_snapshot_put(&w, row);
	if (w.bad)
		return err_set(e, ERR_CATALOG, "the catalog's row of snapshot %llu cannot be right", (unsigned long long)row->seq);
	buf_grew(&p->rows, (size_t)(w.p - at));
	return 0;
}

/* Those that are gone and have numbers below ${to}. */
static int
gone_put(struct paging *p, uint64_t to, struct err *e)
{
	int rc = 0;

	for (; rc == 0 && !p->full && p->next_gone < p->ngone && p->gone[p->next_gone] < to; p->next_gone++) {
		const struct line_snapshot row = { .seq = p->gone[p->next_gone], .state = LINE_GONE };

		if (row.seq > p->after)
			rc = row_put(p, &row, e);
	}
	return rc;
}

static int
row_add(struct paging *p, const struct cat_snapshot *s, struct err *e)
{
	struct line_snapshot row = { .seq = (uint64_t)s->seq, .state = (uint8_t)s->state, .missing = (uint64_t)s->missing,
	    .promised = (uint64_t)s->promised, .given_up = (uint64_t)s->given_up, .received = s->received,
	    .flags = (uint8_t)((s->deleted != 0 ? LINE_DELETED : 0) | (s->is_protected ? LINE_PROTECTED : 0)) };
	char name[VAULT_NAME_MAX];
	uint8_t *bytes;
	size_t len;
	int rc;

	if (row_image(p, s, &row, e) != 0)
		return -1;
	vault_name_envelope(name, s->machine_id, row.seq);
	if (store_read(p->c->v->store, name, SMALL_STATEMENT_MAX, &bytes, &len, e) != 0)
		return -1;
	row.envelope = (struct fmt_view){ bytes, (uint32_t)len };
	rc = row_put(p, &row, e);
	free(bytes);
	return rc;
}

static int
snapshot_found(void *arg, const void *row, struct err *e)
{
	const struct cat_snapshot *s = row;
	struct paging *p = arg;

	if ((uint64_t)s->seq > p->head)
		p->head = (uint64_t)s->seq;
	if ((uint64_t)s->seq <= p->after || p->full)
		return 0;
	return gone_put(p, (uint64_t)s->seq, e) != 0 || (!p->full && row_add(p, s, e) != 0) ? -1 : 0;
}

static int
gone_found(void *arg, const void *row, struct err *e)
{
	const struct cat_gone *g = row;
	struct paging *p = arg;

	if (p->ngone % 1024 == 0) {
		uint64_t *more = realloc(p->gone, (p->ngone + 1024) * sizeof(*more));

		if (more == NULL)
			return err_set(e, ERR_MEMORY, "no memory to answer");
		p->gone = more;
	}
	p->gone[p->ngone++] = (uint64_t)g->seq;
	if ((uint64_t)g->seq > p->head)
		p->head = (uint64_t)g->seq;
	return 0;
}

static int
snapshots_answer(struct serve_call *c, struct err *e)
{
	struct paging p = { .c = c };
	struct on_its_way w = { .machine = c->machine.id, .seen = INT64_MIN, .name = p.waits };
	struct line_page page = { 0 };
	struct cat_snapshot like = { 0 };
	struct cat_gone like_gone = { 0 };
	int rc;

	if (serve_query_u64(c, "after", &p.after) < 0 || p.after > INT64_MAX)
		return err_set(e, ERR_USAGE, "after=N is the number of a snapshot");
	buf_init(&p.rows);
	memcpy(like.machine_id, c->machine.id, ID_LEN);
	memcpy(like_gone.machine_id, c->machine.id, ID_LEN);
	rc = catalog_each(c->v->catalog, &cat_images, 0, NULL, image_looked_at, &w, e);
	if (rc == 0)
		rc = catalog_each(c->v->catalog, &cat_gone, 1, &like_gone, gone_found, &p, e);
	if (rc == 0)
		rc = catalog_each(c->v->catalog, &cat_snapshots, 1, &like, snapshot_found, &p, e);
	if (rc == 0)
		rc = gone_put(&p, UINT64_MAX, e);
	if (rc == 0 && (rc = buf_check(&p.rows, e)) == 0) {
		memcpy(page.vault_id, c->v->desc.vault_id, ID_LEN);
		memcpy(page.machine_id, c->machine.id, ID_LEN);
		page.after = p.after;
		page.head = p.head;
		page.more = (uint8_t)p.full;
		page.rows = (struct fmt_view){ p.rows.p, (uint32_t)p.rows.len };
		rc = serve_reply(c, &line_page_schema, &page, e);
	}
	buf_release(&p.rows);
	free(p.gone);
	return rc;
}

/* --- files lost --- */

/* The newest rows that find room. */
static int
lost_put(void *arg, const struct files_lost_row *row, struct err *e)
{
	struct buf *b = arg;
	struct wr w;
	uint8_t *at;

	if (b->len == FILES_LOST_ROWS_MAX * FILES_LOST_ROW_LEN) {
		memmove(b->p, b->p + FILES_LOST_ROW_LEN, b->len - FILES_LOST_ROW_LEN);
		b->len -= FILES_LOST_ROW_LEN;
	}
	if ((at = buf_room(b, FILES_LOST_ROW_LEN)) == NULL)
		return buf_check(b, e);
	w = (struct wr){ .p = at, .left = FILES_LOST_ROW_LEN };
	element_put(files_lost_row_fields, files_lost_row_nfields, &w, row);
	buf_grew(b, FILES_LOST_ROW_LEN);
	return 0;
}

static int
lost_answer(struct serve_call *c, struct err *e)
{
	struct files_lost_page page = { .rows = { NULL, 0 } };
	struct buf rows;
	int rc;

	buf_init(&rows);
	if ((rc = vault_files_lost_each(c->v, c->machine.id, lost_put, &rows, e)) == 0) {
		memcpy(page.vault_id, c->v->desc.vault_id, ID_LEN);
		memcpy(page.machine_id, c->machine.id, ID_LEN);
		page.rows = (struct fmt_view){ rows.p, (uint32_t)rows.len };
		rc = serve_reply(c, &files_lost_page_schema, &page, e);
	}
	buf_release(&rows);
	return rc;
}

/* --- objects of the store, streamed --- */

/* The body of an answer; it outlives the call, so it has a store of its own. */
struct streaming {
	struct store *store;
	char name[VAULT_NAME_MAX];
	uint64_t from;
};

static int
stream_read(void *arg, uint64_t off, void *out, size_t cap)
{
	struct streaming *s = arg;
	size_t got;

	if (s->store->ops->get(s->store, s->name, s->from + off, out, cap < STREAM_STEP ? cap : STREAM_STEP, &got, NULL) != 0 ||
	    got == 0)
		return -1;
	return (int)got;
}

static void
stream_free(void *arg)
{
	struct streaming *s = arg;

	s->store->ops->free(s->store);
	free(s);
}

/* The part of ${len} bytes that was asked for; 1 where there is none of it. */
static int
range_take(struct serve_call *c, uint64_t len, uint64_t *from, uint64_t *n)
{
	const struct net_request *r = c->in;

	*from = 0;
	*n = len;
	if (r->range_from > r->range_to)
		return 0;
	if (r->range_from >= len) {
		c->out->status = 416;
		(void)snprintf(c->out->headers, sizeof(c->out->headers), "Content-Range: bytes */%llu\n", (unsigned long long)len);
		return 1;
	}
	*from = r->range_from;
	*n = (r->range_to < len - 1 ? r->range_to : len - 1) - *from + 1;
	c->out->status = 206;
	(void)snprintf(c->out->headers, sizeof(c->out->headers), "Content-Range: bytes %llu-%llu/%llu\n",
	    (unsigned long long)*from, (unsigned long long)(*from + *n - 1), (unsigned long long)len);
	return 0;
}

/* Answer with the object ${name}, or the range of it that was asked for. */
static int
object_answer(struct serve_call *c, const char *name, struct err *e)
{
	struct streaming *s = calloc(1, sizeof(*s));
	uint64_t len, n;
	int rc;

	if (s == NULL)
		return err_set(e, ERR_MEMORY, "no memory to answer");
	(void)snprintf(s->name, sizeof(s->name), "%s", name);
	if ((s->store = store_dir_open(c->v->path, 0, e)) == NULL) {
		free(s);
		return -1;
	}
	rc = s->store->ops->stat(s->store, name, &len, e);
	if (rc == 1)
		rc = err_set(e, ERR_NOT_FOUND, "the vault has no %s", name);
	c->out->status = 200;
	if (rc != 0 || range_take(c, len, &s->from, &n) != 0) {
		stream_free(s);
		return rc;
	}
	(void)snprintf(c->out->headers + strlen(c->out->headers), sizeof(c->out->headers) - strlen(c->out->headers),
	    "Accept-Ranges: bytes\n");
	c->out->read = stream_read;
	c->out->read_free = stream_free;
	c->out->read_arg = s;
	c->out->length = n;
	return 0;
}

/* A decimal number without sign or leading zeros, to the end of ${text}; -1 with ERR_USAGE. */
static int
number_take(const char *text, uint64_t max, uint64_t *v, struct err *e)
{
	char again[24];

	*v = strtoull(text, NULL, 10);
	(void)snprintf(again, sizeof(again), "%llu", (unsigned long long)*v);
	return strcmp(again, text) == 0 && *v <= max ? 0 : err_set(e, ERR_USAGE, "there is nothing of that name here");
}

static int
list_answer(struct serve_call *c, struct err *e)
{
	struct cat_snapshot s = { 0 };
	char name[VAULT_NAME_MAX];
	const char *at = c->part[1];
	unsigned kind;
	uint64_t seq, part;
	int rc;

	if (number_take(c->part[0], INT64_MAX, &seq, e) != 0)
		return -1;
	if (strncmp(at, "list-whole-", 11) != 0 && strncmp(at, "list-delta-", 11) != 0)
		return err_set(e, ERR_USAGE, "a list is list-whole-PART or list-delta-PART");
	kind = at[5] == 'w' ? REFS_WHOLE : REFS_DELTA;
	if (number_take(at + 11, PARTS_MAX, &part, e) != 0)
		return -1;
	memcpy(s.machine_id, c->machine.id, ID_LEN);
	s.seq = (int64_t)seq;
	if ((rc = catalog_get(c->v->catalog, &cat_snapshots, &s, e)) != 0)
		return rc < 0 ? -1 : err_set(e, ERR_NOT_FOUND, "the vault has no snapshot %llu of machine %s",
		    (unsigned long long)seq, c->machine.name);
	vault_name_refs(name, c->machine.id, seq, kind, (unsigned)part);
	return object_answer(c, name, e);
}

static int
pack_answer(struct serve_call *c, struct err *e)
{
	char hex[2 * DIGEST_LEN + 1], full[VAULT_NAME_MAX];
	struct cat_pack p = { 0 };
	int rc = -1;

	(void)snprintf(hex, sizeof(hex), "%.64s", c->part[0]);
	(void)snprintf(full, sizeof(full), "packs/%.2s/%.80s", hex, c->part[0]);
	if (vault_name_parse_pack(full, p.id, &p.copy) != 0)
		return err_set(e, ERR_USAGE, "a pack is ID.N");
	if ((rc = catalog_get(c->v->catalog, &cat_packs, &p, e)) < 0)
		return -1;
	/* One of another domain is as good as none. */
	if (rc == 1 || memcmp(p.domain_id, c->machine.domain_id, DIGEST_LEN) != 0)
		return err_set(e, ERR_NOT_FOUND, "the vault has no such pack of machine %s", c->machine.name);
	return object_answer(c, full, e);
}

/* --- what the vault keeps of the machine's keys: all of it signed by the domain's key --- */

static int
newest(void *arg, const char *name, uint64_t len, struct err *e)
{
	uint32_t n = vault_name_number(name), *top = arg;

	(void)len;
	(void)e;
	if (n > *top)
		*top = n;
	return 0;
}

static int
keys_answer(struct serve_call *c, struct err *e)
{
	char name[VAULT_NAME_MAX];
	uint32_t top = 0;
	uint8_t *bytes;
	size_t len;
	int rc;

	if (strcmp(c->part[0], "domain") != 0 && strcmp(c->part[0], "member") != 0)
		return err_set(e, ERR_NOT_FOUND, "keys are domain and member");
	vault_name_keys_prefix(name, c->machine.id, c->part[0]);
	if (c->v->store->ops->list(c->v->store, name, "", newest, &top, e) != 0)
		return -1;
	if (top == 0)
		return err_set(e, ERR_NOT_FOUND, "the vault keeps no %s of machine %s", c->part[0], c->machine.name);
	vault_name_keys(name, c->machine.id, c->part[0], top);
	if (store_read(c->v->store, name, SMALL_STATEMENT_MAX, &bytes, &len, e) != 0)
		return -1;
	rc = serve_reply_bytes(c, bytes, len, e);
	free(bytes);
	return rc;
}

const struct serve_route serve_routes_read[] = {
	{ "GET", "snapshots", SERVE_READ, 0, snapshots_answer, NULL },
	{ "GET", "lost", SERVE_READ, 0, lost_answer, NULL },
	{ "GET", "snapshots/*/*", SERVE_READ, 0, list_answer, NULL },
	{ "POST", "places", SERVE_READ, LINE_PLACES_BODY, serve_places, NULL },
	{ "GET", "packs/*", SERVE_READ, 0, pack_answer, NULL },
	{ "GET", "keys/*", SERVE_READ, 0, keys_answer, NULL },
	{ NULL, NULL, SERVE_ANYBODY, 0, NULL, NULL },
};
