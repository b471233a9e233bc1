/* The envelopes of a commit: whose they are, what the vault knows of their numbers, whom they follow. */

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/catalog/catalog.h"
#include "common/crypto/sign.h"
#include "common/flow/upload_job.h"

/* 1 it is signed with this one of the machine's keys. */
static int
key_try(void *arg, const void *row, struct err *e)
{
	const struct cat_machine_key *k = row;
	struct upload_envelope *x = arg;

	(void)e;
	if (!statement_check(&envelope_schema, x->bytes, x->len, k->pub))
		return 0;
	memcpy(x->pub, k->pub, SIGN_PUB_LEN);
	x->first = k->from_seq > 0 ? (uint64_t)k->from_seq : 0;
	return 1;
}

/* Signed with one of the machine's keys that may sign this number?  0 or -1. */
static int
signer_find(struct upload_job *j, struct upload_envelope *x, struct err *e)
{
	struct cat_machine_key like;
	int rc;

	memcpy(like.machine_id, j->m->id, ID_LEN);
	if ((rc = catalog_each(j->v->catalog, &cat_machine_keys, 1, &like, key_try, x, e)) < 0)
		return -1;
	return rc == 1 && x->env.seq >= x->first ? 0 : err_set(e, ERR_SIGNATURE,
	    "snapshot %llu is not signed with a key that may sign it", (unsigned long long)x->env.seq);
}

/* Does the session have its list? */
static int
list_came(const struct upload_job *j, uint64_t seq)
{
	char name[UPLOAD_NAME_MAX];
	struct stat st;

	for (unsigned kind = REFS_WHOLE; j->dirfd != -1 && kind <= REFS_DELTA; kind++) {
		upload_list_name(name, seq, kind, 0);
		if (io->fstatat(j->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			return 1;
	}
	return 0;
}

static int
envelope_read(struct upload_job *j, struct upload_envelope *x, struct fmt_view v, uint64_t above, struct err *e)
{
	x->bytes = v.p;
	x->len = v.len;
	if (statement_open(&envelope_schema, &x->env, x->bytes, x->len, NULL, e) != 0)
		return -1;
	if (x->env.seq <= above || x->env.seq > INT64_MAX)
		return err_set(e, ERR_FORMAT, "the snapshots of a commit are not in the order of their numbers");
	if (memcmp(x->env.machine_id, j->m->id, ID_LEN) != 0 || memcmp(x->env.domain_id, j->m->domain_id, DIGEST_LEN) != 0)
		return err_set(e, ERR_SIGNATURE, "snapshot %llu is of another machine or key domain", (unsigned long long)x->env.seq);
	statement_digest(&envelope_schema, x->bytes, x->len, x->digest);
	x->has_list = list_came(j, x->env.seq);
	return signer_find(j, x, e);
}

int
upload_envelopes_read(struct upload_job *j, struct err *e)
{
	struct rd r = { .p = j->c->envelopes.p, .left = j->c->envelopes.len };
	uint64_t above = 0;
	size_t cap = 0;

	while (r.left > 0) {
		struct fmt_view v;

		if (commit_next(&r, &v) != FMT_OK)
			return err_set(e, ERR_FORMAT, "the snapshots of a commit cannot be read");
		if (j->n == cap) {
			struct upload_envelope *more = realloc(j->envs, (cap = cap == 0 ? 4 : cap * 2) * sizeof(*more));

			if (more == NULL)
				return err_errno(e, "the snapshots of a commit");
			j->envs = more;
		}
		memset(&j->envs[j->n], 0, sizeof(*j->envs));
		if (envelope_read(j, &j->envs[j->n], v, above, e) != 0)
			return -1;
		above = j->envs[j->n++].env.seq;
	}
	return j->n > 0 ? 0 : err_set(e, ERR_FORMAT, "a commit without a snapshot");
}

void
upload_envelopes_free(struct upload_job *j)
{
	free(j->envs);
	j->envs = NULL;
	j->n = 0;
}

/* --- what is known --- */

/* The id and digest that stand for a number: 0 a snapshot's, 2 passed over, 1 nothing, -1. */
static int
number_get(struct upload_job *j, uint64_t seq, uint8_t id[ID_LEN], uint8_t digest[DIGEST_LEN], struct err *e)
{
	struct catalog *c = j->v->catalog;
	struct cat_snapshot s = { .seq = (int64_t)seq };
	struct cat_gone g = { .seq = (int64_t)seq };
	struct cat_passed p = { .seq = (int64_t)seq };
	int rc;

	memcpy(s.machine_id, j->m->id, ID_LEN);
	memcpy(g.machine_id, j->m->id, ID_LEN);
	memcpy(p.machine_id, j->m->id, ID_LEN);
	if ((rc = catalog_get(c, &cat_snapshots, &s, e)) == 0) {
		memcpy(id, s.id, ID_LEN);
		memcpy(digest, s.digest, DIGEST_LEN);
	} else if (rc == 1 && (rc = catalog_get(c, &cat_gone, &g, e)) == 0) {
		memcpy(id, g.id, ID_LEN);
		memcpy(digest, g.digest, DIGEST_LEN);
	} else if (rc == 1 && (rc = catalog_get(c, &cat_passed, &p, e)) == 0) {
		memcpy(id, p.id, ID_LEN);
		memcpy(digest, p.digest, DIGEST_LEN);
		rc = 2;
	}
	return rc;
}

static int
is_fork(const struct upload_envelope *x, struct err *e)
{
	return err_set(e, ERR_FORK, "another snapshot of this machine has number %llu already; a cloned machine, or an old"
	    " state put back", (unsigned long long)x->env.seq);
}

int
upload_envelopes_look(struct upload_job *j, const struct upload_envelope **fork, struct err *e)
{
	*fork = NULL;
	for (size_t i = 0; i < j->n; i++) {
		struct upload_envelope *x = &j->envs[i];
		uint8_t id[ID_LEN], digest[DIGEST_LEN];
		int rc = number_get(j, x->env.seq, id, digest, e);

		if (rc < 0)
			return -1;
		if (rc != 1 && memcmp(digest, x->digest, DIGEST_LEN) != 0) {
			*fork = x;
			return is_fork(x, e);
		}
		x->known = rc == 0;
		x->passed = rc == 2;
	}
	return 0;
}

/* --- whom they follow --- */

/* 0 it does; 1 it is of another chain (${e} says so); -1. */
static int
follows(struct upload_job *j, size_t i, struct err *e)
{
	const struct upload_envelope *x = &j->envs[i];
	uint8_t id[ID_LEN] = { 0 }, digest[DIGEST_LEN];
	int rc = 1;

	if (i > 0 && j->envs[i - 1].env.seq == x->env.seq - 1) {
		memcpy(id, j->envs[i - 1].env.snapshot_id, ID_LEN);
		rc = 0;
	} else if (x->env.seq > 1 && (rc = number_get(j, x->env.seq - 1, id, digest, e)) < 0) {
		return -1;
	}
	if (rc == 1 && x->env.seq > 1)
		return x->env.seq == x->first ? 0 : err_set(e, ERR_HEAD, "the vault does not know the snapshot before %llu",
		    (unsigned long long)x->env.seq);
	if (memcmp(x->env.previous, id, ID_LEN) == 0)
		return 0;
	(void)err_set(e, ERR_FORK, "snapshot %llu follows another snapshot than the one that the vault has before it; a cloned"
	    " machine, or an old state put back", (unsigned long long)x->env.seq);
	return 1;
}

int
upload_envelopes_chain(struct upload_job *j, const struct upload_envelope **fork, struct err *e)
{
	*fork = NULL;
	for (size_t i = 0; i < j->n; i++) {
		int rc = j->envs[i].known || j->envs[i].passed ? 0 : follows(j, i, e);

		if (rc == 1)
			*fork = &j->envs[i];
		if (rc != 0)
			return -1;
	}
	return 0;
}
