#include "common/net/tls_key.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/secret.h"
#include "common/net/tls_pin.h"

#define YEAR	(INT64_C(365) * 86400)

struct tls_key {
	char *name;
	gnutls_datum_t secret;		/* PEM, wiped when freed */
	gnutls_datum_t certificate;	/* PEM */
	uint8_t pin[32];
};

static int
failed(struct err *e, const char *what, int rc)
{
	return err_set(e, ERR_VAULT_KEY, "the TLS key: %s: %s", what, gnutls_strerror(rc));
}

static void
datum_free(gnutls_datum_t *d)
{
	if (d->data == NULL)
		return;
	secret_wipe(d->data, d->size);
	gnutls_free(d->data);
	d->data = NULL;
}

int
tls_key_make(struct buf *out, struct err *e)
{
	gnutls_datum_t pem = { NULL, 0 };
	gnutls_x509_privkey_t key;
	int rc;

	if ((rc = gnutls_x509_privkey_init(&key)) != 0)
		return failed(e, "make", rc);
	rc = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	if (rc == 0)
		rc = gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &pem);
	gnutls_x509_privkey_deinit(key);
	if (rc != 0)
		return failed(e, "make", rc);
	buf_add(out, pem.data, pem.size);
	datum_free(&pem);
	return buf_check(out, e);
}

int
tls_pin_of(gnutls_x509_crt_t crt, uint8_t pin[32])
{
	gnutls_datum_t der = { NULL, 0 };
	gnutls_pubkey_t pub;
	int rc;

	if ((rc = gnutls_pubkey_init(&pub)) != 0)
		return rc;
	if ((rc = gnutls_pubkey_import_x509(pub, crt, 0)) == 0 &&
	    (rc = gnutls_pubkey_export2(pub, GNUTLS_X509_FMT_DER, &der)) == 0)
		rc = gnutls_hash_fast(GNUTLS_DIG_SHA256, der.data, der.size, pin);
	gnutls_free(der.data);
	gnutls_pubkey_deinit(pub);
	return rc;
}

/* A name for a certificate: what cannot stand in one is left out, since nobody looks at it. */
static void
certificate_name(const char *name, char out[65])
{
	size_t n = 0;

	for (; *name != '\0' && n < 64; name++)
		if ((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') || (*name >= '0' && *name <= '9') ||
		    *name == '-' || *name == '.')
			out[n++] = *name;
	out[n] = '\0';
	if (n == 0)
		(void)snprintf(out, 65, "vault");
}

static int
certificate_fill(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, const char *name)
{
	int64_t now = io_now(), begin = now > YEAR ? now - YEAR : 0;
	uint8_t serial[16];
	char cn[65];
	int rc;

	certificate_name(name, cn);
	io_random(serial, sizeof(serial));
	serial[0] = (uint8_t)((serial[0] & 0x3f) | 0x40);	/* positive, and of full length */
	if ((rc = gnutls_x509_crt_set_version(crt, 3)) == 0 &&
	    (rc = gnutls_x509_crt_set_serial(crt, serial, sizeof(serial))) == 0 &&
	    (rc = gnutls_x509_crt_set_activation_time(crt, (time_t)begin)) == 0 &&
	    (rc = gnutls_x509_crt_set_expiration_time(crt, (time_t)(now + 50 * YEAR))) == 0 &&
	    (rc = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, cn, (unsigned)strlen(cn))) == 0 &&
	    (rc = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, cn, (unsigned)strlen(cn),
	    GNUTLS_FSAN_SET)) == 0 &&
	    (rc = gnutls_x509_crt_set_basic_constraints(crt, 0, -1)) == 0 &&
	    (rc = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE)) == 0 &&
	    (rc = gnutls_x509_crt_set_key(crt, key)) == 0)
		rc = gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0);
	return rc;
}

/* The certificate of ${key} for ${k}->name, and the pin. */
static int
certificate_make(struct tls_key *k, gnutls_x509_privkey_t key)
{
	gnutls_x509_crt_t crt;
	int rc;

	if ((rc = gnutls_x509_crt_init(&crt)) != 0)
		return rc;
	if ((rc = certificate_fill(crt, key, k->name)) == 0 &&
	    (rc = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &k->certificate)) == 0)
		rc = tls_pin_of(crt, k->pin);
	gnutls_x509_crt_deinit(crt);
	return rc;
}

struct tls_key *
tls_key_open(const uint8_t *pem, size_t len, const char *name, struct err *e)
{
	struct tls_key *k = calloc(1, sizeof(*k));
	gnutls_datum_t in = { NULL, (unsigned)len };
	gnutls_x509_privkey_t key;
	int rc;

	if (k == NULL || (k->name = strdup(name)) == NULL || (in.data = secret_new(len + 1)) == NULL) {
		(void)err_errno(e, "the TLS key");
		tls_key_free(k);
		return NULL;
	}
	memcpy(in.data, pem, len);
	if ((rc = gnutls_x509_privkey_init(&key)) == 0) {
		if ((rc = gnutls_x509_privkey_import(key, &in, GNUTLS_X509_FMT_PEM)) == 0 &&
		    (rc = certificate_make(k, key)) == 0)
			rc = gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN,
			    &k->secret);
		gnutls_x509_privkey_deinit(key);
	}
	secret_free(in.data);
	if (rc == 0)
		return k;
	(void)failed(e, "open", rc);
	tls_key_free(k);
	return NULL;
}

void
tls_key_free(struct tls_key *k)
{
	if (k == NULL)
		return;
	datum_free(&k->secret);
	gnutls_free(k->certificate.data);
	free(k->name);
	free(k);
}

void
tls_key_pin(const struct tls_key *k, uint8_t pin[32])
{
	memcpy(pin, k->pin, 32);
}

const char *
tls_key_name(const struct tls_key *k)
{
	return k->name;
}

const char *
tls_key_certificate(const struct tls_key *k)
{
	return (const char *)k->certificate.data;
}

const char *
tls_key_secret(const struct tls_key *k)
{
	return (const char *)k->secret.data;
}
