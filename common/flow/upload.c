#include "common/flow/upload.h"

#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/catalog/catalog.h"
#include "common/flow/epoch.h"
#include "common/flow/ingest_job.h"
#include "common/flow/upload_job.h"

#define SECOND		INT64_C(1000000000)
#define TOUCH_EVERY	(INT64_C(300) * SECOND)

static const uint8_t none[ID_LEN];

static int
session_is_not_open(struct err *e)
{
	return err_set(e, ERR_SESSION, "this session with the vault is not open any more");
}

int
upload_get(struct vault *v, const struct cat_machine *m, const uint8_t id[ID_LEN], struct cat_session *s, struct err *e)
{
	int rc = session_get(v, id, s, e);

	if (rc < 0)
		return -1;
	return rc == 0 && memcmp(s->machine_id, m->id, ID_LEN) == 0 ? 0 : session_is_not_open(e);
}

static int
touch_now(struct vault *v, const struct cat_machine *m, const uint8_t id[ID_LEN], struct cat_session *s, struct err *e)
{
	if (vault_begin(v, e) != 0)
		return -1;
	if (upload_get(v, m, id, s, e) == 0) {
		s->touched = v->slow;
		if (catalog_put(v->catalog, &cat_sessions, s, e) == 0)
			return vault_commit(v, e);
	}
	vault_rollback(v);
	return -1;
}

int
upload_touch(struct vault *v, const struct cat_machine *m, const uint8_t id[ID_LEN], struct cat_session *s, struct err *e)
{
	int64_t slow, wall, now = io_now_ns();

	if (upload_get(v, m, id, s, e) != 0 || catalog_number(v->catalog, "clock slow", &slow, e) < 0 ||
	    catalog_number(v->catalog, "clock wall", &wall, e) < 0)
		return -1;
	/* The slow clock stands still between transactions. */
	if (slow + (now > wall ? now - wall : 0) - s->touched < TOUCH_EVERY)
		return 0;
	return touch_now(v, m, id, s, e);
}

/* --- the head --- */

static int
head_take(struct upload_head *h, int64_t seq, const uint8_t id[ID_LEN], const uint8_t digest[DIGEST_LEN])
{
	if (seq <= 0 || (uint64_t)seq <= h->seq)
		return 0;
	h->seq = (uint64_t)seq;
	memcpy(h->id, id, ID_LEN);
	memcpy(h->digest, digest, DIGEST_LEN);
	return 0;
}

static int
head_snapshot(void *arg, const void *row, struct err *e)
{
	const struct cat_snapshot *s = row;

	(void)e;
	return head_take(arg, s->seq, s->id, s->digest);
}

static int
head_gone(void *arg, const void *row, struct err *e)
{
	const struct cat_gone *g = row;

	(void)e;
	return head_take(arg, g->seq, g->id, g->digest);
}

static int
head_passed(void *arg, const void *row, struct err *e)
{
	const struct cat_passed *p = row;

	(void)e;
	return head_take(arg, p->seq, p->id, p->digest);
}

int
upload_head(struct vault *v, const uint8_t machine[ID_LEN], struct upload_head *h, struct err *e)
{
	struct cat_snapshot s;
	struct cat_gone g;
	struct cat_passed p;

	memset(h, 0, sizeof(*h));
	memcpy(s.machine_id, machine, ID_LEN);
	memcpy(g.machine_id, machine, ID_LEN);
	memcpy(p.machine_id, machine, ID_LEN);
	if (catalog_each(v->catalog, &cat_snapshots, 1, &s, head_snapshot, h, e) != 0 ||
	    catalog_each(v->catalog, &cat_gone, 1, &g, head_gone, h, e) != 0)
		return -1;
	return catalog_each(v->catalog, &cat_passed, 1, &p, head_passed, h, e);
}

/* --- opening --- */

int
upload_base(struct vault *v, const struct cat_session *s, struct cat_snapshot *base, struct err *e)
{
	int rc;

	memset(base, 0, sizeof(*base));
	if (s->base_seq == 0)
		return 1;
	memcpy(base->machine_id, s->machine_id, ID_LEN);
	base->seq = s->base_seq;
	if ((rc = catalog_get(v->catalog, &cat_snapshots, base, e)) != 1)
		return rc;
	return err_set(e, ERR_NO_SNAPSHOT, "the snapshot that this session builds on is not in the vault any more");
}

struct base_find {
	const uint8_t *id;
	int64_t seq;
};

static int
base_look(void *arg, const void *row, struct err *e)
{
	const struct cat_snapshot *s = row;
	struct base_find *f = arg;

	(void)e;
	if (memcmp(s->id, f->id, ID_LEN) == 0)
		f->seq = s->seq;
	return 0;
}

/* The number of the base: 0 with it, -1 with ERR_NO_SNAPSHOT. */
static int
base_seq(struct vault *v, const uint8_t machine[ID_LEN], const uint8_t base[ID_LEN], int64_t *seq, struct err *e)
{
	struct base_find f = { base, 0 };
	struct cat_snapshot like;

	*seq = 0;
	if (memcmp(base, none, ID_LEN) == 0)
		return 0;
	memcpy(like.machine_id, machine, ID_LEN);
	if (catalog_each(v->catalog, &cat_snapshots, 1, &like, base_look, &f, e) != 0)
		return -1;
	*seq = f.seq;
	return f.seq != 0 ? 0 : err_set(e, ERR_NO_SNAPSHOT, "the vault does not have the snapshot to build on");
}

static int
opened_fill(struct vault *v, const struct cat_session *s, struct session_opened *out, struct err *e)
{
	struct cat_snapshot base;
	struct upload_head h;
	int rc;

	memset(out, 0, sizeof(*out));
	if ((rc = upload_base(v, s, &base, e)) < 0 || upload_head(v, s->machine_id, &h, e) != 0)
		return -1;
	memcpy(out->session_id, s->id, ID_LEN);
	out->epoch = (uint64_t)s->epoch;
	out->head_seq = h.seq;
	memcpy(out->head_id, h.id, ID_LEN);
	memcpy(out->head, h.digest, DIGEST_LEN);
	out->base_whole = rc == 1 || base.state == SNAPSHOT_WHOLE;
	out->seconds = (uint32_t)((s->kind == SESSION_PLEDGE ? SESSION_IDLE_PLEDGE : SESSION_IDLE) / SECOND);
	return 0;
}

struct crowd {
	uint32_t n;
	struct cat_session oldest;
	const uint8_t *machine;
};

static int
crowd_look(void *arg, const void *row, struct err *e)
{
	const struct cat_session *s = row;
	struct crowd *c = arg;

	(void)e;
	if (memcmp(s->machine_id, c->machine, ID_LEN) != 0 || s->kind == SESSION_INGEST)
		return 0;
	if (c->n++ == 0 || s->touched < c->oldest.touched)
		c->oldest = *s;
	return 0;
}

/* A machine that opens one after the other does not fill the catalog with them. */
static int
room_make(struct vault *v, const struct cat_machine *m, struct err *e)
{
	struct crowd c = { .machine = m->id };

	if (catalog_each(v->catalog, &cat_sessions, 0, NULL, crowd_look, &c, e) != 0)
		return -1;
	return c.n < UPLOAD_SESSIONS_MOST ? 0 : catalog_drop(v->catalog, &cat_sessions, &c.oldest, e);
}

/* In a transaction: 0 opened, 1 it was open, -1. */
static int
open_decide(struct vault *v, const struct cat_machine *m, const struct session_open *o, struct cat_session *s, struct err *e)
{
	int64_t base;
	int rc;

	if (base_seq(v, m->id, o->base, &base, e) != 0 || (rc = session_get(v, o->session_id, s, e)) < 0)
		return -1;
	if (rc == 0) {
		if (memcmp(s->machine_id, m->id, ID_LEN) != 0 || s->kind != o->kind || s->base_seq != base ||
		    strcmp(s->set_name, o->set_name) != 0)
			return err_set(e, ERR_USAGE, "another session has this id");
		s->touched = v->slow;
		return catalog_put(v->catalog, &cat_sessions, s, e) != 0 ? -1 : 1;
	}
	memset(s, 0, sizeof(*s));
	memcpy(s->id, o->session_id, ID_LEN);
	memcpy(s->machine_id, m->id, ID_LEN);
	s->kind = o->kind;
	memcpy(s->set_name, o->set_name, sizeof(s->set_name));
	s->base_seq = base;
	s->opened = s->touched = v->slow;
	if (room_make(v, m, e) != 0 || catalog_number(v->catalog, "epoch", &s->epoch, e) < 0)
		return -1;
	return catalog_put(v->catalog, &cat_sessions, s, e);
}

int
upload_open(struct vault *v, const struct cat_machine *m, const struct session_open *o, struct session_opened *out,
    struct err *e)
{
	struct cat_session s;
	int rc;

	_Static_assert((int)LINE_BACKUP == (int)SESSION_BACKUP && (int)LINE_PLEDGE == (int)SESSION_PLEDGE &&
	    (int)LINE_REFILL == (int)SESSION_REFILL, "one numbering of sessions");
	if (vault_begin(v, e) != 0)
		return -1;
	if ((rc = open_decide(v, m, o, &s, e)) < 0 || opened_fill(v, &s, out, e) != 0) {
		vault_rollback(v);
		return -1;
	}
	return vault_commit(v, e) != 0 ? -1 : rc;
}

int
upload_look(struct vault *v, const struct cat_machine *m, const uint8_t id[ID_LEN], struct session_opened *out,
    struct err *e)
{
	struct cat_session s;

	return upload_touch(v, m, id, &s, e) != 0 ? -1 : opened_fill(v, &s, out, e);
}

/* --- ending --- */

static int
is_not_whole(void *arg, const void *row, struct err *e)
{
	(void)arg;
	(void)e;
	return ((const struct cat_snapshot *)row)->state != SNAPSHOT_WHOLE;
}

void
upload_heal(struct vault *v, const struct cat_machine *m)
{
	struct cat_snapshot like;
	struct err e;
	int rc;

	err_clear(&e);
	memcpy(like.machine_id, m->id, ID_LEN);
	if ((rc = catalog_each(v->catalog, &cat_snapshots, 1, &like, is_not_whole, NULL, &e)) == 1)
		rc = vault_states(v, m->id, &e);
	if (rc != 0)
		say_warn("machine %s: states of its snapshots: %s", m->name, e.msg);
}

int
upload_end(struct vault *v, const struct cat_machine *m, const uint8_t id[ID_LEN], struct err *e)
{
	struct cat_session s;
	int rc;

	if (vault_begin(v, e) != 0)
		return -1;
	if ((rc = session_get(v, id, &s, e)) < 0 || (rc == 0 && memcmp(s.machine_id, m->id, ID_LEN) == 0 &&
	    session_end(v, id, e) != 0)) {
		vault_rollback(v);
		return -1;
	}
	if (vault_commit(v, e) != 0)
		return -1;
	if (rc == 1 || memcmp(s.machine_id, m->id, ID_LEN) != 0)
		return 0;
	if (s.packs > 0)
		upload_heal(v, m);
	return upload_dir_remove(v, id, e);
}
