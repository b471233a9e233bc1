#include "common/base/args.h"
#include "common/base/io.h"
#include "verify/verify_commands.h"
#include "verify/verify_common.h"

int
verify_disk_cmd(struct args *a, struct err *e)
{
	struct verify_options o = { .fn = verify_finding_print };
	struct verify_keys k = { 0 };
	struct verify_result r;
	struct keyring *keys;
	uint64_t jobs = 0;
	const struct opt opts[] = {
		{ "quick", 0, OPT_FLAG, &o.quick, NULL, "structure and checksums only" },
		{ "kit", 0, OPT_STR, &k.kit, "FILE", "recovery kit: open every chunk and listing with its key" },
		{ "passphrase-file", 0, OPT_STR, &k.pass_file, "FILE", "where the kit's passphrase is" },
		{ "without-key", 0, OPT_FLAG, &k.without, NULL, "open nothing, even where this machine's key is at hand" },
		{ "repair-to", 0, OPT_STR, &o.repair_to, "DIR", "write a repaired copy of the disk into this directory" },
		{ "jobs", 0, OPT_NUMBER, &jobs, "N", "threads that check; one a processor if not given" },
		{ 0 },
	};
	int64_t begin;
	int rc = args_parse(a, opts, e);

	if (rc != 0)
		return rc == 1 ? 0 : -1;
	if (args_operands(a, 1, 4096, e) != 0)
		return -1;
	if (o.repair_to != NULL && a->n != 1)
		return err_set(e, ERR_USAGE, "--repair-to takes one disk at a time");
	if (!o.quick && verify_keys_get(a, &k, &keys, e) != 0)
		return -1;
	if (o.quick)
		keys = NULL;
	o.keys = keys;
	o.keys_must = k.kit != NULL;
	o.memory = a->memory;
	o.workers = jobs > 256 ? 256 : (unsigned)jobs;
	begin = io_mono_ns();
	rc = verify_disks((const char *const *)a->operands, a->n, &o, &r, e);
	keyring_free(keys);
	return rc != 0 ? -1 : verify_result_print(&r, io_mono_ns() - begin);
}
