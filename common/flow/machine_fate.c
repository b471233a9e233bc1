#include "common/flow/machine_fate.h"

#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/text.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_chunks.h"
#include "common/flow/retain.h"
#include "common/flow/vault_machine.h"
#include "common/flow/vault_status.h"
#include "formats/names.h"

const char *
subscription_text(unsigned subscription)
{
	static const char *const text[] = { "?", "active", "expired", "deprovisioned" };

	return text[subscription < sizeof(text) / sizeof(text[0]) ? subscription : 0];
}

/* Does the machine's row say so already? */
static int
is_so(const struct cat_machine *m, const struct machine_order *o)
{
	switch (o->fate) {
	case MFATE_REVOKED:
		return m->state == MACHINE_REVOKED;
	case MFATE_RETIRED:
		return m->state == MACHINE_RETIRED;
	case MFATE_DELETED:
		return m->state == MACHINE_DELETED;
	case MFATE_RENAMED:
		return strcmp(m->name, o->name) == 0;
	case MFATE_QUOTA:
		return (uint64_t)m->quota == o->value;
	default:
		return m->subscription == o->value;
	}
}

static int
name_is_free(struct vault *v, const struct cat_machine *m, const char *name, struct err *e)
{
	struct cat_machine other;
	char safe[NAME_MAX_LEN * 4 + 4];
	int rc;

	(void)text_safe(safe, sizeof(safe), name, strnlen(name, NAME_MAX_LEN));
	if (!machine_name_is_valid(name) || !text_is_printable(name, strlen(name)))
		return err_set(e, ERR_VAULT_NAME, "\"%s\" is not a name for a machine", safe);
	if ((rc = vault_machine_named(v, name, &other, e)) < 0)
		return -1;
	if (rc == 0 && memcmp(other.id, m->id, ID_LEN) != 0)
		return err_set(e, ERR_RULE, "another machine of vault %s is called %s", v->desc.name, safe);
	return 0;
}

/* In the transaction: 0, 1 it was so, -1. */
static int
decide(struct vault *v, const char *text, const struct machine_order *o, struct cat_machine *m, struct err *e)
{
	struct rec_machine_fate f = { .fate = (uint8_t)o->fate, .value = o->value };

	if (vault_machine_find(v, text, m, e) != 0)
		return -1;
	if (is_so(m, o))
		return 1;
	if (o->fate == MFATE_RENAMED && name_is_free(v, m, o->name, e) != 0)
		return -1;
	if (o->fate == MFATE_REVOKED && m->state != MACHINE_LIVE)
		return err_set(e, ERR_RULE, "machine %s is %s already", m->name, machine_state_text(m->state));
	if (o->dry_run)
		return 0;
	memcpy(f.machine_id, m->id, ID_LEN);
	if (o->name != NULL)
		(void)snprintf(f.name, sizeof(f.name), "%s", o->name);
	(void)snprintf(f.why, sizeof(f.why), "%.250s", o->why == NULL ? "" : o->why);
	if (vault_record(v, REC_MACHINE_FATE, &rec_machine_fate_schema, &f, e) != 0)
		return -1;
	return catalog_get(v->catalog, &cat_machines, m, e) == 0 ? 0 : -1;
}

int
machine_decide(struct vault *v, const char *text, const struct machine_order *o, struct cat_machine *m, struct err *e)
{
	uint64_t deleted;
	int rc;

	if (vault_begin(v, e) != 0)
		return -1;
	if ((rc = decide(v, text, o, m, e)) < 0) {
		vault_rollback(v);
		return -1;
	}
	if (vault_commit(v, e) != 0)
		return -1;
	/* Its snapshots go with it; where this is cut off a collection writes it down. */
	if ((o->fate == MFATE_DELETED || (o->fate == MFATE_SUBSCRIPTION && o->value == SUBSCRIPTION_DEPROVISIONED)) && !o->dry_run &&
	    retain_machine(v, m->id, o->why == NULL ? "" : o->why, &deleted, e) != 0)
		return -1;
	return rc;
}

int
machine_quota(struct vault *v, const uint8_t machine[ID_LEN], uint64_t more, struct quota_figures *q, struct err *e)
{
	char quota[HUMAN_MAX], used[HUMAN_MAX], size[HUMAN_MAX], safe[NAME_MAX_LEN * 4 + 4];
	struct cat_machine m;
	int rc;

	*q = (struct quota_figures){ .more = more };
	if ((rc = vault_machine(v, machine, &m, e)) != 0)
		return rc < 0 ? -1 : 0;
	if (m.quota == 0)
		return 0;
	q->quota = (uint64_t)m.quota;
	if (catalog_used(v->catalog, machine, &q->used, e) != 0)
		return -1;
	if (q->used <= q->quota && more <= q->quota - q->used)
		return 0;
	return err_set(e, ERR_QUOTA, "machine %s may have %s in vault %s, has %s, and this takes %s more",
	    text_safe(safe, sizeof(safe), m.name, strlen(m.name)), human_size(quota, q->quota), v->desc.name,
	    human_size(used, q->used), human_size(size, more));
}
