/* Nothing is released before it was read back from the medium. */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/progress.h"
#include "common/base/queue.h"
#include "common/base/stop.h"
#include "common/crypto/hash.h"
#include "common/disk/image_dir.h"
#include "common/disk/image_file.h"
#include "common/flow/disk_write.h"
#include "common/pack/pack_view.h"

#define BLOCK		4096u
#define READ_CAP	(PACK_LEN_MAX + BLOCK)
#define FUSE_MAGIC	0x65735546

/* A pack as it was meant to be written. */
struct expected {
	uint32_t number, file_len, table_len;
	uint8_t bytes[];		/* table, footer */
};

struct read_back {
	int imagefd;
	struct state *s;
	const struct image_state *im;
	const struct image_disk *d;
	struct queue *queue;
	pthread_mutex_t lock;
	bool with_snapshot, from_medium, failed;
	struct err err;
};

static void
read_back_fail(struct read_back *r, const struct err *e)
{
	pthread_mutex_lock(&r->lock);
	if (!r->failed)
		r->err = *e;
	r->failed = true;
	pthread_mutex_unlock(&r->lock);
	queue_close(r->queue);
}

/* Past the cache where the file system lets us; notes where it does not. */
static void
go_direct(struct read_back *r, int fd)
{
	struct statfs fs;

	(void)io->fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	if (io->fcntl_int(fd, F_SETFL, O_RDONLY | O_DIRECT) == 0 && io->fstatfs(fd, &fs) == 0 && fs.f_type != FUSE_MAGIC)
		return;
	pthread_mutex_lock(&r->lock);
	r->from_medium = false;
	pthread_mutex_unlock(&r->lock);
}

static int
pack_compare(struct read_back *r, const struct expected *x, const uint8_t *in, size_t len, struct err *e)
{
	struct pack_view v;
	struct pack_row row;
	const char *why;
	size_t at = PACK_HEAD_LEN;

	if (len != x->file_len || memcmp(in + len - x->table_len - PACK_FOOT_LEN, x->bytes, (size_t)x->table_len + PACK_FOOT_LEN) != 0)
		return err_set(e, ERR_MEDIUM, "pack %u comes back with another table", x->number);
	if (pack_view_bytes(&v, in, len, r->s->id.machine_id, r->s->machine_pub, e) != 0)
		return err_set(e, ERR_MEDIUM, "pack %u comes back damaged", x->number);
	for (uint32_t i = 0; i < v.table.count; i++) {
		pack_table_row(&v.table, i, &row);
		if ((why = pack_frame_check(&row, in + at, v.table.head.domain_id, PACK_FULL)) != NULL)
			return err_set(e, ERR_MEDIUM, "pack %u comes back damaged at byte %zu: %s", x->number, at, why);
		at += row.len;
	}
	progress_add(len, 1);
	return 0;
}

static int
pack_read_back(struct read_back *r, const struct expected *x, uint8_t *buf, struct err *e)
{
	char name[IMAGE_NAME_MAX];
	uint64_t len;
	ssize_t n;
	int fd;

	image_name_pack(name, x->number);
	if ((fd = image_file_open(r->imagefd, name, &len, e)) == -1)
		return -1;
	go_direct(r, fd);
	n = len > PACK_LEN_MAX ? -1 : io_read_full(fd, buf, READ_CAP, 0);
	if (n == -1)
		err_set(e, ERR_MEDIUM, "pack %u cannot be read back: %s", x->number, len > PACK_LEN_MAX ? "too long" : strerror(errno));
	io->close(fd);
	return n == -1 ? -1 : pack_compare(r, x, buf, (size_t)n, e);
}

static void
read_back_worker(void *arg)
{
	struct read_back *r = arg;
	uint8_t *buf = aligned_alloc(BLOCK, READ_CAP);
	struct expected *x;
	struct err e;

	err_clear(&e);
	if (buf == NULL) {
		err_set(&e, ERR_MEMORY, "no memory to read the disk back");
		read_back_fail(r, &e);
		return;
	}
	while ((x = queue_get(r->queue)) != NULL) {
		if (pack_read_back(r, x, buf, &e) != 0)
			read_back_fail(r, &e);
		free(x);
	}
	free(buf);
}

static int
expect_pack(void *arg, uint32_t disk, uint32_t number, uint32_t file_len, const struct pack_table *t, const uint8_t *table,
    uint32_t table_len, const uint8_t *foot, struct err *e)
{
	struct read_back *r = arg;
	struct expected *x;

	(void)t;
	if (disk != r->d->label.disk)
		return 0;
	if (stop_check(e) != 0)
		return -1;
	if ((x = malloc(sizeof(*x) + table_len + PACK_FOOT_LEN)) == NULL)
		return err_errno(e, "read back");
	x->number = number;
	x->file_len = file_len;
	x->table_len = table_len;
	memcpy(x->bytes, table, table_len);
	memcpy(x->bytes + table_len, foot, PACK_FOOT_LEN);
	if (queue_put(r->queue, x) != 0) {
		free(x);
		return -1;		/* a worker failed: its error counts */
	}
	return 0;
}

/* The digest of an open file; ${buf} is aligned and PACK_LEN_MAX long.  0, or -1 with errno. */
static int
fd_digest(int fd, uint8_t *buf, uint8_t digest[DIGEST_LEN])
{
	struct hash h;
	uint64_t at = 0;
	ssize_t n;

	hash_init(&h);
	while ((n = io_read_full(fd, buf, PACK_LEN_MAX, (off_t)at)) > 0) {
		hash_update(&h, buf, (size_t)n);
		at += (uint64_t)n;
	}
	hash_final(&h, digest);
	return n == 0 ? 0 : -1;
}

/* The digest of one file on the disk, past the cache. */
static int
file_digest(struct read_back *r, const char *name, uint8_t *buf, uint8_t digest[DIGEST_LEN], struct err *e)
{
	uint64_t len;
	int fd = image_file_open(r->imagefd, name, &len, e), rc = 0;

	if (fd == -1)
		return -1;
	go_direct(r, fd);
	if (fd_digest(fd, buf, digest) != 0)
		rc = err_set(e, ERR_MEDIUM, "%s cannot be read back: %s", name, strerror(errno));
	io->close(fd);
	return rc;
}

static int
index_read_back(struct read_back *r, uint8_t *buf, struct err *e)
{
	const struct disk_statement *st = &r->d->statement;
	uint8_t digest[DIGEST_LEN];
	char name[IMAGE_NAME_MAX];
	struct hash all;

	for (int copy = 0; copy < 2; copy++) {
		hash_init(&all);
		for (unsigned i = 0; i < st->index_parts; i++) {
			image_name_index(name, copy, i);
			if (file_digest(r, name, buf, digest, e) != 0)
				return -1;
			hash_update(&all, digest, DIGEST_LEN);
		}
		hash_final(&all, digest);
		if (memcmp(digest, st->index_digest, DIGEST_LEN) != 0)
			return err_set(e, ERR_MEDIUM, "the disk index comes back changed");
	}
	return 0;
}

static int
small_read_back(struct read_back *r, const char *name, const uint8_t *bytes, size_t len, uint8_t *buf, struct err *e)
{
	uint8_t digest[DIGEST_LEN], want[DIGEST_LEN];

	hash_once(bytes, len, want);
	if (file_digest(r, name, buf, digest, e) != 0)
		return -1;
	return memcmp(digest, want, DIGEST_LEN) != 0 ? err_set(e, ERR_MEDIUM, "%s comes back changed", name) : 0;
}

/* Part ${part} of the reference list, both copies against the one in the state: 1 there is one, 0 there is none, -1. */
static int
refs_part_read_back(struct read_back *r, int snaps, unsigned part, uint8_t *buf, struct err *e)
{
	uint8_t want[DIGEST_LEN], digest[DIGEST_LEN];
	char own[64], name[IMAGE_NAME_MAX];
	int fd, rc;

	snprintf(own, sizeof(own), "%08llu.r%02u", (unsigned long long)r->im->envelope.seq, part);
	if ((fd = io->open(snaps, own, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0)) == -1)
		return errno == ENOENT ? 0 : err_errno(e, "reference list %s in the state directory", own);
	if ((rc = fd_digest(fd, buf, want)) != 0)
		err_errno(e, "read reference list %s in the state directory", own);
	io->close(fd);
	for (int copy = 0; copy < 2 && rc == 0; copy++) {
		image_name_refs(name, copy, 0, part);
		if ((rc = file_digest(r, name, buf, digest, e)) == 0 && memcmp(digest, want, DIGEST_LEN) != 0)
			rc = err_set(e, ERR_MEDIUM, "%s comes back changed", name);
	}
	return rc != 0 ? -1 : 1;
}

/* Envelope and reference list: what cannot be made up for by anything else on the disk. */
static int
snapshot_read_back(struct read_back *r, uint8_t *buf, struct err *e)
{
	char name[IMAGE_NAME_MAX];
	int snaps, rc = 0, got = 1;

	for (int copy = 0; copy < 2 && rc == 0; copy++) {
		image_name_envelope(name, copy, 0);
		rc = small_read_back(r, name, r->im->envelope_bytes, r->im->envelope_len, buf, e);
	}
	if (rc != 0 || (snaps = dir_open(r->s->fd, "snaps", e)) == -1)
		return -1;
	for (unsigned part = 0; got == 1; part++)
		got = refs_part_read_back(r, snaps, part, buf, e);
	io->close(snaps);
	return got;
}

static int
rest_read_back(struct read_back *r, struct err *e)
{
	static const char *const labels[2] = { "label", "label2" }, *const statements[2] = { "stmt", "stmt2" };
	uint8_t *buf = aligned_alloc(BLOCK, PACK_LEN_MAX);
	int rc;

	if (buf == NULL)
		return err_errno(e, "read back");
	rc = index_read_back(r, buf, e);
	if (rc == 0 && r->with_snapshot)
		rc = snapshot_read_back(r, buf, e);
	for (int i = 0; i < 2 && rc == 0; i++) {
		rc = small_read_back(r, labels[i], r->d->label_bytes, r->d->label_len, buf, e);
		if (rc == 0)
			rc = small_read_back(r, statements[i], r->d->statement_bytes, r->d->statement_len, buf, e);
	}
	free(buf);
	return rc;
}

int
disk_read_back(int imagefd, struct state *s, const struct image_state *im, const struct image_disk *d, bool with_snapshot,
    unsigned workers, bool *from_medium, struct err *e)
{
	struct read_back r = { .imagefd = imagefd, .s = s, .im = im, .d = d, .with_snapshot = with_snapshot, .from_medium = true };
	struct pool *pool = NULL;
	struct expected *x;
	int rc = -1;

	err_clear(&r.err);
	pthread_mutex_init(&r.lock, NULL);
	if ((r.queue = queue_new(16, e)) != NULL && (pool = pool_start(workers, read_back_worker, &r, e)) != NULL) {
		rc = image_packs(s, im, expect_pack, &r, e);
		queue_close(r.queue);
		pool_wait(pool);
		if (r.failed) {
			*e = r.err;
			rc = -1;
		}
		if (rc == 0)
			rc = rest_read_back(&r, e);
	}
	if (r.queue != NULL) {
		while ((x = queue_try(r.queue)) != NULL)
			free(x);
		queue_free(r.queue);
	}
	pthread_mutex_destroy(&r.lock);
	*from_medium = r.from_medium;
	return rc != 0 ? err_during(e, "read back") : 0;
}
