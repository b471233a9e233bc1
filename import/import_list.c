#include <stdio.h>
#include <string.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/out.h"
#include "common/catalog/catalog.h"
#include "common/flow/vault.h"
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

static int
list_print(struct vault *v, size_t which, int expected, struct err *e)
{
	struct listing l = { .v = v, .expected = expected };
	struct err mine;
	struct out *j;

	/* What a stopped run recorded and did not write down; a reader without rights goes without. */
	err_clear(&mine);
	if (vault_begin(v, &mine) == 0)
		(void)vault_commit(v, &mine);
	if (lists[which].list(&l, e) != 0)
		return -1;
	if (l.rows == 0)
		out_text("none\n");
	j = out_object("summary");
	out_str(j, "list", lists[which].name);
	out_u64(j, "rows", l.rows);
	out_emit(j);
	return 0;
}

int
import_list(struct args *a, struct err *e)
{
	int expected = 0, used, rc;
	const struct opt opts[] = {
		{ "expected", 0, OPT_FLAG, &expected, NULL, "of disks: those that have not come yet" },
		{ NULL, 0, 0, NULL, NULL, NULL }
	};
	const char *path;
	struct vault *v;
	size_t which = 0;

	if ((rc = args_parse(a, opts, e)) != 0)
		return rc < 0 ? -1 : 0;
	if (args_operands(a, 1, 2, e) != 0 || (used = import_vault(a, 1, &path, e)) < 0)
		return -1;
	if (a->n <= (size_t)used)
		return err_set(e, ERR_USAGE, "say what to list: machines, images, disks, snapshots, jobs, alerts, gaps, custody, "
		    "credentials");
	if (list_find(a->operands[used], &which, e) != 0 || (v = vault_open(path, VAULT_NO_KEY, e)) == NULL)
		return -1;
	rc = list_print(v, which, expected, e);
	vault_close(v);
	return rc;
}
