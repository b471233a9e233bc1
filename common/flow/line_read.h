#ifndef SAMARA_FLOW_LINE_READ_H
#define SAMARA_FLOW_LINE_READ_H

/*
 * What a machine reads over its line (docs/formats/line-read.md).  The form of
 * each answer is checked here, and that it answers what was asked; whether the
 * bytes are the chunk that they should be only the key can tell.
 */

#include <stddef.h>
#include <stdint.h>

#include "formats/fmt_line_read.h"

struct container_trust;
struct domain_keys;
struct err;
struct line;
struct state;

/* What the machine remembers of its vault: the head that it acknowledged, and the rate of the line (0: not measured). */
int line_remembered(struct state *s, const struct domain_keys *k, struct container_trust *t, uint64_t *rate, struct err *e);

/* Non-zero ends it and is returned. */
typedef int (*line_snapshot_fn)(void *arg, const struct line_snapshot *s, struct err *e);

/**
 * line_snapshots(l, vault_id, machine_id, head, fn, arg, e):
 * All that the vault says of snapshots of the machine, by rising number;
 * ${head}: the highest number that it has (may be NULL).  0, what ${fn} returned, or
 * -1 with ${e}: what line_ask says, ERR_PROTOCOL (a page that is none, or of another vault or machine).
 */
int line_snapshots(struct line *l, const uint8_t vault_id[ID_LEN], const uint8_t machine_id[ID_LEN], uint64_t *head,
    line_snapshot_fn fn, void *arg, struct err *e);

/**
 * line_files_lost(l, vault_id, machine_id, rows, n, e):
 * What the machine told its vault of files that are lost: ${n} new ${rows}, by rising number of
 * the snapshot.  0; -1 with ${e} and no rows.
 */
struct files_lost_row;
int line_files_lost(struct line *l, const uint8_t vault_id[ID_LEN], const uint8_t machine_id[ID_LEN],
    struct files_lost_row **rows, size_t *n, struct err *e);

/**
 * line_list_part(l, seq, kind, part, off, out, len, e):
 * Exactly ${len} bytes from ${off} of part ${part} of the reference list of ${kind}
 * (REFS_…) of snapshot ${seq}.  0 or -1 with ${e} (ERR_NOT_FOUND: there is none).
 */
int line_list_part(struct line *l, uint64_t seq, unsigned kind, unsigned part, uint64_t off, void *out, size_t len,
    struct err *e);

/**
 * line_places(l, ids, n, out, e):
 * Where good copies of the ${n} <= ASK_IDS_MAX rising ids lie (line_place_is_none: nowhere).
 */
int line_places(struct line *l, const uint8_t *ids, size_t n, struct line_place *out, struct err *e);

/**
 * line_pack_range(l, pack_id, copy, off, out, len, e):
 * Exactly ${len} bytes from ${off} of a pack; after a break it goes on at the byte where
 * it broke.  0 or -1 with ${e} (ERR_NOT_FOUND: the pack is gone, ask for places again).
 */
int line_pack_range(struct line *l, const uint8_t pack_id[DIGEST_LEN], uint32_t copy, uint64_t off, void *out, size_t len,
    struct err *e);

#endif
