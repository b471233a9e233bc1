#ifndef SAMARA_FLOW_TOPUP_H
#define SAMARA_FLOW_TOPUP_H

/*
 * Chunks made again from live data: for ids that went missing, from the files
 * that their snapshots took them from, as far as these are as they were.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/crypto/domain_keys.h"
#include "common/flow/state.h"
#include "formats/fmt.h"

struct err;

/* The ids that are wanted, and which of them were had.  33 bytes an id. */
struct topup_ids;
#define TOPUP_IDS_MAX	((size_t)8 << 20)

/* An empty set.  Free with topup_ids_free (NULL is allowed). */
struct topup_ids *topup_ids_new(void);		/* NULL without memory */
void topup_ids_free(struct topup_ids *t);
/* Add an id, each once, in rising order.  0, or -1 with ${e}: ERR_RULE past TOPUP_IDS_MAX, ERR_INTERNAL out of order. */
int topup_ids_add(struct topup_ids *t, const uint8_t id[DIGEST_LEN], struct err *e);
/* Strike off one that is had from elsewhere; nothing if it is not wanted. */
void topup_ids_strike(struct topup_ids *t, const uint8_t id[DIGEST_LEN]);
/* Whether it is among them, had or not. */
bool topup_ids_has(const struct topup_ids *t, const uint8_t id[DIGEST_LEN]);
size_t topup_ids_count(const struct topup_ids *t);
size_t topup_ids_left(const struct topup_ids *t);
/* Id ${i} in order, and whether it was had; NULL past the end. */
const uint8_t *topup_ids_at(const struct topup_ids *t, size_t i, int *had);

struct topup_calls {
	/* A wanted chunk, its id computed from these very bytes.  0, or -1 with ${e} ends the collecting. */
	int (*put)(void *arg, unsigned kind, const uint8_t id[DIGEST_LEN], const uint8_t *plain, size_t len, struct err *e);
	/*
	 * What can no longer be had: file ${name} in ${dir} of snapshot ${seq}; an
	 * empty ${name}: the snapshot's listing itself; ${seq} 0: nothing that this machine's
	 * snapshots need.  ${live}: the file looks as it did, but it lay in a bundle with
	 * others that do not; it goes into the next snapshot anew.
	 */
	void (*lost)(void *arg, uint64_t seq, struct fmt_view dir, struct fmt_view name, bool live);
	void *arg;
};

/**
 * topup_collect(s, k, want, calls, e):
 * Make the wanted chunks again: stretches of big files are read and compared by
 * id, nothing else of them is read; a bundle only if all its files are as they
 * were; chunks of listings from the item logs in the state.  Newest snapshots
 * first.  What was had is struck off ${want}; what was not is told file by
 * file.  0 (some may be left), or -1 with ${e}.  Memory: a chunk, and the names of
 * the files in the bundles that are wanted.  Reads only; may be called again.
 */
int topup_collect(struct state *s, const struct domain_keys *k, struct topup_ids *want, const struct topup_calls *calls,
    struct err *e);

/**
 * snapshot_meta_each(s, k, seq, put, arg, e):
 * Make the chunks again that snapshot ${seq}'s listing consists of (leaves, nodes,
 * spills, root), from its item log and root in the state, and hand each to ${put}; one may come
 * twice.  No file is read.  0; 1 the state does not have the log or the root any more (some may
 * have been told); -1 with ${e} or what ${put} says.
 */
typedef int (*topup_put_fn)(void *arg, unsigned kind, const uint8_t id[DIGEST_LEN], const uint8_t *plain, size_t len, struct err *e);
int snapshot_meta_each(struct state *s, const struct domain_keys *k, uint64_t seq, topup_put_fn put, void *arg, struct err *e);

/**
 * topup_carried_save(s, im, runs, dirfd, name, e):
 * The signed list of all ids in the image ${im} (receipt.md, "Carried") as the new file ${name} in ${dirfd}; ${runs}: a
 * directory to sort in.  0; 1 something of that name is there; -1 with ${e}.
 */
struct image_state;
int topup_carried_save(struct state *s, const struct image_state *im, int runs, int dirfd, const char *name, struct err *e);

#endif
