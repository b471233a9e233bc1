#ifndef SAMARA_BASE_IO_TAPE_LOG_H
#define SAMARA_BASE_IO_TAPE_LOG_H

/* What a tape is made of, and how it is filled; for io_tape*.c and io_crash*.c alone. */

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct err;

#define TAPE_NONE	UINT32_MAX	/* no node */
#define TAPE_ROOT	0u		/* the node of the directory itself */

enum tape_what {
	TAPE_MAKE,	/* ${node} gets its first name ${name} in ${dir}, or none */
	TAPE_LINK,	/* one more name */
	TAPE_UNLINK,	/* ${name} in ${dir} goes; also of a directory */
	TAPE_RENAME,	/* ${name} in ${dir} becomes ${name2} in ${dir2} */
	TAPE_WRITE,	/* ${len} bytes at ${off}, at ${spill} in the spill file */
	TAPE_ZERO,	/* ${len} bytes at ${off} become zero */
	TAPE_TRUNCATE,	/* the length becomes ${len} */
	TAPE_EXTEND,	/* the length becomes ${len} if it was less */
	TAPE_CHMOD,	/* ${mode} */
	TAPE_FSYNC,	/* of the file or directory ${node} */
};

struct tape_op {
	enum tape_what what;
	uint32_t node;
	uint32_t dir, dir2;
	char *name, *name2;
	uint64_t off, len, spill;
	mode_t mode;
};

struct tape_node {
	mode_t mode;		/* with its type */
	dev_t rdev;
	char *target;		/* of a symlink */
};

struct tape {
	struct tape_op *ops;
	size_t nops, ops_cap;
	size_t base;		/* the operations before this one made the state at the start */
	struct tape_node *nodes;
	size_t nnodes, nodes_cap;
	int spill;		/* the spill file, and its bytes once the tape is stopped */
	uint64_t spill_len;
	const uint8_t *bytes;
};

/**
 * tape_log_start(t, root, e):
 * From now on all of the following is about the tape ${t} of the directory
 * that ${root} is the stat of: its spill file and first node are made.  Return
 * 0, or -1 with ${e}.  Whoever calls the following holds the lock of io_tape.c.
 */
int tape_log_start(struct tape *t, const struct stat *root, struct err *e);
void tape_log_stop(void);

/**
 * tape_scan(dirfd, dir, e):
 * Put all that is in the directory ${dirfd}, which is node ${dir}, on the
 * tape; ${dirfd} is closed.  Return 0, or -1 with ${e}.
 */
int tape_scan(int dirfd, uint32_t dir, struct err *e);

/* ${p}, unless it is NULL: a tool of tests has nothing to go on with then, and ends. */
void *tape_must(void *p);

/* The node of what is behind a stat, descriptor or path; TAPE_NONE if not on the tape. */
uint32_t tape_node_of_stat(const struct stat *st);
uint32_t tape_node_of_fd(int fd);
uint32_t tape_node_of_path(int dirfd, const char *path, int flags);

/* A new node for what has just come to be; what had its inode before is over. */
uint32_t tape_node_new(const struct stat *st);

/* The inode has come back as something outside of the tape. */
void tape_node_forget(const struct stat *st);

/* What the symlink ${node} points at; copied. */
void tape_node_target(uint32_t node, const char *target);

/**
 * tape_parent_of(dirfd, path, name):
 * The node of the directory that ${path} lies in; if it is on the tape, a new
 * copy of the last part of the path is in ${name}, else NULL.
 */
uint32_t tape_parent_of(int dirfd, const char *path, char **name);

/* One more operation: any; on a name (which is taken over); of a length; a write. */
struct tape_op *tape_op_add(enum tape_what what, uint32_t node);
void tape_op_name(enum tape_what what, uint32_t node, uint32_t dir, char *name);
void tape_op_length(enum tape_what what, uint32_t node, uint64_t len);
void tape_op_write(uint32_t node, const void *bytes, size_t n, uint64_t off);

#endif
