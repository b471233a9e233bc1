#ifndef SAMARA_TESTS_FLOW_VAULT_MODEL_H
#define SAMARA_TESTS_FLOW_VAULT_MODEL_H

/*
 * A plain second model of a vault with one machine, for test_vault_model.c: chunks are
 * numbers, a snapshot needs a range of them, and everything that is known of a chunk is
 * a set of these numbers.  What is held is read off the packs that lie in the store and off the
 * damage that the test did; the catalog's chunks are never looked at.  After vault_site.h,
 * keep_maker.h and upload_maker.h.
 */

#include <fcntl.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/base/file.h"
#include "common/flow/vault_count.h"
#include "common/pack/pack_build.h"
#include "common/pack/pack_view.h"

#define M_IDS		320u
#define M_IMAGES	12u
#define M_SNAPSHOTS	64u
#define M_PACKS		640u
#define M_SESSIONS	2u
#define M_LOG		16384u

typedef uint8_t chunk_set[M_IDS];

struct m_image {
	struct seed_image im;
	char disk[2][128];
	unsigned ndisks, in[2];
	unsigned first;			/* the first disk that has manifest, snapshot and list */
	uint32_t seq, from, to, carried, half;
	int known, manifest;		/* the vault knows it; it has its manifest */
	int64_t lease;
	unsigned fate;			/* IMAGE_LOST, _CANCELLED, _HANDED_OFF; 0: none */
	struct m_image *leans[M_IMAGES];
	unsigned nleans;
	chunk_set had;			/* that it brought before its manifest */
};
struct m_snapshot {
	uint32_t seq, from, to;
	struct m_image *image;		/* NULL: over the line */
	int64_t deleted;		/* slow clock; -1: not */
	int is_protected, gone;
	unsigned state;			/* as the model last knew it */
	chunk_set had;			/* chunks of it that were held, since it was filed */
};
struct m_pack {
	uint8_t id[DIGEST_LEN];
	uint32_t copy;
	unsigned n;
	uint32_t chunk[64];
	uint8_t bad[64];
	int there;			/* in the store now, and in the catalog's list of packs */
	int stray;			/* in the store alone */
};
struct m_session {
	int open;
	const uint8_t *pack;		/* that is put now */
	struct pack_info info;
	uint32_t seq;			/* that is committed now */
	int rc, interrupted;
	struct up up;
	uint32_t from, to, fresh;	/* its snapshot; chunks from fresh on are new */
	struct m_snapshot *base;
	chunk_set told;			/* chunks that it was told are held */
	unsigned step;
	int64_t touched;		/* slow clock */
};

struct model {
	struct site *s;
	uint64_t rng;
	uint8_t ids[M_IDS][DIGEST_LEN];
	struct m_image image[M_IMAGES];
	unsigned nimages;
	struct m_snapshot snap[M_SNAPSHOTS];
	unsigned nsnaps;
	struct up_snap chain[M_SNAPSHOTS + 1];	/* what the machine signed, by number */
	uint8_t passed[M_SNAPSHOTS + 1];	/* the vault knows the number and nothing else */
	struct m_pack pack[M_PACKS];
	unsigned npacks;
	struct m_session session[M_SESSIONS];
	uint32_t next_chunk, next_seq;
	chunk_set spoiled;		/* that cannot be read off their disk */
	uint16_t unstored[M_IDS];	/* of which images a disk that was taken in had lost it, a bit each */
	chunk_set given;		/* that the machine gave up */
	int revoked, jumped;
	int64_t slow;			/* what the slow clock must show, but for the seconds that the test takes */
	const struct m_image *receipt;	/* the image of the newest receipt that was answered */
	int64_t wall;			/* nanoseconds by which the wall clock is off */
	const char *alarm;		/* what an event found wrong */
	/* Somebody does the same first and is killed on the way; NULL: nobody. */
	void (*interrupt)(void (*work)(struct model *m, struct m_session *x), struct m_session *x);
	char log[M_LOG];
	size_t log_len;
	char why[256];
};

static inline uint32_t
model_random(struct model *m, uint32_t below)
{
	m->rng ^= m->rng << 13;
	m->rng ^= m->rng >> 7;
	m->rng ^= m->rng << 17;
	return (uint32_t)(m->rng * UINT64_C(0x2545f4914f6cdd1d) >> 33) % below;
}

static inline void __attribute__((format(printf, 2, 3)))
model_say(struct model *m, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (m->log_len + 256 > M_LOG) {
		memmove(m->log, m->log + M_LOG / 2, m->log_len - M_LOG / 2);
		m->log_len -= M_LOG / 2;
	}
	va_start(ap, fmt);
	n = vsnprintf(m->log + m->log_len, 255, fmt, ap);
	va_end(ap);
	m->log_len += (size_t)(n > 254 ? 254 : n);
	m->log[m->log_len++] = '\n';
	m->log[m->log_len] = '\0';
}

/* What is wrong, in words that stay. */
static inline const char * __attribute__((format(printf, 2, 3)))
model_wrong(struct model *m, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(m->why, sizeof(m->why), fmt, ap);
	va_end(ap);
	return m->why;
}

static inline const char *
model_hex(char *out, const uint8_t id[ID_LEN])
{
	for (unsigned i = 0; i < ID_LEN; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", id[i]);
	return out;
}

static inline void
model_begin(struct model *m, uint64_t seed)
{
	memset(m, 0, sizeof(*m));
	m->rng = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	m->next_seq = 1;
}

static inline int64_t
model_slow(struct model *m)
{
	struct vault *v = keep_open(m->s);
	int64_t slow;

	assert_true(catalog_number(v->catalog, "clock slow", &slow, &m->s->e) >= 0);
	vault_close(v);
	return slow;
}

static inline void
model_site(struct model *m, void *state)
{
	struct vault *v;

	m->s = state;
	v = keep_open(m->s);
	assert_int_equal(up_register(v, &m->s->m, &m->s->e), 0);
	vault_close(v);
	m->slow = model_slow(m);
	for (uint32_t i = 0; i < M_IDS; i++)
		seed_chunk(&m->s->m, i, m->ids[i], NULL, NULL);
}

static inline void
model_end(struct model *m)
{
	for (uint32_t i = 1; i < m->next_seq; i++)
		up_drop(&m->chain[i]);
	m->s = NULL;
}

/* Does nobody hold this lock of the vault? */
static inline int
model_is_free(struct model *m, const char *lock)
{
	char path[256];
	int fd, is_free;

	(void)snprintf(path, sizeof(path), "%s/local/%s", m->s->vault, lock);
	if ((fd = open(path, O_RDWR | O_CLOEXEC)) == -1)
		return 1;
	is_free = flock(fd, LOCK_EX | LOCK_NB) == 0;
	(void)close(fd);
	return is_free;
}

/* ---- packs of the store ---- */

static inline uint32_t
model_chunk_of(struct model *m, const uint8_t id[DIGEST_LEN])
{
	for (uint32_t i = 0; i < M_IDS; i++)
		if (memcmp(m->ids[i], id, DIGEST_LEN) == 0)
			return i;
	fail_msg("a pack has a chunk that nobody made");
	return 0;
}

struct m_scan {
	struct model *m;
	struct vault *v;
};

static inline int
model_has_row(struct vault *v, const struct m_pack *p)
{
	struct cat_pack row = { .copy = p->copy };
	struct err e;

	err_clear(&e);
	memcpy(row.id, p->id, DIGEST_LEN);
	return catalog_get(v->catalog, &cat_packs, &row, &e) == 0;
}

static inline void
model_pack_read(struct model *m, struct store *s, struct m_pack *p, const char *name)
{
	struct pack_view v;
	uint8_t *bytes;
	size_t n;

	assert_int_equal(store_read(s, name, PACK_LEN_MAX, &bytes, &n, &m->s->e), 0);
	assert_int_equal(pack_view_bytes(&v, bytes, n, NULL, NULL, &m->s->e), 0);
	assert_true(v.table.count <= 64);
	for (uint32_t i = 0; i < v.table.count; i++) {
		struct pack_row row;

		pack_table_row(&v.table, i, &row);
		p->chunk[p->n++] = model_chunk_of(m, row.id);
	}
	free(bytes);
}

static inline int
model_pack_found(void *arg, const char *name, uint64_t len, struct err *e)
{
	struct m_scan *k = arg;
	struct model *m = k->m;
	struct m_pack *p = NULL;
	uint8_t id[DIGEST_LEN];
	uint32_t copy;

	(void)len, (void)e;
	assert_int_equal(vault_name_parse_pack(name, id, &copy), 0);
	for (unsigned i = 0; i < m->npacks && p == NULL; i++)
		if (m->pack[i].copy == copy && memcmp(m->pack[i].id, id, DIGEST_LEN) == 0)
			p = &m->pack[i];
	if (p == NULL) {
		assert_true(m->npacks < M_PACKS);
		p = &m->pack[m->npacks++];
		memset(p, 0, sizeof(*p));
		memcpy(p->id, id, DIGEST_LEN);
		p->copy = copy;
		model_pack_read(m, k->v->store, p, name);
	}
	/* One that somebody was killed over has no row yet, or none any more: nobody can find what is in it. */
	p->there = model_has_row(k->v, p);
	p->stray = !p->there;
	return 0;
}

static inline void
model_scan(struct model *m)
{
	struct m_scan k = { m, keep_open(m->s) };

	for (unsigned i = 0; i < m->npacks; i++)
		m->pack[i].there = m->pack[i].stray = 0;
	assert_int_equal(k.v->store->ops->list(k.v->store, "packs/", "", model_pack_found, &k, &m->s->e), 0);
	vault_close(k.v);
	/* One that was away and comes anew is good again. */
	for (unsigned i = 0; i < m->npacks; i++)
		if (!m->pack[i].there && !m->pack[i].stray)
			memset(m->pack[i].bad, 0, sizeof(m->pack[i].bad));
}

/* 1 a good copy lies in the store, 2 only bad ones, 0 none. */
static inline unsigned
model_copy(const struct model *m, uint32_t chunk)
{
	unsigned best = 0;

	for (unsigned i = 0; i < m->npacks; i++)
		for (unsigned k = 0; k < m->pack[i].n && m->pack[i].there; k++)
			if (m->pack[i].chunk[k] == chunk) {
				if (!m->pack[i].bad[k])
					return 1;
				best = 2;
			}
	return best;
}

static inline struct m_pack *
model_pick_pack(struct model *m)
{
	unsigned from;

	model_scan(m);
	if (m->npacks == 0)
		return NULL;
	from = model_random(m, m->npacks);
	for (unsigned i = 0; i < m->npacks; i++)
		if (m->pack[(from + i) % m->npacks].there)
			return &m->pack[(from + i) % m->npacks];
	return NULL;
}

/* One byte of the frame of chunk ${at} of a pack is another. */
static inline void
model_spoil_frame(struct model *m, const struct m_pack *p, unsigned at)
{
	char name[VAULT_NAME_MAX], path[512];
	uint32_t off = PACK_HEAD_LEN;
	struct pack_view v;
	uint8_t *bytes;
	size_t n;
	int fd;

	vault_name_pack(name, p->id, p->copy);
	(void)snprintf(path, sizeof(path), "%s/%s", m->s->vault, name);
	assert_int_equal(file_read(AT_FDCWD, path, PACK_LEN_MAX, &bytes, &n, &m->s->e), 0);
	assert_int_equal(pack_view_bytes(&v, bytes, n, NULL, NULL, &m->s->e), 0);
	for (uint32_t i = 0; i <= at; i++) {
		struct pack_row row;

		pack_table_row(&v.table, i, &row);
		off += i < at ? row.len : row.len / 2;
	}
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_not_equal(fd = open(path, O_WRONLY | O_CLOEXEC), -1);
	bytes[off] ^= 0x40;
	assert_int_equal(pwrite(fd, bytes + off, 1, off), 1);
	(void)close(fd);
	free(bytes);
}

/* ---- snapshots ---- */

static inline struct m_snapshot *
model_snapshot(struct model *m, uint32_t seq)
{
	for (unsigned i = 0; i < m->nsnaps; i++)
		if (m->snap[i].seq == seq)
			return &m->snap[i];
	return NULL;
}

static inline int
model_needs(const struct m_snapshot *s, uint32_t chunk)
{
	return chunk >= s->from && chunk < s->to;
}

/* What a snapshot needs and has now must not be deleted from now on. */
static inline void
model_had(struct model *m, struct m_snapshot *s)
{
	for (uint32_t c = s->from; c < s->to; c++)
		s->had[c] = model_copy(m, c) == 1;
}

/* The test itself takes a chunk away. */
static inline void
model_forget(struct model *m, uint32_t chunk)
{
	for (unsigned i = 0; i < m->nsnaps; i++)
		m->snap[i].had[chunk] = 0;
	for (unsigned i = 0; i < m->nimages; i++)
		m->image[i].had[chunk] = 0;
	for (unsigned i = 0; i < M_SESSIONS; i++)
		m->session[i].told[chunk] = 0;
}

static inline void
model_file(struct model *m, uint32_t seq, uint32_t from, uint32_t to, struct m_image *image)
{
	struct m_snapshot *s = model_snapshot(m, seq);

	if (s != NULL)
		return;
	assert_true(m->nsnaps < M_SNAPSHOTS);
	s = &m->snap[m->nsnaps++];
	*s = (struct m_snapshot){ .seq = seq, .from = from, .to = to, .image = image, .deleted = -1 };
	m->passed[seq] = 0;
	model_scan(m);
	model_had(m, s);
}

static inline struct m_snapshot *
model_pick_snapshot(struct model *m)
{
	struct m_snapshot *s = m->nsnaps == 0 ? NULL : &m->snap[model_random(m, m->nsnaps)];

	return s == NULL || s->gone ? NULL : s;
}

static inline struct m_image *
model_pick_image(struct model *m)
{
	return m->nimages == 0 ? NULL : &m->image[model_random(m, m->nimages)];
}

/* What a machine may build on: the newest chunks there are. */
static inline uint32_t
model_low(const struct model *m)
{
	return m->next_chunk > 40 ? m->next_chunk - 40 : 0;
}

/* Does an image on its way carry it? */
static inline int
model_is_promised(struct model *m, uint32_t chunk, int64_t slow)
{
	if (model_copy(m, chunk) != 0)
		return 0;
	for (unsigned i = 0; i < m->nimages; i++) {
		const struct m_image *x = &m->image[i];
		const struct m_snapshot *own = model_snapshot(m, x->seq);
		int out = 0, leant = 0;

		for (unsigned k = 0; k < x->ndisks; k++)
			out |= !x->in[k];
		if (!x->manifest || !out || (m->unstored[chunk] >> i & 1) != 0 || x->fate == IMAGE_LOST || x->fate == IMAGE_CANCELLED || slow > x->lease || own == NULL ||
		    own->gone || !model_needs(own, chunk))
			continue;
		for (unsigned k = 0; k < x->nleans; k++) {
			const struct m_snapshot *theirs = model_snapshot(m, x->leans[k]->seq);

			leant |= theirs != NULL && !theirs->gone && model_needs(theirs, chunk);
		}
		if (!leant)
			return 1;
	}
	return 0;
}

static inline unsigned
model_state(struct model *m, const struct m_snapshot *s, int64_t slow)
{
	int pending = 0, partial = 0;

	for (uint32_t c = s->from; c < s->to; c++) {
		if (model_copy(m, c) == 1)
			continue;
		if (model_is_promised(m, c, slow))
			pending = 1;
		else if (m->given[c])
			partial = 1;
		else
			return SNAPSHOT_GAP;
	}
	return pending ? SNAPSHOT_PENDING : partial ? SNAPSHOT_PARTIAL : SNAPSHOT_WHOLE;
}

static inline int
model_is_newest_whole(const struct model *m, const struct m_snapshot *s)
{
	if (s->state != SNAPSHOT_WHOLE)
		return 0;
	for (unsigned i = 0; i < m->nsnaps; i++)
		if (!m->snap[i].gone && m->snap[i].deleted == -1 && m->snap[i].state == SNAPSHOT_WHOLE && m->snap[i].seq > s->seq)
			return 0;
	return 1;
}

#endif
