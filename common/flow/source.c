#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/secret.h"
#include "common/disk/image_dir.h"
#include "common/disk/mount.h"
#include "common/flow/chunk_ahead.h"
#include "common/flow/chunk_fetch.h"
#include "common/flow/pack_cache.h"
#include "common/flow/source.h"
#include "common/pack/chunk_open.h"

#define CONTAINERS_MAX	4096u
#define CACHE_SLOTS_MIN	2u
#define CACHE_SLOTS_MAX	12u
#define MARK_BAD	1u	/* this copy was told of */
#define LINE_READERS	4u	/* requests over the line at once */
#define WHOLE_SHARE	4u	/* a pack is read whole where a quarter of it is wanted */

struct source_pack {
	struct pack_place place;
	uint32_t wanted;	/* bytes of frames asked for and not yet read; atomic */
};

struct source {
	struct source_options opt;
	struct container **container;
	uint64_t *read_bytes;	/* by container; atomic */
	size_t ncontainers;
	struct disk_mount *mount;	/* of the disks that were named by their device */
	size_t nmounts;
	struct source_pack *pack;
	size_t npacks, packs_cap;
	struct chunk_map *map;
	struct pack_cache *cache;
	struct container *line;	/* among the containers; NULL: none */
	size_t line_at;
	struct fetch *fetch;	/* of the line, once it is indexed */
	struct ahead *ahead;
	pthread_mutex_t bad_lock;
};

struct source_reader {
	struct source *s;
	struct opener *opener;
	uint8_t *frame;		/* FRAME_LEN_MAX */
	uint8_t *plain;		/* CHUNK_PLAIN_MAX */
	size_t plain_len;
	uint8_t id[DIGEST_LEN];	/* what is in plain */
	unsigned kind;
	int has;
};

static int load_pack(void *arg, uint32_t pack, uint8_t *out, uint32_t len, struct err *e);

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
	s->cache = pack_cache_new(slots, load_pack, s);
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

static void
bad(struct source *s, const char *where, const uint8_t *id, const struct err *why)
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
			bad(s, path, NULL, &own);
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
	bad(f->s, where, NULL, &own);
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

/* Where the pack is, or was found. */
static struct pack_place
place_of(const struct source *s, uint32_t pack)
{
	const struct pack_place *at = &s->pack[pack].place;
	struct pack_place p = { .container = at->container, .len = at->len };

	/* Another thread may just have found it under another number: all else never changes. */
	p.number = __atomic_load_n(&at->number, __ATOMIC_ACQUIRE);
	memcpy(p.id, at->id, DIGEST_LEN);
	return p;
}

/* It is not where it should be: 1 if it was found elsewhere. */
static int
pack_moved(struct source *s, uint32_t pack)
{
	struct pack_place p = place_of(s, pack);
	const struct container_ops *ops = s->container[p.container]->ops;

	if (ops->locate == NULL || ops->locate(s->container[p.container], &p) != 0)
		return 0;
	__atomic_store_n(&s->pack[pack].place.number, p.number, __ATOMIC_RELEASE);
	return 1;
}

static int
read_range(struct source *s, uint32_t pack, uint64_t off, uint8_t *out, size_t len, struct err *e)
{
	const struct pack_place place = place_of(s, pack), *p = &place;
	struct container *c = s->container[p->container];

	if (c->ops->read(c, p, off, out, len, e) != 0) {
		if (e->code == ERR_NOT_FOUND)
			e->code = ERR_MISSING;
		return -1;
	}
	__atomic_add_fetch(&s->read_bytes[p->container], len, __ATOMIC_RELAXED);
	return 0;
}

static int
load_pack(void *arg, uint32_t pack, uint8_t *out, uint32_t len, struct err *e)
{
	return read_range(arg, pack, 0, out, len, e);
}

struct source_reader *
source_reader_new(struct source *s, struct err *e)
{
	struct source_reader *r = calloc(1, sizeof(*r));

	if (r != NULL) {
		r->s = s;
		r->opener = opener_new(s->opt.keys);
		r->frame = malloc(FRAME_LEN_MAX);
		r->plain = malloc(CHUNK_PLAIN_MAX);
	}
	if (r == NULL || r->opener == NULL || r->frame == NULL || r->plain == NULL) {
		source_reader_free(r);
		(void)err_set(e, ERR_MEMORY, "no memory to open chunks");
		return NULL;
	}
	return r;
}

void
source_reader_free(struct source_reader *r)
{
	if (r == NULL)
		return;
	if (r->opener != NULL)
		opener_free(r->opener);
	free(r->frame);
	if (r->plain != NULL && r->plain_len > 0)
		secret_wipe(r->plain, r->plain_len);
	free(r->plain);
	free(r);
}

/* Read and open the copy at ${at} by itself, into r->plain. */
static int
copy_read(struct source_reader *r, const struct chunk_at *at, const uint8_t id[DIGEST_LEN], unsigned kind, struct err *e)
{
	if (read_range(r->s, at->pack, at->off, r->frame, at->len, e) != 0)
		return -1;
	return chunk_open(r->opener, r->frame, at->len, id, kind, r->plain, CHUNK_PLAIN_MAX, &r->plain_len, e);
}

/* The same, from the whole pack where much of it is wanted. */
static int
copy_open(struct source_reader *r, const struct chunk_at *at, const uint8_t id[DIGEST_LEN], unsigned kind, struct err *e)
{
	struct source *s = r->s;
	struct source_pack *p = &s->pack[at->pack];
	const uint8_t *bytes;
	unsigned slot;
	int rc;

	if (__atomic_load_n(&p->wanted, __ATOMIC_RELAXED) <= p->place.len / WHOLE_SHARE && !pack_cache_has(s->cache, at->pack))
		return copy_read(r, at, id, kind, e);
	if (pack_cache_hold(s->cache, at->pack, p->place.len, &bytes, &slot, e) != 0) {
		err_clear(e);	/* no room for the pack, or a part of it cannot be read */
		return copy_read(r, at, id, kind, e);
	}
	rc = chunk_open(r->opener, bytes + at->off, at->len, id, kind, r->plain, CHUNK_PLAIN_MAX, &r->plain_len, e);
	pack_cache_release(s->cache, slot);
	return rc;
}

/* Tell of a bad copy, once. */
static void
copy_bad(struct source *s, const struct chunk_at *at, const uint8_t id[DIGEST_LEN], const struct err *why)
{
	const struct pack_place place = place_of(s, at->pack), *p = &place;
	char where[512], name[64];

	pthread_mutex_lock(&s->bad_lock);
	if ((chunk_map_marked(at) & MARK_BAD) != 0 || s->opt.bad == NULL) {
		pthread_mutex_unlock(&s->bad_lock);
		return;
	}
	chunk_map_mark(s->map, at, MARK_BAD);
	if (s->container[p->container]->is_disk)
		image_name_pack(name, p->number);
	else
		(void)snprintf(name, sizeof(name), "pack %02x%02x%02x%02x.%u", p->id[0], p->id[1], p->id[2], p->id[3], p->number);
	(void)snprintf(where, sizeof(where), "%s: %s", s->container[p->container]->name, name);
	s->opt.bad(s->opt.bad_arg, where, id, why);
	pthread_mutex_unlock(&s->bad_lock);
}

/* From the line, where nobody else has it; tells of a frame that is not the chunk's.  0 or -1 with ${e}. */
static int
line_get(struct source_reader *r, const uint8_t id[DIGEST_LEN], unsigned kind, size_t *len, struct err *e)
{
	struct source *s = r->s;
	struct err own;
	struct frame f;

	if (kind == KIND_LISTING || kind == KIND_INDEX || kind == KIND_SPILL)
		ahead_asked(s->ahead, id);
	err_clear(&own);
	if (fetch_get(s->fetch, id, r->frame, len, &own) != 0) {
		if (e != NULL)
			*e = own;
		return -1;
	}
	if (frame_decode(&f, r->frame, *len) == FMT_OK && memcmp(f.id, id, DIGEST_LEN) != 0)
		(void)err_set(&own, ERR_DAMAGE, "the vault gave another chunk, %02x%02x%02x%02x", f.id[0], f.id[1], f.id[2], f.id[3]);
	else if (chunk_open(r->opener, r->frame, *len, id, kind, r->plain, CHUNK_PLAIN_MAX, &r->plain_len, &own) == 0) {
		r->kind = f.kind;
		ahead_opened(s->ahead, id, r->kind, r->plain, r->plain_len);
		return 0;
	}
	bad(s, s->line->name, id, &own);
	if (e != NULL)
		*e = own;
	return -1;
}

int
source_get(void *reader, const uint8_t id[DIGEST_LEN], unsigned kind, const uint8_t **plain, size_t *len, struct err *e)
{
	struct source_reader *r = reader;
	const struct chunk_at *at;
	struct err own;
	size_t n;

	if (!r->has || memcmp(r->id, id, DIGEST_LEN) != 0 || (kind != 0 && kind != r->kind)) {
		r->has = 0;
		err_clear(&own);
		(void)err_set(&own, ERR_MISSING, "chunk %02x%02x%02x%02x… is not there", id[0], id[1], id[2], id[3]);
		at = chunk_map_find(r->s->map, id, &n);
		for (size_t i = 0; i < n && !r->has; i++) {
			if (kind != 0 && at[i].kind != kind)
				continue;
			err_clear(&own);
			r->has = copy_open(r, &at[i], id, kind, &own) == 0;
			if (!r->has && pack_moved(r->s, at[i].pack)) {
				err_clear(&own);
				r->has = copy_read(r, &at[i], id, kind, &own) == 0;
			}
			r->kind = at[i].kind;
			if (!r->has)
				copy_bad(r->s, &at[i], id, &own);
		}
		if (!r->has && r->s->fetch != NULL) {
			size_t got;

			err_clear(&own);
			r->has = line_get(r, id, kind, &got, &own) == 0;
		}
		if (!r->has) {
			if (e != NULL)
				*e = own;
			return -1;
		}
		memcpy(r->id, id, DIGEST_LEN);
	}
	*plain = r->plain;
	*len = r->plain_len;
	return 0;
}

int
source_frame(struct source_reader *r, const uint8_t id[DIGEST_LEN], const uint8_t **frame, size_t *len, struct err *e)
{
	size_t n;
	const struct chunk_at *at = chunk_map_find(r->s->map, id, &n);

	r->has = 0;
	(void)err_set(e, ERR_MISSING, "chunk %02x%02x%02x%02x… is not there", id[0], id[1], id[2], id[3]);
	for (size_t i = 0; i < n; i++) {
		err_clear(e);
		if (copy_read(r, &at[i], id, at[i].kind, e) == 0) {
			*frame = r->frame;
			*len = at[i].len;
			return 0;
		}
		copy_bad(r->s, &at[i], id, e);
	}
	if (r->s->fetch != NULL) {
		err_clear(e);
		if (line_get(r, id, 0, len, e) != 0)
			return -1;
		*frame = r->frame;
		return 0;
	}
	return -1;
}
