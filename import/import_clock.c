#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/out.h"
#include "common/flow/vault.h"
#include "import/import_commands.h"
#include "import/import_vault.h"

static void
confirmed_print(const struct vault *v, int dry_run)
{
	char date[HUMAN_MAX];
	struct out *j = out_object("summary");

	out_text("vault %s %s from %s on\n", v->desc.name, dry_run ? "would count" : "counts",
	    human_date(date, v->now / 1000000000));
	out_str(j, "vault", v->desc.name);
	out_i64(j, "time", v->now / 1000000000);
	out_bool(j, "dry_run", dry_run);
	out_emit(j);
}

int
import_clock(struct args *a, struct err *e)
{
	int confirm = 0, rc;
	const struct opt opts[] = {
		{ "confirm", 0, OPT_FLAG, &confirm, NULL, "the time that this computer shows is right" },
		{ NULL, 0, 0, NULL, NULL, NULL }
	};
	const char *path;
	struct vault *v;

	if ((rc = args_parse(a, opts, e)) != 0)
		return rc < 0 ? -1 : 0;
	if (args_operands(a, 0, 1, e) != 0 || import_vault(a, 0, &path, e) < 0)
		return -1;
	if (!confirm)
		return err_set(e, ERR_USAGE, "look at the time of this computer; if it is right, say --confirm");
	if ((v = vault_open(path, 0, e)) == NULL)
		return -1;
	if (a->dry_run)
		rc = vault_begin(v, e) != 0 ? -1 : vault_commit(v, e);
	else
		rc = vault_clock_confirm(v, e);
	if (rc == 0)
		confirmed_print(v, a->dry_run);
	vault_close(v);
	return rc;
}
