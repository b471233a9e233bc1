#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/log.h"
#include "common/base/out.h"
#include "common/base/text.h"
#include "common/flow/dock.h"
#include "import/import_commands.h"
#include "import/import_vault.h"

#define EXIT_NOT_ALL	3
#define TABLE_MAX	8192
#define SAFE		(512 * 4 + 4)

struct desk_out {
	int table;		/* a person looks on */
	char last[TABLE_MAX];	/* as it was painted */
};

/* How far a bay is, in words: "42 %, 1.2 TB of 3.0 TB". */
static void
how_far(const struct bay_view *b, char out[64])
{
	char read[HUMAN_MAX], total[HUMAN_MAX];

	out[0] = '\0';
	if (b->state == BAY_WORKING && b->total > 0)
		(void)snprintf(out, 64, "%llu %%, %s of %s",
		    (unsigned long long)(b->read >= b->total ? 100 : b->read / (b->total / 100 + 1)), human_size(read, b->read),
		    human_size(total, b->total));
}

static void
emit_bay(const struct bay_view *b)
{
	struct out *j = out_object("bay");

	out_name(j, "bay", b->name, strlen(b->name));
	out_str(j, "state", bay_state_text(b->state));
	out_str(j, "disk", b->disk);
	out_name(j, "machine", b->machine, strlen(b->machine));
	out_name(j, "vault", b->vault, strlen(b->vault));
	out_name(j, "why", b->why, strlen(b->why));
	out_emit(j);
}

/* "bay1  working  RM4K-1 of db1 for dc-north". */
static void
bay_line(const struct bay_view *b, char *out, size_t n)
{
	char name[SAFE], machine[SAFE], vault[SAFE], why[SAFE], far[64];
	const char *said;

	(void)text_safe(name, sizeof(name), b->name, strlen(b->name));
	(void)text_safe(machine, sizeof(machine), b->machine, strlen(b->machine));
	(void)text_safe(vault, sizeof(vault), b->vault, strlen(b->vault));
	(void)text_line(why, sizeof(why), b->why);
	how_far(b, far);
	said = b->state == BAY_WORKING ? far : why;
	if (b->disk[0] == '\0')
		(void)snprintf(out, n, "%-20s  %-9s  %s", name, bay_state_text(b->state), said);
	else
		(void)snprintf(out, n, "%-20s  %-9s  %s of %s for %s%s%s", name, bay_state_text(b->state), b->disk, machine, vault,
		    *said == '\0' ? "" : ": ", said);
}

static void
bay_changed(void *arg, const struct bay_view *b)
{
	const struct desk_out *d = arg;
	char line[SAFE * 5];

	emit_bay(b);
	/* Where there is a table, only what is done with is kept above it. */
	if (d->table && b->state != BAY_REMOVE && b->state != BAY_ATTENTION)
		return;
	bay_line(b, line, sizeof(line));
	out_text("%s\n", line);
}

/* Cut a line to what the terminal is wide, between two characters. */
static size_t
fit(char *line, size_t columns)
{
	size_t at = 0, seen = 0;

	while (line[at] != '\0') {
		if (((unsigned char)line[at] & 0xc0) != 0x80 && seen++ == columns)
			break;
		at++;
	}
	line[at] = '\0';
	return at;
}

static size_t
terminal_columns(void)
{
	struct winsize w;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 1 ? (size_t)w.ws_col - 1 : 79;
}

static void
paint(void *arg, const struct bay_view *bays, size_t n)
{
	struct desk_out *d = arg;
	char table[TABLE_MAX], line[SAFE * 5];
	size_t at = 0, columns = terminal_columns();

	if (!d->table)
		return;
	table[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		size_t len;

		bay_line(&bays[i], line, sizeof(line));
		len = fit(line, columns);
		if (at + len + 2 > sizeof(table))
			break;
		at += (size_t)snprintf(table + at, sizeof(table) - at, "%s%s", at == 0 ? "" : "\n", line);
	}
	if (at == 0)
		(void)snprintf(table, sizeof(table), "no disk in any bay");
	if (strcmp(table, d->last) == 0)
		return;
	memcpy(d->last, table, sizeof(table));
	say_sticky(table);
}

static void
emit_summary(const struct dock_result *r)
{
	struct out *j = out_object("summary");

	out_u64(j, "removed", r->removed);
	out_u64(j, "attention", r->attention);
	out_emit(j);
}

int
import_dock(struct args *a, struct err *e)
{
	struct desk_out d = { .table = 0 };
	struct dock_options o = { .changed = bay_changed, .tick = paint, .arg = &d };
	struct dock_result r;
	uint64_t jobs = 0;
	const struct opt opts[] = {
		{ "jobs", 'j', OPT_NUMBER, &jobs, "N", "threads that check; by default one a processor" },
		{ "once", 0, OPT_FLAG, &o.once, NULL, "end when what is plugged in is done with" },
		{ NULL, 0, 0, NULL, NULL, NULL }
	};
	int rc = args_parse(a, opts, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (jobs > 1024)
		return err_set(e, ERR_USAGE, "--jobs takes a number up to 1024");
	if (a->dry_run)
		return err_set(e, ERR_USAGE, "a desk cannot be run dry; see receive --dry-run and ingest --dry-run");
	o.where.dir = import_vaults();
	o.where.vault = getenv("SAMARA_VAULT");
	if (o.where.vault != NULL && *o.where.vault == '\0')
		o.where.vault = NULL;
	o.places = a->operands;
	o.nplaces = a->n;
	o.jobs = (unsigned)jobs;
	o.memory = a->memory;
	d.table = isatty(STDERR_FILENO) && isatty(STDOUT_FILENO) && !out_is_json() && say_level_get() != SAY_QUIET;
	(void)setvbuf(stdout, NULL, _IOLBF, 0);	/* a line is read as it comes, also in a pipe */
	rc = dock_run(&o, &r, e);
	if (d.table)
		say_sticky(NULL);
	if (rc != 0)
		return -1;
	emit_summary(&r);
	return r.attention > 0 && o.once ? EXIT_NOT_ALL : 0;
}
