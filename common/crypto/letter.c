#include <sodium.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/secret.h"
#include "common/crypto/hash.h"
#include "common/crypto/letter.h"
#include "common/crypto/slot_wrap.h"

_Static_assert(crypto_box_SEEDBYTES == KEY_LEN && crypto_box_PUBLICKEYBYTES == BOX_PUB_LEN, "lengths of X25519");
_Static_assert(crypto_secretbox_xchacha20poly1305_NONCEBYTES == NONCE_LEN &&
    crypto_secretbox_xchacha20poly1305_MACBYTES == SEAL_TAG_LEN, "lengths of a secret box");

void
letter_keys(const uint8_t seed[KEY_LEN], uint8_t pub[BOX_PUB_LEN], uint8_t secret[KEY_LEN])
{
	(void)crypto_box_seed_keypair(pub, secret, seed);	/* cannot fail */
}

int
letter_seal(const uint8_t pub[BOX_PUB_LEN], const void *in, size_t len, struct buf *out, struct err *e)
{
	uint8_t *at = buf_room(out, len + crypto_box_SEALBYTES);

	if (at == NULL)
		return buf_check(out, e);
	if (crypto_box_seal(at, in, len, pub) != 0)
		return err_set(e, ERR_FORMAT, "seal a letter: the vault's public key is not one");
	buf_grew(out, len + crypto_box_SEALBYTES);
	return 0;
}

int
letter_open(const uint8_t seed[KEY_LEN], const void *in, size_t len, struct buf *out, struct err *e)
{
	uint8_t *secret, *at, pub[BOX_PUB_LEN];
	int rc;

	if (len < crypto_box_SEALBYTES)
		return err_set(e, ERR_DAMAGE, "open a letter: it is cut short");
	if ((at = buf_room(out, len - crypto_box_SEALBYTES)) == NULL)
		return buf_check(out, e);
	secret = secret_new(KEY_LEN);
	letter_keys(seed, pub, secret);
	rc = crypto_box_seal_open(at, in, len, pub, secret);
	secret_free(secret);
	if (rc != 0)
		return err_set(e, ERR_DAMAGE, "open a letter: it was sealed to another key, or was changed");
	buf_grew(out, len - crypto_box_SEALBYTES);
	return 0;
}

/* BLAKE2b-256 keyed (stretched passphrase; "samara vault key v1", zero-filled to 32 | vault id | passes u64 | memory u64). */
static int
vault_kek(const struct vault_key_wrapped *w, const char *pass, size_t len, uint8_t kek[KEY_LEN], struct err *e)
{
	uint8_t *stretched = secret_new(KEY_LEN), text[32 + ID_LEN + 16] = "samara vault key v1";
	int rc = passphrase_stretch(pass, len, w->salt, w->kdf_ops, w->kdf_mem, stretched, e);

	memcpy(text + 32, w->vault_id, ID_LEN);
	le64_put(text + 32 + ID_LEN, w->kdf_ops);
	le64_put(text + 32 + ID_LEN + 8, w->kdf_mem);
	mac_once(stretched, text, sizeof(text), kek);
	secret_free(stretched);
	return rc;
}

int
vault_key_wrap(const struct vault_key *k, const char *pass, size_t len, struct buf *out, struct err *e)
{
	struct vault_key_wrapped w = { .kdf_ops = crypto_pwhash_argon2id_OPSLIMIT_MODERATE,
		.kdf_mem = crypto_pwhash_argon2id_MEMLIMIT_MODERATE };
	uint8_t *kek = secret_new(KEY_LEN), *both = secret_new(2 * KEY_LEN), *at;
	size_t cap = schema_size(&vault_key_wrapped_schema, &w), n;
	int rc;

	memcpy(w.vault_id, k->vault_id, ID_LEN);
	io_random(w.salt, sizeof(w.salt));
	io_random(w.nonce, sizeof(w.nonce));
	if ((rc = vault_kek(&w, pass, len, kek, e)) != 0)
		goto out;
	memcpy(both, k->sign_seed, KEY_LEN);
	memcpy(both + KEY_LEN, k->box_seed, KEY_LEN);
	(void)crypto_secretbox_xchacha20poly1305_easy(w.wrapped, both, 2 * KEY_LEN, w.nonce, kek);	/* cannot fail */
	if ((at = buf_room(out, cap)) == NULL)
		rc = buf_check(out, e);
	else if (schema_encode(&vault_key_wrapped_schema, &w, at, cap, &n) != FMT_OK)
		rc = err_set(e, ERR_INTERNAL, "wrap the vault's key: it does not fit its own size");
	else
		buf_grew(out, n);
out:
	secret_free(both);
	secret_free(kek);
	return rc;
}

int
vault_key_unwrap(const void *in, size_t n, const char *pass, size_t len, struct vault_key *k, struct err *e)
{
	struct vault_key_wrapped w;
	enum fmt_status st = schema_decode(&vault_key_wrapped_schema, &w, in, n);
	uint8_t *kek, *both;
	int rc;

	memset(k, 0, sizeof(*k));
	if (st != FMT_OK)
		return err_set(e, ERR_VAULT_KEY, "vault's key: %s", fmt_status_text(st));
	kek = secret_new(KEY_LEN);
	both = secret_new(2 * KEY_LEN);
	if ((rc = vault_kek(&w, pass, len, kek, e)) != 0)
		goto out;
	if (crypto_secretbox_xchacha20poly1305_open_easy(both, w.wrapped, sizeof(w.wrapped), w.nonce, kek) != 0) {
		rc = err_set(e, ERR_PASSPHRASE, "vault's key: the passphrase does not open it, or it was changed");
		goto out;
	}
	memcpy(k->vault_id, w.vault_id, ID_LEN);
	memcpy(k->sign_seed, both, KEY_LEN);
	memcpy(k->box_seed, both + KEY_LEN, KEY_LEN);
out:
	secret_free(both);
	secret_free(kek);
	return rc;
}
