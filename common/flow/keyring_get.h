#ifndef SAMARA_FLOW_KEYRING_GET_H
#define SAMARA_FLOW_KEYRING_GET_H

/* Which keys a command that reads back works with. */

#include "common/flow/keyring.h"

struct err;

/**
 * keyring_get(kit, pass_file, state_path, e):
 * With ${kit} (a recovery kit's file): its keys, with a passphrase from the
 * usual sources (${pass_file}: of --passphrase-file, or NULL).  Without one
 * those of the machine registered in ${state_path}, asking for nothing.  NULL
 * with ${e}: ERR_KIT, ERR_PASSPHRASE, ERR_NO_PASSPHRASE, ERR_NO_STATE, ….
 */
struct keyring *keyring_get(const char *kit, const char *pass_file, const char *state_path, struct err *e);

#endif
