#include "common/flow/ingest_mend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/flow/repair.h"

#define ASIDE_BYTES	((size_t)32 << 20)	/* tables of packs put aside, at most about */

/* One pack: the table it should have, as the index says. */
struct aside {
	uint32_t number, file_len, table_len;
	uint8_t plan, done;
	uint8_t foot[PACK_FOOT_LEN];
	uint8_t *table;
	char why[96];
};

struct ingest_mend {
	struct ingest *g;
	struct aside *aside;
	size_t n, cap, bytes;
	struct pack_slot *slot;		/* while it runs */
	struct books *books;
};

struct ingest_mend *
ingest_mend_new(struct ingest *g)
{
	struct ingest_mend *m;

	if (g->st.parity_groups == 0 || (m = calloc(1, sizeof(*m))) == NULL)
		return NULL;
	m->g = g;
	return m;
}

static void
aside_clear(struct ingest_mend *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->aside[i].table);
	m->n = 0;
	m->bytes = 0;
}

void
ingest_mend_free(struct ingest_mend *m)
{
	if (m == NULL)
		return;
	aside_clear(m);
	free(m->aside);
	free(m);
}

int
ingest_mend_takes(struct ingest_mend *m, const struct pack_slot *s)
{
	struct aside *a;

	/* A table that is not the machine's is nothing that parity could help. */
	if (m == NULL || s->failed || !s->believed || s->why[0] == '\0')
		return 0;
	if (m->n == m->cap) {
		size_t cap = m->cap * 2 + 16;
		struct aside *more = realloc(m->aside, cap * sizeof(*more));

		if (more == NULL)
			return 0;
		m->aside = more;
		m->cap = cap;
	}
	a = &m->aside[m->n];
	memset(a, 0, sizeof(*a));
	if ((a->table = malloc(s->table_len)) == NULL)
		return 0;
	memcpy(a->table, s->table, s->table_len);
	memcpy(a->foot, s->foot, PACK_FOOT_LEN);
	a->number = s->number;
	a->file_len = s->file_len;
	a->table_len = s->table_len;
	a->plan = s->plan;
	(void)snprintf(a->why, sizeof(a->why), "%.95s", s->why);
	m->bytes += sizeof(*a) + s->table_len;
	m->n++;
	return 1;
}

int
ingest_mend_is_full(const struct ingest_mend *m)
{
	return m != NULL && m->bytes >= ASIDE_BYTES;
}

static int
by_number(const void *a, const void *b)
{
	const struct aside *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

/* Into the books: ${len} bytes in the slot for the pack ${a}; ${why} is wrong with it, or nothing. */
static int
aside_book(struct ingest_mend *m, struct aside *a, size_t len, const char *why, struct err *e)
{
	struct pack_slot *s = m->slot;

	if (a->table_len > s->table_cap) {
		uint8_t *more = realloc(s->table, a->table_len);

		if (more == NULL)
			return err_set(e, ERR_MEMORY, "no memory to repair packs");
		s->table = more;
		s->table_cap = a->table_len;
	}
	memcpy(s->table, a->table, a->table_len);
	memcpy(s->foot, a->foot, PACK_FOOT_LEN);
	s->table_len = a->table_len;
	s->file_len = a->file_len;
	s->number = a->number;
	s->plan = a->plan;
	s->len = len;
	(void)snprintf(s->why, sizeof(s->why), "%.127s", why);
	pack_slot_check(m->g, s);
	a->done = 1;
	return books_slot(m->books, s, e);
}

static int
pack_made(void *arg, const struct repaired *p, struct err *e)
{
	struct ingest_mend *m = arg;
	struct aside key = { .number = p->number }, *a = bsearch(&key, m->aside, m->n, sizeof(key), by_number);
	char why[128] = "";

	if (a == NULL || a->done)
		return 0;
	memcpy(m->slot->pack, p->bytes, p->len);
	if (p->whole) {
		say_warn("%s: pack %u repaired from parity", m->g->name, p->number);
		m->g->r->packs_repaired++;
	} else if (ingest_is_there(m->g, e) != 0) {
		return -1;
	} else {
		(void)snprintf(why, sizeof(why), "%s; parity cannot repair it", a->why);
	}
	return aside_book(m, a, p->len, why, e);
}

/* Read again what no parity was asked about, since the index or memory failed; it counts as it is. */
static int
rest_book(struct ingest_mend *m, struct err *e)
{
	for (size_t i = 0; i < m->n; i++) {
		struct pack_slot *s = m->slot;

		if (m->aside[i].done)
			continue;
		s->number = m->aside[i].number;
		s->file_len = m->aside[i].file_len;
		if (pack_slot_read(m->g, s, e) != 0 || aside_book(m, &m->aside[i], s->len, m->aside[i].why, e) != 0)
			return -1;
	}
	return 0;
}

int
ingest_mend_run(struct ingest_mend *m, struct books *b, struct err *e)
{
	struct repair *r;
	struct err own;
	int rc = 0;

	if (m == NULL || m->n == 0)
		return 0;
	err_clear(&own);
	qsort(m->aside, m->n, sizeof(*m->aside), by_number);
	if ((m->slot = pack_slot_new(e)) == NULL)
		return -1;
	m->slot->g = m->g;
	m->books = b;
	if ((r = repair_new(&m->g->dir, &m->g->st, &own)) != NULL) {
		for (size_t i = 0; i < m->n; i++)
			repair_want(r, m->aside[i].number);
		rc = repair_run(r, pack_made, m, e);
		repair_free(r);
	}
	if (rc == 0)
		rc = rest_book(m, e);
	pack_slot_free(m->slot);
	m->slot = NULL;
	aside_clear(m);
	return rc;
}
