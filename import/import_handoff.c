#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/out.h"
#include "common/flow/receipt.h"
#include "import/import_commands.h"
#include "import/import_vault.h"

/* The answer to a receipt. */
static int
answer_take(struct vault *v, const char *file, int dry_run, struct err *e)
{
	struct handoff h;
	struct out *j;
	int rc = vault_handoff(v, file, dry_run, &h, e);

	if (rc < 0)
		return -1;
	if (rc == 1)
		out_text("image %s was handed off before, by this answer\n", h.short_name);
	else
		out_text("image %s %s handed off%s: its disks may be erased.\n", h.short_name, dry_run ? "would be" : "is",
		    h.whole ? "" : ", without what the machine gave up");
	j = out_object("summary");
	out_str(j, "image", h.short_name);
	out_bytes(j, "image_id", h.image_id, ID_LEN);
	out_u64(j, "receipt", h.number);
	out_bool(j, "whole", h.whole);
	out_u64(j, "given_up", h.given_up);
	out_bool(j, "before", rc == 1);
	out_emit(j);
	return 0;
}

/* A list of what a machine gives up, where no disk brings it. */
static int
given_up_take(struct vault *v, const char *file, int dry_run, struct err *e)
{
	struct out *j;
	uint64_t count;

	if (vault_given_up(v, file, dry_run, &count, e) != 0)
		return -1;
	out_text("%llu chunks %s given up by the machine.\nNext: samara-import receipt %s IMAGE --out FILE\n",
	    (unsigned long long)count, dry_run ? "would be" : "are", v->path);
	j = out_object("summary");
	out_u64(j, "given_up", count);
	out_emit(j);
	return 0;
}

int
import_handoff(struct args *a, struct err *e)
{
	const struct opt opts[] = { { NULL, 0, 0, NULL, NULL, NULL } };
	const char *path, *file;
	struct vault *v;
	int rc = args_parse(a, opts, e), used;

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (args_operands(a, 1, 2, e) != 0 || (used = import_vault(a, 1, &path, e)) < 0)
		return -1;
	if (a->n <= (size_t)used)
		return err_set(e, ERR_USAGE, "no file was named");
	file = a->operands[used];
	if ((v = vault_open(path, 0, e)) == NULL)
		return -1;
	rc = vault_is_given_up(file) ? given_up_take(v, file, a->dry_run, e) : answer_take(v, file, a->dry_run, e);
	vault_close(v);
	return rc;
}
