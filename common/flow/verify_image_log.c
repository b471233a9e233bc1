/* The custody log that stands on a disk, as a part of checking the disk. */

#include <stdio.h>

#include "common/base/err.h"
#include "common/flow/custody_log.h"
#include "common/flow/verify_image.h"

/* A closed disk says so in its log, unless the power went between the two. */
static void
closing_check(struct verify_job *j, const struct verify_image *im, const struct custody_log *l, const char *where)
{
	const struct custody *c;

	for (size_t i = 0; (c = custody_log_at(l, i)) != NULL; i++)
		if (c->event == CUSTODY_CLOSED && c->disk == im->statement.disk)
			return;
	finding_tell(j->found, SEV_NOTE, ERR_NONE, where, "", "the disk is closed, and its custody log does not tell of it");
}

void
verify_image_custody(struct verify_job *j, const struct verify_image *im)
{
	const struct label *label = &im->dir.label;
	struct custody_log *l = custody_log_new();
	char where[WHERE_MAX];
	struct err own;

	err_clear(&own);
	(void)snprintf(where, sizeof(where), "%s: custody", im->name);
	if (l == NULL)
		finding_tell(j->found, SEV_NOTE, ERR_NONE, where, "", "not checked: there is no memory");
	else if (custody_log_read_dir(l, j->found, im->dir.fd, where, &own) != 0)
		finding_err(j->found, SEV_LOST, where, "who had this disk in hand cannot be told", &own);
	else {
		custody_log_check(l, j->found);
		custody_log_signer(l, j->found, label->image_id, label->machine_id, label->machine_pub);
		if (im->closed)
			closing_check(j, im, l, where);
	}
	custody_log_free(l);
}
