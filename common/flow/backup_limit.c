/* No surprise on the line: what has to hold before anything is sent. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/human.h"
#include "common/base/log.h"
#include "common/flow/backup_job.h"
#include "common/flow/line_note.h"
#include "common/flow/policy.h"

#define DAY		UINT64_C(86400)
#define RATE_ASSUMED	UINT64_C(1250000)	/* 10 Mbit/s: nobody has measured the line yet */

/* --- the first image --- */

/* The images of this machine that count, as far as a backup has to wait for one. */
struct images {
	char building[SHORT_LEN + 1], sealed[SHORT_LEN + 1];	/* one of them, or "" */
};

static void
image_look(const struct image_state *im, struct images *all)
{
	static const uint8_t none[ID_LEN];

	if (im->cancelled || im->lost || memcmp(im->begin.snapshot_id, none, ID_LEN) == 0)
		return;
	memcpy(image_is_unfinished(im) ? all->building : all->sealed, im->begin.short_name, SHORT_LEN + 1);
}

static int
images_look(struct backup *k, struct images *all, struct err *e)
{
	struct image_state *im;
	char **names;
	size_t n;
	int rc = 0;

	memset(all, 0, sizeof(*all));
	if (state_images(k->b->s, &names, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n && rc == 0; i++) {
		if ((im = image_state_load(k->b->s, names[i], NULL, NULL, e)) != NULL)
			image_look(im, all);
		else if (e->code == ERR_NOT_FOUND)
			err_clear(e);	/* it was never begun */
		else
			rc = -1;
		image_state_free(im);
	}
	dir_list_free(names, n);
	return rc;
}

int
backup_rule(struct backup *k, struct err *e)
{
	struct line_note known;
	struct images all;

	if (line_note_load(k->b->s, k->b->k, &known, e) != 0 || images_look(k, &all, e) != 0)
		return -1;
	if (known.head_seq != 0 || all.building[0] == '\0' || all.sealed[0] != '\0')
		return 0;
	(void)err_set(e, ERR_PLEDGED, "image %s, the first of this machine, is being built: what it carries is not sent over the line",
	    all.building);
	return err_next(e, "finish it: samara-seed build --resume; or give it up: samara-seed cancel %s", all.building);
}

int
backup_rule_pledged(struct backup *k, struct err *e)
{
	struct images all;

	if (k->t.opened.head_seq != 0)
		return 0;
	if (images_look(k, &all, e) != 0)
		return -1;
	if (all.sealed[0] == '\0')
		return 0;
	(void)err_set(e, ERR_PLEDGED, "image %s is sealed, and the vault does not know yet that it is on its way: nothing was sent",
	    all.sealed);
	return err_next(e, "tell it: samara-seed ship %s; or give the image up: samara-seed cancel %s", all.sealed, all.sealed);
}

/* --- how much may be sent --- */

/* Bytes that this run may send. */
static int
limit_find(struct backup *k, uint64_t *most, uint64_t *rate, struct err *e)
{
	struct line_note known;
	struct policy p;

	*most = k->o->max_upload;
	if (policy_read(k->b->s->fd, &p, e) != 0 || line_note_load(k->b->s, k->b->k, &known, e) != 0)
		return -1;
	*rate = known.rate != 0 ? known.rate : RATE_ASSUMED;
	if (*most == BACKUP_A_DAY)
		*most = p.initial_network ? BACKUP_NO_LIMIT : *rate * DAY;
	return 0;
}

/* What the largest of the new files are. */
static void
news_say(const struct build_news *n)
{
	char size[HUMAN_MAX];

	for (size_t i = 0; i < BUILD_NEWS && n->at[i].path != NULL; i++)
		say_warn("%s  %s", human_size(size, n->at[i].size), n->at[i].path);
}

static int
too_much(struct backup *k, uint64_t count, uint64_t most, uint64_t rate, struct err *e)
{
	char size[HUMAN_MAX], limit[HUMAN_MAX];
	char days[32];

	news_say(k->b->news);
	(void)snprintf(days, sizeof(days), "%.1f", (double)count / (double)rate / (double)DAY);
	(void)err_set(e, ERR_MAX_UPLOAD, "%s would be sent, %s days of the line (%s; %s is allowed): nothing was sent",
	    human_size(size, count), days, k->b->news->at[0].path != NULL ? k->b->news->at[0].path : "nothing large is new",
	    human_size(limit, most));
	return err_next(e, "send it on a disk: samara-seed build --to DISK; or send it all the same: samara-seed backup --max-upload none");
}

/* Read, cut and ask, but send nothing. */
static int
count(struct backup *k, struct err *e)
{
	struct build *b = k->b;
	struct sink_line counted = k->line;
	int rc;

	if ((b->news = calloc(1, sizeof(*b->news))) == NULL)
		return err_errno(e, "backup");
	counted.put = NULL;
	b->line = &counted;
	memset(&b->r->result, 0, sizeof(b->r->result));
	rc = build_read(b, e);
	b->line = &k->line;
	return rc;
}

static void
count_end(struct build *b)
{
	build_news_release(b->news);
	free(b->news);
	b->news = NULL;
}

int
backup_limit(struct backup *k, struct err *e)
{
	uint64_t most, rate, bytes;
	struct build *b = k->b;
	int rc;

	if (limit_find(k, &most, &rate, e) != 0)
		return -1;
	if (most == BACKUP_NO_LIMIT)
		return 0;
	memset(&b->r->result, 0, sizeof(b->r->result));
	if (build_dry(b, e) != 0)
		return -1;
	b->expect = b->r->result.bytes;
	if (b->r->result.read_bytes <= most)
		return 0;
	say_info("more is new than may be sent: it is counted first");
	if ((rc = count(k, e)) == 0) {
		bytes = b->r->result.stored_bytes;
		rc = bytes > most ? too_much(k, bytes, most, rate, e) : backup_held(k, e);
	}
	count_end(b);
	return rc;
}
