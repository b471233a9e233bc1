#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/io.h"
#include "common/base/secret.h"
#include "common/base/text.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"
#include "common/flow/vault_credential.h"
#include "common/flow/vault_machine.h"
#include "formats/armor.h"
#include "formats/names.h"

/* A machine that the order names, and whether that fits its purpose. */
static int
order_check(struct vault *v, const struct credential_order *o, struct credential *c, struct err *e)
{
	struct cat_machine m;
	int rc;

	c->purpose = (uint8_t)o->purpose;
	if (o->machine == NULL) {
		if (o->purpose == PURPOSE_NEW)
			return 0;
		return err_set(e, ERR_USAGE, "name the machine that this credential is for");
	}
	if (!machine_name_is_valid(o->machine))
		return err_set(e, ERR_VAULT_NAME, "\"%.60s\" is not a name for a machine", o->machine);
	(void)snprintf(c->machine_name, sizeof(c->machine_name), "%s", o->machine);
	if ((rc = vault_machine_named(v, o->machine, &m, e)) < 0)
		return -1;
	if (o->purpose == PURPOSE_NEW && rc == 0) {
		(void)err_set(e, ERR_RULE, "a machine called %s is registered with this vault already", o->machine);
		return err_next(e, "Choose another name, or give --replace if it is to take that machine's place.");
	}
	/* One that was revoked comes back by its replacement, and its snapshots can be read. */
	if (o->purpose != PURPOSE_NEW && rc == 1 && (vault_machine_find(v, o->machine, &m, NULL) != 0 ||
	    m.state != MACHINE_REVOKED || strcmp(m.name, o->machine) != 0))
		return err_set(e, ERR_NOT_FOUND, "no machine called %s is registered with this vault", o->machine);
	if (o->purpose != PURPOSE_NEW || rc == 0)
		memcpy(c->machine_id, m.id, ID_LEN);
	return 0;
}

static void
credential_fill(const struct vault *v, const struct credential_order *o, struct credential *c)
{
	const struct vault_desc *d = &v->desc;

	io_random(c->credential_id, ID_LEN);
	memcpy(c->vault_id, d->vault_id, ID_LEN);
	memcpy(c->vault_name, d->name, sizeof(c->vault_name));
	memcpy(c->vault_pub, d->sign_pub, SIGN_PUB_LEN);
	memcpy(c->vault_box_pub, d->box_pub, BOX_PUB_LEN);
	memcpy(c->tls_pin, d->tls_pin, DIGEST_LEN);
	memcpy(c->url, d->url, sizeof(c->url));
	c->suite = d->suite;
	c->chunk_avg_min = d->chunk_avg_min;
	c->chunk_avg_max = d->chunk_avg_max;
	c->issued = v->now / 1000000000;
	c->use_by = c->issued + o->valid;
	c->arrive_by = c->issued + o->arrives_by;
}

/* Recorded without secret and signature: no record holds what could be used. */
static int
credential_record(struct vault *v, const struct credential *c, struct err *e)
{
	struct credential bare = *c;
	uint8_t bytes[2048];
	enum fmt_status st;
	size_t len;

	memset(bare.secret, 0, sizeof(bare.secret));
	memset(bare.sig, 0, sizeof(bare.sig));
	if ((st = schema_encode(&credential_schema, &bare, bytes, sizeof(bytes), &len)) != FMT_OK)
		return err_set(e, ERR_INTERNAL, "record a credential: %s", fmt_status_text(st));
	return vault_record_bytes(v, REC_CREDENTIAL_ISSUED, bytes, len, e);
}

int
vault_credential(struct vault *v, const struct credential_order *o, struct credential *c, struct err *e)
{
	memset(c, 0, sizeof(*c));
	if (vault_begin(v, e) != 0)
		return -1;
	if (v->clock_jumped) {
		if (vault_commit(v, e) != 0)
			return -1;
		(void)err_set(e, ERR_RULE, "the clock of this computer jumped; a credential would be good for too long, or not at all");
		return err_next(e, "Set it right, then samara-import clock %s --confirm.", v->path);
	}
	if (order_check(v, o, c, e) != 0)
		goto rollback;
	credential_fill(v, o, c);
	if (credential_record(v, c, e) != 0)
		goto rollback;
	if (vault_commit(v, e) != 0)
		return -1;
	vault_credential_secret(v, c->credential_id, c->secret);
	return 0;
rollback:
	vault_rollback(v);
	return -1;
}

static void
put_words(const struct vault *v, const struct credential *c, struct buf *out)
{
	static const char *const purposes[] = { "", "a new machine", "a machine that takes the place of", "reading the snapshots of" };
	uint8_t digest[DIGEST_LEN];
	char by[HUMAN_MAX], key[HUMAN_MAX], safe[NAME_MAX_LEN * 4 + 4];

	hash_once(v->desc.sign_pub, SIGN_PUB_LEN, digest);
	buf_print(out, "SAMARA VAULT CREDENTIAL\n\nvault    %s\n         key %s\n", c->vault_name,
	    human_digest(key, digest));
	buf_print(out, "for      %s%s%s\n", purposes[c->purpose], c->machine_name[0] != '\0' ? ", " : "",
	    text_safe(safe, sizeof(safe), c->machine_name, strlen(c->machine_name)));
	buf_print(out, "use by   %s\n\n", human_date(by, c->use_by));
	buf_str(out, "It registers one machine with the vault, once, and is good for nothing else.\n"
	    "On the machine:  samara-seed register THIS-FILE --offline --kit KIT-FILE\n\n");
}

int
credential_text(const struct vault *v, struct credential *c, struct buf *out, struct err *e)
{
	struct buf bytes;
	char *text;
	size_t room;
	int rc;

	buf_init(&bytes);
	if ((rc = statement_make(&credential_schema, c, v->sign_secret, &bytes, e)) != 0)
		goto release;
	put_words(v, c, out);
	room = armor_size(ARMOR_CREDENTIAL, bytes.len) + 1;
	if ((text = (char *)buf_room(out, room)) != NULL) {
		if (armor_encode(ARMOR_CREDENTIAL, bytes.p, bytes.len, text, room) != FMT_OK)
			rc = err_set(e, ERR_INTERNAL, "write a credential");
		else
			buf_grew(out, room - 1);
	}
	secret_wipe(bytes.p, bytes.len);
	if (rc == 0)
		rc = buf_check(out, e);
release:
	buf_release(&bytes);
	return rc;
}

void
credential_file_name(const struct credential *c, unsigned n, char out[CREDENTIAL_NAME_MAX])
{
	time_t t = (time_t)c->issued;
	char day[32] = "", again[16] = "", machine[NAME_MAX_LEN + 2] = "";
	struct tm tm;
	size_t len = 0;

	if (localtime_r(&t, &tm) != NULL)
		(void)strftime(day, sizeof(day), "%Y-%m-%d", &tm);
	if (n > 1)
		(void)snprintf(again, sizeof(again), "_%u", n);
	/* A machine's name may hold what a file's name had better not. */
	for (const char *p = c->machine_name; *p != '\0'; p++) {
		int plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
		    *p == '-' || *p == '.';

		if (len == 0)
			machine[len++] = '_';
		machine[len++] = plain ? *p : '_';
	}
	(void)snprintf(out, CREDENTIAL_NAME_MAX, "%s_%s%s%s.credential", c->vault_name, day, machine, again);
}
