#ifndef SAMARA_FLOW_SOURCE_NOTE_H
#define SAMARA_FLOW_SOURCE_NOTE_H

/*
 * What stands in the state about snapshots of a source, before they are taken:
 * views/NAME.json, and views/NAME.lock held by the process that uses them.
 * Also how an image's build wants its source held still, for its next runs.
 */

#include <stddef.h>

#include "common/flow/source_snap.h"
#include "common/flow/source_view.h"

#define NOTE_NAME_MAX	16

struct source_note {
	char name[NOTE_NAME_MAX];
	char kind[8];			/* "" for hooks alone */
	char hook[PATH_MAX], after[PATH_MAX];
	const char *const *env;
	struct source_snap *snap;
	size_t n, cap;
};

/* A new note with a new name.  0 or -1 with ${e}.  source_note_release frees what is in it. */
int source_note_init(struct source_note *note, const struct source_view_options *o, struct err *e);
void source_note_release(struct source_note *note);

/* Room for the snapshot of ${path}, whose top is not known yet; NULL with ${e}.  Earlier ones may move. */
struct source_snap *source_note_add(struct source_note *note, const char *path, struct err *e);

/* Write it durably; read it (ERR_NOT_FOUND, ERR_STATE); forget it and its lock.  0 or -1 with ${e}. */
int source_note_save(int viewsfd, const struct source_note *note, struct err *e);
int source_note_load(int viewsfd, const char *name, struct source_note *note, struct err *e);
void source_note_drop(int viewsfd, const char *name);

/* The lock of ${name}; -1 with ERR_BUSY where its process lives. */
int source_note_lock(int viewsfd, const char *name, struct err *e);

/* The absolute name of the directory ${fd} into ${out}, PATH_MAX bytes.  0 or -1 with ${e}. */
int source_note_place(int fd, char *out, struct err *e);

/* Undo the \040 of the mount table, in place. */
void mount_unescape(char *p);

#endif
