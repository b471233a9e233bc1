#ifndef SAMARA_TESTS_FLOW_MACHINE_MAKER_H
#define SAMARA_TESTS_FLOW_MACHINE_MAKER_H

/* A machine registered for tests, in a scratch directory: state, vault.crd, kit.txt, pass. */

#include <stdlib.h>

#include "base/scratch.h"
#include "common/flow/register.h"
#include "flow/vault_maker.h"

#define MACHINE_PASS	"correct horse battery staple"

struct machine_maker {
	char root[64];
	char state[96], credential[96], kit[96], pass[96];
	struct vault_maker vault;
	struct credential c;
	struct register_options o;
};

/* The scratch directory with a passphrase and a credential in it; nothing is registered yet. */
static inline void
machine_maker_start(struct machine_maker *m)
{
	struct err e;

	err_clear(&e);
	(void)close(scratch_make(m->root));
	(void)snprintf(m->state, sizeof(m->state), "%s/state", m->root);
	(void)snprintf(m->credential, sizeof(m->credential), "%s/vault.crd", m->root);
	(void)snprintf(m->kit, sizeof(m->kit), "%s/kit.txt", m->root);
	(void)snprintf(m->pass, sizeof(m->pass), "%s/pass", m->root);
	vault_maker_init(&m->vault);
	vault_maker_credential(&m->vault, &m->c);
	vault_maker_write(&m->vault, &m->c, m->credential);
	assert_int_equal(file_replace(AT_FDCWD, m->pass, MACHINE_PASS "\n", strlen(MACHINE_PASS) + 1, 0600, &e), 0);
	m->o = (struct register_options){ .state = m->state, .credential = m->credential, .machine = "db1",
		.passphrase_file = m->pass };
}

static inline void
machine_maker_end(struct machine_maker *m)
{
	scratch_remove(m->root);
}

/* Register it as m->o says.  0, or -1 with ${e}. */
static inline int
machine_maker_register(struct machine_maker *m, struct err *e)
{
	struct registering *r = register_prepare(&m->o, e);
	int rc = -1;

	if (r != NULL && register_passphrase(r, e) == 0 && register_make(r, e) == 0)
		rc = register_write(r, e);
	register_free(r);
	return rc;
}

#endif
