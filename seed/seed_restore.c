#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/out.h"
#include "common/base/text.h"
#include "common/flow/job.h"
#include "common/flow/state.h"
#include "common/walk/owner.h"
#include "formats/fmt_line_read.h"
#include "seed/seed_commands.h"
#include "seed/seed_restoring.h"
#include "seed/seed_standing.h"
#include "seed/seed_state.h"

static void
item_told(void *arg, struct fmt_view path, const struct err *why)
{
	char safe[2048];
	struct restoring *g = arg;
	struct out *o;

	(void)text_safe(safe, sizeof(safe), path.p, path.len);
	say_warn("%s: %s", safe, why->msg);
	if (g->job != NULL)
		job_warn(g->job, "%s: %s", safe, why->msg);
	o = out_object("item");
	out_name(o, "path", path.p, path.len);
	out_str(o, "message", why->msg);
	out_emit(o);
}

static int
overwrite_parse(struct restoring *g, struct err *e)
{
	static const char *const words[] = { "never", "if-different", "always" };

	g->o.overwrite = -1;
	if (g->overwrite == NULL)
		return 0;
	for (int i = 0; i < 3; i++)
		if (strcmp(g->overwrite, words[i]) == 0)
			g->o.overwrite = i;
	return g->o.overwrite >= 0 ? 0 : err_set(e, ERR_USAGE, "--overwrite is never, if-different or always");
}

/* Names of the disks that will be asked for. */
static void
disks_print(const struct restoring *g)
{
	struct buf b;

	buf_init(&b);
	for (size_t i = 0; i < g->disks.n; i++)
		if (!g->disks.disk[i].here && g->disks.disk[i].done == RESTORE_DISK_NEW)
			buf_print(&b, "%s%s", b.len > 0 ? ", " : "", g->disks.disk[i].name);
	buf_u8(&b, 0);
	if (b.len > 1 && buf_check(&b, NULL) == 0)
		out_text("still away  %s: asked for when needed\n", (const char *)b.p);
	buf_release(&b);
}

#define DISK_RATE	(100u << 20)	/* bytes a second, where it is not known: a disk on USB */
#define DAY_NS		(INT64_C(86400) * 1000000000)

/* How long ${bytes} from container ${c} take, nanoseconds; 0: nobody knows. */
static int64_t
part_time(const struct restoring *g, const struct container *c, uint64_t bytes)
{
	uint64_t rate = c->is_line ? g->read.s.line_rate : DISK_RATE;

	return rate == 0 ? 0 : (int64_t)((double)bytes / (double)rate * 1e9);
}

/* One place that bytes come from. */
static void
part_print(const struct restoring *g, const struct restore_plan *p, size_t i)
{
	const struct container *c = source_container(g->read.s.source, i);
	char size[HUMAN_MAX], time[HUMAN_MAX], rate[HUMAN_MAX];
	int64_t ns = part_time(g, c, p->bytes[i]);
	struct out *o = out_object("from");

	if (c->is_line && ns > 0)
		out_text("from        %s: %s%s, %s at %s\n", c->name, p->about ? "about " : "", human_size(size, p->bytes[i]),
		    human_duration(time, ns), human_rate(rate, g->read.s.line_rate, 1000000000));
	else if (c->is_line)
		out_text("from        %s: %s%s, at a rate that is not known yet\n", c->name, p->about ? "about " : "",
		    human_size(size, p->bytes[i]));
	else
		out_text("from        %s: %s%s, about %s\n", c->name, human_size(size, p->bytes[i]),
		    source_line(g->read.s.source) == NULL && (g->o.nonly > 0 || strcmp(g->root, "/") != 0) ? " at most" : "",
		    human_duration(time, ns));
	out_str(o, "place", c->name);
	out_bool(o, "line", c->is_line);
	out_u64(o, "bytes", p->bytes[i]);
	out_bool(o, "about", p->about);
	if (ns > 0)
		out_u64(o, "ns", (uint64_t)ns);
	out_emit(o);
}

/* More than a day on the line: there is another way. */
static void
export_name(const struct restoring *g, const struct restore_plan *p, size_t i)
{
	const struct container *c = source_container(g->read.s.source, i);
	const struct keyring *k = g->read.s.keys;
	char id[SNAPSHOT_SHORT_LEN], time[HUMAN_MAX];

	if (!c->is_line || part_time(g, c, p->bytes[i]) <= DAY_NS)
		return;
	out_text("That is %s on the line. A disk is faster: the operator of vault %s writes one, without a key, with\n"
	    "    samara-import export %s --machine %s --snapshot %s --to DISK\n"
	    "and this command restores from it: --from DISK --from line.\n", human_duration(time, part_time(g, c, p->bytes[i])),
	    k->vault_name, k->vault_name, k->machine_name, snapshot_short(id, g->read.snap->env.snapshot_id));
}

/* What the vault says is not there, and why. */
static void
state_print(const struct restoring *g)
{
	const struct snap_place *line = snapshot_on_line(g->read.s.source, g->read.snap);
	char state[SEED_STATE_MAX];

	if (line == NULL || line->state == LINE_WHOLE)
		return;
	seed_snapshot_state(&g->read, g->read.snap, state);
	out_text("state       %s\n", state);
	switch (line->state) {
	case LINE_PENDING:
		say_warn("the vault waits for what image %s carries: files that need it are named below and not brought back now. "
		    "With the image's disks (--from DISK --from line), or once they are ingested, the same command brings them too",
		    line->image[0] != '\0' ? line->image : "on its way");
		break;
	case LINE_PARTIAL:
		say_warn("some of this snapshot was lost and given up by this machine: the files are named below");
		break;
	case LINE_GAP:
		say_warn("the vault lacks chunks of this snapshot: the files that need them are named below; samara-seed refill, "
		    "on the machine itself, makes those again that can still be made");
		break;
	default:
		break;
	}
}

/* Of the whole snapshot, or of what was named where the line can be asked for just that. */
static int
plan_make(struct restoring *g, struct restore_plan *p, struct err *e)
{
	const char *const root[1] = { g->root };
	int whole = g->o.nonly == 0 && strcmp(g->root, "/") == 0;

	if (whole || source_line(g->read.s.source) == NULL)
		return restore_plan(g->read.s.source, g->read.snap, p, e);
	return restore_plan_paths(g->read.s.source, g->read.snap, g->read.s.keys, g->o.nonly > 0 ? g->o.only : root,
	    g->o.nonly > 0 ? g->o.nonly : 1, p, e);
}

static void
head_print(const struct restoring *g)
{
	const struct envelope *env = &g->read.snap->env;
	char id[SNAPSHOT_SHORT_LEN], date[HUMAN_MAX];

	out_text("snapshot    %s, number %llu, of %s, set %s\n", snapshot_short(id, env->snapshot_id),
	    (unsigned long long)env->seq, human_date(date, env->begin_ns / 1000000000), env->set_name);
	state_print(g);
}

/* Before the first byte: what, and where from. */
static int
plan_print(struct restoring *g, const struct args *a, struct err *e)
{
	struct restore_plan p = { .bytes = calloc(source_containers(g->read.s.source), sizeof(*p.bytes)) };
	size_t n = source_containers(g->read.s.source);
	char count[HUMAN_MAX];
	struct err own;
	int known;

	if (p.bytes == NULL)
		return err_set(e, ERR_MEMORY, "no memory");
	err_clear(&own);
	known = plan_make(g, &p, &own) == 0;
	if (!known && (own.code == ERR_INTERRUPTED || own.code == ERR_MEMORY || own.code == ERR_LINE)) {
		free(p.bytes);
		*e = own;
		return -1;
	}
	if (!known && own.code != ERR_NOT_FOUND)
		say_warn("what comes from where is not known: %s", own.msg);
	if (restoring_disks(g, a, known ? p.missing : 0, e) != 0) {
		free(p.bytes);
		return -1;
	}
	head_print(g);
	for (size_t i = 0; i < source_containers(g->read.s.source); i++) {
		if (known && i < n)
			part_print(g, &p, i);
		else
			out_text("from        %s\n", source_container(g->read.s.source, i)->name);
	}
	for (size_t i = 0; known && i < n && i < source_containers(g->read.s.source); i++)
		export_name(g, &p, i);
	if (g->follow)
		disks_print(g);
	else if (p.missing > 0)
		say_warn("%s%s chunks of this snapshot are in none of these places; each file that needs one is named. "
		    "Give the disks of earlier images, or a vault that has them, with --from", p.about ? "about " : "",
		    human_count(count, p.missing));
	free(p.bytes);
	return 0;
}

/* What could not be set, and why. */
static void
missed_print(const struct restore_report *r)
{
	char n[HUMAN_MAX], attribute[XATTR_NAME_MAX_LEN * 4 + 4];

	for (int part = 0; part < META_PARTS; part++) {
		if (r->meta.missed[part] == 0)
			continue;
		(void)text_safe(attribute, sizeof(attribute), r->meta.xattr, strlen(r->meta.xattr));
		out_text("not set     %s of %s: %s%s%s%s\n", meta_part_text((enum meta_part)part),
		    human_count(n, r->meta.missed[part]), strerror(r->meta.sys[part]), part == META_XATTR ? " (the first was " : "",
		    part == META_XATTR ? attribute : "", part == META_XATTR ? ")" : "");
	}
}

static void
summary_emit(const struct restore_report *r, int64_t ns)
{
	struct out *o = out_object("summary");

	out_u64(o, "files", r->files);
	out_u64(o, "directories", r->dirs);
	out_u64(o, "symlinks", r->symlinks);
	out_u64(o, "links", r->links);
	out_u64(o, "others", r->others);
	out_u64(o, "bytes", r->bytes);
	out_u64(o, "same", r->same);
	out_u64(o, "left", r->left);
	out_u64(o, "elsewhere", r->elsewhere);
	out_u64(o, "failed", r->failed);
	out_u64(o, "damaged", r->damaged);
	out_u64(o, "compared", r->compared);
	out_u64(o, "compare_to", r->compare_to);
	for (int part = 0; part < META_PARTS; part++)
		if (r->meta.missed[part] > 0)
			out_u64(o, meta_part_text((enum meta_part)part), r->meta.missed[part]);
	out_u64(o, "ns", (uint64_t)ns);
	out_emit(o);
}

static int
report_print(const struct restoring *g, const struct restore_report *r, int64_t ns)
{
	char files[HUMAN_MAX], size[HUMAN_MAX], rate[HUMAN_MAX], time[HUMAN_MAX], n[HUMAN_MAX], m[HUMAN_MAX];

	out_text("%s %s files, %s, in %s (%s)", g->o.dry_run ? "would restore" : "restored", human_count(files, r->files),
	    human_size(size, r->bytes), human_duration(time, ns), human_rate(rate, r->bytes, ns));
	out_text("; %s directories", human_count(n, r->dirs));
	out_text(", %s symlinks", human_count(n, r->symlinks));
	out_text(", %s hard links", human_count(n, r->links));
	out_text(", %s others\n", human_count(n, r->others));
	if (r->same > 0)
		out_text("%s files were there already, the same\n", human_count(n, r->same));
	if (r->unlinked > 0)
		out_text("%s names of linked files became files of their own\n", human_count(n, r->unlinked));
	missed_print(r);
	if (r->elsewhere > 0)
		out_text("from later  %s of the files lay in chunks that are lost, and came out of later snapshots; each is named above\n",
		    human_count(n, r->elsewhere));
	if (r->left > 0)
		out_text("LEFT ALONE  %s that were there already; each is named above\n", human_count(n, r->left));
	if (r->failed > 0)
		out_text("NOT BACK    %s; each is named above\n", human_count(n, r->failed));
	if (!g->o.dry_run)
		out_text("compared: %s of %s\n", human_count(n, r->compared), human_count(m, r->compare_to));
	summary_emit(r, ns);
	if (r->damaged > 0)
		return err_exit(ERR_DAMAGE);
	return r->failed > 0 || r->left > 0 ? err_exit(ERR_INCOMPLETE) : 0;
}

/* Root and paths, from what was said. */
static int
paths_resolve(struct restoring *g, struct args *a, struct err *e)
{
	if ((g->root = seed_read_path(&g->read, NULL, e)) == NULL)
		return -1;
	g->o.root = g->root;
	g->o.nonly = a->n - 1;
	if ((g->only = calloc(a->n, sizeof(char *))) == NULL)
		return err_set(e, ERR_MEMORY, "no memory");
	for (size_t i = 0; i < g->o.nonly; i++)
		if ((g->only[i] = seed_read_path(&g->read, a->operands[i + 1], e)) == NULL)
			return -1;
	g->o.only = (const char *const *)g->only;
	return 0;
}

/* A record of it where the machine is registered; a restore does not fail for want of one. */
static void
job_begin(struct restoring *g, const struct args *a)
{
	char id[SNAPSHOT_SHORT_LEN], what[4200];
	struct state *s;
	struct err own;

	if (g->read.kit != NULL || g->o.dry_run)
		return;
	err_clear(&own);
	(void)snprintf(what, sizeof(what), "snapshot %s into %s%s", snapshot_short(id, g->read.snap->env.snapshot_id), g->o.to,
	    g->stopped ? ", though restores are stopped: the subscription was ended" : "");
	if ((s = seed_state_open(a, &own)) == NULL || (g->job = job_start(s, "restore", what, &own)) == NULL)
		say_warn("this restore is not kept among the jobs: %s", own.msg);
	state_free(s);
}

/* How it ended: ${status} with ${r}, or -1 with ${e}. */
static void
job_finish(struct restoring *g, const struct restore_report *r, int status, const struct err *e)
{
	char text[256], n[HUMAN_MAX], size[HUMAN_MAX];

	if (g->job == NULL)
		return;
	if (status == 0)
		(void)snprintf(text, sizeof(text), "restored %s files, %s", human_count(n, r->files), human_size(size, r->bytes));
	else
		(void)snprintf(text, sizeof(text), "%s files restored; %llu not back, %llu left alone", human_count(n, r->files),
		    (unsigned long long)r->failed, (unsigned long long)r->left);
	job_end(g->job, status < 0 ? err_exit(e->code) : status, status < 0 ? e->msg : text);
}

static int
restore_opened(struct restoring *g, struct args *a, struct err *e)
{
	struct restore_report r = { 0 };
	int64_t begin = io_mono_ns();
	int rc;

	if (paths_resolve(g, a, e) != 0)
		return -1;
	g->o.source = g->read.s.source;
	g->o.keys = g->read.s.keys;
	g->o.snap = g->read.snap;
	g->o.list = &g->read.s.list;
	g->o.tell = item_told;
	g->o.arg = g;
	if (plan_print(g, a, e) != 0)
		return -1;
	if (g->by_name && (g->o.by_name = owner_names_new()) == NULL)
		return err_set(e, ERR_MEMORY, "no memory");
	job_begin(g, a);
	if ((rc = restoring_run(g, a, &r, e)) != 0) {
		if (e->code == ERR_INTERRUPTED)
			(void)err_next(e, "The same command goes on: what is there already is not written again.");
	} else {
		rc = report_print(g, &r, io_mono_ns() - begin);
	}
	job_finish(g, &r, rc, e);
	return rc;
}

int
seed_restore(struct args *a, struct err *e)
{
	struct restoring g = { .keep = { .fd = -1 } };
	char *name;
	const struct opt opts[] = {
		SEED_READ_OPTS(&g.read),
		{ "to", 0, OPT_STR, &g.o.to, "DIR", "the directory to restore into" },
		{ "in-place", 0, OPT_FLAG, &g.in_place, NULL, "restore to where it came from" },
		{ "overwrite", 0, OPT_STR, &g.overwrite, "WHEN", "never, if-different or always; needed where DIR is not empty" },
		{ "owners-by-name", 0, OPT_FLAG, &g.by_name, NULL, "owners by their names where they are known here" },
		{ "no-more-disks", 0, OPT_FLAG, &g.no_more_disks, NULL, "ask for no disk: bring back what those given have" },
		{ "even-if-stopped", 0, OPT_FLAG, &g.even, NULL, SEED_EVEN_IF_STOPPED },
		{ "jobs", 0, OPT_NUMBER, &g.jobs, "N", "threads; one a processor if not given" },
		{ 0 },
	};
	int rc = args_parse(a, opts, e);

	if (rc != 0)
		return rc == 1 ? 0 : -1;
	if (args_operands(a, 1, 100000, e) != 0 || overwrite_parse(&g, e) != 0)
		return -1;
	if (g.in_place)
		g.o.to = g.o.to == NULL ? "/" : NULL;
	if (g.o.to == NULL)
		return err_set(e, ERR_USAGE, "say with --to where to restore, or --in-place");
	g.o.workers = g.jobs > 256 ? 256 : (unsigned)g.jobs;
	g.o.dry_run = a->dry_run;
	if ((name = restoring_name(&g, a->operands[0], e)) == NULL)
		return -1;
	(void)snprintf(g.kept, sizeof(g.kept), "%s/" RESTORE_KEEP_NAME, g.o.to);
	g.read.kept = g.keep.fd != -1 ? g.kept : NULL;
	rc = seed_read_open(a, &g.read, name, e);
	free(name);
	if (rc != 0) {
		restore_keep_close(&g.keep);
		return e->code != ERR_NO_SNAPSHOT ? -1 :
		    err_next(e, "see samara-seed snapshots; it stands on the last disk of its image: begin with that one");
	}
	if ((rc = seed_standing(a, &g.read, g.even, NULL, e)) >= 0) {
		g.stopped = rc == 1;
		rc = restore_opened(&g, a, e);
	}
	for (size_t i = 0; g.only != NULL && i < g.o.nonly; i++)
		free(g.only[i]);
	free(g.only);
	free(g.root);
	owner_names_free(g.o.by_name);
	restore_disks_release(&g.disks);
	restore_keep_close(&g.keep);
	seed_read_close(&g.read);
	return rc;
}
