/* samara-seed jobs watch, jobs cancel: a running job from another terminal. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/out.h"
#include "common/base/progress.h"
#include "common/base/stop.h"
#include "common/base/text.h"
#include "common/flow/job.h"
#include "common/flow/job_status.h"
#include "common/flow/state.h"
#include "seed/seed_commands.h"
#include "seed/seed_state.h"

#define LOOK_NS		300000000
#define LINE_EVERY_NS	INT64_C(60000000000)	/* where nobody looks on */
#define LINE_LEN	1200

/* The job that is meant: its number, or the newest that runs. */
static int
job_choose(struct state *s, const struct args *a, uint64_t *number, struct err *e)
{
	struct job_info j;
	uint64_t *numbers;
	size_t n;
	int rc;

	if (a->n == 1)
		return human_parse_number(a->operands[0], UINT64_MAX, number, e) != 0 ? err_during(e, "number of a job") : 0;
	if (job_list(s, &numbers, &n, e) != 0)
		return -1;
	*number = 0;
	while (n > 0 && *number == 0) {
		if ((rc = job_read(s, numbers[--n], &j, e)) == -1)
			break;
		if (rc == 0 && j.running)
			*number = j.number;
		if (rc == 0)
			job_info_release(&j);
	}
	free(numbers);
	if (*number != 0)
		return 0;
	if (e->code == ERR_NONE)
		(void)err_set(e, ERR_NOT_FOUND, "no job runs");
	return err_next(e, "See samara-seed jobs.");
}

static void
now_show(uint64_t number, const struct job_now *now, int64_t *last_line)
{
	const struct progress_copy *c = &now->progress;
	const struct progress_state p = { .title = c->title, .total = c->total, .bytes = c->bytes, .items = c->items,
	    .elapsed_ns = c->elapsed_ns, .item = c->item, .note = c->note };
	char line[LINE_LEN], safe[LINE_LEN];
	struct winsize w;
	struct out *o;
	int terminal = isatty(STDERR_FILENO);
	size_t columns = terminal ? ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 1 ? (size_t)w.ws_col - 1 : 79 : 0;

	/* The file is the state's, but a terminal is shown nothing that was not looked at. */
	(void)text_line(safe, sizeof(safe), progress_line(line, sizeof(line), columns, &p));
	if (terminal && !out_is_json()) {
		say_sticky(safe);
	} else if (!out_is_json() && (*last_line == 0 || io_mono_ns() - *last_line >= LINE_EVERY_NS)) {
		say_info("%s", safe);
		*last_line = io_mono_ns();
	}
	if ((o = out_object("progress")) == NULL)
		return;
	out_u64(o, "job", number);
	out_str(o, "title", c->title);
	out_u64(o, "bytes", c->bytes);
	out_u64(o, "total", c->total);
	out_u64(o, "items", c->items);
	out_i64(o, "elapsed_ns", c->elapsed_ns);
	out_str(o, "item", c->item);
	out_str(o, "note", c->note);
	out_bool(o, "running", c->running);
	out_emit(o);
}

static int
end_show(const struct job_info *j)
{
	char what[LINE_LEN], result[LINE_LEN];
	struct out *o;

	(void)text_line(what, sizeof(what), j->what);
	(void)text_line(result, sizeof(result), j->result != NULL ? j->result : "was cut off");
	out_text("job %" PRIu64 ", %s %s: %s\n", j->number, j->kind, what, result);
	o = out_object("summary");
	out_u64(o, "job", j->number);
	out_str(o, "state", j->result != NULL ? "ended" : "was cut off");
	out_str(o, "result", j->result != NULL ? j->result : "was cut off");
	out_i64(o, "exit", j->result != NULL ? j->exit : 1);
	out_u64(o, "warnings", j->warnings);
	out_emit(o);
	return j->result != NULL ? j->exit : 1;
}

/* Look until it has ended; its exit status is ours. */
static int
watch(struct state *s, uint64_t number, struct err *e)
{
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	int64_t last_line = 0;
	struct job_info j;
	struct job_now now;
	struct err none;
	int rc;

	for (;;) {
		if ((rc = job_read(s, number, &j, e)) == 1) {
			(void)err_set(e, ERR_NOT_FOUND, "there is no job %" PRIu64, number);
			return err_next(e, "See samara-seed jobs.");
		}
		if (rc != 0)
			return -1;
		if (!j.running) {
			say_sticky(NULL);
			rc = end_show(&j);
			job_info_release(&j);
			return rc;
		}
		job_info_release(&j);
		err_clear(&none);
		if (job_status_read(s, number, &now, &none) == 0)
			now_show(number, &now, &last_line);
		if (stop_asked()) {
			say_sticky(NULL);
			(void)err_set(e, ERR_INTERRUPTED, "job %" PRIu64 " goes on", number);
			return err_next(e, "See it again: samara-seed jobs watch %" PRIu64 "; stop it: samara-seed jobs cancel %" PRIu64, number, number);
		}
		(void)nanosleep(&pause, NULL);
	}
}

static int
cancel(struct state *s, uint64_t number, struct err *e)
{
	struct out *o;
	int rc = job_cancel(s, number, e);

	if (rc == -1)
		return -1;
	if (rc == 1) {
		(void)err_set(e, ERR_NOT_FOUND, "job %" PRIu64 " does not run", number);
		return err_next(e, "See samara-seed jobs.");
	}
	out_text("job %" PRIu64 " was asked to stop; it ends cleanly within seconds\n", number);
	o = out_object("summary");
	out_u64(o, "job", number);
	out_bool(o, "asked", 1);
	out_emit(o);
	return 0;
}

static int
with_job(struct args *a, int (*fn)(struct state *s, uint64_t number, struct err *e), size_t least, struct err *e)
{
	const struct opt opts[] = { { NULL } };
	uint64_t number;
	struct state *s;
	int rc;

	if ((rc = args_parse(a, opts, e)) != 0)
		return rc > 0 ? 0 : -1;
	if (args_operands(a, least, 1, e) != 0 || (s = seed_state_open(a, e)) == NULL)
		return -1;
	rc = job_choose(s, a, &number, e) != 0 ? -1 : fn(s, number, e);
	state_free(s);
	return rc;
}

int
seed_jobs_watch(struct args *a, struct err *e)
{
	return with_job(a, watch, 0, e);
}

int
seed_jobs_cancel(struct args *a, struct err *e)
{
	return with_job(a, cancel, 1, e);
}
