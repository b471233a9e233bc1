#include <stdlib.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/flow/dump.h"
#include "seed/seed_commands.h"
#include "seed/seed_read.h"
#include "seed/seed_standing.h"

int
seed_dump(struct args *a, struct err *e)
{
	struct seed_read r = { 0 };
	int even = 0;
	const struct opt opts[] = {
		SEED_READ_OPTS(&r),
		{ "even-if-stopped", 0, OPT_FLAG, &even, NULL, SEED_EVEN_IF_STOPPED },
		{ 0 }
	};
	struct open_snapshot open;
	char *path;
	int rc = args_parse(a, opts, e);

	if (rc != 0)
		return rc == 1 ? 0 : -1;
	if (args_operands(a, 1, 2, e) != 0 || seed_read_open(a, &r, a->operands[0], e) != 0)
		return -1;
	if (seed_standing(a, &r, even, a->operands[0], e) < 0) {
		seed_read_close(&r);
		return -1;
	}
	rc = -1;
	if ((path = seed_read_path(&r, a->n > 1 ? a->operands[1] : NULL, e)) != NULL &&
	    snapshot_open(&open, r.s.source, r.s.reader, r.snap, r.s.keys, e) == 0) {
		rc = dump_path(&open, r.s.source, r.s.reader, path, STDOUT_FILENO, e);
		snapshot_close(&open);
	}
	free(path);
	seed_read_close(&r);
	return rc;
}
