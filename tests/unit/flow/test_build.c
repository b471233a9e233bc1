/* Builds of small trees: what is in the image is what was in the source, and what cannot be is said. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "common/base/io.h"
#include "common/base/io_fault.h"
#include "common/base/log.h"
#include "common/base/secret.h"
#include "flow/build_maker.h"

#define STRETCH	((size_t)4 << 20)	/* of a big file, read at a time */

/* The text of what was built last, from these disks. */
static void
text_of(struct build_maker *b, struct image_text *t, const char *const *disks, size_t n)
{
	if (image_text_read(t, b->m.state, b->r.short_name, disks, n, &b->e) != 0)
		fail_msg("%s", b->e.msg);
}

static void
text_read(struct build_maker *b, struct image_text *t)
{
	const char *disks[1] = { b->disk };

	text_of(b, t, disks, 1);
}

static void
built(struct build_maker *b, int want)
{
	int rc = build_maker_run(b);

	if (rc != want)
		fail_msg("%d instead of %d: %s", rc, want, b->e.msg);
}

/* Part of what the image says of ${name}. */
static bool
says(const struct image_text *t, const struct build_maker *b, const char *name, const char *part)
{
	const char *at = image_text_find(t, b, name), *end, *hit;

	if (at == NULL)
		return false;
	end = strchr(at, '\n');
	hit = strstr(at, part);
	return hit != NULL && hit < end;
}

/* --- an io table that meddles --- */

static struct meddling {
	const struct io_ops *real;
	const char *name;		/* of the file that is meddled with */
	char path[512];
	dev_t dev;
	ino_t ino;
	int64_t later;			/* seconds added to the wall clock */
	unsigned opened;		/* files of the source that were opened for reading */
	_Atomic int change;			/* so many readings are disturbed */
	int open_errno, read_errno;
	void (*on_open)(void);		/* once, before the file is opened */
	pthread_mutex_t lock;
} med = { .lock = PTHREAD_MUTEX_INITIALIZER };

static int
med_open(int dirfd, const char *path, int flags, mode_t mode)
{
	if ((flags & O_NOATIME) != 0 && (flags & O_DIRECTORY) == 0) {	/* as only files of the source are opened */
		pthread_mutex_lock(&med.lock);
		med.opened++;
		pthread_mutex_unlock(&med.lock);
		if (med.name != NULL && strcmp(path, med.name) == 0) {
			if (med.on_open != NULL) {
				med.on_open();
				med.on_open = NULL;
			}
			if (med.open_errno != 0) {
				errno = med.open_errno;
				return -1;
			}
		}
	}
	return med.real->open(dirfd, path, flags, mode);
}

static void
append_a_byte(void)
{
	int fd = open(med.path, O_WRONLY | O_APPEND | O_CLOEXEC);

	assert_true(fd != -1 && write(fd, "+", 1) == 1);
	close(fd);
}

static ssize_t
med_pread(int fd, void *buf, size_t n, off_t at)
{
	struct stat st;

	if (med.name != NULL && (med.change > 0 || med.read_errno != 0) && fstat(fd, &st) == 0 && st.st_dev == med.dev &&
	    st.st_ino == med.ino) {
		if (med.read_errno != 0) {
			errno = med.read_errno;
			return -1;
		}
		if (at == 0) {
			med.change--;
			append_a_byte();
		}
	}
	return med.real->pread(fd, buf, n, at);
}

static int
med_clock(clockid_t id, struct timespec *ts)
{
	int rc = med.real->clock_gettime(id, ts);

	if (id == CLOCK_REALTIME)
		ts->tv_sec += med.later;
	return rc;
}

/* Build with the table in force. */
static int
build_meddled(struct build_maker *b, const char *name)
{
	struct io_ops ops = *io;
	struct stat st;
	int rc;

	ops.open = med_open;
	ops.pread = med_pread;
	ops.clock_gettime = med_clock;
	med.opened = 0;
	med.name = name;
	if (name != NULL) {
		snprintf(med.path, sizeof(med.path), "%s/%s", b->src, name);
		assert_int_equal(stat(med.path, &st), 0);
		med.dev = st.st_dev;
		med.ino = st.st_ino;
	}
	med.real = io_use(&ops);
	rc = build_maker_run(b);
	(void)io_use(med.real);
	med.name = NULL;
	med.change = med.open_errno = med.read_errno = 0;
	med.on_open = NULL;
	return rc;
}

/* --- what goes in comes out --- */

static void
a_tree_of_all_sizes(struct build_maker *b)
{
	static const size_t sizes[] = { 0, 1, 100, 65535, 65536, 65537, 262144, 1048576, 4194303, 4194304, 4194305, 9000000 };
	char name[64];

	build_maker_dir(b, "d");
	build_maker_dir(b, "empty");
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		snprintf(name, sizeof(name), "size%zu", sizes[i]);
		build_maker_file(b, name, sizes[i], i);
	}
	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "d/f%03u", i);
		build_maker_file(b, name, i * 37 % 5000, 1000 + i);
	}
}

/* Every file's digest in the text is that of the file. */
static void
digests_compare(struct build_maker *b, const struct image_text *t, const char *below, unsigned *files)
{
	char path[512], part[64];
	uint8_t *bytes, digest[DIGEST_LEN];
	char **names;
	struct stat st;
	size_t n, len;

	snprintf(path, sizeof(path), "%s%s", b->src, below);
	assert_int_equal(dir_list(AT_FDCWD, path, &names, &n, &b->e), 0);
	for (size_t i = 0; i < n; i++) {
		char name[300];

		snprintf(name, sizeof(name), "%s%s%s", below[0] == '/' ? below + 1 : below, below[0] != 0 ? "/" : "", names[i]);
		snprintf(path, sizeof(path), "%s/%s", b->src, name);
		assert_int_equal(lstat(path, &st), 0);
		if (!S_ISREG(st.st_mode))
			continue;
		assert_int_equal(file_read(AT_FDCWD, path, 1u << 30, &bytes, &len, &b->e), 0);
		hash_once(bytes, len, digest);
		free(bytes);
		snprintf(part, sizeof(part), "size=%zu ", len);
		assert_true(says(t, b, name, part));
		snprintf(part, sizeof(part), " %02x%02x%02x%02x\n", digest[0], digest[1], digest[2], digest[3]);
		assert_true(says(t, b, name, part));
		(*files)++;
	}
	dir_list_free(names, n);
}

static void
files_of_every_size_come_back(void **state)
{
	struct image_text t;
	struct build_maker b;
	unsigned files = 0;

	(void)state;
	build_maker_start(&b);
	a_tree_of_all_sizes(&b);
	built(&b, 0);
	assert_true(b.r.sealed && b.r.read_back);
	text_read(&b, &t);
	digests_compare(&b, &t, "", &files);
	digests_compare(&b, &t, "/d", &files);
	assert_int_equal(files, 312);
	assert_int_equal(b.r.result.files, 312);
	assert_non_null(image_text_find(&t, &b, "empty"));
	image_text_free(&t);
	build_maker_end(&b);
}

static void
names_of_any_bytes_come_back(void **state)
{
	static const char *const names[] = { "a\nb", "\xff\xfe", "\x1b[31mred", " ", "-rf", "*", "\\", "\xc3\xa4", "a\tb", "..." };
	char longest[256];
	struct image_text t;
	struct build_maker b;

	(void)state;
	build_maker_start(&b);
	memset(longest, 'x', 255);
	longest[255] = 0;
	build_maker_file(&b, longest, 10, 1);
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		build_maker_file(&b, names[i], 10 + i, i);
	built(&b, 0);
	text_read(&b, &t);
	assert_true(says(&t, &b, longest, "size=10 "));
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_non_null(image_text_find(&t, &b, names[i]));
	image_text_free(&t);
	build_maker_end(&b);
}

static void
hard_links_carry_the_same_extents_and_cost_nothing(void **state)
{
	struct image_text t;
	struct build_maker b;
	char from[200], to[200];

	(void)state;
	build_maker_start(&b);
	build_maker_dir(&b, "one");
	build_maker_dir(&b, "two");
	build_maker_file(&b, "one/big", 3000000, 1);
	build_maker_file(&b, "two/small", 3000, 2);
	for (unsigned i = 0; i < 5; i++) {
		snprintf(from, sizeof(from), "%s/one/big", b.src);
		snprintf(to, sizeof(to), "%s/two/big%u", b.src, i);
		assert_int_equal(link(from, to), 0);
		snprintf(from, sizeof(from), "%s/two/small", b.src);
		snprintf(to, sizeof(to), "%s/one/small%u", b.src, i);
		assert_int_equal(link(from, to), 0);
	}
	med.later = 3600;
	assert_int_equal(build_meddled(&b, NULL), 0);
	assert_int_equal(med.opened, 2);
	assert_int_equal(b.r.result.files, 12);
	assert_true(b.r.disk_bytes < 3200000);
	text_read(&b, &t);
	const char *one = image_text_find(&t, &b, "one/big"), *two = image_text_find(&t, &b, "two/big4");

	assert_non_null(one);
	assert_non_null(two);
	assert_true(says(&t, &b, "one/big", "nlink=6 "));
	assert_memory_equal(one, two, strcspn(one, "\n"));
	image_text_free(&t);
	build_maker_end(&b);
}

static void
change_its_mode(void)
{
	assert_int_equal(chmod(med.path, 0640), 0);
}

/* "a" and "b" are one file, to which ${change} happens when both were seen and none was read. */
static void
between_two_names(void (*change)(void), const char *flags, uint64_t warnings)
{
	struct image_text t;
	struct build_maker b;
	char from[200], to[200];

	build_maker_start(&b);
	build_maker_file(&b, "a", 20000, 1);
	snprintf(from, sizeof(from), "%s/a", b.src);
	snprintf(to, sizeof(to), "%s/b", b.src);
	assert_int_equal(link(from, to), 0);
	med.later = 3600;
	med.on_open = change;
	assert_int_equal(build_meddled(&b, "a"), 0);
	assert_int_equal(b.r.result.warnings, warnings);
	text_read(&b, &t);
	assert_true(says(&t, &b, "a", "flags=0 "));
	assert_true(says(&t, &b, "b", flags));
	image_text_free(&t);
	build_maker_end(&b);
}

static void
a_file_that_changes_between_two_of_its_names_is_flagged(void **state)
{
	(void)state;
	between_two_names(change_its_mode, "flags=0 ", 0);
	between_two_names(append_a_byte, "flags=9 ", 1);
}

static void
holes_are_neither_read_nor_stored(void **state)
{
	struct image_text t;
	struct build_maker b;
	char path[200];
	int fd;

	(void)state;
	build_maker_start(&b);
	snprintf(path, sizeof(path), "%s/sparse", b.src);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_true(fd != -1);
	assert_int_equal(ftruncate(fd, (off_t)1 << 30), 0);
	assert_int_equal(pwrite(fd, "here", 4, 500 << 20), 4);
	close(fd);
	snprintf(path, sizeof(path), "%s/all-hole", b.src);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal(ftruncate(fd, (off_t)1 << 40), 0);
	close(fd);
	built(&b, 0);
	assert_true(b.r.result.read_bytes < 1 << 20);
	assert_true(b.r.disk_bytes < 1 << 20);
	/* The digest of a TiB of zeros is nobody's business here: sizes and holes are. */
	assert_int_equal(unlink(path), 0);
	b.o.full = true;
	built(&b, 0);
	text_read(&b, &t);
	assert_true(says(&t, &b, "sparse", "size=1073741824 "));
	assert_false(says(&t, &b, "sparse", "holes=0 "));
	image_text_free(&t);
	build_maker_end(&b);
}

/* --- how many workers there are shows nowhere --- */

/* Not even in where bundles and chunks begin.  (Directories above the source have times of their own.) */
static void
the_listing_does_not_depend_on_the_number_of_workers(void **state)
{
	static const unsigned workers[] = { 1, 8, 3 };
	struct image_text t;
	struct build_maker b;
	char *first = NULL;

	(void)state;
	build_maker_start(&b);
	a_tree_of_all_sizes(&b);
	b.o.full = true;
	med.later = 3600;
	for (unsigned i = 0; i < sizeof(workers) / sizeof(workers[0]); i++) {
		b.o.workers = workers[i];
		b.o.force_read = true;
		assert_int_equal(build_meddled(&b, NULL), 0);
		assert_int_equal(med.opened, 312);
		text_read(&b, &t);
		if (first == NULL) {
			first = t.text;
			continue;
		}
		assert_string_equal(t.text, first);
		image_text_free(&t);
	}
	free(first);
	build_maker_end(&b);
}

/* --- increments --- */

static void
only_what_changed_is_opened_again(void **state)
{
	char second[200], path[200];
	const char *disks[2];
	struct timespec times[2];
	struct image_text t;
	struct build_maker b;
	struct stat st;
	uint64_t first_bytes;
	unsigned files = 0;

	(void)state;
	build_maker_start(&b);
	a_tree_of_all_sizes(&b);
	med.later = 3600;	/* so that nothing is too fresh to be trusted */
	assert_int_equal(build_meddled(&b, NULL), 0);
	first_bytes = b.r.disk_bytes;
	disks[0] = b.disk;
	snprintf(second, sizeof(second), "%s/disk2", b.m.root);
	assert_int_equal(mkdir(second, 0755), 0);
	b.disks[0] = disks[1] = second;
	/* Nothing changed: nothing is opened, and next to nothing is stored. */
	assert_int_equal(build_meddled(&b, NULL), 0);
	assert_int_equal(med.opened, 0);
	assert_int_equal(b.r.result.unchanged, 312);
	assert_int_equal(b.r.result.read_bytes, 0);
	assert_true(b.r.disk_bytes < 100000);
	/* A new one, one with other bytes of the same length and the same mtime, one longer, one gone. */
	build_maker_file(&b, "d/new", 5000, 9);
	snprintf(path, sizeof(path), "%s/size262144", b.src);
	assert_int_equal(stat(path, &st), 0);
	build_maker_file(&b, "size262144", 262144, 4711);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	build_maker_file(&b, "d/f017", 6000, 10);
	snprintf(path, sizeof(path), "%s/d/f100", b.src);
	assert_int_equal(unlink(path), 0);
	med.later = 7200;
	assert_int_equal(build_meddled(&b, NULL), 0);
	assert_int_equal(med.opened, 3);
	assert_int_equal(b.r.result.unchanged, 309);
	assert_true(b.r.disk_bytes < 400000);
	text_of(&b, &t, disks, 2);
	digests_compare(&b, &t, "", &files);
	digests_compare(&b, &t, "/d", &files);
	assert_int_equal(files, 312);
	assert_null(image_text_find(&t, &b, "d/f100"));
	image_text_free(&t);
	/* --full leans on nothing. */
	snprintf(second, sizeof(second), "%s/disk3", b.m.root);
	assert_int_equal(mkdir(second, 0755), 0);
	b.o.full = true;
	assert_int_equal(build_meddled(&b, NULL), 0);
	assert_int_equal(med.opened, 312);
	assert_true(b.r.disk_bytes > first_bytes - first_bytes / 10);
	disks[0] = second;
	text_of(&b, &t, disks, 1);
	image_text_free(&t);
	build_maker_end(&b);
}

/* A file whose times are later than two seconds before it was read may have changed within them. */
/* Each stands in the middle of neighbours that changed: no bundle of the moved directory is as it was. */
static void
small_files_that_moved_are_not_stored_again(void **state)
{
	char second[200], from[200], to[200], name[64];
	const char *disks[2];
	struct image_text t;
	struct build_maker b;
	unsigned files = 0;

	(void)state;
	build_maker_start(&b);
	build_maker_dir(&b, "before");
	for (unsigned i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "before/f%03u", i);
		build_maker_file(&b, name, 3000, i + 1);
	}
	med.later = 3600;
	assert_int_equal(build_meddled(&b, NULL), 0);
	disks[0] = b.disk;
	snprintf(second, sizeof(second), "%s/disk2", b.m.root);
	assert_int_equal(mkdir(second, 0755), 0);
	b.disks[0] = disks[1] = second;
	snprintf(from, sizeof(from), "%s/before", b.src);
	snprintf(to, sizeof(to), "%s/after", b.src);
	assert_int_equal(rename(from, to), 0);
	for (unsigned i = 0; i < 400; i += 20) {
		snprintf(name, sizeof(name), "after/f%03u", i);
		build_maker_file(&b, name, 3001, i + 1000);
	}
	med.later = 7200;
	assert_int_equal(build_meddled(&b, NULL), 0);
	assert_int_equal(med.opened, 400);
	assert_true(b.r.disk_bytes < 20 * 3001 + 150000);
	text_of(&b, &t, disks, 2);
	digests_compare(&b, &t, "/after", &files);
	assert_int_equal(files, 400);
	image_text_free(&t);
	/* Once more: what the second image knows is of both. */
	assert_int_equal(rename(to, from), 0);
	med.later = 10800;
	assert_int_equal(build_meddled(&b, NULL), 0);
	assert_int_equal(med.opened, 400);
	assert_true(b.r.disk_bytes < 150000);
	build_maker_end(&b);
}

static void
what_is_too_fresh_is_read_again(void **state)
{
	struct build_maker b;
	struct image_text t;

	(void)state;
	build_maker_start(&b);
	build_maker_file(&b, "fresh", 1000, 1);
	med.later = -3600;	/* the file lies in the future: fresh on any machine, however slow */
	assert_int_equal(build_meddled(&b, NULL), 0);
	text_read(&b, &t);
	assert_true(says(&t, &b, "fresh", "flags=1 "));
	image_text_free(&t);
	med.later = 3600;
	assert_int_equal(build_meddled(&b, NULL), 0);
	assert_int_equal(med.opened, 1);
	text_read(&b, &t);
	assert_true(says(&t, &b, "fresh", "flags=0 "));
	image_text_free(&t);
	assert_int_equal(build_meddled(&b, NULL), 0);
	assert_int_equal(med.opened, 0);
	build_maker_end(&b);
}

/* --- sources that do not hold still --- */

static void
changes_are_seen(size_t len, int times, const char *flags, uint64_t warnings)
{
	struct build_maker b;
	struct image_text t;
	unsigned files = 0;

	build_maker_start(&b);
	build_maker_file(&b, "other", 200, 3);
	build_maker_file(&b, "moving", len, 1);
	med.later = 3600;
	med.change = times;
	assert_int_equal(build_meddled(&b, "moving"), 0);
	assert_int_equal(b.r.result.warnings, warnings);
	text_read(&b, &t);
	assert_true(says(&t, &b, "moving", flags));
	if (warnings == 0)
		digests_compare(&b, &t, "", &files);
	image_text_free(&t);
	/* Flagged: read again by the next build, which has it whole. */
	assert_int_equal(build_meddled(&b, NULL), 0);
	assert_int_equal(med.opened, warnings == 0 ? 0 : 1);
	text_read(&b, &t);
	digests_compare(&b, &t, "", &files);
	assert_true(says(&t, &b, "moving", "flags=0 "));
	image_text_free(&t);
	build_maker_end(&b);
}

static void
a_file_that_changed_while_it_was_read_is_read_once_more(void **state)
{
	(void)state;
	changes_are_seen(20000, 1, "flags=0 ", 0);
	changes_are_seen(STRETCH * 2 + 12345, 1, "flags=0 ", 0);
}

static void
a_file_that_changes_again_is_flagged(void **state)
{
	(void)state;
	changes_are_seen(20000, 1000, "flags=9 ", 1);
	changes_are_seen(STRETCH * 2 + 12345, 1000, "flags=9 ", 1);
}

static void
remove_it(void)
{
	assert_int_equal(unlink(med.path), 0);
}

static void
replace_it_by_a_fifo(void)
{
	assert_int_equal(unlink(med.path), 0);
	assert_int_equal(mkfifo(med.path, 0600), 0);
}

static void
replace_it_by_a_symlink(void)
{
	assert_int_equal(unlink(med.path), 0);
	assert_int_equal(symlink("/etc/passwd", med.path), 0);
}

/* "item" of ${len} bytes goes wrong; the build ends with ${want} and everything else is in the image. */
static void
one_goes_wrong(size_t len, void (*on_open)(void), int open_errno, int read_errno, int want)
{
	struct build_maker b;
	struct image_text t;
	char from[200], to[200];

	build_maker_start(&b);
	build_maker_file(&b, "before", 5000, 1);
	build_maker_file(&b, "item", len, 2);
	build_maker_file(&b, "later", 200000, 3);
	if (on_open == NULL) {
		snprintf(from, sizeof(from), "%s/item", b.src);
		snprintf(to, sizeof(to), "%s/second-name", b.src);
		assert_int_equal(link(from, to), 0);
	}
	med.on_open = on_open;
	med.open_errno = open_errno;
	med.read_errno = read_errno;
	assert_int_equal(build_meddled(&b, "item"), want);
	assert_true(b.r.sealed);
	assert_true(b.r.result.warnings > 0);
	assert_int_equal(b.r.result.unreadable > 0, want == 3);
	text_read(&b, &t);
	assert_null(image_text_find(&t, &b, "item"));
	assert_non_null(image_text_find(&t, &b, "before"));
	assert_non_null(image_text_find(&t, &b, "later"));
	assert_int_equal(t.unreadable, b.r.result.unreadable);
	image_text_free(&t);
	build_maker_end(&b);
}

static void
a_file_that_vanished_is_left_out(void **state)
{
	(void)state;
	one_goes_wrong(1000, remove_it, 0, 0, 0);
	one_goes_wrong(300000, remove_it, 0, 0, 0);
}

static void
a_file_that_became_something_else_is_left_out(void **state)
{
	(void)state;
	one_goes_wrong(1000, replace_it_by_a_fifo, 0, 0, 3);
	one_goes_wrong(300000, replace_it_by_a_fifo, 0, 0, 3);
	one_goes_wrong(1000, replace_it_by_a_symlink, 0, 0, 3);
	one_goes_wrong(300000, replace_it_by_a_symlink, 0, 0, 3);
}

static void
a_file_that_cannot_be_read_is_left_out_and_said(void **state)
{
	(void)state;
	one_goes_wrong(1000, NULL, EACCES, 0, 3);
	one_goes_wrong(300000, NULL, EACCES, 0, 3);
	one_goes_wrong(1000, NULL, 0, EIO, 3);
	one_goes_wrong(STRETCH * 3, NULL, 0, EIO, 3);
}

/* --- a disk that gets full --- */

/* Files are being cut and stored by several threads when it happens: the cause is what is told, and --resume ends it. */
static void
full_at(uint64_t nth)
{
	const struct fault_plan plan = { .kind = FAULT_WRITE, .nth = nth, .every = 1, .sys = ENOSPC };
	struct build_maker b;
	struct image_text t;
	char name[32];
	unsigned files = 0;
	enum err_code code;
	uint64_t hits;
	int rc;

	build_maker_start(&b);
	for (unsigned i = 0; i < 6; i++) {
		snprintf(name, sizeof(name), "big%u", i);
		build_maker_file(&b, name, STRETCH * 2 + i * 1000, i);
	}
	b.o.workers = 4;
	fault_start(&plan);
	rc = build_maker_run(&b);
	code = b.e.code;
	hits = fault_hits();
	fault_stop();
	assert_true(hits > 0);
	assert_int_equal(rc, -1);
	if (code != ERR_NO_SPACE && code != ERR_DISK_NEEDED)	/* the first pack on a full disk asks for another one */
		fail_msg("write %u: %s", (unsigned)nth, b.e.msg);
	b.o.resume = true;
	rc = build_maker_run(&b);
	if (rc == -1 && b.e.code == ERR_NO_IMAGE) {
		b.o.resume = false;	/* it was not begun yet */
		rc = build_maker_run(&b);
	}
	assert_int_equal(rc, 0);
	text_read(&b, &t);
	digests_compare(&b, &t, "", &files);
	assert_int_equal(files, 6);
	image_text_free(&t);
	build_maker_end(&b);
}

static void
a_full_disk_is_told_as_such_and_gone_on_from(void **state)
{
	(void)state;
	for (uint64_t nth = 1; nth <= 22; nth += 3)
		full_at(nth);
}

/* --- what is left out on purpose --- */

static void
patterns_leave_out(void **state)
{
	static const char *const patterns[] = { "*.o", "/build/", "!keep.o" };
	struct build_maker b;
	struct image_text t;

	(void)state;
	build_maker_start(&b);
	build_maker_dir(&b, "build");
	build_maker_dir(&b, "sub");
	build_maker_dir(&b, "sub/build");
	build_maker_file(&b, "a.c", 10, 1);
	build_maker_file(&b, "a.o", 10, 1);
	build_maker_file(&b, "keep.o", 10, 1);
	build_maker_file(&b, "build/x", 10, 1);
	build_maker_file(&b, "sub/build/y", 10, 1);
	b.o.excludes = patterns;
	b.o.nexcludes = 3;
	built(&b, 0);
	text_read(&b, &t);
	assert_non_null(image_text_find(&t, &b, "a.c"));
	assert_null(image_text_find(&t, &b, "a.o"));
	assert_non_null(image_text_find(&t, &b, "keep.o"));
	assert_null(image_text_find(&t, &b, "build/x"));
	assert_non_null(image_text_find(&t, &b, "sub/build/y"));
	image_text_free(&t);
	build_maker_end(&b);
}

static void
target_and_state_are_never_walked(void **state)
{
	struct build_maker b;
	struct image_text t;

	(void)state;
	build_maker_start(&b);
	build_maker_file(&b, "file", 10, 1);
	b.paths[0] = b.m.root;	/* holds source, disk and state */
	built(&b, 0);
	text_read(&b, &t);
	assert_non_null(image_text_find(&t, &b, "file"));
	assert_null(strstr(t.text, "/disk/samara"));
	assert_null(strstr(t.text, "/state/"));
	image_text_free(&t);
	build_maker_end(&b);
}

static void
a_dry_run_writes_nothing(void **state)
{
	struct build_maker b;
	char path[128];
	char **names;
	size_t n;

	(void)state;
	build_maker_start(&b);
	a_tree_of_all_sizes(&b);
	b.o.dry_run = true;
	built(&b, 0);
	assert_int_equal(b.r.result.files, 312);
	assert_true(b.r.result.read_bytes > 9000000);
	assert_int_equal(dir_list(AT_FDCWD, b.disk, &names, &n, &b.e), 0);
	assert_int_equal(n, 0);
	dir_list_free(names, n);
	snprintf(path, sizeof(path), "%s/images", b.m.state);
	assert_true(dir_list(AT_FDCWD, path, &names, &n, &b.e) != 0 || n == 0);
	if (n == 0)
		dir_list_free(names, n);
	build_maker_end(&b);
}

/* Power is not cut here: asking the disk would only take time. */
static int
no_fsync(int fd)
{
	(void)fd;
	return 0;
}

int
main(void)
{
	struct io_ops quick = *io_real();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_of_every_size_come_back),
		cmocka_unit_test(names_of_any_bytes_come_back),
		cmocka_unit_test(hard_links_carry_the_same_extents_and_cost_nothing),
		cmocka_unit_test(a_file_that_changes_between_two_of_its_names_is_flagged),
		cmocka_unit_test(holes_are_neither_read_nor_stored),
		cmocka_unit_test(the_listing_does_not_depend_on_the_number_of_workers),
		cmocka_unit_test(only_what_changed_is_opened_again),
		cmocka_unit_test(small_files_that_moved_are_not_stored_again),
		cmocka_unit_test(what_is_too_fresh_is_read_again),
		cmocka_unit_test(a_file_that_changed_while_it_was_read_is_read_once_more),
		cmocka_unit_test(a_file_that_changes_again_is_flagged),
		cmocka_unit_test(a_file_that_vanished_is_left_out),
		cmocka_unit_test(a_file_that_became_something_else_is_left_out),
		cmocka_unit_test(a_file_that_cannot_be_read_is_left_out_and_said),
		cmocka_unit_test(a_full_disk_is_told_as_such_and_gone_on_from),
		cmocka_unit_test(patterns_leave_out),
		cmocka_unit_test(target_and_state_are_never_walked),
		cmocka_unit_test(a_dry_run_writes_nothing),
	};

	secret_init();
	say_level_set(SAY_QUIET);
	quick.fsync = no_fsync;
	(void)io_use(&quick);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
