#ifndef SAMARA_BASE_KEYSTREAM_H
#define SAMARA_BASE_KEYSTREAM_H

#include <stddef.h>
#include <stdint.h>

/**
 * keystream(key, out, n):
 * The first ${n} bytes of ChaCha20's key stream (RFC 8439) under ${key}, nonce
 * zero, counter from 0: numbers that nobody without the key can tell from
 * random ones.  The key must make no other ChaCha20 key stream.
 */
void keystream(const uint8_t key[32], void *out, size_t n);

#endif
