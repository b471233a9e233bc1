#ifndef SAMARA_FLOW_COLLECT_H
#define SAMARA_FLOW_COLLECT_H

/*
 * Collection: what no snapshot, pledge, image under way or session needs any more is
 * taken away (docs/operations.md, "Collection").
 *
 * A run reads the reference lists of all snapshots that are not gone, outside any
 * transaction, and walks the chunk index beside what it read: the first mark makes
 * copies that nobody needs suspect, the second one condemns what is suspect still.
 * A pack all of whose copies are condemned is deleted when no session that opened
 * before is open: its rows first, committed, its bytes then.  Of a pack that is mostly
 * condemned the rest is written anew and signed by the vault; the old one goes with
 * the next run.  Every transaction that condemns or deletes looks whether anything was
 * filed since the mark that it stands on, and does nothing then.
 *
 * Killed at any moment the next run goes on.
 */

#include <stdint.h>

#include "common/flow/vault.h"

struct err;

struct collect_options {
	int dry_run;			/* count what would be taken away; nothing is written */
	uint64_t memory;		/* for what the marks remember; at least 1 MiB */
	unsigned bugs;			/* put in on purpose, for the tests that show that they would be found */
};
#define COLLECT_BUG_ONE_MARK	1u	/* the first mark condemns at once, and nobody looks what was filed since */
#define COLLECT_BUG_BYTES_FIRST	2u	/* bytes are deleted before the transaction */
#define COLLECT_BUG_NO_WAIT	4u	/* nobody waits for sessions */

struct collect_result {
	uint64_t snapshots_gone;	/* whose fourteen days are over */
	uint64_t lists;			/* reference lists that were read */
	uint64_t chunks;		/* copies in the index */
	uint64_t condemned;		/* that nobody needs now: of all of them together */
	uint64_t packs, bytes;		/* deleted */
	uint64_t chunks_deleted;
	uint64_t strays, origins;	/* packs that the catalog did not know; tables that no re-packed pack names: deleted, too */
	uint64_t strays_needed;		/* such packs that stay, since snapshots need them: the catalog is older than the vault */
	uint64_t repacked, repacked_bytes;	/* packs whose rest was written anew, and what that rest takes */
	uint64_t waits;			/* sessions, or readers, that are waited for */
	uint64_t held_back;		/* machines of which nothing is taken: an image of theirs has no manifest yet, or a list cannot be read */
	uint64_t unread;		/* lists that cannot be read */
};

/* What the newest collection found unreadable, for whoever tells it on: numbers and bytes of the catalog. */
#define COLLECT_UNREAD		"unread lists"		/* how many */
#define COLLECT_UNREAD_SEQ	"unread list"		/* the first one's snapshot, and its machine's id */
#define COLLECT_UNREAD_MACHINE	"unread list machine"

/**
 * collect_run(v, o, r, e):
 * One collection, to its end or to where sessions must be waited for.  Return 0,
 * or -1 with ${e}: ERR_RULE (the clock jumped), ERR_BUSY (another collection runs).
 */
int collect_run(struct vault *v, const struct collect_options *o, struct collect_result *r, struct err *e);

/**
 * pack_is_kept(v, id, copy, e):
 * In the transaction that writes down rows of a pack that pack_put found or made:
 * 0 it is there and stays; 1 a collection took it meanwhile (put it again, after the
 * transaction); -1 with ${e}.
 */
int pack_is_kept(struct vault *v, const uint8_t id[DIGEST_LEN], uint32_t copy, struct err *e);

#endif
