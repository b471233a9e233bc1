#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/flow/refs_merge.h"
#include "common/flow/refs_read.h"

struct ahead {
	refs_merge_ids_fn next;
	refs_merge_free_fn release;
	void *arg;
	uint8_t id[DIGEST_LEN];
	int is;			/* there is one; else the list has ended */
};

struct refs_merge {
	struct ahead *list;
	size_t *at;		/* of the newest id */
	size_t n, nat;
};

struct refs_merge *
refs_merge_new(struct err *e)
{
	struct refs_merge *m = calloc(1, sizeof(*m));

	if (m == NULL)
		(void)err_set(e, ERR_MEMORY, "no memory to read reference lists");
	return m;
}

static void
list_release(struct ahead *a)
{
	if (a->release != NULL)
		a->release(a->arg);
}

void
refs_merge_free(struct refs_merge *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->n; i++)
		list_release(&m->list[i]);
	free(m->list);
	free(m->at);
	free(m);
}

static int
advance(struct ahead *a, struct err *e)
{
	return (a->is = a->next(a->arg, a->id, e)) < 0 ? -1 : 0;
}

int
refs_merge_take_ids(struct refs_merge *m, refs_merge_ids_fn next, refs_merge_free_fn release, void *arg, struct err *e)
{
	struct ahead fresh = { .next = next, .release = release, .arg = arg }, *more = realloc(m->list, (m->n + 1) * sizeof(*more));
	size_t *at;

	if (more != NULL)
		m->list = more;
	if (more == NULL || (at = realloc(m->at, (m->n + 1) * sizeof(*at))) == NULL) {
		list_release(&fresh);
		return err_set(e, ERR_MEMORY, "no memory to read reference lists");
	}
	m->at = at;
	m->list[m->n] = fresh;
	return advance(&m->list[m->n++], e);
}

static int
reader_next(void *arg, uint8_t id[DIGEST_LEN], struct err *e)
{
	return refs_reader_next(arg, id, e);
}

static void
reader_free(void *arg)
{
	refs_reader_free(arg);
}

int
refs_merge_take(struct refs_merge *m, struct refs_reader *r, struct err *e)
{
	return refs_merge_take_ids(m, reader_next, reader_free, r, e);
}

int
refs_merge_next(struct refs_merge *m, uint8_t id[DIGEST_LEN], const size_t **at, size_t *n, struct err *e)
{
	/* Those that had the newest one go on; the lists of one machine are much alike, so most of them do. */
	for (size_t i = 0; i < m->nat; i++)
		if (advance(&m->list[m->at[i]], e) != 0)
			return -1;
	m->nat = 0;
	for (size_t i = 0; i < m->n; i++) {
		int order;

		if (!m->list[i].is)
			continue;
		order = m->nat == 0 ? 0 : memcmp(m->list[i].id, m->list[m->at[0]].id, DIGEST_LEN);
		if (order < 0)
			m->nat = 0;
		if (order <= 0)
			m->at[m->nat++] = i;
	}
	if (m->nat > 0)
		memcpy(id, m->list[m->at[0]].id, DIGEST_LEN);
	*at = m->at;
	*n = m->nat;
	return m->nat > 0;
}
