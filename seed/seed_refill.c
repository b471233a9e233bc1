#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/out.h"
#include "common/flow/image_state.h"
#include "common/flow/job.h"
#include "common/flow/line_note.h"
#include "common/flow/line_refill.h"
#include "common/flow/line_usual.h"
#include "common/flow/state.h"
#include "seed/seed_commands.h"
#include "seed/seed_line.h"
#include "seed/seed_state.h"

#define LEVEL	3	/* zstd */

static void
result_emit(const struct refill_result *r, int rc, const struct refill_options *o)
{
	struct out *j = out_object("summary");

	out_u64(j, "missing", r->missing);
	out_u64(j, "sent_bytes", r->bytes);
	out_u64(j, "packs", r->packs);
	out_u64(j, "given_up", r->given_up);
	out_u64(j, "left_open", r->absent);
	out_u64(j, "files_lost", r->files_lost);
	out_u64(j, "files_again", r->files_again);
	out_bool(j, "waits", r->waits);
	out_bool(j, "nothing_missing", rc == 1);
	out_bool(j, "dry_run", o->dry_run);
	out_emit(j);
}

static void
result_print(const struct refill_result *r, int rc, const struct refill_options *o)
{
	char n[HUMAN_MAX], size[HUMAN_MAX], gone[HUMAN_MAX];

	result_emit(r, rc, o);
	if (rc == 1) {
		out_text("the vault misses nothing of this machine\n");
		return;
	}
	if (r->waits)
		return;
	out_text("%s chunks were missing: %s%s%s\n", human_count(n, r->missing), o->dry_run ? "" : human_size(size, r->bytes),
	    o->dry_run ? "nothing was sent" : " sent", r->given_up == 0 && r->absent == 0 ? "" : ", and not all of them can be had:");
	if (r->given_up > 0)
		out_text("%s chunks %s given up; %" PRIu64 " file%s of earlier snapshots %s lost with them\n", human_count(gone, r->given_up),
		    o->dry_run ? "would be" : "are", r->files_lost, r->files_lost == 1 ? "" : "s", r->files_lost == 1 ? "is" : "are");
	if (r->files_again > 0)
		out_text("%" PRIu64 " files that lay in one chunk with these are as they were: the next backup takes them anew\n", r->files_again);
	if (r->absent > 0)
		out_text("%" PRIu64 " chunks stay missing: where they came from is not here\n", r->absent);
}

/* Exit status: 16 it waits for a word, 3 not everything, else 0. */
static int
refill_status(const struct refill_result *r, struct err *e)
{
	char size[HUMAN_MAX];

	if (r->waits) {
		(void)err_set(e, ERR_MAX_UPLOAD, "up to %s would be sent, more than the line carries in %u hours: nothing was sent",
		    human_size(size, r->estimate), REFILL_HOURS);
		return err_next(e, "send it all the same: samara-seed refill --all; or on a disk: at the vault samara-import list gaps --out "
		    "FILE, then samara-seed build --missing FILE --to DISK");
	}
	return r->given_up > 0 || r->absent > 0 ? 3 : 0;
}

static int
refill_job(struct state *s, struct line *l, struct domain_keys *k, struct refill_options *o, struct refill_result *r, struct err *e)
{
	struct line_told t = { .pledges = 0 };
	struct line_note note;
	int rc = -1;

	if (line_note_load(s, k, &note, e) != 0)
		return -1;
	o->rate = note.rate;
	if (!o->dry_run && (o->job = job_start(s, "refill", o->image != NULL ? o->image->begin.short_name : "", e)) == NULL)
		return -1;
	if ((o->dry_run || line_contact(l, s, k, &t, e) == 0) && (rc = line_refill(l, s, k, o, r, e)) == 0 && r->given_up > 0 && !o->dry_run)
		rc = line_tell(l, s, k, &t, e) == 0 ? 0 : -1;
	seed_line_print(&t);
	job_end(o->job, rc < 0 ? err_exit(e->code) : r->given_up > 0 || r->absent > 0 ? 3 : 0, rc < 0 ? e->msg :
	    r->given_up > 0 ? "refilled but for what changed" : rc == 1 ? "nothing was missing" : r->waits ? "waits for a word" : "refilled");
	return rc;
}

int
seed_refill(struct args *a, struct err *e)
{
	struct refill_options o = { .level = LEVEL };
	int all = 0, rc;
	const struct opt opts[] = {
		{ "all", 0, OPT_FLAG, &all, NULL, "whatever it takes; what is not here now is given up too" },
		{ NULL },
	};
	struct image_state *im = NULL;
	struct domain_keys *k = NULL;
	struct line_usual *u = NULL;
	struct refill_result r = { 0 };
	struct state *s;

	if ((rc = args_parse(a, opts, e)) != 0)
		return rc > 0 ? 0 : -1;
	if (args_operands(a, 0, 1, e) != 0 || (s = seed_state_open(a, e)) == NULL)
		return -1;
	o.all = all != 0;
	o.dry_run = a->dry_run != 0;
	rc = -1;
	if ((a->n == 0 || (o.image = im = image_state_load(s, a->operands[0], NULL, NULL, e)) != NULL) &&
	    (k = state_keys(s, e)) != NULL && (u = line_usual_open(s, e)) != NULL)
		rc = refill_job(s, line_usual_line(u), k, &o, &r, e);
	if (rc >= 0) {
		result_print(&r, rc, &o);
		rc = rc == 1 ? 0 : refill_status(&r, e);
	}
	line_usual_close(u);
	domain_keys_free(k);
	image_state_free(im);
	state_free(s);
	return rc;
}
