/*
 * How fast one core cuts, hashes, packs, seals, checks and opens, in GB/s of
 * plain bytes (1e9) a second of the processor's time, best of some rounds; and claims of the duplicate index.
 * A program to look at, not a test: nothing here fails for being slow.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/io.h"
#include "common/base/secret.h"
#include "common/catalog/seen.h"
#include "common/chunk/codec.h"
#include "common/chunk/cutter.h"
#include "common/crypto/sign.h"
#include "common/pack/chunk_open.h"
#include "common/pack/chunk_seal.h"
#include "common/pack/pack_build.h"
#include "common/pack/pack_view.h"

#define DATA	((size_t)64 << 20)
#define PIECE	((size_t)256 << 10)
#define PIECES	(DATA / PIECE)
#define IN_PACK	40u
#define ROUNDS	5
#define CLAIMS	4000000u
#define CLAIM_BATCH	64u

struct bench {
	struct domain_keys *k;
	struct cutter *cutter;
	struct codec *codec;
	struct opener *opener;
	uint8_t *data, *inner, *frame, *pack, *plain;
	size_t inner_len[PIECES];
	struct pack_row row;
	struct pack_part parts[IN_PACK];
	struct pack_info info;
	uint8_t maker[ID_LEN], pub[SIGN_PUB_LEN], secret[SIGN_SECRET_LEN];
	uint64_t sink;		/* so that nothing is left out for want of a use */
};

static void *
must(void *p)
{
	if (p == NULL) {
		(void)fprintf(stderr, "bench: no memory\n");
		exit(1);
	}
	return p;
}

static uint64_t
next_random(uint64_t *at)
{
	uint64_t z = *at += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* This thread's time on a processor, in nanoseconds: others on the machine do not count. */
static int64_t
cpu_ns(void)
{
	struct timespec t = { 0, 0 };

	(void)io->clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Run ${fn}, ${bytes} a time, and print its best of ROUNDS. */
static void
measure(const char *what, struct bench *b, void (*fn)(struct bench *b), double bytes)
{
	double best = 0, rate;
	int64_t began;

	for (int i = 0; i < ROUNDS; i++) {
		began = cpu_ns();
		fn(b);
		rate = bytes / (double)(cpu_ns() - began + 1);
		best = rate > best ? rate : best;
	}
	(void)printf("%-36s %7.2f GB/s\n", what, best);
	(void)fflush(stdout);
}

static void
do_cut(struct bench *b)
{
	for (size_t at = 0; at < DATA;)
		at += cutter_next(b->cutter, b->data + at, DATA - at, 1);
}

static void
do_id(struct bench *b)
{
	uint8_t id[DIGEST_LEN];

	for (size_t i = 0; i < PIECES; i++) {
		chunk_id(b->k, KIND_DATA, b->data + i * PIECE, PIECE, id);
		b->sink += id[0];
	}
}

static void
do_inner(struct bench *b)
{
	for (size_t i = 0; i < PIECES; i++)
		b->inner_len[i] = chunk_inner(b->codec, b->data + i * PIECE, PIECE, b->inner);
}

static void
do_frame(struct bench *b)
{
	static const uint8_t id[DIGEST_LEN];

	for (size_t i = 0; i < PIECES; i++)
		chunk_frame(b->k, KIND_DATA, id, b->data + i * PIECE, PIECE - 1024, b->frame, &b->row);
}

static void
do_pack_build(struct bench *b)
{
	pack_build(b->k, b->maker, b->secret, b->parts, IN_PACK, b->pack, &b->info);
}

static void
pack_check(struct bench *b, enum pack_depth depth)
{
	struct pack_view v;
	struct pack_row row;
	const uint8_t *at = b->pack + PACK_HEAD_LEN;

	if (pack_view_bytes(&v, b->pack, b->info.len, b->maker, b->pub, NULL) != 0)
		exit(1);
	for (uint32_t i = 0; i < v.table.count; i++) {
		pack_table_row(&v.table, i, &row);
		if (pack_frame_check(&row, at, b->k->domain_id, depth) != NULL)
			exit(1);
		at += row.len;
	}
}

static void
do_pack_check(struct bench *b)
{
	pack_check(b, PACK_FULL);
}

static void
do_pack_quick(struct bench *b)
{
	pack_check(b, PACK_QUICK);
}

static void
do_open(struct bench *b)
{
	size_t n;

	for (size_t i = 0; i < PIECES; i++)
		if (chunk_open(b->opener, b->frame, b->row.len, b->row.id, 0, b->plain, CHUNK_PLAIN_MAX, &n, NULL) != 0)
			exit(1);
}

/* Parts of a pack of the pieces as they are; and the frame of the first for opening. */
static void
parts_make(struct bench *b)
{
	uint8_t *at;

	for (uint32_t i = 0; i < IN_PACK; i++) {
		at = must(malloc(chunk_inner_bound(PIECE)));
		b->parts[i].kind = KIND_DATA;
		chunk_id(b->k, KIND_DATA, b->data + i * PIECE, PIECE, b->parts[i].id);
		b->parts[i].inner_len = (uint32_t)chunk_inner(b->codec, b->data + i * PIECE, PIECE, at);
		b->parts[i].inner = at;
	}
	chunk_frame(b->k, KIND_DATA, b->parts[0].id, b->parts[0].inner, b->parts[0].inner_len, b->frame, &b->row);
}

static double
parts_bytes(const struct bench *b)
{
	double n = 0;

	for (uint32_t i = 0; i < IN_PACK; i++)
		n += b->parts[i].inner_len;
	return n;
}

static void
data_random(struct bench *b)
{
	uint64_t at = 1, v;

	for (size_t i = 0; i < DATA; i += 8) {
		v = next_random(&at);
		memcpy(b->data + i, &v, 8);
	}
}

/* Words, so that zstd has something to do. */
static void
data_text(struct bench *b)
{
	static const char *const words[] = { "winged", "seed", "of", "the", "maple", "carried", "by", "wind", "far",
		"until", "it", "falls", "where", "a", "tree", "may" };
	uint64_t at = 1;

	for (size_t i = 0; i < DATA;) {
		uint64_t v = next_random(&at);
		char w[32];
		int n = snprintf(w, sizeof(w), v >> 60 == 0 ? "%s %llu\n" : "%s ", words[v % 16],
		    (unsigned long long)(v >> 40));
		size_t some = (size_t)n < DATA - i ? (size_t)n : DATA - i;

		memcpy(b->data + i, w, some);
		i += some;
	}
}

/* New ids, ${memory} for them, then the same ids once more. */
static void
claims(const char *what, size_t memory)
{
	int dirfd = io->open(AT_FDCWD, "/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	struct seen *s = must(seen_new(dirfd, memory, (uint64_t)1 << 40, NULL));
	uint8_t ids[CLAIM_BATCH * DIGEST_LEN] = { 0 }, known[CLAIM_BATCH];
	uint64_t held, forgotten;
	int64_t began;
	size_t used;

	for (int again = 0; again < 2; again++) {
		uint64_t at = 1, v;

		began = cpu_ns();
		for (uint32_t i = 0; i < CLAIMS; i += CLAIM_BATCH) {
			for (uint32_t j = 0; j < CLAIM_BATCH * 4; j++) {
				v = next_random(&at);
				memcpy(ids + 8 * (size_t)j, &v, 8);
			}
			if (seen_claim(s, ids, CLAIM_BATCH, known, NULL) != 0)
				exit(1);
		}
		seen_counts(s, &held, &forgotten, &used);
		(void)printf("%-36s %7.2f million/s, %.1f bytes each\n", again ? "  the same once more" : what,
		    CLAIMS / ((double)(cpu_ns() - began) / 1e3), (double)used / (double)held);
	}
	seen_free(s);
	(void)io->close(dirfd);
}

static void
bench_make(struct bench *b)
{
	uint8_t key[KEY_LEN] = { 1 };

	memset(b, 0, sizeof(*b));
	b->k = domain_keys_new(key);
	b->cutter = must(cutter_new(b->k->cut, PIECE));
	b->codec = must(codec_new(1));
	b->opener = must(opener_new(b->k));
	b->data = must(malloc(DATA));
	b->inner = must(malloc(chunk_inner_bound(PIECE)));
	b->frame = must(malloc(FRAME_LEN_MAX));
	b->pack = must(malloc(PACK_LEN_MAX));
	b->plain = must(malloc(CHUNK_PLAIN_MAX));
	sign_keys(key, b->pub, b->secret);
}

int
main(void)
{
	static struct bench b;

	secret_init();
	bench_make(&b);
	data_random(&b);
	measure("cut", &b, do_cut, DATA);
	measure("chunk_id", &b, do_id, DATA);
	measure("chunk_inner, random", &b, do_inner, DATA);
	measure("chunk_frame", &b, do_frame, DATA);
	parts_make(&b);
	measure("chunk_open, random", &b, do_open, DATA);
	measure("pack_build", &b, do_pack_build, parts_bytes(&b));
	measure("pack_view + frame_check, full", &b, do_pack_check, parts_bytes(&b));
	measure("pack_view + frame_check, quick", &b, do_pack_quick, parts_bytes(&b));
	data_text(&b);
	measure("cut, text", &b, do_cut, DATA);
	measure("chunk_inner, text", &b, do_inner, DATA);
	parts_make(&b);
	measure("chunk_open, text", &b, do_open, DATA);
	claims("seen_claim, all in memory", (size_t)1 << 30);
	claims("seen_claim, 16 MiB and runs", (size_t)16 << 20);
	return b.sink == 1;
}
