/* An image goes into a parcel. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/human.h"
#include "common/base/io.h"
#include "common/base/text.h"
#include "common/crypto/sign.h"
#include "common/flow/custody.h"
#include "common/flow/image_cancel.h"
#include "common/flow/image_state.h"
#include "common/flow/journal.h"
#include "common/flow/parcel.h"
#include "common/flow/state.h"

/* Told each image that was begun; non-zero stops. */
typedef int (*image_fn)(void *arg, const struct image_state *im, struct err *e);

static int
images_each(struct state *s, image_fn fn, void *arg, struct err *e)
{
	struct image_state *im;
	struct err own;
	char **names;
	size_t n;
	int rc = 0;

	if (state_images(s, &names, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n && rc == 0; i++) {
		err_clear(&own);
		if ((im = image_state_load(s, names[i], NULL, NULL, &own)) != NULL)
			rc = fn(arg, im, e);
		else if (own.code != ERR_NOT_FOUND) {	/* else it was never begun */
			if (e != NULL)
				*e = own;
			rc = -1;
		}
		image_state_free(im);
	}
	dir_list_free(names, n);
	return rc;
}

/* --- which image --- */

struct choice {
	char fresh[SHORT_LEN + 1], any[SHORT_LEN + 1];	/* not shipped yet; sealed */
	size_t nfresh, nany;
};

static int
choice_look(void *arg, const struct image_state *im, struct err *e)
{
	struct choice *c = arg;

	(void)e;
	if (!image_counts(im) || im->answer_bytes != NULL || image_is_unfinished(im))
		return 0;
	c->nany++;
	memcpy(c->any, im->begin.short_name, sizeof(c->any));
	if (im->parcel_bytes != NULL)
		return 0;
	c->nfresh++;
	memcpy(c->fresh, im->begin.short_name, sizeof(c->fresh));
	return 0;
}

static int
image_choose(struct state *s, char name[SHORT_LEN + 1], struct err *e)
{
	struct choice c = { 0 };

	if (images_each(s, choice_look, &c, e) != 0)
		return -1;
	if (c.nany == 0) {
		(void)err_set(e, ERR_NO_IMAGE, "no sealed image of this machine waits to be shipped");
		return err_next(e, "See samara-seed images.");
	}
	if (c.nfresh != 1 && c.nany != 1) {
		(void)err_set(e, ERR_USAGE, "%zu images could be meant", c.nfresh > 1 ? c.nfresh : c.nany);
		return err_next(e, "Say which: samara-seed images shows all of them.");
	}
	memcpy(name, c.nfresh == 1 ? c.fresh : c.any, SHORT_LEN + 1);
	return 0;
}

/* --- whether --- */

static int
may_ship(const struct image_state *im, struct err *e)
{
	const char *name = im->begin.short_name;

	if (im->cancelled)
		return err_set(e, ERR_RULE, "image %s was cancelled", name);
	if (im->answer_bytes != NULL)
		return err_set(e, ERR_RULE, "image %s was handed off: the vault holds it already", name);
	if (im->lost) {
		(void)err_set(e, ERR_RULE, "image %s is lost", name);
		return err_next(e, "If it turned up: samara-seed lost %s --found.", name);
	}
	if (!image_is_unfinished(im))
		return 0;
	(void)err_set(e, ERR_RULE, im->sealed ? "a disk of image %s was replaced, and it is not sealed anew yet" :
	    "image %s is not sealed yet", name);
	return err_next(e, "Finish it with samara-seed build --resume, or seal it with samara-seed key test %s --from DISK.", name);
}

struct number {
	const struct image_state *of;
	const char *tracking;
};

/* One parcel number, one image. */
static int
number_look(void *arg, const struct image_state *im, struct err *e)
{
	const struct number *n = arg;
	struct parcel p;
	int rc;

	if (im->cancelled || memcmp(im->begin.image_id, n->of->begin.image_id, ID_LEN) == 0 || (rc = parcel_of(im, &p, e)) == 1)
		return 0;
	if (rc != 0 || strcasecmp(p.tracking, n->tracking) != 0)
		return rc;
	(void)err_set(e, ERR_RULE, "the parcel number belongs to image %s", p.short_name);
	return err_next(e, "Each image travels in a parcel of its own, so that the vault can tell which is missing.");
}

static int
words_check(const struct ship_options *o, struct err *e)
{
	if ((o->carrier == NULL) != (o->tracking == NULL))
		return err_set(e, ERR_USAGE, "--carrier and --tracking belong together");
	if (o->carrier != NULL && (!parcel_text_is_valid(o->carrier) || !parcel_text_is_valid(o->tracking)))
		return err_set(e, ERR_USAGE, "carrier and parcel number are 1 to %u characters in one line", TEXT_MAX_LEN);
	if (o->address != NULL && strlen(o->address) > PARCEL_ADDRESS_MAX)
		return err_set(e, ERR_USAGE, "the return address is longer than %u characters", PARCEL_ADDRESS_MAX);
	return 0;
}

/* --- the parcel --- */

/* What the machine, image and manifest say of themselves. */
static void
parcel_about(const struct state *s, const struct image_state *im, struct parcel *p)
{
	memcpy(p->vault_id, im->begin.vault_id, ID_LEN);
	memcpy(p->machine_id, s->id.machine_id, ID_LEN);
	memcpy(p->machine_name, s->id.machine_name, sizeof(p->machine_name));
	memcpy(p->machine_pub, s->machine_pub, SIGN_PUB_LEN);
	memcpy(p->image_id, im->begin.image_id, ID_LEN);
	memcpy(p->short_name, im->begin.short_name, sizeof(p->short_name));
	statement_digest(&manifest_schema, im->manifest_bytes, im->manifest_len, p->manifest);
	p->disks = (uint32_t)list_count(im->manifest.disks, MANIFEST_DISK_LEN);
}

/* The parcel as it is to be; 1 where it is that already. */
static int
parcel_make(const struct state *s, const struct image_state *im, const struct ship_options *o, const struct parcel *was,
    struct parcel *p)
{
	*p = *was;
	parcel_about(s, im, p);
	if (o->carrier != NULL) {
		(void)snprintf(p->carrier, sizeof(p->carrier), "%s", o->carrier);
		(void)snprintf(p->tracking, sizeof(p->tracking), "%s", o->tracking);
	}
	if (o->arrives != 0)
		p->arrives = o->arrives;
	if (o->address != NULL)
		(void)snprintf(p->address, sizeof(p->address), "%s", o->address);
	if (was->generation != 0 && memcmp(p, was, sizeof(*p)) == 0)
		return 1;
	p->generation++;
	if (p->shipped == 0)
		p->shipped = io_now();
	return 0;
}

/* Custody log first: it never lacks what the journal tells. */
static int
parcel_record(struct state *s, const struct image_state *im, struct parcel *p, struct err *e)
{
	char words[PARCEL_WORDS_MAX], note[TEXT_MAX_LEN + 1];
	struct journal *j = NULL;
	struct buf b;
	int rc = -1;

	(void)parcel_words(words, 0, p->arrives, p->carrier, p->tracking);
	(void)snprintf(note, sizeof(note), "%.200s%s", words, p->generation > 1 ? " (corrected)" : "");
	buf_init(&b);
	if (statement_make(&parcel_schema, p, s->sign_secret, &b, e) == 0 &&
	    custody_add(s, im, -1, CUSTODY_SHIPPED, 0, note, e) == 0 && (j = journal_append(im->fd, "journal", e)) != NULL &&
	    journal_put(j, JOURNAL_SHIPPED, b.p, b.len, e) == 0)
		rc = journal_sync(j, e);
	journal_close(j);
	buf_release(&b);
	return rc;
}

static int
ship_locked(struct state *s, const struct image_state *im, const struct ship_options *o, struct ship_result *r, struct err *e)
{
	struct number n = { im, o->tracking };
	struct parcel was = { .generation = 0 };
	int rc;

	memcpy(r->short_name, im->begin.short_name, sizeof(r->short_name));
	if (may_ship(im, e) != 0 || (rc = parcel_of(im, &was, e)) == -1)
		return -1;
	r->corrected = rc == 0;
	if (rc == 1 && o->carrier == NULL)
		return 0;
	if (o->tracking != NULL && images_each(s, number_look, &n, e) != 0)
		return -1;
	r->shipped = true;
	if (parcel_make(s, im, o, &was, &r->parcel) == 1)
		return 0;
	if (r->parcel.arrives != 0 && parcel_days_late(r->parcel.arrives, r->parcel.shipped) > 0)
		return err_set(e, ERR_USAGE, "it cannot arrive before the day it is shipped");
	r->recorded = true;
	return o->dry_run ? 0 : parcel_record(s, im, &r->parcel, e);
}

int
ship_image(struct state *s, const char *name, const struct ship_options *o, struct ship_result *r, struct err *e)
{
	struct image_state *im;
	char chosen[SHORT_LEN + 1];
	int lock, rc = -1;

	memset(r, 0, sizeof(*r));
	if (words_check(o, e) != 0 || (name == NULL && image_choose(s, chosen, e) != 0))
		return -1;
	if ((im = image_locked(s, name != NULL ? name : chosen, &lock, e)) != NULL)
		rc = ship_locked(s, im, o, r, e);
	image_state_free(im);
	if (lock != -1)
		(void)io->close(lock);
	return rc;
}
