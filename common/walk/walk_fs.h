#ifndef SAMARA_WALK_WALK_FS_H
#define SAMARA_WALK_WALK_FS_H

/* The file systems that a walk meets, in the order in which it meets them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct fs_table;

struct fs_row {
	dev_t dev;
	char type[64];		/* as the mount table calls it ("ext4", "fuse.sshfs"), else by its magic */
	char uuid[64];		/* empty: not known */
	uint64_t subvolume;	/* of btrfs; 0: none, or not known */
	char *path;		/* where the walk met it first: the absolute name of its top there */
	size_t path_len;
	bool pseudo;		/* its files are not files: never walked */
	bool memory;		/* tmpfs and ramfs: walked only where a PATH lies on it */
	bool network;
	bool stable;		/* inode numbers and ctime keep from mount to mount */
};

/* An empty table, and what the mount table says now.  NULL when there is no memory. */
struct fs_table *fs_table_new(void);
void fs_table_free(struct fs_table *t);

/* The position of the file system with device ${dev}, or -1 if it is not in the table yet. */
int fs_table_find(struct fs_table *t, dev_t dev);

/**
 * fs_table_add(t, dev, fd, path, len, e):
 * Add the file system of the open object ${fd} (O_PATH is enough), whose
 * device is ${dev}, met first at ${path}.  Return its position; -1 with ${e}
 * when there is no memory; -2 when the table is full (FILESYSTEMS_MAX).
 */
int fs_table_add(struct fs_table *t, dev_t dev, int fd, const char *path, size_t len, struct err *e);

/* Row ${i}, or NULL past the last one. */
const struct fs_row *fs_table_row(const struct fs_table *t, size_t i);

/* Fill what follows from row->type: pseudo, memory, network, stable. */
void fs_row_classify(struct fs_row *row);

struct statfs;

/* What the type of a file system is called by its magic number ("ext4"); "unknown" for others. */
const char *walk_fs_type_name(const struct statfs *fs);

#endif
