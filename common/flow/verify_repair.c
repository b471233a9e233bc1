#include "common/flow/verify_repair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/stop.h"
#include "common/disk/image_file.h"
#include "common/flow/repair.h"
#include "common/flow/repair_group.h"

/* One that cannot be read. */
struct unread {
	uint32_t number;
	struct err why;
};

struct verify_damaged {
	pthread_mutex_t lock;
	uint32_t *number;
	size_t n, cap;
	struct unread *unread;
	size_t nunread, unread_cap;
};

/* What a run of repairs needs. */
struct mending {
	struct verify_damaged *d;
	struct verify_job *j;
	struct verify_image *im;
	struct verify_mender *m;
	struct repair *repair;
};

struct verify_damaged *
verify_damaged_new(void)
{
	struct verify_damaged *d = calloc(1, sizeof(*d));

	if (d != NULL)
		pthread_mutex_init(&d->lock, NULL);
	return d;
}

void
verify_damaged_free(struct verify_damaged *d)
{
	if (d == NULL)
		return;
	pthread_mutex_destroy(&d->lock);
	free(d->number);
	free(d->unread);
	free(d);
}

static int
unread_add(struct verify_damaged *d, uint32_t number, const struct err *why)
{
	if (d->nunread == d->unread_cap) {
		size_t cap = d->unread_cap * 2 + 16;
		struct unread *more = cap > 4096 ? NULL : realloc(d->unread, cap * sizeof(*more));

		if (more == NULL)
			return 0;
		d->unread = more;
		d->unread_cap = cap;
	}
	d->unread[d->nunread].number = number;
	d->unread[d->nunread++].why = *why;
	return 1;
}

int
verify_damaged_add(struct verify_damaged *d, uint32_t number, const struct err *why)
{
	int kept = 0;

	if (d == NULL)
		return 0;
	pthread_mutex_lock(&d->lock);
	if (d->n == d->cap) {
		size_t cap = d->cap * 2 + 64;
		uint32_t *more = realloc(d->number, cap * sizeof(*more));

		if (more != NULL) {
			d->number = more;
			d->cap = cap;
		}
	}
	if (d->n < d->cap) {
		d->number[d->n++] = number;
		kept = why != NULL && unread_add(d, number, why);
	}
	pthread_mutex_unlock(&d->lock);
	return kept;
}

int
verify_table_from_index(const struct verify_image *im, uint32_t number, struct pack_view *v, uint8_t **keep)
{
	struct index_reader *r = index_reader_new(&im->dir, &im->statement, NULL);
	uint32_t n, file_len, table_len;
	const uint8_t *table, *foot;
	int rc = -1;

	*keep = NULL;
	if (r == NULL)
		return -1;
	while (index_reader_next(r, &n, &file_len, &table, &table_len, &foot, NULL) == 1 && n <= number) {
		if (n != number || (*keep = malloc(table_len + PACK_FOOT_LEN)) == NULL)
			continue;
		memcpy(*keep, table, table_len);
		memcpy(*keep + table_len, foot, PACK_FOOT_LEN);
		rc = pack_view_open(v, *keep, table_len, *keep + table_len, im->dir.label.machine_id, im->dir.label.machine_pub,
		    NULL);
		break;
	}
	index_reader_free(r);
	return rc;
}

static void
where_make(char *where, size_t cap, const struct verify_image *im, uint32_t number)
{
	char name[IMAGE_NAME_MAX];

	image_name_pack(name, number);
	(void)snprintf(where, cap, "%s: %s", im->name, name);
}

/* Why it could not be read, if that is what is wrong with it. */
static const struct err *
unread_find(const struct verify_damaged *d, uint32_t number)
{
	for (size_t i = 0; i < d->nunread; i++)
		if (d->unread[i].number == number)
			return &d->unread[i].why;
	return NULL;
}

static void
whole_tell(struct mending *g, const struct repaired *p, int missing)
{
	const struct err *why = unread_find(g->d, p->number);
	const char *meaning = verify_mended_text(g->j);
	char where[WHERE_MAX];

	where_make(where, sizeof(where), g->im, p->number);
	if (why != NULL)
		finding_err(g->j->found, SEV_REPAIRABLE, where, meaning, why);
	else if (missing)
		finding_tell(g->j->found, SEV_REPAIRABLE, ERR_MISSING, where, meaning, "the pack is not on the disk");
	else
		finding_tell(g->j->found, SEV_REPAIRABLE, ERR_DAMAGE, where, meaning, "the pack is damaged");
}

static void
part_tell(struct mending *g, const struct repaired *p, uint32_t bad)
{
	const struct err *why = unread_find(g->d, p->number);
	char where[WHERE_MAX], meaning[64];

	where_make(where, sizeof(where), g->im, p->number);
	(void)snprintf(meaning, sizeof(meaning), "%u chunks of this pack", bad);
	if (why != NULL)
		finding_err(g->j->found, SEV_LOST, where, bad > 0 ? meaning : "", why);
	finding_tell(g->j->found, bad > 0 ? SEV_LOST : SEV_REPAIRABLE, ERR_DAMAGE, where, bad > 0 ? meaning : "all its chunks are good", "%s", p->why);
}

static int
pack_mended(void *arg, const struct repaired *p, struct err *e)
{
	struct mending *g = arg;
	uint8_t *keep = NULL;
	struct pack_view v;
	uint32_t bad = 0;
	int missing;

	(void)e;
	if (p->whole) {
		if (pack_view_bytes(&v, p->bytes, p->len, g->im->dir.label.machine_id, g->im->dir.label.machine_pub, NULL) == 0)
			(void)verify_mend(g->m, &v, p->bytes, p->len);
	} else if (verify_table_from_index(g->im, p->number, &v, &keep) == 0) {
		bad = verify_mend(g->m, &v, p->bytes, p->len);
	}
	free(keep);
	pthread_mutex_lock(&g->j->lock);
	missing = verify_image_found(g->im, p->number);
	pthread_mutex_unlock(&g->j->lock);
	if (p->whole) {
		whole_tell(g, p, missing);
		return 0;
	}
	if (missing) {
		char where[WHERE_MAX];

		where_make(where, sizeof(where), g->im, p->number);
		finding_tell(g->j->found, SEV_LOST, ERR_MISSING, where, "", "the pack is not on the disk");
	}
	part_tell(g, p, bad);
	return 0;
}

static void
want_missing(void *arg, uint32_t number)
{
	repair_want(((struct mending *)arg)->repair, number);
}

static void
count_missing(void *arg, uint32_t number)
{
	(void)number;
	++*(size_t *)arg;
}

/* Without parity: only what was kept back is told. */
static void
unread_tell(struct mending *g)
{
	char where[WHERE_MAX];

	for (size_t i = 0; i < g->d->nunread; i++) {
		where_make(where, sizeof(where), g->im, g->d->unread[i].number);
		finding_err(g->j->found, SEV_LOST, where, "all chunks of this pack", &g->d->unread[i].why);
	}
}

int
verify_damaged_mend(struct verify_damaged *d, struct verify_job *j, struct verify_image *im, struct verify_mender *m,
    struct err *e)
{
	struct mending g = { d, j, im, m, NULL };
	struct err own;
	size_t missing = 0;
	int rc;

	err_clear(&own);
	if (d == NULL || !im->closed)
		return 0;
	verify_image_missing(im, count_missing, &missing);
	if (d->n == 0 && missing == 0)
		return 0;
	if ((g.repair = repair_new(&im->dir, &im->statement, &own)) == NULL) {
		unread_tell(&g);
		return 0;
	}
	for (size_t i = 0; i < d->n; i++)
		repair_want(g.repair, d->number[i]);
	verify_image_missing(im, want_missing, &g);
	rc = repair_run(g.repair, pack_mended, &g, e);
	repair_free(g.repair);
	return rc;
}

/* One parity pack: 1 it is whole, 0 it is not. */
static int
parity_look(const struct verify_image *im, const struct parity_table *t, const struct parity_member *members, uint32_t index,
    const char *name, uint8_t *buf, size_t cap)
{
	uint64_t len;
	ssize_t n = -1;
	int fd = image_file_open(im->dir.fd, name, &len, NULL);

	if (fd == -1)
		return 0;
	if (len <= cap)
		n = io_read_full(fd, buf, (size_t)len, 0);
	(void)io->close(fd);
	return n >= 0 && repair_parity_is_whole(buf, (size_t)n, t, members, index);
}

int
verify_parity(struct verify_job *j, struct verify_image *im, struct err *e)
{
	size_t cap = (size_t)parity_pack_len(PARITY_GROUP_MAX, PARITY_PACKS_MAX, PARITY_ROWS_MAX);
	struct parity_member members[PARITY_GROUP_MAX];
	char name[IMAGE_NAME_MAX], where[WHERE_MAX];
	struct parity_table t;
	struct repair *r;
	uint8_t *buf;
	uint32_t first;
	int rc = 0;

	if (!im->closed || (r = repair_new(&im->dir, &im->statement, NULL)) == NULL)
		return 0;
	if ((buf = malloc(cap)) == NULL)
		rc = err_set(e, ERR_MEMORY, "no memory to check parity");
	for (uint32_t group = 0; rc == 0 && group < im->statement.parity_groups; group++) {
		repair_group_describe(r, group, &t, members, &first);
		for (uint32_t i = 0; rc == 0 && i < t.m; i++) {
			image_name_parity(name, first + i);
			if ((rc = stop_check(e)) != 0 || parity_look(im, &t, members, i, name, buf, cap))
				continue;
			(void)snprintf(where, sizeof(where), "%s: %s", im->name, name);
			finding_tell(j->found, SEV_REPAIRABLE, ERR_DAMAGE, where,
			    j->repairs ? "coded again where the packs are whole" : "nothing is lost, but less could be repaired",
			    "the parity pack is damaged or not there");
		}
	}
	free(buf);
	repair_free(r);
	return rc;
}
