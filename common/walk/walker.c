#include <errno.h>
#include <string.h>

#include "common/base/io.h"
#include "common/base/text.h"
#include "common/walk/exclude.h"
#include "common/walk/owner.h"
#include "common/walk/walk_state.h"

/* Marks of names: what becomes of a directory. */
#define MARK_DIR	1u	/* a directory: to be entered, or to be named as skipped */
#define MARK_ABOVE	2u	/* only because a PATH lies below it */
#define MARK_REASON(r)	((uint8_t)((unsigned)(r) << 4))
#define REASON_OF(mark)	((enum walk_reason)((mark) >> 4))

#define EMPTY_SUBVOLUME	2u	/* inode number; see linux/btrfs_tree.h, BTRFS_EMPTY_SUBVOL_DIR_OBJECTID */

static const char cache_tag[] = "CACHEDIR.TAG";
static const char cache_signature[] = "Signature: 8a477f597d28d172789f06886806bc55";

const char *
walk_reason_text(enum walk_reason reason)
{
	static const char *const text[] = {
		"", "a socket", "of an unknown type", "a pseudo file system", "a network file system",
		"another file system", "a target, vault or state directory", "one of too many file systems"
	};

	return (size_t)reason < sizeof(text) / sizeof(text[0]) ? text[reason] : "";
}

/* Nothing in the tree is wrong then, this process is short of something. */
static bool
is_shortage(int sys)
{
	return sys == ENOMEM || sys == EMFILE || sys == ENFILE;
}

/* What s->path says, as an error item; -1 for a shortage. */
static int
item_error(struct walker *w, struct walk_item *item, int sys, const char *doing, struct err *e)
{
	char safe[1024];

	(void)text_safe(safe, sizeof(safe), w->stack.path, w->stack.path_len);
	errno = sys;
	if (is_shortage(sys))
		return err_errno(e, "%s %s", doing, safe);
	err_clear(&w->error);
	(void)err_errno(&w->error, "%s %s", doing, safe);
	item->kind = WALK_ERROR;
	item->path = view_of(w->stack.path, w->stack.path_len);
	item->err = &w->error;
	return 1;
}

static int
item_skipped(struct walker *w, struct walk_item *item, enum walk_reason reason)
{
	item->kind = WALK_SKIPPED;
	item->reason = reason;
	item->path = view_of(w->stack.path, w->stack.path_len);
	return 1;
}

/*
 * Position of the file system ${dev} on which ${name} in ${dirfd} lies (or
 * ${dirfd} itself if NULL): as fs_table_add, and -3 with errno where it
 * cannot be looked at.
 */
static int
fs_position(struct walker *w, dev_t dev, int dirfd, const char *name, struct err *e)
{
	int pos = fs_table_find(w->fs, dev), fd = dirfd;

	if (pos >= 0)
		return pos;
	if (name != NULL && (fd = io->open(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0)) == -1)
		return -3;
	pos = fs_table_add(w->fs, dev, fd, w->stack.path, w->stack.path_len, e);
	if (name != NULL)
		(void)io->close(fd);
	return pos;
}

static enum path_claim
claim_of(const struct walker *w, const struct frame *f, const char *name, size_t len)
{
	if (f->range.from == f->range.to)
		return CLAIM_NONE;
	return path_list_claim(&w->paths, f->range, f->path_len, name, len);
}

/* What is walked in the place of the directory whose name stands in the stack's path, or NULL. */
static const struct walk_instead *
instead_of(const struct walker *w)
{
	for (size_t i = 0; i < w->opt.ninstead; i++)
		if (strcmp(w->opt.instead[i].path, w->stack.path) == 0)
			return &w->opt.instead[i];
	return NULL;
}

/*
 * An empty directory that stands where the original has a subvolume of its own:
 * a snapshot does not reach into it, so the original is walked there.
 */
static bool
is_left_out(const struct walker *w, int pos, const struct stat *st)
{
	return w->opt.ninstead > 0 && pos >= 0 && S_ISDIR(st->st_mode) && st->st_ino == EMPTY_SUBVOLUME &&
	    strcmp(fs_table_row(w->fs, (size_t)pos)->type, "btrfs") == 0;
}

/* Whether ${st} is ${never}, or stands for it in a snapshot: on another device, with the same number. */
static bool
is_never(const struct walker *w, const struct walk_never *never, const struct stat *st)
{
	if (never->ino != st->st_ino)
		return false;
	if (never->dev == st->st_dev)
		return true;
	for (size_t i = 0; i < w->opt.ninstead; i++)
		if (w->opt.instead[i].path_dev == never->dev && w->real_dev[i] == st->st_dev)
			return true;
	return false;
}

/*
 * What becomes of a directory in ${f}: its mark.  ${pos} is its file system's
 * position, ${mark} what is known already.
 */
static uint8_t
decide(const struct walker *w, const struct frame *f, const struct stat *st, int pos,
    enum path_claim claim, uint8_t mark)
{
	const struct fs_row *row = fs_table_row(w->fs, (size_t)pos);
	enum walk_reason reason = 0;

	for (size_t i = 0; i < w->opt.nnever; i++)
		if (is_never(w, &w->opt.never[i], st))
			return MARK_DIR | MARK_REASON(SKIP_NEVER);
	if (w->opt.never_more != NULL && w->opt.never_more(w->opt.never_arg, st->st_dev, st->st_ino))
		return MARK_DIR | MARK_REASON(SKIP_NEVER);
	if (claim == CLAIM_EXACT)
		return MARK_DIR;
	if (f->above)
		return MARK_DIR | MARK_ABOVE;
	if (st->st_dev != f->dev && (row->pseudo || row->memory))
		reason = SKIP_PSEUDO;
	else if (st->st_dev != f->dev && row->network && !w->opt.network_file_systems)
		reason = SKIP_NETWORK;
	else if (w->opt.one_file_system && st->st_dev != f->root_dev)
		reason = SKIP_OTHER;
	if (claim == CLAIM_ABOVE && (reason != 0 || (mark & MARK_ABOVE) != 0))
		return MARK_DIR | MARK_ABOVE;
	return (uint8_t)(MARK_DIR | MARK_REASON(reason));
}

static bool
is_cache(int dirfd)
{
	char got[sizeof(cache_signature) - 1];
	struct stat st;
	bool yes;
	int fd = io->open(dirfd, cache_tag, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, 0);

	if (fd == -1)
		return false;
	yes = io->fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    io_read_full(fd, got, sizeof(got), 0) == (ssize_t)sizeof(got) &&
	    memcmp(got, cache_signature, sizeof(got)) == 0;
	(void)io->close(fd);
	return yes;
}

/* True if a pattern excludes name ${i} of the block of ${f}. */
static bool
is_excluded(struct walker *w, const struct frame *f, size_t i, int fd)
{
	uint8_t type = *block_mark(&w->block, i);
	size_t top = f->root_len == 1 ? 1 : f->root_len + 1;
	struct stat st;
	bool is_dir = type == DT_DIR;

	if (type == DT_UNKNOWN)
		is_dir = io->fstatat(fd, block_text(&w->block, i), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISDIR(st.st_mode);
	stack_join(&w->stack, f->path_len, block_text(&w->block, i), block_text_len(&w->block, i));
	return exclude_match(w->opt.exclude, w->stack.path + top, w->stack.path_len - top, is_dir);
}

/* Drop from the block what is excluded, but for what leads to a PATH. */
static void
block_filter(struct walker *w, const struct frame *f)
{
	int fd = walk_dir_fd(f->dir);
	bool cache = w->opt.exclude_caches && is_cache(fd);
	bool patterns = w->opt.exclude != NULL && exclude_any(w->opt.exclude);
	size_t kept = 0;

	for (size_t i = 0; i < w->block.n; i++) {
		const char *name = block_text(&w->block, i);
		bool out = (cache && strcmp(name, cache_tag) != 0) || (patterns && is_excluded(w, f, i, fd));
		uint8_t mark = 0;

		if (out) {
			enum path_claim claim = claim_of(w, f, name, block_text_len(&w->block, i));

			if (claim == CLAIM_NONE)
				continue;
			mark = claim == CLAIM_ABOVE ? MARK_ABOVE : 0;
		}
		*block_mark(&w->block, i) = mark;
		w->block.name[kept++] = w->block.name[i];
	}
	w->block.n = kept;
}

/* The names of the deepest directory.  0, or -1 with errno. */
static int
block_fill(struct walker *w, const struct frame *f)
{
	const char *name;
	size_t at = f->range.from, len;

	block_reset(&w->block);
	w->window.from = w->window.to = 0;
	if (!f->above) {
		if (block_read(&w->block, walk_dir_fd(f->dir)) != 0)
			return -1;
		block_filter(w, f);
	} else {
		while (path_list_step(&w->paths, f->range, f->path_len, &at, &name, &len))
			if (block_add(&w->block, name, len, 0, 0) != 0)
				return -1;
	}
	block_sort(&w->block);
	return 0;
}

static uint64_t
small_bytes(struct walker *w, const struct frame *f)
{
	uint64_t sum = 0, enough = w->opt.small_enough != 0 ? w->opt.small_enough : UINT64_MAX;

	if (w->opt.small_max == 0)
		return 0;
	for (size_t i = 0; i < w->block.n && sum < enough; i++) {
		const struct stat_slot *s = window_slot(&w->window, &w->block, i, walk_dir_fd(f->dir));

		if (s->sys == 0 && S_ISREG(s->st.st_mode) && (uint64_t)s->st.st_size < w->opt.small_max)
			sum += (uint64_t)s->st.st_size;
	}
	return sum;
}

/*
 * Enter the open directory ${fd}, whose name stands in the stack's path.
 * ${from} is the frame above it (NULL at the root).
 */
static int
enter(struct walker *w, struct walk_item *item, int fd, const struct stat *st, bool above,
    enum path_claim claim, struct err *e)
{
	const struct frame *from = stack_top(&w->stack);
	size_t root_len = from != NULL ? from->root_len : 1;
	dev_t root_dev = from != NULL ? from->root_dev : st->st_dev;
	bool below = from == NULL || from->range.from != from->range.to;
	struct frame *f = stack_push(&w->stack, fd, st, w->stack.path_len);

	if (f == NULL)
		return err_errno(e, "walk");
	f->above = above;
	f->root_len = claim == CLAIM_EXACT ? f->path_len : root_len;
	f->root_dev = claim == CLAIM_EXACT ? f->dev : root_dev;
	if (below)
		f->range = path_list_below(&w->paths, w->stack.path, f->path_len);
	if (block_fill(w, f) != 0) {
		int sys = errno;

		w->stack.path_len = f->path_len;
		w->stack.path[f->path_len] = '\0';
		if (stack_pop(&w->stack) != 0)	/* then the rest of that one is lost too */
			w->late = view_of(w->stack.path, stack_top(&w->stack)->path_len);
		return item_error(w, item, sys, "read the directory", e);
	}
	w->at = 0;
	w->showing = true;
	item->kind = WALK_DIR;
	item->dir = f->dir;
	item->path = walk_dir_path(f->dir);
	item->above = above;
	item->small_bytes = small_bytes(w, f);
	return 1;
}

static int
enter_root(struct walker *w, struct walk_item *item, struct err *e)
{
	bool exact = w->paths.sorted[0]->len == 1;
	const struct walk_instead *instead;
	struct stat st;
	int fd;

	w->begun = true;
	memcpy(w->stack.path, "/", 2);
	w->stack.path_len = 1;
	instead = instead_of(w);
	fd = io->open(AT_FDCWD, instead != NULL ? instead->real : "/", exact ? w->open_flags : O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd == -1)
		return item_error(w, item, errno, "open the directory", e);
	if (io->fstat(fd, &st) != 0) {
		int sys = errno;

		(void)io->close(fd);
		return item_error(w, item, sys, "open the directory", e);
	}
	if (fs_position(w, st.st_dev, fd, NULL, e) < 0) {
		(void)io->close(fd);
		return -1;
	}
	return enter(w, item, fd, &st, !exact, exact ? CLAIM_EXACT : CLAIM_ABOVE, e);
}

/* What only opening or asking again tells: link target, attributes. */
static int
entry_complete(struct walker *w, struct walk_item *item, int dirfd, const char *name,
    const struct walk_instead *instead, struct err *e)
{
	struct entry *en = &item->entry;
	int fd = -1, rc;

	if (en->type == ENTRY_SYMLINK) {
		ssize_t n = io->readlinkat(dirfd, name, w->target, sizeof(w->target));

		if (n <= 0 || (size_t)n >= sizeof(w->target))
			return item_error(w, item, n < 0 ? errno : ENAMETOOLONG, "read the symlink", e);
		en->target = view_of(w->target, (size_t)n);
	}
	if (en->type != ENTRY_FILE || w->opt.file_xattrs) {
		err_clear(&w->error);
		if (instead != NULL)
			fd = io->open(AT_FDCWD, instead->real, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
		rc = meta_xattrs_read(fd, dirfd, name, &w->xattrs, &w->error);
		if (fd != -1)
			(void)io->close(fd);
		if (rc != 0) {
			if (is_shortage(w->error.sys))
				return err_errno(e, "walk");
			w->late = view_of(w->stack.path, w->stack.path_len);
		}
		en->xattrs = xattr_rows_view(&w->xattrs);
	}
	return 1;
}

static int
entry_next(struct walker *w, struct walk_item *item, struct err *e)
{
	const struct frame *f = stack_top(&w->stack);
	size_t i = w->at++, len = block_text_len(&w->block, i);
	const char *name = block_text(&w->block, i);
	int dirfd = walk_dir_fd(f->dir), pos;
	const struct stat_slot *s = window_slot(&w->window, &w->block, i, dirfd);
	struct entry *en = &item->entry;
	const struct walk_instead *instead = NULL;
	struct stat_slot other;

	stack_join(&w->stack, f->path_len, name, len);
	if (s->sys == 0 && S_ISDIR(s->st.st_mode) && (instead = instead_of(w)) != NULL) {
		other.sys = io->fstatat(AT_FDCWD, instead->real, &other.st, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : errno;
		s = &other;
	}
	if (s->sys != 0)
		return item_error(w, item, s->sys, "look at", e);
	if (meta_from_stat(&s->st, en) != 0)
		return item_skipped(w, item, S_ISSOCK(s->st.st_mode) ? SKIP_SOCKET : SKIP_TYPE);
	pos = fs_position(w, s->st.st_dev, dirfd, instead != NULL ? instead->real : name, e);
	if (is_left_out(w, pos, &s->st) && io->fstatat(AT_FDCWD, w->stack.path, &other.st, AT_SYMLINK_NOFOLLOW) == 0) {
		other.sys = 0;
		s = &other;
		if (meta_from_stat(&s->st, en) == 0)
			pos = fs_position(w, s->st.st_dev, AT_FDCWD, w->stack.path, e);
	}
	if (pos == -1)
		return -1;
	if (pos < 0)
		return pos == -3 ? item_error(w, item, errno, "look at", e) : item_skipped(w, item, SKIP_TABLE);
	item->kind = WALK_ENTRY;
	item->dir = f->dir;
	item->path = walk_dir_path(f->dir);
	item->dev = s->st.st_dev;
	item->occupied = (uint64_t)s->st.st_blocks * 512;
	en->fs = (uint16_t)pos;
	en->name = view_of(name, len);
	en->user = owner_user(w->opt.owners, en->uid);
	en->group = owner_group(w->opt.owners, en->gid);
	if (en->type == ENTRY_DIR) {
		uint8_t *mark = block_mark(&w->block, i);

		*mark = decide(w, f, &s->st, pos, claim_of(w, f, name, len), *mark);
		if ((*mark & MARK_ABOVE) != 0)
			en->flags |= ENTRY_ABOVE;
	} else
		*block_mark(&w->block, i) = 0;
	return entry_complete(w, item, dirfd, name, instead, e);
}

/* Open a subdirectory of ${f} for reading, or as a place to look below only. */
static int
subdir_open(const struct walker *w, const struct frame *f, const char *name, bool above)
{
	const struct walk_instead *instead = instead_of(w);
	int dirfd = instead == NULL ? walk_dir_fd(f->dir) : AT_FDCWD, fd;

	if (instead != NULL)
		name = instead->real;
	if (above)
		return io->open(dirfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
	fd = io->open(dirfd, name, w->open_flags, 0);
	if (fd == -1 && errno == EPERM)		/* O_NOATIME is for owners */
		fd = io->open(dirfd, name, w->open_flags & ~O_NOATIME, 0);
	return fd;
}

static int
descend(struct walker *w, struct walk_item *item, struct err *e)
{
	struct frame *f = stack_top(&w->stack);
	enum path_claim claim;
	struct stat st;
	const char *name;
	uint8_t mark;
	size_t len;
	int fd, pos, sys;

	if ((name = stack_next(f, &len, &mark)) == NULL) {
		if (stack_pop(&w->stack) == 0)
			return 0;
		sys = errno;
		w->stack.path_len = stack_top(&w->stack)->path_len;
		return item_error(w, item, sys, "go back to the directory", e);
	}
	stack_join(&w->stack, f->path_len, name, len);
	if (REASON_OF(mark) != 0)
		return item_skipped(w, item, REASON_OF(mark));
	if (w->stack.path_len > PATH_LEN_MAX)
		return item_error(w, item, ENAMETOOLONG, "open the directory", e);
	if ((fd = subdir_open(w, f, name, (mark & MARK_ABOVE) != 0)) == -1)
		return item_error(w, item, errno, "open the directory", e);
	if (io->fstat(fd, &st) != 0) {
		sys = errno;
		(void)io->close(fd);
		return item_error(w, item, sys, "open the directory", e);
	}
	/* It may be another one than was shown: decide again, by what is open. */
	claim = claim_of(w, f, name, len);
	pos = fs_position(w, st.st_dev, fd, NULL, e);
	if (is_left_out(w, pos, &st)) {
		(void)io->close(fd);
		if ((fd = io->open(AT_FDCWD, w->stack.path, w->open_flags, 0)) == -1)
			return item_error(w, item, errno, "open the directory", e);
		if (io->fstat(fd, &st) != 0) {
			sys = errno;
			(void)io->close(fd);
			return item_error(w, item, sys, "open the directory", e);
		}
		pos = fs_position(w, st.st_dev, fd, NULL, e);
	}
	if (pos >= 0)
		mark = decide(w, f, &st, pos, claim, mark);
	if (pos < 0 || REASON_OF(mark) != 0) {
		(void)io->close(fd);
		return pos == -1 ? -1 : item_skipped(w, item, pos < 0 ? SKIP_TABLE : REASON_OF(mark));
	}
	return enter(w, item, fd, &st, (mark & MARK_ABOVE) != 0, claim, e);
}

int
walker_next(struct walker *w, struct walk_item *item, struct err *e)
{
	int rc = 0;

	memset(item, 0, sizeof(*item));
	if (w->late.len > 0) {
		item->kind = WALK_ERROR;
		item->path = w->late;
		item->err = &w->error;
		w->late.len = 0;
		return 1;
	}
	if (!w->begun)
		return enter_root(w, item, e);
	while (rc == 0 && w->stack.n > 0) {
		if (w->showing && w->at < w->block.n)
			rc = entry_next(w, item, e);
		else if (w->showing) {
			w->showing = false;
			if (stack_keep(stack_top(&w->stack), &w->block, MARK_DIR) != 0)
				rc = err_errno(e, "walk");
		} else
			rc = descend(w, item, e);
	}
	return rc;
}
