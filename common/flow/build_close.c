/* Closing a disk, reading it back, and sealing an image. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/progress.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"
#include "common/crypto/slots.h"
#include "common/base/secret.h"
#include "common/disk/image_dir.h"
#include "common/disk/image_file.h"
#include "common/flow/build_run.h"
#include "common/flow/image_root.h"
#include "common/flow/topup_build.h"
#include "common/pack/chunk_open.h"
#include "common/pack/pack_view.h"
#include "formats/fmt_parity.h"

static int
statement_write(struct build *b, struct disk_statement *st, struct err *e)
{
	char first[IMAGE_NAME_MAX], second[IMAGE_NAME_MAX];
	struct buf out;
	int rc;

	buf_init(&out);
	image_name_statement(first, 0);
	image_name_statement(second, 1);
	rc = statement_make(&disk_statement_schema, st, b->s->sign_secret, &out, e);
	if (rc == 0)
		rc = disk_write_twice(b->imagefd, second, first, out.p, out.len, e);
	if (rc == 0)
		rc = journal_put(b->j, JOURNAL_CLOSED, out.p, out.len, e);
	if (rc == 0)
		rc = journal_sync(b->j, e);
	buf_release(&out);
	return rc;
}

static int
snapshot_write(struct build *b, struct err *e)
{
	int snaps = dir_open(b->s->fd, "snaps", e), rc;

	if (snaps == -1)
		return -1;
	rc = disk_write_snapshot(b->imagefd, 0, b->im->envelope_bytes, b->im->envelope_len, snaps, b->im->envelope.seq, e);
	io->close(snaps);
	return rc;
}

int
build_close_disk(struct build *b, struct err *e)
{
	const struct journal_begin *g = &b->im->begin;
	struct disk_statement st = { .disk = b->d->label.disk, .closed = io_now() };
	int rc;

	memcpy(st.vault_id, g->vault_id, ID_LEN);
	memcpy(st.machine_id, g->machine_id, ID_LEN);
	memcpy(st.domain_id, g->domain_id, DIGEST_LEN);
	memcpy(st.image_id, g->image_id, ID_LEN);
	hash_once(b->d->label_bytes, b->d->label_len, st.label_digest);
	rc = topup_is(b) ? topup_close(b, e) : snapshot_write(b, e);
	if (rc == 0)
		rc = disk_write_index(b->imagefd, b->s, b->im, &st, e);
	/* Only what was read back is coded. */
	st.parity_percent = b->o->no_read_back || (g->flags & JB_NO_READ_BACK) != 0 ? 0 : b->im->options.parity;
	st.parity_groups = parity_groups(st.packs, st.parity_percent);
	if (rc == 0)
		rc = statement_write(b, &st, e);
	if (rc == 0)
		rc = custody_add(b->s, b->im, b->imagefd, CUSTODY_CLOSED, st.disk, "", e);
	return rc == 0 ? build_reload(b, e) : err_during(e, "close disk %s", b->disk_name);
}

int
build_check_disk(struct build *b, struct err *e)
{
	uint8_t disk[4];
	bool medium;
	int rc;

	progress_start("read back", b->im->pack_bytes);
	rc = disk_read_back(b->imagefd, b->s, b->im, b->d, !topup_is(b), b->j, b->workers, &medium, e);
	progress_end();
	if (rc != 0)
		return err_during(e, "disk %s", b->disk_name);
	le32_put(disk, b->d->label.disk);
	if (custody_add(b->s, b->im, b->imagefd, medium ? CUSTODY_READ_BACK : CUSTODY_NOT_READ_BACK, b->d->label.disk,
	    medium ? "" : "read back, but perhaps from memory: this file system gives no way past it", e) != 0 ||
	    journal_put(b->j, JOURNAL_READ_BACK, disk, sizeof(disk), e) != 0 || journal_sync(b->j, e) != 0)
		return -1;
	b->r->read_back = medium;
	return build_reload(b, e);
}

/* --- the key test --- */

/* The first pack on the disk; after a power cut it need not be the one with number 0. */
static int
first_pack_read(struct build *b, uint8_t **bytes, size_t *len, struct err *e)
{
	char name[IMAGE_NAME_MAX];
	int rc = -1;

	for (uint32_t n = 0; rc != 0 && n < b->d->next_pack; n++) {
		err_clear(e);
		image_name_pack(name, n);
		if ((rc = image_file_read(b->imagefd, name, PACK_LEN_MAX, bytes, len, e)) != 0 && e->code != ERR_NOT_FOUND)
			break;
	}
	return rc;
}

/* Open the first chunk of the first pack on the disk with these keys. */
static int
chunk_test(struct build *b, const struct domain_keys *k, struct err *e)
{
	struct opener *op = opener_new(k);
	uint8_t *bytes = NULL, *plain = malloc(CHUNK_PLAIN_MAX);
	struct pack_view v;
	struct pack_row row;
	size_t len, n;
	int rc = -1;

	if (op == NULL || plain == NULL)
		err_set(e, ERR_MEMORY, "key test");
	else if (first_pack_read(b, &bytes, &len, e) == 0 &&
	    pack_view_bytes(&v, bytes, len, b->s->id.machine_id, b->s->machine_pub, e) == 0) {
		pack_table_row(&v.table, 0, &row);
		rc = chunk_open(op, bytes + PACK_HEAD_LEN, row.len, row.id, row.kind, plain, CHUNK_PLAIN_MAX, &n, e);
	}
	if (plain != NULL)
		secret_wipe(plain, CHUNK_PLAIN_MAX);
	free(plain);
	free(bytes);
	opener_free(op);
	return rc;
}

static int
key_test(struct build *b, const char *pass, size_t len, struct err *e)
{
	struct slot_secret how = { .type = SLOT_PASSPHRASE, .pass = pass, .pass_len = len };
	uint8_t *master = secret_new(KEY_LEN);
	struct domain_keys *k = NULL;
	uint32_t generation;
	int rc = slots_open(b->s->slots_bytes, b->s->slots_len, b->s->id.domain_id, &how, master, &generation, e);

	if (rc == 0) {
		k = domain_keys_new(master);
		rc = chunk_test(b, k, e);
	}
	domain_keys_free(k);
	secret_free(master);
	return rc != 0 ? err_during(e, "key test of image %s", b->im->begin.short_name) : 0;
}

/* --- the manifest --- */

static int
manifest_make(struct build *b, bool tested, struct buf *out, struct err *e)
{
	const struct journal_begin *g = &b->im->begin;
	struct manifest m = { .generation = 1, .key_tested = tested, .sealed = io_now() };
	struct manifest_disk d = { .disk = b->d->label.disk };
	uint8_t disk[MANIFEST_DISK_LEN], envelope[DIGEST_LEN];
	struct wr w = { .p = disk, .left = sizeof(disk) };
	struct buf leans;
	int rc;

	buf_init(&leans);
	statement_digest(&disk_statement_schema, b->d->statement_bytes, b->d->statement_len, d.statement);
	if (topup_is(b)) {
		if (topup_carried(b, m.carried, e) != 0)
			return -1;
	} else {
		statement_digest(&envelope_schema, b->im->envelope_bytes, b->im->envelope_len, envelope);
		m.envelopes = view_of(envelope, sizeof(envelope));
	}
	element_put(manifest_disk_fields, manifest_disk_nfields, &w, &d);
	memcpy(m.vault_id, g->vault_id, ID_LEN);
	memcpy(m.machine_id, g->machine_id, ID_LEN);
	memcpy(m.domain_id, g->domain_id, DIGEST_LEN);
	memcpy(m.image_id, g->image_id, ID_LEN);
	memcpy(m.short_name, g->short_name, sizeof(m.short_name));
	m.disks = view_of(disk, sizeof(disk));
	image_root(g->vault_id, g->image_id, m.envelopes, m.carried, m.root);
	if ((rc = topup_is(b) ? 0 : build_leans_on(b, &leans, e)) == 0) {
		m.leans_on = view_of(leans.p, leans.len);
		rc = statement_make(&manifest_schema, &m, b->s->sign_secret, out, e);
	}
	buf_release(&leans);
	return rc;
}

/* The item log becomes the base of the next increment. */
static int
items_keep(struct build *b, struct err *e)
{
	char from[64], to[64];
	struct stat st;
	unsigned n = 0;
	int snaps, rc = 0;

	do {
		snprintf(from, sizeof(from), "items.%04u", ++n);
	} while (io->fstatat(b->im->fd, from, &st, AT_SYMLINK_NOFOLLOW) == 0);
	if (--n == 0)
		return 0;		/* moved already */
	snprintf(from, sizeof(from), "items.%04u", n);
	snprintf(to, sizeof(to), "%08llu.itm", (unsigned long long)b->im->envelope.seq);
	if ((snaps = dir_open(b->s->fd, "snaps", e)) == -1)
		return -1;
	if (io->renameat2(b->im->fd, from, snaps, to, 0) != 0)
		rc = err_errno(e, "keep the listing");
	if (rc == 0)
		rc = dir_sync(snaps, NULL, e);
	io->close(snaps);
	while (rc == 0 && --n > 0) {
		snprintf(from, sizeof(from), "items.%04u", n);
		if (io->unlinkat(b->im->fd, from, 0) != 0 && errno != ENOENT)
			rc = err_errno(e, "remove an old item log");
	}
	return rc;
}

static int
manifest_put(struct build *b, bool tested, struct err *e)
{
	char first[IMAGE_NAME_MAX], second[IMAGE_NAME_MAX];
	struct buf out;
	int rc = 0;

	buf_init(&out);
	if (b->im->manifest.generation == 0) {
		rc = manifest_make(b, tested, &out, e);
		if (rc == 0 && !tested)
			rc = custody_add(b->s, b->im, b->imagefd, CUSTODY_SEALED_UNTESTED, 0, "--no-key-test", e);
		else if (rc == 0)
			rc = custody_add(b->s, b->im, b->imagefd, CUSTODY_SEALED, 0, "", e);
		if (rc == 0)
			rc = journal_put(b->j, JOURNAL_MANIFEST, out.p, out.len, e);
		if (rc == 0)
			rc = journal_sync(b->j, e);
		if (rc == 0)
			rc = build_reload(b, e);
	}
	image_name_manifest(first, 0, 1);
	image_name_manifest(second, 1, 1);
	if (rc == 0)
		rc = disk_write_twice(b->imagefd, first, second, b->im->manifest_bytes, b->im->manifest_len, e);
	buf_release(&out);
	return rc;
}

int
build_finish(struct build *b, const char *pass, size_t len, bool untested, struct err *e)
{
	if (!untested && key_test(b, pass, len, e) != 0)
		return -1;
	if (b->im->sealed)
		return 0;
	if (manifest_put(b, !untested, e) != 0 || (!topup_is(b) && (items_keep(b, e) != 0 ||
	    set_latest_save(b->s, b->set, b->im->envelope.seq, e) != 0)) ||
	    journal_put(b->j, JOURNAL_SEALED, NULL, 0, e) != 0 || journal_sync(b->j, e) != 0)
		return -1;
	return build_reload(b, e);
}
