#ifndef SAMARA_FLOW_EXPORT_H
#define SAMARA_FLOW_EXPORT_H

/*
 * The road back by disk: snapshots of a machine out of its vault, onto disks,
 * without any key of the machine.  An export is an image like any other
 * (docs/formats/disk.md, "Exports"), but the vault makes and signs it: its label names
 * the vault where other images name their machine, and every pack is re-packed by the vault
 * from frames that it has just read and checked.
 */

#include <stdint.h>

#include "common/flow/vault.h"

struct export_options {
	const char *machine;		/* a name, or the beginning of an id */
	const char *snapshot;		/* id, beginning of one, "latest", "latest:SET"; NULL or "all": every one that is whole or partial */
	const char *const *disks;	/* each a mounted directory or a block device */
	size_t ndisks;
	int plain_directory, plan;	/* plan: count, write nothing */
	int anew;			/* an unfinished export of the machine is given up */
	unsigned parity;		/* percent */
	uint64_t reserve;		/* bytes to leave free on each disk */
	/* A disk was read back and can be removed. */
	void (*disk_done)(void *arg, const char *name, uint64_t bytes, int full, int from_medium);
	/* Another disk: 0 with its path, 1 there is nobody to ask, -1 with ${e}. */
	int (*disk_ask)(void *arg, char *path, size_t n, struct err *e);
	void *arg;
};

struct export_result {
	char machine[NAME_MAX_LEN + 1];
	char short_name[SHORT_LEN + 1];
	uint8_t image_id[ID_LEN];
	uint8_t manifest[DIGEST_LEN];
	uint32_t snapshots, left_out;	/* left out: neither whole nor partial */
	uint64_t chunks, bytes;		/* needed: ids, and about how many bytes their frames have */
	uint64_t list_bytes;		/* of the reference lists, as they stand on a disk */
	uint64_t missing;		/* ids of which the vault has no good copy */
	uint64_t bad;			/* copies found bad on the way */
	uint64_t written;		/* bytes of packs, all runs */
	unsigned disks;
	int resumed, medium;		/* medium: everything was read back from the medium itself */
};

/**
 * vault_export(v, o, r, e):
 * Export.  0; 3 with ${r}: some chunks are missing and the disks hold the rest, or snapshots
 * were left out; -1 with ${e}: ERR_NOT_FOUND (the machine), ERR_NO_SNAPSHOT, ERR_DISK_NEEDED (the same
 * command with another disk goes on), ERR_TARGET, ERR_MEDIUM.  After a power cut the same
 * command goes on; what stands on closed disks is not written again.  Memory: 100 MB,
 * 64 bytes a pack of the vault, and what the reference lists of 32 snapshots take to be read.
 */
int vault_export(struct vault *v, const struct export_options *o, struct export_result *r, struct err *e);

#endif
