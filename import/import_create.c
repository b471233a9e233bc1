#include <stdlib.h>
#include <string.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/log.h"
#include "common/base/out.h"
#include "common/crypto/hash.h"
#include "common/flow/vault.h"
#include "formats/names.h"
#include "import/import_commands.h"

static int
redundancy_parse(const char *text, unsigned *out, struct err *e)
{
	static const char *const names[] = { "local", "zone", "geo" };

	for (unsigned i = 0; i < 3; i++)
		if (strcmp(text, names[i]) == 0) {
			*out = REDUNDANCY_LOCAL + i;
			return 0;
		}
	return err_set(e, ERR_USAGE, "\"%.20s\" is no redundancy: local, zone or geo", text);
}

/* What the choice means as long as nothing copies the vault. */
static void
redundancy_say(unsigned redundancy, size_t replicas)
{
	static const char *const lost[] = {
		"", "this vault is lost with the disks that it stands on",
		("zone was chosen and no replica is named: until one is, everything here is lost with this building's power, "
		 "fire or water"),
		"geo was chosen and no replica is named: until one is, everything here is lost with this site"
	};

	if (redundancy == REDUNDANCY_LOCAL)
		say_info("redundancy local: %s; a copy of the directory somewhere else is a whole vault.", lost[1]);
	else if (replicas == 0)
		say_warn("%s.", lost[redundancy]);
	else
		say_warn("replicas are noted but not written by samara yet: copy the vault's directory (but for local/) "
		    "to them by your own means.");
}

static void
created_print(const struct vault *v, const struct vault_create *o, const char *path)
{
	uint8_t digest[DIGEST_LEN];
	char key[HUMAN_MAX];
	struct out *j;

	hash_once(v->desc.sign_pub, SIGN_PUB_LEN, digest);
	(void)human_digest(key, digest);
	out_text("vault %s made in %s\nkey   %s\n", v->desc.name, path, key);
	if (o->key_copy != NULL)
		out_text("copy of its key in %s: keep it on a medium of its own, somewhere else\n", o->key_copy);
	out_text("Active.  Next: samara-import credential %s MACHINE\n", path);
	j = out_object("summary");
	out_str(j, "vault", v->desc.name);
	out_bytes(j, "vault_id", v->desc.vault_id, ID_LEN);
	out_name(j, "path", path, strlen(path));
	out_str(j, "key", key);
	out_bool(j, "key_copy", o->key_copy != NULL);
	out_str(j, "state", "Active");
	out_emit(j);
}

int
import_create(struct args *a, struct err *e)
{
	struct vault_create o = { .redundancy = REDUNDANCY_LOCAL };
	const char *redundancy = "local", *path = getenv("SAMARA_VAULT");
	struct opt_list replicas = { NULL, 0 };
	const struct opt opts[] = {
		{ "name", 0, OPT_STR, &o.name, "NAME", "2 to 50 letters, digits, hyphens, a letter first" },
		{ "url", 0, OPT_STR, &o.url, "URL", "the address by which the vault will be reached" },
		{ "region", 0, OPT_STR, &o.region, "TEXT", "where it stands, in your words" },
		{ "redundancy", 0, OPT_STR, &redundancy, "local|zone|geo", "how many failures it is to survive" },
		{ "replica", 0, OPT_LIST, &replicas, "WHERE", "where copies stand; may be repeated" },
		{ "key-copy", 0, OPT_STR, &o.key_copy, "FILE", "write a second copy of the vault's own key there" },
		{ NULL, 0, 0, NULL, NULL, NULL }
	};
	struct vault *v;
	int rc = args_parse(a, opts, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (args_operands(a, path != NULL && *path != '\0' ? 0 : 1, 1, e) != 0)
		return -1;
	if (a->n == 1)
		path = a->operands[0];
	if (o.name == NULL)
		return err_set(e, ERR_USAGE, "give the vault a name: --name NAME");
	if (redundancy_parse(redundancy, &o.redundancy, e) != 0)
		return -1;
	if (a->dry_run) {
		if (!vault_name_is_valid(o.name))
			return err_set(e, ERR_VAULT_NAME, "\"%.60s\" is not a name for a vault", o.name);
		out_text("vault %s would be made in %s\n", o.name, path);
		return 0;
	}
	if (vault_create(path, &o, e) != 0 || (v = vault_open(path, VAULT_NO_KEY, e)) == NULL)
		return -1;
	created_print(v, &o, path);
	redundancy_say(o.redundancy, replicas.n);
	if (o.key_copy == NULL)
		say_warn("there is no second copy of the vault's key.  Without the key no credential can be issued and no "
		    "registration accepted.  Write one: samara-import key copy %s --out FILE", path);
	vault_close(v);
	return 0;
}
