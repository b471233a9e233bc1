/* A complete listing becomes a snapshot: root chunk, number, reference list, envelope. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"
#include "common/flow/build_order.h"
#include "common/flow/build_run.h"
#include "common/flow/refs_out.h"
#include "common/pack/refs.h"

/* The digest of the sorted list, with ${extra} among it where not NULL. */
static int
refs_digest_of(struct order *o, const uint8_t domain[DIGEST_LEN], const uint8_t *extra, uint8_t digest[DIGEST_LEN],
    uint64_t *count, int (*each)(void *arg, const uint8_t *id, struct err *e), void *arg, struct err *e)
{
	struct refs_digest *d = refs_digest_new(domain);
	uint8_t id[DIGEST_LEN];
	int got = -1, c, rc = 0;

	if (d == NULL)
		return err_set(e, ERR_MEMORY, "reference list");
	if (id_sorter_rewind(o->refs, e) != 0)
		rc = -1;
	while (rc == 0 && (got = id_sorter_next(o->refs, id, e)) == 1) {
		c = extra != NULL ? memcmp(extra, id, DIGEST_LEN) : 1;
		if (c <= 0) {
			if (c < 0 && (refs_digest_add(d, extra) != 0 || (each != NULL && each(arg, extra, e) != 0)))
				rc = -1;
			extra = NULL;
		}
		if (rc == 0 && (refs_digest_add(d, id) != 0 || (each != NULL && each(arg, id, e) != 0)))
			rc = -1;
	}
	if (got == -1)
		rc = -1;
	if (rc == 0 && extra != NULL && (refs_digest_add(d, extra) != 0 || (each != NULL && each(arg, extra, e) != 0)))
		rc = -1;
	if (rc == 0)
		refs_digest_final(d, digest, count);
	refs_digest_free(d);
	return rc;
}

/* --- the reference list as files --- */

/* All parts of the list into snaps/; the digest and count go into ${env}. */
static int
refs_write(struct order *o, int dirfd, struct envelope *env, const uint8_t *root, struct err *e)
{
	uint8_t again[DIGEST_LEN];
	struct refs_out r;
	uint64_t count;
	int rc;

	if (refs_digest_of(o, env->domain_id, root, env->refs_digest, &env->refs_count, NULL, NULL, e) != 0)
		return -1;
	refs_out_init(&r, dirfd, env);
	rc = refs_digest_of(o, env->domain_id, root, again, &count, refs_out_id, &r, e);
	if (rc == 0 && memcmp(again, env->refs_digest, DIGEST_LEN) != 0)
		rc = err_set(e, ERR_INTERNAL, "the reference list changed while it was written");
	if (rc == 0)
		rc = refs_out_end(&r, e);
	refs_out_release(&r);
	return rc;
}

/* --- the root chunk --- */

static int
filesystems_rows(struct walker *w, struct buf *out, struct err *e)
{
	struct filesystem fs;
	struct wr wr;
	uint8_t *p;
	size_t n;

	for (size_t i = 0; walker_filesystem(w, i, &fs) == 0; i++) {
		n = (size_t)1 + fs.type.len + 1 + fs.uuid.len + 2 + fs.path.len + 8;
		if ((p = buf_room(out, n)) == NULL)
			return buf_check(out, e);
		wr = (struct wr){ .p = p, .left = n };
		filesystem_put(&wr, &fs);
		buf_grew(out, n);
	}
	return 0;
}

static void
root_from_envelope(struct snapshot_root *root, const struct envelope *env)
{
	memcpy(root->snapshot_id, env->snapshot_id, ID_LEN);
	memcpy(root->machine_id, env->machine_id, ID_LEN);
	memcpy(root->domain_id, env->domain_id, DIGEST_LEN);
	root->seq = env->seq;
	memcpy(root->previous, env->previous, ID_LEN);
	memcpy(root->set_name, env->set_name, sizeof(root->set_name));
	memcpy(root->base, env->base, ID_LEN);
	root->kind = env->kind;
	root->begin_ns = env->begin_ns;
	root->end_ns = env->end_ns;
	memcpy(root->image_id, env->image_id, ID_LEN);
}

static int
root_put(struct build *b, struct order *o, struct envelope *env, const uint8_t *top, uint8_t levels, uint64_t entries,
    struct walker *walker, struct err *e)
{
	const struct build_result *res = &b->r->result;
	struct snapshot_root root = { .levels = levels, .entries = entries, .files = res->files, .bytes = res->bytes,
	    .unreadable = res->unreadable, .program = "samara " SAMARA_VERSION, .paths = b->im->begin.paths };
	uint32_t len;
	uint64_t seq;
	struct buf fs, out;
	char name[64];
	int rc = -1;

	buf_init(&fs);
	buf_init(&out);
	root_from_envelope(&root, env);
	memcpy(root.signer_pub, b->s->machine_pub, SIGN_PUB_LEN);
	memcpy(root.top_id, top, DIGEST_LEN);
	if (gethostname(root.host, sizeof(root.host)) != 0)
		root.host[0] = 0;
	root.host[sizeof(root.host) - 1] = 0;
	if (filesystems_rows(walker, &fs, e) != 0)
		goto out;
	root.filesystems = view_of(fs.p, fs.len);
	if (refs_digest_of(o, env->domain_id, NULL, root.refs_digest, &root.refs_count, NULL, NULL, e) != 0 ||
	    statement_make(&snapshot_root_schema, &root, NULL, &out, e) != 0)
		goto out;
	/* Kept as it is: nothing else here could make it again. */
	(void)snprintf(name, sizeof(name), "snaps/%08llu.root", (unsigned long long)env->seq);
	if (file_replace(b->s->fd, name, out.p, out.len, 0600, e) != 0)
		goto out;
	len = (uint32_t)out.len;
	if (store_chunks(&o->w, KIND_ROOT, out.p, &len, 1, env->root_id, &seq, e) == 0)
		rc = pack_sink_flush(o->g->sink, e);
out:
	buf_release(&fs);
	buf_release(&out);
	return rc;
}

/* What the envelope says of the chain: the state's lock is held. */
static int
chain_fill(struct build *b, struct envelope *env, struct err *e)
{
	struct envelope before;
	uint8_t *bytes = NULL;
	uint64_t highest;
	size_t len;

	if (state_highest(b->s, &highest, e) != 0)
		return -1;
	if (b->s->trust.last_seq > highest)
		highest = b->s->trust.last_seq;
	env->seq = highest + 1;
	if (highest == 0)
		return 0;
	if (highest == b->s->trust.last_seq) {
		memcpy(env->previous, b->s->trust.head, ID_LEN);
		return 0;
	}
	/* Closed, and the trust state did not get to know: a power cut between. */
	if (state_envelope(b->s, highest, &bytes, &len, &before, e) != 0)
		return err_during(e, "snapshot %llu", (unsigned long long)highest);
	memcpy(env->previous, before.snapshot_id, ID_LEN);
	free(bytes);
	return 0;
}

/* What is in the snapshot, for who looks at the image later. */
static int
counts_put(struct build *b, struct err *e)
{
	const struct build_result *r = &b->r->result;
	const struct journal_counts c = { .entries = r->entries, .files = r->files, .bytes = r->bytes,
	    .unreadable = r->unreadable, .warnings = r->warnings };
	uint8_t bytes[JOURNAL_COUNTS_LEN];

	journal_counts_encode(&c, bytes);
	return journal_put(b->j, JOURNAL_COUNTS, bytes, sizeof(bytes), e);
}

/* Sign the envelope and make it durable: from here on the number is taken. */
static int
envelope_put(struct build *b, int dirfd, struct envelope *env, struct err *e)
{
	struct buf out;
	char name[64];
	int rc;

	buf_init(&out);
	snprintf(name, sizeof(name), "%08llu.env", (unsigned long long)env->seq);
	rc = statement_make(&envelope_schema, env, b->s->sign_secret, &out, e);
	if (rc == 0 && (rc = file_put_new(dirfd, name, out.p, out.len, 0600, e)) == 1)
		rc = err_set(e, ERR_INTERNAL, "snapshot number %llu is taken", (unsigned long long)env->seq);
	if (rc == 0)
		rc = counts_put(b, e);
	if (rc == 0)
		rc = journal_put(b->j, JOURNAL_ENVELOPE, out.p, out.len, e);
	if (rc == 0)
		rc = journal_sync(b->j, e);
	buf_release(&out);
	return rc;
}

int
build_numbered(struct build *b, struct err *e)
{
	struct trust *t = &b->s->trust;
	const struct envelope *env = &b->im->envelope;
	int lock, rc = 0;

	if (t->last_seq >= env->seq)
		return 0;
	if ((lock = state_lock(b->s, e)) == -1)
		return -1;
	/* As it is now: a build of another set may have closed a later snapshot meanwhile. */
	if ((rc = state_trust_load(b->s, b->k, e)) == 0 && t->last_seq < env->seq) {
		t->last_seq = env->seq;
		memcpy(t->head, env->snapshot_id, ID_LEN);
		statement_digest(&envelope_schema, b->im->envelope_bytes, b->im->envelope_len, t->head_digest);
		rc = state_trust_save(b->s, b->k, e);
	}
	io->close(lock);
	return rc;
}

/* --- the state's lock, which no question to a person may hold up --- */

static int
number_begin(struct build *b, struct err *e)
{
	int lock = state_lock(b->s, e);

	pthread_mutex_lock(&b->disks.lock);
	b->number_lock = lock;
	b->numbering = lock != -1;
	pthread_mutex_unlock(&b->disks.lock);
	return lock == -1 ? -1 : 0;
}

void
build_number_pause(struct build *b)
{
	pthread_mutex_lock(&b->disks.lock);
	if (b->numbering && b->number_lock != -1) {
		(void)io->close(b->number_lock);
		b->number_lock = -1;
	}
	pthread_mutex_unlock(&b->disks.lock);
}

static bool
number_held(struct build *b)
{
	bool held;

	pthread_mutex_lock(&b->disks.lock);
	held = b->number_lock != -1;
	pthread_mutex_unlock(&b->disks.lock);
	return held;
}

static void
number_end(struct build *b)
{
	build_number_pause(b);
	pthread_mutex_lock(&b->disks.lock);
	b->numbering = false;
	pthread_mutex_unlock(&b->disks.lock);
}

/*
 * A number for the envelope and the root that names it, on a disk; the lock is
 * held.  Where it was let go meanwhile and another build took the number, the
 * root is made again: the first one stays on its disk, and nothing names it.
 */
static int
number_root(struct build *b, struct order *o, struct envelope *env, const uint8_t *top, uint8_t levels, uint64_t entries,
    struct walker *walker, struct err *e)
{
	struct envelope now;

	if (number_begin(b, e) != 0)
		return -1;
	if (chain_fill(b, env, e) != 0)
		return -1;
	for (;;) {
		if (root_put(b, o, env, top, levels, entries, walker, e) != 0)
			return -1;
		if (number_held(b))
			return 0;
		if (number_begin(b, e) != 0)
			return -1;
		now = *env;
		if (chain_fill(b, &now, e) != 0)
			return -1;
		if (now.seq == env->seq && memcmp(now.previous, env->previous, ID_LEN) == 0)
			return 0;
		*env = now;
	}
}

int
build_number(struct build *b, struct order *o, const uint8_t top[DIGEST_LEN], uint8_t levels, uint64_t entries,
    struct walker *walker, struct err *e)
{
	const struct journal_begin *g = &b->im->begin;
	struct envelope env = { .kind = SNAP_FILES, .begin_ns = g->begin_ns, .end_ns = io_now_ns() };
	int dirfd, rc = -1;

	memcpy(env.snapshot_id, g->snapshot_id, ID_LEN);
	memcpy(env.machine_id, g->machine_id, ID_LEN);
	memcpy(env.domain_id, g->domain_id, DIGEST_LEN);
	memcpy(env.set_name, g->set_name, sizeof(env.set_name));
	memcpy(env.base, g->base, ID_LEN);
	memcpy(env.image_id, g->image_id, ID_LEN);
	b->number_lock = -1;
	if ((dirfd = dir_open(b->s->fd, "snaps", e)) != -1 &&
	    number_root(b, o, &env, top, levels, entries, walker, e) == 0 &&
	    refs_write(o, dirfd, &env, env.root_id, e) == 0)
		rc = envelope_put(b, dirfd, &env, e);
	if (dirfd != -1)
		io->close(dirfd);
	number_end(b);
	memcpy(b->r->result.root_id, env.root_id, DIGEST_LEN);
	return rc;
}
