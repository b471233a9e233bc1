#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/log.h"
#include "common/flow/keyring_get.h"
#include "common/flow/line.h"
#include "common/flow/line_credential.h"
#include "common/flow/line_note.h"
#include "common/flow/line_read.h"
#include "common/flow/line_usual.h"
#include "common/flow/policy.h"
#include "common/flow/session.h"
#include "common/net/throttle.h"

/* What a restore keeps; where it cannot be read, its disks are asked for again. */
static void
kept_add(struct session *s, const struct session_options *o)
{
	size_t from = source_containers(s->source);
	char name[300];
	struct err own;

	err_clear(&own);
	(void)snprintf(name, sizeof(name), "kept in %.280s", o->kept);
	if (source_add_dir(s->source, o->kept, name, s->keys->machine_id, &own) != 0 && own.code != ERR_NO_IMAGE &&
	    o->bad != NULL)
		o->bad(o->bad_arg, o->kept, NULL, &own);
	for (; from < source_containers(s->source); from++)
		source_container(s->source, from)->is_kept = 1;
}

/* Is the line asked for?  Also where nothing is, on the machine itself. */
static int
wants_line(const struct session_options *o)
{
	for (size_t i = 0; i < o->nfrom; i++)
		if (strcmp(o->from[i], SESSION_LINE) == 0)
			return 1;
	return o->nfrom == 0;
}

/* Once: it stays open while places come and go. */
static int
line_begin(struct session *s, const struct session_options *o, struct err *e)
{
	struct line_options lo = { 0 };

	if (o->credential != NULL)
		return (s->line = line_open_reading(o->credential, NULL, e)) != NULL ? 0 : -1;
	if (o->state_path == NULL)
		return err_set(e, ERR_USAGE, "say with --from which disk or vault to read; the line belongs to a registered machine: "
		    "samara-seed register, with a restore-only credential on another computer");
	if ((s->state = state_open(o->state_path, e)) == NULL)
		return -1;
	if ((s->policy = policy_watch_new(s->state->fd)) == NULL ||
	    (s->throttle = throttle_new(policy_watch_rate, s->policy)) == NULL)
		return err_set(e, ERR_MEMORY, "no memory for the line");
	lo.state = s->state;
	lo.throttle = s->throttle;
	return (s->line = line_open(&lo, e)) != NULL ? 0 : -1;
}

static int
line_add(struct session *s, struct err *e)
{
	struct container_trust trust;
	struct container *c;

	memset(&trust, 0, sizeof(trust));	/* who reads by a credential remembers nothing */
	if (s->state != NULL && line_remembered(s->state, s->keys->keys, &trust, &s->line_rate, e) != 0)
		return -1;
	c = container_line(s->line, s->keys->vault_id, s->keys->machine_id, &trust, e);
	return c != NULL ? source_add_container(s->source, c, e) : -1;
}

/* The state is that of the machine whose snapshots are read. */
static int
state_is_own(const struct session *s)
{
	return s->line != NULL && s->state != NULL && s->keys != NULL &&
	    memcmp(s->state->id.machine_id, s->keys->machine_id, ID_LEN) == 0;
}

/* What the vault shows it has: from now on it is missed where it is not shown.  Reading does not fail for want of a note. */
static void
head_remember(struct session *s, const struct session_options *o)
{
	const struct snapshot *top = NULL;
	struct line_note n;
	struct err own;

	err_clear(&own);
	for (size_t i = 0; i < s->list.n; i++)
		if (snapshot_on_line(s->source, &s->list.snap[i]) != NULL)
			top = &s->list.snap[i];
	if (top == NULL || !state_is_own(s) || line_note_load(s->state, s->keys->keys, &n, &own) != 0 ||
	    n.head_seq >= top->env.seq)
		return;
	if (line_note_acknowledged(s->state, s->keys->keys, top->env.seq, top->digest, &own) != 0 && o->bad != NULL)
		o->bad(o->bad_arg, "the head that the vault shows is not noted", NULL, &own);
}

/* How fast the line was. */
static void
rate_remember(struct session *s)
{
	uint64_t bytes;
	int64_t ns;

	if (s->source == NULL || !state_is_own(s))
		return;
	source_line_used(s->source, &bytes, &ns);
	if (bytes > 0)
		(void)line_note_contact(s->state, s->keys->keys, bytes, ns, NULL);
}

static int
places_open(struct session *s, const struct session_options *o, struct err *e)
{
	const struct source_options so = { .keys = s->keys->keys, .memory = o->memory, .bad = o->bad, .bad_arg = o->bad_arg,
	    .disputes = s->disputes };

	if ((s->source = source_new(&so, e)) == NULL)
		return -1;
	for (size_t i = 0; i < o->nfrom; i++)
		if (strcmp(o->from[i], SESSION_LINE) != 0 && source_add(s->source, o->from[i], s->keys->machine_id, e) != 0)
			return -1;
	if (wants_line(o) && line_add(s, e) != 0)
		return -1;
	if (o->kept != NULL)
		kept_add(s, o);
	if (source_index(s->source, e) != 0 || (s->reader = source_reader_new(s->source, e)) == NULL)
		return -1;
	if (snapshot_list_read(&s->list, s->source, s->keys->machine_id, s->keys->machine_pub, s->keys->member.from_seq, o->bad,
	    o->bad_arg, e) != 0 || snapshot_list_prove(&s->list, s->source, s->reader, o->bad, o->bad_arg, e) != 0)
		return -1;
	head_remember(s, o);
	return 0;
}

int
session_open(struct session *s, const struct session_options *o, struct err *e)
{
	memset(s, 0, sizeof(*s));
	if ((s->disputes = disputes_new(e)) == NULL || (wants_line(o) && line_begin(s, o, e) != 0) ||
	    (s->keys = keyring_get(o->kit, o->pass_file, o->state_path, e)) == NULL)
		goto fail;
	if (state_is_own(s))
		disputes_line(s->disputes, s->line, s->state);
	if (places_open(s, o, e) == 0)
		return 0;
fail:
	session_close(s);
	return -1;
}

/* The line of the machine that this state is of, for as long as it takes. */
static int
suspects_settle(struct session *s, struct state *state, size_t *good, struct err *e)
{
	struct line_usual *u;
	int rc;

	if (memcmp(state->id.machine_id, s->keys->machine_id, ID_LEN) != 0 || !line_usual_is_there(state))
		return 1;
	if ((u = line_usual_open(state, e)) == NULL)
		return -1;
	disputes_line(s->disputes, line_usual_line(u), state);
	rc = disputes_settle(s->disputes, s->keys->keys, good, e);
	disputes_line(s->disputes, NULL, NULL);
	line_usual_close(u);
	return rc;
}

/* 0; 1 nobody here may say it; -1 with ${e}. */
static int
directory_disputes(struct session *s, const char *state_path, size_t *good, struct err *e)
{
	struct state *state;
	int rc;

	*good = 0;
	if (disputes_suspects(s->disputes) == 0)
		return 0;
	if (state_is_own(s))
		return disputes_settle(s->disputes, s->keys->keys, good, e);
	if (state_path == NULL || s->line != NULL)
		return 1;
	if ((state = state_open(state_path, e)) == NULL)
		return -1;
	rc = suspects_settle(s, state, good, e);
	state_free(state);
	return rc;
}

void
session_disputes(struct session *s, const char *state_path)
{
	struct disputes_counts c;
	char n[HUMAN_MAX];
	struct err own;
	size_t good;
	int rc;

	if (s->disputes == NULL)
		return;
	err_clear(&own);
	rc = directory_disputes(s, state_path, &good, &own);
	disputes_count(s->disputes, &c);
	if (good > 0)
		say_warn("%s of the copies that are wrong in that directory are good over the line, or not the vault's", human_count(n, good));
	if (c.told > 0)
		say_warn("%s copies that the vault had were wrong and are disputed: they count as held no more, and the next backup, or "
		    "samara-seed refill, sends good ones", human_count(n, c.told));
	if (rc < 0)
		say_warn("the vault was not told which of its copies are wrong: %s", own.msg);
	else if (rc > 0 || c.untold > 0)
		say_warn("the vault was not told which of its copies are wrong: the machine itself says that over its line, with "
		    "samara-verify snapshot SNAP --from line");
}

void
session_leave(struct session *s)
{
	rate_remember(s);
	snapshot_list_release(&s->list);
	source_reader_free(s->reader);
	source_free(s->source);
	s->reader = NULL;
	s->source = NULL;
}

int
session_places(struct session *s, const struct session_options *o, struct err *e)
{
	session_leave(s);
	if (places_open(s, o, e) == 0)
		return 0;
	session_leave(s);
	return -1;
}

void
session_close(struct session *s)
{
	session_leave(s);
	line_close(s->line);
	if (s->throttle != NULL)
		throttle_free(s->throttle);
	if (s->policy != NULL)
		policy_watch_free(s->policy);
	state_free(s->state);
	disputes_free(s->disputes);
	keyring_free(s->keys);
	memset(s, 0, sizeof(*s));
}
