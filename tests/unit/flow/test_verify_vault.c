#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/flow/verify.h"
#include "flow/vault_site.h"

#define T(x)	cmocka_unit_test_setup_teardown(x, site_setup, site_teardown)

struct found {
	char text[200000];
	size_t len;
	struct verify_result r;
};

static void
told(void *arg, const struct finding *f)
{
	struct found *g = arg;

	g->len += (size_t)snprintf(g->text + g->len, sizeof(g->text) - g->len, "%s %s: %s\n", severity_text(f->severity), f->where,
	    f->what);
	assert_true(g->len < sizeof(g->text));
}

static struct found *
check(struct site *s, int quick)
{
	static struct found g;
	const struct verify_options o = { .quick = quick, .workers = 3, .memory = 100u << 20, .fn = told, .arg = &g };

	memset(&g, 0, sizeof(g));
	err_clear(&s->e);
	if (verify_vault(s->vault, &o, &g.r, &s->e) != 0)
		fail_msg("%s", s->e.msg);
	return &g;
}

static void
says(const struct found *g, const char *what)
{
	if (strstr(g->text, what) == NULL)
		fail_msg("\"%s\" is not among:\n%s", what, g->text);
}

/* Two images, the second mostly held already: packs taken whole and one made by the vault. */
static void
fill(struct site *s)
{
	struct seed_image im;

	seed_image_make(&im, &s->m, "RM4K");
	seed_disk(&im, s->disk[0], 1, 0, 21);
	seed_snapshot(&im, s->disk[0], 1, 0, 21);
	seed_manifest(&im, s->disk[0], 1);
	assert_int_equal(site_ingest(s, 0), 0);
	seed_image_make(&im, &s->m, "AB12");
	seed_disk(&im, s->disk[1], 1, 16, 8);
	seed_snapshot(&im, s->disk[1], 2, 0, 24);
	seed_manifest(&im, s->disk[1], 1);
	assert_int_equal(site_ingest(s, 1), 0);
	assert_true(s->r.packs_repacked > 0);
}

/* The first file below ${dir} of the vault (${skip} more are passed over), as a whole path. */
static void
object(struct site *s, const char *dir, unsigned skip, char path[512])
{
	char top[256];
	struct dirent **names;
	int n;

	(void)snprintf(top, sizeof(top), "%s/%s", s->vault, dir);
	for (;;) {
		struct stat st;

		n = scandir(top, &names, NULL, alphasort);
		assert_true(n >= 3 + (int)skip);
		(void)snprintf(path, 512, "%s/%s", top, names[2 + skip]->d_name);
		while (n-- > 0)
			free(names[n]);
		free(names);
		assert_int_equal(stat(path, &st), 0);
		if (S_ISREG(st.st_mode))
			return;
		(void)snprintf(top, sizeof(top), "%.255s", path);
		skip = 0;
	}
}

static void
flip(const char *path, off_t at)
{
	int fd = open(path, O_RDWR);
	uint8_t b;

	assert_true(fd != -1);
	at = lseek(fd, at, at < 0 ? SEEK_END : SEEK_SET);
	assert_int_equal(pread(fd, &b, 1, at), 1);
	b ^= 1;
	assert_int_equal(pwrite(fd, &b, 1, at), 1);
	(void)close(fd);
}

static void
a_whole_vault_is_found_whole(void **state)
{
	struct site *s = *state;

	fill(s);
	for (int quick = 0; quick < 2; quick++) {
		struct found *g = check(s, quick);

		if (g->len > 0)
			fail_msg("%s", g->text);
		assert_int_equal(g->r.snapshots, 2);
		assert_int_equal(g->r.snapshots_whole, 2);
		assert_int_equal(g->r.bad_chunks, 0);
		assert_int_equal(g->r.proof, quick ? PROOF_QUICK : PROOF_DIGESTS);
		assert_true(g->r.records >= 5);
	}
}

static void
one_flipped_bit_anywhere_is_found(void **state)
{
	static const struct { const char *dir; unsigned skip; off_t at; } t[] = {
		{ "packs", 0, 200 }, { "packs", 0, 5 }, { "packs", 0, -60 }, { "packs", 0, -300 },
		{ "packs", 1, 300 },
		{ "origins", 0, 100 },
		{ "records", 0, 60 }, { "records", 2, 100 }, { "records", 3, -3 },
		{ "snapshots", 0, 30 },
	};
	struct site *s = *state;
	char path[512];

	fill(s);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct found *g;

		object(s, t[i].dir, t[i].skip, path);
		flip(path, t[i].at);
		g = check(s, 0);
		if (g->r.lost == 0)
			fail_msg("%s at %ld: nothing found\n%s", path, (long)t[i].at, g->text);
		flip(path, t[i].at);
	}
	assert_int_equal(check(s, 0)->len, 0);
}

static void
a_record_that_is_gone_or_stands_elsewhere_is_found(void **state)
{
	struct site *s = *state;
	char a[512], b[512], c[512];
	struct found *g;

	fill(s);
	object(s, "records", 2, a);
	object(s, "records", 3, b);
	(void)snprintf(c, sizeof(c), "%s/away", s->root);
	assert_int_equal(rename(a, c), 0);
	g = check(s, 0);
	says(g, "are not there");
	assert_true(g->r.lost > 0);
	assert_int_equal(rename(b, a), 0);
	assert_int_equal(rename(c, b), 0);
	g = check(s, 0);
	says(g, "not this one");
}

static void
a_pack_that_is_gone_costs_its_snapshots(void **state)
{
	struct site *s = *state;
	struct found *g;
	char path[512];

	fill(s);
	object(s, "packs", 0, path);
	assert_int_equal(unlink(path), 0);
	g = check(s, 0);
	says(g, "incomplete");
	assert_true(g->r.snapshots_whole < 2);
}

static void
a_pack_under_the_name_of_another_is_not_believed(void **state)
{
	struct site *s = *state;
	char a[512], b[512], c[512];
	struct found *g;

	fill(s);
	object(s, "packs", 0, a);
	object(s, "packs", 1, b);
	(void)snprintf(c, sizeof(c), "%s/away", s->root);
	assert_int_equal(rename(a, c), 0);
	assert_int_equal(rename(b, a), 0);
	assert_int_equal(rename(c, b), 0);
	g = check(s, 0);
	says(g, "it is another pack than its name says");
	assert_true(g->r.lost > 0);
}

static void
a_second_good_copy_makes_damage_good(void **state)
{
	struct site *s = *state;
	char a[512], cmd[1200];
	struct found *g;

	fill(s);
	object(s, "packs", 0, a);
	(void)snprintf(cmd, sizeof(cmd), "cp '%s' '%.*s2'", a, (int)strlen(a) - 1, a);
	assert_int_equal(system(cmd), 0);
	flip(a, 300);
	g = check(s, 0);
	says(g, "repairable");
	assert_int_equal(g->r.lost, 0);
	assert_int_equal(g->r.snapshots_whole, 2);
}

static void
a_snapshot_that_was_received_and_is_gone_is_found(void **state)
{
	struct site *s = *state;
	struct found *g;
	char path[512];

	fill(s);
	object(s, "snapshots", 0, path);
	assert_non_null(strstr(path, ".env"));
	assert_int_equal(unlink(path), 0);
	g = check(s, 0);
	says(g, "the records say that it was received");
	says(g, "the list that it builds on is not there");	/* the other one's is a delta against it */
	assert_int_equal(g->r.lost, 2);
	assert_int_equal(g->r.snapshots_whole, 0);
}

static void
something_else_in_the_place_of_an_object_is_refused(void **state)
{
	struct site *s = *state;
	struct found *g;
	char path[512];

	fill(s);
	object(s, "packs", 0, path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0644), 0);
	g = check(s, 0);
	assert_true(g->r.lost > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_whole_vault_is_found_whole),
		T(one_flipped_bit_anywhere_is_found),
		T(a_record_that_is_gone_or_stands_elsewhere_is_found),
		T(a_pack_that_is_gone_costs_its_snapshots),
		T(a_pack_under_the_name_of_another_is_not_believed),
		T(a_second_good_copy_makes_damage_good),
		T(a_snapshot_that_was_received_and_is_gone_is_found),
		T(something_else_in_the_place_of_an_object_is_refused),
	};

	secret_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
