#include "common/flow/vault_custody.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/catalog/catalog.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"
#include "common/disk/image_file.h"
#include "common/flow/vault_machine.h"
#include "common/flow/vault_apply.h"
#include "formats/fmt_custody_log.h"

#define TAKE_MAX	10000u	/* records of one image from one disk: far more than happens to one */
#define NAME_LEN	64

/* Under which names the catalog keeps how far the machine's half is known. */
static void
names_of(const uint8_t image[ID_LEN], char number[NAME_LEN], char head[NAME_LEN])
{
	char hex[2 * ID_LEN + 1];

	(void)text_hex(hex, image, ID_LEN);
	(void)snprintf(number, NAME_LEN, "custody %s", hex);
	(void)snprintf(head, NAME_LEN, "custody head %s", hex);
}

int
apply_machine_custody(struct vault *v, const struct custody *c, const struct record *r, struct err *e)
{
	char number[NAME_LEN], head[NAME_LEN];
	uint8_t digest[DIGEST_LEN];
	int64_t have;

	names_of(c->image_id, number, head);
	if (catalog_number(v->catalog, number, &have, e) < 0)
		return -1;
	if ((int64_t)c->number <= have)
		return 0;
	hash_once(r->body.p, r->body.len, digest);
	if (catalog_number_set(v->catalog, number, c->number, e) != 0)
		return -1;
	return catalog_bytes_set(v->catalog, head, digest, sizeof(digest), e);
}

/* Whether the ${len} bytes are the machine's record ${number} of this image, behind ${head}. */
static int
is_next(const uint8_t *bytes, size_t len, const struct label *l, int64_t number, const uint8_t head[DIGEST_LEN])
{
	struct custody c;

	return statement_open(&custody_schema, &c, bytes, len, l->machine_pub, NULL) == 0 && !c.by_vault &&
	    memcmp(c.image_id, l->image_id, ID_LEN) == 0 && memcmp(c.signer_id, l->machine_id, ID_LEN) == 0 &&
	    (int64_t)c.number == number && memcmp(c.previous, head, DIGEST_LEN) == 0;
}

/* Whose it must be: an image of the machine, signed with a key of it. */
static int
post_believe(struct vault *v, const uint8_t machine[ID_LEN], const uint8_t *bytes, size_t len, struct custody *c, struct err *e)
{
	struct cat_image i;
	int rc;

	if (statement_open(&custody_schema, c, bytes, len, NULL, e) != 0)
		return -1;
	if (c->by_vault || memcmp(c->signer_id, machine, ID_LEN) != 0)
		return err_set(e, ERR_SIGNATURE, "the custody record is not by the machine that sends it");
	if ((rc = vault_machine_has_key(v, machine, c->signer_pub, e)) < 0)
		return -1;
	if (rc == 0 || !statement_check(&custody_schema, bytes, len, c->signer_pub))
		return err_set(e, ERR_SIGNATURE, "the custody record is not signed by a key of its machine");
	memcpy(i.id, c->image_id, ID_LEN);
	if ((rc = catalog_get(v->catalog, &cat_images, &i, e)) < 0)
		return -1;
	return rc == 0 && memcmp(i.machine_id, machine, ID_LEN) == 0 ? 0 :
	    err_set(e, ERR_NO_IMAGE, "the custody record is for an image that vault %s does not know as this machine's", v->desc.name);
}

/* In a transaction: 0 taken, 1 known, -1. */
static int
post_take(struct vault *v, const struct custody *c, const uint8_t *bytes, size_t len, struct err *e)
{
	char number[NAME_LEN], head[NAME_LEN];
	uint8_t digest[DIGEST_LEN];
	int64_t have;

	names_of(c->image_id, number, head);
	if (catalog_number(v->catalog, number, &have, e) < 0 || catalog_bytes(v->catalog, head, digest, sizeof(digest), e) < 0)
		return -1;
	if ((int64_t)c->number <= have)
		return 1;
	if ((int64_t)c->number != have + 1 || memcmp(c->previous, digest, DIGEST_LEN) != 0)
		return err_set(e, ERR_RULE, "record %u of the machine's custody log does not follow record %lld, the last that the vault has",
		    c->number, (long long)have);
	return vault_record_bytes(v, REC_CUSTODY, bytes, len, e);
}

int
vault_custody_post(struct vault *v, const uint8_t machine[ID_LEN], const uint8_t *bytes, size_t len, struct err *e)
{
	struct custody c;
	int rc;

	if (vault_begin(v, e) != 0)
		return -1;
	if ((rc = post_believe(v, machine, bytes, len, &c, e)) == 0)
		rc = post_take(v, &c, bytes, len, e);
	if (rc != 0) {
		vault_rollback(v);
		return rc;
	}
	return vault_commit(v, e);
}

/* Record ${number}: 0 taken, 1 there is none that fits, -1. */
static int
take_one(struct vault *v, int imagefd, const struct label *l, int64_t number, const uint8_t head[DIGEST_LEN], struct err *e)
{
	char path[32];
	uint8_t *bytes;
	struct err mine;
	size_t len;
	int rc = 1;

	err_clear(&mine);
	(void)snprintf(path, sizeof(path), "custody/%08lld", (long long)number);
	if (image_file_read(imagefd, path, CUSTODY_RECORD_MAX, &bytes, &len, &mine) != 0) {
		if (mine.code != ERR_NOT_FOUND)
			say_warn("%s-%u: %s", l->short_name, l->disk, mine.msg);
		return 1;
	}
	if (is_next(bytes, len, l, number, head))
		rc = vault_record_bytes(v, REC_CUSTODY, bytes, len, e) != 0 ? -1 : 0;
	else
		say_warn("%s-%u: %s does not follow what the vault knows of the machine's custody log", l->short_name, l->disk, path);
	free(bytes);
	return rc;
}

int
vault_custody_take(struct vault *v, int imagefd, const struct label *l, struct err *e)
{
	char number[NAME_LEN], head[NAME_LEN];
	uint8_t digest[DIGEST_LEN];
	int64_t have;
	int rc = 0;

	names_of(l->image_id, number, head);
	for (unsigned i = 0; i < TAKE_MAX && rc == 0; i++) {
		if (catalog_number(v->catalog, number, &have, e) < 0 ||
		    catalog_bytes(v->catalog, head, digest, sizeof(digest), e) < 0)
			return -1;
		rc = take_one(v, imagefd, l, have + 1, digest, e);
	}
	return rc < 0 ? -1 : 0;
}
