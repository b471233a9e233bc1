#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/flow/custody.h"
#include "common/flow/image_cancel.h"
#include "common/flow/image_state.h"
#include "common/flow/journal.h"
#include "common/flow/state.h"

/* The images that count: sealed, and given up by nobody. */
struct held {
	uint8_t (*ids)[ID_LEN];
	size_t n;
};

static bool
leans_on(const struct image_state *im, const uint8_t id[ID_LEN])
{
	struct fmt_view ids = im->manifest.leans_on;

	for (size_t i = 0; im->manifest.generation != 0 && i < list_count(ids, ID_LEN); i++)
		if (memcmp(ids.p + i * ID_LEN, id, ID_LEN) == 0)
			return true;
	return false;
}

/* Look at one image other than the one that is given up. */
static void
other_look(const struct image_state *im, const uint8_t given_up[ID_LEN], struct held *held, struct image_cancel *c)
{
	if (!image_counts(im) || memcmp(im->begin.image_id, given_up, ID_LEN) == 0)
		return;
	memcpy(held->ids[held->n++], im->begin.image_id, ID_LEN);
	if (leans_on(im, given_up))
		memcpy(c->leaning[c->nleaning++], im->begin.short_name, SHORT_LEN + 1);
}

static int
others_look(struct state *s, const uint8_t given_up[ID_LEN], struct held *held, struct image_cancel *c, struct err *e)
{
	struct image_state *im;
	char **names;
	size_t n;
	int rc = 0;

	if (state_images(s, &names, &n, e) != 0)
		return -1;
	held->ids = calloc(n + 2, sizeof(*held->ids));
	c->leaning = calloc(n + 1, sizeof(*c->leaning));
	if (held->ids == NULL || c->leaning == NULL)
		rc = err_errno(e, "look at images");
	for (size_t i = 0; i < n && rc == 0; i++) {
		if ((im = image_state_load(s, names[i], NULL, NULL, e)) != NULL)
			other_look(im, given_up, held, c);
		else if (e->code == ERR_NOT_FOUND)
			err_clear(e);	/* it was never begun */
		else
			rc = -1;
		image_state_free(im);
	}
	dir_list_free(names, n);
	return rc;
}

static bool
is_held(const struct held *held, const uint8_t id[ID_LEN])
{
	for (size_t i = 0; i < held->n; i++)
		if (memcmp(held->ids[i], id, ID_LEN) == 0)
			return true;
	return false;
}

/* The newest snapshot of the set in an image that counts, up to ${seq}; 0 where there is none. */
static int
latest_find(struct state *s, const char *set, const struct held *held, uint64_t *seq, struct err *e)
{
	struct envelope env;
	uint8_t *bytes;
	size_t len;
	int rc;

	for (; *seq > 0; --*seq) {
		if ((rc = state_envelope(s, *seq, &bytes, &len, &env, e)) == -1)
			return -1;
		if (rc == 1)
			continue;
		free(bytes);
		if (strcmp(env.set_name, set) == 0 && is_held(held, env.image_id))
			break;
	}
	return 0;
}

/* What becomes of an image, in the words of journal and custody log. */
struct fate {
	const char *doing;		/* for messages */
	unsigned journal, custody;
	bool counts;			/* afterwards its chunks may be leaned on */
};
static const struct fate cancelled = { "cancel image", JOURNAL_CANCELLED, CUSTODY_CANCELLED, false };
static const struct fate lost = { "image is lost:", JOURNAL_LOST, CUSTODY_LOST, false };
static const struct fate found = { "image turned up:", JOURNAL_REOPENED, CUSTODY_REOPENED, true };

/* The journal's last word on it. */
static int
journal_end(struct state *s, const struct image_state *im, const struct fate *f, struct err *e)
{
	struct journal *j;
	int rc = -1;

	if (custody_add(s, im, -1, f->custody, 0, "", e) != 0)
		return -1;
	if ((j = journal_append(im->fd, "journal", e)) == NULL)
		return -1;
	if (journal_put(j, f->journal, NULL, 0, e) == 0 && journal_sync(j, e) == 0)
		rc = 0;
	journal_close(j);
	return rc;
}

/* Where the set's history goes on: below ${latest} where the image is given up, anywhere where it counts again. */
static int
set_move(struct state *s, const struct image_state *im, const struct fate *f, struct held *held, uint64_t latest,
    struct image_cancel *c, struct err *e)
{
	c->latest = latest;
	if (f->counts) {
		memcpy(held->ids[held->n++], im->begin.image_id, ID_LEN);
		if (state_highest(s, &c->latest, e) != 0)
			return -1;
	}
	return latest_find(s, c->set_name, held, &c->latest, e);
}

/*
 * An image that is given up leaves the set first and the journal then, one that
 * counts again the other way round: the set never stands on one that does not count.
 */
static int
fate_locked(struct state *s, const struct image_state *im, const struct fate *f, bool dry_run, struct image_cancel *c,
    struct err *e)
{
	struct held held = { 0 };
	bool write = !dry_run && !c->before;
	uint64_t latest;
	int rc = -1;

	if (others_look(s, im->begin.image_id, &held, c, e) != 0 || set_latest(s, c->set_name, &latest, e) != 0 ||
	    set_move(s, im, f, &held, latest, c, e) != 0)
		goto out;
	if (write && f->counts && journal_end(s, im, f, e) != 0)
		goto out;
	if (!dry_run && c->latest != latest && set_latest_save(s, c->set_name, c->latest, e) != 0)
		goto out;
	rc = write && !f->counts ? journal_end(s, im, f, e) : 0;
out:
	free(held.ids);
	return rc;
}

struct image_state *
image_locked(struct state *s, const char *name, int *lock, struct err *e)
{
	struct image_state *im = image_state_load(s, name, NULL, NULL, e);

	*lock = -1;
	if (im == NULL)
		return NULL;
	*lock = set_lock(s, im->begin.set_name, e);
	image_state_free(im);
	return *lock == -1 ? NULL : image_state_load(s, name, NULL, NULL, e);
}

/* Whether this may become of it as it is: 0 it may, or has already (c->before); -1 with ERR_RULE. */
static int
fate_check(const struct image_state *im, const struct fate *f, struct image_cancel *c, struct err *e)
{
	const char *name = im->begin.short_name;

	c->before = f == &cancelled ? im->cancelled : f == &lost ? im->lost && !im->cancelled : !im->lost && !im->cancelled;
	if (im->answer_bytes != NULL && (f != &found || !c->before)) {
		(void)err_set(e, ERR_RULE, "image %s was handed off: the vault holds it", name);
		return err_next(e, "Nothing depends on its disks any more; a new build may leave out what the vault holds.");
	}
	if (im->cancelled && f != &cancelled)
		return err_set(e, ERR_RULE, "image %s was cancelled, which is not undone", name);
	if (!im->sealed && f != &cancelled) {
		(void)err_set(e, ERR_RULE, "image %s is not sealed, so it was never on its way", name);
		return err_next(e, "A disk of it that is gone: samara-seed build --replace; to give it up: samara-seed cancel %s.", name);
	}
	return 0;
}

static int
image_fate(struct state *s, const char *name, const struct fate *f, bool dry_run, struct image_cancel *c, struct err *e)
{
	struct image_state *im;
	int lock, rc = -1;

	memset(c, 0, sizeof(*c));
	if ((im = image_locked(s, name, &lock, e)) != NULL) {
		memcpy(c->short_name, im->begin.short_name, sizeof(c->short_name));
		memcpy(c->set_name, im->begin.set_name, sizeof(c->set_name));
		if ((rc = fate_check(im, f, c, e)) == 0)
			rc = fate_locked(s, im, f, dry_run, c, e);
	}
	image_state_free(im);
	if (lock != -1)
		(void)io->close(lock);
	if (rc != 0)
		image_cancel_release(c);
	return rc == 0 || (e != NULL && e->code == ERR_RULE) ? rc : err_during(e, "%s %.4s", f->doing, name);
}

int
image_cancel(struct state *s, const char *name, bool dry_run, struct image_cancel *c, struct err *e)
{
	return image_fate(s, name, &cancelled, dry_run, c, e);
}

int
image_lost(struct state *s, const char *name, bool dry_run, struct image_cancel *c, struct err *e)
{
	return image_fate(s, name, &lost, dry_run, c, e);
}

int
image_found(struct state *s, const char *name, bool dry_run, struct image_cancel *c, struct err *e)
{
	return image_fate(s, name, &found, dry_run, c, e);
}

void
image_cancel_release(struct image_cancel *c)
{
	free(c->leaning);
	memset(c, 0, sizeof(*c));
}
