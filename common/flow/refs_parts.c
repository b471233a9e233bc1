#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/flow/refs_parts.h"

#define READ_IDS	2048u	/* many lists are read side by side */
#define LINE_IDS	32768u	/* at once over a line, where each request takes its time */

static size_t
ids_at_once(const struct container *c)
{
	return c->is_line ? LINE_IDS : READ_IDS;
}

static int
head_read(struct container *c, const struct snap_place *p, unsigned kind, unsigned part, struct refs_head *head,
    struct err *e)
{
	uint8_t bytes[REFS_HEAD_LEN];
	enum fmt_status st;
	size_t got;

	if (c->ops->refs(c, p, kind, part, 0, bytes, sizeof(bytes), &got, e) != 0)
		return -1;
	if ((st = refs_head_decode(head, bytes, got)) != FMT_OK)
		return err_set(e, st == FMT_VERSION ? ERR_VERSION : ERR_DAMAGE, "reference list: %s", fmt_status_text(st));
	if (head->kind != kind || head->part != part)
		return err_set(e, ERR_DAMAGE, "reference list: it is not the part that it should be");
	return 0;
}

int
refs_parts_head(struct container *c, const struct snap_place *p, unsigned kind, struct refs_head *head, struct err *e)
{
	return head_read(c, p, kind, 0, head, e);
}

int
refs_parts_init(struct refs_parts *s, struct container *c, const struct snap_place *p, const struct refs_head *head,
    uint64_t from, uint64_t to, struct err *e)
{
	memset(s, 0, sizeof(*s));
	if ((s->buf = malloc(ids_at_once(c) * DIGEST_LEN)) == NULL)
		return err_set(e, ERR_MEMORY, "no memory to read a reference list");
	s->c = c;
	s->place = *p;
	s->head = *head;
	s->at = from;
	s->end = to;
	s->checked = 1;
	return 0;
}

void
refs_parts_release(struct refs_parts *s)
{
	free(s->buf);
	s->buf = NULL;
}

/* Part ${part} is one of the same list. */
static int
part_check(struct refs_parts *s, unsigned part, struct err *e)
{
	struct refs_head h;

	if (part < s->checked)
		return 0;
	if (head_read(s->c, &s->place, s->head.kind, part, &h, e) != 0)
		return -1;
	if (h.parts != s->head.parts || h.count != s->head.count || h.added != s->head.added ||
	    h.removed != s->head.removed || memcmp(h.digest, s->head.digest, DIGEST_LEN) != 0 ||
	    memcmp(h.domain_id, s->head.domain_id, DIGEST_LEN) != 0 || memcmp(h.base, s->head.base, DIGEST_LEN) != 0)
		return err_set(e, ERR_DAMAGE, "reference list: its parts are of different lists");
	s->checked = (uint64_t)part + 1;
	return 0;
}

static int
fill(struct refs_parts *s, struct err *e)
{
	uint64_t part = s->at / REFS_PART_IDS, within = s->at % REFS_PART_IDS, ids = s->end - s->at;
	size_t want, got;

	if (part >= s->head.parts)
		return err_set(e, ERR_DAMAGE, "reference list: it has fewer parts than it says");
	if (ids > REFS_PART_IDS - within)
		ids = REFS_PART_IDS - within;
	want = (ids < ids_at_once(s->c) ? (size_t)ids : ids_at_once(s->c)) * DIGEST_LEN;
	if (part_check(s, (unsigned)part, e) != 0 ||
	    s->c->ops->refs(s->c, &s->place, s->head.kind, (unsigned)part, REFS_HEAD_LEN + within * DIGEST_LEN, s->buf, want,
	    &got, e) != 0)
		return -1;
	if (got != want)
		return err_set(e, ERR_DAMAGE, "reference list: it is cut short");
	s->used = got;
	s->taken = 0;
	return 0;
}

int
refs_parts_next(struct refs_parts *s, uint8_t id[DIGEST_LEN], struct err *e)
{
	if (s->at == s->end)
		return 0;
	if (s->taken == s->used && fill(s, e) != 0)
		return -1;
	memcpy(id, s->buf + s->taken, DIGEST_LEN);
	s->taken += DIGEST_LEN;
	s->at++;
	return 1;
}
