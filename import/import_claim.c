#include <string.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/out.h"
#include "common/base/text.h"
#include "common/flow/vault_claim.h"
#include "common/flow/vault_machine.h"
#include "import/import_commands.h"
#include "import/import_vault.h"

static void
claimed_print(const struct vault *v, const struct cat_image *i, int before, int dry_run)
{
	char why[TEXT_MAX_LEN * 4 + 4];
	struct out *j = out_object("summary");

	(void)text_line(why, sizeof(why), i->why);
	if (before)
		out_text("image %s was admitted already\n", i->short_name);
	else if (dry_run)
		out_text("image %s would be admitted, though %s\n", i->short_name, why);
	else
		out_text("image %s is admitted, though %s.\nNext: samara-import ingest %s DISK\n", i->short_name, why, v->path);
	out_str(j, "image", i->short_name);
	out_bytes(j, "image_id", i->id, ID_LEN);
	out_bytes(j, "machine_id", i->machine_id, ID_LEN);
	out_str(j, "why", i->why);
	out_bool(j, "admitted_before", before);
	out_bool(j, "dry_run", dry_run);
	out_emit(j);
}

int
import_claim(struct args *a, struct err *e)
{
	const struct opt opts[] = { { NULL, 0, 0, NULL, NULL, NULL } };
	const char *path, *image;
	struct cat_image i;
	struct vault *v;
	int rc = args_parse(a, opts, e), used;

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (args_operands(a, 1, 2, e) != 0 || (used = import_vault(a, 1, &path, e)) < 0)
		return -1;
	if (a->n <= (size_t)used)
		return err_set(e, ERR_USAGE, "no image was named");
	image = a->operands[used];
	if ((v = vault_open(path, 0, e)) == NULL)
		return -1;
	if (a->dry_run)
		rc = vault_image_find(v, image, &i, e) != 0 ? -1 : i.state != IMAGE_UNCLAIMED;
	else
		rc = vault_claim(v, image, &i, e);
	if (rc >= 0)
		claimed_print(v, &i, rc, a->dry_run);
	vault_close(v);
	return rc < 0 ? -1 : 0;
}
