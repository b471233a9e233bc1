#ifndef SAMARA_FLOW_PACK_CACHE_H
#define SAMARA_FLOW_PACK_CACHE_H

/* A few whole packs in memory, shared by threads: the one used longest ago gives way. */

#include <stdint.h>

struct err;
struct pack_cache;

/* Read all ${len} bytes of pack ${pack} into ${out}.  0, or -1 with ${e}.  From any thread. */
typedef int (*pack_load_fn)(void *arg, uint32_t pack, uint8_t *out, uint32_t len, struct err *e);

/* Room for ${slots} packs of PACK_LEN_MAX (taken as it is needed).  NULL without memory. */
struct pack_cache *pack_cache_new(unsigned slots, pack_load_fn load, void *arg);
void pack_cache_free(struct pack_cache *c);

/**
 * pack_cache_hold(c, pack, len, bytes, slot, e):
 * The ${len} bytes of ${pack}, which stay until pack_cache_release(c, slot).
 * It is read if need be; where another thread is reading it, that one is
 * waited for.  Return 0; 1 where there is no room (all slots are held): read
 * what you need yourself; -1 with ${e} where it cannot be read.
 */
int pack_cache_hold(struct pack_cache *c, uint32_t pack, uint32_t len, const uint8_t **bytes, unsigned *slot,
    struct err *e);
void pack_cache_release(struct pack_cache *c, unsigned slot);

/* 1 if ${pack} is there, or being read, now. */
int pack_cache_has(struct pack_cache *c, uint32_t pack);

#endif
