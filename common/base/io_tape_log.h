#ifndef SAMARA_BASE_IO_TAPE_LOG_H
#define SAMARA_BASE_IO_TAPE_LOG_H

/* What a tape is made of; for io_tape.c and io_crash.c alone. */

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

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

#endif
