#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/crypto/hash.h"
#include "common/disk/image_dir.h"
#include "common/disk/image_file.h"

#define COPIES		2
#define READ_LEN	(1u << 20)

struct index_reader {
	int dirfd;
	struct disk_statement statement;
	int copy;
	unsigned part;			/* the one that is open; statement.index_parts: past the last */
	int fd;				/* -1: none */
	uint64_t at;			/* in the part's file */
	uint64_t left;			/* of its payload */
	struct hash part_hash, all_hash;
	uint8_t *buf;
	size_t cap, used, taken;	/* bytes in buf; of them given */
	uint64_t payload;		/* read so far, all parts */
	uint32_t rows, last;
	uint64_t file_bytes;
};

/* Close the part that was read to its end; its digest goes into the one over all. */
static void
part_end(struct index_reader *r)
{
	uint8_t digest[DIGEST_LEN];

	hash_final(&r->part_hash, digest);
	hash_update(&r->all_hash, digest, DIGEST_LEN);
	(void)io->close(r->fd);
	r->fd = -1;
	r->part++;
}

static int
part_begin(struct index_reader *r, struct err *e)
{
	uint8_t head[INDEX_PART_HEAD_LEN];
	char name[IMAGE_NAME_MAX];
	struct index_part h;
	enum fmt_status st;
	uint64_t len;

	image_name_index(name, r->copy, r->part);
	if ((r->fd = image_file_open(r->dirfd, name, &len, e)) == -1)
		return -1;
	if (io_read_full(r->fd, head, sizeof(head), 0) != (ssize_t)sizeof(head))
		return err_set(e, ERR_DAMAGE, "%s is cut short", name);
	if ((st = index_part_decode(&h, head, sizeof(head))) != FMT_OK)
		return err_set(e, st == FMT_VERSION ? ERR_VERSION : ERR_DAMAGE, "%s: %s", name, fmt_status_text(st));
	if (h.part != r->part || memcmp(h.image_id, r->statement.image_id, ID_LEN) != 0 || h.disk != r->statement.disk ||
	    h.payload_len != len - INDEX_PART_HEAD_LEN)
		return err_set(e, ERR_DAMAGE, "%s is not the part of this disk's index that it should be", name);
	hash_init(&r->part_hash);
	hash_update(&r->part_hash, head, sizeof(head));
	r->at = INDEX_PART_HEAD_LEN;
	r->left = h.payload_len;
	return 0;
}

/* Read at most ${n} more bytes of payload to ${out}: how many, 0 at the end of the last part, -1. */
static ssize_t
payload_read(struct index_reader *r, uint8_t *out, size_t n, struct err *e)
{
	ssize_t got;

	for (;;) {
		if (r->fd != -1 && r->left == 0)
			part_end(r);
		if (r->fd != -1)
			break;
		if (r->part == r->statement.index_parts)
			return 0;
		if (part_begin(r, e) != 0)
			return -1;
	}
	if (n > r->left)
		n = (size_t)r->left;
	if ((got = io_read_full(r->fd, out, n, (off_t)r->at)) == -1)
		return err_errno(e, "read the disk's index");
	if ((size_t)got != n)
		return err_set(e, ERR_DAMAGE, "the disk's index is cut short");
	hash_update(&r->part_hash, out, n);
	r->at += n;
	r->left -= n;
	r->payload += n;
	return got;
}

static void
index_begin(struct index_reader *r, int copy)
{
	if (r->fd != -1)
		(void)io->close(r->fd);
	r->fd = -1;
	r->copy = copy;
	r->part = 0;
	r->used = r->taken = 0;
	r->payload = r->file_bytes = 0;
	r->rows = 0;
	hash_init(&r->all_hash);
}

/* After the last part: 0 if all of it is what the statement says. */
static int
index_end(struct index_reader *r, struct err *e)
{
	uint8_t digest[DIGEST_LEN];

	hash_final(&r->all_hash, digest);
	if (r->payload != r->statement.index_bytes || memcmp(digest, r->statement.index_digest, DIGEST_LEN) != 0)
		return err_set(e, ERR_DAMAGE, "the disk's index is not the one that its statement signs");
	return 0;
}

/* Read a copy from end to end and compare its digest. */
static int
copy_check(struct index_reader *r, int copy, struct err *e)
{
	ssize_t got;

	index_begin(r, copy);
	while ((got = payload_read(r, r->buf, r->cap, e)) > 0)
		;
	return got == 0 ? index_end(r, e) : -1;
}

static struct index_reader *
reader_make(const struct image_dir *d, const struct disk_statement *s)
{
	struct index_reader *r = calloc(1, sizeof(*r));

	if (r == NULL || (r->buf = malloc(READ_LEN)) == NULL) {
		free(r);
		return NULL;
	}
	r->cap = READ_LEN;
	r->fd = -1;
	r->dirfd = d->fd;
	r->statement = *s;
	return r;
}

int
image_index_check(const struct image_dir *d, const struct disk_statement *s, int copy, struct err *e)
{
	struct index_reader *r = reader_make(d, s);
	int rc;

	if (r == NULL)
		return err_set(e, ERR_MEMORY, "no memory to read the disk's index");
	rc = copy_check(r, copy, e);
	index_reader_free(r);
	return rc;
}

struct index_reader *
index_reader_new(const struct image_dir *d, const struct disk_statement *s, struct err *e)
{
	struct index_reader *r = reader_make(d, s);
	struct err first, second;

	err_clear(&first);
	err_clear(&second);
	if (r == NULL) {
		(void)err_set(e, ERR_MEMORY, "no memory to read the disk's index");
		return NULL;
	}
	if (copy_check(r, 0, &first) != 0 && copy_check(r, 1, &second) != 0) {
		if (e != NULL)
			*e = first;
		index_reader_free(r);
		return NULL;
	}
	index_begin(r, r->copy);
	return r;
}

void
index_reader_free(struct index_reader *r)
{
	if (r == NULL)
		return;
	if (r->fd != -1)
		(void)io->close(r->fd);
	free(r->buf);
	free(r);
}

/* Have ${n} bytes at buf + taken: 1, 0 at a clean end before the first of them, -1. */
static int
want(struct index_reader *r, size_t n, struct err *e)
{
	ssize_t got;

	if (n > r->cap) {
		uint8_t *more = realloc(r->buf, n);

		if (more == NULL)
			return err_set(e, ERR_MEMORY, "no memory to read the disk's index");
		r->buf = more;
		r->cap = n;
	}
	if (r->taken > 0 && r->taken + n > r->cap) {
		memmove(r->buf, r->buf + r->taken, r->used - r->taken);
		r->used -= r->taken;
		r->taken = 0;
	}
	while (r->used - r->taken < n) {
		if ((got = payload_read(r, r->buf + r->used, r->cap - r->used, e)) < 0)
			return -1;
		if (got == 0)
			return r->used == r->taken ? 0 : err_set(e, ERR_DAMAGE, "the disk's index ends within a row");
		r->used += (size_t)got;
	}
	return 1;
}

/* The end: counts as the statement says. */
static int
rows_end(struct index_reader *r, struct err *e)
{
	if (index_end(r, e) != 0)
		return -1;
	if (r->rows != r->statement.packs || r->file_bytes != r->statement.pack_bytes)
		return err_set(e, ERR_DAMAGE, "the disk's index has %u packs of %llu bytes, its statement says %u of %llu",
		    r->rows, (unsigned long long)r->file_bytes, r->statement.packs, (unsigned long long)r->statement.pack_bytes);
	return 0;
}

int
index_reader_next(struct index_reader *r, uint32_t *number, uint32_t *file_len, const uint8_t **table, uint32_t *table_len,
    const uint8_t **foot, struct err *e)
{
	const uint8_t *p;
	int rc;

	if ((rc = want(r, INDEX_ROW_HEAD_LEN, e)) != 1)
		return rc == 0 ? rows_end(r, e) : -1;
	p = r->buf + r->taken;
	*number = le32_get(p);
	*file_len = le32_get(p + 4);
	*table_len = le32_get(p + 8);
	if (*number >= PACKS_PER_DISK_MAX || *file_len > PACK_LEN_MAX || *table_len > PACK_TABLE_MAX ||
	    (r->rows > 0 && *number <= r->last))
		return err_set(e, ERR_DAMAGE, "row %u of the disk's index is impossible", r->rows);
	rc = want(r, INDEX_ROW_HEAD_LEN + (size_t)*table_len + PACK_FOOT_LEN, e);
	if (rc != 1)
		return rc == 0 ? err_set(e, ERR_DAMAGE, "the disk's index ends within a row") : -1;
	*table = r->buf + r->taken + INDEX_ROW_HEAD_LEN;
	*foot = *table + *table_len;
	r->taken += INDEX_ROW_HEAD_LEN + (size_t)*table_len + PACK_FOOT_LEN;
	r->last = *number;
	r->rows++;
	r->file_bytes += *file_len;
	return 1;
}
