#ifndef SAMARA_WALK_PLACE_H
#define SAMARA_WALK_PLACE_H

/*
 * Putting restored things below one target directory, whatever a listing says
 * and whoever changes the tree meanwhile: every step is one name below an open
 * directory, no symlink is followed, and symlinks of the listing are made
 * last.  A final name is whole: content and attributes are complete under a
 * temporary name (".samara-" and hex digits) first.  Only in directories that
 * this run made, where it may replace what it finds, a file has its name from
 * the start and its times last, so that the same restore again writes anew
 * what was not finished.  Nothing is synced here; a power cut leaves what the
 * file system makes of that, and the same restore again finds out what is
 * missing.
 */

#include <sys/types.h>

#include "common/walk/meta.h"

struct err;
struct place;
struct place_dir;
struct place_file;

#define PLACE_BLOCK	4096u	/* whole ones of these can go past the cache */

/* What to do with something of that name that is there already. */
enum place_overwrite {
	PLACE_NEVER,		/* leave it alone */
	PLACE_IF_DIFFERENT,	/* replace it unless type, size, mtime (and target) are the same */
	PLACE_ALWAYS
};

enum place_result {
	PLACE_DONE = 0,
	PLACE_SAME,		/* was there, the same */
	PLACE_LEFT,		/* something else was there and was left alone */
	PLACE_NO_LINK		/* a hard link is not possible: write a file of its own */
};

/* Which object was made: for the other names of a hard-linked file. */
struct place_id {
	dev_t dev;
	ino_t ino;
};

struct place_options {
	enum place_overwrite overwrite;
	uint64_t tag;		/* in temporary names: the same for every run of one restore */
	bool empty;		/* the target was seen to be empty: no need to look for what is there */
	bool inherits;		/* set by place_new: what is made in the target gets attributes from it */
	struct meta_options meta;
};

/**
 * place_new(dirfd, opt, e):
 * Start to fill the open directory ${dirfd}, which is borrowed and must
 * outlive the place.  Return NULL with ${e}.  place_free drops it; directory
 * handles must be released before.
 */
struct place *place_new(int dirfd, const struct place_options *opt, struct err *e);
void place_free(struct place *p);

/**
 * place_enter(p, path, e):
 * Make ${path} (absolute as in a listing; "/" is the target itself) the
 * current directory; what is missing on the way is made, 0700.  A directory
 * that is there is entered; anything else in the way, a symlink to a directory
 * too, is removed first under PLACE_IF_DIFFERENT and PLACE_ALWAYS, an error
 * (ERR_NOT_EMPTY) under PLACE_NEVER.  Blocks in listing order cost one open a
 * directory; the deepest 32 and every 256th stay open.  Return 0 or -1.
 */
int place_enter(struct place *p, struct fmt_view path, struct err *e);

/**
 * place_dir_hold(p), place_dir_release(d):
 * The current directory as a handle for place_file_begin and place_special in
 * any thread, until it is released there.  Each one costs a descriptor.
 */
struct place_dir *place_dir_hold(struct place *p);
void place_dir_release(struct place_dir *d);

/**
 * place_subdir(p, en, res, e):
 * Make the directory ${en} in the current one (0700); its attributes are noted
 * and set by place_finish, when all below it is done.  One that is there
 * already is PLACE_SAME (under PLACE_NEVER PLACE_LEFT, and keeps its
 * attributes).  Return 0, or -1 with ${e} (ERR_NOT_EMPTY: in the way, as in
 * place_enter).
 */
int place_subdir(struct place *p, const struct entry *en, enum place_result *res, struct err *e);

/**
 * place_symlink(p, en, e):
 * Note the symlink ${en} in the current directory; place_finish makes it.
 * Return 0 or -1 with ${e}.
 */
int place_symlink(struct place *p, const struct entry *en, struct err *e);

/**
 * place_file_begin(d, en, f, res, id, e):
 * Begin the regular file ${en} in ${d}.  On PLACE_DONE the caller writes its
 * content to ${f} and ends with place_file_commit or place_file_abandon.  On
 * PLACE_SAME and PLACE_LEFT ${f} is NULL; PLACE_SAME fills ${id} (may be NULL)
 * and, where owner or mode differed, has set the attributes and counted in
 * ${report} what could not be set.  Return 0, or -1 with ${e} (ERR_NOT_EMPTY: a
 * directory has that name).  Any thread.
 */
int place_file_begin(struct place_dir *d, const struct entry *en, struct place_file **f,
    enum place_result *res, struct place_id *id, struct meta_report *report, struct err *e);

/**
 * place_file_there(d, en, res, e):
 * Only look: ${res} is PLACE_DONE where place_file_begin would begin a file,
 * PLACE_SAME or PLACE_LEFT where it would not.  0 or -1 with ${e}.  Any thread.
 */
int place_file_there(struct place_dir *d, const struct entry *en, enum place_result *res, struct err *e);

/**
 * place_file_write(f, buf, n, at):
 * Write ${n} bytes at offset ${at}; several threads may, at different places.
 * What is never written is a hole.  Return 0, or -1 with ${e}: then only
 * place_file_abandon is left.
 */
int place_file_write(struct place_file *f, const void *buf, size_t n, uint64_t at, struct err *e);

/**
 * place_file_large(f, size, e):
 * Say that ${size} bytes will be written by several threads in large pieces:
 * the file gets its size at once, and whole blocks go past the cache where the
 * file system lets them.  Before the first write.  Return 0 or -1 with ${e}.
 */
int place_file_large(struct place_file *f, uint64_t size, struct err *e);

/**
 * place_file_commit(f, en, report, res, id, e):
 * Give the file its size, attributes and name; ${f} is gone afterwards in any
 * case.  ${res} may become PLACE_LEFT where under PLACE_NEVER another one took
 * the name meanwhile.  Return what meta_apply returns, or -1 with ${e} and
 * nothing new under the final name.
 */
int place_file_commit(struct place_file *f, const struct entry *en, struct meta_report *report,
    enum place_result *res, struct place_id *id, struct err *e);
void place_file_abandon(struct place_file *f);

/**
 * place_special(d, en, report, res, e):
 * Make the FIFO or device ${en} in ${d}.  Return what meta_apply returns, or
 * -1 with ${e} (ERR_PERMISSION where this user may not make devices).
 */
int place_special(struct place_dir *d, const struct entry *en, struct meta_report *report,
    enum place_result *res, struct err *e);

/**
 * place_hardlink(p, en, path, name, id, res, e):
 * Make ${en} in the current directory another name of the file ${name} in the
 * directory ${path}, if that is still the regular file ${id}; where it is not,
 * or the file system refuses, ${res} is PLACE_NO_LINK.  Return 0 or -1.
 */
int place_hardlink(struct place *p, const struct entry *en, struct fmt_view path, struct fmt_view name,
    const struct place_id *id, enum place_result *res, struct err *e);

/**
 * place_finish(p, report, tell, ctx, e):
 * Make the noted symlinks, then set the attributes of the noted directories,
 * the deepest first.  ${tell} (may be NULL) hears of each: what became of it,
 * what meta_apply returned, or the error, which does not end the rest.  Return
 * 0, or -1 with ${e} where the notes cannot be read back or memory is short.
 */
typedef void place_tell(void *ctx, struct fmt_view path, const struct entry *en, enum place_result res,
    int missed, const struct err *error);
int place_finish(struct place *p, struct meta_report *report, place_tell *tell, void *ctx, struct err *e);

#endif
