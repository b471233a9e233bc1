#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/flow/build_engine.h"
#include "common/flow/build_run.h"
#include "common/pack/listing_write.h"

#define SLAB_BLOCK	(64u << 10)

struct slab_block {
	struct slab_block *next;
	size_t used, cap;
	_Alignas(8) uint8_t bytes[];
};

void *
slab_get(struct slab *s, size_t n)
{
	struct slab_block *b = s->blocks;
	size_t cap;

	n = (n + 7) & ~(size_t)7;
	if (b == NULL || b->cap - b->used < n) {
		cap = n > SLAB_BLOCK ? n : SLAB_BLOCK;
		if ((b = malloc(sizeof(*b) + cap)) == NULL)
			return NULL;
		b->used = 0;
		b->cap = cap;
		/* A block of its own for something large does not end the one in use. */
		if (n > SLAB_BLOCK && s->blocks != NULL) {
			b->next = s->blocks->next;
			s->blocks->next = b;
		} else {
			b->next = s->blocks;
			s->blocks = b;
		}
	}
	b->used += n;
	return b->bytes + b->used - n;
}

bool
slab_view(struct slab *s, struct fmt_view *v)
{
	uint8_t *p;

	if (v->len == 0)
		return true;
	if ((p = slab_get(s, v->len)) == NULL)
		return false;
	memcpy(p, v->p, v->len);
	v->p = p;
	return true;
}

void
slab_free(struct slab *s)
{
	struct slab_block *b;

	while ((b = s->blocks) != NULL) {
		s->blocks = b->next;
		free(b);
	}
}

void
engine_fail(struct engine *g, const struct err *e)
{
	pthread_mutex_lock(&g->lock);
	if (!g->failed) {
		g->failed = true;
		g->err = *e;
	}
	engine_tick_all(g);
	pthread_mutex_unlock(&g->lock);
}

/* A directory and a name in it, fit for a terminal. */
static void
path_text(char *out, size_t cap, struct fmt_view dir, struct fmt_view name)
{
	char a[2048], b[1024];

	text_safe(a, sizeof(a), dir.p, dir.len);
	text_safe(b, sizeof(b), name.p, name.len);
	if (name.len == 0)
		snprintf(out, cap, "%s", a);
	else
		snprintf(out, cap, "%s%s%s", a, dir.len > 1 ? "/" : "", b);
}

int
engine_news(struct engine *g, const struct piece *p, struct err *e)
{
	struct build_news *n = g->news;
	char path[4 * 1024];
	size_t at = BUILD_NEWS;

	if (n == NULL)
		return 0;
	while (at > 0 && (n->at[at - 1].path == NULL || n->at[at - 1].size < p->en.size))
		at--;
	if (at == BUILD_NEWS)
		return 0;
	free(n->at[BUILD_NEWS - 1].path);
	memmove(&n->at[at + 1], &n->at[at], (BUILD_NEWS - 1 - at) * sizeof(n->at[0]));
	path_text(path, sizeof(path), p->path, p->en.name);
	n->at[at].size = p->en.size;
	return (n->at[at].path = strdup(path)) == NULL ? err_errno(e, "what is new") : 0;
}

void
engine_warn(struct engine *g, struct fmt_view dir, struct fmt_view name, const char *fmt, ...)
{
	char path[4 * 1024], what[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	path_text(path, sizeof(path), dir, name);
	say_warn("%s: %s", path, what);
	pthread_mutex_lock(&g->lock);
	g->res->warnings++;
	pthread_mutex_unlock(&g->lock);
	if (g->job != NULL)
		job_warn(g->job, "%s: %s", path, what);
}

void
unit_free(struct unit *u)
{
	struct stretch *s;

	for (unsigned i = 0; i < u->ndirs; i++)
		walk_dir_release(u->dirs[i]);
	if (u->big != NULL) {
		while ((s = u->big->head) != NULL) {
			u->big->head = s->next;
			free(s->extents);
			free(s);
		}
		if (u->big->fd != -1)
			io->close(u->big->fd);
		free(u->big->carry);
		free(u->big->extents.p);
		spill_writer_free(u->big->spill);
		free(u->big);
	}
	slab_free(&u->slab);
	free(u);
}
