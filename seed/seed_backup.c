/* samara-seed backup: options in, one flow, what came of it. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/out.h"
#include "common/flow/backup.h"
#include "formats/fmt_line.h"
#include "seed/seed_background.h"
#include "seed/seed_commands.h"
#include "seed/seed_source.h"

#define PATIENCE_MOST	86400u

struct backup_args {
	struct backup_options o;
	struct seed_source src;
	int background;
	uint64_t patience;
};

static int
max_upload(void *arg, const char *value, struct err *e)
{
	struct backup_args *b = arg;

	if (strcmp(value, "none") == 0) {
		b->o.max_upload = BACKUP_NO_LIMIT;
		return 0;
	}
	if (human_parse_size(value, &b->o.max_upload, e) != 0)
		return -1;
	if (b->o.max_upload == BACKUP_A_DAY)	/* not a byte, and not the usual either */
		b->o.max_upload = 1;
	return 0;
}

static const char *
state_word(unsigned state)
{
	static const char *const words[] = { "", "", "whole", "pending", "gap", "partial" };

	return state < sizeof(words) / sizeof(words[0]) ? words[state] : "";
}

static void
report_json(const struct backup_report *r)
{
	struct out *o = out_object("summary");

	out_bytes(o, "snapshot", r->snapshot_id, ID_LEN);
	out_u64(o, "number", r->seq);
	if (state_word(r->state)[0] != 0)
		out_str(o, "state", state_word(r->state));
	out_u64(o, "files", r->result.files);
	out_u64(o, "entries", r->result.entries);
	out_u64(o, "bytes", r->result.bytes);
	out_u64(o, "unchanged", r->result.unchanged);
	out_u64(o, "read_bytes", r->result.read_bytes);
	out_u64(o, "sent_bytes", r->sent_bytes);
	out_u64(o, "packs", r->sent_packs);
	out_u64(o, "line_sent", r->line_sent);
	out_u64(o, "line_received", r->line_received);
	out_u64(o, "unreadable", r->result.unreadable);
	if (r->finished != 0)
		out_u64(o, "finished_first", r->finished);
	out_u64(o, "job", r->job);
	out_emit(o);
}

static void
report(const struct backup_report *r, int rc)
{
	char files[HUMAN_MAX], unchanged[HUMAN_MAX], sent[HUMAN_MAX], jobs[96] = "", state[48] = "";

	if (out_is_json()) {
		report_json(r);
		return;
	}
	if (rc == 3)
		(void)snprintf(jobs, sizeof(jobs), " %llu files could not be read (samara-seed jobs %llu).",
		    (unsigned long long)r->result.unreadable, (unsigned long long)r->job);
	if (r->state == LINE_PENDING || r->state == LINE_GAP || r->state == LINE_PARTIAL)
		(void)snprintf(state, sizeof(state), " It is %s.", state_word(r->state));
	out_text("snapshot %llu is at the vault: %s files, %s of them unchanged, %s sent.%s%s\n", (unsigned long long)r->seq,
	    human_count(files, r->result.files), human_count(unchanged, r->result.unchanged), human_size(sent, r->sent_bytes), state, jobs);
}

static void
report_dry(const struct backup_report *r)
{
	char count[HUMAN_MAX], size[HUMAN_MAX], unchanged[HUMAN_MAX], to_read[HUMAN_MAX];
	struct out *o;

	if (out_is_json()) {
		o = out_object("summary");
		out_bool(o, "dry_run", 1);
		out_u64(o, "entries", r->result.entries);
		out_u64(o, "files", r->result.files);
		out_u64(o, "bytes", r->result.bytes);
		out_u64(o, "unchanged", r->result.unchanged);
		out_u64(o, "read_bytes", r->result.read_bytes);
		out_u64(o, "unreadable", r->result.unreadable);
		out_emit(o);
		return;
	}
	out_text("would take %s files, %s; %s of them unchanged, %s to read. Nothing was sent.\n",
	    human_count(count, r->result.files), human_size(size, r->result.bytes),
	    human_count(unchanged, r->result.unchanged), human_size(to_read, r->result.read_bytes));
}

static int
options_fill(struct backup_args *b, const struct args *a, const char *state, struct err *e)
{
	if (b->patience < 1 || b->patience > PATIENCE_MOST)
		return err_set(e, ERR_USAGE, "--retry-for is 1 s to 1 d");
	b->o.patience = (unsigned)b->patience;
	return seed_source_fill(&b->src, a, state, &b->o.from, e);
}

int
seed_backup(struct args *a, struct err *e)
{
	struct backup_args b = { .src = { .level = 1 }, .patience = 300 };
	struct opt_call most = { max_upload, &b };
	const struct opt opts[] = {
		SEED_SOURCE_OPTS(b.src),
		{ "max-upload", 0, OPT_CALL, &most, "SIZE", "send no more than this, or none for no limit (a day of the line)" },
		{ "retry-for", 0, OPT_DURATION, &b.patience, "TIME", "how long the vault may be out of reach (5m)" },
		{ "note", 0, OPT_STR, &b.o.note, "TEXT", "a few words, kept with the job" },
		{ "background", 0, OPT_FLAG, &b.background, NULL, "let go of the terminal once it runs" },
		{ NULL, 0, OPT_FLAG, NULL, NULL, NULL }
	};
	struct backup_report r;
	char *state = NULL;
	int rc = args_parse(a, opts, e);

	if (rc == 0) {
		rc = -1;
		if (args_state(a, &state, e) == 0 && options_fill(&b, a, state, e) == 0 &&
		    (!b.background || a->dry_run || seed_background(e) == 0))
			rc = backup_run(&b.o, &r, e);
		if (rc >= 0 && a->dry_run)
			report_dry(&r);
		else if (rc >= 0)
			report(&r, rc);
	} else if (rc == 1) {
		rc = 0;
	}
	seed_source_release(&b.src);
	free(state);
	return rc;
}
