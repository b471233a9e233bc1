#ifndef SAMARA_FLOW_IMAGE_STATE_H
#define SAMARA_FLOW_IMAGE_STATE_H

/* An image as the machine's state knows it: what its journal says. */

#include <stdbool.h>
#include <stdint.h>

#include "common/flow/state.h"
#include "formats/fmt_journal.h"
#include "formats/fmt_pack.h"

struct err;
struct journal;

struct image_state {
	int fd;				/* of images/rm4k in the state */
	char name[SHORT_LEN + 1];	/* lower case, the directory's name */
	struct journal_begin begin;	/* views point into begin_bytes */
	uint8_t *begin_bytes;
	struct label label;		/* of the disk in use; disk = 0: none yet */
	uint8_t *label_bytes;
	size_t label_len;
	uint32_t packs, next_pack;
	uint64_t pack_bytes, chunks;
	struct envelope envelope;	/* seq = 0: none yet */
	uint8_t *envelope_bytes;
	size_t envelope_len;
	struct disk_statement statement;	/* disk = 0: not closed yet */
	uint8_t *statement_bytes;
	size_t statement_len;
	bool read_back, sealed, cancelled;
	struct manifest manifest;	/* generation = 0: none yet */
	uint8_t *manifest_bytes;
	size_t manifest_len;
	uint64_t warnings;
};

/* Is told each pack of the journal: its number on the disk, file length, table. */
typedef int (*image_pack_fn)(void *arg, uint32_t number, uint32_t file_len, const struct pack_table *table,
    const uint8_t *table_bytes, uint32_t table_len, const uint8_t *foot, struct err *e);

/**
 * image_state_load(s, name, fn, arg, e):
 * Read images/${name}/journal.  ${fn} may be NULL.  Return NULL with ${e}:
 * ERR_NO_IMAGE, ERR_STATE, or what ${fn} says.  Free with image_state_free.
 */
struct image_state *image_state_load(struct state *s, const char *name, image_pack_fn fn, void *arg, struct err *e);
void image_state_free(struct image_state *im);

/* "building", "sealed" or "cancelled". */
const char *image_state_word(const struct image_state *im);

/**
 * image_state_find(s, unfinished, set, im, e):
 * The one image that is unfinished (of ${set} where not NULL).  0 with ${im},
 * 1 there is none, -1 with ${e} (ERR_USAGE where there are several).
 */
int image_state_find(struct state *s, const char *set, struct image_state **im, struct err *e);

#endif
