#ifndef SAMARA_WALK_EXCLUDE_H
#define SAMARA_WALK_EXCLUDE_H

/*
 * Exclude patterns by the rules of gitignore(5): blank lines and "#" lines are
 * nothing; "!" takes an exclusion back; a "/" at the end is for directories
 * alone; a "/" at the start or inside ties the pattern to the top; "*", "?" and
 * "[...]" do not match "/", "**" between slashes does; blanks at the end fall
 * away unless escaped.  The last pattern that fits decides.  Names are bytes,
 * so is every pattern: "?" is one byte.
 */

#include <stdbool.h>
#include <stddef.h>

struct err;
struct exclude;

/* No patterns yet.  NULL when there is no memory.  Free with exclude_free (NULL is allowed). */
struct exclude *exclude_new(void);
void exclude_free(struct exclude *x);

/**
 * exclude_add(x, line, len, e):
 * Add one pattern: ${len} bytes without a newline.  One that says nothing
 * (blank, comment) is fine.  Return 0, or -1 with ${e} (ERR_MEMORY; ERR_USAGE
 * for one longer than 65,535 bytes or with a zero byte).
 */
int exclude_add(struct exclude *x, const char *line, size_t len, struct err *e);

/**
 * exclude_add_file(x, dirfd, path, e):
 * Add every line of the file ${path}, at most 16 MiB; a carriage return before
 * the newline is part of the pattern, as in git.  A byte order mark at its
 * start is left out.  Return 0, or -1 with ${e} (also where the file is not there).
 */
int exclude_add_file(struct exclude *x, int dirfd, const char *path, struct err *e);

/* True if there is any pattern. */
bool exclude_any(const struct exclude *x);

/**
 * exclude_match(x, rel, len, is_dir):
 * True if the object ${rel} (${len} bytes relative to the top: no "/" at
 * either end) is excluded by the last pattern that fits it.  The walker asks
 * from the top down and does not enter what is excluded, so nothing below an
 * excluded directory can come back; exclude_match_below asks for each
 * directory above ${rel} first and so gives the whole answer for any path.
 */
bool exclude_match(const struct exclude *x, const char *rel, size_t len, bool is_dir);
bool exclude_match_below(const struct exclude *x, const char *rel, size_t len, bool is_dir);

#endif
