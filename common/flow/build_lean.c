/* Which earlier images a snapshot needs, besides its own. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/flow/build_run.h"
#include "common/flow/refs_files.h"
#include "common/flow/topup.h"
#include "common/pack/id_sorter.h"

#define SORT_MEMORY	((size_t)16 << 20)

static int
sort_table(void *arg, uint32_t disk, uint32_t number, uint32_t file_len, const struct pack_table *t, const uint8_t *table,
    uint32_t table_len, const uint8_t *foot, struct err *e)
{
	struct pack_row row;

	(void)disk, (void)number, (void)file_len, (void)table, (void)table_len, (void)foot;
	for (uint32_t i = 0; i < t->count; i++) {
		pack_table_row(t, i, &row);
		if (id_sorter_add(arg, row.id, e) != 0)
			return -1;
	}
	return 0;
}

/* All ids that an image carries, sorted. */
static struct id_sorter *
image_ids(struct build *b, const char *name, struct err *e)
{
	struct id_sorter *s = id_sorter_new(b->runs_fd, SORT_MEMORY, e);
	struct image_state *im;

	if (s == NULL)
		return NULL;
	if ((im = image_state_load(b->s, name, sort_table, s, e)) == NULL) {
		id_sorter_free(s);
		return NULL;
	}
	image_state_free(im);
	return s;
}

/* A sorted stream with its next id at hand. */
struct head {
	struct id_sorter *s;
	uint8_t id[DIGEST_LEN];
	int have;
};

/* 1 if ${id} is in the stream, 0 if not, -1; asked in rising order. */
static int
head_has(struct head *h, const uint8_t *id, struct err *e)
{
	while (h->have == 1 && memcmp(h->id, id, DIGEST_LEN) < 0)
		h->have = id_sorter_next(h->s, h->id, e);
	return h->have == -1 ? -1 : h->have == 1 && memcmp(h->id, id, DIGEST_LEN) == 0;
}

static int
head_start(struct head *h, struct id_sorter *s, struct err *e)
{
	h->s = s;
	if (id_sorter_rewind(s, e) != 0)
		return -1;
	h->have = id_sorter_next(s, h->id, e);
	return h->have == -1 ? -1 : 0;
}

/* 1 if the snapshot needs an id that ${other} carries and ${own} does not. */
static int
is_needed(struct build *b, int snaps, struct id_sorter *own, struct id_sorter *other, struct err *e)
{
	struct refs_files *l = refs_files_new(snaps, b->im->envelope.seq, e);
	struct head mine = { 0 }, theirs = { 0 };
	const uint8_t *id = NULL;
	int got = -1, rc = 0;

	if (l == NULL)
		return -1;
	if (head_start(&mine, own, e) != 0 || head_start(&theirs, other, e) != 0)
		rc = -1;
	while (rc == 0 && (got = refs_files_next(l, &id, e)) == 1) {
		rc = head_has(&mine, id, e);
		if (rc == 0)
			rc = head_has(&theirs, id, e);
		else if (rc == 1)
			rc = 0;
	}
	refs_files_free(l);
	return rc != 0 ? rc : got;
}

static int
lean_one(struct build *b, int snaps, const char *name, struct id_sorter *own, struct buf *out, struct err *e)
{
	struct image_state *im = image_state_load(b->s, name, NULL, NULL, e);
	struct id_sorter *other;
	int rc = 0;

	if (im == NULL) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		err_clear(e);
		return 0;
	}
	if (image_counts(im)) {
		if ((other = image_ids(b, name, e)) == NULL)
			rc = -1;
		else if ((rc = is_needed(b, snaps, own, other, e)) == 1) {
			buf_add(out, im->begin.image_id, ID_LEN);
			rc = 0;
		}
		id_sorter_free(other);
	}
	image_state_free(im);
	return rc;
}

/* Add the ids that an image carries to ${all}. */
static int
ids_add(struct build *b, const char *name, struct id_sorter *all, struct err *e)
{
	struct image_state *im = image_state_load(b->s, name, sort_table, all, e);

	if (im == NULL)
		return -1;
	image_state_free(im);
	return 0;
}

/* Nothing is sealed that needs a chunk which no image carries: one may have been given up since the reading. */
static int
all_is_held(struct build *b, int snaps, struct id_sorter *all, struct err *e)
{
	struct refs_files *l = refs_files_new(snaps, b->im->envelope.seq, e);
	struct head held = { 0 };
	const uint8_t *id = NULL;
	uint64_t missing = 0;
	int got = -1, rc = 0;

	if (l == NULL)
		return -1;
	if (head_start(&held, all, e) != 0)
		rc = -1;
	while (rc == 0 && (got = refs_files_next(l, &id, e)) == 1) {
		if ((rc = head_has(&held, id, e)) == -1)
			break;
		missing += rc == 0;
		rc = 0;
	}
	refs_files_free(l);
	if (rc != 0 || got == -1)
		return -1;
	/* What a dead disk held and cannot be had any more was named, file by file. */
	if (missing == 0 || missing <= b->r->given_up)
		return 0;
	err_set(e, ERR_UNFINISHED, "image %s needs %llu chunks of an image that was given up since; it cannot be sealed",
	    b->im->begin.short_name, (unsigned long long)missing);
	return err_next(e, "give it up too and build anew: samara-seed cancel %s", b->im->begin.short_name);
}

/* All ids that disks which are gone carried, sorted. */
static struct id_sorter *
gone_ids(struct build *b, struct err *e)
{
	struct id_sorter *s = id_sorter_new(b->runs_fd, SORT_MEMORY, e);

	if (s != NULL && image_packs_gone(b->im, sort_table, s, e) != 0) {
		id_sorter_free(s);
		return NULL;
	}
	return s;
}

/* What the disks of an image held that are gone, what the others hold, and what is needed of the difference. */
struct lacking {
	int snaps;
	struct id_sorter *gone, *live, *need;
};

/* Of what snapshot ${seq} needs. */
static int
list_lacks(struct lacking *k, uint64_t seq, struct err *e)
{
	struct refs_files *l = refs_files_new(k->snaps, seq, e);
	struct head was = { 0 }, is = { 0 };
	const uint8_t *id = NULL;
	int got = -1, here;

	if (l == NULL)
		return -1;
	if (head_start(&was, k->gone, e) == 0 && head_start(&is, k->live, e) == 0)
		while ((got = refs_files_next(l, &id, e)) == 1) {
			if ((here = head_has(&was, id, e)) == 1 && (here = head_has(&is, id, e)) != -1)
				here = here == 0 ? id_sorter_add(k->need, id, e) : 0;
			if (here == -1) {
				got = -1;
				break;
			}
		}
	refs_files_free(l);
	return got;
}

/* Of what another image's snapshot needs, where it was sealed in the belief that this image has it. */
static int
other_lacks(struct build *b, const char *name, struct lacking *k, struct err *e)
{
	struct image_state *im = image_state_load(b->s, name, NULL, NULL, e);
	struct fmt_view ids;
	bool leans = false;
	int rc = 0;

	if (im == NULL) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		err_clear(e);
		return 0;
	}
	ids = im->manifest.leans_on;
	for (size_t i = 0; image_counts(im) && im->envelope.seq != 0 && i < list_count(ids, ID_LEN) && !leans; i++)
		leans = memcmp(ids.p + i * ID_LEN, b->im->begin.image_id, ID_LEN) == 0;
	if (leans)
		rc = list_lacks(k, im->envelope.seq, e);
	image_state_free(im);
	return rc;
}

static int
all_lacks(struct build *b, struct lacking *k, struct err *e)
{
	char **names;
	size_t n;
	int rc;

	if (list_lacks(k, b->im->envelope.seq, e) != 0 || state_images(b->s, &names, &n, e) != 0)
		return -1;
	rc = 0;
	for (size_t i = 0; i < n && rc == 0; i++)
		if (strcmp(names[i], b->im->name) != 0)
			rc = other_lacks(b, names[i], k, e);
	dir_list_free(names, n);
	return rc;
}

/* The sorter may know an id twice. */
static int
lacks_take(struct id_sorter *need, struct topup_ids *want, struct err *e)
{
	uint8_t id[DIGEST_LEN], last[DIGEST_LEN];
	bool any = false;
	int got;

	if (id_sorter_rewind(need, e) != 0)
		return -1;
	while ((got = id_sorter_next(need, id, e)) == 1) {
		if (any && memcmp(id, last, DIGEST_LEN) == 0)
			continue;
		if (topup_ids_add(want, id, e) != 0)
			return -1;
		memcpy(last, id, DIGEST_LEN);
		any = true;
	}
	return got;
}

int
build_lacks(struct build *b, struct topup_ids *want, struct err *e)
{
	struct lacking k = { .snaps = dir_open(b->s->fd, "snaps", e) };
	int rc = -1;

	if (k.snaps != -1 && (k.gone = gone_ids(b, e)) != NULL && (k.live = image_ids(b, b->im->name, e)) != NULL &&
	    (k.need = id_sorter_new(b->runs_fd, SORT_MEMORY, e)) != NULL && all_lacks(b, &k, e) == 0)
		rc = lacks_take(k.need, want, e);
	id_sorter_free(k.gone);
	id_sorter_free(k.live);
	id_sorter_free(k.need);
	if (k.snaps != -1)
		io->close(k.snaps);
	return rc;
}

int
build_leans_on(struct build *b, struct buf *out, struct err *e)
{
	struct id_sorter *own = NULL, *all = NULL;
	char **names;
	size_t n;
	int snaps, rc = -1;

	if (state_images(b->s, &names, &n, e) != 0)
		return -1;
	if ((snaps = dir_open(b->s->fd, "snaps", e)) != -1 && (own = image_ids(b, b->im->name, e)) != NULL &&
	    (all = image_ids(b, b->im->name, e)) != NULL)
		rc = 0;
	for (size_t i = 0; i < n && rc == 0; i++) {
		size_t before = out->len;

		if (strcmp(names[i], b->im->name) == 0)
			continue;
		rc = lean_one(b, snaps, names[i], own, out, e);
		if (rc == 0 && out->len > before)
			rc = ids_add(b, names[i], all, e);
	}
	if (rc == 0)
		rc = all_is_held(b, snaps, all, e);
	id_sorter_free(own);
	id_sorter_free(all);
	if (snaps != -1)
		io->close(snaps);
	dir_list_free(names, n);
	return rc == 0 ? buf_check(out, e) : -1;
}
