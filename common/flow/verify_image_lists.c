/* The lists of ids on a disk without snapshots (docs/formats/receipt.md), as a part of checking the disk. */

#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/disk/image_file.h"
#include "common/flow/id_list.h"
#include "common/flow/verify_image.h"

static const char *const dirs[] = { "snap", "snap2" };

static ssize_t
list_bytes(void *arg, void *buf, size_t n, struct err *e)
{
	ssize_t got = io_read_full(*(const int *)arg, buf, n, -1);

	return got < 0 ? err_errno(e, "read a list of ids") : got;
}

/* All of it: signed by the machine, of this image, whole, and with the digest ${want} where not NULL.  0 or -1 with ${e}. */
static int
list_read(const struct verify_image *im, int fd, const char *what, const struct fmt_schema *schema, const uint8_t *want,
    struct err *e)
{
	const struct label *l = &im->dir.label;
	struct id_list_reader *r = id_list_reader_from(list_bytes, &fd, what, schema, l->machine_pub, e);
	const struct id_list *about;
	uint8_t id[DIGEST_LEN];
	int rc;

	if (r == NULL)
		return -1;
	about = id_list_about(r);
	if (memcmp(about->vault_id, l->vault_id, ID_LEN) != 0 || memcmp(about->machine_id, l->machine_id, ID_LEN) != 0 ||
	    (schema == &carried_schema && memcmp(about->image_id, l->image_id, ID_LEN) != 0) ||
	    (want != NULL && memcmp(about->digest, want, DIGEST_LEN) != 0))
		rc = err_set(e, ERR_DAMAGE, "%s: it is not the list that belongs here", what);
	else
		while ((rc = id_list_next(r, id, e)) == 1)
			;
	id_list_reader_free(r);
	return rc;
}

static int
copy_read(const struct verify_image *im, const char *name, const struct fmt_schema *schema, const uint8_t *want, struct err *e)
{
	uint64_t len;
	int fd = image_file_open(im->dir.fd, name, &len, e), rc;

	if (fd == -1)
		return -1;
	rc = list_read(im, fd, name, schema, want, e);
	(void)io->close(fd);
	return rc;
}

/* Both copies of a list, which must be there if ${must}; ${meaning}: what it costs when neither is good. */
static void
list_check(struct verify_job *j, const struct verify_image *im, const char *what, const struct fmt_schema *schema,
    const uint8_t *want, int must, const char *meaning)
{
	char name[2][IMAGE_NAME_MAX], where[WHERE_MAX];
	struct err bad[2];
	int absent = 0, good = 0;

	for (int copy = 0; copy < 2; copy++) {
		err_clear(&bad[copy]);
		(void)snprintf(name[copy], sizeof(name[copy]), "%s/%s", dirs[copy], what);
		if (copy_read(im, name[copy], schema, want, &bad[copy]) == 0)
			good++;
		else
			absent += bad[copy].code == ERR_NOT_FOUND;
	}
	if (good == 2 || (absent == 2 && !must))
		return;
	for (int copy = 0; copy < 2; copy++) {
		if (bad[copy].code == ERR_NONE)
			continue;
		(void)snprintf(where, sizeof(where), "%s: %s", im->name, name[copy]);
		finding_err(j->found, good > 0 ? SEV_REPAIRABLE : SEV_LOST, where, good > 0 ? "the other copy is good" : meaning,
		    &bad[copy]);
	}
}

void
verify_image_lists(struct verify_job *j, const struct verify_image *im)
{
	static const uint8_t none[DIGEST_LEN];
	const struct manifest *m = im->sealed ? &im->manifest : NULL;
	int must = m != NULL && m->envelopes.len == 0 && memcmp(m->carried, none, DIGEST_LEN) != 0;

	list_check(j, im, "carried", &carried_schema, must ? m->carried : NULL, must,
	    "what the image should hold cannot be told from this disk");
	list_check(j, im, "givenup", &given_up_schema, NULL, 0, "what the machine gave up cannot be told from this disk");
}
