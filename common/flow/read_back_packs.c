/*
 * Packs are read back group by group and coded while they are in memory, just
 * verified: parity never covers a byte that was not.  Two threads take turns
 * at the medium, so that one verifies and codes while the other reads; with
 * what they read into and the parity of one group that is m + 2 packs of memory.
 */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/pages.h"
#include "common/base/progress.h"
#include "common/base/queue.h"
#include "common/base/stop.h"
#include "common/disk/image_dir.h"
#include "common/disk/image_file.h"
#include "common/flow/journal.h"
#include "common/flow/parity_group.h"
#include "common/flow/read_back_job.h"
#include "common/pack/pack_view.h"

#define CODERS	2u

/* One pass over packs first, first + stride, … */
struct pass {
	struct read_back *r;
	struct parity_group *group;	/* NULL: no parity */
	uint32_t group_number, next, stride;
	pthread_mutex_t medium;		/* of next, ended, and the reading itself */
	bool ended;
	struct err err;			/* the first */
};

static void
pass_fail(struct pass *p, const struct err *e)
{
	pthread_mutex_lock(&p->medium);
	if (p->err.code == ERR_NONE)
		p->err = *e;
	p->ended = true;
	pthread_mutex_unlock(&p->medium);
}

static int
pack_verify(const struct read_back *r, const struct read_back_pack *x, const uint8_t *in, size_t len, struct err *e)
{
	struct pack_view v;
	struct pack_row row;
	const char *why;
	size_t at = PACK_HEAD_LEN;

	if (len != x->file_len)
		return err_set(e, ERR_MEDIUM, "pack %u comes back with %zu bytes, not %u", x->number, len, x->file_len);
	if (pack_view_bytes(&v, in, len, r->s->id.machine_id, r->s->machine_pub, e) != 0)
		return err_set(e, ERR_MEDIUM, "pack %u comes back damaged", x->number);
	if (memcmp(v.foot.pack_id, x->id, DIGEST_LEN) != 0)
		return err_set(e, ERR_MEDIUM, "pack %u comes back with another table", x->number);
	for (uint32_t i = 0; i < v.table.count; i++) {
		pack_table_row(&v.table, i, &row);
		if ((why = pack_frame_check(&row, in + at, v.table.head.domain_id, PACK_FULL)) != NULL)
			return err_set(e, ERR_MEDIUM, "pack %u comes back damaged at byte %zu: %s", x->number, at, why);
		at += row.len;
	}
	if (r->how->counted)
		progress_add(len, 1);
	return 0;
}

static int
pack_fetch(struct read_back *r, const struct read_back_pack *x, uint8_t *buf, size_t *len, struct err *e)
{
	char name[IMAGE_NAME_MAX];
	uint64_t size;
	ssize_t n;
	int fd;

	image_name_pack(name, x->number);
	if ((fd = image_file_open(r->imagefd, name, &size, e)) == -1)
		return -1;
	medium_open(&r->medium, fd);
	n = size > PACK_LEN_MAX ? -1 : io_read_full(fd, buf, READ_CAP, 0);
	if (n == -1)
		(void)err_set(e, ERR_MEDIUM, "pack %u cannot be read back: %s", x->number, size > PACK_LEN_MAX ? "too long" : strerror(errno));
	(void)io->close(fd);
	*len = n == -1 ? 0 : (size_t)n;
	medium_count(&r->medium, *len);
	return n == -1 ? -1 : 0;
}

/* Position of the next pack, read into ${buf}: 1, 0 at the end, -1 with ${e}. */
static int
pass_next(struct pass *p, uint8_t *buf, uint32_t *at, size_t *len, struct err *e)
{
	int rc = 0;

	pthread_mutex_lock(&p->medium);
	if (!p->ended && p->next < p->r->n && (rc = stop_check(e)) == 0) {
		*at = p->next;
		p->next += p->stride;
		rc = pack_fetch(p->r, &p->r->packs[*at], buf, len, e) == 0 ? 1 : -1;
	}
	pthread_mutex_unlock(&p->medium);
	return rc;
}

static void
pass_work(void *arg)
{
	struct pass *p = arg;
	uint8_t *buf = pages_new(READ_CAP);	/* aligned far beyond READ_BLOCK */
	struct err e;
	uint32_t at = 0;
	size_t len = 0;
	int rc;

	err_clear(&e);
	if (buf == NULL) {
		(void)err_set(&e, ERR_MEMORY, "no memory to read the disk back");
		pass_fail(p, &e);
		return;
	}
	while ((rc = pass_next(p, buf, &at, &len, &e)) == 1) {
		if ((rc = pack_verify(p->r, &p->r->packs[at], buf, len, &e)) != 0)
			break;
		if (p->group != NULL)
			parity_group_add(p->group, at / p->stride, buf, len);
	}
	if (rc == -1)
		pass_fail(p, &e);
	free(buf);
}

static int
pass_run(struct pass *p, unsigned workers, struct err *e)
{
	int rc;

	p->ended = false;
	err_clear(&p->err);
	pthread_mutex_init(&p->medium, NULL);
	rc = pool_run(workers, pass_work, p, e);
	pthread_mutex_destroy(&p->medium);
	if (rc == 0 && p->err.code != ERR_NONE) {
		if (e != NULL)
			*e = p->err;
		rc = -1;
	}
	return rc;
}

/* Members and rows of a group. */
static void
group_describe(const struct read_back *r, uint32_t group, struct parity_table *t, struct parity_member *members)
{
	const struct disk_statement *st = &r->d->statement;
	uint32_t longest = 1;

	memset(t, 0, sizeof(*t));
	t->groups = st->parity_groups;
	t->group = group;
	t->disk = st->disk;
	memcpy(t->image_id, st->image_id, ID_LEN);
	t->k = (uint16_t)parity_group_packs(r->n, t->groups, group);
	t->m = (uint16_t)parity_group_parity(t->k, st->parity_percent);
	for (uint32_t i = 0; i < t->k; i++) {
		const struct read_back_pack *x = &r->packs[group + i * t->groups];

		members[i].number = x->number;
		members[i].file_len = x->file_len;
		memcpy(members[i].id, x->id, DIGEST_LEN);
		if (x->file_len > longest)
			longest = x->file_len;
	}
	t->rows = (longest + PARITY_SHARD_LEN - 1) / PARITY_SHARD_LEN;
}

static int
group_done(struct read_back *r, uint32_t group, struct err *e)
{
	uint8_t record[8];

	le32_put(record, r->d->statement.disk);
	le32_put(record + 4, group);
	return journal_put(r->j, JOURNAL_GROUP, record, sizeof(record), e) == 0 ? journal_sync(r->j, e) : -1;
}

/* One group: its packs, then its parity. */
static int
group_run(struct read_back *r, struct parity_group *g, uint32_t group, struct err *e)
{
	const struct disk_statement *st = &r->d->statement;
	struct pass p = { .r = r, .group = g, .group_number = group, .next = group, .stride = st->parity_groups };
	static const unsigned coders = CODERS;
	struct parity_member members[PARITY_GROUP_MAX];
	struct parity_table t;
	uint32_t first = parity_number(r->n, st->parity_groups, st->parity_percent, group);

	group_describe(r, group, &t, members);
	if (parity_group_begin(g, &t, members, e) != 0 || pass_run(&p, coders, e) != 0)
		return -1;
	if (parity_group_write(g, r->imagefd, first, e) != 0)
		return -1;
	medium_flush(&r->medium);
	if (parity_group_read_back(g, r->imagefd, first, &r->medium, e) != 0)
		return -1;
	return group_done(r, group, e);
}

static int
groups_run(struct read_back *r, struct err *e)
{
	const struct disk_statement *st = &r->d->statement;
	struct parity_group *g;
	int rc = 0;

	if (st->parity_groups != parity_groups(r->n, st->parity_percent) || r->n != st->packs)
		return err_set(e, ERR_STATE, "the disk's statement and the journal do not agree about its packs");
	if ((g = parity_group_new(parity_group_packs(r->n, st->parity_groups, 0), st->parity_percent, e)) == NULL)
		return -1;
	for (uint32_t group = 0; r->how->counted && group < r->d->groups_done && group < st->parity_groups; group++)
		for (uint32_t j = group; j < r->n; j += st->parity_groups)
			progress_add(r->packs[j].file_len, 1);
	for (uint32_t group = r->d->groups_done; rc == 0 && group < st->parity_groups; group++)
		rc = group_run(r, g, group, e);
	parity_group_free(g);
	return rc;
}

int
read_back_packs(struct read_back *r, struct err *e)
{
	struct pass p = { .r = r, .stride = 1 };

	return r->d->statement.parity_groups > 0 ? groups_run(r, e) : pass_run(&p, r->how->workers, e);
}
