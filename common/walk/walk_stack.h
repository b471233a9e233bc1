#ifndef SAMARA_WALK_WALK_STACK_H
#define SAMARA_WALK_WALK_STACK_H

/*
 * The directories from "/" down to the one being walked.  Only the deepest are
 * open; one further up is opened again on the way back, and believed only if
 * device and inode are still the same.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "common/walk/walk_block.h"
#include "common/walk/walk_paths.h"

struct err;
struct walk_dir;

#define STACK_OPEN	64u

struct frame {
	struct walk_dir *dir;	/* NULL: closed meanwhile */
	dev_t dev;
	ino_t ino;
	dev_t root_dev;		/* device of the PATH it belongs to */
	size_t root_len;	/* length of that PATH */
	size_t path_len;	/* its own name: the first bytes of stack.path */
	struct path_range range;	/* the PATHs below it */
	bool above;		/* leads to PATHs, belongs to none */
	uint8_t *subdirs;	/* still to be entered: length, mark, name, zero byte */
	size_t next, end;
};

struct walk_stack {
	struct frame *frame;
	size_t n, cap;
	size_t lowest;		/* frames from here on are open, and frame 0 */
	char *path;
	size_t path_len;	/* of what was joined last */
};

/* 0, or -1 with errno. */
int stack_init(struct walk_stack *s);
void stack_release(struct walk_stack *s);

/**
 * stack_join(s, dir_len, name, len):
 * Put the name of an object in a directory of ${dir_len} bytes into s->path.
 */
void stack_join(struct walk_stack *s, size_t dir_len, const char *name, size_t len);

/**
 * stack_push(s, fd, st, path_len):
 * Enter the open directory ${fd} (taken over), whose name is the first
 * ${path_len} bytes of s->path.  The new frame, all else in it zero, or NULL
 * with errno and ${fd} closed.
 */
struct frame *stack_push(struct walk_stack *s, int fd, const struct stat *st, size_t path_len);

/* Keep the names of ${b} that ${keep} marks (all of mark & keep) for later.  0, or -1 with errno. */
int stack_keep(struct frame *f, const struct block *b, uint8_t keep);

/* The next name kept, or NULL. */
const char *stack_next(struct frame *f, size_t *len, uint8_t *mark);

/**
 * stack_pop(s):
 * Leave the deepest directory.  Return 0; -1 with errno when the one above it
 * could not be opened again: its names that are left are then dropped.
 */
int stack_pop(struct walk_stack *s);

/* The deepest directory; NULL when all were left. */
static inline struct frame *
stack_top(const struct walk_stack *s)
{
	return s->n > 0 ? &s->frame[s->n - 1] : NULL;
}

#endif
