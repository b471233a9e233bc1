#ifndef SAMARA_FLOW_PARCEL_H
#define SAMARA_FLOW_PARCEL_H

/* The parcel in which an image travels, as its machine knows it. */

#include <stdbool.h>
#include <stdint.h>

#include "formats/fmt_parcel.h"

struct buf;
struct err;
struct image_state;
struct state;

/* The parcel of ${im}: 0; 1 it was not shipped; -1 with ERR_STATE. */
int parcel_of(const struct image_state *im, struct parcel *p, struct err *e);

/* "2026-11-16" as seconds, noon UTC of that day; 0, or -1 with ERR_USAGE. */
int parcel_date(const char *text, int64_t *seconds, struct err *e);

/* Days since the end of the day on which it was due; 0 where that is not over, or nobody knows the day. */
int64_t parcel_days_late(int64_t arrives, int64_t now);

#define PARCEL_WORDS_MAX	1100

/* "shipped 12 Nov, due 16 Nov, DHL 00340…", made fit for a terminal; ${shipped}, ${arrives} 0: not known.  Return ${buf}. */
char *parcel_words(char buf[PARCEL_WORDS_MAX], int64_t shipped, int64_t arrives, const char *carrier, const char *tracking);

struct ship_options {
	const char *carrier, *tracking;	/* both, or both NULL: as before */
	int64_t arrives;		/* seconds; 0: as before */
	const char *address;		/* NULL: as before */
	bool dry_run;
};

struct ship_result {
	char short_name[SHORT_LEN + 1];
	bool shipped;			/* ${parcel} holds */
	bool recorded;			/* something was written, or would have been */
	bool corrected;			/* it was shipped before */
	struct parcel parcel;
};

/**
 * ship_image(s, name, o, r, e):
 * Record that image ${name} (any case; NULL: the only one it can be) is on its
 * way: journal and custody log.  Done again with other words it is a correction.
 * Without a carrier, now or before, nothing is recorded.  0 with ${r}; -1 with
 * ${e}: ERR_NO_IMAGE, ERR_BUSY; ERR_RULE where the image is not sealed, was
 * lost, cancelled or handed off, or the number belongs to another image;
 * ERR_USAGE.  After a power cut it is recorded or not; the same command works again.
 */
int ship_image(struct state *s, const char *name, const struct ship_options *o, struct ship_result *r, struct err *e);

/**
 * parcel_slip(s, name, r, address, out, e):
 * The packing slip of image ${name}, as text of at most 80 columns, appended to
 * ${out}: nothing in it is secret.  ${address} stands on it where ${r} holds none.
 */
int parcel_slip(struct state *s, const char *name, const struct ship_result *r, const char *address, struct buf *out,
    struct err *e);

/* The parcel as a text that the vault takes (samara-import expect), appended to ${out}: signed, nothing secret.  0 or -1. */
int parcel_announce(struct state *s, const struct parcel *p, struct buf *out, struct err *e);

/**
 * parcel_read(text, len, p, bytes, n, e):
 * Find an announcement in ${text} and check the signature of the key in it.
 * 0 with ${p} and the statement, ${n} bytes at ${bytes} of SMALL_STATEMENT_MAX;
 * -1 with ${e}: ERR_FORMAT, ERR_VERSION, ERR_SIGNATURE.
 */
int parcel_read(const char *text, size_t len, struct parcel *p, uint8_t *bytes, size_t *n, struct err *e);

#endif
