#ifndef SAMARA_FLOW_READ_BACK_JOB_H
#define SAMARA_FLOW_READ_BACK_JOB_H

/* What the parts of reading a disk back share; private to disk_read_back.c and read_back_packs.c. */

#include "common/flow/disk_write.h"
#include "common/flow/medium.h"

#define READ_BLOCK	4096u
#define READ_CAP	(PACK_LEN_MAX + READ_BLOCK)

/* A pack as it was meant to be written; its id binds every byte of its table and, through it, of its frames. */
struct read_back_pack {
	uint32_t number, file_len;
	uint8_t id[DIGEST_LEN];
};

struct read_back {
	int imagefd;
	struct state *s;
	const struct image_state *im;
	const struct image_disk *d;
	struct journal *j;
	struct medium medium;
	const struct read_back_how *how;
	struct read_back_pack *packs;	/* by rising numbers */
	uint32_t n;
};

/**
 * read_back_packs(r, e):
 * Read all packs of the disk that no group in the journal accounts for, verify
 * them, and code, write and read back their parity, group by group: a record
 * in the journal for each.  0, or -1 with ${e}.
 */
int read_back_packs(struct read_back *r, struct err *e);

#endif
