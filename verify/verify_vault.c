#include <stdlib.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/io.h"
#include "verify/verify_commands.h"
#include "verify/verify_common.h"

int
verify_vault_cmd(struct args *a, struct err *e)
{
	struct verify_options o = { .fn = verify_finding_print };
	struct verify_keys k = { 0 };
	struct verify_result r;
	struct keyring *keys = NULL;
	const char *path;
	uint64_t jobs = 0;
	const struct opt opts[] = {
		{ "quick", 0, OPT_FLAG, &o.quick, NULL, "structure and checksums only" },
		{ "sample", 0, OPT_PERCENT, &o.sample, "P%", "read only so many of the packs, by chance" },
		{ "kit", 0, OPT_STR, &k.kit, "FILE", "recovery kit: open every chunk and listing of its machine" },
		{ "passphrase-file", 0, OPT_STR, &k.pass_file, "FILE", "where the kit's passphrase is" },
		{ "without-key", 0, OPT_FLAG, &k.without, NULL, "open nothing, even where this machine's key is at hand" },
		{ "jobs", 0, OPT_NUMBER, &jobs, "N", "threads that check; one a processor if not given" },
		{ 0 },
	};
	int64_t begin;
	int rc = args_parse(a, opts, e);

	if (rc != 0)
		return rc == 1 ? 0 : -1;
	if (args_operands(a, 0, 1, e) != 0)
		return -1;
	path = a->n > 0 ? a->operands[0] : getenv("SAMARA_VAULT");
	if (path == NULL || *path == '\0')
		return err_set(e, ERR_USAGE, "which vault? Name its directory, or set SAMARA_VAULT");
	if (!o.quick && verify_keys_get(a, &k, &keys, e) != 0)
		return -1;
	o.keys = keys;
	o.keys_must = k.kit != NULL;
	o.memory = a->memory;
	o.workers = jobs > 256 ? 256 : (unsigned)jobs;
	begin = io_mono_ns();
	rc = verify_vault(path, &o, &r, e);
	keyring_free(keys);
	return rc != 0 ? -1 : verify_result_print(&r, io_mono_ns() - begin);
}
