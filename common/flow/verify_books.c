#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/stop.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"
#include "common/flow/vault_desc_file.h"
#include "common/flow/verify_books.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"
#include "formats/fmt_retain.h"
#include "formats/fmt_snapshot.h"

#define DESC_MAX	(1u << 20)
#define RECORD_MAX	(RECORD_BODY_MAX + (64u << 10))

struct reading {
	struct verify_job *j;
	struct store *s;
	struct verify_books *b;
	uint64_t next;			/* number of the record that must come */
	uint8_t previous[DIGEST_LEN];	/* digest of the one before */
	int broken;			/* the one before could not be read */
};

const struct verify_machine *
verify_books_machine(const struct verify_books *b, const uint8_t id[ID_LEN], const struct verify_machine *after)
{
	for (size_t i = after == NULL ? b->nmachines : (size_t)(after - b->machine); i-- > 0; )
		if (memcmp(b->machine[i].id, id, ID_LEN) == 0)
			return &b->machine[i];
	return NULL;
}

void
verify_books_release(struct verify_books *b)
{
	free(b->machine);
	free(b->received);
	memset(b, 0, sizeof(*b));
}

static int
desc_found(void *arg, const char *name, uint64_t len, struct err *e)
{
	struct reading *r = arg;
	struct vault_desc d;
	struct err own;
	uint8_t *text;
	size_t n;

	(void)len;
	(void)e;
	err_clear(&own);
	if (store_read(r->s, name, DESC_MAX, &text, &n, &own) == 0) {
		if (vault_desc_read(text, n, &d, &own) == 0) {
			if (r->b->desc.generation != 0 && (memcmp(d.vault_id, r->b->desc.vault_id, ID_LEN) != 0 ||
			    memcmp(d.sign_pub, r->b->desc.sign_pub, SIGN_PUB_LEN) != 0))
				(void)err_set(&own, ERR_SIGNATURE, "it describes another vault");
			else if (d.generation > r->b->desc.generation)
				r->b->desc = d;
		}
		free(text);
	}
	if (own.code != ERR_NONE)
		finding_err(r->j->found, SEV_REPAIRABLE, name, "another generation may be whole; write it anew", &own);
	return 0;
}

static int
machine_add(struct reading *r, struct fmt_view body, struct err *e)
{
	struct verify_machine *more = realloc(r->b->machine, (r->b->nmachines + 1) * sizeof(*more)), *m;
	struct registration g;
	struct domain_desc d;
	struct membership k;

	if (more == NULL)
		return err_set(e, ERR_MEMORY, "no memory for a list of machines");
	r->b->machine = more;
	if (schema_decode(&registration_schema, &g, body.p, body.len) != FMT_OK ||
	    schema_decode(&domain_desc_schema, &d, g.domain_desc.p, g.domain_desc.len) != FMT_OK ||
	    schema_decode(&membership_schema, &k, g.membership.p, g.membership.len) != FMT_OK)
		return 1;
	m = &r->b->machine[r->b->nmachines++];
	memset(m, 0, sizeof(*m));
	memcpy(m->id, g.machine_id, ID_LEN);
	memcpy(m->pub, g.machine_pub, SIGN_PUB_LEN);
	memcpy(m->name, g.machine_name, sizeof(m->name));
	m->from_seq = k.from_seq;
	hash_once(d.domain_pub, SIGN_PUB_LEN, m->domain_id);
	return 0;
}

static int
received_add(struct reading *r, struct fmt_view body, struct err *e)
{
	struct verify_received *more = realloc(r->b->received, (r->b->nreceived + 1) * sizeof(*more)), *s;
	struct envelope env;

	if (more == NULL)
		return err_set(e, ERR_MEMORY, "no memory for a list of snapshots");
	r->b->received = more;
	if (schema_decode(&envelope_schema, &env, body.p, body.len) != FMT_OK)
		return 1;
	s = &r->b->received[r->b->nreceived++];
	memset(s, 0, sizeof(*s));
	memcpy(s->machine_id, env.machine_id, ID_LEN);
	s->seq = env.seq;
	statement_digest(&envelope_schema, body.p, body.len, s->digest);
	return 0;
}

/* A snapshot that is gone is not looked for. */
static int
gone_take(struct reading *r, struct fmt_view body)
{
	struct rec_snapshot k;

	if (schema_decode(&rec_snapshot_schema, &k, body.p, body.len) != FMT_OK)
		return 1;
	for (size_t i = 0; i < r->b->nreceived; i++)
		if (r->b->received[i].seq == k.seq && memcmp(r->b->received[i].machine_id, k.machine_id, ID_LEN) == 0)
			r->b->received[i].gone = 1;
	return 0;
}

/* What a record that can be believed says of machines and snapshots. */
static int
record_take(struct reading *r, const char *name, const struct record *rec, struct err *e)
{
	int rc = 0;

	if (rec->type == REC_MACHINE_REGISTERED)
		rc = machine_add(r, rec->body, e);
	else if (rec->type == REC_SNAPSHOT_RECEIVED)
		rc = received_add(r, rec->body, e);
	else if (rec->type == REC_GONE)
		rc = gone_take(r, rec->body);
	else if (rec->type > REC_TYPE_KNOWN)
		finding_tell(r->j->found, SEV_NOTE, ERR_NONE, name, "", "a record of type %u, which this samara does not know", rec->type);
	if (rc == 1)
		finding_tell(r->j->found, SEV_LOST, ERR_FORMAT, name, "what this decision was about is lost", "its body does not follow its format");
	return rc == -1 ? -1 : 0;
}

/* One record's bytes: signature, place in the chain. */
static int
record_look(struct reading *r, const char *name, uint64_t number, const uint8_t *bytes, size_t len, struct err *e)
{
	static const char *const cost = "the vault's history before or after it cannot be believed";
	struct record rec;
	struct err own;

	err_clear(&own);
	if (statement_open(&record_schema, &rec, bytes, len, r->b->desc.sign_pub, &own) != 0) {
		finding_err(r->j->found, SEV_LOST, name, cost, &own);
		r->broken = 1;
		return 0;
	}
	if (rec.number != number || memcmp(rec.vault_id, r->b->desc.vault_id, ID_LEN) != 0)
		finding_tell(r->j->found, SEV_LOST, ERR_SIGNATURE, name, cost, "it is record %llu of a vault, not this one",
		    (unsigned long long)rec.number);
	else if (!r->broken && memcmp(rec.previous, r->previous, DIGEST_LEN) != 0)
		finding_tell(r->j->found, SEV_LOST, ERR_SIGNATURE, name, cost, "it does not follow the record before it");
	hash_once(bytes, len, r->previous);
	r->broken = 0;
	return record_take(r, name, &rec, e);
}

static int
record_found(void *arg, const char *name, uint64_t len, struct err *e)
{
	struct reading *r = arg;
	const char *digits = strrchr(name, '/');
	uint64_t number = digits != NULL ? strtoull(digits + 1, NULL, 16) : 0;
	struct err own;
	uint8_t *bytes;
	size_t n;
	int rc;

	(void)len;
	if (stop_check(e) != 0)
		return -1;
	if (number != r->next) {
		finding_tell(r->j->found, SEV_LOST, ERR_MISSING, name, "what was decided in them is lost",
		    "records %llu to %llu are not there", (unsigned long long)r->next, (unsigned long long)number - 1);
		r->broken = 1;
	}
	r->next = number + 1;
	r->j->r->records++;
	err_clear(&own);
	if (store_read(r->s, name, RECORD_MAX, &bytes, &n, &own) != 0) {
		finding_err(r->j->found, SEV_LOST, name, "what was decided in it is lost", &own);
		r->broken = 1;
		return 0;
	}
	rc = record_look(r, name, number, bytes, n, e);
	free(bytes);
	return rc;
}

int
verify_books_read(struct verify_job *j, struct store *s, struct verify_books *b, struct err *e)
{
	struct reading r = { .j = j, .s = s, .b = b, .next = 1 };

	memset(b, 0, sizeof(*b));
	if (s->ops->list(s, "vault/", "", desc_found, &r, e) != 0)
		return -1;
	if (b->desc.generation == 0)
		return err_set(e, ERR_NO_VAULT, "no description of the vault can be believed");
	return s->ops->list(s, "records/", "", record_found, &r, e);
}
