#ifndef SAMARA_FLOW_VERIFY_JOB_H
#define SAMARA_FLOW_VERIFY_JOB_H

/* What the parts of a verification share: verify_packs.c, verify_disks.c, verify_store.c, verify_snaps.c. */

#include <pthread.h>

#include "common/check/finding.h"
#include "common/check/pack_check.h"
#include "common/flow/chunk_map.h"
#include "common/flow/snapshot_list.h"
#include "common/flow/verify.h"

#define WHERE_MAX	512

/* A snapshot whose listing cannot be read here, because chunks of it lie elsewhere. */
struct verify_leaning {
	uint8_t snapshot_id[ID_LEN];
};

/* A bad copy of a chunk: what it costs is known when all packs were read. */
struct verify_bad {
	uint8_t id[DIGEST_LEN];
	char *where, *why;
};
#define VERIFY_BAD_MAX	100000u	/* kept back at most; what is beyond is told at once */

struct verify_job {
	const struct verify_options *opt;
	struct verify_result *r;
	struct findings *found;
	pthread_mutex_t lock;	/* of r and the two tables */
	struct chunk_map *good;	/* off: plain length where the chunk was opened; pack: not used */
	struct chunk_map *bad;
	struct chunk_map *mended;	/* good because parity made them again; NULL: none */
	int repairs;		/* what was made again is being written to another place */
	int keys_fit;		/* the keys are those of something that is there */
	int keys_lack;		/* and of something they are not */
	struct verify_bad *pending;
	size_t npending, pending_cap;
	struct verify_leaning *leaning;
	size_t nleaning;
	struct err failed;	/* the check's own first error */
};

/* 0 or -1 with ${e}. */
int verify_job_init(struct verify_job *j, const struct verify_options *o, struct verify_result *r, struct err *e);
/* At the end: whether the keys were of any use (-1 with ${e} where they must be), how far the proof goes, the counts. */
int verify_job_counts(struct verify_job *j, struct err *e);
void verify_job_release(struct verify_job *j);

/* A pack that is to be checked. */
struct verify_pack {
	size_t source;		/* the feed's own */
	int64_t at;		/* the feed's own */
	uint32_t number;	/* disk: of the file; vault: copy */
	uint32_t len;
	uint8_t id[DIGEST_LEN];
	char where[WHERE_MAX];
};

/* Looks at packs that were made again. */
struct verify_mender;

/*
 * Where packs come from.  next and read are called by one thread at a time, so
 * that the medium is read from front to back.
 */
struct verify_feed {
	/* The next pack: 1, 0 at the end, -1 with ${e}. */
	int (*next)(void *arg, struct verify_pack *p, struct err *e);
	/* All its bytes, at most PACK_LEN_MAX, into ${buf}; 0, 1 it is not there (told later), -1 with ${e}: it cannot be read. */
	int (*read)(void *arg, const struct verify_pack *p, uint8_t *buf, size_t *len, struct err *e);
	/*
	 * Believe the pack: 0 with ${v} (views into ${buf}, or into *${keep}, which
	 * the caller frees); -1 where nothing in it can be believed.  Tells what it
	 * finds.  From any thread.
	 */
	int (*believe)(void *arg, const struct verify_pack *p, const uint8_t *buf, size_t len, struct pack_view *v, uint8_t **keep);
	/*
	 * Something in the pack is damaged or, with ${why}, it cannot be read: then 1
	 * means that the feed will tell of it.  From any thread.  NULL: never mind.
	 */
	int (*damaged)(void *arg, const struct verify_pack *p, const struct err *why);
	/* After the last pack, before bad chunks are told of: make again what can be, with verify_mend.  NULL: nothing can. */
	int (*mend)(void *arg, struct verify_mender *m, struct err *e);
	void *arg;
};

/* The ${len} bytes of a pack that was made again, with its believed table: chunks of it that are good count as such.  How many are not. */
uint32_t verify_mend(struct verify_mender *m, const struct pack_view *v, const uint8_t *bytes, size_t len);

/* What to say of damage that parity makes good. */
const char *verify_mended_text(const struct verify_job *j);

/* Check all packs of ${f} with all workers; both tables are sorted then.  0 or -1 with ${e}. */
int verify_packs(struct verify_job *j, struct verify_feed *f, struct err *e);

/*
 * A snapshot's list against what was found good; ${elsewhere}: in words where
 * chunks may lie that were not looked at ("image AB12, on which it leans"), or
 * NULL: nowhere.  0; 1 with ${bad} where the list itself is not whole (not
 * told, nothing counted); -1 with ${e}.
 */
struct refs_reader;
int verify_refs(struct verify_job *j, struct refs_reader *refs, const struct envelope *env, const char *where,
    const char *elsewhere, struct err *bad, struct err *e);

/* A snapshot of which no list is whole: told, and counted as one. */
void verify_refs_lost(struct verify_job *j, const char *where, const struct err *bad);

/*
 * With the key: every listing of every snapshot in the directories ${paths} that does not lean on what is not
 * there; messages call them ${names}.
 */
int verify_listings(struct verify_job *j, const char *const *paths, const char *const *names, size_t n, struct err *e);
/* One of them (verify_listing.c). */
int verify_listing(struct verify_job *j, struct source *s, struct source_reader *reader, const struct snapshot *snap,
    struct err *e);

#endif
