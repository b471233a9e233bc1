#include <stdio.h>
#include <string.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/out.h"
#include "common/catalog/catalog.h"
#include "common/flow/parcel.h"
#include "common/flow/vault_fate.h"
#include "import/import_commands.h"
#include "import/import_vault.h"

struct names {
	const struct cat_image *image;
	char text[512];
};

static int
name_add(void *arg, const void *row, struct err *e)
{
	const struct cat_disk *d = row;
	struct names *n = arg;
	size_t at = strlen(n->text);

	(void)e;
	if (d->state == DISK_RETURNED)
		(void)snprintf(n->text + at, sizeof(n->text) - at, "%s%s-%u", at > 0 ? ", " : "", n->image->short_name, d->number);
	return 0;
}

static int
released_print(struct vault *v, const struct cat_image *i, const struct release_options *r, int before, struct err *e)
{
	struct names n = { i, "" };
	struct cat_disk like;
	struct out *o;

	memcpy(like.image_id, i->id, ID_LEN);
	if (catalog_each(v->catalog, &cat_disks, 1, &like, name_add, &n, e) != 0)
		return -1;
	out_text("the disks of image %s %s%s%s\n", i->short_name, before ? "went back before" : r->dry_run ? "would go back" :
	    "go back", n.text[0] != '\0' ? ": " : "", n.text);
	o = out_object("summary");
	out_str(o, "image", i->short_name);
	out_bytes(o, "image_id", i->id, ID_LEN);
	out_str(o, "disks", n.text);
	out_bool(o, "before", before);
	out_bool(o, "dry_run", r->dry_run);
	out_emit(o);
	return 0;
}

int
import_release(struct args *a, struct err *e)
{
	struct release_options r = { .force = NULL };
	const char *path, *reason = NULL;
	int force = 0;
	const struct opt opts[] = {
		{ "carrier", 0, OPT_STR, &r.words.carrier, "C", "who carries them back" },
		{ "tracking", 0, OPT_STR, &r.words.tracking, "T", "the parcel's number" },
		{ "force", 0, OPT_FLAG, &force, NULL, "also where the image was not handed off; needs --reason" },
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
	if (force && (reason == NULL || *reason == '\0'))
		return err_set(e, ERR_USAGE, "--force needs a --reason for the custody log");
	r.force = force ? reason : NULL;
	r.dry_run = a->dry_run;
	if ((v = vault_open(path, 0, e)) == NULL)
		return -1;
	if ((rc = vault_release(v, a->operands[used], &r, &i, e)) >= 0)
		rc = released_print(v, &i, &r, rc, e);
	vault_close(v);
	return rc;
}
