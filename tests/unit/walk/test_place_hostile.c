#include "walk_tree.h"

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/walk/place.h"

/*
 * Random hostile listings are restored into a target while a second process
 * keeps swapping the target's directories for symlinks to a directory outside.
 * Nothing outside may be created, changed or deleted.  ctime is compared too,
 * so that even a change that was taken back would show.
 */

#define LISTINGS	10000u
#define TAG		7u

static uint64_t seed = 1;

static uint32_t
random_below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32) % n;
}

struct world {
	struct tree top;
	char outside[160], target[160];
	int target_fd;
	struct stat outside_file;
	pid_t swapper;
	uint64_t *swaps;	/* shared with the swapper */
	bool no_symlinks;	/* in the listings: then only the swapper makes any */
};

/* The full state of a tree as text, names in the order of their inodes' directory. */
static void
state_of(int dirfd, const char *name, char **text, size_t *len)
{
	char line[1024], target[256] = "", content[256] = "";
	struct stat st;
	ssize_t n;
	int fd;

	assert_int_equal(fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	if (S_ISLNK(st.st_mode) && (n = readlinkat(dirfd, name, target, sizeof(target) - 1)) > 0)
		target[n] = '\0';
	if (S_ISREG(st.st_mode)) {
		assert_true((fd = openat(dirfd, name, O_RDONLY)) >= 0);
		assert_true((n = read(fd, content, sizeof(content) - 1)) >= 0);
		content[n] = '\0';
		(void)close(fd);
	}
	n = snprintf(line, sizeof(line), "%s %o %u %u %lld %lu %lld.%ld %lld.%ld %s %s\n", name, st.st_mode, st.st_uid,
	    st.st_gid, (long long)st.st_size, (unsigned long)st.st_nlink, (long long)st.st_mtim.tv_sec,
	    st.st_mtim.tv_nsec, (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec, target, content);
	assert_non_null(*text = realloc(*text, *len + (size_t)n + 1));
	(void)memcpy(*text + *len, line, (size_t)n + 1);
	*len += (size_t)n;
	if (S_ISDIR(st.st_mode)) {
		DIR *d;
		struct dirent *entry;

		assert_true((fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY)) >= 0);
		assert_non_null(d = fdopendir(fd));
		while ((entry = readdir(d)) != NULL)
			if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
				state_of(fd, entry->d_name, text, len);
		(void)closedir(d);
	}
}

static char *
outside_state(const struct world *w)
{
	char *text = NULL;
	size_t len = 0;

	state_of(AT_FDCWD, w->outside, &text, &len);
	return text;
}

/* What the listings name is there, outside too, so that a slip has something to hit. */
static void
outside_fill(struct world *w)
{
	static const char *const dirs[] = { "a", "b", "c", "a/a", "a/b", "b/a", "b/b" };
	static const char *const files[] = { "f", "g", "a/f", "a/g", "b/f", "a/a/f" };
	char path[256];
	struct tree t;

	assert_int_equal(mkdir(w->outside, 0755), 0);
	(void)snprintf(t.path, sizeof(t.path), "%.120s", w->outside);
	assert_true((t.fd = open(w->outside, O_RDONLY | O_DIRECTORY)) >= 0);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		tree_dir(&t, dirs[i]);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		tree_file(&t, files[i], "do not touch");
	assert_int_equal(symlinkat("a/f", t.fd, "l"), 0);
	(void)close(t.fd);
	(void)snprintf(path, sizeof(path), "%s/f", w->outside);
	assert_int_equal(stat(path, &w->outside_file), 0);
}

/*
 * The other side: swaps names of the target for symlinks that lead outside,
 * and back.  It must not stumble over such symlinks itself, so it works in
 * directories that it opened without following any.
 */
static void
swap_once(struct world *w)
{
	static const char *const dirs[] = { ".", ".", "a", "b" };
	static const char *const names[] = { "a", "b", "c", "f", "f", ".samara-0000000000000007-af63db4c8601ead9" };
	static const char *const to[] = { "", "/a", "/b", "/f", "/a/f" };
	const char *name = names[random_below(sizeof(names) / sizeof(names[0]))];
	char link[400];
	int fd = openat(w->target_fd, dirs[random_below(4)], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd == -1)
		return;
	(void)snprintf(link, sizeof(link), "%s%s", w->outside, to[random_below(5)]);
	if (renameat(fd, name, fd, "away") != 0 && errno != ENOENT) {
		(void)unlinkat(fd, "away", 0);
		(void)renameat2(fd, name, fd, "away", RENAME_EXCHANGE);
	}
	if (symlinkat(link, fd, name) == 0)
		(*w->swaps)++;
	if (random_below(2) == 0)
		(void)sched_yield();
	(void)unlinkat(fd, name, 0);
	(void)renameat2(fd, "away", fd, name, RENAME_NOREPLACE);
	(void)close(fd);
}

static void
world_make(struct world *w)
{
	(void)memset(w, 0, sizeof(*w));
	tree_make(&w->top);
	(void)snprintf(w->outside, sizeof(w->outside), "%s/outside", w->top.path);
	(void)snprintf(w->target, sizeof(w->target), "%s/target", w->top.path);
	outside_fill(w);
	assert_int_equal(mkdir(w->target, 0755), 0);
	assert_true((w->target_fd = open(w->target, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0);
	w->swaps = mmap(NULL, sizeof(*w->swaps), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(w->swaps != MAP_FAILED);
	assert_true((w->swapper = fork()) >= 0);
	if (w->swapper == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		seed = 4711;
		for (;;)
			swap_once(w);
	}
}

static void
world_remove(struct world *w)
{
	int status;

	assert_int_equal(kill(w->swapper, SIGKILL), 0);
	assert_int_equal(waitpid(w->swapper, &status, 0), w->swapper);
	assert_true(WIFSIGNALED(status));
	(void)munmap(w->swaps, sizeof(*w->swaps));
	(void)close(w->target_fd);
	tree_remove(&w->top);
}

/* Hostile or plain: a directory's name as a listing might give it. */
static struct fmt_view
random_path(const struct world *w, char buf[512])
{
	static const char *const plain[] = { "/", "/a", "/b", "/a/a", "/a/b", "/b/a", "/b/b/c", "/c", "/f", "/l" };
	static const char *const hostile[] = { "/..", "/../outside", "/a/../../outside", "/a/./b", "//a", "/a/",
		"a", "", "/a//b", "/./.." };
	const char *p;

	switch (random_below(10)) {
	case 0:
		p = hostile[random_below(10)];
		break;
	case 1:
		p = w->outside;		/* absolute: below the target it is only a deep path */
		break;
	default:
		p = plain[random_below(10)];
	}
	(void)snprintf(buf, 512, "%s", p);
	return view_of(buf, strlen(buf));
}

static struct fmt_view
random_name(const struct world *w, char buf[512])
{
	static const char *const plain[] = { "a", "b", "c", "f", "f", "g", "l" };
	static const char *const hostile[] = { "..", ".", "../outside/f", "a/f", "/f", "" };

	if (random_below(12) == 0)
		(void)snprintf(buf, 512, "%s/f", w->outside);
	else if (random_below(8) == 0)
		(void)snprintf(buf, 512, "%s", hostile[random_below(6)]);
	else
		(void)snprintf(buf, 512, "%s", plain[random_below(7)]);
	return view_of(buf, random_below(50) == 0 ? strlen(buf) + 1 : strlen(buf));
}

static void
random_target(const struct world *w, char buf[512])
{
	static const char *const tail[] = { "", "/a", "/f", "/a/f" };

	if (random_below(4) == 0)
		(void)snprintf(buf, 512, "%s", random_below(2) == 0 ? "../outside" : "..");
	else
		(void)snprintf(buf, 512, "%s%s", w->outside, tail[random_below(4)]);
}

struct listing {
	struct world *w;
	struct place *p;
	struct meta_report report;
	struct place_id id;		/* of the file made last */
	struct fmt_view path, name;	/* and where it was */
	char path_buf[512], name_buf[512], here_buf[512];
	struct fmt_view here;
};

static void
put_file(struct listing *l, struct entry *en)
{
	struct place_dir *d = place_dir_hold(l->p);
	struct place_file *f;
	enum place_result res;
	struct err e;

	err_clear(&e);
	en->type = ENTRY_FILE;
	en->size = 7;
	if (place_file_begin(d, en, &f, &res, &l->id, &l->report, &e) == 0 && f != NULL) {
		assert_int_equal(place_file_write(f, "hostile", 7, 0, &e), 0);
		if (random_below(8) == 0)
			place_file_abandon(f);
		else if (place_file_commit(f, en, &l->report, &res, &l->id, &e) >= 0 && l->here.len < 512) {
			(void)memcpy(l->path_buf, l->here.p, l->here.len);
			l->path = view_of(l->path_buf, l->here.len);
			(void)memcpy(l->name_buf, en->name.p, en->name.len);
			l->name = view_of(l->name_buf, en->name.len);
		}
	}
	place_dir_release(d);
}

static void
put_link(struct listing *l, struct entry *en)
{
	struct place_id id = l->id;
	enum place_result res;
	char path[512], name[512];

	en->type = ENTRY_FILE;
	if (random_below(3) == 0)	/* even where the id of a file outside is known */
		id = (struct place_id){ .dev = l->w->outside_file.st_dev, .ino = l->w->outside_file.st_ino };
	if (random_below(2) == 0 && l->name.len > 0)
		(void)place_hardlink(l->p, en, l->path, l->name, &id, &res, NULL);
	else
		(void)place_hardlink(l->p, en, random_path(l->w, path), random_name(l->w, name), &id, &res, NULL);
}

static void
put_special(struct listing *l, struct entry *en)
{
	struct place_dir *d = place_dir_hold(l->p);
	enum place_result res;

	en->type = random_below(3) == 0 ? ENTRY_CHAR : ENTRY_FIFO;
	en->major = 1;
	en->minor = 3;
	(void)place_special(d, en, &l->report, &res, NULL);
	place_dir_release(d);
}

static void
random_step(struct listing *l)
{
	char name[512], target[512];
	struct entry en = {
		.mode = random_below(2) == 0 ? 0777 : 0700, .uid = geteuid(), .gid = getegid(), .nlink = 1,
		.mtime_s = 12345,
	};
	enum place_result res;

	en.name = random_name(l->w, name);
	switch (random_below(8)) {
	case 0:
	case 1:
		l->here = random_path(l->w, l->here_buf);
		(void)place_enter(l->p, l->here, NULL);
		break;
	case 2:
		en.type = ENTRY_DIR;
		(void)place_subdir(l->p, &en, &res, NULL);
		break;
	case 3:
		if (l->w->no_symlinks)
			break;
		en.type = ENTRY_SYMLINK;
		random_target(l->w, target);
		en.target = view_of(target, strlen(target));
		(void)place_symlink(l->p, &en, NULL);
		break;
	case 4:
		put_link(l, &en);
		break;
	case 5:
		put_special(l, &en);
		break;
	default:
		put_file(l, &en);
	}
}

static void
restore_one(struct world *w, unsigned i)
{
	struct place_options opt = { .overwrite = (enum place_overwrite)random_below(3), .tag = TAG, .empty = random_below(2) == 0 };
	struct listing l = { .w = w };
	struct err e;

	if (i % 40 == 0) {		/* begin again with an empty target */
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			(void)!chdir(w->target);
			(void)dup2(open("/dev/null", O_WRONLY), 2);	/* it cannot keep up with the swapper */
			(void)execlp("rm", "rm", "-rf", "--", "a", "b", "c", "f", "g", "l", "away", (char *)NULL);
			_exit(127);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
	}
	err_clear(&e);
	assert_non_null(l.p = place_new(w->target_fd, &opt, &e));
	l.here = view_of("/", 1);
	for (unsigned steps = 4 + random_below(16); steps > 0; steps--)
		random_step(&l);
	assert_int_equal(place_finish(l.p, &l.report, NULL, NULL, &e), 0);
	place_free(l.p);
}

/* The seeded bug: a system that follows symlinks whatever it is told. */
static int
open_following(int dirfd, const char *path, int flags, mode_t mode)
{
	return openat(dirfd, path, flags & ~O_NOFOLLOW, mode);
}

static int
openat2_missing(int dirfd, const char *path, const struct open_how *how)
{
	(void)dirfd;
	(void)path;
	(void)how;
	errno = ENOSYS;
	return -1;
}

/* How many listings it takes until something outside changes; LISTINGS: nothing did. */
static unsigned
listings_until_caught(bool no_symlinks)
{
	struct io_ops leaky = *io_real();
	struct world w;
	char *before, *after = NULL;
	unsigned i;

	world_make(&w);
	w.no_symlinks = no_symlinks;
	before = outside_state(&w);
	leaky.open = open_following;
	leaky.openat2 = openat2_missing;
	(void)io_use(&leaky);
	for (i = 0; i < LISTINGS; i++) {
		restore_one(&w, i);
		free(after);
		if (strcmp(before, after = outside_state(&w)) != 0)
			break;
	}
	(void)io_use(io_real());
	free(before);
	free(after);
	world_remove(&w);
	return i;
}

static void
a_place_that_follows_symlinks_of_the_listing_is_caught(void **state)
{
	(void)state;
	seed = 99;
	assert_true(listings_until_caught(false) < LISTINGS);
}

static void
a_place_that_follows_symlinks_of_the_swapper_is_caught(void **state)
{
	(void)state;
	seed = 77;
	assert_true(listings_until_caught(true) < LISTINGS);
}

static void
hold_against(unsigned listings, const struct io_ops *ops)
{
	struct world w;
	char *before, *after;

	world_make(&w);
	before = outside_state(&w);
	(void)io_use(ops);
	for (unsigned i = 0; i < listings; i++) {
		restore_one(&w, i);
		if (i % 500 != 499)
			continue;
		after = outside_state(&w);
		assert_string_equal(after, before);
		free(after);
	}
	(void)io_use(io_real());
	after = outside_state(&w);
	assert_string_equal(after, before);
	free(after);
	free(before);
	assert_true(*w.swaps > 100);
	world_remove(&w);
}

static void
hostile_listings_touch_nothing_outside_while_directories_are_swapped(void **state)
{
	(void)state;
	seed = 12345;
	hold_against(LISTINGS, io_real());
}

static void
the_same_holds_on_a_kernel_without_openat2(void **state)
{
	struct io_ops old = *io_real();

	(void)state;
	seed = 54321;
	old.openat2 = openat2_missing;
	hold_against(LISTINGS / 5, &old);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_place_that_follows_symlinks_of_the_listing_is_caught),
		cmocka_unit_test(a_place_that_follows_symlinks_of_the_swapper_is_caught),
		cmocka_unit_test(hostile_listings_touch_nothing_outside_while_directories_are_swapped),
		cmocka_unit_test(the_same_holds_on_a_kernel_without_openat2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
