#include "common/flow/line_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/stop.h"
#include "common/base/text.h"

#define PATH_LEN	192
#define TRIES		3u	/* where the vault is busy for a moment */
#define PATIENCE_SHORT	60u
#define SECOND		INT64_C(1000000000)
#define WAIT_FIRST	(SECOND / 2)
#define WAIT_LONGEST	(20 * SECOND)
#define SLEEP		(SECOND / 20)

/* "sessions/ID" and what follows it. */
static void
session_path(const struct line_session *t, char out[PATH_LEN], const char *what)
{
	char hex[2 * ID_LEN + 1];

	(void)snprintf(out, PATH_LEN, "sessions/%s%.140s", text_hex(hex, t->id, ID_LEN), what);
}

/* --- patience --- */

/* Wait, unless somebody asks to stop. */
static int
wait_for(int64_t ns, struct err *e)
{
	const struct timespec nap = { .tv_nsec = SLEEP };
	int64_t until = io_mono_ns() + ns;

	while (io_mono_ns() < until) {
		if (stop_check(e) != 0)
			return -1;
		(void)nanosleep(&nap, NULL);
	}
	return stop_check(e);
}

static void
heard(struct line_session *t)
{
	atomic_store(&t->heard, io_mono_ns());
	if (atomic_exchange(&t->waiting, false))
		say_info("the vault is in reach again");
}

/* Whether to try again after ${e}; waits before it says so.  1 again, 0 not: ${e} says why. */
static int
again(struct line_session *t, int64_t *wait, struct err *e)
{
	/* A vault that is busy says "later", and is waited for as one that says nothing. */
	if (e->code != ERR_LINE && e->code != ERR_PROXY && e->code != ERR_BUSY) {
		heard(t);
		return 0;
	}
	if (io_mono_ns() - atomic_load(&t->heard) >= (int64_t)t->patience * SECOND)
		return 0;
	if (!atomic_exchange(&t->waiting, true))
		say_warn("%s; trying again for %u s", e->msg, t->patience);
	err_clear(e);
	if (wait_for(*wait, e) != 0)
		return 0;
	*wait = *wait * 2 < WAIT_LONGEST ? *wait * 2 : WAIT_LONGEST;
	return 1;
}

/* A statement and its answer, patiently. */
static int
call(struct line_session *t, const char *method, const char *path, const struct fmt_schema *in_schema, const void *in,
    const struct fmt_schema *out_schema, void *out, uint8_t **bytes, struct err *e)
{
	int64_t wait = WAIT_FIRST;

	while (line_call(t->l, method, path, TRIES, in_schema, in, out_schema, out, bytes, e) != 0)
		if (!again(t, &wait, e))
			return -1;
	heard(t);
	return 0;
}

/* A request with a body of bytes and nothing of interest in its answer. */
static int
put(struct line_session *t, struct net_ask *a, struct err *e)
{
	struct net_answer r;
	int64_t wait = WAIT_FIRST;

	for (;;) {
		memset(&r, 0, sizeof(r));
		if (line_ask(t->l, a, &r, e) == 0)
			break;
		if (!again(t, &wait, e))
			return -1;
	}
	net_answer_free(&r);
	heard(t);
	return 0;
}

/* --- the session itself --- */

static int
opened_check(const struct line_session *t, struct err *e)
{
	if (memcmp(t->opened.session_id, t->id, ID_LEN) == 0)
		return 0;
	return err_set(e, ERR_PROTOCOL, "%s answers for another session", line_name(t->l));
}

int
line_session_open(struct line_session *t, struct line *l, const struct session_open *o, unsigned patience, struct err *e)
{
	uint8_t *bytes = NULL;
	int rc;

	memset(t, 0, sizeof(*t));
	t->l = l;
	t->patience = patience;
	memcpy(t->id, o->session_id, ID_LEN);
	atomic_init(&t->heard, io_mono_ns());
	atomic_init(&t->waiting, false);
	rc = call(t, "POST", "sessions", &session_open_schema, o, &session_opened_schema, &t->opened, &bytes, e);
	free(bytes);
	if (rc != 0 && e->code == ERR_NO_SNAPSHOT) {
		err_clear(e);
		return 1;
	}
	return rc != 0 ? -1 : opened_check(t, e);
}

int
line_session_begin(struct line_session *t, struct line *l, enum line_kind kind, const uint8_t *base, struct err *e)
{
	struct session_open o = { .kind = (uint8_t)kind };

	io_random(o.session_id, ID_LEN);
	if (base != NULL)
		memcpy(o.base, base, ID_LEN);
	return line_session_open(t, l, &o, PATIENCE_SHORT, e);
}

int
line_session_again(struct line_session *t, struct err *e)
{
	char path[PATH_LEN];
	uint8_t *bytes = NULL;
	int rc;

	session_path(t, path, "");
	rc = call(t, "GET", path, NULL, NULL, &session_opened_schema, &t->opened, &bytes, e);
	free(bytes);
	return rc != 0 ? -1 : opened_check(t, e);
}

void
line_session_end(struct line_session *t)
{
	char path[PATH_LEN];
	struct net_ask a = { .method = "DELETE", .path = path, .tries = 1 };
	struct net_answer r = { .status = 0 };
	struct err mine;

	err_clear(&mine);
	session_path(t, path, "");
	if (line_ask(t->l, &a, &r, &mine) == 0)
		net_answer_free(&r);
}

/* --- ids --- */

/* All pages of "${what}", each from behind the last id of the one before. */
static int
pages(struct line_session *t, const char *what, line_id_fn fn, void *arg, struct err *e)
{
	char path[PATH_LEN], query[128], hex[2 * DIGEST_LEN + 1];
	uint8_t *bytes = NULL, last[DIGEST_LEN];
	struct id_page page;
	bool first = true;
	size_t n;
	int rc;

	do {
		(void)snprintf(query, sizeof(query), "/%s%s%s", what, first ? "" : "?after=", first ? "" : text_hex(hex, last, DIGEST_LEN));
		session_path(t, path, query);
		if (call(t, "GET", path, NULL, NULL, &id_page_schema, &page, &bytes, e) != 0)
			return -1;
		n = list_count(page.ids, DIGEST_LEN);
		rc = n > 0 && !first && memcmp(page.ids.p, last, DIGEST_LEN) <= 0 ?
		    err_set(e, ERR_PROTOCOL, "%s: a page of ids does not follow the one before", line_name(t->l)) : 0;
		for (size_t i = 0; i < n && rc == 0; i++)
			rc = fn(arg, page.ids.p + i * DIGEST_LEN, e);
		if (n > 0)
			memcpy(last, page.ids.p + (n - 1) * DIGEST_LEN, DIGEST_LEN);
		first = false;
		free(bytes);
		bytes = NULL;
	} while (rc == 0 && page.more);
	return rc;
}

int
line_session_lost(struct line_session *t, line_id_fn fn, void *arg, struct err *e)
{
	return t->opened.base_whole ? 0 : pages(t, "lost", fn, arg, e);
}

int
line_session_lacking(struct line_session *t, line_id_fn fn, void *arg, struct err *e)
{
	return pages(t, "lacking", fn, arg, e);
}

int
line_session_ask(struct line_session *t, const uint8_t *ids, uint32_t n, uint8_t *states, struct err *e)
{
	const struct ask ask = { .ids = { ids, n * DIGEST_LEN } };
	char path[PATH_LEN];
	struct answer answer;
	uint8_t *bytes = NULL;
	int rc;

	session_path(t, path, "/ask");
	if ((rc = call(t, "POST", path, &ask_schema, &ask, &answer_schema, &answer, &bytes, e)) == 0) {
		if (answer.states.len == n)
			memcpy(states, answer.states.p, n);
		else
			rc = err_set(e, ERR_PROTOCOL, "%s answers for %u chunks where %u were asked for", line_name(t->l),
			    answer.states.len, n);
	}
	free(bytes);
	return rc;
}

/* --- packs and lists --- */

int
line_session_pack(struct line_session *t, const uint8_t id[DIGEST_LEN], const uint8_t *bytes, uint32_t len, struct err *e)
{
	char path[PATH_LEN], what[16 + 2 * DIGEST_LEN], hex[2 * DIGEST_LEN + 1];
	struct net_ask a = { .method = "PUT", .path = path, .body = bytes, .body_len = len, .tries = TRIES };

	(void)snprintf(what, sizeof(what), "/packs/%s", text_hex(hex, id, DIGEST_LEN));
	session_path(t, path, what);
	return put(t, &a, e) != 0 ? err_during(e, "send a pack") : 0;
}

static long
fd_send(void *arg, uint64_t off, void *out, size_t cap)
{
	return (long)io_read_full(*(const int *)arg, out, cap, (off_t)off);
}

int
line_session_list(struct line_session *t, uint64_t seq, unsigned kind, unsigned part, int fd, uint64_t len, struct err *e)
{
	char path[PATH_LEN], what[64];
	struct net_ask a = { .method = "PUT", .path = path, .body_len = len, .send = fd_send, .send_arg = &fd, .tries = TRIES };

	(void)snprintf(what, sizeof(what), "/lists/%llu-%s-%u", (unsigned long long)seq, kind == REFS_DELTA ? "delta" : "whole", part);
	session_path(t, path, what);
	return put(t, &a, e) != 0 ? err_during(e, "send the reference list") : 0;
}

int
line_session_carried(struct line_session *t, int fd, uint64_t len, struct err *e)
{
	char path[PATH_LEN];
	struct net_ask a = { .method = "PUT", .path = path, .body_len = len, .send = fd_send, .send_arg = &fd, .tries = TRIES };

	session_path(t, path, "/carried");
	return put(t, &a, e) != 0 ? err_during(e, "send the list of what is carried") : 0;
}

int
line_session_commit(struct line_session *t, const struct commit *c, struct committed *out, struct err *e)
{
	char path[PATH_LEN];
	uint8_t *bytes = NULL;
	int rc;

	session_path(t, path, "/commit");
	rc = call(t, "POST", path, &commit_schema, c, &committed_schema, out, &bytes, e);
	free(bytes);
	return rc;
}

int
line_session_pledge(struct line_session *t, const struct pledge_post *p, struct pledge_taken *out, struct err *e)
{
	char path[PATH_LEN];
	uint8_t *bytes = NULL;
	int rc;

	session_path(t, path, "/pledge");
	rc = call(t, "POST", path, &pledge_post_schema, p, &pledge_taken_schema, out, &bytes, e);
	free(bytes);
	return rc;
}
