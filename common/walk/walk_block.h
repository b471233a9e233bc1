#ifndef SAMARA_WALK_WALK_BLOCK_H
#define SAMARA_WALK_WALK_BLOCK_H

/*
 * The names in one directory, sorted, and what stat says of them.  All names
 * stand in one arena: a million of them cost 28 bytes each besides their own.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* In the arena: length, mark, the name, a zero byte. */
struct block_name {
	uint64_t key;		/* 8 bytes of the name behind what all names share */
	uint64_t inode;		/* as the directory says it; 0 where unknown */
	uint64_t at;		/* in the arena */
};

struct block {
	uint8_t *arena;
	size_t len, cap;
	struct block_name *name;
	size_t n, names_cap;
};

/* Give its memory back; it is empty then.  One that is all zero is empty, too. */
void block_release(struct block *b);

/* Forget the names; keep the memory unless it is much. */
void block_reset(struct block *b);

/**
 * block_add(b, name, len, type, inode):
 * Add a name of 1 .. 255 bytes; its mark becomes ${type}.  0, or -1 with errno.
 */
int block_add(struct block *b, const char *name, size_t len, uint8_t type, uint64_t inode);

/**
 * block_read(b, fd):
 * Add every name in the directory ${fd} but "." and "..", its mark the d_type
 * of readdir(3).  ${fd} stays open, its offset moves.  0, or -1 with errno.
 */
int block_read(struct block *b, int fd);

/* Sort bytewise by name. */
void block_sort(struct block *b);

/* Name ${i}, zero-terminated, until the next block_add. */
static inline const char *
block_text(const struct block *b, size_t i)
{
	return (const char *)b->arena + b->name[i].at + 2;
}

/* Its length in bytes. */
static inline size_t
block_text_len(const struct block *b, size_t i)
{
	return b->arena[b->name[i].at];
}

/* The mark of name ${i}: a byte for the caller. */
static inline uint8_t *
block_mark(const struct block *b, size_t i)
{
	return b->arena + b->name[i].at + 1;
}

/* What stat says of a stretch of the names. */
#define WINDOW_NAMES	4096u
struct stat_slot {
	struct stat st;
	int sys;		/* errno, or 0 */
};
struct window {
	struct stat_slot *slot;	/* WINDOW_NAMES of them */
	size_t from, to;	/* names that stand in it */
};

/* Room for a window: 0, or -1 with errno.  release: also after that. */
int window_init(struct window *w);
void window_release(struct window *w);

/**
 * window_fill(w, b, from, dirfd):
 * Ask for the names ${from} and up, as many as fit, in the order of their
 * inode numbers, which is that of the disk.
 */
void window_fill(struct window *w, const struct block *b, size_t from, int dirfd);

/* The slot of name ${i}; the window moves there if need be. */
const struct stat_slot *window_slot(struct window *w, const struct block *b, size_t i, int dirfd);

#endif
