#include "common/flow/vault_pledge.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/io.h"
#include "common/catalog/catalog.h"
#include "common/crypto/sign.h"
#include "common/flow/gaps.h"
#include "common/flow/id_list.h"
#include "common/flow/image_root.h"
#include "common/flow/vault_count.h"
#include "common/flow/vault_fate.h"
#include "common/flow/vault_machine.h"
#include "common/flow/vault_status.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"
#include "formats/fmt_disk.h"

#define NS		INT64_C(1000000000)
#define DAY		(INT64_C(86400) * NS)
#define WARN_BEFORE	(14 * DAY)

/* --- what is known of a lease --- */

int64_t
vault_pledge_until(const struct vault *v, const struct cat_image *i)
{
	return i->generation == 0 || i->pledge_until == 0 ? 0 : v->now / NS + (i->pledge_until - v->slow) / NS;
}

int
vault_pledge_now(struct vault *v, const struct cat_image *i, struct pledge_taken *t, struct err *e)
{
	memset(t, 0, sizeof(*t));
	if (i->generation == 0)
		return 1;
	memcpy(t->image_id, i->id, ID_LEN);
	t->generation = i->generation;
	t->until = vault_pledge_until(v, i);
	return vault_disks_out(v, i->id, &t->disks_out, e);
}

/* --- a pledge --- */

struct pledging {
	struct vault *v;
	const uint8_t *machine;
	const struct pledge_post *p;
	struct manifest m;
	uint8_t digest[DIGEST_LEN];
	struct cat_image image;
	int seen;			/* the vault knew of the image before */
};

static int
manifest_believe(struct pledging *g, struct err *e)
{
	struct vault *v = g->v;
	uint8_t root[DIGEST_LEN];
	int rc;

	if (statement_open(&manifest_schema, &g->m, g->p->manifest.p, g->p->manifest.len, NULL, e) != 0)
		return -1;
	if (memcmp(g->m.vault_id, v->desc.vault_id, ID_LEN) != 0)
		return err_set(e, ERR_WRONG_VAULT, "the pledge is for another vault than %s", v->desc.name);
	if (memcmp(g->m.machine_id, g->machine, ID_LEN) != 0)
		return err_set(e, ERR_SIGNATURE, "the pledge is of another machine than the one that sends it");
	if ((rc = vault_machine_signed(v, g->machine, &manifest_schema, g->p->manifest.p, g->p->manifest.len, e)) != 1)
		return rc < 0 ? -1 : err_set(e, ERR_SIGNATURE, "the manifest of image %s is not signed by its machine", g->m.short_name);
	image_root(v->desc.vault_id, g->m.image_id, g->m.envelopes, g->m.carried, root);
	if (memcmp(root, g->m.root, DIGEST_LEN) != 0)
		return err_set(e, ERR_DAMAGE, "the manifest of image %s does not give the root that it names", g->m.short_name);
	statement_digest(&manifest_schema, g->p->manifest.p, g->p->manifest.len, g->digest);
	return 0;
}

/* May it be pledged?  0; 1 this very manifest was before; -1. */
static int
pledge_judge(struct pledging *g, struct err *e)
{
	struct cat_image *i = &g->image;
	int rc;

	memcpy(i->id, g->m.image_id, ID_LEN);
	if ((rc = catalog_get(g->v->catalog, &cat_images, i, e)) < 0)
		return -1;
	g->seen = rc == 0;
	if (!g->seen)
		return 0;
	if (memcmp(i->machine_id, g->machine, ID_LEN) != 0)
		return err_set(e, ERR_SIGNATURE, "image %s is known as one of another machine", g->m.short_name);
	if (i->state == IMAGE_UNCLAIMED)
		return err_set(e, ERR_UNCLAIMED, "image %s was not admitted to vault %s: %s", i->short_name, g->v->desc.name, i->why);
	if (i->generation > g->m.generation)
		return err_set(e, ERR_RULE, "image %s was pledged already with generation %u", i->short_name, i->generation);
	if (i->generation == g->m.generation)
		return memcmp(i->manifest, g->digest, DIGEST_LEN) == 0 ? 1 : err_set(e, ERR_FORK,
		    "image %s has another manifest of generation %u", i->short_name, i->generation);
	if (i->state != IMAGE_LOST && i->state != IMAGE_CANCELLED)
		return 0;
	(void)err_set(e, ERR_RULE, "image %s is %s at vault %s", i->short_name, image_state_text(i->state), g->v->desc.name);
	return err_next(e, "if it is on its way after all: samara-seed lost %s --found, or at the vault samara-import reopen VAULT %s",
	    i->short_name, i->short_name);
}

/* The object first.  One that no record names and that is another is taken away. */
static int
manifest_put(struct pledging *g, struct err *e)
{
	struct store *s = g->v->store;
	char name[VAULT_NAME_MAX];
	uint8_t *was;
	size_t n;
	int rc;

	vault_name_image(name, g->m.image_id, "manif", g->m.generation);
	if ((rc = s->ops->put_new(s, name, g->p->manifest.p, g->p->manifest.len, e)) != 1)
		return rc;
	if (store_read(s, name, STATEMENT_MAX, &was, &n, NULL) == 0) {
		int same = n == g->p->manifest.len && memcmp(was, g->p->manifest.p, n) == 0;

		free(was);
		if (same)
			return 0;
	}
	if (s->ops->del(s, name, e) != 0)
		return -1;
	return s->ops->put_new(s, name, g->p->manifest.p, g->p->manifest.len, e) == 0 ? 0 :
	    err_set(e, ERR_BUSY, "somebody else writes %s", name);
}

/* In a transaction: 0 recorded, 1 known, -1. */
static int
pledge_decide(struct pledging *g, struct err *e)
{
	struct cat_parcel parcel;
	int rc = pledge_judge(g, e), told = 1;

	if (rc == 0 && (manifest_put(g, e) != 0 ||
	    vault_record_bytes(g->v, REC_MANIFEST, g->p->manifest.p, g->p->manifest.len, e) != 0))
		rc = -1;
	if (rc >= 0 && g->p->announcement.len > 0 &&
	    (told = vault_parcel_decide(g->v, g->machine, g->p->announcement.p, g->p->announcement.len, 0, &parcel, e)) < 0)
		return -1;
	return rc == 1 && told == 0 ? 0 : rc;
}

/* --- what an image without snapshots carries --- */

static ssize_t
carried_bytes(void *arg, void *buf, size_t n, struct err *e)
{
	ssize_t got = io_read_full(*(const int *)arg, buf, n, -1);

	return got < 0 ? err_errno(e, "list of what is carried") : got;
}

static ssize_t
carried_copy(void *arg, uint8_t *buf, size_t cap, struct err *e)
{
	return carried_bytes(arg, buf, cap, e);
}

/* Is it the list that the manifest names, each part of it signed by the machine?  0 or -1. */
static int
carried_believe(struct pledging *g, int fd, struct err *e)
{
	struct id_list_reader *r = id_list_reader_from(carried_bytes, &fd, "the list of what is carried", &carried_schema, NULL, e);
	const struct id_list *a;
	const uint8_t *part;
	size_t len;
	int rc;

	if (r == NULL)
		return -1;
	a = id_list_about(r);
	if (memcmp(a->vault_id, g->m.vault_id, ID_LEN) != 0 || memcmp(a->machine_id, g->machine, ID_LEN) != 0 ||
	    memcmp(a->image_id, g->m.image_id, ID_LEN) != 0 || memcmp(a->digest, g->m.carried, DIGEST_LEN) != 0)
		rc = err_set(e, ERR_DAMAGE, "the list of what is carried is not the one that the manifest of image %s names", g->m.short_name);
	else
		while ((rc = id_list_part(r, &part, &len, e)) == 1)
			if ((rc = vault_machine_signed(g->v, g->machine, &carried_schema, part, len, e)) != 1) {
				rc = rc < 0 ? -1 : err_set(e, ERR_SIGNATURE, "the list of what is carried is not signed by its machine");
				break;
			}
	id_list_reader_free(r);
	return rc;
}

/* Does the vault have it already?  1, 0. */
static int
carried_is_there(struct pledging *g)
{
	struct carried *c = carried_open(g->v, g->m.image_id, NULL, NULL);
	int same = c != NULL && memcmp(id_list_about(carried_list(c))->digest, g->m.carried, DIGEST_LEN) == 0;

	carried_close(c);
	return same;
}

/* Before the record of the manifest that names it. */
static int
carried_keep(struct pledging *g, int fd, struct err *e)
{
	struct store *s = g->v->store;
	char name[VAULT_NAME_MAX];
	int rc;

	if (g->m.envelopes.len > 0)
		return 0;
	if (pledge_judge(g, e) < 0 || carried_believe(g, fd, e) != 0)
		return -1;
	if (carried_is_there(g))
		return 0;
	if (io->lseek(fd, 0, SEEK_SET) != 0)
		return err_errno(e, "list of what is carried");
	vault_name_image(name, g->m.image_id, "list", 1);
	/* One that is there and is another was never named by a manifest. */
	if (s->ops->del(s, name, e) != 0)
		return -1;
	if ((rc = s->ops->put_new_from(s, name, carried_copy, &fd, e)) == 1)
		rc = err_set(e, ERR_BUSY, "somebody else writes %s", name);
	return rc;
}

int
vault_pledge_take(struct vault *v, const uint8_t machine[ID_LEN], const struct pledge_post *p, int carried,
    struct pledge_taken *t, struct err *e)
{
	struct pledging g = { .v = v, .machine = machine, .p = p };
	int rc;

	if (manifest_believe(&g, e) != 0 || (carried != -1 && carried_keep(&g, carried, e) != 0) || vault_begin(v, e) != 0)
		return -1;
	if ((rc = pledge_decide(&g, e)) < 0 || catalog_get(v->catalog, &cat_images, &g.image, e) != 0 ||
	    vault_pledge_now(v, &g.image, t, e) < 0) {
		vault_rollback(v);
		return -1;
	}
	return vault_commit(v, e) != 0 ? -1 : rc;
}

/* --- a longer lease --- */

static int
lease_may(struct vault *v, const struct cat_image *i, struct err *e)
{
	uint32_t out;

	if (i->generation == 0)
		return err_set(e, ERR_RULE, "image %s has no pledge: its manifest has not come", i->short_name);
	if (vault_disks_out(v, i->id, &out, e) != 0)
		return -1;
	if (out == 0)
		return err_set(e, ERR_RULE, "all disks of image %s are here: there is nothing to wait for", i->short_name);
	if (i->state != IMAGE_LOST && i->state != IMAGE_CANCELLED && v->slow <= i->pledge_until)
		return 0;
	(void)err_set(e, ERR_RULE, "image %s is %s: its pledge has ended", i->short_name,
	    i->state == IMAGE_LOST || i->state == IMAGE_CANCELLED ? image_state_text(i->state) : "expired");
	return err_next(e, "If it comes all the same: samara-import reopen VAULT %s.", i->short_name);
}

/* In a transaction. */
static int
lease_decide(struct vault *v, const char *text, const struct rec_lease *like, int dry_run, struct cat_image *i, struct err *e)
{
	struct rec_lease k = *like;

	if (vault_image_find(v, text, i, e) != 0 || lease_may(v, i, e) != 0)
		return -1;
	memcpy(k.image_id, i->id, ID_LEN);
	memcpy(k.machine_id, i->machine_id, ID_LEN);
	memcpy(k.short_name, i->short_name, sizeof(k.short_name));
	if (dry_run) {
		i->pledge_until += (int64_t)k.seconds * NS;
		return 0;
	}
	if (vault_record(v, REC_LEASE, &rec_lease_schema, &k, e) != 0)
		return -1;
	return catalog_get(v->catalog, &cat_images, i, e) != 0 ? -1 : 0;
}

int
vault_lease_extend(struct vault *v, const char *text, uint64_t seconds, const char *why, int dry_run, struct cat_image *i,
    struct err *e)
{
	struct rec_lease k = { .seconds = seconds };

	if (seconds == 0 || seconds > PLEDGE_EXTEND_MAX)
		return err_set(e, ERR_USAGE, "a pledge is extended by 1 second to %u days at a time", (unsigned)(PLEDGE_EXTEND_MAX / 86400));
	(void)snprintf(k.why, sizeof(k.why), "%.250s", why);
	if (vault_begin(v, e) != 0)
		return -1;
	if (lease_decide(v, text, &k, dry_run, i, e) != 0) {
		vault_rollback(v);
		return -1;
	}
	return vault_commit(v, e);
}

/* --- what the machine should know --- */

struct noticing {
	struct vault *v;
	const uint8_t *machine;
	int (*fn)(void *arg, const char *text, struct err *e);
	void *arg;
};

static int
notice_image(void *arg, const void *row, struct err *e)
{
	const struct cat_image *i = row;
	struct noticing *n = arg;
	char text[256], day[HUMAN_MAX];
	uint32_t out;

	if (memcmp(i->machine_id, n->machine, ID_LEN) != 0 || i->generation == 0 ||
	    i->pledge_until - n->v->slow > WARN_BEFORE || i->state == IMAGE_LOST || i->state == IMAGE_CANCELLED)
		return 0;
	if (vault_disks_out(n->v, i->id, &out, e) != 0)
		return -1;
	if (out == 0)
		return 0;
	if (n->v->slow > i->pledge_until)
		(void)snprintf(text, sizeof(text), "the pledge of image %s has ended: %u disk%s did not come in time", i->short_name, out,
		    out == 1 ? "" : "s");
	else
		(void)snprintf(text, sizeof(text), "the pledge of image %s ends on %s, and %u disk%s not come", i->short_name,
		    human_day(day, vault_pledge_until(n->v, i)), out, out == 1 ? " has" : "s have");
	return n->fn(n->arg, text, e);
}

int
vault_pledge_notices(struct vault *v, const uint8_t machine[ID_LEN], int (*fn)(void *arg, const char *text, struct err *e),
    void *arg, struct err *e)
{
	struct noticing n = { v, machine, fn, arg };

	return catalog_each(v->catalog, &cat_images, 0, NULL, notice_image, &n, e);
}
