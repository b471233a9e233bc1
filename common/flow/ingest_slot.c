#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/io.h"
#include "common/disk/image_file.h"
#include "common/flow/ingest_slot.h"

#define ALIGN		4096u
#define PIECE		(64u << 10)

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

/* The disk itself is still there if its label opens. */
static int
disk_is_there(const struct ingest *g)
{
	char name[IMAGE_NAME_MAX];
	uint64_t len;
	int fd = -1;

	for (int copy = 0; copy < 2 && fd == -1; copy++) {
		image_name_label(name, copy);
		fd = image_file_open(g->dir.fd, name, &len, NULL);
	}
	if (fd != -1)
		(void)io->close(fd);
	return fd != -1;
}

/* What a failing medium gives piece by piece; the pieces that it does not give are zeros. */
static size_t
read_pieces(int fd, uint8_t *out, size_t len)
{
	size_t end = 0;

	memset(out, 0, len);
	for (size_t at = 0; at < len; at += PIECE) {
		size_t n = len - at < PIECE ? len - at : PIECE;
		ssize_t got = io_read_full(fd, out + at, n, (off_t)at);

		if (got > 0)
			end = at + (size_t)got;
		else if (got < 0)
			memset(out + at, 0, n);
	}
	return end;
}

int
pack_slot_read(const struct ingest *g, struct pack_slot *s, struct err *e)
{
	size_t want = s->file_len < PACK_LEN_MAX ? (size_t)s->file_len + 1 : PACK_LEN_MAX + 1;
	struct err mine;
	ssize_t got;
	int fd;

	s->len = 0;
	s->why[0] = '\0';
	err_clear(&mine);
	if ((fd = image_pack_open(&g->dir, s->number, &mine)) == -1) {
		(void)snprintf(s->why, sizeof(s->why), "%.120s", mine.msg);
		if (disk_is_there(g))
			return 0;
		return err_set(e, ERR_IO, "%s: the disk at %s is gone", g->name, g->path);
	}
	(void)io->fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	got = io_read_full(fd, s->pack, want, 0);
	if (got < 0) {
		(void)snprintf(s->why, sizeof(s->why), "it cannot be read: %s", strerror(errno));
		s->len = read_pieces(fd, s->pack, want);
	} else {
		s->len = (size_t)got;
	}
	(void)io->fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	(void)io->close(fd);
	if (got < 0 && !disk_is_there(g))
		return err_set(e, ERR_IO, "%s: the disk at %s is gone", g->name, g->path);
	return 0;
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
