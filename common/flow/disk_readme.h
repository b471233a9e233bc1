#ifndef SAMARA_FLOW_DISK_README_H
#define SAMARA_FLOW_DISK_README_H

/* README.txt on a disk, for whoever finds it. */

#include "formats/fmt_disk.h"

struct err;

/**
 * disk_readme_write(diskfd, l, e):
 * Write samara/README.txt on the disk: what it is, and every image on it that
 * has a label, and the one of ${l}, which is about to get its own.  Nothing in
 * it is secret, and no reader relies on it.  0 or -1 with ${e}; after a power
 * cut the old one or the new one is there.
 */
int disk_readme_write(int diskfd, const struct label *l, struct err *e);

#endif
