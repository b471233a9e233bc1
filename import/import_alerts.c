#include <stdio.h>
#include <string.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/out.h"
#include "common/flow/vault_alerts.h"
#include "import/import_commands.h"
#include "import/import_vault.h"

struct alerts_args {
	const char *command, *mail;	/* NULL: as before; "none": no more */
	uint64_t days;			/* UINT64_MAX: as before */
	int test, acknowledge;
};

static void
alert_print(void *arg, const struct alert *x)
{
	struct out *o = out_object("alert");

	(void)arg;
	out_text("%-10s  %s: %s\n", alert_news_word(x->news), x->kind, x->what);
	if (x->news != ALERT_CLOSED)
		out_text("            %s\n", x->next);
	out_str(o, "news", alert_news_word(x->news));
	out_str(o, "kind", x->kind);
	out_str(o, "what", x->what);
	out_str(o, "next", x->next);
	out_i64(o, "since", x->since);
	out_emit(o);
}

static int
how_set(struct vault *v, const struct alerts_args *x, struct alerting *how, struct err *e)
{
	if (x->command == NULL && x->mail == NULL && x->days == UINT64_MAX && !x->acknowledge)
		return 0;
	if (x->acknowledge)
		how->acknowledged = io_now_ns();
	if (x->command != NULL && strlen(x->command) >= sizeof(how->command))
		return err_set(e, ERR_USAGE, "the command's path is too long");
	if (x->mail != NULL && strlen(x->mail) >= sizeof(how->mail))
		return err_set(e, ERR_USAGE, "the mail address is too long");
	if (x->command != NULL)
		(void)snprintf(how->command, sizeof(how->command), "%s", strcmp(x->command, "none") == 0 ? "" : x->command);
	if (x->mail != NULL)
		(void)snprintf(how->mail, sizeof(how->mail), "%s", strcmp(x->mail, "none") == 0 ? "" : x->mail);
	if (x->days != UINT64_MAX)
		how->days = x->days > 3650 ? 3651 : (unsigned)x->days;
	return alerting_write(v, how, e);
}

static void
how_print(const struct alerting *how)
{
	struct out *o = out_object("summary");

	out_text("told by     %s%s%s\n", how->command[0] != 0 ? how->command : how->mail[0] != 0 ? "" : "nobody: give --command or --mail",
	    how->command[0] != 0 && how->mail[0] != 0 ? ", and mail to " : how->mail[0] != 0 ? "mail to " : "", how->mail);
	out_text("stale       a machine without a new whole snapshot for %u days\n", how->days);
	out_str(o, "command", how->command);
	out_str(o, "mail", how->mail);
	out_u64(o, "days", how->days);
	out_emit(o);
}

int
import_alerts(struct args *a, struct err *e)
{
	struct alerts_args x = { NULL, NULL, UINT64_MAX, 0, 0 };
	const struct opt opts[] = {
		{ "command", 0, OPT_STR, &x.command, "PROGRAM", "run it for each; none: no more" },
		{ "mail", 0, OPT_STR, &x.mail, "ADDRESS", "write to it, by sendmail; none: no more" },
		{ "days", 0, OPT_NUMBER, &x.days, "N", "a machine without a whole snapshot for so long is one; 7 if never said" },
		{ "acknowledge", 0, OPT_FLAG, &x.acknowledge, NULL, "takeovers and changed key slots until now were seen" },
		{ "test", 0, OPT_FLAG, &x.test, NULL, "tell a test, and say whether it got through" },
		{ NULL }
	};
	struct alerting how;
	const char *path;
	struct vault *v;
	int rc = args_parse(a, opts, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (args_operands(a, 0, 1, e) != 0 || import_vault(a, 0, &path, e) < 0 ||
	    (v = vault_open(path, VAULT_NO_KEY, e)) == NULL)
		return -1;
	rc = alerting_read(v, &how, e) != 0 || how_set(v, &x, &how, e) != 0 ? -1 : 0;
	if (rc == 0)
		rc = x.test ? vault_alert_test(v, e) : vault_alerts(v, alert_print, NULL, e);
	if (rc == 0)
		how_print(&how);
	vault_close(v);
	return rc;
}
