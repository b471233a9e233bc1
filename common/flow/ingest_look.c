/* What a disk says of itself, read and compared before anything is decided. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/crypto/hash.h"
#include "common/crypto/letter.h"
#include "common/crypto/sign.h"
#include "common/disk/image_file.h"
#include "common/flow/ingest_job.h"

/* One of two copies that ${believe} accepts: 0; 1 neither is there, -1: then there are no bytes. */
static int
either(const struct ingest *g, void (*name_of)(char *out, int copy, const void *arg), const void *arg,
    int (*believe)(const struct ingest *g, const uint8_t *in, size_t len, void *value), void *value, uint8_t **out, size_t *len,
    struct err *e)
{
	char name[IMAGE_NAME_MAX];
	int there = 0;

	for (int copy = 0; copy < 2; copy++) {
		struct err mine;

		err_clear(&mine);
		name_of(name, copy, arg);
		if (image_file_read(g->dir.fd, name, STATEMENT_MAX, out, len, &mine) != 0) {
			there |= mine.code != ERR_NOT_FOUND;
			continue;
		}
		if (believe(g, *out, *len, value) == 0)
			return 0;
		free(*out);
		*out = NULL;
		*len = 0;
		there = 1;
	}
	if (!there)
		return 1;
	return err_set(e, ERR_DAMAGE, "%s: both copies of %s are damaged", g->name, name);
}

static void
label_name(char *out, int copy, const void *arg)
{
	(void)arg;
	image_name_label(out, copy);
}

static int
label_is(const struct ingest *g, const uint8_t *in, size_t len, void *value)
{
	uint8_t digest[DIGEST_LEN];

	(void)value;
	hash_once(in, len, digest);
	return memcmp(digest, g->dir.label_digest, DIGEST_LEN) == 0 ? 0 : -1;
}

static void
keys_name(char *out, int copy, const void *arg)
{
	image_name_keys(out, copy, arg);
}

static int
registration_is(const struct ingest *g, const uint8_t *in, size_t len, void *value)
{
	const struct label *l = &g->dir.label;
	struct registration reg;

	if (statement_open(&registration_schema, &reg, in, len, *(const int *)value ? l->machine_pub : NULL, NULL) != 0)
		return -1;
	return memcmp(reg.machine_id, l->machine_id, ID_LEN) == 0 ? 0 : -1;
}

/* The copy that the machine signed; without one, any that can be read, so that it can be said what is wrong with it. */
static void
look_registration(struct ingest *g)
{
	for (int signed_by = 1; signed_by >= 0 && g->registration == NULL; signed_by--)
		if (either(g, keys_name, "regist", registration_is, &signed_by, &g->registration, &g->registration_len, NULL) != 0)
			g->registration = NULL;
}

static int
is_equal(const uint8_t *p, size_t len, struct fmt_view v)
{
	return len == v.len && memcmp(p, v.p, len) == 0;
}

/*
 * Anybody can seal a letter to this vault: it counts only where it, or for
 * openable slots what is in it, is what the machine signed in its registration.
 */
static int
letter_is(const struct ingest *g, const struct disk_keys *k)
{
	const struct label *l = &g->dir.label;
	struct registration reg;
	struct slot_header h;
	struct buf inside;
	size_t head = 2 * ID_LEN + DIGEST_LEN;
	int same;

	if (g->registration == NULL || statement_open(&registration_schema, &reg, g->registration, g->registration_len,
	    l->machine_pub, NULL) != 0)
		return 0;
	buf_init(&inside);
	same = letter_open(g->v->key->box_seed, reg.sealed_slots.p, reg.sealed_slots.len, &inside, NULL) == 0 &&
	    inside.len > head && memcmp(inside.p, l->vault_id, ID_LEN) == 0 &&
	    memcmp(inside.p + ID_LEN, l->machine_id, ID_LEN) == 0 &&
	    memcmp(inside.p + 2 * ID_LEN, l->domain_id, DIGEST_LEN) == 0 &&
	    schema_decode(&slot_header_schema, &h, inside.p + head, inside.len - head) == FMT_OK;
	if (same)
		same = k->openable ? is_equal(inside.p + head, inside.len - head, k->blob) :
		    is_equal(reg.sealed_slots.p, reg.sealed_slots.len, k->blob);
	buf_release(&inside);
	return same;
}

static int
slots_is(const struct ingest *g, const uint8_t *in, size_t len, void *value)
{
	const struct label *l = &g->dir.label;
	struct disk_keys k;

	(void)value;
	if (schema_decode(&disk_keys_schema, &k, in, len) != FMT_OK)
		return -1;
	if (memcmp(k.vault_id, l->vault_id, ID_LEN) != 0 || memcmp(k.machine_id, l->machine_id, ID_LEN) != 0 ||
	    memcmp(k.domain_id, l->domain_id, DIGEST_LEN) != 0)
		return -1;
	return letter_is(g, &k) ? 0 : -1;
}

static void
envelope_name(char *out, int copy, const void *arg)
{
	image_name_envelope(out, copy, *(const uint32_t *)arg);
}

static int
envelope_is(const struct ingest *g, const uint8_t *in, size_t len, void *value)
{
	const struct label *l = &g->dir.label;
	struct envelope *n = value;

	if (statement_open(&envelope_schema, n, in, len, l->machine_pub, NULL) != 0)
		return -1;
	return memcmp(n->machine_id, l->machine_id, ID_LEN) == 0 && memcmp(n->domain_id, l->domain_id, DIGEST_LEN) == 0 &&
	    memcmp(n->image_id, l->image_id, ID_LEN) == 0 ? 0 : -1;
}

/* Is ${digest} among the envelopes that the manifest names? */
static int
manifest_names(const struct manifest *m, const uint8_t digest[DIGEST_LEN])
{
	for (size_t i = 0; i < list_count(m->envelopes, DIGEST_LEN); i++)
		if (memcmp(m->envelopes.p + i * DIGEST_LEN, digest, DIGEST_LEN) == 0)
			return 1;
	return 0;
}

static int
look_envelopes(struct ingest *g, struct err *e)
{
	for (uint32_t n = 0; n < SNAPS_PER_IMAGE_MAX; n++) {
		struct ingest_envelope x = { .n = n }, *more;
		struct err mine;
		int rc;

		err_clear(&mine);
		if ((rc = either(g, envelope_name, &n, envelope_is, &x.env, &x.bytes, &x.len, &mine)) == 1)
			return 0;
		if (rc != 0) {
			say_warn("%s", mine.msg);
			g->r->damage++;
			continue;
		}
		statement_digest(&envelope_schema, x.bytes, x.len, x.digest);
		if ((more = realloc(g->envs, (g->nenvs + 1) * sizeof(*more))) == NULL) {
			free(x.bytes);
			return err_errno(e, "%s", g->name);
		}
		g->envs = more;
		g->envs[g->nenvs++] = x;
		if (x.env.seq > INT64_MAX)
			return err_set(e, ERR_FORMAT, "%s: a snapshot on it has number %llu; a vault files numbers up to %lld",
			    g->name, (unsigned long long)x.env.seq, (long long)INT64_MAX);
		if (g->manifest != NULL && !manifest_names(&g->m, x.digest))
			return err_set(e, ERR_DAMAGE, "%s: snapshot %llu on it is not one that the manifest names", g->name,
			    (unsigned long long)x.env.seq);
	}
	return 0;
}

/* The root that the manifest's own parts give. */
static void
root_of(const struct manifest *m, uint8_t root[DIGEST_LEN])
{
	static const char magic[32] = "samara root v1";
	struct hash h;
	uint8_t n[4];

	le32_put(n, (uint32_t)list_count(m->envelopes, DIGEST_LEN));
	hash_init(&h);
	hash_update(&h, magic, sizeof(magic));
	hash_update(&h, m->vault_id, ID_LEN);
	hash_update(&h, m->image_id, ID_LEN);
	hash_update(&h, n, sizeof(n));
	hash_update(&h, m->envelopes.p, m->envelopes.len);
	hash_update(&h, m->carried, DIGEST_LEN);
	hash_final(&h, root);
}

/* The manifest, and that this disk is one that it names. */
static int
look_manifest(struct ingest *g, struct err *e)
{
	uint8_t root[DIGEST_LEN], digest[DIGEST_LEN];
	struct err mine;
	int rc;

	err_clear(&mine);
	if ((rc = image_manifest(&g->dir, &g->manifest, &g->manifest_len, &g->m, &mine)) == 1)
		return 0;
	if (rc != 0) {
		/* A copy on another disk of the image is as good. */
		say_warn("%s: manifest: %s", g->name, mine.msg);
		g->r->damage++;
		g->manifest = NULL;
		return 0;
	}
	root_of(&g->m, root);
	if (memcmp(root, g->m.root, DIGEST_LEN) != 0)
		return err_set(e, ERR_DAMAGE, "%s: the manifest contradicts its own root", g->name);
	statement_digest(&manifest_schema, g->manifest, g->manifest_len, digest);
	(void)human_digest(g->r->manifest, digest);
	g->r->generation = g->m.generation;
	for (size_t i = 0; i < list_count(g->m.disks, MANIFEST_DISK_LEN); i++) {
		struct manifest_disk d;

		if (element_get(manifest_disk_fields, manifest_disk_nfields, g->m.disks, i, &d) != FMT_OK)
			return err_set(e, ERR_FORMAT, "%s: manifest", g->name);
		if (d.disk == g->st.disk && memcmp(d.statement, g->st_digest, DIGEST_LEN) != 0)
			return err_set(e, ERR_WRONG_DISK, "%s: the manifest names another disk %u than this one", g->name,
			    d.disk);
	}
	return 0;
}

static int
look_statement(struct ingest *g, struct err *e)
{
	int rc;

	if (either(g, label_name, NULL, label_is, NULL, &g->label, &g->label_len, e) != 0)
		return g->label == NULL ? err_set(e, ERR_DAMAGE, "%s: its label changed while it was read", g->name) : -1;
	if ((rc = image_statement(&g->dir, &g->statement, &g->statement_len, &g->st, e)) != 0) {
		if (rc < 0)
			return err_during(e, "%s: disk statement", g->name);
		(void)err_set(e, ERR_WRONG_DISK, "%s is not closed: there is no disk statement on it", g->name);
		return err_next(e, "It goes back to the machine, where samara-seed build --resume finishes it.");
	}
	statement_digest(&disk_statement_schema, g->statement, g->statement_len, g->st_digest);
	g->r->packs = g->st.packs;
	return 0;
}

/* What was not found, or not believed, is so only if the disk still answers: 0, or -1 with ${e}. */
static int
doubt(const struct ingest *g, int failed, struct err *e)
{
	struct err gone;

	err_clear(&gone);
	if (!failed && g->r->damage == 0 && g->registration != NULL)
		return 0;
	if (ingest_is_there(g, &gone) == 0)
		return failed ? -1 : 0;
	if (e != NULL)
		*e = gone;
	return -1;
}

int
ingest_look_head(struct ingest *g, struct err *e)
{
	int failed = look_statement(g, e) != 0;

	if (!failed) {
		look_registration(g);
		failed = look_manifest(g, e) != 0;
	}
	return doubt(g, failed, e);
}

int
ingest_look(struct ingest *g, struct err *e)
{
	if (ingest_look_head(g, e) != 0)
		return -1;
	if (look_envelopes(g, e) != 0)
		return doubt(g, 1, e);
	if (either(g, keys_name, "slots", slots_is, NULL, &g->slots, &g->slots_len, NULL) != 0)
		g->slots = NULL;
	return doubt(g, 0, e);
}

void
ingest_forget(struct ingest *g)
{
	for (size_t i = 0; i < g->nenvs; i++)
		free(g->envs[i].bytes);
	free(g->envs);
	free(g->plan);
	free(g->label);
	free(g->statement);
	free(g->manifest);
	free(g->registration);
	free(g->slots);
	image_dir_close(&g->dir);
}
