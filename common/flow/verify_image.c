#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"
#include "common/disk/image_file.h"
#include "common/flow/verify_image.h"
#include "common/flow/verify_repair.h"
#include "formats/fmt_machine.h"

#define COPIES	2

/* One small file that stands twice. */
struct twice {
	char name[COPIES][IMAGE_NAME_MAX];
	const struct fmt_schema *schema;
	const uint8_t *pub;	/* who signs it; NULL: nobody, or a key inside it */
	void *value;		/* room for it decoded */
	/* What else must be right: 0 or -1 with ${e}.  NULL: nothing. */
	int (*fits)(const struct label *l, const void *value, const uint8_t *bytes, size_t len, struct err *e);
};

/* The domain's key is the one that the label names, and has signed these bytes. */
static int
domain_signs(const struct label *l, const struct fmt_schema *s, const uint8_t pub[SIGN_PUB_LEN], const uint8_t *bytes,
    size_t len, struct err *e)
{
	uint8_t id[DIGEST_LEN];

	hash_once(pub, SIGN_PUB_LEN, id);
	if (memcmp(id, l->domain_id, DIGEST_LEN) != 0)
		return err_set(e, ERR_SIGNATURE, "it is of another key domain");
	return statement_check(s, bytes, len, pub) ? 0 : err_set(e, ERR_SIGNATURE, "it is not signed by its key domain");
}

static int
domain_fits(const struct label *l, const void *value, const uint8_t *bytes, size_t len, struct err *e)
{
	const struct domain_desc *d = value;

	return domain_signs(l, &domain_desc_schema, d->domain_pub, bytes, len, e);
}

/* Its key domain says that the machine which signed the label is one of it. */
static int
member_fits(const struct label *l, const void *value, const uint8_t *bytes, size_t len, struct err *e)
{
	const struct membership *m = value;

	if (domain_signs(l, &membership_schema, m->domain_pub, bytes, len, e) != 0)
		return -1;
	if (label_is_export(l))
		return 0;	/* the vault signed the disk; what is on it was that machine's */
	if (memcmp(m->machine_id, l->machine_id, ID_LEN) != 0 || memcmp(m->machine_pub, l->machine_pub, SIGN_PUB_LEN) != 0)
		return err_set(e, ERR_SIGNATURE, "it names another machine than the one that signed this disk");
	return 0;
}

static int
slots_fit(const struct label *l, const void *value, const uint8_t *bytes, size_t len, struct err *e)
{
	const struct disk_keys *k = value;

	(void)bytes;
	(void)len;
	if (memcmp(k->machine_id, l->machine_id, ID_LEN) != 0 || memcmp(k->domain_id, l->domain_id, DIGEST_LEN) != 0 ||
	    memcmp(k->vault_id, l->vault_id, ID_LEN) != 0)
		return err_set(e, ERR_SIGNATURE, "it is of another machine, key domain or vault");
	return 0;
}

/* Whether copy ${i} is whole: 0 with its digest, 1 it is not there, -1 with ${e}. */
static int
copy_look(const struct verify_image *im, const struct twice *t, int i, uint8_t digest[DIGEST_LEN], struct err *e)
{
	uint8_t *bytes;
	size_t len;
	int rc;

	if (image_file_read(im->dir.fd, t->name[i], STATEMENT_MAX, &bytes, &len, e) != 0)
		return e->code == ERR_NOT_FOUND ? 1 : -1;
	rc = statement_open(t->schema, t->value, bytes, len, t->pub, e);
	if (rc == 0 && t->fits != NULL)
		rc = t->fits(&im->dir.label, t->value, bytes, len, e);
	hash_once(bytes, len, digest);
	free(bytes);
	return rc;
}

/* Tell of copies that are not whole.  ${must}: that neither is there is worth telling. */
static void
twice_check(struct verify_job *j, const struct verify_image *im, const struct twice *t, int must)
{
	uint8_t digest[COPIES][DIGEST_LEN];
	char where[WHERE_MAX];
	struct err own[COPIES];
	int rc[COPIES];

	for (int i = 0; i < COPIES; i++) {
		err_clear(&own[i]);
		rc[i] = copy_look(im, t, i, digest[i], &own[i]);
	}
	if (rc[0] == 0 && rc[1] == 0 && memcmp(digest[0], digest[1], DIGEST_LEN) != 0) {
		(void)snprintf(where, sizeof(where), "%s: %s", im->name, t->name[0]);
		finding_tell(j->found, SEV_REPAIRABLE, ERR_DAMAGE, where, "one of them is as it was written",
		    "it is not the same as its other copy, %s", t->name[1]);
	}
	for (int i = 0; i < COPIES; i++) {
		int other = rc[1 - i] == 0;

		if (rc[i] == 0 || (rc[i] == 1 && (rc[1 - i] == 1 ? !must || i == 1 : !other)))
			continue;
		(void)snprintf(where, sizeof(where), "%s: %s", im->name, t->name[i]);
		finding_err(j->found, other ? SEV_REPAIRABLE : SEV_LOST, where,
		    other ? "its other copy is whole" : "there is no other copy", &own[i]);
	}
}

static void
small_files_check(struct verify_job *j, const struct verify_image *im)
{
	const struct label *l = &im->dir.label;
	static const struct {
		const char *name;
		const struct fmt_schema *schema;
		int (*fits)(const struct label *l, const void *value, const uint8_t *bytes, size_t len, struct err *e);
	} keys[] = {
		{ "domain", &domain_desc_schema, domain_fits },
		{ "member", &membership_schema, member_fits },
		{ "regist", &registration_schema, NULL },
		{ "slots", &disk_keys_schema, slots_fit },
	};
	union {
		struct label label;
		struct disk_statement statement;
		struct domain_desc domain;
		struct membership member;
		struct registration registration;
		struct disk_keys slots;
	} value;
	struct twice t = { .schema = &label_schema, .pub = l->machine_pub, .value = &value };

	for (int i = 0; i < COPIES; i++)
		image_name_label(t.name[i], i);
	twice_check(j, im, &t, 1);
	t.schema = &disk_statement_schema;
	for (int i = 0; i < COPIES; i++)
		image_name_statement(t.name[i], i);
	twice_check(j, im, &t, 0);
	for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]) && (k < 2 || !label_is_export(l)); k++) {
		t.schema = keys[k].schema;
		t.fits = keys[k].fits;
		t.pub = t.schema == &registration_schema ? l->machine_pub : NULL;
		for (int i = 0; i < COPIES; i++)
			image_name_keys(t.name[i], i, keys[k].name);
		twice_check(j, im, &t, 1);	/* they are there before the label is */
	}
	t.schema = &membership_schema;
	t.fits = member_fits;
	t.pub = NULL;
	for (unsigned n = 1; n <= im->nolder; n++) {
		char what[16];

		(void)snprintf(what, sizeof(what), "older%u", n);
		for (int i = 0; i < COPIES; i++)
			image_name_keys(t.name[i], i, what);
		twice_check(j, im, &t, 1);
	}
}

/* Whether the keys given are those of this image's machine. */
static int
keys_fit(struct verify_job *j, const struct verify_image *im, struct err *e)
{
	const struct keyring *k = j->opt->keys;
	const struct label *l = &im->dir.label;

	if (k == NULL)
		return 0;
	if (memcmp(k->keys->domain_id, l->domain_id, DIGEST_LEN) != 0) {
		finding_tell(j->found, SEV_NOTE, ERR_NONE, im->name, "", "it belongs to machine %s; the key is that of %s: its chunks are not opened",
		    l->machine_name, k->machine_name);
		j->keys_lack = 1;
		return 0;
	}
	if (label_is_export(l)) {
		/* Packs are the vault's; snapshots are believed by the machine's own signature. */
		if (memcmp(k->vault_id, l->vault_id, ID_LEN) == 0 && memcmp(k->vault_pub, l->machine_pub, SIGN_PUB_LEN) != 0)
			return err_set(e, ERR_SIGNATURE, "%s is signed in the name of vault %s, but not with its key", im->name,
			    l->vault_name);
		j->keys_fit = 1;
		return 0;
	}
	if (memcmp(k->machine_id, l->machine_id, ID_LEN) != 0) {
		j->keys_lack = 1;	/* its chunks are opened; its listings are another machine's */
		return 0;
	}
	if (memcmp(k->machine_pub, l->machine_pub, SIGN_PUB_LEN) != 0)
		return err_set(e, ERR_SIGNATURE, "%s is signed in the name of machine %s, but not with its key", im->name,
		    k->machine_name);
	j->keys_fit = 1;
	return 0;
}

/* Both copies of the manifest that counts, and of the index. */
static void
copies_check(struct verify_job *j, const struct verify_image *im)
{
	struct manifest m;
	struct twice t = { .schema = &manifest_schema, .pub = im->dir.label.machine_pub, .value = &m };
	char name[IMAGE_NAME_MAX], where[WHERE_MAX];
	struct err own[COPIES];

	if (im->sealed) {
		for (int i = 0; i < COPIES; i++)
			image_name_manifest(t.name[i], i, im->manifest.generation);
		twice_check(j, im, &t, 1);
	}
	if (!im->closed)
		return;
	for (int i = 0; i < COPIES; i++) {
		err_clear(&own[i]);
		(void)image_index_check(&im->dir, &im->statement, i, &own[i]);
	}
	if (own[0].code != ERR_NONE && own[1].code != ERR_NONE)
		return;		/* told when it is needed */
	for (int i = 0; i < COPIES; i++) {
		if (own[i].code == ERR_NONE)
			continue;
		image_name_index(name, i, 0);
		(void)snprintf(where, sizeof(where), "%s: %s", im->name, name);
		finding_err(j->found, SEV_REPAIRABLE, where, "its other copy is whole", &own[i]);
	}
}

/* Statement and manifest, and that they belong together. */
static void
closing_read(struct verify_job *j, struct verify_image *im)
{
	struct manifest_disk row;
	struct err own;
	size_t len;
	int rc;

	err_clear(&own);
	rc = image_statement(&im->dir, &im->statement_bytes, &len, &im->statement, &own);
	im->closed = rc == 0;
	if (rc == 0)
		statement_digest(&disk_statement_schema, im->statement_bytes, len, im->statement_digest);
	else if (rc == 1)
		finding_tell(j->found, SEV_REPAIRABLE, ERR_UNFINISHED, im->name, "its packs were not looked at; nothing says yet which it should have",
		    "this disk is not closed: its build was stopped, or goes on");
	else
		finding_err(j->found, SEV_LOST, im->name, "which packs the disk should have cannot be told", &own);
	err_clear(&own);
	rc = image_manifest(&im->dir, &im->manifest_bytes, &len, &im->manifest, &own);
	im->sealed = rc == 0;
	if (rc == 1)
		finding_tell(j->found, SEV_NOTE, ERR_NONE, im->name, "", "there is no manifest: the image is not sealed, or it was sealed with another disk");
	else if (rc == -1)
		finding_err(j->found, SEV_LOST, im->name, "the manifest on another disk or in the machine's state may be whole", &own);
	copies_check(j, im);
	if (!im->sealed || !im->closed)
		return;
	for (size_t i = 0; i < list_count(im->manifest.disks, MANIFEST_DISK_LEN); i++) {
		if (element_get(manifest_disk_fields, manifest_disk_nfields, im->manifest.disks, i, &row) != FMT_OK)
			continue;
		if (row.disk == im->dir.label.disk && memcmp(row.statement, im->statement_digest, DIGEST_LEN) == 0)
			return;
	}
	finding_tell(j->found, SEV_LOST, ERR_SIGNATURE, im->name, "it is not part of the image as it was sealed",
	    "the manifest names another disk of this number");
}

/* Who signed the snapshots: the label's machine, on an export the one whose membership lies beside it (which is checked, too). */
static void
machine_read(struct verify_image *im)
{
	const struct label *l = &im->dir.label;
	char name[IMAGE_NAME_MAX];
	struct membership m;
	uint8_t *bytes;
	size_t len;
	int have = !label_is_export(l);

	memcpy(im->machine_id, l->machine_id, ID_LEN);
	memcpy(im->machine_pub, l->machine_pub, SIGN_PUB_LEN);
	for (int i = 0; i < COPIES && !have; i++) {
		image_name_keys(name, i, "member");
		if (image_file_read(im->dir.fd, name, STATEMENT_MAX, &bytes, &len, NULL) != 0)
			continue;
		have = schema_decode(&membership_schema, &m, bytes, len) == FMT_OK &&
		    domain_signs(l, &membership_schema, m.domain_pub, bytes, len, NULL) == 0;
		if (have) {
			memcpy(im->machine_id, m.machine_id, ID_LEN);
			memcpy(im->machine_pub, m.machine_pub, SIGN_PUB_LEN);
		}
		free(bytes);
	}
}

/* The membership keys/older${n} of an export, from either copy: 0; 1 it is not there, or says nothing that can be believed. */
static int
older_read(struct verify_image *im, unsigned n, struct verify_signer *out)
{
	char what[16], name[IMAGE_NAME_MAX];
	struct membership m;
	uint8_t *bytes;
	size_t len;
	int rc = 1;

	(void)snprintf(what, sizeof(what), "older%u", n);
	for (int i = 0; i < COPIES && rc == 1; i++) {
		image_name_keys(name, i, what);
		if (image_file_read(im->dir.fd, name, STATEMENT_MAX, &bytes, &len, NULL) != 0)
			continue;
		if (schema_decode(&membership_schema, &m, bytes, len) == FMT_OK &&
		    domain_signs(&im->dir.label, &membership_schema, m.domain_pub, bytes, len, NULL) == 0 &&
		    memcmp(m.machine_id, im->machine_id, ID_LEN) == 0) {
			memcpy(out->pub, m.machine_pub, SIGN_PUB_LEN);
			out->from_seq = m.from_seq;
			rc = 0;
		}
		free(bytes);
	}
	return rc;
}

/* The computers before this one. */
static int
older_take(struct verify_image *im, struct err *e)
{
	struct verify_signer one;

	for (unsigned n = 1; label_is_export(&im->dir.label) && older_read(im, n, &one) == 0; n++) {
		struct verify_signer *more = realloc(im->older, (im->nolder + 1) * sizeof(*more));

		if (more == NULL)
			return err_set(e, ERR_MEMORY, "no memory for the keys of a machine");
		im->older = more;
		im->older[im->nolder++] = one;
	}
	return 0;
}

const uint8_t *
verify_image_signer(const struct verify_image *im, const uint8_t *envelope, size_t len, uint64_t *from_seq)
{
	*from_seq = 0;
	for (size_t i = 0; i < im->nolder; i++)
		if (statement_check(&envelope_schema, envelope, len, im->older[i].pub)) {
			*from_seq = im->older[i].from_seq;
			return im->older[i].pub;
		}
	return im->machine_pub;
}

int
verify_image_open(struct verify_job *j, struct verify_image *im, int diskfd, const char *path, const char *short_name,
    struct err *e)
{
	char where[WHERE_MAX];
	struct err own;

	memset(im, 0, sizeof(*im));
	err_clear(&own);
	if (image_dir_open(diskfd, short_name, &im->dir, &own) != 0) {
		(void)snprintf(where, sizeof(where), "%s: %s", path, short_name);
		finding_err(j->found, SEV_LOST, where, "nothing of this image can be believed", &own);
		return 1;
	}
	(void)snprintf(im->name, sizeof(im->name), "%s-%u", im->dir.label.short_name, im->dir.label.disk);
	im->container = container_disk(diskfd, path, short_name, e);
	if (im->container == NULL || keys_fit(j, im, e) != 0) {
		verify_image_close(im);
		return -1;
	}
	im->damaged = verify_damaged_new();
	machine_read(im);
	if (older_take(im, e) != 0) {
		verify_image_close(im);
		return -1;
	}
	small_files_check(j, im);
	closing_read(j, im);
	verify_image_custody(j, im);
	verify_image_lists(j, im);
	return 0;
}

void
verify_image_close(struct verify_image *im)
{
	container_free(im->container);
	image_dir_close(&im->dir);
	free(im->older);
	free(im->statement_bytes);
	free(im->manifest_bytes);
	free(im->expected);
	free(im->misplaced);
	verify_damaged_free(im->damaged);
	chunk_map_free(im->ids);
	memset(im, 0, sizeof(*im));
	im->dir.fd = -1;
}
