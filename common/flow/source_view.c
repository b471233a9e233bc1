#include "common/flow/source_view.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/child.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/flow/source_note.h"

#define MOUNTS_MAX	(16u << 20)
#define INSTEAD_MAX	4096u

struct source_view {
	struct source_note note;
	int viewsfd;			/* views/ in the state */
	int lockfd;
	bool began;			/* the hook before has run */
	struct walk_instead *instead;
	size_t n;
};

int
source_view_check(const struct source_view_options *o, struct err *e)
{
	bool hook = o->kind != NULL && strcmp(o->kind, "hook") == 0;

	if (o->kind != NULL && !hook && strcmp(o->kind, "btrfs") != 0 && strcmp(o->kind, "lvm") != 0)
		return err_set(e, ERR_USAGE, "--snapshot is btrfs, lvm or hook");
	if (hook != (o->hook != NULL))
		return err_set(e, ERR_USAGE, hook ? "--snapshot hook needs --hook PROGRAM" : "--hook goes with --snapshot hook");
	return 0;
}

/* --- taking --- */

static int
hook_run(const char *program, const char *const *env, struct err *e)
{
	const char *const argv[] = { program, NULL };

	return child_must(argv, env, NULL, 0, e);
}

static void
instead_add(struct source_view *v, const char *path, const char *real, dev_t dev)
{
	struct walk_instead *w = &v->instead[v->n];

	if (v->n >= INSTEAD_MAX)
		return;
	*w = (struct walk_instead){ .path = strdup(path), .real = strdup(real), .path_dev = dev };
	v->n++;
}

/* The snapshot that holds ${path}: one that is there, or a new one at the end of the note. */
static struct source_snap *
snap_for(struct source_view *v, const char *path, const char *mountdir, bool *fresh, struct err *e)
{
	struct source_snap *s = source_note_add(&v->note, path, e);

	if (s == NULL || snap_plan(s, mountdir, e) != 0)
		return NULL;
	*fresh = true;
	for (size_t i = 0; i + 1 < v->note.n; i++) {
		if (strcmp(v->note.snap[i].top, s->top) != 0)
			continue;
		v->note.n--;
		*fresh = false;
		return &v->note.snap[i];
	}
	return s;
}

static int
path_take(struct source_view *v, const char *path, const char *mountdir, struct err *e)
{
	char real[2 * PATH_MAX];
	struct source_snap *s;
	struct stat st;
	bool fresh;
	size_t skip;

	if (io->fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return err_errno(e, "look at %s", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ERR_SOURCE, "%s is not a directory; with --snapshot, name the directory it is in", path);
	if ((s = snap_for(v, path, mountdir, &fresh, e)) == NULL)
		return -1;
	/* The note comes first: after a kill it says what there may be to remove. */
	if (fresh && (source_note_save(v->viewsfd, &v->note, e) != 0 || snap_take(s, e) != 0 ||
	    source_note_save(v->viewsfd, &v->note, e) != 0))
		return -1;
	skip = strcmp(s->top, "/") == 0 ? 0 : strlen(s->top);
	if (strcmp(s->top, path) == 0)
		skip = strlen(path);
	(void)snprintf(real, sizeof(real), "%s%s", s->real, path + skip);
	if (strlen(real) >= PATH_MAX)
		return err_set(e, ERR_SOURCE, "%s: the name is too long for a snapshot", path);
	instead_add(v, path, real, st.st_dev);
	return 0;
}

int
source_view_try(const struct source_view_options *o, const char *const *paths, size_t n, struct err *e)
{
	struct source_note note;
	struct source_snap *s;
	struct stat st;
	char *real;
	int rc = source_view_check(o, e);

	if (rc != 0 || o->kind == NULL)
		return rc;
	rc = source_note_init(&note, o, e);
	for (size_t i = 0; i < n && rc == 0; i++) {
		if ((real = realpath(paths[i], NULL)) == NULL || io->fstatat(AT_FDCWD, real, &st, AT_SYMLINK_NOFOLLOW) != 0)
			rc = err_errno(e, "look at %s", paths[i]);
		else if (!S_ISDIR(st.st_mode))
			rc = err_set(e, ERR_SOURCE, "%s is not a directory; with --snapshot, name the directory it is in", paths[i]);
		else if ((s = source_note_add(&note, real, e)) == NULL || snap_plan(s, "/", e) != 0)
			rc = -1;
		free(real);
	}
	source_note_release(&note);
	return rc;
}

static bool
is_below(const char *path, const char *top)
{
	size_t n = strcmp(top, "/") == 0 ? 0 : strlen(top);

	return strncmp(path, top, n) == 0 && path[n] == '/' && path[n + 1] != '\0';
}

/* What is mounted below the PATHs is not in their snapshots: it is walked as it is. */
static int
mounts_add(struct source_view *v, const char *const *paths, size_t npaths, struct err *e)
{
	uint8_t *bytes;
	size_t len;
	char *line, *next, *where, *save;

	if (strcmp(v->note.kind, "hook") == 0)
		return 0;
	if (file_read(AT_FDCWD, "/proc/self/mounts", MOUNTS_MAX, &bytes, &len, e) != 0)
		return -1;
	for (line = (char *)bytes; line != NULL && *line != '\0'; line = next) {
		bool below = false, named = false;

		if ((next = strchr(line, '\n')) != NULL)
			*next++ = '\0';
		if (strtok_r(line, " ", &save) == NULL || (where = strtok_r(NULL, " ", &save)) == NULL)
			continue;
		mount_unescape(where);
		for (size_t i = 0; i < npaths; i++) {
			below |= is_below(where, paths[i]);
			named |= strcmp(where, paths[i]) == 0;
		}
		if (below && !named)
			instead_add(v, where, where, 0);
	}
	free(bytes);
	return 0;
}

static int
view_take(struct source_view *v, const struct source_view_options *o, const char *const *paths, size_t n, struct err *e)
{
	char mountdir[PATH_MAX];

	if (source_note_save(v->viewsfd, &v->note, e) != 0)
		return -1;
	/* Once it may have begun, the hook after has to run. */
	v->began = true;
	if (o->before != NULL && hook_run(o->before, o->env, e) != 0)
		return err_during(e, "--before");
	if (o->kind == NULL)
		return 0;
	(void)snprintf(mountdir, sizeof(mountdir), "/proc/self/fd/%d", v->viewsfd);
	if (strcmp(o->kind, "lvm") == 0 && source_note_place(v->viewsfd, mountdir, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (path_take(v, paths[i], mountdir, e) != 0)
			return -1;
	if (mounts_add(v, paths, n, e) != 0)
		return -1;
	for (size_t i = 0; i < v->n; i++)
		if (v->instead[i].path == NULL || v->instead[i].real == NULL)
			return err_set(e, ERR_MEMORY, "no memory for a snapshot");
	return 0;
}

/* --- removing --- */

/* Remove what a note names, last things first.  0, or -1 with the first ${e}: the note stays. */
static int
note_undo(int viewsfd, const struct source_note *note, const char *const *env, bool after, struct err *e)
{
	struct err one;
	int rc = 0;

	for (size_t i = note->n; i > 0; i--) {
		struct source_snap s = note->snap[i - 1];

		err_clear(&one);
		s.env = env;
		if (snap_remove(&s, &one) != 0 && rc++ == 0)
			*e = one;
	}
	err_clear(&one);
	if (after && note->after[0] != '\0' && hook_run(note->after, env, &one) != 0) {
		(void)err_during(&one, "--after");
		if (rc == 0)
			*e = one;
		else
			say_warn("%s", one.msg);
		/* It has run; a second time would not make it better. */
		if (rc == 0)
			rc = -2;
	}
	if (rc <= 0)
		source_note_drop(viewsfd, note->name);
	return rc == 0 ? 0 : -1;
}

static void
view_free(struct source_view *v)
{
	for (size_t i = 0; i < v->n; i++) {
		free((void *)(uintptr_t)v->instead[i].path);
		free((void *)(uintptr_t)v->instead[i].real);
	}
	free(v->instead);
	source_note_release(&v->note);
	if (v->lockfd != -1)
		(void)io->close(v->lockfd);
	if (v->viewsfd != -1)
		(void)io->close(v->viewsfd);
	free(v);
}

static int
views_dir(int statefd, struct err *e)
{
	return dir_make(statefd, "views", 0700, e) != 0 ? -1 : dir_open(statefd, "views", e);
}

struct source_view *
source_view_open(int statefd, const struct source_view_options *o, const char *const *paths, size_t n, struct err *e)
{
	struct source_view *v = calloc(1, sizeof(*v));
	struct err undo;

	if (v == NULL || (v->instead = calloc(INSTEAD_MAX, sizeof(*v->instead))) == NULL) {
		(void)err_errno(e, "snapshot of the source");
		free(v);
		return NULL;
	}
	v->lockfd = v->viewsfd = -1;
	if ((v->viewsfd = views_dir(statefd, e)) == -1 || source_note_init(&v->note, o, e) != 0 ||
	    (v->lockfd = source_note_lock(v->viewsfd, v->note.name, e)) == -1)
		goto fail;
	if (view_take(v, o, paths, n, e) == 0)
		return v;
	err_clear(&undo);
	if (note_undo(v->viewsfd, &v->note, o->env, v->began, &undo) != 0)
		say_warn("%s", undo.msg);
fail:
	(void)err_during(e, "snapshot of the source");
	view_free(v);
	return NULL;
}

void
source_view_apply(const struct source_view *v, struct walk_options *w)
{
	if (v == NULL)
		return;
	w->instead = v->instead;
	w->ninstead = v->n;
}

int
source_view_close(struct source_view *v, struct err *e)
{
	int rc;

	if (v == NULL)
		return 0;
	if ((rc = note_undo(v->viewsfd, &v->note, v->note.env, v->began, e)) != 0)
		(void)err_during(e, "after the walk");
	view_free(v);
	return rc;
}

/* One note whose process may be gone.  0 gone or in use, 1 could not be removed. */
static int
sweep_one(int viewsfd, const char *name)
{
	struct source_note note;
	struct err e;
	int lock, rc = 0;

	err_clear(&e);
	if ((lock = source_note_lock(viewsfd, name, &e)) == -1)
		return 0;
	if (source_note_load(viewsfd, name, &note, &e) == 0) {
		if (note.n > 0)
			say_info("removing the snapshot that a build left behind (%s)", note.kind);
		if (note_undo(viewsfd, &note, NULL, true, &e) != 0)
			rc = 1;
		source_note_release(&note);
	} else if (e.code == ERR_NOT_FOUND) {
		source_note_drop(viewsfd, name);
	} else {
		rc = 1;
	}
	if (rc != 0)
		say_warn("a snapshot that a build left behind could not be removed: %s", e.msg);
	(void)io->close(lock);
	return rc;
}

int
source_view_sweep(int statefd, struct err *e)
{
	char **names, *dot;
	size_t n;
	int viewsfd, left = 0;

	if (dir_list(statefd, "views", &names, &n, e) != 0) {
		if (e == NULL || e->code != ERR_NOT_FOUND)
			return -1;
		err_clear(e);
		return 0;
	}
	if ((viewsfd = views_dir(statefd, e)) == -1)
		left = -1;
	for (size_t i = 0; i < n && viewsfd != -1; i++)
		if ((dot = strrchr(names[i], '.')) != NULL && strcmp(dot, ".lock") == 0) {
			*dot = '\0';
			left += sweep_one(viewsfd, names[i]);
		}
	if (viewsfd != -1)
		(void)io->close(viewsfd);
	dir_list_free(names, n);
	return left;
}
