#include <string.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/out.h"
#include "common/flow/policy.h"
#include "common/flow/state.h"
#include "seed/seed_commands.h"
#include "seed/seed_state.h"

/* What each is for, beside its value. */
static const char *
meaning(const char *key)
{
	static const struct { const char *key, *text; } t[] = {
		{ "throttle-work", "how fast the line may be used in work hours" },
		{ "throttle-other", "how fast at all other times" },
		{ "work-hours", "local time" },
		{ "work-days", "" },
		{ "initial", "what the first backup may go over: disk (samara-seed build) or network" },
		{ "proxy", "how the vault is reached" },
		{ "alert-command", "run where a scheduled backup finds this machine not protected" },
		{ "alert-mail", "written to then" },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		if (strcmp(t[i].key, key) == 0)
			return t[i].text;
	return "";
}

static void
policy_print(const struct policy *p)
{
	struct out *o = out_object("summary");
	char value[POLICY_PROXY + 16];

	for (size_t i = 0; policy_key(i) != NULL; i++) {
		(void)policy_text(p, policy_key(i), 0, value, sizeof(value));
		out_text(*meaning(policy_key(i)) != 0 ? "%-15s %-16s %s\n" : "%-15s %s\n", policy_key(i), value, meaning(policy_key(i)));
		out_str(o, policy_key(i), value);
	}
	out_emit(o);
}

int
seed_policy_show(struct args *a, struct err *e)
{
	const struct opt opts[] = { { NULL } };
	struct policy p;
	struct state *s;
	int rc;

	if ((rc = args_parse(a, opts, e)) != 0)
		return rc > 0 ? 0 : -1;
	if (args_operands(a, 0, 0, e) != 0 || (s = seed_state_open(a, e)) == NULL)
		return -1;
	if ((rc = policy_read(s->fd, &p, e)) == 0)
		policy_print(&p);
	state_free(s);
	return rc;
}

/* "key=value" of each operand. */
static int
policy_take(struct policy *p, const struct args *a, struct err *e)
{
	char key[32];

	for (size_t i = 0; i < a->n; i++) {
		const char *is = strchr(a->operands[i], '=');
		size_t len = is != NULL ? (size_t)(is - a->operands[i]) : 0;

		if (len == 0 || len >= sizeof(key))
			return err_set(e, ERR_USAGE, "\"%s\" is not of the form KEY=VALUE, as in throttle-work=20Mbps",
			    a->operands[i]);
		memcpy(key, a->operands[i], len);
		key[len] = 0;
		if (policy_set(p, key, is + 1, e) != 0)
			return -1;
	}
	return 0;
}

int
seed_policy_set(struct args *a, struct err *e)
{
	const struct opt opts[] = { { NULL } };
	struct policy p;
	struct state *s;
	int rc, lock = -1;

	if ((rc = args_parse(a, opts, e)) != 0)
		return rc > 0 ? 0 : -1;
	if (args_operands(a, 1, 64, e) != 0 || (s = seed_state_open(a, e)) == NULL)
		return -1;
	/* Two at once: neither loses what the other set. */
	rc = (lock = state_lock(s, e)) == -1 || policy_read(s->fd, &p, e) != 0 || policy_take(&p, a, e) != 0 ? -1 : 0;
	if (rc == 0 && !a->dry_run)
		rc = policy_write(s->fd, &p, e);
	if (rc == 0)
		policy_print(&p);
	if (lock != -1)
		(void)io->close(lock);
	state_free(s);
	return rc;
}
