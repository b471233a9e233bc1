#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/secret.h"
#include "common/catalog/catalog.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"
#include "common/flow/vault.h"
#include "common/flow/vault_desc_file.h"
#include "common/flow/vault_keys.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

#define DESC_FILE_MAX	65536

/* The highest generation in vault/; 0: none. */
static int
highest(void *arg, const char *name, uint64_t len, struct err *e)
{
	uint32_t *top = arg, n = vault_name_number(name);

	(void)len;
	(void)e;
	if (n > *top)
		*top = n;
	return 0;
}

int
vault_describe(struct store *s, struct vault_desc *d, struct err *e)
{
	char name[VAULT_NAME_MAX];
	uint32_t top = 0;
	struct err mine;
	uint8_t *text;
	size_t len;
	int rc;

	if (s->ops->list(s, "vault/", "", highest, &top, e) != 0)
		return -1;
	err_clear(&mine);
	(void)err_set(&mine, ERR_NO_VAULT, "there is no vault: it has no description");
	for (; top > 0; top--) {
		vault_name_desc(name, top);
		err_clear(&mine);
		if (store_read(s, name, DESC_FILE_MAX, &text, &len, &mine) != 0)
			continue;
		rc = vault_desc_read(text, len, d, &mine);
		free(text);
		if (rc == 0 && d->generation == top)
			return 0;
		if (rc == 0)
			(void)err_set(&mine, ERR_DAMAGE, "%s is of another generation", name);
	}
	if (e != NULL)
		*e = mine;
	return -1;
}

/* Keys and signature secret into ${v}; ${v}->desc is known. */
static int
key_open(struct vault *v, struct err *e)
{
	uint8_t pub[SIGN_PUB_LEN];

	if ((v->key = vault_key_load(v->local, &v->desc, e)) == NULL)
		return -1;
	v->sign_secret = secret_new(SIGN_SECRET_LEN);
	sign_keys(v->key->sign_seed, pub, v->sign_secret);
	return 0;
}

static struct vault *
vault_new(const char *path, struct err *e)
{
	struct vault *v = calloc(1, sizeof(*v));

	if (v == NULL) {
		(void)err_errno(e, "open the vault %s", path);
		return NULL;
	}
	v->local = v->lock = -1;
	if (snprintf(v->path, sizeof(v->path), "%s", path) >= (int)sizeof(v->path)) {
		(void)err_set(e, ERR_NO_VAULT, "%.80s… is too long for a path", path);
		free(v);
		return NULL;
	}
	(void)snprintf(v->catalog_path, sizeof(v->catalog_path), "%s/local/" VAULT_CATALOG, path);
	return v;
}

void
vault_close(struct vault *v)
{
	if (v == NULL)
		return;
	catalog_close(v->catalog);
	secret_free(v->sign_secret);
	secret_free(v->key);
	if (v->lock != -1)
		(void)io->close(v->lock);
	if (v->local != -1)
		(void)io->close(v->local);
	if (v->store != NULL)
		v->store->ops->free(v->store);
	free(v);
}

/* VAULT/local, made if it is not there (a vault may be copied without it), and its lock. */
static int
local_open(struct vault *v, int shared, struct err *e)
{
	char local[4200];

	(void)snprintf(local, sizeof(local), "%s/local", v->path);
	if (dir_make(AT_FDCWD, local, 0700, e) != 0 || (v->local = dir_open(AT_FDCWD, local, e)) == -1)
		return -1;
	if ((v->lock = lock_take(v->local, "lock", shared, e)) == -1)
		return err_during(e, "vault %s", v->path);
	return 0;
}

static int
catalog_find(struct vault *v, struct err *e)
{
	struct stat st;

	if (io->fstatat(v->local, VAULT_CATALOG, &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
		return err_set(e, ERR_CATALOG, "vault %s has no catalog in %s/local", v->desc.name, v->path);
	v->catalog = catalog_open(v->catalog_path, v->desc.vault_id, 0, e);
	return v->catalog == NULL ? -1 : 0;
}

struct vault *
vault_open(const char *path, unsigned flags, struct err *e)
{
	struct vault *v = vault_new(path, e);

	if (v == NULL)
		return NULL;
	if ((v->store = store_dir_open(path, 0, e)) == NULL)
		goto close;
	if (vault_describe(v->store, &v->desc, e) != 0) {
		(void)err_during(e, "%s", path);
		goto close;
	}
	if (local_open(v, (flags & VAULT_NO_CATALOG) == 0, e) != 0)
		goto close;
	if ((flags & VAULT_NO_KEY) == 0 && key_open(v, e) != 0)
		goto close;
	if ((flags & VAULT_NO_CATALOG) == 0 && catalog_find(v, e) != 0) {
		(void)err_next(e, "samara-import rebuild %s makes it anew from records, packs and snapshots.", path);
		goto close;
	}
	return v;
close:
	vault_close(v);
	return NULL;
}

struct vault *
vault_again(const struct vault *from, struct err *e)
{
	struct vault *v = vault_new(from->path, e);

	if (v == NULL)
		return NULL;
	v->desc = from->desc;
	if ((v->store = store_dir_open(v->path, 0, e)) == NULL || local_open(v, 1, e) != 0 || catalog_find(v, e) != 0) {
		vault_close(v);
		return NULL;
	}
	if (from->key != NULL) {
		v->key = secret_new(sizeof(*v->key));
		*v->key = *from->key;
		v->sign_secret = secret_new(SIGN_SECRET_LEN);
		memcpy(v->sign_secret, from->sign_secret, SIGN_SECRET_LEN);
	}
	return v;
}

/* The description of the vault in ${dir}/${name}, if it is one. */
static int
describe_beside(const char *dir, const char *name, char *path, size_t cap, struct vault_desc *d)
{
	struct store *s;
	int rc;

	if (snprintf(path, cap, "%s/%s", dir, name) >= (int)cap || (s = store_dir_open(path, 0, NULL)) == NULL)
		return -1;
	rc = vault_describe(s, d, NULL);
	s->ops->free(s);
	return rc;
}

int
vault_find(const char *dir, const uint8_t vault_id[ID_LEN], char *path, size_t cap, struct err *e)
{
	struct vault_desc d;
	char **names;
	size_t n;
	int found = 0;

	if (dir_list(AT_FDCWD, dir, &names, &n, NULL) == 0) {
		for (size_t i = 0; i < n && !found; i++)
			found = describe_beside(dir, names[i], path, cap, &d) == 0 &&
			    memcmp(d.vault_id, vault_id, ID_LEN) == 0;
		dir_list_free(names, n);
	}
	if (found)
		return 0;
	(void)err_set(e, ERR_NO_VAULT, "no vault in %s is the one that this was made for", dir);
	return err_next(e, "Name the vault's directory, or set SAMARA_VAULTS to the directory that holds it.");
}

void
vault_credential_secret(const struct vault *v, const uint8_t id[ID_LEN], uint8_t secret[KEY_LEN])
{
	static const char name[] = "samara credential secrets v1";
	uint8_t *subkey = secret_new(KEY_LEN);

	mac_once(v->key->sign_seed, name, sizeof(name) - 1, subkey);
	mac_once(subkey, id, ID_LEN, secret);
	secret_free(subkey);
}
