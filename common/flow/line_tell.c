/* What a machine's state says and the vault has not heard yet; and receipts. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/stop.h"
#include "common/base/text.h"
#include "common/crypto/sign.h"
#include "common/flow/id_list.h"
#include "common/flow/image_state.h"
#include "common/flow/image_told.h"
#include "common/flow/line_note.h"
#include "common/flow/line_pledge.h"
#include "common/flow/lost_files.h"
#include "common/flow/parcel.h"
#include "common/flow/state_refs.h"

#define TRIES		5u
#define GIVEN_UP_TOLD	"givenup/told"
#define RECEIPTS_MOST	10000u	/* in one contact; more come with the next */

int
line_statement(struct line *l, const void *bytes, size_t len, struct err *e)
{
	struct net_ask a = { .method = "POST", .path = "statements", .body = bytes, .body_len = len, .tries = TRIES };
	struct net_answer r = { .status = 0 };

	if (line_ask(l, &a, &r, e) != 0)
		return -1;
	net_answer_free(&r);
	return 0;
}

struct telling {
	struct line *l;
	struct state *s;
	const struct domain_keys *k;
	struct line_told *t;
};

/* Does it concern the one statement, so that the others can be told all the same? */
static int
is_refusal(const struct err *e)
{
	switch (e->code) {
	case ERR_RULE:
	case ERR_NO_IMAGE:
	case ERR_SIGNATURE:
	case ERR_FORMAT:
	case ERR_VERSION:
	case ERR_DAMAGE:
	case ERR_FORK:
	case ERR_RECEIPT:
	case ERR_UNCLAIMED:
	case ERR_WRONG_VAULT:
	case ERR_WRONG_DISK:
	case ERR_HEAD:
	case ERR_INCOMPLETE:
	case ERR_STATE:
		return 1;
	default:
		return 0;
	}
}

/* After a failure: 0 it was said and counted, and the rest goes on; -1 with ${e}. */
static int
refused(struct telling *g, const char *what, struct err *e)
{
	if (!is_refusal(e))
		return -1;
	say_warn("%s: %s", what, e->msg);
	g->t->failed++;
	err_clear(e);
	return stop_check(e);
}

/* --- one image --- */

static int
fate_tell(struct telling *g, const struct image_state *im, struct image_told *told, struct err *e)
{
	struct fate_statement f = { .time = io_now_ns() };
	unsigned is = image_told_fate(im, told);
	struct buf b;
	int rc;

	if (is == 0)
		return 0;
	/* Its number is noted before it is said: what was said once is never said with other words. */
	if (told->fate == 0 || told->fate_is != is) {
		told->fate++;
		told->fate_is = (uint8_t)is;
		told->fate_done = 0;
		if (image_told_save(im, told, e) != 0)
			return -1;
	}
	memcpy(f.vault_id, im->begin.vault_id, ID_LEN);
	memcpy(f.machine_id, im->begin.machine_id, ID_LEN);
	memcpy(f.image_id, im->begin.image_id, ID_LEN);
	memcpy(f.short_name, im->begin.short_name, sizeof(f.short_name));
	f.number = told->fate;
	f.fate = told->fate_is;
	buf_init(&b);
	if ((rc = statement_make(&fate_schema, &f, g->s->sign_secret, &b, e)) == 0)
		rc = line_statement(g->l, b.p, b.len, e);
	buf_release(&b);
	/* Where the vault refuses (all of its disks are there) it need not hear it again. */
	if (rc != 0 && e->code != ERR_RULE)
		return -1;
	told->fate_done = 1;
	if (rc == 0)
		g->t->fates++;
	else if (refused(g, im->begin.short_name, e) != 0)
		return -1;
	return image_told_save(im, told, e);
}

static int
parcel_tell(struct telling *g, const struct image_state *im, struct image_told *told, struct err *e)
{
	struct parcel p;

	if (told->generation == 0 || parcel_of(im, &p, NULL) != 0 || p.generation <= told->parcel)
		return 0;
	if (line_statement(g->l, im->parcel_bytes, im->parcel_len, e) != 0) {
		if (e->code != ERR_RULE)
			return -1;
		if (refused(g, im->begin.short_name, e) != 0)	/* all of it is there already */
			return -1;
	} else {
		g->t->parcels++;
	}
	told->parcel = p.generation;
	return image_told_save(im, told, e);
}

static int
answer_tell(struct telling *g, const struct image_state *im, struct image_told *told, struct err *e)
{
	uint8_t digest[DIGEST_LEN];

	if (im->answer_bytes == NULL)
		return 0;
	statement_digest(&handoff_schema, im->answer_bytes, im->answer_len, digest);
	if (memcmp(digest, told->answer, DIGEST_LEN) == 0)
		return 0;
	if (line_statement(g->l, im->answer_bytes, im->answer_len, e) != 0)
		return -1;
	g->t->answers++;
	memcpy(told->answer, digest, DIGEST_LEN);
	return image_told_save(im, told, e);
}

/* Custody records behind those that the vault has; it takes them in order. */
static int
custody_tell(struct telling *g, const struct image_state *im, struct image_told *told, struct err *e)
{
	uint32_t before = told->custody;
	char name[32];
	uint8_t *bytes;
	struct err mine;
	size_t len;
	int rc = 0;

	if (told->generation == 0)
		return 0;
	while (rc == 0) {
		err_clear(&mine);
		(void)snprintf(name, sizeof(name), "custody/%08u", told->custody + 1);
		if (file_read(im->fd, name, SMALL_STATEMENT_MAX, &bytes, &len, &mine) != 0)
			break;		/* that was the last one */
		if ((rc = line_statement(g->l, bytes, len, e)) == 0) {
			told->custody++;
			g->t->custody++;
		}
		free(bytes);
	}
	if (told->custody != before && image_told_save(im, told, rc == 0 ? e : NULL) != 0)
		return -1;
	return rc;
}

static int
image_tell(struct telling *g, const struct image_state *im, struct err *e)
{
	struct image_told told;
	char name[SHORT_LEN + 8];
	int rc;

	(void)snprintf(name, sizeof(name), "image %s", im->begin.short_name);
	if (image_told_load(im, &told, e) != 0)
		return -1;
	if ((rc = fate_tell(g, im, &told, e)) == 0 && image_told_unpledged(im, &told) &&
	    (rc = pledge_send(g->l, g->s, g->k, im, g->t, e)) == 0)
		rc = image_told_load(im, &told, e);
	if (rc == 0 && (rc = parcel_tell(g, im, &told, e)) == 0 && (rc = answer_tell(g, im, &told, e)) == 0)
		rc = custody_tell(g, im, &told, e);
	return rc == 0 ? 0 : refused(g, name, e);
}

/* --- all of them --- */

static int
image_order(const void *a, const void *b)
{
	const struct image_state *const *x = a, *const *y = b;

	return (*x)->envelope.seq < (*y)->envelope.seq ? -1 : (*x)->envelope.seq > (*y)->envelope.seq;
}

static int
images_load(struct state *s, struct image_state ***out, size_t *n, struct err *e)
{
	struct image_state **all;
	char **names;
	size_t count;
	struct err mine;
	int rc = 0;

	*out = NULL;
	*n = 0;
	if (state_images(s, &names, &count, e) != 0)
		return -1;
	if ((all = calloc(count + 1, sizeof(*all))) == NULL)
		rc = err_errno(e, "images");
	for (size_t i = 0; i < count && rc == 0; i++) {
		err_clear(&mine);
		if ((all[*n] = image_state_load(s, names[i], NULL, NULL, &mine)) != NULL) {
			++*n;
		} else if (mine.code != ERR_NOT_FOUND && mine.code != ERR_NO_IMAGE) {	/* else it was never begun */
			if (e != NULL)
				*e = mine;
			rc = -1;
		}
	}
	dir_list_free(names, count);
	*out = all;
	return rc;
}

/* --- what was given up --- */

static uint64_t
given_up_told(struct state *s)
{
	uint8_t *bytes;
	size_t len;
	uint64_t n = 0;

	if (file_read(s->fd, GIVEN_UP_TOLD, 32, &bytes, &len, NULL) != 0)
		return 0;
	for (size_t i = 0; i < len && bytes[i] >= '0' && bytes[i] <= '9'; i++)
		n = n * 10 + (uint64_t)(bytes[i] - '0');
	free(bytes);
	return n;
}

static int
list_tell(struct telling *g, const char *path, struct err *e)
{
	struct id_list_reader *r = id_list_reader_new(g->s->fd, path, &given_up_schema, g->s->machine_pub, e);
	const uint8_t *part;
	size_t len;
	int rc;

	if (r == NULL)
		return -1;
	while ((rc = id_list_part(r, &part, &len, e)) == 1)
		if (line_statement(g->l, part, len, e) != 0) {
			rc = -1;
			break;
		}
	id_list_reader_free(r);
	return rc;
}

/* How many files went with it: from which snapshots, not which. */
static int
lost_tell(struct telling *g, uint32_t number, struct err *e)
{
	struct buf b;
	int rc;

	buf_init(&b);
	if ((rc = lost_files_statement(g->s, number, &b, e)) == 0)
		rc = line_statement(g->l, b.p, b.len, e);
	buf_release(&b);
	return rc < 0 ? -1 : 0;
}

static int
given_up_tell(struct telling *g, struct err *e)
{
	uint64_t told = given_up_told(g->s);
	char path[GIVEN_UP_NAME], text[32];
	struct stat st;

	for (;; told++) {
		(void)snprintf(path, sizeof(path), "givenup/%08llu", (unsigned long long)told + 1);
		if (io->fstatat(g->s->fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
			return 0;
		if (list_tell(g, path, e) != 0 || lost_tell(g, (uint32_t)told + 1, e) != 0)
			return err_during(e, "what was given up");
		(void)snprintf(text, sizeof(text), "%llu\n", (unsigned long long)told + 1);
		if (file_replace(g->s->fd, GIVEN_UP_TOLD, text, strlen(text), 0600, e) != 0)
			return -1;
		g->t->given_up++;
	}
}

int
line_tell(struct line *l, struct state *s, const struct domain_keys *k, struct line_told *t, struct err *e)
{
	struct telling g = { l, s, k, t };
	struct image_state **all;
	size_t n;
	int rc = images_load(s, &all, &n, e);

	if (rc == 0 && n > 1)
		qsort(all, n, sizeof(*all), image_order);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = image_tell(&g, all[i], e);
	if (rc == 0 && given_up_tell(&g, e) != 0)
		rc = refused(&g, "what was given up", e);
	for (size_t i = 0; i < n; i++)
		image_state_free(all[i]);
	free(all);
	return rc;
}

/* --- receipts --- */

/* Check a receipt and answer it: 0, or -1 with ${e}. */
static int
receipt_take(struct telling *g, const uint8_t *bytes, size_t len, struct machine_receipt *r, struct err *e)
{
	struct image_told told;
	struct image_state *im;
	struct buf answer;
	int rc;

	buf_init(&answer);
	rc = machine_receipt_take(g->s, g->k, bytes, len, "the receipt", false, &answer, r, e);
	buf_release(&answer);
	/* The answer stands in the state now, and goes out of there. */
	if (rc != 0 || (im = image_state_load(g->s, r->short_name, NULL, NULL, e)) == NULL)
		return -1;
	if ((rc = image_told_load(im, &told, e)) == 0 && (rc = answer_tell(g, im, &told, e)) == 0)
		rc = custody_tell(g, im, &told, e);
	image_state_free(im);
	return rc;
}

/* A receipt from ${path}: 0 with ${answer}; 1 there is none (yet); -1. */
static int
receipt_fetch(struct line *l, const char *path, struct net_answer *r, struct err *e)
{
	struct net_ask a = { .method = "GET", .path = path, .answer_max = RECEIPT_MAX, .tries = TRIES };

	memset(r, 0, sizeof(*r));
	if (line_ask(l, &a, r, e) != 0)
		return -1;
	if (r->status == 200 && r->body.len > 0)
		return 0;
	net_answer_free(r);
	return 1;
}

static int
receipt_next(struct telling *g, uint64_t *after, struct err *e)
{
	struct machine_receipt r;
	struct net_answer answer;
	struct receipt p;
	char path[64];
	int rc;

	(void)snprintf(path, sizeof(path), "receipts?after=%llu", (unsigned long long)*after);
	if ((rc = receipt_fetch(g->l, path, &answer, e)) != 0)
		return rc;
	if (schema_decode(&receipt_schema, &p, answer.body.p, answer.body.len) != FMT_OK || p.number <= *after) {
		net_answer_free(&answer);
		return err_set(e, ERR_PROTOCOL, "%s gives something else than the next receipt", line_name(g->l));
	}
	*after = p.number;
	rc = receipt_take(g, answer.body.p, answer.body.len, &r, e);
	net_answer_free(&answer);
	if (rc != 0)
		return refused(g, "a receipt", e);
	g->t->receipts++;
	if (g->t->receipt != NULL)
		g->t->receipt(g->t->arg, &r);
	return 0;
}

int
line_receipts(struct line *l, struct state *s, const struct domain_keys *k, struct line_told *t, struct err *e)
{
	struct telling g = { l, s, k, t };
	uint64_t after = s->trust.receipt_number;
	int rc = 0;

	for (unsigned i = 0; i < RECEIPTS_MOST && rc == 0; i++)
		rc = receipt_next(&g, &after, e);
	return rc < 0 ? -1 : 0;
}

int
line_receipt_image(struct line *l, struct state *s, const struct domain_keys *k, const struct image_state *im,
    struct machine_receipt *r, struct err *e)
{
	struct line_told t = { .pledges = 0 };
	struct telling g = { l, s, k, &t };
	char path[80], hex[2 * ID_LEN + 1];
	struct net_answer answer;
	int rc;

	(void)snprintf(path, sizeof(path), "images/%s/receipt", text_hex(hex, im->begin.image_id, ID_LEN));
	if ((rc = receipt_fetch(l, path, &answer, e)) != 0)
		return rc;
	rc = receipt_take(&g, answer.body.p, answer.body.len, r, e);
	net_answer_free(&answer);
	return rc;
}

int
line_contact(struct line *l, struct state *s, const struct domain_keys *k, struct line_told *t, struct err *e)
{
	if (line_tell(l, s, k, t, e) != 0 || line_receipts(l, s, k, t, e) != 0)
		return -1;
	return line_note_contact(s, k, 0, 0, e);
}

/* --- disputes --- */

static int
row_order(const void *a, const void *b)
{
	const struct dispute_row *x = a, *y = b;
	int c = memcmp(x->id, y->id, DIGEST_LEN);

	if (c == 0)
		c = memcmp(x->pack_id, y->pack_id, DIGEST_LEN);
	return c != 0 ? c : x->copy < y->copy ? -1 : x->copy > y->copy;
}

/* At most DISPUTES_MAX rows, in order, each once. */
static int
dispute_send(struct line *l, struct state *s, const struct dispute_row *rows, size_t n, struct err *e)
{
	struct dispute d = { .time = io_now_ns() };
	struct buf list, out;
	int rc;

	buf_init(&list);
	buf_init(&out);
	for (size_t i = 0; i < n; i++) {
		uint8_t *at = buf_room(&list, DISPUTE_ROW_LEN);
		struct wr w = { .p = at, .left = DISPUTE_ROW_LEN };

		if (at == NULL)
			break;
		element_put(dispute_row_fields, dispute_row_nfields, &w, &rows[i]);
		buf_grew(&list, DISPUTE_ROW_LEN);
	}
	memcpy(d.vault_id, s->trust.vault_id, ID_LEN);
	memcpy(d.machine_id, s->id.machine_id, ID_LEN);
	memcpy(d.domain_id, s->id.domain_id, DIGEST_LEN);
	d.rows = (struct fmt_view){ list.p, (uint32_t)list.len };
	if ((rc = buf_check(&list, e)) == 0 && (rc = statement_make(&dispute_schema, &d, s->sign_secret, &out, e)) == 0)
		rc = line_statement(l, out.p, out.len, e);
	buf_release(&list);
	buf_release(&out);
	return rc;
}

int
line_dispute(struct line *l, struct state *s, struct dispute_row *rows, size_t n, struct err *e)
{
	size_t m = 0;
	int rc = 0;

	if (n > 1)
		qsort(rows, n, sizeof(*rows), row_order);
	for (size_t i = 0; i < n; i++)
		if (m == 0 || row_order(&rows[m - 1], &rows[i]) != 0)
			rows[m++] = rows[i];
	for (size_t at = 0; at < m && rc == 0; at += DISPUTES_MAX)
		rc = dispute_send(l, s, rows + at, m - at < DISPUTES_MAX ? m - at : DISPUTES_MAX, e);
	return rc == 0 ? 0 : err_during(e, "dispute copies of the vault");
}
