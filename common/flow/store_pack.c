#include "common/flow/store_pack.h"

#include <stdlib.h>

#include "common/base/err.h"
#include "common/store/store.h"

#define END_GUESS	(32u << 10)	/* most tables and footers are shorter: one read */

/* The last ${n} bytes of an object of ${len} bytes at room->end. */
static int
end_read(struct store *s, const char *name, uint64_t len, size_t n, struct store_pack *room, struct err *e)
{
	size_t got;

	if (n > room->cap) {
		uint8_t *more = realloc(room->end, n);

		if (more == NULL)
			return err_set(e, ERR_MEMORY, "no memory for the table of a pack");
		room->end = more;
		room->cap = n;
	}
	if (s->ops->get(s, name, len - n, room->end, n, &got, e) != 0)
		return -1;
	return got == n ? 0 : err_set(e, ERR_DAMAGE, "%s is cut short", name);
}

int
store_pack_table(struct store *s, const char *name, uint64_t len, struct store_pack *room, struct pack_view *view,
    struct err *e)
{
	size_t n = len < END_GUESS ? (size_t)len : END_GUESS, end;
	struct pack_foot f;
	enum fmt_status st;

	if (len > PACK_LEN_MAX || len < PACK_FOOT_LEN)
		return err_set(e, ERR_FORMAT, "no pack has %llu bytes", (unsigned long long)len);
	if (end_read(s, name, len, n, room, e) != 0)
		return -1;
	if ((st = pack_foot_decode(&f, room->end + n - PACK_FOOT_LEN, PACK_FOOT_LEN)) != FMT_OK)
		return err_set(e, st == FMT_VERSION ? ERR_VERSION : ERR_FORMAT, "its footer: %s", fmt_status_text(st));
	end = (size_t)f.table_len + PACK_FOOT_LEN;
	if (f.table_len > PACK_TABLE_MAX || end > len)
		return err_set(e, ERR_FORMAT, "its footer: a table of %u bytes cannot be in it", f.table_len);
	if (end > n) {
		if (end_read(s, name, len, end, room, e) != 0)
			return -1;
		n = end;
	}
	if (pack_view_open(view, room->end + n - end, f.table_len, room->end + n - PACK_FOOT_LEN, NULL, NULL, e) != 0)
		return -1;
	return view->file_len == len ? 0 : err_set(e, ERR_DAMAGE, "it has not the length that its footer says");
}
