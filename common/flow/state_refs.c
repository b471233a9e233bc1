#include "common/flow/state_refs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/flow/id_list.h"
#include "common/pack/id_sorter.h"
#include "common/pack/refs.h"

#define READ_IDS	4096u
#define GIVEN_UP	"givenup"

struct reading {
	struct refs_digest *digest;
	state_id_fn fn;
	void *arg;
	uint8_t buf[READ_IDS * DIGEST_LEN];
};

static int
part_read(struct reading *r, int fd, const char *name, struct err *e)
{
	ssize_t n;

	if (io->lseek(fd, REFS_HEAD_LEN, SEEK_SET) == -1)
		return err_errno(e, "%s", name);
	while ((n = io_read_full(fd, r->buf, sizeof(r->buf), -1)) > 0)
		for (ssize_t at = 0; at + DIGEST_LEN <= n; at += DIGEST_LEN) {
			if (refs_digest_add(r->digest, r->buf + at) != 0)
				return err_set(e, ERR_STATE, "%s: its ids do not rise", name);
			if (r->fn(r->arg, r->buf + at, e) != 0)
				return -1;
		}
	return n < 0 ? err_errno(e, "%s", name) : 0;
}

static int
parts_read(struct state *s, struct reading *r, const struct envelope *env, struct err *e)
{
	char name[64];
	int fd, rc = 0;

	for (unsigned part = 0; rc == 0; part++) {
		(void)snprintf(name, sizeof(name), "snaps/%08llu.r%02u", (unsigned long long)env->seq, part);
		if ((fd = io->open(s->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0)) == -1)
			return part > 0 && errno == ENOENT ? 0 : err_errno(e, "state %s: %s", s->path, name);
		rc = part_read(r, fd, name, e);
		(void)io->close(fd);
	}
	return rc;
}

int
state_refs_each(struct state *s, const struct envelope *env, state_id_fn fn, void *arg, struct err *e)
{
	struct reading *r = calloc(1, sizeof(*r));
	uint8_t digest[DIGEST_LEN];
	uint64_t count;
	int rc = -1;

	if (r == NULL || (r->digest = refs_digest_new(env->domain_id)) == NULL) {
		free(r);
		return err_set(e, ERR_MEMORY, "reference list");
	}
	r->fn = fn;
	r->arg = arg;
	if ((rc = parts_read(s, r, env, e)) == 0) {
		refs_digest_final(r->digest, digest, &count);
		if (count != env->refs_count || memcmp(digest, env->refs_digest, DIGEST_LEN) != 0)
			rc = err_set(e, ERR_STATE, "state %s: the reference list of snapshot %llu is not the one that was closed",
			    s->path, (unsigned long long)env->seq);
	}
	refs_digest_free(r->digest);
	free(r);
	return rc;
}

static int
given_up_read(struct state *s, const char *path, struct id_sorter *out, struct err *e)
{
	struct id_list_reader *l = id_list_reader_new(s->fd, path, &given_up_schema, s->machine_pub, e);
	uint8_t id[DIGEST_LEN];
	int rc;

	if (l == NULL)
		return err_during(e, "state %s", s->path);
	while ((rc = id_list_next(l, id, e)) == 1)
		if (id_sorter_add(out, id, e) != 0) {
			rc = -1;
			break;
		}
	id_list_reader_free(l);
	return rc;
}

/* The lists that are there, whole: those that were never finished have another form of name. */
static int
is_list(const char *name)
{
	return strlen(name) == 8 && strspn(name, "0123456789") == 8;
}

int
state_given_up(struct state *s, struct id_sorter *out, struct err *e)
{
	char **names, path[GIVEN_UP_NAME];
	size_t n;
	int rc = 0;

	if (dir_list(s->fd, GIVEN_UP, &names, &n, e) != 0) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		err_clear(e);
		return 0;
	}
	for (size_t i = 0; i < n && rc == 0; i++)
		if (is_list(names[i])) {
			(void)snprintf(path, sizeof(path), GIVEN_UP "/%.8s", names[i]);
			rc = given_up_read(s, path, out, e);
		}
	dir_list_free(names, n);
	return rc;
}

int
state_given_up_add(struct state *s, struct id_list *about, struct id_sorter *ids, char name[GIVEN_UP_NAME], struct err *e)
{
	int fd, rc = 1;

	if (dir_make(s->fd, GIVEN_UP, 0700, e) != 0 || (fd = dir_open(s->fd, GIVEN_UP, e)) == -1)
		return -1;
	for (unsigned i = 1; rc == 1; i++) {
		char number[16];
		struct stat st;

		(void)snprintf(number, sizeof(number), "%08u", i);
		(void)snprintf(name, GIVEN_UP_NAME, GIVEN_UP "/%08u", i);
		if (io->fstatat(fd, number, &st, AT_SYMLINK_NOFOLLOW) != 0)
			rc = id_list_save(fd, number, &given_up_schema, about, ids, s->sign_secret, e);
	}
	(void)io->close(fd);
	return rc;
}
