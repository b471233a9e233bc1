#ifndef SAMARA_CRYPTO_RANDOM_H
#define SAMARA_CRYPTO_RANDOM_H

/*
 * Random bytes in small portions: each thread takes 4 KiB at a time from
 * io_random and gives every byte out once.  For nonces and shuffling, which a
 * build needs by the million.  Keys come from io_random itself.  A fork would
 * share what the pool still holds; samara forks only before its threads start,
 * and a chunk's nonce hangs on the chunk as well.
 */

#include <stddef.h>
#include <stdint.h>

/* Fill ${out} with ${n} bytes that no one else gets. */
void random_take(void *out, size_t n);

/* A number below ${n} >= 1, each as likely as the others. */
uint32_t random_below(uint32_t n);

#endif
