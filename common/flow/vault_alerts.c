/* What needs a hand, told to somebody who is not looking. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/doc.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/crypto/hash.h"
#include "common/flow/ingest_job.h"
#include "common/flow/vault_alerts.h"

#define OPEN_FILE	"alerts"
#define HOW_FILE	"alerting"
#define FILE_LEN_MAX	(1u << 20)
#define KEY_BYTES	12u
#define WHAT_MAX	600u
#define OPEN_MOST	1000u

struct open_alert {
	char key[2 * KEY_BYTES + 1];
	char kind[24];
	char what[WHAT_MAX], next[WHAT_MAX];
	int64_t since, told;	/* told 0: nobody yet */
	int seen;		/* this time */
};

struct alerts {
	struct vault *v;
	struct alerting how;
	struct open_alert *open;
	size_t n, cap;
	alert_fn fn;
	void *arg;
	int64_t now;
	struct err *e;
	int failed;
};

/* --- whom to tell --- */

static int
doc_take(struct vault *v, const char *name, struct doc **j, struct err *e)
{
	uint8_t *bytes;
	size_t len;

	*j = NULL;
	if (file_read(v->local, name, FILE_LEN_MAX, &bytes, &len, e) != 0) {
		if (e->code != ERR_NOT_FOUND)
			return err_during(e, "%s/local", v->path);
		err_clear(e);
		return 1;
	}
	*j = doc_read(bytes, len, name, e);
	free(bytes);
	return *j == NULL ? -1 : 0;
}

int
alerting_read(struct vault *v, struct alerting *a, struct err *e)
{
	const char *command, *mail;
	struct doc *j;
	uint64_t days = 0;
	int rc;

	memset(a, 0, sizeof(*a));
	a->days = ALERT_DAYS;
	if ((rc = doc_take(v, HOW_FILE, &j, e)) != 0)
		return rc == 1 ? 0 : -1;
	command = doc_get_str(j, "command");
	mail = doc_get_str(j, "mail");
	if (doc_get_i64(j, "acknowledged", &a->acknowledged) != 0)
		a->acknowledged = 0;
	if (command == NULL || mail == NULL || doc_get_u64(j, "days", &days) != 0 || strlen(command) >= sizeof(a->command) ||
	    strlen(mail) >= sizeof(a->mail) || days == 0 || days > 3650)
		rc = err_set(e, ERR_FORMAT, "%s/local/" HOW_FILE " does not say whom to tell", v->path);
	else {
		(void)snprintf(a->command, sizeof(a->command), "%s", command);
		(void)snprintf(a->mail, sizeof(a->mail), "%s", mail);
		a->days = (unsigned)days;
	}
	doc_free(j);
	return rc;
}

static int
alerting_check(const struct alerting *a, struct err *e)
{
	if (a->days == 0 || a->days > 3650)
		return err_set(e, ERR_USAGE, "days are 1 to 3650");
	return alert_ways_check(a->command, a->mail, e);
}

int
alerting_write(struct vault *v, const struct alerting *a, struct err *e)
{
	struct doc *j = doc_object();
	char *text;
	size_t len;
	int rc = alerting_check(a, e);

	doc_put_str(j, "command", a->command);
	doc_put_str(j, "mail", a->mail);
	doc_put_u64(j, "days", a->days);
	doc_put_i64(j, "acknowledged", a->acknowledged);
	if (rc == 0 && (rc = doc_write(j, &text, &len, e)) == 0) {
		rc = file_replace(v->local, HOW_FILE, text, len, 0600, e);
		free(text);
	}
	doc_free(j);
	return rc;
}

/* --- telling --- */

/* 1 if nobody could be told who should be. */
static int
told_nobody(struct alerts *a, const struct alert *x)
{
	if (a->fn != NULL)
		a->fn(a->arg, x);
	/* Whoever is named later hears of what is open then. */
	if (a->how.command[0] == 0 && a->how.mail[0] == 0)
		return 1;
	return alert_tell(a->how.command, a->how.mail, "vault", a->v->desc.name, x, a->e) == 1;
}

/* --- what is open --- */

/* What it is about, without the figures that change while it lasts. */
static void
key_make(const struct attention *at, char key[2 * KEY_BYTES + 1])
{
	uint8_t digest[DIGEST_LEN];
	struct hash h;

	hash_init(&h);
	hash_update(&h, at->kind, strlen(at->kind) + 1);
	if (at->image_id != NULL)
		hash_update(&h, at->image_id, ID_LEN);
	if (at->machine_id != NULL)
		hash_update(&h, at->machine_id, ID_LEN);
	if (at->image_id == NULL && at->machine_id == NULL)
		for (const char *c = at->what; *c != 0; c++)
			if (*c < '0' || *c > '9')
				hash_update(&h, c, 1);
	hash_final(&h, digest);
	(void)text_hex(key, digest, KEY_BYTES);
}

static struct open_alert *
open_find(struct alerts *a, const char *key)
{
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->open[i].key, key) == 0)
			return &a->open[i];
	return NULL;
}

static struct open_alert *
open_add(struct alerts *a, const char *key)
{
	if (a->n == OPEN_MOST)
		return NULL;
	if (a->n == a->cap) {
		size_t cap = a->cap * 2 + 16;
		struct open_alert *more = realloc(a->open, cap * sizeof(*more));

		if (more == NULL)
			return NULL;
		a->open = more;
		a->cap = cap;
	}
	memset(&a->open[a->n], 0, sizeof(a->open[a->n]));
	(void)snprintf(a->open[a->n].key, sizeof(a->open[a->n].key), "%s", key);
	return &a->open[a->n++];
}

static void
attention_take(void *arg, const struct attention *at)
{
	struct alerts *a = arg;
	char key[2 * KEY_BYTES + 1];
	struct open_alert *o;

	key_make(at, key);
	if ((o = open_find(a, key)) == NULL) {
		if ((o = open_add(a, key)) == NULL)
			return;
		o->since = a->now;
	}
	if (o->seen)
		return;		/* several of a kind on one image are one */
	o->seen = 1;
	(void)snprintf(o->kind, sizeof(o->kind), "%s", at->kind);
	(void)text_line(o->what, sizeof(o->what), at->what);
	(void)text_line(o->next, sizeof(o->next), at->next);
}

/* Lines of "key since told kind", then what. */
static int
open_read(struct alerts *a, struct err *e)
{
	struct doc *j;
	int rc = doc_take(a->v, OPEN_FILE, &j, e);

	if (rc != 0)
		return rc == 1 ? 0 : -1;
	for (size_t i = 0; i + 1 < doc_list_length(j, "open"); i += 2) {
		const char *line = doc_list_str(j, "open", i), *what = doc_list_str(j, "open", i + 1);
		char key[2 * KEY_BYTES + 1], kind[24];
		int64_t since, told;
		struct open_alert *o;

		if (line == NULL || what == NULL || sscanf(line, "%24s %" SCNd64 " %" SCNd64 " %23s", key, &since, &told, kind) != 4 ||
		    (o = open_add(a, key)) == NULL)
			continue;
		o->since = since;
		o->told = told;
		(void)snprintf(o->kind, sizeof(o->kind), "%s", kind);
		(void)snprintf(o->what, sizeof(o->what), "%s", what);
	}
	doc_free(j);
	return 0;
}

static int
open_write(const struct alerts *a, struct err *e)
{
	struct doc *j = doc_object(), *list = doc_list();
	char line[128], *text;
	size_t len;
	int rc;

	for (size_t i = 0; i < a->n; i++) {
		const struct open_alert *o = &a->open[i];

		if (!o->seen && o->told == 0)
			continue;	/* it is over, and that was said */
		(void)snprintf(line, sizeof(line), "%s %" PRId64 " %" PRId64 " %s", o->key, o->since, o->told, o->kind);
		doc_put_str(list, NULL, line);
		doc_put_str(list, NULL, o->what);
	}
	doc_put_value(j, "open", list);
	if ((rc = doc_write(j, &text, &len, e)) == 0) {
		rc = file_replace(a->v->local, OPEN_FILE, text, len, 0600, e);
		free(text);
	}
	doc_free(j);
	return rc;
}

/* What is new of one. */
static void
open_tell(struct alerts *a, struct open_alert *o)
{
	struct alert x = { .kind = o->kind, .what = o->what, .next = o->next, .since = o->since };

	if (!o->seen)
		x.news = ALERT_CLOSED;
	else if (o->told == 0)
		x.news = ALERT_RAISED;
	else if (a->now - o->told >= ALERT_WEEK || a->now < o->told - ALERT_WEEK)
		x.news = ALERT_REPEATED;
	else
		return;
	if (x.news == ALERT_CLOSED && o->told == 0)
		return;		/* nobody heard of it */
	if (told_nobody(a, &x) == 0)
		o->told = x.news == ALERT_CLOSED ? 0 : a->now;
}

int
vault_alerts(struct vault *v, alert_fn fn, void *arg, struct err *e)
{
	struct alerts a = { .v = v, .fn = fn, .arg = arg, .now = io_now() };
	struct vault_status s;
	int turn, rc = -1;

	if ((turn = vault_turn(v, "alerts.lock", e)) == -1)
		return -1;
	if (alerting_read(v, &a.how, e) == 0 && open_read(&a, e) == 0 && vault_status(v, &s, attention_take, &a, e) == 0) {
		for (size_t i = 0; i < a.n; i++)
			open_tell(&a, &a.open[i]);
		rc = open_write(&a, e);
	}
	(void)io->close(turn);
	free(a.open);
	return rc;
}

int
vault_alerts_open(struct vault *v, void (*fn)(void *arg, const char *kind, int64_t since), void *arg, struct err *e)
{
	struct alerts a = { .v = v };
	int rc = open_read(&a, e);

	for (size_t i = 0; i < a.n && rc == 0; i++)
		fn(arg, a.open[i].kind, a.open[i].since);
	free(a.open);
	return rc;
}

int
vault_alert_test(struct vault *v, struct err *e)
{
	struct alert x = { ALERT_RAISED, "test", "this is a test; nothing is wrong", "nothing", io_now() };
	struct alerts a = { .v = v, .e = e };

	if (alerting_read(v, &a.how, e) != 0)
		return -1;
	if (a.how.command[0] == 0 && a.how.mail[0] == 0)
		return err_set(e, ERR_USAGE, "nobody is told of alerts: give --command or --mail");
	return told_nobody(&a, &x) != 0 ? -1 : 0;
}
