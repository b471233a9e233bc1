#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/text.h"
#include "common/catalog/catalog.h"
#include "common/flow/ingest_job.h"
#include "common/flow/vault_claim.h"
#include "common/flow/vault_machine.h"

/* The newest record that said no to the image ${id}: its bytes are the caller's. */
static int
refusal_find(struct vault *v, const uint8_t id[ID_LEN], struct rec_image *i, uint8_t **bytes, struct err *e)
{
	for (uint64_t n = v->number; n > 0; n--) {
		struct record r;
		size_t len;

		if (vault_record_read(v, n, &r, bytes, &len, e) != 0)
			return -1;
		if (r.type == REC_UNCLAIMED && schema_decode(&rec_image_schema, i, r.body.p, r.body.len) == FMT_OK &&
		    memcmp(i->image_id, id, ID_LEN) == 0)
			return 0;
		free(*bytes);
		*bytes = NULL;
	}
	return err_set(e, ERR_INTERNAL, "no record says why the image was not admitted");
}

/* May the machine of this registration come in by hand? */
static int
may_admit(struct vault *v, const struct rec_image *i, struct err *e)
{
	char why[TEXT_MAX_LEN + 1], safe[NAME_MAX_LEN * 4 + 4];
	struct registration g;
	struct cat_machine m;
	int rc;

	if (registration_sound(v, i->registration.p, i->registration.len, &g, why) != 0)
		return err_set(e, ERR_RULE, "image %s cannot be admitted by hand either: %s", i->short_name, why);
	if ((rc = vault_machine_named(v, g.machine_name, &m, e)) < 0)
		return -1;
	if (rc == 0 && memcmp(m.id, g.machine_id, ID_LEN) != 0) {
		(void)err_set(e, ERR_RULE, "another machine called %s is registered", text_safe(safe, sizeof(safe),
		    g.machine_name, strlen(g.machine_name)));
		return err_next(e, "The machine has to register under another name, or with a credential made with --replace.");
	}
	return 0;
}

/* In the transaction. */
static int
claim(struct vault *v, const struct cat_image *i, struct err *e)
{
	struct rec_image k, was = { .why = "" };
	struct cat_machine m;
	uint8_t *bytes;
	int rc, known;

	if (refusal_find(v, i->id, &was, &bytes, e) != 0)
		return -1;
	k = was;
	(void)snprintf(k.why, sizeof(k.why), "admitted by hand");
	rc = -1;
	if ((known = vault_machine(v, i->machine_id, &m, e)) < 0)
		goto free;
	if (known == 0 && strncmp(was.why, "fork", 4) == 0)
		k.registration = (struct fmt_view){ NULL, 0 };	/* the machine is known: only its image comes in */
	else if (may_admit(v, &was, e) != 0 || registration_file(v, was.registration.p, was.registration.len, e) != 0)
		goto free;
	if ((rc = vault_record(v, REC_CLAIMED, &rec_image_schema, &k, e)) == 0)
		rc = vault_custody(v, i->id, CUSTODY_OVERRIDE, 0, "claimed by hand", e);
free:
	free(bytes);
	return rc;
}

int
vault_claim(struct vault *v, const char *text, struct cat_image *i, struct err *e)
{
	int rc;

	if (vault_begin(v, e) != 0)
		return -1;
	if (vault_image_find(v, text, i, e) != 0)
		goto rollback;
	rc = i->state != IMAGE_UNCLAIMED;
	if (rc == 0 && claim(v, i, e) != 0)
		goto rollback;
	return vault_commit(v, e) != 0 ? -1 : rc;
rollback:
	vault_rollback(v);
	return -1;
}
