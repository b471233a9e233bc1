#ifndef SAMARA_TESTS_PACK_SHELF_H
#define SAMARA_TESTS_PACK_SHELF_H

/* Chunks kept in memory, by id, for tests of what is made of chunks. */

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/crypto/hash.h"
#include "formats/limits.h"

struct shelf_chunk {
	uint8_t id[DIGEST_LEN];
	unsigned kind;
	uint8_t *bytes;
	size_t len;
};

struct shelf {
	struct shelf_chunk *chunk;
	size_t n, cap;
	size_t puts, gets;
	size_t most_gets;	/* 0: any number; else get fails the test beyond it */
};

static inline struct shelf_chunk *
shelf_find(struct shelf *s, const uint8_t id[DIGEST_LEN])
{
	for (size_t i = 0; i < s->n; i++)
		if (memcmp(s->chunk[i].id, id, DIGEST_LEN) == 0)
			return &s->chunk[i];
	return NULL;
}

/* Keep these bytes under ${id}, whatever their own would be. */
static inline void
shelf_keep(struct shelf *s, const uint8_t id[DIGEST_LEN], unsigned kind, const uint8_t *bytes, size_t len)
{
	struct shelf_chunk *c;

	if (s->n == s->cap) {
		s->cap = s->cap * 2 + 16;
		s->chunk = realloc(s->chunk, s->cap * sizeof(*s->chunk));
		assert_non_null(s->chunk);
	}
	c = &s->chunk[s->n++];
	memcpy(c->id, id, DIGEST_LEN);
	c->kind = kind;
	c->len = len;
	c->bytes = malloc(len + 1);
	assert_non_null(c->bytes);
	memcpy(c->bytes, bytes, len);
}

static inline int
shelf_put(void *arg, unsigned kind, const uint8_t *plain, size_t len, uint8_t id[DIGEST_LEN], struct err *e)
{
	struct shelf *s = arg;
	uint8_t key[KEY_LEN] = { (uint8_t)kind };

	(void)e;
	assert_true(len > 0);
	hash_keyed(key, plain, len, id);
	s->puts++;
	if (shelf_find(s, id) == NULL)
		shelf_keep(s, id, kind, plain, len);
	return 0;
}

static inline int
shelf_get(void *arg, const uint8_t id[DIGEST_LEN], unsigned kind, const uint8_t **plain, size_t *len, struct err *e)
{
	struct shelf *s = arg;
	struct shelf_chunk *c = shelf_find(s, id);

	s->gets++;
	if (s->most_gets != 0)
		assert_true(s->gets <= s->most_gets);
	if (c == NULL)
		return err_set(e, ERR_MISSING, "not on the shelf");
	if (c->kind != kind)
		return err_set(e, ERR_DAMAGE, "a chunk of kind %u where %u was asked for", c->kind, kind);
	*plain = c->bytes;
	*len = c->len;
	return 0;
}

static inline void
shelf_free(struct shelf *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->chunk[i].bytes);
	free(s->chunk);
	memset(s, 0, sizeof(*s));
}

/* Chunks of ${b} that ${a} has not. */
static inline size_t
shelf_new_in(struct shelf *a, const struct shelf *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++)
		n += shelf_find(a, b->chunk[i].id) == NULL;
	return n;
}

#endif
