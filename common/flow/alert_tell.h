#ifndef SAMARA_FLOW_ALERT_TELL_H
#define SAMARA_FLOW_ALERT_TELL_H

/* Telling somebody who is not looking: by a program, and by mail. */

#include <stdint.h>

struct err;

#define ALERT_WEEK	INT64_C(604800)	/* seconds until what lasts is told again */

enum alert_news { ALERT_RAISED = 1, ALERT_REPEATED, ALERT_CLOSED };

struct alert {
	enum alert_news news;
	const char *kind, *what, *next;	/* closed: what it was about, as it was raised; next "" */
	int64_t since;			/* raised, seconds */
};

/* "raised", "still open", "over" */
const char *alert_news_word(enum alert_news news);

/* Whether ${command} is a path or empty and ${mail} one address or empty: 0, or -1 with ERR_USAGE. */
int alert_ways_check(const char *command, const char *mail, struct err *e);

/**
 * alert_tell(command, mail, who, name, x, e):
 * Run ${command} ("": do not) with the alert in its environment (SAMARA_ALERT, _KIND, _TEXT, _NEXT,
 * _SINCE, and SAMARA_ALERT_VAULT or _MACHINE, as ${who} is "vault" or "machine", = ${name}); write to ${mail} ("": do not) by
 * /usr/sbin/sendmail or what SAMARA_SENDMAIL names.  0; 1 there was somebody to tell and none of
 * the ways worked: each was warned of, the last is in ${e}.
 */
int alert_tell(const char *command, const char *mail, const char *who, const char *name, const struct alert *x, struct err *e);

#endif
