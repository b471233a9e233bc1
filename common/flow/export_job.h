#ifndef SAMARA_FLOW_EXPORT_JOB_H
#define SAMARA_FLOW_EXPORT_JOB_H

/*
 * What the parts of an export share; private to export*.c.
 *
 * VAULT/local/exports/ is to an export what a state directory is to a build:
 * images/NAME/journal says what is on which disk, snaps/ holds envelopes and whole lists
 * for the last disk.  It is cleared when the image is sealed.
 */

#include "common/catalog/catalog_rows.h"
#include "common/flow/disk_write.h"
#include "common/flow/export.h"
#include "common/flow/journal.h"
#include "common/pack/id_sorter.h"

struct container;

/* Of one pack of the vault. */
struct export_pack {
	int64_t n;			/* the catalog's number */
	uint32_t copy;
	uint32_t len, count;		/* of the file; frames in it */
	uint8_t id[DIGEST_LEN];
};

struct exporting {
	struct vault *v;
	const struct export_options *o;
	struct export_result *r;
	struct cat_machine machine;
	struct cat_machine_key *keys;	/* that the machine signs or signed with */
	size_t nkeys;
	struct state s;			/* of exports/: the vault in the place of a machine */
	struct image_state *im;
	struct journal *j;
	struct container *store;
	uint64_t *seqs;			/* snapshots, rising */
	size_t nseqs;
	struct id_sorter *need;		/* ids of all of them that stand on no disk yet */
	struct id_sorter *places;	/* pack number, big-endian u64 | first 24 bytes of an id */
	struct export_pack *packs;	/* of the vault, by n */
	size_t npacks;
	/* The disk in hand. */
	struct disk_target target;
	int imagefd;			/* -1: none */
	uint32_t number, next_pack;	/* of the disk, and of its next pack */
	uint32_t longest;
	uint64_t index_bytes;
	size_t next_disk;		/* of o->disks, not looked at yet */
	char asked[4096];
};

/* export_plan.c: which snapshots; 0, 3 some are left out, -1. */
int export_choose(struct exporting *x, struct err *e);
/* Their lists, united, without what disks of this image carry; and where each id is read from. */
int export_plan(struct exporting *x, struct err *e);
/* Envelopes and whole lists into snaps/. */
int export_lists(struct exporting *x, struct err *e);

/* The pack with the catalog's number ${n}; NULL if there is none. */
const struct export_pack *export_pack_of(const struct exporting *x, int64_t n);

/* export_packs.c: read, check, re-pack and write everything that is planned. */
int export_packs(struct exporting *x, struct err *e);

/* export_disks.c: see that a disk with room for a pack of ${len} bytes is in hand. */
int export_room(struct exporting *x, uint32_t len, uint32_t table_len, struct err *e);
/* A pack onto the disk in hand: durable, and in the journal. */
int export_put(struct exporting *x, const uint8_t *pack, uint32_t len, uint32_t table_len, struct err *e);
/* The last disk gets the snapshots; it is closed and read back. */
int export_finish(struct exporting *x, struct err *e);
void export_disk_let_go(struct exporting *x);

#endif
