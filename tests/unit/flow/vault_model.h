#ifndef SAMARA_TESTS_FLOW_VAULT_MODEL_H
#define SAMARA_TESTS_FLOW_VAULT_MODEL_H

/*
 * A plain second model of a vault with one machine, for test_vault_model.c: chunks are
 * numbers, a snapshot needs a range of them, what is held is read off the packs that lie
 * in the store and off the damage that the test did.  After vault_site.h and keep_maker.h.
 */

#include <fcntl.h>
#include <stdarg.h>
#include <sys/file.h>

#include "common/flow/pack_rows.h"
#include "common/flow/vault_count.h"
#include "common/pack/pack_view.h"

#define M_IDS		256u
#define M_IMAGES	10u
#define M_SNAPSHOTS	64u
#define M_PACKS		512u
#define M_SESSIONS	2u
#define M_LOG		16384u

struct m_image {
	struct seed_image im;
	char disk[2][128];
	unsigned ndisks, in[2];
	uint32_t seq, from, to, carried, half;
	int manifest;			/* the vault knows it */
	int64_t lease;
	unsigned fate;			/* IMAGE_LOST, _CANCELLED, _HANDED_OFF; 0: none */
	struct m_image *leans[M_IMAGES];
	unsigned nleans;
};
struct m_snapshot {
	uint32_t seq, from, to;
	struct m_image *image;		/* NULL: over the line */
	int64_t deleted;		/* slow clock; -1: not */
	int is_protected, gone;
	unsigned state;			/* as the model last knew it */
	uint8_t had[M_IDS];		/* chunks of it that were held, since it was filed */
};
struct m_pack {
	uint8_t id[DIGEST_LEN];
	uint32_t copy;
	unsigned n;
	uint32_t chunk[64];
	uint8_t bad[64];
	int there;			/* in the store now */
};
struct m_session {
	int open;
	struct cat_session row;
	uint32_t from, to, fresh;	/* its snapshot; chunks from fresh on are new */
	struct m_snapshot *base;
	uint8_t told[M_IDS];		/* chunks that it was told are held */
	unsigned step;
};

struct model {
	struct site *s;
	uint64_t rng;
	uint8_t ids[M_IDS][DIGEST_LEN];
	struct m_image image[M_IMAGES];
	unsigned nimages;
	struct m_snapshot snap[M_SNAPSHOTS];
	unsigned nsnaps;
	struct m_pack pack[M_PACKS];
	unsigned npacks;
	struct m_session session[M_SESSIONS];
	uint32_t next_chunk, next_seq;
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

static inline void
model_note(struct model *m, const char *why)
{
	model_say(m, "=> %s", why);
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

static inline void
model_site(struct model *m, void *state)
{
	struct vault *v;

	m->s = state;
	v = keep_open(m->s);
	assert_int_equal(up_register(v, &m->s->m, &m->s->e), 0);
	vault_close(v);
	for (uint32_t i = 0; i < M_IDS; i++)
		seed_chunk(&m->s->m, i, m->ids[i], NULL, NULL);
}

static inline void
model_end(struct model *m)
{
	m->s = NULL;
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
	struct store *s;
};

static inline int
model_pack_found(void *arg, const char *name, uint64_t len, struct err *e)
{
	struct m_scan *k = arg;
	struct model *m = k->m;
	struct pack_view v;
	struct m_pack *p;
	uint8_t id[DIGEST_LEN], *bytes;
	uint32_t copy;
	size_t n;

	(void)len;
	assert_int_equal(vault_name_parse_pack(name, id, &copy), 0);
	for (unsigned i = 0; i < m->npacks; i++)
		if (m->pack[i].copy == copy && memcmp(m->pack[i].id, id, DIGEST_LEN) == 0) {
			/* One that was away and came anew is good again. */
			m->pack[i].there = 1;
			return 0;
		}
	assert_true(m->npacks < M_PACKS);
	p = &m->pack[m->npacks++];
	memset(p, 0, sizeof(*p));
	memcpy(p->id, id, DIGEST_LEN);
	p->copy = copy;
	p->there = 1;
	assert_int_equal(store_read(k->s, name, PACK_LEN_MAX, &bytes, &n, e), 0);
	assert_int_equal(pack_view_bytes(&v, bytes, n, NULL, NULL, e), 0);
	assert_true(v.table.count <= 64);
	for (uint32_t i = 0; i < v.table.count; i++) {
		struct pack_row row;

		pack_table_row(&v.table, i, &row);
		p->chunk[p->n++] = model_chunk_of(m, row.id);
	}
	free(bytes);
	return 0;
}

static inline void
model_scan(struct model *m)
{
	struct m_scan k = { m, NULL };

	for (unsigned i = 0; i < m->npacks; i++)
		m->pack[i].there = 0;
	err_clear(&m->s->e);
	k.s = store_dir_open(m->s->vault, 0, &m->s->e);
	assert_non_null(k.s);
	assert_int_equal(k.s->ops->list(k.s, "packs/", "", model_pack_found, &k, &m->s->e), 0);
	k.s->ops->free(k.s);
	for (unsigned i = 0; i < m->npacks; i++)
		if (!m->pack[i].there)
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

static inline int
model_has_row(struct vault *v, const struct m_pack *p)
{
	struct cat_pack row = { .copy = p->copy };
	struct err e;

	err_clear(&e);
	memcpy(row.id, p->id, DIGEST_LEN);
	return catalog_get(v->catalog, &cat_packs, &row, &e) == 0;
}

/* ---- images and snapshots ---- */

static inline struct m_snapshot *
model_snapshot(struct model *m, uint32_t seq)
{
	for (unsigned i = 0; i < m->nsnaps; i++)
		if (m->snap[i].seq == seq)
			return &m->snap[i];
	return NULL;
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
	model_scan(m);
	model_had(m, s);
}

/* What a machine may build on: the newest snapshot that is whole, or that an image on its way will bring. */
static inline uint32_t
model_low(const struct model *m)
{
	return m->next_chunk > 40 ? m->next_chunk - 40 : 0;
}

static inline struct m_image *
model_image_new(struct model *m)
{
	struct m_image *i = &m->image[m->nimages];
	uint32_t n = 4 + model_random(m, 16), low = model_low(m);
	char name[SHORT_LEN + 1];

	if (m->nimages == M_IMAGES || m->next_chunk + n > M_IDS)
		return NULL;
	(void)snprintf(name, sizeof(name), "RM%c%c", 'A' + (int)(m->nimages / 10), 'A' + (int)(m->nimages % 10));
	seed_image_make(&i->im, &m->s->m, name);
	i->im.pack_chunks = 2 + model_random(m, 7);
	i->ndisks = 1 + model_random(m, 2);
	i->carried = m->next_chunk;
	i->from = low + model_random(m, m->next_chunk - low + 1);
	i->to = m->next_chunk + n;
	i->half = i->ndisks == 2 ? i->carried + n / 2 : i->to;
	i->seq = m->next_seq++;
	m->next_chunk = i->to;
	for (unsigned k = 0; k < i->ndisks; k++)
		(void)snprintf(i->disk[k], sizeof(i->disk[k]), "%s/i%u-%u", m->s->root, m->nimages, k);
	seed_disk(&i->im, i->disk[0], 1, i->carried, i->half - i->carried);
	if (i->ndisks == 2)
		seed_disk(&i->im, i->disk[1], 2, i->half, i->to - i->half);
	for (unsigned k = 0; k < i->ndisks; k++) {
		struct seed_image once = i->im;

		/* The snapshot stands on each disk; it is one. */
		if (k == 0)
			seed_snapshot(&i->im, i->disk[0], i->seq, i->from, i->to - i->from);
		(void)once;
	}
	for (unsigned k = 0; k < m->nimages; k++)
		if (m->image[k].to > i->from && m->image[k].from < i->carried && i->im.nleans < SEED_SNAPS) {
			seed_leans(&i->im, &m->image[k].im);
			i->leans[i->nleans++] = &m->image[k];
		}
	for (unsigned k = 0; k < i->ndisks; k++)
		seed_manifest(&i->im, i->disk[k], 1);
	if (i->ndisks == 2) {
		char cmd[512];

		(void)snprintf(cmd, sizeof(cmd), "cp -r %s/samara/*/snap* %s/samara/*/", i->disk[0], i->disk[1]);
		assert_int_equal(system(cmd), 0);
	}
	m->nimages++;
	return i;
}

static inline struct m_image *
model_pick_image(struct model *m)
{
	return m->nimages == 0 ? NULL : &m->image[model_random(m, m->nimages)];
}

static inline struct m_snapshot *
model_pick_snapshot(struct model *m)
{
	struct m_snapshot *s = m->nsnaps == 0 ? NULL : &m->snap[model_random(m, m->nsnaps)];

	return s == NULL || s->gone ? NULL : s;
}

static inline int
model_needs(const struct m_snapshot *s, uint32_t chunk)
{
	return chunk >= s->from && chunk < s->to;
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
		if (!x->manifest || !out || x->fate == IMAGE_LOST || x->fate == IMAGE_CANCELLED || slow > x->lease || own == NULL ||
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
	int pending = 0;

	for (uint32_t c = s->from; c < s->to; c++) {
		if (model_copy(m, c) == 1)
			continue;
		if (!model_is_promised(m, c, slow))
			return SNAPSHOT_GAP;
		pending = 1;
	}
	return pending ? SNAPSHOT_PENDING : SNAPSHOT_WHOLE;
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

/* ---- sessions, as a server has them ---- */

static inline void
model_sessions_forget(struct model *m)
{
	memset(m->session, 0, sizeof(m->session));
}

static inline void
model_session_end(struct model *m, struct m_session *x)
{
	struct vault *v = keep_open(m->s);

	assert_int_equal(session_end_now(v, x->row.id, &m->s->e), 0);
	vault_close(v);
	x->open = 0;
}

static inline void
model_sessions_end(struct model *m)
{
	for (unsigned i = 0; i < M_SESSIONS; i++)
		if (m->session[i].open)
			model_session_end(m, &m->session[i]);
}

static inline void
model_session_open(struct model *m, struct m_session *x)
{
	struct m_snapshot *base = model_pick_snapshot(m);
	uint32_t low;
	struct vault *v;

	if (m->next_chunk + 8 > M_IDS || m->nsnaps + M_IMAGES + M_SESSIONS >= M_SNAPSHOTS)
		return;
	if (base != NULL && base->state != SNAPSHOT_WHOLE)
		base = NULL;
	memset(x, 0, sizeof(*x));
	x->base = base;
	x->fresh = m->next_chunk;
	m->next_chunk += 1 + model_random(m, 7);
	x->to = m->next_chunk;
	low = base != NULL ? base->from : model_low(m);
	x->from = low + model_random(m, x->fresh - low + 1);
	x->row.kind = SESSION_BACKUP;
	x->row.base_seq = base == NULL ? 0 : base->seq;
	memcpy(x->row.machine_id, m->s->m.id, ID_LEN);
	v = keep_open(m->s);
	assert_int_equal(session_enter_now(v, &x->row, &m->s->e), 0);
	vault_close(v);
	x->open = 1;
	model_say(m, "session opens: %u-%u on %u", x->from, x->to, x->base == NULL ? 0 : x->base->seq);
}

/* Is it told that chunk ${c} is held?  In a transaction, as who answers "have". */
static inline int
model_ask(struct model *m, struct vault *v, uint32_t c)
{
	uint8_t state;

	assert_int_equal(chunks_revive(v->catalog, m->s->m.k->domain_id, m->s->m.id, m->ids[c], 1, &state, &m->s->e), 0);
	return (state & COPY_GOOD) != 0;
}

static inline int
model_in_base(const struct m_session *x, uint32_t c)
{
	return x->base != NULL && model_needs(x->base, c);
}

static inline void
model_session_ask(struct model *m, struct m_session *x)
{
	struct vault *v = keep_open(m->s);

	assert_int_equal(vault_begin(v, &m->s->e), 0);
	for (uint32_t c = x->from; c < x->to; c++)
		x->told[c] = !model_in_base(x, c) && model_ask(m, v, c);
	assert_int_equal(vault_commit(v, &m->s->e), 0);
	vault_close(v);
	model_say(m, "session asks");
}

/* A pack of what it was not told is held. */
static inline void
model_session_put(struct model *m, struct m_session *x)
{
	struct pack_part parts[64];
	uint8_t *inner[64], *out = malloc(PACK_LEN_MAX);
	uint32_t n = 0, chunk[64];
	struct pack_rows rows;
	struct pack_info info;
	struct pack_view view;
	struct pack_put put;
	struct vault *v;
	int rc;

	assert_non_null(out);
	for (uint32_t c = x->from; c < x->to && n < 8; c++) {
		if (x->told[c] || model_in_base(x, c))
			continue;
		parts[n].kind = KIND_DATA;
		seed_chunk(&m->s->m, c, parts[n].id, &inner[n], &parts[n].inner_len);
		parts[n].inner = inner[n];
		chunk[n++] = c;
	}
	if (n > 0) {
		pack_build(m->s->m.k, m->s->m.id, m->s->m.secret, parts, n, out, &info);
		v = keep_open(m->s);
		do {
			assert_int_equal(pack_view_bytes(&view, out, info.len, m->s->m.id, m->s->m.pub, &m->s->e), 0);
			assert_int_equal(pack_put(v->store, info.id, out, info.len, &put, &m->s->e), 0);
			assert_int_equal(pack_rows_make(&rows, &view, &put, &m->s->e), 0);
			assert_int_equal(vault_begin(v, &m->s->e), 0);
			if ((rc = pack_rows_write(v, &rows, &m->s->e)) == 0)
				assert_int_equal(vault_commit(v, &m->s->e), 0);
			else
				vault_rollback(v);
			pack_rows_release(&rows);
		} while (rc != 0 && m->s->e.code == ERR_BUSY);
		assert_int_equal(rc, 0);
		vault_close(v);
		for (uint32_t i = 0; i < n; i++)
			x->told[chunk[i]] = 1;
		model_say(m, "session puts %u chunks", n);
	}
	for (uint32_t i = 0; i < n; i++)
		free(inner[i]);
	free(out);
}

/* Envelope and whole list into the store, under the number that comes next. */
static inline void
model_session_list(struct model *m, const struct m_session *x, uint32_t seq, struct vault *v, struct buf *envelope)
{
	struct envelope env = { .seq = seq, .set_name = "files", .kind = SNAP_FILES, .begin_ns = 5000, .end_ns = 6000 };
	struct refs_head h = { .kind = REFS_WHOLE, .parts = 1 };
	struct refs_digest *d = refs_digest_new(m->s->m.k->domain_id);
	uint8_t sorted[M_IDS][DIGEST_LEN], head[REFS_HEAD_LEN];
	uint32_t n = x->to - x->from;
	char name[VAULT_NAME_MAX];
	struct buf b;

	memcpy(sorted, m->ids[x->from], (size_t)n * DIGEST_LEN);
	memcpy(env.root_id, m->ids[x->to - 1], DIGEST_LEN);
	qsort(sorted, n, DIGEST_LEN, seed_id_order);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(refs_digest_add(d, sorted[i]), 0);
	refs_digest_final(d, env.refs_digest, &env.refs_count);
	refs_digest_free(d);
	io_random(env.snapshot_id, ID_LEN);
	memcpy(env.machine_id, m->s->m.id, ID_LEN);
	memcpy(env.domain_id, m->s->m.k->domain_id, DIGEST_LEN);
	memcpy(h.domain_id, env.domain_id, DIGEST_LEN);
	memcpy(h.digest, env.refs_digest, DIGEST_LEN);
	h.count = h.added = n;
	refs_head_encode(&h, head);
	buf_init(&b);
	buf_add(&b, head, sizeof(head));
	buf_add(&b, sorted, (size_t)n * DIGEST_LEN);
	vault_name_refs(name, env.machine_id, seq, REFS_WHOLE, 0);
	assert_int_equal(v->store->ops->put_new(v->store, name, b.p, b.len, &m->s->e), 0);
	buf_release(&b);
	seed_sign(&envelope_schema, &env, m->s->m.secret, envelope);
	vault_name_envelope(name, env.machine_id, seq);
	assert_int_equal(v->store->ops->put_new(v->store, name, envelope->p, envelope->len, &m->s->e), 0);
}

static inline void
model_session_commit(struct model *m, struct m_session *x)
{
	struct cat_session open;
	struct cat_snapshot base;
	struct vault *v = keep_open(m->s);
	uint32_t seq = m->next_seq++;
	struct buf envelope;
	int ok;

	buf_init(&envelope);
	model_session_list(m, x, seq, v, &envelope);
	assert_int_equal(vault_begin(v, &m->s->e), 0);
	ok = session_get(v, x->row.id, &open, &m->s->e) == 0;
	if (ok && x->base != NULL) {
		memcpy(base.machine_id, m->s->m.id, ID_LEN);
		base.seq = x->base->seq;
		ok = catalog_get(v->catalog, &cat_snapshots, &base, &m->s->e) == 0;
	}
	for (uint32_t c = x->from; c < x->to && ok; c++)
		ok = model_in_base(x, c) || model_ask(m, v, c);
	if (ok) {
		assert_int_equal(vault_record_bytes(v, REC_SNAPSHOT_RECEIVED, envelope.p, envelope.len, &m->s->e), 0);
		assert_int_equal(session_end(v, x->row.id, &m->s->e), 0);
		assert_int_equal(vault_commit(v, &m->s->e), 0);
		model_file(m, seq, x->from, x->to, NULL);
	} else {
		vault_rollback(v);
		assert_int_equal(session_end_now(v, x->row.id, &m->s->e), 0);
	}
	vault_close(v);
	buf_release(&envelope);
	x->open = 0;
	model_say(m, "session commits %u: %s", seq, ok ? "yes" : "no");
}

static inline void
model_session_step(struct model *m)
{
	struct m_session *x = &m->session[model_random(m, M_SESSIONS)];

	if (!x->open) {
		model_session_open(m, x);
		return;
	}
	switch (x->step++) {
	case 0:
		model_session_ask(m, x);
		break;
	case 1:
	case 2:
	case 3:
		model_session_put(m, x);
		break;
	default:
		if (model_random(m, 8) == 0)
			model_session_end(m, x);
		else
			model_session_commit(m, x);
		break;
	}
}

/* ---- what must hold ---- */

static inline int
model_row(struct model *m, struct vault *v, const struct m_snapshot *s, struct cat_snapshot *row)
{
	memcpy(row->machine_id, m->s->m.id, ID_LEN);
	row->seq = s->seq;
	return catalog_get(v->catalog, &cat_snapshots, row, &m->s->e);
}

/* May it be gone?  NULL, or why not. */
static inline const char *
model_may_go(struct model *m, const struct m_snapshot *s, int64_t slow)
{
	uint32_t head = 0;

	if (s->deleted == -1)
		return "it was not deleted";
	if (s->is_protected)
		return "it was protected";
	if (slow < s->deleted + RETAIN_SOFT)
		return "its fourteen days were not over";
	for (unsigned i = 0; i < m->nsnaps; i++)
		if (!m->snap[i].gone && m->snap[i].seq > head)
			head = m->snap[i].seq;
	if (head == s->seq)
		return "it was the head";
	if (s->image != NULL && s->image->fate == 0 && slow <= s->image->lease)
		return "its image was not handed off";
	for (unsigned i = 0; i < M_SESSIONS; i++)
		if (m->session[i].open && m->session[i].base == s)
			return "a session built on it";
	return NULL;
}

/* What went is marked so.  NULL, or what is wrong. */
static inline const char *
model_gone(struct model *m, struct vault *v, int64_t slow)
{
	struct cat_snapshot row;
	const char *why;

	for (unsigned i = 0; i < m->nsnaps; i++) {
		struct m_snapshot *s = &m->snap[i];

		if (s->gone || model_row(m, v, s, &row) == 0)
			continue;
		if ((why = model_may_go(m, s, slow)) != NULL) {
			(void)snprintf(m->why, sizeof(m->why), "snapshot %u is gone, and %s", s->seq, why);
			return m->why;
		}
		s->gone = 1;
	}
	return NULL;
}

/* Nothing is called whole that lacks a chunk; nothing that is needed, or that a session was told is held, went away. */
static inline const char *
model_check_whole(struct model *m)
{
	struct vault *v = keep_open(m->s);
	const char *why = model_gone(m, v, model_slow(m));
	struct cat_snapshot row;

	model_scan(m);
	for (unsigned i = 0; i < m->nsnaps && why == NULL; i++) {
		struct m_snapshot *s = &m->snap[i];

		if (s->gone || model_row(m, v, s, &row) != 0)
			continue;
		for (uint32_t c = s->from; c < s->to && why == NULL; c++) {
			if (model_copy(m, c) == 1)
				continue;
			if (row.state == SNAPSHOT_WHOLE)
				why = "a snapshot is called whole and lacks a chunk";
			else if (s->had[c] && model_copy(m, c) == 0)
				why = "a chunk that a snapshot needs was deleted";
			if (why != NULL)
				(void)snprintf(m->why, sizeof(m->why), "%s: snapshot %u, chunk %u", why, s->seq, c);
		}
	}
	for (unsigned i = 0; i < M_SESSIONS && why == NULL; i++)
		for (uint32_t c = 0; c < M_IDS && m->session[i].open && why == NULL; c++)
			if (m->session[i].told[c] && model_copy(m, c) == 0 && session_get(v, m->session[i].row.id,
			    &(struct cat_session){ .kind = 0 }, &m->s->e) == 0) {
				why = "a chunk that a session was told is held was deleted";
				(void)snprintf(m->why, sizeof(m->why), "%s: chunk %u", why, c);
			}
	vault_close(v);
	for (unsigned i = 0; i < m->nsnaps; i++)
		model_had(m, &m->snap[i]);
	return why == NULL ? NULL : m->why;
}

/* All states are what the model says. */
static inline const char *
model_check(struct model *m)
{
	const char *why = model_check_whole(m);
	struct vault *v = keep_open(m->s);
	int64_t slow = model_slow(m);
	struct cat_snapshot row;

	for (unsigned i = 0; i < m->nsnaps && why == NULL; i++) {
		struct m_snapshot *s = &m->snap[i];

		if (s->gone)
			continue;
		s->state = model_state(m, s, slow);
		if (model_row(m, v, s, &row) != 0)
			(void)snprintf(m->why, sizeof(m->why), "snapshot %u is not there", s->seq);
		else if (row.state != s->state)
			(void)snprintf(m->why, sizeof(m->why), "snapshot %u is in state %u instead of %u: %d missing, %d promised", s->seq,
			    row.state, s->state, (int)row.missing, (int)row.promised);
		else if ((row.deleted != 0) != (s->deleted != -1) || (row.is_protected != 0) != (s->is_protected != 0))
			(void)snprintf(m->why, sizeof(m->why), "snapshot %u is not as it was decided", s->seq);
		else
			continue;
		why = m->why;
	}
	vault_close(v);
	return why;
}

/* After collections with nobody else about: no pack stays of which nobody needs anything. */
static inline const char *
model_check_garbage(struct model *m)
{
	model_scan(m);
	for (unsigned i = 0; i < m->npacks; i++) {
		unsigned needed = 0;

		for (unsigned k = 0; k < m->pack[i].n; k++)
			for (unsigned s = 0; s < m->nsnaps; s++)
				needed += !m->snap[s].gone && model_needs(&m->snap[s], m->pack[i].chunk[k]);
		if (m->pack[i].there && needed == 0) {
			(void)snprintf(m->why, sizeof(m->why), "pack %02x%02x.%u stays and nobody needs it", m->pack[i].id[0],
			    m->pack[i].id[1], m->pack[i].copy);
			return m->why;
		}
	}
	return NULL;
}

#endif
