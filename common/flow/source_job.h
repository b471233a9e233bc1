#ifndef SAMARA_FLOW_SOURCE_JOB_H
#define SAMARA_FLOW_SOURCE_JOB_H

/* What source.c (what there is) and source_read.c (reading it) share. */

#include <pthread.h>

#include "common/flow/source.h"

struct ahead;
struct disk_mount;
struct fetch;
struct opener;
struct pack_cache;

struct source_pack {
	struct pack_place place;
	uint32_t wanted;	/* bytes of frames asked for and not yet read; atomic */
};

struct source {
	struct source_options opt;
	struct container **container;
	uint64_t *read_bytes;	/* by container; atomic */
	size_t ncontainers;
	struct disk_mount *mount;	/* of the disks that were named by their device */
	size_t nmounts;
	struct source_pack *pack;
	size_t npacks, packs_cap;
	struct chunk_map *map;
	struct pack_cache *cache;
	struct container *line;	/* among the containers; NULL: none */
	size_t line_at;
	struct fetch *fetch;	/* of the line, once it is indexed */
	struct ahead *ahead;
	pthread_mutex_t bad_lock;
};

struct source_reader {
	struct source *s;
	struct opener *opener;
	uint8_t *frame;		/* FRAME_LEN_MAX */
	uint8_t *plain;		/* CHUNK_PLAIN_MAX */
	size_t plain_len;
	uint8_t id[DIGEST_LEN];	/* what is in plain */
	unsigned kind;
	int has;
};

/* Tell of what is bad, one at a time. */
void source_bad(struct source *s, const char *where, const uint8_t *id, const struct err *why);

/* Reads a whole pack for the cache. */
int source_load_pack(void *arg, uint32_t pack, uint8_t *out, uint32_t len, struct err *e);

#endif
