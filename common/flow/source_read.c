/* Reading chunks back: from disks, then vaults, then the line; each copy is checked, and the next taken where it is bad. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/secret.h"
#include "common/disk/image_dir.h"
#include "common/flow/chunk_ahead.h"
#include "common/flow/chunk_fetch.h"
#include "common/flow/disputes.h"
#include "common/flow/pack_cache.h"
#include "common/flow/source_job.h"
#include "common/pack/chunk_open.h"

#define MARK_BAD	1u	/* this copy was told of */
#define LINE_COPIES	8u	/* wrong copies of one chunk that are read over the line, at most */
#define WHOLE_SHARE	4u	/* a pack is read whole where a quarter of it is wanted */

/* Where the pack is, or was found. */
static struct pack_place
place_of(const struct source *s, uint32_t pack)
{
	const struct pack_place *at = &s->pack[pack].place;
	struct pack_place p = { .container = at->container, .len = at->len };

	/* Another thread may just have found it under another number: all else never changes. */
	p.number = __atomic_load_n(&at->number, __ATOMIC_ACQUIRE);
	memcpy(p.id, at->id, DIGEST_LEN);
	return p;
}

/* It is not where it should be: 1 if it was found elsewhere. */
static int
pack_moved(struct source *s, uint32_t pack)
{
	struct pack_place p = place_of(s, pack);
	const struct container_ops *ops = s->container[p.container]->ops;

	if (ops->locate == NULL || ops->locate(s->container[p.container], &p) != 0)
		return 0;
	__atomic_store_n(&s->pack[pack].place.number, p.number, __ATOMIC_RELEASE);
	return 1;
}

static int
read_range(struct source *s, uint32_t pack, uint64_t off, uint8_t *out, size_t len, struct err *e)
{
	const struct pack_place place = place_of(s, pack), *p = &place;
	struct container *c = s->container[p->container];

	if (c->ops->read(c, p, off, out, len, e) != 0) {
		if (e->code == ERR_NOT_FOUND)
			e->code = ERR_MISSING;
		return -1;
	}
	__atomic_add_fetch(&s->read_bytes[p->container], len, __ATOMIC_RELAXED);
	return 0;
}

int
source_load_pack(void *arg, uint32_t pack, uint8_t *out, uint32_t len, struct err *e)
{
	return read_range(arg, pack, 0, out, len, e);
}

struct source_reader *
source_reader_new(struct source *s, struct err *e)
{
	struct source_reader *r = calloc(1, sizeof(*r));

	if (r != NULL) {
		r->s = s;
		r->opener = opener_new(s->opt.keys);
		r->frame = malloc(FRAME_LEN_MAX);
		r->plain = malloc(CHUNK_PLAIN_MAX);
	}
	if (r == NULL || r->opener == NULL || r->frame == NULL || r->plain == NULL) {
		source_reader_free(r);
		(void)err_set(e, ERR_MEMORY, "no memory to open chunks");
		return NULL;
	}
	return r;
}

void
source_reader_free(struct source_reader *r)
{
	if (r == NULL)
		return;
	if (r->opener != NULL)
		opener_free(r->opener);
	free(r->frame);
	if (r->plain != NULL && r->plain_len > 0)
		secret_wipe(r->plain, r->plain_len);
	free(r->plain);
	free(r);
}

/* Read and open the copy at ${at} by itself, into r->plain. */
static int
copy_read(struct source_reader *r, const struct chunk_at *at, const uint8_t id[DIGEST_LEN], unsigned kind, struct err *e)
{
	if (read_range(r->s, at->pack, at->off, r->frame, at->len, e) != 0)
		return -1;
	return chunk_open(r->opener, r->frame, at->len, id, kind, r->plain, CHUNK_PLAIN_MAX, &r->plain_len, e);
}

/* The same, from the whole pack where much of it is wanted. */
static int
copy_open(struct source_reader *r, const struct chunk_at *at, const uint8_t id[DIGEST_LEN], unsigned kind, struct err *e)
{
	struct source *s = r->s;
	struct source_pack *p = &s->pack[at->pack];
	const uint8_t *bytes;
	unsigned slot;
	int rc;

	if (__atomic_load_n(&p->wanted, __ATOMIC_RELAXED) <= p->place.len / WHOLE_SHARE && !pack_cache_has(s->cache, at->pack))
		return copy_read(r, at, id, kind, e);
	if (pack_cache_hold(s->cache, at->pack, p->place.len, &bytes, &slot, e) != 0) {
		err_clear(e);	/* no room for the pack, or a part of it cannot be read */
		return copy_read(r, at, id, kind, e);
	}
	rc = chunk_open(r->opener, bytes + at->off, at->len, id, kind, r->plain, CHUNK_PLAIN_MAX, &r->plain_len, e);
	pack_cache_release(s->cache, slot);
	return rc;
}

/* It lies in a vault's directory, and its own bytes are wrong. */
static void
copy_suspect(struct source *s, const struct chunk_at *at, const struct pack_place *p, const uint8_t id[DIGEST_LEN],
    const struct err *why)
{
	struct dispute_row row = { .copy = p->number };
	const struct container *c = s->container[p->container];

	if (s->opt.disputes == NULL || c->is_disk || c->is_line || why->code != ERR_DAMAGE)
		return;
	memcpy(row.id, id, DIGEST_LEN);
	memcpy(row.pack_id, p->id, DIGEST_LEN);
	disputes_suspect(s->opt.disputes, &row, at->off, at->len);
}

/* Tell of a bad copy, once. */
static void
copy_bad(struct source *s, const struct chunk_at *at, const uint8_t id[DIGEST_LEN], const struct err *why)
{
	const struct pack_place place = place_of(s, at->pack), *p = &place;
	char where[512], name[64];

	pthread_mutex_lock(&s->bad_lock);
	if ((chunk_map_marked(at) & MARK_BAD) != 0 || s->opt.bad == NULL) {
		pthread_mutex_unlock(&s->bad_lock);
		return;
	}
	chunk_map_mark(s->map, at, MARK_BAD);
	copy_suspect(s, at, p, id, why);
	if (s->container[p->container]->is_disk)
		image_name_pack(name, p->number);
	else
		(void)snprintf(name, sizeof(name), "pack %02x%02x%02x%02x.%u", p->id[0], p->id[1], p->id[2], p->id[3], p->number);
	(void)snprintf(where, sizeof(where), "%s: %s", s->container[p->container]->name, name);
	s->opt.bad(s->opt.bad_arg, where, id, why);
	pthread_mutex_unlock(&s->bad_lock);
}

/* One attempt: 0; 1 what came from ${at} is not the chunk, and why; -1 nothing came. */
static int
line_try(struct source_reader *r, const uint8_t id[DIGEST_LEN], unsigned kind, struct line_place *at, size_t *len,
    struct err *e)
{
	struct source *s = r->s;
	struct frame f;

	if (fetch_get(s->fetch, id, r->frame, len, at, e) != 0)
		return -1;
	if (frame_decode(&f, r->frame, *len) == FMT_OK && memcmp(f.id, id, DIGEST_LEN) != 0) {
		(void)err_set(e, ERR_DAMAGE, "the vault gave another chunk, %02x%02x%02x%02x", f.id[0], f.id[1], f.id[2], f.id[3]);
		return 1;
	}
	if (chunk_open(r->opener, r->frame, *len, id, kind, r->plain, CHUNK_PLAIN_MAX, &r->plain_len, e) != 0)
		return 1;
	r->kind = f.kind;
	return 0;
}

static void
line_bad(struct source *s, const uint8_t id[DIGEST_LEN], const struct err *why, const char *words)
{
	struct err told = *why;

	(void)snprintf(told.msg + strlen(told.msg), sizeof(told.msg) - strlen(told.msg), "%s", words);
	source_bad(s, s->line->name, id, &told);
}

/* The copy at ${at} came twice and is wrong: 1 where the vault was told, so that it may name another. */
static int
line_dispute_copy(struct source *s, const uint8_t id[DIGEST_LEN], const struct line_place *at, const struct err *why)
{
	struct dispute_row row = { .copy = at->copy };
	struct err own;
	int rc = 1;

	err_clear(&own);
	memcpy(row.id, id, DIGEST_LEN);
	memcpy(row.pack_id, at->pack_id, DIGEST_LEN);
	if (s->opt.disputes != NULL && why->code == ERR_DAMAGE)
		rc = disputes_tell(s->opt.disputes, &row, &own);
	line_bad(s, id, why, rc == 0 ? " (disputed)" : "");
	if (rc == -1)
		source_bad(s, s->line->name, id, &own);
	return rc == 0;
}

/* From the line, where nobody else has it; tells of a frame that is not the chunk's.  0 or -1 with ${e}. */
static int
line_get(struct source_reader *r, const uint8_t id[DIGEST_LEN], unsigned kind, size_t *len, struct err *e)
{
	struct source *s = r->s;
	struct line_place last = { .copy = 0 }, at;
	struct err own, wrong;
	int rc, told = 0;

	if (kind == KIND_LISTING || kind == KIND_INDEX || kind == KIND_SPILL)
		ahead_asked(s->ahead, id);
	err_clear(&wrong);
	for (unsigned i = 0; i < 2 * LINE_COPIES; i++) {
		err_clear(&own);
		if ((rc = line_try(r, id, kind, &at, len, &own)) == 0) {
			if (wrong.code != ERR_NONE && !told)
				line_bad(s, id, &wrong, " (asked for once more it was right)");
			ahead_opened(s->ahead, id, r->kind, r->plain, r->plain_len);
			return 0;
		}
		if (rc == -1)
			break;
		wrong = own;
		fetch_again(s->fetch, id);
		if (at.copy == last.copy && at.off == last.off && memcmp(at.pack_id, last.pack_id, DIGEST_LEN) == 0) {
			told = 1;
			if (!line_dispute_copy(s, id, &at, &own))
				break;
		}
		last = at;
	}
	/* Where the last copy is disputed none is there: what was wrong with it says more. */
	if (e != NULL)
		*e = wrong.code != ERR_NONE && own.code == ERR_MISSING ? wrong : own;
	return -1;
}

int
source_get(void *reader, const uint8_t id[DIGEST_LEN], unsigned kind, const uint8_t **plain, size_t *len, struct err *e)
{
	struct source_reader *r = reader;
	const struct chunk_at *at;
	struct err own;
	size_t n;

	if (!r->has || memcmp(r->id, id, DIGEST_LEN) != 0 || (kind != 0 && kind != r->kind)) {
		r->has = 0;
		err_clear(&own);
		(void)err_set(&own, ERR_MISSING, "chunk %02x%02x%02x%02x… is not there", id[0], id[1], id[2], id[3]);
		at = chunk_map_find(r->s->map, id, &n);
		for (size_t i = 0; i < n && !r->has; i++) {
			if (kind != 0 && at[i].kind != kind)
				continue;
			err_clear(&own);
			r->has = copy_open(r, &at[i], id, kind, &own) == 0;
			if (!r->has && pack_moved(r->s, at[i].pack)) {
				err_clear(&own);
				r->has = copy_read(r, &at[i], id, kind, &own) == 0;
			}
			r->kind = at[i].kind;
			if (!r->has)
				copy_bad(r->s, &at[i], id, &own);
		}
		if (!r->has && r->s->fetch != NULL) {
			size_t got;

			err_clear(&own);
			r->has = line_get(r, id, kind, &got, &own) == 0;
		}
		if (!r->has) {
			if (e != NULL)
				*e = own;
			return -1;
		}
		memcpy(r->id, id, DIGEST_LEN);
	}
	*plain = r->plain;
	*len = r->plain_len;
	return 0;
}

int
source_frame(struct source_reader *r, const uint8_t id[DIGEST_LEN], const uint8_t **frame, size_t *len, struct err *e)
{
	size_t n;
	const struct chunk_at *at = chunk_map_find(r->s->map, id, &n);

	r->has = 0;
	(void)err_set(e, ERR_MISSING, "chunk %02x%02x%02x%02x… is not there", id[0], id[1], id[2], id[3]);
	for (size_t i = 0; i < n; i++) {
		err_clear(e);
		if (copy_read(r, &at[i], id, at[i].kind, e) == 0) {
			*frame = r->frame;
			*len = at[i].len;
			return 0;
		}
		copy_bad(r->s, &at[i], id, e);
	}
	if (r->s->fetch != NULL) {
		err_clear(e);
		if (line_get(r, id, 0, len, e) != 0)
			return -1;
		*frame = r->frame;
		return 0;
	}
	return -1;
}
