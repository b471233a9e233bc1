#include <sodium.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"

#define CONTEXT_LEN	32

_Static_assert(SIGN_SECRET_LEN == crypto_sign_SECRETKEYBYTES, "length of an Ed25519 secret");
_Static_assert(SIGN_LEN == crypto_sign_BYTES && SIGN_PUB_LEN == crypto_sign_PUBLICKEYBYTES, "lengths of Ed25519");

void
sign_keys(const uint8_t seed[KEY_LEN], uint8_t pub[SIGN_PUB_LEN], uint8_t secret[SIGN_SECRET_LEN])
{
	(void)crypto_sign_seed_keypair(pub, secret, seed);	/* cannot fail */
}

/* What is put under Ed25519: context, zero-filled | BLAKE3 of the bytes. */
static void
message_make(uint8_t out[CONTEXT_LEN + DIGEST_LEN], const char *context, const void *in, size_t len)
{
	memset(out, 0, CONTEXT_LEN);
	memcpy(out, context, strnlen(context, CONTEXT_LEN));
	hash_once(in, len, out + CONTEXT_LEN);
}

void
sign_make(uint8_t sig[SIGN_LEN], const uint8_t secret[SIGN_SECRET_LEN], const char *context, const void *in, size_t len)
{
	uint8_t m[CONTEXT_LEN + DIGEST_LEN];

	message_make(m, context, in, len);
	(void)crypto_sign_detached(sig, NULL, m, sizeof(m), secret);	/* cannot fail */
}

int
sign_check(const uint8_t sig[SIGN_LEN], const uint8_t pub[SIGN_PUB_LEN], const char *context, const void *in, size_t len)
{
	uint8_t m[CONTEXT_LEN + DIGEST_LEN];

	message_make(m, context, in, len);
	return crypto_sign_verify_detached(sig, m, sizeof(m), pub) == 0;
}

int
statement_make(const struct fmt_schema *s, void *value, const uint8_t secret[SIGN_SECRET_LEN], struct buf *out,
    struct err *e)
{
	size_t cap = schema_size(s, value), len;
	uint8_t *at, *sig;

	if (cap == 0)
		return err_set(e, ERR_INTERNAL, "make a %s: a value in it is outside its limits", s->name);
	if ((at = buf_room(out, cap)) == NULL)
		return buf_check(out, e);
	if (schema_encode(s, value, at, cap, &len) != FMT_OK)
		return err_set(e, ERR_INTERNAL, "make a %s: it does not fit its own size", s->name);
	if (s->context != NULL) {
		sig = at + len - SIGN_LEN;
		sign_make(sig, secret, s->context, at, len - SIGN_LEN);
		memcpy((uint8_t *)value + s->sig_off, sig, SIGN_LEN);
	}
	buf_grew(out, len);
	return 0;
}

int
statement_open(const struct fmt_schema *s, void *value, const void *in, size_t len, const uint8_t *pub, struct err *e)
{
	enum fmt_status st = schema_decode(s, value, in, len);

	if (st != FMT_OK)
		return err_set(e, st == FMT_VERSION ? ERR_VERSION : ERR_FORMAT, "%s: %s", s->name, fmt_status_text(st));
	if (pub != NULL && s->context != NULL && !statement_check(s, in, len, pub)) {
		memset(value, 0, s->struct_size);
		return err_set(e, ERR_SIGNATURE, "%s: it is not signed by who should have signed it", s->name);
	}
	return 0;
}

int
statement_check(const struct fmt_schema *s, const void *in, size_t len, const uint8_t pub[SIGN_PUB_LEN])
{
	const uint8_t *p = in;

	if (s->context == NULL || len < SIGN_LEN)
		return 0;
	return sign_check(p + len - SIGN_LEN, pub, s->context, p, len - SIGN_LEN);
}

void
statement_digest(const struct fmt_schema *s, const void *in, size_t len, uint8_t out[DIGEST_LEN])
{
	size_t tail = s->context != NULL ? SIGN_LEN : 0;

	hash_once(in, len > tail ? len - tail : 0, out);
}
