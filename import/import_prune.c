#include <string.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/out.h"
#include "common/base/text.h"
#include "common/flow/retain.h"
#include "common/flow/vault_status.h"
#include "import/import_commands.h"
#include "import/import_vault.h"

struct printing {
	int dry_run;
	uint64_t rows;
};

/* One that was looked at: what goes is always said, what stays in a dry run. */
static void
pruned_print(void *arg, const struct cat_snapshot *s, const struct cat_machine *m, const char *rule)
{
	char name[TEXT_MAX_LEN * 4 + 4], set[TEXT_MAX_LEN * 4 + 4], id[HUMAN_MAX], received[HUMAN_MAX];
	struct printing *p = arg;
	struct out *j = out_object("snapshot");

	(void)text_safe(name, sizeof(name), m->name, strlen(m->name));
	(void)text_safe(set, sizeof(set), s->set_name, strlen(s->set_name));
	if (rule == NULL || p->dry_run) {
		if (p->rows++ == 0)
			out_text("%-8s  %-18s  %6s  %-12s  %-17s  %-8s\n", "snapshot", "machine", "number", "set", "received", "state");
		out_text("%-8s  %-18s  %6lld  %-12s  %-17s  %-8s  %s%s\n", human_id(id, s->id), name, (long long)s->seq, set,
		    human_date(received, s->received / 1000000000), snapshot_state_text(s->state), rule == NULL ? "goes" : "stays: ",
		    rule == NULL ? "" : rule);
	}
	out_bytes(j, "snapshot_id", s->id, ID_LEN);
	out_bytes(j, "machine_id", s->machine_id, ID_LEN);
	out_name(j, "machine", m->name, strlen(m->name));
	out_i64(j, "number", s->seq);
	out_str(j, "set", s->set_name);
	out_i64(j, "received", s->received / 1000000000);
	out_str(j, "state", snapshot_state_text(s->state));
	out_bool(j, "goes", rule == NULL);
	out_str(j, "rule", rule == NULL ? "" : rule);
	out_emit(j);
}

static void
summary_print(const struct prune_result *r, int dry_run)
{
	struct out *j = out_object("summary");

	out_text("%llu snapshots looked at, %llu %s, %llu stay\n", (unsigned long long)r->looked, (unsigned long long)r->deleted,
	    dry_run ? "would be deleted" : "deleted", (unsigned long long)r->kept);
	if (r->deleted > 0 && !dry_run)
		out_text("Each can be undeleted for 14 days; its chunks go with the first samara-import gc after that.\n");
	out_u64(j, "looked", r->looked);
	out_u64(j, "deleted", r->deleted);
	out_u64(j, "kept", r->kept);
	out_bool(j, "dry_run", dry_run);
	out_emit(j);
}

int
import_prune(struct args *a, struct err *e)
{
	struct printing p = { 0, 0 };
	struct prune_options o = { .fn = pruned_print, .arg = &p };
	const struct opt opts[] = {
		{ "keep-last", 0, OPT_NUMBER, &o.rules.last, "N", "keep the newest N of each set" },
		{ "keep-daily", 0, OPT_NUMBER, &o.rules.daily, "N", "and the newest of each of the last N days that have one" },
		{ "keep-weekly", 0, OPT_NUMBER, &o.rules.weekly, "N", "and of the last N weeks (they begin on Monday)" },
		{ "keep-monthly", 0, OPT_NUMBER, &o.rules.monthly, "N", "and of the last N months" },
		{ "keep-yearly", 0, OPT_NUMBER, &o.rules.yearly, "N", "and of the last N years" },
		{ "machine", 0, OPT_STR, &o.machine, "M", "of this machine only" },
		{ "set", 0, OPT_STR, &o.set, "NAME", "of this set only" },
		{ NULL, 0, 0, NULL, NULL, NULL }
	};
	struct prune_result r;
	const char *path;
	struct vault *v;
	int rc = args_parse(a, opts, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (args_operands(a, 0, 1, e) != 0 || import_vault(a, 0, &path, e) < 0 || (v = vault_open(path, 0, e)) == NULL)
		return -1;
	o.dry_run = p.dry_run = a->dry_run;
	if ((rc = prune_run(v, &o, &r, e)) == 0)
		summary_print(&r, a->dry_run);
	vault_close(v);
	return rc;
}
