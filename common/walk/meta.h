#ifndef SAMARA_WALK_META_H
#define SAMARA_WALK_META_H

/* What a file-system object carries besides its content: read, and put back. */

#include <stdbool.h>
#include <sys/stat.h>

#include "formats/fmt_listing.h"

struct err;
struct owner_names;

/* Extended attributes as rows (formats/fmt_listing.h), in a buffer that grows and is used again. */
struct xattr_rows {
	uint8_t *p;
	size_t len, cap;
	uint32_t passed;	/* attributes left out because nothing can put them back */
};

/* All zero is an empty buffer; xattr_rows_release gives its memory back and empties it. */
void xattr_rows_release(struct xattr_rows *x);
static inline struct fmt_view
xattr_rows_view(const struct xattr_rows *x)
{
	return view_of(x->p, x->len);
}

/**
 * meta_xattrs_read(fd, dirfd, name, x, e):
 * Read the extended attributes of one object into ${x} (overwritten), rows by
 * rising name: POSIX ACLs are among them as system.posix_acl_access and
 * _default.  The object is ${fd} if that is not -1 (a descriptor that is open
 * for reading, not O_PATH), else ${name} in ${dirfd}, which is not followed if
 * it is a symlink.  Other system.* attributes and values longer than
 * XATTR_VALUE_MAX are left out and counted in x->passed.  A file system
 * without attributes, or an attribute that vanishes meanwhile, is no error.
 * Return 0, or -1 with ${e} and x->len 0.
 */
int meta_xattrs_read(int fd, int dirfd, const char *name, struct xattr_rows *x, struct err *e);

/**
 * meta_from_stat(st, e):
 * Fill type, mode, owner numbers, times, size, inode, nlink and device numbers
 * of ${e} from ${st}; all else of ${e} becomes zero.  Return 0, or -1 for a
 * type that no listing holds (a socket).
 */
int meta_from_stat(const struct stat *st, struct entry *e);

/* The S_IF* bits of an entry's type; 0 for a type out of range. */
mode_t meta_file_type(uint8_t type);

/* What can fail to be set. */
enum meta_part { META_OWNER, META_MODE, META_XATTR, META_ACL, META_TIMES, META_PARTS };

/* What could not be set: how many objects, and why the first of each part. */
struct meta_report {
	uint64_t missed[META_PARTS];
	int sys[META_PARTS];		/* errno of the first */
	char xattr[XATTR_NAME_MAX_LEN + 1];	/* name of the first attribute refused */
};

/* What a part is called ("owner"). */
const char *meta_part_text(enum meta_part part);

/* Add the counts of ${more} to ${r}. */
void meta_report_add(struct meta_report *r, const struct meta_report *more);

struct meta_options {
	struct owner_names *by_name;	/* not NULL: owners by name where the name is known here */
	bool bare;			/* the object is new and inherited no attributes: there are none to remove */
};

/**
 * meta_apply(fd, dirfd, name, en, opt, report, e):
 * Give an object the owner, attributes, mode and times of ${en}, in this
 * order, so that set-id bits and capabilities survive the change of owner.
 * The object is ${fd} if that is not -1 (open, not O_PATH), else ${name} in
 * ${dirfd}, opened without following it; it must be of the type of ${en}.
 * Every step goes to that one object, whatever happens to its name meanwhile.
 * The access time is left alone.  Attributes user.* and ACLs that ${en} does
 * not have are removed.  Where the owner cannot be set the set-id bits are
 * left out.  What this user may not set, or the file system cannot hold, is
 * counted in ${report} and is no error.  ${opt} may be NULL.  Return a mask of
 * (1 << part) of what could not be set, 0 if all was, or -1 with ${e}: the
 * object cannot be opened or is of another type.
 */
int meta_apply(int fd, int dirfd, const char *name, const struct entry *en,
    const struct meta_options *opt, struct meta_report *report, struct err *e);

#endif
