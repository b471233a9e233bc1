#include "common/flow/parcel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/text.h"
#include "common/crypto/sign.h"
#include "common/flow/image_state.h"
#include "common/flow/state.h"
#include "formats/armor.h"

#define DAY	INT64_C(86400)

int
parcel_of(const struct image_state *im, struct parcel *p, struct err *e)
{
	enum fmt_status st;

	if (im->parcel_bytes == NULL)
		return 1;
	if ((st = schema_decode(&parcel_schema, p, im->parcel_bytes, im->parcel_len)) != FMT_OK)
		return err_set(e, ERR_STATE, "the parcel of image %s in the journal: %s", im->begin.short_name, fmt_status_text(st));
	return 0;
}

static int
digits(const char **at, unsigned n, int *v)
{
	*v = 0;
	for (; n > 0; n--, (*at)++) {
		if (**at < '0' || **at > '9')
			return -1;
		*v = *v * 10 + (**at - '0');
	}
	return 0;
}

int
parcel_date(const char *text, int64_t *seconds, struct err *e)
{
	struct tm t = { .tm_hour = 12 }, back;
	const char *p = text;
	char safe[64];
	time_t noon;

	if (digits(&p, 4, &t.tm_year) == 0 && *p++ == '-' && digits(&p, 2, &t.tm_mon) == 0 && *p++ == '-' &&
	    digits(&p, 2, &t.tm_mday) == 0 && *p == '\0') {
		t.tm_year -= 1900;
		t.tm_mon--;
		back = t;
		noon = timegm(&back);
		if (back.tm_year == t.tm_year && back.tm_mon == t.tm_mon && back.tm_mday == t.tm_mday && noon > 0) {
			*seconds = noon;
			return 0;
		}
	}
	(void)err_set(e, ERR_USAGE, "%s is no date", text_safe(safe, sizeof(safe), text, strnlen(text, 40)));
	return err_next(e, "Give year, month and day, as in 2026-11-16.");
}

int64_t
parcel_days_late(int64_t arrives, int64_t now)
{
	int64_t end = arrives + DAY / 2;

	return arrives <= 0 || now < end ? 0 : (now - end) / DAY + 1;
}

/* "12 Nov": a day of about now needs no year. */
static const char *
day_of(char buf[HUMAN_MAX], int64_t seconds)
{
	char *year = strrchr(human_day(buf, seconds), ' ');

	if (year != NULL)
		*year = '\0';
	return buf;
}

char *
parcel_words(char buf[PARCEL_WORDS_MAX], int64_t shipped, int64_t arrives, const char *carrier, const char *tracking)
{
	char day[HUMAN_MAX], safe[TEXT_MAX_LEN * 2];
	size_t n = 0;

	buf[0] = '\0';
	if (shipped > 0)
		n += (size_t)snprintf(buf + n, PARCEL_WORDS_MAX - n, "shipped %s", day_of(day, shipped));
	if (arrives > 0)
		n += (size_t)snprintf(buf + n, PARCEL_WORDS_MAX - n, "%sdue %s", n > 0 ? ", " : "", day_of(day, arrives));
	if (carrier[0] != '\0')
		n += (size_t)snprintf(buf + n, PARCEL_WORDS_MAX - n, "%s%s", n > 0 ? ", " : "",
		    text_safe(safe, sizeof(safe), carrier, strlen(carrier)));
	if (tracking[0] != '\0')
		(void)snprintf(buf + n, PARCEL_WORDS_MAX - n, "%s%s", n == 0 ? "" : carrier[0] != '\0' ? " " : ", ",
		    text_safe(safe, sizeof(safe), tracking, strlen(tracking)));
	return buf;
}

int
parcel_announce(struct state *s, const struct parcel *p, struct buf *out, struct err *e)
{
	struct parcel mine = *p;
	struct buf b;
	char *text;
	size_t cap;
	int rc = -1;

	buf_init(&b);
	if (statement_make(&parcel_schema, &mine, s->sign_secret, &b, e) != 0)
		goto release;
	cap = armor_size(ARMOR_PARCEL, b.len) + 1;
	if ((text = malloc(cap)) == NULL) {
		(void)err_errno(e, "announcement");
		goto release;
	}
	if (armor_encode(ARMOR_PARCEL, b.p, b.len, text, cap) != FMT_OK) {
		(void)err_set(e, ERR_INTERNAL, "announcement");
	} else {
		buf_print(out, "samara: image %s is on its way to vault %s.\n"
		    "For the vault's operator: samara-import expect VAULT THIS-FILE\n"
		    "Nothing in it is secret.\n\n", p->short_name, s->trust.vault_name);
		buf_str(out, text);
		rc = buf_check(out, e);
	}
	free(text);
release:
	buf_release(&b);
	return rc;
}

int
parcel_read(const char *text, size_t len, struct parcel *p, uint8_t *bytes, size_t *n, struct err *e)
{
	enum fmt_status st;
	unsigned line;

	st = armor_decode(ARMOR_PARCEL, text, len, bytes, SMALL_STATEMENT_MAX, n, &line);
	if (st == FMT_MAGIC)
		return err_set(e, ERR_FORMAT, "there is no announcement of a parcel in it");
	if (st == FMT_CHECKSUM && line != 0)
		return err_set(e, ERR_FORMAT, "line %02u was changed on the way, or is missing", line);
	if (st != FMT_OK)
		return err_set(e, ERR_FORMAT, "it was changed on the way, or a part of it is missing");
	if (statement_open(&parcel_schema, p, bytes, *n, NULL, e) != 0)
		return -1;
	if (!statement_check(&parcel_schema, bytes, *n, p->machine_pub))
		return err_set(e, ERR_SIGNATURE, "it is not signed by the machine that it names");
	return 0;
}
