/* Reading files: many small ones at once, big ones in stretches. */

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/io.h"
#include "common/base/pace.h"
#include "common/base/progress.h"
#include "common/chunk/cutter.h"
#include "common/crypto/hash.h"
#include "common/flow/build_engine.h"
#include "common/walk/meta.h"

#define FRESH_NS	INT64_C(2000000000)

static int
file_open(const struct piece *p)
{
	char name[NAME_LEN_MAX + 1];
	int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, fd;

	memcpy(name, p->en.name.p, p->en.name.len);
	name[p->en.name.len] = 0;
	fd = io->open(walk_dir_fd(p->dir), name, flags | O_NOATIME, 0);
	if (fd == -1 && errno == EPERM)
		fd = io->open(walk_dir_fd(p->dir), name, flags, 0);
	return fd;
}

static void
file_unreadable(struct engine *g, struct piece *p, int why, const char *what)
{
	p->skip = true;
	if (why == ENOENT) {
		engine_warn(g, p->path, p->en.name, "vanished while it was read");
		return;
	}
	engine_warn(g, p->path, p->en.name, "%s%s%s; it is not in the snapshot", what, why != 0 ? ": " : "",
	    why != 0 ? strerror(why) : "");
	pthread_mutex_lock(&g->lock);
	g->res->unreadable++;
	pthread_mutex_unlock(&g->lock);
}

static bool
stat_same(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	    a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	    a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static bool
is_fresh(const struct timespec *t, int64_t now_ns)
{
	int64_t limit = now_ns - FRESH_NS;

	/* Never as nanoseconds: these end in 2262, file times do not. */
	return t->tv_sec > limit / 1000000000 ||
	    (t->tv_sec == limit / 1000000000 && t->tv_nsec > limit % 1000000000);
}

/* Take attributes from the first fstat; the walker's names, owners and file system stay. */
static int
entry_from_stat(struct piece *p, const struct stat *st, int64_t now_ns)
{
	struct entry en;

	if (meta_from_stat(st, &en) != 0 || en.type != ENTRY_FILE)
		return -1;
	en.name = p->en.name;
	en.user = p->en.user;
	en.group = p->en.group;
	en.fs = p->en.fs;
	if (is_fresh(&st->st_mtim, now_ns) || is_fresh(&st->st_ctim, now_ns))
		en.flags |= ENTRY_UNSURE;
	p->en = en;
	return 0;
}

static int
take_xattrs(struct worker *w, struct unit *u, struct piece *p, int fd, struct err *e)
{
	struct err why;

	err_clear(&why);
	if (meta_xattrs_read(fd, -1, NULL, w->xattrs, &why) != 0) {
		engine_warn(w->g, p->path, p->en.name, "extended attributes not saved: %s", why.msg);
		return 0;
	}
	if (w->xattrs->passed > 0)
		engine_warn(w->g, p->path, p->en.name, "%u extended attributes that nothing can put back are left out", w->xattrs->passed);
	p->en.xattrs = xattr_rows_view(w->xattrs);
	if (!slab_view(&u->slab, &p->en.xattrs))
		return err_errno(e, "read attributes");
	return 0;
}

static void
count_read(struct engine *g, uint64_t n, unsigned files)
{
	atomic_fetch_add_explicit(&g->read_bytes, n, memory_order_relaxed);
	progress_add(n, files);
	pace_take(g->src->pace, n);
}

/*
 * Read a file of ${size} bytes, and one more if there is one, but not more
 * than ${cap}.  As many bytes as its size is what nearly every file gives: that
 * is its end then if a later fstat says so too, and it is not asked again.
 */
static ssize_t
whole_read(int fd, uint8_t *buf, size_t size, size_t cap)
{
	size_t want = size < cap ? size + 1 : cap;
	ssize_t got = io->pread(fd, buf, want, 0), more;

	if (got == (ssize_t)size || got == (ssize_t)want)
		return got;
	if (got == -1 && errno != EINTR)
		return -1;
	got = got > 0 ? got : 0;
	more = io_read_full(fd, buf + got, want - (size_t)got, (off_t)got);
	return more == -1 ? -1 : got + more;
}

/*
 * Read one small file whole into the unit.  A file that grew past a bundle's
 * largest is read up to there and flagged: the next backup takes it as it is.
 */
static int
small_read(struct worker *w, struct unit *u, struct piece *p, int fd, struct err *e)
{
	size_t cap = cutter_max(w->g->cutter);
	struct stat first, after;
	uint8_t digest[DIGEST_LEN];
	bool same = false;
	ssize_t n = 0;

	for (int attempt = 0; attempt < 2 && !same; attempt++) {
		int64_t now = io_now_ns();

		errno = 0;
		if (io->fstat(fd, &first) != 0 || entry_from_stat(p, &first, now) != 0) {
			file_unreadable(w->g, p, errno, "is not a regular file any more");
			return 0;
		}
		if ((n = whole_read(fd, w->buf, (size_t)first.st_size, cap)) == -1 || io->fstat(fd, &after) != 0) {
			file_unreadable(w->g, p, errno, "cannot be read");
			return 0;
		}
		same = stat_same(&first, &after) && n == first.st_size;
	}
	if (!same) {
		p->en.flags |= ENTRY_UNSURE | ENTRY_CHANGED;
		engine_warn(w->g, p->path, p->en.name, "changed while it was read");
	}
	p->en.size = (uint64_t)n;
	p->len = (uint32_t)n;
	if (n > 0) {
		if ((p->data = slab_get(&u->slab, (size_t)n)) == NULL)
			return err_errno(e, "read small files");
		memcpy(p->data, w->buf, (size_t)n);
		hash_keyed(w->g->keys->cut, p->data, (size_t)n, digest);
		p->cut = le32_get(digest);
		memcpy(p->key, digest + DIGEST_LEN - SMALL_KEY_LEN, SMALL_KEY_LEN);
	}
	count_read(w->g, (uint64_t)n, 1);
	return take_xattrs(w, u, p, fd, e);
}

int
work_small(struct worker *w, struct unit *u, struct err *e)
{
	struct piece *p;
	int fd, rc = 0;

	for (unsigned i = 0; i < u->n && rc == 0; i++) {
		p = &u->pieces[i];
		if (p->kind != PIECE_SMALL)
			continue;
		if ((fd = file_open(p)) == -1) {
			file_unreadable(w->g, p, errno, "cannot be opened");
			continue;
		}
		rc = small_read(w, u, p, fd, e);
		io->close(fd);
	}
	for (unsigned i = 0; i < u->ndirs; i++)
		walk_dir_release(u->dirs[i]);
	u->ndirs = 0;
	pthread_mutex_lock(&w->g->lock);
	if (rc == 0)
		u->state = UNIT_DONE;
	engine_tick(w->g);
	pthread_mutex_unlock(&w->g->lock);
	return rc;
}

/* --- big files: the holder of `busy` reads and cuts; storing goes on in parallel --- */

/* What one reading of a stretch found. */
struct cut_list {
	uint32_t n;
	struct {
		uint32_t len;		/* of a chunk; 0: a hole of hole_len */
		uint64_t hole_len;
	} c[STRETCH_CHUNKS];
};

static int
big_open(struct worker *w, struct unit *u, struct err *e)
{
	struct big_file *b = u->big;
	struct piece *p = &u->pieces[0];
	int64_t now = io_now_ns();

	if (b->fd == -1 && (b->fd = file_open(p)) == -1) {
		file_unreadable(w->g, p, errno, "cannot be opened");
		b->failed = true;
		return 0;
	}
	errno = 0;
	if (io->fstat(b->fd, &b->first) != 0 || entry_from_stat(p, &b->first, now) != 0) {
		file_unreadable(w->g, p, errno, "is not a regular file any more");
		b->failed = true;
		return 0;
	}
	b->offset = 0;
	b->run_end = 0;
	b->carry_len = 0;
	b->sparse = (uint64_t)b->first.st_blocks * 512 < (uint64_t)b->first.st_size;
	if (b->carry == NULL && (b->carry = malloc(cutter_max(w->g->cutter))) == NULL)
		return err_errno(e, "read a file");
	(void)io->fadvise(b->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return take_xattrs(w, u, p, b->fd, e);
}

/* At the end of a run of data: skip the hole behind it.  0, or -1 with errno. */
static int
big_next_run(struct big_file *b, struct cut_list *l)
{
	uint64_t size = (uint64_t)b->first.st_size;
	off_t data = (off_t)b->offset, hole = (off_t)size;

	if (!b->sparse) {
		b->run_end = UINT64_MAX;
		return 0;
	}
	if (b->offset >= size) {
		b->run_end = UINT64_MAX;	/* whatever was added behind the end is data */
		return 0;
	}
	data = io->lseek(b->fd, (off_t)b->offset, SEEK_DATA);
	if (data == -1 && errno == ENXIO)
		data = (off_t)size;
	else if (data == -1 && errno == EINVAL) {
		b->sparse = false;
		b->run_end = UINT64_MAX;
		return 0;
	} else if (data == -1)
		return -1;
	if ((uint64_t)data > size)
		data = (off_t)size;
	if ((uint64_t)data < size && (hole = io->lseek(b->fd, data, SEEK_HOLE)) == -1)
		return -1;
	if ((uint64_t)data > b->offset) {
		l->c[l->n].len = 0;
		l->c[l->n++].hole_len = (uint64_t)data - b->offset;
		b->offset = (uint64_t)data;
	}
	b->run_end = (uint64_t)data >= size ? UINT64_MAX : (uint64_t)hole;
	return 0;
}

/*
 * Read on and cut, up to a buffer full; ${used} bytes of w->buf are in chunks,
 * in the order of ${l}.  What is not cut yet goes to the carry.  Return 1 at
 * the end of the file, 0 before it, -1 with errno.
 */
static int
big_cut(struct worker *w, struct big_file *b, struct cut_list *l, size_t *used)
{
	size_t have = b->carry_len, done = 0, want, cut;
	bool at_end = false;
	ssize_t n;

	memcpy(w->buf, b->carry, b->carry_len);
	l->n = 0;
	while (!at_end && l->n + 2 < STRETCH_CHUNKS) {
		if (b->offset >= b->run_end || b->run_end == 0) {
			/* The run of data ends here: so does its last chunk. */
			while (done < have && l->n + 2 < STRETCH_CHUNKS) {
				cut = cutter_next(w->g->cutter, w->buf + done, have - done, 1);
				l->c[l->n++].len = (uint32_t)cut;
				done += cut;
			}
			if (done < have)
				break;
			if (big_next_run(b, l) != 0)
				return -1;
			continue;
		}
		want = w->buf_cap - have;
		if (want > b->run_end - b->offset)
			want = (size_t)(b->run_end - b->offset);
		if (want == 0)
			break;
		if ((n = io_read_full(b->fd, w->buf + have, want, (off_t)b->offset)) == -1)
			return -1;
		count_read(w->g, (uint64_t)n, 0);
		at_end = (size_t)n < want;
		have += (size_t)n;
		b->offset += (uint64_t)n;
		while (l->n + 2 < STRETCH_CHUNKS && done < have &&
		    (cut = cutter_next(w->g->cutter, w->buf + done, have - done, at_end)) > 0) {
			l->c[l->n++].len = (uint32_t)cut;
			done += cut;
		}
		if (have - done > 0 && have == w->buf_cap)
			break;
	}
	if (done < have && have - done > cutter_max(w->g->cutter)) {
		/* Too many chunks for one stretch: read the rest again. */
		b->offset -= have - done;
		at_end = false;
		have = done;
	}
	b->carry_len = have - done;
	memcpy(b->carry, w->buf + done, b->carry_len);
	*used = done;
	return at_end && b->carry_len == 0;
}

/* The file was read to its end: as it was, or again, or flagged.  The lock is not held. */
static void
big_ended(struct worker *w, struct unit *u, bool *again)
{
	struct big_file *b = u->big;
	struct piece *p = &u->pieces[0];
	struct stat after;

	*again = false;
	if (io->fstat(b->fd, &after) == 0 && stat_same(&b->first, &after))
		return;
	if (b->generation == 0) {
		*again = true;
		return;
	}
	p->en.flags |= ENTRY_UNSURE | ENTRY_CHANGED;
	engine_warn(w->g, p->path, p->en.name, "changed while it was read");
}

/* Put a new stretch at the end of the file's; the lock is not held. */
static struct stretch *
stretch_new(struct worker *w, struct big_file *b, uint32_t n, struct err *e)
{
	struct stretch *s = calloc(1, sizeof(*s));

	if (s == NULL || (n > 0 && (s->extents = malloc((size_t)n * EXTENT_LEN)) == NULL)) {
		free(s);
		err_errno(e, "read a file");
		return NULL;
	}
	s->generation = b->generation;
	pthread_mutex_lock(&w->g->lock);
	if (b->tail != NULL && b->head != NULL)
		b->tail->next = s;
	else
		b->head = s;
	b->tail = s;
	pthread_mutex_unlock(&w->g->lock);
	return s;
}

/* Store the chunks of a stretch and note its extents. */
static int
stretch_store(struct worker *w, struct stretch *s, const struct cut_list *l, struct err *e)
{
	uint32_t lens[STRETCH_CHUNKS], n = 0, k = 0;
	uint8_t *ids;
	struct extent x;
	int rc = 0;

	for (uint32_t i = 0; i < l->n; i++)
		if (l->c[i].len > 0)
			lens[n++] = l->c[i].len;
	if ((ids = malloc((size_t)(n + 1) * DIGEST_LEN)) == NULL)
		return err_errno(e, "store a file");
	if (n > 0)
		rc = store_chunks(w, KIND_DATA, w->buf, lens, n, ids, &s->seq, e);
	for (uint32_t i = 0; i < l->n && rc == 0; i++) {
		memset(&x, 0, sizeof(x));
		x.len = l->c[i].len > 0 ? l->c[i].len : l->c[i].hole_len;
		if (l->c[i].len > 0)
			memcpy(x.id, ids + (size_t)k++ * DIGEST_LEN, DIGEST_LEN);
		extent_put(s->extents + (size_t)i * EXTENT_LEN, &x);
		s->bytes += x.len;
	}
	s->n = l->n;
	free(ids);
	return rc;
}

/* Give the file back to whoever is free. */
static void
big_release(struct worker *w, struct big_file *b, bool eof)
{
	pthread_mutex_lock(&w->g->lock);
	b->busy = false;
	b->eof = eof;
	if (!eof)
		engine_tick_work(w->g);
	pthread_mutex_unlock(&w->g->lock);
}

int
work_big(struct worker *w, struct unit *u, struct err *e)
{
	struct big_file *b = u->big;
	struct cut_list *l = malloc(sizeof(*l));
	struct stretch *s;
	bool again = false, nothing;
	size_t used = 0;
	int end = 1, rc = 0;

	if (l == NULL)
		return err_errno(e, "read a file");
	l->n = 0;
	if (b->fd == -1 || (b->offset == 0 && b->carry_len == 0 && b->generation > 0 && b->run_end == 0))
		rc = big_open(w, u, e);
	if (rc == 0 && !b->failed && (end = big_cut(w, b, l, &used)) == -1) {
		file_unreadable(w->g, &u->pieces[0], errno, "cannot be read");
		b->failed = true;
		end = 1;
	}
	if (rc == 0 && end == 1 && !b->failed)
		big_ended(w, u, &again);
	if (rc != 0 || (s = stretch_new(w, b, l->n, e)) == NULL) {
		free(l);
		return -1;
	}
	s->last = end == 1 && !again;
	if (again) {
		b->generation++;
		b->offset = 0;
		b->run_end = 0;
		b->carry_len = 0;
	}
	nothing = b->failed || again;
	big_release(w, b, s->last);
	rc = nothing ? 0 : stretch_store(w, s, l, e);
	/* One that could not be stored never counts as done: its extents say nothing. */
	pthread_mutex_lock(&w->g->lock);
	s->done = rc == 0;
	engine_tick(w->g);
	pthread_mutex_unlock(&w->g->lock);
	free(l);
	return rc;
}
