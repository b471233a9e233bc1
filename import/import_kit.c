#include <string.h>

#include "common/base/args.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/out.h"
#include "common/base/text.h"
#include "common/flow/new_file.h"
#include "common/flow/vault_claim.h"
#include "common/flow/vault_machine.h"
#include "import/import_commands.h"
#include "import/import_vault.h"

/* To the file that was named, else to stdout: the kit is the result. */
static int
kit_give(const struct cat_machine *m, const struct buf *text, const char *out, struct err *e)
{
	char safe[NAME_MAX_LEN * 4 + 4];
	struct out *j;

	if (out != NULL && new_file_put(out, text->p, text->len, e) != 0)
		return -1;
	if (out != NULL)
		out_text("recovery kit of %s: %s.  It opens nothing without the machine's passphrase.\n",
		    text_safe(safe, sizeof(safe), m->name, strlen(m->name)), out);
	else
		out_text("%.*s", (int)text->len, (const char *)text->p);
	j = out_object("summary");
	out_name(j, "machine", m->name, strlen(m->name));
	out_bytes(j, "machine_id", m->id, ID_LEN);
	if (out != NULL)
		out_name(j, "file", out, strlen(out));
	else
		out_name(j, "kit", text->p, text->len);
	out_emit(j);
	return 0;
}

int
import_kit(struct args *a, struct err *e)
{
	const char *path, *out = NULL;
	const struct opt opts[] = {
		{ "out", 0, OPT_STR, &out, "FILE", "write it there; without, it is printed" },
		{ NULL, 0, 0, NULL, NULL, NULL }
	};
	struct cat_machine m;
	struct buf text;
	struct vault *v;
	int rc = args_parse(a, opts, e), used;

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (args_operands(a, 1, 2, e) != 0 || (used = import_vault(a, 1, &path, e)) < 0)
		return -1;
	if (a->n <= (size_t)used)
		return err_set(e, ERR_USAGE, "no machine was named");
	if (out != NULL && new_file_check(out, e) != 0)
		return -1;
	if ((v = vault_open(path, 0, e)) == NULL)
		return -1;
	buf_init(&text);
	if ((rc = vault_machine_find(v, a->operands[used], &m, e)) == 0 && !a->dry_run &&
	    (rc = vault_kit(v, &m, &text, e)) == 0)
		rc = kit_give(&m, &text, out, e);
	buf_release(&text);
	vault_close(v);
	return rc;
}
