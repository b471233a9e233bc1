#include "common/base/args.h"
#include "common/base/err.h"
#include "verify/verify_commands.h"

int
verify_snapshot_cmd(struct args *a, struct err *e)
{
	(void)a;
	return err_set(e, ERR_INTERNAL, "snapshot: not in this build");
}
