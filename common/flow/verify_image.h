#ifndef SAMARA_FLOW_VERIFY_IMAGE_H
#define SAMARA_FLOW_VERIFY_IMAGE_H

/* What stands beside the packs of an image on a disk: statements, extras, snapshots. */

#include "common/disk/image_dir.h"
#include "common/flow/container.h"
#include "common/flow/verify_job.h"

/* A pack that the index names. */
struct verify_expected {
	uint32_t number;
	uint8_t id[DIGEST_LEN];
	int seen;			/* it was found, here or under another number */
};

/* A pack found where another one belongs. */
struct verify_misplaced {
	uint32_t number;
	uint8_t id[DIGEST_LEN];
};

/* A key that may sign snapshots from a number on. */
struct verify_signer {
	uint8_t pub[SIGN_PUB_LEN];
	uint64_t from_seq;
};

struct verify_image {
	struct image_dir dir;
	struct container *container;	/* the same image, for snapshots and lists */
	char name[16];			/* "RM4K-1" */
	uint8_t machine_id[ID_LEN], machine_pub[SIGN_PUB_LEN];	/* who signed its snapshots; on an export not who signed the label */
	struct verify_signer *older;	/* on an export: who signed for the machine before */
	size_t nolder;
	int closed;			/* statement is there */
	struct disk_statement statement;
	uint8_t statement_digest[DIGEST_LEN];
	int sealed;			/* manifest is there */
	struct manifest manifest;	/* views point into manifest_bytes */
	uint8_t *statement_bytes, *manifest_bytes;
	struct verify_expected *expected;	/* by rising number */
	size_t nexpected, expected_cap;
	struct chunk_map *ids;		/* of expected; made when it is needed */
	struct verify_damaged *damaged;	/* packs that parity may make again */
	struct verify_misplaced *misplaced;
	size_t nmisplaced;
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

/* Whose key signed an envelope of these bytes, as far as the image says; ${from_seq} is the first number that it may sign. */
const uint8_t *verify_image_signer(const struct verify_image *im, const uint8_t *envelope, size_t len, uint64_t *from_seq);

/* The job's lock is held in the next two. */

/* The index names pack ${number}; called by rising numbers.  Its position, or -1 without memory. */
int64_t verify_image_expects(struct verify_image *im, uint32_t number, const uint8_t id[DIGEST_LEN]);
/* The file ${number} holds a good pack of another id than the index says. */
void verify_image_misplaced(struct verify_image *im, uint32_t number, const uint8_t id[DIGEST_LEN]);

/* Tell ${fn} of each pack that was found nowhere, neither under its own number nor under that of another. */
void verify_image_missing(struct verify_image *im, void (*fn)(void *arg, uint32_t number), void *arg);
/* Pack ${number} need not be told of as missing any more; 1 if it was. */
int verify_image_found(struct verify_image *im, uint32_t number);

/**
 * verify_image_extras(j, im, numbers, n, e):
 * After all packs of the index were read: the files in packs/ that it does not
 * name.  Those that hold a pack which is missing are given in a new array
 * ${numbers}, to be checked; of the others is told.  0 or -1.
 */
int verify_image_extras(struct verify_job *j, struct verify_image *im, uint32_t **numbers, size_t *n, struct err *e);

/* After these were checked too: tell of packs that are missing, and of those that stand elsewhere. */
int verify_image_packs_end(struct verify_job *j, struct verify_image *im, struct err *e);

/* Tell of what is wrong with the custody log that stands on the disk (verify_image_log.c). */
void verify_image_custody(struct verify_job *j, const struct verify_image *im);

/* Tell of what is wrong with the lists of ids that a top-up has on its disks (verify_image_lists.c). */
void verify_image_lists(struct verify_job *j, const struct verify_image *im);

/* Envelopes and reference lists of image ${i} of ${n}; the manifest's root. */
int verify_image_snapshots(struct verify_job *j, const struct verify_image *images, size_t n, size_t i, struct err *e);

#endif
