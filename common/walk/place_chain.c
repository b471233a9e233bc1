#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/text.h"
#include "common/walk/beneath.h"
#include "common/walk/place_chain.h"

#define KEEP_DEEPEST	32u
#define KEEP_EVERY	256u

static struct place_dir *
dir_new(int fd, bool fresh, const struct place_options *opt)
{
	struct place_dir *d = malloc(sizeof(*d));

	if (d == NULL) {
		(void)io->close(fd);
		errno = ENOMEM;
		return NULL;
	}
	*d = (struct place_dir){ .held = 1, .fd = fd, .fresh = fresh, .opt = opt };
	return d;
}

void
place_dir_release(struct place_dir *d)
{
	if (d == NULL || __atomic_sub_fetch(&d->held, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	(void)io->close(d->fd);
	free(d);
}

/* Open a directory that is there; an ordinary user's own one may have to be unlocked first. */
static int
dir_there(const struct place_dir *d, const char *name)
{
	struct stat st;
	int fd = beneath_dir(d->fd, name);

	if (fd == -1 || d->opt->overwrite == PLACE_NEVER || geteuid() == 0)
		return fd;
	if (io->fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 0700) != 0700)
		(void)beneath_unlock(fd);
	return fd;
}

int
dir_place(const struct place_dir *d, const char *name, bool *made, struct err *e)
{
	char safe[600];
	int fd;

	(void)text_safe(safe, sizeof(safe), name, strlen(name));
	*made = false;
	for (unsigned try = 0; try < 4; try++) {
		if (!*made && io->mkdirat(d->fd, name, 0700) == 0)
			*made = true;
		else if (!*made && errno != EEXIST)
			return err_errno(e, "make the directory %s", safe);
		if ((fd = dir_there(d, name)) != -1)
			return fd;
		if (errno == ENOENT) {		/* it went away between the two steps */
			*made = false;
			continue;
		}
		if (errno != ENOTDIR && errno != ELOOP)
			return err_errno(e, "open the directory %s", safe);
		*made = false;
		if (d->opt->overwrite == PLACE_NEVER)
			break;
		if (io->unlinkat(d->fd, name, 0) != 0 && errno != ENOENT && errno != EISDIR)
			return err_errno(e, "remove %s, which is in the way of a directory", safe);
	}
	return err_set(e, ERR_NOT_EMPTY, "%s is there and is no directory", safe);
}

int
chain_init(struct chain *c, int dirfd, const struct place_options *opt, struct err *e)
{
	int fd;

	*c = (struct chain){ .opt = opt, .cap = 64 };
	c->path = calloc(1, PATH_LEN_MAX + 1);
	c->level = calloc(c->cap, sizeof(*c->level));
	if (c->path == NULL || c->level == NULL) {
		(void)err_errno(e, "open the target");
		goto fail;
	}
	/* Not beneath_open: "." is the target itself. */
	if ((fd = io->open(dirfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0)) == -1) {
		(void)err_errno(e, "open the target");
		goto fail;
	}
	if ((c->level[0].dir = dir_new(fd, opt->empty, opt)) == NULL) {
		(void)err_errno(e, "open the target");
		goto fail;
	}
	c->path[0] = '/';
	c->level[0].path_len = 1;
	c->level[0].fresh = opt->empty;
	c->n = 1;
	return 0;
fail:
	chain_release(c);
	return -1;
}

void
chain_release(struct chain *c)
{
	for (size_t i = 0; i < c->n; i++)
		place_dir_release(c->level[i].dir);
	free(c->level);
	free(c->path);
	*c = (struct chain){ 0 };
}

struct place_dir *
chain_end(const struct chain *c)
{
	return c->level[c->n - 1].dir;
}

static bool
keeps_open(const struct chain *c, size_t i)
{
	return i % KEEP_EVERY == 0 || i + KEEP_DEEPEST >= c->n;
}

/* The name of level ${i} (1 and up) in ${name}. */
static void
level_name(const struct chain *c, size_t i, char name[NAME_LEN_MAX + 1])
{
	size_t from = c->level[i - 1].path_len, len;

	from += c->path[from - 1] != '/';	/* "/" ends in the slash itself */
	len = c->level[i].path_len - from;
	memcpy(name, c->path + from, len);
	name[len] = '\0';
}

/* Drop all levels below the first ${n}, and see that the last one left is open. */
static int
chain_cut(struct chain *c, size_t n)
{
	size_t from = n - 1;
	char name[NAME_LEN_MAX + 1];

	while (c->n > n)
		place_dir_release(c->level[--c->n].dir);
	while (c->level[from].dir == NULL)
		from--;
	for (size_t i = from + 1; i < n; i++) {
		int fd;

		level_name(c, i, name);
		fd = beneath_dir(c->level[i - 1].dir->fd, name);
		if (fd == -1 || (c->level[i].dir = dir_new(fd, c->level[i].fresh, c->opt)) == NULL) {
			int sys = errno;

			c->n = i;
			errno = sys;
			return -1;
		}
		if (!keeps_open(c, i - 1)) {
			place_dir_release(c->level[i - 1].dir);
			c->level[i - 1].dir = NULL;
		}
	}
	return 0;
}

/* Go one level down, to the open directory ${fd} whose name ends at ${path_len}. */
static int
chain_push(struct chain *c, int fd, bool fresh, size_t path_len)
{
	if (c->n == c->cap) {
		struct chain_level *grown = reallocarray(c->level, c->cap * 2, sizeof(*grown));

		if (grown == NULL) {
			(void)io->close(fd);
			errno = ENOMEM;
			return -1;
		}
		c->level = grown;
		c->cap *= 2;
	}
	c->level[c->n] = (struct chain_level){ .path_len = path_len, .fresh = fresh };
	if ((c->level[c->n].dir = dir_new(fd, fresh, c->opt)) == NULL)
		return -1;
	c->n++;
	if (c->n > KEEP_DEEPEST && !keeps_open(c, c->n - 1 - KEEP_DEEPEST)) {
		struct chain_level *l = &c->level[c->n - 1 - KEEP_DEEPEST];

		place_dir_release(l->dir);
		l->dir = NULL;
	}
	return 0;
}

/* How many levels of the chain lead to ${path} as well. */
static size_t
chain_shared(const struct chain *c, struct fmt_view path)
{
	size_t own = c->level[c->n - 1].path_len, max = own < path.len ? own : path.len, same = 0, n = c->n;

	while (same < max && c->path[same] == (char)path.p[same])
		same++;
	for (; n > 1; n--) {
		size_t len = c->level[n - 1].path_len;

		if (len <= same && (len == path.len || path.p[len] == '/'))
			break;
	}
	return n;
}

int
chain_enter(struct chain *c, struct fmt_view path, bool make, struct err *e)
{
	char name[NAME_LEN_MAX + 1], safe[1024];
	size_t at, len;

	(void)text_safe(safe, sizeof(safe), path.p, path.len);
	if (!path_is_valid(path))
		return err_set(e, ERR_FORMAT, "the listing names a directory that cannot be: %s", safe);
	if (chain_cut(c, chain_shared(c, path)) != 0)
		return err_errno(e, "open the directory %s again", safe);
	at = c->level[c->n - 1].path_len;
	for (at += at > 1; at < path.len; at += len + 1) {
		const uint8_t *slash = memchr(path.p + at, '/', path.len - at);
		bool made = false;
		int fd;

		len = slash != NULL ? (size_t)(slash - (path.p + at)) : path.len - at;
		memcpy(name, path.p + at, len);
		name[len] = '\0';
		fd = make ? dir_place(chain_end(c), name, &made, e) : beneath_dir(chain_end(c)->fd, name);
		if (fd == -1 && !make)
			return err_errno(e, "open the directory %s", safe);
		if (fd == -1)
			return err_during(e, "enter %s", safe);
		memcpy(c->path, path.p, at + len);
		made |= chain_end(c)->fresh;	/* then this run made all that is in it */
		if (chain_push(c, fd, made, at + len) != 0)
			return err_errno(e, "enter %s", safe);
	}
	return 0;
}
