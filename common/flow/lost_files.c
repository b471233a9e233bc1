#include "common/flow/lost_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/crypto/sign.h"
#include "common/flow/job.h"
#include "formats/fmt_pledge.h"

#define DIR_NAME	"givenup"
#define SUFFIX		".files"

void
lost_files_init(struct lost_files *l)
{
	buf_init(&l->text);
}

void
lost_files_release(struct lost_files *l)
{
	buf_release(&l->text);
}

void
lost_files_add(struct lost_files *l, uint64_t seq, struct fmt_view dir, struct fmt_view name)
{
	char safe_dir[4096], safe_name[NAME_LEN_MAX * 4 + 4];

	if (l->text.len >= LOST_FILES_MAX)
		return;
	if (name.len == 0)
		buf_print(&l->text, "%llu\t\n", (unsigned long long)seq);
	else
		buf_print(&l->text, "%llu\t%s%s%s\n", (unsigned long long)seq,
		    text_safe(safe_dir, sizeof(safe_dir), (const char *)dir.p, dir.len), dir.len > 1 ? "/" : "",
		    text_safe(safe_name, sizeof(safe_name), (const char *)name.p, name.len));
}

/* A line: the snapshot and what follows.  Where the next begins, or NULL at the end. */
static const char *
line_next(const char *at, const char *end, uint64_t *seq, const char **path, size_t *len)
{
	const char *stop = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;

	if (stop == NULL)
		return NULL;
	for (*seq = 0; at < stop && *at >= '0' && *at <= '9'; at++)
		*seq = *seq * 10 + (uint64_t)(*at - '0');
	*path = at < stop ? at + 1 : stop;
	*len = (size_t)(stop - *path);
	return stop + 1;
}

void
lost_files_say(const struct lost_files *l, struct job *job)
{
	const char *at = (const char *)l->text.p, *end = at + l->text.len, *path;
	char line[8320];
	uint64_t seq;
	size_t len;

	while ((at = line_next(at, end, &seq, &path, &len)) != NULL) {
		if (len > 0)
			(void)snprintf(line, sizeof(line), "snapshot %llu: %.*s is not as it was", (unsigned long long)seq, (int)len, path);
		else
			(void)snprintf(line, sizeof(line), "snapshot %llu: parts of its listing cannot be made again",
			    (unsigned long long)seq);
		say_warn("%s", line);
		if (job != NULL)
			job_warn(job, "%s", line);
	}
}

int
lost_files_save(const struct lost_files *l, struct state *s, const char *name, struct err *e)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "%.48s" SUFFIX, name);
	return buf_check(&l->text, e) != 0 ? -1 : file_replace(s->fd, path, l->text.p, l->text.len, 0600, e);
}

/* --- what is known of them later --- */

/* Told of each snapshot and how many of its files a list names, in the order of the list. */
typedef int (*count_fn)(void *arg, uint64_t seq, uint64_t files);

static int
list_counts(struct state *s, const char *path, count_fn fn, void *arg, struct err *e)
{
	const char *at, *end, *name;
	uint64_t seq, last = 0, n = 0;
	uint8_t *bytes;
	size_t len, size;
	int rc = 0;

	if (file_read(s->fd, path, LOST_FILES_MAX + 16384, &bytes, &size, e) != 0)
		return -1;
	end = (const char *)bytes + size;
	for (at = (const char *)bytes; rc == 0 && (at = line_next(at, end, &seq, &name, &len)) != NULL; n += len > 0) {
		if (seq != last && n > 0)
			rc = fn(arg, last, n);
		n = seq != last ? 0 : n;
		last = seq;
	}
	if (rc == 0 && n > 0)
		rc = fn(arg, last, n);
	free(bytes);
	return rc == 0 ? 0 : err_set(e, ERR_MEMORY, "no memory for files that are lost");
}

struct counting {
	uint64_t seq, n;
};

static int
count_one(void *arg, uint64_t seq, uint64_t files)
{
	struct counting *c = arg;

	c->n += seq == c->seq ? files : 0;
	return 0;
}

int
lost_files_count(struct state *s, uint64_t seq, uint64_t *n, struct err *e)
{
	struct counting c = { .seq = seq };
	char **names, path[64];
	struct err mine;
	size_t count;
	int rc = 0;

	*n = 0;
	err_clear(&mine);
	if (dir_list(s->fd, DIR_NAME, &names, &count, &mine) != 0)
		return mine.code == ERR_NOT_FOUND ? 0 : err_set(e, mine.code, "%s", mine.msg);
	for (size_t i = 0; i < count && rc == 0; i++)
		if (strlen(names[i]) == 14 && strcmp(names[i] + 8, SUFFIX) == 0) {
			(void)snprintf(path, sizeof(path), DIR_NAME "/%.14s", names[i]);
			rc = list_counts(s, path, count_one, &c, e);
		}
	dir_list_free(names, count);
	*n = c.n;
	return rc;
}

/* --- what the vault hears --- */

struct rows {
	struct files_lost_row *row;
	size_t n, cap;
};

static int
row_add(void *arg, uint64_t seq, uint64_t files)
{
	struct rows *r = arg;

	if (r->n == r->cap) {
		struct files_lost_row *more = realloc(r->row, (r->cap * 2 + 64) * sizeof(*more));

		if (more == NULL)
			return -1;
		r->row = more;
		r->cap = r->cap * 2 + 64;
	}
	r->row[r->n++] = (struct files_lost_row){ seq, files };
	return 0;
}

static int
row_order(const void *a, const void *b)
{
	const struct files_lost_row *x = a, *y = b;

	return (x->seq > y->seq) - (x->seq < y->seq);
}

/* Each snapshot once, by its number; the newest where there are more than a statement has room for. */
static void
rows_settle(struct rows *r)
{
	size_t m = 0;

	qsort(r->row, r->n, sizeof(*r->row), row_order);
	for (size_t i = 0; i < r->n; i++) {
		if (m > 0 && r->row[m - 1].seq == r->row[i].seq)
			r->row[m - 1].files += r->row[i].files;
		else
			r->row[m++] = r->row[i];
	}
	r->n = m;
	if (m > FILES_LOST_ROWS_MAX) {
		r->n = FILES_LOST_ROWS_MAX;
		memmove(r->row, r->row + (m - r->n), r->n * sizeof(*r->row));
	}
}

static int
statement_put(struct state *s, uint32_t number, const struct rows *r, struct buf *out, struct err *e)
{
	struct files_lost l = { .number = number, .time = io_now_ns() };
	uint8_t *list = malloc(r->n * FILES_LOST_ROW_LEN);
	struct wr w = { .p = list, .left = r->n * FILES_LOST_ROW_LEN };
	int rc;

	if (list == NULL)
		return err_set(e, ERR_MEMORY, "no memory for files that are lost");
	for (size_t i = 0; i < r->n; i++)
		element_put(files_lost_row_fields, files_lost_row_nfields, &w, &r->row[i]);
	memcpy(l.vault_id, s->trust.vault_id, ID_LEN);
	memcpy(l.machine_id, s->id.machine_id, ID_LEN);
	l.rows = (struct fmt_view){ list, (uint32_t)(r->n * FILES_LOST_ROW_LEN) };
	rc = statement_make(&files_lost_schema, &l, s->sign_secret, out, e);
	free(list);
	return rc;
}

int
lost_files_statement(struct state *s, uint32_t number, struct buf *out, struct err *e)
{
	struct rows r = { .n = 0 };
	struct err mine;
	char path[64];
	int rc = 1;

	err_clear(&mine);
	(void)snprintf(path, sizeof(path), DIR_NAME "/%08u" SUFFIX, number);
	if (list_counts(s, path, row_add, &r, &mine) != 0) {
		rc = mine.code == ERR_NOT_FOUND ? 1 : err_set(e, mine.code, "%s", mine.msg);
	} else if (r.n > 0) {
		rows_settle(&r);
		rc = statement_put(s, number, &r, out, e);
	}
	free(r.row);
	return rc;
}
