#ifndef SAMARA_FLOW_KEYRING_H
#define SAMARA_FLOW_KEYRING_H

/* Ways to a machine's keys: its own state, or kit + passphrase (or recovery key) anywhere. */

#include <stdint.h>

#include "common/flow/state.h"

struct err;

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
 * keyring_from_kit(path, pass, len, e):
 * From a recovery kit file and its passphrase.  ERR_KIT names the mistyped
 * line; ERR_PASSPHRASE.
 */
struct keyring *keyring_from_kit(const char *path, const char *pass, size_t len, struct err *e);

void keyring_free(struct keyring *k);

/**
 * kit_write(k, ...): the printable text of a recovery kit (armour, the three
 * commands of a restore, fingerprints), appended to ${out}.
 */
struct buf;
int kit_text(const struct kit *kit, struct buf *out, struct err *e);

#endif
