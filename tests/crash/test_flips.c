/*
 * One bit of a sealed image is wrong: any bit of any file, README.txt excepted.
 * Verify finds it without a key, and says whether everything is still there;
 * and what is taken in and restored is what was read, or it is missing and
 * named: never other bytes.
 *
 * SAMARA_FLIPS in the environment sets how many bits are tried; "all": one in
 * every byte.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <string.h>
#include <sys/stat.h>

#include "base/scratch.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/secret.h"
#include "common/flow/restore.h"
#include "common/flow/session.h"
#include "common/flow/verify.h"
#include "tests/crash/vault_world.h"

#define FILES_MAX	128u
#define PATH_LEN	512u

static struct vault_world w;
static struct { char path[PATH_LEN]; uint64_t len; } files[FILES_MAX];	/* of the image */
static size_t nfiles;
static uint64_t total;		/* bytes that are tried */
static char memory[64];		/* scratch directory, in memory where there is such a place */
static char disk[96], reference[96], back[96], vault[96];

/* What a check said of the disk. */
struct verdict {
	uint64_t count[SEVERITIES];
	char text[300];		/* the first that is more than a note */
};

/* What came back, against what should have. */
struct restored {
	uint64_t equal, missing, wrong;
	char first[PATH_LEN];	/* that is wrong */
};

static struct restored came;

static int
file_note(const char *path, const struct stat *st, int type, struct FTW *at)
{
	if (type != FTW_F || st->st_size == 0 || strcmp(path + at->base, "README.txt") == 0)
		return 0;
	assert_true(nfiles < FILES_MAX && strlen(path) < PATH_LEN);
	strcpy(files[nfiles].path, path);
	files[nfiles].len = (uint64_t)st->st_size;
	total += files[nfiles++].len;
	return 0;
}

static void
heard(void *arg, const struct finding *f)
{
	struct verdict *v = arg;

	v->count[f->severity]++;
	if (f->severity != SEV_NOTE && v->text[0] == '\0')
		snprintf(v->text, sizeof(v->text), "%s %.80s: %.150s", severity_text(f->severity), f->where, f->what);
}

static void
disk_verify(struct verdict *v)
{
	const char *paths[1] = { disk };
	struct verify_options o = { .workers = 1, .memory = 64u << 20, .fn = heard, .arg = v };
	struct verify_result r;
	struct err e;

	memset(v, 0, sizeof(*v));
	err_clear(&e);
	if (verify_disks(paths, 1, &o, &r, &e) != 0) {
		/* The image cannot even be recognized: that is an answer as well, in words. */
		assert_int_not_equal(e.code, ERR_INTERNAL);
		assert_true(e.msg[0] != '\0');
		v->count[SEV_LOST]++;
	}
}

/* ---- there and back ---- */

static void
nothing_told(void *arg, struct fmt_view path, const struct err *why)
{
	(void)path, (void)why;
	++*(uint64_t *)arg;
}

static void
nothing_bad(void *arg, const char *where, const uint8_t *id, const struct err *why)
{
	(void)arg, (void)where, (void)id, (void)why;
}

/* Restore the only snapshot from ${from} to ${to}: 0 it says that all of it came, 1 that not all did. */
static int
restore(const char *from, const char *to)
{
	const struct session_options so = { .state_path = w.state, .from = &from, .nfrom = 1, .memory = 32u << 20,
		.bad = nothing_bad };
	struct restore_report r;
	struct session s;
	uint64_t told = 0;
	struct err e;
	int rc = 1;

	err_clear(&e);
	if (session_open(&s, &so, &e) != 0) {
		assert_true(e.msg[0] != '\0');
		return 1;
	}
	if (s.list.n > 0) {
		struct restore_options o = { .source = s.source, .keys = s.keys, .snap = &s.list.snap[s.list.n - 1], .root = "/",
			.to = to, .overwrite = -1, .workers = 1, .tell = nothing_told, .arg = &told };

		rc = restore_run(&o, &r, &e) != 0 || told > 0;
	}
	session_close(&s);
	return rc;
}

/* Whether the two files have the same bytes. */
static int
same_bytes(const char *a, const char *b)
{
	static uint8_t x[65536], y[65536];
	FILE *f = fopen(a, "rb"), *g = fopen(b, "rb");
	size_t n, m;
	int same = f != NULL && g != NULL;

	while (same) {
		n = fread(x, 1, sizeof(x), f);
		m = fread(y, 1, sizeof(y), g);
		same = n == m && memcmp(x, y, n) == 0;
		if (n == 0)
			break;
	}
	if (f != NULL)
		(void)fclose(f);
	if (g != NULL)
		(void)fclose(g);
	return same;
}

static int
file_compare(const char *path, const struct stat *st, int type, struct FTW *at)
{
	char other[PATH_LEN * 2];

	(void)st, (void)at;
	if (type != FTW_F)
		return 0;
	snprintf(other, sizeof(other), "%s%s", back, path + strlen(reference));
	if (access(other, F_OK) != 0)
		came.missing++;
	else if (same_bytes(path, other))
		came.equal++;
	else {
		if (came.wrong++ == 0)
			snprintf(came.first, sizeof(came.first), "%.400s", path + strlen(reference));
	}
	return 0;
}

static void
gone(const char *path)
{
	if (access(path, F_OK) == 0)
		scratch_remove(path);
}

/* Restore from ${from} and compare; ${whole}: everything must be there. */
static void
comes_back(const char *from, int whole, const char *what)
{
	int said = restore(from, back);

	memset(&came, 0, sizeof(came));
	assert_int_equal(nftw(reference, file_compare, 16, FTW_PHYS), 0);
	if (came.wrong > 0)
		fail_msg("%s: %s came back with other bytes", what, came.first);
	if (came.missing > 0 && said == 0)
		fail_msg("%s: restore does not say that %llu files are missing", what, (unsigned long long)came.missing);
	if (whole && (said != 0 || came.missing > 0))
		fail_msg("%s: everything was said to be there, and %llu files do not come back", what, (unsigned long long)came.missing);
	gone(back);
}

/* The disk as it is now: taken in by a vault of its own and restored, and restored from itself. */
static void
there_and_back(int whole, const char *what)
{
	struct ingest_result r;
	struct err e;
	int taken;

	err_clear(&e);
	world_copy(w.vault[0], vault);
	taken = world_ingest(&w, vault, 0, &r, &e);
	if (taken != 0 && whole)
		fail_msg("%s: everything was said to be there, and ingest: %s", what, e.msg);
	comes_back(vault, whole, what);
	gone(vault);
	comes_back(disk, 0, what);		/* as it is: repaired by ingest and verify, not by restore */
}

/* ---- the flips ---- */

static uint64_t
mixed(uint64_t x)
{
	x = (x ^ x >> 31) * 0x7fb5d329728ea185u;
	x = (x ^ x >> 27) * 0x81dadef4bc2dd44du;
	return x ^ x >> 33;
}

static void
flip(const char *path, uint64_t at, unsigned bit)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t b;

	assert_true(fd != -1);
	assert_int_equal(pread(fd, &b, 1, (off_t)at), 1);
	b ^= (uint8_t)(1u << bit);
	assert_int_equal(pwrite(fd, &b, 1, (off_t)at), 1);
	assert_int_equal(close(fd), 0);
}

static uint64_t
flips_wanted(void)
{
	const char *s = getenv("SAMARA_FLIPS");

	if (s != NULL && strcmp(s, "all") == 0)
		return total;
	return s != NULL ? strtoull(s, NULL, 10) : SAMARA_SANITIZED ? 500 : 20000;
}

/* One bit in each of ${n} equal parts of the image, so that none is far from a tried one. */
static void
one_wrong_bit_anywhere_is_found_and_never_restored(void **state)
{
	uint64_t n = flips_wanted(), repairable = 0, lost = 0, missed = 0, journeys = 0, every;
	struct verdict v;
	char what[PATH_LEN + 64];

	(void)state;
	if (n > total)
		n = total;
	every = n / (SAMARA_SANITIZED ? 20 : 200) + 1;
	for (uint64_t i = 0; i < n; i++) {
		uint64_t at = i * total / n + mixed(i) % (total / n);
		unsigned bit = (unsigned)(mixed(i + total) & 7);
		size_t f = 0;

		for (; at >= files[f].len; f++)
			at -= files[f].len;
		snprintf(what, sizeof(what), "bit %u of byte %llu of %s", bit, (unsigned long long)at,
		    files[f].path + strlen(disk) + 1);
		flip(files[f].path, at, bit);
		disk_verify(&v);
		lost += v.count[SEV_LOST] > 0;
		repairable += v.count[SEV_LOST] == 0 && v.count[SEV_REPAIRABLE] > 0;
		if (v.count[SEV_LOST] + v.count[SEV_REPAIRABLE] == 0 && missed++ < 20)
			print_error("%s: not found\n", what);
		if (i % every == 0) {
			there_and_back(v.count[SEV_LOST] == 0, what);
			journeys++;
		}
		flip(files[f].path, at, bit);
	}
	print_message("figures: flips %llu of %llu bytes, found %llu, repairable %llu, lost %llu, restored %llu, wrong bytes 0\n",
	    (unsigned long long)n, (unsigned long long)total, (unsigned long long)(n - missed), (unsigned long long)repairable,
	    (unsigned long long)lost, (unsigned long long)journeys);
	assert_int_equal(missed, 0);
	disk_verify(&v);
	if (v.text[0] != '\0')
		fail_msg("in the end: %s", v.text);
}

static int
setup(void **state)
{
	(void)state;
	world_no_fsync();
	world_make(&w);
	(void)snprintf(memory, sizeof(memory), "/dev/shm/samara-test-XXXXXX");
	if (mkdtemp(memory) == NULL)
		(void)close(scratch_make(memory));
	snprintf(reference, sizeof(reference), "%s/reference", memory);
	snprintf(back, sizeof(back), "%s/back", memory);
	snprintf(vault, sizeof(vault), "%s/vault", memory);
	snprintf(disk, sizeof(disk), "%s/disk", memory);
	world_copy(w.disk[0], disk);
	memcpy(w.disk[0], disk, sizeof(disk));		/* which is what world_ingest takes */
	assert_int_equal(nftw(disk, file_note, 16, FTW_PHYS), 0);
	assert_int_equal(restore(disk, reference), 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	scratch_remove(memory);
	world_drop(&w);
	world_fsync();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_wrong_bit_anywhere_is_found_and_never_restored),
	};

	secret_init();
	say_level_set(SAY_QUIET);
	return cmocka_run_group_tests(tests, setup, teardown);
}
