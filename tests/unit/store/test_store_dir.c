#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/scratch.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/queue.h"
#include "common/store/store.h"

struct fixture {
	char path[64];
	int fd;
	struct store *s;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err e;

	assert_non_null(f);
	f->fd = scratch_make(f->path);
	err_clear(&e);
	f->s = store_dir_open(f->path, 1, &e);
	assert_non_null(f->s);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	(void)io_use(io_real());
	if (f->s != NULL)
		f->s->ops->free(f->s);
	(void)close(f->fd);
	scratch_remove(f->path);
	free(f);
	return 0;
}

static int
put(struct store *s, const char *name, const char *text)
{
	struct err e;

	err_clear(&e);
	return s->ops->put_new(s, name, text, strlen(text), &e);
}

static void
assert_holds(struct store *s, const char *name, const char *text)
{
	uint8_t *p;
	size_t n;
	struct err e;

	err_clear(&e);
	assert_int_equal(store_read(s, name, 1 << 20, &p, &n, &e), 0);
	assert_int_equal(n, strlen(text));
	assert_memory_equal(p, text, n);
	free(p);
}

static size_t
count_tmp(struct fixture *f)
{
	char **names;
	size_t n;

	assert_int_equal(dir_list(f->fd, "tmp", &names, &n, NULL), 0);
	dir_list_free(names, n);
	return n;
}

static void
what_was_put_first_stays_and_the_second_learns_it(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(put(f->s, "packs/ab/abcd.1", "first"), 0);
	assert_int_equal(put(f->s, "packs/ab/abcd.1", "second"), 1);
	assert_holds(f->s, "packs/ab/abcd.1", "first");
	assert_int_equal(count_tmp(f), 0);
}

static void
ranges_end_where_the_object_ends(void **state)
{
	struct fixture *f = *state;
	struct err e;
	char b[16];
	size_t got;

	err_clear(&e);
	assert_int_equal(put(f->s, "a", "0123456789"), 0);
	assert_int_equal(f->s->ops->get(f->s, "a", 4, b, 3, &got, &e), 0);
	assert_int_equal(got, 3);
	assert_memory_equal(b, "456", 3);
	assert_int_equal(f->s->ops->get(f->s, "a", 8, b, 16, &got, &e), 0);
	assert_int_equal(got, 2);
	assert_int_equal(f->s->ops->get(f->s, "a", 10, b, 16, &got, &e), 0);
	assert_int_equal(got, 0);
	assert_int_equal(f->s->ops->get(f->s, "b", 0, b, 16, &got, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(f->s->ops->get(f->s, "a", UINT64_MAX, b, 16, &got, &e), -1);
}

static void
absence_is_an_answer_and_deleting_twice_is_fine(void **state)
{
	struct fixture *f = *state;
	struct err e;
	uint64_t len;

	err_clear(&e);
	assert_int_equal(f->s->ops->stat(f->s, "x/y", &len, &e), 1);
	assert_int_equal(put(f->s, "x/y", "abc"), 0);
	assert_int_equal(f->s->ops->stat(f->s, "x/y", &len, &e), 0);
	assert_int_equal(len, 3);
	assert_int_equal(f->s->ops->del(f->s, "x/y", &e), 0);
	assert_int_equal(f->s->ops->stat(f->s, "x/y", &len, &e), 1);
	assert_int_equal(f->s->ops->del(f->s, "x/y", &e), 0);
	assert_int_equal(f->s->ops->del(f->s, "no/such/dir", &e), 0);
}

static void
names_that_could_lead_elsewhere_are_refused(void **state)
{
	static const char *const bad[] = {
		"", "/", "/a", "a/", "a//b", "..", "../a", "a/../b", ".", "a/.", ".hidden", "A", "a b", "a\nb", "a\\b",
		"tmp", "tmp/put-0000000000000000", "local", "local/vault.key"
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e;
		uint64_t len;
		size_t got;
		char b;

		err_clear(&e);
		assert_int_equal(f->s->ops->put_new(f->s, bad[i], "x", 1, &e), -1);
		assert_int_equal(f->s->ops->get(f->s, bad[i], 0, &b, 1, &got, &e), -1);
		assert_int_equal(f->s->ops->stat(f->s, bad[i], &len, &e), -1);
		assert_int_equal(f->s->ops->del(f->s, bad[i], &e), -1);
	}
	assert_int_equal(put(f->s, "tmpx/a.b-c_9", "x"), 0);
	assert_int_equal(put(f->s, "localx", "x"), 0);
}

struct seen {
	char text[512];
	size_t left;
};

static int
see(void *arg, const char *name, uint64_t len, struct err *e)
{
	struct seen *s = arg;

	(void)len;
	(void)e;
	(void)strcat(s->text, name);
	(void)strcat(s->text, " ");
	return --s->left == 0 ? 7 : 0;
}

static void
a_list_is_in_byte_order_of_whole_names(void **state)
{
	static const char *const names[] = { "a/z", "a.b", "a-b", "a0", "b/c/d", "b/c.d", "b/a", "c" };
	static const struct { const char *prefix, *from, *want; size_t stop; int rc; } t[] = {
		{ "", "", "a-b a.b a/z a0 b/a b/c.d b/c/d c ", 99, 0 },
		{ "b/", "", "b/a b/c.d b/c/d ", 99, 0 },
		{ "b/c", "", "b/c.d b/c/d ", 99, 0 },
		{ "b/c/", "", "b/c/d ", 99, 0 },
		{ "a", "a.b", "a/z a0 ", 99, 0 },
		{ "", "b/c.d", "b/c/d c ", 99, 0 },
		{ "", "b/zz", "c ", 99, 0 },
		{ "nothing/here", "", "", 99, 0 },
		{ "", "", "a-b a.b ", 2, 7 },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(put(f->s, names[i], "x"), 0);
	assert_int_equal(mkdirat(f->fd, "lost+found", 0700), 0);
	assert_int_equal(symlinkat("a/z", f->fd, "link"), 0);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct seen s = { "", t[i].stop };
		struct err e;

		err_clear(&e);
		assert_int_equal(f->s->ops->list(f->s, t[i].prefix, t[i].from, see, &s, &e), t[i].rc);
		assert_string_equal(s.text, t[i].want);
	}
}

struct pieces {
	size_t left;
	uint8_t next;
};

static ssize_t
piece(void *arg, uint8_t *buf, size_t cap, struct err *e)
{
	struct pieces *p = arg;
	size_t n = p->left < cap ? p->left : cap;

	if (n > 100001)
		n = 100001;
	if (p->left == SIZE_MAX)
		return err_set(e, ERR_MEDIUM, "cannot be read");
	for (size_t i = 0; i < n; i++)
		buf[i] = p->next++;
	p->left -= n;
	return (ssize_t)n;
}

static void
streamed_content_arrives_whole_or_not_at_all(void **state)
{
	struct fixture *f = *state;
	struct pieces p = { 5000000, 0 }, broken = { SIZE_MAX, 0 };
	struct err e;
	uint8_t *bytes;
	uint64_t len;
	size_t n;

	err_clear(&e);
	assert_int_equal(f->s->ops->put_new_from(f->s, "big", piece, &p, &e), 0);
	assert_int_equal(store_read(f->s, "big", 5000000, &bytes, &n, &e), 0);
	assert_int_equal(n, 5000000);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(bytes[i], i & 0xff);
	free(bytes);
	assert_int_equal(store_read(f->s, "big", 4999999, &bytes, &n, &e), -1);
	assert_int_equal(e.code, ERR_FORMAT);
	err_clear(&e);
	assert_int_equal(f->s->ops->put_new_from(f->s, "broken", piece, &broken, &e), -1);
	assert_int_equal(e.code, ERR_MEDIUM);
	assert_int_equal(f->s->ops->stat(f->s, "broken", &len, &e), 1);
	assert_int_equal(count_tmp(f), 0);
}

static void
large_objects_of_odd_length_come_back(void **state)
{
	struct fixture *f = *state;
	const size_t n = (2u << 20) + 4097;
	uint8_t *in = aligned_alloc(4096, (3u << 20)), *out;
	struct err e;
	size_t len;

	assert_non_null(in);
	for (size_t i = 0; i < n; i++)
		in[i] = (uint8_t)(i * 7 + (i >> 12));
	err_clear(&e);
	assert_int_equal(f->s->ops->put_new(f->s, "even", in, n, &e), 0);
	assert_int_equal(f->s->ops->put_new(f->s, "odd", in + 1, n - 1, &e), 0);
	assert_int_equal(store_read(f->s, "even", n, &out, &len, &e), 0);
	assert_int_equal(len, n);
	assert_memory_equal(in, out, n);
	free(out);
	assert_int_equal(store_read(f->s, "odd", n, &out, &len, &e), 0);
	assert_int_equal(len, n - 1);
	assert_memory_equal(in + 1, out, n - 1);
	free(out);
	free(in);
}

/* What a stopped run leaves is removed by the next put; what a running one holds is not. */
static void
only_what_nobody_holds_is_swept(void **state)
{
	struct fixture *f = *state;
	struct store *second;
	struct err e;
	struct stat st;
	int held;

	assert_int_equal(file_put_new(f->fd, "tmp/put-0123456789abcdef", "left", 4, 0644, NULL), 0);
	assert_int_equal(file_put_new(f->fd, "tmp/put-held90123456789a", "odd", 3, 0644, NULL), 0);
	assert_int_equal(file_put_new(f->fd, "tmp/notes", "mine", 4, 0644, NULL), 0);
	assert_int_equal(file_put_new(f->fd, "tmp/put-00000000000000ff", "busy", 4, 0644, NULL), 0);
	held = openat(f->fd, "tmp/put-00000000000000ff", O_RDWR);
	assert_true(held != -1 && flock(held, LOCK_EX) == 0);
	err_clear(&e);
	second = store_dir_open(f->path, 0, &e);
	assert_non_null(second);
	assert_int_equal(put(second, "x", "y"), 0);
	assert_int_equal(fstatat(f->fd, "tmp/put-0123456789abcdef", &st, 0), -1);
	assert_int_equal(fstatat(f->fd, "tmp/put-held90123456789a", &st, 0), 0);
	assert_int_equal(fstatat(f->fd, "tmp/notes", &st, 0), 0);
	assert_int_equal(fstatat(f->fd, "tmp/put-00000000000000ff", &st, 0), 0);
	(void)close(held);
	second->ops->free(second);
}

static struct io_ops lame;
static unsigned refused_rename, refused_link, syncs;

static int
no_rename2(int a, const char *old, int b, const char *new, unsigned flags)
{
	if (flags != 0) {
		refused_rename++;
		errno = EINVAL;
		return -1;
	}
	return io_real()->renameat2(a, old, b, new, flags);
}

static int
no_link(int a, const char *old, int b, const char *new, int flags)
{
	(void)a, (void)old, (void)b, (void)new, (void)flags;
	refused_link++;
	errno = EPERM;
	return -1;
}

static void
without_rename_noreplace_links_do_it(void **state)
{
	struct fixture *f = *state;

	lame = *io_real();
	lame.renameat2 = no_rename2;
	refused_rename = 0;
	(void)io_use(&lame);
	assert_int_equal(put(f->s, "one/two", "first"), 0);
	assert_int_equal(put(f->s, "one/two", "second"), 1);
	assert_true(refused_rename > 0);
	assert_holds(f->s, "one/two", "first");
	assert_int_equal(count_tmp(f), 0);
}

static void
with_neither_no_vault_is_made(void **state)
{
	struct fixture *f = *state;
	char path[4096];
	struct err e;

	lame = *io_real();
	lame.renameat2 = no_rename2;
	lame.linkat = no_link;
	refused_link = 0;
	(void)io_use(&lame);
	(void)snprintf(path, sizeof(path), "%s/vault", f->path);
	err_clear(&e);
	assert_null(store_dir_open(path, 1, &e));
	assert_int_equal(e.code, ERR_FILE_SYSTEM);
	assert_true(refused_link > 0);
}

static int
failing_sync(int fd)
{
	(void)fd;
	syncs++;
	errno = EIO;
	return -1;
}

static void
an_object_whose_sync_failed_gets_no_name(void **state)
{
	struct fixture *f = *state;
	struct err e;
	uint64_t len;

	assert_int_equal(put(f->s, "d/first", "x"), 0);	/* the directory is known from now on */
	lame = *io_real();
	lame.fsync = failing_sync;
	syncs = 0;
	(void)io_use(&lame);
	err_clear(&e);
	assert_int_equal(f->s->ops->put_new(f->s, "d/second", "y", 1, &e), -1);
	assert_int_equal(e.code, ERR_FSYNC);
	assert_int_equal(syncs, 1);
	(void)io_use(io_real());
	assert_int_equal(f->s->ops->stat(f->s, "d/second", &len, &e), 1);
	assert_int_equal(count_tmp(f), 0);
}

static void
a_place_without_a_vault_is_named(void **state)
{
	struct fixture *f = *state;
	char path[4096];
	struct err e;

	(void)snprintf(path, sizeof(path), "%s/none", f->path);
	err_clear(&e);
	assert_null(store_dir_open(path, 0, &e));
	assert_int_equal(e.code, ERR_NO_VAULT);
	assert_int_equal(file_put_new(f->fd, "none", "a file", 6, 0644, NULL), 0);
	err_clear(&e);
	assert_null(store_dir_open(path, 0, &e));
	assert_int_equal(e.code, ERR_NO_VAULT);
	assert_int_equal(unlinkat(f->fd, "none", 0), 0);
	assert_int_equal(mkdirat(f->fd, "none", 0755), 0);
	err_clear(&e);
	assert_null(store_dir_open(path, 0, &e));
	assert_int_equal(e.code, ERR_NO_VAULT);
}

#define RACERS	4
#define NAMES	50

struct race {
	struct store *s;
	int made[RACERS];
	unsigned char next;
};

static void
racer(void *arg)
{
	struct race *r = arg;
	int me = __atomic_fetch_add(&r->next, 1, __ATOMIC_RELAXED);
	char name[32], text[16];

	(void)snprintf(text, sizeof(text), "of %d", me);
	for (int i = 0; i < NAMES; i++) {
		(void)snprintf(name, sizeof(name), "race/%02d/x%d", i % 7, i);
		r->made[me] += put(r->s, name, text) == 0;
	}
}

static void
of_many_that_put_one_name_exactly_one_made_it(void **state)
{
	struct fixture *f = *state;
	struct race r = { .s = f->s };
	int all = 0;

	assert_int_equal(pool_run(RACERS, racer, &r, NULL), 0);
	for (int i = 0; i < RACERS; i++)
		all += r.made[i];
	assert_int_equal(all, NAMES);
	assert_int_equal(count_tmp(f), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(x) cmocka_unit_test_setup_teardown(x, setup, teardown)
		T(what_was_put_first_stays_and_the_second_learns_it),
		T(ranges_end_where_the_object_ends),
		T(absence_is_an_answer_and_deleting_twice_is_fine),
		T(names_that_could_lead_elsewhere_are_refused),
		T(a_list_is_in_byte_order_of_whole_names),
		T(streamed_content_arrives_whole_or_not_at_all),
		T(large_objects_of_odd_length_come_back),
		T(only_what_nobody_holds_is_swept),
		T(without_rename_noreplace_links_do_it),
		T(with_neither_no_vault_is_made),
		T(an_object_whose_sync_failed_gets_no_name),
		T(a_place_without_a_vault_is_named),
		T(of_many_that_put_one_name_exactly_one_made_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
