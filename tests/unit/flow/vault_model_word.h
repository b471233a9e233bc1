#ifndef SAMARA_TESTS_FLOW_VAULT_MODEL_WORD_H
#define SAMARA_TESTS_FLOW_VAULT_MODEL_WORD_H

/* What the model's machine says over the line besides its backups, and who it is.  After vault_model_line.h. */

/* ---- pledges ---- */

static inline int
model_wants_pledge(struct model *m, const struct m_image *i)
{
	return i->fate == 0 && !m->revoked && (!i->manifest || model_snapshot(m, i->seq) == NULL);
}

/* The manifest alone: 0, 1 known, -1. */
static inline int
model_manifest_send(struct model *m, struct up *u, struct m_image *i)
{
	struct pledge_post p = { .commit = { NULL, 0 } };
	char name[IMAGE_NAME_MAX], path[512];
	struct pledge_taken t;
	uint8_t *bytes;
	size_t len;
	int rc;

	image_name_manifest(name, 0, 1);
	model_on_disk(i, i->ndisks - 1, name, path);
	assert_int_equal(file_read(AT_FDCWD, path, STATEMENT_MAX, &bytes, &len, &m->s->e), 0);
	p.manifest = (struct fmt_view){ bytes, (uint32_t)len };
	rc = vault_pledge_take(u->v, m->s->m.id, &p, -1, &t, &u->e);
	free(bytes);
	return rc;
}

/*
 * As a server takes it: the list into a session, the manifest, the commit, states.  With
 * ${cut} the connection, or the server, ends behind the manifest.
 */
static inline void
model_pledge(struct model *m, struct m_image *i, int cut)
{
	struct up u = { .v = NULL };
	int rc;

	(void)model_contact(m, &u);
	if ((rc = up_open_kind(&u, NULL, LINE_PLEDGE)) == 0 && (rc = up_list(&u, &m->chain[i->seq], NULL)) >= 0 &&
	    (rc = model_manifest_send(m, &u, i)) >= 0) {
		if (!i->manifest)
			i->lease = m->slow + 60 * KEEP_DAY;
		i->manifest = i->known = 1;
		if (!cut && (rc = upload_look(u.v, &u.m, u.session, &u.opened, &u.e)) == 0 &&
		    (rc = model_commit_all(m, &u, i->seq)) == 0 && (rc = vault_states(u.v, m->s->m.id, &u.e)) == 0) {
			model_chain_passed(m, i->seq);
			model_file(m, i->seq, i->from, i->to, i);
		}
		(void)upload_end(u.v, &u.m, u.session, NULL);
	}
	model_part(&u);
	if (rc < 0)
		m->alarm = model_wrong(m, "pledge of %s: %s", i->im.short_name, u.e.msg);
	model_say(m, "image %s is pledged%s", i->im.short_name, cut ? ", cut off" : "");
}

/* ---- disputes, and what is given up ---- */

static inline void
model_dispute(struct model *m, struct m_pack *p)
{
	struct dispute d = { .time = 5 };
	uint8_t rows[64 * DISPUTE_ROW_LEN], named[64] = { 0 };
	struct wr w = { .p = rows, .left = sizeof(rows) };
	struct up u = { .v = NULL };
	unsigned right = model_random(m, 3);
	uint32_t order[64];
	uint64_t copies;
	struct buf b;
	int rc;

	for (unsigned i = 0; i < p->n; i++) {
		unsigned at = i;

		for (; at > 0 && memcmp(m->ids[p->chunk[i]], m->ids[p->chunk[order[at - 1]]], DIGEST_LEN) < 0; at--)
			order[at] = order[at - 1];
		order[at] = i;
	}
	for (unsigned i = 0; i < p->n; i++) {
		struct dispute_row row = { .copy = p->copy };

		if (model_random(m, 3) != 0 && p->n > 1)
			continue;
		memcpy(row.id, m->ids[p->chunk[order[i]]], DIGEST_LEN);
		memcpy(row.pack_id, p->id, DIGEST_LEN);
		element_put(dispute_row_fields, dispute_row_nfields, &w, &row);
		named[order[i]] = 1;
	}
	if (w.left == sizeof(rows))
		return;
	memcpy(d.vault_id, m->s->m.vault_id, ID_LEN);
	memcpy(d.machine_id, m->s->m.id, ID_LEN);
	memcpy(d.domain_id, m->s->m.k->domain_id, DIGEST_LEN);
	d.rows = (struct fmt_view){ rows, (uint32_t)(sizeof(rows) - w.left) };
	buf_init(&b);
	seed_sign(&dispute_schema, &d, m->s->m.secret, &b);
	(void)model_contact(m, &u);
	rc = vault_dispute_take(u.v, m->s->m.id, b.p, b.len, &copies, &u.e);
	model_part(&u);
	buf_release(&b);
	if (rc < 0)
		m->alarm = model_wrong(m, "dispute: %s", u.e.msg);
	/* A machine is right, or something went wrong on the way to it. */
	for (unsigned i = 0; i < p->n && rc == 0; i++)
		if (named[i]) {
			if (right && !p->bad[i])
				model_spoil_frame(m, p, i);
			p->bad[i] = 1;
			model_forget(m, p->chunk[i]);
		}
	model_say(m, "dispute of pack %02x%02x.%u: %d", p->id[0], p->id[1], p->copy, rc);
}

/* The machine cannot have any more some of what the snapshot lacks. */
static inline void
model_give_up(struct model *m, const struct m_snapshot *s)
{
	struct id_list l = { .parts = 1, .time = 5 };
	struct refs_digest *d = refs_digest_new(m->s->m.k->domain_id);
	uint8_t ids[M_IDS][DIGEST_LEN];
	uint32_t chunk[M_IDS], n = 0;
	int64_t slow = model_slow(m);
	struct up u = { .v = NULL };
	struct buf b;
	int rc;

	model_scan(m);
	for (uint32_t c = s->from; c < s->to; c++)
		if (model_copy(m, c) != 1 && !model_is_promised(m, c, slow) && model_random(m, 4) != 0) {
			memcpy(ids[n], m->ids[c], DIGEST_LEN);
			chunk[n++] = c;
		}
	qsort(ids, n, DIGEST_LEN, seed_id_order);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(refs_digest_add(d, ids[i]), 0);
	refs_digest_final(d, l.digest, &l.count);
	refs_digest_free(d);
	if (n == 0)
		return;
	memcpy(l.vault_id, m->s->m.vault_id, ID_LEN);
	memcpy(l.machine_id, m->s->m.id, ID_LEN);
	memcpy(l.domain_id, m->s->m.k->domain_id, DIGEST_LEN);
	io_random(l.list_id, ID_LEN);
	l.ids = (struct fmt_view){ ids[0], n * DIGEST_LEN };
	buf_init(&b);
	seed_sign(&given_up_schema, &l, m->s->m.secret, &b);
	(void)model_contact(m, &u);
	rc = vault_given_up_part(u.v, m->s->m.id, b.p, b.len, &u.e);
	model_part(&u);
	buf_release(&b);
	if (rc < 0)
		m->alarm = model_wrong(m, "give up: %s", u.e.msg);
	for (uint32_t i = 0; i < n; i++)
		m->given[chunk[i]] = 1;
	model_say(m, "%u chunks of snapshot %u are given up", n, s->seq);
}

/* ---- who it is ---- */

static inline void
model_revoke(struct model *m)
{
	const struct machine_order o = { .fate = MFATE_REVOKED };
	struct vault *v = keep_open(m->s);
	struct cat_machine row;

	if (machine_decide(v, "laptop", &o, &row, &m->s->e) < 0)
		m->alarm = model_wrong(m, "revoke: %s", m->s->e.msg);
	vault_close(v);
	m->revoked = 1;
	model_say(m, "the machine is revoked");
}

/* A new machine with a key of its own takes the place of the old one. */
static inline void
model_replace(struct model *m)
{
	struct credential_order o = { .machine = "laptop", .purpose = PURPOSE_REPLACE, .valid = CREDENTIAL_VALID,
		.arrives_by = CREDENTIAL_ARRIVES };
	struct membership member = { .from_seq = m->next_seq, .made = 1000 };
	struct seed_machine *s = &m->s->m;
	struct vault *v = keep_open(m->s);
	struct credential c;

	if (vault_credential(v, &o, &c, &m->s->e) != 0) {
		m->alarm = model_wrong(m, "a credential for a new machine: %s", m->s->e.msg);
		vault_close(v);
		return;
	}
	io_random(s->seed, KEY_LEN);
	sign_keys(s->seed, s->pub, s->secret);
	memcpy(member.domain_pub, s->k->domain_pub, SIGN_PUB_LEN);
	memcpy(member.machine_id, s->id, ID_LEN);
	memcpy(member.machine_name, s->name, sizeof(member.machine_name));
	memcpy(member.machine_pub, s->pub, SIGN_PUB_LEN);
	buf_reset(&s->member);
	seed_sign(&membership_schema, &member, s->k->sign_secret, &s->member);
	seed_register(s, &c, io_now());
	if (up_register(v, s, &m->s->e) != 0)
		m->alarm = model_wrong(m, "a new machine: %s", m->s->e.msg);
	vault_close(v);
	m->revoked = 0;
	model_say(m, "a new machine takes its place, from %u on", m->next_seq);
}

#endif
