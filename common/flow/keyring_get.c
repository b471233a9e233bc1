#include "common/base/err.h"
#include "common/base/passphrase.h"
#include "common/flow/keyring_get.h"

struct keyring *
keyring_get(const char *kit, const char *pass_file, const char *state_path, struct err *e)
{
	struct passphrase pass;
	struct keyring *k = NULL;
	struct state *s;

	if (kit != NULL) {
		if (passphrase_get(&pass, pass_file, "passphrase of the recovery kit", 0, e) != 0)
			return NULL;
		k = keyring_from_kit(kit, pass.text, pass.len, e);
		passphrase_release(&pass);
		return k;
	}
	if ((s = state_open(state_path, e)) == NULL)
		return NULL;
	k = keyring_from_state(s, e);
	state_free(s);
	return k;
}
