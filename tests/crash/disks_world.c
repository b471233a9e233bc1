#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/io.h"
#include "common/crypto/hash.h"
#include "common/flow/build.h"
#include "common/flow/id_list.h"
#include "common/flow/image_state.h"
#include "common/flow/state_refs.h"
#include "common/pack/id_sorter.h"
#include "tests/crash/disks_world.h"
#include "tests/crash/image_reader.h"
#include "tests/crash/vault_world.h"

#define DISKS	5u	/* with numbers from 1 on */

static struct io_ops ops;
static const char *full = "/disk1";

static bool
is_topup(enum disks_deed deed)
{
	return deed == DISKS_TOPUP || deed == DISKS_TOPUP_TWO;
}

/* ---- a system that does not sync, with a disk that has room for one pack ---- */

static int
no_fsync(int fd)
{
	(void)fd;
	return 0;
}

/* Nothing passes by the cache: that would only take time. */
static int
cached_open(int dirfd, const char *path, int flags, mode_t mode)
{
	return io_real()->open(dirfd, path, flags & ~O_DIRECT, mode);
}

static int
no_direct(int fd, int cmd, int arg)
{
	return io_real()->fcntl_int(fd, cmd, cmd == F_SETFL ? arg & ~O_DIRECT : arg);
}

static int
no_fadvise(int fd, off_t at, off_t len, int advice)
{
	(void)fd, (void)at, (void)len, (void)advice;
	return 0;
}

/* Packs of any image below the top of a disk, published or not. */
static unsigned
packs_below(const char *disk)
{
	char path[4096];
	struct dirent *x, *y;
	DIR *top, *packs;
	unsigned n = 0;

	(void)snprintf(path, sizeof(path), "%.1000s/samara", disk);
	if ((top = opendir(path)) == NULL)
		return 0;
	while ((x = readdir(top)) != NULL) {
		(void)snprintf(path, sizeof(path), "%.1000s/samara/%s/packs/0000", disk, x->d_name);
		if (x->d_name[0] == '.' || (packs = opendir(path)) == NULL)
			continue;
		while ((y = readdir(packs)) != NULL)
			n += y->d_name[0] != '.';
		closedir(packs);
	}
	closedir(top);
	return n;
}

static int
small_fstatfs(int fd, struct statfs *fs)
{
	char link[64], path[1024];
	ssize_t n;

	if (fstatfs(fd, fs) != 0)
		return -1;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if ((n = readlink(link, path, sizeof(path) - 1)) < (ssize_t)strlen(full))
		return 0;
	path[n] = '\0';
	if (strcmp(path + n - strlen(full), full) == 0 && packs_below(path) > 0)
		fs->f_bavail = fs->f_bfree = 0;
	return 0;
}

/* ---- making ---- */

static void
disk_path(const char *at, unsigned number, char out[160])
{
	(void)snprintf(out, 160, "%.140s/disk%u", at, number);
}

static void
source_make(const struct disks_world *w)
{
	uint8_t *bytes = malloc(400000);
	uint32_t x = 4711;
	char path[160];
	struct err e;

	assert_non_null(bytes);
	err_clear(&e);
	for (unsigned i = 0; i < 24; i++) {
		size_t n = i == 7 ? 400000 : (i * 379) % 9000;

		for (size_t k = 0; k < n; k++) {
			x = x * 1103515245 + 12345;
			bytes[k] = (uint8_t)(x >> 16);
		}
		(void)snprintf(path, sizeof(path), "%s/d%u", w->src, i % 3);
		(void)mkdir(path, 0755);
		(void)snprintf(path, sizeof(path), "%s/d%u/f%03u", w->src, i % 3, i);
		assert_int_equal(file_replace(AT_FDCWD, path, bytes, n, 0644, &e), 0);
	}
	free(bytes);
}

static int
id_keep(void *arg, const uint8_t id[DIGEST_LEN], struct err *e)
{
	return id_sorter_add(arg, id, e);
}

/* The vault says that it holds nothing of the image. */
static void
gaps_make(const struct disks_world *w)
{
	char path[160];
	int root = open(w->m.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct id_list about = { .time = 1 };
	struct image_state *im;
	struct id_sorter *ids;
	struct state *s;
	struct err e;

	err_clear(&e);
	(void)snprintf(path, sizeof(path), "%s/state", w->start[1]);
	assert_non_null(s = state_open(path, &e));
	assert_non_null(im = image_state_load(s, w->image, NULL, NULL, &e));
	assert_non_null(ids = id_sorter_new(root, 1 << 20, &e));
	assert_int_equal(state_refs_each(s, &im->envelope, id_keep, ids, &e), 0);
	memcpy(about.vault_id, s->trust.vault_id, ID_LEN);
	memcpy(about.machine_id, s->id.machine_id, ID_LEN);
	memcpy(about.domain_id, s->id.domain_id, DIGEST_LEN);
	assert_int_equal(id_list_save_path(w->gaps, &gap_list_schema, &about, ids, w->m.vault.sign_secret, &e), 0);
	id_sorter_free(ids);
	image_state_free(im);
	state_free(s);
	(void)close(root);
}

/* The image that the state has besides ${not}, in lower case; one that is sealed before any other. */
static void
image_name(const char *at, const char *not, char out[8])
{
	char path[160], **names;
	struct image_state *im;
	struct state *s;
	bool sealed = false;
	struct err e;
	size_t n;

	err_clear(&e);
	out[0] = '\0';
	(void)snprintf(path, sizeof(path), "%s/state", at);
	if ((s = state_open(path, &e)) == NULL)
		return;
	if (state_images(s, &names, &n, &e) == 0) {
		for (size_t i = 0; i < n; i++) {
			if (sealed || (not != NULL && strcmp(names[i], not) == 0) ||
			    (im = image_state_load(s, names[i], NULL, NULL, &e)) == NULL)
				continue;
			sealed = im->sealed;
			(void)snprintf(out, 8, "%.7s", names[i]);
			image_state_free(im);
		}
		dir_list_free(names, n);
	}
	state_free(s);
}

void
disks_world_make(struct disks_world *w)
{
	char path[160];
	struct err e;

	memset(w, 0, sizeof(*w));
	err_clear(&e);
	ops = *io_real();
	ops.fsync = no_fsync;
	ops.fstatfs = small_fstatfs;
	ops.open = cached_open;
	ops.fcntl_int = no_direct;
	ops.fadvise = no_fadvise;
	(void)io_use(&ops);
	machine_maker_start(&w->m);
	(void)snprintf(w->src, sizeof(w->src), "%s/src", w->m.root);
	(void)snprintf(w->gaps, sizeof(w->gaps), "%s/gaps", w->m.root);
	for (unsigned i = 0; i < 2; i++)
		(void)snprintf(w->start[i], sizeof(w->start[i]), "%s/start%u", w->m.root, i);
	assert_int_equal(mkdir(w->src, 0755), 0);
	assert_int_equal(mkdir(w->start[0], 0755), 0);
	(void)snprintf(w->m.state, sizeof(w->m.state), "%.80s/state", w->start[0]);
	assert_int_equal(machine_maker_register(&w->m, &e), 0);
	source_make(w);
	for (unsigned i = 1; i <= DISKS; i++) {
		disk_path(w->start[0], i, path);
		assert_int_equal(mkdir(path, 0755), 0);
	}
	world_copy(w->start[0], w->start[1]);
	if (disks_run(w, DISKS_BOTH, w->start[1], &e) != 0)
		fail_msg("build: %s", e.msg);
	image_name(w->start[1], NULL, w->image);
	if (disks_good(w, DISKS_BOTH, w->start[1], &e) != 0)
		fail_msg("build: %s", e.msg);
	gaps_make(w);
}

void
disks_world_drop(struct disks_world *w)
{
	machine_maker_end(&w->m);
	(void)io_use(io_real());
}

/* ---- doing ---- */

const char *
disks_deed_name(enum disks_deed deed)
{
	static const char *const names[DISKS_DEEDS] = { "two disks", "one bay", "spread", "top-up",
		"top-up over two disks", "replacement" };

	return names[deed];
}

void
disks_start(const struct disks_world *w, enum disks_deed deed, const char *at)
{
	char path[160];

	if (access(at, F_OK) == 0)
		scratch_remove(at);
	world_copy(w->start[is_topup(deed) || deed == DISKS_REPLACE], at);
	if (deed == DISKS_REPLACE) {
		disk_path(at, 1, path);
		scratch_remove(path);
		assert_int_equal(mkdir(path, 0755), 0);
	}
}

/* One call of build_run: with disks ${a}, and ${b} where it is not 0. */
static int
build(const struct disks_world *w, const char *at, struct build_options *o, unsigned a, unsigned b, struct err *e)
{
	char state[160], disk[2][160];
	const char *paths[1] = { w->src }, *disks[2] = { disk[0], disk[1] };
	struct build_report r;

	(void)snprintf(state, sizeof(state), "%.140s/state", at);
	disk_path(at, a, disk[0]);
	disk_path(at, b, disk[1]);
	o->state_path = state;
	o->disks = disks;
	o->ndisks = b != 0 ? 2 : 1;
	o->paths = o->resume || o->missing != NULL ? NULL : paths;
	o->npaths = o->paths != NULL;
	o->parity = -1;
	o->reserve = UINT64_MAX;
	o->level = 1;
	o->workers = 2;
	o->memory = 300u << 20;
	o->plain_directory = o->no_key_test = true;
	err_clear(e);
	return build_run(o, &r, e);
}

static int
full_then_next(const struct disks_world *w, const char *at, struct err *e)
{
	struct build_options first = { .resume = false }, next = { .resume = true };
	int rc = build(w, at, &first, 1, 0, e);

	if (rc == -1 && e->code == ERR_DISK_NEEDED)
		return build(w, at, &next, 2, 0, e);
	return rc != 0 ? rc : err_set(e, ERR_DIFFERENT, "the first disk was never full");
}

int
disks_run(const struct disks_world *w, enum disks_deed deed, const char *at, struct err *e)
{
	struct build_options o = { .resume = false };

	full = deed == DISKS_TOPUP_TWO ? "/disk3" : "/disk1";
	switch (deed) {
	case DISKS_ONE_BAY:
		return full_then_next(w, at, e);
	case DISKS_SPREAD:
		o.spread = true;
		return build(w, at, &o, 3, 2, e);
	case DISKS_TOPUP:
		o.missing = w->gaps;
		return build(w, at, &o, 3, 0, e);
	case DISKS_TOPUP_TWO:
		o.missing = w->gaps;
		return build(w, at, &o, 3, 4, e);
	case DISKS_REPLACE:
		o.replace = 1;
		o.image = w->image;
		o.resume = true;
		return build(w, at, &o, 3, 2, e);
	default:
		return build(w, at, &o, 1, 2, e);
	}
}

int
disks_go_on(const struct disks_world *w, enum disks_deed deed, const char *at, struct err *e)
{
	struct build_options o = { .resume = true };
	unsigned first = is_topup(deed) || deed == DISKS_REPLACE ? 3 : 1;
	int rc;

	full = deed == DISKS_TOPUP_TWO ? "/disk3" : "/disk1";
	switch (deed) {
	case DISKS_TOPUP:
		rc = build(w, at, &o, 3, 0, e);
		break;
	case DISKS_TOPUP_TWO:
		rc = build(w, at, &o, 3, 4, e);
		break;
	case DISKS_REPLACE:
	case DISKS_SPREAD:
		rc = build(w, at, &o, 3, 2, e);
		break;
	default:
		rc = build(w, at, &o, 1, 2, e);
	}
	/* A disk that was taken for full was closed: another. */
	if (rc == -1 && e->code == ERR_DISK_NEEDED)
		rc = build(w, at, &o, first, deed == DISKS_TOPUP_TWO ? 5 : 4, e);
	if (rc == -1 && e->code == ERR_NO_IMAGE)
		rc = disks_run(w, deed, at, e);
	return rc;
}

int
disks_replace_topup(const struct disks_world *w, const char *at, struct err *e)
{
	struct build_options o = { .replace = 1, .resume = true };
	char name[8], path[160];

	image_name(at, w->image, name);
	disk_path(at, 3, path);
	scratch_remove(path);
	assert_int_equal(mkdir(path, 0755), 0);
	o.image = name;
	return build(w, at, &o, 5, 4, e);
}

/* ---- asking ---- */

/* The image that the deed is about, in ${name}: 1 if it is as the deed should leave it. */
static int
image_done(const struct disks_world *w, enum disks_deed deed, const char *at, char name[8])
{
	const struct image_disk *old;
	struct image_state *im;
	struct state *s;
	char path[160];
	struct err e;
	int done = 0;

	err_clear(&e);
	image_name(at, is_topup(deed) ? w->image : NULL, name);
	(void)snprintf(path, sizeof(path), "%.140s/state", at);
	if (name[0] == '\0' || (s = state_open(path, &e)) == NULL)
		return 0;
	if ((im = image_state_load(s, name, NULL, NULL, &e)) != NULL) {
		done = im->sealed && !image_is_unfinished(im);
		if (deed == DISKS_REPLACE && ((old = image_disk(im, 1)) == NULL || !old->gone))
			done = 0;
	}
	image_state_free(im);
	state_free(s);
	return done;
}

int
disks_done(const struct disks_world *w, enum disks_deed deed, const char *at)
{
	char name[8];

	return image_done(w, deed, at, name);
}

int
disks_good(const struct disks_world *w, enum disks_deed deed, const char *at, struct err *e)
{
	char state[160], disk[DISKS][160], name[8];
	const char *places[DISKS];
	struct stat st;
	size_t n = 0;

	if (!image_done(w, deed, at, name))
		return err_set(e, ERR_DIFFERENT, "%s is not done", disks_deed_name(deed));
	(void)snprintf(state, sizeof(state), "%.140s/state", at);
	/* A top-up must stand for all that the image's own disks had. */
	for (unsigned i = is_topup(deed) ? 3 : 1; i <= DISKS; i++) {
		char image[192];

		disk_path(at, i, disk[n]);
		(void)snprintf(image, sizeof(image), "%s/samara/%.7s/stmt", disk[n], name);
		if (stat(image, &st) == 0) {
			places[n] = disk[n];
			n++;
		}
	}
	return image_compare(state, is_topup(deed) ? w->image : name, places, n, w->src, e);
}
