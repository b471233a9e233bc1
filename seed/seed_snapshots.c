#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/out.h"
#include "common/flow/image_state.h"
#include "seed/seed_commands.h"
#include "seed/seed_read.h"
#include "seed/seed_state.h"

/* As the machine's own state knows it: on the way with its image. */
static void
state_by_images(struct image_state *const *images, size_t n, const struct snapshot *snap, char out[SEED_STATE_MAX])
{
	(void)snprintf(out, SEED_STATE_MAX, "unknown");
	for (size_t i = 0; i < n; i++) {
		if (memcmp(images[i]->begin.image_id, snap->env.image_id, ID_LEN) != 0)
			continue;
		if (images[i]->cancelled)
			(void)snprintf(out, SEED_STATE_MAX, "cancelled with %s", images[i]->begin.short_name);
		else
			(void)snprintf(out, SEED_STATE_MAX, "pending on %s%s", images[i]->begin.short_name,
			    !image_is_unfinished(images[i]) ? "" : ", which is not sealed");
	}
}

static void
snapshot_print(const struct snapshot *snap, const char *state)
{
	char id[SNAPSHOT_SHORT_LEN], date[HUMAN_MAX], n[HUMAN_MAX];
	const struct envelope *v = &snap->env;
	struct out *o;

	out_text("%-8s  %6llu  %-18s  %-12s  %12s  %s\n", snapshot_short(id, v->snapshot_id), (unsigned long long)v->seq,
	    human_date(date, v->begin_ns / 1000000000), v->set_name, human_count(n, v->refs_count), state);
	o = out_object("snapshot");
	out_bytes(o, "id", v->snapshot_id, ID_LEN);
	out_u64(o, "number", v->seq);
	out_str(o, "set", v->set_name);
	out_i64(o, "begin_ns", v->begin_ns);
	out_i64(o, "end_ns", v->end_ns);
	out_u64(o, "chunks", v->refs_count);
	out_str(o, "state", state);
	out_emit(o);
}

static void
head_print(const struct snapshot_list *l)
{
	if (l->n == 0)
		out_text("no snapshots\n");
	else
		out_text("snapshot  number  begun               set                 chunks  state\n");
}

static void
summary_emit(const struct snapshot_list *l)
{
	struct out *o = out_object("summary");

	out_u64(o, "snapshots", l->n);
	out_emit(o);
}

static int
by_source(const struct args *a, struct seed_read *r, struct err *e)
{
	char state[SEED_STATE_MAX];

	if (seed_read_open(a, r, NULL, e) != 0)
		return -1;
	head_print(&r->s.list);
	for (size_t i = 0; i < r->s.list.n; i++) {
		seed_snapshot_state(r, &r->s.list.snap[i], state);
		snapshot_print(&r->s.list.snap[i], state);
	}
	summary_emit(&r->s.list);
	seed_read_close(r);
	return 0;
}

static int
by_state(const struct args *a, struct err *e)
{
	struct snapshot_list list = { 0 };
	struct image_state **images = NULL;
	struct state *s = seed_state_open(a, e);
	char state[SEED_STATE_MAX];
	size_t n = 0;
	int rc;

	if (s == NULL)
		return -1;
	rc = snapshot_list_state(&list, s, e);
	if (rc == 0)
		rc = seed_images_load(s, &images, &n, e);
	if (rc == 0) {
		head_print(&list);
		for (size_t i = 0; i < list.n; i++) {
			state_by_images(images, n, &list.snap[i], state);
			snapshot_print(&list.snap[i], state);
		}
		summary_emit(&list);
		seed_images_free(images, n);
	}
	snapshot_list_release(&list);
	state_free(s);
	return rc;
}

int
seed_snapshots(struct args *a, struct err *e)
{
	struct seed_read r = { 0 };
	const struct opt opts[] = { SEED_READ_OPTS(&r), { 0 } };
	int rc = args_parse(a, opts, e);

	if (rc != 0)
		return rc == 1 ? 0 : -1;
	if (args_operands(a, 0, 0, e) != 0)
		return -1;
	return r.from.n > 0 || r.kit != NULL ? by_source(a, &r, e) : by_state(a, e);
}
