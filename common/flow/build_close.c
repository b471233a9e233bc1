/* Closing a disk and reading it back. */

#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"
#include "common/disk/image_dir.h"
#include "common/flow/build_run.h"
#include "common/flow/topup_build.h"
#include "formats/fmt_parity.h"

static int
statement_write(struct build *b, const struct build_disk *bd, struct disk_statement *st, struct err *e)
{
	char first[IMAGE_NAME_MAX], second[IMAGE_NAME_MAX];
	struct buf out;
	int rc;

	buf_init(&out);
	image_name_statement(first, 0);
	image_name_statement(second, 1);
	rc = statement_make(&disk_statement_schema, st, b->s->sign_secret, &out, e);
	if (rc == 0)
		rc = disk_write_twice(bd->imagefd, second, first, out.p, out.len, e);
	if (rc == 0)
		rc = journal_put(b->j, JOURNAL_CLOSED, out.p, out.len, e);
	if (rc == 0)
		rc = journal_sync(b->j, e);
	buf_release(&out);
	return rc;
}

/* The snapshot, or what a top-up carries, and which disk has it. */
static int
snapshot_write(struct build *b, const struct image_state *im, const struct build_disk *bd, struct err *e)
{
	uint8_t disk[4];
	int snaps, rc;

	if (topup_is(b)) {
		rc = topup_close(b, bd, e);
	} else {
		if ((snaps = dir_open(b->s->fd, "snaps", e)) == -1)
			return -1;
		rc = disk_write_snapshot(bd->imagefd, 0, im->envelope_bytes, im->envelope_len, snaps, im->envelope.seq, e);
		io->close(snaps);
	}
	le32_put(disk, bd->number);
	/* Durable with the record that closes the disk. */
	return rc == 0 ? journal_put(b->j, JOURNAL_SNAPSHOT, disk, sizeof(disk), e) : -1;
}

int
build_close_disk(struct build *b, struct image_state *im, struct build_disk *bd, bool snapshot, struct err *e)
{
	const struct journal_begin *g = &im->begin;
	const struct image_disk *d = image_disk(im, bd->number);
	struct disk_statement st = { .disk = bd->number, .closed = io_now() };
	int rc = 0;

	if (d == NULL)
		return err_set(e, ERR_INTERNAL, "disk %s is not in the journal", bd->name);
	memcpy(st.vault_id, g->vault_id, ID_LEN);
	memcpy(st.machine_id, g->machine_id, ID_LEN);
	memcpy(st.domain_id, g->domain_id, DIGEST_LEN);
	memcpy(st.image_id, g->image_id, ID_LEN);
	hash_once(d->label_bytes, d->label_len, st.label_digest);
	if (snapshot)
		rc = snapshot_write(b, im, bd, e);
	if (rc == 0)
		rc = disk_write_index(bd->imagefd, b->s, im, &st, e);
	/* Only what was read back is coded. */
	st.parity_percent = build_no_read_back(b) ? 0 : im->options.parity;
	st.parity_groups = parity_groups(st.packs, st.parity_percent);
	if (rc == 0)
		rc = statement_write(b, bd, &st, e);
	if (rc == 0)
		rc = custody_add(b->s, im, bd->imagefd, CUSTODY_CLOSED, st.disk, "", e);
	return rc == 0 ? 0 : err_during(e, "close disk %s", bd->name);
}

/* The record that ends a disk's reading back, or its being excused from it. */
static int
read_back_put(struct build *b, uint32_t number, struct err *e)
{
	uint8_t disk[4];

	le32_put(disk, number);
	return journal_put(b->j, JOURNAL_READ_BACK, disk, sizeof(disk), e) == 0 ? journal_sync(b->j, e) : -1;
}

int
build_excuse_disk(struct build *b, struct image_state *im, const struct image_disk *d, struct build_disk *bd,
    struct err *e)
{
	if (bd != NULL)
		bd->done = true;
	if (custody_add(b->s, im, bd != NULL ? bd->imagefd : -1, CUSTODY_NOT_READ_BACK, d->label.disk, "--no-read-back", e) != 0)
		return -1;
	return read_back_put(b, d->label.disk, e);
}

int
build_check_disk(struct build *b, struct image_state *im, struct build_disk *bd, unsigned workers, struct err *e)
{
	const struct image_disk *d = image_disk(im, bd->number);
	struct read_back_how how = { .snapshot = !topup_image(im) && im->snapshot_disk == bd->number, .counted = bd->counted,
	    .workers = workers };

	if (d == NULL)
		return err_set(e, ERR_INTERNAL, "disk %s is not in the journal", bd->name);
	bd->done = true;
	if (build_no_read_back(b))
		return build_excuse_disk(b, im, d, bd, e);
	if (disk_read_back(bd->imagefd, b->s, im, d, &how, b->j, &bd->medium, e) != 0) {
		if (e->code == ERR_MEDIUM)
			err_next(e, "do not ship disk %s; put in another and: samara-seed build --replace %s=NEWDISK", bd->name, bd->name);
		return err_during(e, "disk %s", bd->name);
	}
	if (custody_add(b->s, im, bd->imagefd, bd->medium ? CUSTODY_READ_BACK : CUSTODY_NOT_READ_BACK, bd->number,
	    bd->medium ? "" : "read back, but perhaps from memory: this file system gives no way past it", e) != 0)
		return -1;
	return read_back_put(b, bd->number, e);
}
