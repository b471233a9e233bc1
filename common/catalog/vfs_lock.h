#ifndef SAMARA_CATALOG_VFS_LOCK_H
#define SAMARA_CATALOG_VFS_LOCK_H

/*
 * SQLite's five levels of locks by flock(2) on three files beside the database:
 *
 *   p  held shared for a moment to become a reader, exclusively by who wants to
 *      write to the file now: no new reader gets in
 *   r  held exclusively by the one who is going to write
 *   s  held shared by readers, exclusively by who writes to the file
 */

enum vfs_level {		/* the numbers are SQLite's */
	VFS_NONE = 0,
	VFS_SHARED = 1,
	VFS_RESERVED = 2,
	VFS_PENDING = 3,
	VFS_EXCLUSIVE = 4
};

struct vfs_lock;

/* The locks of the database ${path}, none held.  NULL if its files cannot be made. */
struct vfs_lock *vfs_lock_new(const char *path);
/* Gives up what is held; NULL is allowed. */
void vfs_lock_free(struct vfs_lock *l);

/**
 * vfs_lock_raise(l, to):
 * Go up to ${to} without waiting.  0; 1 somebody else holds what is in the way
 * (then it may stand at PENDING, as SQLite allows); -1 the system refuses.
 */
int vfs_lock_raise(struct vfs_lock *l, enum vfs_level to);

/* Go down to VFS_SHARED or VFS_NONE.  0, or -1. */
int vfs_lock_lower(struct vfs_lock *l, enum vfs_level to);

/* 1 if anybody, this one too, is at VFS_RESERVED or above. */
int vfs_lock_is_reserved(struct vfs_lock *l);

#endif
