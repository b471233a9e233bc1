#ifndef SAMARA_CATALOG_SEEN_TABLE_H
#define SAMARA_CATALOG_SEEN_TABLE_H

/*
 * One of the 256 tables of the duplicate index: a set of 16-byte keys, open
 * addressing with linear probing.  A key's place is proportional to its value,
 * so the table lies nearly sorted.  It grows by a quarter at 85 % full, so
 * that it takes 18.8 to 23.6 bytes a key.  No lock inside.
 */

#include <stddef.h>
#include <stdint.h>

#define SEEN_KEY_LEN	16
#define SEEN_TABLE_MIN	16u	/* places of a new table */

struct seen_key {
	uint64_t high, low;	/* high: the first 8 bytes, big-endian, and so on */
};

struct seen_table {
	struct seen_key *keys;	/* all zero: free */
	uint32_t cap, used;
};

/* The key of an id.  All zeros would mean a free place; it counts as 0…01, as likely to hurt as any two ids with equal keys. */
struct seen_key seen_key_of(const uint8_t *id);

/* Less than, equal to or greater than 0, in the order of the ids. */
static inline int
seen_key_compare(struct seen_key a, struct seen_key b)
{
	if (a.high != b.high)
		return a.high < b.high ? -1 : 1;
	return a.low < b.low ? -1 : a.low > b.low;
}

/* A new table with room for ${cap} places.  0, or -1 without memory. */
int seen_table_init(struct seen_table *t, uint32_t cap);
void seen_table_release(struct seen_table *t);

/* Does the next key make it too full?  To what size would it grow? */
int seen_table_is_full(const struct seen_table *t);
uint32_t seen_table_next_cap(const struct seen_table *t);

/* Grow to ${cap} places.  0, or -1 without memory (then nothing changed). */
int seen_table_grow(struct seen_table *t, uint32_t cap);

/* Add ${key}: 1 if it was there, 0 if it is new.  One place at least must be free. */
int seen_table_add(struct seen_table *t, struct seen_key key);

/* 1 if ${key} is there. */
int seen_table_has(const struct seen_table *t, struct seen_key key);

/* Remove ${key}: 1 if it was there. */
int seen_table_drop(struct seen_table *t, struct seen_key key);

/* Put the used keys at the front, sorted.  Only seen_table_clear may follow. */
void seen_table_sort(struct seen_table *t);
void seen_table_clear(struct seen_table *t);

#endif
