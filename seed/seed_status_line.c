#include "seed/seed_status_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/text.h"
#include "common/flow/image_told.h"
#include "common/flow/line_note.h"
#include "common/flow/line_usual.h"
#include "common/flow/schedule.h"
#include "formats/fmt_line_machine.h"

#define SOON	(INT64_C(14) * 86400)

/* --- the vault --- */

/* What was measured last; nothing where the key is not at hand. */
static void
rate_find(struct state *s, struct status_line *l)
{
	struct domain_keys *k = state_keeps_key(s) ? state_keys(s, NULL) : NULL;
	struct line_note note;

	if (k != NULL && line_note_load(s, k, &note, NULL) == 0)
		l->rate = note.rate;
	domain_keys_free(k);
}

static void
notices_take(struct status_line *l, struct fmt_view notices)
{
	struct rd r = { .p = notices.p, .left = notices.len };
	struct fmt_view one;

	while (l->notices < STATUS_NOTICES && notice_next(&r, &one) == FMT_OK)
		(void)text_safe(l->notice[l->notices++], STATUS_NOTICE_LEN, (const char *)one.p, one.len);
}

static int
vault_ask(struct state *s, struct status_line *l, struct err *e)
{
	struct line_usual *u = line_usual_glance(s, e);
	int64_t since = io_mono_ns();
	uint8_t *bytes = NULL;
	struct contact c;
	int rc;

	if (u == NULL)
		return -1;
	rate_find(s, l);
	rc = line_call(line_usual_line(u), "GET", "contact", 1, NULL, NULL, &contact_schema, &c, &bytes, e);
	if (rc == 0) {
		l->head_seq = c.head_seq;
		l->missing = c.missing;
		l->whole = c.whole;
		l->pending = c.pending;
		l->newest_whole = c.newest_whole / 1000000000;
		l->sets_waiting = c.sets_waiting;
		l->time = c.time / 1000000000;
		notices_take(l, c.notices);
	}
	if (rc != 0)
		line_usual_silent(since, e);
	free(bytes);
	line_usual_close(u);
	return rc;
}

/* --- the next run --- */

static int
next_find(struct state *s, struct status_line *l, struct err *e)
{
	struct err mine;
	char **names;
	size_t n;
	int rc = 0;

	err_clear(&mine);
	if (dir_list(s->fd, "sets", &names, &n, &mine) != 0)
		return mine.code == ERR_NOT_FOUND ? 0 : err_set(e, mine.code, "%s", mine.msg);
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct schedule g = { .ntimes = 0 };
		int64_t next;

		if ((rc = schedule_read(s, names[i], &g, e)) == 0) {
			next = schedule_next(&g, io_now());
			if (l->next == 0 || next < l->next)
				l->next = next;
		}
		schedule_release(&g);
		rc = rc < 0 ? -1 : 0;
	}
	dir_list_free(names, n);
	return rc;
}

/* --- pledges --- */

static int
pledge_look(struct status_line *l, const struct image_state *im, struct err *e)
{
	struct image_told told;

	if (image_told_load(im, &told, e) != 0)
		return -1;
	if (image_told_unpledged(im, &told) && l->unpledged == NULL)
		l->unpledged = im->begin.short_name;
	if (told.generation == 0 || told.until == 0 || !image_counts(im) || im->answer_bytes != NULL)
		return 0;
	if (l->pledge_until == 0 || told.until < l->pledge_until) {
		l->pledge_until = told.until;
		l->pledged = im->begin.short_name;
	}
	return 0;
}

int
status_line_gather(struct state *s, struct image_state *const *images, size_t n, struct status_line *l, struct err *e)
{
	memset(l, 0, sizeof(*l));
	err_clear(&l->why);
	for (size_t i = 0; i < n; i++)
		if (pledge_look(l, images[i], e) != 0)
			return -1;
	if (next_find(s, l, e) != 0)
		return -1;
	l->there = line_usual_is_there(s);
	l->reachable = l->there && vault_ask(s, l, &l->why) == 0;
	return 0;
}

const char *
status_line_word(const struct status_line *l, char *buf)
{
	if (!l->there)
		(void)snprintf(buf, STATUS_LINE_MAX, "none");
	else if (l->reachable && l->rate != 0)
		(void)snprintf(buf, STATUS_LINE_MAX, "reachable, %.1f Mbit/s", (double)l->rate * 8 / 1e6);
	else if (l->reachable)
		(void)snprintf(buf, STATUS_LINE_MAX, "reachable");
	else
		(void)snprintf(buf, STATUS_LINE_MAX, "not reachable (%.400s)", l->why.msg);
	return buf;
}

int
status_line_ends_soon(const struct status_line *l, int64_t now)
{
	return l->pledge_until != 0 && l->pledge_until - now < SOON;
}
