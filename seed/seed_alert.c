/* What a scheduled run tells when nobody looks. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/child.h"
#include "common/base/doc.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/text.h"
#include "common/flow/alert_tell.h"
#include "common/flow/policy.h"
#include "common/flow/state.h"
#include "seed/seed_alert.h"

#define OPEN_FILE	"alert"
#define OUTPUT_MAX	(64u << 10)
#define WHAT_MAX	600u

struct open_alert {
	int64_t since, told;	/* since 0: none is open */
	char what[WHAT_MAX];
};

static int
open_read(const struct state *s, struct open_alert *o, struct err *e)
{
	struct doc *j;
	uint8_t *bytes;
	size_t len;

	memset(o, 0, sizeof(*o));
	if (file_read(s->fd, OPEN_FILE, OUTPUT_MAX, &bytes, &len, e) != 0) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		err_clear(e);
		return 0;
	}
	if ((j = doc_read(bytes, len, OPEN_FILE, NULL)) != NULL) {
		if (doc_get_i64(j, "since", &o->since) != 0 || doc_get_i64(j, "told", &o->told) != 0 || doc_get_str(j, "what") == NULL)
			memset(o, 0, sizeof(*o));	/* what cannot be read is told anew */
		else
			(void)snprintf(o->what, sizeof(o->what), "%s", doc_get_str(j, "what"));
	}
	doc_free(j);
	free(bytes);
	return 0;
}

static int
open_write(const struct state *s, const struct open_alert *o, struct err *e)
{
	struct doc *j = doc_object();
	char *text;
	size_t len;
	int rc;

	doc_put_i64(j, "since", o->since);
	doc_put_i64(j, "told", o->told);
	doc_put_str(j, "what", o->what);
	if ((rc = doc_write(j, &text, &len, e)) == 0) {
		rc = file_replace(s->fd, OPEN_FILE, text, len, 0600, e);
		free(text);
	}
	doc_free(j);
	return rc;
}

/* The first line of status, unless it is PROTECTED: then "". */
static int
status_ask(const char *program, const char *state, char what[WHAT_MAX], struct err *e)
{
	const char *argv[] = { program, "status", "--json", "--state", state, NULL };
	char *out = malloc(OUTPUT_MAX), *line;
	const char *word, *why;
	struct doc *j = NULL;
	int rc;

	what[0] = 0;
	if (out == NULL)
		return err_errno(e, "status");
	if ((rc = child_run(argv, NULL, out, OUTPUT_MAX, e)) != -1) {
		size_t n = strlen(out);

		while (n > 0 && out[n - 1] == '\n')
			out[--n] = 0;
		line = strrchr(out, '\n') != NULL ? strrchr(out, '\n') + 1 : out;
		j = doc_read(line, strlen(line), "status", e);
		rc = j == NULL ? -1 : 0;
	}
	if (rc == 0 && (word = doc_get_str(j, "status")) != NULL && strcmp(word, "PROTECTED") != 0) {
		why = doc_get_str(j, "reason");
		(void)snprintf(what, WHAT_MAX, "%s: %.500s", word, why != NULL ? why : "");
	}
	doc_free(j);
	free(out);
	return rc;
}

int
seed_alert(struct state *s, const char *program, const char *state, const char *set, int status, struct err *e)
{
	struct alert x = { .kind = "status", .next = "samara-seed status" };
	struct open_alert o;
	struct policy p;
	char what[WHAT_MAX];
	int64_t now = io_now();

	if (policy_read(s->fd, &p, e) != 0)
		return -1;
	if (p.alert_command[0] == 0 && p.alert_mail[0] == 0)
		return 0;
	if (open_read(s, &o, e) != 0 || status_ask(program, state, what, e) != 0)
		return -1;
	if (what[0] == 0 && status != 0 && status != 3)
		(void)snprintf(what, sizeof(what), "the scheduled backup of the set %s ended with status %d", set, status);
	if (what[0] == 0 && o.since == 0)
		return 0;
	x.news = what[0] == 0 ? ALERT_CLOSED : o.since == 0 ? ALERT_RAISED : ALERT_REPEATED;
	if (x.news == ALERT_REPEATED && o.told != 0 && now - o.told < ALERT_WEEK && now >= o.told)
		return 0;
	if (x.news == ALERT_RAISED)
		o.since = now;
	if (what[0] != 0)
		(void)text_line(o.what, sizeof(o.what), what);
	x.what = o.what;
	x.since = o.since;
	if (alert_tell(p.alert_command, p.alert_mail, "machine", s->id.machine_name, &x, NULL) != 0)
		o.told = 0;
	else if (x.news == ALERT_CLOSED)
		memset(&o, 0, sizeof(o));
	else
		o.told = now;
	return open_write(s, &o, e);
}
