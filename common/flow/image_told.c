#include "common/flow/image_told.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/crypto/sign.h"
#include "common/flow/image_state.h"

#define TOLD	"told"

int
image_told_load(const struct image_state *im, struct image_told *t, struct err *e)
{
	struct err mine;
	uint8_t *bytes;
	size_t len;

	memset(t, 0, sizeof(*t));
	err_clear(&mine);
	if (file_read(im->fd, TOLD, SMALL_STATEMENT_MAX, &bytes, &len, &mine) != 0) {
		if (mine.code == ERR_MEMORY)
			return err_set(e, ERR_MEMORY, "%s", mine.msg);
	} else {
		if (schema_decode(&image_told_schema, t, bytes, len) != FMT_OK || memcmp(t->image_id, im->begin.image_id, ID_LEN) != 0)
			memset(t, 0, sizeof(*t));
		free(bytes);
	}
	memcpy(t->image_id, im->begin.image_id, ID_LEN);
	return 0;
}

int
image_told_save(const struct image_state *im, struct image_told *t, struct err *e)
{
	struct buf b;
	int rc;

	buf_init(&b);
	t->time = io_now();
	rc = statement_make(&image_told_schema, t, NULL, &b, e);
	if (rc == 0)
		rc = file_replace(im->fd, TOLD, b.p, b.len, 0600, e);
	buf_release(&b);
	return rc;
}

unsigned
image_told_fate(const struct image_state *im, const struct image_told *t)
{
	unsigned is = im->cancelled ? FATE_IS_CANCELLED : im->lost ? FATE_IS_LOST : FATE_IS_FOUND;

	if (t->fate == 0)	/* nothing was ever said: only what it lost is news, and only of what could have been on its way */
		return is != FATE_IS_FOUND && im->sealed ? is : 0;
	return is != t->fate_is || !t->fate_done ? is : 0;
}

bool
image_told_unpledged(const struct image_state *im, const struct image_told *t)
{
	return image_counts(im) && !image_is_unfinished(im) && im->answer_bytes == NULL && im->manifest.generation > t->generation;
}
