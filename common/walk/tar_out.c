#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/walk/meta.h"
#include "common/walk/tar_out.h"

#define ACL_VERSION	2u
#define ACL_ROW_LEN	8u
#define ZEROS_LEN	(256u << 10)

struct tar_out {
	struct archive *a;
	struct archive_entry *entry;
	tar_write *write;
	void *ctx;
	int fd;
	struct err *e;		/* of the call in progress */
	bool failed;		/* ${write} said why */
	uint64_t left;		/* bytes that the member still needs */
	locale_t utf8;		/* so that names in UTF-8 are called that in any locale */
	char *text;		/* a path with its zero byte */
	size_t text_cap;
};

static int
write_to_fd(void *ctx, const void *bytes, size_t n, struct err *e)
{
	struct tar_out *t = ctx;

	return io_write_full(t->fd, bytes, n, -1) == 0 ? 0 : err_errno(e, "write the tar stream");
}

static la_ssize_t
write_block(struct archive *a, void *ctx, const void *bytes, size_t n)
{
	struct tar_out *t = ctx;

	if (t->write(t->ctx, bytes, n, t->e) == 0)
		return (la_ssize_t)n;
	t->failed = true;
	archive_set_error(a, EIO, "the stream cannot be written");
	return -1;
}

/* What a call of libarchive returned, as ours.  A warning is that a name is not UTF-8. */
static int
result(struct tar_out *t, int rc, const char *doing)
{
	const char *why;

	if (rc == ARCHIVE_OK || rc == ARCHIVE_WARN)
		return 0;
	if (t->failed)
		return err_during(t->e, "%s", doing);
	why = archive_error_string(t->a);
	return err_set(t->e, archive_errno(t->a) == ENOMEM ? ERR_MEMORY : ERR_IO, "%s: %s", doing,
	    why != NULL ? why : "libarchive does not say why");
}

struct tar_out *
tar_out_new(tar_write *write, void *ctx, struct err *e)
{
	struct tar_out *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		(void)err_errno(e, "start a tar stream");
		return NULL;
	}
	t->e = e;
	t->fd = -1;
	t->write = write;
	t->ctx = ctx;
	t->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	t->a = archive_write_new();
	t->entry = archive_entry_new();
	if (t->a == NULL || t->entry == NULL) {
		(void)err_set(e, ERR_MEMORY, "start a tar stream");
		goto fail;
	}
	if (result(t, archive_write_add_filter_none(t->a), "start a tar stream") != 0 ||
	    result(t, archive_write_set_format_pax(t->a), "start a tar stream") != 0 ||
	    result(t, archive_write_set_options(t->a, "xattrheader=SCHILY"), "start a tar stream") != 0 ||
	    result(t, archive_write_open(t->a, t, NULL, write_block, NULL), "start a tar stream") != 0)
		goto fail;
	return t;
fail:
	tar_out_free(t);
	return NULL;
}

struct tar_out *
tar_out_new_fd(int fd, struct err *e)
{
	struct tar_out *t = tar_out_new(write_to_fd, NULL, e);

	if (t != NULL) {
		t->fd = fd;
		t->ctx = t;
	}
	return t;
}

/* Drops what is not yet written. */
static int
write_nothing(void *ctx, const void *bytes, size_t n, struct err *e)
{
	(void)ctx;
	(void)bytes;
	(void)n;
	(void)e;
	return 0;
}

void
tar_out_free(struct tar_out *t)
{
	if (t == NULL)
		return;
	t->write = write_nothing;	/* freeing would end the archive in good order */
	archive_entry_free(t->entry);
	if (t->a != NULL)
		(void)archive_write_free(t->a);
	if (t->utf8 != (locale_t)0)
		freelocale(t->utf8);
	free(t->text);
	free(t);
}

/* ${v} as a C string until the next call; NULL when there is no memory. */
static const char *
text_of(struct tar_out *t, struct fmt_view v)
{
	if (t->text_cap <= v.len) {
		char *grown = realloc(t->text, (size_t)v.len + 256);

		if (grown == NULL)
			return NULL;
		t->text = grown;
		t->text_cap = (size_t)v.len + 256;
	}
	if (v.len > 0)
		memcpy(t->text, v.p, v.len);
	t->text[v.len] = '\0';
	return t->text;
}

static int
acl_perms(unsigned perms)
{
	return ((perms & 4) != 0 ? ARCHIVE_ENTRY_ACL_READ : 0) | ((perms & 2) != 0 ? ARCHIVE_ENTRY_ACL_WRITE : 0) |
	    ((perms & 1) != 0 ? ARCHIVE_ENTRY_ACL_EXECUTE : 0);
}

/* The kernel's form (linux/posix_acl_xattr.h): version u32, then tag u16, perms u16, id u32 each. */
static void
acl_add(struct archive_entry *entry, int type, struct fmt_view value)
{
	static const struct { unsigned tag; int is; } tags[] = {
		{ 0x01, ARCHIVE_ENTRY_ACL_USER_OBJ }, { 0x02, ARCHIVE_ENTRY_ACL_USER },
		{ 0x04, ARCHIVE_ENTRY_ACL_GROUP_OBJ }, { 0x08, ARCHIVE_ENTRY_ACL_GROUP },
		{ 0x10, ARCHIVE_ENTRY_ACL_MASK }, { 0x20, ARCHIVE_ENTRY_ACL_OTHER },
	};
	struct rd r = { .p = value.p, .left = value.len };

	if (rd_u32(&r) != ACL_VERSION)
		return;
	while (r.left >= ACL_ROW_LEN) {
		unsigned tag = rd_u16(&r), perms = rd_u16(&r);
		uint32_t id = rd_u32(&r);

		for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++)
			if (tags[i].tag == tag)
				(void)archive_entry_acl_add_entry(entry, type, acl_perms(perms), tags[i].is,
				    (tag & 0x0a) != 0 ? (int)id : -1, NULL);
	}
}

static void
xattrs_add(struct archive_entry *entry, const struct entry *en)
{
	struct rd r = { .p = en->xattrs.p, .left = en->xattrs.len };
	char text[XATTR_NAME_MAX_LEN + 1];
	struct fmt_view name, value;

	while (r.left > 0 && xattr_next(&r, &name, &value) == FMT_OK) {
		memcpy(text, name.p, name.len);
		text[name.len] = '\0';
		if (strcmp(text, "system.posix_acl_access") == 0)
			acl_add(entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, value);
		else if (strcmp(text, "system.posix_acl_default") == 0)
			acl_add(entry, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, value);
		else
			archive_entry_xattr_add_entry(entry, text, value.p, value.len);
	}
}

/* Where the data is, if there is any hole. */
static void
sparse_add(struct archive_entry *entry, const struct entry *en)
{
	uint64_t at = 0, from = 0;
	bool data = false, hole = false;
	struct extent x;

	for (size_t i = 0; i < en->extents.len / EXTENT_LEN; i++) {
		extent_get(en->extents.p + i * EXTENT_LEN, &x);
		hole |= extent_is_hole(&x);
		if (!extent_is_hole(&x) && !data)
			from = at;
		else if (extent_is_hole(&x) && data)
			archive_entry_sparse_add_entry(entry, (la_int64_t)from, (la_int64_t)(at - from));
		data = !extent_is_hole(&x);
		at += x.len;
	}
	if (!hole || at != en->size)
		archive_entry_sparse_clear(entry);
	else if (data)
		archive_entry_sparse_add_entry(entry, (la_int64_t)from, (la_int64_t)(at - from));
	else		/* the map ends where the file does */
		archive_entry_sparse_add_entry(entry, (la_int64_t)at, 0);
}

/*
 * libarchive writes seconds and nanoseconds one behind the other with a point
 * between, where POSIX means a decimal number: before 1970 it has to be given
 * the second towards zero and the rest of the fraction.  Between -1 and 0
 * there is no such second (it has no -0): there the fraction is cut.
 */
static void
mtime_add(struct archive_entry *entry, const struct entry *en)
{
	if (en->mtime_s >= 0 || en->mtime_ns == 0)
		archive_entry_set_mtime(entry, (time_t)en->mtime_s, (long)en->mtime_ns);
	else if (en->mtime_s == -1)
		archive_entry_set_mtime(entry, -1, 0);
	else
		archive_entry_set_mtime(entry, (time_t)(en->mtime_s + 1), (long)(1000000000 - en->mtime_ns));
}

static void
numbers_add(struct archive_entry *entry, const struct entry *en)
{
	archive_entry_set_filetype(entry, meta_file_type(en->type));
	archive_entry_set_perm(entry, en->mode & 07777);
	archive_entry_set_uid(entry, en->uid);
	archive_entry_set_gid(entry, en->gid);
	mtime_add(entry, en);
	archive_entry_set_size(entry, en->type == ENTRY_FILE ? (la_int64_t)en->size : 0);
	if (en->type == ENTRY_CHAR || en->type == ENTRY_BLOCK) {
		archive_entry_set_rdevmajor(entry, en->major);
		archive_entry_set_rdevminor(entry, en->minor);
	}
}

/* Names, each copied by libarchive. */
static int
names_add(struct tar_out *t, struct fmt_view path, const struct entry *en, struct fmt_view link)
{
	if (text_of(t, path) == NULL)
		return -1;
	archive_entry_copy_pathname(t->entry, t->text);
	if (en->user.len > 0 && text_of(t, en->user) != NULL)
		archive_entry_copy_uname(t->entry, t->text);
	if (en->group.len > 0 && text_of(t, en->group) != NULL)
		archive_entry_copy_gname(t->entry, t->text);
	if (en->type == ENTRY_SYMLINK) {
		if (text_of(t, en->target) == NULL)
			return -1;
		archive_entry_copy_symlink(t->entry, t->text);
	}
	if (link.len > 0) {
		if (text_of(t, link) == NULL)
			return -1;
		archive_entry_copy_hardlink(t->entry, t->text);
	}
	return 0;
}

int
tar_out_entry(struct tar_out *t, struct fmt_view path, const struct entry *en, struct fmt_view link,
    struct err *e)
{
	locale_t before;
	int rc;

	t->e = e;
	if (t->left > 0)
		return err_set(e, ERR_INTERNAL, "a tar member ended %llu bytes too early", (unsigned long long)t->left);
	archive_entry_clear(t->entry);
	before = t->utf8 != (locale_t)0 ? uselocale(t->utf8) : (locale_t)0;
	numbers_add(t->entry, en);
	if (names_add(t, path, en, link) != 0) {
		rc = err_set(e, ERR_MEMORY, "write the tar stream");
		goto done;
	}
	if (link.len > 0)
		archive_entry_set_size(t->entry, 0);
	else {
		xattrs_add(t->entry, en);
		if (en->type == ENTRY_FILE && en->size > 0)
			sparse_add(t->entry, en);
		t->left = en->type == ENTRY_FILE ? en->size : 0;
	}
	rc = result(t, archive_write_header(t->a, t->entry), "write the tar stream");
done:
	if (before != (locale_t)0)
		(void)uselocale(before);
	return rc;
}

int
tar_out_data(struct tar_out *t, const void *bytes, size_t n, struct err *e)
{
	const uint8_t *p = bytes;

	t->e = e;
	if (n > t->left)
		return err_set(e, ERR_INTERNAL, "a tar member is longer than it said");
	while (n > 0) {
		la_ssize_t took = archive_write_data(t->a, p, n);

		if (took <= 0)
			return result(t, took == 0 ? ARCHIVE_FATAL : (int)took, "write the tar stream");
		p += took;
		n -= (size_t)took;
		t->left -= (uint64_t)took;
	}
	return 0;
}

int
tar_out_hole(struct tar_out *t, uint64_t n, struct err *e)
{
	static const uint8_t zeros[ZEROS_LEN];

	while (n > 0) {
		size_t part = n < sizeof(zeros) ? (size_t)n : sizeof(zeros);

		if (tar_out_data(t, zeros, part, e) != 0)
			return -1;
		n -= part;
	}
	return 0;
}

int
tar_out_end(struct tar_out *t, struct err *e)
{
	t->e = e;
	if (t->left > 0)
		return err_set(e, ERR_INTERNAL, "a tar member ended %llu bytes too early", (unsigned long long)t->left);
	return result(t, archive_write_close(t->a), "end the tar stream");
}
