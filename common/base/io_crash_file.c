#include <errno.h>
#include <unistd.h>

#include "common/base/io_crash_file.h"
#include "common/base/io_tape_log.h"

#define SECTOR	512u

/* How the writes that were not durable came through. */
enum luck {
	LUCK_NOTHING,		/* none */
	LUCK_ALL,		/* all */
	LUCK_LENGTH,		/* the length alone: zeros */
	LUCK_ORDER,		/* all up to some moment */
	LUCK_TORN,		/* all, up to some sector */
	LUCK_HOLE,		/* all but one sector */
	LUCK_SECTORS,		/* each sector for itself */
	LUCK_KINDS,
};

struct fill {
	const struct crash_file *f;
	int fd;
	enum luck luck;
	size_t durable, pending;	/* how many operations are either */
	uint64_t end;			/* no byte at or after this is other than zero */
	uint64_t mark;			/* the moment, or the sector, that luck turns on */
	uint64_t random;
};

static enum luck
luck_of(const struct crash_file *f, uint64_t random)
{
	switch (f->seed % 8) {
	case 0:
	case 1:
		return LUCK_NOTHING;
	case 2:
		return LUCK_ALL;
	case 3:
		return LUCK_LENGTH;
	default:
		return (enum luck)(random % LUCK_KINDS);
	}
}

/* The moment (how many of the pending operations) at which ${sector} was written out. */
static uint64_t
moment(const struct fill *w, uint64_t sector)
{
	switch (w->luck) {
	case LUCK_ALL:
		return w->pending;
	case LUCK_ORDER:
		return w->mark;
	case LUCK_TORN:
		return sector < w->mark ? w->pending : 0;
	case LUCK_HOLE:
		return sector == w->mark ? 0 : w->pending;
	case LUCK_SECTORS:
		return crash_mix(w->random, sector, 1) % (w->pending + 1);
	default:
		return 0;
	}
}

static uint64_t
length_moment(const struct fill *w)
{
	switch (w->luck) {
	case LUCK_NOTHING:
		return 0;
	case LUCK_ORDER:
		return w->mark;
	case LUCK_SECTORS:
		return crash_mix(w->random, 9, 9) % (w->pending + 1);
	default:
		return w->pending;
	}
}

/* Bytes ${from} to ${to} of the file: from ${src}, or zeros if that is NULL. */
static int
put(struct fill *w, const uint8_t *src, uint64_t from, uint64_t to)
{
	static const uint8_t zeros[1 << 16];

	if (src == NULL && to > w->end)
		to = w->end;		/* zeros are there already */
	while (from < to) {
		size_t n = (size_t)(to - from);
		ssize_t done;

		if (src == NULL && n > sizeof(zeros))
			n = sizeof(zeros);
		done = pwrite(w->fd, src == NULL ? zeros : src, n, (off_t)from);
		if (done == -1 && errno == EINTR)
			continue;
		if (done <= 0)
			return -1;
		from += (uint64_t)done;
		src = src == NULL ? NULL : src + done;
	}
	return 0;
}

/* The bytes that ${op} changes, from ${from} to ${to}, and what they become. */
static const uint8_t *
changes(const struct fill *w, const struct tape_op *op, uint64_t *from, uint64_t *to)
{
	*from = *to = 0;
	switch (op->what) {
	case TAPE_WRITE:
		*from = op->off;
		*to = op->off + op->len;
		return w->f->t->bytes + op->spill;
	case TAPE_ZERO:
		*from = op->off;
		*to = op->off + op->len < w->end ? op->off + op->len : w->end;
		return NULL;
	case TAPE_TRUNCATE:		/* what is behind comes back as zeros */
		*from = op->len;
		*to = w->end;
		return NULL;
	default:
		return NULL;
	}
}

/* The ${i}-th pending operation, in those sectors that were written out after it. */
static int
apply_pending(struct fill *w, const struct tape_op *op, size_t i)
{
	uint64_t from, to, at, stop;
	const uint8_t *src = changes(w, op, &from, &to);

	/* A file is cut at once or not at all: length and blocks go in one transaction of the file system's own. */
	if (op->what == TAPE_TRUNCATE)
		return length_moment(w) > i ? put(w, NULL, from, to) : 0;
	for (at = from; at < to; at = stop) {
		uint64_t run = at;	/* join the sectors that come through */

		while (run < to && moment(w, run / SECTOR) > i)
			run = (run / SECTOR + 1) * SECTOR;
		stop = run < to ? (run / SECTOR + 1) * SECTOR : to;
		if (run > to)
			run = to;
		if (run > at && put(w, src == NULL ? NULL : src + (at - from), at, run) != 0)
			return -1;
		if (stop > to)
			stop = to;
	}
	if (op->what == TAPE_WRITE && to > w->end)
		w->end = to;
	return 0;
}

static int
apply_durable(struct fill *w, const struct tape_op *op)
{
	uint64_t from, to;
	const uint8_t *src = changes(w, op, &from, &to);

	if (from < to && put(w, src, from, to) != 0)
		return -1;
	if (op->what == TAPE_WRITE && to > w->end)
		w->end = to;
	return 0;
}

/* The length after the first ${n} operations. */
static uint64_t
length_after(const struct crash_file *f, size_t n)
{
	uint64_t len = 0;

	for (size_t i = 0; i < n; i++) {
		const struct tape_op *op = &f->t->ops[f->list[i]];
		uint64_t reach = op->what == TAPE_WRITE ? op->off + op->len :
		    op->what == TAPE_EXTEND ? op->len : 0;

		if (op->what == TAPE_TRUNCATE)
			len = op->len;
		else if (reach > len)
			len = reach;
	}
	return len;
}

/* A sector among those that the pending operations write. */
static uint64_t
some_sector(const struct fill *w)
{
	const struct crash_file *f = w->f;
	size_t pick = w->durable + (size_t)((w->random >> 24) % w->pending);
	const struct tape_op *op = &f->t->ops[f->list[pick]];
	uint64_t sectors = op->len / SECTOR + 1;

	if (op->what != TAPE_WRITE)
		return 0;
	return op->off / SECTOR + (w->random >> 40) % sectors;
}

int
crash_file_fill(const struct crash_file *f, int fd)
{
	struct fill w = { .f = f, .fd = fd, .random = crash_mix(f->seed, 11, f->node) };

	while (w.durable < f->n && f->list[w.durable] < f->synced)
		w.durable++;
	w.pending = f->n - w.durable;
	w.luck = luck_of(f, w.random >> 3);
	if (w.pending > 0)
		w.mark = w.luck == LUCK_ORDER ? (w.random >> 24) % (w.pending + 1) :
		    some_sector(&w);
	for (size_t i = 0; i < f->n; i++) {
		const struct tape_op *op = &f->t->ops[f->list[i]];
		int rc = i < w.durable ? apply_durable(&w, op) :
		    apply_pending(&w, op, i - w.durable);

		if (rc != 0)
			return -1;
	}
	return ftruncate(fd, (off_t)length_after(f, w.durable + (size_t)length_moment(&w)));
}
