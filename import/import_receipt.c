#include <string.h>

#include "common/base/args.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/out.h"
#include "common/flow/gaps.h"
#include "common/flow/new_file.h"
#include "common/flow/receipt.h"
#include "import/import_commands.h"
#include "import/import_vault.h"

static void
given_print(const struct vault *v, const struct receipt_result *r, const char *out, int dry_run)
{
	out_text("image %s: %llu chunks, every one read back from where it lies: %s.\n", r->short_name,
	    (unsigned long long)r->held, r->whole ? "whole" : "partial");
	if (!r->whole)
		out_text("%llu chunks the machine has given up.\n", (unsigned long long)r->given_up);
	out_text("That the bytes decrypt it does not say: only who has the key can.\n");
	if (dry_run)
		return;
	if (out != NULL)
		out_text("receipt %llu: %s.  Next, on the machine: samara-seed receipt %s --answer FILE;\n"
		    "then, here: samara-import handoff %s FILE.  Until then do not erase its disks.\n",
		    (unsigned long long)r->number, out, out, v->path);
	else
		out_text("receipt %llu is in the records; --out FILE writes one for the machine.\n", (unsigned long long)r->number);
}

/* Why there is none. */
static void
refused_print(const struct receipt_result *r)
{
	if (r->unfiled > 0)
		out_text("image %s: %u of its %u snapshots have not come.\n", r->short_name, r->unfiled, r->snapshots);
	else
		out_text("image %s: %llu of %llu chunks are held, %llu given up, %llu are missing%s.\n", r->short_name,
		    (unsigned long long)r->held, (unsigned long long)r->needed, (unsigned long long)r->given_up,
		    (unsigned long long)r->missing, r->promised_disks > 0 ? "; disks of it are still to come" : "");
	if (r->packs_bad > 0)
		out_text("%llu packs in the vault were found bad now.\n", (unsigned long long)r->packs_bad);
}

static void
summary_emit(const struct receipt_result *r, const char *out, const char *gaps, uint64_t gap_ids, int given)
{
	struct out *j = out_object("summary");

	out_str(j, "image", r->short_name);
	out_bytes(j, "image_id", r->image_id, ID_LEN);
	out_bool(j, "given", given);
	out_u64(j, "number", r->number);
	out_bool(j, "whole", given && r->whole);
	out_u64(j, "needed", r->needed);
	out_u64(j, "held", r->held);
	out_u64(j, "given_up", r->given_up);
	out_u64(j, "missing", r->missing);
	out_u64(j, "snapshots_unfiled", r->unfiled);
	out_u64(j, "packs_read", r->packs);
	out_u64(j, "bytes_read", r->bytes);
	out_u64(j, "packs_bad", r->packs_bad);
	if (out != NULL && given)
		out_name(j, "file", out, strlen(out));
	if (gaps != NULL && gap_ids > 0)
		out_name(j, "gaps", gaps, strlen(gaps));
	out_emit(j);
}

/* What is missing goes into the file that was asked for. */
static int
gaps_write(struct vault *v, const struct receipt_result *r, const char *path, uint64_t *n, struct err *e)
{
	if (path == NULL)
		return 0;
	if (gaps_save(v, r->machine_id, r->image_id, path, n, e) != 0)
		return -1;
	if (*n > 0)
		out_text("%s names them.  Next, on the machine: samara-seed build --missing %s --to DISK\n", path, path);
	return 0;
}

static int
receipt_run(struct vault *v, const char *image, const char *out, const char *gaps, int dry_run, struct err *e)
{
	struct receipt_result r;
	struct buf bytes;
	uint64_t n = 0;
	int rc;

	buf_init(&bytes);
	if ((rc = vault_receipt(v, image, dry_run, &bytes, &r, e)) == 0) {
		if (out != NULL && !dry_run)
			rc = new_file_put(out, bytes.p, bytes.len, e);
		if (rc == 0)
			given_print(v, &r, out, dry_run);
	} else if (rc == 1) {
		refused_print(&r);
		if (!dry_run && gaps_write(v, &r, gaps, &n, e) != 0)
			rc = -1;
	}
	buf_release(&bytes);
	if (rc == -1)
		return -1;
	summary_emit(&r, out, gaps, n, rc == 0);
	if (rc == 0)
		return 0;
	(void)err_set(e, ERR_INCOMPLETE, "no receipt for image %s: the vault does not hold all of it", r.short_name);
	return gaps != NULL ? -1 : err_next(e, "samara-import receipt %s %s --gaps FILE writes the list that the machine needs",
	    v->path, r.short_name);
}

int
import_receipt(struct args *a, struct err *e)
{
	const char *path, *out = NULL, *gaps = NULL, *image = NULL;
	const struct opt opts[] = {
		{ "out", 0, OPT_STR, &out, "FILE", "write the receipt there, for the machine" },
		{ "gaps", 0, OPT_STR, &gaps, "FILE", "where not all is held: write there what is missing, for the machine" },
		{ NULL, 0, 0, NULL, NULL, NULL }
	};
	struct vault *v;
	int rc = args_parse(a, opts, e), used;

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (args_operands(a, 0, 2, e) != 0 || (used = import_vault(a, a->n > 1 ? 1 : 0, &path, e)) < 0)
		return -1;
	if (a->n > (size_t)used)
		image = a->operands[used];
	if ((out != NULL && new_file_check(out, e) != 0) || (gaps != NULL && new_file_check(gaps, e) != 0))
		return -1;
	if ((v = vault_open(path, 0, e)) == NULL)
		return -1;
	rc = receipt_run(v, image, out, gaps, a->dry_run, e);
	vault_close(v);
	return rc;
}
