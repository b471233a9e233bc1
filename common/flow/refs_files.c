#include "common/flow/refs_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "formats/fmt_snapshot.h"

#define READ_LEN	((size_t)32 * 4096)

struct refs_files {
	int dirfd, fd;
	uint64_t seq;
	unsigned part;
	uint8_t buf[READ_LEN];
	size_t have, at;
};

struct refs_files *
refs_files_new(int snapsfd, uint64_t seq, struct err *e)
{
	struct refs_files *r = malloc(sizeof(*r));

	if (r == NULL) {
		err_errno(e, "reference list");
		return NULL;
	}
	r->dirfd = snapsfd;
	r->fd = -1;
	r->seq = seq;
	r->part = 0;
	r->have = r->at = 0;
	return r;
}

void
refs_files_free(struct refs_files *r)
{
	if (r == NULL)
		return;
	if (r->fd != -1)
		io->close(r->fd);
	free(r);
}

static int
part_open(struct refs_files *r, struct err *e)
{
	char name[64];

	snprintf(name, sizeof(name), "%08llu.r%02u", (unsigned long long)r->seq, r->part++);
	r->fd = io->open(r->dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
	if (r->fd == -1)
		return r->part > 1 && errno == ENOENT ? 0 : err_errno(e, "reference list %s", name);
	if (io->lseek(r->fd, REFS_HEAD_LEN, SEEK_SET) == -1)
		return err_errno(e, "reference list %s", name);
	return 1;
}

int
refs_files_next(struct refs_files *r, const uint8_t **id, struct err *e)
{
	ssize_t n;
	int got;

	while (r->at == r->have) {
		if (r->fd == -1 && (got = part_open(r, e)) != 1)
			return got;
		if ((n = io_read_full(r->fd, r->buf, READ_LEN, -1)) == -1)
			return err_errno(e, "read a reference list");
		if (n % DIGEST_LEN != 0)
			return err_set(e, ERR_STATE, "a reference list in the state is cut short");
		if (n == 0) {
			io->close(r->fd);
			r->fd = -1;
		}
		r->have = (size_t)n;
		r->at = 0;
	}
	*id = r->buf + r->at;
	r->at += DIGEST_LEN;
	return 1;
}
