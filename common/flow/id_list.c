#include "common/flow/id_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/crypto/sign.h"
#include "common/flow/new_file.h"
#include "common/pack/refs.h"

/* --- writing --- */

/* Count and digest of all ids. */
static int
list_measure(struct id_list *about, struct id_sorter *ids, struct err *e)
{
	struct refs_digest *d = refs_digest_new(about->domain_id);
	uint8_t id[DIGEST_LEN];
	int got = -1;

	if (d == NULL)
		return err_set(e, ERR_MEMORY, "list of ids");
	if (id_sorter_rewind(ids, e) == 0)
		while ((got = id_sorter_next(ids, id, e)) == 1)
			(void)refs_digest_add(d, id);	/* a sorter's ids rise */
	if (got == 0)
		refs_digest_final(d, about->digest, &about->count);
	refs_digest_free(d);
	return got;
}

static int
part_give(const struct fmt_schema *schema, struct id_list *l, const uint8_t *ids, uint32_t n, const uint8_t *secret,
    id_list_part_fn fn, void *arg, struct err *e)
{
	struct buf out;
	int rc;

	buf_init(&out);
	l->ids = (struct fmt_view){ ids, n * DIGEST_LEN };
	if ((rc = statement_make(schema, l, secret, &out, e)) == 0)
		rc = fn(arg, out.p, out.len, e);
	buf_release(&out);
	l->ids = (struct fmt_view){ NULL, 0 };
	return rc;
}

int
id_list_make(const struct fmt_schema *schema, struct id_list *about, struct id_sorter *ids, const uint8_t *secret,
    id_list_part_fn fn, void *arg, struct err *e)
{
	uint8_t *part = malloc((size_t)ID_LIST_PART * DIGEST_LEN);
	int rc = 0;

	if (part == NULL)
		return err_errno(e, "list of ids");
	io_random(about->list_id, ID_LEN);
	if (list_measure(about, ids, e) != 0 || id_sorter_rewind(ids, e) != 0)
		rc = -1;
	about->parts = id_list_parts(about->count);
	for (about->part = 0; rc == 0 && about->part < about->parts; about->part++) {
		uint32_t n = id_list_part_ids(about->count, about->part);

		for (uint32_t i = 0; i < n && rc == 0; i++)
			rc = id_sorter_next(ids, part + (size_t)i * DIGEST_LEN, e) == 1 ? 0 : -1;
		if (rc == 0)
			rc = part_give(schema, about, part, n, secret, fn, arg, e);
	}
	free(part);
	return rc;
}

static int
part_write(void *arg, const uint8_t *part, size_t len, struct err *e)
{
	uint8_t n[4];

	le32_put(n, (uint32_t)len);
	if (io_write_full(*(int *)arg, n, sizeof(n), -1) != 0 || io_write_full(*(int *)arg, part, len, -1) != 0)
		return err_errno(e, "write a list of ids");
	return 0;
}

int
id_list_save(int dirfd, const char *name, const struct fmt_schema *schema, struct id_list *about, struct id_sorter *ids,
    const uint8_t *secret, struct err *e)
{
	uint8_t r[8];
	char tmp[32];
	int fd, rc;

	io_random(r, sizeof(r));
	(void)snprintf(tmp, sizeof(tmp), "%016llx.tmp", (unsigned long long)le64_get(r));
	if ((fd = io->open(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)) == -1)
		return err_errno(e, "write %s", name);
	rc = id_list_make(schema, about, ids, secret, part_write, &fd, e);
	if (rc == 0 && io->fsync(fd) != 0)
		rc = err_set(e, ERR_FSYNC, "sync %s: %s", name, strerror(errno));
	if (io->close(fd) != 0 && rc == 0)
		rc = err_errno(e, "write %s", name);
	if (rc == 0)
		rc = file_publish(dirfd, tmp, name, FILE_PLAIN_RENAME, e);
	if (rc != 0)
		(void)io->unlinkat(dirfd, tmp, 0);
	return rc < 0 ? -1 : dir_sync(dirfd, NULL, e) != 0 ? -1 : rc;
}

int
id_list_save_path(const char *path, const struct fmt_schema *schema, struct id_list *about, struct id_sorter *ids,
    const uint8_t *secret, struct err *e)
{
	const char *name;
	int rc, fd = new_file_dir(path, &name, e);

	if (fd == -1)
		return err_during(e, "write %s", path);
	if ((rc = id_list_save(fd, name, schema, about, ids, secret, e)) == 1)
		rc = err_set(e, ERR_EXISTS, "%s is already there, and samara writes over nothing", path);
	(void)io->close(fd);
	return rc;
}

/* --- reading --- */

struct id_list_reader {
	const struct fmt_schema *schema;
	char name[256];
	uint8_t pub[SIGN_PUB_LEN];
	id_list_read_fn read;
	void *arg;
	int fd;				/* our own, or -1 */
	int signed_by, ended, any;
	uint8_t *bytes;			/* the part in hand */
	size_t len;
	struct id_list part;
	uint32_t at;			/* ids of it that were given out */
	struct refs_digest *digest;
};

/* The bytes of the next part: 1, 0 the file ends, -1. */
static int
part_bytes(struct id_list_reader *r, struct err *e)
{
	uint8_t n[4];
	ssize_t got = r->read(r->arg, n, sizeof(n), e);

	if (got == 0)
		return 0;
	if (got != (ssize_t)sizeof(n))
		return got < 0 ? -1 : err_set(e, ERR_FORMAT, "%s is cut short", r->name);
	r->len = le32_get(n);
	if (r->len > ID_LIST_PART_LEN)
		return err_set(e, ERR_FORMAT, "%s is not a %s", r->name, r->schema->name);
	if ((got = r->read(r->arg, r->bytes, r->len, e)) != (ssize_t)r->len)
		return got < 0 ? -1 : err_set(e, ERR_FORMAT, "%s is cut short", r->name);
	return 1;
}

/* Does this part go on where the one before it ended? */
static int
part_follows(const struct id_list_reader *r, const struct id_list *l, uint32_t want)
{
	const struct id_list *b = &r->part;

	if (l->part != want)
		return 0;
	return want == 0 || (memcmp(l->list_id, b->list_id, ID_LEN) == 0 && l->count == b->count && l->parts == b->parts &&
	    memcmp(l->digest, b->digest, DIGEST_LEN) == 0 && memcmp(l->machine_id, b->machine_id, ID_LEN) == 0 &&
	    memcmp(l->image_id, b->image_id, ID_LEN) == 0);
}

/* Part ${want}, believed: 0 or -1. */
static int
part_take(struct id_list_reader *r, uint32_t want, struct err *e)
{
	struct id_list l;
	int got = part_bytes(r, e);

	if (got != 1)
		return got == 0 ? err_set(e, ERR_DAMAGE, "%s: part %u of it is not there", r->name, want + 1) : -1;
	if (statement_open(r->schema, &l, r->bytes, r->len, r->signed_by ? r->pub : NULL, e) != 0)
		return err_during(e, "%s", r->name);
	if (!part_follows(r, &l, want))
		return err_set(e, ERR_DAMAGE, "%s: its parts are not those of one list, in order", r->name);
	if (want == 0 && (r->digest = refs_digest_new(l.domain_id)) == NULL)
		return err_set(e, ERR_MEMORY, "%s", r->name);
	r->part = l;
	r->at = 0;
	return 0;
}

struct id_list_reader *
id_list_reader_from(id_list_read_fn read, void *arg, const char *name, const struct fmt_schema *schema, const uint8_t *pub,
    struct err *e)
{
	struct id_list_reader *r = calloc(1, sizeof(*r));

	if (r == NULL || (r->bytes = malloc(ID_LIST_PART_LEN)) == NULL) {
		(void)err_errno(e, "%s", name);
		free(r);
		return NULL;
	}
	r->schema = schema;
	r->read = read;
	r->arg = arg;
	r->fd = -1;
	(void)snprintf(r->name, sizeof(r->name), "%s", name);
	if (pub != NULL)
		memcpy(r->pub, pub, SIGN_PUB_LEN);
	r->signed_by = pub != NULL;
	if (part_take(r, 0, e) != 0) {
		id_list_reader_free(r);
		return NULL;
	}
	return r;
}

static ssize_t
file_next(void *arg, void *buf, size_t n, struct err *e)
{
	ssize_t got = io_read_full((int)(intptr_t)arg, buf, n, -1);

	return got < 0 ? err_errno(e, "read a list of ids") : got;
}

struct id_list_reader *
id_list_reader_new(int dirfd, const char *path, const struct fmt_schema *schema, const uint8_t *pub, struct err *e)
{
	int fd = io->open(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0);
	struct id_list_reader *r;

	if (fd == -1) {
		(void)err_errno(e, "%s", path);
		return NULL;
	}
	if ((r = id_list_reader_from(file_next, (void *)(intptr_t)fd, path, schema, pub, e)) != NULL)
		r->fd = fd;
	else
		(void)io->close(fd);
	return r;
}

void
id_list_reader_free(struct id_list_reader *r)
{
	if (r == NULL)
		return;
	if (r->fd != -1)
		(void)io->close(r->fd);
	refs_digest_free(r->digest);
	free(r->bytes);
	free(r);
}

const struct id_list *
id_list_about(const struct id_list_reader *r)
{
	return &r->part;
}

/* All parts were read: is it the list that they name? */
static int
list_end(struct id_list_reader *r, struct err *e)
{
	uint8_t digest[DIGEST_LEN], one;
	uint64_t count;

	if (r->ended)
		return 0;
	r->ended = 1;
	refs_digest_final(r->digest, digest, &count);
	if (memcmp(digest, r->part.digest, DIGEST_LEN) != 0 || count != r->part.count)
		return err_set(e, ERR_DAMAGE, "%s: the ids in it are not those of the list it names", r->name);
	if (r->read(r->arg, &one, 1, e) != 0)
		return err_set(e, ERR_FORMAT, "%s: there are bytes after its end", r->name);
	return 0;
}

/* Another part is in hand, of which nothing was given out: 1, 0 at the end, -1. */
static int
part_ready(struct id_list_reader *r, struct err *e)
{
	if (r->at < list_count(r->part.ids, DIGEST_LEN))
		return 1;
	if (r->part.part + 1 == r->part.parts)
		return list_end(r, e);
	return part_take(r, r->part.part + 1, e) == 0 ? 1 : -1;
}

static int
id_take(struct id_list_reader *r, uint8_t id[DIGEST_LEN], struct err *e)
{
	memcpy(id, r->part.ids.p + (size_t)r->at++ * DIGEST_LEN, DIGEST_LEN);
	if (refs_digest_add(r->digest, id) != 0)
		return err_set(e, ERR_DAMAGE, "%s: its ids do not rise", r->name);
	return 1;
}

int
id_list_next(struct id_list_reader *r, uint8_t id[DIGEST_LEN], struct err *e)
{
	int rc = part_ready(r, e);

	return rc == 1 ? id_take(r, id, e) : rc;
}

int
id_list_part(struct id_list_reader *r, const uint8_t **part, size_t *len, struct err *e)
{
	uint8_t id[DIGEST_LEN];
	int rc = part_ready(r, e);

	/* A list without ids is one part, given out once. */
	if (rc == 0 && r->part.count == 0 && !r->any)
		rc = 1;
	if (rc != 1)
		return rc;
	r->any = 1;
	while (r->at < list_count(r->part.ids, DIGEST_LEN))
		if (id_take(r, id, e) != 1)
			return -1;
	*part = r->bytes;
	*len = r->len;
	return 1;
}
