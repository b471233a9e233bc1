#include "seed/seed_source.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"

#define EXCLUDE_LEN_MAX		65535u
#define EXCLUDES_LEN_MAX	(2u << 20)

static int
pattern_add(struct seed_source *s, const char *p, size_t len, struct err *e)
{
	char **grown;

	/* As the journal has room for them. */
	if (len > EXCLUDE_LEN_MAX || (s->pattern_bytes += len + 2) > EXCLUDES_LEN_MAX) {
		(void)err_set(e, ERR_USAGE, len > EXCLUDE_LEN_MAX ? "an exclude pattern of %zu bytes: at most 65,535 are taken" :
		    "exclude patterns of %zu bytes in all: at most 2 MiB are taken", len > EXCLUDE_LEN_MAX ? len : s->pattern_bytes);
		return err_next(e, "use wildcards, or exclude a directory above");
	}
	grown = realloc(s->patterns, (s->npatterns + 1) * sizeof(*grown));
	if (grown == NULL)
		return err_errno(e, "exclude");
	s->patterns = grown;
	if ((s->patterns[s->npatterns] = strndup(p, len)) == NULL)
		return err_errno(e, "exclude");
	s->npatterns++;
	return 0;
}

int
seed_exclude_one(void *arg, const char *value, struct err *e)
{
	return pattern_add(arg, value, strlen(value), e);
}

int
seed_exclude_file(void *arg, const char *path, struct err *e)
{
	uint8_t *bytes;
	size_t len, n;
	int rc = 0;

	if (file_read(AT_FDCWD, path, 16u << 20, &bytes, &len, e) != 0)
		return err_during(e, "exclude file");
	for (const char *p = (const char *)bytes, *end = p + len; p < end && rc == 0; p += n + 1) {
		n = strcspn(p, "\n");
		rc = pattern_add(arg, p, n, e);
	}
	free(bytes);
	return rc;
}

int
seed_source_fill(const struct seed_source *s, const struct args *a, const char *state, struct build_options *o, struct err *e)
{
	o->state_path = state;
	o->state_given = a->state;
	o->paths = (const char *const *)a->operands;
	o->npaths = a->n;
	o->set = s->set;
	o->excludes = (const char *const *)s->patterns;
	o->nexcludes = s->npatterns;
	o->one_file_system = s->one_fs;
	o->network_file_systems = s->network;
	o->exclude_caches = s->caches;
	o->force_read = s->force;
	o->ignore_inode = s->no_inode;
	o->ignore_ctime = s->no_ctime;
	o->level = (int)s->level;
	o->workers = (unsigned)s->workers;
	o->memory = (size_t)a->memory;
	o->dry_run = a->dry_run;
	o->snapshot = s->snapshot;
	o->hook = s->hook;
	o->before = s->before;
	o->after = s->after;
	o->read_limit = s->read_limit;
	if (s->level < 1 || s->level > 19)
		return err_set(e, ERR_USAGE, "--level is 1 to 19");
	if (s->workers > 256)
		return err_set(e, ERR_USAGE, "--workers is at most 256");
	return 0;
}

void
seed_source_release(struct seed_source *s)
{
	dir_list_free(s->patterns, s->npatterns);
	s->patterns = NULL;
	s->npatterns = 0;
}
