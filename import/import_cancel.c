#include "import/import_commands.h"
#include "import/import_fate.h"

int
import_cancel(struct args *a, struct err *e)
{
	return import_fate(a, FATE_CANCELLED, e);
}
