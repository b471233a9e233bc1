/* Nothing is released before it was read back from the medium. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/crypto/hash.h"
#include "common/disk/image_dir.h"
#include "common/disk/image_file.h"
#include "common/flow/read_back_job.h"

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
	medium_open(&r->medium, fd);
	if (fd_digest(fd, buf, digest) != 0)
		rc = err_set(e, ERR_MEDIUM, "%s cannot be read back: %s", name, strerror(errno));
	medium_count(&r->medium, len);
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

/* Part ${part} of the list of snapshot ${seq}, the ${n}-th, both copies against the one in the state: 1 there is one, 0 none, -1. */
static int
refs_part_read_back(struct read_back *r, int snaps, uint32_t n, uint64_t seq, unsigned part, uint8_t *buf, struct err *e)
{
	uint8_t want[DIGEST_LEN], digest[DIGEST_LEN];
	char own[64], name[IMAGE_NAME_MAX];
	int fd, rc;

	snprintf(own, sizeof(own), "%08llu.r%02u", (unsigned long long)seq, part);
	if ((fd = io->open(snaps, own, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0)) == -1)
		return errno == ENOENT ? 0 : err_errno(e, "reference list %s in the state directory", own);
	if ((rc = fd_digest(fd, buf, want)) != 0)
		err_errno(e, "read reference list %s in the state directory", own);
	io->close(fd);
	for (int copy = 0; copy < 2 && rc == 0; copy++) {
		image_name_refs(name, copy, n, part);
		if ((rc = file_digest(r, name, buf, digest, e)) == 0 && memcmp(digest, want, DIGEST_LEN) != 0)
			rc = err_set(e, ERR_MEDIUM, "%s comes back changed", name);
	}
	return rc != 0 ? -1 : 1;
}

/* Envelope and reference list: what cannot be made up for by anything else on the disk. */
static int
snapshot_read_back(struct read_back *r, int snaps, uint32_t n, uint64_t seq, const uint8_t *env, size_t len, uint8_t *buf,
    struct err *e)
{
	char name[IMAGE_NAME_MAX];
	int rc = 0, got = 1;

	for (int copy = 0; copy < 2 && rc == 0; copy++) {
		image_name_envelope(name, copy, n);
		rc = small_read_back(r, name, env, len, buf, e);
	}
	for (unsigned part = 0; rc == 0 && got == 1; part++)
		got = refs_part_read_back(r, snaps, n, seq, part, buf, e);
	return rc != 0 ? rc : got;
}

static int
snapshots_read_back(struct read_back *r, uint8_t *buf, struct err *e)
{
	const struct image_state *im = r->im;
	int snaps = dir_open(r->s->fd, "snaps", e), rc = snaps == -1 ? -1 : 0;
	char name[64];
	uint8_t *env;
	size_t len;

	if (rc == 0 && r->how->snapshot)
		rc = snapshot_read_back(r, snaps, 0, im->envelope.seq, im->envelope_bytes, im->envelope_len, buf, e);
	for (size_t i = 0; i < r->how->nseqs && rc == 0; i++) {
		snprintf(name, sizeof(name), "%08llu.env", (unsigned long long)r->how->seqs[i]);
		if ((rc = file_read(snaps, name, SMALL_STATEMENT_MAX, &env, &len, e)) == 0) {
			rc = snapshot_read_back(r, snaps, (uint32_t)i, r->how->seqs[i], env, len, buf, e);
			free(env);
		}
	}
	if (snaps != -1)
		io->close(snaps);
	return rc;
}

static int
rest_read_back(struct read_back *r, struct err *e)
{
	static const char *const labels[2] = { "label", "label2" }, *const statements[2] = { "stmt", "stmt2" };
	uint8_t *buf = aligned_alloc(READ_BLOCK, PACK_LEN_MAX);
	int rc;

	if (buf == NULL)
		return err_errno(e, "read back");
	rc = index_read_back(r, buf, e);
	if (rc == 0 && (r->how->snapshot || r->how->nseqs > 0))
		rc = snapshots_read_back(r, buf, e);
	for (int i = 0; i < 2 && rc == 0; i++) {
		rc = small_read_back(r, labels[i], r->d->label_bytes, r->d->label_len, buf, e);
		if (rc == 0)
			rc = small_read_back(r, statements[i], r->d->statement_bytes, r->d->statement_len, buf, e);
	}
	free(buf);
	return rc;
}

/* Told a pack of the journal. */
static int
expect_pack(void *arg, uint32_t disk, uint32_t number, uint32_t file_len, const struct pack_table *t, const uint8_t *table,
    uint32_t table_len, const uint8_t *foot, struct err *e)
{
	struct read_back *r = arg;
	struct pack_foot f;

	(void)t;
	(void)table;
	(void)table_len;
	if (disk != r->d->label.disk)
		return 0;
	if (r->n == r->d->packs || pack_foot_decode(&f, foot, PACK_FOOT_LEN) != FMT_OK)
		return err_set(e, ERR_STATE, "a pack in the journal is damaged");
	r->packs[r->n].number = number;
	r->packs[r->n].file_len = file_len;
	memcpy(r->packs[r->n++].id, f.pack_id, DIGEST_LEN);
	return 0;
}

static int
by_number(const void *a, const void *b)
{
	const struct read_back_pack *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

int
disk_read_back(int imagefd, struct state *s, const struct image_state *im, const struct image_disk *d,
    const struct read_back_how *how, struct journal *j, bool *from_medium, struct err *e)
{
	struct read_back r = { .imagefd = imagefd, .s = s, .im = im, .d = d, .how = how, .j = j };
	int rc;

	*from_medium = false;
	if ((r.packs = calloc((size_t)d->packs + 1, sizeof(*r.packs))) == NULL)
		return err_set(e, ERR_MEMORY, "no memory to read the disk back");
	if ((rc = image_packs(s, im, expect_pack, &r, e)) == 0) {
		qsort(r.packs, r.n, sizeof(*r.packs), by_number);
		medium_begin(&r.medium, imagefd);
		if ((rc = read_back_packs(&r, e)) == 0)
			rc = rest_read_back(&r, e);
		*from_medium = medium_end(&r.medium);
	}
	free(r.packs);
	return rc != 0 ? err_during(e, "read back") : 0;
}
