#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/io_crash.h"
#include "common/base/io_crash_file.h"
#include "common/base/io_tape.h"
#include "common/base/io_tape_log.h"

/* What one operation says about one name: from then on it is ${node}. */
struct half {
	uint32_t dir;
	const char *name;
	uint32_t node;		/* TAPE_NONE: the name is gone */
	uint32_t cell;		/* the same for the same name in the same directory */
	size_t op;
	int durable, applied;
};

struct crash {
	const struct tape *t;
	size_t end;		/* the first operation that was not done */
	uint64_t seed;
	size_t *synced;		/* a node: one past its last fsync, at least base */
	struct half *halves;	/* sorted by directory, name, operation */
	size_t nhalves;
	char **made;		/* a node: the path under which it was made */
	size_t *first;		/* a node: where its operations begin in ${list} */
	size_t *list;
	struct err *e;
};

uint64_t
crash_mix(uint64_t seed, uint64_t a, uint64_t b)
{
	uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + a * UINT64_C(0xbf58476d1ce4e5b9) +
	    b * UINT64_C(0x94d049bb133111eb) + 0x2545f491u;

	for (int i = 0; i < 3; i++) {
		x ^= x >> 30;
		x *= UINT64_C(0xbf58476d1ce4e5b9);
		x ^= x >> 27;
	}
	return x;
}

/* ---- names ---- */

static void
half_add(struct crash *c, size_t op, uint32_t dir, const char *name, uint32_t node)
{
	struct half *h = &c->halves[c->nhalves++];

	*h = (struct half){ .dir = dir, .name = name, .node = node, .op = op };
	h->durable = op < c->synced[dir];
}

static void
halves_gather(struct crash *c)
{
	for (size_t i = 0; i < c->end; i++) {
		const struct tape_op *op = &c->t->ops[i];

		if (op->dir == TAPE_NONE)
			continue;
		if (op->what == TAPE_MAKE || op->what == TAPE_LINK) {
			half_add(c, i, op->dir, op->name, op->node);
		} else if (op->what == TAPE_UNLINK) {
			half_add(c, i, op->dir, op->name, TAPE_NONE);
		} else if (op->what == TAPE_RENAME) {
			half_add(c, i, op->dir, op->name, TAPE_NONE);
			half_add(c, i, op->dir2, op->name2, op->node);
		}
	}
}

static int
half_order(const void *a, const void *b)
{
	const struct half *x = a, *y = b;
	int names;

	if (x->dir != y->dir)
		return x->dir < y->dir ? -1 : 1;
	if ((names = strcmp(x->name, y->name)) != 0)
		return names;
	return x->op < y->op ? -1 : x->op > y->op;
}

static int
same_name(const struct half *a, const struct half *b)
{
	return a->dir == b->dir && strcmp(a->name, b->name) == 0;
}

/* Whether chance lets operation ${op} on a name in ${dir} take effect. */
static int
chance(const struct crash *c, uint32_t dir, size_t op, uint64_t which)
{
	uint64_t r = crash_mix(c->seed, 1000003, dir);
	size_t since = c->synced[dir];

	switch (c->seed % 8) {
	case 0:
	case 2:
		return 0;
	case 1:
	case 3:
		return 1;
	default:
		break;
	}
	switch (r >> 8 & 3) {
	case 0:
		return 0;
	case 1:
		return 1;
	case 2:		/* in order, up to some moment */
		return op < since + (r >> 16) % (c->end - since + 1);
	default:
		return crash_mix(c->seed, op + 7, which) >> 20 & 1;
	}
}

/* Each name for itself. */
static void
apply_split(struct crash *c)
{
	for (size_t i = 0; i < c->nhalves; i++) {
		struct half *h = &c->halves[i];
		const struct tape_op *op = &c->t->ops[h->op];
		int whole = op->what == TAPE_RENAME && S_ISDIR(c->t->nodes[op->node].mode);

		h->applied = h->durable ||
		    (whole ? chance(c, op->dir2, h->op, 0) : chance(c, h->dir, h->op, h->cell));
	}
}

/* A half of each operation, for going through them backwards. */
static int
op_order(const void *a, const void *b)
{
	const struct half *x = *(struct half *const *)a, *y = *(struct half *const *)b;

	return x->op < y->op ? 1 : x->op > y->op ? -1 : 0;
}

/* Each operation whole, and only with those before it on the same names. */
static void
apply_whole(struct crash *c, struct half **back, char *wanted)
{
	size_t n;

	for (size_t i = 0; i < c->nhalves; i++)
		back[i] = &c->halves[i];
	qsort(back, c->nhalves, sizeof(*back), op_order);
	for (size_t i = 0; i < c->nhalves; i += n) {
		const struct tape_op *op = &c->t->ops[back[i]->op];
		int yes = chance(c, op->dir2 != TAPE_NONE ? op->dir2 : op->dir, back[i]->op, 0);

		for (n = 0; i + n < c->nhalves && back[i + n]->op == back[i]->op; n++)
			yes |= back[i + n]->durable || wanted[back[i + n]->cell];
		for (size_t k = 0; k < n; k++) {
			back[i + k]->applied = yes;
			wanted[back[i + k]->cell] = (char)(wanted[back[i + k]->cell] | yes);
		}
	}
}

static int
names_decide(struct crash *c)
{
	struct half **back;
	char *wanted;
	uint32_t cell = 0;
	int rc = -1;

	halves_gather(c);
	back = calloc(c->nhalves + 1, sizeof(*back));
	wanted = calloc(c->nhalves + 1, 1);
	if (back == NULL || wanted == NULL)
		goto done;
	if (c->nhalves > 1)
		qsort(c->halves, c->nhalves, sizeof(*c->halves), half_order);
	for (size_t i = 0; i < c->nhalves; i++) {
		if (i > 0 && !same_name(&c->halves[i - 1], &c->halves[i]))
			cell++;
		c->halves[i].cell = cell;
	}
	if (crash_mix(c->seed, 5, 5) >> 13 & 1)
		apply_split(c);
	else
		apply_whole(c, back, wanted);
	rc = 0;
done:
	free(back);
	free(wanted);
	return rc == 0 ? 0 : err_errno(c->e, "decide on names");
}

/* ---- making ---- */

static int make_dir(struct crash *c, uint32_t dir, int dirfd, const char *path);

static mode_t
mode_of(const struct crash *c, uint32_t node)
{
	mode_t mode = c->t->nodes[node].mode & 07777;

	for (size_t k = c->first[node]; k < c->first[node + 1]; k++) {
		size_t i = c->list[k];

		if (c->t->ops[i].what == TAPE_CHMOD &&
		    (i < c->synced[node] || crash_mix(c->seed, i, 77) >> 9 & 1))
			mode = c->t->ops[i].mode;
	}
	return mode;
}

static int
make_file(struct crash *c, uint32_t node, int dirfd, const char *path)
{
	const struct crash_file f = { .t = c->t, .node = node, .seed = c->seed,
		.synced = c->synced[node], .list = c->list + c->first[node],
		.n = c->first[node + 1] - c->first[node] };
	int rc, fd = openat(dirfd, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd == -1)
		return err_errno(c->e, "make %s", path);
	if ((rc = crash_file_fill(&f, fd)) != 0 || (rc = fchmod(fd, mode_of(c, node))) != 0)
		(void)err_errno(c->e, "fill %s", path);
	(void)close(fd);
	return rc;
}

static int
make_node(struct crash *c, uint32_t node, int dirfd, const char *path)
{
	const struct tape_node *n = &c->t->nodes[node];
	int rc;

	if (c->made[node] != NULL) {
		if (S_ISDIR(n->mode))	/* never two names: the first is as good as the other */
			return 0;
		rc = linkat(dirfd, c->made[node], dirfd, path, 0);
		return rc == 0 ? 0 : err_errno(c->e, "link %s", path);
	}
	if ((c->made[node] = strdup(path)) == NULL)
		return err_errno(c->e, "make %s", path);
	if (S_ISREG(n->mode))
		return make_file(c, node, dirfd, path);
	if (S_ISDIR(n->mode))
		rc = mkdirat(dirfd, path, 0700);
	else if (S_ISLNK(n->mode))
		rc = symlinkat(n->target, dirfd, path);
	else
		rc = mknodat(dirfd, path, n->mode, n->rdev);
	if (rc != 0)
		return err_errno(c->e, "make %s", path);
	return S_ISDIR(n->mode) ? make_dir(c, node, dirfd, path) : 0;
}

static size_t
first_half(const struct crash *c, uint32_t dir)
{
	size_t low = 0, high = c->nhalves;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (c->halves[mid].dir < dir)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Make what the directory ${dir} holds under ${path} ("" for the root). */
static int
make_dir(struct crash *c, uint32_t dir, int dirfd, const char *path)
{
	size_t i = first_half(c, dir), next;

	for (; i < c->nhalves && c->halves[i].dir == dir; i = next) {
		uint32_t node = TAPE_NONE;
		char *below;
		int rc;

		for (next = i; next < c->nhalves && c->halves[next].cell == c->halves[i].cell; next++)
			if (c->halves[next].applied)
				node = c->halves[next].node;
		if (node == TAPE_NONE)
			continue;
		if (asprintf(&below, "%s%s%s", path, path[0] == '\0' ? "" : "/",
		    c->halves[i].name) == -1)
			return err_errno(c->e, "make a path");
		rc = make_node(c, node, dirfd, below);
		free(below);
		if (rc != 0)
			return -1;
	}
	return 0;
}

/* For each node its operations in order, but for those on names. */
static void
list_fill(struct crash *c)
{
	size_t sum = 0;

	for (size_t i = 0; i < c->end; i++)
		if (c->t->ops[i].what >= TAPE_WRITE)
			c->first[c->t->ops[i].node + 1]++;
	for (size_t n = 0; n <= c->t->nnodes; n++) {
		sum += c->first[n];
		c->first[n] = sum;
	}
	/* first[n + 1] is the end of node n; fill from behind, then it is its beginning. */
	for (size_t i = c->end; i-- > 0;)
		if (c->t->ops[i].what >= TAPE_WRITE)
			c->list[--c->first[c->t->ops[i].node + 1]] = i;
	memmove(c->first, c->first + 1, c->t->nnodes * sizeof(*c->first));
	c->first[c->t->nnodes] = sum;
}

static void
synced_fill(struct crash *c)
{
	for (size_t n = 0; n < c->t->nnodes; n++)
		c->synced[n] = c->t->base;
	for (size_t i = c->t->base; i < c->end; i++)
		if (c->t->ops[i].what == TAPE_FSYNC)
			c->synced[c->t->ops[i].node] = i + 1;
}

int
crash_make(const struct tape *t, uint64_t cut, uint64_t seed, int dirfd, struct err *e)
{
	struct crash c = { .t = t, .seed = seed, .e = e };
	int rc = -1;

	c.end = t->base + (size_t)(cut < tape_length(t) ? cut : tape_length(t));
	c.synced = calloc(t->nnodes, sizeof(*c.synced));
	c.halves = calloc(c.end * 2 + 1, sizeof(*c.halves));
	c.made = calloc(t->nnodes, sizeof(*c.made));
	c.first = calloc(t->nnodes + 2, sizeof(*c.first));
	c.list = calloc(c.end + 1, sizeof(*c.list));
	if (c.synced == NULL || c.halves == NULL || c.made == NULL || c.first == NULL ||
	    c.list == NULL) {
		(void)err_errno(e, "make a crash state");
		goto done;
	}
	synced_fill(&c);
	list_fill(&c);
	if (names_decide(&c) == 0)
		rc = make_dir(&c, TAPE_ROOT, dirfd, "");
done:
	for (size_t i = 0; c.made != NULL && i < t->nnodes; i++)
		free(c.made[i]);
	free(c.list);
	free(c.first);
	free(c.made);
	free(c.halves);
	free(c.synced);
	return rc == 0 ? 0 : err_during(e, "crash state %" PRIu64 ":%" PRIu64, cut, seed);
}

void
crash_pick(const struct tape *t, uint64_t i, uint64_t n, uint64_t *cut, uint64_t *seed)
{
	uint64_t cuts = tape_length(t) + 1;

	if (n >= cuts) {
		*cut = i % cuts;
		*seed = i / cuts * 8 + (i / cuts + *cut * 3) % 8;
	} else {
		*cut = i * (cuts - 1) / (n > 1 ? n - 1 : 1);
		*seed = crash_mix(i, 3, 3) >> 8;
	}
}

static int
clear_entry(int dirfd, const char *name, struct err *e)
{
	int fd, rc;

	if (unlinkat(dirfd, name, 0) == 0)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_errno(e, "remove %s", name);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return err_errno(e, "remove %s", name);
	rc = crash_clear(fd, e);
	(void)close(fd);
	if (rc == 0 && unlinkat(dirfd, name, AT_REMOVEDIR) != 0)
		rc = err_errno(e, "remove %s", name);
	return rc;
}

int
crash_clear(int dirfd, struct err *e)
{
	int rc = 0, fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (d == NULL) {
		if (fd != -1)
			(void)close(fd);
		return err_errno(e, "clear a directory");
	}
	while (rc == 0 && (entry = readdir(d)) != NULL) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			rc = clear_entry(dirfd, entry->d_name, e);
	}
	(void)closedir(d);
	return rc;
}
