#include "common/flow/plan_names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/progress.h"
#include "common/base/stop.h"
#include "common/chunk/codec.h"
#include "common/flow/plan_change.h"
#include "common/walk/owner.h"

#define DAY		INT64_C(86400)
#define SPARSE_LEAST	(1u << 20)	/* below that a hole is not worth looking for */

const unsigned plan_window_days[PLAN_WINDOWS] = { 1, 7, 30 };

/* Inodes with several names that were met: full, it forgets new ones and their names count again. */
struct inode_set {
	uint64_t *slot;		/* 0: free */
	size_t cap, n, most;
};

struct naming {
	const struct plan_visit *visit;
	struct plan_result *r;
	struct plan_change *change[PLAN_WINDOWS];
	struct inode_set met;
	int64_t now;
};

static bool
set_grow(struct inode_set *s)
{
	struct inode_set grown = { .cap = s->cap == 0 ? 1024 : s->cap * 2, .n = s->n, .most = s->most };

	if (grown.cap > grown.most || (grown.slot = calloc(grown.cap, sizeof(*grown.slot))) == NULL)
		return false;
	for (size_t i = 0; i < s->cap; i++) {
		size_t at = s->slot[i] & (grown.cap - 1);

		if (s->slot[i] == 0)
			continue;
		while (grown.slot[at] != 0)
			at = (at + 1) & (grown.cap - 1);
		grown.slot[at] = s->slot[i];
	}
	free(s->slot);
	*s = grown;
	return true;
}

/* True if it was there; else it is now, where there is room. */
static bool
set_met(struct inode_set *s, dev_t dev, uint64_t inode)
{
	uint64_t words[2] = { (uint64_t)dev, inode }, key = checksum(words, sizeof(words)) | 1;
	size_t at;

	if (s->n * 2 >= s->cap && !set_grow(s) && s->n + 1 >= s->cap)
		return false;
	for (at = key & (s->cap - 1); s->slot[at] != 0; at = (at + 1) & (s->cap - 1))
		if (s->slot[at] == key)
			return true;
	s->slot[at] = key;
	s->n++;
	return false;
}

int
plan_file_open(int dirfd, const char *name, size_t len)
{
	char text[NAME_LEN_MAX + 1];
	int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, fd;

	memcpy(text, name, len);
	text[len] = '\0';
	fd = io->open(dirfd, text, flags | O_NOATIME, 0);
	return fd == -1 && errno == EPERM ? io->open(dirfd, text, flags, 0) : fd;
}

int
plan_data_next(int fd, uint64_t from, uint64_t size, struct plan_piece *piece)
{
	off_t data, hole;

	if (from >= size)
		return 0;
	if ((data = io->lseek(fd, (off_t)from, SEEK_DATA)) == -1) {
		if (errno == ENXIO)
			return 0;
		if (errno != EINVAL)
			return -1;
		*piece = (struct plan_piece){ from, size - from };	/* no such question here: all is data */
		return 1;
	}
	if ((uint64_t)data >= size)
		return 0;
	if ((hole = io->lseek(fd, data, SEEK_HOLE)) == -1)
		return -1;
	if ((uint64_t)hole > size)
		hole = (off_t)size;
	if (hole <= data)
		return 0;
	*piece = (struct plan_piece){ (uint64_t)data, (uint64_t)(hole - data) };
	return 1;
}

/* The bytes of data in a file that seems to have holes. */
static uint64_t
data_in_sparse(const struct walk_item *it)
{
	struct plan_piece p = { 0, 0 };
	uint64_t sum = 0;
	int fd = plan_file_open(walk_dir_fd(it->dir), (const char *)it->entry.name.p, it->entry.name.len), got;

	if (fd == -1)
		return it->occupied;
	while ((got = plan_data_next(fd, p.offset + p.len, it->entry.size, &p)) == 1)
		sum += p.len;
	(void)io->close(fd);
	return got == 0 ? sum : it->occupied;
}

/* Files that changed lately.  Times in the future say nothing about how often. */
static int
note_change(struct naming *n, const struct walk_item *it, uint64_t data, struct err *e)
{
	int64_t age = n->now - it->entry.mtime_s;

	for (size_t i = 0; i < PLAN_WINDOWS; i++) {
		if (it->entry.mtime_s > n->now || age >= DAY * (int64_t)plan_window_days[i])
			continue;
		n->r->changed[i] += data;
		if (plan_change_file(n->change[i], it->entry.name, data, e) != 0)
			return -1;
	}
	return 0;
}

static int
take_entry(struct naming *n, const struct walk_item *it, struct err *e)
{
	uint64_t data = it->entry.size;
	bool sparse = data >= SPARSE_LEAST && it->occupied < data;

	n->r->entries++;
	if (it->entry.type != ENTRY_FILE)
		return 0;
	n->r->files++;
	progress_add(0, 1);
	if (it->entry.nlink > 1 && set_met(&n->met, it->dev, it->entry.inode))
		return 0;
	if (sparse)
		data = data_in_sparse(it);
	if (data == 0)
		return 0;
	n->r->bytes += data;
	if (note_change(n, it, data, e) != 0)
		return -1;
	return n->visit == NULL ? 0 : n->visit->file(n->visit->arg, it, data, sparse, e);
}

static int
take_dir(struct naming *n, const struct walk_item *it, struct err *e)
{
	progress_item(it->path.p, it->path.len);
	for (size_t i = 0; i < PLAN_WINDOWS; i++)
		if (plan_change_dir(n->change[i], it->path, it->above, e) != 0)
			return -1;
	if (n->visit == NULL || n->visit->dir == NULL)
		return 0;
	return n->visit->dir(n->visit->arg, it, e);
}

static int
take_all(struct naming *n, struct walker *w, struct err *e)
{
	struct walk_item it;
	int got, rc = 0;

	while (rc == 0 && (got = walker_next(w, &it, e)) != 0) {
		if (got == -1 || stop_check(e) != 0)
			return -1;
		if (it.kind == WALK_DIR)
			rc = take_dir(n, &it, e);
		else if (it.kind == WALK_ENTRY)
			rc = take_entry(n, &it, e);
		else if (it.kind == WALK_ERROR)
			n->r->errors++;
	}
	return rc;
}

/* The window that shows the most a day, and what changed in it. */
static void
window_choose(struct naming *n)
{
	double most = -1;

	for (unsigned i = 0; i < PLAN_WINDOWS; i++) {
		double day = (double)n->r->changed[i] / plan_window_days[i];

		if (day > most * 1.0001) {
			most = day;
			n->r->window = i;
		}
	}
	plan_change_finish(n->change[n->r->window], n->r->top, &n->r->ntop);
}

int
plan_names(const struct plan_options *o, const struct plan_visit *v, struct plan_result *r, struct err *e)
{
	struct walk_options w = { .paths = o->paths, .npaths = o->npaths, .exclude = o->exclude, .never = o->never,
	    .nnever = o->nnever, .one_file_system = o->one_file_system, .network_file_systems = o->network_file_systems,
	    .exclude_caches = o->exclude_caches, .small_max = v != NULL ? v->small_max : 0,
	    .small_enough = v != NULL ? v->small_enough : 0 };
	struct plan_result none = { 0 };
	struct naming n = { .visit = v, .r = r != NULL ? r : &none, .now = io_now() };
	struct walker *walker = NULL;
	int rc = -1;

	n.met.most = (o->memory != 0 ? o->memory : 400000000) / 8 / sizeof(uint64_t);
	for (size_t i = 0; i < PLAN_WINDOWS; i++)
		if ((n.change[i] = plan_change_new()) == NULL)
			goto memory;
	if ((w.owners = owner_names_new()) == NULL)
		goto memory;
	if ((walker = walker_new(&w, e)) != NULL && (rc = take_all(&n, walker, e)) == 0 && r != NULL)
		window_choose(&n);
	goto out;
memory:
	(void)err_set(e, ERR_MEMORY, "no memory for the walk");
out:
	walker_free(walker);
	owner_names_free(w.owners);
	for (size_t i = 0; i < PLAN_WINDOWS; i++)
		plan_change_free(n.change[i]);
	free(n.met.slot);
	return rc;
}
