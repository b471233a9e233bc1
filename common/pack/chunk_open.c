#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/secret.h"
#include "common/chunk/codec.h"
#include "common/crypto/seal.h"
#include "common/pack/chunk_open.h"
#include "common/pack/chunk_seal.h"

struct opener {
	const struct domain_keys *keys;
	struct codec *codec;
	uint8_t *inner;		/* of the chunk being opened */
	size_t cap;
};

struct opener *
opener_new(const struct domain_keys *k)
{
	struct opener *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return NULL;
	o->keys = k;
	if ((o->codec = codec_new(1)) == NULL) {
		free(o);
		return NULL;
	}
	return o;
}

static void
inner_drop(struct opener *o)
{
	if (o->inner != NULL)
		secret_wipe(o->inner, o->cap);
	free(o->inner);
	o->inner = NULL;
	o->cap = 0;
}

void
opener_free(struct opener *o)
{
	if (o == NULL)
		return;
	inner_drop(o);
	codec_free(o->codec);
	free(o);
}

/* Room for ${len} inner bytes; grown in doubles up to the largest there is. */
static int
inner_room(struct opener *o, size_t len, struct err *e)
{
	size_t cap = 64u << 10;

	if (len <= o->cap)
		return 0;
	while (cap < len)
		cap *= 2;
	if (cap > FRAME_SEALED_MAX)
		cap = FRAME_SEALED_MAX;
	inner_drop(o);
	if ((o->inner = malloc(cap)) == NULL)
		return err_errno(e, "open a chunk");
	o->cap = cap;
	return 0;
}

/* What can be told of a frame before anything is decrypted. */
static int
frame_check(const struct opener *o, struct frame *f, const uint8_t *in, size_t len, const uint8_t id[DIGEST_LEN],
    unsigned kind, struct err *e)
{
	enum fmt_status st = frame_decode(f, in, len);

	if (st != FMT_OK)
		return err_set(e, st == FMT_VERSION ? ERR_VERSION : ERR_DAMAGE, "a chunk: %s", fmt_status_text(st));
	if (checksum(in, len - 8) != f->xxh)
		return err_set(e, ERR_DAMAGE, "a chunk: its checksum does not agree");
	if (memcmp(f->domain_id, o->keys->domain_id, DIGEST_LEN) != 0)
		return err_set(e, ERR_DAMAGE, "a chunk: it belongs to another key domain");
	if (memcmp(f->id, id, DIGEST_LEN) != 0 || (kind != 0 && f->kind != kind))
		return err_set(e, ERR_DAMAGE, "a chunk: another one stands in its place");
	return 0;
}

/* Unpack the ${len} authenticated inner bytes into ${out}. */
static int
inner_unpack(struct opener *o, size_t len, uint8_t *out, size_t cap, size_t *plain_len, struct err *e)
{
	struct rd r = { .p = o->inner, .left = len };
	uint32_t plain = rd_u32(&r), packed = rd_u32(&r);
	uint8_t codec = rd_u8(&r), rest = 0;
	const uint8_t *at = rd_bytes(&r, packed);

	if (at == NULL || padme(INNER_HEAD_LEN + (uint64_t)packed) != len)
		return err_set(e, ERR_DAMAGE, "a chunk: the lengths in it are impossible");
	if (plain == 0 || plain > CHUNK_PLAIN_MAX || plain > cap)
		return err_set(e, ERR_DAMAGE, "a chunk: its content of %u bytes is longer than any may be here", plain);
	for (size_t i = 0; i < r.left; i++)
		rest |= r.p[i];
	if (rest != 0)
		return err_set(e, ERR_DAMAGE, "a chunk: its padding is not zero");
	*plain_len = plain;	/* from here on there may be plaintext in out */
	if (codec_unpack(o->codec, codec, at, packed, out, plain) != 0)
		return err_set(e, ERR_DAMAGE, "a chunk: it does not unpack to the length it says");
	return 0;
}

int
chunk_open(struct opener *o, const uint8_t *frame, size_t len, const uint8_t id[DIGEST_LEN], unsigned kind,
    uint8_t *out, size_t cap, size_t *plain_len, struct err *e)
{
	uint8_t again[DIGEST_LEN];
	struct frame f;

	*plain_len = 0;
	if (frame_check(o, &f, frame, len, id, kind, e) != 0 || inner_room(o, f.sealed_len, e) != 0)
		return -1;
	if (seal_open(o->keys->seal, f.nonce, frame, FRAME_HEAD_LEN + DIGEST_LEN, f.sealed, f.sealed_len, o->inner) != 0)
		return err_set(e, ERR_DAMAGE, "a chunk: it is not what was sealed");
	if (inner_unpack(o, f.sealed_len - SEAL_TAG_LEN, out, cap, plain_len, e) != 0)
		goto fail;
	chunk_id(o->keys, f.kind, out, *plain_len, again);
	if (memcmp(again, id, DIGEST_LEN) != 0) {
		err_set(e, ERR_DAMAGE, "a chunk: its content is not that of its id");
		goto fail;
	}
	return 0;
fail:
	secret_wipe(out, *plain_len);
	*plain_len = 0;
	return -1;
}
