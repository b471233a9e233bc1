#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/progress.h"
#include "common/base/stop.h"
#include "common/crypto/sign.h"
#include "common/flow/container.h"
#include "common/flow/refs_read.h"
#include "common/flow/verify_origin.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

/* A copy of a pack in the store. */
struct copy {
	uint8_t id[DIGEST_LEN];
	uint32_t number, len;
};

struct vault_check {
	struct verify_job *j;
	struct store *s;
	struct verify_books books;
	struct copy *copy;
	size_t n, cap, at;
	uint64_t bytes, quarantined;
	struct container *container;	/* the same vault, for reference lists */
};

static int
copy_found(void *arg, const char *name, uint64_t len, struct err *e)
{
	struct vault_check *c = arg;
	struct copy one = { .len = len > PACK_LEN_MAX ? PACK_LEN_MAX + 1 : (uint32_t)len };

	if (vault_name_parse_pack(name, one.id, &one.number) != 0) {
		finding_tell(c->j->found, SEV_NOTE, ERR_NONE, name, "", "this is no name of a pack; nobody needs it");
		return 0;
	}
	if (c->n == c->cap) {
		size_t cap = c->cap * 2 + 1024;
		struct copy *more = realloc(c->copy, cap * sizeof(*more));

		if (more == NULL)
			return err_set(e, ERR_MEMORY, "no memory for a list of packs");
		c->copy = more;
		c->cap = cap;
	}
	c->copy[c->n++] = one;
	c->bytes += len;
	return stop_check(e);
}

static int
store_next(void *arg, struct verify_pack *p, struct err *e)
{
	struct vault_check *c = arg;
	uint32_t r;

	(void)e;
	while (c->at < c->n) {
		const struct copy *one = &c->copy[c->at];

		c->at++;
		if (c->j->opt->sample != 0) {
			io_random(&r, sizeof(r));
			if (r % 1000000 >= c->j->opt->sample)
				continue;
		}
		p->number = one->number;
		p->len = one->len;
		memcpy(p->id, one->id, DIGEST_LEN);
		vault_name_pack(p->where, one->id, one->number);
		return 1;
	}
	return 0;
}

static int
store_pack_read(void *arg, const struct verify_pack *p, uint8_t *buf, size_t *len, struct err *e)
{
	struct vault_check *c = arg;

	if (p->len > PACK_LEN_MAX)
		return err_set(e, ERR_DAMAGE, "no pack is that long");
	return c->s->ops->get(c->s, p->where, 0, buf, p->len, len, e);
}

/* Signed by the vault, or with one of the keys that its machine had?  0 with ${v}, -1 with ${e}. */
static int
pack_signed(const struct vault_check *c, const uint8_t *buf, size_t len, struct pack_view *v, struct err *e)
{
	const struct verify_machine *m = NULL;
	struct pack_foot f;
	struct err older;

	if (len < PACK_FOOT_LEN || pack_foot_decode(&f, buf + len - PACK_FOOT_LEN, PACK_FOOT_LEN) != FMT_OK)
		return pack_view_bytes(v, buf, len, NULL, NULL, e);
	if (memcmp(f.maker, c->books.desc.vault_id, ID_LEN) == 0)
		return pack_view_bytes(v, buf, len, c->books.desc.vault_id, c->books.desc.sign_pub, e);
	if ((m = verify_books_machine(&c->books, f.maker, NULL)) == NULL)
		return pack_view_bytes(v, buf, len, NULL, NULL, e) != 0 ? -1 :
		    err_set(e, ERR_SIGNATURE, "it was made by nobody whom this vault knows");
	if (pack_view_bytes(v, buf, len, m->id, m->pub, e) == 0)
		return 0;
	while ((m = verify_books_machine(&c->books, f.maker, m)) != NULL) {
		err_clear(&older);
		if (pack_view_bytes(v, buf, len, m->id, m->pub, &older) == 0) {
			err_clear(e);
			return 0;
		}
	}
	return -1;
}

static int
store_believe(void *arg, const struct verify_pack *p, const uint8_t *buf, size_t len, struct pack_view *v, uint8_t **keep)
{
	struct vault_check *c = arg;
	struct err own;

	*keep = NULL;
	err_clear(&own);
	if (pack_signed(c, buf, len, v, &own) == 0) {
		if (memcmp(v->foot.pack_id, p->id, DIGEST_LEN) != 0)
			(void)err_set(&own, ERR_DAMAGE, "it is another pack than its name says");
		else if (((v->table.head.flags & PACK_REPACKED) != 0) != (memcmp(v->foot.maker, c->books.desc.vault_id, ID_LEN) == 0))
			(void)err_set(&own, ERR_SIGNATURE, "its form does not fit its maker");
	}
	if (own.code != ERR_NONE) {
		finding_err(c->j->found, SEV_LOST, p->where, "all chunks of this copy", &own);
		return -1;
	}
	return (v->table.head.flags & PACK_REPACKED) != 0 ? verify_origins(c->j, c->s, &c->books, v, p->where) : 0;
}

/* Strike the snapshot off those that the records say are here.  1 if it should be gone. */
static int
received_strike(struct vault_check *c, const struct envelope *env, const uint8_t digest[DIGEST_LEN], const char *where)
{
	for (size_t i = 0; i < c->books.nreceived; i++) {
		struct verify_received *r = &c->books.received[i];

		if (r->seq != env->seq || memcmp(r->machine_id, env->machine_id, ID_LEN) != 0)
			continue;
		r->found = 1;
		if (r->gone) {
			finding_tell(c->j->found, SEV_NOTE, ERR_NONE, where, "", "it was deleted for good; the next collection takes away what is left");
			return 1;
		}
		if (memcmp(r->digest, digest, DIGEST_LEN) != 0)
			finding_tell(c->j->found, SEV_LOST, ERR_FORK, where, "", "it is another snapshot than the one that was received");
		return 0;
	}
	finding_tell(c->j->found, SEV_NOTE, ERR_NONE, where, "", "no record says that this snapshot was received; its ingest may have been stopped");
	return 0;
}

/* Of the snapshot that its place says, signed with a key of the machine that may sign this number?  0 or -1 with ${e}. */
static int
envelope_signed(const struct vault_check *c, const struct snap_place *place, const uint8_t *bytes, size_t len,
    struct envelope *env, struct err *e)
{
	const struct verify_machine *newest = verify_books_machine(&c->books, place->machine, NULL), *m = newest;

	while (m != NULL && !statement_check(&envelope_schema, bytes, len, m->pub))
		m = verify_books_machine(&c->books, place->machine, m);
	if (statement_open(&envelope_schema, env, bytes, len, (m != NULL ? m : newest)->pub, e) != 0)
		return -1;
	if (env->seq != place->seq || memcmp(env->machine_id, place->machine, ID_LEN) != 0 ||
	    memcmp(env->domain_id, m->domain_id, DIGEST_LEN) != 0)
		return err_set(e, ERR_SIGNATURE, "it is the envelope of another snapshot");
	return env->seq >= m->from_seq ? 0 : err_set(e, ERR_SIGNATURE, "it is signed with a key that may not sign this number");
}

static int
envelope_found(void *arg, const struct snap_place *place, const uint8_t *bytes, size_t len, struct err *e)
{
	struct vault_check *c = arg;
	char where[VAULT_NAME_MAX];
	uint8_t digest[DIGEST_LEN];
	struct refs_reader *refs;
	struct envelope env;
	struct err own;
	int rc;

	err_clear(&own);
	vault_name_envelope(where, place->machine, place->seq);
	if (verify_books_machine(&c->books, place->machine, NULL) == NULL) {
		finding_tell(c->j->found, SEV_LOST, ERR_SIGNATURE, where, "this snapshot is not to be believed", "its machine is not registered here");
		return 0;
	}
	if (envelope_signed(c, place, bytes, len, &env, &own) != 0) {
		finding_err(c->j->found, SEV_LOST, where, "this snapshot cannot be restored from here", &own);
		return 0;
	}
	statement_digest(&envelope_schema, bytes, len, digest);
	if (received_strike(c, &env, digest, where))
		return 0;
	if ((refs = refs_reader_new(c->container, place, &env, &own)) == NULL) {
		verify_refs_lost(c->j, where, &own);
		return 0;
	}
	rc = verify_refs(c->j, refs, &env, where, NULL, &own, e);
	refs_reader_free(refs);
	if (rc == 1)
		verify_refs_lost(c->j, where, &own);
	return rc == -1 ? -1 : 0;
}

static void
envelope_bad(void *arg, const char *where, const struct err *why)
{
	struct vault_check *c = arg;

	finding_err(c->j->found, SEV_LOST, where, "this snapshot cannot be restored from here", why);
}

static int
quarantine_found(void *arg, const char *name, uint64_t len, struct err *e)
{
	struct vault_check *c = arg;

	(void)name;
	(void)len;
	(void)e;
	c->quarantined++;
	return 0;
}

static int
snapshots_check(struct vault_check *c, struct err *e)
{
	if (c->container->ops->snapshots(c->container, envelope_found, c, envelope_bad, c, e) != 0)
		return -1;
	for (size_t i = 0; i < c->books.nreceived; i++) {
		const struct verify_received *r = &c->books.received[i];
		char where[VAULT_NAME_MAX];

		if (r->found || r->gone)
			continue;
		vault_name_envelope(where, r->machine_id, r->seq);
		finding_tell(c->j->found, SEV_LOST, ERR_MISSING, where, "this snapshot cannot be restored from here",
		    "the records say that it was received; it is not there");
	}
	if (c->s->ops->list(c->s, "quarantine/", "", quarantine_found, c, e) != 0)
		return -1;
	if (c->quarantined > 0)
		finding_tell(c->j->found, SEV_NOTE, ERR_NONE, "quarantine/", "", "%llu packs stand there that were damaged when they were read",
		    (unsigned long long)c->quarantined);
	return 0;
}

static void
keys_look(struct vault_check *c)
{
	const struct keyring *k = c->j->opt->keys;

	if (k == NULL)
		return;
	for (size_t i = 0; i < c->books.nmachines; i++) {
		if (memcmp(c->books.machine[i].domain_id, k->keys->domain_id, DIGEST_LEN) == 0)
			c->j->keys_fit = 1;
		else
			c->j->keys_lack = 1;
	}
	if (c->j->keys_fit && c->j->keys_lack)
		finding_tell(c->j->found, SEV_NOTE, ERR_NONE, c->books.desc.name, "",
		    "there are machines with other keys: their chunks are checked without a key");
}

static int
vault_run(struct vault_check *c, const char *path, struct err *e)
{
	struct verify_feed feed = { .next = store_next, .read = store_pack_read, .believe = store_believe, .arg = c };
	int rc;

	if (verify_books_read(c->j, c->s, &c->books, e) != 0)
		return -1;
	(void)snprintf(c->j->r->name, sizeof(c->j->r->name), "vault %s", c->books.desc.name);
	keys_look(c);
	if (c->s->ops->list(c->s, "packs/", "", copy_found, c, e) != 0)
		return -1;
	c->j->r->packs = c->n;
	progress_start("check", c->bytes);
	rc = verify_packs(c->j, &feed, e);
	progress_end();
	if (rc != 0)
		return -1;
	if (snapshots_check(c, e) != 0)
		return -1;
	if (c->j->keys_fit && !c->j->opt->quick && c->j->opt->sample == 0)
		return verify_listings(c->j, &path, &path, 1, e);
	return 0;
}

int
verify_vault(const char *path, const struct verify_options *o, struct verify_result *r, struct err *e)
{
	struct verify_job j;
	struct vault_check c = { .j = &j };
	int rc = -1;

	if (verify_job_init(&j, o, r, e) != 0)
		return -1;
	if ((c.s = store_dir_open(path, 0, e)) != NULL && (c.container = container_vault(path, NULL, e)) != NULL) {
		container_vault_hold(c.container, path);
		rc = vault_run(&c, path, e);
	}
	if (rc == 0)
		rc = verify_job_counts(&j, e);
	container_free(c.container);
	if (c.s != NULL)
		c.s->ops->free(c.s);
	verify_books_release(&c.books);
	free(c.copy);
	verify_job_release(&j);
	return rc;
}
