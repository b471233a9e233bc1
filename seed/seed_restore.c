#include "common/base/args.h"
#include "common/base/err.h"
#include "seed/seed_commands.h"

int
seed_restore(struct args *a, struct err *e)
{
	(void)a;
	return err_set(e, ERR_INTERNAL, "restore: not in this build");
}
