/* What an export carries, and where in the vault it is read from. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/stop.h"
#include "common/base/text.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_chunks.h"
#include "common/flow/container.h"
#include "common/flow/export_job.h"
#include "common/flow/refs_merge.h"
#include "common/flow/refs_read.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"
#include "formats/fmt_snapshot.h"

#define WALK		16384u
#define SORT_MEMORY	((size_t)16 << 20)
#define LISTS_TOGETHER	32u
#define LIST_BUFFER	((size_t)DIGEST_LEN << 12)
#define PLACE_ID	24u	/* bytes of an id behind a pack's number */

/* --- which snapshots --- */

struct choosing {
	struct exporting *x;
	const char *set;		/* "latest:SET"; NULL: any */
	const char *prefix;		/* of an id in hex; NULL: latest, or all */
	int latest;
	struct cat_snapshot best;
	size_t fits;
};

static int
seq_add(struct exporting *x, uint64_t seq, struct err *e)
{
	uint64_t *more = realloc(x->seqs, (x->nseqs + 1) * sizeof(*more));

	if (more == NULL)
		return err_errno(e, "snapshots");
	x->seqs = more;
	x->seqs[x->nseqs++] = seq;
	return 0;
}

static int
snapshot_fits(void *arg, const void *row, struct err *e)
{
	const struct cat_snapshot *s = row;
	struct choosing *c = arg;
	char hex[2 * ID_LEN + 1];
	int good = s->state == SNAPSHOT_WHOLE || s->state == SNAPSHOT_PARTIAL;

	if (c->prefix != NULL) {
		if (strncmp(text_hex(hex, s->id, ID_LEN), c->prefix, strlen(c->prefix)) == 0) {
			c->best = *s;
			c->fits++;
		}
		return 0;
	}
	if (c->latest) {
		if (s->state == SNAPSHOT_WHOLE && (c->set == NULL || strcmp(s->set_name, c->set) == 0)) {
			c->best = *s;	/* in order of numbers */
			c->fits = 1;
		}
		return 0;
	}
	if (!good) {
		c->x->r->left_out++;
		return 0;
	}
	return seq_add(c->x, (uint64_t)s->seq, e);
}

/* Those of an export that goes on are what it was begun with. */
static int
choose_again(struct exporting *x, struct err *e)
{
	struct rd r = { .p = x->im->begin.paths.p, .left = x->im->begin.paths.len };
	char text[24];

	while (r.left > 0) {
		size_t len = rd_u16(&r);
		const uint8_t *p = rd_bytes(&r, len);

		if (p == NULL || len >= sizeof(text))
			return err_set(e, ERR_STATE, "the journal of export %s does not say what it carries", x->im->begin.short_name);
		memcpy(text, p, len);
		text[len] = 0;
		if (seq_add(x, strtoull(text, NULL, 10), e) != 0)
			return -1;
	}
	x->r->resumed = 1;
	return 0;
}

int
export_choose(struct exporting *x, struct err *e)
{
	const char *text = x->o->snapshot;
	struct choosing c = { .x = x };
	struct cat_snapshot like;

	if (x->im != NULL)
		return choose_again(x, e);
	if (text != NULL && strncmp(text, "latest", 6) == 0 && (text[6] == 0 || text[6] == ':')) {
		c.latest = 1;
		c.set = text[6] == ':' ? text + 7 : NULL;
	} else if (text != NULL && strcmp(text, "all") != 0) {
		if (strlen(text) < 4 || text[strspn(text, "0123456789abcdef")] != 0)
			return err_set(e, ERR_USAGE, "\"%s\" is no snapshot: give the beginning of an id, latest, latest:SET or all", text);
		c.prefix = text;
	}
	memcpy(like.machine_id, x->machine.id, ID_LEN);
	if (catalog_each(x->v->catalog, &cat_snapshots, 1, &like, snapshot_fits, &c, e) != 0)
		return -1;
	if (c.fits > 1)
		return err_set(e, ERR_NO_SNAPSHOT, "\"%s\" is the beginning of several snapshots' ids", text);
	if (c.fits == 1)
		return seq_add(x, (uint64_t)c.best.seq, e);
	if (x->nseqs == 0)
		return err_set(e, ERR_NO_SNAPSHOT, "machine %s has no snapshot that could be exported", x->machine.name);
	return 0;
}

/* --- their lists --- */

/* Envelope and list of snapshot ${seq}.  NULL with ${e}. */
static struct refs_reader *
list_open(struct exporting *x, uint64_t seq, uint8_t **env_bytes, size_t *len, struct envelope *env, struct err *e)
{
	struct snap_place p = { .seq = seq };
	char name[VAULT_NAME_MAX];
	struct refs_reader *r = NULL;

	memcpy(p.machine, x->machine.id, ID_LEN);
	vault_name_envelope(name, x->machine.id, seq);
	if (store_read(x->v->store, name, SMALL_STATEMENT_MAX, env_bytes, len, e) == 0) {
		if (schema_decode(&envelope_schema, env, *env_bytes, *len) != FMT_OK)
			(void)err_set(e, ERR_FORMAT, "%s is no envelope", name);
		else
			r = refs_reader_new(x->store, &p, env, e);
		if (r == NULL) {
			free(*env_bytes);
			*env_bytes = NULL;
		}
	}
	if (r == NULL)
		(void)err_during(e, "snapshot %llu", (unsigned long long)seq);
	return r;
}

/* Ids that stand on disks of this image. */
static int
carried_table(void *arg, uint32_t disk, uint32_t number, uint32_t file_len, const struct pack_table *t, const uint8_t *table,
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

/* A sorted stream of ids with the next at hand. */
struct stream {
	struct id_sorter *s;
	uint8_t id[DIGEST_LEN];
	int have;
};

/* 1 if ${id} is in it, asked in rising order; 0; -1. */
static int
stream_has(struct stream *h, const uint8_t id[DIGEST_LEN], struct err *e)
{
	while (h->have == 1 && memcmp(h->id, id, DIGEST_LEN) < 0)
		h->have = id_sorter_next(h->s, h->id, e);
	return h->have < 0 ? -1 : h->have == 1 && memcmp(h->id, id, DIGEST_LEN) == 0;
}

/* Some lists side by side: what of them stands on no disk goes into x->need. */
static int
lists_add(struct exporting *x, const uint64_t *seqs, size_t n, struct id_sorter *carried, struct err *e)
{
	struct refs_merge *m = refs_merge_new(e);
	struct stream have = { .s = carried };
	uint8_t id[DIGEST_LEN], *bytes = NULL;
	struct envelope env;
	const size_t *at;
	size_t nat, len;
	int rc = m == NULL ? -1 : 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		struct refs_reader *r = list_open(x, seqs[i], &bytes, &len, &env, e);

		rc = r == NULL ? -1 : refs_merge_take(m, r, e);
		free(bytes);
		bytes = NULL;
		x->r->list_bytes += 2 * (env.refs_count * DIGEST_LEN + REFS_HEAD_LEN + len);
	}
	if (rc == 0 && id_sorter_rewind(carried, e) != 0)
		rc = -1;
	if (rc == 0)
		have.have = id_sorter_next(carried, have.id, e);
	while (rc == 0 && (rc = refs_merge_next(m, id, &at, &nat, e)) == 1) {
		if ((rc = stream_has(&have, id, e)) == 0)
			rc = id_sorter_add(x->need, id, e);
		else if (rc == 1)
			rc = 0;
	}
	refs_merge_free(m);
	return rc;
}

/* --- where they are read from --- */

static int
pack_note(void *arg, const void *row, struct err *e)
{
	const struct cat_pack *p = row;
	struct exporting *x = arg;
	struct export_pack *more;

	if (memcmp(p->domain_id, x->machine.domain_id, DIGEST_LEN) != 0)
		return 0;
	if ((x->npacks & (x->npacks - 1)) == 0 && (x->npacks >= 1024 || x->npacks == 0)) {
		size_t cap = x->npacks == 0 ? 1024 : x->npacks * 2;

		if ((more = realloc(x->packs, cap * sizeof(*more))) == NULL)
			return err_errno(e, "packs");
		x->packs = more;
	}
	x->packs[x->npacks].n = p->n;
	x->packs[x->npacks].copy = p->copy;
	x->packs[x->npacks].len = (uint32_t)(p->len < 0 || p->len > PACK_LEN_MAX ? PACK_LEN_MAX : p->len);
	x->packs[x->npacks].count = p->count > 0 ? p->count : 1;
	memcpy(x->packs[x->npacks++].id, p->id, DIGEST_LEN);
	return 0;
}

static int
pack_by_n(const void *a, const void *b)
{
	const struct export_pack *x = a, *y = b;

	return (x->n > y->n) - (x->n < y->n);
}

const struct export_pack *
export_pack_of(const struct exporting *x, int64_t n)
{
	size_t low = 0, high = x->npacks;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (x->packs[mid].n < n)
			low = mid + 1;
		else
			high = mid;
	}
	return low < x->npacks && x->packs[low].n == n ? &x->packs[low] : NULL;
}

static int
place_add(struct exporting *x, int64_t pack, const uint8_t *id, struct err *e)
{
	uint8_t key[DIGEST_LEN];

	const struct export_pack *at = export_pack_of(x, pack);

	/* Frames of one pack are about as long as each other. */
	x->r->bytes += at == NULL ? 0 : at->len / at->count;
	for (int i = 0; i < 8; i++)
		key[i] = (uint8_t)((uint64_t)pack >> (56 - 8 * i));
	memcpy(key + 8, id, PLACE_ID);
	return id_sorter_add(x->places, key, e);
}

/* All copies of an id that stand together: the good one in the oldest pack. */
static int64_t
place_best(const struct cat_place *p, size_t n, size_t i, size_t *next)
{
	int64_t best = -1;

	for (*next = i; *next < n && memcmp(p[*next].id, p[i].id, DIGEST_LEN) == 0; ++*next)
		if (p[*next].state == COPY_GOOD && (best == -1 || p[*next].pack < best))
			best = p[*next].pack;
	return best;
}

/* What is needed against all that there is, both in order of ids. */
static int
places_find(struct exporting *x, struct err *e)
{
	struct cat_place *p = malloc(WALK * sizeof(*p));
	uint8_t id[DIGEST_LEN], above[DIGEST_LEN];
	const uint8_t *from = NULL;
	size_t n = 0, i = 0, next = 0;
	int have, rc = p == NULL ? err_errno(e, "places of chunks") : id_sorter_rewind(x->need, e);

	have = rc == 0 ? id_sorter_next(x->need, id, e) : 0;
	while (rc == 0 && have == 1) {
		if (i == n) {
			if ((rc = chunks_walk(x->v->catalog, x->machine.domain_id, from, p, WALK, &n, e)) != 0 || n == 0 ||
			    (rc = stop_check(e)) != 0)
				break;
			memcpy(above, p[n - 1].id, DIGEST_LEN);
			from = above;
			i = 0;
		}
		if (memcmp(p[i].id, id, DIGEST_LEN) < 0) {
			i++;
			continue;
		}
		x->r->chunks++;
		if (memcmp(p[i].id, id, DIGEST_LEN) == 0) {
			int64_t best = place_best(p, n, i, &next);

			if (best == -1)
				x->r->missing++;
			else
				rc = place_add(x, best, id, e);
			i = next;
		} else {
			x->r->missing++;
		}
		have = rc == 0 ? id_sorter_next(x->need, id, e) : 0;
	}
	/* What is above the last that the vault has. */
	for (; rc == 0 && have == 1; have = id_sorter_next(x->need, id, e)) {
		x->r->chunks++;
		x->r->missing++;
	}
	free(p);
	return rc != 0 || have == -1 ? -1 : 0;
}

int
export_plan(struct exporting *x, struct err *e)
{
	struct id_sorter *carried = id_sorter_new(x->s.fd, SORT_MEMORY, e);
	int rc = carried == NULL ? -1 : 0;

	x->need = id_sorter_new(x->s.fd, SORT_MEMORY, e);
	x->places = id_sorter_new(x->s.fd, SORT_MEMORY, e);
	if (x->need == NULL || x->places == NULL)
		rc = -1;
	if (rc == 0 && x->im != NULL)
		rc = image_packs(&x->s, x->im, carried_table, carried, e);
	for (size_t i = 0; i < x->nseqs && rc == 0; i += LISTS_TOGETHER)
		rc = lists_add(x, x->seqs + i, x->nseqs - i < LISTS_TOGETHER ? x->nseqs - i : LISTS_TOGETHER, carried, e);
	id_sorter_free(carried);
	if (rc == 0 && (rc = catalog_each(x->v->catalog, &cat_packs, 0, NULL, pack_note, x, e)) == 0) {
		if (x->npacks > 0)
			qsort(x->packs, x->npacks, sizeof(*x->packs), pack_by_n);
		rc = places_find(x, e);
	}
	return rc;
}

/* --- lists as they go onto the last disk --- */

/* One part of a whole list, from ${r}. */
static int
part_write(int dirfd, const char *name, const struct refs_head *h, struct refs_reader *r, uint8_t *buf, struct err *e)
{
	uint64_t left = refs_part_ids(h);
	size_t at = REFS_HEAD_LEN;
	int rc = 1, fd = io->open(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd == -1)
		return err_errno(e, "%s", name);
	refs_head_encode(h, buf);
	while (left > 0 && (rc = refs_reader_next(r, buf + at, e)) == 1) {
		at += DIGEST_LEN;
		left--;
		if (at + DIGEST_LEN > LIST_BUFFER || left == 0) {
			if (io_write_full(fd, buf, at, -1) != 0) {
				rc = err_errno(e, "write %s", name);
				break;
			}
			at = 0;
		}
	}
	if (rc == 0)
		rc = err_set(e, ERR_DAMAGE, "the list ends early");
	if (rc == 1)
		rc = io->fsync(fd) == 0 ? 0 : err_set(e, ERR_FSYNC, "sync %s: %s", name, strerror(errno));
	(void)io->close(fd);
	return rc;
}

static int
list_write(struct exporting *x, int dirfd, uint64_t seq, uint8_t *buf, struct err *e)
{
	uint8_t *bytes, id[DIGEST_LEN];
	struct refs_head h = { .kind = REFS_WHOLE };
	struct refs_reader *r;
	struct envelope env;
	char name[64];
	size_t len;
	int rc = 0;

	if ((r = list_open(x, seq, &bytes, &len, &env, e)) == NULL)
		return -1;
	memcpy(h.domain_id, env.domain_id, DIGEST_LEN);
	memcpy(h.digest, env.refs_digest, DIGEST_LEN);
	h.count = h.added = env.refs_count;
	h.parts = (uint16_t)((env.refs_count + REFS_PART_IDS - 1) / REFS_PART_IDS);
	for (; h.part < h.parts && rc == 0; h.part++) {
		(void)snprintf(name, sizeof(name), "%08llu.r%02u", (unsigned long long)seq, h.part);
		rc = part_write(dirfd, name, &h, r, buf, e);
	}
	/* The end alone says that order and digest were right. */
	if (rc == 0 && (rc = refs_reader_next(r, id, e)) == 1)
		rc = err_set(e, ERR_DAMAGE, "the list is longer than it says");
	refs_reader_free(r);
	(void)snprintf(name, sizeof(name), "%08llu.env", (unsigned long long)seq);
	if (rc == 0)
		rc = file_replace(dirfd, name, bytes, len, 0600, e);
	free(bytes);
	return rc == 0 ? 0 : err_during(e, "snapshot %llu", (unsigned long long)seq);
}

int
export_lists(struct exporting *x, struct err *e)
{
	uint8_t *buf = malloc(LIST_BUFFER + REFS_HEAD_LEN + DIGEST_LEN);
	int snaps = -1, rc = -1;

	if (buf == NULL)
		(void)err_errno(e, "reference lists");
	else if (dir_make(x->s.fd, "snaps", 0700, e) == 0 && (snaps = dir_open(x->s.fd, "snaps", e)) != -1)
		rc = 0;
	for (size_t i = 0; i < x->nseqs && rc == 0; i++)
		if ((rc = list_write(x, snaps, x->seqs[i], buf, e)) == 0)
			rc = stop_check(e);
	if (rc == 0)
		rc = dir_sync(snaps, NULL, e);
	if (snaps != -1)
		(void)io->close(snaps);
	free(buf);
	return rc;
}
