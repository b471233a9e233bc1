#include "common/flow/line_look.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"

#define SECOND		INT64_C(1000000000)
#define RATE_FIRST	(256u << 10)
#define RATE_MOST	(4u << 20)

static int
contact_get(struct line *l, struct contact *k, struct err *e)
{
	uint8_t *bytes;

	if (line_call(l, "GET", "contact", 2, NULL, NULL, &contact_schema, k, &bytes, e) != 0)
		return -1;
	k->notices = (struct fmt_view){ NULL, 0 };
	free(bytes);
	return 0;
}

/* Random bytes, so that nothing on the way makes them fewer. */
static int
rate_once(struct line *l, size_t len, uint64_t *rate, struct err *e)
{
	struct net_ask a = { .method = "POST", .path = "rate", .body_len = len, .tries = 2 };
	struct net_answer r;
	uint8_t *body = malloc(len);
	int64_t began, took;
	int rc;

	if (body == NULL)
		return err_errno(e, "measure the line");
	for (size_t at = 0; at < len; at += 256)
		io_random(body + at, 256);
	a.body = body;
	began = io_mono_ns();
	if ((rc = line_ask(l, &a, &r, e)) == 0) {
		took = io_mono_ns() - began;
		*rate = took > 0 ? (uint64_t)((double)len * 1e9 / (double)took) : 0;
		net_answer_free(&r);
	}
	free(body);
	return rc;
}

int
line_look(struct line *l, int measure, struct line_look *k, struct err *e)
{
	int64_t began = io_mono_ns(), sent;
	int rc;

	memset(k, 0, sizeof(*k));
	rc = line_repin(l, e);
	line_facts(l, &k->facts);
	k->reachable = rc >= 0 || e->code == ERR_PIN;
	k->answered = io_mono_ns() - began;
	if (rc < 0)
		return -1;
	k->trusted = 1;
	k->renewed = rc == 0;
	sent = io_now();
	if (contact_get(l, &k->contact, e) != 0)
		return -1;
	line_facts(l, &k->facts);
	k->admitted = 1;
	/* Half of the time that it took is on the way back. */
	k->clock = k->contact.time / SECOND - (sent + (io_now() - sent) / 2);
	if (!measure)
		return 0;
	if (rate_once(l, RATE_FIRST, &k->rate, e) != 0)
		return -1;
	return k->rate < RATE_MOST / 4 ? 0 : rate_once(l, RATE_MOST, &k->rate, e);
}
