#include "common/flow/vault_fate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/text.h"
#include "common/catalog/catalog.h"
#include "common/crypto/sign.h"
#include "common/flow/ingest_job.h"
#include "common/flow/parcel.h"
#include "common/flow/vault_count.h"
#include "common/flow/vault_machine.h"
#include "common/flow/vault_status.h"
#include "formats/fmt_parcel.h"
#include "formats/fmt_pledge.h"

/* --- parcels that come --- */

int
vault_parcel_waits(struct vault *v, const struct cat_parcel *p, uint32_t *out, struct err *e)
{
	struct cat_image i;
	int rc;

	*out = 0;
	memcpy(i.id, p->image_id, ID_LEN);
	if ((rc = catalog_get(v->catalog, &cat_images, &i, e)) != 0)
		return rc;	/* 1: the vault has seen nothing of it */
	switch (i.state) {
	case IMAGE_SHIPPED:
	case IMAGE_SEALED:
		return 1;
	case IMAGE_RECEIVED:
	case IMAGE_INGESTING:
	case IMAGE_EXPIRED:
		if (i.generation == 0)
			return i.state != IMAGE_INGESTING;
		return vault_disks_out(v, i.id, out, e) != 0 ? -1 : *out > 0;
	default:
		return 0;
	}
}

struct number {
	const uint8_t *image;
	const char *tracking;
	char other[SHORT_LEN + 1];
};

static int
number_is(void *arg, const void *row, struct err *e)
{
	const struct cat_parcel *p = row;
	struct number *n = arg;

	(void)e;
	if (memcmp(p->image_id, n->image, ID_LEN) != 0 && strcasecmp(p->tracking, n->tracking) == 0)
		memcpy(n->other, p->short_name, sizeof(n->other));
	return 0;
}

int
vault_tracking_check(struct vault *v, const uint8_t image[ID_LEN], const char *tracking, struct err *e)
{
	struct number n = { image, tracking, "" };

	if (catalog_each(v->catalog, &cat_parcels, 0, NULL, number_is, &n, e) != 0)
		return -1;
	if (n.other[0] == '\0')
		return 0;
	(void)err_set(e, ERR_RULE, "the parcel number belongs to image %s", n.other);
	return err_next(e, "Each image travels in a parcel of its own: ask which number is right.");
}

/* May a parcel of this image be expected? */
static int
parcel_wanted(const struct cat_image *i, struct err *e)
{
	switch (i->state) {
	case IMAGE_WHOLE:
	case IMAGE_PARTIAL:
	case IMAGE_HANDED_OFF:
	case IMAGE_RELEASED:
		return err_set(e, ERR_RULE, "image %s is here already: %s", i->short_name, image_state_text(i->state));
	case IMAGE_CANCELLED:
		(void)err_set(e, ERR_RULE, "image %s was cancelled", i->short_name);
		return err_next(e, "If it comes all the same: samara-import reopen VAULT %s.", i->short_name);
	default:
		return 0;
	}
}

/* In a transaction: 0 recorded, 1 nothing is new, -1. */
static int
parcel_put(struct vault *v, struct rec_parcel *k, int dry_run, struct cat_parcel *p, struct err *e)
{
	struct cat_machine m;
	struct cat_image i;
	int rc, seen, vouched;

	memcpy(i.id, k->image_id, ID_LEN);
	if ((rc = catalog_get(v->catalog, &cat_images, &i, e)) < 0 || (rc == 0 && parcel_wanted(&i, e) != 0))
		return -1;
	seen = rc == 0;
	/* Announced before its machine was known: now the image gets a place of its own. */
	if ((vouched = vault_machine(v, k->machine_id, &m, e)) < 0)
		return -1;
	vouched = vouched == 0 && k->announcement.len > 0;
	if (vault_tracking_check(v, k->image_id, k->tracking, e) != 0)
		return -1;
	memcpy(p->image_id, k->image_id, ID_LEN);
	if ((rc = catalog_get(v->catalog, &cat_parcels, p, e)) < 0)
		return -1;
	if (rc == 0 && strcmp(p->carrier, k->carrier) == 0 && strcmp(p->tracking, k->tracking) == 0 && p->arrives == k->arrives &&
	    (seen || !vouched))
		return 1;
	if (dry_run) {
		memcpy(p->short_name, k->short_name, sizeof(p->short_name));
		memcpy(p->machine_name, k->machine_name, sizeof(p->machine_name));
		memcpy(p->carrier, k->carrier, sizeof(p->carrier));
		memcpy(p->tracking, k->tracking, sizeof(p->tracking));
		p->arrives = k->arrives;
		return 0;
	}
	if (vault_record(v, REC_PARCEL, &rec_parcel_schema, k, e) != 0)
		return -1;
	return catalog_get(v->catalog, &cat_parcels, p, e) != 0 ? -1 : 0;
}

/* The announcement is for this vault, and by the machine's own key where the machine is known. */
static int
announcement_check(struct vault *v, const struct parcel *p, struct err *e)
{
	struct cat_machine m;
	struct cat_image i;
	struct cat_parcel was;
	int rc;

	if (memcmp(p->vault_id, v->desc.vault_id, ID_LEN) != 0)
		return err_set(e, ERR_WRONG_VAULT, "it is for another vault than %s", v->desc.name);
	if ((rc = vault_machine(v, p->machine_id, &m, e)) < 0)
		return -1;
	if (rc == 0 && (rc = vault_machine_has_key(v, p->machine_id, p->machine_pub, e)) != 1)
		return rc < 0 ? -1 : err_set(e, ERR_SIGNATURE, "it is signed by another key than that of the machine that it names");
	memcpy(i.id, p->image_id, ID_LEN);
	memcpy(was.image_id, p->image_id, ID_LEN);
	if ((rc = catalog_get(v->catalog, &cat_images, &i, e)) < 0)
		return -1;
	if (rc == 0 && memcmp(i.machine_id, p->machine_id, ID_LEN) != 0)
		return err_set(e, ERR_SIGNATURE, "it names an image of another machine");
	if ((rc = catalog_get(v->catalog, &cat_parcels, &was, e)) < 0)
		return -1;
	if (rc == 0 && memcmp(was.machine_id, p->machine_id, ID_LEN) == 0 && was.generation > p->generation)
		return err_set(e, ERR_RULE, "a later announcement of this parcel was taken already");
	return 0;
}

int
vault_parcel_decide(struct vault *v, const uint8_t *machine, const uint8_t *bytes, size_t len, int dry_run,
    struct cat_parcel *row, struct err *e)
{
	struct rec_parcel k = { .why = "" };
	struct parcel p;

	if (statement_open(&parcel_schema, &p, bytes, len, NULL, e) != 0)
		return -1;
	if (!statement_check(&parcel_schema, bytes, len, p.machine_pub))
		return err_set(e, ERR_SIGNATURE, "the announcement is not signed by the machine that it names");
	if (machine != NULL && memcmp(machine, p.machine_id, ID_LEN) != 0)
		return err_set(e, ERR_SIGNATURE, "the announcement is of another machine than the one that sends it");
	memset(row, 0, sizeof(*row));
	memcpy(k.image_id, p.image_id, ID_LEN);
	memcpy(k.machine_id, p.machine_id, ID_LEN);
	memcpy(k.short_name, p.short_name, sizeof(k.short_name));
	memcpy(k.machine_name, p.machine_name, sizeof(k.machine_name));
	memcpy(k.carrier, p.carrier, sizeof(k.carrier));
	memcpy(k.tracking, p.tracking, sizeof(k.tracking));
	k.arrives = p.arrives;
	k.announcement = (struct fmt_view){ bytes, (uint32_t)len };
	return announcement_check(v, &p, e) != 0 ? -1 : parcel_put(v, &k, dry_run, row, e);
}

int
vault_expect_file(struct vault *v, const char *path, int dry_run, struct cat_parcel *row, struct err *e)
{
	static uint8_t statement[SMALL_STATEMENT_MAX];
	struct parcel p;
	uint8_t *text;
	size_t len, n;
	int rc;

	if (file_read(AT_FDCWD, path, ARMOR_TEXT_MAX, &text, &len, e) != 0)
		return -1;
	rc = parcel_read((const char *)text, len, &p, statement, &n, e);
	free(text);
	if (rc != 0)
		return err_during(e, "%s", path);
	if (vault_begin(v, e) != 0)
		return -1;
	if ((rc = vault_parcel_decide(v, NULL, statement, n, dry_run, row, e)) < 0) {
		vault_rollback(v);
		return err_during(e, "%s", path);
	}
	return vault_commit(v, e) != 0 ? -1 : rc;
}

static int
words_put(struct rec_parcel *k, const struct parcel_words *w, struct err *e)
{
	if ((w->carrier != NULL && !parcel_text_is_valid(w->carrier)) || (w->tracking != NULL && !parcel_text_is_valid(w->tracking)))
		return err_set(e, ERR_USAGE, "carrier and parcel number are 1 to %u characters in one line", TEXT_MAX_LEN);
	if (w->carrier != NULL)
		(void)snprintf(k->carrier, sizeof(k->carrier), "%s", w->carrier);
	if (w->tracking != NULL)
		(void)snprintf(k->tracking, sizeof(k->tracking), "%s", w->tracking);
	if (w->arrives != 0)
		k->arrives = w->arrives;
	return 0;
}

static void
about_image(struct rec_parcel *k, const struct cat_image *i)
{
	memcpy(k->image_id, i->id, ID_LEN);
	memcpy(k->machine_id, i->machine_id, ID_LEN);
	memcpy(k->short_name, i->short_name, sizeof(k->short_name));
	memcpy(k->machine_name, i->machine_name, sizeof(k->machine_name));
}

int
vault_expect_image(struct vault *v, const char *text, const struct parcel_words *w, int dry_run, struct cat_parcel *row,
    struct err *e)
{
	struct rec_parcel k = { .why = "" };
	struct cat_image i;
	int rc;

	if (vault_begin(v, e) != 0)
		return -1;
	memset(row, 0, sizeof(*row));
	if (vault_image_find(v, text, &i, e) != 0)
		goto rollback;
	about_image(&k, &i);
	memcpy(row->image_id, i.id, ID_LEN);
	if ((rc = catalog_get(v->catalog, &cat_parcels, row, e)) < 0)
		goto rollback;
	if (rc == 0) {
		memcpy(k.carrier, row->carrier, sizeof(k.carrier));
		memcpy(k.tracking, row->tracking, sizeof(k.tracking));
		k.arrives = row->arrives;
	}
	if (words_put(&k, w, e) != 0)
		goto rollback;
	if (k.tracking[0] == '\0') {
		(void)err_set(e, ERR_USAGE, "the parcel's number is missing: --tracking T");
		goto rollback;
	}
	if ((rc = parcel_put(v, &k, dry_run, row, e)) < 0)
		goto rollback;
	return vault_commit(v, e) != 0 ? -1 : rc;
rollback:
	vault_rollback(v);
	return -1;
}

/* --- lost, cancelled, reopened --- */

static const struct {
	enum record_type record;
	enum custody_event custody;
	uint32_t state;			/* that it was so before shows in; 0: none */
} fates[] = {
	[FATE_LOST] = { REC_LOST, CUSTODY_LOST, IMAGE_LOST },
	[FATE_CANCELLED] = { REC_CANCELLED, CUSTODY_CANCELLED, IMAGE_CANCELLED },
	[FATE_REOPENED] = { REC_REOPENED, CUSTODY_REOPENED, 0 },
};

/* 0, or -1 with ERR_RULE. */
static int
fate_check(const struct cat_image *i, enum vault_fate fate, struct err *e)
{
	const char *word = image_state_text(i->state);

	if (fate == FATE_REOPENED)
		return i->state == IMAGE_LOST || i->state == IMAGE_CANCELLED || i->state == IMAGE_EXPIRED ? 0 :
		    err_set(e, ERR_RULE, "image %s is %s: there is nothing to reopen", i->short_name, word);
	switch (i->state) {
	case IMAGE_WHOLE:
	case IMAGE_PARTIAL:
	case IMAGE_HANDED_OFF:
	case IMAGE_RELEASED:
		return err_set(e, ERR_RULE, "image %s is %s: all of its disks are here", i->short_name, word);
	case IMAGE_UNCLAIMED:
		return err_set(e, ERR_RULE, "image %s was never admitted: nothing depends on it", i->short_name);
	case IMAGE_CANCELLED:
		return err_set(e, ERR_RULE, "image %s was cancelled", i->short_name);
	default:
		return 0;
	}
}

/* In a transaction: 0, 1 it was so before, -1.  ${statement}: by the machine; empty: a person said so. */
static int
fate_decide(struct vault *v, enum vault_fate fate, const char *why, struct fmt_view statement, int dry_run, struct cat_image *i,
    struct err *e)
{
	struct rec_image k = { .registration = statement };

	if (fates[fate].state != 0 && i->state == fates[fate].state)
		return 1;
	if (fate_check(i, fate, e) != 0)
		return -1;
	if (dry_run)
		return 0;
	memcpy(k.image_id, i->id, ID_LEN);
	memcpy(k.machine_id, i->machine_id, ID_LEN);
	memcpy(k.short_name, i->short_name, sizeof(k.short_name));
	(void)snprintf(k.why, sizeof(k.why), "%.250s", why);
	if (vault_record(v, fates[fate].record, &rec_image_schema, &k, e) != 0)
		return -1;
	return vault_custody(v, i->id, fates[fate].custody, 0, why, e);
}

/* States anew, and the image as it is then. */
static int
settle(struct vault *v, struct cat_image *i, struct err *e)
{
	if (vault_states(v, i->machine_id, e) != 0)
		return -1;
	return catalog_get(v->catalog, &cat_images, i, e) != 0 ? -1 : 0;
}

int
vault_fate(struct vault *v, const char *text, enum vault_fate fate, const char *why, int dry_run, struct cat_image *i,
    struct err *e)
{
	int rc;

	if (vault_begin(v, e) != 0)
		return -1;
	if (vault_image_find(v, text, i, e) != 0 ||
	    (rc = fate_decide(v, fate, why, (struct fmt_view){ NULL, 0 }, dry_run, i, e)) < 0) {
		vault_rollback(v);
		return -1;
	}
	if (vault_commit(v, e) != 0)
		return -1;
	return dry_run || settle(v, i, e) == 0 ? rc : -1;
}

static int
fate_believe(struct vault *v, const uint8_t machine[ID_LEN], const uint8_t *bytes, size_t len, struct fate_statement *f,
    struct err *e)
{
	int rc;

	if (statement_open(&fate_schema, f, bytes, len, NULL, e) != 0)
		return -1;
	if (memcmp(f->vault_id, v->desc.vault_id, ID_LEN) != 0)
		return err_set(e, ERR_WRONG_VAULT, "the statement is for another vault than %s", v->desc.name);
	if (memcmp(f->machine_id, machine, ID_LEN) != 0)
		return err_set(e, ERR_SIGNATURE, "the statement is of another machine than the one that sends it");
	if ((rc = vault_machine_signed(v, machine, &fate_schema, bytes, len, e)) != 1)
		return rc < 0 ? -1 : err_set(e, ERR_SIGNATURE, "what became of image %s is not signed by its machine", f->short_name);
	return 0;
}

/* In a transaction: the image as the vault knows it, or as the statement names it.  0; 1 nothing is to be done; -1. */
static int
fate_image(struct vault *v, const struct fate_statement *f, struct cat_image *i, struct err *e)
{
	int rc;

	memcpy(i->id, f->image_id, ID_LEN);
	if ((rc = catalog_get(v->catalog, &cat_images, i, e)) < 0)
		return -1;
	if (rc == 0 && memcmp(i->machine_id, f->machine_id, ID_LEN) != 0)
		return err_set(e, ERR_SIGNATURE, "image %s is known as one of another machine", f->short_name);
	if (rc == 0)
		return i->fate >= f->number || (f->fate == FATE_IS_FOUND && i->state != IMAGE_LOST && i->state != IMAGE_CANCELLED &&
		    i->state != IMAGE_EXPIRED);
	*i = (struct cat_image){ .state = IMAGE_RECEIVED };
	memcpy(i->id, f->image_id, ID_LEN);
	memcpy(i->machine_id, f->machine_id, ID_LEN);
	memcpy(i->short_name, f->short_name, sizeof(i->short_name));
	return f->fate == FATE_IS_FOUND;
}

int
vault_fate_take(struct vault *v, const uint8_t machine[ID_LEN], const uint8_t *bytes, size_t len, struct cat_image *i,
    struct err *e)
{
	static const enum vault_fate of[] = { [FATE_IS_LOST] = FATE_LOST, [FATE_IS_CANCELLED] = FATE_CANCELLED,
	    [FATE_IS_FOUND] = FATE_REOPENED };
	struct fate_statement f;
	int rc;

	if (fate_believe(v, machine, bytes, len, &f, e) != 0 || vault_begin(v, e) != 0)
		return -1;
	if ((rc = fate_image(v, &f, i, e)) == 0)
		rc = fate_decide(v, of[f.fate], f.why, (struct fmt_view){ bytes, (uint32_t)len }, 0, i, e);
	if (rc != 0) {
		vault_rollback(v);
		return rc;
	}
	if (vault_commit(v, e) != 0)
		return -1;
	return settle(v, i, e);
}

/* --- disks that go back --- */

int
vault_may_erase(const struct cat_image *i, const char *name, const char *force, struct err *e)
{
	if (i->state == IMAGE_HANDED_OFF || i->state == IMAGE_RELEASED || force != NULL)
		return 0;
	(void)err_set(e, ERR_RULE, "do not erase %s: its machine has not answered a receipt for image %s (%s)", name,
	    i->short_name, image_state_text(i->state));
	return err_next(e, "Give a receipt (samara-import receipt) and take its answer (samara-import handoff); --force --reason TEXT "
	    "goes without, and into the custody log.");
}

static int
release_decide(struct vault *v, const char *text, const struct release_options *o, struct cat_image *i, struct err *e)
{
	char note[TEXT_MAX_LEN + 1], words[PARCEL_WORDS_MAX];
	struct rec_parcel k = { .why = "" };
	int forced;

	if (vault_image_find(v, text, i, e) != 0)
		return -1;
	if (i->state == IMAGE_RELEASED && o->words.tracking == NULL)
		return 1;
	if (vault_may_erase(i, i->short_name, o->force, e) != 0 || words_put(&k, &o->words, e) != 0)
		return -1;
	if (o->dry_run)
		return 0;
	forced = i->state != IMAGE_HANDED_OFF && i->state != IMAGE_RELEASED;
	about_image(&k, i);
	if (forced)
		(void)snprintf(k.why, sizeof(k.why), "%.250s", o->force);
	if (vault_record(v, REC_RELEASED, &rec_parcel_schema, &k, e) != 0)
		return -1;
	(void)snprintf(note, sizeof(note), "released without a hand-off: %.200s", k.why);
	if (forced && vault_custody(v, i->id, CUSTODY_OVERRIDE, 0, note, e) != 0)
		return -1;
	(void)snprintf(note, sizeof(note), "%.250s", parcel_words(words, 0, k.arrives, k.carrier, k.tracking));
	return vault_custody(v, i->id, CUSTODY_RETURNED, 0, note, e);
}

int
vault_release(struct vault *v, const char *text, const struct release_options *o, struct cat_image *i, struct err *e)
{
	int rc;

	if (vault_begin(v, e) != 0)
		return -1;
	if ((rc = release_decide(v, text, o, i, e)) < 0) {
		vault_rollback(v);
		return -1;
	}
	if (vault_commit(v, e) != 0)
		return -1;
	return o->dry_run || settle(v, i, e) == 0 ? rc : -1;
}
