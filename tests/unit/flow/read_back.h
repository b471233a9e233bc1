#ifndef SAMARA_TESTS_FLOW_READ_BACK_H
#define SAMARA_TESTS_FLOW_READ_BACK_H

/* An image built from a small odd tree, and what is done to it before it is read back.  After cmocka.h. */

#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "common/flow/against.h"
#include "common/flow/restore.h"
#include "common/flow/session.h"
#include "common/walk/compare.h"
#include "flow/build_maker.h"

struct read_back {
	struct build_maker b;
	struct session s;
	struct open_snapshot open;
	struct restore_report r;
	char to[80], image[112];	/* a target; samara/NAME on the disk */
	unsigned told, bad;		/* items, copies */
	unsigned spoilt_pack;		/* by read_back_spoil_file */
	off_t spoilt_at;
	char last[4096];		/* what was told last */
	struct err e;
};

/* Files of all kinds, small and large, with holes, links, attributes and odd names. */
static inline void
read_back_tree(struct read_back *t)
{
	struct build_maker *b = &t->b;
	struct timespec old[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = -5, .tv_nsec = 123456789 } };
	char name[128], to[128], path[512];
	int fd;

	build_maker_dir(b, "small");
	build_maker_dir(b, "empty");
	build_maker_dir(b, "deep");
	build_maker_dir(b, "deep/er");
	for (unsigned i = 0; i < 150; i++) {
		(void)snprintf(name, sizeof(name), "small/f%03u", i);
		build_maker_file(b, name, i * 37 % 5000, i);
	}
	build_maker_file(b, "big", 9000000, 7);
	build_maker_file(b, "deep/er/a", 300000, 8);
	build_maker_file(b, "deep/odd \n\xff name", 1000, 9);
	build_maker_file(b, "nothing", 0, 0);
	(void)snprintf(path, sizeof(path), "%s/hole", b->src);
	fd = open(path, O_WRONLY | O_CREAT, 0640);
	assert_true(fd != -1);
	assert_int_equal(pwrite(fd, "end", 3, 50000000), 3);
	assert_int_equal(fsetxattr(fd, "user.note", "value", 5, 0) == 0 || errno == ENOTSUP, 1);
	assert_int_equal(futimens(fd, old), 0);
	(void)close(fd);
	(void)snprintf(path, sizeof(path), "%s/link", b->src);
	assert_int_equal(symlink("big", path), 0);
	(void)snprintf(path, sizeof(path), "%s/fifo", b->src);
	assert_int_equal(mkfifo(path, 0600), 0);
	(void)snprintf(path, sizeof(path), "%s/deep/er/a", b->src);
	(void)snprintf(to, sizeof(to), "%s/hard", b->src);
	assert_int_equal(link(path, to), 0);
	(void)snprintf(path, sizeof(path), "%s/empty", b->src);
	assert_int_equal(chmod(path, 0500), 0);
	(void)snprintf(path, sizeof(path), "%s/small", b->src);
	assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
}

static inline void
read_back_bad(void *arg, const char *where, const uint8_t *id, const struct err *why)
{
	struct read_back *t = arg;

	(void)id;
	t->bad++;
	(void)snprintf(t->last, sizeof(t->last), "%.300s: %.300s", where, why->msg);
}

static inline void
read_back_told(void *arg, struct fmt_view path, const struct err *why)
{
	struct read_back *t = arg;

	t->told++;
	(void)snprintf(t->last, sizeof(t->last), "%.*s: %.300s", (int)(path.len < 300 ? path.len : 300), (const char *)path.p, why->msg);
}

/* Open the session again over ${n} places. */
static inline int
read_back_open_places(struct read_back *t, const char *const *from, size_t n)
{
	const struct session_options o = { .state_path = t->b.m.state, .from = from, .nfrom = n, .memory = 200u << 20,
	    .bad = read_back_bad, .bad_arg = t };

	err_clear(&t->e);
	return session_open(&t->s, &o, &t->e);
}

static inline int
read_back_open(struct read_back *t)
{
	const char *from[1] = { t->b.disk };

	return read_back_open_places(t, from, 1);
}

static inline int
read_back_setup(void **state)
{
	struct read_back *t = calloc(1, sizeof(*t));
	char name[SHORT_LEN + 1];

	assert_non_null(t);
	build_maker_start(&t->b);
	read_back_tree(t);
	t->b.o.parity = 0;	/* what is damaged stays damaged */
	if (build_maker_run(&t->b) != 0)
		fail_msg("%s", t->b.e.msg);
	for (unsigned i = 0; i <= SHORT_LEN; i++)
		name[i] = (char)(t->b.r.short_name[i] >= 'A' && t->b.r.short_name[i] <= 'Z' ? t->b.r.short_name[i] + 32 :
		    t->b.r.short_name[i]);
	(void)snprintf(t->image, sizeof(t->image), "%s/samara/%s", t->b.disk, name);
	(void)snprintf(t->to, sizeof(t->to), "%s/back", t->b.m.root);
	*state = t;
	return 0;
}

static inline int
read_back_teardown(void **state)
{
	struct read_back *t = *state;

	session_close(&t->s);
	(void)chmod(t->b.src, 0755);
	build_maker_end(&t->b);
	free(t);
	return 0;
}

/* Restore the newest snapshot as ${o} says, where it says anything. */
static inline int
read_back_restore(struct read_back *t, const struct restore_options *more)
{
	struct restore_options o = { .source = t->s.source, .keys = t->s.keys, .snap = &t->s.list.snap[t->s.list.n - 1],
	    .root = "/", .to = t->to, .overwrite = -1, .workers = 3, .tell = read_back_told, .arg = t };

	if (more != NULL) {
		o.root = more->root != NULL ? more->root : o.root;
		o.only = more->only;
		o.nonly = more->nonly;
		o.overwrite = more->overwrite;
		o.dry_run = more->dry_run;
	}
	t->told = 0;
	err_clear(&t->e);
	return restore_run(&o, &t->r, &t->e);
}

static inline void
read_back_differs(void *arg, struct fmt_view path, const char *what)
{
	struct read_back *t = arg;

	(void)snprintf(t->last, sizeof(t->last), "%.*s: %.300s", (int)(path.len < 300 ? path.len : 300), (const char *)path.p, what);
}

/* What stands below ${path} is directory ${root} of the snapshot, to the last byte: entries that differ, and extra names. */
static inline uint64_t
read_back_compare(struct read_back *t, const char *root, const char *path, struct against_result *r)
{
	struct against_options o = { .reader = t->s.reader, .root = root, .path = path, .fn = read_back_differs, .arg = t };

	assert_int_equal(snapshot_open(&t->open, t->s.source, t->s.reader, &t->s.list.snap[t->s.list.n - 1], t->s.keys, &t->e), 0);
	o.snap = &t->open;
	assert_non_null(o.content = source_reader_new(t->s.source, &t->e));
	if (against_run(&o, r, &t->e) != 0)
		fail_msg("%s", t->e.msg);
	source_reader_free(o.content);
	snapshot_close(&t->open);
	return r->different + r->extra;
}

/* Change a byte of the pack ${number} (or another file, where ${name} is not NULL) at ${at}, from its end where that is negative. */
static inline void
read_back_spoil(struct read_back *t, const char *name, unsigned number, off_t at)
{
	char path[256];
	uint8_t b;
	int fd;

	if (name != NULL)
		(void)snprintf(path, sizeof(path), "%s/%s", t->image, name);
	else
		(void)snprintf(path, sizeof(path), "%s/packs/0000/%08u.pk", t->image, number);
	fd = open(path, O_RDWR);
	assert_true(fd != -1);
	at = lseek(fd, at, at < 0 ? SEEK_END : SEEK_SET);
	assert_int_equal(pread(fd, &b, 1, at), 1);
	b ^= 0x20;
	assert_int_equal(pwrite(fd, &b, 1, at), 1);
	(void)close(fd);
}

static inline int
read_back_first_extent(void *arg, uint64_t at, const struct extent *x, struct err *e)
{
	(void)at, (void)e;
	memcpy(arg, x->id, DIGEST_LEN);
	return 1;
}

/* Spoil the first chunk of the file ${name} below the source; the session must be open.  Its id in ${id}. */
static inline void
read_back_spoil_file(struct read_back *t, const char *name, uint8_t id[DIGEST_LEN])
{
	uint8_t copy[ENTRY_LEN_MAX + 16];
	struct entry en;
	char path[512];
	uint64_t place;
	uint32_t len;

	(void)snprintf(path, sizeof(path), "%s/%s", t->b.src, name);
	assert_int_equal(snapshot_open(&t->open, t->s.source, t->s.reader, &t->s.list.snap[t->s.list.n - 1], t->s.keys, &t->e), 0);
	assert_int_equal(listing_find(t->open.root.top_id, t->open.root.levels, source_get, t->s.reader,
	    view_of(path, strlen(path)), &en, copy, &t->e), 1);
	assert_int_equal(extents_each(&en, source_get, t->s.reader, NULL, NULL, read_back_first_extent, id, &t->e), 1);
	snapshot_close(&t->open);
	place = source_place(t->s.source, id, &len);
	assert_true(place != UINT64_MAX);
	t->spoilt_pack = (unsigned)(place >> 32);	/* packs are numbered from 0 in order */
	t->spoilt_at = (off_t)(place & UINT32_MAX) + 150;
	read_back_spoil(t, NULL, t->spoilt_pack, t->spoilt_at);
}

static inline void
read_back_spoil_file_undo(struct read_back *t)
{
	read_back_spoil(t, NULL, t->spoilt_pack, t->spoilt_at);
}

/* All packs of the image get one byte wrong in their frames. */
static inline unsigned
read_back_spoil_all(struct read_back *t)
{
	char path[256];
	unsigned n;

	for (n = 0;; n++) {
		(void)snprintf(path, sizeof(path), "%s/packs/0000/%08u.pk", t->image, n);
		if (access(path, F_OK) != 0)
			return n;
		read_back_spoil(t, NULL, n, 100);	/* in its first frame */
	}
}

#endif
