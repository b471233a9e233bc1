#include <string.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/out.h"
#include "common/base/text.h"
#include "common/flow/machine_fate.h"
#include "common/flow/vault_status.h"
#include "import/import_commands.h"
#include "import/import_vault.h"

/* "none" or a size; a subscription's word. */
static int
value_read(struct machine_order *o, const char *text, struct err *e)
{
	o->value = 0;
	if (o->fate == MFATE_QUOTA)
		return strcmp(text, "none") == 0 ? 0 : human_parse_size(text, &o->value, e);
	for (o->value = SUBSCRIPTION_ACTIVE; o->value <= SUBSCRIPTION_DEPROVISIONED; o->value++)
		if (strcmp(text, subscription_text((unsigned)o->value)) == 0)
			return 0;
	return err_set(e, ERR_USAGE, "\"%.30s\" is no subscription: active, expired or deprovisioned", text);
}

/* What is to be done, from the words behind the machine. */
static int
order_read(struct machine_order *o, char **words, size_t n, int keep, int drop, struct err *e)
{
	static const struct { const char *word; enum machine_fate fate; size_t more; } t[] = {
		{ "rename", MFATE_RENAMED, 1 }, { "revoke", MFATE_REVOKED, 0 }, { "retire", MFATE_RETIRED, 0 },
		{ "quota", MFATE_QUOTA, 1 }, { "subscription", MFATE_SUBSCRIPTION, 1 },
	};

	for (size_t i = 0; n > 0 && i < sizeof(t) / sizeof(t[0]); i++) {
		if (strcmp(words[0], t[i].word) != 0)
			continue;
		if (n != 1 + t[i].more)
			return err_set(e, ERR_USAGE, t[i].more == 1 ? "machine … %s wants one word more" :
			    "machine … %s wants nothing more", t[i].word);
		o->fate = t[i].fate;
		if (o->fate == MFATE_RETIRED) {
			if (keep == drop)
				return err_set(e, ERR_USAGE, "say what becomes of its snapshots: --keep or --delete");
			o->fate = drop ? MFATE_DELETED : MFATE_RETIRED;
			return 0;
		}
		if (keep || drop)
			return err_set(e, ERR_USAGE, "--keep and --delete go with retire");
		if (o->fate == MFATE_RENAMED)
			o->name = words[1];
		return o->fate == MFATE_QUOTA || o->fate == MFATE_SUBSCRIPTION ? value_read(o, words[1], e) : 0;
	}
	return err_set(e, ERR_USAGE, "say what: rename NEW, revoke, retire --keep or --delete, quota SIZE, subscription STATE");
}

static const char *
means(const struct machine_order *o)
{
	switch (o->fate) {
	case MFATE_REVOKED:
		return "Its token has ended.  What it stored stays; it comes back with a credential made with --replace.\n";
	case MFATE_RETIRED:
		return "Its token has ended and it is not missed any more; its snapshots are kept.\n";
	case MFATE_DELETED:
		return "Its token has ended; its snapshots are deleted as by samara-import delete, and can be had back as long as "
		    "these can.\n";
	default:
		return "";
	}
}

static void
decided_print(const struct cat_machine *m, const struct machine_order *o, int before)
{
	char name[NAME_MAX_LEN * 4 + 4], size[HUMAN_MAX];
	struct out *j = out_object("summary");

	(void)text_safe(name, sizeof(name), m->name, strlen(m->name));
	out_text("machine %s: %s, subscription %s, quota %s%s\n", name, machine_state_text(m->state),
	    subscription_text(m->subscription), m->quota == 0 ? "none" : human_size(size, (uint64_t)m->quota),
	    before ? " (as before)" : o->dry_run ? " (nothing was changed)" : "");
	if (!before && !o->dry_run)
		out_text("%s", means(o));
	out_name(j, "machine", m->name, strlen(m->name));
	out_bytes(j, "machine_id", m->id, ID_LEN);
	out_str(j, "state", machine_state_text(m->state));
	out_str(j, "subscription", subscription_text(m->subscription));
	out_u64(j, "quota", (uint64_t)m->quota);
	out_bool(j, "before", before);
	out_bool(j, "dry_run", o->dry_run);
	out_emit(j);
}

int
import_machine(struct args *a, struct err *e)
{
	struct machine_order o = { .why = NULL };
	int keep = 0, drop = 0, used, rc;
	const struct opt opts[] = {
		{ "keep", 0, OPT_FLAG, &keep, NULL, "retire: its snapshots are kept" },
		{ "delete", 0, OPT_FLAG, &drop, NULL, "retire: its snapshots are deleted" },
		{ "reason", 0, OPT_STR, &o.why, "TEXT", "why; stands in the record" },
		{ NULL, 0, 0, NULL, NULL, NULL }
	};
	struct cat_machine m;
	const char *path;
	struct vault *v;

	if ((rc = args_parse(a, opts, e)) != 0)
		return rc < 0 ? -1 : 0;
	if (args_operands(a, 2, 4, e) != 0 || (used = import_vault(a, 3, &path, e)) < 0)
		return -1;
	if (a->n < (size_t)used + 2)
		return err_set(e, ERR_USAGE, "name a machine and what to do");
	if (order_read(&o, a->operands + used + 1, a->n - (size_t)used - 1, keep, drop, e) != 0)
		return -1;
	o.dry_run = a->dry_run;
	if ((v = vault_open(path, 0, e)) == NULL)
		return -1;
	if ((rc = machine_decide(v, a->operands[used], &o, &m, e)) >= 0)
		decided_print(&m, &o, rc);
	vault_close(v);
	return rc < 0 ? -1 : 0;
}
