/* What a receipt is about: manifest, envelopes and lists as the vault keeps them. */

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/catalog/catalog.h"
#include "common/crypto/sign.h"
#include "common/flow/container.h"
#include "common/flow/gaps.h"
#include "common/flow/id_list.h"
#include "common/flow/image_root.h"
#include "common/flow/receipt_job.h"
#include "common/flow/refs_read.h"
#include "common/flow/vault_count.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

static int
key_take(void *arg, const void *row, struct err *e)
{
	struct receipt_job *j = arg;
	struct cat_machine_key *more = realloc(j->keys, (j->nkeys + 1) * sizeof(*more));

	if (more == NULL)
		return err_errno(e, "keys of a machine");
	j->keys = more;
	j->keys[j->nkeys++] = *(const struct cat_machine_key *)row;
	return 0;
}

/* 1 if one of the machine's keys signed this. */
static int
is_signed(const struct receipt_job *j, const struct fmt_schema *s, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < j->nkeys; i++)
		if (statement_check(s, bytes, len, j->keys[i].pub))
			return 1;
	return 0;
}

static int
manifest_take(struct receipt_job *j, struct err *e)
{
	struct cat_machine_key like;
	int rc;

	memcpy(like.machine_id, j->image.machine_id, ID_LEN);
	if (catalog_each(j->v->catalog, &cat_machine_keys, 1, &like, key_take, j, e) != 0 ||
	    (rc = vault_manifest(j->v, &j->image, &j->manifest, &j->m, e)) < 0)
		return -1;
	if (rc == 1) {
		(void)err_set(e, ERR_INCOMPLETE, "the manifest of image %s has not come yet", j->image.short_name);
		return err_next(e, "ingest the last of its disks; the manifest stands on it");
	}
	if (!is_signed(j, &manifest_schema, j->manifest, schema_size(&manifest_schema, &j->m)) ||
	    memcmp(j->m.image_id, j->image.id, ID_LEN) != 0)
		return err_set(e, ERR_SIGNATURE, "the manifest of image %s in the vault is not the machine's", j->image.short_name);
	return 0;
}

static int
by_digest(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_LEN);
}

/* A row of the catalog that is one of the image's snapshots has a place among the parts. */
static int
snapshot_match(void *arg, const void *row, struct err *e)
{
	const struct cat_snapshot *s = row;
	struct receipt_job *j = arg;
	const uint8_t *at;

	(void)e;
	if (j->nparts == 0 || (at = bsearch(s->digest, j->m.envelopes.p, j->nparts, DIGEST_LEN, by_digest)) == NULL)
		return 0;
	j->parts[(size_t)(at - j->m.envelopes.p) / DIGEST_LEN].seq = (uint64_t)s->seq;
	return 0;
}

/* The envelope of a part, from the store: is it the one that the manifest names? */
static int
envelope_take(struct receipt_job *j, struct receipt_part *p, struct err *e)
{
	char name[VAULT_NAME_MAX];
	uint8_t digest[DIGEST_LEN];

	vault_name_envelope(name, j->image.machine_id, p->seq);
	if (store_read(j->v->store, name, SMALL_STATEMENT_MAX, &p->bytes, &p->len, e) != 0)
		return -1;
	if ((p->env = calloc(1, sizeof(*p->env))) == NULL)
		return err_errno(e, "%s", name);
	if (schema_decode(&envelope_schema, p->env, p->bytes, p->len) != FMT_OK || !is_signed(j, &envelope_schema, p->bytes, p->len))
		return err_set(e, ERR_DAMAGE, "%s is not what the machine signed", name);
	statement_digest(&envelope_schema, p->bytes, p->len, digest);
	if (memcmp(digest, p->row.envelope, DIGEST_LEN) != 0)
		return err_set(e, ERR_DAMAGE, "%s is not the snapshot that the manifest names", name);
	return 0;
}

static int
needed_take(void *arg, const uint8_t *id, struct err *e)
{
	return id_sorter_add(arg, id, e);
}

int
receipt_list(struct receipt_job *j, size_t i, int (*fn)(void *arg, const uint8_t *id, struct err *e), void *arg, struct err *e)
{
	struct snap_place at = { .seq = j->parts[i].seq };
	struct refs_reader *r;
	uint8_t id[DIGEST_LEN];
	int rc;

	memcpy(at.machine, j->image.machine_id, ID_LEN);
	if ((r = refs_reader_new(j->store, &at, j->parts[i].env, e)) == NULL)
		return err_during(e, "snapshot %llu", (unsigned long long)at.seq);
	while ((rc = refs_reader_next(r, id, e)) == 1)
		if (fn(arg, id, e) != 0) {
			rc = -1;
			break;
		}
	refs_reader_free(r);
	return rc == 0 ? 0 : err_during(e, "snapshot %llu", (unsigned long long)at.seq);
}

static int
snapshots_take(struct receipt_job *j, struct err *e)
{
	struct cat_snapshot like;

	j->nparts = list_count(j->m.envelopes, DIGEST_LEN);
	j->r->snapshots = (uint32_t)j->nparts;
	if ((j->parts = calloc(j->nparts + 1, sizeof(*j->parts))) == NULL)
		return err_errno(e, "receipt");
	for (size_t i = 0; i < j->nparts; i++)
		memcpy(j->parts[i].row.envelope, j->m.envelopes.p + i * DIGEST_LEN, DIGEST_LEN);
	memcpy(like.machine_id, j->image.machine_id, ID_LEN);
	if (catalog_each(j->v->catalog, &cat_snapshots, 1, &like, snapshot_match, j, e) != 0)
		return -1;
	for (size_t i = 0; i < j->nparts; i++)
		j->r->unfiled += j->parts[i].seq == 0;
	if (j->r->unfiled > 0)
		return 1;
	for (size_t i = 0; i < j->nparts; i++) {
		if (envelope_take(j, &j->parts[i], e) != 0 || receipt_list(j, i, needed_take, j->needed, e) != 0)
			return -1;
		j->parts[i].row.needed = j->parts[i].env->refs_count;
	}
	return 0;
}

/* Ids of an image without snapshots. */
static int
carried_take(struct receipt_job *j, struct err *e)
{
	uint8_t id[DIGEST_LEN];
	struct carried *c = NULL;
	int rc = -1;

	for (size_t i = 0; i < j->nkeys && c == NULL; i++) {
		err_clear(e);
		c = carried_open(j->v, j->image.id, j->keys[i].pub, e);
	}
	if (c == NULL)
		return err_during(e, "list of what image %s carries", j->image.short_name);
	if (memcmp(id_list_about(carried_list(c))->digest, j->m.carried, DIGEST_LEN) != 0)
		(void)err_set(e, ERR_DAMAGE, "the list of what image %s carries is not the one that its manifest names",
		    j->image.short_name);
	else
		while ((rc = id_list_next(carried_list(c), id, e)) == 1)
			if (id_sorter_add(j->needed, id, e) != 0) {
				rc = -1;
				break;
			}
	carried_close(c);
	return rc;
}

/* The root, from what the vault holds. */
static int
root_check(struct receipt_job *j, struct err *e)
{
	uint8_t root[DIGEST_LEN], digest[DIGEST_LEN];
	struct buf envelopes;
	int rc = 0;

	buf_init(&envelopes);
	for (size_t i = 0; i < j->nparts; i++) {
		statement_digest(&envelope_schema, j->parts[i].bytes, j->parts[i].len, digest);
		buf_add(&envelopes, digest, DIGEST_LEN);
	}
	if ((rc = buf_check(&envelopes, e)) == 0) {
		image_root(j->v->desc.vault_id, j->image.id, (struct fmt_view){ envelopes.p, (uint32_t)envelopes.len },
		    j->m.carried, root);
		if (memcmp(root, j->m.root, DIGEST_LEN) != 0)
			rc = err_set(e, ERR_DAMAGE, "what the vault holds of image %s does not give the root in its manifest",
			    j->image.short_name);
	}
	buf_release(&envelopes);
	return rc;
}

int
receipt_books(struct receipt_job *j, struct err *e)
{
	int rc;

	if (manifest_take(j, e) != 0)
		return -1;
	if ((rc = snapshots_take(j, e)) != 0)
		return rc;
	if (j->nparts == 0 && carried_take(j, e) != 0)
		return -1;
	return root_check(j, e);
}

void
receipt_books_release(struct receipt_job *j)
{
	for (size_t i = 0; i < j->nparts; i++) {
		free(j->parts[i].bytes);
		free(j->parts[i].env);
	}
	free(j->parts);
	free(j->manifest);
	free(j->keys);
}
