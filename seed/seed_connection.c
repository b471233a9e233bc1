#include <stdlib.h>
#include <string.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/log.h"
#include "common/base/out.h"
#include "common/base/text.h"
#include "common/flow/line_look.h"
#include "common/flow/state.h"
#include "seed/seed_commands.h"

#define CLOCK_FAR	300	/* seconds of difference that are worth a warning */

static const char *
word(int yes)
{
	return yes ? "yes" : "NO";
}

static void
look_text(const struct line_look *k, int measured)
{
	char text[HUMAN_MAX];

	out_text("address     %s\n", k->facts.url);
	out_text("reachable   %s", word(k->reachable));
	out_text(k->reachable ? ", in %s\n" : "\n", human_duration(text, k->answered));
	if (!k->reachable)
		return;
	out_text("key         %s%s\n", k->trusted ? human_digest(text, k->facts.pin) : "NOT THE VAULT'S",
	    k->renewed ? ", believed just now" : "");
	if (!k->trusted)
		return;
	out_text("token       %s\n", k->admitted ? "accepted" : "NOT ACCEPTED");
	if (!k->admitted)
		return;
	if (k->clock == 0)
		out_text("clock       as the vault's\n");
	else
		out_text("clock       the vault's is %s%s\n", human_duration(text, (k->clock < 0 ? -k->clock : k->clock) * 1000000000),
		    k->clock < 0 ? " behind" : " ahead");
	if (measured && k->rate > 0)
		out_text("rate        %s\n", human_rate(text, k->rate, 1000000000));
}

static void
look_json(const struct line_look *k)
{
	struct out *j = out_object("summary");

	out_str(j, "url", k->facts.url);
	out_bool(j, "reachable", k->reachable);
	out_bool(j, "key_trusted", k->trusted);
	out_bool(j, "key_renewed", k->renewed);
	out_bytes(j, "key_pin", k->facts.pin, NET_PIN_LEN);
	out_bool(j, "token_accepted", k->admitted);
	if (k->admitted) {
		out_i64(j, "clock_ahead_seconds", k->clock);
		out_u64(j, "snapshots_head", k->contact.head_seq);
		out_u64(j, "missing", k->contact.missing);
		out_u64(j, "quota", k->contact.quota);
		out_u64(j, "used", k->contact.used);
		out_str(j, "machine", k->contact.machine_name);
	}
	if (k->rate > 0)
		out_u64(j, "bytes_per_second", k->rate);
	out_emit(j);
}

static void
contact_text(const struct contact *c, const struct state *s)
{
	char used[HUMAN_MAX], quota[HUMAN_MAX], name[NAME_MAX_LEN * 4 + 4];

	(void)text_safe(name, sizeof(name), c->machine_name, strlen(c->machine_name));
	if (c->quota > 0)
		out_text("quota       %s of %s used\n", human_size(used, c->used), human_size(quota, c->quota));
	if (strcmp(c->machine_name, s->id.machine_name) != 0)
		out_text("name        the vault calls this machine %s\n", name);
	if (c->subscription == SUBSCRIPTION_EXPIRED)
		say_warn("the subscription of this machine has expired: backups are stopped, restores are not.");
	if (c->subscription == SUBSCRIPTION_DEPROVISIONED)
		say_warn("the subscription of this machine was ended.");
}

static int
look(struct state *s, int measure, struct err *e)
{
	struct line_options o = { .state = s };
	struct line *l = line_open(&o, e);
	struct line_look k;
	int rc;

	if (l == NULL)
		return -1;
	rc = line_look(l, measure, &k, e);
	look_text(&k, measure);
	look_json(&k);
	if (rc == 0) {
		contact_text(&k.contact, s);
		if (k.clock > CLOCK_FAR || k.clock < -CLOCK_FAR)
			say_warn("this machine's clock and the vault's differ: credentials end by the vault's, schedules go by this one.");
	}
	line_close(l);
	return rc;
}

int
seed_connection(struct args *a, struct err *e)
{
	int quick = 0, rc;
	const struct opt opts[] = {
		{ "quick", 0, OPT_FLAG, &quick, NULL, "do not measure the rate" },
		{ NULL },
	};
	struct state *s;
	char *path;

	if ((rc = args_parse(a, opts, e)) != 0)
		return rc > 0 ? 0 : -1;
	if (args_operands(a, 0, 0, e) != 0 || args_state(a, &path, e) != 0)
		return -1;
	if ((s = state_open(path, e)) == NULL)
		rc = -1;
	else
		rc = look(s, !quick && !a->dry_run, e);
	state_free(s);
	free(path);
	return rc;
}
