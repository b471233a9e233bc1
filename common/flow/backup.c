#include "common/flow/backup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/human.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/progress.h"
#include "common/catalog/seen.h"
#include "common/flow/awake.h"
#include "common/flow/backup_job.h"
#include "common/flow/line_note.h"
#include "common/flow/line_pledge.h"
#include "common/flow/line_refill.h"
#include "common/flow/standing.h"
#include "common/flow/policy.h"
#include "common/net/throttle.h"
#include "common/pack/id_sorter.h"
#include "common/pack/pack_build.h"

#define ROUNDS		4u	/* how often it is read again where the vault lacks what it seemed to have */
#define RATE_BYTES	(UINT64_C(4) << 20)	/* less says nothing about the line */
#define WORKERS_LEAST	8u	/* they wait for answers more than they work */

/* --- what the sink calls --- */

static int
line_asked(void *arg, unsigned kind, const uint8_t *ids, size_t n, uint8_t *known, struct err *e)
{
	struct backup *k = arg;

	/*
	 * A part of the listing that the base does not have is new, all but surely, and
	 * one thread makes them all: it does not wait for an answer each time.
	 */
	if (!k->asks_all && kind != KIND_DATA && kind != KIND_BUNDLE) {
		memset(known, 0, n);
		return 0;
	}
	return line_asker_ask(k->asker, ids, n, known, e);
}

/* How long at least one pack is on its way: what the line's rate is reckoned by. */
static void
busy_begin(struct backup *k)
{
	if (atomic_fetch_add(&k->busy, 1) == 0)
		atomic_store(&k->busy_since, io_mono_ns());
}

static void
busy_end(struct backup *k)
{
	int64_t since = atomic_load(&k->busy_since);

	if (atomic_fetch_sub(&k->busy, 1) == 1)
		atomic_fetch_add(&k->busy_ns, io_mono_ns() - since);
}

static int
line_put(void *arg, const struct pack_info *info, const uint8_t *bytes, struct err *e)
{
	struct backup *k = arg;
	char note[64], size[HUMAN_MAX];
	int rc;

	busy_begin(k);
	rc = line_session_pack(&k->t, info->id, bytes, info->len, e);
	busy_end(k);
	if (rc != 0)
		return -1;
	atomic_fetch_add(&k->sent_packs, 1);
	(void)snprintf(note, sizeof(note), "%s sent", human_size(size, atomic_fetch_add(&k->sent_bytes, info->len) + info->len));
	progress_note(note);
	return 0;
}

/* --- the steps --- */

static int
asker_open(struct backup *k, struct err *e)
{
	line_asker_free(k->asker);
	if ((k->asker = line_asker_new(&k->t)) == NULL)
		return err_set(e, ERR_MEMORY, "no memory for a backup");
	k->line = (struct sink_line){ .uploads = k->o->uploads != 0 ? k->o->uploads : BACKUP_UPLOADS, .ask = line_asked,
	    .put = line_put, .arg = k };
	k->b->line = &k->line;
	return 0;
}

/* Read, send, number. */
static int
backup_read(struct backup *k, struct err *e)
{
	struct build *b = k->b;

	memset(&b->r->result, 0, sizeof(b->r->result));
	if (build_read(b, e) != 0 || build_reload(b, e) != 0)
		return -1;
	seen_free(b->seen);
	b->seen = NULL;
	return 0;
}

/* Until the vault has committed it.  What it lacks in the end is read again. */
static int
backup_rounds(struct backup *k, struct err *e)
{
	struct build *b = k->b;
	bool limited = false;
	int rc;

	for (unsigned round = 0; round < ROUNDS; round++) {
		if (b->im->envelope.seq == 0) {
			if (backup_held(k, e) != 0 || (!limited && backup_limit(k, e) != 0) || backup_read(k, e) != 0)
				return -1;
			limited = true;
		}
		if (build_numbered(b, e) != 0 || (rc = backup_close(k, e)) == -1)
			return -1;
		if (rc == 0)
			return 0;
		say_warn("the vault lacks chunks that it seemed to have: what they are of is read again");
		k->asks_all = true;
		if (backup_renew(k, e) != 0)
			return -1;
	}
	return err_set(e, ERR_MISSING, "the vault lacks chunks again and again; snapshot %llu was not committed",
	    (unsigned long long)b->im->envelope.seq);
}

/* An earlier run that was cut off between its envelope and the vault's answer. */
static int
backup_earlier(struct backup *k, struct err *e)
{
	struct build *b = k->b;
	int rc;

	if (b->im->envelope.seq == 0)
		return 0;
	if (build_numbered(b, e) != 0 || (rc = backup_close(k, e)) == -1)
		return -1;
	if (rc == 1)
		return backup_renew(k, e);
	k->r->finished = b->im->envelope.seq;
	say_info("snapshot %llu of an earlier run is committed now", (unsigned long long)k->r->finished);
	dir_list_free(b->paths, b->npaths);
	b->paths = NULL;
	b->npaths = 0;
	return backup_journal_drop(k, e) != 0 ? -1 : backup_open(k, e);
}

/* The line, as fast as the policy allows; both sides hear what there is to hear first. */
static int
line_begin(struct backup *k, struct err *e)
{
	struct line_options o = { .state = k->b->s };

	if ((k->watch = policy_watch_new(k->b->s->fd)) == NULL ||
	    (k->throttle = throttle_new(policy_watch_rate, k->watch)) == NULL)
		return err_set(e, ERR_MEMORY, "no memory for the line");
	o.throttle = k->throttle;
	return (k->l = line_open(&o, e)) == NULL ? -1 : 0;
}

/*
 * Pledges, answers and receipts first, and what the vault misses.  Where it is out of reach
 * the backup itself says so, and waits; nothing here ends a backup.
 */
static int
line_hear(struct backup *k, struct err *e)
{
	struct line_told told = { .pledges = 0 };
	struct refill_result refilled;
	struct err mine;

	err_clear(&mine);
	k->heard = standing_hear(k->l, k->b->s, &mine) == 0;
	if (k->heard && line_contact(k->l, k->b->s, k->b->k, &told, &mine) == 0 &&
	    line_mend(k->l, k->b->s, k->b->k, k->b->job, &refilled, &mine) >= 0)
		return 0;
	if (mine.code == ERR_INTERRUPTED || mine.code == ERR_MEMORY) {
		if (e != NULL)
			*e = mine;
		return -1;
	}
	if (mine.code != ERR_LINE && mine.code != ERR_PROXY)
		say_warn("%s", mine.msg);
	return 0;
}

/* By subscription and connection: a contact just now is one, whatever was noted. */
static int
backup_may(const struct backup *k, struct err *e)
{
	struct standing st;

	if (standing_load(k->b->s, k->b->k, &st, e) != 0)
		return -1;
	if (k->heard)
		st.connectivity = CONNECTED;
	return standing_allows(&st, DEED_BACKUP_VAULT, e);
}

static int
backup_steps(struct backup *k, struct err *e)
{
	if (backup_source_keep(k, e) != 0 || line_begin(k, e) != 0 || line_hear(k, e) != 0 || backup_may(k, e) != 0 || backup_rule(k, e) != 0 || backup_open(k, e) != 0)
		return -1;
	k->session = true;
	if (backup_head_check(k, e) != 0 || backup_rule_pledged(k, e) != 0 || asker_open(k, e) != 0 || backup_earlier(k, e) != 0 ||
	    backup_rounds(k, e) != 0)
		return -1;
	return backup_journal_drop(k, e);
}

/* What the vault was told by the machine and the other way round. */
static void
report_fill(struct backup *k)
{
	struct backup_report *r = k->r;

	r->result = k->br.result;
	r->sent_bytes = atomic_load(&k->sent_bytes);
	r->sent_packs = atomic_load(&k->sent_packs);
	if (k->l != NULL)
		net_client_bytes(line_client(k->l), &r->line_sent, &r->line_received);
}

/* What a person can do after a failure. */
static void
say_how_to_go_on(const struct backup *k, struct err *e)
{
	struct buf b;

	/* Before the paths were found and kept there is nothing to go on with. */
	if (e->next[0] != 0 || e->code == ERR_USAGE || !k->kept)
		return;
	buf_init(&b);
	buf_print(&b, "%s%ssamara-seed backup", e->code == ERR_INTERRUPTED ? "go on with: " : err_cure(e->code),
	    e->code == ERR_INTERRUPTED ? "" : "; then: ");
	if (k->o->from.state_given != NULL)
		buf_print(&b, " --state %s", k->o->from.state_given);
	if (k->o->from.set != NULL)
		buf_print(&b, " --set %s", k->o->from.set);
	if (k->o->max_upload == BACKUP_NO_LIMIT)
		buf_print(&b, " --max-upload none");
	buf_add(&b, "", 1);
	if (buf_check(&b, NULL) == 0)
		err_next(e, "%s", (const char *)b.p);
	buf_release(&b);
}

static void
backup_free(struct backup *k)
{
	/* A session that did not end with its commit keeps what was sent until the next run. */
	line_asker_free(k->asker);
	line_close(k->l);
	throttle_free(k->throttle);
	policy_watch_free(k->watch);
	id_sorter_free(k->absent);
	free(k->base_bytes);
	free(k->source_bytes);
	dir_list_free(k->paths, k->npaths);
	dir_list_free(k->excludes, k->nexcludes);
	if (k->b != NULL)
		build_free(k->b);
	free(k);
}

static struct backup *
backup_new(const struct backup_options *o, struct backup_report *r, struct err *e)
{
	struct backup *k = calloc(1, sizeof(*k));

	memset(r, 0, sizeof(*r));
	if (k == NULL) {
		err_errno(e, "backup");
		return NULL;
	}
	k->o = o;
	k->r = r;
	k->from = o->from;
	if ((k->b = build_new(&k->from, &k->br, e)) == NULL) {
		free(k);
		return NULL;
	}
	k->b->over_line = true;
	if (o->from.workers == 0 && k->b->workers < WORKERS_LEAST)
		k->b->workers = WORKERS_LEAST;
	return k;
}

/* State, keys without asking anybody, and the set alone for us. */
static int
backup_prepare(struct backup *k, struct err *e)
{
	struct build *b = k->b;

	if ((b->s = state_open(k->from.state_path, e)) == NULL || (b->k = state_keys(b->s, e)) == NULL)
		return -1;
	return (b->set_fd = set_lock(b->s, b->set, e)) == -1 ? -1 : backup_source(k, e);
}

/* How fast the line was, for the next time; a hint, so what goes wrong is passed over. */
static void
rate_note(struct backup *k)
{
	uint64_t bytes = atomic_load(&k->sent_bytes);
	int64_t ns = atomic_load(&k->busy_ns);
	struct err e;

	err_clear(&e);
	if (k->session)
		(void)line_note_contact(k->b->s, k->b->k, bytes >= RATE_BYTES ? bytes : 0, bytes >= RATE_BYTES ? ns : 0, &e);
}

static int
backup_job(struct backup *k, struct err *e)
{
	struct build *b = k->b;
	struct awake *awake;
	char what[512];
	int rc, status;

	(void)snprintf(what, sizeof(what), "set %s%s%.400s", b->set, k->o->note != NULL ? ": " : "", k->o->note != NULL ? k->o->note : "");
	if ((b->job = job_start(b->s, "backup", what, e)) == NULL)
		return -1;
	k->r->job = job_number(b->job);
	awake = awake_begin(what);
	rc = backup_steps(k, e);
	awake_end(awake);
	rate_note(k);
	report_fill(k);
	if (rc == 0 && k->r->result.unreadable > 0)
		rc = 3;
	status = rc == -1 ? err_exit(e->code) : rc;
	job_end(b->job, status, rc == 0 ? "completed" : rc == 3 ? "completed with warnings" : e->msg);
	b->job = NULL;
	return rc;
}

/* What would be read, by what is known here: nobody is asked, nothing is written. */
static int
backup_dry(struct backup *k, struct err *e)
{
	struct build *b = k->b;

	if (set_latest(b->s, b->set, &b->base_seq, e) != 0 || build_prepare_dry(b, e) != 0 || build_dry(b, e) != 0)
		return -1;
	k->r->result = k->br.result;
	return 0;
}

int
backup_run(const struct backup_options *o, struct backup_report *r, struct err *e)
{
	struct backup *k = backup_new(o, r, e);
	int rc;

	if (k == NULL)
		return -1;
	if ((rc = backup_prepare(k, e)) == 0)
		rc = o->from.dry_run ? backup_dry(k, e) : backup_job(k, e);
	if (rc == -1)
		say_how_to_go_on(k, e);
	backup_free(k);
	return rc;
}
