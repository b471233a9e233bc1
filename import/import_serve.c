#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/out.h"
#include "common/base/stop.h"
#include "common/flow/serve.h"
#include "import/import_commands.h"
#include "import/import_vault.h"

#define GRACE	30	/* seconds that requests under way may take after somebody asked to stop */

/* Every vault in the directory of vaults, in new strings. */
static int
vaults_all(char ***paths, size_t *n, struct err *e)
{
	char **names, path[4096];
	size_t count;

	*n = 0;
	if (dir_list(AT_FDCWD, import_vaults(), &names, &count, e) != 0)
		return err_during(e, "%s", import_vaults());
	*paths = calloc(count + 1, sizeof(**paths));
	for (size_t i = 0; i < count && *paths != NULL; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", import_vaults(), names[i]);
		if (import_is_vault(path) && ((*paths)[*n] = strdup(path)) != NULL)
			++*n;
	}
	dir_list_free(names, count);
	if (*paths == NULL)
		return err_errno(e, "list the vaults");
	if (*n > 0)
		return 0;
	(void)err_set(e, ERR_NO_VAULT, "there is no vault in %s", import_vaults());
	return err_next(e, "Name the vaults' directories, or set SAMARA_VAULTS to the directory that holds them.");
}

static void
serve_wait(void)
{
	const struct timespec t = { .tv_nsec = 100000000 };

	while (!stop_asked())
		(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

static int
serve(const struct serve_options *o, struct err *e)
{
	struct serve *s = serve_start(o, e);
	struct out *j;

	if (s == NULL)
		return -1;
	j = out_object("listening");
	out_u64(j, "port", serve_port(s));
	out_u64(j, "vaults", o->nvaults);
	out_emit(j);
	(void)fflush(stdout);
	say_info("serving %zu vault%s on port %u", o->nvaults, o->nvaults == 1 ? "" : "s", serve_port(s));
	serve_wait();
	say_info("asked to stop: requests under way may end, for %d seconds at most", GRACE);
	serve_stop(s, GRACE);
	return 0;
}

int
import_serve(struct args *a, struct err *e)
{
	struct opt_list from = { NULL, 0 };
	struct serve_options o = { 0 };
	uint64_t connections = 0, per_client = 0;
	const struct opt opts[] = {
		{ "listen", 0, OPT_STR, &o.listen, "ADDR:PORT", "where; " SERVE_LISTEN " where it is not said" },
		{ "connections", 0, OPT_NUMBER, &connections, "N", "at most at once (256)" },
		{ "per-client", 0, OPT_NUMBER, &per_client, "N", "of them from one address (32)" },
		{ "metrics-from", 0, OPT_LIST, &from, "ADDRESS", "may read /metrics too; may be repeated" },
		{ NULL, 0, 0, NULL, NULL, NULL }
	};
	char **paths = NULL;
	size_t n = 0;
	int rc = args_parse(a, opts, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (connections > 65536 || per_client > 65536)
		return err_set(e, ERR_USAGE, "at most 65536 connections");
	o.connections = (unsigned)connections;
	o.connections_per_client = (unsigned)per_client;
	o.metrics_from = from.v;
	o.nmetrics_from = from.n;
	if (a->n == 0 && vaults_all(&paths, &n, e) != 0) {
		free(paths);
		return -1;
	}
	o.vaults = (const char *const *)(a->n > 0 ? a->operands : paths);
	o.nvaults = a->n > 0 ? a->n : n;
	if (a->dry_run)
		for (size_t i = 0; i < o.nvaults; i++)
			out_text("%s would be served on %s\n", o.vaults[i], o.listen != NULL ? o.listen : SERVE_LISTEN);
	else
		rc = serve(&o, e);
	for (size_t i = 0; i < n; i++)
		free(paths[i]);
	free(paths);
	return rc;
}
