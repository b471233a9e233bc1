/* What records of tokens and of machines' fates say, as rows (vault_apply.h). */

#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/catalog/catalog.h"
#include "common/flow/vault_apply.h"
#include "formats/fmt_line_machine.h"

#define DROP_MOST	256	/* at a time; there are a few */

/* Which tokens go. */
struct dropping {
	const uint8_t *machine_id;
	const uint8_t *pub;		/* NULL: whoever asked */
	int others;			/* those that ${pub} did not ask for */
	int readers_too;		/* restore-only ones */
	struct cat_token found[DROP_MOST];
	size_t n;
};

static int
token_goes(void *arg, const void *row, struct err *e)
{
	const struct cat_token *t = row;
	struct dropping *d = arg;
	int same = d->pub != NULL && memcmp(t->pub, d->pub, SIGN_PUB_LEN) == 0;

	(void)e;
	if (memcmp(t->machine_id, d->machine_id, ID_LEN) != 0 || (!d->readers_too && t->purpose != PURPOSE_NEW) ||
	    (d->pub != NULL && same == d->others))
		return 0;
	if (d->n < DROP_MOST)
		d->found[d->n++] = *t;
	return 0;
}

static int
tokens_drop(struct vault *v, struct dropping *d, struct err *e)
{
	do {
		d->n = 0;
		if (catalog_each(v->catalog, &cat_tokens, 0, NULL, token_goes, d, e) != 0)
			return -1;
		for (size_t i = 0; i < d->n; i++)
			if (catalog_drop(v->catalog, &cat_tokens, &d->found[i], e) != 0)
				return -1;
	} while (d->n == DROP_MOST);
	return 0;
}

/* The credential that was used up by giving the token. */
static int
credential_spent(struct vault *v, const struct rec_token *t, int64_t when, struct err *e)
{
	static const uint8_t none[ID_LEN];
	struct cat_credential row;
	int rc;

	if (memcmp(t->credential_id, none, ID_LEN) == 0)
		return 0;
	memcpy(row.id, t->credential_id, ID_LEN);
	if ((rc = catalog_get(v->catalog, &cat_credentials, &row, e)) != 0)
		return rc == 1 ? 0 : -1;
	row.state = CREDENTIAL_USED;
	memcpy(row.used_by, t->machine_id, ID_LEN);
	row.used = when;
	return catalog_put(v->catalog, &cat_credentials, &row, e);
}

int
apply_token(struct vault *v, const struct record *r, struct err *e)
{
	struct cat_token row = { .given = r->time };
	struct rec_token t;
	struct dropping d = { .machine_id = t.machine_id, .pub = t.machine_pub, .readers_too = 1 };

	if (apply_body(r, &rec_token_schema, &t, e) != 0)
		return -1;
	/* One token for each key: who asks again has lost the one before. */
	if (tokens_drop(v, &d, e) != 0)
		return -1;
	memcpy(row.hash, t.hash, DIGEST_LEN);
	memcpy(row.machine_id, t.machine_id, ID_LEN);
	memcpy(row.pub, t.machine_pub, SIGN_PUB_LEN);
	row.purpose = t.purpose;
	row.until = t.until;
	if (catalog_put(v->catalog, &cat_tokens, &row, e) != 0)
		return -1;
	return credential_spent(v, &t, r->time, e);
}

int
apply_machine_fate(struct vault *v, const struct record *r, struct err *e)
{
	static const uint32_t state[] = {
		[MFATE_REVOKED] = MACHINE_REVOKED, [MFATE_RETIRED] = MACHINE_RETIRED, [MFATE_DELETED] = MACHINE_DELETED
	};
	struct rec_machine_fate f;
	struct dropping d = { .machine_id = f.machine_id, .readers_too = 1 };
	struct cat_machine m;
	int rc;

	if (apply_body(r, &rec_machine_fate_schema, &f, e) != 0)
		return -1;
	memcpy(m.id, f.machine_id, ID_LEN);
	if ((rc = catalog_get(v->catalog, &cat_machines, &m, e)) != 0)
		return rc == 1 ? 0 : -1;
	if (f.fate == MFATE_RENAMED)
		(void)snprintf(m.name, sizeof(m.name), "%s", f.name);
	else if (f.fate == MFATE_QUOTA)
		m.quota = (int64_t)f.value;
	else if (f.fate == MFATE_SUBSCRIPTION)
		m.subscription = (uint32_t)f.value;
	else
		m.state = state[f.fate];
	if (f.fate <= MFATE_DELETED || f.fate == MFATE_SUBSCRIPTION)
		m.changed = r->slow_clock > 0 ? r->slow_clock : 1;
	if (catalog_put(v->catalog, &cat_machines, &m, e) != 0)
		return -1;
	return f.fate <= MFATE_DELETED ? tokens_drop(v, &d, e) : 0;
}

int
apply_takeover(struct vault *v, const struct record *r, struct err *e)
{
	struct rec_takeover t;
	struct dropping d = { .machine_id = t.machine_id, .pub = t.machine_pub, .others = 1 };
	struct cat_machine m;
	int rc;

	if (apply_body(r, &rec_takeover_schema, &t, e) != 0)
		return -1;
	memcpy(m.id, t.machine_id, ID_LEN);
	if ((rc = catalog_get(v->catalog, &cat_machines, &m, e)) < 0)
		return -1;
	m.taken_over = r->time;
	if (rc == 0 && catalog_put(v->catalog, &cat_machines, &m, e) != 0)
		return -1;
	return tokens_drop(v, &d, e);
}
