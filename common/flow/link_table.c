#include <stdlib.h>
#include <string.h>

#include "common/crypto/hash.h"
#include "common/flow/link_table.h"

#define FIRST_SLOTS	1024u

/* The names of one file: known by file system and inode number. */
struct group {
	uint64_t inode;
	uint16_t fs;
	int made;
	uint8_t digest[DIGEST_LEN];	/* of the entry but for its name */
	struct place_id id;
	uint8_t *path;			/* of the first one: directory, then name */
	uint32_t dir_len, name_len;
};

struct links {
	struct group **slot;
	size_t n, cap;
	size_t used, memory;
};

struct links *
links_new(size_t memory)
{
	struct links *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->memory = memory;
	l->cap = FIRST_SLOTS;
	if ((l->slot = calloc(l->cap, sizeof(struct group *))) == NULL) {
		free(l);
		return NULL;
	}
	return l;
}

void
links_free(struct links *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < l->cap; i++) {
		if (l->slot[i] != NULL)
			free(l->slot[i]->path);
		free(l->slot[i]);
	}
	free(l->slot);
	free(l);
}

static struct group **
slot_of(struct group **slot, size_t cap, uint16_t fs, uint64_t inode)
{
	size_t i = (size_t)((inode * 0x9e3779b97f4a7c15u) ^ fs) & (cap - 1);

	while (slot[i] != NULL && (slot[i]->inode != inode || slot[i]->fs != fs))
		i = (i + 1) & (cap - 1);
	return &slot[i];
}

static int
grow(struct links *l)
{
	size_t cap = l->cap * 2;
	struct group **more = calloc(cap, sizeof(struct group *));

	if (more == NULL)
		return -1;
	for (size_t i = 0; i < l->cap; i++)
		if (l->slot[i] != NULL)
			*slot_of(more, cap, l->slot[i]->fs, l->slot[i]->inode) = l->slot[i];
	free(l->slot);
	l->slot = more;
	l->cap = cap;
	return 0;
}

/* BLAKE3 of the entry as it is written down, under a name that is the same for all. */
static int
entry_digest(const struct entry *en, uint8_t digest[DIGEST_LEN])
{
	uint8_t bytes[ENTRY_LEN_MAX + 16];
	struct wr w = { .p = bytes, .left = sizeof(bytes) };
	struct entry plain = *en;

	plain.name = view_of("-", 1);
	item_entry_put(&w, &plain);
	if (w.bad)
		return -1;
	hash_once(bytes, sizeof(bytes) - w.left, digest);
	return 0;
}

static struct group *
group_new(struct fmt_view dir, const struct entry *en, const uint8_t digest[DIGEST_LEN])
{
	struct group *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	if ((g->path = malloc((size_t)dir.len + en->name.len)) == NULL) {
		free(g);
		return NULL;
	}
	memcpy(g->path, dir.p, dir.len);
	memcpy(g->path + dir.len, en->name.p, en->name.len);
	g->dir_len = dir.len;
	g->name_len = en->name.len;
	g->inode = en->inode;
	g->fs = en->fs;
	memcpy(g->digest, digest, DIGEST_LEN);
	return g;
}

enum link_claim
links_claim(struct links *l, struct fmt_view dir, const struct entry *en)
{
	size_t need = sizeof(struct group) + dir.len + en->name.len + 4 * sizeof(struct group *);
	uint8_t digest[DIGEST_LEN];
	struct group **at, *g;

	if (entry_digest(en, digest) != 0)
		return LINK_DIFFERENT;
	at = slot_of(l->slot, l->cap, en->fs, en->inode);
	if (*at != NULL)
		return memcmp((*at)->digest, digest, DIGEST_LEN) == 0 ? LINK_LATER : LINK_DIFFERENT;
	if (l->used + need > l->memory || (l->n * 2 >= l->cap && grow(l) != 0))
		return LINK_FULL;
	if ((g = group_new(dir, en, digest)) == NULL)
		return LINK_FULL;
	*slot_of(l->slot, l->cap, en->fs, en->inode) = g;
	l->n++;
	l->used += need;
	return LINK_FIRST;
}

void
links_made(struct links *l, const struct entry *en, const struct place_id *id)
{
	struct group *g = *slot_of(l->slot, l->cap, en->fs, en->inode);

	/* Only by the name that began the group: one of another content may not stand for it. */
	if (g == NULL || g->name_len != en->name.len || memcmp(g->path + g->dir_len, en->name.p, g->name_len) != 0)
		return;
	g->id = *id;
	g->made = 1;
}

int
links_first(struct links *l, const struct entry *en, struct fmt_view *dir, struct fmt_view *name, struct place_id *id)
{
	const struct group *g = *slot_of(l->slot, l->cap, en->fs, en->inode);

	if (g == NULL || !g->made)
		return 0;
	*dir = view_of(g->path, g->dir_len);
	*name = view_of(g->path + g->dir_len, g->name_len);
	*id = g->id;
	return 1;
}
