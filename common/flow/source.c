#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/disk/image_dir.h"
#include "common/disk/mount.h"
#include "common/flow/chunk_ahead.h"
#include "common/flow/chunk_fetch.h"
#include "common/flow/pack_cache.h"
#include "common/flow/source_job.h"

#define CONTAINERS_MAX	4096u
#define CACHE_SLOTS_MIN	2u
#define CACHE_SLOTS_MAX	12u
#define LINE_READERS	4u	/* requests over the line at once */

struct source *
source_new(const struct source_options *o, struct err *e)
{
	struct source *s = calloc(1, sizeof(*s));
	unsigned slots = (unsigned)(o->memory / 3 / PACK_LEN_MAX);

	if (s == NULL)
		goto fail;
	s->opt = *o;
	pthread_mutex_init(&s->bad_lock, NULL);
	slots = slots < CACHE_SLOTS_MIN ? CACHE_SLOTS_MIN : slots > CACHE_SLOTS_MAX ? CACHE_SLOTS_MAX : slots;
	s->map = chunk_map_new(o->memory / 3);
	s->cache = pack_cache_new(slots, source_load_pack, s);
	if (s->map == NULL || s->cache == NULL)
		goto fail;
	return s;
fail:
	(void)err_set(e, ERR_MEMORY, "no memory to read packs");
	source_free(s);
	return NULL;
}

void
source_free(struct source *s)
{
	if (s == NULL)
		return;
	ahead_free(s->ahead);
	fetch_free(s->fetch);
	for (size_t i = 0; i < s->ncontainers; i++)
		container_free(s->container[i]);
	for (size_t i = 0; i < s->nmounts; i++)
		(void)disk_mount_close(&s->mount[i], NULL);
	free(s->mount);
	free(s->container);
	free(s->read_bytes);
	free(s->pack);
	chunk_map_free(s->map);
	pack_cache_free(s->cache);
	pthread_mutex_destroy(&s->bad_lock);
	free(s);
}

void
source_bad(struct source *s, const char *where, const uint8_t *id, const struct err *why)
{
	if (s->opt.bad == NULL)
		return;
	pthread_mutex_lock(&s->bad_lock);
	s->opt.bad(s->opt.bad_arg, where, id, why);
	pthread_mutex_unlock(&s->bad_lock);
}

static int
container_add(struct source *s, struct container *c, struct err *e)
{
	size_t n = s->ncontainers + 1;
	struct container **more = realloc(s->container, n * sizeof(struct container *));
	uint64_t *bytes;

	if (more != NULL)
		s->container = more;
	bytes = realloc(s->read_bytes, n * sizeof(*bytes));
	if (bytes != NULL)
		s->read_bytes = bytes;
	if (more == NULL || bytes == NULL || n > CONTAINERS_MAX) {
		container_free(c);
		return err_set(e, ERR_MEMORY, "too many disks and vaults");
	}
	s->container[s->ncontainers] = c;
	s->read_bytes[s->ncontainers++] = 0;
	return 0;
}

/* All images of the key domain on the disk ${fd}. */
static int
disk_add(struct source *s, int fd, const char *path, struct err *e)
{
	size_t n, added = 0;
	char **names;
	struct err own;
	int rc = 0;

	if (image_list(fd, &names, &n, e) != 0)
		return -1;
	err_clear(&own);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct container *c = container_disk(fd, path, names[i], &own);

		if (c == NULL) {
			source_bad(s, path, NULL, &own);
			continue;
		}
		if (s->opt.keys != NULL &&
		    memcmp(container_label(c)->domain_id, s->opt.keys->domain_id, DIGEST_LEN) != 0) {
			(void)err_set(&own, ERR_WRONG_DISK, "%s belongs to machine %s, which has another key",
			    c->name, container_label(c)->machine_name);
			container_free(c);
			continue;
		}
		rc = container_add(s, c, e);
		added++;
	}
	dir_list_free(names, n);
	if (rc == 0 && added == 0) {
		if (e != NULL)
			*e = own;
		rc = -1;
	}
	return rc;
}

int
source_add_dir(struct source *s, const char *path, const char *name, const uint8_t *machine, struct err *e)
{
	struct container *c;
	struct stat st;
	int fd, rc;

	if ((fd = dir_open(AT_FDCWD, path, e)) == -1)
		return -1;
	if (io->fstatat(fd, IMAGE_TOP, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		rc = disk_add(s, fd, name, e);
		(void)io->close(fd);
		return rc;
	}
	(void)io->close(fd);
	if ((c = container_vault(path, machine, e)) == NULL) {
		if (e != NULL && e->code == ERR_NO_VAULT)
			(void)err_set(e, ERR_NO_IMAGE, "%s is neither a disk with images on it nor a vault", name);
		return -1;
	}
	container_vault_hold(c, path);
	return container_add(s, c, e);
}

int
source_add(struct source *s, const char *path, const uint8_t *machine, struct err *e)
{
	struct disk_mount *more = realloc(s->mount, (s->nmounts + 1) * sizeof(*more)), *m;

	if (more == NULL)
		return err_set(e, ERR_MEMORY, "no memory for %s", path);
	s->mount = more;
	m = &s->mount[s->nmounts];
	if (disk_mount_open(path, 0, NULL, m, e) != 0)
		return -1;
	if (m->device[0] != '\0')	/* stays mounted until source_free */
		s->nmounts++;
	else
		(void)disk_mount_close(m, NULL);
	return source_add_dir(s, m->path, path, machine, e);
}

int
source_add_container(struct source *s, struct container *c, struct err *e)
{
	if (c->is_line && s->line != NULL) {
		container_free(c);
		return err_set(e, ERR_USAGE, "there is one line: name it once");
	}
	if (container_add(s, c, e) != 0)
		return -1;
	if (c->is_line) {
		s->line = c;
		s->line_at = s->ncontainers - 1;
	}
	return 0;
}

struct container *
source_line(const struct source *s)
{
	return s->line;
}

struct found {
	struct source *s;
	size_t container;
};

static int
pack_found(void *arg, const struct pack_place *p, const struct pack_view *v, struct err *e)
{
	struct found *f = arg;
	struct source *s = f->s;
	uint64_t off = PACK_HEAD_LEN;
	struct pack_row row;

	if (s->npacks == s->packs_cap) {
		size_t cap = s->packs_cap * 2 + 256;
		struct source_pack *more = realloc(s->pack, cap * sizeof(*more));

		if (more == NULL)
			return err_set(e, ERR_MEMORY, "no memory for a list of packs");
		s->pack = more;
		s->packs_cap = cap;
	}
	s->pack[s->npacks] = (struct source_pack){ .place = *p };
	s->pack[s->npacks].place.container = (uint32_t)f->container;
	for (uint32_t i = 0; i < v->table.count; i++) {
		pack_table_row(&v->table, i, &row);
		if (chunk_map_add(s->map, row.id, (uint32_t)s->npacks, (uint32_t)off, row.len, row.kind, e) != 0)
			return -1;
		off += row.len;
	}
	s->npacks++;
	s->container[f->container]->packs++;
	s->container[f->container]->bytes += p->len;
	return 0;
}

static void
table_bad(void *arg, const char *where, const struct err *why)
{
	struct found *f = arg;
	struct err own = *why;

	(void)err_during(&own, "%s", f->s->container[f->container]->name);
	source_bad(f->s, where, NULL, &own);
}

/* What reading over the line is done with. */
static int
places_of_line(void *arg, const uint8_t *ids, size_t n, struct line_place *out, struct err *e)
{
	return container_places(arg, ids, n, out, e);
}

static int
read_of_line(void *arg, const uint8_t pack_id[DIGEST_LEN], uint32_t copy, uint64_t off, void *out, size_t len, struct err *e)
{
	struct container *c = arg;
	struct pack_place p = { .number = copy };

	memcpy(p.id, pack_id, DIGEST_LEN);
	return c->ops->read(c, &p, off, out, len, e);
}

static int
line_start(struct source *s, struct err *e)
{
	const struct fetch_ops ops = { places_of_line, read_of_line, s->line };

	if (s->line == NULL || s->fetch != NULL)
		return 0;
	if ((s->fetch = fetch_new(&ops, s->opt.memory / 3, LINE_READERS, e)) == NULL)
		return -1;
	return (s->ahead = ahead_new(s->fetch)) != NULL ? 0 : err_set(e, ERR_MEMORY, "no memory to read ahead");
}

int
source_index(struct source *s, struct err *e)
{
	/* Copies are tried in the order of their packs: disks first. */
	for (int disks = 1; disks >= 0; disks--) {
		for (size_t i = 0; i < s->ncontainers; i++) {
			struct found f = { s, i };
			struct container *c = s->container[i];

			if (c->is_disk != disks)
				continue;
			if (c->ops->packs(c, s->opt.keys != NULL ? s->opt.keys->domain_id : NULL, pack_found, &f, table_bad, &f,
			    e) != 0)
				return err_during(e, "%s", c->name);
		}
	}
	chunk_map_sort(s->map);
	return line_start(s, e);
}

size_t
source_containers(const struct source *s)
{
	return s->ncontainers;
}

struct container *
source_container(const struct source *s, size_t i)
{
	return s->container[i];
}

const struct domain_keys *
source_keys(const struct source *s)
{
	return s->opt.keys;
}

uint64_t
source_read_bytes(const struct source *s, size_t i)
{
	if (s->fetch != NULL && i == s->line_at)
		return fetch_bytes(s->fetch);
	return __atomic_load_n(&s->read_bytes[i], __ATOMIC_RELAXED);
}

void
source_line_used(const struct source *s, uint64_t *bytes, int64_t *ns)
{
	*bytes = s->fetch != NULL ? fetch_bytes(s->fetch) : 0;
	*ns = s->fetch != NULL ? fetch_busy_ns(s->fetch) : 0;
}

int
source_places(const struct source *s, const uint8_t *ids, size_t n, uint32_t *len, struct err *e)
{
	struct line_place *p;
	int rc;

	memset(len, 0, n * sizeof(*len));
	if (s->line == NULL || n == 0)
		return 0;
	if ((p = calloc(n, sizeof(*p))) == NULL)
		return err_set(e, ERR_MEMORY, "no memory to ask where chunks are");
	rc = container_places(s->line, ids, n, p, e);
	for (size_t i = 0; rc == 0 && i < n; i++)
		len[i] = p[i].len;
	if (rc == 0 && s->fetch != NULL)
		fetch_know(s->fetch, ids, n, p);
	free(p);
	return rc;
}

int
source_has(const struct source *s, const uint8_t id[DIGEST_LEN], uint32_t *len, size_t *from)
{
	size_t n;
	const struct chunk_at *at = chunk_map_find(s->map, id, &n);

	if (at == NULL)
		return 0;
	if (len != NULL)
		*len = at->len;
	if (from != NULL)
		*from = s->pack[at->pack].place.container;
	return 1;
}

uint64_t
source_place(const struct source *s, const uint8_t id[DIGEST_LEN], uint32_t *len)
{
	size_t n;
	const struct chunk_at *at = chunk_map_find(s->map, id, &n);

	if (at == NULL)
		return UINT64_MAX;
	*len = at->len;
	return (uint64_t)at->pack << 32 | at->off;
}

void
source_mark(struct source *s, const uint8_t id[DIGEST_LEN], enum source_mark mark)
{
	size_t n;
	const struct chunk_at *at = chunk_map_find(s->map, id, &n);

	if (at != NULL)
		chunk_map_mark(s->map, at, (uint8_t)mark);
}

int
source_stands(const struct source *s, const uint8_t id[DIGEST_LEN], struct source_standing *out)
{
	size_t n;
	const struct chunk_at *at = chunk_map_find(s->map, id, &n);

	if (at == NULL)
		return 0;
	*out = (struct source_standing){ .len = at->len, .kind = at->kind, .container = s->pack[at->pack].place.container,
	    .place = (uint64_t)at->pack << 32 | at->off, .marks = chunk_map_marked(at) };
	for (size_t i = 0; i < n; i++) {
		const struct container *c = s->container[s->pack[at[i].pack].place.container];

		out->stays |= !c->is_disk || c->is_kept;
	}
	return 1;
}

void
source_want(struct source *s, const uint8_t id[DIGEST_LEN])
{
	size_t n;
	const struct chunk_at *at = chunk_map_find(s->map, id, &n);

	if (at != NULL)
		__atomic_add_fetch(&s->pack[at->pack].wanted, at->len, __ATOMIC_RELAXED);
	else if (s->fetch != NULL)
		fetch_want(s->fetch, id);
}

void
source_unwant(struct source *s, const uint8_t id[DIGEST_LEN])
{
	size_t n;
	const struct chunk_at *at = chunk_map_find(s->map, id, &n);
	uint32_t was;

	if (at == NULL && s->fetch != NULL)
		fetch_unwant(s->fetch, id);
	if (at == NULL)
		return;
	was = __atomic_load_n(&s->pack[at->pack].wanted, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&s->pack[at->pack].wanted, &was, was > at->len ? was - at->len : 0, 1,
	    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}
