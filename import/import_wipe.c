#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/out.h"
#include "common/base/text.h"
#include "common/flow/vault_fate.h"
#include "import/import_commands.h"
#include "import/import_vault.h"

struct told {
	int dry_run;
	uint64_t images, foreign, files;
};

static void
foreign_print(void *arg, const char *path)
{
	struct told *t = arg;
	char safe[4096];
	struct out *o = out_object("left");

	t->foreign++;
	out_text("left        %s: not a file that the image's statements list\n", text_line(safe, sizeof(safe), path));
	out_str(o, "path", path);
	out_emit(o);
}

static void
wiped_print(void *arg, const struct wipe_result *r)
{
	struct told *t = arg;
	char files[HUMAN_MAX], size[HUMAN_MAX];
	struct out *o = out_object("disk");

	t->images++;
	t->files += r->files;
	out_text("%s  %s files, %s, %s deleted.  They were encrypted, and are not overwritten.\n", r->name,
	    human_count(files, r->files), human_size(size, r->bytes), t->dry_run ? "would be" : "are");
	out_str(o, "disk", r->name);
	out_u64(o, "files", r->files);
	out_u64(o, "bytes", r->bytes);
	out_u64(o, "left", r->foreign);
	out_bool(o, "gone", r->gone);
	out_emit(o);
}

static int
wipe(const char *path, const char *disk, struct wipe_options *w, struct err *e)
{
	struct told t = { .dry_run = w->dry_run };
	struct vault *v = vault_open(path, 0, e);
	struct out *o;
	int rc;

	if (v == NULL)
		return -1;
	w->foreign = foreign_print;
	w->done = wiped_print;
	w->arg = &t;
	if ((rc = vault_wipe(v, disk, w, e)) == 0) {
		o = out_object("summary");
		out_u64(o, "images", t.images);
		out_u64(o, "files", t.files);
		out_u64(o, "left", t.foreign);
		out_bool(o, "dry_run", w->dry_run);
		out_emit(o);
	}
	vault_close(v);
	return rc != 0 ? -1 : t.foreign > 0 ? err_exit(ERR_INCOMPLETE) : 0;
}

int
import_wipe(struct args *a, struct err *e)
{
	struct wipe_options w = { .force = NULL };
	const char *path, *reason = NULL;
	int force = 0, used, rc;
	const struct opt opts[] = {
		{ "force", 0, OPT_FLAG, &force, NULL, "also where the image was not handed off; needs --reason" },
		{ "reason", 0, OPT_STR, &reason, "TEXT", "why; goes into the custody log" },
		{ NULL, 0, 0, NULL, NULL, NULL }
	};

	if ((rc = args_parse(a, opts, e)) != 0)
		return rc < 0 ? -1 : 0;
	if (args_operands(a, 1, 2, e) != 0 || (used = import_vault(a, 1, &path, e)) < 0)
		return -1;
	if (a->n <= (size_t)used)
		return err_set(e, ERR_USAGE, "no disk was named");
	if (force && (reason == NULL || *reason == '\0'))
		return err_set(e, ERR_USAGE, "--force needs a --reason for the custody log");
	w.force = force ? reason : NULL;
	w.dry_run = a->dry_run;
	return wipe(path, a->operands[used], &w, e);
}
