#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/io.h"
#include "common/walk/walk_dir.h"
#include "common/walk/walk_stack.h"
#include "common/walk/walker.h"

#define OPEN_AGAIN	(O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

int
stack_init(struct walk_stack *s)
{
	*s = (struct walk_stack){ 0 };
	s->path = calloc(1, (size_t)PATH_LEN_MAX + NAME_LEN_MAX + 3);
	return s->path != NULL ? 0 : -1;
}

void
stack_release(struct walk_stack *s)
{
	while (s->n > 0) {
		struct frame *f = &s->frame[--s->n];

		walk_dir_release(f->dir);
		free(f->subdirs);
	}
	free(s->frame);
	free(s->path);
	*s = (struct walk_stack){ 0 };
}

void
stack_join(struct walk_stack *s, size_t dir_len, const char *name, size_t len)
{
	if (dir_len > 1)
		s->path[dir_len++] = '/';
	memcpy(s->path + dir_len, name, len);
	s->path_len = dir_len + len;
	s->path[s->path_len] = '\0';
}

struct frame *
stack_push(struct walk_stack *s, int fd, const struct stat *st, size_t path_len)
{
	struct frame *f;

	if (s->n == s->cap) {
		size_t more = s->cap == 0 ? 64 : s->cap * 2;
		struct frame *grown = reallocarray(s->frame, more, sizeof(*grown));

		if (grown == NULL) {
			(void)io->close(fd);
			errno = ENOMEM;
			return NULL;
		}
		s->frame = grown;
		s->cap = more;
	}
	f = &s->frame[s->n];
	*f = (struct frame){ .dev = st->st_dev, .ino = st->st_ino, .path_len = path_len };
	if ((f->dir = walk_dir_new(fd, s->path, path_len)) == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	s->n++;
	if (s->lowest == 0)
		s->lowest = 1;		/* frame 0 stays open for good */
	if (s->n - s->lowest > STACK_OPEN) {
		walk_dir_release(s->frame[s->lowest].dir);
		s->frame[s->lowest++].dir = NULL;
	}
	return f;
}

int
stack_keep(struct frame *f, const struct block *b, uint8_t keep)
{
	size_t len = 0;
	uint8_t *to;

	for (size_t i = 0; i < b->n; i++)
		if ((*block_mark(b, i) & keep) == keep)
			len += block_text_len(b, i) + 3;
	if (len == 0)
		return 0;
	if ((f->subdirs = to = malloc(len)) == NULL)
		return -1;
	for (size_t i = 0; i < b->n; i++)
		if ((*block_mark(b, i) & keep) == keep) {
			size_t n = block_text_len(b, i) + 3;

			memcpy(to, b->arena + b->name[i].at, n);
			to += n;
		}
	f->end = len;
	return 0;
}

const char *
stack_next(struct frame *f, size_t *len, uint8_t *mark)
{
	const uint8_t *p = f->subdirs + f->next;

	if (f->next >= f->end)
		return NULL;
	*len = p[0];
	*mark = p[1];
	f->next += *len + 3;
	return (const char *)p + 2;
}

/* Take ${fd} as the descriptor of ${f} again if it is the same directory as before. */
static int
frame_take(const struct walk_stack *s, struct frame *f, int fd)
{
	struct stat st;

	if (fd == -1)
		return -1;
	if (io->fstat(fd, &st) != 0 || st.st_dev != f->dev || st.st_ino != f->ino) {
		(void)io->close(fd);
		errno = ESTALE;
		return -1;
	}
	f->dir = walk_dir_new(fd, s->path, f->path_len);
	return f->dir != NULL ? 0 : -1;
}

/* Open ${f} name by name from the root. */
static int
frame_walk(const struct walk_stack *s, const struct frame *f)
{
	char name[NAME_LEN_MAX + 1];
	int fd = walk_dir_fd(s->frame[0].dir), last = -1;

	for (size_t at = 1, n; at < f->path_len; at += n + 1) {
		n = strcspn(s->path + at, "/");
		if (n > f->path_len - at)
			n = f->path_len - at;
		memcpy(name, s->path + at, n);
		name[n] = '\0';
		fd = io->open(fd, name, OPEN_AGAIN, 0);
		if (last != -1)
			(void)io->close(last);
		if ((last = fd) == -1)
			break;
	}
	return last;
}

int
stack_pop(struct walk_stack *s)
{
	struct frame *f = &s->frame[--s->n], *up;
	int rc = 0;

	free(f->subdirs);
	if (s->n > 0 && (up = &s->frame[s->n - 1])->dir == NULL) {
		int fd = f->dir != NULL ? io->open(walk_dir_fd(f->dir), "..", OPEN_AGAIN & ~O_NOFOLLOW, 0) : -1;

		rc = frame_take(s, up, fd);
		if (rc != 0)
			rc = frame_take(s, up, frame_walk(s, up));
		if (rc != 0)
			up->next = up->end;
		if (s->lowest > s->n - 1)
			s->lowest = s->n - 1;
	}
	walk_dir_release(f->dir);
	return rc;
}
