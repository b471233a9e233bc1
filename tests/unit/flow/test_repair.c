#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/flow/repair.h"
#include "common/flow/verify.h"
#include "flow/hurt.h"

#define T(x)	cmocka_unit_test_setup_teardown(x, site_setup, site_teardown)

/* What repair_run gave, compared with what the packs were. */
struct given {
	struct hurt *h;
	uint8_t *was[512];
	size_t len[512];
	uint32_t whole, not_whole;
	char why[256];
};

/* Remember every pack as it is. */
static void
remember(struct given *g, struct hurt *h)
{
	char name[IMAGE_NAME_MAX], path[512];
	struct err e;

	memset(g, 0, sizeof(*g));
	g->h = h;
	err_clear(&e);
	for (uint32_t i = 0; i < h->packs; i++) {
		image_name_pack(name, i);
		assert_int_equal(file_read(AT_FDCWD, hurt_path(h->s, path, name), PACK_LEN_MAX, &g->was[i], &g->len[i], &e), 0);
	}
}

static void
forget(struct given *g)
{
	for (uint32_t i = 0; i < g->h->packs; i++)
		free(g->was[i]);
}

static int
given(void *arg, const struct repaired *p, struct err *e)
{
	struct given *g = arg;

	(void)e;
	if (p->whole) {
		g->whole++;
		assert_int_equal(p->len, g->len[p->number]);
		assert_memory_equal(p->bytes, g->was[p->number], p->len);
	} else {
		g->not_whole++;
		(void)snprintf(g->why, sizeof(g->why), "%s", p->why);
	}
	return 0;
}

/* Want all packs, and have those that are damaged made again. */
static void
make_again(struct given *g)
{
	struct disk_statement st;
	struct image_dir d;
	struct repair *r;
	uint8_t *bytes;
	struct err e;
	size_t len;
	int fd;

	err_clear(&e);
	g->whole = g->not_whole = 0;
	g->why[0] = '\0';
	assert_int_not_equal(fd = dir_open(AT_FDCWD, g->h->s->disk[0], &e), -1);
	assert_int_equal(image_dir_open(fd, "RM4K", &d, &e), 0);
	assert_int_equal(image_statement(&d, &bytes, &len, &st, &e), 0);
	if ((r = repair_new(&d, &st, &e)) == NULL)
		fail_msg("%s", e.msg);
	for (uint32_t i = 0; i < g->h->packs; i++)
		repair_want(r, i);
	repair_want(r, 1000000);
	assert_int_equal(repair_wanted(r), g->h->packs);
	if (repair_run(r, given, g, &e) != 0)
		fail_msg("%s", e.msg);
	assert_int_equal(repair_wanted(r), 0);
	assert_int_equal(g->whole + g->not_whole, g->h->packs);
	repair_free(r);
	free(bytes);
	image_dir_close(&d);
	(void)close(fd);
}

static void
what_is_whole_stays_as_it_is(void **state)
{
	struct hurt h;
	struct given g;

	hurt_disk(&h, *state, 7, 2, 5);
	remember(&g, &h);
	make_again(&g);
	assert_int_equal(g.whole, 7);
	forget(&g);
}

/* 230 packs are three groups; at 5 percent each has four parity packs, so 12 in a row may go. */
static void
as_many_packs_in_a_row_come_back_as_there_is_parity(void **state)
{
	struct hurt h;
	struct given g;

	hurt_disk(&h, *state, 230, 1, 5);
	remember(&g, &h);
	for (uint32_t i = 100; i < 112; i++)
		hurt_unlink(&h, i, 0);
	make_again(&g);
	assert_int_equal(g.whole, 230);
	hurt_unlink(&h, 112, 0);
	make_again(&g);
	assert_int_equal(g.whole, 230 - 5);	/* all that one group lost */
	assert_int_equal(g.not_whole, 5);
	forget(&g);
}

static void
every_kind_of_damage_comes_back_byte_for_byte(void **state)
{
	struct hurt h;
	struct given g;

	hurt_disk(&h, *state, 40, 60, 10);		/* one group, four of parity, three rows */
	remember(&g, &h);
	hurt_pack(&h, 0, 0, 100000);
	hurt_cut(&h, 1, 70000);
	hurt_unlink(&h, 2, 0);
	hurt_unlink(&h, 3, 1);				/* of parity */
	make_again(&g);
	assert_int_equal(g.whole, 40);
	forget(&g);
}

static void
a_file_that_is_too_long_and_two_that_changed_places_come_back(void **state)
{
	char name[IMAGE_NAME_MAX], path[512];
	struct hurt h;
	struct given g;
	int fd;

	hurt_disk(&h, *state, 40, 3, 10);
	remember(&g, &h);
	hurt_swap(&h, 5, 17);
	image_name_pack(name, 30);
	fd = open(hurt_path(h.s, path, name), O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "more", 4), 4);
	(void)close(fd);
	make_again(&g);
	assert_int_equal(g.whole, 40);
	forget(&g);
}

/* More packs are damaged than there is parity, but no row has more damaged shards than that. */
static void
damage_in_different_places_of_many_packs_comes_back(void **state)
{
	struct hurt h;
	struct given g;

	hurt_disk(&h, *state, 30, 60, 5);		/* two of parity, three rows */
	remember(&g, &h);
	for (uint32_t i = 0; i < 6; i++)
		hurt_pack(&h, i * 5, (off_t)(i / 2) * PARITY_SHARD_LEN + 17, 512);
	make_again(&g);
	assert_int_equal(g.whole, 30);
	hurt_pack(&h, 3, 100, 1);			/* a third in the first row */
	make_again(&g);
	assert_int_equal(g.not_whole, 3);
	assert_non_null(strstr(g.why, "too many others"));
	forget(&g);
}

static void
the_second_table_of_a_parity_pack_serves_when_the_first_is_spoilt(void **state)
{
	struct hurt h;
	struct given g;

	hurt_disk(&h, *state, 10, 1, 5);		/* one of parity */
	remember(&g, &h);
	hurt_bytes(&h, "parity/0000/00000000.pp", 0, 512);
	hurt_unlink(&h, 4, 0);
	make_again(&g);
	assert_int_equal(g.whole, 10);
	hurt_bytes(&h, "parity/0000/00000000.pp", PARITY_ALIGN + PARITY_SHARD_LEN + 20, 1);
	make_again(&g);
	assert_int_equal(g.not_whole, 1);
	assert_string_equal(g.why, "no table of its parity can be read");
	forget(&g);
}

/* A parity pack that says something else about its shards, with every checksum right. */
static void
forged_parity_makes_no_wrong_pack(void **state)
{
	size_t at = PARITY_HEAD_LEN + 10 * PARITY_MEMBER_LEN, summed = at + 11 * 8;
	uint8_t table[PARITY_ALIGN], shard[PARITY_SHARD_LEN];
	struct hurt h;
	struct given g;
	char path[512];
	int fd;

	hurt_disk(&h, *state, 10, 1, 5);
	remember(&g, &h);
	fd = open(hurt_path(h.s, path, "parity/0000/00000000.pp"), O_RDWR);
	assert_int_equal(pread(fd, table, sizeof(table), 0), (ssize_t)sizeof(table));
	assert_int_equal(pread(fd, shard, sizeof(shard), PARITY_ALIGN), (ssize_t)sizeof(shard));
	assert_memory_equal(table, "SAMPRTY\n", 8);
	shard[200] ^= 1;
	assert_int_equal(pwrite(fd, shard, sizeof(shard), PARITY_ALIGN), (ssize_t)sizeof(shard));
	le64_put(table + at + 10 * 8, checksum(shard, sizeof(shard)));
	/* And of what it makes of pack 4, whose factor is 1 / (10 xor 4). */
	memset(shard, 0, sizeof(shard));
	memcpy(shard, g.was[4], g.len[4]);
	shard[200] ^= 0xA ^ 4;
	le64_put(table + at + 4 * 8, checksum(shard, sizeof(shard)));
	le64_put(table + summed, checksum(table, summed));
	assert_int_equal(pwrite(fd, table, sizeof(table), 0), (ssize_t)sizeof(table));
	(void)close(fd);
	hurt_unlink(&h, 4, 0);
	make_again(&g);
	assert_int_equal(g.whole, 9);
	assert_int_equal(g.not_whole, 1);
	assert_string_equal(g.why, "what parity makes of it is not the pack that was signed");
	forget(&g);
}

/* Random damage, again and again: what is given as whole is the pack, always. */
static void
no_damage_leads_to_wrong_bytes(void **state)
{
	uint64_t x = 88172645463325252u;
	struct hurt h;
	struct given g;

	hurt_disk(&h, *state, 12, 60, 20);		/* three of parity, three rows */
	remember(&g, &h);
	for (int round = 0; round < 30; round++) {
		for (int n = 0; n < 3; n++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			hurt_pack(&h, (uint32_t)(x % 12), (off_t)(x >> 8) % 180000, 1 + (x >> 40) % 500);
		}
		make_again(&g);
	}
	forget(&g);
}

/* --- what a check says --- */

struct found {
	char text[100000];
	size_t len;
	struct verify_result r;
};

static void
told(void *arg, const struct finding *f)
{
	struct found *g = arg;

	g->len += (size_t)snprintf(g->text + g->len, sizeof(g->text) - g->len, "%s %s: %s (%s)\n", severity_text(f->severity),
	    f->where, f->what, f->meaning);
	assert_true(g->len < sizeof(g->text));
}

static const char *repair_to;		/* of the next check */

static struct found *
check(struct site *s, int quick)
{
	static struct found g;
	const char *paths[1] = { s->disk[0] };
	struct verify_options o = { .quick = quick, .workers = 3, .memory = 200u << 20, .repair_to = repair_to, .fn = told,
		.arg = &g };

	memset(&g, 0, sizeof(g));
	err_clear(&s->e);
	if (verify_disks(paths, 1, &o, &g.r, &s->e) != 0)
		fail_msg("%s", s->e.msg);
	return &g;
}

static void
a_check_says_what_parity_can_repair(void **state)
{
	struct site *s = *state;
	struct found *g;
	struct hurt h;

	hurt_disk(&h, s, 40, 3, 10);
	g = check(s, 0);
	if (g->r.lost + g->r.repairable > 0)
		fail_msg("%s", g->text);
	hurt_bytes(&h, "parity/0000/00000003.pp", 30000, 1);
	g = check(s, 0);
	assert_int_equal(g->r.lost, 0);
	assert_non_null(strstr(g->text, "repairable RM4K-1: parity/0000/00000003.pp: the parity pack is damaged or not there"));
	assert_null(strstr(g->text, "00000002.pp"));
	hurt_bytes(&h, "parity/0000/00000003.pp", 30000, 1);
	hurt_unlink(&h, 7, 0);
	hurt_pack(&h, 20, 500, 3);
	hurt_swap(&h, 30, 31);
	for (int quick = 0; quick < 2; quick++) {
		g = check(s, quick);
		assert_int_equal(g->r.lost, 0);
		assert_int_equal(g->r.snapshots_whole, 1);
		assert_non_null(strstr(g->text, "repairable RM4K-1: packs/0000/00000007.pk: the pack is not on the disk (parity can repair it"));
		assert_non_null(strstr(g->text, "repairable RM4K-1: packs/0000/00000020.pk: the pack is damaged (parity can repair it"));
	}
}

static void
one_beyond_the_bound_names_every_chunk_that_is_lost_and_no_other(void **state)
{
	struct site *s = *state;
	struct found *g;
	struct hurt h;

	hurt_disk(&h, s, 40, 60, 5);			/* two of parity, three rows */
	hurt_pack(&h, 7, 500, 3);			/* three of the first row, one chunk each */
	hurt_pack(&h, 8, 500, 3);
	hurt_pack(&h, 9, 500, 3);
	hurt_pack(&h, 10, 100000, 3);			/* one of another */
	g = check(s, 0);
	assert_int_equal(g->r.bad_chunks, 4);
	assert_non_null(strstr(g->text, "repairable RM4K-1: packs/0000/00000010.pk"));
	assert_non_null(strstr(g->text, "3 chunks damaged"));
	assert_int_equal(g->r.snapshots_whole, 0);
	assert_null(strstr(g->text, "lost RM4K-1: packs/0000/00000010.pk"));
	for (int i = 7; i < 10; i++) {
		char line[64];

		(void)snprintf(line, sizeof(line), "lost RM4K-1: packs/0000/0000000%d.pk: chunk ", i);
		if (i < 10)
			assert_non_null(strstr(g->text, line));
	}
}

/* --- a repaired copy --- */

/* Both trees, every file of them, with the same names and bytes. */
static void
same_trees(const char *a, const char *b)
{
	char cmd[512];

	(void)snprintf(cmd, sizeof(cmd), "diff -r '%s' '%s' >&2", a, b);
	assert_int_equal(system(cmd), 0);
}

static void
keep(const struct site *s, const char *as)
{
	char cmd[512];

	(void)snprintf(cmd, sizeof(cmd), "cp -a '%s' '%s/%s'", s->disk[0], s->root, as);
	assert_int_equal(system(cmd), 0);
}

static void
a_repaired_copy_is_the_disk_as_it_was(void **state)
{
	struct site *s = *state;
	char was[96], is[96], hurt[96], to[96];
	struct found *g;
	struct hurt h;

	hurt_disk(&h, s, 130, 3, 5);		/* two groups, four of parity in each */
	keep(s, "was");
	(void)snprintf(was, sizeof(was), "%s/was", s->root);
	(void)snprintf(to, sizeof(to), "%s/to", s->root);
	(void)snprintf(hurt, sizeof(hurt), "%s/hurt", s->root);
	(void)snprintf(is, sizeof(is), "%s/to/samara", s->root);
	for (uint32_t i = 20; i < 23; i++)
		hurt_unlink(&h, i, 0);
	hurt_pack(&h, 60, 500, 300);
	hurt_swap(&h, 70, 71);
	hurt_unlink(&h, 5, 1);
	hurt_bytes(&h, "label", 30, 3);
	hurt_bytes(&h, "stmt2", 30, 3);
	hurt_bytes(&h, "keys/member", 30, 3);
	hurt_bytes(&h, "index/p0000", 1000, 3);
	hurt_bytes(&h, "snap2/00000000.env", 30, 3);
	hurt_bytes(&h, "snap/00000000.r00", 3000, 3);
	hurt_bytes(&h, "manif/g0001", 30, 3);
	keep(s, "hurt");
	repair_to = to;
	g = check(s, 0);
	repair_to = NULL;
	assert_int_equal(g->r.lost, 0);
	assert_int_equal(g->r.packs_repaired, 6);
	assert_int_equal(g->r.packs_lost, 0);
	same_trees(hurt, s->disk[0]);		/* nothing was written there */
	(void)strcat(was, "/samara");
	same_trees(was, is);
	assert_non_null(strstr(g->text, "repaired from parity"));
}

static void
a_copy_beyond_the_bound_has_all_that_comes_back(void **state)
{
	struct site *s = *state;
	struct found *g;
	struct hurt h;
	char to[96];

	hurt_disk(&h, s, 40, 60, 5);		/* two of parity, three rows */
	for (uint32_t i = 7; i < 10; i++)
		hurt_pack(&h, i, 500, 3);
	hurt_pack(&h, 8, 100000, 3);
	hurt_pack(&h, 20, 100000, 3);
	(void)snprintf(to, sizeof(to), "%s/to", s->root);
	repair_to = to;
	g = check(s, 0);
	assert_int_equal(g->r.packs_repaired, 1);
	assert_int_equal(g->r.packs_lost, 3);
	repair_to = NULL;
	memcpy(s->disk[0], to, sizeof(to));
	g = check(s, 0);
	assert_int_equal(g->r.bad_chunks, 3);
}

static void
a_copy_is_never_written_onto_the_damaged_disk(void **state)
{
	struct site *s = *state;
	const char *paths[1] = { s->disk[0] };
	char to[3][128];
	struct found g;
	struct hurt h;

	hurt_disk(&h, s, 3, 3, 5);
	keep(s, "was");
	(void)snprintf(to[0], sizeof(to[0]), "%s", s->disk[0]);
	(void)snprintf(to[1], sizeof(to[1]), "%s/samara/rm4k", s->disk[0]);
	(void)snprintf(to[2], sizeof(to[2]), "%s/was", s->root);
	for (int i = 0; i < 3; i++) {
		struct verify_options o = { .workers = 1, .memory = 200u << 20, .repair_to = to[i], .fn = told, .arg = &g };

		g.len = 0;
		err_clear(&s->e);
		assert_int_equal(verify_disks(paths, 1, &o, &g.r, &s->e), -1);
		assert_int_equal(s->e.code, i < 2 ? ERR_TARGET : ERR_EXISTS);
	}
	same_trees(to[2], s->disk[0]);
}

/* --- what an ingest makes of it --- */

static void
an_ingest_repairs_a_damaged_disk_on_the_fly(void **state)
{
	struct site *s = *state;
	int64_t missing;
	struct hurt h;

	hurt_disk(&h, s, 40, 60, 10);		/* four of parity */
	hurt_unlink(&h, 7, 0);
	hurt_pack(&h, 20, 500, 3);
	hurt_swap(&h, 30, 31);
	hurt_pack(&h, 12, 150000, 3);		/* in another row than 20 */
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.packs_repaired, 5);
	assert_int_equal(s->r.packs_bad, 0);
	assert_int_equal(s->r.chunks_bad, 0);
	assert_int_equal(s->r.packs_whole, 40);
	assert_int_equal(s->r.whole, 1);
	(void)site_snapshot(s, 1, &missing);
	assert_int_equal(missing, 0);
	site_rebuild_agrees(s);
}

static void
an_ingest_beyond_the_bound_takes_every_chunk_that_comes_back(void **state)
{
	struct site *s = *state;
	int64_t missing;
	struct hurt h;

	hurt_disk(&h, s, 40, 60, 5);		/* two of parity, three rows */
	for (uint32_t i = 7; i < 10; i++)
		hurt_pack(&h, i, 500, 3);
	hurt_pack(&h, 8, 100000, 3);		/* this one comes back */
	hurt_pack(&h, 10, 100000, 3);		/* and this whole pack */
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.packs_repaired, 1);
	assert_int_equal(s->r.packs_bad, 3);
	assert_int_equal(s->r.chunks_bad, 3);
	(void)site_snapshot(s, 1, &missing);
	assert_int_equal(missing, 3);
	site_rebuild_agrees(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_whole_stays_as_it_is),
		T(as_many_packs_in_a_row_come_back_as_there_is_parity),
		T(every_kind_of_damage_comes_back_byte_for_byte),
		T(a_file_that_is_too_long_and_two_that_changed_places_come_back),
		T(damage_in_different_places_of_many_packs_comes_back),
		T(the_second_table_of_a_parity_pack_serves_when_the_first_is_spoilt),
		T(forged_parity_makes_no_wrong_pack),
		T(no_damage_leads_to_wrong_bytes),
		T(a_check_says_what_parity_can_repair),
		T(one_beyond_the_bound_names_every_chunk_that_is_lost_and_no_other),
		T(a_repaired_copy_is_the_disk_as_it_was),
		T(a_copy_beyond_the_bound_has_all_that_comes_back),
		T(a_copy_is_never_written_onto_the_damaged_disk),
		T(an_ingest_repairs_a_damaged_disk_on_the_fly),
		T(an_ingest_beyond_the_bound_takes_every_chunk_that_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
