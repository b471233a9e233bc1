#include "common/flow/bundle_use.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/chunk/codec.h"
#include "common/flow/small_known.h"
#include "formats/fmt.h"

/*
 * File: "SAMBUSE\n" | version u16 = 1 | zero u16 | zero u32 | small files u64 |
 * rows of id prefix 16, length u32, used u32 | XXH3-64 of all before it.
 */
#define PREFIX_LEN	16u
#define ROW_LEN		(PREFIX_LEN + 8)
#define HEAD_LEN	24u
#define FILE_MAX	(1u << 30)
#define KNOWN_MEMORY	((size_t)8 << 20)

static const char use_magic[8] = { 'S', 'A', 'M', 'B', 'U', 'S', 'E', '\n' };

struct use_row {
	uint8_t id[PREFIX_LEN];
	uint32_t total, used;		/* used 0: the row is empty */
};

struct bundle_use {
	struct use_row *rows;
	size_t cap, n;			/* cap is a power of two */
	uint64_t files;
	struct small_known *known;	/* where each small file stands; NULL: not kept */
	char known_name[64];		/* that it was loaded from */
	const struct bundle_use *base;
};

struct bundle_use *
bundle_use_new(void)
{
	struct bundle_use *u = calloc(1, sizeof(*u));

	if (u == NULL || (u->rows = calloc(1024, sizeof(*u->rows))) == NULL) {
		free(u);
		return NULL;
	}
	u->cap = 1024;
	return u;
}

void
bundle_use_free(struct bundle_use *u)
{
	if (u == NULL)
		return;
	small_known_free(u->known);
	free(u->rows);
	free(u);
}

int
bundle_use_runs(struct bundle_use *u, int dirfd, struct err *e)
{
	if ((u->known = small_known_new(dirfd, KNOWN_MEMORY)) == NULL)
		return err_errno(e, "table of small files");
	return 0;
}

/* The other file's name: the same number. */
static void
known_name(const char *name, char out[64])
{
	(void)snprintf(out, 64, "%.*s.sml", (int)strcspn(name, "."), name);
}

int
bundle_use_remember(struct bundle_use *u, const uint8_t key[SMALL_KEY_LEN], const struct extent *x, struct err *e)
{
	return u->known != NULL ? small_known_add(u->known, key, x, e) : 0;
}

bool
bundle_use_known(const struct bundle_use *u, const uint8_t key[SMALL_KEY_LEN], struct extent *x)
{
	return u->known != NULL && small_known_find(u->known, key, x) && !bundle_use_thin(u, x->id);
}

static struct use_row *
row_find(const struct bundle_use *u, const uint8_t *id)
{
	size_t i = (size_t)le64_get(id) & (u->cap - 1);

	while (u->rows[i].used != 0 && memcmp(u->rows[i].id, id, PREFIX_LEN) != 0)
		i = (i + 1) & (u->cap - 1);
	return &u->rows[i];
}

static int
table_grow(struct bundle_use *u)
{
	struct use_row *old = u->rows;
	size_t cap = u->cap;

	if (u->n < cap / 4 * 3)
		return 0;
	if ((u->rows = calloc(cap * 2, sizeof(*u->rows))) == NULL) {
		u->rows = old;
		return -1;
	}
	u->cap = cap * 2;
	for (size_t i = 0; i < cap; i++)
		if (old[i].used != 0)
			*row_find(u, old[i].id) = old[i];
	free(old);
	return 0;
}

static int
use_put(struct bundle_use *u, const uint8_t *id, uint32_t total, uint32_t used)
{
	struct use_row *row;

	if (used == 0)
		return 0;
	if (table_grow(u) != 0)
		return -1;
	row = row_find(u, id);
	if (row->used == 0) {
		memcpy(row->id, id, PREFIX_LEN);
		u->n++;
	}
	if (total > row->total)
		row->total = total;
	row->used = used > UINT32_MAX - row->used ? UINT32_MAX : row->used + used;
	return 0;
}

int
bundle_use_add(struct bundle_use *u, const uint8_t id[DIGEST_LEN], uint32_t offset, uint32_t len, uint32_t total)
{
	if (total < offset + len)
		total = offset + len;
	u->files++;
	return use_put(u, id, total, len);
}

void
bundle_use_lengths(struct bundle_use *u, const struct bundle_use *base)
{
	struct use_row *row;

	u->base = base;
	for (size_t i = 0; i < base->cap; i++) {
		if (base->rows[i].used == 0)
			continue;
		row = row_find(u, base->rows[i].id);
		if (row->used != 0 && row->total < base->rows[i].total)
			row->total = base->rows[i].total;
	}
}

bool
bundle_use_thin(const struct bundle_use *u, const uint8_t id[DIGEST_LEN])
{
	const struct use_row *row = row_find(u, id);

	return row->used != 0 && row->used < row->total / 2;
}

uint64_t
bundle_use_files(const struct bundle_use *u)
{
	return u->files;
}

static bool
is_used(void *arg, const uint8_t id[DIGEST_LEN])
{
	return row_find(arg, id)->used != 0;
}

/* The table of small files; the base's is of no more use then. */
static int
known_save(struct bundle_use *u, int dirfd, const char *name, struct err *e)
{
	const struct bundle_use *base = u->base;
	char own[64];

	if (u->known == NULL)
		return 0;
	known_name(name, own);
	if (small_known_save(u->known, base != NULL ? base->known : NULL, is_used, u, dirfd, own, e) != 0)
		return -1;
	if (base != NULL && base->known_name[0] != '\0' && strcmp(base->known_name, own) != 0)
		(void)io->unlinkat(dirfd, base->known_name, 0);
	return 0;
}

int
bundle_use_save(struct bundle_use *u, int dirfd, const char *name, struct err *e)
{
	struct buf b;
	int rc;

	buf_init(&b);
	buf_add(&b, use_magic, sizeof(use_magic));
	buf_u16(&b, 1);
	buf_zeros(&b, 6);
	buf_u64(&b, u->files);
	for (size_t i = 0; i < u->cap; i++) {
		if (u->rows[i].used == 0)
			continue;
		buf_add(&b, u->rows[i].id, PREFIX_LEN);
		buf_u32(&b, u->rows[i].total);
		buf_u32(&b, u->rows[i].used);
	}
	if ((rc = buf_check(&b, e)) == 0) {
		buf_u64(&b, checksum(b.p, b.len));
		rc = buf_check(&b, e);
	}
	if (rc == 0)
		rc = file_replace(dirfd, name, b.p, b.len, 0600, e);
	if (rc == 0)
		rc = known_save(u, dirfd, name, e);
	buf_release(&b);
	return rc;
}

/* Fill an empty table; anything not in order leaves what came before it. */
static int
rows_load(struct bundle_use *u, const uint8_t *in, size_t len)
{
	struct rd r = { .p = in, .left = len };
	const uint8_t *m = rd_bytes(&r, sizeof(use_magic)), *id;
	uint32_t total;

	if (len < HEAD_LEN + 8 || memcmp(m, use_magic, sizeof(use_magic)) != 0 || rd_u16(&r) != 1 ||
	    checksum(in, len - 8) != le64_get(in + len - 8))
		return 0;
	(void)rd_bytes(&r, 6);
	u->files = rd_u64(&r);
	while (r.left >= ROW_LEN + 8) {
		id = rd_bytes(&r, PREFIX_LEN);
		total = rd_u32(&r);
		if (use_put(u, id, total, rd_u32(&r)) != 0)
			return -1;
	}
	return 0;
}

struct bundle_use *
bundle_use_load(int dirfd, const char *name)
{
	struct bundle_use *u = bundle_use_new();
	struct err e;
	uint8_t *bytes;
	size_t len;
	int rc;

	err_clear(&e);
	if (u != NULL) {
		known_name(name, u->known_name);
		u->known = small_known_load(dirfd, u->known_name);
	}
	if (u == NULL || file_read(dirfd, name, FILE_MAX, &bytes, &len, &e) != 0)
		return u;
	rc = rows_load(u, bytes, len);
	free(bytes);
	if (rc != 0) {
		bundle_use_free(u);
		return NULL;
	}
	return u;
}
