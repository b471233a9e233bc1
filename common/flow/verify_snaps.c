#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/io.h"
#include "common/base/stop.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"
#include "common/disk/image_file.h"
#include "common/flow/refs_read.h"
#include "common/flow/snapshot_open.h"
#include "common/flow/verify_image.h"

static void
leaning_add(struct verify_job *j, const uint8_t snapshot_id[ID_LEN])
{
	struct verify_leaning *more = realloc(j->leaning, (j->nleaning + 1) * sizeof(*more));

	if (more == NULL)
		return;
	j->leaning = more;
	memcpy(j->leaning[j->nleaning++].snapshot_id, snapshot_id, ID_LEN);
}

static int
leans(const struct verify_job *j, const uint8_t snapshot_id[ID_LEN])
{
	for (size_t i = 0; i < j->nleaning; i++)
		if (memcmp(j->leaning[i].snapshot_id, snapshot_id, ID_LEN) == 0)
			return 1;
	return 0;
}

/* "snapshot 7f3a91cc (number 3, set files)" */
static void
snapshot_name(char *out, size_t cap, const struct envelope *env)
{
	char id[SNAPSHOT_SHORT_LEN];

	(void)snprintf(out, cap, "snapshot %s (number %llu, set %s)", snapshot_short(id, env->snapshot_id),
	    (unsigned long long)env->seq, env->set_name);
}

/* What the counts of one list say. */
static void
counts_tell(struct verify_job *j, const struct envelope *env, const char *where, const char *elsewhere, uint64_t damaged,
    uint64_t absent)
{
	char name[160], n[HUMAN_MAX];

	snapshot_name(name, sizeof(name), env);
	if (damaged > 0)
		finding_tell(j->found, SEV_LOST, ERR_DAMAGE, where, "what lies in them cannot be restored from here",
		    "%s incomplete: %s chunks damaged", name, human_count(n, damaged));
	if (absent == 0) {
		j->r->snapshots_whole += damaged == 0;
		return;
	}
	if (elsewhere == NULL) {
		finding_tell(j->found, SEV_LOST, ERR_MISSING, where, "what lies in them cannot be restored from here",
		    "%s incomplete: %s chunks", name, human_count(n, absent));
		return;
	}
	leaning_add(j, env->snapshot_id);
	finding_tell(j->found, SEV_NOTE, ERR_NONE, where, "", "%s leans on %s: %s chunks", name, elsewhere,
	    human_count(n, absent));
}

int
verify_refs(struct verify_job *j, struct refs_reader *refs, const struct envelope *env, const char *where,
    const char *elsewhere, struct err *bad, struct err *e)
{
	uint64_t damaged = 0, absent = 0, done = 0;
	uint8_t id[DIGEST_LEN];
	size_t n;
	int rc;

	while ((rc = refs_reader_next(refs, id, bad)) == 1) {
		if (++done % 65536 == 0 && stop_check(e) != 0)
			return -1;
		if (j->opt->sample != 0 || chunk_map_find(j->good, id, &n) != NULL)
			continue;
		if (chunk_map_find(j->bad, id, &n) != NULL)
			damaged++;
		else
			absent++;
	}
	if (rc != 0)
		return 1;
	j->r->snapshots++;
	counts_tell(j, env, where, elsewhere, damaged, absent);
	return 0;
}

void
verify_refs_lost(struct verify_job *j, const char *where, const struct err *bad)
{
	j->r->snapshots++;
	finding_err(j->found, SEV_LOST, where, "whether every chunk of the snapshot is there cannot be told", bad);
}

/* Whether no snapshot comes behind ${k}: the last one stands twice. */
static int
is_last(const struct verify_image *im, uint32_t k)
{
	char name[IMAGE_NAME_MAX];
	struct stat st;

	for (int copy = 0; copy < 2; copy++) {
		image_name_envelope(name, copy, k + 1);
		if (io->fstatat(im->dir.fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			return 0;
	}
	return 1;
}

/* Both copies of the list of snapshot ${k}: the first whole one is compared, the other only read. */
static int
refs_look(struct verify_job *j, const struct verify_image *im, uint32_t k, const struct envelope *env, const char *elsewhere,
    struct err *e)
{
	char name[IMAGE_NAME_MAX], where[2][WHERE_MAX];
	uint8_t id[DIGEST_LEN];
	struct err bad[2];
	int good = -1;

	for (int copy = 0; copy < 2; copy++) {
		struct snap_place place = { .n = k, .copy = copy };
		struct refs_reader *r;
		int rc = 1;

		err_clear(&bad[copy]);
		image_name_refs(name, copy, k, 0);
		(void)snprintf(where[copy], WHERE_MAX, "%s: %s", im->name, name);
		if ((r = refs_reader_new(im->container, &place, env, &bad[copy])) == NULL)
			continue;
		if (good == -1)
			rc = verify_refs(j, r, env, where[copy], elsewhere, &bad[copy], e);
		else
			while ((rc = refs_reader_next(r, id, &bad[copy])) == 1)
				;
		refs_reader_free(r);
		if (rc == -1 && good == -1)
			return -1;
		if (rc == 0 && good == -1)
			good = copy;
	}
	if (good == -1) {
		verify_refs_lost(j, where[0], &bad[0]);
		return 0;
	}
	for (int copy = 0; copy < 2; copy++)
		if (bad[copy].code != ERR_NONE && (copy == 0 || bad[copy].code != ERR_NOT_FOUND || is_last(im, k)))
			finding_err(j->found, SEV_REPAIRABLE, where[copy], "its other copy is whole", &bad[copy]);
	return 0;
}

/* Both copies of envelope ${k}: 0 with the first whole one, 1 neither is there, -1 none is whole (told). */
static int
envelope_look(struct verify_job *j, const struct verify_image *im, uint32_t k, struct envelope *env,
    uint8_t digest[DIGEST_LEN])
{
	const struct label *l = &im->dir.label;
	char name[IMAGE_NAME_MAX], where[WHERE_MAX];
	int found = 0, there = 0, gone = -1;

	for (int copy = 0; copy < 2; copy++) {
		struct envelope one;
		struct err own;
		uint64_t from;
		uint8_t *bytes;
		size_t len;

		err_clear(&own);
		image_name_envelope(name, copy, k);
		(void)snprintf(where, sizeof(where), "%s: %s", im->name, name);
		if (image_file_read(im->dir.fd, name, SMALL_STATEMENT_MAX, &bytes, &len, &own) == 0) {
			if (statement_open(&envelope_schema, &one, bytes, len, verify_image_signer(im, bytes, len, &from), &own) == 0 &&
			    (one.seq < from || memcmp(one.machine_id, im->machine_id, ID_LEN) != 0 || memcmp(one.domain_id, l->domain_id, DIGEST_LEN) != 0 ||
			    (!label_is_export(l) && memcmp(one.image_id, l->image_id, ID_LEN) != 0)))
				(void)err_set(&own, ERR_SIGNATURE, "the envelope is of another machine or image");
			if (own.code == ERR_NONE && !found) {
				*env = one;
				statement_digest(&envelope_schema, bytes, len, digest);
				found = 1;
			}
			free(bytes);
		}
		if (own.code == ERR_NOT_FOUND) {
			gone = copy;
			continue;
		}
		there = 1;
		if (own.code != ERR_NONE)
			finding_err(j->found, found || copy == 0 ? SEV_REPAIRABLE : SEV_LOST, where,
			    "the other copy, if it is whole, says the same", &own);
	}
	if (found && gone != -1 && is_last(im, k)) {
		image_name_envelope(name, gone, k);
		(void)snprintf(where, sizeof(where), "%s: %s", im->name, name);
		finding_tell(j->found, SEV_REPAIRABLE, ERR_NOT_FOUND, where, "its other copy is whole", "it is not there");
	}
	if (found)
		return 0;
	if (!there)
		return 1;
	(void)snprintf(where, sizeof(where), "%s: envelope %u", im->name, k);
	finding_tell(j->found, SEV_LOST, ERR_DAMAGE, where, "this snapshot cannot be restored from here", "no copy of it is whole");
	return -1;
}

/* Where chunks of image ${i} may lie that were not looked at, in words; NULL: nowhere. */
static const char *
elsewhere_of(const struct verify_image *images, size_t n, size_t i, char *out, size_t cap)
{
	const struct verify_image *im = &images[i];
	size_t disks = 0, leans_on = 0;

	if (!im->sealed)
		return "what its manifest, which is not here, would name";
	for (size_t k = 0; k < list_count(im->manifest.disks, MANIFEST_DISK_LEN); k++) {
		struct manifest_disk row;
		int here = 0;

		if (element_get(manifest_disk_fields, manifest_disk_nfields, im->manifest.disks, k, &row) != FMT_OK)
			continue;
		for (size_t m = 0; m < n; m++)
			here |= images[m].dir.label.disk == row.disk &&
			    memcmp(images[m].dir.label.image_id, im->dir.label.image_id, ID_LEN) == 0;
		disks += !here;
	}
	for (size_t k = 0; k < list_count(im->manifest.leans_on, ID_LEN); k++) {
		int here = 0;

		for (size_t m = 0; m < n; m++)
			here |= memcmp(images[m].dir.label.image_id, im->manifest.leans_on.p + k * ID_LEN, ID_LEN) == 0;
		leans_on += !here;
	}
	if (disks == 0 && leans_on == 0)
		return NULL;
	(void)snprintf(out, cap, "%zu other disk%s of %s and %zu earlier image%s", disks, disks == 1 ? "" : "s",
	    im->dir.label.short_name, leans_on, leans_on == 1 ? "" : "s");
	if (disks == 0)
		(void)snprintf(out, cap, "%zu earlier image%s of its machine", leans_on, leans_on == 1 ? "" : "s");
	else if (leans_on == 0)
		(void)snprintf(out, cap, "%zu other disk%s of %s", disks, disks == 1 ? "" : "s", im->dir.label.short_name);
	return out;
}

/* The manifest's root, from its own lists. */
static void
root_check(struct verify_job *j, const struct verify_image *im)
{
	static const char magic[DIGEST_LEN] = "samara root v1";
	const struct manifest *m = &im->manifest;
	uint8_t root[DIGEST_LEN], n[4];
	struct hash h;

	le32_put(n, (uint32_t)list_count(m->envelopes, DIGEST_LEN));
	hash_init(&h);
	hash_update(&h, magic, sizeof(magic));
	hash_update(&h, m->vault_id, ID_LEN);
	hash_update(&h, m->image_id, ID_LEN);
	hash_update(&h, n, sizeof(n));
	hash_update(&h, m->envelopes.p, m->envelopes.len);
	hash_update(&h, m->carried, DIGEST_LEN);
	hash_final(&h, root);
	if (memcmp(root, m->root, DIGEST_LEN) != 0)
		finding_tell(j->found, SEV_LOST, ERR_DAMAGE, im->name, "the image is not the one that was promised",
		    "the root in the manifest is not that of its snapshots");
}

/* Whether the ${k}-th envelope on a disk, in one of its copies, has this digest. */
static bool
envelope_is(const struct verify_image *im, uint32_t k, const uint8_t *digest)
{
	uint8_t *bytes = NULL, own[DIGEST_LEN];
	char name[IMAGE_NAME_MAX];
	struct err ignored;
	bool is = false;
	size_t len;

	for (int copy = 0; copy < 2 && !is; copy++) {
		err_clear(&ignored);
		image_name_envelope(name, copy, k);
		if (image_file_read(im->dir.fd, name, SMALL_STATEMENT_MAX, &bytes, &len, &ignored) != 0)
			continue;
		statement_digest(&envelope_schema, bytes, len, own);
		is = memcmp(own, digest, DIGEST_LEN) == 0;
		free(bytes);
	}
	return is;
}

/* Whether another disk of the image, of those that were given, has that envelope; it is judged there. */
static bool
envelope_stands_by(const struct verify_image *images, size_t n, size_t i, const uint8_t *digest)
{
	for (size_t m = 0; m < n; m++) {
		if (m == i || memcmp(images[m].dir.label.image_id, images[i].dir.label.image_id, ID_LEN) != 0)
			continue;
		for (uint32_t k = 0; k < list_count(images[i].manifest.envelopes, DIGEST_LEN); k++)
			if (envelope_is(&images[m], k, digest))
				return true;
	}
	return false;
}

/* Each envelope that the manifest names was found. */
static void
envelopes_compare(struct verify_job *j, const struct verify_image *images, size_t n, size_t own, const uint8_t *found, size_t nfound,
    const char *elsewhere)
{
	const struct verify_image *im = &images[own];
	size_t named = list_count(im->manifest.envelopes, DIGEST_LEN), missing = 0, extra = 0;

	for (size_t i = 0; i < named; i++) {
		int here = 0;

		for (size_t k = 0; k < nfound && !here; k++)
			here = memcmp(im->manifest.envelopes.p + i * DIGEST_LEN, found + k * DIGEST_LEN, DIGEST_LEN) == 0;
		missing += !here && !envelope_stands_by(images, n, own, im->manifest.envelopes.p + i * DIGEST_LEN);
	}
	for (size_t k = 0; k < nfound; k++) {
		int here = 0;

		for (size_t i = 0; i < named && !here; i++)
			here = memcmp(im->manifest.envelopes.p + i * DIGEST_LEN, found + k * DIGEST_LEN, DIGEST_LEN) == 0;
		extra += !here;
	}
	if (missing > 0)
		finding_tell(j->found, elsewhere == NULL ? SEV_LOST : SEV_NOTE, elsewhere == NULL ? ERR_MISSING : ERR_NONE, im->name,
		    elsewhere == NULL ? "these snapshots cannot be restored from here" : "",
		    "%zu of the %zu snapshots that the manifest names are not on this disk", missing, named);
	if (extra > 0)
		finding_tell(j->found, SEV_LOST, ERR_SIGNATURE, im->name, "they are not part of the image as it was sealed",
		    "%zu snapshots stand here that the manifest does not name", extra);
}

int
verify_image_snapshots(struct verify_job *j, const struct verify_image *images, size_t n, size_t i, struct err *e)
{
	const struct verify_image *im = &images[i];
	char words[128];
	const char *elsewhere = elsewhere_of(images, n, i, words, sizeof(words));
	uint8_t *digests = NULL, *more, digest[DIGEST_LEN];
	size_t ndigests = 0;
	struct envelope env;
	int rc;

	for (uint32_t k = 0; k < SNAPS_PER_IMAGE_MAX && (rc = envelope_look(j, im, k, &env, digest)) != 1; k++) {
		if (rc == -1)
			continue;
		if ((more = realloc(digests, (ndigests + 1) * DIGEST_LEN)) == NULL) {
			free(digests);
			return err_set(e, ERR_MEMORY, "no memory for a list of snapshots");
		}
		digests = more;
		memcpy(digests + ndigests++ * DIGEST_LEN, digest, DIGEST_LEN);
		if (refs_look(j, im, k, &env, elsewhere, e) != 0) {
			free(digests);
			return -1;
		}
	}
	if (im->sealed) {
		root_check(j, im);
		envelopes_compare(j, images, n, i, digests, ndigests, elsewhere);
	}
	free(digests);
	return 0;
}

static void
source_told(void *arg, const char *where, const uint8_t *id, const struct err *why)
{
	struct verify_job *j = arg;

	if (id == NULL)	/* chunks and tables were told of when packs were read */
		finding_err(j->found, SEV_LOST, where, "", why);
}

int
verify_listings(struct verify_job *j, const char *const *paths, const char *const *names, size_t n, struct err *e)
{
	const struct keyring *k = j->opt->keys;
	const struct source_options o = { .keys = k->keys, .memory = j->opt->memory / 4 };
	struct source *s = source_new(&o, e);
	struct source_reader *reader = NULL;
	struct snapshot_list list = { 0 };
	int rc = -1;

	if (s == NULL)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (source_add_dir(s, paths[i], names[i], k->machine_id, e) != 0)
			goto free;
	if (source_index(s, e) != 0 || (reader = source_reader_new(s, e)) == NULL ||
	    snapshot_list_read(&list, s, k->machine_id, k->machine_pub, k->member.from_seq, source_told, j, e) != 0 ||
	    snapshot_list_prove(&list, s, reader, source_told, j, e) != 0)
		goto free;
	rc = 0;
	for (size_t i = 0; rc == 0 && i < list.n; i++)
		if (!leans(j, list.snap[i].env.snapshot_id))
			rc = verify_listing(j, s, reader, &list.snap[i], e);
free:
	snapshot_list_release(&list);
	source_reader_free(reader);
	source_free(s);
	return rc;
}
