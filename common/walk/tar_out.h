#ifndef SAMARA_WALK_TAR_OUT_H
#define SAMARA_WALK_TAR_OUT_H

/*
 * A tar stream in the pax format (POSIX.1-2001), by libarchive: any name, big
 * numbers, nanoseconds, holes (GNU.sparse 1.0), extended attributes
 * (SCHILY.xattr) and ACLs (SCHILY.acl), as GNU tar and bsdtar read them.  Times
 * before 1970 are cut to the second: libarchive and GNU tar disagree on what
 * the fraction of a negative number means.
 */

#include "formats/fmt_listing.h"

struct err;
struct tar_out;

/* Takes the next ${n} bytes of the stream.  0, or -1 with ${e}: then the stream is over. */
typedef int tar_write(void *ctx, const void *bytes, size_t n, struct err *e);

/**
 * tar_out_new(write, ctx, e), tar_out_new_fd(fd, e):
 * Start a stream to a function or to a descriptor, which is borrowed.  Return
 * NULL with ${e}.  Free with tar_out_free, which writes nothing (NULL is allowed).
 */
struct tar_out *tar_out_new(tar_write *write, void *ctx, struct err *e);
struct tar_out *tar_out_new_fd(int fd, struct err *e);
void tar_out_free(struct tar_out *t);

/**
 * tar_out_entry(t, path, en, link, e):
 * Begin the member ${path} (relative, not empty; ends in no slash).  ${link},
 * where it is not empty, is the path of a member before it: then this is
 * another name of that file and has no content.  Else a regular file needs
 * exactly en->size bytes by tar_out_data and tar_out_hole; where en->extents
 * holds the extents of the whole file its holes are stored as holes, else they
 * are stored as the zeros they are.  en->name is not looked at.  Return 0 or
 * -1 with ${e}.
 */
int tar_out_entry(struct tar_out *t, struct fmt_view path, const struct entry *en, struct fmt_view link,
    struct err *e);

/* The next ${n} bytes of the member, or ${n} zeros of a hole.  0 or -1 with ${e}. */
int tar_out_data(struct tar_out *t, const void *bytes, size_t n, struct err *e);
int tar_out_hole(struct tar_out *t, uint64_t n, struct err *e);

/* End the stream; after 0 all of it was written.  ${t} can now only be freed. */
int tar_out_end(struct tar_out *t, struct err *e);

#endif
