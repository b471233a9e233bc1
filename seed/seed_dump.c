#include "common/base/args.h"
#include "common/base/err.h"
#include "seed/seed_commands.h"

int
seed_dump(struct args *a, struct err *e)
{
	(void)a;
	return err_set(e, ERR_INTERNAL, "dump: not in this build");
}
