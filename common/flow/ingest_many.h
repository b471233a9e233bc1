#ifndef SAMARA_FLOW_INGEST_MANY_H
#define SAMARA_FLOW_INGEST_MANY_H

/* Several disks at once: each read by its own thread, all checked by the same ones. */

#include "common/flow/ingest.h"

/* What is told of what happens, never two at a time. */
struct ingest_many_told {
	void *arg;
	/* Of an image; ${v} is the vault that it went into. */
	void (*image)(void *arg, const struct vault *v, const char *disk, const struct ingest_result *r);
	/* A disk could not be taken in, or not to its end: what ${e} says. */
	void (*failed)(void *arg, const char *disk, const struct err *e);
};

/**
 * ingest_many(vault, vaults, disks, n, o, told, e):
 * Take in the ${n} disks: into the vault ${vault}, or where that is NULL each
 * image into the one that its label names among those in the directory
 * ${vaults}.  With more than one disk all are looked at first, and what is new on all
 * of them together must fit what is free.  What happens to one disk stops no
 * other.  Return 0 when every disk was taken in as ingest_disk has it; -1 with
 * the first failure in ${e} (each was told): ERR_NO_SPACE before anything was
 * written, ERR_INTERRUPTED, and those of ingest_disk and vault_open.
 */
int ingest_many(const char *vault, const char *vaults, char *const *disks, size_t n, const struct ingest_options *o,
    const struct ingest_many_told *told, struct err *e);

#endif
