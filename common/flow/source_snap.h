#ifndef SAMARA_FLOW_SOURCE_SNAP_H
#define SAMARA_FLOW_SOURCE_SNAP_H

/* One snapshot of one kind: how it is taken and removed.  For source_view.c. */

#include <limits.h>

struct err;

#define SNAP_NAME_MAX	32

struct source_snap {
	char kind[8];
	char name[SNAP_NAME_MAX];	/* ours alone: hex digits */
	char path[PATH_MAX];		/* the PATH */
	char top[PATH_MAX];		/* of what is taken: subvolume, mount point; PATH itself for a hook */
	char device[PATH_MAX];		/* lvm: VG/LV */
	char hook[PATH_MAX];		/* hook: the program */
	char real[PATH_MAX];		/* where ${top} is to be read */
	const char *const *env;
};

/**
 * snap_plan(s, mountdir, e):
 * With kind, name, path and hook given: find out top, device and real, and
 * change nothing.  ${mountdir} is where lvm may mount.  0 or -1 with ${e}.
 */
int snap_plan(struct source_snap *s, const char *mountdir, struct err *e);

/* Take it; a hook says real only now.  0 or -1 with ${e}; then snap_remove is still called. */
int snap_take(struct source_snap *s, struct err *e);

/* Remove it; what is not there is fine.  0 or -1 with ${e}. */
int snap_remove(const struct source_snap *s, struct err *e);

#endif
