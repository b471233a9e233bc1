#include "common/flow/topup.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/progress.h"
#include "common/crypto/domain_keys.h"
#include "common/flow/state_refs.h"
#include "common/flow/topup_job.h"
#include "common/pack/chunk_seal.h"
#include "common/pack/listing_write.h"

bool
topup_path(char out[TOPUP_PATH_MAX], struct fmt_view dir, struct fmt_view name)
{
	size_t slash = dir.len > 1;	/* the top is "/" itself */

	if (dir.len + slash + name.len >= TOPUP_PATH_MAX)
		return false;
	memcpy(out, dir.p, dir.len);
	out[dir.len] = '/';
	memcpy(out + dir.len + slash, name.p, name.len);
	out[dir.len + slash + name.len] = 0;
	return true;
}

int
topup_open(const char *path)
{
	int fd = io->open(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
	struct stat st;

	if (fd != -1 && (io->fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
		(void)io->close(fd);
		return -1;
	}
	return fd;
}

int
topup_offer(struct topup *t, unsigned kind, const uint8_t *plain, size_t len, struct err *e)
{
	uint8_t id[DIGEST_LEN];
	size_t which;

	if (len == 0 || len > CHUNK_PLAIN_MAX)
		return 0;
	chunk_id(t->k, kind, plain, len, id);
	which = topup_ids_find(t->want, id);
	if (!topup_ids_wanted(t->want, which))
		return which != TOPUP_NONE;
	if (t->calls->put(t->calls->arg, kind, id, plain, len, e) != 0)
		return -1;
	topup_ids_had(t->want, which);
	return 1;
}

/* --- one snapshot --- */

struct collecting {
	struct topup *t;
	struct topup_bundles *bundles;
	struct listing_writer *listing;
	/* The big file in hand. */
	char path[TOPUP_PATH_MAX];
	int fd;
};

static void
file_close(struct collecting *c)
{
	if (c->fd != -1)
		(void)io->close(c->fd);
	c->fd = -1;
	c->path[0] = 0;
}

/* Have the file open; false where that is not possible. */
static bool
file_ready(struct collecting *c, const struct topup_file *f)
{
	char path[TOPUP_PATH_MAX];

	if (!topup_path(path, f->dir, f->en->name))
		return false;
	if (strcmp(path, c->path) != 0) {
		file_close(c);
		memcpy(c->path, path, strlen(path) + 1);
		c->fd = topup_open(path);
	}
	return c->fd != -1;
}

/* A wanted stretch of a file: just that range is read, and the id tells whether it is as it was. */
static int
extent_collect(void *arg, const struct topup_file *f, uint64_t at, const struct extent *x, struct err *e)
{
	struct collecting *c = arg;
	size_t which = topup_ids_find(c->t->want, x->id);
	ssize_t n;

	if (!topup_ids_wanted(c->t->want, which))
		return 0;
	if (f->en->size < c->t->cut_min || x->offset > 0 || x->len > CHUNK_PLAIN_MAX)
		return topup_bundles_add(c->bundles, which, f, x, e);
	if (!file_ready(c, f))
		return 0;
	n = io_read_full(c->fd, c->t->plain, (size_t)x->len, (off_t)at);
	progress_add(n > 0 ? (uint64_t)n : 0, 0);
	if (n != (ssize_t)x->len)
		return 0;
	if (topup_offer(c->t, KIND_DATA, c->t->plain, (size_t)n, e) == -1)
		return -1;
	/* It may be the first file of a bundle that was large when it was read. */
	return topup_ids_wanted(c->t->want, which) && at == 0 && x->len == f->en->size ?
	    topup_bundles_add(c->bundles, which, f, x, e) : 0;
}

static int
dir_collect(void *arg, struct fmt_view path, struct err *e)
{
	struct collecting *c = arg;

	return listing_writer_dir(c->listing, path, e);
}

static int
entry_collect(void *arg, const struct entry *en, struct err *e)
{
	struct collecting *c = arg;

	return listing_writer_entry(c->listing, en, e);
}

static int
spill_collect(void *arg, struct fmt_view plain, struct err *e)
{
	struct collecting *c = arg;

	return topup_offer(c->t, KIND_SPILL, plain.p, plain.len, e) == -1 ? -1 : 0;
}

/* The listing is written again; what of it is wanted is kept. */
static int
listing_put(void *arg, unsigned kind, const uint8_t *plain, size_t len, uint8_t id[DIGEST_LEN], struct err *e)
{
	struct collecting *c = arg;

	chunk_id(c->t->k, kind, plain, len, id);
	return topup_offer(c->t, kind, plain, len, e) == -1 ? -1 : 0;
}

/* The root chunk, which the state keeps as it is. */
static int
root_collect(struct topup *t, uint64_t seq, struct err *e)
{
	char name[64];
	uint8_t *plain;
	struct err mine;
	size_t len;
	int rc;

	err_clear(&mine);
	(void)snprintf(name, sizeof(name), "snaps/%08llu.root", (unsigned long long)seq);
	if (file_read(t->s->fd, name, CHUNK_PLAIN_MAX, &plain, &len, &mine) != 0)
		return 0;		/* closed by a samara that did not keep it */
	rc = topup_offer(t, KIND_ROOT, plain, len, e) == -1 ? -1 : 0;
	free(plain);
	return rc;
}

static int
snapshot_collect(struct topup *t, uint64_t seq, struct err *e)
{
	struct collecting c = { .t = t, .fd = -1 };
	struct topup_walk w = { extent_collect, dir_collect, entry_collect, spill_collect, &c };
	uint8_t top[DIGEST_LEN], levels;
	uint64_t entries;
	int rc = -1;

	if (root_collect(t, seq, e) != 0)
		return -1;
	c.listing = listing_writer_new(t->k->cut, listing_put, &c);
	if (c.listing == NULL)
		(void)err_set(e, ERR_MEMORY, "listing");
	else if ((c.bundles = topup_bundles_new(e)) != NULL)
		rc = topup_walk(t->s, seq, &w, e);
	if (rc == 0)
		rc = listing_writer_finish(c.listing, top, &levels, &entries, e);
	if (rc == 0)
		rc = topup_bundles_make(c.bundles, t, e);
	file_close(&c);
	listing_writer_free(c.listing);
	topup_bundles_free(c.bundles);
	return rc == 1 ? 0 : rc;	/* without an item log: what it needs stays wanted */
}

/* --- all of them --- */

struct needing {
	const struct topup_ids *want;
	uint64_t n;
};

static int
need_look(void *arg, const uint8_t id[DIGEST_LEN], struct err *e)
{
	struct needing *d = arg;

	(void)e;
	d->n += (uint64_t)topup_ids_wanted(d->want, topup_ids_find(d->want, id));
	return 0;
}

/* How many wanted ids snapshot ${seq} needs; none where its list is not kept here. */
static int
snapshot_needs(struct topup *t, uint64_t seq, uint64_t *n, struct err *e)
{
	struct needing d = { t->want, 0 };
	struct envelope env;
	uint8_t *bytes = NULL;
	size_t len;
	int rc = state_envelope(t->s, seq, &bytes, &len, &env, e);

	*n = 0;
	if (rc != 0)
		return rc == 1 ? 0 : -1;
	if ((rc = state_refs_each(t->s, &env, need_look, &d, e)) != 0 && e->code == ERR_NOT_FOUND) {
		err_clear(e);
		rc = 0;
	}
	free(bytes);
	*n = d.n;
	return rc;
}

/* --- what is lost --- */

struct losing {
	struct topup *t;
	uint64_t seq;
	uint8_t *told;			/* for each wanted id: a file was named for it */
	uint8_t last[PATH_LEN_MAX + NAME_LEN_MAX + 1];	/* the file that was named last */
	size_t last_len;
};

/* Does the small file look as it did when it was read? */
static bool
file_is_live(const struct topup *t, const struct topup_file *f)
{
	char path[TOPUP_PATH_MAX];
	struct stat st;

	return f->en->size < t->cut_min && topup_path(path, f->dir, f->en->name) &&
	    io->fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	    (uint64_t)st.st_size == f->en->size && st.st_mtim.tv_sec == f->en->mtime_s &&
	    (uint32_t)st.st_mtim.tv_nsec == f->en->mtime_ns;
}

static int
extent_lost(void *arg, const struct topup_file *f, uint64_t at, const struct extent *x, struct err *e)
{
	struct losing *l = arg;
	size_t which = topup_ids_find(l->t->want, x->id), n = f->dir.len + 1 + f->en->name.len;

	(void)at, (void)e;
	if (!topup_ids_wanted(l->t->want, which))
		return 0;
	l->told[which] = 1;
	if (n == l->last_len && memcmp(l->last, f->dir.p, f->dir.len) == 0 &&
	    memcmp(l->last + f->dir.len + 1, f->en->name.p, f->en->name.len) == 0)
		return 0;
	memcpy(l->last, f->dir.p, f->dir.len);
	l->last[f->dir.len] = '/';
	memcpy(l->last + f->dir.len + 1, f->en->name.p, f->en->name.len);
	l->last_len = n;
	l->t->calls->lost(l->t->calls->arg, l->seq, f->dir, f->en->name, file_is_live(l->t, f));
	return 0;
}

struct listing_losing {
	struct losing *l;
	int told;
};

/* An id of the snapshot's list for which no file was named is a chunk of its listing. */
static int
listing_lost(void *arg, const uint8_t id[DIGEST_LEN], struct err *e)
{
	struct listing_losing *k = arg;
	size_t which = topup_ids_find(k->l->t->want, id);

	(void)e;
	if (!topup_ids_wanted(k->l->t->want, which) || k->l->told[which])
		return 0;
	k->l->told[which] = 1;
	if (!k->told)
		k->l->t->calls->lost(k->l->t->calls->arg, k->l->seq, view_of("", 0), view_of("", 0), false);
	k->told = 1;
	return 0;
}

static int
snapshot_lost(struct losing *l, uint64_t seq, struct err *e)
{
	struct topup_walk w = { .extent = extent_lost, .arg = l };
	struct listing_losing k = { l, 0 };
	struct envelope env;
	uint8_t *bytes = NULL;
	size_t len;
	int rc;

	l->seq = seq;
	l->last_len = 0;
	if (topup_walk(l->t->s, seq, &w, e) == -1)
		return -1;
	if ((rc = state_envelope(l->t->s, seq, &bytes, &len, &env, e)) != 0)
		return rc == 1 ? 0 : -1;
	/* Nothing but itself says what stood in it. */
	if (topup_ids_wanted(l->t->want, topup_ids_find(l->t->want, env.root_id)))
		say_warn("snapshot %llu: its root chunk is lost and not kept here, so nothing of this snapshot can be restored, unless a disk "
		    "of its image is still there (samara-import ingest).  Other snapshots do not need it; samara-import delete takes "
		    "it off the list", (unsigned long long)seq);
	rc = state_refs_each(l->t->s, &env, listing_lost, &k, e);
	free(bytes);
	return rc;
}

/* Name what was not had, snapshot by snapshot. */
static int
all_lost(struct topup *t, uint64_t highest, struct err *e)
{
	struct losing *l = calloc(1, sizeof(*l));
	size_t n = topup_ids_count(t->want);
	uint64_t needs;
	int rc = 0;

	if (l == NULL || (l->told = calloc(n + 1, 1)) == NULL) {
		free(l);
		return err_errno(e, "what is lost");
	}
	l->t = t;
	for (uint64_t seq = highest; seq > 0 && rc == 0; seq--)
		if ((rc = snapshot_needs(t, seq, &needs, e)) == 0 && needs > 0)
			rc = snapshot_lost(l, seq, e);
	for (size_t i = 0; i < n && rc == 0; i++)
		if (topup_ids_wanted(t->want, i) && !l->told[i]) {
			t->calls->lost(t->calls->arg, 0, view_of("", 0), view_of("", 0), false);
			break;
		}
	free(l->told);
	free(l);
	return rc;
}

int
topup_collect(struct state *s, const struct domain_keys *k, struct topup_ids *want, const struct topup_calls *calls,
    struct err *e)
{
	struct topup t = { s, k, want, calls, s->domain.chunk_avg / 4, malloc(CHUNK_PLAIN_MAX) };
	uint64_t highest, needs;
	int rc = t.plain == NULL ? err_errno(e, "chunks") : state_highest(s, &highest, e);

	for (uint64_t seq = rc == 0 ? highest : 0; seq > 0 && rc == 0 && topup_ids_left(want) > 0; seq--)
		if ((rc = snapshot_needs(&t, seq, &needs, e)) == 0 && needs > 0)
			rc = snapshot_collect(&t, seq, e);
	if (rc == 0 && topup_ids_left(want) > 0)
		rc = all_lost(&t, highest, e);
	free(t.plain);
	return rc;
}
