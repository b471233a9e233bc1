#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/walk/place_notes.h"

#define FLUSH_BYTES	(256u << 10)

/*
 * A note, for this process alone: length u32 | entry as it is in memory | path
 * length u32 | path, name, user, group, target, xattrs | length u32.
 */
#define NOTE_HEAD	(4 + sizeof(struct entry) + 4)

void
notes_init(struct notes *s, int dirfd)
{
	*s = (struct notes){ .dirfd = dirfd, .fd = -1 };
	buf_init(&s->out);
	buf_init(&s->in);
}

void
notes_release(struct notes *s)
{
	if (s->fd != -1)
		(void)io->close(s->fd);
	buf_release(&s->out);
	buf_release(&s->in);
	s->fd = -1;
}

/* A file without a name where the file system can, else one whose name goes at once. */
static int
notes_open(struct notes *s, struct err *e)
{
	char name[64];
	uint64_t random;

	s->fd = io->open(s->dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (s->fd != -1)
		return 0;
	io_random(&random, sizeof(random));
	(void)snprintf(name, sizeof(name), ".samara-%016llx-notes", (unsigned long long)random);
	s->fd = io->open(s->dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (s->fd == -1)
		return err_errno(e, "make a temporary file in the target");
	(void)io->unlinkat(s->dirfd, name, 0);
	return 0;
}

static int
notes_flush(struct notes *s, struct err *e)
{
	if (s->out.len == 0)
		return 0;
	if (s->fd == -1 && notes_open(s, e) != 0)
		return -1;
	if (io_write_full(s->fd, s->out.p, s->out.len, (off_t)s->flushed) != 0)
		return err_errno(e, "write a temporary file in the target");
	s->flushed += s->out.len;
	buf_reset(&s->out);
	return 0;
}

int
notes_add(struct notes *s, struct fmt_view path, const struct entry *en, struct err *e)
{
	size_t len = NOTE_HEAD + path.len + en->name.len + en->user.len + en->group.len + en->target.len +
	    en->xattrs.len + en->extents.len + 4;

	buf_u32(&s->out, (uint32_t)len);
	buf_add(&s->out, en, sizeof(*en));
	buf_u32(&s->out, path.len);
	buf_add(&s->out, path.p, path.len);
	buf_add(&s->out, en->name.p, en->name.len);
	buf_add(&s->out, en->user.p, en->user.len);
	buf_add(&s->out, en->group.p, en->group.len);
	buf_add(&s->out, en->target.p, en->target.len);
	buf_add(&s->out, en->xattrs.p, en->xattrs.len);
	buf_add(&s->out, en->extents.p, en->extents.len);
	buf_u32(&s->out, (uint32_t)len);
	if (buf_check(&s->out, e) != 0)
		return -1;
	s->end += len;
	return s->out.len < FLUSH_BYTES ? 0 : notes_flush(s, e);
}

/* ${n} bytes at ${at}, from the file or from what waits. */
static int
notes_pread(struct notes *s, uint64_t at, void *to, size_t n, struct err *e)
{
	ssize_t got;

	if (notes_flush(s, e) != 0)
		return -1;
	got = io_read_full(s->fd, to, n, (off_t)at);
	if (got == (ssize_t)n)
		return 0;
	if (got != -1)
		errno = EIO;
	return err_errno(e, "read a temporary file in the target back");
}

static void
part(struct rd *r, struct fmt_view *v)
{
	v->p = rd_bytes(r, v->len);
}

static int
note_read(struct notes *s, uint64_t at, uint32_t len, struct note *n, struct err *e)
{
	struct rd r = { 0 };
	uint8_t *to;

	buf_reset(&s->in);
	if ((to = buf_room(&s->in, len)) == NULL)
		return buf_check(&s->in, e);
	if (notes_pread(s, at, to, len, e) != 0)
		return -1;
	r = (struct rd){ .p = to, .left = len };
	(void)rd_u32(&r);
	rd_copy(&r, &n->entry, sizeof(n->entry));
	n->path.len = rd_u32(&r);
	part(&r, &n->path);
	part(&r, &n->entry.name);
	part(&r, &n->entry.user);
	part(&r, &n->entry.group);
	part(&r, &n->entry.target);
	part(&r, &n->entry.xattrs);
	part(&r, &n->entry.extents);
	n->before = at;
	n->after = at + len;
	if (r.bad || r.left != 4)
		return err_set(e, ERR_INTERNAL, "a temporary file in the target was changed by somebody");
	return 1;
}

int
notes_next(struct notes *s, uint64_t at, struct note *n, struct err *e)
{
	uint8_t len[4];

	if (at >= s->end)
		return 0;
	if (notes_pread(s, at, len, sizeof(len), e) != 0)
		return -1;
	return note_read(s, at, le32_get(len), n, e);
}

int
notes_previous(struct notes *s, uint64_t at, struct note *n, struct err *e)
{
	uint8_t len[4];

	if (at == 0)
		return 0;
	if (notes_pread(s, at - sizeof(len), len, sizeof(len), e) != 0)
		return -1;
	return note_read(s, at - le32_get(len), le32_get(len), n, e);
}
