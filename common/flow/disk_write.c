/* Snapshots and index on a disk. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/crypto/hash.h"
#include "common/disk/image_dir.h"
#include "common/flow/disk_write.h"

#define COPY_LEN	(1u << 20)
#define PAYLOAD_MAX	(PART_LEN_MAX - INDEX_PART_HEAD_LEN)

/* A file written under a temporary name. */
struct new_file {
	int dirfd, fd;
	char name[IMAGE_NAME_MAX], tmp[IMAGE_NAME_MAX + 4];
};

static int
new_file_open(struct new_file *f, int dirfd, const char *name, struct err *e)
{
	char dir[IMAGE_NAME_MAX];
	char *slash;

	f->dirfd = dirfd;
	f->fd = -1;
	snprintf(f->name, sizeof(f->name), "%s", name);
	snprintf(dir, sizeof(dir), "%s", name);
	if ((slash = strrchr(dir, '/')) != NULL) {
		*slash = 0;
		if (dir_make(dirfd, dir, 0755, e) != 0)
			return -1;
	}
	snprintf(f->tmp, sizeof(f->tmp), "%s", name);
	if (strchr(f->tmp + strlen(dir), '.') != NULL)
		*strrchr(f->tmp, '.') = 0;
	strcat(f->tmp, ".tmp");
	f->fd = io->open(dirfd, f->tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	return f->fd == -1 ? err_errno(e, "create %s", name) : 0;
}

/* Make it durable under its name, in place of one that is there. */
static int
new_file_done(struct new_file *f, struct err *e)
{
	char dir[IMAGE_NAME_MAX];
	char *slash;
	int rc = 0;

	if (io->fsync(f->fd) != 0)
		rc = err_set(e, ERR_FSYNC, "sync %s: %s", f->name, strerror(errno));
	io->close(f->fd);
	f->fd = -1;
	if (rc == 0 && io->renameat2(f->dirfd, f->tmp, f->dirfd, f->name, 0) != 0)
		rc = err_errno(e, "name %s", f->name);
	snprintf(dir, sizeof(dir), "%s", f->name);
	if ((slash = strrchr(dir, '/')) != NULL)
		*slash = 0;
	return rc != 0 ? rc : dir_sync(f->dirfd, slash != NULL ? dir : NULL, e);
}

static void
new_file_drop(struct new_file *f)
{
	if (f->fd != -1)
		io->close(f->fd);
	f->fd = -1;
	(void)io->unlinkat(f->dirfd, f->tmp, 0);
}

/* Copy a file of the state onto the disk. */
static int
copy_file(int from, const char *name, int imagefd, const char *as, struct err *e)
{
	struct new_file f;
	uint8_t *buf = malloc(COPY_LEN);
	ssize_t n = 0;
	int fd, rc = -1;

	if (buf == NULL)
		return err_errno(e, "copy %s", name);
	if ((fd = io->open(from, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0)) == -1) {
		free(buf);
		return err_errno(e, "open %s", name);
	}
	if (new_file_open(&f, imagefd, as, e) == 0) {
		while ((n = io_read_full(fd, buf, COPY_LEN, -1)) > 0 && io_write_full(f.fd, buf, (size_t)n, -1) == 0)
			;
		rc = n != 0 ? err_errno(e, "copy %s", name) : new_file_done(&f, e);
		if (rc != 0)
			new_file_drop(&f);
	}
	io->close(fd);
	free(buf);
	return rc;
}

int
disk_write_snapshot(int imagefd, uint32_t n, const uint8_t *env, size_t len, int from, uint64_t seq, struct err *e)
{
	char first[IMAGE_NAME_MAX], second[IMAGE_NAME_MAX], part[64];
	struct stat st;

	for (unsigned i = 0; i < 100; i++) {
		snprintf(part, sizeof(part), "%08llu.r%02u", (unsigned long long)seq, i);
		if (io->fstatat(from, part, &st, AT_SYMLINK_NOFOLLOW) != 0) {
			/* There is always a first part; only behind it may there be none. */
			if (errno == ENOENT && i > 0)
				break;
			return err_errno(e, "reference list %s in the state directory", part);
		}
		for (int copy = 0; copy < 2; copy++) {
			image_name_refs(first, copy, n, i);
			if (copy_file(from, part, imagefd, first, e) != 0)
				return -1;
		}
	}
	image_name_envelope(first, 0, n);
	image_name_envelope(second, 1, n);
	return disk_write_twice(imagefd, first, second, env, len, e);
}

/* --- the disk index --- */

struct index_out {
	int imagefd, copy;
	uint64_t total, done;	/* bytes of payload */
	uint64_t in_part;	/* of the open part */
	unsigned part;
	struct new_file f;
	struct hash part_hash, all;
	struct index_part head;
	struct buf buf;
	struct disk_statement *st;
};

static int
index_flush(struct index_out *o, struct err *e)
{
	if (o->buf.len == 0)
		return 0;
	if (io_write_full(o->f.fd, o->buf.p, o->buf.len, -1) != 0)
		return err_errno(e, "write the disk index");
	hash_update(&o->part_hash, o->buf.p, o->buf.len);
	buf_reset(&o->buf);
	return 0;
}

static int
index_part_begin(struct index_out *o, struct err *e)
{
	uint8_t head[INDEX_PART_HEAD_LEN];
	char name[IMAGE_NAME_MAX];

	o->head.part = (uint16_t)o->part;
	o->head.payload_len = o->total - o->done < PAYLOAD_MAX ? o->total - o->done : PAYLOAD_MAX;
	o->in_part = 0;
	index_part_encode(&o->head, head);
	image_name_index(name, o->copy, o->part);
	hash_init(&o->part_hash);
	buf_add(&o->buf, head, sizeof(head));
	return new_file_open(&o->f, o->imagefd, name, e);
}

static int
index_part_end(struct index_out *o, struct err *e)
{
	uint8_t digest[DIGEST_LEN];

	if (index_flush(o, e) != 0)
		return -1;
	hash_final(&o->part_hash, digest);
	hash_update(&o->all, digest, DIGEST_LEN);
	o->part++;
	return new_file_done(&o->f, e);
}

static int
index_bytes(struct index_out *o, const uint8_t *p, size_t n, struct err *e)
{
	size_t now;

	while (n > 0) {
		if (o->f.fd == -1 && index_part_begin(o, e) != 0)
			return -1;
		now = o->head.payload_len - o->in_part < n ? (size_t)(o->head.payload_len - o->in_part) : n;
		buf_add(&o->buf, p, now);
		o->in_part += now;
		o->done += now;
		p += now;
		n -= now;
		if (buf_check(&o->buf, e) != 0 || (o->buf.len >= COPY_LEN && index_flush(o, e) != 0))
			return -1;
		if (o->in_part == o->head.payload_len && index_part_end(o, e) != 0)
			return -1;
	}
	return 0;
}

static int
index_count(void *arg, uint32_t disk, uint32_t number, uint32_t file_len, const struct pack_table *t, const uint8_t *table,
    uint32_t table_len, const uint8_t *foot, struct err *e)
{
	struct index_out *o = arg;

	(void)number, (void)table, (void)foot, (void)e;
	if (disk != o->st->disk)
		return 0;
	o->total += INDEX_ROW_HEAD_LEN + (uint64_t)table_len + PACK_FOOT_LEN;
	o->st->packs++;
	o->st->pack_bytes += file_len;
	o->st->chunks += t->count;
	return 0;
}

static int
index_row(void *arg, uint32_t disk, uint32_t number, uint32_t file_len, const struct pack_table *t, const uint8_t *table,
    uint32_t table_len, const uint8_t *foot, struct err *e)
{
	struct index_out *o = arg;
	uint8_t head[INDEX_ROW_HEAD_LEN];

	(void)t;
	if (disk != o->st->disk)
		return 0;
	le32_put(head, number);
	le32_put(head + 4, file_len);
	le32_put(head + 8, table_len);
	if (index_bytes(o, head, sizeof(head), e) != 0 || index_bytes(o, table, table_len, e) != 0)
		return -1;
	return index_bytes(o, foot, PACK_FOOT_LEN, e);
}

/* One copy of the index. */
static int
index_write(struct index_out *o, struct state *s, const struct image_state *im, struct err *e)
{
	int rc;

	o->done = 0;
	o->part = 0;
	o->f.fd = -1;
	hash_init(&o->all);
	rc = image_packs(s, im, index_row, o, e);
	if (rc == 0 && o->part == 0 && (index_part_begin(o, e) != 0 || index_part_end(o, e) != 0))
		rc = -1;
	if (rc != 0 && o->f.fd != -1)
		new_file_drop(&o->f);
	return rc;
}

int
disk_write_index(int imagefd, struct state *s, const struct image_state *im, struct disk_statement *st, struct err *e)
{
	struct index_out *o = calloc(1, sizeof(*o));
	int rc;

	if (o == NULL)
		return err_errno(e, "disk index");
	o->imagefd = imagefd;
	o->st = st;
	st->packs = 0;
	st->pack_bytes = 0;
	st->chunks = 0;
	memcpy(o->head.image_id, st->image_id, ID_LEN);
	o->head.disk = st->disk;
	buf_init(&o->buf);
	rc = image_packs(s, im, index_count, o, e);
	for (o->copy = 0; o->copy < 2 && rc == 0; o->copy++)
		rc = index_write(o, s, im, e);
	st->index_parts = (uint16_t)o->part;
	st->index_bytes = o->total;
	hash_final(&o->all, st->index_digest);
	buf_release(&o->buf);
	free(o);
	return rc;
}
