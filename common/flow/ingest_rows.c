#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/disk/image_dir.h"
#include "common/disk/image_file.h"
#include "common/flow/ingest_rows.h"
#include "formats/fmt_pack.h"

struct disk_rows {
	const struct ingest *g;
	struct index_reader *index;
	/* Without index. */
	uint32_t *numbers;
	size_t n, cap, at;
	uint8_t *end;
	size_t end_cap;
};

/* The number in "00000042.pk", or -1. */
static int64_t
pack_number(const char *name)
{
	char again[IMAGE_NAME_MAX];
	unsigned long v;

	if (strlen(name) != 11 || strspn(name, "0123456789") != 8 || strcmp(name + 8, ".pk") != 0)
		return -1;
	v = strtoul(name, NULL, 10);
	if (v >= PACKS_PER_DISK_MAX)
		return -1;
	image_name_pack(again, (uint32_t)v);
	return strcmp(strrchr(again, '/') + 1, name) == 0 ? (int64_t)v : -1;
}

static int
number_add(struct disk_rows *r, uint32_t number, struct err *e)
{
	if (r->n == r->cap) {
		size_t cap = r->cap == 0 ? 1024 : r->cap * 2;
		uint32_t *more = realloc(r->numbers, cap * sizeof(*more));

		if (more == NULL)
			return err_errno(e, "%s", r->g->name);
		r->numbers = more;
		r->cap = cap;
	}
	r->numbers[r->n++] = number;
	return 0;
}

/* The packs in the directory ${dir} ("packs/0003"), in order. */
static int
dir_add(struct disk_rows *r, const char *dir, struct err *e)
{
	int fd = image_subdir_open(r->g->dir.fd, dir, NULL), rc = 0;
	char **names;
	size_t n;

	if (fd == -1)
		return 0;
	if (dir_list(fd, ".", &names, &n, NULL) == 0) {
		for (size_t i = 0; i < n && rc == 0; i++) {
			int64_t number = pack_number(names[i]);

			if (number >= 0 && r->n < PACKS_PER_DISK_MAX)
				rc = number_add(r, (uint32_t)number, e);
		}
		dir_list_free(names, n);
	}
	(void)io->close(fd);
	return rc;
}

static int
numbers_find(struct disk_rows *r, struct err *e)
{
	int fd = image_subdir_open(r->g->dir.fd, "packs", NULL), rc = 0;
	char **names, dir[IMAGE_NAME_MAX];
	size_t n;

	if (fd == -1)
		return 0;
	if (dir_list(fd, ".", &names, &n, NULL) == 0) {
		for (size_t i = 0; i < n && rc == 0; i++) {
			if (strlen(names[i]) != 4 || strspn(names[i], "0123456789") != 4)
				continue;
			(void)snprintf(dir, sizeof(dir), "packs/%.4s", names[i]);
			rc = dir_add(r, dir, e);
		}
		dir_list_free(names, n);
	}
	(void)io->close(fd);
	return rc;
}

struct disk_rows *
disk_rows_new(const struct ingest *g, struct err *e)
{
	struct disk_rows *r = calloc(1, sizeof(*r));
	struct err mine;

	if (r == NULL) {
		(void)err_errno(e, "%s", g->name);
		return NULL;
	}
	r->g = g;
	err_clear(&mine);
	if ((r->index = index_reader_new(&g->dir, &g->st, &mine)) != NULL)
		return r;
	/* A disk that is gone has no damaged index. */
	if (mine.code == ERR_MEMORY || ingest_is_there(g, e) != 0 || numbers_find(r, e) != 0) {
		if (e != NULL && mine.code == ERR_MEMORY)
			*e = mine;
		disk_rows_free(r);
		return NULL;
	}
	return r;
}

void
disk_rows_free(struct disk_rows *r)
{
	if (r == NULL)
		return;
	index_reader_free(r->index);
	free(r->numbers);
	free(r->end);
	free(r);
}

int
disk_rows_without_index(const struct disk_rows *r)
{
	return r->index == NULL;
}

/* Table and footer from the end of a pack: 0, or -1 where it has none that can be one. */
static int
end_read(struct disk_rows *r, uint32_t number, struct disk_row *row)
{
	char name[IMAGE_NAME_MAX];
	uint8_t foot[PACK_FOOT_LEN];
	struct pack_foot f;
	uint64_t len;
	size_t need;
	int fd, rc = -1;

	image_name_pack(name, number);
	if ((fd = image_file_open(r->g->dir.fd, name, &len, NULL)) == -1)
		return -1;
	if (len < 2 * PACK_HEAD_LEN + PACK_FOOT_LEN || len > PACK_LEN_MAX ||
	    io_read_full(fd, foot, sizeof(foot), (off_t)(len - sizeof(foot))) != (ssize_t)sizeof(foot) ||
	    pack_foot_decode(&f, foot, sizeof(foot)) != FMT_OK || (uint64_t)f.table_len + PACK_FOOT_LEN > len)
		goto close;
	need = (size_t)f.table_len + PACK_FOOT_LEN;
	if (need > r->end_cap) {
		uint8_t *more = realloc(r->end, need);

		if (more == NULL)
			goto close;
		r->end = more;
		r->end_cap = need;
	}
	if (io_read_full(fd, r->end, need, (off_t)(len - need)) != (ssize_t)need)
		goto close;
	*row = (struct disk_row){ number, (uint32_t)len, f.table_len, r->end, r->end + f.table_len };
	rc = 0;
close:
	(void)io->close(fd);
	return rc;
}

int
disk_rows_next(struct disk_rows *r, struct disk_row *row, struct err *e)
{
	if (r->index != NULL)
		return index_reader_next(r->index, &row->number, &row->file_len, &row->table, &row->table_len, &row->foot, e);
	while (r->at < r->n)
		if (end_read(r, r->numbers[r->at++], row) == 0)
			return 1;
	return 0;
}
