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
#include "formats/fmt_machine.h"

#define COPIES	2

/* One small file that stands twice. */
struct twice {
	char name[COPIES][IMAGE_NAME_MAX];
	const struct fmt_schema *schema;
	const uint8_t *pub;	/* who signs it; NULL: nobody */
	void *value;		/* room for it decoded */
};

/* Whether copy ${i} is whole: 0, 1 it is not there, -1 with ${e}. */
static int
copy_look(const struct verify_image *im, const struct twice *t, int i, struct err *e)
{
	uint8_t *bytes;
	size_t len;
	int rc;

	if (image_file_read(im->dir.fd, t->name[i], STATEMENT_MAX, &bytes, &len, e) != 0)
		return e->code == ERR_NOT_FOUND ? 1 : -1;
	rc = statement_open(t->schema, t->value, bytes, len, t->pub, e);
	free(bytes);
	return rc;
}

/* Tell of copies that are not whole.  ${must}: that neither is there is worth telling. */
static void
twice_check(struct verify_job *j, const struct verify_image *im, const struct twice *t, int must)
{
	char where[WHERE_MAX];
	struct err own[COPIES];
	int rc[COPIES];

	for (int i = 0; i < COPIES; i++) {
		err_clear(&own[i]);
		rc[i] = copy_look(im, t, i, &own[i]);
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
	static const struct { const char *name; const struct fmt_schema *schema; } keys[] = {
		{ "domain", &domain_desc_schema },
		{ "member", &membership_schema },
		{ "regist", &registration_schema },
		{ "slots", &disk_keys_schema },
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
	for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
		t.schema = keys[k].schema;
		t.pub = t.schema == &registration_schema ? l->machine_pub : NULL;
		for (int i = 0; i < COPIES; i++)
			image_name_keys(t.name[i], i, keys[k].name);
		twice_check(j, im, &t, 0);
	}
}

/* Descriptor and membership: the domain's key signs both, and says that this machine is one of it. */
static void
membership_check(struct verify_job *j, const struct verify_image *im)
{
	const struct label *l = &im->dir.label;
	uint8_t *bytes, id[DIGEST_LEN];
	char name[IMAGE_NAME_MAX], where[WHERE_MAX];
	struct membership m;
	struct err own;
	size_t len;

	err_clear(&own);
	image_name_keys(name, 0, "member");
	if (image_file_read(im->dir.fd, name, SMALL_STATEMENT_MAX, &bytes, &len, &own) != 0)
		return;		/* told already */
	(void)snprintf(where, sizeof(where), "%s: %s", im->name, name);
	if (statement_open(&membership_schema, &m, bytes, len, NULL, &own) == 0) {
		hash_once(m.domain_pub, SIGN_PUB_LEN, id);
		if (!statement_check(&membership_schema, bytes, len, m.domain_pub) || memcmp(id, l->domain_id, DIGEST_LEN) != 0 ||
		    memcmp(m.machine_id, l->machine_id, ID_LEN) != 0 || memcmp(m.machine_pub, l->machine_pub, SIGN_PUB_LEN) != 0)
			finding_tell(j->found, SEV_LOST, ERR_SIGNATURE, where, "the disk's machine is not shown to be one of its key domain",
			    "the key domain does not name the machine that signed this disk");
	}
	free(bytes);
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
	small_files_check(j, im);
	membership_check(j, im);
	closing_read(j, im);
	return 0;
}

void
verify_image_close(struct verify_image *im)
{
	container_free(im->container);
	image_dir_close(&im->dir);
	free(im->statement_bytes);
	free(im->manifest_bytes);
	free(im->expected);
	free(im->misplaced);
	chunk_map_free(im->ids);
	memset(im, 0, sizeof(*im));
	im->dir.fd = -1;
}
