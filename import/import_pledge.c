#include <stdio.h>
#include <string.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/out.h"
#include "common/base/text.h"
#include "common/flow/vault_machine.h"
#include "common/flow/vault_pledge.h"
#include "common/flow/vault_status.h"
#include "import/import_commands.h"
#include "import/import_vault.h"

static void
pledge_print(const struct cat_image *i, const struct pledge_taken *t, int extended, int dry_run)
{
	struct out *o = out_object("summary");
	char day[HUMAN_MAX], who[TEXT_MAX_LEN * 4 + 4];

	if (t->generation == 0)
		out_text("image %s of %s has no pledge: its manifest has not come (%s).\n", i->short_name,
		    text_safe(who, sizeof(who), i->machine_name, strlen(i->machine_name)), image_state_text(i->state));
	else if (t->disks_out == 0)
		out_text("image %s: all of its disks are here (%s).\n", i->short_name, image_state_text(i->state));
	else
		out_text("image %s: %u disk%s to come, %s until %s (%s).\n", i->short_name, t->disks_out, t->disks_out == 1 ? "" : "s",
		    !extended ? "promised" : dry_run ? "would be promised" : "promised now", human_day(day, t->until),
		    image_state_text(i->state));
	out_str(o, "image", i->short_name);
	out_bytes(o, "image_id", i->id, ID_LEN);
	out_str(o, "state", image_state_text(i->state));
	out_u64(o, "generation", t->generation);
	out_u64(o, "disks_out", t->disks_out);
	out_i64(o, "until", t->until);
	out_bool(o, "extended", extended && !dry_run);
	out_bool(o, "dry_run", dry_run);
	out_emit(o);
}

/* The clocks moved on, so that the day is right; the lease longer where that was asked for. */
static int
pledge_do(struct vault *v, const char *text, uint64_t extend, const char *reason, int dry_run, struct err *e)
{
	struct pledge_taken t;
	struct cat_image i;

	if (vault_begin(v, e) != 0 || vault_commit(v, e) != 0)
		return -1;
	if (extend != 0 ? vault_lease_extend(v, text, extend, reason, dry_run, &i, e) != 0 : vault_image_find(v, text, &i, e) != 0)
		return -1;
	if (vault_pledge_now(v, &i, &t, e) < 0)
		return -1;
	pledge_print(&i, &t, extend != 0, dry_run);
	return 0;
}

int
import_pledge(struct args *a, struct err *e)
{
	const char *path, *reason = "";
	uint64_t extend = 0;
	const struct opt opts[] = {
		{ "extend", 0, OPT_DURATION, &extend, "TIME", "wait so much longer for its disks (30d)" },
		{ "reason", 0, OPT_STR, &reason, "TEXT", "why; stands in the vault's records" },
		{ NULL, 0, 0, NULL, NULL, NULL }
	};
	struct vault *v;
	int rc = args_parse(a, opts, e), used;

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (args_operands(a, 0, 2, e) != 0 || (used = import_vault(a, 1, &path, e)) < 0 || (v = vault_open(path, 0, e)) == NULL)
		return -1;
	rc = pledge_do(v, a->n > (size_t)used ? a->operands[used] : NULL, extend, reason, a->dry_run, e);
	vault_close(v);
	return rc;
}
