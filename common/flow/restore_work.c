#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/io.h"
#include "common/base/progress.h"
#include "common/base/queue.h"
#include "common/flow/entry_xattrs.h"
#include "common/flow/restore_job.h"
#include "common/flow/restore_later.h"
#include "common/pack/listing_read.h"
#include "common/walk/place_chain.h"

int
restorer_init(struct restorer *w, struct restore_job *j, struct err *e)
{
	memset(w, 0, sizeof(*w));
	w->j = j;
	buf_init(&w->xattrs);
	if ((w->gather.buf = aligned_alloc(PLACE_BLOCK, GATHER_LEN + CHUNK_PLAIN_MAX)) == NULL)
		return err_set(e, ERR_MEMORY, "no memory to restore");
	return (w->reader = source_reader_new(j->opt->source, e)) != NULL ? 0 : -1;
}

void
restorer_release(struct restorer *w)
{
	pthread_mutex_lock(&w->j->lock);
	meta_report_add(&w->j->r->meta, &w->meta);
	pthread_mutex_unlock(&w->j->lock);
	source_reader_free(w->reader);
	buf_release(&w->xattrs);
	free(w->gather.buf);
}

int
restore_stopped(struct restore_job *j)
{
	return __atomic_load_n(&j->stopped, __ATOMIC_RELAXED);
}

void
restore_fatal(struct restore_job *j, const struct err *why)
{
	pthread_mutex_lock(&j->lock);
	if (j->failed.code == ERR_NONE)
		j->failed = *why;
	pthread_mutex_unlock(&j->lock);
	__atomic_store_n(&j->stopped, 1, __ATOMIC_RELAXED);
}

void
restore_warn(struct restore_job *j, struct fmt_view dir, struct fmt_view name, const struct err *why)
{
	struct buf path;

	if (j->opt->tell == NULL)
		return;
	buf_init(&path);
	if (dir.len > 1)
		buf_add(&path, dir.p, dir.len);
	if (name.len > 0) {
		buf_u8(&path, '/');
		buf_add(&path, name.p, name.len);
	}
	if (!path.failed) {
		pthread_mutex_lock(&j->lock);
		j->opt->tell(j->opt->arg, view_of(path.p, path.len), why);
		pthread_mutex_unlock(&j->lock);
	}
	buf_release(&path);
}

void
restore_failed(struct restore_job *j, struct fmt_view dir, struct fmt_view name, const struct err *why)
{
	if (why->code == ERR_NO_SPACE || why->code == ERR_MEMORY || why->code == ERR_INTERRUPTED) {
		restore_fatal(j, why);
		return;
	}
	if (j->opt->disks_follow && why->code == ERR_MISSING) {
		pthread_mutex_lock(&j->lock);
		j->r->waiting++;
		pthread_mutex_unlock(&j->lock);
		return;
	}
	pthread_mutex_lock(&j->lock);
	j->r->failed++;
	j->r->damaged += err_exit(why->code) == err_exit(ERR_DAMAGE);
	pthread_mutex_unlock(&j->lock);
	restore_warn(j, dir, name, why);
}

int
restore_xattrs(struct restorer *w, struct entry *en, struct err *e)
{
	return entry_xattrs(en, w->reader, &w->xattrs, e);
}

/* A file being written by one thread. */
struct writing {
	struct restorer *w;
	struct place_file *file;
};

static int
extent_write(void *arg, uint64_t at, const struct extent *x, struct err *e)
{
	struct writing *g = arg;
	const uint8_t *plain;
	size_t len;

	if (extent_is_hole(x))
		return 0;
	if (source_get(g->w->reader, x->id, 0, &plain, &len, e) != 0)
		return -1;
	if (x->offset > len || x->len > len - x->offset)
		return err_set(e, ERR_DAMAGE, "an extent of it lies outside its chunk");
	return place_file_write(g->file, plain + x->offset, (size_t)x->len, at, e);
}

/* What stands under the name now is what the entry says, as far as it could be set. */
static int
compare(const struct place_dir *d, const struct entry *en, int missed)
{
	char name[NAME_LEN_MAX + 1];
	struct stat st;

	memcpy(name, en->name.p, en->name.len);
	name[en->name.len] = '\0';
	if (io->fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != en->size)
		return 0;
	if ((missed & 1 << META_TIMES) == 0 && (st.st_mtim.tv_sec != en->mtime_s || (uint32_t)st.st_mtim.tv_nsec != en->mtime_ns))
		return 0;
	if ((missed & 1 << META_OWNER) == 0 && (missed & 1 << META_MODE) == 0 && (st.st_mode & 07777) != en->mode)
		return 0;
	return 1;
}

/* A file is in place, was there, or was left alone. */
static void
file_count(struct restorer *w, const struct place_dir *d, struct fmt_view dir, const struct entry *en,
    enum place_result res, int missed, const struct place_id *id)
{
	struct restore_job *j = w->j;
	int same = compare(d, en, missed), differs = res != PLACE_LEFT && !same;
	struct err own;

	pthread_mutex_lock(&j->lock);
	if (res == PLACE_LEFT) {
		j->r->left++;
	} else {
		j->r->files++;
		j->r->bytes += en->size;
		j->r->same += res == PLACE_SAME;
		j->r->compare_to++;
		j->r->compared += same != 0;
		if (en->nlink > 1)
			links_made(j->links, en, id);
	}
	pthread_mutex_unlock(&j->lock);
	progress_add(en->size, 1);
	err_clear(&own);
	if (differs) {
		(void)err_set(&own, ERR_DIFFERENT, "what stands there now is not what was written");
		restore_failed(j, dir, en->name, &own);
	} else if (res == PLACE_LEFT) {
		(void)err_set(&own, ERR_NOT_EMPTY, "something was there already and was left alone");
		restore_warn(j, dir, en->name, &own);
	}
}

/* 0 it is in place, there or left alone, and counted; -1 with ${e}. */
static int
file_once(struct restorer *w, struct place_dir *d, struct fmt_view dir, const struct entry *given, struct err *e)
{
	struct place_id id = { 0 };
	enum place_result res;
	struct writing g = { .w = w };
	struct entry en = *given;
	int missed = 0;

	if (restore_xattrs(w, &en, e) != 0 || place_file_begin(d, &en, &g.file, &res, &id, &w->meta, e) != 0)
		return -1;
	if (g.file != NULL) {
		if (extents_each(&en, source_get, w->reader, NULL, NULL, extent_write, &g, e) != 0) {
			place_file_abandon(g.file);
			return -1;
		}
		if ((missed = place_file_commit(g.file, &en, &w->meta, &res, en.nlink > 1 ? &id : NULL, e)) == -1)
			return -1;
	}
	file_count(w, d, dir, given, res, missed, &id);
	return 0;
}

/* Out of a later snapshot: 0 done and told, 1 none has it, -1 with ${e}. */
static int
file_elsewhere(struct restorer *w, struct place_dir *d, struct fmt_view dir, const struct entry *given, struct err *e)
{
	struct restore_job *j = w->j;
	const struct snapshot *from;
	uint8_t *copy = malloc(ENTRY_LEN_MAX + 16);
	char id[SNAPSHOT_SHORT_LEN];
	struct entry other;
	struct buf path;
	struct err own;
	int rc = -1;

	buf_init(&path);
	if (dir.len > 1)
		buf_add(&path, dir.p, dir.len);
	buf_u8(&path, '/');
	buf_add(&path, given->name.p, given->name.len);
	if (copy == NULL || buf_check(&path, NULL) != 0)
		(void)err_set(e, ERR_MEMORY, "no memory to restore");
	else if (later_find(j->later, w->reader, view_of(path.p, path.len), given, j->opt->snap->env.begin_ns, &other, copy, &from) != 1)
		rc = 1;
	else if ((rc = file_once(w, d, dir, &other, e)) == 0) {
		pthread_mutex_lock(&j->lock);
		j->r->elsewhere++;
		pthread_mutex_unlock(&j->lock);
		err_clear(&own);
		(void)err_set(&own, ERR_NONE, "the chunk that it lay in is lost: taken from snapshot %s (number %llu), where it is the same "
		    "file", snapshot_short(id, from->env.snapshot_id), (unsigned long long)from->env.seq);
		restore_warn(j, dir, given->name, &own);
	}
	buf_release(&path);
	free(copy);
	return rc;
}

void
restore_file(struct restorer *w, struct place_dir *d, struct fmt_view dir, const struct entry *given)
{
	struct err own, other;

	err_clear(&own);
	if (file_once(w, d, dir, given, &own) == 0)
		return;
	if (w->j->later != NULL && later_some(w->j->later) && (own.code == ERR_MISSING || own.code == ERR_DAMAGE)) {
		err_clear(&other);
		if (file_elsewhere(w, d, dir, given, &other) == 0)
			return;
		(void)snprintf(own.msg + strlen(own.msg), sizeof(own.msg) - strlen(own.msg), "%s", other.code == ERR_NONE ?
		    ", and no later snapshot here has the file as it was" : ", nor in the later snapshot that has the file as it was");
	}
	restore_failed(w->j, dir, given->name, &own);
}

/* The last part of a large file is done: its name, or nothing. */
void
restore_big_drop(struct restorer *w, struct restore_big *b)
{
	struct fmt_view dir = view_of(b->path.p, b->path.len);
	struct place_id id = { 0 };
	enum place_result res;
	struct err own;
	int missed;

	if (__atomic_sub_fetch(&b->parts, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	err_clear(&own);
	if (__atomic_load_n(&b->failed, __ATOMIC_RELAXED) || restore_stopped(w->j)) {
		place_file_abandon(b->file);
	} else {
		struct entry en = b->en;

		if (restore_xattrs(w, &en, &own) != 0) {
			place_file_abandon(b->file);
			missed = -1;
		} else {
			missed = place_file_commit(b->file, &en, &w->meta, &res, en.nlink > 1 ? &id : NULL, &own);
		}
		if (missed == -1)
			restore_failed(w->j, dir, b->en.name, &own);
		else
			file_count(w, b->dir, dir, &b->en, res, missed, &id);
	}
	place_dir_release(b->dir);
	buf_release(&b->entry);
	buf_release(&b->path);
	free(b);
}

/* Put what is gathered into the file; with ${all} false a last, broken block stays for what follows it. */
static int
gather_flush(struct restorer *w, struct place_file *f, int all, struct err *e)
{
	struct gather *g = &w->gather;
	size_t lead = g->lead, end = lead + g->len, first, last;

	if (g->len == 0)
		return 0;
	/* [lead, first) and [last, end) are broken blocks, between them whole ones. */
	first = (lead + PLACE_BLOCK - 1) / PLACE_BLOCK * PLACE_BLOCK;
	last = end / PLACE_BLOCK * PLACE_BLOCK;
	if (last <= first) {
		if (!all)
			return 0;
		first = last = end;
	}
	if (first > lead && place_file_write(f, g->buf + lead, first - lead, g->at, e) != 0)
		return -1;
	if (last > first && place_file_write(f, g->buf + first, last - first, g->at + (first - lead), e) != 0)
		return -1;
	if (all && end > last && place_file_write(f, g->buf + last, end - last, g->at + (last - lead), e) != 0)
		return -1;
	g->at += last - lead;
	memmove(g->buf, g->buf + last, end - last);
	g->lead = 0;
	g->len = all ? 0 : end - last;
	return 0;
}

/* Gather an extent behind the others of its stretch. */
static int
gather_extent(struct restorer *w, struct place_file *f, uint64_t at, const struct extent *x, struct err *e)
{
	struct gather *g = &w->gather;
	const uint8_t *plain;
	size_t len;

	if (extent_is_hole(x))
		return 0;
	if (source_get(w->reader, x->id, 0, &plain, &len, e) != 0)
		return -1;
	if (x->offset > len || x->len > len - x->offset)
		return err_set(e, ERR_DAMAGE, "an extent of it lies outside its chunk");
	if (at != g->at + g->len && gather_flush(w, f, 1, e) != 0)
		return -1;
	if (g->lead + g->len + x->len > GATHER_LEN && gather_flush(w, f, 0, e) != 0)
		return -1;
	if (g->len == 0) {
		g->at = at;
		g->lead = at % PLACE_BLOCK;
	}
	memcpy(g->buf + g->lead + g->len, plain + x->offset, (size_t)x->len);
	g->len += (size_t)x->len;
	return 0;
}

static void
parts_write(struct restorer *w, const struct restore_unit *u)
{
	const struct part *p = (const struct part *)(const void *)u->parts.p;
	size_t n = u->parts.len / sizeof(*p);
	struct err own;
	int rc;

	w->gather.len = 0;
	for (size_t i = 0; i <= n; i++) {
		if (restore_stopped(w->j) || __atomic_load_n(&u->big->failed, __ATOMIC_RELAXED))
			return;
		err_clear(&own);
		rc = i < n ? gather_extent(w, u->big->file, p[i].at, &p[i].x, &own) : gather_flush(w, u->big->file, 1, &own);
		if (rc != 0) {
			if (!__atomic_exchange_n(&u->big->failed, 1, __ATOMIC_RELAXED))
				restore_failed(w->j, view_of(u->big->path.p, u->big->path.len), u->big->en.name, &own);
			return;
		}
	}
}

static void
files_write(struct restorer *w, const struct restore_unit *u)
{
	struct rd r = { .p = u->entries.p, .left = u->entries.len };
	struct item it;

	for (unsigned i = 0; i < u->n && !restore_stopped(w->j); i++)
		if (item_next(&r, &it) == FMT_OK)
			restore_file(w, u->dir, view_of(u->path.p, u->path.len), &it.entry);
}

void
restore_unit_free(struct restore_job *j, struct restore_unit *u)
{
	for (size_t i = 0; i < u->wants.len; i += DIGEST_LEN)
		source_unwant(j->opt->source, u->wants.p + i);
	if (u->dir != NULL)
		place_dir_release(u->dir);
	buf_release(&u->path);
	buf_release(&u->entries);
	buf_release(&u->parts);
	buf_release(&u->wants);
	free(u);
}

void
restore_work(void *arg)
{
	struct restore_job *j = arg;
	struct restorer w;
	struct restore_unit *u;
	struct err own;
	int ready;

	err_clear(&own);
	ready = restorer_init(&w, j, &own) == 0;
	if (!ready)
		restore_fatal(j, &own);
	while ((u = queue_get(j->queue)) != NULL) {
		if (u->big != NULL) {
			if (ready)
				parts_write(&w, u);
			restore_big_drop(&w, u->big);
		} else if (ready) {
			files_write(&w, u);
		}
		restore_unit_free(j, u);
	}
	restorer_release(&w);
}
