#include "common/flow/parity_group.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/chunk/codec.h"
#include "common/disk/image_dir.h"
#include "common/disk/image_file.h"
#include "common/flow/medium.h"
#include "common/pack/parity.h"

#define PIECE	(1u << 20)

struct parity_group {
	struct parity *code;
	struct parity_table t;
	struct parity_member members[PARITY_GROUP_MAX];
	uint64_t *sums;		/* rows times (k + m) */
	uint64_t zeros;		/* checksum of a shard of zeros */
	uint8_t *table;		/* of one parity pack, encoded */
	uint8_t *piece;		/* PIECE, aligned */
};

struct parity_group *
parity_group_new(uint32_t k, uint32_t percent, struct err *e)
{
	struct parity_group *g = calloc(1, sizeof(*g));
	uint32_t m = parity_group_parity(k, percent);
	static const uint8_t zero[PARITY_SHARD_LEN];

	if (g == NULL) {
		(void)err_set(e, ERR_MEMORY, "no memory for parity");
		return NULL;
	}
	if ((g->code = parity_new(k, m, PARITY_ROWS_MAX, PARITY_SHARD_LEN, e)) == NULL) {
		free(g);
		return NULL;
	}
	g->sums = calloc((size_t)PARITY_ROWS_MAX * (k + m), sizeof(*g->sums));
	g->table = aligned_alloc(PARITY_ALIGN, parity_table_len(k, m, PARITY_ROWS_MAX));
	g->piece = aligned_alloc(PARITY_ALIGN, PIECE);
	g->zeros = checksum(zero, sizeof(zero));
	if (g->sums != NULL && g->table != NULL && g->piece != NULL)
		return g;
	(void)err_set(e, ERR_MEMORY, "no memory for parity");
	parity_group_free(g);
	return NULL;
}

void
parity_group_free(struct parity_group *g)
{
	if (g == NULL)
		return;
	parity_free(g->code);
	free(g->sums);
	free(g->table);
	free(g->piece);
	free(g);
}

int
parity_group_begin(struct parity_group *g, const struct parity_table *t, const struct parity_member *members, struct err *e)
{
	g->t = *t;
	memcpy(g->members, members, t->k * sizeof(*members));
	return parity_reset(g->code, t->k, t->m, t->rows, e);
}

void
parity_group_add(struct parity_group *g, uint32_t i, uint8_t *in, size_t len)
{
	size_t whole = (len + PARITY_SHARD_LEN - 1) / PARITY_SHARD_LEN * PARITY_SHARD_LEN;
	uint64_t *sum = g->sums + i;

	memset(in + len, 0, whole - len);
	for (uint32_t row = 0; row < g->t.rows; row++, sum += g->t.k + g->t.m) {
		size_t at = (size_t)row * PARITY_SHARD_LEN;

		*sum = g->zeros;
		if (at >= whole)
			continue;
		*sum = checksum(in + at, PARITY_SHARD_LEN);
		parity_add(g->code, i, row, in + at, PARITY_SHARD_LEN);
	}
}

/* The table of parity pack ${index} into g->table; its length. */
static size_t
table_make(struct parity_group *g, uint16_t index)
{
	g->t.index = index;
	parity_table_encode(&g->t, g->members, g->sums, g->table);
	le64_put(g->table + g->t.summed, checksum(g->table, g->t.summed));
	return parity_table_len(g->t.k, g->t.m, g->t.rows);
}

static void
shards_sum(struct parity_group *g)
{
	for (uint32_t row = 0; row < g->t.rows; row++)
		for (uint32_t i = 0; i < g->t.m; i++)
			g->sums[(size_t)row * (g->t.k + g->t.m) + g->t.k + i] =
			    checksum(parity_shard(g->code, i, row), PARITY_SHARD_LEN);
}

static int
parity_pack_write(struct parity_group *g, int imagefd, uint32_t index, const char *tmp, const char *name, struct err *e)
{
	size_t table = table_make(g, (uint16_t)index), shards = (size_t)g->t.rows * PARITY_SHARD_LEN;
	int fd = io->open(imagefd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd == -1)
		return err_errno(e, "create %s", tmp);
	if (io_write_full(fd, g->table, table, 0) != 0 ||
	    io_write_full(fd, parity_shards(g->code, index), shards, (off_t)table) != 0 ||
	    io_write_full(fd, g->table, table, (off_t)(table + shards)) != 0) {
		(void)err_errno(e, "write %s", tmp);
		goto drop;
	}
	if (io->fsync(fd) != 0) {
		(void)err_set(e, ERR_FSYNC, "sync %s: %s", tmp, strerror(errno));
		goto drop;
	}
	if (io->close(fd) != 0) {
		(void)err_errno(e, "close %s", tmp);
		(void)io->unlinkat(imagefd, tmp, 0);
		return -1;
	}
	if (io->renameat2(imagefd, tmp, imagefd, name, 0) == 0)
		return 0;
	(void)err_errno(e, "rename %s to %s", tmp, name);
	(void)io->unlinkat(imagefd, tmp, 0);
	return -1;

drop:
	(void)io->close(fd);
	(void)io->unlinkat(imagefd, tmp, 0);
	return -1;
}

int
parity_group_write(struct parity_group *g, int imagefd, uint32_t first, struct err *e)
{
	char name[IMAGE_NAME_MAX], tmp[IMAGE_NAME_MAX], dir[IMAGE_NAME_MAX];

	shards_sum(g);
	for (uint32_t i = 0; i < g->t.m; i++) {
		image_name_parity(name, first + i);
		image_name_parity_dir(dir, first + i);
		memcpy(tmp, name, sizeof(tmp));
		memcpy(tmp + strlen(tmp) - 2, "tm", 2);
		if (((i == 0 || (first + i) % PACKS_PER_DIR == 0) && dir_make(imagefd, dir, 0755, e) != 0) ||
		    parity_pack_write(g, imagefd, i, tmp, name, e) != 0)
			return -1;
		if ((i + 1 == g->t.m || (first + i + 1) % PACKS_PER_DIR == 0) && dir_sync(imagefd, dir, e) != 0)
			return -1;
	}
	return 0;
}

/* ${len} bytes of the file at ${at} are ${want}. */
static int
compare(struct parity_group *g, int fd, uint64_t at, const uint8_t *want, size_t len, struct medium *m)
{
	for (size_t done = 0; done < len; done += PIECE) {
		size_t n = len - done < PIECE ? len - done : PIECE;

		if (io_read_full(fd, g->piece, n, (off_t)(at + done)) != (ssize_t)n || memcmp(g->piece, want + done, n) != 0)
			return -1;
		medium_count(m, n);
	}
	return 0;
}

int
parity_group_read_back(struct parity_group *g, int imagefd, uint32_t first, struct medium *m, struct err *e)
{
	size_t shards = (size_t)g->t.rows * PARITY_SHARD_LEN, table;
	char name[IMAGE_NAME_MAX];
	uint64_t len;
	int fd, rc = 0;

	for (uint32_t i = 0; rc == 0 && i < g->t.m; i++) {
		table = table_make(g, (uint16_t)i);
		image_name_parity(name, first + i);
		if ((fd = image_file_open(imagefd, name, &len, e)) == -1)
			return -1;
		medium_open(m, fd);
		if (len != 2 * table + shards || compare(g, fd, 0, g->table, table, m) != 0 ||
		    compare(g, fd, table, parity_shards(g->code, i), shards, m) != 0 ||
		    compare(g, fd, table + shards, g->table, table, m) != 0)
			rc = err_set(e, ERR_MEDIUM, "%s does not come back as it was written", name);
		(void)io->close(fd);
	}
	return rc;
}
