#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/stop.h"
#include "common/flow/dock.h"
#include "flow/vault_site.h"

#define T(x)	cmocka_unit_test_setup_teardown(x, site_setup, site_teardown)

/* --- an operating system with a disk that goes away */

static struct io_ops odd;
static char odd_disk[96];		/* nothing of it can be read from the first time that */
static char odd_file[64];		/* this is; "" never */
static atomic_int odd_gone, pack_reads;

static ssize_t
odd_pread(int fd, void *buf, size_t n, off_t at)
{
	char link[64], path[512];
	ssize_t len;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if ((len = readlink(link, path, sizeof(path) - 1)) > 0) {
		path[len] = '\0';
		if (strstr(path, "/samara/") != NULL && strstr(path, ".pk") != NULL)
			(void)atomic_fetch_add(&pack_reads, 1);
		if (strncmp(path, odd_disk, strlen(odd_disk)) == 0) {
			if (odd_file[0] != '\0' && strstr(path, odd_file) != NULL)
				atomic_store(&odd_gone, 1);
			if (atomic_load(&odd_gone)) {
				errno = EIO;
				return -1;
			}
		}
	}
	return io_real()->pread(fd, buf, n, at);
}

static void
watch_reads(const char *disk, const char *file)
{
	odd = *io_real();
	odd.pread = odd_pread;
	(void)snprintf(odd_disk, sizeof(odd_disk), "%s", disk);
	(void)snprintf(odd_file, sizeof(odd_file), "%s", file);
	atomic_store(&odd_gone, 0);
	atomic_store(&pack_reads, 0);
	(void)io_use(&odd);
}

/* --- what is told: the newest of each bay */

struct seen {
	struct bay_view last[SEED_DISKS];
	unsigned changes[SEED_DISKS];
	struct site *s;
	char away[128];
	int step;
};

static unsigned
bay_of(const struct seen *t, const char *name)
{
	for (unsigned i = 0; i < SEED_DISKS; i++)
		if (strcmp(t->s->disk[i], name) == 0)
			return i;
	fail_msg("there is no bay %s", name);
	return 0;
}

static void
changed(void *arg, const struct bay_view *b)
{
	struct seen *t = arg;
	unsigned i = bay_of(t, b->name);

	t->last[i] = *b;
	t->changes[i]++;
}

/* Watch the first ${n} disks of the site. */
static struct dock_result
dock(struct site *s, struct seen *t, size_t n, int once, void (*fn)(void *arg, const struct bay_view *b))
{
	struct dock_options o = { .where = { .dir = s->root }, .nplaces = n, .jobs = 2, .memory = 100000000, .poll_ms = 5,
	    .once = once, .changed = fn, .arg = t };
	struct dock_result r;
	char *places[SEED_DISKS];

	for (size_t i = 0; i < n; i++)
		places[i] = s->disk[i];
	o.places = places;
	t->s = s;
	err_clear(&s->e);
	assert_int_equal(dock_run(&o, &r, &s->e), 0);
	return r;
}

/* Image ${name} on one disk, of ${n} chunks from ${from} on. */
static void
one_disk(struct site *s, struct seed_machine *m, unsigned disk, const char *name, uint64_t seq, uint32_t from, uint32_t n,
    struct seed_image *im)
{
	seed_image_make(im, m, name);
	seed_disk(im, s->disk[disk], 1, from, n);
	seed_snapshot(im, s->disk[disk], seq, from, n);
	seed_manifest(im, s->disk[disk], 1);
}

static void
what_is_plugged_in_ends_in_remove(void **state)
{
	struct site *s = *state;
	struct seen t = { .step = 0 };
	struct seed_image a, b;
	struct dock_result r;

	one_disk(s, &s->m, 0, "RM4K", 1, 0, 20, &a);
	one_disk(s, &s->m, 1, "RM4L", 2, 20, 20, &b);
	r = dock(s, &t, 3, 1, changed);
	assert_int_equal(r.removed, 2);
	assert_int_equal(r.attention, 0);
	assert_int_equal(t.last[0].state, BAY_REMOVE);
	assert_string_equal(t.last[0].disk, "RM4K-1");
	assert_string_equal(t.last[0].machine, "laptop");
	assert_string_equal(t.last[0].vault, "demo");
	assert_non_null(strstr(t.last[0].why, "RM4K is whole"));
	assert_int_equal(t.last[1].state, BAY_REMOVE);
	assert_int_equal(t.changes[2], 0);	/* empty from the first to the last */
	assert_int_equal(site_image(s, &a), IMAGE_WHOLE);
	assert_int_equal(site_image(s, &b), IMAGE_WHOLE);
	site_rebuild_agrees(s);
}

static void
a_disk_that_is_in_is_known_again_and_not_read(void **state)
{
	struct site *s = *state;
	struct seen t = { .step = 0 }, again = { .step = 0 };
	struct seed_image im;

	one_disk(s, &s->m, 0, "RM4K", 1, 0, 20, &im);
	watch_reads("/nowhere", "");
	(void)dock(s, &t, 1, 1, changed);
	assert_true(atomic_load(&pack_reads) > 0);
	atomic_store(&pack_reads, 0);
	(void)dock(s, &again, 1, 1, changed);
	(void)io_use(io_real());
	assert_int_equal(atomic_load(&pack_reads), 0);
	assert_int_equal(again.last[0].state, BAY_REMOVE);
	assert_non_null(strstr(again.last[0].why, "whole"));
	assert_int_equal(again.changes[0], 1);	/* it never worked */
}

/* As a run leaves it that was killed when the disk was written down, and the states were not. */
static void
states_forget(struct site *s, const struct seed_image *im)
{
	struct vault *v = vault_open(s->vault, 0, &s->e);
	struct cat_snapshot snap = { .seq = 1 };
	struct cat_image row;

	assert_non_null(v);
	assert_int_equal(vault_begin(v, &s->e), 0);
	memcpy(row.id, im->id, ID_LEN);
	assert_int_equal(catalog_get(v->catalog, &cat_images, &row, &s->e), 0);
	row.state = IMAGE_INGESTING;
	assert_int_equal(catalog_put(v->catalog, &cat_images, &row, &s->e), 0);
	memcpy(snap.machine_id, s->m.id, ID_LEN);
	assert_int_equal(catalog_get(v->catalog, &cat_snapshots, &snap, &s->e), 0);
	snap.state = SNAPSHOT_UNKNOWN;
	assert_int_equal(catalog_put(v->catalog, &cat_snapshots, &snap, &s->e), 0);
	assert_int_equal(vault_commit(v, &s->e), 0);
	vault_close(v);
}

static void
what_a_killed_run_did_not_conclude_is_concluded(void **state)
{
	struct site *s = *state;
	struct seen t = { .step = 0 };
	struct seed_image im;

	one_disk(s, &s->m, 0, "RM4K", 1, 0, 20, &im);
	(void)dock(s, &t, 1, 1, changed);
	states_forget(s, &im);
	(void)dock(s, &t, 1, 1, changed);
	assert_int_equal(t.last[0].state, BAY_REMOVE);
	assert_non_null(strstr(t.last[0].why, "RM4K is whole"));
	assert_int_equal(site_image(s, &im), IMAGE_WHOLE);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_WHOLE);
}

static void
a_disk_that_is_torn_away_stops_no_other_bay(void **state)
{
	struct site *s = *state;
	struct seen t = { .step = 0 };
	struct seed_image a, b;

	one_disk(s, &s->m, 0, "RM4K", 1, 0, 40, &a);
	one_disk(s, &s->m, 1, "RM4L", 2, 40, 20, &b);
	watch_reads(s->disk[0], "/00000002.pk");
	(void)dock(s, &t, 2, 1, changed);
	(void)io_use(io_real());
	assert_int_equal(t.last[0].state, BAY_ATTENTION);
	assert_non_null(strstr(t.last[0].why, "is gone"));
	assert_int_equal(t.last[1].state, BAY_REMOVE);
	assert_int_equal(site_image(s, &b), IMAGE_WHOLE);
}

/* Torn away: out with it; said: back with it, sound; done: enough. */
static void
tear_and_put_back(void *arg, const struct bay_view *b)
{
	struct seen *t = arg;

	changed(arg, b);
	if (b->state == BAY_ATTENTION && t->step == 0) {
		assert_int_equal(rename(t->s->disk[0], t->away), 0);
		t->step = 1;
	} else if (b->state == BAY_ATTENTION && t->step == 1) {
		assert_non_null(strstr(b->why, "put it back"));
		odd_file[0] = '\0';
		atomic_store(&odd_gone, 0);
		assert_int_equal(rename(t->away, t->s->disk[0]), 0);
		t->step = 2;
	} else if (b->state == BAY_REMOVE) {
		stop_ask();
	}
}

static void
a_disk_that_is_put_back_goes_on_where_it_was(void **state)
{
	struct site *s = *state;
	struct seen t = { .step = 0 };
	struct seed_image im;

	one_disk(s, &s->m, 0, "RM4K", 1, 0, 40, &im);
	(void)snprintf(t.away, sizeof(t.away), "%s/away", s->root);
	watch_reads(s->disk[0], "/00000002.pk");
	(void)dock(s, &t, 1, 0, tear_and_put_back);
	(void)io_use(io_real());
	stop_reset();
	assert_int_equal(t.step, 2);
	assert_int_equal(t.last[0].state, BAY_REMOVE);
	assert_int_equal(site_image(s, &im), IMAGE_WHOLE);
	site_rebuild_agrees(s);
}

static void
images_for_two_vaults_on_one_disk_go_into_their_own(void **state)
{
	struct site *s = *state;
	struct vault_create o = { .name = "other", .redundancy = REDUNDANCY_LOCAL };
	struct seen t = { .step = 0 };
	char first[sizeof(s->vault)];
	struct seed_machine far;
	struct seed_image a, b;
	struct credential c;

	memcpy(first, s->vault, sizeof(first));
	one_disk(s, &s->m, 0, "RM4K", 1, 0, 16, &a);
	(void)snprintf(s->vault, sizeof(s->vault), "%s/other", s->root);
	assert_int_equal(vault_create(s->vault, &o, &s->e), 0);
	site_credential(s, "far", &c);
	seed_machine_make(&far, "far", &c);
	one_disk(s, &far, 0, "RM9X", 1, 0, 16, &b);
	(void)dock(s, &t, 1, 1, changed);
	assert_int_equal(t.last[0].state, BAY_REMOVE);
	assert_int_equal(site_image(s, &b), IMAGE_WHOLE);
	assert_int_equal(site_image(s, &a), 0);
	memcpy(s->vault, first, sizeof(first));
	assert_int_equal(site_image(s, &a), IMAGE_WHOLE);
	assert_int_equal(site_image(s, &b), 0);
	seed_machine_drop(&far);
}

static void
a_disk_of_a_stranger_wants_attention_and_touches_nothing(void **state)
{
	struct site *s = *state;
	struct seen t = { .step = 0 };
	struct credential c = s->c;
	struct seed_machine far;
	struct seed_image im;
	char *before, *after;

	c.vault_id[0] ^= 1;
	seed_machine_make(&far, "far", &c);
	one_disk(s, &far, 0, "RM9X", 1, 0, 16, &im);
	before = site_dump(s);
	(void)dock(s, &t, 1, 1, changed);
	after = site_dump(s);
	assert_int_equal(t.last[0].state, BAY_ATTENTION);
	assert_non_null(strstr(t.last[0].why, "RM9X-1 was made for vault"));
	assert_string_equal(before, after);
	free(before);
	free(after);
	seed_machine_drop(&far);
}

static void
damage_wants_attention_with_its_figure(void **state)
{
	struct site *s = *state;
	struct seen t = { .step = 0 };
	struct seed_image im;
	char path[256];

	one_disk(s, &s->m, 0, "RM4K", 1, 0, 20, &im);
	(void)snprintf(path, sizeof(path), "%s/samara/rm4k/packs/0000/00000001.pk", s->disk[0]);
	assert_int_equal(truncate(path, 3000), 0);
	(void)dock(s, &t, 1, 1, changed);
	assert_int_equal(t.last[0].state, BAY_ATTENTION);
	assert_non_null(strstr(t.last[0].why, "chunks could not be taken from it; keep the disk"));
	assert_int_equal(site_image(s, &im), IMAGE_GAP);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_plugged_in_ends_in_remove),
		T(a_disk_that_is_in_is_known_again_and_not_read),
		T(what_a_killed_run_did_not_conclude_is_concluded),
		T(a_disk_that_is_torn_away_stops_no_other_bay),
		T(a_disk_that_is_put_back_goes_on_where_it_was),
		T(images_for_two_vaults_on_one_disk_go_into_their_own),
		T(a_disk_of_a_stranger_wants_attention_and_touches_nothing),
		T(damage_wants_attention_with_its_figure),
	};

	secret_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
