#include "common/base/args.h"
#include "common/base/err.h"
#include "verify/verify_commands.h"

int
verify_vault_cmd(struct args *a, struct err *e)
{
	(void)a;
	return err_set(e, ERR_INTERNAL, "vault: not in this build");
}
