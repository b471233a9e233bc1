/* Whether something still needs a snapshot that was deleted. */

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/catalog/catalog.h"
#include "common/flow/epoch.h"
#include "common/flow/retain.h"
#include "common/flow/vault_count.h"
#include "common/flow/vault_machine.h"

struct keeping {
	struct vault *v;
	const struct cat_snapshot *s;
	int64_t head;			/* highest number of the machine */
	int64_t whole;			/* of the newest whole one of the set */
	int is_base, is_leant;
	int64_t receipt;		/* number of the newest receipt that the machine answered */
	uint8_t receipt_image[ID_LEN];
};

static int
kin_look(void *arg, const void *row, struct err *e)
{
	const struct cat_snapshot *k = row;
	struct keeping *p = arg;

	(void)e;
	if (k->seq > p->head)
		p->head = k->seq;
	if (k->state == SNAPSHOT_WHOLE && k->seq > p->whole && strcmp(k->set_name, p->s->set_name) == 0)
		p->whole = k->seq;
	return 0;
}

static int
base_look(void *arg, const void *row, struct err *e)
{
	const struct cat_session *s = row;
	struct keeping *p = arg;

	(void)e;
	if (s->base_seq == p->s->seq && memcmp(s->machine_id, p->s->machine_id, ID_LEN) == 0 && !session_is_over(p->v, s))
		p->is_base = 1;
	return 0;
}

static int
receipt_look(void *arg, const void *row, struct err *e)
{
	const struct cat_receipt *r = row;
	struct keeping *p = arg;
	struct cat_image i;
	int rc;

	if (!r->answered || r->number <= p->receipt)
		return 0;
	memcpy(i.id, r->image_id, ID_LEN);
	if ((rc = catalog_get(p->v->catalog, &cat_images, &i, e)) != 0)
		return rc == 1 ? 0 : -1;
	if (memcmp(i.machine_id, p->s->machine_id, ID_LEN) != 0)
		return 0;
	p->receipt = r->number;
	memcpy(p->receipt_image, r->image_id, ID_LEN);
	return 0;
}

/* Has it been taken in to its end, or does nobody expect it any more? */
static int
image_is_over(const struct cat_image *i)
{
	switch (i->state) {
	case IMAGE_HANDED_OFF:
	case IMAGE_RELEASED:
	case IMAGE_LOST:
	case IMAGE_CANCELLED:
	case IMAGE_EXPIRED:
	case IMAGE_UNCLAIMED:
		return 1;
	default:
		return 0;
	}
}

/* An image on its way that leans on the image of the snapshot. */
static int
image_look(void *arg, const void *row, struct err *e)
{
	const struct cat_image *i = row;
	struct keeping *p = arg;
	struct manifest m;
	uint8_t *bytes;
	int rc;

	if (memcmp(i->machine_id, p->s->machine_id, ID_LEN) != 0 || image_is_over(i) || p->v->slow > i->pledge_until)
		return 0;
	if ((rc = vault_manifest(p->v, i, &bytes, &m, e)) < 0)
		return -1;
	for (size_t k = 0; rc == 0 && k < list_count(m.leans_on, ID_LEN); k++)
		p->is_leant |= memcmp(m.leans_on.p + k * ID_LEN, p->s->image_id, ID_LEN) == 0;
	free(bytes);
	return 0;
}

/* What its machine, while it lives, may build on. */
static int
machine_keeps(struct keeping *p, const char **why, struct err *e)
{
	const struct cat_snapshot *s = p->s;
	static const uint8_t none[ID_LEN];
	struct cat_snapshot like;
	struct cat_image i;
	int rc;

	*why = "it is on its way";
	if (s->state == SNAPSHOT_PENDING)
		return 1;
	*why = "it is being looked at";
	if (s->state == SNAPSHOT_UNKNOWN)
		return 1;
	memcpy(like.machine_id, s->machine_id, ID_LEN);
	if (catalog_each(p->v->catalog, &cat_snapshots, 1, &like, kin_look, p, e) != 0 ||
	    catalog_each(p->v->catalog, &cat_receipts, 0, NULL, receipt_look, p, e) != 0)
		return -1;
	*why = "its machine's next snapshot follows it";
	if (p->head == s->seq)
		return 1;
	*why = "it is the newest whole one of its set";
	if (p->whole == s->seq)
		return 1;
	if (memcmp(s->image_id, none, ID_LEN) == 0)
		return 0;
	*why = "its image is the newest that was handed off";
	if (p->receipt > 0 && memcmp(p->receipt_image, s->image_id, ID_LEN) == 0)
		return 1;
	memcpy(i.id, s->image_id, ID_LEN);
	if ((rc = catalog_get(p->v->catalog, &cat_images, &i, e)) < 0)
		return -1;
	*why = "its image is not handed off";
	if (rc == 0 && !image_is_over(&i))
		return 1;
	*why = "an image on its way leans on it";
	return catalog_each(p->v->catalog, &cat_images, 0, NULL, image_look, p, e) != 0 ? -1 : p->is_leant;
}

int
retain_keeps(struct vault *v, const struct cat_snapshot *s, const char **why, struct err *e)
{
	struct keeping p = { .v = v, .s = s };
	struct cat_machine m;
	int rc;

	*why = "it is not deleted";
	if (s->deleted == 0)
		return 1;
	*why = "it is protected";
	if (s->is_protected)
		return 1;
	*why = "it can still be undeleted";
	if (v->clock_jumped || retain_left(v, s) > 0)
		return 1;
	*why = "a session builds on it";
	if (catalog_each(v->catalog, &cat_sessions, 0, NULL, base_look, &p, e) != 0)
		return -1;
	if (p.is_base)
		return 1;
	if (s->deleted_by == DELETED_WITH_MACHINE)
		return 0;
	if ((rc = vault_machine(v, s->machine_id, &m, e)) < 0)
		return -1;
	return rc == 1 ? 0 : machine_keeps(&p, why, e);
}
