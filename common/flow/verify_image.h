#ifndef SAMARA_FLOW_VERIFY_IMAGE_H
#define SAMARA_FLOW_VERIFY_IMAGE_H

/* What stands beside the packs of an image on a disk: statements, extras, snapshots. */

#include "common/disk/image_dir.h"
#include "common/flow/container.h"
#include "common/flow/verify_job.h"

struct verify_image {
	struct image_dir dir;
	struct container *container;	/* the same image, for snapshots and lists */
	char name[16];			/* "RM4K-1" */
	int closed;			/* statement is there */
	struct disk_statement statement;
	uint8_t statement_digest[DIGEST_LEN];
	int sealed;			/* manifest is there */
	struct manifest manifest;	/* views point into manifest_bytes */
	uint8_t *statement_bytes, *manifest_bytes;
	uint32_t *expected;		/* numbers of packs, rising */
	size_t nexpected, expected_cap;
};

/**
 * verify_image_open(j, im, diskfd, path, short_name, e):
 * Read everything small of an image and tell of each copy that is not whole.
 * 0; 1 where the label cannot be believed (told); -1 with ${e} (ERR_WRONG_DISK:
 * the keys are those of another machine).
 */
int verify_image_open(struct verify_job *j, struct verify_image *im, int diskfd, const char *path, const char *short_name,
    struct err *e);
void verify_image_close(struct verify_image *im);

/* The index names pack ${number}; called by rising numbers. */
void verify_image_expects(struct verify_image *im, uint32_t number);

/* Tell of files in packs/ that the index does not name. */
void verify_image_extras(struct verify_job *j, const struct verify_image *im);

/* Envelopes and reference lists of image ${i} of ${n}; the manifest's root. */
int verify_image_snapshots(struct verify_job *j, const struct verify_image *images, size_t n, size_t i, struct err *e);

#endif
