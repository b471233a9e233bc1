/* Choosing: which pieces of the source are read. */

#include "common/flow/plan_sample.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/chunk/codec.h"
#include "common/flow/plan_unit.h"

#define RUN_BYTES	(UINT64_C(1) << 20)
#define RUN_FILES	512u

static uint64_t
key_of(const struct plan_sample *s, uint64_t a, uint64_t b)
{
	uint64_t words[2] = { a, b };

	return checksum_seeded(words, sizeof(words), s->o->seed);
}

static bool
is_before(const struct plan_unit *a, const struct plan_unit *b)
{
	return a->key != b->key ? a->key < b->key : a->sub < b->sub;
}

static void
heap_down(struct plan_sample *s, size_t i)
{
	struct plan_unit *u = s->unit[i];
	size_t child;

	for (; (child = 2 * i + 1) < s->n; i = child) {
		if (child + 1 < s->n && is_before(s->unit[child], s->unit[child + 1]))
			child++;
		if (!is_before(u, s->unit[child]))
			break;
		s->unit[i] = s->unit[child];
	}
	s->unit[i] = u;
}

static size_t
unit_memory(const struct plan_unit *u)
{
	return sizeof(*u) + u->rows_len + 2 * sizeof(void *) + 16;
}

/* Drop the highest keys until what is left has room. */
static void
heap_trim(struct plan_sample *s)
{
	while (s->n > 1 && s->used > s->most) {
		struct plan_unit *u = s->unit[0];

		s->used -= unit_memory(u);
		s->limit_key = u->key;
		s->limit_sub = u->sub;
		s->limited = true;
		free(u);
		s->unit[0] = s->unit[--s->n];
		heap_down(s, 0);
	}
}

static int
heap_put(struct plan_sample *s, struct plan_unit *u, struct err *e)
{
	struct plan_unit **grown;
	size_t i;

	if (s->n == s->cap) {
		if ((grown = realloc(s->unit, (s->cap + 4096) * sizeof(struct plan_unit *))) == NULL) {
			free(u);
			return err_errno(e, "choose a sample");
		}
		s->unit = grown;
		s->cap += 4096;
	}
	for (i = s->n++; i > 0 && is_before(s->unit[(i - 1) / 2], u); i = (i - 1) / 2)
		s->unit[i] = s->unit[(i - 1) / 2];
	s->unit[i] = u;
	s->used += unit_memory(u);
	heap_trim(s);
	return 0;
}

/* Offer a piece: ${like} with the rows ${dir} [/ ${name}], copied if it is taken. */
static int
offer(struct plan_sample *s, const struct plan_unit *like, struct fmt_view dir, struct fmt_view name, struct err *e)
{
	size_t slash = name.len > 0 && dir.len > 1, len = dir.len + slash + name.len + (name.len > 0);
	struct plan_unit *u;

	if (s->limited && (like->key > s->limit_key || (like->key == s->limit_key && like->sub >= s->limit_sub)))
		return 0;
	if ((u = malloc(sizeof(*u) + len)) == NULL)
		return err_errno(e, "choose a sample");
	*u = *like;
	u->rows_len = (uint32_t)len;
	memcpy(u->rows, dir.p, dir.len);
	if (name.len > 0) {
		if (slash)
			u->rows[dir.len] = '/';
		memcpy(u->rows + dir.len + slash, name.p, name.len);
		u->rows[len - 1] = '\0';
	}
	return heap_put(s, u, e);
}

/* --- runs of small files --- */

static int
run_end(struct plan_sample *s, struct err *e)
{
	struct plan_unit u = { .small = true, .bytes = s->run_bytes };
	int rc = 0;

	if (s->run_files > 0) {
		u.key = key_of(s, s->run_bytes << 1 | 1, s->run_files);
		u.sub = checksum_seeded(s->run.p, s->run.len, s->o->seed);
		rc = buf_check(&s->run, e);
		if (rc == 0)
			rc = offer(s, &u, view_of(s->run.p, s->run.len), view_of(NULL, 0), e);
	}
	buf_reset(&s->run);
	s->run_bytes = s->run_files = 0;
	s->run_in_dir = false;
	return rc;
}

/*
 * Runs end at places that do not hang on where the run began, so that equal
 * trees give equal runs: around large directories, and at one in four others
 * by its name.
 */
static int
sample_dir(void *arg, const struct walk_item *it, struct err *e)
{
	struct plan_sample *s = arg;
	bool large = it->small_bytes > s->avg;
	const uint8_t *name = it->path.p + it->path.len;
	int rc = 0;

	while (name > it->path.p && name[-1] != '/')
		name--;
	if (large || s->in_large || (s->run_bytes >= s->avg &&
	    (key_of(s, checksum(name, (size_t)(it->path.p + it->path.len - name)), 3) & 3) == 0))
		rc = run_end(s, e);
	s->in_large = large;
	s->run_in_dir = false;
	return rc;
}

static int
take_small(struct plan_sample *s, const struct walk_item *it, struct err *e)
{
	if (!s->run_in_dir) {
		buf_u8(&s->run, 'D');
		buf_add(&s->run, it->path.p, it->path.len);
		buf_u8(&s->run, 0);
		s->run_in_dir = true;
	}
	buf_u8(&s->run, 'F');
	buf_add(&s->run, it->entry.name.p, it->entry.name.len);
	buf_u8(&s->run, 0);
	s->run_bytes += it->entry.size;
	s->run_files++;
	return s->run_bytes >= RUN_BYTES || s->run_files >= RUN_FILES ? run_end(s, e) : 0;
}

/* --- pieces of big files --- */

static int
take_piece(struct plan_sample *s, const struct walk_item *it, uint64_t offset, uint64_t data, bool sparse, struct err *e)
{
	uint64_t size = it->entry.size, len = size - offset < PLAN_STRETCH ? size - offset : PLAN_STRETCH;
	struct plan_unit u = { .offset = offset, .len = len, .bytes = data, .sparse = sparse };
	uint64_t words[3] = { (uint64_t)it->dev, it->entry.inode, offset };

	u.key = key_of(s, size << 1, offset);
	u.sub = checksum_seeded(words, sizeof(words), s->o->seed);
	return offer(s, &u, it->path, it->entry.name, e);
}

/* Only the stretches with data in them; ${data} is how much that is in each. */
static int
take_sparse(struct plan_sample *s, const struct walk_item *it, struct err *e)
{
	int fd = plan_file_open(walk_dir_fd(it->dir), (const char *)it->entry.name.p, it->entry.name.len), rc = 0;
	uint64_t at = 0, data = 0, end, n;
	struct plan_piece p = { 0, 0 };

	if (fd == -1)
		return 0;
	while (rc == 0 && plan_data_next(fd, p.offset + p.len, it->entry.size, &p) == 1) {
		for (uint64_t from = p.offset; from < p.offset + p.len && rc == 0; from += n) {
			if (from >= at + PLAN_STRETCH) {
				if (data > 0)
					rc = take_piece(s, it, at, data, true, e);
				at = from - from % PLAN_STRETCH;
				data = 0;
			}
			end = p.offset + p.len < at + PLAN_STRETCH ? p.offset + p.len : at + PLAN_STRETCH;
			n = end - from;
			data += n;
		}
	}
	if (rc == 0 && data > 0)
		rc = take_piece(s, it, at, data, true, e);
	(void)io->close(fd);
	return rc;
}

static int
sample_file(void *arg, const struct walk_item *it, uint64_t data, bool sparse, struct err *e)
{
	struct plan_sample *s = arg;
	uint64_t size = it->entry.size;
	int rc = 0;

	(void)data;
	if (size < s->avg / 4)
		return take_small(s, it, e);
	if (sparse)
		return take_sparse(s, it, e);
	for (uint64_t at = 0; at < size && rc == 0; at += PLAN_STRETCH)
		rc = take_piece(s, it, at, size - at < PLAN_STRETCH ? size - at : PLAN_STRETCH, false, e);
	return rc;
}

struct plan_sample *
plan_sample_new(const struct plan_options *o, uint32_t avg, struct err *e)
{
	struct plan_sample *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		(void)err_errno(e, "choose a sample");
		return NULL;
	}
	s->o = o;
	s->avg = avg;
	s->most = o->memory / 4;
	buf_init(&s->run);
	return s;
}

void
plan_sample_free(struct plan_sample *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n; i++)
		free(s->unit[i]);
	free(s->unit);
	buf_release(&s->run);
	free(s);
}

struct plan_visit
plan_sample_visit(struct plan_sample *s)
{
	return (struct plan_visit){ .arg = s, .small_max = s->avg / 4, .small_enough = s->avg + 1,
	    .dir = sample_dir, .file = sample_file };
}

/* The walk is over: the last run, and all in the order of reading. */
static int
by_key(const void *a, const void *b)
{
	const struct plan_unit *x = *(struct plan_unit *const *)a, *y = *(struct plan_unit *const *)b;

	return is_before(y, x) - is_before(x, y);
}

int
plan_sample_settle(struct plan_sample *s, struct err *e)
{
	if (run_end(s, e) != 0)
		return -1;
	if (s->n > 0)
		qsort(s->unit, s->n, sizeof(struct plan_unit *), by_key);
	return 0;
}
