#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/io.h"
#include "common/base/text.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_rows.h"
#include "common/flow/epoch.h"
#include "common/flow/parcel.h"
#include "common/flow/collect.h"
#include "common/flow/vault_alerts.h"
#include "common/flow/vault_fate.h"
#include "common/flow/vault_machine.h"
#include "common/flow/ingest_job.h"
#include "common/flow/vault_status.h"
#include "common/store/store.h"

#define DAY	(INT64_C(86400) * 1000000000)
#define FORK_TOLD	(14 * DAY)	/* after it was sent last */
#define WARN_BEFORE	(14 * DAY)	/* the end of a pledge */

struct looking {
	struct vault *v;
	struct vault_status *s;
	attention_fn fn;
	void *arg;
	const struct cat_image *image;
	unsigned days;			/* without a whole snapshot */
	int64_t acknowledged;		/* events until then */
	int64_t now;
};

static void
tell(struct looking *l, const char *kind, const char *what, const char *next, const uint8_t *image, const uint8_t *machine)
{
	struct attention a = { kind, what, next, image, machine };

	l->s->attention++;
	l->fn(l->arg, &a);
}

static int
newest_whole(void *arg, const void *row, struct err *e)
{
	const struct cat_snapshot *s = row;
	int64_t *newest = arg;

	(void)e;
	if (s->state == SNAPSHOT_WHOLE && s->received > *newest)
		*newest = s->received;
	return 0;
}

int
vault_event_is_open(int64_t happened, int64_t acknowledged, int64_t now)
{
	return happened > acknowledged && happened != 0 && now - happened < ALERT_EVENT;
}

/* What happened to a machine, and somebody should know of who did not do it. */
static void
look_events(struct looking *l, const struct cat_machine *m)
{
	static const char next[] = "if nobody of yours did that: samara-import machine VAULT NAME revoke, and ask; else: samara-import alerts "
	    "VAULT --acknowledge";
	char what[512], name[NAME_MAX_LEN * 4 + 4], day[HUMAN_MAX];

	(void)text_safe(name, sizeof(name), m->name, strlen(m->name));
	if (vault_event_is_open(m->slots_changed, l->acknowledged, l->now)) {
		(void)snprintf(what, sizeof(what), "machine %s was registered anew on %s, with other key slots: what opens its backups changed",
		    name, human_day(day, m->slots_changed / 1000000000));
		tell(l, "slots", what, next, NULL, m->id);
	}
	if (vault_event_is_open(m->taken_over, l->acknowledged, l->now)) {
		(void)snprintf(what, sizeof(what), "a new machine took the place of %s on %s; the old one's token has ended", name,
		    human_day(day, m->taken_over / 1000000000));
		tell(l, "takeover", what, next, NULL, m->id);
	}
}

static int
look_machine(void *arg, const void *row, struct err *e)
{
	const struct cat_machine *m = row;
	char what[512], next[256], name[NAME_MAX_LEN * 4 + 4], day[HUMAN_MAX];
	struct cat_snapshot like;
	struct looking *l = arg;
	int64_t newest = 0;

	l->s->machines++;
	look_events(l, m);
	if (m->state != MACHINE_LIVE)
		return 0;
	memcpy(like.machine_id, m->id, ID_LEN);
	if (catalog_each(l->v->catalog, &cat_snapshots, 1, &like, newest_whole, &newest, e) != 0)
		return -1;
	if (l->now - (newest != 0 ? newest : m->registered) <= l->days * DAY)
		return 0;
	(void)text_safe(name, sizeof(name), m->name, strlen(m->name));
	if (newest != 0)
		(void)snprintf(what, sizeof(what), "machine %s has had no whole snapshot since %s", name, human_day(day, newest / 1000000000));
	else
		(void)snprintf(what, sizeof(what), "machine %s has no whole snapshot, and is registered since %s", name,
		    human_day(day, m->registered / 1000000000));
	(void)snprintf(next, sizeof(next), "ask its administrator for samara-seed status; where the machine is no more: samara-import machine "
	    "VAULT %.120s retire", name);
	tell(l, "stale", what, next, NULL, m->id);
	return 0;
}

static int
look_disk(void *arg, const void *row, struct err *e)
{
	const struct cat_disk *d = row;
	struct looking *l = arg;
	char what[256];

	(void)e;
	l->s->disks_expected += d->state == DISK_EXPECTED;
	if (d->state == DISK_RECEIVED) {
		(void)snprintf(what, sizeof(what), "disk %s-%u is here, and is not taken in to its end yet",
		    l->image->short_name, d->number);
		tell(l, "disk", what, "give samara-import ingest again, with that disk", l->image->id, l->image->machine_id);
	}
	/* Where the image is whole it came some other way. */
	if (d->state == DISK_INGESTED && !d->complete && l->image->state != IMAGE_WHOLE && l->image->state != IMAGE_HANDED_OFF &&
	    l->image->state != IMAGE_RELEASED) {
		(void)snprintf(what, sizeof(what), "disk %s-%u: %lld chunks could not be taken from it", l->image->short_name,
		    d->number, (long long)d->chunks_bad);
		tell(l, "disk", what, "keep the disk; try it once more in another drive", l->image->id, l->image->machine_id);
	}
	return 0;
}

static void
look_unclaimed(struct looking *l, const struct cat_image *i)
{
	char what[TEXT_MAX_LEN * 4 + 128], why[TEXT_MAX_LEN * 4 + 4], next[128];

	(void)text_line(why, sizeof(why), i->why);
	(void)snprintf(what, sizeof(what), "image %s was not admitted: %s", i->short_name, why);
	(void)snprintf(next, sizeof(next), "compare its manifest string with the customer, then samara-import claim %s",
	    i->short_name);
	tell(l, strncmp(i->why, "fork", 4) == 0 ? "fork" : "unclaimed", what, next, i->id, i->machine_id);
}

static void
look_pledge(struct looking *l, const struct cat_image *i)
{
	char what[256], next[192];

	if (i->generation == 0 || i->state == IMAGE_LOST || i->state == IMAGE_CANCELLED || i->pledge_until - l->v->slow > WARN_BEFORE)
		return;
	if (l->v->slow > i->pledge_until)
		(void)snprintf(what, sizeof(what), "image %s: its disks did not come in time, its pledge has ended", i->short_name);
	else
		(void)snprintf(what, sizeof(what), "image %s: its pledge ends in %lld days, and disks are still missing",
		    i->short_name, (long long)((i->pledge_until - l->v->slow) / DAY));
	(void)snprintf(next, sizeof(next), l->v->slow > i->pledge_until ? "ask where the disks are; they are taken in when they come, or "
	    "wait for them again: samara-import reopen VAULT %s" : "ask where the disks are; to wait longer: samara-import pledge VAULT "
	    "%s --extend 30d", i->short_name);
	tell(l, "pledge", what, next, i->id, i->machine_id);
}

static int
look_image(void *arg, const void *row, struct err *e)
{
	const struct cat_image *i = row;
	struct looking *l = arg;
	struct cat_disk like;
	uint64_t before = l->s->disks_expected;

	l->s->images++;
	l->image = i;
	if (i->state == IMAGE_UNCLAIMED) {
		look_unclaimed(l, i);
		return 0;
	}
	memcpy(like.image_id, i->id, ID_LEN);
	if (catalog_each(l->v->catalog, &cat_disks, 1, &like, look_disk, l, e) != 0)
		return -1;
	if (l->s->disks_expected > before)
		look_pledge(l, i);
	if (i->state == IMAGE_CLAIMED)
		tell(l, "claimed", "an image was claimed and its disk has not been taken in since",
		    "give samara-import ingest again, with that disk", i->id, i->machine_id);
	return 0;
}

/* A parcel that should have come, of which not all disks have. */
static int
look_parcel(void *arg, const void *row, struct err *e)
{
	char what[1600], words[PARCEL_WORDS_MAX], next[128];
	const struct cat_parcel *p = row;
	struct looking *l = arg;
	int64_t late = parcel_days_late(p->arrives, io_now());
	uint32_t out;
	int rc;

	if (late == 0 || (rc = vault_parcel_waits(l->v, p, &out, e)) == 0)
		return 0;
	if (rc < 0)
		return -1;
	(void)snprintf(what, sizeof(what), "image %s is %lld day%s late (%s)", p->short_name, (long long)late, late == 1 ? "" : "s",
	    parcel_words(words, p->shipped, p->arrives, p->carrier, p->tracking));
	(void)snprintf(next, sizeof(next), "ask the carrier; where it is lost: samara-import lost VAULT %s", p->short_name);
	tell(l, "parcel", what, next, p->image_id, p->machine_id);
	return 0;
}

static int
look_snapshot(void *arg, const void *row, struct err *e)
{
	const struct cat_snapshot *s = row;
	struct looking *l = arg;
	char what[256], begin[HUMAN_MAX];

	(void)e;
	l->s->deleted += s->deleted != 0;
	l->s->is_protected += s->is_protected != 0;
	l->s->whole += s->state == SNAPSHOT_WHOLE;
	l->s->pending += s->state == SNAPSHOT_PENDING;
	l->s->gap += s->state == SNAPSHOT_GAP;
	l->s->unknown += s->state == SNAPSHOT_UNKNOWN;
	if (s->state != SNAPSHOT_GAP)
		return 0;
	(void)snprintf(what, sizeof(what), "snapshot %lld of set %s (%s) has a gap: %lld of %lld chunks are missing",
	    (long long)s->seq, s->set_name, human_date(begin, s->begin_ns / 1000000000), (long long)s->missing,
	    (long long)s->refs_count);
	tell(l, "gap", what, "bring a disk that has them, or let the machine send them", s->image_id, s->machine_id);
	return 0;
}

static int
look_pack(void *arg, const void *row, struct err *e)
{
	const struct cat_pack *p = row;
	struct looking *l = arg;
	char what[128], id[HUMAN_MAX];

	(void)e;
	l->s->packs++;
	l->s->bytes += (uint64_t)p->len;
	if (p->state == PACK_DAMAGED) {
		(void)snprintf(what, sizeof(what), "pack %s.%u in the vault is damaged", human_id(id, p->id), p->copy);
		tell(l, "damage", what, "see samara-import list gaps for what is missing by it; a disk that has it heals it when it is taken in again", NULL, NULL);
	}
	return 0;
}

/* A snapshot that was refused as a fork lately: whoever still sends such is recorded again each day. */
static int
look_fork(void *arg, const void *row, struct err *e)
{
	const struct cat_fork *f = row;
	struct looking *l = arg;
	char what[256], safe[NAME_MAX_LEN * 4 + 4] = "?";
	struct cat_machine m;
	int rc;

	if (l->now - f->time > FORK_TOLD)
		return 0;
	if ((rc = vault_machine(l->v, f->machine_id, &m, e)) < 0)
		return -1;
	if (rc == 0)
		(void)text_safe(safe, sizeof(safe), m.name, strlen(m.name));
	(void)snprintf(what, sizeof(what), "machine %s sent another snapshot %lld than the vault has: a cloned machine, or an old"
	    " state put back", safe, (long long)f->seq);
	tell(l, "fork", what, "find out which machine is the right one, and register the other anew", NULL, f->machine_id);
	return 0;
}

static int
look_session(void *arg, const void *row, struct err *e)
{
	struct looking *l = arg;

	(void)e;
	l->s->sessions += !session_is_over(l->v, row);
	return 0;
}

/* What collections took so far. */
static int
look_collections(struct vault *v, struct vault_status *s, struct err *e)
{
	int64_t n, packs, bytes;

	if (catalog_number(v->catalog, "collections", &n, e) < 0 || catalog_number(v->catalog, "collected packs", &packs, e) < 0 ||
	    catalog_number(v->catalog, "collected bytes", &bytes, e) < 0)
		return -1;
	s->collections = (uint64_t)n;
	s->collected_packs = (uint64_t)packs;
	s->collected_bytes = (uint64_t)bytes;
	return catalog_number(v->catalog, "collected time", &s->collected, e) < 0 ? -1 : 0;
}

/* Lists that the newest collection could not read. */
static int
look_unread(struct looking *l, struct err *e)
{
	char what[2 * NAME_MAX_LEN * 4 + 256], next[NAME_MAX_LEN * 4 + 256], safe[NAME_MAX_LEN * 4 + 4];
	struct catalog *c = l->v->catalog;
	struct cat_machine m;
	int64_t n, seq;
	int rc;

	if (catalog_number(c, COLLECT_UNREAD, &n, e) < 0 || catalog_number(c, COLLECT_UNREAD_SEQ, &seq, e) < 0)
		return -1;
	if (n == 0)
		return 0;
	if (catalog_bytes(c, COLLECT_UNREAD_MACHINE, m.id, ID_LEN, e) < 0 || (rc = catalog_get(c, &cat_machines, &m, e)) < 0)
		return -1;
	if (rc == 1)
		return 0;
	(void)text_safe(safe, sizeof(safe), m.name, strlen(m.name));
	(void)snprintf(what, sizeof(what), "the reference list of snapshot %s/%lld cannot be read%s: nothing of machine %s is collected,"
	    " and nobody can say whether that snapshot is whole", safe, (long long)seq, n > 1 ? ", nor can others" : "", safe);
	(void)snprintf(next, sizeof(next), "put the file back from a copy of the vault's directory; or samara-import delete VAULT"
	    " %s/%lld, and collections go on when its fourteen days are over", safe, (long long)seq);
	tell(l, "list", what, next, NULL, m.id);
	return 0;
}

/* Records that a stopped run put and did not write down, if this user may write. */
static int
up_to_date(struct vault *v, struct err *e)
{
	struct err mine;
	int64_t n;

	err_clear(&mine);
	if (vault_begin(v, &mine) == 0 && vault_commit(v, &mine) == 0 && vault_leases(v, &mine) == 0)
		return 0;
	if (mine.code != ERR_PERMISSION) {
		if (e != NULL)
			*e = mine;
		return -1;
	}
	if (catalog_number(v->catalog, "records", &n, e) < 0 || catalog_number(v->catalog, "clock slow", &v->slow, e) < 0)
		return -1;
	v->number = (uint64_t)n;
	return 0;
}

int
vault_status(struct vault *v, struct vault_status *s, attention_fn fn, void *arg, struct err *e)
{
	struct looking l = { .v = v, .s = s, .fn = fn, .arg = arg, .now = io_now_ns() };
	char what[128], size[HUMAN_MAX];
	struct alerting how;
	int64_t copies;

	memset(s, 0, sizeof(*s));
	if (alerting_read(v, &how, e) != 0 || up_to_date(v, e) != 0 || catalog_number(v->catalog, "key copies", &copies, e) < 0)
		return -1;
	l.days = how.days;
	l.acknowledged = how.acknowledged;
	s->records = v->number;
	s->key_copies = copies > INT32_MAX ? INT32_MAX : (int)copies;
	if (copies == 0)
		tell(&l, "key", "there is no second copy of the vault's key: lost with it are all registrations to come",
		    "samara-import key copy VAULT --out FILE, on a medium that is kept elsewhere", NULL, NULL);
	if (v->clock_jumped)
		tell(&l, "clock", "the clock of this computer jumped: leases, credentials, retention and collection stand still",
		    "set the clock right, then samara-import clock VAULT --confirm", NULL, NULL);
	if (catalog_each(v->catalog, &cat_machines, 0, NULL, look_machine, &l, e) != 0 ||
	    catalog_each(v->catalog, &cat_images, 0, NULL, look_image, &l, e) != 0 ||
	    catalog_each(v->catalog, &cat_parcels, 0, NULL, look_parcel, &l, e) != 0 ||
	    catalog_each(v->catalog, &cat_snapshots, 0, NULL, look_snapshot, &l, e) != 0 ||
	    catalog_each(v->catalog, &cat_packs, 0, NULL, look_pack, &l, e) != 0 ||
	    catalog_each(v->catalog, &cat_forks, 0, NULL, look_fork, &l, e) != 0 ||
	    catalog_each(v->catalog, &cat_sessions, 0, NULL, look_session, &l, e) != 0 || look_collections(v, s, e) != 0 ||
	    look_unread(&l, e) != 0)
		return -1;
	if (v->store->ops->room(v->store, &s->room, e) != 0)
		return -1;
	if (s->room < (s->bytes + s->room) / 20) {
		(void)snprintf(what, sizeof(what), "the store is nearly full: %s are free", human_size(size, s->room));
		tell(&l, "full", what, "make room, or move the vault; uploads and disks are refused when nothing is left", NULL, NULL);
	}
	s->active = s->room > PACK_LEN_MAX && !v->clock_jumped;
	return 0;
}

#define WORD(words, n)	((n) < sizeof(words) / sizeof((words)[0]) ? (words)[n] : "?")

const char *
image_state_text(unsigned state)
{
	static const char *const words[] = { "?", "received", "ingesting", "whole", "partial", "gap", "unclaimed", "claimed",
		"shipped", "lost", "cancelled", "expired", "handed-off", "released", "sealed" };

	return WORD(words, state);
}

const char *
disk_state_text(unsigned state)
{
	static const char *const words[] = { "?", "expected", "received", "ingested", "replaced", "wiped", "returned" };

	return WORD(words, state);
}

const char *
snapshot_state_text(unsigned state)
{
	static const char *const words[] = { "?", "unknown", "whole", "pending", "gap", "partial" };

	return WORD(words, state);
}

const char *
credential_state_text(unsigned state)
{
	static const char *const words[] = { "?", "issued", "used", "superseded" };

	return WORD(words, state);
}

const char *
machine_state_text(unsigned state)
{
	static const char *const words[] = { "?", "registered", "replaced", "revoked", "retired", "deleted" };

	return WORD(words, state);
}
