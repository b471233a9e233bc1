/*
 * Where the disks of an image were last: "where" in its directory of the state, one
 * name after the other, each with a zero byte.  A hint, so that going on needs no
 * option: what lies there is this image's disk only if its label says so.
 */

#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/flow/build_disks.h"
#include "common/flow/build_run.h"

#define WHERE		"where"
#define WHERE_MAX	(BUILD_DISKS * 4096u)

void
build_where_keep_locked(struct build *b)
{
	struct err mine;
	struct buf out;
	char *real;

	err_clear(&mine);
	buf_init(&out);
	for (unsigned i = 0; i < b->disks.n; i++) {
		const struct build_disk *bd = b->disks.at[i];

		if (bd->number == 0 || bd->released || (real = realpath(bd->target.path, NULL)) == NULL)
			continue;
		buf_add(&out, real, strlen(real) + 1);
		free(real);
	}
	if (out.len > 0 && buf_check(&out, &mine) == 0)
		(void)file_replace(b->im->fd, WHERE, out.p, out.len, 0600, &mine);
	buf_release(&out);
}

void
build_where_open(struct build *b)
{
	struct build_disk *bd;
	struct err mine;
	uint8_t *names;
	size_t len;

	err_clear(&mine);
	if (file_read(b->im->fd, WHERE, WHERE_MAX, &names, &len, &mine) != 0)
		return;
	for (size_t at = 0; at < len; at += strlen((char *)names + at) + 1) {
		err_clear(&mine);
		if ((bd = build_disk_open(b, (char *)names + at, &mine)) != NULL && bd->number == 0)
			build_disk_let_go(bd);
	}
	free(names);
}
