#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/progress.h"
#include "common/base/stop.h"
#include "common/flow/against.h"
#include "common/flow/entry_xattrs.h"
#include "common/flow/path_within.h"
#include "common/pack/listing_read.h"
#include "common/walk/beneath.h"
#include "common/walk/compare.h"

#define READ_LEN	(1u << 20)

#define HOLE_PIECE	(UINT64_C(1) << 20)

struct against {
	const struct against_options *o;
	struct against_result *r;
	int base;		/* of o->path */
	int dir;		/* of the block; -1: it is not there */
	int whole;		/* it is there, and all of it was asked for */
	char **names;		/* in it, sorted */
	size_t nnames, at;
	struct buf xattrs, path;
	uint8_t *buf;		/* READ_LEN */
	int fd;			/* of the file in hand */
	int differs;
};

static void
tell(struct against *a, struct fmt_view dir, const void *name, size_t len, const char *what)
{
	buf_reset(&a->path);
	if (dir.len > 1)
		buf_add(&a->path, dir.p, dir.len);
	buf_u8(&a->path, '/');
	buf_add(&a->path, name, len);
	if (!a->path.failed && a->o->fn != NULL)
		a->o->fn(a->o->arg, view_of(a->path.p, a->path.len), what);
}

/* Was all of the directory asked for, or does it only lead to what was? */
static int
asked_for(const struct against *a, struct fmt_view dir)
{
	struct rd r = { .p = a->o->snap->root.paths.p, .left = a->o->snap->root.paths.len };

	while (r.left > 0) {
		uint16_t n = rd_u16(&r);
		const uint8_t *p = rd_bytes(&r, n);

		if (p == NULL)
			return 0;
		if (n > 0 && path_is_within(dir, view_of(p, n)))
			return 1;
	}
	return 0;
}

/* A socket lives as long as its program: no snapshot has one. */
static int
is_socket(const struct against *a, const char *name)
{
	struct stat st;

	return io->fstatat(a->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode);
}

/* Names up to ${name} (NULL: all that are left) that the snapshot does not have. */
static void
extras_tell(struct against *a, struct fmt_view dir, const struct fmt_view *name)
{
	for (; a->at < a->nnames; a->at++) {
		const char *here = a->names[a->at];
		int c = name != NULL ? name_order(view_of(here, strlen(here)), *name) : -1;

		if (c > 0)
			return;
		if (c == 0) {
			a->at++;
			return;
		}
		if (!a->whole || is_socket(a, here))
			continue;
		a->r->extra++;
		tell(a, dir, here, strlen(here), "not in the snapshot");
	}
}

static void
dir_drop(struct against *a)
{
	if (a->dir != -1)
		(void)io->close(a->dir);
	a->dir = -1;
	dir_list_free(a->names, a->nnames);
	a->names = NULL;
	a->nnames = a->at = 0;
}

/* Open the directory that stands for ${dir}, name by name. */
static int
dir_open_below(const struct against *a, struct fmt_view dir)
{
	size_t strip = strlen(a->o->root) == 1 ? 0 : strlen(a->o->root);
	const char *p = (const char *)dir.p + strip, *end = (const char *)dir.p + dir.len;
	int fd = io->open(a->base, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), next;
	char name[NAME_LEN_MAX + 1];

	if (dir.len < strip)
		return fd;
	while (fd != -1 && p < end) {
		const char *slash;

		p++;		/* the slash before it */
		slash = p < end ? memchr(p, '/', (size_t)(end - p)) : NULL;
		if (slash == NULL)
			slash = end;
		if (slash == p)
			break;	/* "/" itself */
		memcpy(name, p, (size_t)(slash - p));
		name[slash - p] = '\0';
		next = beneath_open(fd, name, O_RDONLY | O_DIRECTORY, 0);
		(void)io->close(fd);
		fd = next;
		p = slash;
	}
	return fd;
}

static int
dir_begin(struct against *a, struct fmt_view dir, struct err *e)
{
	dir_drop(a);
	a->dir = dir_open_below(a, dir);
	a->whole = a->dir != -1 && asked_for(a, dir);
	if (a->dir == -1)
		return 0;	/* its entry was told of as missing, and all its own are */
	return dir_list(a->dir, ".", &a->names, &a->nnames, e);
}

static int
piece_same(struct against *a, const uint8_t *want, uint64_t at, uint64_t len, struct err *e)
{
	while (len > 0) {
		size_t n = len < READ_LEN ? (size_t)len : READ_LEN;
		ssize_t got = io_read_full(a->fd, a->buf, n, (off_t)at);

		if (got == -1)
			return err_errno(e, "read it");
		if ((size_t)got != n)
			return 0;
		if (want != NULL) {
			if (memcmp(a->buf, want, n) != 0)
				return 0;
			want += n;
		} else {
			for (size_t i = 0; i < n; i++)
				if (a->buf[i] != 0)
					return 0;
		}
		at += n;
		len -= n;
	}
	return 1;
}

/* The next byte of the live file from ${at} on that is not in a hole there, at most ${end}. */
static uint64_t
data_after(struct against *a, uint64_t at, uint64_t end)
{
	off_t data = io->lseek(a->fd, (off_t)at, SEEK_DATA);

	if (data == -1)
		return errno == ENXIO ? end : at;	/* nothing but a hole; or nobody can say */
	return (uint64_t)data < at ? at : (uint64_t)data < end ? (uint64_t)data : end;
}

/* A hole of the snapshot against the file: only what the file does not have as a hole too is read. */
static int
hole_same(struct against *a, uint64_t at, uint64_t len, struct err *e)
{
	uint64_t end = at + len, n;
	int rc = 1;

	while (rc == 1 && (at = data_after(a, at, end)) < end) {
		if (stop_check(e) != 0)
			return -1;
		n = end - at < HOLE_PIECE ? end - at : HOLE_PIECE;
		rc = piece_same(a, NULL, at, n, e);
		at += n;
	}
	return rc;
}

static int
extent_same(void *arg, uint64_t at, const struct extent *x, struct err *e)
{
	struct against *a = arg;
	const uint8_t *plain = NULL;
	size_t len;
	int rc;

	if (stop_check(e) != 0)
		return -1;
	if (!extent_is_hole(x)) {
		if (source_get(a->o->content, x->id, 0, &plain, &len, e) != 0)
			return -1;
		if (x->offset > len || x->len > len - x->offset)
			return err_set(e, ERR_DAMAGE, "an extent of it lies outside its chunk");
		plain += x->offset;
	}
	rc = plain == NULL ? hole_same(a, at, x->len, e) : piece_same(a, plain, at, x->len, e);
	if (rc < 0)
		return -1;
	a->r->bytes += x->len;
	progress_add(x->len, 0);
	a->differs |= rc == 0;
	return rc == 0;		/* the first difference ends it */
}

static int
entry_compare(struct against *a, struct fmt_view dir, const struct entry *given, struct err *e)
{
	char name[NAME_LEN_MAX + 1], words[256];
	struct entry en = *given;
	unsigned differs = 0;
	int rc = 0;

	extras_tell(a, dir, &en.name);
	a->r->entries++;
	a->fd = -1;
	a->differs = 0;
	if (a->dir == -1) {
		a->r->different++;
		tell(a, dir, en.name.p, en.name.len, "its directory is not there");
		return 0;
	}
	memcpy(name, en.name.p, en.name.len);
	name[en.name.len] = '\0';
	if (entry_xattrs(&en, a->o->content, &a->xattrs, e) != 0 ||
	    compare_object(a->dir, name, &en, a->o->skip, &differs, &a->fd, e) != 0)
		return -1;
	if (a->fd != -1) {
		a->r->files++;
		if ((differs & DIFFERS_SIZE) == 0)
			rc = extents_each(&en, source_get, a->o->content, NULL, NULL, extent_same, a, e);
		(void)io->close(a->fd);
		differs |= a->differs ? DIFFERS_CONTENT : 0;
	}
	if (rc < 0)
		return -1;
	if (differs != 0) {
		a->r->different++;
		tell(a, dir, en.name.p, en.name.len, compare_text(differs, words, sizeof(words)));
	}
	progress_add(0, 1);
	return stop_check(e);
}

static int
items_compare(struct against *a, struct err *e)
{
	const struct snapshot_root *root = &a->o->snap->root;
	struct fmt_view top = view_of(a->o->root, strlen(a->o->root)), dir = top;
	struct listing_reader *r = listing_reader_new(root->top_id, root->levels, source_get, a->o->reader, NULL, NULL);
	struct entry en;
	struct buf last;
	int rc;

	if (r == NULL)
		return err_set(e, ERR_MEMORY, "no memory to read a listing");
	buf_init(&last);	/* the directory in hand: extras at its end are told under its name */
	rc = listing_reader_seek(r, top, e);
	while (rc == 0 && (rc = listing_reader_next(r, &dir, &en, e)) > 0) {
		if (rc == 2) {
			extras_tell(a, view_of(last.p, last.len), NULL);
			if (!path_is_within(dir, top)) {
				rc = 0;
				break;
			}
			buf_reset(&last);
			buf_add(&last, dir.p, dir.len);
			rc = dir_begin(a, dir, e);
		} else {
			rc = entry_compare(a, dir, &en, e);
		}
	}
	if (rc == 0)
		extras_tell(a, view_of(last.p, last.len), NULL);
	buf_release(&last);
	listing_reader_free(r);
	return rc;
}

int
against_run(const struct against_options *o, struct against_result *r, struct err *e)
{
	struct against a = { .o = o, .r = r, .dir = -1, .fd = -1 };
	int rc = -1;

	memset(r, 0, sizeof(*r));
	buf_init(&a.xattrs);
	buf_init(&a.path);
	if ((a.base = dir_open(AT_FDCWD, o->path, e)) == -1)
		return -1;
	if ((a.buf = malloc(READ_LEN)) == NULL) {
		(void)err_set(e, ERR_MEMORY, "no memory to compare");
	} else {
		progress_start("compare", strlen(o->root) == 1 ? o->snap->root.bytes : 0);
		rc = items_compare(&a, e);
		progress_end();
	}
	dir_drop(&a);
	(void)io->close(a.base);
	free(a.buf);
	buf_release(&a.xattrs);
	buf_release(&a.path);
	return rc;
}
