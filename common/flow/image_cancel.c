#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/flow/disk_write.h"
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
	held->ids = calloc(n + 1, sizeof(*held->ids));
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

/* The journal's last word, after the set has let go of the image. */
static int
journal_end(struct state *s, const struct image_state *im, struct err *e)
{
	struct journal *j;
	int rc = -1;

	if (custody_add(s, im, -1, CUSTODY_CANCELLED, 0, "", e) != 0)
		return -1;
	if ((j = journal_append(im->fd, "journal", e)) == NULL)
		return -1;
	if (journal_put(j, JOURNAL_CANCELLED, NULL, 0, e) == 0 && journal_sync(j, e) == 0)
		rc = 0;
	journal_close(j);
	return rc;
}

static int
cancel_locked(struct state *s, const struct image_state *im, bool dry_run, struct image_cancel *c, struct err *e)
{
	struct held held = { 0 };
	uint64_t latest;
	int rc = -1;

	if (others_look(s, im->begin.image_id, &held, c, e) != 0 || set_latest(s, c->set_name, &latest, e) != 0)
		goto out;
	c->latest = latest;
	if (latest_find(s, c->set_name, &held, &c->latest, e) != 0)
		goto out;
	if (!dry_run && c->latest != latest && set_latest_save(s, c->set_name, c->latest, e) != 0)
		goto out;
	rc = dry_run || c->was_cancelled ? 0 : journal_end(s, im, e);
out:
	free(held.ids);
	return rc;
}

/* The image as it is once the lock of its set is held; NULL with ${e}. */
static struct image_state *
image_locked(struct state *s, const char *name, int *lock, struct err *e)
{
	struct image_state *im = image_state_load(s, name, NULL, NULL, e);

	if (im == NULL)
		return NULL;
	if ((*lock = set_lock(s, im->begin.set_name, e)) == -1) {
		image_state_free(im);
		return NULL;
	}
	image_state_free(im);
	return image_state_load(s, name, NULL, NULL, e);
}

int
image_cancel(struct state *s, const char *name, bool dry_run, struct image_cancel *c, struct err *e)
{
	struct image_state *im;
	int lock = -1, rc = -1;

	memset(c, 0, sizeof(*c));
	if ((im = image_locked(s, name, &lock, e)) != NULL) {
		memcpy(c->short_name, im->begin.short_name, sizeof(c->short_name));
		memcpy(c->set_name, im->begin.set_name, sizeof(c->set_name));
		c->was_cancelled = im->cancelled;
		rc = cancel_locked(s, im, dry_run, c, e);
	}
	image_state_free(im);
	if (lock != -1)
		(void)io->close(lock);
	if (rc != 0)
		image_cancel_release(c);
	return rc == 0 ? 0 : err_during(e, "cancel image %.4s", name);
}

void
image_cancel_release(struct image_cancel *c)
{
	free(c->leaning);
	memset(c, 0, sizeof(*c));
}
