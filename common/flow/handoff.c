/* What a machine answers: that an image is handed off, or what it gives up. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_chunks.h"
#include "common/crypto/sign.h"
#include "common/flow/id_list.h"
#include "common/flow/ingest_job.h"
#include "common/flow/receipt.h"
#include "common/flow/vault_machine.h"

struct signer {
	int (*fits)(void *arg, const uint8_t *pub);
	void *arg;
	uint8_t pub[SIGN_PUB_LEN];
	int found;
};

static int
key_try(void *arg, const void *row, struct err *e)
{
	const struct cat_machine_key *k = row;
	struct signer *s = arg;

	(void)e;
	if (!s->found && s->fits(s->arg, k->pub)) {
		memcpy(s->pub, k->pub, SIGN_PUB_LEN);
		s->found = 1;
	}
	return 0;
}

/* The key of the machine that fits: 0, or -1 with ERR_SIGNATURE. */
static int
signer_find(struct vault *v, const uint8_t machine[ID_LEN], const char *what, struct signer *s, struct err *e)
{
	struct cat_machine_key like;
	struct cat_machine m;
	int rc;

	if ((rc = vault_machine(v, machine, &m, e)) != 0)
		return rc < 0 ? -1 : err_set(e, ERR_SIGNATURE, "%s is of a machine that vault %s does not know", what, v->desc.name);
	memcpy(like.machine_id, machine, ID_LEN);
	if (catalog_each(v->catalog, &cat_machine_keys, 1, &like, key_try, s, e) != 0)
		return -1;
	return s->found ? 0 : err_set(e, ERR_SIGNATURE, "%s was not signed by machine %s", what, m.name);
}

static int
vault_is(const struct vault *v, const uint8_t vault[ID_LEN], const char *what, struct err *e)
{
	return memcmp(vault, v->desc.vault_id, ID_LEN) == 0 ? 0 :
	    err_set(e, ERR_WRONG_VAULT, "%s is for another vault than %s", what, v->desc.name);
}

/* --- handed off --- */

struct answer {
	const uint8_t *bytes;
	size_t len;
};

static int
answer_fits(void *arg, const uint8_t *pub)
{
	const struct answer *a = arg;

	return statement_check(&handoff_schema, a->bytes, a->len, pub);
}

/* Does ${h} answer a receipt of this vault?  0 with its row, or -1 with ERR_RECEIPT. */
static int
receipt_find(struct vault *v, const struct handoff *h, struct cat_receipt *row, struct err *e)
{
	int rc;

	memcpy(row->image_id, h->image_id, ID_LEN);
	row->number = (int64_t)h->number;
	if ((rc = catalog_get(v->catalog, &cat_receipts, row, e)) < 0)
		return -1;
	if (rc == 1 || memcmp(row->digest, h->receipt, DIGEST_LEN) != 0 || (row->whole != 0) != (h->whole != 0) ||
	    row->given_up != (int64_t)h->given_up)
		return err_set(e, ERR_RECEIPT, "vault %s gave no receipt %llu for image %s that this answers", v->desc.name,
		    (unsigned long long)h->number, h->short_name);
	return 0;
}

static int
answer_record(struct vault *v, const struct answer *a, const struct handoff *h, struct err *e)
{
	struct cat_receipt row;
	char note[64];
	int rc = -1;

	if (vault_begin(v, e) != 0)
		return -1;
	(void)snprintf(note, sizeof(note), "receipt %llu", (unsigned long long)h->number);
	if (receipt_find(v, h, &row, e) != 0)
		goto rollback;
	if (row.answered) {
		vault_rollback(v);
		return 1;
	}
	if (vault_record_bytes(v, REC_HANDED_OFF, a->bytes, a->len, e) == 0 &&
	    vault_custody(v, h->image_id, CUSTODY_HANDED_OFF, 0, note, e) == 0)
		return vault_commit(v, e);
rollback:
	vault_rollback(v);
	return rc;
}

int
vault_handoff_take(struct vault *v, const uint8_t *bytes, size_t len, const char *name, int dry_run, struct handoff *h,
    struct err *e)
{
	struct answer a = { bytes, len };
	struct signer s = { .fits = answer_fits, .arg = &a };
	struct cat_receipt row;
	int rc;

	if (statement_open(&handoff_schema, h, bytes, len, NULL, e) != 0)
		return err_during(e, "%s", name);
	if (vault_is(v, h->vault_id, name, e) != 0 || signer_find(v, h->machine_id, name, &s, e) != 0)
		return -1;
	if (!dry_run)
		return answer_record(v, &a, h, e);
	return (rc = receipt_find(v, h, &row, e)) != 0 ? rc : row.answered != 0;
}

int
vault_handoff(struct vault *v, const char *path, int dry_run, struct handoff *h, struct err *e)
{
	uint8_t *bytes;
	size_t len;
	int rc;

	if (file_read(AT_FDCWD, path, SMALL_STATEMENT_MAX, &bytes, &len, e) != 0)
		return -1;
	rc = vault_handoff_take(v, bytes, len, path, dry_run, h, e);
	free(bytes);
	return rc;
}

/* --- given up --- */

static int
list_fits(void *arg, const uint8_t *pub)
{
	struct id_list_reader *r = id_list_reader_new(AT_FDCWD, arg, &given_up_schema, pub, NULL);

	id_list_reader_free(r);
	return r != NULL;
}

/* Is every id of the part given up already?  1, 0, -1. */
static int
part_is_known(struct vault *v, const struct id_list *l, struct err *e)
{
	size_t n = list_count(l->ids, DIGEST_LEN), known = 0;
	uint8_t *found = malloc(n + 1);
	int rc;

	if (found == NULL)
		return err_errno(e, "list of what was given up");
	if ((rc = given_up_find(v->catalog, l->machine_id, l->ids.p, n, found, e)) == 0) {
		for (size_t i = 0; i < n; i++)
			known += found[i];
		rc = known == n;
	}
	free(found);
	return rc;
}

int
vault_given_up_take(struct vault *v, struct id_list_reader *l, struct err *e)
{
	const uint8_t *part;
	size_t len;
	int rc, known;

	while ((rc = id_list_part(l, &part, &len, e)) == 1) {
		if (vault_begin(v, e) != 0)
			return -1;
		if ((known = part_is_known(v, id_list_about(l), e)) == -1 ||
		    (known == 0 && vault_record_bytes(v, REC_GIVEN_UP, part, len, e) != 0)) {
			vault_rollback(v);
			return -1;
		}
		if (vault_commit(v, e) != 0)
			return -1;
	}
	return rc;
}

int
vault_given_up_part(struct vault *v, const uint8_t machine[ID_LEN], const uint8_t *bytes, size_t len, struct err *e)
{
	struct id_list l;
	int known, rc;

	if (statement_open(&given_up_schema, &l, bytes, len, NULL, e) != 0 ||
	    vault_is(v, l.vault_id, "the list of what is given up", e) != 0)
		return -1;
	if (memcmp(l.machine_id, machine, ID_LEN) != 0 || (rc = vault_machine_signed(v, machine, &given_up_schema, bytes, len, e)) == 0)
		return err_set(e, ERR_SIGNATURE, "the list of what is given up is not signed by the machine that sends it");
	if (rc < 0 || vault_begin(v, e) != 0)
		return -1;
	if ((known = part_is_known(v, &l, e)) == -1 ||
	    (known == 0 && vault_record_bytes(v, REC_GIVEN_UP, bytes, len, e) != 0)) {
		vault_rollback(v);
		return -1;
	}
	if (vault_commit(v, e) != 0)
		return -1;
	return l.part + 1 == l.parts && vault_states(v, machine, e) != 0 ? -1 : known;
}

/* Read it all: nothing is recorded of a list that is not whole. */
static int
list_check(const char *path, const uint8_t *pub, uint64_t *count, struct err *e)
{
	struct id_list_reader *r = id_list_reader_new(AT_FDCWD, path, &given_up_schema, pub, e);
	uint8_t id[DIGEST_LEN];
	int rc;

	if (r == NULL)
		return -1;
	*count = id_list_about(r)->count;
	while ((rc = id_list_next(r, id, e)) == 1)
		;
	id_list_reader_free(r);
	return rc;
}

int
vault_given_up(struct vault *v, const char *path, int dry_run, uint64_t *count, struct err *e)
{
	struct id_list_reader *r = id_list_reader_new(AT_FDCWD, path, &given_up_schema, NULL, e);
	char file[4096];
	struct signer s = { .fits = list_fits, .arg = file };
	uint8_t machine[ID_LEN], vault[ID_LEN];
	int rc;

	if (r == NULL)
		return -1;
	(void)snprintf(file, sizeof(file), "%s", path);
	memcpy(machine, id_list_about(r)->machine_id, ID_LEN);
	memcpy(vault, id_list_about(r)->vault_id, ID_LEN);
	id_list_reader_free(r);
	if (vault_is(v, vault, path, e) != 0 || signer_find(v, machine, path, &s, e) != 0 ||
	    list_check(path, s.pub, count, e) != 0)
		return -1;
	if (dry_run)
		return 0;
	if ((r = id_list_reader_new(AT_FDCWD, path, &given_up_schema, s.pub, e)) == NULL)
		return -1;
	rc = vault_given_up_take(v, r, e);
	id_list_reader_free(r);
	return rc == 0 ? vault_states(v, machine, e) : -1;
}

int
vault_is_given_up(const char *path)
{
	struct id_list_reader *r = id_list_reader_new(AT_FDCWD, path, &given_up_schema, NULL, NULL);

	id_list_reader_free(r);
	return r != NULL;
}
