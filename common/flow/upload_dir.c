/* VAULT/local/sessions/ID/: what belongs to a session alone. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/text.h"
#include "common/catalog/catalog.h"
#include "common/flow/epoch.h"
#include "common/flow/refs_read.h"
#include "common/flow/upload_job.h"

#define SESSIONS	"sessions"
#define PARTS_MOST	100u		/* that names of parts in the vault have room for */
#define PIECE		(1u << 20)

static void
dir_name(char out[UPLOAD_NAME_MAX], const uint8_t id[ID_LEN])
{
	char hex[2 * ID_LEN + 1];

	(void)snprintf(out, UPLOAD_NAME_MAX, SESSIONS "/%s", text_hex(hex, id, ID_LEN));
}

int
upload_dir(const struct vault *v, const uint8_t id[ID_LEN], int make, struct err *e)
{
	char name[UPLOAD_NAME_MAX];

	dir_name(name, id);
	if (make && dir_make(v->local, name, 0700, e) != 0)
		return -1;
	return dir_open(v->local, name, e);
}

int
upload_dir_remove(const struct vault *v, const uint8_t id[ID_LEN], struct err *e)
{
	char name[UPLOAD_NAME_MAX], **names;
	size_t n;
	int fd, rc = 0;

	dir_name(name, id);
	if ((fd = io->open(v->local, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW, 0)) == -1)
		return errno == ENOENT ? 0 : err_errno(e, "open %s/local/%s", v->path, name);
	if ((rc = dir_list(fd, ".", &names, &n, e)) == 0) {
		for (size_t i = 0; i < n && rc == 0; i++)
			if (io->unlinkat(fd, names[i], 0) != 0 && errno != ENOENT)
				rc = err_errno(e, "remove %s/local/%s/%s", v->path, name, names[i]);
		dir_list_free(names, n);
	}
	(void)io->close(fd);
	if (rc == 0 && io->unlinkat(v->local, name, AT_REMOVEDIR) != 0 && errno != ENOENT && errno != ENOTEMPTY)
		rc = err_errno(e, "remove %s/local/%s", v->path, name);
	return rc;
}

static int
session_expire(void *arg, const void *row, struct err *e)
{
	struct vault *v = arg;

	return session_is_over(v, row) ? catalog_drop(v->catalog, &cat_sessions, row, e) : 0;
}

/* The id that a directory's name stands for: 0, or -1. */
static int
id_of(const char *name, uint8_t id[ID_LEN])
{
	char again[2 * ID_LEN + 1];

	if (strlen(name) != (size_t)2 * ID_LEN || strspn(name, "0123456789abcdef") != (size_t)2 * ID_LEN)
		return -1;
	for (size_t i = 0; i < ID_LEN; i++) {
		const char two[3] = { name[2 * i], name[2 * i + 1], '\0' };

		id[i] = (uint8_t)strtoul(two, NULL, 16);
	}
	return strcmp(text_hex(again, id, ID_LEN), name);
}

/* What is left of sessions that nobody knows any more. */
static int
leftovers_remove(struct vault *v, struct err *e)
{
	char **names;
	struct err mine;
	size_t n;
	int rc = 0;

	err_clear(&mine);
	if (dir_list(v->local, SESSIONS, &names, &n, &mine) != 0) {
		if (mine.code == ERR_NOT_FOUND)
			return 0;
		if (e != NULL)
			*e = mine;
		return -1;
	}
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct cat_session s;

		if (id_of(names[i], s.id) == 0 && (rc = catalog_get(v->catalog, &cat_sessions, &s, e)) == 1)
			rc = upload_dir_remove(v, s.id, e);
	}
	dir_list_free(names, n);
	return rc;
}

int
upload_sweep(struct vault *v, struct err *e)
{
	if (vault_begin(v, e) != 0)
		return -1;
	if (catalog_each(v->catalog, &cat_sessions, 0, NULL, session_expire, v, e) != 0) {
		vault_rollback(v);
		return -1;
	}
	return vault_commit(v, e) != 0 ? -1 : leftovers_remove(v, e);
}

/* --- parts of lists --- */

struct waiting {
	const struct vault *v;
	const uint8_t *machine;
	uint64_t bytes;
};

static int
waiting_add(void *arg, const void *row, struct err *e)
{
	const struct cat_session *s = row;
	struct waiting *w = arg;
	struct err none;
	struct stat st;
	char **names;
	int fd, rc;
	size_t n;

	err_clear(&none);
	/* One that has brought nothing has no directory. */
	if (memcmp(s->machine_id, w->machine, ID_LEN) != 0 || (fd = upload_dir(w->v, s->id, 0, &none)) == -1)
		return 0;
	if ((rc = dir_list(fd, ".", &names, &n, e)) == 0) {
		for (size_t i = 0; i < n; i++)
			if (io->fstatat(fd, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > 0)
				w->bytes += (uint64_t)st.st_size;
		dir_list_free(names, n);
	}
	(void)io->close(fd);
	return rc;
}

int
upload_waiting(struct vault *v, const struct cat_machine *m, uint64_t *bytes, struct err *e)
{
	struct waiting w = { v, m->id, 0 };
	int rc = catalog_each(v->catalog, &cat_sessions, 0, NULL, waiting_add, &w, e);

	*bytes = w.bytes;
	return rc;
}

void
upload_list_name(char out[UPLOAD_NAME_MAX], uint64_t seq, unsigned kind, unsigned part)
{
	(void)snprintf(out, UPLOAD_NAME_MAX, "%llu-%s-%u", (unsigned long long)seq, kind == REFS_WHOLE ? "whole" : "delta", part);
}

struct list_part {
	uint64_t len;
	upload_read_fn read;
	void *arg;
	const char *name;
};

/* The head: does it say what the part's name and length say? */
static int
head_check(const struct list_part *p, const struct cat_machine *m, unsigned kind, unsigned part, struct err *e)
{
	uint8_t head[REFS_HEAD_LEN];
	struct refs_head h;
	enum fmt_status st;
	size_t at = 0;

	while (at < sizeof(head)) {
		ssize_t got = p->read(p->arg, at, head + at, sizeof(head) - at);

		if (got <= 0)
			break;
		at += (size_t)got;
	}
	if ((st = refs_head_decode(&h, head, at)) != FMT_OK)
		return err_set(e, st == FMT_VERSION ? ERR_VERSION : ERR_FORMAT, "reference list %s: %s", p->name, fmt_status_text(st));
	if (h.kind != kind || h.part != part || h.parts > PARTS_MOST || memcmp(h.domain_id, m->domain_id, DIGEST_LEN) != 0 ||
	    p->len != REFS_HEAD_LEN + refs_part_ids(&h) * DIGEST_LEN)
		return err_set(e, ERR_FORMAT, "reference list %s: its head does not fit its name, length or machine", p->name);
	return 0;
}

static int
part_copy(const struct list_part *p, int fd, struct err *e)
{
	uint8_t *piece = malloc(PIECE);
	uint64_t at = 0;
	int rc = 0;

	if (piece == NULL)
		return err_errno(e, "reference list %s", p->name);
	while (at < p->len && rc == 0) {
		size_t n = p->len - at < PIECE ? (size_t)(p->len - at) : PIECE;
		ssize_t got = p->read(p->arg, at, piece, n);

		if (got <= 0)
			rc = err_set(e, ERR_FORMAT, "reference list %s is cut short", p->name);
		else if (io_write_full(fd, piece, (size_t)got, -1) != 0)
			rc = err_errno(e, "write reference list %s", p->name);
		else
			at += (uint64_t)got;
	}
	free(piece);
	return rc;
}

/* Whole and durable under its name, in place of what is there: 0, 1 something was, -1. */
static int
part_keep(const struct list_part *p, int dirfd, struct err *e)
{
	char tmp[UPLOAD_NAME_MAX + 32];
	struct stat st;
	uint64_t mark;
	int fd, was, rc;

	io_random(&mark, sizeof(mark));
	(void)snprintf(tmp, sizeof(tmp), ".%s-%016llx", p->name, (unsigned long long)mark);
	if ((fd = io->open(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)) == -1)
		return err_errno(e, "create reference list %s", p->name);
	if ((rc = part_copy(p, fd, e)) == 0 && io->fsync(fd) != 0)
		rc = err_errno(e, "fsync reference list %s", p->name);
	(void)io->close(fd);
	was = io->fstatat(dirfd, p->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (rc == 0 && io->renameat2(dirfd, tmp, dirfd, p->name, 0) != 0)
		rc = err_errno(e, "rename reference list %s", p->name);
	if (rc == 0)
		return dir_sync(dirfd, NULL, e) != 0 ? -1 : was;
	(void)io->unlinkat(dirfd, tmp, 0);	/* made with O_EXCL: it is ours */
	return -1;
}

int
upload_list(struct vault *v, const struct cat_machine *m, const uint8_t id[ID_LEN], uint64_t seq, unsigned kind,
    unsigned part, uint64_t len, upload_read_fn read, void *arg, struct err *e)
{
	char name[UPLOAD_NAME_MAX];
	struct list_part p = { len, read, arg, name };
	struct cat_session s;
	int fd, rc;

	upload_list_name(name, seq, kind, part);
	if (seq == 0 || seq > INT64_MAX || part >= PARTS_MOST || len > PART_LEN_MAX)
		return err_set(e, ERR_FORMAT, "reference list %s: no list has such a part", name);
	if (upload_touch(v, m, id, &s, e) != 0 || head_check(&p, m, kind, part, e) != 0 ||
	    (fd = upload_dir(v, id, 1, e)) == -1)
		return -1;
	rc = part_keep(&p, fd, e);
	(void)io->close(fd);
	return rc;
}

#define CARRIED	"carried"

int
upload_carried(struct vault *v, const struct cat_machine *m, const uint8_t id[ID_LEN], uint64_t len, upload_read_fn read,
    void *arg, struct err *e)
{
	struct list_part p = { len, read, arg, CARRIED };
	struct cat_session s;
	int fd, rc;

	if (upload_touch(v, m, id, &s, e) != 0 || (fd = upload_dir(v, id, 1, e)) == -1)
		return -1;
	rc = part_keep(&p, fd, e);
	(void)io->close(fd);
	return rc;
}

int
upload_carried_open(const struct vault *v, const uint8_t id[ID_LEN])
{
	int dir = upload_dir(v, id, 0, NULL), fd;

	if (dir == -1)
		return -1;
	fd = io->open(dir, CARRIED, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
	(void)io->close(dir);
	return fd;
}

/* --- the session's lists, and those of the vault behind them --- */

struct container_upload {
	struct container base;
	struct container *vault;
	int fd;				/* of the session's directory; -1: it has none */
};

/* Does the session have the list, whole or as a delta?  Then nothing of the vault's is taken for it. */
static int
list_is_here(const struct container_upload *u, uint64_t seq)
{
	char name[UPLOAD_NAME_MAX];
	struct stat st;

	for (unsigned kind = REFS_WHOLE; u->fd != -1 && kind <= REFS_DELTA; kind++) {
		upload_list_name(name, seq, kind, 0);
		if (io->fstatat(u->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			return 1;
	}
	return 0;
}

static int
upload_refs(struct container *c, const struct snap_place *p, unsigned kind, unsigned part, uint64_t off, void *out,
    size_t len, size_t *got, struct err *e)
{
	struct container_upload *u = (struct container_upload *)c;
	char name[UPLOAD_NAME_MAX];
	ssize_t n;
	int fd = -1;

	*got = 0;
	upload_list_name(name, p->seq, kind, part);
	if (u->fd != -1 && (fd = io->open(u->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0)) == -1 &&
	    (errno != ENOENT || list_is_here(u, p->seq)))
		return err_errno(e, "open reference list %s", name);
	if (fd == -1)
		return u->vault->ops->refs(u->vault, p, kind, part, off, out, len, got, e);
	if ((n = io_read_full(fd, out, len, (off_t)off)) == -1)
		(void)err_errno(e, "read reference list %s", name);
	else
		*got = (size_t)n;
	(void)io->close(fd);
	return n == -1 ? -1 : 0;
}

static int
upload_snapshots(struct container *c, snap_found_fn fn, void *arg, container_bad_fn bad, void *bad_arg, struct err *e)
{
	struct container_upload *u = (struct container_upload *)c;

	return u->vault->ops->snapshots(u->vault, fn, arg, bad, bad_arg, e);
}

static void
upload_free(struct container *c)
{
	struct container_upload *u = (struct container_upload *)c;

	container_free(u->vault);
	if (u->fd != -1)
		(void)io->close(u->fd);
	free(u);
}

static const struct container_ops upload_ops = { NULL, NULL, NULL, upload_snapshots, upload_refs, upload_free };

struct container *
container_upload(const struct vault *v, const uint8_t id[ID_LEN], const uint8_t machine[ID_LEN], struct err *e)
{
	struct container_upload *u = calloc(1, sizeof(*u));
	struct err mine;

	if (u == NULL) {
		(void)err_errno(e, "read reference lists");
		return NULL;
	}
	u->base.ops = &upload_ops;
	(void)snprintf(u->base.name, sizeof(u->base.name), "a session with vault %.200s", v->path);
	err_clear(&mine);
	if ((u->fd = upload_dir(v, id, 0, &mine)) == -1 && mine.code != ERR_NOT_FOUND) {
		if (e != NULL)
			*e = mine;
		free(u);
		return NULL;
	}
	if ((u->vault = container_vault(v->path, machine, e)) == NULL) {
		upload_free(&u->base);
		return NULL;
	}
	return &u->base;
}
