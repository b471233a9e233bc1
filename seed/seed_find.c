#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/log.h"
#include "common/base/out.h"
#include "common/base/stop.h"
#include "common/base/text.h"
#include "common/flow/path_within.h"
#include "common/pack/listing_read.h"
#include "common/walk/exclude.h"
#include "seed/seed_commands.h"
#include "seed/seed_read.h"

#define PATH_SAFE_MAX	((size_t)(PATH_LEN_MAX + NAME_LEN_MAX) * 4 + 8)

struct finding {
	struct seed_read read;
	struct opt_list in;		/* --snapshot */
	struct exclude *patterns;	/* by the rules of gitignore(5), which excludes have too */
	char *top;			/* nothing above or beside it can match; "/" if nothing is known */
	const struct snapshot *snap;	/* that is searched */
	int headed;			/* it was named */
	char *safe;
	struct buf path;
	uint64_t found, snapshots;
};

/* The directory that a pattern tied to the top lies in: its parts before the first that has a "*", "?", "[" or "\". */
static size_t
pattern_top(const char *p)
{
	size_t special = strcspn(p, "*?[\\"), end = 0;

	if (p[0] != '/')
		return 0;
	for (size_t i = 1; i < special && p[i] != '\0'; i++)
		if (p[i] == '/')
			end = i;
	return end;
}

/* Nothing outside of this directory can match: only where there is one pattern, and one that is tied. */
static int
top_choose(struct finding *f, const struct args *a, struct err *e)
{
	size_t n = a->n == 1 ? pattern_top(a->operands[0]) : 0;

	if ((f->top = n > 0 ? strndup(a->operands[0], n) : strdup("/")) == NULL)
		return err_set(e, ERR_MEMORY, "no memory");
	if (path_is_valid(view_of(f->top, strlen(f->top))))
		return 0;
	f->top[1] = '\0';
	return 0;
}

static void
head_print(struct finding *f)
{
	char id[SNAPSHOT_SHORT_LEN], date[HUMAN_MAX];
	const struct envelope *env = &f->snap->env;

	if (!f->headed)
		out_text("%s%s of %s, set %s:\n", f->snapshots > 0 ? "\n" : "", snapshot_short(id, env->snapshot_id),
		    human_date(date, env->begin_ns / 1000000000), env->set_name);
	f->snapshots += !f->headed;
	f->headed = 1;
}

static void
entry_found(struct finding *f, const struct entry *en)
{
	static const char *const kinds[] = { "?", "file", "directory", "symlink", "fifo", "character device", "block device" };
	struct out *o;

	head_print(f);
	out_text("%12llu  %s%s\n", (unsigned long long)en->size, text_safe(f->safe, PATH_SAFE_MAX, f->path.p, f->path.len),
	    en->type == ENTRY_DIR ? "/" : "");
	if ((o = out_object("match")) != NULL) {
		out_bytes(o, "snapshot", f->snap->env.snapshot_id, ID_LEN);
		out_name(o, "path", f->path.p, f->path.len);
		out_str(o, "kind", kinds[en->type]);
		out_u64(o, "size", en->size);
		out_i64(o, "mtime", en->mtime_s);
		out_emit(o);
	}
	f->found++;
}

static int
entry_look(struct finding *f, struct fmt_view dir, const struct entry *en, struct err *e)
{
	buf_reset(&f->path);
	if (dir.len > 1)
		buf_add(&f->path, dir.p, dir.len);
	buf_u8(&f->path, '/');
	buf_add(&f->path, en->name.p, en->name.len);
	if (buf_check(&f->path, e) != 0)
		return -1;
	if (exclude_match(f->patterns, (const char *)f->path.p + 1, f->path.len - 1, en->type == ENTRY_DIR))
		entry_found(f, en);
	return stop_check(e);
}

static int
listing_look(struct finding *f, const struct open_snapshot *o, struct err *e)
{
	struct listing_reader *r = listing_reader_new(o->root.top_id, o->root.levels, source_get, f->read.s.reader, NULL, NULL);
	struct fmt_view dir, top = view_of(f->top, strlen(f->top));
	struct entry en;
	int rc;

	if (r == NULL)
		return err_set(e, ERR_MEMORY, "no memory to read a listing");
	rc = top.len > 1 ? listing_reader_seek(r, top, e) : 0;
	while (rc == 0 && (rc = listing_reader_next(r, &dir, &en, e)) > 0) {
		if (rc == 2 && !path_is_within(dir, top)) {
			rc = 0;
			break;
		}
		rc = rc == 2 ? 0 : entry_look(f, dir, &en, e);
	}
	listing_reader_free(r);
	return rc;
}

/* One that cannot be read is told of, and the others are searched.  0, 1 told, -1. */
static int
snapshot_look(struct finding *f, const struct snapshot *snap, struct err *e)
{
	struct open_snapshot open;
	struct err own;
	int rc;

	f->snap = snap;
	f->headed = 0;
	err_clear(&own);
	if ((rc = snapshot_open(&open, f->read.s.source, f->read.s.reader, snap, f->read.s.keys, &own)) == 0) {
		rc = listing_look(f, &open, &own);
		snapshot_close(&open);
	}
	if (rc == 0)
		return 0;
	if (own.code == ERR_INTERRUPTED || own.code == ERR_MEMORY || own.code == ERR_LINE) {
		*e = own;
		return -1;
	}
	say_warn("snapshot %llu could not be searched to its end: %s", (unsigned long long)snap->env.seq, own.msg);
	return 1;
}

/* Is it one of those that were named? */
static int
is_wanted(struct finding *f, const struct snapshot *snap, struct err *e)
{
	const struct snapshot *at, *newer;
	char *path;

	for (size_t i = 0; i < f->in.n; i++) {
		if (snapshot_pick(&f->read.s.list, f->read.s.source, f->in.v[i], &at, &path, &newer, e) != 0)
			return -1;
		free(path);
		if (at == snap)
			return 1;
	}
	return f->in.n == 0;
}

static int
all_look(struct finding *f, struct err *e)
{
	int lost = 0, rc;
	struct out *o;

	for (size_t i = 0; i < f->read.s.list.n; i++) {
		if ((rc = is_wanted(f, &f->read.s.list.snap[i], e)) == 1 &&
		    (rc = snapshot_look(f, &f->read.s.list.snap[i], e)) == 1)
			lost++;
		if (rc < 0)
			return -1;
	}
	if (f->found == 0)
		say_info("nothing found");
	o = out_object("summary");
	out_u64(o, "found", f->found);
	out_u64(o, "snapshots", f->snapshots);
	out_emit(o);
	return lost > 0 ? err_exit(ERR_INCOMPLETE) : 0;
}

int
seed_find(struct args *a, struct err *e)
{
	struct finding f = { 0 };
	const struct opt opts[] = {
		SEED_READ_OPTS(&f.read),
		{ "snapshot", 0, OPT_LIST, &f.in, "SNAP", "search this one; may be repeated; all if not given" },
		{ 0 },
	};
	int rc = args_parse(a, opts, e);

	if (rc != 0)
		return rc == 1 ? 0 : -1;
	if (args_operands(a, 1, 1000, e) != 0)
		return -1;
	buf_init(&f.path);
	f.patterns = exclude_new();
	f.safe = malloc(PATH_SAFE_MAX);
	rc = f.patterns == NULL || f.safe == NULL ? err_set(e, ERR_MEMORY, "no memory") : top_choose(&f, a, e);
	for (size_t i = 0; rc == 0 && i < a->n; i++)
		rc = exclude_add(f.patterns, a->operands[i], strlen(a->operands[i]), e);
	if (rc == 0 && !exclude_any(f.patterns))
		rc = err_set(e, ERR_USAGE, "the pattern says nothing");
	if (rc == 0 && (rc = seed_read_open(a, &f.read, NULL, e)) == 0) {
		rc = all_look(&f, e);
		seed_read_close(&f.read);
	}
	exclude_free(f.patterns);
	free(f.safe);
	free(f.top);
	buf_release(&f.path);
	return rc;
}
