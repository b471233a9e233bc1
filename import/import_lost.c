#include <string.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/out.h"
#include "common/flow/vault_status.h"
#include "import/import_commands.h"
#include "import/import_fate.h"
#include "import/import_vault.h"

static const struct {
	const char *is, *would, *was, *means;
} words[] = {
	[FATE_LOST] = { "is lost", "would be lost", "was lost before",
	    "What only it carries is promised no more; its disks are taken in if they turn up.\nThe machine has to know: samara-seed lost" },
	[FATE_CANCELLED] = { "is cancelled", "would be cancelled", "was cancelled before",
	    "What only it carries is promised no more; its disks are refused until it is reopened.\nThe machine has to know: samara-seed cancel" },
	[FATE_REOPENED] = { "is open again", "would be open again", "was open before",
	    "Its disks are taken in: samara-import ingest VAULT DISK.  The machine has to know: samara-seed lost --found" },
};

static void
fate_print(const struct cat_image *i, enum vault_fate fate, const char *reason, int before, int dry_run)
{
	struct out *o = out_object("summary");

	out_text("image %s %s.\n", i->short_name, before ? words[fate].was : dry_run ? words[fate].would : words[fate].is);
	if (!before)
		out_text("%s\n", words[fate].means);
	out_str(o, "image", i->short_name);
	out_bytes(o, "image_id", i->id, ID_LEN);
	out_str(o, "state", image_state_text(i->state));
	out_name(o, "reason", reason, strlen(reason));
	out_bool(o, "before", before);
	out_bool(o, "dry_run", dry_run);
	out_emit(o);
}

int
import_fate(struct args *a, enum vault_fate fate, struct err *e)
{
	const char *path, *reason = "";
	const struct opt opts[] = {
		{ "reason", 0, OPT_STR, &reason, "TEXT", "why; goes into the custody log" },
		{ NULL, 0, 0, NULL, NULL, NULL }
	};
	struct cat_image i;
	struct vault *v;
	int rc = args_parse(a, opts, e), used;

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (args_operands(a, 1, 2, e) != 0 || (used = import_vault(a, 1, &path, e)) < 0)
		return -1;
	if (a->n <= (size_t)used)
		return err_set(e, ERR_USAGE, "no image was named");
	if ((v = vault_open(path, 0, e)) == NULL)
		return -1;
	if ((rc = vault_fate(v, a->operands[used], fate, reason, a->dry_run, &i, e)) >= 0)
		fate_print(&i, fate, reason, rc, a->dry_run);
	vault_close(v);
	return rc < 0 ? -1 : 0;
}

int
import_lost(struct args *a, struct err *e)
{
	return import_fate(a, FATE_LOST, e);
}
