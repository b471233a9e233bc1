#include "common/flow/refs_out.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"

void
refs_out_init(struct refs_out *r, int dirfd, const struct envelope *env)
{
	memset(r, 0, sizeof(*r));
	r->dirfd = dirfd;
	r->fd = -1;
	r->seq = env->seq;
	r->head.kind = REFS_WHOLE;
	r->head.parts = (uint16_t)((env->refs_count + REFS_PART_IDS - 1) / REFS_PART_IDS);
	memcpy(r->head.domain_id, env->domain_id, DIGEST_LEN);
	memcpy(r->head.digest, env->refs_digest, DIGEST_LEN);
	r->head.count = r->head.added = env->refs_count;
	buf_init(&r->buf);
}

void
refs_out_release(struct refs_out *r)
{
	if (r->fd != -1)
		(void)io->close(r->fd);
	r->fd = -1;
	buf_release(&r->buf);
}

static int
refs_flush(struct refs_out *r, struct err *e)
{
	if (r->buf.len > 0 && io_write_full(r->fd, r->buf.p, r->buf.len, -1) != 0)
		return err_errno(e, "write the reference list");
	buf_reset(&r->buf);
	return 0;
}

static int
refs_part_end(struct refs_out *r, struct err *e)
{
	char name[64];
	int rc = refs_flush(r, e);

	if (rc == 0 && io->fsync(r->fd) != 0)
		rc = err_set(e, ERR_FSYNC, "sync the reference list: %s", strerror(errno));
	io->close(r->fd);
	r->fd = -1;
	snprintf(name, sizeof(name), "%08llu.r%02u", (unsigned long long)r->seq, r->head.part);
	if (rc == 0 && io->renameat2(r->dirfd, "refs.tmp", r->dirfd, name, 0) != 0)
		rc = err_errno(e, "name the reference list");
	r->head.part++;
	return rc;
}

static int
refs_part_begin(struct refs_out *r, struct err *e)
{
	uint8_t head[REFS_HEAD_LEN];

	r->fd = io->open(r->dirfd, "refs.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (r->fd == -1)
		return err_errno(e, "write the reference list");
	refs_head_encode(&r->head, head);
	buf_add(&r->buf, head, sizeof(head));
	return 0;
}

int
refs_out_id(void *arg, const uint8_t *id, struct err *e)
{
	struct refs_out *r = arg;

	if (r->fd == -1 && refs_part_begin(r, e) != 0)
		return -1;
	buf_add(&r->buf, id, DIGEST_LEN);
	r->done++;
	if (buf_check(&r->buf, e) != 0 || (r->buf.len >= 1u << 20 && refs_flush(r, e) != 0))
		return -1;
	return r->done % REFS_PART_IDS == 0 ? refs_part_end(r, e) : 0;
}

int
refs_out_end(struct refs_out *r, struct err *e)
{
	if (r->fd != -1 && refs_part_end(r, e) != 0)
		return -1;
	return dir_sync(r->dirfd, NULL, e);
}
