#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/progress.h"
#include "common/base/queue.h"
#include "common/base/secret.h"
#include "common/base/stop.h"
#include "common/flow/verify_job.h"

/* All threads of one pass over packs. */
struct pass {
	struct verify_job *j;
	struct verify_feed *f;
	pthread_mutex_t medium;
	int ended;		/* under medium: nothing more to read */
};

/* One thread's. */
struct worker {
	struct pass *pass;
	const struct verify_pack *pack;
	uint8_t *buf;		/* PACK_LEN_MAX */
	struct pack_checker checker;
	int failed;
};

const char *
proof_text(enum proof p)
{
	static const char *const text[] = {
		"structure and checksums only: accidents would show, tampering would not",
		"every byte against signed digests, without a key: nothing was changed since it was signed",
		"every chunk opened with the key, every id and every listing checked again",
	};

	return text[p];
}

int
verify_job_init(struct verify_job *j, const struct verify_options *o, struct verify_result *r, struct err *e)
{
	memset(j, 0, sizeof(*j));
	memset(r, 0, sizeof(*r));
	j->opt = o;
	j->r = r;
	pthread_mutex_init(&j->lock, NULL);
	err_clear(&j->failed);
	j->found = findings_new(o->fn, o->arg);
	j->good = chunk_map_new(o->memory / 2);
	j->bad = chunk_map_new(o->memory / 8);
	r->proof = o->keys != NULL && !o->quick ? PROOF_OPENED : o->quick ? PROOF_QUICK : PROOF_DIGESTS;
	if (j->found != NULL && j->good != NULL && j->bad != NULL)
		return 0;
	verify_job_release(j);
	return err_set(e, ERR_MEMORY, "no memory to check anything");
}

int
verify_job_counts(struct verify_job *j, struct err *e)
{
	j->r->notes = findings_count(j->found, SEV_NOTE);
	j->r->repairable = findings_count(j->found, SEV_REPAIRABLE);
	j->r->lost = findings_count(j->found, SEV_LOST);
	if (j->opt->keys == NULL)
		return 0;
	if (!j->keys_fit && j->opt->keys_must)
		return err_set(e, ERR_WRONG_DISK, "nothing there is of machine %s, whose key was given", j->opt->keys->machine_name);
	if (j->r->proof == PROOF_OPENED && (!j->keys_fit || j->keys_lack))
		j->r->proof = PROOF_DIGESTS;
	return 0;
}

void
verify_job_release(struct verify_job *j)
{
	findings_free(j->found);
	chunk_map_free(j->good);
	chunk_map_free(j->bad);
	chunk_map_free(j->mended);
	free(j->leaning);
	pthread_mutex_destroy(&j->lock);
}

/* Keep the first error of the check itself. */
static void
job_fail(struct verify_job *j, const struct err *why)
{
	pthread_mutex_lock(&j->lock);
	if (j->failed.code == ERR_NONE)
		j->failed = *why;
	pthread_mutex_unlock(&j->lock);
}

/* Keep a bad copy until it is known whether there is a good one: 0, or -1 where there is no room.  The lock is held. */
static int
bad_keep(struct verify_job *j, const uint8_t *id, const char *where, const char *why)
{
	struct verify_bad *b;

	if (j->npending == j->pending_cap) {
		size_t cap = j->pending_cap * 2 + 64;
		struct verify_bad *more = cap > VERIFY_BAD_MAX ? NULL : realloc(j->pending, cap * sizeof(*more));

		if (more == NULL)
			return -1;
		j->pending = more;
		j->pending_cap = cap;
	}
	b = &j->pending[j->npending];
	memcpy(b->id, id, DIGEST_LEN);
	b->where = strdup(where);
	b->why = strdup(why);
	if (b->where != NULL && b->why != NULL) {
		j->npending++;
		return 0;
	}
	free(b->where);
	free(b->why);
	return -1;
}

const char *
verify_mended_text(const struct verify_job *j)
{
	return j->repairs ? "repaired from parity" : "parity can repair it: see --repair-to";
}

static void
bad_tell(struct verify_job *j)
{
	size_t n;

	for (size_t i = 0; i < j->npending; i++) {
		struct verify_bad *b = &j->pending[i];
		int whole = chunk_map_find(j->good, b->id, &n) != NULL;
		int mended = j->mended != NULL && chunk_map_find(j->mended, b->id, &n) != NULL;

		finding_tell(j->found, whole ? SEV_REPAIRABLE : SEV_LOST, ERR_DAMAGE, b->where,
		    mended ? verify_mended_text(j) : whole ? "another copy of it is whole" : "", "%s", b->why);
		free(b->where);
		free(b->why);
	}
	free(j->pending);
	j->pending = NULL;
	j->npending = j->pending_cap = 0;
}

static void
frame_told(void *arg, const struct pack_row *row, uint32_t off, uint32_t plain_len, const char *why)
{
	struct worker *w = arg;
	struct verify_job *j = w->pass->j;
	struct err own;
	char text[512];
	int rc, kept = 0;

	err_clear(&own);
	if (why != NULL)
		(void)snprintf(text, sizeof(text), "chunk %02x%02x%02x%02x at offset %u: %s", row->id[0], row->id[1], row->id[2],
		    row->id[3], off, why);
	pthread_mutex_lock(&j->lock);
	rc = chunk_map_add(why == NULL ? j->good : j->bad, row->id, 0, plain_len, row->len, row->kind, &own);
	j->r->chunks++;
	j->r->bad_chunks += why != NULL;
	if (why != NULL)
		kept = bad_keep(j, row->id, w->pack->where, text) == 0;
	pthread_mutex_unlock(&j->lock);
	if (rc != 0) {
		job_fail(j, &own);
		w->failed = 1;
	}
	if (why != NULL && !kept)
		finding_tell(j->found, SEV_LOST, ERR_DAMAGE, w->pack->where, "", "%s", text);
}

/* The next pack's bytes: 1, 0 at the end, -1: it could not be read (told). */
static int
pack_fetch(struct worker *w, struct verify_pack *p, size_t *len)
{
	struct pass *pass = w->pass;
	struct err own;
	int rc;

	err_clear(&own);
	pthread_mutex_lock(&pass->medium);
	if (pass->ended || stop_asked()) {
		pthread_mutex_unlock(&pass->medium);
		return 0;
	}
	rc = pass->f->next(pass->f->arg, p, &own);
	if (rc != 1) {
		pass->ended = 1;
		pthread_mutex_unlock(&pass->medium);
		if (rc == -1)
			job_fail(pass->j, &own);
		return 0;
	}
	rc = pass->f->read(pass->f->arg, p, w->buf, len, &own);
	pthread_mutex_unlock(&pass->medium);
	if (rc == 0)
		return 1;
	if (rc == -1 && (pass->f->damaged == NULL || !pass->f->damaged(pass->f->arg, p, &own)))
		finding_err(pass->j->found, SEV_LOST, p->where, "all chunks of this pack", &own);
	return -1;
}

static void
pack_one(struct worker *w, const struct verify_pack *p, size_t len)
{
	struct verify_job *j = w->pass->j;
	struct pack_view v;
	uint8_t *keep = NULL;

	w->pack = p;
	if (w->pass->f->believe(w->pass->f->arg, p, w->buf, len, &v, &keep) == 0 &&
	    pack_check_frames(&w->checker, &v, w->buf, len) > 0 && w->pass->f->damaged != NULL)
		(void)w->pass->f->damaged(w->pass->f->arg, p, NULL);
	free(keep);
	pthread_mutex_lock(&j->lock);
	j->r->packs_read++;
	j->r->bytes += len;
	pthread_mutex_unlock(&j->lock);
	progress_add(len, 1);
}

static int
worker_init(struct worker *w, struct pass *pass)
{
	const struct verify_options *o = pass->j->opt;

	memset(w, 0, sizeof(*w));
	w->pass = pass;
	w->checker.depth = o->quick ? PACK_QUICK : PACK_FULL;
	w->checker.fn = frame_told;
	w->checker.arg = w;
	if ((w->buf = malloc(PACK_LEN_MAX)) == NULL)
		return -1;
	if (o->keys == NULL || o->quick)
		return 0;
	w->checker.opener = opener_new(o->keys->keys);
	w->checker.plain = malloc(CHUNK_PLAIN_MAX);
	w->checker.domain_id = o->keys->keys->domain_id;
	return w->checker.opener != NULL && w->checker.plain != NULL ? 0 : -1;
}

static void
worker_release(struct worker *w)
{
	if (w->checker.opener != NULL)
		opener_free(w->checker.opener);
	if (w->checker.plain != NULL)
		secret_wipe(w->checker.plain, CHUNK_PLAIN_MAX);
	free(w->checker.plain);
	free(w->buf);
}

static void
work(void *arg)
{
	struct pass *pass = arg;
	struct verify_pack p;
	struct worker w;
	struct err own;
	size_t len;
	int rc;

	if (worker_init(&w, pass) != 0) {
		err_clear(&own);
		(void)err_set(&own, ERR_MEMORY, "no memory to check packs");
		job_fail(pass->j, &own);
	} else {
		while (!w.failed && (rc = pack_fetch(&w, &p, &len)) != 0)
			if (rc == 1)
				pack_one(&w, &p, len);
	}
	worker_release(&w);
}

/* --- what parity makes again --- */

struct verify_mender {
	struct worker w;
};

static void
frame_mended(void *arg, const struct pack_row *row, uint32_t off, uint32_t plain_len, const char *why)
{
	struct worker *w = arg;
	struct verify_job *j = w->pass->j;
	struct err own;

	(void)off;
	err_clear(&own);
	if (why == NULL && (chunk_map_add(j->good, row->id, 0, plain_len, row->len, row->kind, &own) != 0 ||
	    chunk_map_add(j->mended, row->id, 0, plain_len, row->len, row->kind, &own) != 0))
		job_fail(j, &own);
}

uint32_t
verify_mend(struct verify_mender *m, const struct pack_view *v, const uint8_t *bytes, size_t len)
{
	return pack_check_frames(&m->w.checker, v, bytes, len);
}

/* After all packs were read. */
static int
pass_mend(struct pass *pass, struct err *e)
{
	struct verify_job *j = pass->j;
	struct verify_mender m;
	int rc;

	if (pass->f->mend == NULL)
		return 0;
	if (j->mended == NULL && (j->mended = chunk_map_new(j->opt->memory / 16)) == NULL)
		return err_set(e, ERR_MEMORY, "no memory to check packs");
	if (worker_init(&m.w, pass) != 0) {
		worker_release(&m.w);
		return err_set(e, ERR_MEMORY, "no memory to check packs");
	}
	m.w.checker.fn = frame_mended;
	rc = pass->f->mend(pass->f->arg, &m, e);
	worker_release(&m.w);
	chunk_map_sort(j->mended);
	return rc;
}

int
verify_packs(struct verify_job *j, struct verify_feed *f, struct err *e)
{
	struct pass pass = { .j = j, .f = f };
	unsigned n = j->opt->workers != 0 ? j->opt->workers : pool_processors();
	int rc;

	/* One more than there are processors, so that all of them work while one thread waits for the medium. */
	pthread_mutex_init(&pass.medium, NULL);
	rc = pool_run(n + 1, work, &pass, e);
	pthread_mutex_destroy(&pass.medium);
	if (rc == 0 && j->failed.code == ERR_NONE && !stop_asked())
		rc = pass_mend(&pass, e);
	chunk_map_sort(j->good);
	chunk_map_sort(j->bad);
	bad_tell(j);
	if (rc == 0 && j->failed.code != ERR_NONE) {
		if (e != NULL)
			*e = j->failed;
		rc = -1;
	}
	if (rc == 0)
		rc = stop_check(e);
	return rc;
}
