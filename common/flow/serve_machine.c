/* Who the vault is, tokens, and the contact: docs/api.yaml. */

#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/io.h"
#include "common/base/secret.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_chunks.h"
#include "common/flow/serve_job.h"
#include "common/flow/upload.h"
#include "common/flow/vault_alerts.h"
#include "common/flow/vault_pledge.h"
#include "common/flow/vault_token.h"
#include "common/store/store.h"

/* GET identity: the newest description, which the vault's own key has signed. */
static int
answer_identity(struct serve_call *c, struct err *e)
{
	struct vault_desc d;

	if (vault_describe(c->store, &d, e) != 0)
		return -1;
	return serve_reply(c, &vault_desc_schema, &d, e);
}

/* The description as bytes behind a grant. */
static int
grant_reply(struct serve_call *c, struct token_grant *g, struct err *e)
{
	uint8_t bytes[SMALL_STATEMENT_MAX];
	struct vault_desc d;
	size_t len;

	if (vault_describe(c->store, &d, e) != 0)
		return -1;
	if (schema_encode(&vault_desc_schema, &d, bytes, sizeof(bytes), &len) != FMT_OK)
		return err_set(e, ERR_INTERNAL, "the vault's description cannot be written");
	g->descriptor.p = bytes;
	g->descriptor.len = (uint32_t)len;
	return serve_reply(c, &token_grant_schema, g, e);
}

/* POST machines */
static int
answer_token(struct serve_call *c, struct err *e)
{
	struct token_grant g;
	const uint8_t *bytes;
	size_t len;
	int rc;

	if (serve_body(c, REGISTRATION_MAX + 1024, &bytes, &len, e) != 0)
		return -1;
	if ((rc = vault_token_grant(c->v, bytes, len, c->pin, &g, e)) == 0)
		rc = grant_reply(c, &g, e);
	secret_wipe(&g, sizeof(g));
	serve_body_free(c, bytes);
	return rc;
}

/* Sets that are told apart; a machine with more is not told of those beyond. */
#define SETS_MAX	64u

struct looking {
	struct contact *k;
	const uint8_t *machine_id;
	struct {
		char name[SET_NAME_MAX + 1];
		int whole;
	} set[SETS_MAX];
	unsigned nsets;
};

/* Its place among the sets; NULL where there are too many. */
static int *
set_whole(struct looking *l, const char *name)
{
	for (unsigned i = 0; i < l->nsets; i++)
		if (strcmp(l->set[i].name, name) == 0)
			return &l->set[i].whole;
	if (l->nsets == SETS_MAX)
		return NULL;
	(void)snprintf(l->set[l->nsets].name, sizeof(l->set[0].name), "%s", name);
	return &l->set[l->nsets++].whole;
}

static int
snapshot_look(void *arg, const void *row, struct err *e)
{
	const struct cat_snapshot *s = row;
	struct looking *l = arg;
	int *whole;

	(void)e;
	l->k->missing += s->missing > 0 ? (uint64_t)s->missing : 0;
	if (s->deleted != 0)
		return 0;
	l->k->pending += s->state == SNAPSHOT_PENDING;
	whole = set_whole(l, s->set_name);
	if (s->state != SNAPSHOT_WHOLE)
		return 0;
	l->k->whole++;
	if (s->end_ns > l->k->newest_whole)
		l->k->newest_whole = s->end_ns;
	if (whole != NULL)
		*whole = 1;
	return 0;
}

struct receipts {
	struct vault *v;
	struct looking *l;
};

/* The newest receipt of an image of this machine. */
static int
receipt_look(void *arg, const void *row, struct err *e)
{
	const struct cat_receipt *r = row;
	struct receipts *x = arg;
	struct cat_image i;
	int rc;

	if ((uint64_t)r->number <= x->l->k->receipt)
		return 0;
	memcpy(i.id, r->image_id, ID_LEN);
	if ((rc = catalog_get(x->v->catalog, &cat_images, &i, e)) != 0)
		return rc < 0 ? -1 : 0;
	if (memcmp(i.machine_id, x->l->machine_id, ID_LEN) == 0) {
		x->l->k->receipt = (uint64_t)r->number;
		memcpy(x->l->k->receipt_image, r->image_id, ID_LEN);
	}
	return 0;
}

/* --- what the machine should hear --- */

struct notices {
	uint8_t room[NOTICES_MAX];
	struct wr w;
};

static int
notice_add(void *arg, const char *text, struct err *e)
{
	(void)e;
	notice_put(&((struct notices *)arg)->w, text, strlen(text));
	return 0;
}

/* The quota, when less than a tenth of it is left. */
static int
notice_quota(struct notices *n, const struct contact *k, struct err *e)
{
	char text[192], used[HUMAN_MAX], quota[HUMAN_MAX];

	if (k->quota == 0 || k->used < k->quota - k->quota / 10)
		return 0;
	(void)snprintf(text, sizeof(text), "%s of this machine's quota of %s are used%s", human_size(used, k->used),
	    human_size(quota, k->quota), k->used >= k->quota ? ": nothing more is taken" : "");
	return notice_add(n, text, e);
}

static int
notice_events(struct notices *n, const struct cat_machine *m, int64_t acknowledged, struct err *e)
{
	int64_t now = io_now_ns();
	char text[192], day[HUMAN_MAX];

	if (vault_event_is_open(m->slots_changed, acknowledged, now)) {
		(void)snprintf(text, sizeof(text), "this machine was registered anew on %s, with other key slots; if that was nobody of yours, "
		    "call the operator", human_day(day, m->slots_changed / 1000000000));
		(void)notice_add(n, text, e);
	}
	if (vault_event_is_open(m->taken_over, acknowledged, now)) {
		(void)snprintf(text, sizeof(text), "a new machine took the place of the old one on %s; if that was nobody of yours, "
		    "call the operator", human_day(day, m->taken_over / 1000000000));
		(void)notice_add(n, text, e);
	}
	return 0;
}

/* What is missing stands in the contact itself. */
static int
notices_fill(struct serve_call *c, struct contact *k, struct notices *n, struct err *e)
{
	struct alerting how;

	n->w = (struct wr){ .p = n->room, .left = sizeof(n->room) };
	if (alerting_read(c->v, &how, e) != 0 || notice_events(n, &c->machine, how.acknowledged, e) != 0 ||
	    vault_pledge_notices(c->v, c->machine.id, notice_add, n, e) != 0 || notice_quota(n, k, e) != 0)
		return -1;
	k->notices = (struct fmt_view){ n->room, (uint32_t)(sizeof(n->room) - n->w.left) };
	return 0;
}

static int
contact_fill(struct serve_call *c, struct contact *k, struct err *e)
{
	struct looking l = { .k = k, .machine_id = c->machine.id };
	struct receipts x = { c->v, &l };
	struct upload_head head;
	struct cat_snapshot like;
	int rc;

	memset(&like, 0, sizeof(like));
	memcpy(like.machine_id, c->machine.id, ID_LEN);
	if (catalog_begin(c->v->catalog, 0, e) != 0)
		return -1;
	rc = catalog_each(c->v->catalog, &cat_snapshots, 1, &like, snapshot_look, &l, e);
	for (unsigned i = 0; i < l.nsets; i++)
		k->sets_waiting += !l.set[i].whole;
	if (rc == 0 && (rc = upload_head(c->v, c->machine.id, &head, e)) == 0) {
		k->head_seq = head.seq;
		memcpy(k->head_id, head.id, ID_LEN);
		memcpy(k->head, head.digest, DIGEST_LEN);
	}
	if (rc == 0)
		rc = catalog_used(c->v->catalog, c->machine.id, &k->used, e);
	if (rc == 0)
		rc = catalog_each(c->v->catalog, &cat_receipts, 0, NULL, receipt_look, &x, e);
	catalog_rollback(c->v->catalog);
	return rc;
}

/* GET contact */
static int
answer_contact(struct serve_call *c, struct err *e)
{
	struct contact k = { .time = io_now_ns(), .purpose = (uint8_t)c->token.purpose, .until = c->token.until };
	struct notices notices;
	struct vault_desc d;

	if (vault_describe(c->store, &d, e) != 0)
		return -1;
	memcpy(k.vault_id, d.vault_id, ID_LEN);
	memcpy(k.machine_name, c->machine.name, sizeof(k.machine_name));
	k.generation = d.generation;
	k.quota = (uint64_t)c->machine.quota;
	k.subscription = (uint8_t)c->machine.subscription;
	if (contact_fill(c, &k, e) != 0 || notices_fill(c, &k, &notices, e) != 0)
		return -1;
	return serve_reply(c, &contact_schema, &k, e);
}

/* POST rate: bytes that are looked at by nobody, to see how fast they come. */
static int
answer_rate(struct serve_call *c, struct err *e)
{
	c->out->status = 204;
	(void)e;
	return 0;
}

const struct serve_route serve_routes_machine[] = {
	{ "GET", "identity", SERVE_ANYBODY, 0, answer_identity, NULL },
	{ "POST", "machines", SERVE_ANYBODY, REGISTRATION_MAX + 1024, answer_token, NULL },
	{ "GET", "contact", SERVE_READ, 0, answer_contact, NULL },
	{ "POST", "rate", SERVE_READ, 4u << 20, answer_rate, NULL },
	{ NULL, NULL, 0, 0, NULL, NULL }
};
