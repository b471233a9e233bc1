#ifndef SAMARA_FLOW_KEYRING_H
#define SAMARA_FLOW_KEYRING_H

/* Ways to a machine's keys: its own state, or kit + passphrase (or recovery key) anywhere. */

#include <stdint.h>

#include "common/flow/state.h"

struct buf;
struct err;
struct slot_secret;

struct keyring {
	struct domain_keys *keys;
	uint8_t machine_id[ID_LEN];
	char machine_name[NAME_MAX_LEN + 1];
	uint8_t machine_pub[SIGN_PUB_LEN];
	struct domain_desc domain;	/* signature checked with the derived domain key */
	struct membership member;	/* the same */
	uint8_t vault_id[ID_LEN];
	char vault_name[NAME_MAX_LEN + 1];
	uint8_t vault_pub[SIGN_PUB_LEN];
};

/* From a registered state, asking for nothing.  Free with keyring_free. */
struct keyring *keyring_from_state(struct state *s, struct err *e);

/**
 * keyring_from_state_with(s, how, e):
 * The same where the state keeps no key of its own, with passphrase or
 * recovery key.  Errors as state_keys_with.
 */
struct keyring *keyring_from_state_with(struct state *s, const struct slot_secret *how, struct err *e);

/**
 * keyring_from_kit(path, pass, len, e):
 * From a recovery kit file and its passphrase.  ERR_KIT names the mistyped
 * line; ERR_PASSPHRASE, ERR_NOT_FOUND, ERR_VERSION.
 */
struct keyring *keyring_from_kit(const char *path, const char *pass, size_t len, struct err *e);

/* Keys are wiped; NULL is allowed. */
void keyring_free(struct keyring *k);

/**
 * kit_text(kit, out, e):
 * The printable text of a recovery kit (whose it is, fingerprints, the three
 * commands of a restore, armour), appended to ${out}.  Return 0, or -1 with
 * ${e} (ERR_INTERNAL: not encodable, ERR_MEMORY).
 */
int kit_text(const struct kit *kit, struct buf *out, struct err *e);

/**
 * kit_from_text(text, n, bytes, kit, e):
 * The kit in ${n} characters of untrusted text, typed or read: capitals and O
 * for 0 are understood.  ${bytes} is a new buffer that the views in ${kit}
 * point into.  What the domain key signs in it is checked; that the rest was
 * not forged nobody can tell without the passphrase.  Return 0, or -1 with
 * ${e}: ERR_KIT, naming the mistyped line, ERR_VERSION, ERR_MEMORY.
 */
int kit_from_text(const char *text, size_t n, uint8_t **bytes, struct kit *kit, struct err *e);

#endif
