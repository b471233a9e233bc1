#include <stdio.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/out.h"
#include "common/flow/image_cancel.h"
#include "common/flow/state.h"
#include "seed/seed_commands.h"
#include "seed/seed_line.h"
#include "seed/seed_state.h"

static void
lost_print(const struct image_cancel *c, int found, int dry_run)
{
	struct out *o;

	if (found)
		out_text("image %s %s: what it carries counts again\n", c->short_name, c->before ? "was not lost" :
		    dry_run ? "would have turned up" : "turned up");
	else
		out_text("image %s %s: what it carries counts as not held in the next build\n", c->short_name, c->before ?
		    "was lost before" : dry_run ? "would be lost" : "is lost");
	if (!found)
		for (size_t i = 0; i < c->nleaning; i++)
			out_text("image %s leans on it: its snapshots cannot be restored without a disk of %s\n", c->leaning[i],
			    c->short_name);
	if (c->latest != 0)
		out_text("the next build of set %s is an increment against snapshot %llu\n", c->set_name,
		    (unsigned long long)c->latest);
	else
		out_text("the next build of set %s is a full one\n", c->set_name);
	if (!found)
		out_text("If its disks turn up, the vault takes them all the same; tell this machine then: samara-seed lost %s --found\n"
		    "Next: samara-seed build --to DISK PATH...\n", c->short_name);
	o = out_object("summary");
	out_str(o, "image", c->short_name);
	out_str(o, "set", c->set_name);
	out_u64(o, "latest", c->latest);
	out_bool(o, "lost", !found);
	out_bool(o, "before", c->before);
	out_bool(o, "dry_run", dry_run);
	out_emit(o);
}

int
seed_lost(struct args *a, struct err *e)
{
	int found = 0, rc;
	const struct opt opts[] = {
		{ "found", 0, OPT_FLAG, &found, NULL, "a lost image turned up" },
		{ NULL },
	};
	struct image_cancel c;
	struct state *s;

	if ((rc = args_parse(a, opts, e)) != 0)
		return rc > 0 ? 0 : -1;
	if (args_operands(a, 1, 1, e) != 0 || (s = seed_state_open(a, e)) == NULL)
		return -1;
	rc = found ? image_found(s, a->operands[0], a->dry_run, &c, e) : image_lost(s, a->operands[0], a->dry_run, &c, e);
	if (rc == 0) {
		lost_print(&c, found, a->dry_run);
		if (!a->dry_run)
			(void)seed_line_tell(s, found ? "that the image turned up" : "that the image is lost");
		image_cancel_release(&c);
	}
	state_free(s);
	return rc;
}
