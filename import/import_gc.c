#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/out.h"
#include "common/flow/collect.h"
#include "import/import_commands.h"
#include "import/import_vault.h"

static void
collected_print(const struct collect_result *r, int dry_run)
{
	char bytes[HUMAN_MAX], rest[HUMAN_MAX];
	struct out *j = out_object("summary");

	out_text("snapshots   %llu %s for good\n", (unsigned long long)r->snapshots_gone, dry_run ? "would be gone" : "gone");
	out_text("chunks      %llu in the index, %llu needed by nobody\n", (unsigned long long)r->chunks,
	    (unsigned long long)r->condemned);
	out_text("packs       %llu %s, %s\n", (unsigned long long)r->packs, dry_run ? "would be deleted" : "deleted",
	    human_size(bytes, r->bytes));
	if (r->strays + r->origins > 0)
		out_text("left over   %llu packs that stood in no catalog, %llu tables that nothing names any more%s\n",
		    (unsigned long long)r->strays, (unsigned long long)r->origins, dry_run ? "; they would be deleted" : "");
	if (r->strays_needed > 0)
		out_text("kept        %llu packs that stand in no catalog and that snapshots need: samara-import rebuild\n",
		    (unsigned long long)r->strays_needed);
	if (r->repacked > 0)
		out_text("rests       of %llu packs written anew, %s; the old packs go with the next run\n", (unsigned long long)r->repacked,
		    human_size(rest, r->repacked_bytes));
	if (r->waits > 0)
		out_text("waiting     for %llu sessions or readers to end; what they may rely on goes with a later run\n", (unsigned long long)r->waits);
	if (r->held_back > 0)
		out_text("held back   all of %llu machines: an image has no manifest yet, or a list cannot be read\n",
		    (unsigned long long)r->held_back);
	out_u64(j, "snapshots_gone", r->snapshots_gone);
	out_u64(j, "chunks", r->chunks);
	out_u64(j, "unneeded", r->condemned);
	out_u64(j, "packs", r->packs);
	out_u64(j, "bytes", r->bytes);
	out_u64(j, "chunks_deleted", r->chunks_deleted);
	out_u64(j, "packs_left_over", r->strays);
	out_u64(j, "packs_needed_in_no_catalog", r->strays_needed);
	out_u64(j, "tables_left_over", r->origins);
	out_u64(j, "repacked", r->repacked);
	out_u64(j, "repacked_bytes", r->repacked_bytes);
	out_u64(j, "sessions_waited_for", r->waits);
	out_u64(j, "machines_held_back", r->held_back);
	out_u64(j, "lists_unread", r->unread);
	out_bool(j, "dry_run", dry_run);
	out_emit(j);
}

int
import_gc(struct args *a, struct err *e)
{
	const struct opt opts[] = { { NULL, 0, 0, NULL, NULL, NULL } };
	struct collect_options o = { .dry_run = 0 };
	struct collect_result r;
	const char *path;
	struct vault *v;
	int rc = args_parse(a, opts, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (args_operands(a, 0, 1, e) != 0 || import_vault(a, 0, &path, e) < 0 || (v = vault_open(path, 0, e)) == NULL)
		return -1;
	o.dry_run = a->dry_run;
	o.memory = a->memory / 2;
	if ((rc = collect_run(v, &o, &r, e)) == 0)
		collected_print(&r, a->dry_run);
	vault_close(v);
	return rc;
}
