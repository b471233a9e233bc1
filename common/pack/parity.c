#include "common/pack/parity.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <isa-l/erasure_code.h>

#include "common/base/err.h"
#include "common/base/pages.h"
#include "formats/limits.h"

#define TABLE		32u	/* bytes that ISA-L wants for each coefficient */
#define LOCKS		32u
#define STEP		(4u << 10)	/* coded at once: source and targets stay in the first cache */
#define ALIGN		64u

struct parity {
	uint32_t k, m, rows, shard;
	uint32_t k_most, m_most, rows_most;
	uint8_t matrix[(PARITY_GROUP_MAX + PARITY_PACKS_MAX) * PARITY_GROUP_MAX];
	uint8_t *tables;		/* k * m * TABLE */
	uint8_t *shards;		/* m * rows * shard */
	uint8_t *begun;			/* for each row: its shards are no longer what the memory held */
	uint8_t *found;			/* m shards */
	pthread_mutex_t lock[LOCKS];	/* of the rows, in turn */
	/* The equations that were solved last. */
	uint32_t lost[PARITY_PACKS_MAX], used[PARITY_PACKS_MAX], n;
	uint8_t inverse[PARITY_PACKS_MAX * PARITY_PACKS_MAX * TABLE];
};

static uint8_t *
shard_at(const struct parity *p, uint32_t i, uint32_t row)
{
	return p->shards + ((size_t)i * p->rows + row) * p->shard;
}

/* Zeros, just before something is added to them: what has no bytes in a row need not touch its memory. */
static void
row_begin(struct parity *p, uint32_t row)
{
	if (p->begun[row])
		return;
	for (uint32_t i = 0; i < p->m; i++)
		memset(shard_at(p, i, row), 0, p->shard);
	p->begun[row] = 1;
}

const uint8_t *
parity_shard(struct parity *p, uint32_t i, uint32_t row)
{
	row_begin(p, row);
	return shard_at(p, i, row);
}

const uint8_t *
parity_shards(struct parity *p, uint32_t i)
{
	for (uint32_t row = 0; row < p->rows; row++)
		row_begin(p, row);
	return shard_at(p, i, 0);
}

struct parity *
parity_new(uint32_t k, uint32_t m, uint32_t rows, uint32_t shard, struct err *e)
{
	struct parity *p;

	if (k == 0 || k > PARITY_GROUP_MAX || m == 0 || m > PARITY_PACKS_MAX || rows == 0 || shard == 0 || shard % ALIGN != 0) {
		(void)err_set(e, ERR_INTERNAL, "parity of %u packs into %u", k, m);
		return NULL;
	}
	if ((p = calloc(1, sizeof(*p))) == NULL) {
		(void)err_set(e, ERR_MEMORY, "no memory for parity");
		return NULL;
	}
	p->k_most = k;
	p->m_most = m;
	p->rows_most = rows;
	p->shard = shard;
	for (unsigned i = 0; i < LOCKS; i++)
		pthread_mutex_init(&p->lock[i], NULL);
	p->tables = malloc((size_t)k * m * TABLE);
	p->shards = pages_new((size_t)m * rows * shard);
	p->begun = malloc(rows);
	p->found = aligned_alloc(ALIGN, (size_t)m * shard);
	if (p->tables == NULL || p->shards == NULL || p->begun == NULL || p->found == NULL) {
		(void)err_set(e, ERR_MEMORY, "no memory for parity");
		parity_free(p);
		return NULL;
	}
	(void)parity_reset(p, k, m, rows, e);
	return p;
}

void
parity_free(struct parity *p)
{
	if (p == NULL)
		return;
	for (unsigned i = 0; i < LOCKS; i++)
		pthread_mutex_destroy(&p->lock[i]);
	free(p->tables);
	free(p->shards);
	free(p->begun);
	free(p->found);
	free(p);
}

int
parity_reset(struct parity *p, uint32_t k, uint32_t m, uint32_t rows, struct err *e)
{
	if (k == 0 || k > p->k_most || m == 0 || m > p->m_most || rows == 0 || rows > p->rows_most)
		return err_set(e, ERR_INTERNAL, "parity of %u packs into %u", k, m);
	p->k = k;
	p->m = m;
	p->rows = rows;
	p->n = 0;
	gf_gen_cauchy1_matrix(p->matrix, (int)(k + m), (int)k);
	ec_init_tables((int)k, (int)m, p->matrix + (size_t)k * k, p->tables);
	memset(p->begun, 0, rows);
	return 0;
}

/* Bytes ${at} .. ${at} + ${len} of a shard into all of the same row. */
static void
code(struct parity *p, uint32_t i, uint32_t row, const uint8_t *in, uint32_t at, uint32_t len)
{
	uint8_t *out[PARITY_PACKS_MAX], source[STEP];

	for (uint32_t c = 0; c < p->m; c++)
		out[c] = shard_at(p, c, row) + at;
	/* Not const in ISA-L's header, and not written to. */
	if (len % ALIGN == 0) {
		ec_encode_data_update((int)len, (int)p->k, (int)p->m, (int)i, p->tables, (unsigned char *)(uintptr_t)in, out);
		return;
	}
	memcpy(source, in, len);
	memset(source + len, 0, ALIGN - len % ALIGN);
	ec_encode_data_update((int)(len + ALIGN - len % ALIGN), (int)p->k, (int)p->m, (int)i, p->tables, source, out);
}

void
parity_add(struct parity *p, uint32_t i, uint32_t row, const uint8_t *in, uint32_t len)
{
	pthread_mutex_lock(&p->lock[row % LOCKS]);
	row_begin(p, row);
	for (uint32_t at = 0; at < len; at += STEP)
		code(p, i, row, in + at, at, len - at < STEP ? len - at : STEP);
	pthread_mutex_unlock(&p->lock[row % LOCKS]);
}

void
parity_take(struct parity *p, uint32_t i, uint32_t row, const uint8_t *in)
{
	uint8_t *out = shard_at(p, i, row);

	pthread_mutex_lock(&p->lock[row % LOCKS]);
	row_begin(p, row);
	for (uint32_t b = 0; b < p->shard; b++)
		out[b] ^= in[b];
	pthread_mutex_unlock(&p->lock[row % LOCKS]);
}

/* Solve the equations of the rows ${used} of the code for the packs ${lost}, unless they are those of last time. */
static int
equations(struct parity *p, const uint32_t *lost, const uint32_t *used, uint32_t n, struct err *e)
{
	uint8_t a[PARITY_PACKS_MAX * PARITY_PACKS_MAX], b[PARITY_PACKS_MAX * PARITY_PACKS_MAX];

	if (p->n == n && memcmp(p->lost, lost, n * sizeof(*lost)) == 0 && memcmp(p->used, used, n * sizeof(*used)) == 0)
		return 0;
	p->n = 0;
	for (uint32_t r = 0; r < n; r++)
		for (uint32_t c = 0; c < n; c++)
			a[r * n + c] = p->matrix[(size_t)(p->k + used[r]) * p->k + lost[c]];
	if (gf_invert_matrix(a, b, (int)n) != 0)
		return err_set(e, ERR_INTERNAL, "a matrix of Cauchy's has no inverse");
	ec_init_tables((int)n, (int)n, b, p->inverse);
	memcpy(p->lost, lost, n * sizeof(*lost));
	memcpy(p->used, used, n * sizeof(*used));
	p->n = n;
	return 0;
}

int
parity_solve(struct parity *p, uint32_t row, const uint32_t *lost, uint32_t n, const uint8_t *good, struct err *e)
{
	uint32_t used[PARITY_PACKS_MAX], have = 0;
	uint8_t *in[PARITY_PACKS_MAX], *out[PARITY_PACKS_MAX];

	if (n == 0)
		return 0;
	for (uint32_t i = 0; i < p->m && have < n; i++)
		if (good[i])
			used[have++] = i;
	if (have < n)
		return 1;
	if (equations(p, lost, used, n, e) != 0)
		return -1;
	row_begin(p, row);
	for (uint32_t i = 0; i < n; i++) {
		in[i] = shard_at(p, used[i], row);
		out[i] = p->found + (size_t)i * p->shard;
	}
	ec_encode_data((int)p->shard, (int)n, (int)n, p->inverse, in, out);
	for (uint32_t i = 0; i < n; i++)
		memcpy(shard_at(p, i, row), out[i], p->shard);
	return 0;
}
