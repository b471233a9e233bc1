#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/out.h"
#include "common/flow/vault_line.h"
#include "import/import_commands.h"
#include "import/import_vault.h"

int
import_url(struct args *a, struct err *e)
{
	const struct opt opts[] = {
		{ NULL, 0, 0, NULL, NULL, NULL }
	};
	const char *path, *url;
	struct vault *v;
	struct out *j;
	int rc = args_parse(a, opts, e), used;

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (args_operands(a, 1, 2, e) != 0 || (used = import_vault(a, 1, &path, e)) < 0)
		return -1;
	if (a->n <= (size_t)used)
		return err_set(e, ERR_USAGE, "no address was named");
	url = a->operands[used];
	if (*url != '\0' && vault_url_check(url, e) != 0)
		return -1;
	if ((v = vault_open(path, 0, e)) == NULL)
		return -1;
	if (!a->dry_run && (rc = vault_url(v, url, e)) < 0) {
		vault_close(v);
		return -1;
	}
	out_text("vault %s %s %s\n", v->desc.name, a->dry_run ? "would be reached at" : rc == 1 ? "was reached before at" :
	    "is reached at", url);
	if (!a->dry_run && rc == 0)
		out_text("Machines learn it at their next contact at the old address, new ones from their credential.\n");
	j = out_object("summary");
	out_str(j, "vault", v->desc.name);
	out_str(j, "url", url);
	out_u64(j, "generation", v->desc.generation);
	out_bool(j, "before", rc == 1);
	out_bool(j, "dry_run", a->dry_run);
	out_emit(j);
	vault_close(v);
	return 0;
}
