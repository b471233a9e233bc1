#ifndef SAMARA_TESTS_FLOW_VAULT_MODEL_LINE_H
#define SAMARA_TESTS_FLOW_VAULT_MODEL_LINE_H

/*
 * What the model's machine does: images on disks, pledges, sessions, what it
 * disputes and gives up, a new machine in its place.  Everything goes through the functions that
 * a server calls.  After vault_model.h.
 */

#include "common/crypto/sign.h"
#include "common/flow/machine_fate.h"
#include "common/flow/receipt.h"
#include "common/flow/vault_dispute.h"
#include "common/flow/vault_pledge.h"
#include "formats/fmt_line_machine.h"
#include "formats/fmt_pledge.h"
#include "formats/fmt_receipt.h"

static inline int
model_is_known(struct model *m, uint32_t seq)
{
	return model_snapshot(m, seq) != NULL || m->passed[seq];
}

/* The machine signs its next snapshot; m->next_seq is left to who keeps it. */
static inline struct up_snap *
model_sign(struct model *m, const struct m_snapshot *base, uint32_t from, uint32_t to, const uint8_t *image)
{
	struct up u = { .sm = &m->s->m };
	struct up_snap *x = &m->chain[m->next_seq];

	up_snap(&u, x, m->next_seq, m->next_seq > 1 ? &m->chain[m->next_seq - 1] : NULL,
	    base == NULL ? NULL : &m->chain[base->seq], from, to - from);
	if (image != NULL) {
		memcpy(x->env.image_id, image, ID_LEN);
		up_sign(&u, x);
	}
	return x;
}

/* ---- images ---- */

static inline void
model_snapshot_put(struct model *m, struct m_image *i, unsigned disk)
{
	struct up u = { .sm = &m->s->m };
	struct up_snap *x = &m->chain[i->seq];
	char name[IMAGE_NAME_MAX];
	struct buf list;

	up_list_make(&u, x, NULL, &list);
	for (int copy = 0; copy < 2; copy++) {
		image_name_refs(name, copy, 0, 0);
		seed_put(&i->im, i->disk[disk], name, list.p, list.len);
		image_name_envelope(name, copy, 0);
		seed_put(&i->im, i->disk[disk], name, x->bytes.p, x->bytes.len);
	}
	buf_release(&list);
}

static inline struct m_image *
model_image_new(struct model *m)
{
	struct m_image *i = &m->image[m->nimages];
	uint32_t n = 4 + model_random(m, 16), low = model_low(m);
	char name[SHORT_LEN + 1];

	if (m->nimages == M_IMAGES || m->next_chunk + n > M_IDS || m->next_seq >= M_SNAPSHOTS)
		return NULL;
	(void)snprintf(name, sizeof(name), "RM%c%c", 'A' + (int)(m->nimages / 10), 'A' + (int)(m->nimages % 10));
	seed_image_make(&i->im, &m->s->m, name);
	i->im.pack_chunks = 2 + model_random(m, 7);
	i->ndisks = 1 + model_random(m, 2);
	i->first = model_random(m, i->ndisks);
	i->carried = m->next_chunk;
	i->from = low + model_random(m, m->next_chunk - low + 1);
	i->to = m->next_chunk + n;
	i->half = i->ndisks == 2 ? i->carried + n / 2 : i->to;
	i->seq = m->next_seq;
	m->next_chunk = i->to;
	for (unsigned k = 0; k < i->ndisks; k++)
		(void)snprintf(i->disk[k], sizeof(i->disk[k]), "%s/i%u-%u", m->s->root, m->nimages, k);
	seed_disk(&i->im, i->disk[0], 1, i->carried, i->half - i->carried);
	if (i->ndisks == 2)
		seed_disk(&i->im, i->disk[1], 2, i->half, i->to - i->half);
	(void)model_sign(m, NULL, i->from, i->to, i->im.id);
	m->next_seq++;
	statement_digest(&envelope_schema, m->chain[i->seq].bytes.p, m->chain[i->seq].bytes.len, i->im.envelopes[0]);
	i->im.nsnaps = 1;
	for (unsigned k = 0; k < m->nimages; k++)
		if (m->image[k].to > i->from && m->image[k].from < i->carried && i->im.nleans < SEED_SNAPS) {
			seed_leans(&i->im, &m->image[k].im);
			i->leans[i->nleans++] = &m->image[k];
		}
	for (unsigned k = i->first; k < i->ndisks; k++) {
		model_snapshot_put(m, i, k);
		seed_manifest(&i->im, i->disk[k], 1);
	}
	m->nimages++;
	return i;
}

/* The path of what stands on disk ${k} of it under ${name}. */
static inline void
model_on_disk(const struct m_image *i, unsigned k, const char *name, char path[512])
{
	char lower[SHORT_LEN + 1];

	for (size_t c = 0; c <= SHORT_LEN; c++)
		lower[c] = (char)(i->im.short_name[c] >= 'A' && i->im.short_name[c] <= 'Z' ? i->im.short_name[c] | 32 :
		    i->im.short_name[c]);
	(void)snprintf(path, 512, "%s/samara/%s/%s", i->disk[k], lower, name);
}

/* A pack of a disk that has not come yet is lost. */
static inline void
model_spoil(struct model *m, struct m_image *i)
{
	unsigned d = model_random(m, i->ndisks);
	uint32_t from = d == 0 ? i->carried : i->half, to = d == 0 ? i->half : i->to, before = 0;
	uint32_t each = i->im.pack_chunks, packs = (to - from + each - 1) / each, which = model_random(m, packs);
	char name[IMAGE_NAME_MAX], path[512];

	if (i->in[d])
		return;
	if (d == 1)
		before = (i->half - i->carried + each - 1) / each;
	image_name_pack(name, before + which);
	model_on_disk(i, d, name, path);
	if (unlink(path) != 0)
		return;		/* it was spoiled before */
	for (uint32_t c = from + which * each; c < to && c < from + (which + 1) * each; c++)
		m->spoiled[c] = 1;
	model_say(m, "disk %u of %s loses pack %u", d, i->im.short_name, which);
}

/* ---- sessions ---- */

static inline void
model_sessions_forget(struct model *m)
{
	for (unsigned i = 0; i < M_SESSIONS; i++)
		m->session[i].open = 0;
}

/* The vault, as whoever serves the machine opens it for one request. */
static inline struct up *
model_contact(struct model *m, struct up *u)
{
	u->sm = &m->s->m;
	u->v = keep_open(m->s);
	err_clear(&u->e);
	assert_int_equal(vault_machine(u->v, m->s->m.id, &u->m, &u->e), 0);
	return u;
}

static inline void
model_part(struct up *u)
{
	vault_close(u->v);
	u->v = NULL;
}

/* A call failed: a session that nobody touched for long has ended, and all else is an alarm. */
static inline void
model_session_lost(struct model *m, struct m_session *x, const char *what)
{
	if (x->up.e.code != ERR_SESSION)
		m->alarm = model_wrong(m, "%s: %s", what, x->up.e.msg);
	else if (m->slow <= x->touched)
		m->alarm = model_wrong(m, "%s: a session has ended that was in use", what);
	x->open = 0;
}

static inline void
model_session_open(struct model *m, struct m_session *x)
{
	struct m_snapshot *base = model_pick_snapshot(m);
	uint32_t low;
	int rc;

	if (m->next_chunk + 8 > M_IDS || m->next_seq >= M_SNAPSHOTS)
		return;
	if (base != NULL && base->state != SNAPSHOT_WHOLE)
		base = NULL;
	memset(x, 0, sizeof(*x));
	(void)model_contact(m, &x->up);
	rc = up_open(&x->up, base == NULL ? NULL : &m->chain[base->seq]);
	model_part(&x->up);
	if (rc != 0) {
		/* What it built on may have gone a moment ago: another collection stands still just here. */
		if (base == NULL || x->up.e.code != ERR_NO_SNAPSHOT)
			m->alarm = model_wrong(m, "a session does not open: %s", x->up.e.msg);
		return;
	}
	x->base = base;
	x->fresh = m->next_chunk;
	m->next_chunk += 1 + model_random(m, 7);
	x->to = m->next_chunk;
	low = base != NULL ? base->from : model_low(m);
	x->from = low + model_random(m, x->fresh - low + 1);
	x->touched = m->slow;
	x->open = 1;
	model_say(m, "session opens: %u-%u on %u", x->from, x->to, x->base == NULL ? 0 : x->base->seq);
}

static inline int
model_in_base(const struct m_session *x, uint32_t c)
{
	return x->base != NULL && model_needs(x->base, c);
}

/* The chunks that it asks for, in the order of their ids. */
static inline uint32_t
model_asked(struct model *m, const struct m_session *x, uint32_t *chunk, uint8_t (*ids)[DIGEST_LEN])
{
	uint32_t n = 0;

	for (uint32_t c = x->from; c < x->to; c++) {
		uint32_t at = n;

		if (model_in_base(x, c))
			continue;
		for (; at > 0 && memcmp(m->ids[c], ids[at - 1], DIGEST_LEN) < 0; at--) {
			memcpy(ids[at], ids[at - 1], DIGEST_LEN);
			chunk[at] = chunk[at - 1];
		}
		memcpy(ids[at], m->ids[c], DIGEST_LEN);
		chunk[at] = c;
		n++;
	}
	return n;
}

/* Is it what the model would answer? */
static inline void
model_answer_check(struct model *m, uint32_t c, unsigned state, int64_t slow)
{
	unsigned want = model_copy(m, c) == 1 ? ID_HELD : model_is_promised(m, c, slow) ? ID_PROMISED : ID_MISSING;

	if (state != want)
		m->alarm = model_wrong(m, "a session is told %u of chunk %u, not %u", state, c, want);
}

static inline void
model_session_ask(struct model *m, struct m_session *x)
{
	uint32_t chunk[M_IDS], n;
	uint8_t ids[M_IDS][DIGEST_LEN], states[M_IDS];
	int64_t slow = model_slow(m);
	int rc;

	n = model_asked(m, x, chunk, ids);
	(void)model_contact(m, &x->up);
	rc = n == 0 ? 0 : upload_ask(x->up.v, &x->up.m, x->up.session, ids[0], n, states, &x->up.e);
	model_part(&x->up);
	if (rc != 0) {
		model_session_lost(m, x, "ask");
		return;
	}
	model_scan(m);
	memset(x->told, 0, sizeof(x->told));
	for (uint32_t i = 0; i < n; i++) {
		model_answer_check(m, chunk[i], states[i], slow);
		x->told[chunk[i]] = states[i] == ID_HELD ? 1 : states[i] == ID_PROMISED ? 2 : 0;
	}
	if (n > 0)
		x->touched = m->slow;
	model_say(m, "session asks");
}

/* A pack of what it was not told is held, or on its way. */
static inline uint8_t *
model_session_pack(struct model *m, const struct m_session *x, struct pack_info *info, uint32_t *chunk, uint32_t *n)
{
	struct pack_part parts[8];
	uint8_t *inner[8], *out = aligned_alloc(4096, PACK_LEN_MAX);

	assert_non_null(out);
	*n = 0;
	for (uint32_t c = x->from; c < x->to && *n < 8; c++) {
		if (x->told[c] || model_in_base(x, c))
			continue;
		parts[*n].kind = KIND_DATA;
		seed_chunk(&m->s->m, c, parts[*n].id, &inner[*n], &parts[*n].inner_len);
		parts[*n].inner = inner[*n];
		chunk[(*n)++] = c;
	}
	if (*n > 0)
		pack_build(m->s->m.k, m->s->m.id, m->s->m.secret, parts, *n, out, info);
	for (uint32_t i = 0; i < *n; i++)
		free(inner[i]);
	return out;
}

static inline void
model_pack_send(struct model *m, struct m_session *x)
{
	(void)model_contact(m, &x->up);
	x->rc = upload_pack(x->up.v, &x->up.m, x->up.session, x->info.id, x->pack, x->info.len, &x->up.e);
	model_part(&x->up);
}

static inline void
model_session_put(struct model *m, struct m_session *x)
{
	uint32_t chunk[8], n;
	uint8_t *out = model_session_pack(m, x, &x->info, chunk, &n);

	x->pack = out;
	x->rc = 0;
	if (n > 0 && m->interrupt != NULL)
		m->interrupt(model_pack_send, x);
	if (n > 0)
		model_pack_send(m, x);
	free(out);
	x->pack = NULL;
	if (x->rc < 0) {
		model_session_lost(m, x, "a pack");
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		x->told[chunk[i]] = 1;
	if (n > 0)
		x->touched = m->slow;
	model_say(m, "session puts %u chunks", n);
}

/* Envelopes of a commit: those below ${seq} that the vault does not know, and that. */
static inline size_t
model_chain(struct model *m, uint32_t seq, const struct up_snap **all)
{
	size_t n = 0;

	for (uint32_t i = 1; i < seq; i++)
		if (!model_is_known(m, i))
			all[n++] = &m->chain[i];
	all[n++] = &m->chain[seq];
	return n;
}

static inline void
model_chain_passed(struct model *m, uint32_t seq)
{
	for (uint32_t i = 1; i < seq; i++)
		if (!model_is_known(m, i))
			m->passed[i] = 1;
}

/* Behind the head that u->opened names. */
static inline int
model_commit_all(struct model *m, struct up *u, uint32_t seq)
{
	const struct up_snap *all[M_SNAPSHOTS];
	size_t n = model_chain(m, seq, all);

	return up_commit_all(u, u->opened.head_seq == 0 ? NULL : &m->chain[u->opened.head_seq], all, n);
}

static inline void
model_commit_send(struct model *m, struct m_session *x)
{
	(void)model_contact(m, &x->up);
	x->rc = model_commit_all(m, &x->up, x->seq);
	model_part(&x->up);
}

/* Does anything that the session adds lack, by the model? */
static inline int
model_session_lacks(struct model *m, const struct m_session *x)
{
	int64_t slow = model_slow(m);
	int lacks = 0;

	model_scan(m);
	for (uint32_t c = x->from; c < x->to; c++)
		lacks |= !model_in_base(x, c) && model_copy(m, c) != 1 && !model_is_promised(m, c, slow);
	return lacks;
}

static inline void
model_session_end(struct model *m, struct m_session *x)
{
	(void)model_contact(m, &x->up);
	assert_int_equal(upload_end(x->up.v, &x->up.m, x->up.session, &x->up.e), 0);
	model_part(&x->up);
	x->open = 0;
	model_say(m, "session ends");
}

/* Its list, and where the machine's snapshots end. */
static inline int
model_commit_prepare(struct model *m, struct m_session *x, const struct up_snap *y)
{
	int rc;

	(void)model_contact(m, &x->up);
	if ((rc = up_list(&x->up, y, x->base == NULL ? NULL : &m->chain[x->base->seq])) >= 0)
		rc = upload_look(x->up.v, &x->up.m, x->up.session, &x->up.opened, &x->up.e);
	model_part(&x->up);
	return rc;
}

static inline void
model_session_commit(struct model *m, struct m_session *x)
{
	struct up_snap *y;

	/* A list that it put under a number that another snapshot has now: it begins anew. */
	if (m->next_seq >= M_SNAPSHOTS || (x->seq != 0 && x->seq != m->next_seq)) {
		model_session_end(m, x);
		return;
	}
	x->seq = m->next_seq;
	y = model_sign(m, x->base, x->from, x->to, NULL);
	x->interrupted = 0;
	if ((x->rc = model_commit_prepare(m, x, y)) == 0) {
		if (m->interrupt != NULL)
			m->interrupt(model_commit_send, x);
		model_commit_send(m, x);
	}
	if (x->rc == 0) {
		model_chain_passed(m, x->seq);
		m->next_seq++;
		x->open = 0;
		model_file(m, x->seq, x->from, x->to, NULL);
		if (model_session_lacks(m, x))
			m->alarm = model_wrong(m, "a commit was taken that lacks something");
	} else {
		up_drop(y);
		if (x->up.e.code == ERR_HEAD && x->interrupted)
			;		/* whoever was killed came as far as to pass numbers over */
		else if (x->up.e.code != ERR_MISSING)
			model_session_lost(m, x, "commit");
		else if (!model_session_lacks(m, x))
			m->alarm = model_wrong(m, "a commit was refused that lacks nothing");
		x->step = 0;		/* it asks anew */
	}
	model_say(m, "session commits %u: %s", x->seq, x->rc == 0 ? "yes" : x->up.e.msg);
}

static inline void
model_sessions_end(struct model *m)
{
	for (unsigned i = 0; i < M_SESSIONS; i++)
		if (m->session[i].open)
			model_session_end(m, &m->session[i]);
}

static inline void
model_session_step(struct model *m, struct m_session *x)
{
	if (m->revoked)
		return;		/* its token has ended */
	if (x->open && x->step > 3 && !model_is_free(m, "states.lock"))
		return;		/* whoever computes states would wait for this one */
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

#endif
