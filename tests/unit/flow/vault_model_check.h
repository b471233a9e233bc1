#ifndef SAMARA_TESTS_FLOW_VAULT_MODEL_CHECK_H
#define SAMARA_TESTS_FLOW_VAULT_MODEL_CHECK_H

/* What must hold of the vault, whatever happened to it.  After vault_model.h. */

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
	if (m->jumped)
		return "nobody knew what time it was";
	for (unsigned i = 0; i < m->nsnaps; i++)
		if (!m->snap[i].gone && m->snap[i].seq > head)
			head = m->snap[i].seq;
	if (head == s->seq)
		return "it was the head";
	if (s->image != NULL && s->image->fate == 0 && slow <= s->image->lease)
		return "its image was not handed off";
	if (s->image != NULL && s->image == m->receipt)
		return "its image was the newest that was handed off";
	for (unsigned i = 0; i < M_SESSIONS; i++)
		if (m->session[i].open && m->session[i].base == s && m->slow <= m->session[i].touched)
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
		if ((why = model_may_go(m, s, slow)) != NULL)
			return model_wrong(m, "snapshot %u is gone, and %s", s->seq, why);
		s->gone = 1;
	}
	return NULL;
}

/* The slow clock shows what went by, and nothing else moved it. */
static inline const char *
model_check_clock(struct model *m, int64_t slow)
{
	if (slow >= m->slow && slow - m->slow < KEEP_DAY / 12)
		return NULL;
	return model_wrong(m, "the slow clock is %lld s from where it must be", (long long)((slow - m->slow) / 1000000000));
}

static inline const char *
model_check_needed(struct model *m, struct vault *v, const struct m_snapshot *s)
{
	struct cat_snapshot row;
	const char *why = NULL;

	if (s->gone || model_row(m, v, s, &row) != 0)
		return NULL;
	for (uint32_t c = s->from; c < s->to && why == NULL; c++) {
		if (model_copy(m, c) == 1)
			continue;
		if (row.state == SNAPSHOT_WHOLE)
			why = model_wrong(m, "a snapshot is called whole and lacks a chunk: snapshot %u, chunk %u", s->seq, c);
		else if (s->had[c] && model_copy(m, c) == 0)
			why = model_wrong(m, "a chunk that a snapshot needs was deleted: snapshot %u, chunk %u", s->seq, c);
	}
	return why;
}

/* What a session was told is held, as long as it is open. */
static inline const char *
model_check_told(struct model *m, struct vault *v, const struct m_session *x)
{
	struct cat_session row;

	if (!x->open || session_get(v, x->up.session, &row, &m->s->e) != 0)
		return NULL;
	for (uint32_t c = 0; c < M_IDS; c++)
		if (x->told[c] == 1 && model_copy(m, c) == 0)
			return model_wrong(m, "a chunk that a session was told is held was deleted: chunk %u", c);
	return NULL;
}

/* What came with an image that nobody knows the needs of yet, for its lease. */
static inline const char *
model_check_under_way(struct model *m, const struct m_image *i, int64_t slow)
{
	if (!i->known || (i->manifest && model_snapshot(m, i->seq) != NULL) || i->fate != 0 || slow > i->lease)
		return NULL;
	for (uint32_t c = i->carried; c < i->to; c++)
		if (i->had[c] && model_copy(m, c) == 0)
			return model_wrong(m, "what image %s brought before its manifest was deleted: chunk %u", i->im.short_name, c);
	return NULL;
}

struct m_used {
	const uint8_t *owner;
	uint64_t bytes;
};

static inline int
model_used_add(void *arg, const void *row, struct err *e)
{
	const struct cat_pack *p = row;
	struct m_used *u = arg;

	(void)e;
	u->bytes += memcmp(p->owner, u->owner, ID_LEN) == 0 ? (uint64_t)p->len : 0;
	return 0;
}

/* What the machine's quota is held against is what its packs take. */
static inline const char *
model_check_used(struct model *m, struct vault *v)
{
	struct m_used u = { m->s->m.id, 0 };
	uint64_t said;

	assert_int_equal(catalog_each(v->catalog, &cat_packs, 0, NULL, model_used_add, &u, &m->s->e), 0);
	assert_int_equal(catalog_used(v->catalog, u.owner, &said, &m->s->e), 0);
	return said == u.bytes ? NULL : model_wrong(m, "the machine's packs take %llu bytes, not %llu", (unsigned long long)u.bytes,
	    (unsigned long long)said);
}

/* Nothing is called whole that lacks a chunk; nothing that anybody needs went away. */
static inline const char *
model_check_whole(struct model *m)
{
	struct vault *v = keep_open(m->s);
	int64_t slow = model_slow(m);
	const char *why = m->alarm;

	if (why == NULL)
		why = model_check_clock(m, slow);
	if (why == NULL)
		why = model_gone(m, v, slow);
	if (why == NULL)
		why = model_check_used(m, v);
	model_scan(m);
	for (unsigned i = 0; i < m->nsnaps && why == NULL; i++)
		why = model_check_needed(m, v, &m->snap[i]);
	for (unsigned i = 0; i < M_SESSIONS && why == NULL; i++)
		why = model_check_told(m, v, &m->session[i]);
	for (unsigned i = 0; i < m->nimages && why == NULL; i++)
		why = model_check_under_way(m, &m->image[i], slow);
	vault_close(v);
	for (unsigned i = 0; i < m->nsnaps; i++)
		model_had(m, &m->snap[i]);
	return why;
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
			why = model_wrong(m, "snapshot %u is not there", s->seq);
		else if (row.state != s->state)
			why = model_wrong(m, "snapshot %u is in state %u instead of %u: %d missing, %d promised, %d given up", s->seq,
			    row.state, s->state, (int)row.missing, (int)row.promised, (int)row.given_up);
		else if ((row.deleted != 0) != (s->deleted != -1) || (row.is_protected != 0) != (s->is_protected != 0))
			why = model_wrong(m, "snapshot %u is not as it was decided", s->seq);
	}
	vault_close(v);
	return why;
}

static inline int
model_is_needed(struct model *m, uint32_t chunk)
{
	for (unsigned s = 0; s < m->nsnaps; s++)
		if (!m->snap[s].gone && model_needs(&m->snap[s], chunk))
			return 1;
	return 0;
}

/* After collections with nobody else about: no pack stays of which nobody needs anything, or with ${half} less than half. */
static inline const char *
model_check_garbage(struct model *m, int half)
{
	model_scan(m);
	for (unsigned i = 0; i < m->npacks; i++) {
		const struct m_pack *p = &m->pack[i];
		unsigned needed = 0, bad = 0;

		for (unsigned k = 0; k < p->n; k++) {
			needed += model_is_needed(m, p->chunk[k]) != 0;
			bad += p->bad[k];
		}
		if (p->there && needed == 0)
			return model_wrong(m, "pack %02x%02x.%u stays and nobody needs it", p->id[0], p->id[1], p->copy);
		if (p->there && half && bad == 0 && needed * 2 < p->n)
			return model_wrong(m, "pack %02x%02x.%u stays for %u chunks of %u", p->id[0], p->id[1], p->copy, needed, p->n);
		if (p->stray)
			return model_wrong(m, "pack %02x%02x.%u stays and stands in no catalog", p->id[0], p->id[1], p->copy);
	}
	return NULL;
}

#endif
