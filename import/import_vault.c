#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/flow/vault.h"
#include "common/store/store.h"
#include "import/import_vault.h"

const char *
import_vaults(void)
{
	const char *dir = getenv("SAMARA_VAULTS");

	return dir != NULL && *dir != '\0' ? dir : IMPORT_VAULTS;
}

int
import_is_vault(const char *path)
{
	struct store *s = store_dir_open(path, 0, NULL);
	struct vault_desc d;
	int rc;

	if (s == NULL)
		return 0;
	rc = vault_describe(s, &d, NULL);
	s->ops->free(s);
	return rc == 0;
}

/* The only vault in the directory of vaults, or NULL. */
static const char *
only_vault(void)
{
	static char path[4096];
	char here[4096], **names;
	size_t n, found = 0;

	if (dir_list(AT_FDCWD, import_vaults(), &names, &n, NULL) != 0)
		return NULL;
	for (size_t i = 0; i < n && found < 2; i++) {
		(void)snprintf(here, sizeof(here), "%s/%s", import_vaults(), names[i]);
		if (import_is_vault(here) && found++ == 0)
			memcpy(path, here, sizeof(path));
	}
	dir_list_free(names, n);
	return found == 1 ? path : NULL;
}

int
import_vault(const struct args *a, size_t others, const char **path, struct err *e)
{
	const char *given = getenv("SAMARA_VAULT");

	if (a->n > others || (a->n > 0 && import_is_vault(a->operands[0]))) {
		*path = a->operands[0];
		return 1;
	}
	if (given != NULL && *given != '\0') {
		*path = given;
		return 0;
	}
	if ((*path = only_vault()) != NULL)
		return 0;
	(void)err_set(e, ERR_USAGE, "no vault was named");
	return err_next(e, "Name the vault's directory, or set SAMARA_VAULT to it.");
}

int
import_disks(const struct args *a, const char **vault, size_t *first, struct err *e)
{
	const char *given = getenv("SAMARA_VAULT");

	*first = 0;
	*vault = NULL;
	if (a->n > 0 && import_is_vault(a->operands[0])) {
		*vault = a->operands[0];
		*first = 1;
	} else if (given != NULL && *given != '\0') {
		*vault = given;
	}
	return a->n > *first ? 0 : err_set(e, ERR_USAGE, "no disk was named");
}
