#include "common/flow/small_known.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/chunk/codec.h"
#include "formats/fmt.h"

/*
 * File: "SAMSMAL\n" | version u16 = 1 | zero u16 | zero u32, then rows by rising
 * key: key 16 | bundle id 32 | offset u32 | length u32 | XXH3-64 of all that.
 */
#define HEAD_LEN	16u
#define ROW_LEN		64u
#define ROW_SUMMED	56u
#define READ_ROWS	64u		/* around where a key should be */
#define MERGE_ROWS	512u		/* of each run at a time */

static const uint8_t known_head[HEAD_LEN] = { 'S', 'A', 'M', 'S', 'M', 'A', 'L', '\n', 1 };

typedef uint8_t row[ROW_LEN];

struct small_known {
	int dirfd, fd;			/* fd: loaded, the table; filled, the runs; -1: none */
	uint64_t n;			/* loaded: rows; filled: rows in runs */
	row *rows;			/* being filled */
	size_t have, cap;
	uint64_t *run;			/* where each begins */
	size_t runs;
};

struct small_known *
small_known_new(int dirfd, size_t memory)
{
	struct small_known *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return NULL;
	k->dirfd = dirfd;
	k->fd = -1;
	k->cap = memory / ROW_LEN > 2 ? memory / ROW_LEN : 2;
	if ((k->rows = malloc(k->cap * ROW_LEN)) == NULL) {
		free(k);
		return NULL;
	}
	return k;
}

struct small_known *
small_known_load(int dirfd, const char *name)
{
	struct small_known *k = calloc(1, sizeof(*k));
	uint8_t head[HEAD_LEN];
	struct stat st;

	if (k == NULL)
		return NULL;
	k->fd = io->open(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
	if (k->fd == -1)
		return k;
	if (io->fstat(k->fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_size - (off_t)HEAD_LEN) % (off_t)ROW_LEN == 0 &&
	    io_read_full(k->fd, head, HEAD_LEN, 0) == (ssize_t)HEAD_LEN && memcmp(head, known_head, HEAD_LEN) == 0)
		k->n = (uint64_t)(st.st_size - (off_t)HEAD_LEN) / ROW_LEN;
	return k;
}

void
small_known_free(struct small_known *k)
{
	if (k == NULL)
		return;
	if (k->fd != -1)
		(void)io->close(k->fd);
	free(k->rows);
	free(k->run);
	free(k);
}

static int
by_key(const void *a, const void *b)
{
	return memcmp(a, b, ROW_SUMMED);
}

/* A file without a name, for the runs. */
static int
runs_open(struct small_known *k, struct err *e)
{
	char name[40];
	uint64_t number;

	io_random(&number, sizeof(number));
	(void)snprintf(name, sizeof(name), "small-%016llx.tmp", (unsigned long long)number);
	k->fd = io->open(k->dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (k->fd == -1)
		return err_errno(e, "create %s", name);
	if (io->unlinkat(k->dirfd, name, 0) != 0)
		return err_errno(e, "unlink %s", name);
	return 0;
}

/* What is in memory becomes a run. */
static int
spill(struct small_known *k, struct err *e)
{
	uint64_t *more;

	if (k->have == 0)
		return 0;
	if (k->fd == -1 && runs_open(k, e) != 0)
		return -1;
	if ((more = realloc(k->run, (k->runs + 1) * sizeof(*more))) == NULL)
		return err_errno(e, "table of small files");
	k->run = more;
	qsort(k->rows, k->have, ROW_LEN, by_key);
	if (io_write_full(k->fd, k->rows, k->have * ROW_LEN, (off_t)(k->n * ROW_LEN)) != 0)
		return err_errno(e, "write the table of small files");
	k->run[k->runs++] = k->n;
	k->n += k->have;
	k->have = 0;
	return 0;
}

int
small_known_add(struct small_known *k, const uint8_t key[SMALL_KEY_LEN], const struct extent *x, struct err *e)
{
	uint8_t *r;

	if (x->offset > UINT32_MAX || x->len > UINT32_MAX)
		return 0;
	if (k->have == k->cap && spill(k, e) != 0)
		return -1;
	r = k->rows[k->have++];
	memcpy(r, key, SMALL_KEY_LEN);
	memcpy(r + 16, x->id, DIGEST_LEN);
	le32_put(r + 48, (uint32_t)x->offset);
	le32_put(r + 52, (uint32_t)x->len);
	le64_put(r + ROW_SUMMED, checksum(r, ROW_SUMMED));
	return 0;
}

static bool
row_is_whole(const uint8_t *r)
{
	return le64_get(r + ROW_SUMMED) == checksum(r, ROW_SUMMED);
}

/* Rows from ${at} on, as many as there are up to ${n}. */
static size_t
rows_read(const struct small_known *k, uint64_t at, row *rows, size_t n)
{
	size_t want = k->n - at < n ? (size_t)(k->n - at) : n;

	return io_read_full(k->fd, rows, want * ROW_LEN, (off_t)(HEAD_LEN + at * ROW_LEN)) == (ssize_t)(want * ROW_LEN) ? want : 0;
}

/* Where the row of a key should be: they are spread evenly. */
static uint64_t
row_guess(const struct small_known *k, const uint8_t *key)
{
	uint64_t lead = (uint64_t)key[0] << 24 | (uint64_t)key[1] << 16 | (uint64_t)key[2] << 8 | key[3];
	uint64_t at = k->n < UINT32_MAX ? lead * k->n >> 32 : (lead >> 8) * (k->n >> 24);

	return at > READ_ROWS / 2 ? at - READ_ROWS / 2 : 0;
}

bool
small_known_find(const struct small_known *k, const uint8_t key[SMALL_KEY_LEN], struct extent *x)
{
	uint64_t low = 0, high = k->n, at = row_guess(k, key);
	row rows[READ_ROWS];
	size_t got, i;

	for (; low < high; at = low + (high - low) / 2) {
		if ((got = rows_read(k, at, rows, READ_ROWS)) == 0)
			return false;
		for (i = 0; i < got && memcmp(rows[i], key, SMALL_KEY_LEN) < 0; i++)
			;
		if (i == 0 && memcmp(rows[0], key, SMALL_KEY_LEN) != 0) {
			high = at;
		} else if (i == got) {
			low = at + got;
		} else {
			if (memcmp(rows[i], key, SMALL_KEY_LEN) != 0 || !row_is_whole(rows[i]))
				return false;
			memset(x, 0, sizeof(*x));
			memcpy(x->id, rows[i] + SMALL_KEY_LEN, DIGEST_LEN);
			x->offset = le32_get(rows[i] + 48);
			x->len = le32_get(rows[i] + 52);
			return true;
		}
	}
	return false;
}

/* --- writing it down --- */

/* A sorted stretch of rows that is merged with others. */
struct merged {
	int fd;
	uint64_t at, end;		/* rows not yet in memory, in bytes of the file */
	row *rows;
	size_t i, have;
};

/* The next row of a stretch; NULL at its end.  What cannot be read ends it too: it is a hint. */
static const uint8_t *
merged_head(struct merged *m)
{
	uint64_t left = m->end - m->at;
	size_t want = left < MERGE_ROWS * ROW_LEN ? (size_t)left : MERGE_ROWS * ROW_LEN;

	if (m->i < m->have)
		return m->rows[m->i];
	if (want == 0 || io_read_full(m->fd, m->rows, want, (off_t)m->at) != (ssize_t)want)
		return NULL;
	m->at += want;
	m->have = want / ROW_LEN;
	m->i = 0;
	return m->rows[0];
}

/* The stretch with the lowest row; NULL: all are at their end.  Earlier ones go first. */
static struct merged *
merged_lowest(struct merged *m, size_t n)
{
	struct merged *lowest = NULL;
	const uint8_t *p, *best = NULL;

	for (size_t i = 0; i < n; i++)
		if ((p = merged_head(&m[i])) != NULL && (best == NULL || memcmp(p, best, SMALL_KEY_LEN) < 0)) {
			best = p;
			lowest = &m[i];
		}
	return lowest;
}

/* The file being written. */
struct table_out {
	int fd;
	uint64_t at;
	row *rows;
	size_t have;
};

static int
table_flush(struct table_out *o, struct err *e)
{
	if (io_write_full(o->fd, o->rows, o->have * ROW_LEN, (off_t)o->at) != 0)
		return err_errno(e, "write the table of small files");
	o->at += o->have * ROW_LEN;
	o->have = 0;
	return 0;
}

static int
table_merge(struct table_out *o, struct merged *m, size_t n, const struct merged *base,
    bool (*keep)(void *arg, const uint8_t id[DIGEST_LEN]), void *arg, struct err *e)
{
	uint8_t last[SMALL_KEY_LEN];
	struct merged *from;
	bool any = false;

	while ((from = merged_lowest(m, n)) != NULL) {
		const uint8_t *r = from->rows[from->i++];

		if (!row_is_whole(r) || (any && memcmp(last, r, SMALL_KEY_LEN) == 0) ||
		    (from == base && !keep(arg, r + SMALL_KEY_LEN)))
			continue;
		memcpy(last, r, SMALL_KEY_LEN);
		any = true;
		memcpy(o->rows[o->have++], r, ROW_LEN);
		if (o->have == MERGE_ROWS && table_flush(o, e) != 0)
			return -1;
	}
	return table_flush(o, e);
}

/* Merge the runs of ${k} and the table ${base} into the open, empty file ${fd}. */
static int
table_write(struct small_known *k, const struct small_known *base,
    bool (*keep)(void *arg, const uint8_t id[DIGEST_LEN]), void *arg, int fd, struct err *e)
{
	size_t n = k->runs + (base != NULL);
	struct table_out o = { .fd = fd, .at = HEAD_LEN };
	struct merged *m = calloc(n + 1, sizeof(*m));
	row *rows = malloc((n + 1) * MERGE_ROWS * ROW_LEN);
	int rc = -1;

	if (m == NULL || rows == NULL) {
		err_errno(e, "table of small files");
		goto done;
	}
	for (size_t i = 0; i < n; i++)
		m[i].rows = rows + i * MERGE_ROWS;
	for (size_t i = 0; i < k->runs; i++) {
		m[i].fd = k->fd;
		m[i].at = k->run[i] * ROW_LEN;
		m[i].end = (i + 1 < k->runs ? k->run[i + 1] : k->n) * ROW_LEN;
	}
	if (base != NULL && base->n > 0)
		m[k->runs] = (struct merged){ .fd = base->fd, .at = HEAD_LEN, .end = HEAD_LEN + base->n * ROW_LEN, .rows = m[k->runs].rows };
	o.rows = rows + n * MERGE_ROWS;
	if (io_write_full(fd, known_head, HEAD_LEN, 0) != 0)
		err_errno(e, "write the table of small files");
	else
		rc = table_merge(&o, m, n, base != NULL ? &m[k->runs] : NULL, keep, arg, e);
done:
	free(m);
	free(rows);
	return rc;
}

int
small_known_save(struct small_known *k, const struct small_known *base,
    bool (*keep)(void *arg, const uint8_t id[DIGEST_LEN]), void *arg, int dirfd, const char *name, struct err *e)
{
	char temp[80];
	int fd, rc;

	if (spill(k, e) != 0)
		return -1;
	free(k->rows);
	k->rows = NULL;
	k->cap = 0;
	(void)snprintf(temp, sizeof(temp), "%.64s.tmp", name);
	fd = io->open(dirfd, temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1)
		return err_errno(e, "create %s", temp);
	rc = table_write(k, base, keep, arg, fd, e);
	if (rc == 0 && io->fsync(fd) != 0)
		rc = err_errno(e, "sync %s", temp);
	(void)io->close(fd);
	if (rc == 0 && io->renameat2(dirfd, temp, dirfd, name, 0) != 0)
		rc = err_errno(e, "rename %s", temp);
	if (rc != 0) {
		(void)io->unlinkat(dirfd, temp, 0);
		return -1;
	}
	return dir_sync(dirfd, NULL, e);
}
