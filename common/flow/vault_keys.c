#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/passphrase.h"
#include "common/base/secret.h"
#include "common/crypto/letter.h"
#include "common/crypto/sign.h"
#include "common/flow/new_file.h"
#include "common/flow/vault_keys.h"

#define KEY_FILE_MAX	1024

/* The encoded key; the caller wipes ${out} of KEY_FILE_MAX bytes. */
static int
key_encode(const struct vault_key *k, uint8_t *out, size_t *len, struct err *e)
{
	enum fmt_status st = schema_encode(&vault_key_schema, k, out, KEY_FILE_MAX, len);

	return st == FMT_OK ? 0 : err_set(e, ERR_INTERNAL, "write the vault's key: %s", fmt_status_text(st));
}

/* ${len} bytes of a key file, plain or wrapped. */
static int
key_decode(const uint8_t *in, size_t len, const char *name, struct vault_key *k, struct err *e)
{
	struct vault_key_wrapped w;
	struct passphrase p;
	char purpose[128];
	int rc;

	if (schema_decode(&vault_key_schema, k, in, len) == FMT_OK)
		return 0;
	if (schema_decode(&vault_key_wrapped_schema, &w, in, len) != FMT_OK)
		return err_set(e, ERR_VAULT_KEY, "the vault's key in local/" VAULT_KEY " is damaged");
	(void)snprintf(purpose, sizeof(purpose), "passphrase of the key of vault %s", name);
	if (passphrase_get(&p, NULL, purpose, 0, e) != 0)
		return -1;
	rc = vault_key_unwrap(in, len, p.text, p.len, k, e);
	passphrase_release(&p);
	return rc;
}

/* 0 with the key in ${local}; 1 there is none; -1. */
static int
key_read(int local, const char *name, struct vault_key *k, struct err *e)
{
	struct err mine;
	uint8_t *bytes;
	size_t len;
	int rc;

	err_clear(&mine);
	if (file_read(local, VAULT_KEY, KEY_FILE_MAX, &bytes, &len, &mine) != 0) {
		if (mine.code == ERR_NOT_FOUND)
			return 1;
		if (e != NULL)
			*e = mine;
		return err_during(e, "the vault's key");
	}
	rc = key_decode(bytes, len, name, k, e);
	secret_wipe(bytes, len);
	free(bytes);
	return rc;
}

struct vault_key *
vault_key_make(int local, struct err *e)
{
	struct vault_key *k = secret_new(sizeof(*k));
	uint8_t *bytes = secret_new(KEY_FILE_MAX);
	size_t len;
	int rc = key_read(local, "?", k, e);

	if (rc == 1) {
		io_random(k->vault_id, sizeof(k->vault_id));
		io_random(k->sign_seed, sizeof(k->sign_seed));
		io_random(k->box_seed, sizeof(k->box_seed));
		if ((rc = key_encode(k, bytes, &len, e)) == 0)
			rc = file_put_new(local, VAULT_KEY, bytes, len, 0600, e);
		if (rc == 1)	/* another create was faster: its key rules */
			rc = key_read(local, "?", k, e);
	}
	secret_free(bytes);
	if (rc == 0)
		return k;
	secret_free(k);
	return NULL;
}

struct vault_key *
vault_key_load(int local, const struct vault_desc *d, struct err *e)
{
	struct vault_key *k = secret_new(sizeof(*k));
	uint8_t pub[SIGN_PUB_LEN], *secret = secret_new(SIGN_SECRET_LEN);
	int rc = key_read(local, d->name, k, e);

	if (rc == 1) {
		rc = err_set(e, ERR_VAULT_KEY, "the key of vault %s is not in its local/" VAULT_KEY, d->name);
	} else if (rc == 0) {
		sign_keys(k->sign_seed, pub, secret);
		if (memcmp(pub, d->sign_pub, sizeof(pub)) != 0 || memcmp(k->vault_id, d->vault_id, ID_LEN) != 0)
			rc = err_set(e, ERR_VAULT_KEY, "the key in local/" VAULT_KEY " is not that of vault %s",
			    d->name);
	}
	secret_free(secret);
	if (rc == 0)
		return k;
	secret_free(k);
	return NULL;
}

/* The bytes of the copy into ${out} (KEY_FILE_MAX, secret memory). */
static int
copy_make(const struct vault *v, const char *pass, size_t len, uint8_t *out, size_t *n, struct err *e)
{
	struct buf b;
	int rc;

	if (pass == NULL)
		return key_encode(v->key, out, n, e);
	buf_init(&b);
	if ((rc = vault_key_wrap(v->key, pass, len, &b, e)) == 0) {
		*n = b.len < KEY_FILE_MAX ? b.len : 0;
		memcpy(out, b.p, *n);
	}
	buf_release(&b);
	return rc;
}

static int
copy_record(struct vault *v, const char *file, struct err *e)
{
	struct rec_note note = { { 0 }, "" };

	(void)snprintf(note.text, sizeof(note.text), "%.250s", file);
	if (vault_begin(v, e) != 0)
		return -1;
	if (vault_record(v, REC_KEY_COPIED, &rec_note_schema, &note, e) == 0)
		return vault_commit(v, e);
	vault_rollback(v);
	return -1;
}

int
vault_key_copy(struct vault *v, const char *file, const char *pass, size_t len, struct err *e)
{
	uint8_t *bytes = secret_new(KEY_FILE_MAX), *back = NULL;
	size_t n = 0, got = 0;
	int rc;

	if ((rc = copy_make(v, pass, len, bytes, &n, e)) != 0 || (rc = new_file_put(file, bytes, n, e)) != 0)
		goto free;
	if ((rc = file_read(AT_FDCWD, file, KEY_FILE_MAX, &back, &got, e)) != 0)
		goto free;
	if (got != n || memcmp(back, bytes, n) != 0)
		rc = err_set(e, ERR_MEDIUM, "the copy of the vault's key in %s reads back differently", file);
	secret_wipe(back, got);
	free(back);
	if (rc == 0)
		rc = copy_record(v, file, e);
free:
	secret_free(bytes);
	return rc;
}
