#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/scratch.h"
#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/io_fault.h"
#include "common/base/secret.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_chunks.h"
#include "common/catalog/catalog_db.h"
#include "common/catalog/catalog_rows.h"
#include "common/catalog/catalog_runs.h"

struct fixture {
	char dir[64], path[96];
	struct catalog *c;
	struct err e;
};

static const uint8_t vault[ID_LEN] = { 1, 2, 3 };
static const uint8_t domain[DIGEST_LEN] = { 9, 9 }, other_domain[DIGEST_LEN] = { 8, 8 };
static const uint8_t anna[ID_LEN] = { 0xa1 }, bert[ID_LEN] = { 0xb2 };

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	(void)close(scratch_make(f->dir));
	(void)snprintf(f->path, sizeof(f->path), "%s/catalog.db", f->dir);
	err_clear(&f->e);
	f->c = catalog_open(f->path, vault, 1, &f->e);
	assert_non_null(f->c);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	(void)io_use(io_real());
	catalog_close(f->c);
	scratch_remove(f->dir);
	free(f);
	return 0;
}

static void
id_of(uint64_t n, uint8_t id[DIGEST_LEN])
{
	uint64_t x = n * UINT64_C(0x9e3779b97f4a7c15) + 7;

	for (size_t i = 0; i < DIGEST_LEN; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		id[i] = (uint8_t)(x >> 24);
	}
}

static int
id_order(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_LEN);
}

/* Chunks ${from} .. ${from} + ${n} - 1 as copies of ${writer} in a new pack. */
static int64_t
add(struct fixture *f, const uint8_t *where, const uint8_t *writer, uint64_t from, size_t n)
{
	struct cat_copy *copies = calloc(n, sizeof(*copies));
	struct cat_pack p = { .copy = 1, .state = PACK_GOOD, .count = (uint32_t)n };
	int64_t number;

	assert_non_null(copies);
	assert_int_equal(catalog_begin(f->c, 1, &f->e), 0);
	number = catalog_pack_number(f->c, &f->e);
	assert_true(number > 0);
	id_of(from ^ UINT64_C(0xffff0000), p.id);
	memcpy(p.domain_id, where, DIGEST_LEN);
	p.n = number;
	assert_int_equal(catalog_put(f->c, &cat_packs, &p, &f->e), 0);
	for (size_t i = 0; i < n; i++) {
		id_of(from + i, copies[i].id);
		memcpy(copies[i].writer, writer, ID_LEN);
	}
	assert_int_equal(chunks_add(f->c, where, number, copies, n, &f->e), 0);
	assert_int_equal(catalog_commit(f->c, &f->e), 0);
	free(copies);
	return number;
}

/* How many of the chunks ${from} .. have a copy in ${state}. */
static size_t
held(struct fixture *f, const uint8_t *where, const uint8_t *writer, uint64_t from, size_t n, unsigned state)
{
	uint8_t *ids = malloc(n * DIGEST_LEN), *states = malloc(n);
	size_t found = 0;

	assert_true(ids != NULL && states != NULL);
	for (size_t i = 0; i < n; i++)
		id_of(from + i, ids + i * DIGEST_LEN);
	qsort(ids, n, DIGEST_LEN, id_order);
	assert_int_equal(chunks_find(f->c, where, writer, ids, n, states, &f->e), 0);
	for (size_t i = 0; i < n; i++)
		found += (states[i] & state) != 0;
	free(ids);
	free(states);
	return found;
}

static void
copies_are_told_apart_by_domain_and_writer(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(held(f, domain, anna, 0, 10, COPY_GOOD), 0);
	(void)add(f, domain, anna, 0, 10);
	assert_int_equal(held(f, domain, anna, 0, 20, COPY_GOOD), 10);
	assert_int_equal(held(f, domain, bert, 0, 20, COPY_GOOD), 0);
	assert_int_equal(held(f, domain, NULL, 0, 20, COPY_GOOD), 10);
	assert_int_equal(held(f, other_domain, anna, 0, 20, COPY_GOOD), 0);
	(void)add(f, domain, bert, 5, 10);
	assert_int_equal(held(f, domain, bert, 0, 20, COPY_GOOD), 10);
	assert_int_equal(held(f, domain, NULL, 0, 20, COPY_GOOD), 15);
}

static void
a_damaged_copy_leaves_another_good_one(void **state)
{
	struct fixture *f = *state;
	uint8_t ids[3 * DIGEST_LEN];
	int64_t first, second;

	first = add(f, domain, anna, 0, 10);
	second = add(f, domain, anna, 2, 2);
	assert_true(first != second);
	for (uint64_t i = 0; i < 3; i++)
		id_of(i, ids + i * DIGEST_LEN);
	assert_int_equal(catalog_begin(f->c, 1, &f->e), 0);
	assert_int_equal(chunks_mark(f->c, domain, first, ids, 3, COPY_DAMAGED, &f->e), 0);
	assert_int_equal(catalog_commit(f->c, &f->e), 0);
	assert_int_equal(held(f, domain, anna, 0, 10, COPY_GOOD), 8);
	assert_int_equal(held(f, domain, anna, 0, 10, COPY_DAMAGED), 3);
	assert_int_equal(catalog_begin(f->c, 1, &f->e), 0);
	assert_int_equal(chunks_mark(f->c, domain, first, ids, 3, 0, &f->e), 0);
	assert_int_equal(catalog_commit(f->c, &f->e), 0);
	assert_int_equal(held(f, domain, anna, 0, 10, COPY_DAMAGED), 0);
	assert_int_equal(held(f, domain, anna, 0, 10, COPY_GOOD), 8);
}

static void
a_walk_gives_every_copy_once_in_order(void **state)
{
	static const size_t steps[] = { 1, 2, 3, 7, 64, 1000 };
	struct fixture *f = *state;

	(void)add(f, domain, anna, 0, 50);
	(void)add(f, domain, bert, 25, 50);
	(void)add(f, domain, anna, 40, 5);
	(void)add(f, other_domain, anna, 0, 9);
	for (size_t k = 0; k < sizeof(steps) / sizeof(steps[0]); k++) {
		struct cat_place at[1000];
		uint8_t above[DIGEST_LEN];
		size_t n, all = 0;
		int begun = 0;

		/* A step of less than the copies of one id has to give up some of them. */
		while (assert_int_equal(chunks_walk(f->c, domain, begun ? above : NULL, at, steps[k], &n, &f->e), 0), n > 0) {
			for (size_t i = 0; i < n; i++) {
				assert_true(!begun || memcmp(above, at[i].id, DIGEST_LEN) < 0);
				assert_true(i == 0 || memcmp(at[i - 1].id, at[i].id, DIGEST_LEN) <= 0);
			}
			memcpy(above, at[n - 1].id, DIGEST_LEN);
			begun = 1;
			all += n;
		}
		if (steps[k] >= 3)
			assert_int_equal(all, 105);
	}
}

static void
rows_come_back_as_they_were_put(void **state)
{
	struct fixture *f = *state;
	struct cat_machine m = { .name = "db1 \xc3\xa4'\";--", .state = MACHINE_LIVE, .chunk_avg = UINT32_MAX,
	    .from_seq = INT64_MAX, .registered = INT64_MIN }, back;

	memcpy(m.id, anna, ID_LEN);
	memset(m.pub, 0xff, sizeof(m.pub));
	assert_int_equal(catalog_put(f->c, &cat_machines, &m, &f->e), 0);
	memset(&back, 0x55, sizeof(back));
	memcpy(back.id, anna, ID_LEN);
	assert_int_equal(catalog_get(f->c, &cat_machines, &back, &f->e), 0);
	assert_string_equal(back.name, m.name);
	assert_int_equal(back.state, m.state);
	assert_int_equal(back.chunk_avg, m.chunk_avg);
	assert_true(back.from_seq == INT64_MAX && back.registered == INT64_MIN);
	assert_memory_equal(back.pub, m.pub, sizeof(m.pub));
	memcpy(back.id, bert, ID_LEN);
	assert_int_equal(catalog_get(f->c, &cat_machines, &back, &f->e), 1);
	assert_int_equal(catalog_drop(f->c, &cat_machines, &m, &f->e), 0);
	assert_int_equal(catalog_get(f->c, &cat_machines, &m, &f->e), 1);
}

static int
row_see(void *arg, const void *row, struct err *e)
{
	char *text = arg;

	(void)e;
	(void)sprintf(text + strlen(text), "%u ", ((const struct cat_disk *)row)->number);
	return 0;
}

static void
rows_are_listed_by_their_keys(void **state)
{
	struct fixture *f = *state;
	struct cat_disk d = { .number = 0 };
	char text[64] = "";

	for (uint32_t i = 9; i > 0; i--) {
		d.number = i;
		memcpy(d.image_id, i % 2 ? anna : bert, ID_LEN);
		assert_int_equal(catalog_put(f->c, &cat_disks, &d, &f->e), 0);
	}
	memcpy(d.image_id, bert, ID_LEN);
	assert_int_equal(catalog_each(f->c, &cat_disks, 1, &d, row_see, text, &f->e), 0);
	assert_string_equal(text, "2 4 6 8 ");
	text[0] = '\0';
	assert_int_equal(catalog_each(f->c, &cat_disks, 0, NULL, row_see, text, &f->e), 0);
	assert_string_equal(text, "1 3 5 7 9 2 4 6 8 ");
}

static void
what_was_rolled_back_was_never_there(void **state)
{
	struct fixture *f = *state;
	int64_t v;

	assert_int_equal(catalog_begin(f->c, 1, &f->e), 0);
	assert_int_equal(catalog_number_set(f->c, "x", 5, &f->e), 0);
	assert_int_equal(catalog_number(f->c, "x", &v, &f->e), 0);
	assert_int_equal(v, 5);
	catalog_rollback(f->c);
	assert_int_equal(catalog_number(f->c, "x", &v, &f->e), 1);
	assert_int_equal(v, 0);
}

static void
a_catalog_of_another_vault_or_no_catalog_is_refused(void **state)
{
	struct fixture *f = *state;
	static const uint8_t else_id[ID_LEN] = { 7 };
	char path[128];
	int fd;

	assert_null(catalog_open(f->path, else_id, 0, &f->e));
	assert_int_equal(f->e.code, ERR_CATALOG);
	(void)snprintf(path, sizeof(path), "%s/none.db", f->dir);
	err_clear(&f->e);
	assert_null(catalog_open(path, vault, 0, &f->e));
	assert_int_equal(f->e.code, ERR_CATALOG);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(write(fd, "this is no database, however long it is looked at, not even remotely", 68) == 68);
	(void)close(fd);
	err_clear(&f->e);
	assert_null(catalog_open(path, vault, 1, &f->e));
	assert_int_equal(f->e.code, ERR_CATALOG);
}

/* Many processes count up one number; none of their steps is lost. */
static void
writers_wait_for_each_other(void **state)
{
	enum { PROCESSES = 4, STEPS = 25 };
	struct fixture *f = *state;
	pid_t child[PROCESSES];
	int64_t v;

	for (int i = 0; i < PROCESSES; i++) {
		if ((child[i] = fork()) == 0) {
			struct catalog *c = catalog_open(f->path, vault, 0, &f->e);
			int ok = c != NULL;

			for (int k = 0; k < STEPS && ok; k++)
				ok = catalog_begin(c, 1, &f->e) == 0 && catalog_number(c, "count", &v, &f->e) >= 0 &&
				    catalog_number_set(c, "count", v + 1, &f->e) == 0 && catalog_commit(c, &f->e) == 0;
			catalog_close(c);
			_exit(ok ? 0 : 1);
		}
		assert_true(child[i] != -1);
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status;

		assert_true(waitpid(child[i], &status, 0) == child[i]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	assert_int_equal(catalog_number(f->c, "count", &v, &f->e), 0);
	assert_int_equal(v, PROCESSES * STEPS);
}

/* Two handles in one process are as far apart as two processes. */
static void
a_reader_sees_all_of_a_transaction_or_nothing(void **state)
{
	struct fixture *f = *state;
	struct catalog *reader = catalog_open(f->path, vault, 0, &f->e);
	int64_t v;

	assert_non_null(reader);
	assert_int_equal(catalog_begin(f->c, 1, &f->e), 0);
	assert_int_equal(catalog_number_set(f->c, "a", 1, &f->e), 0);
	assert_int_equal(catalog_number(reader, "a", &v, &f->e), 1);
	assert_int_equal(catalog_commit(f->c, &f->e), 0);
	assert_int_equal(catalog_number(reader, "a", &v, &f->e), 0);
	assert_int_equal(v, 1);
	catalog_close(reader);
}

/* Whatever call fails: the transaction is there whole, or not, and the catalog is sound. */
static void
any_call_may_fail_without_harm(void **state)
{
	static const struct { enum fault_kind kind; int sys; } kinds[] = {
		{ FAULT_WRITE, ENOSPC }, { FAULT_WRITE, EIO }, { FAULT_FSYNC, EIO }, { FAULT_READ, EIO },
		{ FAULT_TRUNCATE, EIO }, { FAULT_LOCK, EIO }, { FAULT_OPEN, EMFILE },
	};
	struct fixture *f = *state;
	uint64_t step = 1;

	(void)add(f, domain, anna, 0, 2000);
	assert_int_equal(catalog_number_set(f->c, "step", 0, &f->e), 0);
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		for (uint64_t nth = 1;; nth++) {
			struct fault_plan plan = { .kind = kinds[k].kind, .nth = nth, .sys = kinds[k].sys };
			int64_t was, is;
			struct catalog *c;
			int ok;

			assert_int_equal(catalog_number(f->c, "step", &was, &f->e), 0);
			fault_start(&plan);
			err_clear(&f->e);
			c = catalog_open(f->path, vault, 0, &f->e);
			ok = c != NULL && catalog_begin(c, 1, &f->e) == 0;
			if (ok && !(ok = catalog_number_set(c, "step", (int64_t)step, &f->e) == 0))
				catalog_rollback(c);
			ok = ok && catalog_commit(c, &f->e) == 0;
			catalog_close(c);
			fault_stop();
			assert_true(ok || f->e.code != ERR_NONE);
			assert_int_equal(catalog_number(f->c, "step", &is, &f->e), 0);
			assert_true(ok ? is == (int64_t)step : is == was || is == (int64_t)step);
			assert_int_equal(held(f, domain, anna, 0, 2000, COPY_GOOD), 2000);
			step++;
			if (fault_hits() == 0)
				break;
		}
	}
}

static int
line_count(void *arg, const char *line, struct err *e)
{
	(void)line;
	(void)e;
	(*(size_t *)arg)++;
	return 0;
}

/*
 * Many chunks: added in batches, all found, none invented, walked in order.
 * SAMARA_SCALE_CHUNKS in the environment sets how many.
 */
static void
many_chunks_are_kept_and_found(void **state)
{
	const char *wanted = getenv("SAMARA_SCALE_CHUNKS");
	const uint64_t all = wanted != NULL ? strtoull(wanted, NULL, 10) : SAMARA_SANITIZED ? 60000 : 1000000;
	const size_t batch = all < 100000 ? 5000 : 16384;
	struct fixture *f = *state;
	struct cat_place *at = calloc(65536, sizeof(*at));
	uint8_t above[DIGEST_LEN];
	uint64_t n, seen = 0;
	size_t got, lines = 0;

	assert_non_null(at);
	for (uint64_t from = 0; from < all; from += batch)
		(void)add(f, domain, anna, from, from + batch > all ? (size_t)(all - from) : batch);
	assert_int_equal(chunks_count(f->c, &n, &f->e), 0);
	assert_true(n == all);
	for (uint64_t from = 0; from < all; from += all / 4)
		assert_int_equal(held(f, domain, anna, from, all / 8, COPY_GOOD), all / 8);
	assert_int_equal(held(f, domain, anna, all, 10000, COPY_GOOD), 0);
	while (assert_int_equal(chunks_walk(f->c, domain, seen > 0 ? above : NULL, at, 65536, &got, &f->e), 0), got > 0) {
		for (size_t i = 1; i < got; i++)
			assert_true(memcmp(at[i - 1].id, at[i].id, DIGEST_LEN) < 0);
		assert_true(seen == 0 || memcmp(above, at[0].id, DIGEST_LEN) < 0);
		memcpy(above, at[got - 1].id, DIGEST_LEN);
		seen += got;
	}
	assert_true(seen == all);
	if (all <= 100000) {
		assert_int_equal(catalog_dump(f->c, line_count, &lines, &f->e), 0);
		assert_true(lines > all);
	}
	free(at);
}

/* What a plain table of copies would say. */
#define MODEL_IDS	60u
#define MODEL_PACKS	200u
static uint8_t model[MODEL_IDS][MODEL_PACKS];	/* state of the copy of an id in a pack; 0: none */

static void
model_is_right(struct fixture *f)
{
	uint8_t ids[MODEL_IDS * DIGEST_LEN], states[MODEL_IDS], want[MODEL_IDS][DIGEST_LEN];
	uint64_t all = 0, n;

	for (unsigned i = 0; i < MODEL_IDS; i++)
		id_of(i, want[i]);
	memcpy(ids, want, sizeof(ids));
	qsort(ids, MODEL_IDS, DIGEST_LEN, id_order);
	/* All at once, then a few at a time: runs are read along, or asked for each id. */
	for (size_t step = MODEL_IDS; step > 0; step = step == MODEL_IDS ? 2 : 0)
		for (size_t at = 0; at < MODEL_IDS; at += step) {
			assert_int_equal(chunks_find(f->c, domain, anna, ids + at * DIGEST_LEN, step, states + at, &f->e), 0);
			for (size_t k = at; k < at + step; k++)
				for (unsigned i = 0; i < MODEL_IDS; i++) {
					uint8_t state = 0;

					if (memcmp(want[i], ids + k * DIGEST_LEN, DIGEST_LEN) != 0)
						continue;
					for (unsigned p = 0; p < MODEL_PACKS; p++)
						state |= model[i][p];
					assert_int_equal(states[k], state);
				}
		}
	for (unsigned i = 0; i < MODEL_IDS; i++)
		for (unsigned p = 0; p < MODEL_PACKS; p++)
			all += model[i][p] != 0;
	assert_int_equal(chunks_count(f->c, &n, &f->e), 0);
	assert_true(n == all);
}

static void
runs_give_the_answers_of_one_table(void **state)
{
	struct fixture *f = *state;
	uint64_t x = 4711;
	int64_t packs[MODEL_PACKS];
	unsigned npacks = 0;

	memset(model, 0, sizeof(model));
	while (npacks < MODEL_PACKS) {
		uint8_t id[DIGEST_LEN];
		unsigned from, n, p;

		x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		from = (unsigned)(x >> 33) % MODEL_IDS;
		n = 1 + (unsigned)(x >> 40) % 12;
		n = from + n > MODEL_IDS ? MODEL_IDS - from : n;
		p = npacks == 0 ? 0 : (unsigned)(x >> 50) % npacks;
		if (npacks == 0 || x >> 61 < 3) {	/* a new pack */
			packs[npacks] = add(f, domain, anna, from, n);
			for (unsigned i = from; i < from + n; i++)
				model[i][npacks] = COPY_GOOD;
			npacks++;
		} else if (x >> 61 < 5) {	/* once more what a pack holds, perhaps more of it: what is there stays as it is */
			struct cat_copy copies[12];

			for (unsigned i = 0; i < n; i++) {
				id_of(from + i, copies[i].id);
				memcpy(copies[i].writer, anna, ID_LEN);
				if (model[from + i][p] == 0)
					model[from + i][p] = COPY_GOOD;
			}
			assert_int_equal(catalog_begin(f->c, 1, &f->e), 0);
			assert_int_equal(chunks_add(f->c, domain, packs[p], copies, n, &f->e), 0);
			assert_int_equal(catalog_commit(f->c, &f->e), 0);
		} else {		/* another state, or away */
			unsigned to = x >> 61 == 5 ? 0 : x >> 61 == 6 ? COPY_DAMAGED : COPY_DISPUTED;

			id_of(from, id);
			if (model[from][p] != 0)
				model[from][p] = (uint8_t)to;
			assert_int_equal(catalog_begin(f->c, 1, &f->e), 0);
			assert_int_equal(chunks_mark(f->c, domain, packs[p], id, 1, to, &f->e), 0);
			assert_int_equal(catalog_commit(f->c, &f->e), 0);
		}
		if (npacks % 5 == 0)
			model_is_right(f);
	}
	model_is_right(f);
}

/* A run is made, and runs are merged, in a transaction that is not committed. */
static void
runs_that_were_rolled_back_were_never_there(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 20; i++) {
		struct cat_copy copies[50];
		int64_t number;

		(void)add(f, domain, anna, i * 100, 30);
		assert_int_equal(catalog_begin(f->c, 1, &f->e), 0);
		number = catalog_pack_number(f->c, &f->e);
		for (unsigned k = 0; k < 50; k++) {
			id_of(i * 100 + 40 + k, copies[k].id);
			memcpy(copies[k].writer, anna, ID_LEN);
		}
		assert_int_equal(chunks_add(f->c, domain, number, copies, 50, &f->e), 0);
		catalog_rollback(f->c);
		assert_int_equal(held(f, domain, anna, 0, 2000, COPY_GOOD), (i + 1) * 30);
	}
}

/* Another process merges runs while this one asks: it sees all of them, or what they became. */
static void
a_reader_beside_merges_misses_nothing(void **state)
{
	struct fixture *f = *state;
	pid_t child;
	int status;

	(void)add(f, domain, anna, 0, 100);
	child = fork();
	assert_true(child != -1);
	if (child == 0) {
		struct fixture g = *f;

		err_clear(&g.e);
		g.c = catalog_open(f->path, vault, 0, &g.e);
		for (unsigned i = 0; g.c != NULL && i < 60; i++)
			(void)add(&g, domain, bert, i * 40, 40);
		_exit(g.c == NULL);
	}
	do {
		assert_int_equal(held(f, domain, anna, 0, 100, COPY_GOOD), 100);
	} while (waitpid(child, &status, WNOHANG) == 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(held(f, domain, bert, 0, 2400, COPY_GOOD), 2400);
}

int
main(void)
{
	const struct CMUnitTest small_runs[] = {
		cmocka_unit_test_setup_teardown(runs_give_the_answers_of_one_table, setup, teardown),
		cmocka_unit_test_setup_teardown(runs_that_were_rolled_back_were_never_there, setup, teardown),
		cmocka_unit_test_setup_teardown(a_reader_beside_merges_misses_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(copies_are_told_apart_by_domain_and_writer, setup, teardown),
		cmocka_unit_test_setup_teardown(a_damaged_copy_leaves_another_good_one, setup, teardown),
		cmocka_unit_test_setup_teardown(a_walk_gives_every_copy_once_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(a_reader_sees_all_of_a_transaction_or_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(any_call_may_fail_without_harm, setup, teardown),
	};
	const struct CMUnitTest tests[] = {
#define T(x) cmocka_unit_test_setup_teardown(x, setup, teardown)
		T(copies_are_told_apart_by_domain_and_writer),
		T(a_damaged_copy_leaves_another_good_one),
		T(a_walk_gives_every_copy_once_in_order),
		T(rows_come_back_as_they_were_put),
		T(rows_are_listed_by_their_keys),
		T(what_was_rolled_back_was_never_there),
		T(a_catalog_of_another_vault_or_no_catalog_is_refused),
		T(writers_wait_for_each_other),
		T(a_reader_sees_all_of_a_transaction_or_nothing),
		T(any_call_may_fail_without_harm),
		T(many_chunks_are_kept_and_found),
	};

	int failed;

	secret_init();
	failed = cmocka_run_group_tests_name("as ever", tests, NULL, NULL);
	/* The same where there are many runs, merged again and again. */
	runs_resize(40, 3);
	failed += cmocka_run_group_tests_name("many runs", small_runs, NULL, NULL);
	return failed;
}
