/* samara-seed plan: options in, one flow, ranges and one recommendation out. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/io.h"
#include "common/base/out.h"
#include "common/flow/plan.h"
#include "common/walk/exclude.h"
#include "seed/seed_commands.h"
#include "seed/seed_plan.h"

#define NEVER_MAX	3u
#define VAULTS_DEFAULT	"/srv/samara"

struct plan_args {
	struct plan_options o;
	struct plan_wish wish;
	struct exclude *exclude;
	struct walk_never never[NEVER_MAX];
	uint64_t disks[PLAN_DISKS_MAX];
	int one_fs, network, caches, exact;
	uint64_t level, workers, transit;
};

static int
exclude_one(void *arg, const char *value, struct err *e)
{
	struct plan_args *p = arg;

	return exclude_add(p->exclude, value, strlen(value), e);
}

static int
exclude_file(void *arg, const char *value, struct err *e)
{
	struct plan_args *p = arg;

	return exclude_add_file(p->exclude, AT_FDCWD, value, e);
}

static int
disk_one(void *arg, const char *value, struct err *e)
{
	struct plan_args *p = arg;

	if (p->wish.ndisks == PLAN_DISKS_MAX)
		return err_set(e, ERR_USAGE, "--disk at most %u times", PLAN_DISKS_MAX);
	if (human_parse_size(value, &p->disks[p->wish.ndisks], e) != 0)
		return -1;
	if (p->disks[p->wish.ndisks++] < 1000000)
		return err_set(e, ERR_USAGE, "%s is too small for a disk; say --disk 18T", value);
	return 0;
}

/* "20M": lines are sold in bits, so a size alone is bits; with a capital B it is bytes. */
static int
line_one(void *arg, const char *value, struct err *e)
{
	struct plan_args *p = arg;
	size_t n = strlen(value);
	char text[64];

	if (n >= sizeof(text) - 1)
		return err_set(e, ERR_USAGE, "\"%s\" is no rate", value);
	memcpy(text, value, n + 1);
	if (n > 3 && strcmp(text + n - 3, "bps") == 0)
		text[n - 3] = '\0';
	if (strchr(text, 'B') != NULL || strstr(text, "bit") != NULL) {
		if (human_parse_rate(text, &p->wish.line, e) != 0)
			return -1;
	} else {
		if (human_parse_size(text, &p->wish.line, e) != 0)
			return -1;
		p->wish.line /= 8;
	}
	return p->wish.line > 0 ? 0 : err_set(e, ERR_USAGE, "a line must carry something; say --line 20M for 20 Mbit/s");
}

/* State and vaults of this system are no part of a source. */
static void
never_find(struct plan_args *p, const char *state)
{
	const char *vaults = getenv("SAMARA_VAULTS");
	const char *const paths[NEVER_MAX] = { state, getenv("SAMARA_VAULT"), vaults != NULL ? vaults : VAULTS_DEFAULT };
	struct stat st;

	for (size_t i = 0; i < NEVER_MAX; i++)
		if (paths[i] != NULL && io->fstatat(AT_FDCWD, paths[i], &st, 0) == 0 && S_ISDIR(st.st_mode))
			p->never[p->o.nnever++] = (struct walk_never){ st.st_dev, st.st_ino };
	p->o.never = p->never;
}

/* A machine's identity stands there; nothing else of it is looked at. */
static int
is_registered(const char *state)
{
	struct stat st;
	char path[4200];

	if (state == NULL || snprintf(path, sizeof(path), "%s/identity", state) >= (int)sizeof(path))
		return 0;
	return io->fstatat(AT_FDCWD, path, &st, 0) == 0;
}

static int
plan_do(struct plan_args *p, const struct args *a, struct err *e)
{
	struct plan_result r;
	struct err none;
	char *state = NULL;
	int rc;

	if (a->n == 0)
		return err_set(e, ERR_USAGE, "what shall be planned for? Give at least one PATH");
	if (p->level < 1 || p->level > 19)
		return err_set(e, ERR_USAGE, "--level is 1 to 19");
	if (p->workers > 256)
		return err_set(e, ERR_USAGE, "--workers is at most 256");
	if (p->transit > 365)
		return err_set(e, ERR_USAGE, "--transit is at most 365 days");
	err_clear(&none);
	(void)args_state(a, &state, &none);
	p->wish.registered = is_registered(state);
	p->wish.state = a->state;
	p->wish.disks = p->disks;
	p->wish.transit = (unsigned)p->transit;
	p->wish.paths = p->o.paths = (const char *const *)a->operands;
	p->wish.npaths = p->o.npaths = a->n;
	p->o.exclude = p->exclude;
	p->o.one_file_system = p->one_fs;
	p->o.network_file_systems = p->network;
	p->o.exclude_caches = p->caches;
	p->o.exact = p->exact;
	p->o.level = (int)p->level;
	p->o.workers = (unsigned)p->workers;
	p->o.memory = (size_t)a->memory;
	never_find(p, state);
	if ((rc = plan_run(&p->o, &r, e)) == 0) {
		plan_show(&r, &p->wish);
		rc = r.errors > 0 || r.unreadable > 0 ? 3 : 0;
		plan_release(&r);
	}
	free(state);
	return rc;
}

int
seed_plan(struct args *a, struct err *e)
{
	struct plan_args p = { .level = 1, .transit = PLAN_TRANSIT };
	struct opt_call one = { exclude_one, &p }, file = { exclude_file, &p }, disk = { disk_one, &p }, line = { line_one, &p };
	const struct opt opts[] = {
		{ "line", 0, OPT_CALL, &line, "RATE", "what the line sends: 20M is 20 Mbit/s, 20MB/s is bytes" },
		{ "disk", 0, OPT_CALL, &disk, "SIZE", "size of the disks at hand; may be repeated" },
		{ "transit", 0, OPT_NUMBER, &p.transit, "DAYS", "days of the parcel (3)" },
		{ "exact", 0, OPT_FLAG, &p.exact, NULL, "read everything, not a sample" },
		{ "sample", 0, OPT_SIZE, &p.o.sample, "SIZE", "read so much of the contents at most" },
		{ "seed", 0, OPT_NUMBER, &p.o.seed, "N", "draw another sample" },
		{ "exclude", 0, OPT_CALL, &one, "PATTERN", "leave out what fits; gitignore's rules" },
		{ "exclude-file", 0, OPT_CALL, &file, "FILE", "patterns from a file, one a line" },
		{ "exclude-caches", 0, OPT_FLAG, &p.caches, NULL, "leave out directories with a CACHEDIR.TAG" },
		{ "one-file-system", 'x', OPT_FLAG, &p.one_fs, NULL, "stay on the file system of each PATH" },
		{ "network-file-systems", 0, OPT_FLAG, &p.network, NULL, "enter network file systems too" },
		{ "level", 0, OPT_NUMBER, &p.level, "N", "zstd level, 1 to 19 (1)" },
		{ "workers", 0, OPT_NUMBER, &p.workers, "N", "threads that read and compress (one a processor)" },
		{ NULL, 0, OPT_FLAG, NULL, NULL, NULL }
	};
	int rc;

	if ((p.exclude = exclude_new()) == NULL)
		return err_set(e, ERR_MEMORY, "exclude patterns");
	if ((rc = args_parse(a, opts, e)) == 0)
		rc = plan_do(&p, a, e);
	else if (rc == 1)
		rc = 0;
	exclude_free(p.exclude);
	return rc;
}
