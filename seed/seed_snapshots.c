#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/out.h"
#include "common/flow/image_state.h"
#include "common/flow/lost_files.h"
#include "common/flow/state.h"
#include "seed/seed_commands.h"
#include "seed/seed_read.h"
#include "seed/seed_state.h"

/* What the machine knows itself: its images, what it gave up, what a set's last snapshot at the vault is. */
struct known {
	struct state *s;
	struct image_state **images;
	size_t n;
};

/* "partial (1 file lost)", or "whole". */
static int
settled(struct known *k, uint64_t seq, char out[SEED_STATE_MAX], struct err *e)
{
	uint64_t lost;

	if (lost_files_count(k->s, seq, &lost, e) != 0)
		return -1;
	if (lost == 0)
		(void)snprintf(out, SEED_STATE_MAX, "whole");
	else
		(void)snprintf(out, SEED_STATE_MAX, "partial (%llu file%s lost)", (unsigned long long)lost, lost == 1 ? "" : "s");
	return 0;
}

static int
state_by_image(struct known *k, const struct image_state *im, const struct snapshot *snap, char out[SEED_STATE_MAX], struct err *e)
{
	const char *name = im->begin.short_name;
	uint64_t lost = 0;

	if (im->answer_bytes != NULL)
		return settled(k, snap->env.seq, out, e);
	if (im->cancelled || im->lost) {
		(void)snprintf(out, SEED_STATE_MAX, "%s with %s", im->cancelled ? "cancelled" : "lost", name);
		return 0;
	}
	/* Something of it was given up: its disks are there. */
	if (lost_files_count(k->s, snap->env.seq, &lost, e) != 0)
		return -1;
	if (lost > 0)
		return settled(k, snap->env.seq, out, e);
	(void)snprintf(out, SEED_STATE_MAX, "pending on %s%s", name, !image_is_unfinished(im) ? "" : ", which is not sealed");
	return 0;
}

/* One that went over the line: it may need what an image before it promises. */
static int
state_by_line(struct known *k, const struct snapshot *snap, char out[SEED_STATE_MAX], struct err *e)
{
	uint64_t latest;

	if (set_latest(k->s, snap->env.set_name, &latest, e) != 0)
		return -1;
	if (snap->env.seq > latest) {
		(void)snprintf(out, SEED_STATE_MAX, "not at the vault yet");
		return 0;
	}
	for (size_t i = k->n; i-- > 0;) {
		const struct image_state *im = k->images[i];

		if (image_counts(im) && im->answer_bytes == NULL && im->envelope.seq != 0 && im->envelope.seq < snap->env.seq) {
			(void)snprintf(out, SEED_STATE_MAX, "pending on %s", im->begin.short_name);
			return 0;
		}
	}
	return settled(k, snap->env.seq, out, e);
}

static int
state_of(struct known *k, const struct snapshot *snap, char out[SEED_STATE_MAX], struct err *e)
{
	static const uint8_t none[ID_LEN];

	if (memcmp(snap->env.image_id, none, ID_LEN) == 0)
		return state_by_line(k, snap, out, e);
	(void)snprintf(out, SEED_STATE_MAX, "unknown");
	for (size_t i = 0; i < k->n; i++)
		if (memcmp(k->images[i]->begin.image_id, snap->env.image_id, ID_LEN) == 0)
			return state_by_image(k, k->images[i], snap, out, e);
	return 0;
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
	struct known k = { .s = seed_state_open(a, e) };
	char state[SEED_STATE_MAX];
	int rc;

	if (k.s == NULL)
		return -1;
	rc = snapshot_list_state(&list, k.s, e);
	if (rc == 0)
		rc = seed_images_load(k.s, &k.images, &k.n, e);
	if (rc == 0)
		head_print(&list);
	for (size_t i = 0; i < list.n && rc == 0; i++)
		if ((rc = state_of(&k, &list.snap[i], state, e)) == 0)
			snapshot_print(&list.snap[i], state);
	if (rc == 0)
		summary_emit(&list);
	seed_images_free(k.images, k.n);
	snapshot_list_release(&list);
	state_free(k.s);
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
