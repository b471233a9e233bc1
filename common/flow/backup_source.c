/* What a backup is of: as it was said, or as it was the last time. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/crypto/sign.h"
#include "common/flow/backup_job.h"

#define SOURCE_FILE	"sets/%s/source"
#define SOURCE_MAX	(5u << 20)

/* The rows of ${v} as strings; ${*n} of them. */
static int
rows_take(struct fmt_view v, char ***out, size_t *n, struct err *e)
{
	struct rd r = { .p = v.p, .left = v.len };
	char **list;
	const uint8_t *p;
	size_t len;

	*n = 0;
	while (r.left > 0) {
		len = rd_u16(&r);
		if ((p = rd_bytes(&r, len)) == NULL || (list = realloc(*out, (*n + 1) * sizeof(*list))) == NULL)
			return err_set(e, ERR_MEMORY, "paths of the set");
		*out = list;
		if ((list[*n] = strndup((const char *)p, len)) == NULL)
			return err_errno(e, "paths of the set");
		++*n;
	}
	return 0;
}

/* Take paths, patterns and flags over. */
static int
source_take(struct backup *k, const struct journal_begin *g, struct err *e)
{
	struct build_options *o = &k->from;

	if (rows_take(g->paths, &k->paths, &k->npaths, e) != 0 || rows_take(g->excludes, &k->excludes, &k->nexcludes, e) != 0)
		return -1;
	o->paths = (const char *const *)k->paths;
	o->npaths = k->npaths;
	o->excludes = (const char *const *)k->excludes;
	o->nexcludes = k->nexcludes;
	o->one_file_system = (g->flags & JB_ONE_FILE_SYSTEM) != 0;
	o->exclude_caches = (g->flags & JB_EXCLUDE_CACHES) != 0;
	o->network_file_systems = (g->flags & JB_NETWORK_FS) != 0;
	return 0;
}

/* The newest image of the set that was not given up.  0, 1 there is none, -1. */
static int
source_of_image(struct backup *k, struct err *e)
{
	struct image_state *im, *best = NULL;
	char **names;
	size_t n;
	int rc = 0;

	if (state_images(k->b->s, &names, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n && rc == 0; i++) {
		if ((im = image_state_load(k->b->s, names[i], NULL, NULL, e)) == NULL) {
			rc = e->code == ERR_NOT_FOUND ? 0 : -1;
			if (rc == 0)
				err_clear(e);
		} else if (strcmp(im->begin.set_name, k->b->set) == 0 && !im->cancelled &&
		    (best == NULL || im->begin.begin_ns > best->begin.begin_ns)) {
			image_state_free(best);
			best = im;
		} else {
			image_state_free(im);
		}
	}
	dir_list_free(names, n);
	if (rc == 0)
		rc = best == NULL ? 1 : source_take(k, &best->begin, e);
	image_state_free(best);
	return rc;
}

/* Of the last backup of the set.  0, 1 there is none, -1. */
static int
source_of_file(struct backup *k, struct err *e)
{
	char path[SET_NAME_MAX + 32];
	struct journal_begin g;
	size_t len;
	int rc = 1;

	(void)snprintf(path, sizeof(path), SOURCE_FILE, k->b->set);
	if (file_read(k->b->s->fd, path, SOURCE_MAX, &k->source_bytes, &len, e) != 0) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		err_clear(e);
		return 1;
	}
	rc = schema_decode(&journal_begin_schema, &g, k->source_bytes, len) == FMT_OK ? source_take(k, &g, e) :
	    err_set(e, ERR_STATE, "state %s: %s is damaged", k->b->s->path, path);
	return rc;
}

int
backup_source(struct backup *k, struct err *e)
{
	int rc;

	if (k->from.npaths > 0)
		return build_paths_check(&k->from, e);
	if (k->from.nexcludes > 0)
		return err_set(e, ERR_USAGE, "give the paths too where you give patterns: without paths, both are those of the last backup");
	k->b->source_again = true;
	if ((rc = source_of_file(k, e)) == 1)
		rc = source_of_image(k, e);
	if (rc == 1) {
		(void)err_set(e, ERR_USAGE, "set %s was never backed up: give at least one PATH", k->b->set);
		rc = -1;
	}
	return rc == 0 ? build_paths_check(&k->from, e) : rc;
}

int
backup_source_keep(struct backup *k, struct err *e)
{
	char path[SET_NAME_MAX + 32];
	struct buf begin;
	int rc;

	k->kept = k->b->source_again;
	if (k->kept)
		return 0;
	buf_init(&begin);
	(void)snprintf(path, sizeof(path), SOURCE_FILE, k->b->set);
	if ((rc = build_begin_make(k->b, &begin, e)) == 0)
		rc = file_replace(k->b->s->fd, path, begin.p, begin.len, 0600, e);
	k->kept = rc == 0;
	buf_release(&begin);
	return rc;
}
