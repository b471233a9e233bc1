#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/io.h"
#include "common/flow/ingest_slot.h"

#define ALIGN		4096u
#define PIECE		((size_t)64 << 10)
#define SKIP_MOST	((size_t)1 << 20)
#define READ_TRIES	2

struct pack_slot *
pack_slot_new(struct err *e)
{
	struct pack_slot *s = calloc(1, sizeof(*s));

	if (s == NULL || (s->pack = aligned_alloc(ALIGN, PACK_LEN_MAX + ALIGN)) == NULL) {
		(void)err_set(e, ERR_MEMORY, "no memory for packs in hand");
		free(s);
		return NULL;
	}
	return s;
}

void
pack_slot_free(struct pack_slot *s)
{
	if (s == NULL)
		return;
	free(s->pack);
	free(s->table);
	free(s->good);
	free(s);
}

/* What a failing medium gives of one stretch, asked for again and then block by block.  Bytes that are lost are zeros. */
static size_t
read_again(int fd, uint8_t *out, size_t n, off_t at, size_t *lost)
{
	size_t end = 0;
	ssize_t got;

	for (int i = 0; i < READ_TRIES; i++)
		if ((got = io_read_full(fd, out, n, at)) >= 0)
			return (size_t)got;
	memset(out, 0, n);
	for (size_t b = 0; b < n; b += ALIGN) {
		size_t len = n - b < ALIGN ? n - b : ALIGN;

		if ((got = io_read_full(fd, out + b, len, at + (off_t)b)) > 0)
			end = b + (size_t)got;
		else if (got < 0) {
			memset(out + b, 0, len);
			*lost += len;
		}
	}
	return end;
}

/*
 * A pack that cannot be read in one piece, piece by piece.  Where one piece
 * after the other fails, ever wider stretches are passed over: a bad sector
 * can take seconds to fail, and an hour for one pack is too long.
 */
static size_t
read_pieces(int fd, uint8_t *out, size_t len, size_t *lost)
{
	size_t end = 0, skip = PIECE;
	int bad = 0;

	memset(out, 0, len);
	*lost = 0;
	for (size_t at = 0; at < len;) {
		size_t n = len - at < PIECE ? len - at : PIECE, before = *lost, have = 0;
		ssize_t got = io_read_full(fd, out + at, n, (off_t)at);

		if (got >= 0) {
			have = (size_t)got;
		} else if (!bad) {
			have = read_again(fd, out + at, n, (off_t)at, lost);
		} else {
			n = len - at < skip ? len - at : skip;
			memset(out + at, 0, n);
			*lost += n;
			skip = skip < SKIP_MOST ? skip * 2 : skip;
		}
		bad = *lost > before;
		if (!bad)
			skip = PIECE;
		if (have > 0)
			end = at + have;
		if (got >= 0 && have < n)
			break;
		at += n;
	}
	return end;
}

int
pack_slot_read(const struct ingest *g, struct pack_slot *s, struct err *e)
{
	size_t want = s->file_len < PACK_LEN_MAX ? (size_t)s->file_len + 1 : PACK_LEN_MAX + 1, lost;
	struct err mine;
	ssize_t got;
	int fd;

	s->len = 0;
	s->why[0] = '\0';
	err_clear(&mine);
	if ((fd = image_pack_open(&g->dir, s->number, &mine)) == -1) {
		(void)snprintf(s->why, sizeof(s->why), "%.120s", mine.msg);
		return ingest_is_there(g, e);
	}
	(void)io->fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	if ((got = io_read_full(fd, s->pack, want, 0)) >= 0) {
		s->len = (size_t)got;
	} else {
		int sys = errno;

		s->len = read_pieces(fd, s->pack, want, &lost);
		if (lost > 0)
			(void)snprintf(s->why, sizeof(s->why), "%zu KiB of it cannot be read: %s", (lost + 1023) >> 10,
			    strerror(sys));
	}
	(void)io->fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	(void)io->close(fd);
	return got < 0 && lost > 0 ? ingest_is_there(g, e) : 0;
}

/* The table, as the index has it: signed by the machine, of its domain, and not one that only a vault makes. */
static int
table_believe(const struct ingest *g, struct pack_slot *s)
{
	struct err mine;

	err_clear(&mine);
	if (pack_view_open(&s->view, s->table, s->table_len, s->foot, g->st.machine_id, g->dir.label.machine_pub, &mine) != 0) {
		(void)snprintf(s->why, sizeof(s->why), "%.120s", mine.msg);
		return 0;
	}
	if (s->view.table.head.flags != 0 || memcmp(s->view.foot.domain_id, g->st.domain_id, DIGEST_LEN) != 0) {
		(void)snprintf(s->why, sizeof(s->why), "it is of another key domain, or claims to be re-packed");
		return 0;
	}
	return 1;
}

/* Every frame of the table against the bytes. */
static void
frames_check(const struct ingest *g, struct pack_slot *s)
{
	size_t off = PACK_HEAD_LEN;

	s->nbad = 0;
	for (uint32_t i = 0; i < s->view.table.count; i++) {
		const char *why = "it is cut short";
		struct pack_row row;

		pack_table_row(&s->view.table, i, &row);
		if (off + row.len <= s->len)
			why = pack_frame_check(&row, s->pack + off, g->st.domain_id, PACK_FULL);
		s->good[i] = why == NULL;
		if (why != NULL && s->nbad++ == 0 && s->why[0] == '\0')
			(void)snprintf(s->why, sizeof(s->why), "chunk %u of it: %s", i + 1, why);
		off += row.len;
	}
}

/* Is all around the frames what the index says? */
static int
rest_is_equal(const struct pack_slot *s)
{
	size_t body = PACK_HEAD_LEN + s->view.foot.body_len;

	return s->len == s->view.file_len && memcmp(s->pack, s->table, PACK_HEAD_LEN) == 0 &&
	    memcmp(s->pack + body, s->table, s->table_len) == 0 &&
	    memcmp(s->pack + body + s->table_len, s->foot, PACK_FOOT_LEN) == 0;
}

void
pack_slot_check(const struct ingest *g, struct pack_slot *s)
{
	s->believed = s->stored = s->failed = 0;
	s->nbad = 0;
	err_clear(&s->err);
	if (!table_believe(g, s))
		return;
	if (s->view.table.count > s->good_cap) {
		uint8_t *more = realloc(s->good, s->view.table.count);

		if (more == NULL) {
			s->failed = 1;
			(void)err_set(&s->err, ERR_MEMORY, "no memory for packs in hand");
			return;
		}
		s->good = more;
		s->good_cap = s->view.table.count;
	}
	s->believed = 1;
	frames_check(g, s);
	if (!rest_is_equal(s)) {
		if (s->why[0] == '\0')
			(void)snprintf(s->why, sizeof(s->why), "its header, table or footer is not what the index says");
		return;
	}
	if (s->nbad > 0 || s->plan != PLAN_WHOLE)
		return;
	s->failed = pack_put(g->v->store, s->view.foot.pack_id, s->pack, s->len, &s->put, &s->err) != 0;
	s->stored = !s->failed;
}
