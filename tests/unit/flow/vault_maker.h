#ifndef SAMARA_TESTS_FLOW_VAULT_MAKER_H
#define SAMARA_TESTS_FLOW_VAULT_MAKER_H

/* The keys of a vault, and credential files as it issues them, for tests. */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/crypto/letter.h"
#include "common/crypto/sign.h"
#include "formats/armor.h"
#include "formats/fmt_vault.h"

struct vault_maker {
	uint8_t sign_secret[SIGN_SECRET_LEN], sign_pub[SIGN_PUB_LEN];
	uint8_t box_seed[KEY_LEN], box_pub[BOX_PUB_LEN];
};

static inline void
vault_maker_init(struct vault_maker *v)
{
	uint8_t seed[KEY_LEN], secret[KEY_LEN];

	io_random(seed, sizeof(seed));
	sign_keys(seed, v->sign_pub, v->sign_secret);
	io_random(v->box_seed, sizeof(v->box_seed));
	letter_keys(v->box_seed, v->box_pub, secret);
}

/* A credential for any machine, issued now. */
static inline void
vault_maker_credential(const struct vault_maker *v, struct credential *c)
{
	*c = (struct credential){ .purpose = PURPOSE_NEW, .suite = SUITE_1, .chunk_avg_min = CHUNK_AVG_MIN,
		.chunk_avg_max = CHUNK_AVG_MAX, .issued = io_now() };
	io_random(c->credential_id, ID_LEN);
	memset(c->vault_id, 0x77, ID_LEN);
	(void)snprintf(c->vault_name, sizeof(c->vault_name), "dc-north");
	(void)snprintf(c->url, sizeof(c->url), "https://vault.example:8741");
	memcpy(c->vault_pub, v->sign_pub, SIGN_PUB_LEN);
	memcpy(c->vault_box_pub, v->box_pub, BOX_PUB_LEN);
	c->use_by = c->issued + 48 * 3600;
	c->arrive_by = c->issued + 90 * 86400;
	io_random(c->secret, KEY_LEN);
}

/* Sign it with ${v}'s key and write it to ${path}, in place of what is there. */
static inline void
vault_maker_write(const struct vault_maker *v, struct credential *c, const char *path)
{
	char text[8192];
	struct buf b;
	struct err e;

	err_clear(&e);
	buf_init(&b);
	assert_int_equal(statement_make(&credential_schema, c, v->sign_secret, &b, &e), 0);
	assert_int_equal(armor_encode(ARMOR_CREDENTIAL, b.p, b.len, text, sizeof(text)), FMT_OK);
	assert_int_equal(file_replace(AT_FDCWD, path, text, strlen(text), 0600, &e), 0);
	buf_release(&b);
}

#endif
