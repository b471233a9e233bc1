#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/stop.h"
#include "common/base/text.h"
#include "common/flow/dump.h"
#include "common/pack/listing_read.h"

#define ZEROS_LEN	(64u << 10)

struct dump {
	struct source_reader *reader;
	int fd;
};

static int
zeros_write(struct dump *d, uint64_t len, struct err *e)
{
	static const uint8_t zeros[ZEROS_LEN];

	while (len > 0) {
		size_t n = len < ZEROS_LEN ? (size_t)len : ZEROS_LEN;

		if (io_write_full(d->fd, zeros, n, -1) != 0)
			return err_errno(e, "write to the output");
		if (stop_check(e) != 0)
			return -1;
		len -= n;
	}
	return 0;
}

static int
extent_dump(void *arg, uint64_t at, const struct extent *x, struct err *e)
{
	struct dump *d = arg;
	const uint8_t *plain;
	size_t len;

	(void)at;
	if (extent_is_hole(x))
		return zeros_write(d, x->len, e);
	if (source_get(d->reader, x->id, 0, &plain, &len, e) != 0)
		return -1;
	if (x->offset > len || x->len > len - x->offset)
		return err_set(e, ERR_DAMAGE, "an extent of the file lies outside its chunk");
	if (io_write_full(d->fd, plain + x->offset, (size_t)x->len, -1) != 0)
		return err_errno(e, "write to the output");
	return stop_check(e);
}

int
dump_path(const struct open_snapshot *o, struct source_reader *reader, const char *text, int fd, struct err *e)
{
	struct fmt_view path = view_of(text, strlen(text));
	struct dump d = { .reader = reader, .fd = fd };
	uint8_t copy[ENTRY_LEN_MAX + 16];
	struct entry en = { .type = ENTRY_DIR };
	char safe[512];
	int rc = 1;

	(void)text_safe(safe, sizeof(safe), path.p, path.len);
	if (path.len > 1)
		rc = listing_find(o->root.top_id, o->root.levels, source_get, reader, path, &en, copy, e);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(e, ERR_NOT_FOUND, "%s is not in the snapshot", safe);
	if (en.type == ENTRY_FILE)
		return extents_each(&en, source_get, reader, NULL, NULL, extent_dump, &d, e) == 0 ? 0 : err_during(e, "%s", safe);
	return err_set(e, ERR_USAGE, "%s is neither a file nor a directory", safe);
}
