/* Snapshots of a machine out of its vault, onto disks. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/progress.h"
#include "common/catalog/catalog.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"
#include "common/disk/image_dir.h"
#include "common/flow/container.h"
#include "common/flow/custody.h"
#include "common/flow/export_job.h"
#include "common/flow/image_root.h"
#include "common/flow/ingest_job.h"
#include "common/flow/vault_claim.h"
#include "common/flow/vault_machine.h"
#include "formats/fmt_listing.h"
#include "formats/fmt_snapshot.h"

#define EXPORTS		"exports"
#define EXIT_NOT_ALL	3

static int
key_note(void *arg, const void *row, struct err *e)
{
	const struct cat_machine_key *k = row;
	struct exporting *x = arg;
	struct cat_machine_key *more = realloc(x->keys, (x->nkeys + 1) * sizeof(*more));

	if (more == NULL)
		return err_errno(e, "machines");
	x->keys = more;
	x->keys[x->nkeys++] = *k;
	return 0;
}

/* Every key of every machine of the key domain. */
static int
machine_note(void *arg, const void *row, struct err *e)
{
	const struct cat_machine *m = row;
	struct exporting *x = arg;
	struct cat_machine_key like;

	if (memcmp(m->domain_id, x->machine.domain_id, DIGEST_LEN) != 0)
		return 0;
	memcpy(like.machine_id, m->id, ID_LEN);
	return catalog_each(x->v->catalog, &cat_machine_keys, 1, &like, key_note, x, e);
}

/* Whoever checks the export without a key has to know who signed the snapshots of the computers before. */
static int
older_take(struct exporting *x, struct err *e)
{
	struct buf older;

	buf_init(&older);
	if (vault_keys_older(x->v, x->machine.id, "member", &older, e) != 0) {
		buf_release(&older);
		return -1;
	}
	x->s.older_bytes = older.p;
	x->s.older_len = older.len;
	return 0;
}

/* exports/ as a state: the vault stands where a machine stands. */
static int
state_make(struct exporting *x, struct err *e)
{
	struct state *s = &x->s;
	int rc;

	if (dir_make(x->v->local, EXPORTS "/images", 0700, e) != 0 || (s->fd = dir_open(x->v->local, EXPORTS, e)) == -1)
		return -1;
	(void)snprintf(s->path, sizeof(s->path), "%.4000s/local/" EXPORTS, x->v->path);
	memcpy(s->id.machine_id, x->v->desc.vault_id, ID_LEN);
	memcpy(s->id.machine_name, x->machine.name, sizeof(s->id.machine_name));
	memcpy(s->id.domain_id, x->machine.domain_id, DIGEST_LEN);
	memcpy(s->machine_pub, x->v->desc.sign_pub, SIGN_PUB_LEN);
	memcpy(s->trust.vault_id, x->v->desc.vault_id, ID_LEN);
	memcpy(s->trust.vault_name, x->v->desc.name, sizeof(s->trust.vault_name));
	s->sign_secret = x->v->sign_secret;
	rc = vault_keys_newest(x->v, x->machine.id, "domain", &s->domain_bytes, &s->domain_len, e);
	if (rc == 0)
		rc = vault_keys_newest(x->v, x->machine.id, "member", &s->member_bytes, &s->member_len, e);
	if (rc == 0)
		rc = older_take(x, e);
	return rc == 1 ? err_set(e, ERR_MISSING, "the vault does not keep what machine %s registered with", x->machine.name) : rc;
}

/* --- the image --- */

static void
name_choose(struct exporting *x, char out[SHORT_LEN + 1], char lower[SHORT_LEN + 1])
{
	char path[32];
	struct stat st;

	do {
		image_name_draw(out, lower);
		(void)snprintf(path, sizeof(path), "images/%s", lower);
	} while (io->fstatat(x->s.fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0);
}

static int
image_new(struct exporting *x, struct err *e)
{
	struct journal_begin g = { .begin_ns = io_now_ns() };
	struct journal_options options = { .parity = (uint8_t)x->o->parity, .reserve = x->o->reserve };
	uint8_t code[JOURNAL_OPTIONS_LEN];
	char lower[SHORT_LEN + 1], path[32], seq[24];
	struct buf paths, begin;
	int fd = -1, rc = -1;

	buf_init(&paths);
	buf_init(&begin);
	for (size_t i = 0; i < x->nseqs; i++) {
		int n = snprintf(seq, sizeof(seq), "%llu", (unsigned long long)x->seqs[i]);

		buf_u16(&paths, (uint16_t)n);
		buf_add(&paths, seq, (size_t)n);
	}
	io_random(g.image_id, ID_LEN);
	io_random(g.snapshot_id, ID_LEN);
	name_choose(x, g.short_name, lower);
	memcpy(g.machine_id, x->v->desc.vault_id, ID_LEN);
	memcpy(g.vault_id, x->v->desc.vault_id, ID_LEN);
	memcpy(g.domain_id, x->machine.domain_id, DIGEST_LEN);
	(void)snprintf(g.set_name, sizeof(g.set_name), "%s", x->machine.name);
	g.paths = view_of(paths.p, paths.len);
	journal_options_encode(&options, code);
	(void)snprintf(path, sizeof(path), "images/%s", lower);
	if (buf_check(&paths, e) != 0 || statement_make(&journal_begin_schema, &g, NULL, &begin, e) != 0 ||
	    dir_make(x->s.fd, path, 0700, e) != 0 || (fd = dir_open(x->s.fd, path, e)) == -1 ||
	    (x->j = journal_create(fd, "journal", JOURNAL_BEGIN, begin.p, begin.len, e)) == NULL ||
	    journal_put(x->j, JOURNAL_OPTIONS, code, sizeof(code), e) != 0 || journal_sync(x->j, e) != 0)
		goto out;
	rc = (x->im = image_state_load(&x->s, lower, NULL, NULL, e)) == NULL ? -1 : 0;
	if (rc == 0)
		rc = custody_add(&x->s, x->im, -1, CUSTODY_BUILT, 0, "export", e);
out:
	if (fd != -1)
		(void)io->close(fd);
	buf_release(&paths);
	buf_release(&begin);
	return rc;
}

/* A directory with at most a few levels, and all that is in it; what cannot be removed stays. */
static void
tree_drop(int dirfd, const char *path)
{
	char **names, below[512];
	size_t n;

	if (dir_list(dirfd, path, &names, &n, NULL) == 0) {
		for (size_t i = 0; i < n; i++) {
			(void)snprintf(below, sizeof(below), "%s/%s", path, names[i]);
			if (io->unlinkat(dirfd, below, 0) != 0)
				tree_drop(dirfd, below);
		}
		dir_list_free(names, n);
	}
	(void)io->unlinkat(dirfd, path, AT_REMOVEDIR);
}

static void
image_drop(struct exporting *x)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "images/%s", x->im->name);
	journal_close(x->j);
	x->j = NULL;
	image_state_free(x->im);
	x->im = NULL;
	tree_drop(x->s.fd, path);
	tree_drop(x->s.fd, "snaps");
}

static int
image_find(struct exporting *x, struct err *e)
{
	int rc = image_state_find(&x->s, x->machine.name, &x->im, e);

	if (rc != 0)
		return rc == 1 ? 0 : -1;
	if (x->o->plan || x->o->anew) {
		if (x->o->anew && !x->o->plan)
			image_drop(x);
		image_state_free(x->im);
		x->im = NULL;
		return 0;
	}
	if (x->o->snapshot != NULL)
		say_info("an unfinished export of machine %s goes on as it was begun; --anew gives it up", x->machine.name);
	return (x->j = journal_append(x->im->fd, "journal", e)) == NULL ? -1 : 0;
}

/* --- the seal --- */

static int
digest_order(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_LEN);
}

/* Digests of all envelopes, in byte order. */
static int
envelopes_digest(struct exporting *x, uint8_t *out, struct err *e)
{
	int snaps = dir_open(x->s.fd, "snaps", e), rc = snaps == -1 ? -1 : 0;
	uint8_t *bytes;
	char name[64];
	size_t len;

	for (size_t i = 0; i < x->nseqs && rc == 0; i++) {
		(void)snprintf(name, sizeof(name), "%08llu.env", (unsigned long long)x->seqs[i]);
		if ((rc = file_read(snaps, name, SMALL_STATEMENT_MAX, &bytes, &len, e)) == 0) {
			statement_digest(&envelope_schema, bytes, len, out + i * DIGEST_LEN);
			free(bytes);
		}
	}
	if (snaps != -1)
		(void)io->close(snaps);
	qsort(out, x->nseqs, DIGEST_LEN, digest_order);
	return rc;
}

static int
manifest_make(struct exporting *x, struct buf *out, struct err *e)
{
	const struct journal_begin *g = &x->im->begin;
	struct manifest m = { .generation = 1, .sealed = io_now() };
	uint8_t *digests = malloc(x->nseqs * DIGEST_LEN), *p;
	struct buf disks;
	int rc = digests == NULL ? err_errno(e, "manifest") : envelopes_digest(x, digests, e);

	buf_init(&disks);
	for (size_t i = 0; i < x->im->ndisks; i++) {
		const struct image_disk *d = &x->im->disks[i];
		struct manifest_disk row = { .disk = d->label.disk };
		struct wr w;

		if ((p = buf_room(&disks, MANIFEST_DISK_LEN)) == NULL)
			continue;
		statement_digest(&disk_statement_schema, d->statement_bytes, d->statement_len, row.statement);
		w = (struct wr){ .p = p, .left = MANIFEST_DISK_LEN };
		element_put(manifest_disk_fields, manifest_disk_nfields, &w, &row);
		buf_grew(&disks, MANIFEST_DISK_LEN);
	}
	memcpy(m.vault_id, g->vault_id, ID_LEN);
	memcpy(m.machine_id, g->machine_id, ID_LEN);
	memcpy(m.domain_id, g->domain_id, DIGEST_LEN);
	memcpy(m.image_id, g->image_id, ID_LEN);
	memcpy(m.short_name, g->short_name, sizeof(m.short_name));
	m.disks = view_of(disks.p, disks.len);
	m.envelopes = view_of(digests, x->nseqs * DIGEST_LEN);
	if (rc == 0 && (rc = buf_check(&disks, e)) == 0) {
		image_root(g->vault_id, g->image_id, m.envelopes, m.carried, m.root);
		rc = statement_make(&manifest_schema, &m, x->s.sign_secret, out, e);
	}
	buf_release(&disks);
	free(digests);
	return rc;
}

/* That it was made, in the vault's own words. */
static int
export_record(struct exporting *x, struct err *e)
{
	struct rec_note note = { .text = "" };

	memcpy(note.machine_id, x->machine.id, ID_LEN);
	(void)snprintf(note.text, sizeof(note.text), "image %s, %u disk%s, %zu snapshot%s", x->im->begin.short_name, x->r->disks,
	    x->r->disks == 1 ? "" : "s", x->nseqs, x->nseqs == 1 ? "" : "s");
	if (vault_begin(x->v, e) != 0)
		return -1;
	if (vault_record(x->v, REC_EXPORTED, &rec_note_schema, &note, e) != 0) {
		vault_rollback(x->v);
		return -1;
	}
	return vault_commit(x->v, e);
}

static int
export_seal(struct exporting *x, struct err *e)
{
	char first[IMAGE_NAME_MAX], second[IMAGE_NAME_MAX], name[16];
	struct buf out;
	int rc;

	buf_init(&out);
	image_name_manifest(first, 0, 1);
	image_name_manifest(second, 1, 1);
	if ((rc = manifest_make(x, &out, e)) == 0 && (rc = disk_write_twice(x->imagefd, second, first, out.p, out.len, e)) == 0 &&
	    (rc = custody_add(&x->s, x->im, x->imagefd, CUSTODY_SEALED_UNTESTED, 0, "export", e)) == 0)
		rc = export_record(x, e);
	if (rc == 0 && (rc = journal_put(x->j, JOURNAL_MANIFEST, out.p, out.len, e)) == 0 &&
	    (rc = journal_put(x->j, JOURNAL_SEALED, NULL, 0, e)) == 0)
		rc = journal_sync(x->j, e);
	if (rc == 0) {
		statement_digest(&manifest_schema, out.p, out.len, x->r->manifest);
		(void)snprintf(name, sizeof(name), "%.4s-%u", x->im->begin.short_name, x->number);
		if (x->o->disk_done != NULL)
			x->o->disk_done(x->o->arg, name, image_disk(x->im, x->number)->pack_bytes, 0, x->r->medium);
	}
	buf_release(&out);
	return rc;
}

/* --- all of it --- */

static int
export_write(struct exporting *x, struct err *e)
{
	if (x->im == NULL && image_new(x, e) != 0)
		return -1;
	memcpy(x->r->short_name, x->im->begin.short_name, sizeof(x->r->short_name));
	memcpy(x->r->image_id, x->im->begin.image_id, ID_LEN);
	if (export_lists(x, e) != 0)
		return -1;
	if (x->im->snapshot_disk == 0 && export_packs(x, e) != 0)
		return -1;
	if (export_finish(x, e) != 0)
		return -1;
	x->r->disks = (unsigned)x->im->ndisks;
	x->r->written = x->im->pack_bytes;
	return export_seal(x, e);
}

static void
exporting_release(struct exporting *x)
{
	export_disk_let_go(x);
	journal_close(x->j);
	image_state_free(x->im);
	container_free(x->store);
	id_sorter_free(x->need);
	id_sorter_free(x->places);
	free(x->s.domain_bytes);
	free(x->s.member_bytes);
	free(x->s.older_bytes);
	if (x->s.fd != -1)
		(void)io->close(x->s.fd);
	free(x->packs);
	free(x->seqs);
	free(x->keys);
}

int
vault_export(struct vault *v, const struct export_options *o, struct export_result *r, struct err *e)
{
	struct exporting x = { .v = v, .o = o, .r = r, .imagefd = -1, .target = { .fd = -1 }, .s = { .fd = -1 } };
	int rc = -1, turn;

	memset(r, 0, sizeof(*r));
	r->medium = 1;
	if (vault_machine_find(v, o->machine, &x.machine, e) != 0)
		return -1;
	memcpy(r->machine, x.machine.name, sizeof(r->machine));
	/* One at a time: they share the directory, and mostly the bays too. */
	if ((turn = vault_turn(v, "export.lock", e)) == -1)
		return -1;
	if (catalog_each(v->catalog, &cat_machines, 0, NULL, machine_note, &x, e) == 0 && state_make(&x, e) == 0 &&
	    (x.store = container_vault(v->path, x.machine.id, e)) != NULL && image_find(&x, e) == 0 && export_choose(&x, e) == 0 &&
	    export_plan(&x, e) == 0) {
		container_vault_hold(x.store, v->path);
		r->snapshots = (uint32_t)x.nseqs;
		rc = o->plan ? 0 : export_write(&x, e);
	}
	if (rc == 0 && !o->plan)
		image_drop(&x);
	if (rc == 0 && (r->missing > 0 || r->bad > 0 || r->left_out > 0))
		rc = EXIT_NOT_ALL;
	(void)io->close(turn);
	exporting_release(&x);
	return rc;
}
