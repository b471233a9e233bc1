/* A new machine in the place of one that is gone: its keys come from its kit, where it ended the vault knows. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/secret.h"
#include "common/flow/line.h"
#include "common/flow/line_credential.h"
#include "common/flow/registering.h"

int
register_old_open(struct registering *r, struct err *e)
{
	const struct credential *c = r->cred.c;

	if ((r->old = keyring_from_kit(r->o->old_kit, r->pass.text, r->pass.len, e)) == NULL)
		return -1;
	r->keys = r->old->keys;
	if (memcmp(r->old->machine_id, c->machine_id, ID_LEN) != 0)
		return err_set(e, ERR_KIT, "the kit %s is not that of the machine whose place is to be taken", r->o->old_kit);
	r->chunk_avg = r->old->domain.chunk_avg;
	return 0;
}

int
register_head(struct registering *r, struct err *e)
{
	struct kit k = { .made = 0 };
	struct line_options o = { .kit = &k, .proxy = r->o->proxy };
	const struct credential *c = r->cred.c;
	struct token_grant g;
	struct contact now;
	uint8_t *bytes = NULL;
	struct line *l;
	int rc = -1;

	if (line_credential_token(c, r->o->proxy, &g, e) != 0)
		return -1;
	memcpy(k.vault_id, c->vault_id, ID_LEN);
	memcpy(k.vault_pub, c->vault_pub, SIGN_PUB_LEN);
	(void)snprintf(k.vault_name, sizeof(k.vault_name), "%s", c->vault_name);
	(void)snprintf(k.url, sizeof(k.url), "%s", c->url);
	o.kit_token = g.token;
	if ((l = line_open(&o, e)) != NULL &&
	    (rc = line_call(l, "GET", "contact", 3, NULL, NULL, &contact_schema, &now, &bytes, e)) == 0) {
		r->head_seq = now.head_seq;
		memcpy(r->head_id, now.head_id, ID_LEN);
		memcpy(r->head, now.head, DIGEST_LEN);
	}
	free(bytes);
	line_close(l);
	secret_wipe(&g, sizeof(g));
	return rc;
}
