#include "common/flow/build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/passphrase.h"
#include "common/base/queue.h"
#include "common/base/secret.h"
#include "common/base/stop.h"
#include "common/flow/topup.h"
#include "common/flow/topup_build.h"
#include "common/catalog/seen.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"
#include "common/flow/awake.h"
#include "common/flow/build_run.h"

#define DESCRIPTORS	4096u

/* Directories and packs in flight each hold a descriptor: take what the system allows us. */
static void
descriptors_raise(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < DESCRIPTORS && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max < DESCRIPTORS ? l.rlim_max : DESCRIPTORS;
		(void)setrlimit(RLIMIT_NOFILE, &l);
	}
}

struct build *
build_new(const struct build_options *o, struct build_report *r, struct err *e)
{
	struct build *b = calloc(1, sizeof(*b));

	memset(r, 0, sizeof(*r));
	if (b == NULL) {
		err_errno(e, "build");
		return NULL;
	}
	b->o = o;
	b->r = r;
	b->set_fd = b->runs_fd = -1;
	pthread_mutex_init(&b->disks.lock, NULL);
	descriptors_raise();
	b->workers = o->workers != 0 ? o->workers : pool_processors();
	snprintf(b->set, sizeof(b->set), "%s", o->missing != NULL ? TOPUP_SET : o->set != NULL ? o->set : "files");
	return b;
}

void
build_free(struct build *b)
{
	const int fds[] = { b->runs_fd, b->set_fd };

	build_news_release(b->news);
	build_disks_release(b);
	seen_free(b->seen);
	topup_ids_free(b->given);
	journal_close(b->j);
	image_state_free(b->im);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] != -1)
			io->close(fds[i]);
	pthread_mutex_destroy(&b->disks.lock);
	dir_list_free(b->paths, b->npaths);
	domain_keys_free(b->k);
	state_free(b->s);
	free(b);
}

void
build_news_release(struct build_news *n)
{
	if (n == NULL)
		return;
	for (size_t i = 0; i < BUILD_NEWS; i++)
		free(n->at[i].path);
	memset(n, 0, sizeof(*n));
}

/* Look at the envelope ${seq}: 1 it is this image's and in the journal now, 0 it is not, -1. */
static int
envelope_look(struct build *b, uint64_t seq, struct err *e)
{
	struct envelope env;
	uint8_t *bytes = NULL;
	size_t len;
	int rc = state_envelope(b->s, seq, &bytes, &len, &env, e);

	if (rc != 0)
		return rc == 1 ? 0 : -1;
	if (memcmp(env.image_id, b->im->begin.image_id, ID_LEN) == 0)
		rc = journal_put(b->j, JOURNAL_ENVELOPE, bytes, len, e) == 0 && journal_sync(b->j, e) == 0 ? 1 : -1;
	free(bytes);
	return rc;
}

/*
 * An envelope that stands in snaps/, and of which the journal was cut off; other
 * sets may have taken numbers since.
 */
static int
envelope_adopt(struct build *b, struct err *e)
{
	uint64_t seq;
	int got = 0;

	if (!b->o->resume || b->im->envelope.seq != 0)
		return 0;
	if (state_highest(b->s, &seq, e) != 0)
		return -1;
	for (; seq > 0 && got == 0; seq--)
		got = envelope_look(b, seq, e);
	if (got == 1)
		return build_reload(b, e);
	return got == -1 ? -1 : 0;
}

static void
report_fill(struct build *b)
{
	struct build_report *r = b->r;

	r->seq = b->im->envelope.seq;
	r->sealed = b->im->sealed;
	r->disks = image_disks_live(b->im);
	r->disk_bytes = b->im->pack_bytes;
	r->disk_packs = b->im->packs;
	r->result.stored_bytes = b->im->pack_bytes;
	r->result.stored_packs = b->im->packs;
	if (b->im->manifest_len > 0)
		statement_digest(&manifest_schema, b->im->manifest_bytes, b->im->manifest_len, r->manifest_digest);
}

/* The seal: asks for the passphrase now, when nothing is left to read. */
static int
image_finish(struct build *b, struct err *e)
{
	bool untested = b->o->no_key_test || (b->im->begin.flags & JB_NO_KEY_TEST) != 0, fits = image_manifest_fits(b->im);
	char *pass = NULL;
	size_t len = 0;

	if (!untested && !fits) {
		if (b->o->passphrase == NULL || b->o->passphrase(b->o->passphrase_arg, &pass, &len, e) != 0) {
			err_set(e, ERR_KEY_TEST, "image %s is complete on the disk but not sealed: its key test needs the passphrase",
			    b->im->begin.short_name);
			if (!topup_is(b) && b->r->given_up > 0)
				return err_next(e, "give it with: samara-seed build --resume");
			return err_next(e, "samara-seed key test %s --from %s", b->im->begin.short_name,
			    b->o->ndisks > 0 ? b->o->disks[0] : "DISK");
		}
	}
	return build_finish(b, pass, len, untested || fits, e);
}

static int
build_all(struct build *b, struct err *e)
{
	bool topup = topup_is(b);

	if (topup && (b->im->snapshot_disk == 0 || image_disks_live(b->im) < b->im->ndisks) && topup_read(b, e) != 0)
		return -1;
	if (!topup && envelope_adopt(b, e) != 0)
		return -1;
	if (!topup && b->im->envelope.seq == 0 && (build_read(b, e) != 0 || build_reload(b, e) != 0))
		return -1;
	if (!topup && image_disks_live(b->im) < b->im->ndisks && topup_replace(b, e) != 0)
		return -1;
	/* The key test needs its memory for stretching the passphrase. */
	seen_free(b->seen);
	b->seen = NULL;
	if ((!topup && build_numbered(b, e) != 0) || build_disks_finish(b, e) != 0 || (!topup && build_recall(b, e) != 0) ||
	    image_finish(b, e) != 0)
		return -1;
	build_disks_tell(b);
	return 0;
}

/* All of it; then no disk is being read back any more, and one that lies is the worse news. */
static int
build_steps(struct build *b, struct err *e)
{
	struct err bad;
	int rc = build_all(b, e);

	err_clear(&bad);
	if (build_checkers_join(b, &bad) != 0 && rc != 0 && e->code == ERR_DISK_NEEDED && bad.code != ERR_INTERRUPTED)
		*e = bad;
	return rc;
}

/* What a person can do after a failure that left an image behind. */
static void
say_how_to_go_on(struct build *b, struct err *e)
{
	struct buf to;

	if (b->im == NULL || b->j == NULL || e->code == ERR_KEY_TEST || e->code == ERR_UNFINISHED || e->next[0] != 0)
		return;
	buf_init(&to);
	for (size_t i = 0; i < b->o->ndisks; i++)
		buf_print(&to, " --to %s", b->o->disks[i]);
	if (b->o->state_given != NULL)
		buf_print(&to, " --state %s", b->o->state_given);
	if (b->o->set != NULL)
		buf_print(&to, " --set %s", b->o->set);
	buf_add(&to, "", 1);
	if (buf_check(&to, NULL) == 0)
		err_next(e, "%s%ssamara-seed build --resume%s", e->code == ERR_INTERRUPTED ? "go on with: " : err_cure(e->code),
		    e->code == ERR_INTERRUPTED ? "" : "; then: ", (const char *)to.p);
	buf_release(&to);
}

int
build_run(const struct build_options *o, struct build_report *r, struct err *e)
{
	struct build *b = build_new(o, r, e);
	struct awake *awake;
	char what[512];
	int rc = -1, status;

	if (b == NULL)
		return -1;
	if ((b->s = state_open(o->state_path, e)) == NULL || (b->k = state_keys(b->s, e)) == NULL)
		goto out;
	if (o->missing != NULL && topup_check(b, e) != 0)
		goto out;
	if (o->dry_run && o->missing != NULL) {
		rc = topup_dry(b, e);
		goto out;
	}
	if (o->dry_run) {
		rc = build_prepare_dry(b, e) != 0 ? -1 : build_dry(b, e);
		goto out;
	}
	if (build_prepare(b, e) != 0)
		goto out;
	snprintf(what, sizeof(what), "image %s, set %s", b->im->begin.short_name, b->set);
	if ((b->job = job_start(b->s, "build", what, e)) == NULL)
		goto out;
	r->job = job_number(b->job);
	awake = awake_begin(what);
	rc = build_steps(b, e);
	awake_end(awake);
	report_fill(b);
	if (rc == 0 && (r->result.unreadable > 0 || r->given_up > 0))
		rc = 3;
	status = rc == -1 ? err_exit(e->code) : rc;
	job_end(b->job, status, rc == 0 ? "completed" : rc == 3 ? "completed with warnings" : e->msg);
out:
	if (rc == -1)
		say_how_to_go_on(b, e);
	build_free(b);
	return rc;
}

/* What a dead disk held and no other has is made again, or said to be lost, by a build alone. */
static int
losses_check(struct build *b, struct err *e)
{
	struct topup_ids *want;
	int rc;

	if (topup_is(b) || image_manifest_fits(b->im) || image_disks_live(b->im) == b->im->ndisks)
		return 0;
	if ((want = topup_ids_new()) == NULL)
		return err_errno(e, "key test");
	if ((rc = build_lacks(b, want, e)) == 0 && topup_ids_count(want) > 0) {
		rc = err_set(e, ERR_UNFINISHED, "a disk of image %s was replaced, and chunks that only it had are missing", b->im->begin.short_name);
		(void)err_next(e, "samara-seed build --resume --to DISK makes again what it can, names the rest, and seals");
	}
	topup_ids_free(want);
	return rc;
}

/* Every disk that was named is one of the image. */
static int
disks_all_known(struct build *b, struct err *e)
{
	for (unsigned i = 0; i < b->disks.n; i++)
		if (b->disks.at[i]->number == 0)
			return err_set(e, ERR_WRONG_DISK, "%s does not carry image %s", b->disks.at[i]->target.path, b->im->begin.short_name);
	return 0;
}

int
build_seal(const char *state_path, const char *short_name, const char *const *disks, size_t ndisks, const char *pass, size_t len,
    struct build_report *r, struct err *e)
{
	struct build_options o = { .state_path = state_path, .disks = disks, .ndisks = ndisks, .resume = true, .parity = -1,
	    .reserve = UINT64_MAX, .plain_directory = true };
	struct build *b = build_new(&o, r, e);
	int rc = -1;

	if (b == NULL)
		return -1;
	if ((b->s = state_open(state_path, e)) == NULL || (b->k = state_keys(b->s, e)) == NULL ||
	    (b->im = image_state_load(b->s, short_name, NULL, NULL, e)) == NULL)
		goto out;
	snprintf(b->set, sizeof(b->set), "%s", b->im->begin.set_name);
	memcpy(r->short_name, b->im->begin.short_name, sizeof(r->short_name));
	if ((b->set_fd = set_lock(b->s, b->set, e)) == -1 || build_reload(b, e) != 0)
		goto out;
	if (b->im->cancelled || !image_is_written(b->im)) {
		err_set(e, ERR_UNFINISHED, "image %s is %s; there is nothing to seal yet", b->im->begin.short_name,
		    b->im->cancelled ? "cancelled" : "not complete on its disks");
		goto out;
	}
	if (build_disks_open(b, e) != 0 || disks_all_known(b, e) != 0 || (b->j = journal_append(b->im->fd, "journal", e)) == NULL ||
	    build_runs_open(b, e) != 0 || losses_check(b, e) != 0)
		goto out;
	if ((rc = build_finish(b, pass, len, false, e)) == 0)
		report_fill(b);
out:
	build_free(b);
	return rc;
}
