#include <stdio.h>
#include <string.h>

#include "common/base/args.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/out.h"
#include "common/flow/line_usual.h"
#include "common/flow/machine_receipt.h"
#include "common/flow/new_file.h"
#include "common/flow/state.h"
#include "seed/seed_commands.h"
#include "seed/seed_line.h"
#include "seed/seed_state.h"

static void
receipt_print(const struct machine_receipt *r, const char *answer, int dry_run)
{
	struct out *o;

	out_text("receipt %llu: the vault holds image %s %s: %llu of %llu chunks.\n", (unsigned long long)r->number, r->short_name,
	    r->whole ? "whole" : "but for what this machine gave up", (unsigned long long)(r->needed - r->given_up),
	    (unsigned long long)r->needed);
	if (dry_run)
		out_text("it would be accepted; nothing was done\n");
	else if (answer == NULL)
		out_text("image %s is handed off.  The vault waits for the answer: give --answer FILE\n", r->short_name);
	else
		out_text("image %s is handed off; the answer is in %s.  Next, at the vault: samara-import handoff VAULT %s\n",
		    r->short_name, answer, answer);
	o = out_object("summary");
	out_str(o, "image", r->short_name);
	out_u64(o, "receipt", r->number);
	out_bool(o, "whole", r->whole);
	out_u64(o, "needed", r->needed);
	out_u64(o, "given_up", r->given_up);
	out_bool(o, "before", r->before);
	if (answer != NULL && !dry_run)
		out_name(o, "answer", answer, strlen(answer));
	out_emit(o);
}

static void
receipt_heard(void *arg, const struct machine_receipt *r)
{
	++*(unsigned *)arg;
	out_text("receipt %llu: the vault holds image %s %s: %llu of %llu chunks.  It is handed off, and the vault knows.\n",
	    (unsigned long long)r->number, r->short_name, r->whole ? "whole" : "but for what this machine gave up",
	    (unsigned long long)(r->needed - r->given_up), (unsigned long long)r->needed);
}

/* Over the line: all receipts that are there and not accepted yet. */
static int
receipts_fetch(struct state *s, struct err *e)
{
	unsigned n = 0;
	struct line_told t = { .receipt = receipt_heard, .arg = &n };
	struct domain_keys *k = state_keys(s, e);
	struct line_usual *u = k != NULL ? line_usual_open(s, e) : NULL;
	int rc = u != NULL ? line_contact(line_usual_line(u), s, k, &t, e) : -1;
	struct out *o;

	line_usual_close(u);
	domain_keys_free(k);
	if (rc != 0)
		return -1;
	seed_line_print(&t);
	if (n == 0 && t.failed == 0)
		out_text("there is no new receipt\n");
	o = out_object("summary");
	out_u64(o, "receipts", n);
	out_u64(o, "refused", t.failed);
	out_emit(o);
	return t.failed == 0 ? 0 : err_set(e, ERR_RECEIPT, "%u of what the vault gave could not be accepted", t.failed);
}

int
seed_receipt(struct args *a, struct err *e)
{
	const char *answer = NULL;
	const struct opt opts[] = {
		{ "answer", 0, OPT_STR, &answer, "FILE", "write the signed answer there, for the vault" },
		{ NULL }
	};
	struct machine_receipt r;
	struct domain_keys *k;
	struct state *s;
	struct buf bytes;
	int rc;

	if ((rc = args_parse(a, opts, e)) != 0)
		return rc > 0 ? 0 : -1;
	if (args_operands(a, 0, 1, e) != 0 || (answer != NULL && new_file_check(answer, e) != 0) ||
	    (s = seed_state_open(a, e)) == NULL)
		return -1;
	if (a->n == 0) {
		if (answer != NULL || a->dry_run)
			rc = err_set(e, ERR_USAGE, "--answer and --dry-run go with a receipt in a file");
		else
			rc = receipts_fetch(s, e);
		state_free(s);
		return rc;
	}
	buf_init(&bytes);
	rc = -1;
	if ((k = state_keys(s, e)) != NULL)
		rc = machine_receipt(s, k, a->operands[0], a->dry_run, &bytes, &r, e);
	if (rc == 0 && answer != NULL && !a->dry_run)
		rc = new_file_put(answer, bytes.p, bytes.len, e);
	if (rc == 0)
		receipt_print(&r, answer, a->dry_run);
	buf_release(&bytes);
	domain_keys_free(k);
	state_free(s);
	return rc;
}
