#include "common/flow/alert_tell.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/child.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/text.h"

#define WORD_MAX	700u

const char *
alert_news_word(enum alert_news news)
{
	return news == ALERT_RAISED ? "raised" : news == ALERT_REPEATED ? "still open" : "over";
}

int
alert_ways_check(const char *command, const char *mail, struct err *e)
{
	if (command[0] != 0 && command[0] != '/')
		return err_set(e, ERR_USAGE, "give the command with its whole path; it is run from anywhere");
	if (!text_is_printable(mail, strlen(mail)) || mail[0] == '-' || strpbrk(mail, " ,;<>\"") != NULL ||
	    (mail[0] != 0 && strlen(mail) < 2))
		return err_set(e, ERR_USAGE, "\"%s\" is not one mail address", mail);
	return 0;
}

static int
command_tell(const char *command, const char *who, const char *name, const struct alert *x, struct err *e)
{
	const char *argv[] = { command, NULL }, *env[7];
	char text[6][WORD_MAX], upper[16];
	size_t i = 0;

	for (; who[i] != 0 && i + 1 < sizeof(upper); i++)
		upper[i] = (char)toupper((unsigned char)who[i]);
	upper[i] = 0;
	(void)snprintf(text[0], WORD_MAX, "SAMARA_ALERT=%s", alert_news_word(x->news));
	(void)snprintf(text[1], WORD_MAX, "SAMARA_ALERT_KIND=%s", x->kind);
	(void)snprintf(text[2], WORD_MAX, "SAMARA_ALERT_TEXT=%s", x->what);
	(void)snprintf(text[3], WORD_MAX, "SAMARA_ALERT_NEXT=%s", x->next);
	(void)snprintf(text[4], WORD_MAX, "SAMARA_ALERT_SINCE=%" PRId64, x->since);
	(void)snprintf(text[5], WORD_MAX, "SAMARA_ALERT_%s=%s", upper, name);
	for (i = 0; i < 6; i++)
		env[i] = text[i];
	env[6] = NULL;
	return child_must(argv, env, NULL, 0, e);
}

/* Whoever delivers mail here: sendmail, as every mail system brings it. */
static int
mail_tell(const char *mail, const char *who, const char *name, const struct alert *x, struct err *e)
{
	const char *program = getenv("SAMARA_SENDMAIL");
	const char *argv[] = { program != NULL ? program : "/usr/sbin/sendmail", "-i", "-t", NULL };
	char text[4 * WORD_MAX];
	int n;

	n = snprintf(text, sizeof(text), "To: %s\nSubject: samara: %s %s: %s: %s\nAuto-Submitted: auto-generated\n"
	    "MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\n\n%s\n\n%s\n", mail, who, name, x->kind,
	    alert_news_word(x->news), x->what, x->next);
	return child_feed(argv, NULL, text, n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1, e);
}

int
alert_tell(const char *command, const char *mail, const char *who, const char *name, const struct alert *x, struct err *e)
{
	int ways = 0, told = 0;
	struct err mine;

	for (int i = 0; i < 2; i++) {
		if ((i == 0 ? command : mail)[0] == 0)
			continue;
		err_clear(&mine);
		ways++;
		if ((i == 0 ? command_tell(command, who, name, x, &mine) : mail_tell(mail, who, name, x, &mine)) == 0) {
			told++;
			continue;
		}
		say_warn("%s %s: an alert could not be told: %s", who, name, mine.msg);
		if (e != NULL)
			*e = mine;
	}
	return ways > 0 && told == 0;
}
