#include "common/flow/custody_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/human.h"
#include "common/check/finding.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"
#include "formats/fmt_custody_log.h"

#define RECORDS_MAX	1000000u	/* what a reader accepts */

struct held {
	struct custody c;
	uint8_t digest[DIGEST_LEN];	/* of the whole record */
	uint8_t *bytes;
	size_t len;
	char *where;
	int64_t at;			/* its place among the others' */
};

struct custody_log {
	struct held *rows;
	size_t n, cap;
};

struct custody_log *
custody_log_new(void)
{
	return calloc(1, sizeof(struct custody_log));
}

static void
held_release(struct held *h)
{
	free(h->bytes);
	free(h->where);
}

void
custody_log_free(struct custody_log *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < l->n; i++)
		held_release(&l->rows[i]);
	free(l->rows);
	free(l);
}

static int
room(struct custody_log *l, struct err *e)
{
	struct held *more;
	size_t cap = l->cap * 2 + 64;

	if (l->n < l->cap)
		return 0;
	if (l->n >= RECORDS_MAX)
		return err_set(e, ERR_FORMAT, "more than %u custody records", RECORDS_MAX);
	if ((more = realloc(l->rows, cap * sizeof(*more))) == NULL)
		return err_errno(e, "custody log");
	l->rows = more;
	l->cap = cap;
	return 0;
}

int
custody_log_add(struct custody_log *l, struct findings *found, const void *bytes, size_t len, const char *where,
    struct err *e)
{
	struct held *h;
	struct err own;

	if (room(l, e) != 0)
		return -1;
	h = &l->rows[l->n];
	memset(h, 0, sizeof(*h));
	err_clear(&own);
	if (statement_open(&custody_schema, &h->c, bytes, len, NULL, &own) != 0) {
		finding_err(found, SEV_LOST, where, "what it said is not known", &own);
		return 0;
	}
	if (!statement_check(&custody_schema, bytes, len, h->c.signer_pub)) {
		finding_tell(found, SEV_LOST, ERR_SIGNATURE, where, "nothing it says is to be believed",
		    "the record is not signed by the key that it names");
		return 0;
	}
	hash_once(bytes, len, h->digest);
	h->len = len;
	if ((h->bytes = malloc(len)) == NULL || (h->where = strdup(where)) == NULL) {
		held_release(h);
		return err_errno(e, "custody log");
	}
	memcpy(h->bytes, bytes, len);
	l->n++;
	return 0;
}

/* --- order --- */

static int
same_chain(const struct held *a, const struct held *b)
{
	return a->c.by_vault == b->c.by_vault && memcmp(a->c.image_id, b->c.image_id, ID_LEN) == 0 &&
	    memcmp(a->c.signer_id, b->c.signer_id, ID_LEN) == 0;
}

static int
chain_order(const void *x, const void *y)
{
	const struct held *a = x, *b = y;
	int d;

	if ((d = memcmp(a->c.image_id, b->c.image_id, ID_LEN)) != 0 || (d = a->c.by_vault - b->c.by_vault) != 0 ||
	    (d = memcmp(a->c.signer_id, b->c.signer_id, ID_LEN)) != 0)
		return d;
	if (a->c.number != b->c.number)
		return a->c.number < b->c.number ? -1 : 1;
	return memcmp(a->digest, b->digest, DIGEST_LEN);
}

/* The same record from two places is one. */
static void
unique(struct custody_log *l)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->n; i++) {
		if (kept > 0 && memcmp(l->rows[kept - 1].digest, l->rows[i].digest, DIGEST_LEN) == 0)
			held_release(&l->rows[i]);
		else
			l->rows[kept++] = l->rows[i];
	}
	l->n = kept;
}

static void
signer_text(const struct held *h, char out[64])
{
	char id[HUMAN_MAX];

	(void)snprintf(out, 64, "%s %s", h->c.by_vault ? "vault" : "machine", human_id(id, h->c.signer_id));
}

static void
missing_tell(struct findings *found, const struct held *h, uint32_t first, uint32_t last)
{
	char who[64];

	signer_text(h, who);
	if (first == last)
		finding_tell(found, SEV_LOST, ERR_MISSING, h->where, "something was done that this log does not tell",
		    "record %u of %s is missing", first, who);
	else
		finding_tell(found, SEV_LOST, ERR_MISSING, h->where, "something was done that this log does not tell",
		    "records %u to %u of %s are missing", first, last, who);
}

/* Whether record ${i} follows one of those that have the number before its own. */
static int
follows(const struct custody_log *l, size_t i)
{
	static const uint8_t zeros[DIGEST_LEN];
	const struct held *h = &l->rows[i];

	if (h->c.number == 1)
		return memcmp(h->c.previous, zeros, DIGEST_LEN) == 0;
	while (i > 0 && same_chain(&l->rows[i - 1], h) && l->rows[i - 1].c.number + 1 >= h->c.number)
		if (memcmp(l->rows[--i].digest, h->c.previous, DIGEST_LEN) == 0)
			return 1;
	return 0;
}

/* What is wrong between record ${i} and those before it. */
static void
place_check(const struct custody_log *l, size_t i, struct findings *found)
{
	const struct held *h = &l->rows[i], *before = i > 0 && same_chain(h - 1, h) ? h - 1 : NULL;
	uint32_t last = before != NULL ? before->c.number : 0;
	char who[64];

	signer_text(h, who);
	if (before != NULL && last == h->c.number)
		finding_tell(found, SEV_LOST, ERR_FORK, h->where, "two logs were kept in one name: a copied machine or vault, "
		    "or an old state put back", "%s signed two records with number %u", who, h->c.number);
	else if (h->c.number != last + 1)
		missing_tell(found, h, last + 1, h->c.number - 1);
	else if (!follows(l, i))
		finding_tell(found, SEV_LOST, ERR_FORK, h->where, "one of the two belongs to another log",
		    "record %u of %s does not follow the one before it", h->c.number, who);
	if (before == NULL)
		return;
	if (memcmp(before->c.signer_pub, h->c.signer_pub, SIGN_PUB_LEN) != 0)
		finding_tell(found, SEV_LOST, ERR_SIGNATURE, h->where, "it was signed by somebody else in this name",
		    "record %u of %s is signed by another key than those before", h->c.number, who);
	if (h->c.time < before->c.time)
		finding_tell(found, SEV_NOTE, ERR_NONE, h->where, "", "the clock of %s was set back between records %u and %u",
		    who, last, h->c.number);
}

static int
told_order(const void *x, const void *y)
{
	const struct held *a = x, *b = y;
	int d = memcmp(a->c.image_id, b->c.image_id, ID_LEN);

	if (d == 0 && a->at != b->at)
		d = a->at < b->at ? -1 : 1;
	return d != 0 ? d : chain_order(x, y);
}

/* Image by image by time; a chain is never put out of its order, whatever its clock said. */
static void
merge(struct custody_log *l)
{
	for (size_t i = 0; i < l->n; i++) {
		struct held *h = &l->rows[i];

		h->at = h->c.time;
		if (i > 0 && same_chain(h - 1, h) && h->at < h[-1].at)
			h->at = h[-1].at;
	}
	qsort(l->rows, l->n, sizeof(*l->rows), told_order);
}

void
custody_log_check(struct custody_log *l, struct findings *found)
{
	if (l->n == 0)
		return;
	qsort(l->rows, l->n, sizeof(*l->rows), chain_order);
	unique(l);
	for (size_t i = 0; i < l->n; i++)
		place_check(l, i, found);
	merge(l);
}

void
custody_log_signer(struct custody_log *l, struct findings *found, const uint8_t image_id[ID_LEN],
    const uint8_t machine_id[ID_LEN], const uint8_t machine_pub[SIGN_PUB_LEN])
{
	for (size_t i = 0; i < l->n; i++) {
		const struct held *h = &l->rows[i];

		if (memcmp(h->c.image_id, image_id, ID_LEN) != 0)
			finding_tell(found, SEV_LOST, ERR_SIGNATURE, h->where, "it tells of something else", "the record is of another image");
		else if (!h->c.by_vault && (memcmp(h->c.signer_id, machine_id, ID_LEN) != 0 ||
		    memcmp(h->c.signer_pub, machine_pub, SIGN_PUB_LEN) != 0))
			finding_tell(found, SEV_LOST, ERR_SIGNATURE, h->where, "nothing it says is to be believed",
			    "the record is signed by another machine than the one whose disk this is");
	}
}

const struct custody *
custody_log_at(const struct custody_log *l, size_t i)
{
	return i < l->n ? &l->rows[i].c : NULL;
}

const uint8_t *
custody_log_bytes(const struct custody_log *l, size_t i, size_t *len, const char **where)
{
	*len = l->rows[i].len;
	*where = l->rows[i].where;
	return l->rows[i].bytes;
}
