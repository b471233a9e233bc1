/* The disks of an export: begun, filled, closed, read back, one after the other. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"
#include "common/disk/image_dir.h"
#include "common/flow/custody.h"
#include "common/flow/disk_room.h"
#include "common/flow/export_job.h"
#include "formats/fmt_listing.h"
#include "formats/fmt_parity.h"

static void
disk_name(const struct exporting *x, char out[16])
{
	(void)snprintf(out, 16, "%.4s-%u", x->im->begin.short_name, x->number);
}

/* What the journal says by now. */
static int
reload(struct exporting *x, struct err *e)
{
	struct image_state *im = image_state_load(&x->s, x->im->name, NULL, NULL, e);

	if (im == NULL)
		return -1;
	image_state_free(x->im);
	x->im = im;
	return 0;
}

void
export_disk_let_go(struct exporting *x)
{
	if (x->imagefd != -1)
		(void)io->close(x->imagefd);
	if (x->target.fd != -1)
		(void)disk_target_close(&x->target);
	x->imagefd = x->target.fd = -1;
	x->number = 0;
}

static int
label_make(struct exporting *x, uint32_t number, struct buf *out, struct err *e)
{
	struct label l = { .disk = number, .format = FORMAT_VERSION, .suite = SUITE_1, .created = io_now() };
	const struct journal_begin *g = &x->im->begin;

	memcpy(l.image_id, g->image_id, ID_LEN);
	memcpy(l.short_name, g->short_name, sizeof(l.short_name));
	memcpy(l.vault_id, g->vault_id, ID_LEN);
	memcpy(l.vault_name, x->v->desc.name, sizeof(l.vault_name));
	memcpy(l.machine_id, g->machine_id, ID_LEN);
	memcpy(l.machine_name, x->machine.name, sizeof(l.machine_name));
	memcpy(l.machine_pub, x->s.machine_pub, SIGN_PUB_LEN);
	memcpy(l.domain_id, g->domain_id, DIGEST_LEN);
	memcpy(l.fs_type, x->target.fs_type, sizeof(l.fs_type));
	memcpy(l.fs_id, x->target.fs_id, ID_LEN);
	return statement_make(&label_schema, &l, x->s.sign_secret, out, e);
}

/* The fresh disk that is open becomes the image's next. */
static int
disk_new(struct exporting *x, struct err *e)
{
	uint32_t number = x->im->ndisks == 0 ? 1 : x->im->disks[x->im->ndisks - 1].label.disk + 1;
	struct buf label;
	int rc = -1;

	buf_init(&label);
	if (number > DISKS_MAX)
		(void)err_set(e, ERR_RULE, "the export has %u disks already, and no image has more", number - 1);
	else if (label_make(x, number, &label, e) == 0 && journal_put(x->j, JOURNAL_DISK, label.p, label.len, e) == 0 &&
	    journal_sync(x->j, e) == 0 &&
	    (x->imagefd = disk_begin(&x->target, &x->s, x->im->name, label.p, label.len, e)) != -1)
		rc = 0;
	buf_release(&label);
	if (rc != 0)
		return -1;
	x->number = number;
	x->next_pack = 0;
	x->longest = 0;
	x->index_bytes = 0;
	return reload(x, e);
}

static int
disk_weigh(void *arg, uint32_t disk, uint32_t number, uint32_t file_len, const struct pack_table *t, const uint8_t *table,
    uint32_t table_len, const uint8_t *foot, struct err *e)
{
	struct exporting *x = arg;

	(void)number, (void)t, (void)table, (void)foot, (void)e;
	if (disk != x->number)
		return 0;
	x->index_bytes += INDEX_ROW_HEAD_LEN + (uint64_t)table_len + PACK_FOOT_LEN;
	if (file_len > x->longest)
		x->longest = file_len;
	return 0;
}

/* Go on with a disk of this image that was not closed. */
static int
disk_again(struct exporting *x, const struct image_disk *d, struct err *e)
{
	char name[IMAGE_NAME_MAX];

	if ((x->imagefd = disk_resume(&x->target, x->im->name, d->label_bytes, d->label_len, e)) == -1)
		return -1;
	x->number = d->label.disk;
	x->next_pack = d->next_pack;
	x->longest = 0;
	x->index_bytes = 0;
	/* One that was cut off before its record; it is written again. */
	image_name_pack(name, x->next_pack);
	(void)io->unlinkat(x->imagefd, name, 0);
	return image_packs(&x->s, x->im, disk_weigh, x, e);
}

/* Does so much more go onto the disk in hand?  1 yes, 0 no, -1. */
static int
disk_has_room(struct exporting *x, uint64_t len, uint32_t table_len, int pack, struct err *e)
{
	uint32_t longest = pack && len > x->longest ? (uint32_t)len : x->longest;
	uint64_t there, needed, row = pack ? INDEX_ROW_HEAD_LEN + (uint64_t)table_len + PACK_FOOT_LEN : 0;

	if (disk_writable(&x->target, x->next_pack, &there, e) != 0)
		return -1;
	needed = len + x->im->options.reserve + disk_closing_cost(x->im->options.parity, x->next_pack + (pack != 0), longest,
	    x->index_bytes + row, 0);
	return there >= needed;
}

/* --- closing --- */

/* All snapshots onto the disk in hand. */
static int
snapshots_put(struct exporting *x, struct err *e)
{
	int snaps = dir_open(x->s.fd, "snaps", e), rc = snaps == -1 ? -1 : 0;
	uint8_t disk[4], *bytes;
	char name[64];
	size_t len;

	for (size_t i = 0; i < x->nseqs && rc == 0; i++) {
		(void)snprintf(name, sizeof(name), "%08llu.env", (unsigned long long)x->seqs[i]);
		if ((rc = file_read(snaps, name, SMALL_STATEMENT_MAX, &bytes, &len, e)) != 0)
			break;
		rc = disk_write_snapshot(x->imagefd, (uint32_t)i, bytes, len, snaps, x->seqs[i], e);
		free(bytes);
	}
	if (snaps != -1)
		(void)io->close(snaps);
	le32_put(disk, x->number);
	return rc == 0 ? journal_put(x->j, JOURNAL_SNAPSHOT, disk, sizeof(disk), e) : -1;
}

static int
statement_put(struct exporting *x, struct disk_statement *st, struct err *e)
{
	char first[IMAGE_NAME_MAX], second[IMAGE_NAME_MAX];
	struct buf out;
	int rc;

	buf_init(&out);
	image_name_statement(first, 0);
	image_name_statement(second, 1);
	rc = statement_make(&disk_statement_schema, st, x->s.sign_secret, &out, e);
	if (rc == 0 && (rc = disk_write_twice(x->imagefd, second, first, out.p, out.len, e)) == 0 &&
	    (rc = journal_put(x->j, JOURNAL_CLOSED, out.p, out.len, e)) == 0)
		rc = journal_sync(x->j, e);
	buf_release(&out);
	return rc;
}

static int
disk_close(struct exporting *x, int snapshots, struct err *e)
{
	struct disk_statement st = { .disk = x->number, .closed = io_now() };
	const struct journal_begin *g;
	const struct image_disk *d;

	if (reload(x, e) != 0)
		return -1;
	g = &x->im->begin;
	d = image_disk(x->im, x->number);
	memcpy(st.vault_id, g->vault_id, ID_LEN);
	memcpy(st.machine_id, g->machine_id, ID_LEN);
	memcpy(st.domain_id, g->domain_id, DIGEST_LEN);
	memcpy(st.image_id, g->image_id, ID_LEN);
	hash_once(d->label_bytes, d->label_len, st.label_digest);
	if ((snapshots && snapshots_put(x, e) != 0) || disk_write_index(x->imagefd, &x->s, x->im, &st, e) != 0)
		return -1;
	st.parity_percent = x->im->options.parity;
	st.parity_groups = parity_groups(st.packs, st.parity_percent);
	if (statement_put(x, &st, e) != 0 || custody_add(&x->s, x->im, x->imagefd, CUSTODY_CLOSED, x->number, "", e) != 0)
		return -1;
	return reload(x, e);
}

static int
disk_check(struct exporting *x, int full, struct err *e)
{
	const struct image_disk *d = image_disk(x->im, x->number);
	struct read_back_how how = { .counted = true, .workers = 1 };
	bool medium = false;
	uint8_t disk[4];
	char name[16];

	if (x->im->snapshot_disk == x->number) {
		how.seqs = x->seqs;
		how.nseqs = x->nseqs;
	}
	disk_name(x, name);
	if (disk_read_back(x->imagefd, &x->s, x->im, d, &how, x->j, &medium, e) != 0) {
		(void)err_next(e, "do not use disk %s; export anew onto another: samara-import export --anew", name);
		return err_during(e, "disk %s", name);
	}
	if (custody_add(&x->s, x->im, x->imagefd, medium ? CUSTODY_READ_BACK : CUSTODY_NOT_READ_BACK, x->number,
	    medium ? "" : "read back, but perhaps from memory: this file system gives no way past it", e) != 0)
		return -1;
	le32_put(disk, x->number);
	if (journal_put(x->j, JOURNAL_READ_BACK, disk, sizeof(disk), e) != 0 || journal_sync(x->j, e) != 0 || reload(x, e) != 0)
		return -1;
	if (!medium)
		x->r->medium = 0;
	if (x->o->disk_done != NULL && full)
		x->o->disk_done(x->o->arg, name, image_disk(x->im, x->number)->pack_bytes, full, medium);
	return 0;
}

/* --- the next disk --- */

static int
disk_needed(struct exporting *x, struct err *e)
{
	const struct image_disk *open = image_disk_open(x->im);

	if (open != NULL && open->packs > 0)
		(void)err_set(e, ERR_DISK_NEEDED, "disk %s-%u of the export is not finished, and not at hand", x->im->begin.short_name,
		    open->label.disk);
	else
		(void)err_set(e, ERR_DISK_NEEDED, "every disk at hand is full, and the export needs another");
	return err_next(e, "put it in, and: samara-import export %s --machine %s --to DISK", x->v->path, x->machine.name);
}

/* What was closed and never read back is, now that it is here.  1: this disk is done with, 0 it is not of this image, -1. */
static int
disk_catch_up(struct exporting *x, const struct image_disk *d, struct err *e)
{
	if (!d->read_back) {
		if ((x->imagefd = disk_resume(&x->target, x->im->name, d->label_bytes, d->label_len, e)) == -1)
			return -1;
		x->number = d->label.disk;
		if (disk_check(x, 1, e) != 0)
			return -1;
	}
	export_disk_let_go(x);
	return 1;
}

/* Open ${path}, and take it in hand if it has room for us: 0; 1 it has not; -1. */
static int
disk_take(struct exporting *x, const char *path, struct err *e)
{
	struct image_dir dir;
	const struct image_disk *d = NULL, *open = image_disk_open(x->im);

	if (disk_target_open(path, x->o->plain_directory != 0, x->s.fd, NULL, 0, &x->target, e) != 0) {
		x->target.fd = -1;
		return -1;
	}
	if (disk_has_image(&x->target, x->im->name) && image_dir_open(x->target.fd, x->im->name, &dir, NULL) == 0) {
		if (memcmp(dir.label.image_id, x->im->begin.image_id, ID_LEN) == 0)
			d = image_disk(x->im, dir.label.disk);
		image_dir_close(&dir);
		if (d == NULL)
			return err_set(e, ERR_WRONG_DISK, "%s carries another image called %s", path, x->im->begin.short_name);
	}
	if (d != NULL && d->statement.disk != 0)
		return disk_catch_up(x, d, e);
	if (d != NULL)
		return disk_again(x, d, e);
	if (open != NULL && open->packs > 0) {
		export_disk_let_go(x);
		return disk_needed(x, e);
	}
	return disk_new(x, e);
}

/* The next disk that takes part, from the command line or from a person. */
static int
disk_next(struct exporting *x, struct err *e)
{
	int rc = 1;

	while (rc == 1 && x->next_disk < x->o->ndisks)
		if ((rc = disk_take(x, x->o->disks[x->next_disk++], e)) == -1)
			export_disk_let_go(x);
	while (rc == 1) {
		if (x->o->disk_ask == NULL || (rc = x->o->disk_ask(x->o->arg, x->asked, sizeof(x->asked), e)) == 1)
			return disk_needed(x, e);
		if (rc == 0 && (rc = disk_take(x, x->asked, e)) == -1)
			export_disk_let_go(x);
	}
	return rc;
}

/* So much onto a disk in hand, the next where this one is full. */
static int
room_make(struct exporting *x, uint64_t len, uint32_t table_len, int pack, struct err *e)
{
	for (;;) {
		int rc;

		if (x->imagefd == -1 && disk_next(x, e) != 0)
			return -1;
		if ((rc = disk_has_room(x, len, table_len, pack, e)) != 0)
			return rc == 1 ? 0 : -1;
		if (x->next_pack == 0) {
			(void)err_set(e, ERR_NO_SPACE, "%s has no room even for the first of it", x->target.path);
			return -1;
		}
		if (disk_close(x, 0, e) != 0 || disk_check(x, 1, e) != 0)
			return -1;
		export_disk_let_go(x);
	}
}

int
export_room(struct exporting *x, uint32_t len, uint32_t table_len, struct err *e)
{
	return room_make(x, len, table_len, 1, e);
}

int
export_put(struct exporting *x, const uint8_t *pack, uint32_t len, uint32_t table_len, struct err *e)
{
	char name[IMAGE_NAME_MAX], dir[IMAGE_NAME_MAX];
	struct fmt_view parts[2];
	uint8_t head[12];

	image_name_pack_dir(dir, x->next_pack);
	image_name_pack(name, x->next_pack);
	if (dir_make(x->imagefd, dir, 0755, e) != 0 || file_replace(x->imagefd, name, pack, len, 0644, e) != 0)
		return err_during(e, "disk %s", x->target.path);
	le32_put(head, x->number);
	le32_put(head + 4, x->next_pack);
	le32_put(head + 8, len);
	parts[0] = view_of(head, sizeof(head));
	parts[1] = view_of(pack + len - PACK_FOOT_LEN - table_len, table_len + PACK_FOOT_LEN);
	if (journal_add(x->j, JOURNAL_PACK, parts, 2, e) != 0 || journal_sync(x->j, e) != 0)
		return -1;
	x->next_pack++;
	x->index_bytes += INDEX_ROW_HEAD_LEN + (uint64_t)table_len + PACK_FOOT_LEN;
	if (len > x->longest)
		x->longest = len;
	return 0;
}

int
export_finish(struct exporting *x, struct err *e)
{
	const struct image_disk *d = image_disk(x->im, x->im->snapshot_disk);

	/* Cut off behind the closing of the last disk: it only has to be read back. */
	if (d != NULL && d->statement.disk != 0) {
		while (!image_disks_done(x->im)) {
			if (x->next_disk == x->o->ndisks)
				return disk_needed(x, e);
			if (disk_take(x, x->o->disks[x->next_disk++], e) == -1)
				return -1;
			d = image_disk(x->im, x->im->snapshot_disk);
		}
		return 0;
	}
	if (room_make(x, x->r->list_bytes, 0, 0, e) != 0 || disk_close(x, 1, e) != 0)
		return -1;
	return disk_check(x, 0, e);
}
