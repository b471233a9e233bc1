#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/out.h"
#include "common/flow/vault_rebuild.h"
#include "import/import_commands.h"
#include "import/import_vault.h"

int
import_rebuild(struct args *a, struct err *e)
{
	const struct opt opts[] = { { NULL, 0, 0, NULL, NULL, NULL } };
	char records[HUMAN_MAX], packs[HUMAN_MAX], copies[HUMAN_MAX];
	struct rebuild_result r;
	const char *path;
	struct out *j;
	int rc = args_parse(a, opts, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (args_operands(a, 0, 1, e) != 0 || import_vault(a, 0, &path, e) < 0)
		return -1;
	if (a->dry_run) {
		out_text("the catalog of %s would be made anew\n", path);
		return 0;
	}
	if (vault_rebuild(path, &r, e) != 0)
		return -1;
	out_text("catalog of %s made anew: %s records, %s packs, %s chunks, %llu snapshots\n", path,
	    human_count(records, r.records), human_count(packs, r.packs), human_count(copies, r.copies),
	    (unsigned long long)r.snapshots);
	if (r.packs_bad > 0)
		out_text("%llu packs were left out; samara-verify vault %s says more\n", (unsigned long long)r.packs_bad, path);
	j = out_object("summary");
	out_u64(j, "records", r.records);
	out_u64(j, "packs", r.packs);
	out_u64(j, "packs_left_out", r.packs_bad);
	out_u64(j, "chunks", r.copies);
	out_u64(j, "snapshots", r.snapshots);
	out_emit(j);
	return r.packs_bad > 0 ? 4 : 0;
}
