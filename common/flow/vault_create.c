#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/secret.h"
#include "common/catalog/catalog.h"
#include "common/crypto/letter.h"
#include "common/crypto/sign.h"
#include "common/flow/new_file.h"
#include "common/flow/vault.h"
#include "common/flow/vault_desc_file.h"
#include "common/flow/vault_keys.h"
#include "common/flow/vault_line.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"
#include "formats/names.h"

/* What a new vault's directory may hold: nothing, or what an unfinished create left there. */
static int
place_check(const char *path, struct err *e)
{
	static const char *const ours[] = { "tmp", "local", "records", "vault", "lost+found" };
	struct err mine;
	char **names;
	size_t n, k;

	err_clear(&mine);
	if (dir_list(AT_FDCWD, path, &names, &n, &mine) != 0) {
		if (mine.code == ERR_NOT_FOUND && errno == ENOENT)
			return 0;
		if (errno == ENOTDIR)
			return err_set(e, ERR_VAULT_EXISTS, "%s is a file", path);
		if (e != NULL)
			*e = mine;
		return -1;
	}
	for (size_t i = 0; i < n; i++) {
		for (k = 0; k < sizeof(ours) / sizeof(ours[0]) && strcmp(ours[k], names[i]) != 0; k++)
			;
		if (k == sizeof(ours) / sizeof(ours[0])) {
			(void)err_set(e, ERR_VAULT_EXISTS, "%s is not empty: there is %s in it", path, names[i]);
			(void)err_next(e, "Name a directory that is empty or not there yet.");
			dir_list_free(names, n);
			return -1;
		}
	}
	dir_list_free(names, n);
	return 0;
}

/* A vault's name is unique where it is created: among the directories beside it. */
static int
name_check(const char *path, const char *name, struct err *e)
{
	char above[4096], beside[4500];
	const char *slash, *own;
	struct vault_desc d;
	char **names;
	size_t n;
	int rc = 0;

	if (!vault_name_is_valid(name))
		return err_set(e, ERR_VAULT_NAME, "\"%.60s\" is not a name for a vault", name);
	slash = strrchr(path, '/');
	own = slash == NULL ? path : slash + 1;
	(void)snprintf(above, sizeof(above), "%.*s", slash == NULL ? 1 : slash == path ? 1 : (int)(slash - path),
	    slash == NULL ? "." : path);
	if (dir_list(AT_FDCWD, above, &names, &n, NULL) != 0)
		return 0;
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct store *s;

		if (strcmp(names[i], own) == 0)
			continue;
		(void)snprintf(beside, sizeof(beside), "%s/%s", above, names[i]);
		if ((s = store_dir_open(beside, 0, NULL)) == NULL)
			continue;
		if (vault_describe(s, &d, NULL) == 0 && strcmp(d.name, name) == 0)
			rc = err_set(e, ERR_VAULT_EXISTS, "there is a vault called %s already, in %s", name, beside);
		s->ops->free(s);
	}
	dir_list_free(names, n);
	return rc;
}

static void
desc_fill(struct vault *v, const struct vault_create *o)
{
	struct vault_desc *d = &v->desc;
	uint8_t *secret = secret_new(KEY_LEN);

	memcpy(d->vault_id, v->key->vault_id, ID_LEN);
	d->generation = 1;
	(void)snprintf(d->name, sizeof(d->name), "%s", o->name);
	sign_keys(v->key->sign_seed, d->sign_pub, v->sign_secret);
	letter_keys(v->key->box_seed, d->box_pub, secret);
	secret_free(secret);
	(void)snprintf(d->url, sizeof(d->url), "%s", o->url == NULL ? "" : o->url);
	(void)snprintf(d->region, sizeof(d->region), "%s", o->region == NULL ? "" : o->region);
	d->redundancy = (uint8_t)o->redundancy;
	d->suite = SUITE_1;
	d->chunk_avg_min = CHUNK_AVG_MIN;
	d->chunk_avg_max = CHUNK_AVG_MAX;
	d->created = io_now();
}

/* The first record, which holds the description; an unfinished create may have put it, for the same name. */
static int
first_record(struct vault *v, struct buf *bytes, struct err *e)
{
	struct vault_desc was;
	struct record r;
	uint8_t *have;
	size_t len;
	int rc;

	if (vault_begin(v, e) != 0)
		return -1;
	if ((rc = vault_record_read(v, 1, &r, &have, &len, e)) < 0)
		goto rollback;
	if (rc == 1) {
		rc = statement_make(&vault_desc_schema, &v->desc, v->sign_secret, bytes, e);
		if (rc == 0)
			rc = vault_record_bytes(v, REC_VAULT_CREATED, bytes->p, bytes->len, e);
	} else {
		rc = statement_open(&vault_desc_schema, &was, r.body.p, r.body.len, v->desc.sign_pub, e);
		if (rc == 0 && strcmp(was.name, v->desc.name) != 0) {
			rc = err_set(e, ERR_VAULT_EXISTS, "an unfinished vault called %s is in %s", was.name, v->path);
			(void)err_next(e, "Give the same command as then, with --name %s, and it is finished.",
			    was.name);
		}
		buf_add(bytes, r.body.p, r.body.len);
		v->desc = was;
		free(have);
	}
	if (rc == 0)
		return vault_commit(v, e);
rollback:
	vault_rollback(v);
	return -1;
}

static int
description_put(struct vault *v, const struct buf *bytes, struct err *e)
{
	char name[VAULT_NAME_MAX];
	struct buf text;
	int rc;

	vault_name_desc(name, 1);
	buf_init(&text);
	if ((rc = vault_desc_text(&v->desc, bytes->p, bytes->len, &text, e)) == 0 &&
	    (rc = v->store->ops->put_new(v->store, name, text.p, text.len, e)) == 1)
		rc = err_set(e, ERR_VAULT_EXISTS, "another create was faster at %s", v->path);
	buf_release(&text);
	return rc;
}

static int
vault_make(struct vault *v, const struct vault_create *o, struct err *e)
{
	char local[4200];
	uint64_t len;
	struct buf bytes;
	int rc = -1;

	if ((v->store = store_dir_open(v->path, 1, e)) == NULL)
		return -1;
	if ((rc = v->store->ops->stat(v->store, "vault/1.json", &len, e)) != 1)
		return rc == 0 ? err_set(e, ERR_VAULT_EXISTS, "there is a vault in %s already", v->path) : -1;
	(void)snprintf(local, sizeof(local), "%s/local", v->path);
	if (dir_make(AT_FDCWD, local, 0700, e) != 0 || (v->local = dir_open(AT_FDCWD, local, e)) == -1 ||
	    (v->lock = lock_take(v->local, "lock", 0, e)) == -1 || (v->key = vault_key_make(v->local, e)) == NULL)
		return -1;
	v->sign_secret = secret_new(SIGN_SECRET_LEN);
	desc_fill(v, o);
	if (vault_line_pin(v->local, o->name, v->desc.tls_pin, e) != 0)
		return -1;
	if ((v->catalog = catalog_open(v->catalog_path, v->desc.vault_id, 1, e)) == NULL)
		return -1;
	buf_init(&bytes);
	if ((rc = first_record(v, &bytes, e)) == 0 && o->key_copy != NULL)
		rc = vault_key_copy(v, o->key_copy, NULL, 0, e);
	if (rc == 0)
		rc = description_put(v, &bytes, e);
	buf_release(&bytes);
	return rc;
}

int
vault_create(const char *path, const struct vault_create *o, struct err *e)
{
	struct vault *v;
	int rc;

	if (name_check(path, o->name, e) != 0 || place_check(path, e) != 0)
		return -1;
	if (o->url != NULL && *o->url != '\0' && vault_url_check(o->url, e) != 0)
		return -1;
	if (o->region != NULL && strlen(o->region) > TEXT_MAX_LEN)
		return err_set(e, ERR_USAGE, "the region is longer than %d characters", TEXT_MAX_LEN);
	if (o->key_copy != NULL && new_file_check(o->key_copy, e) != 0)
		return -1;
	if ((v = calloc(1, sizeof(*v))) == NULL)
		return err_errno(e, "create the vault %s", path);
	v->local = v->lock = -1;
	if (snprintf(v->path, sizeof(v->path), "%s", path) >= (int)sizeof(v->path)) {
		free(v);
		return err_set(e, ERR_USAGE, "the path is too long");
	}
	(void)snprintf(v->catalog_path, sizeof(v->catalog_path), "%s/local/" VAULT_CATALOG, path);
	rc = vault_make(v, o, e);
	vault_close(v);
	return rc == 0 ? 0 : err_during(e, "create the vault");
}
