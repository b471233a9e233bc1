#include <string.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/out.h"
#include "common/base/text.h"
#include "common/flow/parcel.h"
#include "common/flow/vault_fate.h"
#include "common/flow/vault_machine.h"
#include "import/import_commands.h"
#include "import/import_vault.h"

static int
expected_print(struct vault *v, const struct cat_parcel *p, int before, int dry_run, struct err *e)
{
	char words[PARCEL_WORDS_MAX], safe[NAME_MAX_LEN * 4 + 4];
	struct cat_machine m;
	struct out *o;
	int known = vault_machine(v, p->machine_id, &m, e);

	if (known < 0)
		return -1;
	out_text("image %s of machine %s %s: %s\n", p->short_name, text_safe(safe, sizeof(safe), p->machine_name,
	    strlen(p->machine_name)), before ? "was expected before" : dry_run ? "would be expected" : "is expected",
	    parcel_words(words, p->shipped, p->arrives, p->carrier, p->tracking));
	if (known == 1)
		out_text("The machine is not known to this vault yet: only its disk shows whether that is true.\n");
	o = out_object("summary");
	out_str(o, "image", p->short_name);
	out_bytes(o, "image_id", p->image_id, ID_LEN);
	out_name(o, "machine", p->machine_name, strlen(p->machine_name));
	out_bool(o, "machine_known", known == 0);
	out_name(o, "carrier", p->carrier, strlen(p->carrier));
	out_name(o, "tracking", p->tracking, strlen(p->tracking));
	out_i64(o, "arrives", p->arrives);
	out_bool(o, "before", before);
	out_bool(o, "dry_run", dry_run);
	out_emit(o);
	return 0;
}

int
import_expect(struct args *a, struct err *e)
{
	struct parcel_words w = { .carrier = NULL };
	const char *path, *what, *arrives = NULL;
	const struct opt opts[] = {
		{ "carrier", 0, OPT_STR, &w.carrier, "C", "of an image: who carries the parcel" },
		{ "tracking", 0, OPT_STR, &w.tracking, "T", "of an image: the parcel's number" },
		{ "arrives", 0, OPT_STR, &arrives, "DATE", "of an image: the day it is due: 2026-11-16" },
		{ NULL, 0, 0, NULL, NULL, NULL }
	};
	struct cat_parcel p;
	struct stat st;
	struct vault *v;
	int rc = args_parse(a, opts, e), used, typed;

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (args_operands(a, 1, 2, e) != 0 || (used = import_vault(a, 1, &path, e)) < 0)
		return -1;
	if (a->n <= (size_t)used)
		return err_set(e, ERR_USAGE, "name the file that samara-seed ship --announce wrote, or an image");
	what = a->operands[used];
	if (arrives != NULL && parcel_date(arrives, &w.arrives, e) != 0)
		return err_during(e, "--arrives");
	typed = w.carrier != NULL || w.tracking != NULL || arrives != NULL;
	if (!typed && io->fstatat(AT_FDCWD, what, &st, 0) != 0)
		return err_errno(e, "%s", what);
	if ((v = vault_open(path, 0, e)) == NULL)
		return -1;
	rc = typed ? vault_expect_image(v, what, &w, a->dry_run, &p, e) : vault_expect_file(v, what, a->dry_run, &p, e);
	if (rc >= 0)
		rc = expected_print(v, &p, rc, a->dry_run, e);
	vault_close(v);
	return rc;
}
