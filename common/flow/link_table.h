#ifndef SAMARA_FLOW_LINK_TABLE_H
#define SAMARA_FLOW_LINK_TABLE_H

/*
 * The names of hard-linked files, by file system and inode number as the
 * listing has them.  Two names are of one file only where their entries,
 * extents included, are equal but for the name.  Not safe from several threads
 * at once.
 */

#include "common/walk/place.h"
#include "formats/fmt_listing.h"

struct links;

enum link_claim {
	LINK_FIRST,	/* write it; links_made says when it is there */
	LINK_LATER,	/* the same file as one before: link it */
	LINK_DIFFERENT,	/* the same inode, but another entry: write it by itself */
	LINK_FULL	/* no more memory for groups: write it by itself */
};

/* A table that takes ${memory} bytes at most.  NULL without memory. */
struct links *links_new(size_t memory);
void links_free(struct links *l);

/* What to do with a name of a file with several. */
enum link_claim links_claim(struct links *l, struct fmt_view dir, const struct entry *en);

/* The first name, which is that of ${en}, stands at ${id} now. */
void links_made(struct links *l, const struct entry *en, const struct place_id *id);

/* The first name of the group of ${en}: 1 if it stands, with the name and where; it lives as long as ${l}. */
int links_first(struct links *l, const struct entry *en, struct fmt_view *dir, struct fmt_view *name, struct place_id *id);

#endif
