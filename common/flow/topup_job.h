#ifndef SAMARA_FLOW_TOPUP_JOB_H
#define SAMARA_FLOW_TOPUP_JOB_H

/* What the parts of collecting chunks share; private to topup*.c. */

#include "common/flow/base_list.h"
#include "common/flow/topup.h"
#include "formats/fmt_listing.h"

#define TOPUP_NONE	SIZE_MAX

/* Where ${id} stands among those that are wanted, had or not; TOPUP_NONE. */
size_t topup_ids_find(const struct topup_ids *t, const uint8_t *id);
/* Is number ${i} (or TOPUP_NONE) wanted still? */
int topup_ids_wanted(const struct topup_ids *t, size_t i);
void topup_ids_had(struct topup_ids *t, size_t i);

struct topup {
	struct state *s;
	const struct domain_keys *k;
	struct topup_ids *want;
	const struct topup_calls *calls;
	uint32_t cut_min;		/* smaller files lie in bundles */
	uint8_t *plain;			/* CHUNK_PLAIN_MAX */
};

/* Hand over the bytes if they are a wanted chunk of ${kind}: 1 they are, 0 not, -1. */
int topup_offer(struct topup *t, unsigned kind, const uint8_t *plain, size_t len, struct err *e);

/* A file in an item log. */
struct topup_file {
	struct fmt_view dir;
	const struct entry *en;
};
/* Each extent of the file that no hole is, with its place in the file. */
typedef int (*topup_extent_fn)(void *arg, const struct topup_file *f, uint64_t at, const struct extent *x, struct err *e);

struct topup_walk {
	topup_extent_fn extent;
	/* Each directory's block and each entry, in listing order; may be NULL. */
	int (*dir)(void *arg, struct fmt_view path, struct err *e);
	int (*entry)(void *arg, const struct entry *en, struct err *e);
	/* Each spill chunk; may be NULL. */
	int (*spill)(void *arg, struct fmt_view plain, struct err *e);
	void *arg;
};

/**
 * topup_walk(s, seq, w, e) (topup_walk.c):
 * Read the item log of snapshot ${seq}.  0; 1 there is none; -1 with ${e}.
 */
int topup_walk(struct state *s, uint64_t seq, const struct topup_walk *w, struct err *e);

/* Bundles that are wanted, file by file (topup_bundle.c). */
struct topup_bundles;
struct topup_bundles *topup_bundles_new(struct err *e);
void topup_bundles_free(struct topup_bundles *b);
/* A file that lies in chunk ${which} of the wanted ones. */
int topup_bundles_add(struct topup_bundles *b, size_t which, const struct topup_file *f, const struct extent *x, struct err *e);
/* Put together and offer all whose files are as they were. */
int topup_bundles_make(struct topup_bundles *b, struct topup *t, struct err *e);

/* The path of ${name} in ${dir}, zero-terminated; false where it has no room. */
#define TOPUP_PATH_MAX	4096u
bool topup_path(char out[TOPUP_PATH_MAX], struct fmt_view dir, struct fmt_view name);
/* Open the regular file there for reading; -1 where that is not possible. */
int topup_open(const char *path);

#endif
