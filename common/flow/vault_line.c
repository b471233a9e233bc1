#include "common/flow/vault_line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/secret.h"
#include "common/crypto/sign.h"
#include "common/flow/vault_desc_file.h"
#include "common/net/net_client.h"
#include "common/net/tls_key.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

#define PEM_MAX	8192

/* Make the key's file; one that somebody else made meanwhile is as good. */
static int
key_file_make(int local, struct err *e)
{
	struct buf pem;
	int rc;

	buf_init(&pem);
	if ((rc = tls_key_make(&pem, e)) == 0)
		rc = file_put_new(local, VAULT_TLS_KEY, pem.p, pem.len, 0600, e) < 0 ? -1 : 0;
	if (pem.p != NULL)
		secret_wipe(pem.p, pem.len);
	buf_release(&pem);
	return rc;
}

static struct tls_key *
key_open(int local, const char *name, struct err *e)
{
	struct tls_key *k;
	struct stat st;
	uint8_t *pem;
	size_t len;

	if (io->fstatat(local, VAULT_TLS_KEY, &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT &&
	    key_file_make(local, e) != 0)
		return NULL;
	if (file_read(local, VAULT_TLS_KEY, PEM_MAX, &pem, &len, e) != 0)
		return NULL;
	if ((k = tls_key_open(pem, len, name, e)) == NULL)
		(void)err_next(e, "Take local/" VAULT_TLS_KEY " away: serve makes a new one, and machines learn it by themselves.");
	secret_wipe(pem, len);
	free(pem);
	return k;
}

int
vault_line_pin(int local, const char *name, uint8_t pin[DIGEST_LEN], struct err *e)
{
	struct tls_key *k = key_open(local, name, e);

	if (k == NULL)
		return -1;
	tls_key_pin(k, pin);
	tls_key_free(k);
	return 0;
}

/* The next generation of v->desc, which is changed already, into the store. */
static int
generation_put(struct vault *v, struct err *e)
{
	char name[VAULT_NAME_MAX];
	struct buf bytes, text;
	int rc;

	v->desc.generation++;
	vault_name_desc(name, v->desc.generation);
	buf_init(&bytes);
	buf_init(&text);
	if ((rc = statement_make(&vault_desc_schema, &v->desc, v->sign_secret, &bytes, e)) == 0 &&
	    (rc = vault_desc_text(&v->desc, bytes.p, bytes.len, &text, e)) == 0 &&
	    (rc = v->store->ops->put_new(v->store, name, text.p, text.len, e)) == 1)
		rc = err_set(e, ERR_BUSY, "somebody else changes the description of vault %s", v->desc.name);
	buf_release(&bytes);
	buf_release(&text);
	return rc;
}

/* Make the description say ${pin} (NULL: as it is) and ${url} (NULL: as it is).  0 it was changed, 1 it said so, -1. */
static int
describe(struct vault *v, const uint8_t *pin, const char *url, struct err *e)
{
	int rc = -1;

	if (vault_begin(v, e) != 0)	/* one at a time */
		return -1;
	if (vault_describe(v->store, &v->desc, e) != 0)
		goto end;
	rc = 1;
	if ((pin == NULL || memcmp(v->desc.tls_pin, pin, DIGEST_LEN) == 0) && (url == NULL || strcmp(v->desc.url, url) == 0))
		goto end;
	if (pin != NULL)
		memcpy(v->desc.tls_pin, pin, DIGEST_LEN);
	if (url != NULL)
		(void)snprintf(v->desc.url, sizeof(v->desc.url), "%s", url);
	rc = generation_put(v, e);
end:
	vault_rollback(v);
	return rc;
}

struct tls_key *
vault_line_key(struct vault *v, struct err *e)
{
	struct tls_key *k = key_open(v->local, v->desc.name, e);
	uint8_t pin[DIGEST_LEN];

	if (k == NULL) {
		(void)err_during(e, "vault %s", v->desc.name);
		return NULL;
	}
	tls_key_pin(k, pin);
	if (memcmp(pin, v->desc.tls_pin, DIGEST_LEN) == 0 || describe(v, pin, NULL, e) >= 0)
		return k;
	tls_key_free(k);
	return NULL;
}

int
vault_url_check(const char *url, struct err *e)
{
	struct net_client_options o = { .url = url, .proxy = "" };
	struct net_client *c;

	if (strlen(url) > URL_MAX_LEN)
		return err_set(e, ERR_USAGE, "the address is longer than %d characters", URL_MAX_LEN);
	if ((c = net_client_new(&o, e)) == NULL)
		return -1;
	net_client_free(c);
	return 0;
}

int
vault_url(struct vault *v, const char *url, struct err *e)
{
	if (*url != '\0' && vault_url_check(url, e) != 0)
		return -1;
	return describe(v, NULL, url, e);
}
