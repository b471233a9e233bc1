#include "seed/seed_standing.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/disk/image_dir.h"
#include "common/flow/job.h"
#include "common/flow/standing.h"
#include "seed/seed_read.h"
#include "seed/seed_state.h"

/* A directory or device without images is a vault's; the session could open it, so it is one of both. */
static enum standing_deed
deed_of(const char *from)
{
	char path[4200];
	struct stat st;

	if (strcmp(from, SESSION_LINE) == 0)
		return DEED_RESTORE_VAULT;
	(void)snprintf(path, sizeof(path), "%s/" IMAGE_TOP, from);
	if (io->fstatat(AT_FDCWD, from, &st, 0) == 0 && !S_ISDIR(st.st_mode))
		return DEED_RESTORE_DISK;
	return io->fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) == 0 ? DEED_RESTORE_DISK : DEED_RESTORE_VAULT;
}

static int
done_record(struct state *s, const char *what, struct err *e)
{
	struct job *j = job_start(s, "restore", what, e);

	if (j == NULL)
		return -1;
	job_end(j, 0, "begun though restores are stopped: the subscription was ended");
	return 0;
}

int
seed_standing(const struct args *a, const struct seed_read *r, int even, const char *what, struct err *e)
{
	struct standing st;
	struct state *s;
	int rc = 0;

	if (r->kit != NULL)
		return 0;
	if ((s = seed_state_open(a, e)) == NULL)
		return -1;
	if (standing_load(s, r->s.keys->keys, &st, e) != 0)
		rc = -1;
	for (size_t i = 0; rc >= 0 && i < (r->from.n > 0 ? r->from.n : 1); i++) {
		enum standing_deed deed = r->from.n > 0 ? deed_of(r->from.v[i]) : DEED_RESTORE_VAULT;

		if (standing_allows(&st, deed, e) == 0)
			continue;
		if (deed == DEED_RESTORE_DISK && even) {
			say_warn("%s; it is done all the same, and recorded", e->msg);
			err_clear(e);
			rc = 1;
			continue;
		}
		rc = -1;
		if (deed == DEED_RESTORE_DISK)
			(void)err_next(e, "from a disk it can be done all the same: --even-if-stopped");
	}
	if (rc == 1 && what != NULL && done_record(s, what, e) != 0)
		rc = -1;
	state_free(s);
	return rc;
}
