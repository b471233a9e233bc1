#include <stdio.h>
#include <string.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/out.h"
#include "common/catalog/catalog.h"
#include "common/flow/new_file.h"
#include "common/flow/vault.h"
#include "common/flow/vault_machine.h"
#include "import/import_commands.h"
#include "import/import_list.h"
#include "import/import_vault.h"

static const struct {
	const char *name;
	int (*list)(struct listing *l, struct err *e);
} lists[] = {
	{ "machines", list_machines }, { "images", list_images }, { "disks", list_disks },
	{ "snapshots", list_snapshots }, { "jobs", list_jobs }, { "alerts", list_alerts }, { "gaps", list_gaps },
	{ "custody", list_custody }, { "credentials", list_credentials },
};
#define LISTS	(sizeof(lists) / sizeof(lists[0]))

static int
list_find(const char *name, size_t *which, struct err *e)
{
	const char *names[LISTS], *near;

	for (size_t i = 0; i < LISTS; i++) {
		names[i] = lists[i].name;
		if (strcmp(name, lists[i].name) == 0) {
			*which = i;
			return 0;
		}
	}
	(void)err_set(e, ERR_USAGE, "there is no list \"%.40s\"", name);
	if ((near = args_nearest(name, names, LISTS)) != NULL)
		return err_next(e, "Did you mean \"%s\"?", near);
	return err_next(e, "There are machines, images, disks, snapshots, jobs, alerts, gaps, custody, credentials.");
}

/* Whose gaps are meant. */
static int
listing_limit(struct listing *l, const char *machine, const char *image, struct err *e)
{
	struct cat_machine m;
	struct cat_image i;

	if (image != NULL) {
		if (vault_image_find(l->v, image, &i, e) != 0)
			return -1;
		memcpy(l->image_id, i.id, ID_LEN);
		memcpy(l->machine_id, i.machine_id, ID_LEN);
		l->has_image = l->has_machine = 1;
	}
	if (machine != NULL) {
		if (vault_machine_find(l->v, machine, &m, e) != 0)
			return -1;
		memcpy(l->machine_id, m.id, ID_LEN);
		l->has_machine = 1;
	}
	return 0;
}

static int
list_print(struct listing *l, size_t which, const char *file, struct err *e)
{
	struct vault *v = l->v;
	struct err mine;
	struct out *j;

	/* What a stopped run recorded and did not write down; a reader without rights goes without. */
	err_clear(&mine);
	if (vault_begin(v, &mine) == 0)
		(void)vault_commit(v, &mine);
	if (lists[which].list(l, e) != 0)
		return -1;
	if (l->rows == 0)
		out_text("none\n");
	if (file != NULL && lists[which].list == list_gaps && gap_list_write(l, file, e) != 0)
		return -1;
	j = out_object("summary");
	out_str(j, "list", lists[which].name);
	out_u64(j, "rows", l->rows);
	out_emit(j);
	return 0;
}

int
import_list(struct args *a, struct err *e)
{
	const char *machine = NULL, *image = NULL, *out = NULL;
	int expected = 0, used, rc;
	const struct opt opts[] = {
		{ "expected", 0, OPT_FLAG, &expected, NULL, "of disks and images: those that have not come yet, and their parcels" },
		{ "machine", 0, OPT_STR, &machine, "M", "of gaps: those of this machine" },
		{ "image", 0, OPT_STR, &image, "IMAGE", "of gaps and custody: those of this image" },
		{ "out", 0, OPT_STR, &out, "FILE", "of gaps: write the signed list of what is missing, for the machine; of custody: write the log" },
		{ NULL, 0, 0, NULL, NULL, NULL }
	};
	const char *path;
	struct listing l = { .rows = 0 };
	struct vault *v;
	size_t which = 0;

	if ((rc = args_parse(a, opts, e)) != 0)
		return rc < 0 ? -1 : 0;
	if (args_operands(a, 1, 2, e) != 0 || (used = import_vault(a, 1, &path, e)) < 0)
		return -1;
	if (a->n <= (size_t)used)
		return err_set(e, ERR_USAGE, "say what to list: machines, images, disks, snapshots, jobs, alerts, gaps, custody, "
		    "credentials");
	if (list_find(a->operands[used], &which, e) != 0 || (out != NULL && new_file_check(out, e) != 0))
		return -1;
	if ((machine != NULL && lists[which].list != list_gaps) ||
	    ((image != NULL || out != NULL) && lists[which].list != list_gaps && lists[which].list != list_custody))
		return err_set(e, ERR_USAGE, "--machine is for gaps, --image and --out for gaps and custody");
	if ((v = vault_open(path, out != NULL && lists[which].list == list_gaps ? 0 : VAULT_NO_KEY, e)) == NULL)
		return -1;
	l.file = out;
	l.v = v;
	l.expected = expected;
	rc = listing_limit(&l, machine, image, e) == 0 ? list_print(&l, which, out, e) : -1;
	vault_close(v);
	return rc;
}
