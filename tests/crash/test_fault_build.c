/*
 * Every call to the operating system that a build makes fails once, and some
 * fail from then on: the build ends with an error in words, or names what it
 * left out, and the same build again ends in an image that is whole.
 *
 * SAMARA_FAULTS in the environment sets how many faults of each kind are tried
 * (faults.h).
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <sys/xattr.h>

#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/secret.h"
#include "flow/build_maker.h"
#include "tests/crash/faults.h"
#include "tests/crash/image_reader.h"

static struct world {
	struct build_maker b;
	char registered[96];	/* the state as register left it */
	char second[96];	/* a disk, where the first is full */
} w;

/* Power is not cut here: asking the disk would only take time. */
static int
no_fsync(int fd)
{
	(void)fd;
	return 0;
}

static int
world_make(void **state)
{
	static struct io_ops quick;
	char from[200], to[200];

	(void)state;
	quick = *io_real();
	quick.fsync = no_fsync;
	(void)io_use(&quick);
	build_maker_start(&w.b);
	snprintf(w.second, sizeof(w.second), "%s/disk2", w.b.m.root);
	w.b.disks[1] = w.second;
	snprintf(w.registered, sizeof(w.registered), "%s/registered", w.b.m.root);
	assert_int_equal(rename(w.b.m.state, w.registered), 0);
	build_maker_dir(&w.b, "d");
	build_maker_dir(&w.b, "d/deep");
	build_maker_dir(&w.b, "empty");
	build_maker_file(&w.b, "zero", 0, 1);
	build_maker_file(&w.b, "big", 700000, 2);
	for (unsigned i = 0; i < 6; i++) {
		snprintf(from, sizeof(from), "d/f%u", i);
		build_maker_file(&w.b, from, 100 + i * 900, 3 + i);
	}
	build_maker_file(&w.b, "d/deep/last", 5000, 20);
	snprintf(from, sizeof(from), "%s/d/f1", w.b.src);
	snprintf(to, sizeof(to), "%s/link", w.b.src);
	assert_int_equal(link(from, to), 0);
	(void)setxattr(from, "user.note", "x", 1, 0);
	snprintf(to, sizeof(to), "%s/symlink", w.b.src);
	assert_int_equal(symlink("nowhere", to), 0);
	return 0;
}

static int
world_drop(void **state)
{
	(void)state;
	build_maker_end(&w.b);
	(void)io_use(io_real());
	return 0;
}

static void
tree_copy(const char *from, const char *to)
{
	DIR *d = opendir(from);
	struct dirent *x;
	struct stat st;
	uint8_t bytes[65536];
	char a[400], b[400];

	assert_non_null(d);
	assert_int_equal(mkdir(to, 0700), 0);
	while ((x = readdir(d)) != NULL) {
		if (strcmp(x->d_name, ".") == 0 || strcmp(x->d_name, "..") == 0)
			continue;
		assert_true(strlen(from) < 120 && strlen(to) < 120);
		snprintf(a, sizeof(a), "%s/%s", from, x->d_name);
		snprintf(b, sizeof(b), "%s/%s", to, x->d_name);
		assert_int_equal(lstat(a, &st), 0);
		if (S_ISDIR(st.st_mode)) {
			tree_copy(a, b);
			continue;
		}
		int in = open(a, O_RDONLY | O_CLOEXEC), out = open(b, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		ssize_t n;

		assert_true(in != -1 && out != -1);
		while ((n = read(in, bytes, sizeof(bytes))) > 0)
			assert_int_equal(write(out, bytes, (size_t)n), n);
		assert_int_equal(n, 0);
		close(in);
		close(out);
	}
	closedir(d);
}

/* State and disk as they were before any build. */
static void
world_reset(void)
{
	struct stat st;

	if (lstat(w.b.m.state, &st) == 0)
		scratch_remove(w.b.m.state);
	scratch_remove(w.b.disk);
	tree_copy(w.registered, w.b.m.state);
	assert_int_equal(mkdir(w.b.disk, 0755), 0);
	w.b.o.resume = false;
	if (w.b.o.ndisks == 2)
		scratch_remove(w.second);
	w.b.o.ndisks = 1;
}

static int
build(struct err *e)
{
	int rc = build_maker_run(&w.b);

	if (rc == -1)
		*e = w.b.e;
	return rc;
}

/* Go on until there is a sealed image, or none was begun: then from the start. */
static int
go_on(struct err *e)
{
	int rc;

	w.b.o.resume = true;
	if ((rc = build_maker_run(&w.b)) >= 0)
		return rc;
	if (w.b.e.code == ERR_DISK_NEEDED) {
		/* It was taken for full, and closed. */
		assert_int_equal(mkdir(w.second, 0755), 0);
		w.b.o.ndisks = 2;
		if ((rc = build_maker_run(&w.b)) >= 0)
			return rc;
	}
	if (w.b.e.code != ERR_NO_IMAGE) {
		*e = w.b.e;
		return err_during(e, "--resume");
	}
	w.b.o.resume = false;
	return (rc = build(e)) < 0 ? err_during(e, "from the start") : rc;
}

static int
after(int rc, const struct err *why, struct err *e)
{
	(void)why;
	if (rc == 3 && w.b.r.result.unreadable == 0)
		return err_set(e, ERR_DIFFERENT, "nothing is named that was left out");
	if (rc == -1 && (rc = go_on(e)) == -1)
		return -1;
	if (rc == 3 || w.b.r.result.warnings > 0) {
		/* Something was named: the next increment has it. */
		w.b.o.resume = false;
		if ((rc = build(e)) != 0)
			return rc == -1 ? err_during(e, "the next") : err_set(e, ERR_DIFFERENT, "the next one ends with %d", rc);
	}
	err_clear(&w.b.e);
	return image_compare(w.b.m.state, w.b.r.short_name, w.b.disks, w.b.o.ndisks, w.b.src, e);
}

static const struct fault_deed deeds[] = {
	{ "build", world_reset, build, after },
};

int
main(void)
{
	secret_init();
	say_level_set(SAY_QUIET);
	return faults_main("build", deeds, 1, SAMARA_SANITIZED ? 8 : 60, world_make, world_drop);
}
