#ifndef SAMARA_WALK_WALK_DIR_H
#define SAMARA_WALK_WALK_DIR_H

/* An open directory that several threads may hold.  Its public side is in walker.h. */

#include <stddef.h>

struct walk_dir;

/**
 * walk_dir_new(fd, path, len):
 * A handle held once.  Takes ${fd} over and copies the name.  NULL when there
 * is no memory; ${fd} is then closed.
 */
struct walk_dir *walk_dir_new(int fd, const char *path, size_t len);

#endif
