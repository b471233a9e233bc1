#ifndef SAMARA_FORMATS_FMT_LINE_READ_H
#define SAMARA_FORMATS_FMT_LINE_READ_H

/* What goes over the line where a machine reads its snapshots back.  Specification: docs/formats/line-read.md. */

#include "formats/fmt_line.h"

#define LINE_ROWS_MAX		(1u << 20)	/* bytes of rows in one page of snapshots */
#define LINE_PAGE_MAX		(LINE_ROWS_MAX + 1024u)	/* bytes of such a page */
#define LINE_PLACES_BODY	(ASK_IDS_MAX * DIGEST_LEN + 64u)	/* bytes of such a request, at most */
#define LINE_PLACE_LEN		48u
#define LINE_PLACES_ANSWER	(ASK_IDS_MAX * LINE_PLACE_LEN + 64u)

/* What the vault says of a snapshot: enum line_state, or that there is no envelope any more, by retention or deletion. */
#define LINE_GONE	6u

#define LINE_DELETED	1u		/* softly: it can still be read, and brought back */
#define LINE_PROTECTED	2u
#define LINE_FLAGS	3u

/* A row of a page: the numbers, then the envelope as blob u32 (empty where it is gone). */
struct line_snapshot {
	uint64_t seq;
	uint8_t state, flags;			/* LINE_… */
	uint64_t missing, promised, given_up;	/* ids */
	int64_t received;			/* the vault's time, nanoseconds */
	char image[SHORT_LEN + 1];		/* pending: the image that it waits for; "" */
	struct fmt_view envelope;
};
/* The next row at ${r}: FMT_OK, FMT_SHORT at the end (r->left == 0) or where it is cut, FMT_RANGE. */
enum fmt_status line_snapshot_next(struct rd *r, struct line_snapshot *s);
/* Append a row; w->bad is set where there is no room or line_snapshot_next would not take it. */
void line_snapshot_put(struct wr *w, const struct line_snapshot *s);

/* Answer to GET snapshots: rows by rising number. */
struct line_page {
	uint8_t vault_id[ID_LEN];
	uint8_t machine_id[ID_LEN];
	uint64_t after;			/* as asked: rows begin above it */
	uint64_t head;			/* the highest number that the vault has; 0: none */
	uint8_t more;			/* 1: there are rows above the last of these */
	struct fmt_view rows;
};
extern const struct fmt_schema line_page_schema;

/* One place; zeros: there is no good copy. */
struct line_place {
	uint8_t pack_id[DIGEST_LEN];
	uint32_t copy;
	uint64_t off;
	uint32_t len;			/* of the frame */
};
extern const struct fmt_field line_place_fields[];
extern const size_t line_place_nfields;

/* Answer to POST places, whose body is struct ask: a place for each id, in the same order. */
struct line_places {
	struct fmt_view places;		/* line_place */
};
extern const struct fmt_schema line_places_schema;

/* True if ${p} is that of no copy. */
bool line_place_is_none(const struct line_place *p);

#endif
