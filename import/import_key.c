#include <string.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/out.h"
#include "common/base/passphrase.h"
#include "common/flow/new_file.h"
#include "common/flow/vault_keys.h"
#include "import/import_commands.h"
#include "import/import_vault.h"

static void
copied_print(const struct vault *v, const char *out, int wrapped, int dry_run)
{
	struct out *j = out_object("summary");

	out_text("%s the key of vault %s: %s%s\n", dry_run ? "would write a copy of" : "copy of", v->desc.name, out,
	    wrapped ? ", wrapped by the passphrase" : "");
	if (!dry_run)
		out_text("Who has it can issue credentials in the vault's name.  Keep it on a medium of its own, somewhere else.\n");
	out_str(j, "vault", v->desc.name);
	out_name(j, "file", out, strlen(out));
	out_bool(j, "wrapped", wrapped);
	out_bool(j, "dry_run", dry_run);
	out_emit(j);
}

int
import_key_copy(struct args *a, struct err *e)
{
	const char *path, *out = NULL, *pass_file = NULL;
	const struct opt opts[] = {
		{ "out", 0, OPT_STR, &out, "FILE", "where to; best on a medium that is kept elsewhere" },
		{ "passphrase-file", 0, OPT_STR, &pass_file, "FILE", "wrap the copy by the passphrase in FILE" },
		{ NULL, 0, 0, NULL, NULL, NULL }
	};
	struct passphrase p = { NULL, 0 };
	struct vault *v;
	int rc = args_parse(a, opts, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (args_operands(a, 0, 1, e) != 0 || import_vault(a, 0, &path, e) < 0)
		return -1;
	if (out == NULL)
		return err_set(e, ERR_USAGE, "say where to: --out FILE");
	if (new_file_check(out, e) != 0 ||
	    (pass_file != NULL && passphrase_get(&p, pass_file, "new passphrase of the copy", 1, e) != 0))
		return -1;
	if ((v = vault_open(path, 0, e)) == NULL) {
		passphrase_release(&p);
		return -1;
	}
	rc = a->dry_run ? 0 : vault_key_copy(v, out, p.text, p.len, e);
	if (rc == 0)
		copied_print(v, out, p.text != NULL, a->dry_run);
	passphrase_release(&p);
	vault_close(v);
	return rc;
}
