#include <stdlib.h>
#include <string.h>

#include "common/base/io.h"
#include "common/base/progress.h"
#include "common/base/queue.h"
#include "common/base/stop.h"
#include "common/flow/restore_job.h"
#include "common/flow/restore_later.h"
#include "common/pack/listing_read.h"

#define QUEUE_UNITS	48u	/* of 2 MiB: what is read ahead */
#define LINKS_MEMORY	((size_t)96 << 20)

/* What the root asked for is: its entry decides which bytes of paths fall away. */
static int
root_look(struct restorer *w, struct buf *only, struct err *e)
{
	struct restore_job *j = w->j;
	const struct snapshot_root *root = &j->snap.root;
	struct fmt_view path = view_of(j->opt->root, strlen(j->opt->root));
	uint8_t copy[ENTRY_LEN_MAX + 16];
	struct entry en;
	int rc;

	buf_add(only, "", 1);
	if (path.len <= 1)
		return buf_check(only, e);
	if ((rc = listing_find(root->top_id, root->levels, source_get, w->reader, path, &en, copy, e)) < 0)
		return -1;
	if (rc == 0)
		return err_set(e, ERR_NOT_FOUND, "%s is not in the snapshot", j->opt->root);
	j->prefix = path.len;
	if (en.type == ENTRY_DIR)
		return 0;
	/* A single file: its directory is the root, it alone is wanted. */
	while (path.p[--j->prefix] != '/')
		;
	buf_reset(only);
	buf_add(only, path.p, path.len);
	buf_add(only, "", 1);
	return buf_check(only, e);
}

/* Where disks follow, a part of the listing that is on none of these is no error: 0, else -1 with ${e} as it is. */
static int
unread_waits(struct restore_job *j, struct err *e)
{
	if (!j->opt->disks_follow || e->code != ERR_MISSING)
		return -1;
	err_clear(e);
	j->r->unread++;
	return 0;
}

/* Hand out everything that was asked for. */
static int
hand_out(struct restorer *w, const char *only, struct err *e)
{
	const struct restore_options *o = w->j->opt;
	int rc = 0;

	if (*only != '\0')
		return restore_one(w, only, e) == 0 ? 0 : unread_waits(w->j, e);
	for (size_t i = 0; rc == 0 && i < o->nonly; i++)
		if ((rc = restore_one(w, o->only[i], e)) != 0)
			rc = unread_waits(w->j, e);
	if (o->nonly == 0 && (rc = restore_walk(w, view_of(o->root, strlen(o->root)), e)) != 0)
		rc = unread_waits(w->j, e);
	return rc;
}

/* One name that waits for its file: link it, or write it by itself. */
static int
link_make(struct restorer *w, const struct note *n, struct err *e)
{
	struct restore_job *j = w->j;
	enum place_result res = PLACE_NO_LINK;
	struct fmt_view dir, name;
	struct place_dir *d;
	struct place_id id;
	struct err own;

	err_clear(&own);
	dir = view_of(n->path.p + (n->path.len > j->prefix ? j->prefix : 0), n->path.len > j->prefix ? n->path.len - j->prefix : 1);
	if (place_enter(j->place, dir, &own) != 0)
		goto fail;
	if (links_first(j->links, &n->entry, &dir, &name, &id)) {
		dir = dir.len > j->prefix ? view_of(dir.p + j->prefix, dir.len - j->prefix) : view_of("/", 1);
		if (place_hardlink(j->place, &n->entry, dir, name, &id, &res, &own) != 0)
			goto fail;
	}
	if (res == PLACE_NO_LINK) {
		j->r->unlinked++;
		d = place_dir_hold(j->place);
		restore_file(w, d, n->path, &n->entry);
		place_dir_release(d);
	} else {
		j->r->links++;
		j->r->left += res == PLACE_LEFT;
	}
	return stop_check(e);
fail:
	restore_failed(j, n->path, n->entry.name, &own);
	return stop_check(e);
}

static int
links_make(struct restorer *w, struct err *e)
{
	struct note n;
	uint64_t at = 0;
	int rc;

	while ((rc = notes_next(&w->j->link_notes, at, &n, e)) == 1) {
		at = n.after;
		if (restore_stopped(w->j))
			return 0;
		if (link_make(w, &n, e) != 0)
			return -1;
	}
	return rc;
}

/* What became of a directory or symlink. */
static void
placed(void *ctx, struct fmt_view path, const struct entry *en, enum place_result res, int missed, const struct err *error)
{
	struct restore_job *j = ctx;

	(void)missed;
	if (error != NULL) {
		struct buf whole;

		buf_init(&whole);
		buf_add(&whole, j->opt->root, j->prefix);
		buf_add(&whole, path.p, path.len);
		if (buf_check(&whole, NULL) == 0)
			restore_failed(j, view_of(whole.p, whole.len), view_of("", 0), error);
		buf_release(&whole);
		return;
	}
	j->r->left += res == PLACE_LEFT && en->type != ENTRY_DIR;
	if (en->type == ENTRY_DIR)
		j->r->dirs++;
	else
		j->r->symlinks += res != PLACE_LEFT;
}

/* All threads at work until everything is handed out. */
static int
files_restore(struct restore_job *j, struct restorer *w, const char *only, struct err *e)
{
	unsigned n = j->opt->workers != 0 ? j->opt->workers : pool_processors();
	struct pool *pool;
	int rc;

	if ((j->queue = queue_new(QUEUE_UNITS, e)) == NULL)
		return -1;
	if ((pool = pool_start(n, restore_work, j, e)) == NULL)
		return -1;
	rc = hand_out(w, only, e);
	if (rc != 0)
		__atomic_store_n(&j->stopped, 1, __ATOMIC_RELAXED);
	queue_close(j->queue);
	pool_wait(pool);
	return rc;
}

int
restore_waits(const struct restore_report *r)
{
	return r->waiting > 0 || r->unread > 0;
}

/* Not even the listing's beginning is here: the target is made ours, and all else waits. */
static int
restore_not_yet(struct restore_job *j, struct err *e)
{
	enum place_overwrite how;
	uint64_t tag;

	if (j->opt->dry_run || unread_waits(j, e) != 0)
		return -1;
	return target_open(j, &how, &tag, e);
}

static int
restore_go(struct restore_job *j, struct restorer *w, const char *only, struct err *e)
{
	struct place_options po = { .meta = { .by_name = j->opt->by_name } };
	int rc;

	if (target_open(j, &po.overwrite, &po.tag, e) != 0)
		return -1;
	po.empty = j->empty;
	if ((j->place = place_new(j->target, &po, e)) == NULL)
		return -1;
	notes_init(&j->link_notes, j->target);
	rc = files_restore(j, w, only, e);
	if (rc == 0 && !restore_stopped(j) && !restore_waits(j->r))
		rc = links_make(w, e);
	if (rc == 0 && !restore_stopped(j) && !restore_waits(j->r))
		rc = place_finish(j->place, &w->meta, placed, j, e);
	if (rc == 0 && restore_stopped(j)) {
		if (e != NULL)
			*e = j->failed;
		rc = -1;
	}
	if (rc == 0 && j->r->failed == 0 && !restore_waits(j->r))
		rc = target_done(j, e);
	notes_release(&j->link_notes);
	return rc;
}

int
restore_run(const struct restore_options *o, struct restore_report *r, struct err *e)
{
	struct restore_job j = { .opt = o, .r = r, .target = -1 };
	struct restorer w = { 0 };
	struct buf only;
	int rc = -1;

	memset(r, 0, sizeof(*r));
	err_clear(&j.failed);
	buf_init(&only);
	pthread_mutex_init(&j.lock, NULL);
	/* Where disks follow, what is not there yet is not lost. */
	if (o->list != NULL && !o->disks_follow)
		j.later = later_new(o->source, o->keys, o->list, o->snap);
	if ((j.links = links_new(LINKS_MEMORY)) == NULL) {
		(void)err_set(e, ERR_MEMORY, "no memory to restore");
		goto free;
	}
	if (restorer_init(&w, &j, e) != 0)
		goto free;
	if (snapshot_open(&j.snap, o->source, w.reader, o->snap, o->keys, e) != 0) {
		rc = restore_not_yet(&j, e);
		goto free;
	}
	r->all_bytes = j.snap.root.bytes;
	if (root_look(&w, &only, e) != 0) {
		rc = restore_not_yet(&j, e);
		goto close;
	}
	progress_start("restore", o->nonly == 0 && j.prefix == 0 ? j.snap.root.bytes : 0);
	rc = o->dry_run ? hand_out(&w, (const char *)only.p, e) : restore_go(&j, &w, (const char *)only.p, e);
	progress_end();
close:
	snapshot_close(&j.snap);
free:
	later_free(j.later);
	if (w.j != NULL)
		restorer_release(&w);
	place_free(j.place);
	if (j.target != -1)
		(void)io->close(j.target);
	if (j.queue != NULL)
		queue_free(j.queue);
	links_free(j.links);
	buf_release(&only);
	pthread_mutex_destroy(&j.lock);
	return rc;
}
