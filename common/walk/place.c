#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/text.h"
#include "common/walk/beneath.h"
#include "common/walk/place_notes.h"
#include "common/walk/place_object.h"

struct place {
	struct place_options opt;
	struct chain at;	/* the current directory */
	struct chain other;	/* where the first names of hard links are looked for */
	struct notes dirs, symlinks;
};

/* Whether new files get an ACL from the target; directories made in it hand on what they got. */
static bool
target_inherits(int dirfd)
{
	return io->fgetxattr(dirfd, "system.posix_acl_default", NULL, 0) != -1 || (errno != ENODATA && errno != ENOTSUP);
}

struct place *
place_new(int dirfd, const struct place_options *opt, struct err *e)
{
	struct place *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		(void)err_errno(e, "open the target");
		return NULL;
	}
	p->opt = *opt;
	p->opt.inherits = target_inherits(dirfd);
	notes_init(&p->dirs, dirfd);
	notes_init(&p->symlinks, dirfd);
	if (chain_init(&p->at, dirfd, &p->opt, e) != 0 || chain_init(&p->other, dirfd, &p->opt, e) != 0) {
		place_free(p);
		return NULL;
	}
	return p;
}

void
place_free(struct place *p)
{
	if (p == NULL)
		return;
	chain_release(&p->at);
	chain_release(&p->other);
	notes_release(&p->dirs);
	notes_release(&p->symlinks);
	free(p);
}

int
place_enter(struct place *p, struct fmt_view path, struct err *e)
{
	return chain_enter(&p->at, path, true, e);
}

struct place_dir *
place_dir_hold(struct place *p)
{
	struct place_dir *d = chain_end(&p->at);

	(void)__atomic_add_fetch(&d->held, 1, __ATOMIC_RELAXED);
	return d;
}

/* The absolute name of the current directory. */
static struct fmt_view
here(const struct place *p)
{
	return view_of(p->at.path, p->at.level[p->at.n - 1].path_len);
}

int
place_subdir(struct place *p, const struct entry *en, enum place_result *res, struct err *e)
{
	char name[NAME_LEN_MAX + 1];
	bool made;
	int fd;

	if (object_name(en, name, e) != 0 || (fd = dir_place(chain_end(&p->at), name, &made, e)) == -1)
		return -1;
	(void)io->close(fd);
	*res = made ? PLACE_DONE : p->opt.overwrite == PLACE_NEVER ? PLACE_LEFT : PLACE_SAME;
	return *res == PLACE_LEFT ? 0 : notes_add(&p->dirs, here(p), en, e);
}

int
place_symlink(struct place *p, const struct entry *en, struct err *e)
{
	char name[NAME_LEN_MAX + 1];

	if (object_name(en, name, e) != 0)
		return -1;
	return notes_add(&p->symlinks, here(p), en, e);
}

/* The first name of a hard-linked file, as a descriptor that only names it; -1: it is not that file. */
static int
link_source(struct place *p, struct fmt_view path, struct fmt_view name, const struct place_id *id)
{
	char text[NAME_LEN_MAX + 1];
	struct stat st;
	int fd;

	if (!name_is_valid(name) || chain_enter(&p->other, path, false, NULL) != 0)
		return -1;
	memcpy(text, name.p, name.len);
	text[name.len] = '\0';
	if ((fd = beneath_open(chain_end(&p->other)->fd, text, O_PATH, 0)) == -1)
		return -1;
	if (io->fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_dev == id->dev && st.st_ino == id->ino)
		return fd;
	(void)io->close(fd);
	return -1;
}

/* Another name for what is open as ${fd}, whatever happens to its first name. */
static int
link_make(int fd, int dirfd, const char *name)
{
	char proc[40];

	(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	if (io->linkat(AT_FDCWD, proc, dirfd, name, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	return errno == ENOENT ? io->linkat(fd, "", dirfd, name, AT_EMPTY_PATH) : -1;
}

/* Put the link in the place of what has its name. */
static int
link_replace(const struct place_dir *d, int fd, const char *name, enum place_result *res, struct err *e)
{
	char temp[TEMP_NAME_LEN];

	object_temp(d, name, temp);
	if (link_make(fd, d->fd, temp) != 0 && (errno != EEXIST || io->unlinkat(d->fd, temp, 0) != 0 ||
	    link_make(fd, d->fd, temp) != 0)) {
		*res = PLACE_NO_LINK;
		return 0;
	}
	if (object_publish(d, temp, name, res, e) != 0)
		return -1;
	(void)io->unlinkat(d->fd, temp, 0);	/* a rename of two names of one file does nothing */
	return 0;
}

int
place_hardlink(struct place *p, const struct entry *en, struct fmt_view path, struct fmt_view name,
    const struct place_id *id, enum place_result *res, struct err *e)
{
	const struct place_dir *d = chain_end(&p->at);
	char text[NAME_LEN_MAX + 1];
	struct stat st;
	int fd, rc = 0;

	*res = PLACE_NO_LINK;
	if (object_name(en, text, e) != 0)
		return -1;
	if ((fd = link_source(p, path, name, id)) == -1)
		return 0;
	*res = PLACE_DONE;
	if (link_make(fd, d->fd, text) == 0)
		goto done;
	if (errno != EEXIST)
		*res = PLACE_NO_LINK;
	else if (io->fstatat(d->fd, text, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == id->dev &&
	    st.st_ino == id->ino)
		*res = PLACE_SAME;
	else if (p->opt.overwrite == PLACE_NEVER)
		*res = PLACE_LEFT;
	else
		rc = link_replace(d, fd, text, res, e);
done:
	(void)io->close(fd);
	return rc;
}

/* The attributes of one directory, in ${d}. */
static int
dir_complete(const struct place_dir *d, const struct entry *en, struct meta_report *report, struct err *e)
{
	char name[NAME_LEN_MAX + 1];
	int fd, rc;

	if (object_name(en, name, e) != 0)
		return -1;
	fd = beneath_open(d->fd, name, O_RDONLY | O_DIRECTORY, 0);
	rc = meta_apply(fd, d->fd, name, en, &d->opt->meta, report, e);
	if (fd != -1)
		(void)io->close(fd);
	return rc;
}

static void
note_finish(struct place *p, const struct note *n, struct meta_report *report, place_tell *tell, void *ctx)
{
	enum place_result res = PLACE_DONE;
	struct err error;
	int missed = -1;

	err_clear(&error);
	if (chain_enter(&p->at, n->path, false, &error) == 0)
		missed = n->entry.type == ENTRY_SYMLINK ?
		    object_symlink(chain_end(&p->at), &n->entry, report, &res, &error) :
		    dir_complete(chain_end(&p->at), &n->entry, report, &error);
	if (tell != NULL)
		tell(ctx, n->path, &n->entry, res, missed, missed == -1 ? &error : NULL);
}

int
place_finish(struct place *p, struct meta_report *report, place_tell *tell, void *ctx, struct err *e)
{
	struct note n;
	uint64_t at;
	int rc;

	for (at = 0; (rc = notes_next(&p->symlinks, at, &n, e)) == 1; at = n.after)
		note_finish(p, &n, report, tell, ctx);
	if (rc != 0)
		return -1;
	/* In listing order a directory stands before all below it, so backwards is from below. */
	for (at = p->dirs.end; (rc = notes_previous(&p->dirs, at, &n, e)) == 1; at = n.before)
		note_finish(p, &n, report, tell, ctx);
	return rc;
}
