/* The pack sink: many threads hand over chunks, packs become durable in order, and a failing disk stops them all. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/scratch.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/io_fault.h"
#include "common/base/secret.h"
#include "common/catalog/seen.h"
#include "common/chunk/codec.h"
#include "common/crypto/sign.h"
#include "common/disk/image_dir.h"
#include "common/flow/journal.h"
#include "common/flow/pack_sink.h"
#include "common/pack/chunk_seal.h"
#include "common/pack/pack_view.h"

#define THREADS		6u
#define CHUNKS		(SAMARA_SANITIZED ? 300u : 1500u)	/* each thread's */
#define COMMON		3u		/* every third chunk is one that all threads have */
#define CHUNK_MAX	40000u

struct place {
	char root[64];
	int dir;			/* the image's directory on the disk */
	struct domain_keys *keys;
	uint8_t maker[ID_LEN], pub[SIGN_PUB_LEN], secret[SIGN_SECRET_LEN];
	struct journal *journal;
	struct seen *seen;
	struct pack_sink *sink;
};

static void
place_sink(struct place *p)
{
	struct pack_sink_options o = { .ndisks = 1 };
	struct err e;

	err_clear(&e);
	o.disks[0] = (struct sink_disk){ .imagefd = p->dir, .number = 1, .next_pack = 1, .name = "RM4K-1" };
	o.keys = p->keys;
	o.maker = p->maker;
	o.secret = p->secret;
	o.journal = p->journal;
	o.seen = p->seen;
	assert_non_null(p->sink = pack_sink_new(&o, &e));
}

static void
place_open(struct place *p)
{
	uint8_t master[KEY_LEN], seed[KEY_LEN];
	struct err e;

	err_clear(&e);
	p->dir = scratch_make(p->root);
	assert_int_equal(mkdirat(p->dir, "packs", 0755), 0);
	memset(master, 7, sizeof(master));
	memset(seed, 9, sizeof(seed));
	memset(p->maker, 3, sizeof(p->maker));
	p->keys = domain_keys_new(master);
	sign_keys(seed, p->pub, p->secret);
	assert_non_null(p->journal = journal_create(p->dir, "journal", 0, NULL, 0, &e));
	assert_non_null(p->seen = seen_new(p->dir, 16u << 20, 1u << 30, &e));
	place_sink(p);
}

static void
place_close(struct place *p)
{
	pack_sink_free(p->sink);
	journal_close(p->journal);
	seen_free(p->seen);
	domain_keys_free(p->keys);
	close(p->dir);
	scratch_remove(p->root);
}

/* The plaintext of chunk ${n}: length and bytes follow from it. */
static size_t
plain_make(uint32_t n, uint8_t *out)
{
	uint32_t x = n * 2654435761u + 1;
	size_t len = 1 + (n * 7919u) % CHUNK_MAX;

	for (size_t i = 0; i < len; i++) {
		x = x * 1103515245 + 12345;
		out[i] = (uint8_t)(x >> 16);
	}
	return len;
}

static uint32_t
chunk_number(unsigned thread, unsigned i)
{
	return i % COMMON == 0 ? i : 1000000 * (thread + 1) + i;
}

struct adder {
	struct place *p;
	unsigned thread;
	unsigned added, hurries;
	int rc;
	struct err e;
	bool wait_for_seq;
};

static void *
adder_main(void *arg)
{
	struct adder *a = arg;
	uint8_t *plain = malloc(CHUNK_MAX + 1), *inner = malloc(chunk_inner_bound(CHUNK_MAX + 1)), ids[2 * DIGEST_LEN], known[2];
	struct codec *c = codec_new(1);
	uint64_t seq;
	size_t len;

	err_clear(&a->e);
	for (unsigned i = 0; i < CHUNKS && a->rc == 0; i++) {
		len = plain_make(chunk_number(a->thread, i), plain);
		chunk_id(a->p->keys, KIND_DATA, plain, len, ids);
		memcpy(ids + DIGEST_LEN, ids, DIGEST_LEN);
		if ((a->rc = pack_sink_claim(a->p->sink, KIND_DATA, ids, 2, known, &a->e)) != 0)
			break;
		assert_int_equal(known[1], 1);
		if (!known[0]) {
			size_t n = chunk_inner(c, plain, len, inner);

			a->rc = pack_sink_add(a->p->sink, KIND_DATA, ids, inner, (uint32_t)n, &a->e);
			a->added += a->rc == 0;
		}
		if (a->rc == 0 && a->wait_for_seq)
			a->rc = pack_sink_seq(a->p->sink, ids, 1, &seq, &a->e);
		if (a->hurries > 0 && i % a->hurries == 0)
			pack_sink_hurry(a->p->sink);
	}
	codec_free(c);
	free(inner);
	free(plain);
	return NULL;
}

/* All threads at once; how many chunks they added. */
static unsigned
add_all(struct place *p, struct adder a[THREADS], unsigned hurries)
{
	pthread_t t[THREADS];
	unsigned n = 0;

	for (unsigned i = 0; i < THREADS; i++) {
		a[i] = (struct adder){ .p = p, .thread = i, .hurries = hurries, .wait_for_seq = true };
		assert_int_equal(pthread_create(&t[i], NULL, adder_main, &a[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		n += a[i].added;
	}
	return n;
}

/* Every pack of the journal lies on the disk as the journal has it; how many chunks are in them. */
static unsigned
packs_check(struct place *p, unsigned *npacks)
{
	struct journal_reader *r;
	struct pack_view v;
	struct pack_row row;
	struct fmt_view rec;
	char name[IMAGE_NAME_MAX];
	unsigned type, chunks = 0, number = 0;
	uint8_t *bytes;
	size_t len, at;
	struct err e;

	err_clear(&e);
	assert_non_null(r = journal_reader_new(p->dir, "journal", &e));
	while (journal_next(r, &type, &rec, &e) == 1) {
		assert_int_equal(type, JOURNAL_PACK);
		assert_int_equal(le32_get(rec.p), 1);
		assert_int_equal(le32_get(rec.p + 4), ++number);
		image_name_pack(name, number);
		assert_int_equal(file_read(p->dir, name, PACK_LEN_MAX, &bytes, &len, &e), 0);
		assert_int_equal(le32_get(rec.p + 8), len);
		assert_memory_equal(rec.p + 12, bytes + len - (rec.len - 12), rec.len - 12);
		assert_int_equal(pack_view_bytes(&v, bytes, len, p->maker, p->pub, &e), 0);
		at = PACK_HEAD_LEN;
		for (uint32_t i = 0; i < v.table.count; i++) {
			pack_table_row(&v.table, i, &row);
			assert_null(pack_frame_check(&row, bytes + at, p->keys->domain_id, PACK_FULL));
			at += row.len;
			chunks++;
		}
		free(bytes);
	}
	journal_reader_free(r);
	if (npacks != NULL)
		*npacks = number;
	return chunks;
}

/* Temporary files below packs/. */
static unsigned
temporary_files(struct place *p)
{
	char **dirs, **names;
	size_t ndirs, n;
	unsigned found = 0;
	struct err e;

	err_clear(&e);
	assert_int_equal(dir_list(p->dir, "packs", &dirs, &ndirs, &e), 0);
	for (size_t i = 0; i < ndirs; i++) {
		char path[300];

		snprintf(path, sizeof(path), "packs/%s", dirs[i]);
		assert_int_equal(dir_list(p->dir, path, &names, &n, &e), 0);
		for (size_t k = 0; k < n; k++)
			found += strstr(names[k], ".tm") != NULL;
		dir_list_free(names, n);
	}
	dir_list_free(dirs, ndirs);
	return found;
}

static unsigned
different_chunks(void)
{
	unsigned common = (CHUNKS + COMMON - 1) / COMMON;

	return common + THREADS * (CHUNKS - common);
}

static void
each_chunk_is_stored_once_whoever_has_it(void **state)
{
	struct adder a[THREADS];
	struct pack_sink_totals t;
	struct place p;
	unsigned n, packs;
	struct err e;

	(void)state;
	err_clear(&e);
	place_open(&p);
	n = add_all(&p, a, 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(a[i].rc, 0);
	assert_int_equal(n, different_chunks());
	assert_int_equal(pack_sink_stop(p.sink, 0, &e), 0);
	assert_int_equal(packs_check(&p, &packs), n);
	pack_sink_totals(p.sink, &t);
	assert_int_equal(t.chunks, n);
	assert_int_equal(t.packs, packs);
	assert_int_equal(temporary_files(&p), 0);
	place_close(&p);
}

static void
what_is_durable_is_in_the_journal_and_on_the_disk(void **state)
{
	uint8_t plain[4096], inner[8192], id[DIGEST_LEN], known;
	struct codec *c = codec_new(1);
	struct place p;
	uint64_t seq, durable = 0;
	unsigned packs;
	struct err e;

	(void)state;
	err_clear(&e);
	place_open(&p);
	for (unsigned i = 1; i <= 20; i++) {
		memset(plain, (int)i, sizeof(plain));
		chunk_id(p.keys, KIND_DATA, plain, sizeof(plain), id);
		assert_int_equal(pack_sink_claim(p.sink, KIND_DATA, id, 1, &known, &e), 0);
		assert_int_equal(known, 0);
		assert_int_equal(pack_sink_add(p.sink, KIND_DATA, id, inner, (uint32_t)chunk_inner(c, plain, sizeof(plain), inner), &e), 0);
		assert_int_equal(pack_sink_seq(p.sink, id, 1, &seq, &e), 0);
		assert_int_equal(seq, i);		/* each flush ends a pack */
		assert_true(pack_sink_durable(p.sink) < seq);
		assert_int_equal(pack_sink_flush(p.sink, &e), 0);
		durable = pack_sink_durable(p.sink);
		assert_int_equal(durable, seq);
		assert_int_equal(packs_check(&p, &packs), i);
		assert_int_equal(packs, i);
		/* Known from now on, and not waited for. */
		assert_int_equal(pack_sink_claim(p.sink, KIND_DATA, id, 1, &known, &e), 0);
		assert_int_equal(known, 1);
		assert_int_equal(pack_sink_seq(p.sink, id, 1, &seq, &e), 0);
		assert_int_equal(seq, 0);
	}
	codec_free(c);
	place_close(&p);
}

static void
a_hurry_makes_durable_without_waiting(void **state)
{
	struct adder a[THREADS];
	struct place p;
	unsigned n;
	struct err e;

	(void)state;
	err_clear(&e);
	place_open(&p);
	n = add_all(&p, a, 20);
	assert_int_equal(n, different_chunks());
	pack_sink_hurry(p.sink);
	pack_sink_hurry(p.sink);
	assert_int_equal(pack_sink_flush(p.sink, &e), 0);
	assert_int_equal(packs_check(&p, NULL), n);
	place_close(&p);
}

static void
dropping_leaves_whole_packs_and_no_temporary_files(void **state)
{
	struct adder a[THREADS];
	struct place p;
	struct err e;

	(void)state;
	err_clear(&e);
	place_open(&p);
	(void)add_all(&p, a, 50);
	assert_int_equal(pack_sink_stop(p.sink, 1, &e), 0);
	(void)packs_check(&p, NULL);
	assert_int_equal(temporary_files(&p), 0);
	place_close(&p);
}

/* --- a disk that fails --- */

/* Run with call ${nth} of ${kind} failing: everybody hears of it, nobody hangs, and what the journal has is there. */
static void
fail_at(enum fault_kind kind, uint64_t nth, int every, int sys, enum err_code want)
{
	const struct fault_plan plan = { .kind = kind, .nth = nth, .every = every, .sys = sys };
	struct adder a[THREADS];
	struct place p;
	uint8_t id[DIGEST_LEN] = { 1 }, known;
	unsigned told = 0;
	struct err e;
	int rc;

	err_clear(&e);
	place_open(&p);
	fault_start(&plan);
	(void)add_all(&p, a, 100);
	rc = pack_sink_flush(p.sink, &e);
	if (fault_hits() == 0)
		fail_msg("kind %d has no call %llu", (int)kind, (unsigned long long)nth);
	for (unsigned i = 0; i < THREADS; i++) {
		told += a[i].rc != 0;
		if (a[i].rc != 0)
			assert_int_equal(a[i].e.code, want);
	}
	if (want == ERR_NONE) {
		assert_int_equal(rc, 0);
		assert_int_equal(told, 0);
	} else {
		assert_int_equal(rc, -1);
		assert_int_equal(e.code, want);
		assert_non_null(strstr(e.msg, "RM4K-1"));
		err_clear(&e);
		assert_int_equal(pack_sink_claim(p.sink, KIND_DATA, id, 1, &known, &e), -1);
		assert_int_equal(e.code, want);
		assert_int_equal(pack_sink_flush(p.sink, &e), -1);
	}
	(void)pack_sink_stop(p.sink, want != ERR_NONE, &e);
	fault_stop();
	(void)packs_check(&p, NULL);
	place_close(&p);
}

static void
a_full_disk_is_heard_by_all(void **state)
{
	(void)state;
	fail_at(FAULT_WRITE, 1, 0, ENOSPC, ERR_NO_SPACE);
	fail_at(FAULT_WRITE, 3, 1, ENOSPC, ERR_NO_SPACE);
	fail_at(FAULT_WRITE, 2, 0, EDQUOT, ERR_NO_SPACE);
}

static void
a_write_error_is_heard_by_all(void **state)
{
	(void)state;
	fail_at(FAULT_WRITE, 1, 1, EIO, ERR_IO);
	fail_at(FAULT_WRITE, 4, 0, EIO, ERR_IO);
	fail_at(FAULT_OPEN, 1, 1, EIO, ERR_IO);
	fail_at(FAULT_RENAME, 2, 0, EIO, ERR_IO);
	fail_at(FAULT_MKDIR, 1, 0, EIO, ERR_IO);
}

static void
a_failed_sync_is_final(void **state)
{
	(void)state;
	for (uint64_t nth = 1; nth <= 5; nth++)
		fail_at(FAULT_FSYNC, nth, 0, EIO, ERR_FSYNC);
}

static void
short_writes_are_gone_on_with(void **state)
{
	(void)state;
	fail_at(FAULT_WRITE, 2, 0, 0, ERR_NONE);
}

static ssize_t
no_pread(int fd, void *buf, size_t n, off_t at)
{
	(void)fd, (void)buf, (void)n, (void)at;
	errno = EIO;
	return -1;
}

/* A claim that failed half way leaves ids in the duplicate index that nobody packs. */
static void
after_a_claim_that_failed_nothing_counts_as_there(void **state)
{
	struct io_ops ops = *io_real();
	uint8_t ids[64 * DIGEST_LEN], known[64];
	const struct io_ops *before;
	struct place p;
	uint64_t seq;
	struct err e;

	(void)state;
	err_clear(&e);
	place_open(&p);
	seen_free(p.seen);
	assert_non_null(p.seen = seen_new(p.dir, 1000, 1u << 30, &e));	/* next to no memory: runs at once */
	pack_sink_free(p.sink);
	place_sink(&p);
	for (unsigned i = 0; i < 1000; i++) {
		io_random(ids, sizeof(ids));
		assert_int_equal(pack_sink_claim(p.sink, KIND_DATA, ids, 64, known, &e), 0);
	}
	io_random(ids, sizeof(ids));
	ops.pread = no_pread;
	before = io_use(&ops);
	assert_int_equal(pack_sink_claim(p.sink, KIND_DATA, ids, 64, known, &e), -1);
	(void)io_use(before);
	err_clear(&e);
	assert_int_equal(pack_sink_claim(p.sink, KIND_DATA, ids, 64, known, &e), -1);
	assert_int_equal(e.code, ERR_IO);
	assert_int_equal(pack_sink_seq(p.sink, ids, 64, &seq, &e), -1);
	place_close(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_chunk_is_stored_once_whoever_has_it),
		cmocka_unit_test(what_is_durable_is_in_the_journal_and_on_the_disk),
		cmocka_unit_test(a_hurry_makes_durable_without_waiting),
		cmocka_unit_test(dropping_leaves_whole_packs_and_no_temporary_files),
		cmocka_unit_test(a_full_disk_is_heard_by_all),
		cmocka_unit_test(a_write_error_is_heard_by_all),
		cmocka_unit_test(a_failed_sync_is_final),
		cmocka_unit_test(short_writes_are_gone_on_with),
		cmocka_unit_test(after_a_claim_that_failed_nothing_counts_as_there),
	};

	secret_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
