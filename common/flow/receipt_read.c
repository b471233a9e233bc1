/* Every frame of an image is read back from where it now lies. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/progress.h"
#include "common/base/stop.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_chunks.h"
#include "common/flow/receipt_job.h"
#include "common/flow/verify_origin.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

#define WALK		16384u	/* places of chunks in hand */
#define BAD_MOST	1000u	/* bad packs that are recorded in one run */

/* A pack that is to be read. */
struct chosen {
	int64_t n;
	uint8_t id[DIGEST_LEN];
	uint32_t copy, len;
};

/* A pack of which copies are bad. */
struct bad {
	struct chosen pack;
	char why[TEXT_MAX_LEN + 1];
	int all;			/* its table is not to be believed: every id that the catalog has there */
	int gone;			/* nothing of it is there any more */
	struct buf ids;
};

struct reading {
	struct receipt_job *j;
	uint8_t *bits;			/* by numbers of packs */
	size_t bytes;
	struct chosen *packs;
	size_t n, cap;
	uint64_t total;
	struct bad *bad;
	size_t nbad;
	struct bad *now;		/* of the pack in hand; NULL: nothing bad so far */
	const struct chosen *at;
	uint8_t *pack;			/* PACK_LEN_MAX + 1 */
	char why[TEXT_MAX_LEN + 1];	/* what verify_origins found */
};

static int
bit_set(struct reading *r, int64_t n, struct err *e)
{
	size_t at = (size_t)n / 8;
	uint8_t *more;

	if (at >= r->bytes) {
		size_t bytes = at + at / 2 + 1024;

		if ((more = realloc(r->bits, bytes)) == NULL)
			return err_errno(e, "packs of an image");
		memset(more + r->bytes, 0, bytes - r->bytes);
		r->bits = more;
		r->bytes = bytes;
	}
	r->bits[at] |= (uint8_t)(1u << (n & 7));
	return 0;
}

static int
bit_is(const struct reading *r, int64_t n)
{
	return (size_t)n / 8 < r->bytes && (r->bits[(size_t)n / 8] >> (n & 7) & 1) != 0;
}

/* Every place where the catalog has a copy in this domain, in order of ids. */
static int
places_each(struct receipt_job *j, int (*fn)(void *arg, const struct cat_place *p, struct err *e), void *arg, struct err *e)
{
	struct cat_place *p = malloc(WALK * sizeof(*p));
	uint8_t above[DIGEST_LEN];
	const uint8_t *from = NULL;
	size_t n = 0;
	int rc = p == NULL ? err_errno(e, "places of chunks") : 0;

	while (rc == 0 && (rc = chunks_walk(j->v->catalog, j->m.domain_id, from, p, WALK, &n, e)) == 0 && n > 0) {
		for (size_t i = 0; i < n && rc == 0; i++)
			rc = fn(arg, &p[i], e);
		memcpy(above, p[n - 1].id, DIGEST_LEN);
		from = above;
		if (rc == 0)
			rc = stop_check(e);
	}
	free(p);
	return rc;
}

struct choosing {
	struct reading *r;
	struct id_stream needed;
};

static int
place_choose(void *arg, const struct cat_place *p, struct err *e)
{
	struct choosing *c = arg;
	int has;

	if (p->state != COPY_GOOD || memcmp(p->writer, c->r->j->image.machine_id, ID_LEN) != 0 || bit_is(c->r, p->pack))
		return 0;
	if ((has = id_stream_has(&c->needed, p->id, e)) != 1)
		return has;
	return bit_set(c->r, p->pack, e);
}

static int
pack_choose(void *arg, const void *row, struct err *e)
{
	const struct cat_pack *p = row;
	struct reading *r = arg;
	struct chosen *one;

	if (!bit_is(r, p->n))
		return 0;
	if (r->n == r->cap) {
		size_t cap = r->cap * 2 + 256;
		struct chosen *more = realloc(r->packs, cap * sizeof(*more));

		if (more == NULL)
			return err_errno(e, "packs of an image");
		r->packs = more;
		r->cap = cap;
	}
	one = &r->packs[r->n++];
	one->n = p->n;
	memcpy(one->id, p->id, DIGEST_LEN);
	one->copy = p->copy;
	one->len = (uint32_t)(p->len < 0 || p->len > PACK_LEN_MAX ? PACK_LEN_MAX : p->len);
	r->total += one->len;
	return 0;
}

static int
packs_choose(struct reading *r, struct err *e)
{
	struct choosing c = { .r = r };

	if (id_stream_start(&c.needed, r->j->needed, e) != 0 || places_each(r->j, place_choose, &c, e) != 0)
		return -1;
	return catalog_each(r->j->v->catalog, &cat_packs, 0, NULL, pack_choose, r, e);
}

/* --- what is bad --- */

static struct bad *
bad_note(struct reading *r, const char *why)
{
	struct bad *more;

	if (r->now != NULL)
		return r->now;
	r->j->r->packs_bad++;
	if (r->nbad == BAD_MOST || (more = realloc(r->bad, (r->nbad + 1) * sizeof(*more))) == NULL)
		return NULL;		/* not counted as held all the same; the next run records it */
	r->bad = more;
	r->now = &r->bad[r->nbad++];
	memset(r->now, 0, sizeof(*r->now));
	buf_init(&r->now->ids);
	r->now->pack = *r->at;
	(void)snprintf(r->now->why, sizeof(r->now->why), "%s", why);
	return r->now;
}

/* Every frame of a believed pack that the machine wrote: good, or bad.  0 or -1. */
static int
frames_look(struct reading *r, const struct pack_view *v, size_t len, struct err *e)
{
	uint64_t off = PACK_HEAD_LEN;
	struct pack_row row;
	const char *why;
	struct bad *b;

	for (uint32_t i = 0; i < v->table.count; i++, off += row.len) {
		pack_table_row(&v->table, i, &row);
		if (memcmp(row.writer, r->j->image.machine_id, ID_LEN) != 0)
			continue;
		why = off > len || row.len > len - off ? "the pack ends before it" :
		    pack_frame_check(&row, r->pack + off, v->table.head.domain_id, PACK_FULL);
		if (why == NULL) {
			if (id_sorter_add(r->j->good, row.id, e) != 0)
				return -1;
			continue;
		}
		r->j->r->copies_bad++;
		if ((b = bad_note(r, why)) != NULL)
			buf_add(&b->ids, row.id, DIGEST_LEN);
	}
	return 0;
}

static void
origin_told(void *arg, const struct finding *f)
{
	struct reading *r = arg;

	(void)snprintf(r->why, sizeof(r->why), "%s", f->what);
}

/* A pack that the vault made: does a key of the machine stand behind each row?  0, -1 with r->why. */
static int
origins_hold(struct reading *r, const struct pack_view *v)
{
	struct verify_books books = { .machine = calloc(r->j->nkeys + 1, sizeof(*books.machine)), .nmachines = r->j->nkeys };
	struct verify_job job = { .found = findings_new(origin_told, r) };
	int rc = -1;

	if (books.machine == NULL || job.found == NULL) {
		(void)snprintf(r->why, sizeof(r->why), "no memory to look at who wrote its chunks");
	} else {
		for (size_t i = 0; i < r->j->nkeys; i++) {
			memcpy(books.machine[i].id, r->j->image.machine_id, ID_LEN);
			memcpy(books.machine[i].pub, r->j->keys[i].pub, SIGN_PUB_LEN);
		}
		rc = verify_origins(&job, r->j->v->store, &books, v, "");
	}
	findings_free(job.found);
	free(books.machine);
	return rc;
}

/* Is the pack in memory what its name and a signature say?  0 with ${v}, -1 with r->why. */
static int
pack_believe(struct reading *r, size_t len, struct pack_view *v)
{
	const struct receipt_job *j = r->j;
	struct err mine;
	int rc = -1, own;

	err_clear(&mine);
	for (size_t i = 0; i < j->nkeys && rc != 0; i++)
		rc = pack_view_bytes(v, r->pack, len, j->image.machine_id, j->keys[i].pub, i == 0 ? &mine : NULL);
	own = rc != 0 && pack_view_bytes(v, r->pack, len, j->v->desc.vault_id, j->v->desc.sign_pub, NULL) == 0;
	if (rc != 0 && !own) {
		(void)snprintf(r->why, sizeof(r->why), "%.250s", mine.msg);
		return -1;
	}
	if (memcmp(v->foot.pack_id, r->at->id, DIGEST_LEN) != 0 || memcmp(v->foot.domain_id, j->m.domain_id, DIGEST_LEN) != 0) {
		(void)snprintf(r->why, sizeof(r->why), "it is another pack than its name says");
		return -1;
	}
	if (((v->table.head.flags & PACK_REPACKED) != 0) != own) {
		(void)snprintf(r->why, sizeof(r->why), "its form does not fit its maker");
		return -1;
	}
	return own ? origins_hold(r, v) : 0;
}

static int
pack_read(struct reading *r, const struct chosen *p, struct err *e)
{
	struct store *s = r->j->v->store;
	char name[VAULT_NAME_MAX];
	struct pack_view v;
	struct err mine;
	struct bad *b;
	size_t got = 0;

	r->at = p;
	r->now = NULL;
	r->why[0] = '\0';
	err_clear(&mine);
	vault_name_pack(name, p->id, p->copy);
	progress_item(name, strlen(name));
	if (s->ops->get(s, name, 0, r->pack, PACK_LEN_MAX + 1, &got, &mine) != 0)
		(void)snprintf(r->why, sizeof(r->why), "%.250s", mine.msg);
	if (r->why[0] != '\0' || pack_believe(r, got, &v) != 0) {
		say_warn("%s: %s", name, r->why);
		if ((b = bad_note(r, r->why)) != NULL) {
			b->all = 1;
			b->gone = mine.code == ERR_NOT_FOUND;
		}
		return 0;
	}
	if (frames_look(r, &v, got, e) != 0)
		return -1;
	if (r->now != NULL)
		say_warn("%s: %zu chunks in it are bad: %s", name, r->now->ids.len / DIGEST_LEN, r->now->why);
	r->j->r->packs++;
	r->j->r->bytes += got;
	return 0;
}

static int
place_of_bad(void *arg, const struct cat_place *p, struct err *e)
{
	struct reading *r = arg;

	(void)e;
	for (size_t i = 0; i < r->nbad; i++)
		if (r->bad[i].all && r->bad[i].pack.n == p->pack && (r->bad[i].gone || p->state == COPY_GOOD)) {
			buf_add(&r->bad[i].ids, p->id, DIGEST_LEN);
			r->j->r->copies_bad++;
		}
	return 0;
}

/* One bad pack, in a transaction of its own. */
static int
bad_record(struct reading *r, struct bad *b, struct err *e)
{
	struct rec_damage d = { .copy = b->pack.copy };
	struct vault *v = r->j->v;

	memcpy(d.pack_id, b->pack.id, DIGEST_LEN);
	(void)snprintf(d.why, sizeof(d.why), "%s", b->why);
	d.chunk_ids = (struct fmt_view){ b->ids.p, (uint32_t)b->ids.len };
	if (b->ids.len == 0)
		return 0;
	if (buf_check(&b->ids, e) != 0 || vault_begin(v, e) != 0)
		return -1;
	if (vault_record(v, b->gone ? REC_PACK_QUARANTINED : REC_DAMAGE_FOUND, &rec_damage_schema, &d, e) != 0) {
		vault_rollback(v);
		return -1;
	}
	if (vault_commit(v, e) != 0)
		return -1;
	r->j->removals++;		/* that one was ours */
	return 0;
}

static int
bad_tell(struct reading *r, struct err *e)
{
	int all = 0, rc = 0;

	for (size_t i = 0; i < r->nbad; i++)
		all |= r->bad[i].all;
	if (all)
		rc = places_each(r->j, place_of_bad, r, e);
	for (size_t i = 0; i < r->nbad && rc == 0; i++)
		rc = bad_record(r, &r->bad[i], e);
	return rc;
}

int
receipt_read_back(struct receipt_job *j, struct err *e)
{
	struct reading r = { .j = j, .pack = malloc(PACK_LEN_MAX + 1) };
	int rc = r.pack == NULL ? err_errno(e, "receipt") : packs_choose(&r, e);

	progress_start("read back", r.total);
	for (size_t i = 0; i < r.n && rc == 0; i++) {
		if ((rc = stop_check(e)) == 0)
			rc = pack_read(&r, &r.packs[i], e);
		progress_add(r.packs[i].len, 1);
	}
	progress_end();
	if (rc == 0)
		rc = bad_tell(&r, e);
	for (size_t i = 0; i < r.nbad; i++)
		buf_release(&r.bad[i].ids);
	free(r.bad);
	free(r.packs);
	free(r.bits);
	free(r.pack);
	return rc;
}
