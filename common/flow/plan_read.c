#include "common/flow/plan_read.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/progress.h"
#include "common/chunk/codec.h"
#include "common/chunk/cutter.h"
#include "common/crypto/hash.h"
#include "common/pack/chunk_seal.h"

#define READ_LEN	(4u << 20)
#define ROWS_LEN	(3u * PACK_ROW_LEN)	/* of each frame: in its pack, and in the index, which stands twice */

struct plan_keys {
	struct cutter *cutter;
	uint8_t cut[KEY_LEN], id[KEY_LEN];
};

struct plan_reader {
	const struct plan_keys *k;
	struct codec *codec;
	uint8_t *buf;		/* READ_LEN and the longest chunk */
	uint8_t *inner;
	uint8_t *bundle;
	uint32_t bundle_len;
};

/* One of the throw-away keys: they hide nothing, they only make a plan repeatable. */
static void
key_make(uint64_t seed, uint8_t which, uint8_t key[KEY_LEN])
{
	uint8_t in[16] = { 's', 'a', 'm', ' ', 'p', 'l', 'n', which };

	memcpy(in + 8, &seed, sizeof(seed));
	hash_once(in, sizeof(in), key);
}

struct plan_keys *
plan_keys_new(uint64_t seed, uint32_t avg)
{
	struct plan_keys *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return NULL;
	key_make(seed, 1, k->cut);
	key_make(seed, 2, k->id);
	if ((k->cutter = cutter_new(k->cut, avg)) != NULL)
		return k;
	free(k);
	return NULL;
}

void
plan_keys_free(struct plan_keys *k)
{
	if (k == NULL)
		return;
	cutter_free(k->cutter);
	free(k);
}

uint32_t
plan_small_below(const struct plan_keys *k)
{
	return cutter_min(k->cutter);
}

struct plan_reader *
plan_reader_new(const struct plan_keys *k, int level)
{
	struct plan_reader *r = calloc(1, sizeof(*r));
	size_t max = cutter_max(k->cutter);

	if (r == NULL)
		return NULL;
	r->k = k;
	r->codec = codec_new(level);
	r->buf = malloc(READ_LEN + max);
	r->inner = malloc(chunk_inner_bound(max));
	r->bundle = malloc(max);
	if (r->codec != NULL && r->buf != NULL && r->inner != NULL && r->bundle != NULL)
		return r;
	plan_reader_free(r);
	return NULL;
}

void
plan_reader_free(struct plan_reader *r)
{
	if (r == NULL)
		return;
	codec_free(r->codec);
	free(r->buf);
	free(r->inner);
	free(r->bundle);
	free(r);
}

int
plan_read_range(struct plan_reader *r, int fd, uint64_t offset, uint64_t len, const struct plan_take *take,
    uint64_t *got, struct err *e)
{
	size_t have = 0, done, want, cut;
	bool at_end = false;
	ssize_t n;

	*got = 0;
	while (!at_end || have > 0) {
		want = READ_LEN + (size_t)cutter_max(r->k->cutter) - have;
		if (want > len - *got)
			want = (size_t)(len - *got);
		if ((n = io_read_full(fd, r->buf + have, want, (off_t)(offset + *got))) == -1)
			return 1;
		progress_add((uint64_t)n, 0);
		*got += (uint64_t)n;
		have += (size_t)n;
		at_end = (size_t)n < want || *got == len;
		for (done = 0; done < have; done += cut) {
			if ((cut = cutter_next(r->k->cutter, r->buf + done, have - done, at_end)) == 0)
				break;
			if (take->chunk(take->arg, r, r->buf + done, (uint32_t)cut, e) != 0)
				return -1;
		}
		have -= done;
		memmove(r->buf, r->buf + done, have);
	}
	return 0;
}

int
plan_bundle_end(struct plan_reader *r, const struct plan_take *take, struct err *e)
{
	uint32_t len = r->bundle_len;

	r->bundle_len = 0;
	return len == 0 ? 0 : take->chunk(take->arg, r, r->bundle, len, e);
}

int
plan_read_small(struct plan_reader *r, int fd, uint64_t size, const struct plan_take *take, uint64_t *got,
    struct err *e)
{
	uint32_t max = cutter_max(r->k->cutter), avg = cutter_avg(r->k->cutter);
	uint8_t digest[DIGEST_LEN];
	ssize_t n;

	*got = 0;
	if (size > cutter_min(r->k->cutter))
		size = cutter_min(r->k->cutter);
	if (r->bundle_len + size > max && plan_bundle_end(r, take, e) != 0)
		return -1;
	if ((n = io_read_full(fd, r->bundle + r->bundle_len, (size_t)size, 0)) == -1)
		return 1;
	if (n == 0)
		return 0;
	*got = (uint64_t)n;
	progress_add((uint64_t)n, 0);
	hash_keyed(r->k->cut, r->bundle + r->bundle_len, (size_t)n, digest);
	r->bundle_len += (uint32_t)n;
	/* The rule of a build: an end that the content chooses, about every average chunk. */
	if (r->bundle_len >= avg / 4 && ((uint64_t)le32_get(digest) * avg) >> 32 < (uint64_t)n)
		return plan_bundle_end(r, take, e);
	return 0;
}

uint64_t
plan_chunk_id(const struct plan_reader *r, const uint8_t *data, uint32_t len)
{
	uint8_t id[DIGEST_LEN];

	hash_keyed(r->k->id, data, len, id);
	return le64_get(id);
}

uint64_t
plan_chunk_cost(struct plan_reader *r, const uint8_t *data, uint32_t len)
{
	return chunk_frame_len(chunk_inner(r->codec, data, len, r->inner)) + ROWS_LEN;
}
