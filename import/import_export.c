#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/log.h"
#include "common/base/out.h"
#include "common/base/prompt.h"
#include "common/base/text.h"
#include "common/flow/export.h"
#include "import/import_commands.h"
#include "import/import_vault.h"

struct exporting_args {
	struct export_options o;
	struct opt_list to;
	uint32_t parity;
	char last[4096];
};

static void
disk_done(void *arg, const char *name, uint64_t bytes, int full, int from_medium)
{
	char size[HUMAN_MAX];
	struct out *o = out_object("disk");

	(void)arg;
	out_text("%s  %s%s, %s. Write \"%s\" on it; you can remove it.\n", name, full ? "full, " : "", human_size(size, bytes),
	    from_medium ? "read back without error" : "not read back from the medium", name);
	out_str(o, "disk", name);
	out_bool(o, "full", full);
	out_u64(o, "bytes", bytes);
	out_bool(o, "read_back", from_medium);
	out_emit(o);
}

static int
disk_ask(void *arg, char *path, size_t n, struct err *e)
{
	struct exporting_args *x = arg;
	const char *same = x->last[0] != 0 ? x->last : x->o.disks[x->o.ndisks - 1];
	char question[4200];
	size_t len;

	if (!isatty(STDIN_FILENO) || out_is_json())
		return 1;
	(void)snprintf(question, sizeof(question), "Next disk? [%s]", same);
	if (prompt_line(question, path, n, &len, e) != 0) {
		if (e->code == ERR_INTERRUPTED)
			return -1;
		err_clear(e);
		return 1;
	}
	if (len == 0)
		(void)snprintf(path, n, "%s", same);
	(void)snprintf(x->last, sizeof(x->last), "%s", path);
	return 0;
}

static void
lacks_print(const struct export_result *r)
{
	char count[HUMAN_MAX];

	if (r->missing + r->bad > 0)
		out_text("%s chunks of it are not in the vault, or damaged there: what needs them cannot be restored from these disks\n",
		    human_count(count, r->missing + r->bad));
	if (r->left_out > 0)
		out_text("%u snapshot%s left out that %s neither whole nor partial (samara-import list snapshots)\n", r->left_out,
		    r->left_out == 1 ? " was" : "s were", r->left_out == 1 ? "is" : "are");
}

static void
plan_print(const struct export_result *r, const struct exporting_args *x, uint64_t bytes)
{
	static const uint64_t disks[] = { UINT64_C(8000000000000), UINT64_C(16000000000000), UINT64_C(24000000000000) };
	char size[HUMAN_MAX], lists[HUMAN_MAX], count[HUMAN_MAX], each[HUMAN_MAX];
	uint64_t all = bytes + bytes / 100 * x->o.parity + r->list_bytes;

	out_text("export of machine %s: %u snapshot%s, %s chunks\n", r->machine, r->snapshots, r->snapshots == 1 ? "" : "s",
	    human_count(count, r->chunks));
	out_text("on disk     about %s with %u %% parity and %s of reference lists\n", human_size(size, all), x->o.parity,
	    human_size(lists, r->list_bytes));
	for (size_t i = 0; i < sizeof(disks) / sizeof(disks[0]); i++)
		out_text("disks       %llu of %s\n", (unsigned long long)(all / (disks[i] / 100 * 93) + 1), human_size(each, disks[i]));
	lacks_print(r);
}

static void
done_print(const struct export_result *r)
{
	char size[HUMAN_MAX], manifest[HUMAN_MAX], machine[NAME_MAX_LEN * 4 + 4];

	out_text("image %s sealed: %u disk%s, %s, %u snapshot%s of machine %s.\n", r->short_name, r->disks, r->disks == 1 ? "" : "s",
	    human_size(size, r->written), r->snapshots, r->snapshots == 1 ? "" : "s",
	    text_safe(machine, sizeof(machine), r->machine, strlen(r->machine)));
	lacks_print(r);
	out_text("manifest %s. Nobody can open these disks without kit + passphrase. There: samara-seed restore latest --from DISK "
	    "--to DIR --kit FILE\n", human_digest(manifest, r->manifest));
}

static void
result_emit(const struct export_result *r, int plan)
{
	struct out *o = out_object("summary");

	out_str(o, "machine", r->machine);
	out_bool(o, "plan", plan);
	out_str(o, "image", r->short_name);
	out_u64(o, "snapshots", r->snapshots);
	out_u64(o, "left_out", r->left_out);
	out_u64(o, "chunks", r->chunks);
	out_u64(o, "list_bytes", r->list_bytes);
	out_u64(o, "missing", r->missing);
	out_u64(o, "bad", r->bad);
	out_u64(o, "bytes", r->written);
	out_u64(o, "disks", r->disks);
	out_bool(o, "resumed", r->resumed);
	out_emit(o);
}

static int
args_take(struct exporting_args *x, struct args *a, struct err *e)
{
	x->o.plan |= a->dry_run;
	x->o.disks = x->to.v;
	x->o.ndisks = x->to.n;
	x->o.parity = x->parity / 10000;
	if (x->o.machine == NULL)
		return err_set(e, ERR_USAGE, "of which machine? Give --machine NAME");
	if (x->to.n == 0 && !x->o.plan)
		return err_set(e, ERR_USAGE, "where to? Give --to DISK, or --plan");
	if (x->parity > 20 * 10000 || x->parity % 10000 != 0)
		return err_set(e, ERR_USAGE, "--parity is 0 to 20 percent");
	return args_operands(a, 0, 1, e);
}

int
import_export(struct args *a, struct err *e)
{
	struct exporting_args x = { .parity = 5 * 10000 };
	const struct opt opts[] = {
		{ "machine", 0, OPT_STR, &x.o.machine, "M", "whose snapshots" },
		{ "snapshot", 0, OPT_STR, &x.o.snapshot, "SNAP", "an id, latest, latest:SET or all; all if not given" },
		{ "to", 0, OPT_LIST, &x.to, "DISK", "where to write; may be repeated" },
		{ "plan", 0, OPT_FLAG, &x.o.plan, NULL, "say how many disks it takes, and write nothing" },
		{ "anew", 0, OPT_FLAG, &x.o.anew, NULL, "give up an unfinished export of this machine" },
		{ "parity", 0, OPT_PERCENT, &x.parity, "P%", "how much of each disk is parity; 5 if not given" },
		{ "reserve", 0, OPT_SIZE, &x.o.reserve, "SIZE", "leave so much free on each disk" },
		{ "plain-directory", 0, OPT_FLAG, &x.o.plain_directory, NULL, "accept any directory as a disk" },
		{ NULL }
	};
	struct export_result r;
	const char *path;
	struct vault *v;
	int rc;

	if ((rc = args_parse(a, opts, e)) != 0)
		return rc > 0 ? 0 : -1;
	if (args_take(&x, a, e) != 0 || import_vault(a, 0, &path, e) < 0)
		return -1;
	x.o.disk_done = disk_done;
	x.o.disk_ask = disk_ask;
	x.o.arg = &x;
	if ((v = vault_open(path, 0, e)) == NULL)
		return -1;
	rc = vault_export(v, &x.o, &r, e);
	if (rc != -1) {
		if (x.o.plan)
			plan_print(&r, &x, r.bytes);
		else
			done_print(&r);
		result_emit(&r, x.o.plan);
	}
	vault_close(v);
	return rc;
}
