/* Routes of what is on its way: pledges, statements by machines, receipts, gaps. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/text.h"
#include "common/flow/gaps.h"
#include "common/flow/ingest_job.h"
#include "common/flow/receipt.h"
#include "common/flow/serve_job.h"
#include "common/flow/upload.h"
#include "common/flow/vault_custody.h"
#include "common/flow/vault_dispute.h"
#include "common/flow/vault_fate.h"
#include "common/flow/vault_lost.h"
#include "common/flow/vault_pledge.h"
#include "formats/fmt_disk.h"

#define RECEIPT_SOON	60	/* seconds until a receipt that is being made may be there */

/* --- statements --- */

/* The body through ${take}, which gives 0 (taken: 201), 1 (known: 200) or -1. */
static int
statement_take(struct serve_call *c, uint64_t max, int (*take)(struct serve_call *c, const uint8_t *bytes, size_t len, struct err *e),
    struct err *e)
{
	const uint8_t *bytes;
	size_t len;
	int rc;

	if (serve_body(c, max, &bytes, &len, e) != 0)
		return -1;
	rc = take(c, bytes, len, e);
	serve_body_free(c, bytes);
	if (rc < 0)
		return -1;
	c->out->status = rc == 0 ? 201 : 200;
	return 0;
}

static int
parcel_take(struct serve_call *c, const uint8_t *bytes, size_t len, struct err *e)
{
	struct cat_parcel p;
	int rc;

	if (vault_begin(c->v, e) != 0)
		return -1;
	if ((rc = vault_parcel_decide(c->v, c->machine.id, bytes, len, 0, &p, e)) < 0) {
		vault_rollback(c->v);
		return -1;
	}
	return vault_commit(c->v, e) != 0 ? -1 : rc;
}

static int
fate_take(struct serve_call *c, const uint8_t *bytes, size_t len, struct err *e)
{
	struct cat_image i;

	return vault_fate_take(c->v, c->machine.id, bytes, len, &i, e);
}

static int
answer_take(struct serve_call *c, const uint8_t *bytes, size_t len, struct err *e)
{
	struct handoff h;

	if (schema_decode(&handoff_schema, &h, bytes, len) == FMT_OK && memcmp(h.machine_id, c->machine.id, ID_LEN) != 0)
		return err_set(e, ERR_SIGNATURE, "the answer is of another machine than the one that sends it");
	return vault_handoff_take(c->v, bytes, len, "the answer", 0, &h, e);
}

static int
given_up_take(struct serve_call *c, const uint8_t *bytes, size_t len, struct err *e)
{
	return vault_given_up_part(c->v, c->machine.id, bytes, len, e);
}

static int
custody_take(struct serve_call *c, const uint8_t *bytes, size_t len, struct err *e)
{
	return vault_custody_post(c->v, c->machine.id, bytes, len, e);
}

static int
dispute_take(struct serve_call *c, const uint8_t *bytes, size_t len, struct err *e)
{
	uint64_t copies;

	return vault_dispute_take(c->v, c->machine.id, bytes, len, &copies, e);
}

static int
post_parcel(struct serve_call *c, struct err *e)
{
	return statement_take(c, SMALL_STATEMENT_MAX, parcel_take, e);
}

static int
post_fate(struct serve_call *c, struct err *e)
{
	return statement_take(c, SMALL_STATEMENT_MAX, fate_take, e);
}

static int
post_answer(struct serve_call *c, struct err *e)
{
	return statement_take(c, SMALL_STATEMENT_MAX, answer_take, e);
}

static int
post_given_up(struct serve_call *c, struct err *e)
{
	return statement_take(c, ID_LIST_PART_LEN, given_up_take, e);
}

static int
post_custody(struct serve_call *c, struct err *e)
{
	return statement_take(c, SMALL_STATEMENT_MAX, custody_take, e);
}

static int
files_lost_take(struct serve_call *c, const uint8_t *bytes, size_t len, struct err *e)
{
	return vault_files_lost_take(c->v, c->machine.id, bytes, len, e);
}

static int
post_files_lost(struct serve_call *c, struct err *e)
{
	return statement_take(c, FILES_LOST_LEN_MAX, files_lost_take, e);
}

static int
post_dispute(struct serve_call *c, struct err *e)
{
	return statement_take(c, DISPUTE_LEN_MAX, dispute_take, e);
}

/* --- pledges --- */

/* The manifest first: what a snapshot's list adds is promised by it.  Killed in between, the same pledge goes on. */
static int
pledge_decide(struct serve_call *c, const uint8_t session[ID_LEN], const struct pledge_post *p, struct err *e)
{
	struct pledge_taken t;
	struct committed done;
	struct commit commit;
	enum fmt_status st;
	int carried = p->commit.len == 0 ? upload_carried_open(c->v, session) : -1;
	int rc = vault_pledge_take(c->v, c->machine.id, p, carried, &t, e);

	if (carried != -1)
		(void)io->close(carried);
	if (rc < 0)
		return -1;
	if (p->commit.len == 0) {
		if (upload_end(c->v, &c->machine, session, e) != 0)
			return -1;
	} else if ((st = schema_decode(&commit_schema, &commit, p->commit.p, p->commit.len)) != FMT_OK) {
		return err_set(e, ERR_FORMAT, "the commit of the pledge: %s", fmt_status_text(st));
	} else if (upload_commit(c->v, &c->machine, session, &commit, &done, e) != 0) {
		return -1;
	}
	if (vault_states(c->v, c->machine.id, e) != 0)
		return -1;
	return serve_reply(c, &pledge_taken_schema, &t, e);
}

static int
post_pledge(struct serve_call *c, struct err *e)
{
	uint8_t session[ID_LEN];
	struct pledge_post p;
	const uint8_t *bytes;
	enum fmt_status st;
	size_t len;
	int rc;

	if (serve_part_hex(c, 0, session, ID_LEN, e) != 0 || serve_body(c, PLEDGE_LEN_MAX, &bytes, &len, e) != 0)
		return -1;
	if ((st = schema_decode(&pledge_post_schema, &p, bytes, len)) != FMT_OK)
		rc = err_set(e, ERR_FORMAT, "the pledge: %s", fmt_status_text(st));
	else
		rc = pledge_decide(c, session, &p, e);
	serve_body_free(c, bytes);
	return rc;
}

/* --- receipts --- */

static int
receipt_reply(struct serve_call *c, const uint8_t *image, uint64_t after, struct err *e)
{
	uint8_t *bytes;
	size_t len;
	int rc = vault_receipt_get(c->v, c->machine.id, image, after, &bytes, &len, e);

	if (rc < 0)
		return -1;
	if (rc == 0) {
		rc = serve_reply_bytes(c, bytes, len, e);
		free(bytes);
		return rc;
	}
	c->out->status = rc == 2 ? 202 : 204;
	if (rc == 2)
		c->retry_after = RECEIPT_SOON;
	return 0;
}

static int
get_receipt(struct serve_call *c, struct err *e)
{
	uint8_t image[ID_LEN];

	return serve_part_hex(c, 0, image, ID_LEN, e) != 0 ? -1 : receipt_reply(c, image, 0, e);
}

static int
get_receipts(struct serve_call *c, struct err *e)
{
	uint64_t after = 0;

	if (serve_query_u64(c, "after", &after) < 0)
		return err_set(e, ERR_USAGE, "after=N is a number");
	return receipt_reply(c, NULL, after, e);
}

/* --- gaps --- */

static int
file_body(void *arg, uint64_t off, void *out, size_t cap)
{
	ssize_t n = io_read_full(*(int *)arg, out, cap, (off_t)off);

	return n > 0 ? (int)n : -1;
}

static void
file_free(void *arg)
{
	(void)io->close(*(int *)arg);
	free(arg);
}

/* The list in the file ${fd}, which has no name any more, is the answer. */
static int
file_reply(struct serve_call *c, int fd, struct err *e)
{
	int *keep = malloc(sizeof(*keep));
	struct stat st;

	if (keep == NULL || io->fstat(fd, &st) != 0) {
		free(keep);
		return err_errno(e, "list of what is missing");
	}
	*keep = fd;
	c->out->status = 200;
	c->out->read = file_body;
	c->out->read_free = file_free;
	c->out->read_arg = keep;
	c->out->length = (uint64_t)st.st_size;
	return 0;
}

static int
digit_of(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Whose image is asked for: 0, with ${given} 0 for all of the machine's; -1. */
static int
gaps_image(struct serve_call *c, uint8_t image[ID_LEN], int *given, struct err *e)
{
	char hex[2 * ID_LEN + 1];
	int rc = serve_query(c, "image", hex, sizeof(hex));

	*given = rc != 1;
	if (rc == 1)
		return 0;
	for (size_t i = 0; i < ID_LEN; i++) {
		int high = digit_of(hex[2 * i]), low = high < 0 ? -1 : digit_of(hex[2 * i + 1]);

		if (low < 0)
			return err_set(e, ERR_USAGE, "image=ID is 32 digits in hex");
		image[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

static int
get_gaps(struct serve_call *c, struct err *e)
{
	char path[4400], hex[2 * ID_LEN + 1];
	uint8_t image[ID_LEN], id[ID_LEN];
	uint64_t count = 0;
	int fd, given;

	if (gaps_image(c, image, &given, e) != 0)
		return -1;
	/* Gaps are what they are now: what came or went since the states were computed is counted first. */
	if (vault_states(c->v, c->machine.id, e) != 0)
		return -1;
	io_random(id, sizeof(id));
	(void)snprintf(path, sizeof(path), "%s/local/gaps.%s", c->v->path, text_hex(hex, id, sizeof(id)));
	if (gaps_save(c->v, c->machine.id, given ? image : NULL, path, &count, e) != 0)
		return -1;
	if (count == 0) {
		c->out->status = 204;
		return 0;
	}
	if ((fd = io->open(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0)) == -1)
		(void)err_errno(e, "%s", path);
	(void)io->unlinkat(AT_FDCWD, path, 0);
	if (fd == -1)
		return -1;
	if (file_reply(c, fd, e) != 0) {
		(void)io->close(fd);
		return -1;
	}
	return 0;
}

const struct serve_route serve_routes_pledge[] = {
	{ "POST", "sessions/*/pledge", SERVE_WRITE, PLEDGE_LEN_MAX, post_pledge, NULL },
	{ "POST", "statements", SERVE_WRITE, SMALL_STATEMENT_MAX, post_parcel, "SAMPARC\n" },
	{ "POST", "statements", SERVE_WRITE, SMALL_STATEMENT_MAX, post_fate, "SAMFATE\n" },
	{ "POST", "statements", SERVE_WRITE, SMALL_STATEMENT_MAX, post_answer, "SAMHAND\n" },
	{ "POST", "statements", SERVE_WRITE, ID_LIST_PART_LEN, post_given_up, "SAMGONE\n" },
	{ "POST", "statements", SERVE_WRITE, SMALL_STATEMENT_MAX, post_custody, "SAMCUST\n" },
	{ "POST", "statements", SERVE_WRITE, DISPUTE_LEN_MAX, post_dispute, "SAMDISP\n" },
	{ "POST", "statements", SERVE_WRITE, FILES_LOST_LEN_MAX, post_files_lost, "SAMLOSF\n" },
	{ "GET", "images/*/receipt", SERVE_READ, 0, get_receipt, NULL },
	{ "GET", "receipts", SERVE_READ, 0, get_receipts, NULL },
	{ "GET", "gaps", SERVE_WRITE, 0, get_gaps, NULL },
	{ NULL, NULL, SERVE_ANYBODY, 0, NULL, NULL }
};
