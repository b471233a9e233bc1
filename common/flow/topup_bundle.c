/* Bundles put together again from their files. */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/stop.h"
#include "common/flow/topup_job.h"

struct member {
	size_t which;
	uint32_t offset, len;
	char *path;
};

struct topup_bundles {
	struct member *m;
	size_t n, cap;
};

struct topup_bundles *
topup_bundles_new(struct err *e)
{
	struct topup_bundles *b = calloc(1, sizeof(*b));

	if (b == NULL)
		(void)err_errno(e, "bundles");
	return b;
}

void
topup_bundles_free(struct topup_bundles *b)
{
	if (b == NULL)
		return;
	for (size_t i = 0; i < b->n; i++)
		free(b->m[i].path);
	free(b->m);
	free(b);
}

int
topup_bundles_add(struct topup_bundles *b, size_t which, const struct topup_file *f, const struct extent *x, struct err *e)
{
	char path[TOPUP_PATH_MAX];
	struct member *m;

	if (!topup_path(path, f->dir, f->en->name) || x->len > CHUNK_PLAIN_MAX)
		return 0;		/* it cannot be opened by that name: the bundle will have a hole */
	if (b->n == b->cap) {
		size_t cap = b->cap * 2 + 256;

		if ((m = realloc(b->m, cap * sizeof(*m))) == NULL)
			return err_errno(e, "bundles");
		b->m = m;
		b->cap = cap;
	}
	m = &b->m[b->n];
	*m = (struct member){ which, x->offset, (uint32_t)x->len, strdup(path) };
	if (m->path == NULL)
		return err_errno(e, "bundles");
	b->n++;
	return 0;
}

static int
member_order(const void *a, const void *b)
{
	const struct member *x = a, *y = b;

	if (x->which != y->which)
		return x->which < y->which ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* The file's bytes to ${out}: true if it has exactly as many as it had. */
static bool
member_read(const struct member *m, uint8_t *out)
{
	int fd = topup_open(m->path);
	struct stat st;
	bool same;

	if (fd == -1)
		return false;
	same = io->fstat(fd, &st) == 0 && st.st_size == (off_t)m->len &&
	    io_read_full(fd, out, m->len, 0) == (ssize_t)m->len;
	(void)io->close(fd);
	return same;
}

/* The ${n} files of one chunk, by offsets: 0 whatever came of it, -1. */
static int
bundle_make(struct topup *t, const struct member *m, size_t n, struct err *e)
{
	size_t have = 0;

	for (size_t i = 0; i < n; i++) {
		if (i > 0 && m[i].offset == m[i - 1].offset)
			continue;	/* another name of the same file */
		if (m[i].offset != have || m[i].len > CHUNK_PLAIN_MAX - have || !member_read(&m[i], t->plain + have))
			return 0;
		have += m[i].len;
	}
	return topup_offer(t, KIND_BUNDLE, t->plain, have, e) == -1 ? -1 : stop_check(e);
}

int
topup_bundles_make(struct topup_bundles *b, struct topup *t, struct err *e)
{
	size_t from = 0;
	int rc = 0;

	if (b->n > 0)
		qsort(b->m, b->n, sizeof(*b->m), member_order);
	for (size_t i = 1; i <= b->n && rc == 0; i++) {
		if (i < b->n && b->m[i].which == b->m[from].which)
			continue;
		if (topup_ids_wanted(t->want, b->m[from].which))
			rc = bundle_make(t, b->m + from, i - from, e);
		from = i;
	}
	return rc;
}
