#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/log.h"
#include "common/base/out.h"
#include "common/base/text.h"
#include "common/flow/listing_diff.h"
#include "common/pack/listing_read.h"
#include "seed/seed_commands.h"
#include "seed/seed_read.h"

#define PATH_SAFE_MAX	((size_t)(PATH_LEN_MAX + NAME_LEN_MAX) * 4 + 8)

struct differing {
	struct seed_read read;
	int metadata;
	char *safe;
	uint64_t added, removed, changed, meta;
	uint64_t added_bytes, removed_bytes;
};

static const char *
kind_word(enum diff_kind k)
{
	switch (k) {
	case DIFF_ADDED:
		return "added";
	case DIFF_REMOVED:
		return "removed";
	case DIFF_TYPE:
		return "type";
	case DIFF_META:
		return "metadata";
	default:
		return "changed";
	}
}

static int
difference(void *arg, enum diff_kind kind, struct fmt_view path, const struct entry *a, const struct entry *b, struct err *e)
{
	struct differing *d = arg;
	const struct entry *en = b != NULL ? b : a;
	struct out *o;

	(void)e;
	d->added += kind == DIFF_ADDED;
	d->removed += kind == DIFF_REMOVED;
	d->changed += kind == DIFF_CHANGED || kind == DIFF_TYPE;
	d->meta += kind == DIFF_META;
	if (kind != DIFF_META) {
		d->removed_bytes += a != NULL ? a->size : 0;
		d->added_bytes += b != NULL ? b->size : 0;
	}
	if (kind == DIFF_META && !d->metadata)
		return 0;
	out_text("%c  /%s%s\n", (char)kind, text_safe(d->safe, PATH_SAFE_MAX, path.p, path.len), en->type == ENTRY_DIR ? "/" : "");
	if ((o = out_object("difference")) != NULL) {
		out_str(o, "kind", kind_word(kind));
		out_name(o, "path", path.p, path.len);
		out_bool(o, "directory", en->type == ENTRY_DIR);
		if (a != NULL)
			out_u64(o, "size_before", a->size);
		if (b != NULL)
			out_u64(o, "size", b->size);
		out_emit(o);
	}
	return 0;
}

static void
summary(const struct differing *d)
{
	char n[4][HUMAN_MAX], size[2][HUMAN_MAX];
	struct out *o;

	out_text("%s added, %s removed, %s changed, %s with other attributes; %s more, %s less\n", human_count(n[0], d->added),
	    human_count(n[1], d->removed), human_count(n[2], d->changed), human_count(n[3], d->meta),
	    human_size(size[0], d->added_bytes), human_size(size[1], d->removed_bytes));
	o = out_object("summary");
	out_u64(o, "added", d->added);
	out_u64(o, "removed", d->removed);
	out_u64(o, "changed", d->changed);
	out_u64(o, "metadata", d->meta);
	out_u64(o, "added_bytes", d->added_bytes);
	out_u64(o, "removed_bytes", d->removed_bytes);
	out_emit(o);
}

/* The directory ${path} is in the snapshot, and is one. */
static int
top_check(const struct diff_side *s, struct err *e)
{
	const struct snapshot_root *root = &s->snap->root;
	struct fmt_view path = view_of(s->top, strlen(s->top));
	uint8_t copy[ENTRY_LEN_MAX + 16];
	struct entry en;
	char safe[512];
	int rc;

	if (path.len <= 1)
		return 0;
	if ((rc = listing_find(root->top_id, root->levels, source_get, s->reader, path, &en, copy, e)) < 0)
		return -1;
	(void)text_safe(safe, sizeof(safe), path.p, path.len);
	if (rc == 0)
		return err_set(e, ERR_NOT_FOUND, "%s is not in snapshot %llu", safe, (unsigned long long)s->snap->snap->env.seq);
	return en.type == ENTRY_DIR ? 0 : err_set(e, ERR_USAGE, "%s is no directory", safe);
}

static int
opened_compare(struct differing *d, const struct snapshot *const snap[2], char *const path[2], struct err *e)
{
	struct session *s = &d->read.s;
	struct open_snapshot open[2];
	struct diff_side side[2] = { { .top = path[0] }, { .top = path[1] } };
	int opened = 0, rc = 0;

	side[0].reader = s->reader;
	if ((side[1].reader = source_reader_new(s->source, e)) == NULL)
		return -1;
	for (; rc == 0 && opened < 2; opened += rc == 0) {
		rc = snapshot_open(&open[opened], s->source, side[opened].reader, snap[opened], s->keys, e);
		side[opened].snap = &open[opened];
		if (rc == 0 && (rc = top_check(&side[opened], e)) != 0)
			snapshot_close(&open[opened]);
	}
	if (rc == 0 && (rc = listing_diff(&side[0], &side[1], difference, d, e)) == 0)
		summary(d);
	while (opened-- > 0)
		snapshot_close(&open[opened]);
	source_reader_free(side[1].reader);
	return rc;
}

static int
two_compare(struct differing *d, const struct args *a, struct err *e)
{
	const struct snapshot *snap[2], *newer;
	char *path[2] = { NULL, NULL };
	int rc = 0;

	for (int i = 0; rc == 0 && i < 2; i++) {
		rc = snapshot_pick(&d->read.s.list, d->read.s.source, a->operands[i], &snap[i], &path[i], &newer, e);
		for (size_t n = rc == 0 ? strlen(path[i]) : 0; n > 1 && path[i][n - 1] == '/'; n--)
			path[i][n - 1] = '\0';
		if (rc == 0 && !path_is_valid(view_of(path[i], strlen(path[i]))))
			rc = err_set(e, ERR_USAGE, "%s: the path is not an absolute one without \".\", \"..\" and double slashes",
			    a->operands[i]);
	}
	if (rc == 0)
		rc = opened_compare(d, snap, path, e);
	free(path[0]);
	free(path[1]);
	return rc;
}

int
seed_diff(struct args *a, struct err *e)
{
	struct differing d = { 0 };
	const struct opt opts[] = {
		SEED_READ_OPTS(&d.read),
		{ "metadata", 0, OPT_FLAG, &d.metadata, NULL, "name also what has other attributes alone (U)" },
		{ 0 },
	};
	int rc = args_parse(a, opts, e);

	if (rc != 0)
		return rc == 1 ? 0 : -1;
	if (args_operands(a, 2, 2, e) != 0)
		return -1;
	if ((d.safe = malloc(PATH_SAFE_MAX)) == NULL)
		return err_set(e, ERR_MEMORY, "no memory");
	if ((rc = seed_read_open(a, &d.read, NULL, e)) == 0) {
		rc = two_compare(&d, a, e);
		seed_read_close(&d.read);
	}
	free(d.safe);
	return rc;
}
