#include <string.h>
#include <strings.h>

#include "common/base/err.h"
#include "common/base/text.h"
#include "common/catalog/catalog.h"
#include "common/crypto/sign.h"
#include "common/flow/vault_machine.h"

struct named {
	const char *name;
	struct cat_machine *m;
	int found;
};

static int
name_is(void *arg, const void *row, struct err *e)
{
	const struct cat_machine *m = row;
	struct named *n = arg;

	(void)e;
	if (m->state != MACHINE_LIVE || strcmp(m->name, n->name) != 0)
		return 0;
	*n->m = *m;
	n->found++;
	return 0;
}

int
vault_machine_named(struct vault *v, const char *name, struct cat_machine *m, struct err *e)
{
	struct named n = { name, m, 0 };

	if (catalog_each(v->catalog, &cat_machines, 0, NULL, name_is, &n, e) != 0)
		return -1;
	return n.found == 0;
}

int
vault_machine(struct vault *v, const uint8_t id[ID_LEN], struct cat_machine *m, struct err *e)
{
	memcpy(m->id, id, ID_LEN);
	return catalog_get(v->catalog, &cat_machines, m, e);
}

int
vault_machine_has_key(struct vault *v, const uint8_t id[ID_LEN], const uint8_t pub[SIGN_PUB_LEN], struct err *e)
{
	struct cat_machine_key k;
	int rc;

	memcpy(k.machine_id, id, ID_LEN);
	memcpy(k.pub, pub, SIGN_PUB_LEN);
	if ((rc = catalog_get(v->catalog, &cat_machine_keys, &k, e)) < 0)
		return -1;
	return rc == 0;
}

struct signer {
	const struct fmt_schema *schema;
	const void *bytes;
	size_t len;
};

static int
key_fits(void *arg, const void *row, struct err *e)
{
	const struct cat_machine_key *k = row;
	const struct signer *s = arg;

	(void)e;
	return statement_check(s->schema, s->bytes, s->len, k->pub);
}

int
vault_machine_signed(struct vault *v, const uint8_t id[ID_LEN], const struct fmt_schema *s, const void *bytes, size_t len,
    struct err *e)
{
	struct signer g = { s, bytes, len };
	struct cat_machine_key like;

	memcpy(like.machine_id, id, ID_LEN);
	return catalog_each(v->catalog, &cat_machine_keys, 1, &like, key_fits, &g, e);
}

static int
id_begins(const uint8_t id[ID_LEN], const char *text)
{
	char hex[2 * ID_LEN + 1];

	(void)text_hex(hex, id, ID_LEN);
	return strlen(text) >= 4 && strncasecmp(hex, text, strlen(text)) == 0;
}

static int
machine_is_meant(void *arg, const void *row, struct err *e)
{
	const struct cat_machine *m = row;
	struct named *n = arg;

	(void)e;
	if (strcmp(m->name, n->name) != 0 && !id_begins(m->id, n->name))
		return 0;
	/* A live machine comes before one that was replaced or revoked. */
	if (n->found > 0 && n->m->state == MACHINE_LIVE && m->state != MACHINE_LIVE)
		return 0;
	n->found = n->found > 0 && n->m->state == m->state ? n->found + 1 : 1;
	*n->m = *m;
	return 0;
}

int
vault_machine_find(struct vault *v, const char *text, struct cat_machine *m, struct err *e)
{
	struct named n = { text, m, 0 };
	char safe[256];

	if (catalog_each(v->catalog, &cat_machines, 0, NULL, machine_is_meant, &n, e) != 0)
		return -1;
	if (n.found == 1)
		return 0;
	(void)text_safe(safe, sizeof(safe), text, strlen(text));
	(void)err_set(e, ERR_NOT_FOUND, n.found == 0 ? "no machine \"%s\" is registered with vault %s" :
	    "more than one machine \"%s\" is registered with vault %s", safe, v->desc.name);
	return err_next(e, "samara-import list %s machines shows all of them.", v->path);
}

struct image_named {
	const char *text;
	struct cat_image *i;
	int found;
};

static int
image_is_meant(void *arg, const void *row, struct err *e)
{
	const struct cat_image *i = row;
	struct image_named *n = arg;

	(void)e;
	if (n->text != NULL && strcasecmp(i->short_name, n->text) != 0 && !id_begins(i->id, n->text))
		return 0;
	*n->i = *i;
	n->found++;
	return 0;
}

int
vault_image_find(struct vault *v, const char *text, struct cat_image *i, struct err *e)
{
	struct image_named n = { text, i, 0 };
	char safe[256];

	if (catalog_each(v->catalog, &cat_images, 0, NULL, image_is_meant, &n, e) != 0)
		return -1;
	if (n.found == 1)
		return 0;
	(void)text_safe(safe, sizeof(safe), text == NULL ? "" : text, text == NULL ? 0 : strlen(text));
	if (n.found == 0)
		(void)err_set(e, ERR_NO_IMAGE, text == NULL ? "vault %s has seen no image" :
		    "vault %s has seen no image \"%s\"", v->desc.name, safe);
	else
		(void)err_set(e, ERR_NO_IMAGE, "more than one image of vault %s is meant", v->desc.name);
	return err_next(e, "samara-import list %s images shows all of them.", v->path);
}
