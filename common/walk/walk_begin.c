#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/io.h"
#include "common/base/text.h"
#include "common/walk/walk_state.h"

/* Refuse a PATH that cannot be walked at all. */
static int
path_check(const struct walker *w, const struct given_path *p, struct fs_table *table, struct err *e)
{
	const struct fs_row *row;
	struct stat st;
	char safe[1024];
	int fd, pos, rc = -1;

	(void)text_safe(safe, sizeof(safe), p->resolved, p->len);
	fd = io->open(AT_FDCWD, p->resolved, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd == -1 || io->fstat(fd, &st) != 0) {
		(void)err_errno(e, "look at %s", safe);
		if (e != NULL && e->code != ERR_MEMORY)
			e->code = ERR_SOURCE;
		goto done;
	}
	if (S_ISSOCK(st.st_mode)) {
		(void)err_set(e, ERR_SOURCE, "%s is a socket, which cannot be kept", safe);
		goto done;
	}
	pos = fs_table_find(table, st.st_dev);
	if (pos < 0 && (pos = fs_table_add(table, st.st_dev, fd, p->resolved, p->len, e)) < 0)
		goto done;
	row = fs_table_row(table, (size_t)pos);
	if (row->pseudo) {
		(void)err_set(e, ERR_TARGET, "%s lies on %s, a pseudo file system: there are no files to keep",
		    safe, row->type);
		(void)err_next(e, "name a directory with files of your own");
	} else if (row->network && !w->opt.network_file_systems) {
		(void)err_set(e, ERR_SOURCE, "%s lies on %s, a network file system", safe, row->type);
		(void)err_next(e, "add --network-file-systems if it is to be read over the network");
	} else
		rc = 0;
done:
	if (fd != -1)
		(void)io->close(fd);
	return rc;
}

/* The devices of what is walked in the place of PATHs. */
static int
instead_look(struct walker *w, struct err *e)
{
	struct stat st;
	char safe[1024];

	if (w->opt.ninstead == 0)
		return 0;
	if ((w->real_dev = calloc(w->opt.ninstead, sizeof(*w->real_dev))) == NULL)
		return err_errno(e, "start a walk");
	for (size_t i = 0; i < w->opt.ninstead; i++) {
		const char *real = w->opt.instead[i].real;

		if (io->fstatat(AT_FDCWD, real, &st, AT_SYMLINK_NOFOLLOW) != 0)
			return err_errno(e, "look at %s", text_safe(safe, sizeof(safe), real, strlen(real)));
		if (!S_ISDIR(st.st_mode))
			return err_set(e, ERR_SOURCE, "%s is not a directory", text_safe(safe, sizeof(safe), real, strlen(real)));
		w->real_dev[i] = st.st_dev;
	}
	return 0;
}

struct walker *
walker_new(const struct walk_options *opt, struct err *e)
{
	struct fs_table *table = NULL;
	struct walker *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		(void)err_errno(e, "start a walk");
		return NULL;
	}
	w->opt = *opt;
	w->open_flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | (geteuid() == 0 ? O_NOATIME : 0);
	if (path_list_init(&w->paths, opt->paths, opt->npaths, e) != 0)
		goto fail;
	table = fs_table_new();		/* its own: that of the walk names the tops */
	w->fs = fs_table_new();
	if (table == NULL || w->fs == NULL || stack_init(&w->stack) != 0 || window_init(&w->window) != 0) {
		(void)err_errno(e, "start a walk");
		goto fail;
	}
	for (size_t i = 0; i < w->paths.nsorted; i++)
		if (path_check(w, w->paths.sorted[i], table, e) != 0)
			goto fail;
	if (instead_look(w, e) != 0)
		goto fail;
	fs_table_free(table);
	return w;
fail:
	fs_table_free(table);
	walker_free(w);
	return NULL;
}

void
walker_free(struct walker *w)
{
	if (w == NULL)
		return;
	stack_release(&w->stack);
	block_release(&w->block);
	window_release(&w->window);
	xattr_rows_release(&w->xattrs);
	fs_table_free(w->fs);
	path_list_release(&w->paths);
	free(w->real_dev);
	free(w);
}

int
walker_path(const struct walker *w, size_t i, struct walk_path *p)
{
	const struct given_path *g;

	if (i >= w->paths.n)
		return -1;
	g = &w->paths.given[i];
	*p = (struct walk_path){ .given = g->given, .resolved = g->resolved, .followed = g->followed, .inside = g->inside };
	return 0;
}

int
walker_filesystem(const struct walker *w, size_t i, struct filesystem *fs)
{
	const struct fs_row *row = fs_table_row(w->fs, i);

	if (row == NULL)
		return -1;
	*fs = (struct filesystem){
		.type = view_of(row->type, strlen(row->type)),
		.uuid = view_of(row->uuid, strlen(row->uuid)),
		.path = view_of(row->path, row->path_len),
		.subvolume = row->subvolume,
	};
	return 0;
}

bool
walker_inode_stable(const struct walker *w, size_t i)
{
	const struct fs_row *row = fs_table_row(w->fs, i);

	return row != NULL && row->stable;
}
