#ifndef SAMARA_TESTS_FLOW_UPLOAD_MAKER_H
#define SAMARA_TESTS_FLOW_UPLOAD_MAKER_H

/* A registered machine's sessions with a vault, made by hand: chunks are numbers, as in seed_maker.h.  After cmocka.h. */

#include "common/flow/ingest_job.h"
#include "common/flow/upload.h"
#include "common/flow/vault_machine.h"
#include "common/crypto/sign.h"
#include "flow/seed_maker.h"

/* A snapshot that needs the chunks ${from} .. ${from} + ${n} - 1, the first of them its root. */
struct up_snap {
	struct envelope env;
	struct buf bytes;
	uint32_t from, n;
};

struct up {
	struct vault *v;
	struct seed_machine *sm;
	struct cat_machine m;
	uint8_t session[ID_LEN];
	struct session_opened opened;
	struct committed done;
	struct err e;			/* of the newest failure */
};

/* Take the machine in as by its registration, and open the vault.  0 or -1 with ${e}. */
static inline int
up_register(struct vault *v, const struct seed_machine *m, struct err *e)
{
	if (vault_begin(v, e) != 0)
		return -1;
	if (registration_file(v, m->regist.p, m->regist.len, e) == 0 &&
	    vault_record_bytes(v, REC_MACHINE_REGISTERED, m->regist.p, m->regist.len, e) == 0)
		return vault_commit(v, e);
	vault_rollback(v);
	return -1;
}

static inline void
up_start(struct up *u, const char *vault, struct seed_machine *m)
{
	memset(u, 0, sizeof(*u));
	err_clear(&u->e);
	u->sm = m;
	u->v = vault_open(vault, 0, &u->e);
	if (u->v == NULL)
		fail_msg("%s", u->e.msg);
	if (vault_machine(u->v, m->id, &u->m, &u->e) == 1 && up_register(u->v, m, &u->e) != 0)
		fail_msg("%s", u->e.msg);
	assert_int_equal(vault_machine(u->v, m->id, &u->m, &u->e), 0);
}

static inline void
up_end(struct up *u)
{
	vault_close(u->v);
}

/* A session of the set "files" on ${base} (NULL: none), of ${kind}. */
static inline int
up_open_kind(struct up *u, const struct up_snap *base, uint8_t kind)
{
	struct session_open o = { .kind = kind, .set_name = "files" };

	err_clear(&u->e);
	io_random(u->session, ID_LEN);
	memcpy(o.session_id, u->session, ID_LEN);
	if (base != NULL)
		memcpy(o.base, base->env.snapshot_id, ID_LEN);
	return upload_open(u->v, &u->m, &o, &u->opened, &u->e);
}

static inline int
up_open(struct up *u, const struct up_snap *base)
{
	return up_open_kind(u, base, LINE_BACKUP);
}

/* A pack of the chunks ${from} .. ${from} + ${n} - 1, at most 64, in new memory. */
static inline uint8_t *
up_pack_make(const struct seed_machine *m, uint32_t from, uint32_t n, struct pack_info *info)
{
	uint8_t *inner[64], *out = aligned_alloc(4096, PACK_LEN_MAX);
	struct pack_part parts[64];

	assert_non_null(out);
	for (uint32_t i = 0; i < n; i++) {
		parts[i].kind = KIND_DATA;
		seed_chunk(m, from + i, parts[i].id, &inner[i], &parts[i].inner_len);
		parts[i].inner = inner[i];
	}
	pack_build(m->k, m->id, m->secret, parts, n, out, info);
	for (uint32_t i = 0; i < n; i++)
		free(inner[i]);
	return out;
}

static inline int
up_pack(struct up *u, uint32_t from, uint32_t n)
{
	struct pack_info info;
	uint8_t *bytes = up_pack_make(u->sm, from, n, &info);
	int rc;

	err_clear(&u->e);
	rc = upload_pack(u->v, &u->m, u->session, info.id, bytes, info.len, &u->e);
	free(bytes);
	return rc;
}

/* The sorted ids of the chunks ${from} .. ${from} + ${n} - 1 but for those that ${but} has (NULL: all). */
static inline uint8_t *
up_ids(const struct seed_machine *m, uint32_t from, uint32_t n, const struct up_snap *but, size_t *count)
{
	uint8_t *ids = malloc(((size_t)n + 1) * DIGEST_LEN);

	assert_non_null(ids);
	*count = 0;
	for (uint32_t i = from; i < from + n; i++)
		if (but == NULL || i < but->from || i >= but->from + but->n)
			seed_chunk(m, i, ids + (*count)++ * DIGEST_LEN, NULL, NULL);
	qsort(ids, *count, DIGEST_LEN, seed_id_order);
	return ids;
}

/* Sign it (again). */
static inline void
up_sign(struct up *u, struct up_snap *x)
{
	buf_reset(&x->bytes);
	seed_sign(&envelope_schema, &x->env, u->sm->secret, &x->bytes);
}

/* Snapshot ${seq} behind ${previous}, on ${base}; release it with up_drop. */
static inline void
up_snap(struct up *u, struct up_snap *x, uint64_t seq, const struct up_snap *previous, const struct up_snap *base,
    uint32_t from, uint32_t n)
{
	struct refs_digest *d = refs_digest_new(u->sm->k->domain_id);
	uint8_t *ids;
	size_t count;

	memset(x, 0, sizeof(*x));
	x->from = from;
	x->n = n;
	x->env = (struct envelope){ .seq = seq, .set_name = "files", .kind = SNAP_FILES, .begin_ns = 5000, .end_ns = 6000 };
	io_random(x->env.snapshot_id, ID_LEN);
	memcpy(x->env.machine_id, u->sm->id, ID_LEN);
	memcpy(x->env.domain_id, u->sm->k->domain_id, DIGEST_LEN);
	if (previous != NULL)
		memcpy(x->env.previous, previous->env.snapshot_id, ID_LEN);
	if (base != NULL)
		memcpy(x->env.base, base->env.snapshot_id, ID_LEN);
	seed_chunk(u->sm, from, x->env.root_id, NULL, NULL);
	ids = up_ids(u->sm, from, n, NULL, &count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(refs_digest_add(d, ids + i * DIGEST_LEN), 0);
	refs_digest_final(d, x->env.refs_digest, &x->env.refs_count);
	refs_digest_free(d);
	free(ids);
	buf_init(&x->bytes);
	up_sign(u, x);
}

static inline void
up_drop(struct up_snap *x)
{
	buf_release(&x->bytes);
}

static inline ssize_t
up_read(void *arg, uint64_t off, void *out, size_t cap)
{
	const struct buf *b = arg;
	size_t n = off >= b->len ? 0 : b->len - (size_t)off < cap ? b->len - (size_t)off : cap;

	memcpy(out, b->p + off, n);
	return (ssize_t)n;
}

/* The bytes of its list: whole, or as what it adds to and removes from ${base}. */
static inline void
up_list_make(struct up *u, const struct up_snap *x, const struct up_snap *base, struct buf *b)
{
	struct refs_head h = { .kind = base == NULL ? REFS_WHOLE : REFS_DELTA, .parts = 1, .count = x->env.refs_count };
	uint8_t head[REFS_HEAD_LEN], *added, *removed = NULL;
	size_t nadded, nremoved = 0;

	added = up_ids(u->sm, x->from, x->n, base, &nadded);
	if (base != NULL)
		removed = up_ids(u->sm, base->from, base->n, x, &nremoved);
	memcpy(h.domain_id, x->env.domain_id, DIGEST_LEN);
	memcpy(h.digest, x->env.refs_digest, DIGEST_LEN);
	if (base != NULL)
		memcpy(h.base, base->env.refs_digest, DIGEST_LEN);
	h.added = nadded;
	h.removed = nremoved;
	refs_head_encode(&h, head);
	buf_init(b);
	buf_add(b, head, sizeof(head));
	buf_add(b, added, nadded * DIGEST_LEN);
	if (nremoved > 0)
		buf_add(b, removed, nremoved * DIGEST_LEN);
	free(added);
	free(removed);
}

static inline int
up_list(struct up *u, const struct up_snap *x, const struct up_snap *base)
{
	struct buf b;
	int rc;

	err_clear(&u->e);
	up_list_make(u, x, base, &b);
	rc = upload_list(u->v, &u->m, u->session, x->env.seq, base == NULL ? REFS_WHOLE : REFS_DELTA, 0, b.len, up_read, &b,
	    &u->e);
	buf_release(&b);
	return rc;
}

/* Commit ${n} snapshots behind the head ${head} (NULL: none). */
static inline int
up_commit_all(struct up *u, const struct up_snap *head, const struct up_snap *const *x, size_t n)
{
	static uint8_t rows[16 * (ENVELOPE_LEN_MAX + 2)];
	struct wr w = { .p = rows, .left = sizeof(rows) };
	struct commit c = { .head_seq = head == NULL ? 0 : head->env.seq };

	if (head != NULL)
		memcpy(c.head_id, head->env.snapshot_id, ID_LEN);
	for (size_t i = 0; i < n; i++)
		commit_put(&w, x[i]->bytes.p, x[i]->bytes.len);
	assert_false(w.bad);
	c.envelopes = (struct fmt_view){ rows, (uint32_t)(w.p - rows) };
	err_clear(&u->e);
	return upload_commit(u->v, &u->m, u->session, &c, &u->done, &u->e);
}

static inline int
up_commit(struct up *u, const struct up_snap *head, const struct up_snap *x)
{
	return up_commit_all(u, head, &x, 1);
}

/* What the vault says of chunk ${n}. */
static inline unsigned
up_ask(struct up *u, uint32_t n)
{
	uint8_t id[DIGEST_LEN], state = 0;

	err_clear(&u->e);
	seed_chunk(u->sm, n, id, NULL, NULL);
	if (upload_ask(u->v, &u->m, u->session, id, 1, &state, &u->e) != 0)
		fail_msg("%s", u->e.msg);
	return state;
}

#endif
