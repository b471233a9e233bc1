#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/out.h"
#include "common/base/text.h"
#include "common/flow/job.h"
#include "common/flow/state.h"
#include "seed/seed_commands.h"
#include "seed/seed_state.h"

#define SAFE_TEXT_MAX	2048

static const char *
job_word(const struct job_info *j)
{
	if (j->result != NULL)
		return j->result;
	return j->running ? "running" : "was cut off";
}

static void
job_print(const struct job_info *j)
{
	char when[SEED_WHEN_MAX], took[HUMAN_MAX] = "", what[SAFE_TEXT_MAX], word[SAFE_TEXT_MAX], warned[64] = "";
	struct out *o;

	if (j->end != 0)
		(void)human_duration(took, (j->end - j->start) * 1000000000);
	if (j->warnings != 0)
		(void)snprintf(warned, sizeof(warned), ", %" PRIu64 " warning%s (samara-seed jobs %" PRIu64 ")", j->warnings,
		    j->warnings == 1 ? "" : "s", j->number);
	out_text("%-4" PRIu64 " %-18s %8s  %s %s: %s%s\n", j->number, seed_when(when, j->start), took, j->kind,
	    text_line(what, sizeof(what), j->what), text_line(word, sizeof(word), job_word(j)), warned);

	o = out_object("job");
	out_u64(o, "job", j->number);
	out_str(o, "kind", j->kind);
	out_str(o, "what", j->what);
	out_str(o, "state", j->result != NULL ? "ended" : job_word(j));
	out_i64(o, "start", j->start);
	if (j->result != NULL) {
		out_i64(o, "end", j->end);
		out_i64(o, "exit", j->exit);
		out_str(o, "result", j->result);
	}
	out_u64(o, "warnings", j->warnings);
	out_emit(o);
}

static void
warning_print(void *arg, const char *text)
{
	const uint64_t *number = arg;
	struct out *o;

	out_text("  %s\n", text);
	o = out_object("warning");
	out_u64(o, "job", *number);
	out_str(o, "text", text);
	out_emit(o);
}

static int
one_show(struct state *s, const char *word, struct err *e)
{
	struct job_info j;
	uint64_t number;
	int rc;

	if (human_parse_number(word, UINT64_MAX, &number, e) != 0)
		return err_during(e, "number of a job");
	if ((rc = job_read(s, number, &j, e)) == 1) {
		(void)err_set(e, ERR_NOT_FOUND, "there is no job %" PRIu64, number);
		return err_next(e, "See samara-seed jobs.");
	}
	if (rc != 0)
		return -1;
	job_print(&j);
	job_info_release(&j);
	return job_each_warning(s, number, warning_print, &number, e);
}

/* Every job; one whose record is not there yet or damaged does not hide the others. */
static int
all_show(struct state *s, struct err *e)
{
	uint64_t *numbers;
	size_t n;
	int rc = 0;

	if (job_list(s, &numbers, &n, e) != 0)
		return -1;
	if (n == 0)
		out_text("no jobs yet\n");
	for (size_t i = 0; i < n; i++) {
		struct job_info j;
		struct err one;

		err_clear(&one);
		switch (job_read(s, numbers[i], &j, &one)) {
		case 0:
			job_print(&j);
			job_info_release(&j);
			break;
		case -1:
			if (rc == 0)
				*e = one;
			rc = -1;
		}
	}
	free(numbers);
	return rc;
}

int
seed_jobs(struct args *a, struct err *e)
{
	const struct opt opts[] = { { NULL } };
	struct state *s;
	int rc;

	if ((rc = args_parse(a, opts, e)) != 0)
		return rc > 0 ? 0 : -1;
	if (args_operands(a, 0, 1, e) != 0 || (s = seed_state_open(a, e)) == NULL)
		return -1;
	rc = a->n == 1 ? one_show(s, a->operands[0], e) : all_show(s, e);
	if (rc == 0)
		out_emit(out_object("summary"));
	state_free(s);
	return rc;
}
