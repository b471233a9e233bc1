#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/pack/id_sort.h"
#include "common/pack/id_sorter.h"

#define RUN_BUFFER_MIN	128u	/* ids of a run in memory while runs are merged, at least: 4 KiB */
#define IDS_MIN		(2 * RUN_BUFFER_MIN)

/* A sorted stretch of the file; while merging, what of it is in memory. */
struct run {
	uint64_t first, count;		/* in the file, counted in ids */
	uint64_t read;			/* ids taken into memory so far */
	uint8_t (*ids)[DIGEST_LEN];
	size_t at, have;
};

struct id_sorter {
	int dirfd, fd;			/* fd: all runs, one behind the other; -1: none yet */
	uint8_t (*ids)[DIGEST_LEN];
	size_t cap, n, at;
	int sorted;			/* ids are in order, no more are added */
	struct run *runs;
	size_t nruns, runs_cap;
	uint64_t spilled;
	uint8_t (*buffers)[DIGEST_LEN];	/* of all runs; NULL: ids serves */
	size_t *heap;			/* runs, the one with the lowest id first */
	size_t heap_n;
	uint8_t last[DIGEST_LEN];
	int any;			/* last is the one given before */
};

struct id_sorter *
id_sorter_new(int dirfd, size_t memory, struct err *e)
{
	struct id_sorter *s = calloc(1, sizeof(*s));

	if (s == NULL)
		goto fail;
	s->dirfd = dirfd;
	s->fd = -1;
	s->cap = memory / DIGEST_LEN > IDS_MIN ? memory / DIGEST_LEN : IDS_MIN;
	if ((s->ids = malloc(s->cap * DIGEST_LEN)) == NULL)
		goto fail;
	return s;
fail:
	err_errno(e, "sort ids in %zu bytes of memory", memory);
	free(s);
	return NULL;
}

void
id_sorter_free(struct id_sorter *s)
{
	if (s == NULL)
		return;
	if (s->fd != -1)
		(void)io->close(s->fd);
	free(s->buffers);
	free(s->heap);
	free(s->runs);
	free(s->ids);
	free(s);
}

/* A file without a name, for all runs. */
static int
spill_file(struct id_sorter *s, struct err *e)
{
	char name[32];
	uint64_t number;

	if (s->fd != -1)
		return 0;
	io_random(&number, sizeof(number));
	(void)snprintf(name, sizeof(name), "ids-%016llx.tmp", (unsigned long long)number);
	s->fd = io->open(s->dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->fd == -1)
		return err_errno(e, "create %s", name);
	if (io->unlinkat(s->dirfd, name, 0) != 0)
		return err_errno(e, "unlink %s", name);
	return 0;
}

/* Sort what is in memory and write it behind the other runs. */
static int
spill(struct id_sorter *s, struct err *e)
{
	struct run *more;

	if (s->n == 0)
		return 0;
	if (s->nruns == s->runs_cap) {
		more = realloc(s->runs, (s->runs_cap + 16) * sizeof(*more));
		if (more == NULL)
			return err_errno(e, "sort ids");
		s->runs = more;
		s->runs_cap += 16;
	}
	id_sort(s->ids, s->n);
	if (spill_file(s, e) != 0)
		return -1;
	if (io_write_full(s->fd, s->ids, s->n * DIGEST_LEN, (off_t)(s->spilled * DIGEST_LEN)) != 0)
		return err_errno(e, "write a run of sorted ids");
	s->runs[s->nruns++] = (struct run){ .first = s->spilled, .count = s->n };
	s->spilled += s->n;
	s->n = 0;
	return 0;
}

int
id_sorter_add(struct id_sorter *s, const uint8_t id[DIGEST_LEN], struct err *e)
{
	if (s->sorted)
		return err_set(e, ERR_INTERNAL, "sort ids: one is added after the last");
	if (s->n == s->cap && spill(s, e) != 0)
		return -1;
	memcpy(s->ids[s->n++], id, DIGEST_LEN);
	return 0;
}

/* The next ids of run ${r} into memory; have = 0 at its end. */
static int
run_fill(struct id_sorter *s, struct run *r, size_t room, struct err *e)
{
	uint64_t left = r->count - r->read;
	size_t want = left < room ? (size_t)left : room;
	ssize_t got;

	r->at = 0;
	r->have = want;
	if (want == 0)
		return 0;
	got = io_read_full(s->fd, r->ids, want * DIGEST_LEN, (off_t)((r->first + r->read) * DIGEST_LEN));
	if (got == -1)
		return err_errno(e, "read a run of sorted ids");
	if ((size_t)got != want * DIGEST_LEN)
		return err_set(e, ERR_IO, "read a run of sorted ids: the file became shorter");
	r->read += want;
	return 0;
}

static size_t
run_room(const struct id_sorter *s)
{
	size_t room = s->cap / s->nruns;

	return room > RUN_BUFFER_MIN ? room : RUN_BUFFER_MIN;
}

static int
run_below(const struct id_sorter *s, size_t a, size_t b)
{
	const struct run *x = &s->runs[a], *y = &s->runs[b];

	return memcmp(x->ids[x->at], y->ids[y->at], DIGEST_LEN) < 0;
}

/* Let the run at place ${i} of the heap sink to where it belongs. */
static void
heap_sink(struct id_sorter *s, size_t i)
{
	size_t low, held;

	for (;;) {
		low = 2 * i + 1;
		if (low >= s->heap_n)
			return;
		if (low + 1 < s->heap_n && run_below(s, s->heap[low + 1], s->heap[low]))
			low++;
		if (!run_below(s, s->heap[low], s->heap[i]))
			return;
		held = s->heap[i];
		s->heap[i] = s->heap[low];
		s->heap[low] = held;
		i = low;
	}
}

/* Memory for merging: the ids' own, or more where there are very many runs. */
static int
merge_memory(struct id_sorter *s, struct err *e)
{
	if (s->heap != NULL)
		return 0;
	if (run_room(s) * s->nruns > s->cap) {
		s->buffers = calloc(s->nruns, RUN_BUFFER_MIN * DIGEST_LEN);
		if (s->buffers == NULL)
			return err_errno(e, "merge %zu runs of ids", s->nruns);
	}
	if ((s->heap = calloc(s->nruns, sizeof(*s->heap))) == NULL)
		return err_errno(e, "merge %zu runs of ids", s->nruns);
	return 0;
}

static int
merge_start(struct id_sorter *s, struct err *e)
{
	uint8_t (*memory)[DIGEST_LEN];
	size_t room = run_room(s);

	if (merge_memory(s, e) != 0)
		return -1;
	memory = s->buffers != NULL ? s->buffers : s->ids;
	s->heap_n = 0;
	for (size_t i = 0; i < s->nruns; i++) {
		s->runs[i].ids = memory + i * room;
		s->runs[i].read = 0;
		if (run_fill(s, &s->runs[i], room, e) != 0)
			return -1;
		s->heap[s->heap_n++] = i;
	}
	for (size_t i = s->heap_n / 2; i > 0; i--)
		heap_sink(s, i - 1);
	return 0;
}

int
id_sorter_rewind(struct id_sorter *s, struct err *e)
{
	s->any = 0;
	s->at = 0;
	if (!s->sorted && s->nruns == 0)
		id_sort(s->ids, s->n);
	else if (!s->sorted && spill(s, e) != 0)
		return -1;
	s->sorted = 1;
	return s->nruns > 0 ? merge_start(s, e) : 0;
}

/* The lowest id of all runs, the same one as often as it stands there. */
static int
merge_next(struct id_sorter *s, uint8_t id[DIGEST_LEN], struct err *e)
{
	struct run *r;

	if (s->heap_n == 0)
		return 0;
	r = &s->runs[s->heap[0]];
	memcpy(id, r->ids[r->at++], DIGEST_LEN);
	if (r->at == r->have && run_fill(s, r, run_room(s), e) != 0)
		return -1;
	if (r->have == 0)
		s->heap[0] = s->heap[--s->heap_n];
	heap_sink(s, 0);
	return 1;
}

int
id_sorter_next(struct id_sorter *s, uint8_t id[DIGEST_LEN], struct err *e)
{
	int rc;

	if (!s->sorted)
		return err_set(e, ERR_INTERNAL, "sort ids: read before the last was added");
	do {
		if (s->nruns > 0)
			rc = merge_next(s, id, e);
		else if ((rc = s->at < s->n) != 0)
			memcpy(id, s->ids[s->at++], DIGEST_LEN);
	} while (rc == 1 && s->any && memcmp(id, s->last, DIGEST_LEN) == 0);
	if (rc == 1) {
		memcpy(s->last, id, DIGEST_LEN);
		s->any = 1;
	}
	return rc;
}
