#ifndef SAMARA_WALK_COMPARE_H
#define SAMARA_WALK_COMPARE_H

/* A live file-system object beside an entry of a listing. */

#include "formats/fmt_listing.h"

struct err;

/* What differs; the bits go together. */
#define DIFFERS_MISSING	0x001u	/* nothing is there; then nothing else is set */
#define DIFFERS_TYPE	0x002u	/* then nothing else is set */
#define DIFFERS_SIZE	0x004u
#define DIFFERS_MODE	0x008u
#define DIFFERS_OWNER	0x010u
#define DIFFERS_MTIME	0x020u
#define DIFFERS_TARGET	0x040u	/* of a symlink */
#define DIFFERS_DEVICE	0x080u
#define DIFFERS_XATTR	0x100u
#define DIFFERS_ACL	0x200u
#define DIFFERS_CONTENT	0x400u	/* never set here: for callers that read it */

/* What not to look at. */
#define COMPARE_NO_OWNER	1u
#define COMPARE_NO_MODE		2u
#define COMPARE_NO_XATTRS	4u
#define COMPARE_NO_MTIME	8u

/**
 * compare_object(dirfd, name, en, skip, differs, fd, e):
 * Compare ${name} in the open directory ${dirfd} with ${en}: all that a listing
 * keeps but content, names of owners, inode and ctime; ${skip} is COMPARE_*
 * bits.  No symlink is followed.  Where both are regular files and ${fd} is not
 * NULL it becomes a descriptor for reading the content (the caller closes it),
 * that of the very object that was compared; else -1.  en->xattrs must be
 * there (read back from the spill tree where it is long).  Return 0 with
 * ${differs}, or -1 with ${e} when the object cannot be looked at.
 */
int compare_object(int dirfd, const char *name, const struct entry *en, unsigned skip, unsigned *differs,
    int *fd, struct err *e);

/**
 * compare_text(differs, buf, n):
 * The differences by name ("mode, owner") into the ${n} bytes at ${buf}, at
 * least 128.  Return ${buf}; empty for 0.
 */
char *compare_text(unsigned differs, char *buf, size_t n);

#endif
