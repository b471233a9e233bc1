#ifndef SAMARA_FLOW_CONTAINER_H
#define SAMARA_FLOW_CONTAINER_H

/*
 * What holds packs and snapshots, for reading: an image on a disk, or a vault's
 * store (its list and get alone; never its catalog).  Nothing in it is believed:
 * tables must agree with their footers, envelopes are handed on as bytes.
 */

#include <stdint.h>

#include "common/pack/pack_view.h"

struct err;
struct container;

/* Where a pack lies in a container. */
struct pack_place {
	uint32_t container;	/* its position among the source's; the source sets it */
	uint32_t number;	/* disk: of the file; vault: of the copy */
	uint32_t len;		/* of the file */
	uint8_t id[DIGEST_LEN];
};

/* Where a snapshot's envelope and reference list lie in a container. */
struct snap_place {
	uint32_t n;		/* disk: the n-th of the image */
	int copy;		/* disk: which copy of its reference list, 0 or 1 */
	uint64_t seq;		/* vault, line */
	uint8_t machine[ID_LEN];
	/* Line: what the vault says of it; state 0 elsewhere.  enum line_snapshot_state, LINE_DELETED and LINE_PROTECTED. */
	uint8_t state, flags;
	uint64_t missing, given_up;	/* ids */
	uint64_t files_lost;		/* of a partial one, as its machine said; 0: not known */
	char image[SHORT_LEN + 1];	/* that it waits for */
};

/* Non-zero ends the enumeration and is returned. */
typedef int (*pack_found_fn)(void *arg, const struct pack_place *p, const struct pack_view *v, struct err *e);
typedef int (*snap_found_fn)(void *arg, const struct snap_place *p, const uint8_t *envelope, size_t len, struct err *e);

/* Told of what cannot be read while the rest goes on; ${where} names it within the container. */
typedef void (*container_bad_fn)(void *arg, const char *where, const struct err *why);

struct container_ops {
	/* Every pack of ${domain_id} with its table.  0, what ${fn} returned, or -1 with ${e}. */
	int (*packs)(struct container *c, const uint8_t *domain_id, pack_found_fn fn, void *arg, container_bad_fn bad,
	    void *bad_arg, struct err *e);
	/* Exactly ${len} bytes from ${off} of a pack.  0, or -1 with ${e} (ERR_DAMAGE: it is shorter).  From any thread. */
	int (*read)(struct container *c, const struct pack_place *p, uint64_t off, void *out, size_t len, struct err *e);
	/*
	 * Look for the pack by what it holds where it is not at its place: 0 with ${p} changed, 1 it is nowhere.
	 * NULL where names cannot lie.  From any thread.
	 */
	int (*locate)(struct container *c, struct pack_place *p);
	/* Every envelope. */
	int (*snapshots)(struct container *c, snap_found_fn fn, void *arg, container_bad_fn bad, void *bad_arg, struct err *e);
	/* At most ${len} bytes from ${off} of part ${part} of a reference list of ${kind}; ${got} is less only at its end. */
	int (*refs)(struct container *c, const struct snap_place *p, unsigned kind, unsigned part, uint64_t off, void *out,
	    size_t len, size_t *got, struct err *e);
	void (*free)(struct container *c);
};

struct container {
	const struct container_ops *ops;
	char name[320];		/* for a person: "disk RM4K-1 (/mnt/usb1)", "vault /srv/samara/hq" */
	int is_disk;
	int is_kept;		/* not the disk itself: what a restore keeps of it (restore_keep.h) */
	int is_line;		/* its packs are not enumerated: places are asked for */
	uint64_t bytes, packs;	/* counted by the source */
};

/**
 * container_disk(diskfd, path, short_name, e):
 * The image ${short_name} on the disk whose directory is ${diskfd} (borrowed
 * for this call; ${path} names it for messages).  NULL with ${e}.
 */
struct container *container_disk(int diskfd, const char *path, const char *short_name, struct err *e);

/* The label of the image in a container made by container_disk. */
struct label;
const struct label *container_label(const struct container *c);

/* The image in it, open as long as the container. */
struct image_dir;
const struct image_dir *container_image(const struct container *c);

/**
 * container_vault(path, machine, e):
 * The vault in the directory ${path}; snapshots of ${machine} only (ID_LEN
 * bytes, copied; NULL: of all).  NULL with ${e} (ERR_NO_VAULT).
 */
struct container *container_vault(const char *path, const uint8_t *machine, struct err *e);

struct line;
struct line_place;

/* What the machine remembers of its vault, so that less than that is noticed. */
struct container_trust {
	uint64_t head;			/* the highest number that the vault acknowledged; 0: nothing is known */
	uint8_t digest[DIGEST_LEN];	/* of its envelope; zeros: not known */
};

/**
 * container_line(l, vault_id, machine_id, trust, e):
 * The vault at the end of ${l} (borrowed, as long as this), the machine's own
 * snapshots only.  Its packs verb gives none: container_places says where chunks
 * lie.  Enumerating snapshots tells (ERR_ROLLBACK) what the vault acknowledged and does not show
 * any more, and is ended by ERR_ROLLBACK where its newest lies below ${trust}.  NULL with ${e}.
 */
struct container *container_line(struct line *l, const uint8_t vault_id[ID_LEN], const uint8_t machine_id[ID_LEN],
    const struct container_trust *trust, struct err *e);

/* Where good copies of ${n} rising ids lie in a container of container_line; as line_places. */
int container_places(struct container *c, const uint8_t *ids, size_t n, struct line_place *out, struct err *e);

/**
 * container_vault_hold(c, path):
 * For who reads packs for long: until ${c} (the vault at ${path}) is freed no collection
 * deletes one.  Where this user may not write there, or a collection is deleting just
 * now, it goes without.
 */
void container_vault_hold(struct container *c, const char *path);

/* Ends it.  NULL is allowed. */
void container_free(struct container *c);

#endif
