#ifndef SAMARA_FLOW_IMAGE_STATE_H
#define SAMARA_FLOW_IMAGE_STATE_H

/* An image, or a backup over the line, as the machine's state knows it: what its journal says. */

#include <stdbool.h>
#include <stdint.h>

#include "common/flow/state.h"
#include "formats/fmt_journal.h"
#include "formats/fmt_pack.h"

struct err;
struct journal;

/* A disk of the image. */
struct image_disk {
	struct label label;		/* label.disk is its number */
	uint8_t *label_bytes;
	size_t label_len;
	struct disk_statement statement;	/* disk = 0: not closed yet */
	uint8_t *statement_bytes;
	size_t statement_len;
	bool read_back;			/* or excused from it, in the custody log */
	uint32_t groups_done;		/* of parity, read back and coded */
	bool gone;			/* given up: its packs count no more */
	uint32_t replaces;		/* number of the disk in whose place it stands; 0: none */
	uint32_t packs, next_pack;	/* number of its next pack file */
	uint64_t pack_bytes, chunks;
};

/* Where the journal of a set's backup over the line stands; its packs are of disk 0, its image id is zeros. */
#define BACKUP_DIR	"sets/%s/backup"
#define IMAGE_PATH_MAX	(SET_NAME_MAX + 32)

struct image_state {
	int fd;				/* of images/rm4k, or sets/NAME/backup, in the state */
	char name[SHORT_LEN + 1];	/* lower case, the directory's name; "" for a backup over the line */
	char path[IMAGE_PATH_MAX];	/* of the directory, below the state */
	struct journal_begin begin;	/* views point into begin_bytes */
	uint8_t *begin_bytes;
	struct journal_options options;
	struct image_disk *disks;	/* by rising numbers */
	size_t ndisks;
	uint32_t packs;			/* on disks that are not gone */
	uint64_t pack_bytes, chunks;
	uint32_t snapshot_disk;		/* where envelope and reference list stand; 0: nowhere yet */
	struct envelope envelope;	/* seq = 0: none yet */
	uint8_t *envelope_bytes;
	size_t envelope_len;
	bool sealed, cancelled, lost;
	struct manifest manifest;	/* generation = 0: none yet; the newest */
	uint8_t *manifest_bytes;
	size_t manifest_len;
	uint8_t *parcel_bytes, *answer_bytes;	/* of the records shipped and handed off; NULL: none */
	size_t parcel_len, answer_len;
	struct journal_counts counts;	/* zeros: the listing is not complete yet */
};

/* Is told each pack of a disk that is not gone: disk, number there, file length, table. */
typedef int (*image_pack_fn)(void *arg, uint32_t disk, uint32_t number, uint32_t file_len, const struct pack_table *table,
    const uint8_t *table_bytes, uint32_t table_len, const uint8_t *foot, struct err *e);

/**
 * image_state_load(s, name, fn, arg, e):
 * Read images/${name}/journal.  ${fn} may be NULL.  Return NULL with ${e}:
 * ERR_NO_IMAGE, ERR_STATE, or what ${fn} says.  Free with image_state_free.
 */
struct image_state *image_state_load(struct state *s, const char *name, image_pack_fn fn, void *arg, struct err *e);
void image_state_free(struct image_state *im);

/* The same for the unfinished backup over the line of ${set}; ERR_NO_IMAGE, or ERR_NOT_FOUND (no journal yet), where there is none. */
struct image_state *image_state_load_line(struct state *s, const char *set, image_pack_fn fn, void *arg, struct err *e);

/* Read the journal of ${im} once more, after records were added.  NULL with ${e}. */
struct image_state *image_state_again(struct state *s, const struct image_state *im, struct err *e);

/**
 * image_packs(s, im, fn, arg, e):
 * Tell ${fn} the packs of an image that was loaded before.  0, or -1 with what
 * went wrong or ${fn} said.
 */
int image_packs(struct state *s, const struct image_state *im, image_pack_fn fn, void *arg, struct err *e);

/* The same with the packs of disks that are gone, and only of these. */
int image_packs_gone(const struct image_state *im, image_pack_fn fn, void *arg, struct err *e);

/* The disk with that number; NULL if there is none. */
struct image_disk *image_disk(const struct image_state *im, uint32_t number);
/* The first disk that is neither gone nor closed; NULL if there is none. */
struct image_disk *image_disk_open(const struct image_state *im);
/* How many disks are not gone. */
unsigned image_disks_live(const struct image_state *im);
/* True if there is a disk, and each that is not gone is closed and was read back. */
bool image_disks_done(const struct image_state *im);
/* True if all that belongs on its disks is there, the snapshot (or a top-up's list) too: only the seal is missing. */
bool image_is_written(const struct image_state *im);
/* True if there is a manifest and it names just the disks that are not gone. */
bool image_manifest_fits(const struct image_state *im);
/* True if a build is to go on with it: not sealed, or a disk was replaced since and the seal not renewed; and not cancelled. */
bool image_is_unfinished(const struct image_state *im);
/* Whether its chunks may be leaned on: sealed, and neither cancelled nor lost. */
bool image_counts(const struct image_state *im);

/* "building", "sealed", "shipped", "handed-off", "lost" or "cancelled". */
const char *image_state_word(const struct image_state *im);

/**
 * image_state_find(s, set, im, e):
 * The one image that is unfinished (of ${set} where not NULL).  0 with ${im},
 * 1 there is none, -1 with ${e} (ERR_USAGE where there are several).
 */
int image_state_find(struct state *s, const char *set, struct image_state **im, struct err *e);

#endif
