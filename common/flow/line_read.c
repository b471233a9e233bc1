#include "common/flow/line_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/text.h"
#include "common/flow/container.h"
#include "common/flow/line.h"
#include "common/flow/line_note.h"
#include "formats/fmt_pledge.h"
#include "formats/fmt_snapshot.h"

#define TRIES	6u		/* of what only reads */
#define BINARY	"application/octet-stream"

int
line_remembered(struct state *s, const struct domain_keys *k, struct container_trust *t, uint64_t *rate, struct err *e)
{
	struct line_note n;

	memset(t, 0, sizeof(*t));
	*rate = 0;
	if (line_note_load(s, k, &n, e) != 0)
		return -1;
	t->head = n.head_seq;
	memcpy(t->digest, n.head, DIGEST_LEN);
	*rate = n.rate;
	return 0;
}

/* An answer that should be bytes, and is. */
static int
is_binary(struct line *l, const struct net_answer *r, const char *what, struct err *e)
{
	char type[200];

	if (strcmp(r->type, BINARY) == 0)
		return 0;
	return err_set(e, ERR_PROTOCOL, "%s answers %s with \"%s\", not with %s", line_name(l), what,
	    text_safe(type, sizeof(type), r->type, strlen(r->type)), BINARY);
}

/* One page, in ${r}->body, which the views point into. */
static int
page_get(struct line *l, uint64_t after, struct net_answer *r, struct line_page *page, struct err *e)
{
	char path[64];
	struct net_ask a = { .method = "GET", .path = path, .answer_max = LINE_PAGE_MAX, .tries = TRIES };
	enum fmt_status st;

	(void)snprintf(path, sizeof(path), "snapshots?after=%llu", (unsigned long long)after);
	if (line_ask(l, &a, r, e) != 0 || is_binary(l, r, "the question for snapshots", e) != 0)
		return -1;
	if ((st = schema_decode(&line_page_schema, page, r->body.p, r->body.len)) != FMT_OK)
		return err_set(e, st == FMT_VERSION ? ERR_VERSION : ERR_PROTOCOL, "%s: its list of snapshots: %s", line_name(l),
		    fmt_status_text(st));
	return page->after == after ? 0 : err_set(e, ERR_PROTOCOL, "%s: its list of snapshots begins above %llu, not above %llu as asked",
	    line_name(l), (unsigned long long)page->after, (unsigned long long)after);
}

int
line_snapshots(struct line *l, const uint8_t vault_id[ID_LEN], const uint8_t machine_id[ID_LEN], uint64_t *head,
    line_snapshot_fn fn, void *arg, struct err *e)
{
	uint64_t after = 0;
	int rc = 0, more = 1;

	while (rc == 0 && more) {
		struct net_answer r = { 0 };
		struct line_page page = { 0 };
		struct line_snapshot s;
		struct rd at;

		rc = page_get(l, after, &r, &page, e);
		if (rc == 0 && memcmp(page.vault_id, vault_id, ID_LEN) != 0)
			rc = err_set(e, ERR_PROTOCOL, "%s: its list of snapshots is another vault's", line_name(l));
		if (rc == 0 && memcmp(page.machine_id, machine_id, ID_LEN) != 0)
			rc = err_set(e, ERR_PROTOCOL, "%s: its list of snapshots is another machine's", line_name(l));
		at = (struct rd){ .p = page.rows.p, .left = page.rows.len };
		while (rc == 0 && at.left > 0) {
			(void)line_snapshot_next(&at, &s);	/* checked when the page was decoded */
			after = s.seq;
			rc = fn(arg, &s, e);
		}
		more = page.more;
		if (head != NULL)
			*head = page.head;
		net_answer_free(&r);
	}
	return rc;
}

int
line_files_lost(struct line *l, const uint8_t vault_id[ID_LEN], const uint8_t machine_id[ID_LEN],
    struct files_lost_row **rows, size_t *n, struct err *e)
{
	struct net_ask a = { .method = "GET", .path = "lost", .answer_max = FILES_LOST_LEN_MAX, .tries = TRIES };
	struct net_answer r = { 0 };
	struct files_lost_page page;
	enum fmt_status st;
	int rc;

	*rows = NULL;
	*n = 0;
	if ((rc = line_ask(l, &a, &r, e)) == 0 && (rc = is_binary(l, &r, "the question for files that are lost", e)) == 0) {
		if ((st = schema_decode(&files_lost_page_schema, &page, r.body.p, r.body.len)) != FMT_OK)
			rc = err_set(e, st == FMT_VERSION ? ERR_VERSION : ERR_PROTOCOL, "%s: its count of files that are lost: %s",
			    line_name(l), fmt_status_text(st));
		else if (memcmp(page.vault_id, vault_id, ID_LEN) != 0 || memcmp(page.machine_id, machine_id, ID_LEN) != 0)
			rc = err_set(e, ERR_PROTOCOL, "%s: its count of files that are lost is another's", line_name(l));
		else if ((*rows = malloc(page.rows.len + 1)) == NULL)
			rc = err_set(e, ERR_MEMORY, "no memory for files that are lost");
		else
			for (*n = 0; *n < list_count(page.rows, FILES_LOST_ROW_LEN); ++*n)
				(void)element_get(files_lost_row_fields, files_lost_row_nfields, page.rows, *n, &(*rows)[*n]);
	}
	net_answer_free(&r);
	return rc;
}

/* Bytes of an answer go where they were asked to. */
struct taking {
	uint8_t *out;
	size_t len, got;
};

static int
take(void *arg, const void *bytes, size_t len, struct err *e)
{
	struct taking *t = arg;

	if (len > t->len - t->got)
		return err_set(e, ERR_PROTOCOL, "the answer is longer than what was asked for");
	memcpy(t->out + t->got, bytes, len);
	t->got += len;
	return 0;
}

/* Exactly the range [off, off + len) of what stands at ${path}. */
static int
range_get(struct line *l, const char *path, const char *what, uint64_t off, void *out, size_t len, struct err *e)
{
	struct taking t = { .out = out, .len = len };
	struct net_ask a = { .method = "GET", .path = path, .range_from = off, .range_len = len, .take = take, .take_arg = &t,
	    .answer_max = len, .tries = TRIES };
	struct net_answer r = { 0 };
	int rc;

	if (len == 0)
		return 0;
	if ((rc = line_ask(l, &a, &r, e)) == 0) {
		if (r.status != 206 || t.got != len)
			rc = err_set(e, ERR_PROTOCOL, "%s gives %zu bytes of %s where %zu were asked for", line_name(l), t.got, what, len);
		else
			rc = is_binary(l, &r, what, e);
	}
	net_answer_free(&r);
	return rc;
}

int
line_list_part(struct line *l, uint64_t seq, unsigned kind, unsigned part, uint64_t off, void *out, size_t len,
    struct err *e)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "snapshots/%llu/list-%s-%u", (unsigned long long)seq,
	    kind == REFS_WHOLE ? "whole" : "delta", part);
	return range_get(l, path, "a reference list", off, out, len, e);
}

int
line_pack_range(struct line *l, const uint8_t pack_id[DIGEST_LEN], uint32_t copy, uint64_t off, void *out, size_t len,
    struct err *e)
{
	char path[2 * DIGEST_LEN + 32], hex[2 * DIGEST_LEN + 1];

	(void)snprintf(path, sizeof(path), "packs/%s.%u", text_hex(hex, pack_id, DIGEST_LEN), copy);
	return range_get(l, path, "a pack", off, out, len, e);
}

/* The answer, by position. */
static int
places_take(struct line *l, const struct net_answer *r, size_t n, struct line_place *out, struct err *e)
{
	struct line_places p;
	enum fmt_status st;

	if (is_binary(l, r, "the question for places", e) != 0)
		return -1;
	if ((st = schema_decode(&line_places_schema, &p, r->body.p, r->body.len)) != FMT_OK)
		return err_set(e, st == FMT_VERSION ? ERR_VERSION : ERR_PROTOCOL, "%s: its list of places: %s", line_name(l),
		    fmt_status_text(st));
	if (list_count(p.places, LINE_PLACE_LEN) != n)
		return err_set(e, ERR_PROTOCOL, "%s gives %zu places for %zu chunks", line_name(l),
		    list_count(p.places, LINE_PLACE_LEN), n);
	for (size_t i = 0; i < n; i++)
		(void)element_get(line_place_fields, line_place_nfields, p.places, i, &out[i]);
	return 0;
}

int
line_places(struct line *l, const uint8_t *ids, size_t n, struct line_place *out, struct err *e)
{
	const struct ask wanted = { .ids = { ids, (uint32_t)(n * DIGEST_LEN) } };
	size_t cap = schema_size(&ask_schema, &wanted), len;
	struct net_ask a = { .method = "POST", .path = "places", .answer_max = LINE_PLACES_ANSWER, .tries = TRIES };
	struct net_answer r = { 0 };
	uint8_t *body = cap > 0 ? malloc(cap) : NULL;
	int rc;

	if (body == NULL)
		return err_set(e, cap > 0 ? ERR_MEMORY : ERR_INTERNAL, "places of %zu chunks cannot be asked for", n);
	if (schema_encode(&ask_schema, &wanted, body, cap, &len) != FMT_OK) {
		free(body);
		return err_set(e, ERR_INTERNAL, "places of %zu chunks cannot be asked for", n);
	}
	a.body = body;
	a.body_len = len;
	if ((rc = line_ask(l, &a, &r, e)) == 0)
		rc = places_take(l, &r, n, out, e);
	net_answer_free(&r);
	free(body);
	return rc;
}
