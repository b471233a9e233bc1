#include "common/flow/standing.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/doc.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/human.h"
#include "common/base/io.h"
#include "common/flow/line.h"
#include "common/flow/line_note.h"
#include "formats/fmt_line_machine.h"

#define NOTE_NAME	"subscription"	/* in the state */
#define NOTE_MAX	4096u

enum connectivity
standing_connectivity(int64_t first, int64_t last, int64_t now)
{
	if (first == 0)
		return CONNECTED_NOT_YET;
	return now - last > STANDING_LOST ? CONNECTED_LOST : CONNECTED;
}

/* --- what was heard --- */

static int
subscription_read(struct state *s, unsigned *subscription, struct err *e)
{
	struct doc *d;
	uint64_t is = 0;
	uint8_t *bytes;
	struct err own;
	size_t len;

	*subscription = SUBSCRIPTION_ACTIVE;
	err_clear(&own);
	if (file_read(s->fd, NOTE_NAME, NOTE_MAX, &bytes, &len, &own) != 0)
		return own.code == ERR_NOT_FOUND ? 0 : err_set(e, own.code, "state %s: %s", s->path, own.msg);
	d = doc_read(bytes, len, NOTE_NAME, &own);
	free(bytes);
	/* What cannot be read is heard again with the next contact. */
	if (d != NULL && doc_get_u64(d, "subscription", &is) == 0 && is >= SUBSCRIPTION_ACTIVE && is <= SUBSCRIPTION_DEPROVISIONED)
		*subscription = (unsigned)is;
	doc_free(d);
	return 0;
}

static int
subscription_write(struct state *s, unsigned subscription, struct err *e)
{
	struct doc *d;
	unsigned was;
	char *text;
	size_t len;
	int rc;

	if (subscription_read(s, &was, e) != 0 || was == subscription)
		return was == subscription ? 0 : -1;
	d = doc_object();
	doc_put_u64(d, "subscription", subscription);
	doc_put_i64(d, "heard", io_now());
	if ((rc = doc_write(d, &text, &len, e)) == 0) {
		rc = file_replace(s->fd, NOTE_NAME, text, len, 0600, e);
		free(text);
	}
	doc_free(d);
	return rc;
}

int
standing_load(struct state *s, const struct domain_keys *k, struct standing *st, struct err *e)
{
	struct line_note note;
	int64_t now = io_now();

	memset(st, 0, sizeof(*st));
	if (line_note_load(s, k, &note, e) != 0 || subscription_read(s, &st->subscription, e) != 0)
		return -1;
	st->connectivity = standing_connectivity(note.first_contact, note.last_contact, now);
	st->last = note.last_contact;
	st->days = now > note.last_contact ? (now - note.last_contact) / 86400 : 0;
	return 0;
}

int
standing_hear(struct line *l, struct state *s, struct err *e)
{
	uint8_t *bytes = NULL;
	struct contact c;
	int rc = line_call(l, "GET", "contact", 1, NULL, NULL, &contact_schema, &c, &bytes, e);

	free(bytes);
	return rc != 0 ? -1 : subscription_write(s, c.subscription, e);
}

/* --- the table --- */

int
standing_allows(const struct standing *st, enum standing_deed deed, struct err *e)
{
	static const char *const what[] = { "backups to the vault are", "backups to a disk are", "restores from the vault are",
	    "restores from a disk are" };
	int backup = deed == DEED_BACKUP_VAULT || deed == DEED_BACKUP_DISK;
	char day[HUMAN_MAX];

	if (st->subscription == SUBSCRIPTION_DEPROVISIONED && st->connectivity != CONNECTED_NOT_YET) {
		(void)err_set(e, ERR_RULE, "the subscription of this machine was ended: %s stopped%s", what[deed],
		    deed == DEED_RESTORE_VAULT ? ", and its snapshots at the vault are deleted" : "");
		return err_next(e, "the operator of the vault can begin it again: samara-import machine VAULT M subscription active");
	}
	if (!backup)
		return 0;
	if (st->subscription == SUBSCRIPTION_EXPIRED && st->connectivity != CONNECTED_NOT_YET) {
		(void)err_set(e, ERR_RULE, "the subscription of this machine has expired: %s stopped, restores are not", what[deed]);
		return err_next(e, "the operator of the vault can renew it: samara-import machine VAULT M subscription active");
	}
	if (st->connectivity != CONNECTED_LOST)
		return 0;
	(void)err_set(e, ERR_RULE, "there was no contact with the vault for %lld days (since %s): beyond 15 days %s stopped, restores are not",
	    (long long)st->days, human_day(day, st->last), what[deed]);
	return err_next(e, "see what fails: samara-seed connection; one contact ends this");
}
