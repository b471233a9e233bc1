#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/io.h"
#include "common/base/out.h"
#include "common/crypto/sign.h"
#include "common/flow/image_state.h"
#include "common/flow/line_note.h"
#include "common/flow/line_read.h"
#include "common/flow/line_usual.h"
#include "common/flow/lost_files.h"
#include "common/flow/state.h"
#include "formats/fmt_line_machine.h"
#include "seed/seed_commands.h"
#include "seed/seed_read.h"
#include "seed/seed_state.h"

/* What the vault says of a snapshot. */
struct vault_row {
	uint8_t id[ID_LEN];
	uint64_t seq;
	struct snap_place place;
};

/* What the machine knows itself: its images, what it gave up, what a set's last snapshot at the vault is; and what the vault says. */
struct known {
	struct state *s;
	struct image_state **images;
	size_t n;
	struct snapshot_list list;
	struct vault_row *rows;
	size_t nrows;
	bool asked;			/* the vault answered; else: */
	struct err why;			/* it has an address, and did not (ERR_NONE: it has none) */
	int64_t when;			/* of the answer by the vault's clock, or of the last contact, seconds; 0: never */
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

/* --- the vault --- */

static int
row_take(void *arg, const struct line_snapshot *line, struct err *e)
{
	struct known *k = arg;
	struct envelope env;
	struct vault_row *more, *row;
	uint64_t lost;

	/* An envelope that this machine did not sign is shown by --from line alone, which proves it. */
	if (statement_open(&envelope_schema, &env, line->envelope.p, line->envelope.len, k->s->machine_pub, NULL) != 0)
		return 0;
	if (lost_files_count(k->s, line->seq, &lost, e) != 0)
		return -1;
	if ((more = realloc(k->rows, (k->nrows + 1) * sizeof(*more))) == NULL)
		return err_errno(e, "snapshots");
	k->rows = more;
	row = &k->rows[k->nrows++];
	memset(row, 0, sizeof(*row));
	memcpy(row->id, env.snapshot_id, ID_LEN);
	row->seq = line->seq;
	row->place.state = line->state;
	row->place.flags = line->flags;
	row->place.missing = line->missing;
	row->place.given_up = line->given_up;
	row->place.files_lost = lost;
	memcpy(row->place.image, line->image, sizeof(row->place.image));
	return 0;
}

/* When the vault was last heard of, where the key that knows is at hand. */
static int64_t
last_contact(struct state *s)
{
	struct domain_keys *keys = state_keeps_key(s) ? state_keys(s, NULL) : NULL;
	struct line_note note;
	int64_t when = 0;

	if (keys != NULL && line_note_load(s, keys, &note, NULL) == 0)
		when = note.last_contact;
	domain_keys_free(keys);
	return when;
}

/* Is anybody there?  The time by the vault's clock, or -1 with the reason. */
static int
vault_greet(struct known *k)
{
	struct line_usual *u = line_usual_glance(k->s, &k->why);
	int64_t since = io_mono_ns();
	uint8_t *bytes = NULL;
	struct contact c;
	int rc = -1;

	if (u == NULL)
		return -1;
	if ((rc = line_call(line_usual_line(u), "GET", "contact", 1, NULL, NULL, &contact_schema, &c, &bytes, &k->why)) == 0)
		k->when = c.time / 1000000000;
	else
		line_usual_silent(since, &k->why);
	free(bytes);
	line_usual_close(u);
	return rc;
}

/* Ask once: where nobody answers, what is known here is shown. */
static int
vault_ask(struct known *k, struct err *e)
{
	struct line_usual *u = NULL;
	int rc = -1;

	err_clear(&k->why);
	/* It may take a while over a long list; whether it is there is known at once. */
	if (line_usual_is_there(k->s) && vault_greet(k) == 0 && (u = line_usual_open(k->s, &k->why)) != NULL)
		rc = line_snapshots(line_usual_line(u), k->s->trust.vault_id, k->s->id.machine_id, NULL, row_take, k, &k->why);
	line_usual_close(u);
	k->asked = rc == 0;
	if (!k->asked)
		k->when = last_contact(k->s);
	return k->why.code == ERR_INTERRUPTED || k->why.code == ERR_MEMORY ? err_set(e, k->why.code, "%s", k->why.msg) : 0;
}

static const struct vault_row *
row_of(const struct known *k, const struct snapshot *snap)
{
	for (size_t i = 0; i < k->nrows; i++)
		if (k->rows[i].seq == snap->env.seq && memcmp(k->rows[i].id, snap->env.snapshot_id, ID_LEN) == 0)
			return &k->rows[i];
	return NULL;
}

/* What the vault says, where it says something; else what is known here. */
static int
state_find(struct known *k, const struct snapshot *snap, char out[SEED_STATE_MAX], struct err *e)
{
	const struct vault_row *row = row_of(k, snap);

	if (row == NULL) {
		int rc = state_of(k, snap, out, e);

		/* It was there, and retention or a person took it away. */
		if (rc == 0 && k->asked && (strncmp(out, "whole", 5) == 0 || strncmp(out, "partial", 7) == 0))
			(void)snprintf(out, SEED_STATE_MAX, "not at the vault any more");
		return rc;
	}
	seed_state_of_line(&row->place, out);
	return 0;
}

static void
as_of_print(const struct known *k)
{
	char date[HUMAN_MAX];

	if (k->list.n == 0)
		return;
	if (k->asked)
		out_text("as vault %s says, %s\n", k->s->trust.vault_name, human_date(date, k->when));
	else if (k->why.code == ERR_NONE)
		out_text("as this machine knows: its vault has no address\n");
	else if (k->when != 0)
		out_text("as this machine knows, which heard of the vault last %s: %s\n", human_date(date, k->when), k->why.msg);
	else
		out_text("as this machine knows: %s\n", k->why.msg);
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
summary_emit(const struct snapshot_list *l, const struct known *k)
{
	struct out *o = out_object("summary");

	out_u64(o, "snapshots", l->n);
	if (k != NULL) {
		out_str(o, "from", k->asked ? "vault" : "state");
		if (k->when != 0)
			out_i64(o, "as_of", k->when);
		if (!k->asked && k->why.code != ERR_NONE)
			out_str(o, "why", k->why.msg);
	}
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
	summary_emit(&r->s.list, NULL);
	seed_read_close(r);
	return 0;
}

static int
by_state(const struct args *a, struct err *e)
{
	struct known k = { .s = seed_state_open(a, e) };
	char state[SEED_STATE_MAX];
	int rc;

	if (k.s == NULL)
		return -1;
	if ((rc = snapshot_list_state(&k.list, k.s, e)) == 0 && (rc = seed_images_load(k.s, &k.images, &k.n, e)) == 0 &&
	    (rc = vault_ask(&k, e)) == 0)
		head_print(&k.list);
	for (size_t i = 0; i < k.list.n && rc == 0; i++)
		if ((rc = state_find(&k, &k.list.snap[i], state, e)) == 0)
			snapshot_print(&k.list.snap[i], state);
	if (rc == 0) {
		as_of_print(&k);
		summary_emit(&k.list, &k);
	}
	free(k.rows);
	seed_images_free(k.images, k.n);
	snapshot_list_release(&k.list);
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
