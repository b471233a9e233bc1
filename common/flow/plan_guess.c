#include "common/flow/plan_guess.h"

#include <stdlib.h>

#define SURE		2.6	/* standard errors on either side: 99 in 100 */
#define EDGES		0.015	/* pieces and runs end where a build goes on */
#define UNSEEN		4.6	/* pairs of classes that chance may have hidden altogether */
#define SURELY_MANY	4u	/* seen so often, a chunk is not one of a few copies */

/* What chunks that came in several classes say. */
struct shared {
	double stored;		/* of all different chunks */
	double again;		/* of copies beyond the first: saved within the sample */
	double pairs;		/* of pairs among those seen twice or three times */
	double often;		/* of those seen more often ... */
	double often_again;	/* ... each time */
	size_t meetings;	/* pairs of classes that share something */
};

double
plan_root(double v)
{
	double x = v > 1 ? v : 1;

	for (int i = 0; i < 200 && x * x - v > v * 1e-12; i++)
		x = (x + v / x) / 2;
	return v <= 0 ? 0 : x;
}

static int
by_id(const void *a, const void *b)
{
	const struct plan_chunk *x = a, *y = b;

	if (x->id != y->id)
		return (x->id > y->id) - (x->id < y->id);
	return (x->class > y->class) - (x->class < y->class);
}

static int
by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* One id: its ${n} rows.  A chunk counts once in each class. */
static void
id_count(struct plan_class *classes, const struct plan_chunk *c, size_t n, struct shared *s, uint64_t *met)
{
	size_t g = 0;

	for (size_t i = 0; i < n; i++) {
		if (i > 0 && c[i].class == c[i - 1].class)
			continue;
		classes[c[i].class].stored += c[i].cost;
		g++;
	}
	s->stored += c->cost;
	if (g < 2)
		return;
	s->again += (double)(g - 1) * c->cost;
	if (g < SURELY_MANY) {
		s->pairs += (double)(g * (g - 1) / 2) * c->cost;
	} else {
		s->often += c->cost;
		s->often_again += (double)g * c->cost;
	}
	met[s->meetings++] = (uint64_t)c[0].class << 32 | c[n - 1].class;
}

static int
shared_count(struct plan_class *classes, struct plan_chunk *chunks, size_t m, struct shared *s)
{
	uint64_t *met = malloc((m + 1) * sizeof(*met));
	size_t end, kept = 0;

	if (met == NULL)
		return -1;
	if (m > 0)
		qsort(chunks, m, sizeof(*chunks), by_id);
	for (size_t i = 0; i < m; i = end) {
		for (end = i + 1; end < m && chunks[end].id == chunks[i].id; end++)
			;
		id_count(classes, chunks + i, end - i, s, met);
	}
	qsort(met, s->meetings, sizeof(*met), by_value);
	for (size_t i = 0; i < s->meetings; i++)
		if (i == 0 || met[i] != met[i - 1])
			kept++;
	s->meetings = kept;
	free(met);
	return 0;
}

/* The standard error of stored / bytes over classes of unequal size (ratio estimate). */
static double
ratio_error(const struct plan_class *c, size_t n, double ratio, double bytes)
{
	double sum = 0;

	if (n < 2 || bytes == 0)
		return 1;
	for (size_t i = 0; i < n; i++) {
		double d = (double)c[i].stored - ratio * (double)c[i].bytes;

		sum += d * d;
	}
	return plan_root(sum * (double)n / (double)(n - 1)) / bytes;
}

int
plan_guess(struct plan_class *classes, size_t n, struct plan_chunk *chunks, size_t m, uint64_t total, int all,
    struct plan_range *out)
{
	struct shared s = { 0 };
	double bytes = 0, stored = 0, part, left, ratio, error, few, less, more, noise, meetings, low, high;

	for (size_t i = 0; i < n; i++)
		classes[i].stored = 0;
	if (shared_count(classes, chunks, m, &s) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		bytes += (double)classes[i].bytes;
		stored += (double)classes[i].stored;
	}
	if (bytes == 0) {
		*out = (struct plan_range){ 0, total };
		return 0;
	}
	part = all || bytes > (double)total ? 1 : bytes / (double)total;
	left = 1 - part;
	ratio = stored / bytes;
	few = n > 1 ? 1 + 6.0 / (double)(n - 1) : 1;
	error = all ? 0 : SURE * few * ratio_error(classes, n, ratio, bytes) * plan_root(left);
	/* What the rest shares: at least as large a part as here, at most what the pairs stand for. */
	meetings = (double)s.meetings;
	noise = s.meetings > 0 ? SURE * left / plan_root(meetings) : 0;
	less = s.again / part * (noise < 1 ? 1 - noise : 0);
	/* Rare events: seen k times, k + 2.6 sqrt(k + 1) + 2 may have been due (none seen: 4.6). */
	noise = s.meetings > 0 ? left * (SURE * plan_root(meetings + 1) + 2) / meetings : 0;
	more = s.pairs / part / part * (1 + noise) + s.often_again / part - s.often;
	if (s.meetings < 3)
		more += UNSEEN * stored / (double)n * left / part / part;
	low = (ratio - error) * (double)total - more;
	high = (ratio + error) * (double)total - less;
	if (low < s.stored)
		low = s.stored;		/* what was seen is there */
	low *= 1 - EDGES;
	high *= 1 + EDGES;
	if (high > (double)total * 1.02)
		high = (double)total * 1.02;
	if (high < low)
		high = low;
	out->low = (uint64_t)low;
	out->high = (uint64_t)high;
	return 0;
}
