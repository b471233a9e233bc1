#include <stdlib.h>
#include <string.h>

#include "common/catalog/seen_table.h"

static uint64_t
be64_get(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

struct seen_key
seen_key_of(const uint8_t *id)
{
	struct seen_key k = { .high = be64_get(id), .low = be64_get(id + 8) };

	if (k.high == 0 && k.low == 0)
		k.low = 1;
	return k;
}

static int
is_free(struct seen_key k)
{
	return k.high == 0 && k.low == 0;
}

/* Where ${key} belongs: the 32 bits behind the byte that chose the table, as a share of the places. */
static uint32_t
home_of(const struct seen_table *t, struct seen_key key)
{
	return (uint32_t)((key.high << 8 >> 32) * t->cap >> 32);
}

static uint32_t
next_of(const struct seen_table *t, uint32_t at)
{
	return at + 1 == t->cap ? 0 : at + 1;
}

int
seen_table_init(struct seen_table *t, uint32_t cap)
{
	t->keys = calloc(cap, sizeof(*t->keys));
	t->cap = cap;
	t->used = 0;
	return t->keys == NULL ? -1 : 0;
}

void
seen_table_release(struct seen_table *t)
{
	free(t->keys);
	memset(t, 0, sizeof(*t));
}

int
seen_table_is_full(const struct seen_table *t)
{
	return (uint64_t)(t->used + 1) * 100 > (uint64_t)t->cap * 85;
}

uint32_t
seen_table_next_cap(const struct seen_table *t)
{
	return t->cap + t->cap / 4 + 1;
}

/* The place of ${key}, or the free one where it would go. */
static uint32_t
find(const struct seen_table *t, struct seen_key key)
{
	uint32_t at = home_of(t, key);

	while (!is_free(t->keys[at]) && (t->keys[at].low != key.low || t->keys[at].high != key.high))
		at = next_of(t, at);
	return at;
}

int
seen_table_grow(struct seen_table *t, uint32_t cap)
{
	struct seen_table more;

	if (seen_table_init(&more, cap) != 0)
		return -1;
	for (uint32_t i = 0; i < t->cap; i++)
		if (!is_free(t->keys[i]))
			more.keys[find(&more, t->keys[i])] = t->keys[i];
	more.used = t->used;
	free(t->keys);
	*t = more;
	return 0;
}

int
seen_table_add(struct seen_table *t, struct seen_key key)
{
	uint32_t at = find(t, key);

	if (!is_free(t->keys[at]))
		return 1;
	t->keys[at] = key;
	t->used++;
	return 0;
}

int
seen_table_has(const struct seen_table *t, struct seen_key key)
{
	return !is_free(t->keys[find(t, key)]);
}

int
seen_table_drop(struct seen_table *t, struct seen_key key)
{
	uint32_t hole = find(t, key), at, home;

	if (is_free(t->keys[hole]))
		return 0;
	/* Move back whoever was pushed past the hole (Knuth, vol. 3, 6.4, algorithm R). */
	for (at = next_of(t, hole); !is_free(t->keys[at]); at = next_of(t, at)) {
		home = home_of(t, t->keys[at]);
		if (hole <= at ? home <= hole || home > at : home <= hole && home > at) {
			t->keys[hole] = t->keys[at];
			hole = at;
		}
	}
	memset(&t->keys[hole], 0, sizeof(t->keys[hole]));
	t->used--;
	return 1;
}

/*
 * By insertion: each key stands at most its cluster away from its place in the
 * order, but for the few that wrapped around the end.
 */
void
seen_table_sort(struct seen_table *t)
{
	struct seen_key key;
	uint32_t n = 0, j;

	for (uint32_t i = 0; i < t->cap; i++) {
		key = t->keys[i];
		if (is_free(key))
			continue;
		for (j = n++; j > 0 && seen_key_compare(t->keys[j - 1], key) > 0; j--)
			t->keys[j] = t->keys[j - 1];
		t->keys[j] = key;
	}
}

void
seen_table_clear(struct seen_table *t)
{
	memset(t->keys, 0, (size_t)t->cap * sizeof(*t->keys));
	t->used = 0;
}
