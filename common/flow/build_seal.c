/* Sealing an image: key test, manifest, state. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/secret.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"
#include "common/crypto/slots.h"
#include "common/disk/image_dir.h"
#include "common/disk/image_file.h"
#include "common/flow/build_run.h"
#include "common/flow/image_root.h"
#include "common/flow/topup_build.h"
#include "common/pack/chunk_open.h"
#include "common/pack/pack_view.h"

/* --- the key test --- */

/* A disk at hand that carries packs. */
static const struct build_disk *
disk_with_packs(struct build *b, uint32_t *next_pack, struct err *e)
{
	const struct build_disk *bd;
	const struct image_disk *d;

	for (size_t i = 0; i < b->im->ndisks; i++) {
		d = &b->im->disks[i];
		*next_pack = d->next_pack;
		if (!d->gone && d->packs > 0 && (bd = build_disk_at(b, d->label.disk)) != NULL)
			return bd;
	}
	build_disk_needed(b, e, "a disk of image %s must be at hand, to open a chunk from it", b->im->begin.short_name);
	return NULL;
}

/* The first pack on a disk; after a power cut it need not be the one with number 0. */
static int
first_pack_read(struct build *b, uint8_t **bytes, size_t *len, struct err *e)
{
	char name[IMAGE_NAME_MAX];
	uint32_t next_pack;
	const struct build_disk *bd = disk_with_packs(b, &next_pack, e);
	int rc = -1;

	for (uint32_t n = 0; bd != NULL && rc != 0 && n < next_pack; n++) {
		err_clear(e);
		image_name_pack(name, n);
		if ((rc = image_file_read(bd->imagefd, name, PACK_LEN_MAX, bytes, len, e)) != 0 && e->code != ERR_NOT_FOUND)
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

/* The disks that count, by rising numbers. */
static void
disks_rows(const struct image_state *im, struct buf *out)
{
	struct manifest_disk d;
	struct wr w;
	uint8_t *p;

	for (size_t i = 0; i < im->ndisks; i++) {
		if (im->disks[i].gone || (p = buf_room(out, MANIFEST_DISK_LEN)) == NULL)
			continue;
		d = (struct manifest_disk){ .disk = im->disks[i].label.disk, .replaces = im->disks[i].replaces };
		statement_digest(&disk_statement_schema, im->disks[i].statement_bytes, im->disks[i].statement_len, d.statement);
		w = (struct wr){ .p = p, .left = MANIFEST_DISK_LEN };
		element_put(manifest_disk_fields, manifest_disk_nfields, &w, &d);
		buf_grew(out, MANIFEST_DISK_LEN);
	}
}

static int
manifest_make(struct build *b, bool tested, struct buf *out, struct err *e)
{
	const struct journal_begin *g = &b->im->begin;
	struct manifest m = { .generation = b->im->manifest.generation + 1, .key_tested = tested, .sealed = io_now() };
	uint8_t envelope[DIGEST_LEN];
	struct buf leans, disks;
	int rc = -1;

	buf_init(&leans);
	buf_init(&disks);
	disks_rows(b->im, &disks);
	if (topup_is(b)) {
		if (topup_carried(b, m.carried, e) != 0)
			goto out;
	} else {
		statement_digest(&envelope_schema, b->im->envelope_bytes, b->im->envelope_len, envelope);
		m.envelopes = view_of(envelope, sizeof(envelope));
	}
	memcpy(m.vault_id, g->vault_id, ID_LEN);
	memcpy(m.machine_id, g->machine_id, ID_LEN);
	memcpy(m.domain_id, g->domain_id, DIGEST_LEN);
	memcpy(m.image_id, g->image_id, ID_LEN);
	memcpy(m.short_name, g->short_name, sizeof(m.short_name));
	m.disks = view_of(disks.p, disks.len);
	image_root(g->vault_id, g->image_id, m.envelopes, m.carried, m.root);
	if ((rc = buf_check(&disks, e)) == 0 && (rc = topup_is(b) ? 0 : build_leans_on(b, &leans, e)) == 0) {
		m.leans_on = view_of(leans.p, leans.len);
		rc = statement_make(&manifest_schema, &m, b->s->sign_secret, out, e);
	}
out:
	buf_release(&leans);
	buf_release(&disks);
	return rc;
}

int
build_items_keep(struct build *b, struct err *e)
{
	char from[64], to[64];
	struct stat st;
	unsigned n = 0;
	int snaps, rc = 0;
	bool had;

	do {
		snprintf(from, sizeof(from), "items.%04u", ++n);
	} while (io->fstatat(b->im->fd, from, &st, AT_SYMLINK_NOFOLLOW) == 0);
	if (--n == 0)
		return 0;
	snprintf(from, sizeof(from), "items.%04u", n);
	snprintf(to, sizeof(to), "%08llu.itm", (unsigned long long)b->im->envelope.seq);
	if ((snaps = dir_open(b->s->fd, "snaps", e)) == -1)
		return -1;
	/* Moved already, and cut off before the logs of earlier runs were removed: none of these is whole. */
	had = io->fstatat(snaps, to, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (!had && io->renameat2(b->im->fd, from, snaps, to, 0) != 0)
		rc = err_errno(e, "keep the listing");
	if (rc == 0)
		rc = dir_sync(snaps, NULL, e);
	io->close(snaps);
	if (had)
		n++;
	while (rc == 0 && --n > 0) {
		snprintf(from, sizeof(from), "items.%04u", n);
		if (io->unlinkat(b->im->fd, from, 0) != 0 && errno != ENOENT)
			rc = err_errno(e, "remove an old item log");
	}
	return rc;
}

/* The manifest onto every disk at hand; one is enough. */
static int
manifest_out(struct build *b, struct err *e)
{
	char first[IMAGE_NAME_MAX], second[IMAGE_NAME_MAX];
	const struct build_disk *bd;
	unsigned n = 0;

	image_name_manifest(first, 0, b->im->manifest.generation);
	image_name_manifest(second, 1, b->im->manifest.generation);
	for (size_t i = 0; i < b->im->ndisks; i++) {
		if (b->im->disks[i].gone || (bd = build_disk_at(b, b->im->disks[i].label.disk)) == NULL)
			continue;
		if (disk_write_twice(bd->imagefd, first, second, b->im->manifest_bytes, b->im->manifest_len, e) != 0)
			return err_during(e, "disk %s", bd->name);
		n++;
	}
	return n > 0 ? 0 : build_disk_needed(b, e, "a disk of image %s must be at hand, for its manifest", b->im->begin.short_name);
}

/* The custody record of the sealing, onto every disk at hand. */
static int
sealed_tell(struct build *b, bool tested, struct err *e)
{
	unsigned event = tested ? CUSTODY_SEALED : CUSTODY_SEALED_UNTESTED;
	const struct build_disk *bd = NULL;

	for (size_t i = 0; i < b->im->ndisks && bd == NULL; i++)
		bd = b->im->disks[i].gone ? NULL : build_disk_at(b, b->im->disks[i].label.disk);
	return custody_add(b->s, b->im, bd != NULL ? bd->imagefd : -1, event, 0, tested ? "" : "--no-key-test", e);
}

static int
manifest_put(struct build *b, bool tested, struct err *e)
{
	struct buf out;
	int rc = 0;

	buf_init(&out);
	if (!image_manifest_fits(b->im)) {
		rc = manifest_make(b, tested, &out, e);
		if (rc == 0)
			rc = sealed_tell(b, tested, e);
		if (rc == 0)
			rc = journal_put(b->j, JOURNAL_MANIFEST, out.p, out.len, e);
		if (rc == 0)
			rc = journal_sync(b->j, e);
		if (rc == 0)
			rc = build_reload(b, e);
	}
	if (rc == 0)
		rc = manifest_out(b, e);
	buf_release(&out);
	return rc;
}

int
build_finish(struct build *b, const char *pass, size_t len, bool untested, struct err *e)
{
	if (!untested && key_test(b, pass, len, e) != 0)
		return -1;
	if (b->im->sealed && image_manifest_fits(b->im))
		return 0;
	if (manifest_put(b, !untested, e) != 0)
		return -1;
	if (b->im->sealed)	/* again, with another disk in place of one that was given up */
		return 0;
	if ((!topup_is(b) && (build_items_keep(b, e) != 0 || set_latest_save(b->s, b->set, b->im->envelope.seq, e) != 0)) ||
	    journal_put(b->j, JOURNAL_SEALED, NULL, 0, e) != 0 || journal_sync(b->j, e) != 0)
		return -1;
	return build_reload(b, e);
}
