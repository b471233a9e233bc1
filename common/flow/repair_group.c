#include "common/flow/repair_group.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/pages.h"
#include "common/base/stop.h"
#include "common/chunk/codec.h"
#include "common/disk/image_file.h"
#include "common/pack/parity.h"

#define SHARD	PARITY_SHARD_LEN

enum shard_state { SHARD_GOOD, SHARD_LOST, SHARD_MADE };

struct repair_group {
	struct parity *code;
	struct parity_table t;		/* the one believed; views into table */
	struct parity_member members[PARITY_GROUP_MAX];
	uint8_t *table;
	uint8_t *pack;			/* PACK_LEN_MAX */
	uint8_t *state;			/* of each shard of each row: enum shard_state */
	uint32_t k_most, m_most;
};

struct repair_group *
repair_group_new(uint32_t k, uint32_t m, struct err *e)
{
	struct repair_group *g = calloc(1, sizeof(*g));

	if (g == NULL) {
		(void)err_set(e, ERR_MEMORY, "no memory to repair packs");
		return NULL;
	}
	g->k_most = k;
	g->m_most = m;
	g->table = malloc(parity_table_len(k, m, PARITY_ROWS_MAX));
	g->pack = pages_new(PACK_LEN_MAX);
	g->state = malloc((size_t)PARITY_ROWS_MAX * (k + m));
	if (g->table != NULL && g->pack != NULL && g->state != NULL) {
		if ((g->code = parity_new(k, m, PARITY_ROWS_MAX, SHARD, e)) != NULL)
			return g;
	} else {
		(void)err_set(e, ERR_MEMORY, "no memory to repair packs");
	}
	repair_group_free(g);
	return NULL;
}

void
repair_group_free(struct repair_group *g)
{
	if (g == NULL)
		return;
	parity_free(g->code);
	free(g->table);
	free(g->pack);
	free(g->state);
	free(g);
}

static uint8_t *
state_at(const struct repair_group *g, uint32_t row, uint32_t i)
{
	return g->state + (size_t)row * (g->t.k + g->t.m) + i;
}

/* Is this the table of parity pack ${index} of the group that the index describes? */
static int
table_fits(const struct parity_member *members, const struct parity_table *t, const struct parity_table *want, uint32_t index)
{
	struct parity_member p;

	if (t->k != want->k || t->m != want->m || t->rows != want->rows || t->group != want->group ||
	    t->groups != want->groups || t->disk != want->disk || t->index != index ||
	    memcmp(t->image_id, want->image_id, ID_LEN) != 0)
		return 0;
	for (uint32_t i = 0; i < t->k; i++) {
		parity_member_get(t, i, &p);
		if (p.number != members[i].number || p.file_len != members[i].file_len ||
		    memcmp(p.id, members[i].id, DIGEST_LEN) != 0)
			return 0;
	}
	return 1;
}

/* The table at either end of a parity pack: 1 if one is whole and fits. */
static int
table_read(struct repair_group *g, int fd, const struct parity_table *want, uint32_t index)
{
	size_t len = parity_table_len(want->k, want->m, want->rows);
	uint64_t second = len + (uint64_t)want->rows * SHARD;

	for (int end = 0; end < 2; end++)
		if (io_read_full(fd, g->table, len, end == 0 ? 0 : (off_t)second) == (ssize_t)len &&
		    parity_table_decode(&g->t, g->table, len) == FMT_OK && checksum(g->table, g->t.summed) == g->t.xxh &&
		    table_fits(g->members, &g->t, want, index))
			return 1;
	return 0;
}

static int
table_find(struct repair_group *g, const struct image_dir *d, const struct parity_table *want, uint32_t first)
{
	char name[IMAGE_NAME_MAX];
	uint64_t len;
	int found = 0, fd;

	for (uint32_t i = 0; !found && i < want->m; i++) {
		image_name_parity(name, first + i);
		if ((fd = image_file_open(d->fd, name, &len, NULL)) == -1)
			continue;
		found = table_read(g, fd, want, i);
		(void)io->close(fd);
	}
	return found;
}

/* One shard of a file, zeros behind its end: 0, or -1 where the medium does not give it. */
static int
shard_read(int fd, uint64_t at, uint8_t *out)
{
	ssize_t n = fd == -1 ? -1 : io_read_full(fd, out, SHARD, (off_t)at);

	if (n < 0)
		return -1;
	memset(out + n, 0, SHARD - (size_t)n);
	return 0;
}

/* Rows that member ${i} has bytes in. */
static uint32_t
rows_of(const struct repair_group *g, uint32_t i)
{
	return (g->members[i].file_len + SHARD - 1) / SHARD;
}

static int
pack_open(const struct image_dir *d, uint32_t number)
{
	char name[IMAGE_NAME_MAX];
	uint64_t len;
	int fd;

	image_name_pack(name, number);
	if ((fd = image_file_open(d->fd, name, &len, NULL)) != -1)
		(void)io->fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return fd;
}

/* What is good of a member is coded; what is not, is noted. */
static void
member_add(struct repair_group *g, const struct image_dir *d, uint32_t i)
{
	uint32_t rows = rows_of(g, i);
	int fd = pack_open(d, g->members[i].number);

	for (uint32_t row = 0; row < g->t.rows; row++) {
		uint8_t *state = state_at(g, row, i);

		*state = SHARD_GOOD;
		if (row >= rows)
			continue;	/* zeros, as everyone knows */
		if (shard_read(fd, (uint64_t)row * SHARD, g->pack) != 0 || checksum(g->pack, SHARD) != parity_sum_get(&g->t, row, i))
			*state = SHARD_LOST;
		else
			parity_add(g->code, i, row, g->pack, SHARD);
	}
	if (fd != -1)
		(void)io->close(fd);
}

static void
parity_pack_add(struct repair_group *g, const struct image_dir *d, uint32_t i, uint32_t number)
{
	size_t table = parity_table_len(g->t.k, g->t.m, g->t.rows);
	char name[IMAGE_NAME_MAX];
	uint64_t len;
	int fd;

	image_name_parity(name, number);
	fd = image_file_open(d->fd, name, &len, NULL);
	for (uint32_t row = 0; row < g->t.rows; row++) {
		uint8_t *state = state_at(g, row, g->t.k + i);

		*state = SHARD_LOST;
		if (shard_read(fd, table + (uint64_t)row * SHARD, g->pack) != 0 ||
		    checksum(g->pack, SHARD) != parity_sum_get(&g->t, row, g->t.k + i))
			continue;
		*state = SHARD_GOOD;
		parity_take(g->code, i, row, g->pack);
	}
	if (fd != -1)
		(void)io->close(fd);
}

/* The missing shards of a row: those that come back with the right checksum are SHARD_MADE. */
static int
row_solve(struct repair_group *g, uint32_t row, struct err *e)
{
	uint32_t lost[PARITY_GROUP_MAX], n = 0;
	uint8_t good[PARITY_PACKS_MAX];
	int rc;

	for (uint32_t i = 0; i < g->t.k; i++)
		if (*state_at(g, row, i) == SHARD_LOST)
			lost[n++] = i;
	for (uint32_t i = 0; i < g->t.m; i++)
		good[i] = *state_at(g, row, g->t.k + i) == SHARD_GOOD;
	if (n == 0 || n > g->t.m)
		return 0;
	if ((rc = parity_solve(g->code, row, lost, n, good, e)) != 0)
		return rc == 1 ? 0 : -1;
	for (uint32_t j = 0; j < n; j++)
		if (checksum(parity_shard(g->code, j, row), SHARD) == parity_sum_get(&g->t, row, lost[j]))
			*state_at(g, row, lost[j]) = SHARD_MADE;
	return 0;
}

int
repair_group_load(struct repair_group *g, const struct image_dir *d, const struct parity_table *want,
    const struct parity_member *members, uint32_t first, struct err *e)
{
	if (want->k > g->k_most || want->m > g->m_most)
		return err_set(e, ERR_INTERNAL, "a group of %u packs", want->k);
	memcpy(g->members, members, want->k * sizeof(*members));
	if (!table_find(g, d, want, first)) {
		g->t = *want;
		memset(g->state, SHARD_LOST, (size_t)want->rows * (want->k + want->m));
		return 1;
	}
	if (parity_reset(g->code, want->k, want->m, want->rows, e) != 0)
		return -1;
	for (uint32_t i = 0; i < want->k; i++) {
		if (stop_check(e) != 0)
			return -1;
		member_add(g, d, i);
	}
	for (uint32_t i = 0; i < want->m; i++)
		parity_pack_add(g, d, i, first + i);
	for (uint32_t row = 0; row < want->rows; row++)
		if (row_solve(g, row, e) != 0)
			return -1;
	return 0;
}

/* Which of the shards found in ${row} is that of member ${i}: its place among the missing ones. */
static uint32_t
place_of(const struct repair_group *g, uint32_t row, uint32_t i)
{
	uint32_t n = 0;

	for (uint32_t j = 0; j < i; j++)
		n += *state_at(g, row, j) != SHARD_GOOD;
	return n;
}

uint32_t
repair_group_make(struct repair_group *g, const struct image_dir *d, uint32_t i, uint8_t *out, uint32_t *had)
{
	uint32_t rows = rows_of(g, i), missing = 0;
	int fd = pack_open(d, g->members[i].number);

	*had = rows;
	for (uint32_t row = 0; row < rows; row++) {
		uint8_t *at = out + (size_t)row * SHARD;
		enum shard_state s = *state_at(g, row, i);

		if (s == SHARD_MADE) {
			memcpy(at, parity_shard(g->code, place_of(g, row, i), row), SHARD);
			continue;
		}
		missing += s == SHARD_LOST;
		if (shard_read(fd, (uint64_t)row * SHARD, at) != 0) {
			memset(at, 0, SHARD);
			--*had;
		}
	}
	if (fd != -1)
		(void)io->close(fd);
	return missing;
}

int
repair_parity_is_whole(const uint8_t *in, size_t len, const struct parity_table *want, const struct parity_member *members,
    uint32_t index)
{
	size_t table = parity_table_len(want->k, want->m, want->rows);
	struct parity_table t;

	if (len != parity_pack_len(want->k, want->m, want->rows) || parity_table_decode(&t, in, table) != FMT_OK ||
	    checksum(in, t.summed) != t.xxh || !table_fits(members, &t, want, index) || memcmp(in, in + len - table, table) != 0)
		return 0;
	for (uint32_t row = 0; row < t.rows; row++)
		if (checksum(in + table + (size_t)row * SHARD, SHARD) != parity_sum_get(&t, row, t.k + index))
			return 0;
	return 1;
}
