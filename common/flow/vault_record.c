#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/io.h"
#include "common/catalog/catalog.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"
#include "common/flow/vault.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

#define RECORD_MAX	(RECORD_BODY_MAX + 4096)

void
vault_actor(char out[TEXT_MAX_LEN + 1])
{
	char host[128] = "", text[1024];
	struct passwd pw, *found = NULL;

	if (gethostname(host, sizeof(host) - 1) != 0)
		host[0] = '\0';
	if (getpwuid_r(geteuid(), &pw, text, sizeof(text), &found) == 0 && found != NULL)
		(void)snprintf(out, TEXT_MAX_LEN + 1, "%.100s@%.100s", pw.pw_name, host);
	else
		(void)snprintf(out, TEXT_MAX_LEN + 1, "%u@%.100s", (unsigned)geteuid(), host);
}

int
vault_record_read(struct vault *v, uint64_t number, struct record *r, uint8_t **bytes, size_t *len, struct err *e)
{
	char name[VAULT_NAME_MAX];
	uint64_t size;
	int rc;

	*bytes = NULL;
	*len = 0;
	vault_name_record(name, number);
	if ((rc = v->store->ops->stat(v->store, name, &size, e)) != 0)
		return rc;
	if (store_read(v->store, name, RECORD_MAX, bytes, len, e) != 0)
		return -1;
	if (statement_open(&record_schema, r, *bytes, *len, v->desc.sign_pub, e) != 0)
		(void)err_during(e, "%s", name);
	else if (memcmp(r->vault_id, v->desc.vault_id, ID_LEN) != 0 || r->number != number)
		(void)err_set(e, ERR_DAMAGE, "%s is a record of another vault or another number", name);
	else
		return 0;
	free(*bytes);
	*bytes = NULL;
	return -1;
}

/* Apply the record ${bytes} and move the catalog's mark over it. */
static int
apply_one(struct vault *v, const struct record *r, const uint8_t *bytes, size_t len, struct err *e)
{
	uint8_t head[DIGEST_LEN];

	if (catalog_bytes(v->catalog, "head", head, sizeof(head), e) < 0)
		return -1;
	if (memcmp(head, r->previous, sizeof(head)) != 0)
		return err_set(e, ERR_DAMAGE, "record %llu of the vault does not follow the one before it",
		    (unsigned long long)r->number);
	if (vault_apply(v, r, e) != 0)
		return err_during(e, "record %llu", (unsigned long long)r->number);
	hash_once(bytes, len, head);
	v->number = r->number;
	/* A rebuilt catalog takes its clocks from what records say. */
	if (r->type == REC_CLOCK || (r->time > v->late && !v->clock_jumped)) {
		v->late = r->time;
		if (catalog_number_set(v->catalog, "clock late", v->late, e) != 0)
			return -1;
	}
	if (r->slow_clock > v->slow) {
		v->slow = r->slow_clock;
		if (catalog_number_set(v->catalog, "clock slow", v->slow, e) != 0)
			return -1;
	}
	if (catalog_number_set(v->catalog, "records", (int64_t)r->number, e) != 0)
		return -1;
	return catalog_bytes_set(v->catalog, "head", head, sizeof(head), e);
}

int
vault_catch_up(struct vault *v, struct err *e)
{
	struct record r;
	uint8_t *bytes;
	int64_t highest;
	size_t len;
	int rc;

	if (catalog_number(v->catalog, "records", &highest, e) < 0)
		return -1;
	v->number = (uint64_t)highest;
	while ((rc = vault_record_read(v, v->number + 1, &r, &bytes, &len, e)) == 0) {
		rc = apply_one(v, &r, bytes, len, e);
		free(bytes);
		if (rc != 0)
			return -1;
	}
	return rc == 1 ? 0 : -1;
}

int
vault_begin(struct vault *v, struct err *e)
{
	if (catalog_begin(v->catalog, 1, e) != 0)
		return -1;
	v->now = io_now_ns();
	if (vault_clock_move(v, e) == 0 && vault_catch_up(v, e) == 0)
		return 0;
	vault_rollback(v);
	return -1;
}

int
vault_commit(struct vault *v, struct err *e)
{
	return catalog_commit(v->catalog, e);
}

void
vault_rollback(struct vault *v)
{
	catalog_rollback(v->catalog);
}

/*
 * While the clock stands back where it jumped to, what comes bears the latest time that was seen: a snapshot that
 * were of 1970 would be the first that a rule lets go.
 */
static int64_t
record_time(const struct vault *v, enum record_type type)
{
	return type != REC_CLOCK && v->clock_jumped && v->now < v->late ? v->late : v->now;
}

int
vault_record_bytes(struct vault *v, enum record_type type, const void *body, size_t len, struct err *e)
{
	struct record r = { .number = v->number + 1, .type = (uint16_t)type, .time = record_time(v, type), .slow_clock = v->slow };
	char name[VAULT_NAME_MAX];
	struct buf b;
	int rc;

	memcpy(r.vault_id, v->desc.vault_id, ID_LEN);
	vault_actor(r.actor);
	r.body.p = body;
	r.body.len = (uint32_t)len;
	if (catalog_bytes(v->catalog, "head", r.previous, DIGEST_LEN, e) < 0)
		return -1;
	vault_name_record(name, r.number);
	buf_init(&b);
	if ((rc = statement_make(&record_schema, &r, v->sign_secret, &b, e)) != 0)
		goto release;
	if ((rc = v->store->ops->put_new(v->store, name, b.p, b.len, e)) == 1)
		rc = err_set(e, ERR_BUSY, "somebody else decides for this vault, with a catalog of his own");
	if (rc == 0)
		rc = apply_one(v, &r, b.p, b.len, e);
release:
	buf_release(&b);
	return rc;
}

int
vault_record(struct vault *v, enum record_type type, const struct fmt_schema *schema, void *body, struct err *e)
{
	struct buf b;
	int rc;

	buf_init(&b);
	if ((rc = statement_make(schema, body, v->sign_secret, &b, e)) == 0)
		rc = vault_record_bytes(v, type, b.p, b.len, e);
	buf_release(&b);
	return rc;
}
