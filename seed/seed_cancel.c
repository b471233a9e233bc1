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
cancel_print(const struct image_cancel *c, int dry_run)
{
	struct out *o;

	if (c->before)
		out_text("image %s was cancelled before\n", c->short_name);
	else
		out_text("image %s %s: what it carries counts as not held in the next build\n", c->short_name,
		    dry_run ? "would be cancelled" : "is cancelled");
	if (c->latest != 0)
		out_text("the next build of set %s is an increment against snapshot %llu\n", c->set_name,
		    (unsigned long long)c->latest);
	else
		out_text("the next build of set %s is a full one\n", c->set_name);
	for (size_t i = 0; i < c->nleaning; i++)
		out_text("image %s leans on it: its snapshots cannot be restored without a disk of %s\n", c->leaning[i],
		    c->short_name);
	o = out_object("summary");
	out_str(o, "image", c->short_name);
	out_str(o, "set", c->set_name);
	out_u64(o, "latest", c->latest);
	out_bool(o, "was_cancelled", c->before);
	out_bool(o, "dry_run", dry_run);
	out_emit(o);
}

int
seed_cancel(struct args *a, struct err *e)
{
	const struct opt opts[] = { { NULL } };
	struct image_cancel c;
	struct state *s;
	int rc;

	if ((rc = args_parse(a, opts, e)) != 0)
		return rc > 0 ? 0 : -1;
	if (args_operands(a, 1, 1, e) != 0 || (s = seed_state_open(a, e)) == NULL)
		return -1;
	if ((rc = image_cancel(s, a->operands[0], a->dry_run, &c, e)) == 0) {
		cancel_print(&c, a->dry_run);
		if (!a->dry_run)
			(void)seed_line_tell(s, "that the image is cancelled");
		image_cancel_release(&c);
	}
	state_free(s);
	return rc;
}
