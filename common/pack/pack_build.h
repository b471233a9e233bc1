#ifndef SAMARA_PACK_PACK_BUILD_H
#define SAMARA_PACK_PACK_BUILD_H

/* Packs in memory: a machine's from inner chunks, a vault's from frames. */

#include <stdint.h>

#include "common/crypto/domain_keys.h"
#include "formats/fmt_pack.h"

/* A chunk waiting for its pack. */
struct pack_part {
	uint8_t id[DIGEST_LEN];
	uint16_t kind;
	const uint8_t *inner;	/* borrowed until pack_build returns */
	uint32_t inner_len;
};

/* A finished pack: where its parts lie in the buffer. */
struct pack_info {
	uint8_t id[DIGEST_LEN];
	uint32_t len;		/* of the whole file */
	uint32_t count;
	uint32_t table_off, table_len;	/* the footer follows the table */
};

/* Bytes of a pack of ${count} frames that are ${frames_len} together; not over PACK_LEN_MAX. */
uint64_t pack_len(uint32_t count, uint64_t frames_len);
/* The same for pack_rebuild, whose rows are longer. */
uint64_t pack_rebuild_len(uint32_t count, uint64_t frames_len);

/**
 * pack_build(k, maker, secret, parts, n, out, info):
 * Seal ${n} >= 1 chunks, in an order shuffled by random numbers, into ${out}
 * (room for PACK_LEN_MAX), with table and footer signed by ${secret}.  The
 * caller has seen to it that pack_len fits.
 */
void pack_build(const struct domain_keys *k, const uint8_t maker[ID_LEN], const uint8_t secret[64],
    struct pack_part *parts, uint32_t n, uint8_t *out, struct pack_info *info);

/* A frame taken as it is from a checked pack. */
struct pack_frame {
	const uint8_t *bytes;
	struct pack_row row;	/* with writer and origin */
};

/**
 * pack_rebuild(domain_id, vault_id, secret, frames, n, out, info):
 * The vault's own pack of frames that were checked against a signed table,
 * re-packed form, signed by the vault.  ${out} has room for PACK_LEN_MAX; the
 * caller has seen to it that pack_rebuild_len fits.
 */
void pack_rebuild(const uint8_t domain_id[DIGEST_LEN], const uint8_t vault_id[ID_LEN], const uint8_t secret[64],
    const struct pack_frame *frames, uint32_t n, uint8_t *out, struct pack_info *info);

#endif
