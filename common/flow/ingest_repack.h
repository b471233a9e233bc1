#ifndef SAMARA_FLOW_INGEST_REPACK_H
#define SAMARA_FLOW_INGEST_REPACK_H

/* Frames of several packs, gathered into a pack of the vault's own. */

#include "common/flow/ingest_slot.h"

struct repack;

/*
 * For the ingest ${g}, which must live longer; NULL with ${e}.  Free with
 * repack_free (NULL is allowed): what was gathered is dropped.
 */
struct repack *repack_new(struct ingest *g, struct err *e);
void repack_free(struct repack *r);

/* Frames of ${s} come next.  0, or -1 with ${e} (no memory). */
int repack_source(struct repack *r, const struct pack_slot *s, struct err *e);

/* 1 if frame ${i} of the source still fits into the pack being gathered. */
int repack_fits(const struct repack *r, const struct pack_slot *s, uint32_t i);

/**
 * repack_add(r, s, i, e):
 * Copy frame ${i} of the source, with its writer and where it was signed.  The
 * source's table is put into origins/ before its first frame is taken.
 */
int repack_add(struct repack *r, const struct pack_slot *s, uint32_t i, struct err *e);

/**
 * repack_finish(r, view, put, e):
 * Build the pack, sign it and put it into the store.  ${view}: its table, valid
 * until the next call; NULL where nothing was gathered.
 */
int repack_finish(struct repack *r, const struct pack_view **view, struct pack_put *put, struct err *e);

#endif
