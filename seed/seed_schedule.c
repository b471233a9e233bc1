#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/args.h"
#include "common/base/buf.h"
#include "common/base/child.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/human.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/out.h"
#include "common/flow/policy.h"
#include "common/flow/schedule.h"
#include "common/flow/state.h"
#include "seed/seed_alert.h"
#include "seed/seed_commands.h"
#include "seed/seed_state.h"

#define PATH_CAP	4352

struct scheduling {
	const char *set, *directory, *days;
	struct opt_list at;
	int cron;
	struct state *s;
	struct schedule schedule;
	char program[PATH_CAP], state[PATH_CAP], place[PATH_CAP];
	struct schedule_unit unit;
};

static const char *
set_of(const struct scheduling *g)
{
	return g->set != NULL ? g->set : "files";
}

/* Where the units go: systemd's or cron's directory of who asks, or --directory. */
static int
place_find(struct scheduling *g, struct err *e)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	struct stat st;

	g->unit.user = geteuid() != 0;
	if (g->directory == NULL && !g->cron && io->fstatat(AT_FDCWD, "/run/systemd/system", &st, 0) != 0)
		g->cron = 1;
	if (g->directory != NULL)
		(void)snprintf(g->place, sizeof(g->place), "%s", g->directory);
	else if (!g->unit.user)
		(void)snprintf(g->place, sizeof(g->place), "%s", g->cron ? "/etc/cron.d" : "/etc/systemd/system");
	else if (!g->cron && config != NULL && config[0] == '/')
		(void)snprintf(g->place, sizeof(g->place), "%s/systemd/user", config);
	else if (!g->cron && home != NULL)
		(void)snprintf(g->place, sizeof(g->place), "%s/.config/systemd/user", home);
	else
		g->place[0] = 0;	/* an ordinary user's crontab is his own to edit */
	if (g->place[0] != 0 && (g->directory != NULL || !g->unit.user) &&
	    (io->fstatat(AT_FDCWD, g->place, &st, 0) != 0 || !S_ISDIR(st.st_mode)))
		return err_set(e, ERR_TARGET, "%s is no directory; neither systemd nor cron seems to be installed here", g->place);
	return 0;
}

static int
unit_find(struct scheduling *g, struct err *e)
{
	ssize_t n = io->readlinkat(AT_FDCWD, "/proc/self/exe", g->program, sizeof(g->program) - 1);
	char *real = realpath(g->s->path, NULL);

	if (n < 0 || real == NULL) {
		free(real);
		return err_errno(e, "schedule");
	}
	g->program[n] = 0;
	(void)snprintf(g->state, sizeof(g->state), "%s", real);
	free(real);
	g->unit.program = g->program;
	g->unit.state = g->state;
	return 0;
}

/* The file NAME of the place, if it is there and ours: 0; 1 there is none; -1 with ERR_EXISTS where it is somebody else's. */
static int
ours(const struct scheduling *g, const char *name, struct err *e)
{
	char path[PATH_CAP + 128];
	uint8_t *bytes;
	size_t len;
	int same;

	(void)snprintf(path, sizeof(path), "%s/%s", g->place, name);
	if (file_read(AT_FDCWD, path, 64u << 10, &bytes, &len, e) != 0) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		err_clear(e);
		return 1;
	}
	same = len >= strlen(SCHEDULE_MARK) && memcmp(bytes, SCHEDULE_MARK, strlen(SCHEDULE_MARK)) == 0;
	free(bytes);
	return same ? 0 : err_set(e, ERR_EXISTS, "%s was not written by samara", path);
}

static int
unit_write(const struct scheduling *g, const char *name, struct buf *text, struct err *e)
{
	char path[PATH_CAP + 128];
	int rc = ours(g, name, e) < 0 || buf_check(text, e) != 0 ? -1 : 0;

	(void)snprintf(path, sizeof(path), "%s/%s", g->place, name);
	if (rc == 0 && (rc = dir_make(AT_FDCWD, g->place, 0755, e)) == 0 &&
	    (rc = file_replace(AT_FDCWD, path, text->p, text->len, 0644, e)) == 0)
		out_text("wrote       %s\n", path);
	buf_reset(text);
	return rc;
}

/* Units in a directory of another's choosing are his to switch on. */
static int
systemctl(const struct scheduling *g, const char *verb, const char *unit, struct err *e)
{
	const char *argv[6] = { "systemctl" };
	size_t n = 1;

	if (g->directory != NULL)
		return 0;
	if (g->unit.user)
		argv[n++] = "--user";
	argv[n++] = verb;
	if (unit != NULL) {
		argv[n++] = "--now";
		argv[n++] = unit;
	}
	return child_must(argv, NULL, NULL, 0, e);
}

static void
names_of(const struct scheduling *g, char service[128], char timer[128], char cron[128])
{
	(void)snprintf(service, 128, "samara-backup-%s.service", set_of(g));
	(void)snprintf(timer, 128, "samara-backup-%s.timer", set_of(g));
	/* cron passes over names with a dot in them */
	(void)snprintf(cron, 128, "samara-backup-%s", set_of(g));
	for (char *c = cron; *c != 0; c++)
		if (*c == '.')
			*c = '_';
}

static int
units_write(const struct scheduling *g, struct err *e)
{
	char service[128], timer[128], cron[128];
	struct buf text;
	int rc;

	names_of(g, service, timer, cron);
	buf_init(&text);
	if (g->cron) {
		schedule_cron(&g->schedule, &g->unit, &text);
		if (g->place[0] != 0) {
			rc = unit_write(g, cron, &text, e);
		} else if ((rc = buf_check(&text, e)) == 0) {
			out_text("Put this line into your crontab (crontab -e):\n%.*s", (int)text.len, (const char *)text.p);
		}
	} else {
		schedule_service(&g->schedule, &g->unit, &text);
		if ((rc = unit_write(g, service, &text, e)) == 0) {
			schedule_timer(&g->schedule, &text);
			rc = unit_write(g, timer, &text, e);
		}
		if (rc == 0 && (rc = systemctl(g, "daemon-reload", NULL, e)) == 0)
			rc = systemctl(g, "enable", timer, e);
	}
	buf_release(&text);
	return rc;
}

static int
schedule_take(struct scheduling *g, struct args *a, struct err *e)
{
	struct policy days;
	char *real;

	(void)snprintf(g->schedule.set, sizeof(g->schedule.set), "%s", set_of(g));
	policy_init(&days);
	days.work_days = 0x7f;
	if (g->days != NULL && policy_set(&days, "work-days", g->days, e) != 0)
		return err_during(e, "--days");
	g->schedule.days = days.work_days;
	g->schedule.made = io_now();
	for (size_t i = 0; i < g->at.n; i++)
		if (schedule_time(&g->schedule, g->at.v[i], e) != 0)
			return err_during(e, "--at");
	if (g->at.n == 0 && schedule_time(&g->schedule, "01:00", e) != 0)
		return -1;
	for (size_t i = 0; i < a->n; i++) {
		int rc;

		if ((real = realpath(a->operands[i], NULL)) == NULL)
			return err_errno(e, "%s", a->operands[i]);
		rc = schedule_path(&g->schedule, real, e);
		free(real);
		if (rc != 0)
			return -1;
	}
	return 0;
}

static void
installed_print(const struct scheduling *g)
{
	struct out *o = out_object("summary");
	char when[SEED_WHEN_MAX];
	int64_t next = schedule_next(&g->schedule, io_now());

	out_text("schedule    set %s, next run %s\n", g->schedule.set, seed_when(when, next));
	out_str(o, "set", g->schedule.set);
	out_i64(o, "next", next);
	out_str(o, "by", g->cron ? "cron" : "systemd");
	out_emit(o);
}

int
seed_schedule_install(struct args *a, struct err *e)
{
	struct scheduling g = { 0 };
	const struct opt opts[] = {
		{ "at", 0, OPT_LIST, &g.at, "HH:MM", "local time of a run, at most three; 01:00 if not given" },
		{ "days", 0, OPT_STR, &g.days, "DAYS", "on these days alone, as in mon-fri or sun" },
		{ "set", 0, OPT_STR, &g.set, "NAME", "the set; \"files\" if not given" },
		{ "cron", 0, OPT_FLAG, &g.cron, NULL, "by cron, though systemd is there" },
		{ "directory", 0, OPT_STR, &g.directory, "DIR", "write the units there, and switch nothing on" },
		{ NULL }
	};
	int rc, lock = -1;

	if ((rc = args_parse(a, opts, e)) != 0)
		return rc > 0 ? 0 : -1;
	if (args_operands(a, 0, 256, e) != 0 || (g.s = seed_state_open(a, e)) == NULL)
		return -1;
	rc = schedule_take(&g, a, e) != 0 || place_find(&g, e) != 0 || unit_find(&g, e) != 0 ||
	    (lock = set_lock(g.s, set_of(&g), e)) == -1 ? -1 : 0;
	if (rc == 0 && !a->dry_run && (rc = schedule_write(g.s, &g.schedule, e)) == 0)
		rc = units_write(&g, e);
	if (rc == 0)
		installed_print(&g);
	if (lock != -1)
		(void)io->close(lock);
	schedule_release(&g.schedule);
	state_free(g.s);
	return rc;
}

static int
unit_remove(const struct scheduling *g, const char *name, struct err *e)
{
	char path[PATH_CAP + 128];
	int rc = ours(g, name, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	(void)snprintf(path, sizeof(path), "%s/%s", g->place, name);
	if (io->unlinkat(AT_FDCWD, path, 0) != 0)
		return err_errno(e, "%s", path);
	out_text("removed     %s\n", path);
	return 0;
}

static int
units_remove(struct scheduling *g, struct err *e)
{
	char service[128], timer[128], cron[128];

	names_of(g, service, timer, cron);
	if (g->place[0] == 0) {
		out_text("Take the line of samara-seed schedule run out of your crontab (crontab -e).\n");
		return 0;
	}
	if (g->cron)
		return unit_remove(g, cron, e);
	if (ours(g, timer, e) == 0 && systemctl(g, "disable", timer, e) != 0)
		return -1;
	if (e->code != ERR_NONE || unit_remove(g, timer, e) != 0 || unit_remove(g, service, e) != 0)
		return -1;
	return systemctl(g, "daemon-reload", NULL, e);
}

int
seed_schedule_remove(struct args *a, struct err *e)
{
	struct scheduling g = { 0 };
	const struct opt opts[] = {
		{ "set", 0, OPT_STR, &g.set, "NAME", "the set; \"files\" if not given" },
		{ "cron", 0, OPT_FLAG, &g.cron, NULL, "that of cron, though systemd is there" },
		{ "directory", 0, OPT_STR, &g.directory, "DIR", "where the units were written" },
		{ NULL }
	};
	int rc;

	if ((rc = args_parse(a, opts, e)) != 0)
		return rc > 0 ? 0 : -1;
	if (args_operands(a, 0, 0, e) != 0 || (g.s = seed_state_open(a, e)) == NULL)
		return -1;
	if ((rc = schedule_read(g.s, set_of(&g), &g.schedule, e)) == 1)
		rc = err_set(e, ERR_NOT_FOUND, "the set %s has no schedule", set_of(&g));
	if (rc == 0 && (rc = place_find(&g, e)) == 0 && !a->dry_run && (rc = units_remove(&g, e)) == 0)
		rc = schedule_drop(g.s, set_of(&g), e);
	if (rc == 0)
		out_emit(out_object("summary"));
	schedule_release(&g.schedule);
	state_free(g.s);
	return rc;
}

/* samara-seed backup, as the schedule has it; its exit status. */
static int
backup_run(const struct scheduling *g, const struct args *a, struct err *e)
{
	const char **argv = calloc(g->schedule.npaths + 16, sizeof(*argv));
	size_t n = 0;
	int rc;

	if (argv == NULL)
		return err_errno(e, "schedule");
	argv[n++] = g->program;
	argv[n++] = "backup";
	argv[n++] = "--no-progress";
	argv[n++] = "--set";
	argv[n++] = set_of(g);
	argv[n++] = "--state";
	argv[n++] = g->state;
	if (a->json)
		argv[n++] = "--json";
	if (a->quiet)
		argv[n++] = "--quiet";
	argv[n++] = "--";
	for (size_t i = 0; i < g->schedule.npaths; i++)
		argv[n++] = g->schedule.paths[i];
	rc = child_run(argv, NULL, NULL, 0, e);
	free(argv);
	return rc;
}

/* A run that did not reach the vault, or found another running, is made up. */
static int
run_counts(int status)
{
	return status != err_exit(ERR_LINE) && status != err_exit(ERR_BUSY);
}

int
seed_schedule_run(struct args *a, struct err *e)
{
	struct scheduling g = { 0 };
	const struct opt opts[] = {
		{ "set", 0, OPT_STR, &g.set, "NAME", "the set; \"files\" if not given" },
		{ NULL }
	};
	int64_t ran;
	int rc;

	if ((rc = args_parse(a, opts, e)) != 0)
		return rc > 0 ? 0 : -1;
	if (args_operands(a, 0, 0, e) != 0 || (g.s = seed_state_open(a, e)) == NULL)
		return -1;
	if ((rc = schedule_read(g.s, set_of(&g), &g.schedule, e)) == 1) {
		(void)err_set(e, ERR_NOT_FOUND, "the set %s has no schedule", set_of(&g));
		rc = err_next(e, "Make one: samara-seed schedule install");
	}
	if (rc == 0 && (rc = schedule_ran(g.s, set_of(&g), &ran, e)) == 0 && schedule_due(&g.schedule, ran, io_now()) != 0) {
		if (a->dry_run)
			out_text("a run is due\n");
		else if (unit_find(&g, e) != 0 || schedule_ran_set(g.s, set_of(&g), io_now(), e) != 0)
			rc = -1;
		else if ((rc = backup_run(&g, a, e)) != -1) {
			if (!run_counts(rc) && schedule_ran_set(g.s, set_of(&g), ran, e) != 0)
				rc = -1;
			else if (rc != err_exit(ERR_BUSY) && seed_alert(g.s, g.program, g.state, set_of(&g), rc, e) != 0)
				rc = -1;
		}
	}
	schedule_release(&g.schedule);
	state_free(g.s);
	return rc;
}
