#ifndef SAMARA_FLOW_DUMP_H
#define SAMARA_FLOW_DUMP_H

/* A part of a snapshot as one stream of bytes. */

#include "common/flow/snapshot_open.h"

struct err;

/**
 * dump_path(o, s, reader, path, fd, e):
 * Write what is at the absolute ${path} to ${fd}: a regular file as its
 * content, holes as zeros; a directory with all below it as a tar archive in
 * pax format.  0, or -1 with ${e} (ERR_NOT_FOUND; ERR_USAGE for what is
 * neither); then what was written so far is not the whole.  ${s}: the source of
 * ${reader}; what comes next is wanted of it ahead.
 */
int dump_path(const struct open_snapshot *o, struct source *s, struct source_reader *reader, const char *path, int fd,
    struct err *e);

#endif
