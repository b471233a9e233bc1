/* Taking out of disks what a restore will still need of them. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/space.h"
#include "common/base/stop.h"
#include "common/base/text.h"
#include "common/crypto/hash.h"
#include "common/crypto/random.h"
#include "common/crypto/sign.h"
#include "common/disk/image_dir.h"
#include "common/disk/image_file.h"
#include "common/flow/refs_read.h"
#include "common/flow/restore_keep.h"
#include "common/pack/pack_build.h"

#define REFS_PARTS	100u
#define REFS_PIECE	(1u << 20)

/* A chunk to keep: sorted, they are read as they lie. */
struct pick {
	uint64_t place;
	uint32_t len;
	uint32_t container;
	uint8_t id[DIGEST_LEN];
	uint16_t kind;
	uint8_t unknown;	/* nobody is known to need it */
};

struct keeping {
	struct restore_keep *k;
	const struct restore_options *o;
	const struct restore_report *r;
	struct source_reader *reader;
	struct buf picks;
	uint64_t unknown;		/* bytes of those that nobody is known to need */
	uint8_t secret[SIGN_SECRET_LEN];
	uint8_t *bytes, *out;		/* frames one behind the other; the finished pack */
	struct pack_frame *frames;
	uint32_t n, number;
	uint64_t len;
	size_t container;		/* of the frames in hand */
};

/* --- which --- */

static void
pick(struct keeping *g, const uint8_t id[DIGEST_LEN])
{
	struct source_standing s;
	struct pick p;

	if (!source_stands(g->o->source, id, &s) || s.stays)
		return;
	p = (struct pick){ .place = s.place, .len = s.len, .kind = (uint16_t)s.kind, .container = (uint32_t)s.container };
	if (s.kind == KIND_DATA || s.kind == KIND_BUNDLE) {
		if ((s.marks & SOURCE_WAITED) == 0) {
			if (g->r->unread == 0 || (s.marks & SOURCE_USED) != 0)
				return;
			p.unknown = 1;
			g->unknown += s.len;
		}
	}
	memcpy(p.id, id, DIGEST_LEN);
	buf_add(&g->picks, &p, sizeof(p));
}

/* By the first reference list of the snapshot that can be read to its end. */
static int
picks_make(struct keeping *g, struct err *e)
{
	const struct snapshot *snap = g->o->snap;
	uint8_t id[DIGEST_LEN];
	int rc = err_set(e, ERR_NOT_FOUND, "no reference list is there");

	for (size_t i = 0; rc != 0 && i < snap->places; i++) {
		struct refs_reader *r;

		err_clear(e);
		buf_reset(&g->picks);
		g->unknown = 0;
		r = refs_reader_new(source_container(g->o->source, snap->at[i].container), &snap->at[i].place, &snap->env, e);
		if (r == NULL)
			continue;
		while ((rc = refs_reader_next(r, id, e)) == 1)
			pick(g, id);
		refs_reader_free(r);
	}
	return rc != 0 ? -1 : buf_check(&g->picks, e);
}

static int
pick_order(const void *a, const void *b)
{
	const struct pick *x = a, *y = b;

	return (x->place > y->place) - (x->place < y->place);
}

/* What is free in the target beyond what is still to be restored into it. */
static uint64_t
room(const struct keeping *g)
{
	uint64_t need = g->r->all_bytes > g->r->bytes ? g->r->all_bytes - g->r->bytes : 0;
	struct space s;

	if (space_read(g->k->fd, "the target", &s, NULL) != 0)
		return 0;
	if (g->r->all_bytes == 0)
		return s.free / 2;
	return s.free > need ? s.free - need : 0;
}

/* --- packs --- */

/* The directory of the image in ${container} among what is kept: "samara/rm4k". */
static void
image_path(const struct keeping *g, size_t container, char out[64])
{
	(void)snprintf(out, 64, "%s/%s", IMAGE_TOP, container_label(source_container(g->o->source, container))->short_name);
	for (; *out != '\0'; out++)
		if (*out >= 'A' && *out <= 'Z')
			*out = (char)(*out - 'A' + 'a');
}

static int
pack_write(struct keeping *g, struct err *e)
{
	char image[64], name[IMAGE_NAME_MAX], path[128];
	struct pack_info info;
	int rc = 1;

	if (g->n == 0)
		return 0;
	image_path(g, g->container, image);
	pack_rebuild(source_keys(g->o->source)->domain_id, g->o->snap->env.machine_id, g->secret, g->frames, g->n, g->out, &info);
	for (; rc == 1; g->number++) {
		image_name_pack_dir(name, g->number);
		(void)snprintf(path, sizeof(path), "%s/%s", image, name);
		if (dir_make(g->k->fd, path, 0700, e) != 0)
			return -1;
		image_name_pack(name, g->number);
		(void)snprintf(path, sizeof(path), "%s/%s", image, name);
		rc = file_put_new(g->k->fd, path, g->out, info.len, 0600, e);
	}
	g->n = 0;
	g->len = 0;
	return rc;
}

static int
frame_keep(struct keeping *g, const struct pick *p, struct err *e)
{
	struct pack_frame *f;
	const uint8_t *bytes;
	struct err own;
	struct frame head;
	size_t len;

	err_clear(&own);
	if (source_frame(g->reader, p->id, &bytes, &len, &own) != 0)
		return 0;	/* told; it counts as missing */
	if (frame_decode(&head, bytes, len) != FMT_OK)
		return err_set(e, ERR_INTERNAL, "a chunk that was opened is none");
	if (g->n == PACK_FRAMES_MAX || g->container != p->container || pack_rebuild_len(g->n + 1, g->len + len) > PACK_LEN_MAX)
		if (pack_write(g, e) != 0)
			return -1;
	g->container = p->container;
	f = &g->frames[g->n++];
	memset(f, 0, sizeof(*f));
	memcpy(f->row.id, p->id, DIGEST_LEN);
	f->row.kind = p->kind;
	f->row.len = (uint32_t)len;
	f->row.xxh = head.xxh;
	hash_once(bytes, len, f->row.digest);
	memcpy(g->bytes + g->len, bytes, len);
	f->bytes = g->bytes + g->len;
	g->len += len;
	return stop_check(e);
}

/* --- what stands beside the packs --- */

static int
file_keep(struct keeping *g, const char *image, const char *name, const uint8_t *bytes, size_t len, struct err *e)
{
	char path[128], *slash;

	(void)snprintf(path, sizeof(path), "%s/%s", image, name);
	slash = strrchr(path, '/');
	*slash = '\0';
	if (dir_make(g->k->fd, path, 0700, e) != 0)
		return -1;
	*slash = '/';
	return file_put_new(g->k->fd, path, bytes, len, 0600, e) < 0 ? -1 : 0;
}

/* Label and newest manifest of the image in ${container}. */
static int
image_keep(struct keeping *g, size_t container, struct err *e)
{
	const struct image_dir *d = container_image(source_container(g->o->source, container));
	char image[64], name[IMAGE_NAME_MAX];
	struct manifest m;
	struct err own;
	uint8_t *bytes = NULL;
	size_t len;
	int rc = -1;

	err_clear(&own);
	image_path(g, container, image);
	for (int copy = 0; copy < 2 && rc != 0; copy++) {
		image_name_label(name, copy);
		if (image_file_read(d->fd, name, SMALL_STATEMENT_MAX, &bytes, &len, &own) != 0)
			continue;
		/* Of two copies one may be damaged; both are kept as they are. */
		rc = file_keep(g, image, name, bytes, len, e);
		free(bytes);
		if (rc != 0)
			return -1;
	}
	if (rc != 0 || image_manifest(d, &bytes, &len, &m, &own) != 0)
		return rc == 0 ? 0 : err_set(e, ERR_DAMAGE, "the label of %s cannot be read", source_container(g->o->source, container)->name);
	image_name_manifest(name, 0, m.generation);
	rc = file_keep(g, image, name, bytes, len, e);
	free(bytes);
	return rc;
}

/* The parts of the reference list at ${p}; ${whole}: each one is copied as it is. */
static int
refs_keep(struct keeping *g, struct container *c, const struct snap_place *p, const char *image, struct err *e)
{
	char name[IMAGE_NAME_MAX];
	struct err own;
	struct buf b;
	size_t got;
	int rc = 0;

	buf_init(&b);
	for (unsigned part = 0; rc == 0 && part < REFS_PARTS; part++) {
		buf_reset(&b);
		err_clear(&own);
		do {
			uint8_t *to = buf_room(&b, REFS_PIECE);

			got = 0;
			if (to == NULL || c->ops->refs(c, p, REFS_WHOLE, part, b.len, to, REFS_PIECE, &got, &own) != 0)
				break;
			buf_grew(&b, got);
		} while (got == REFS_PIECE);
		if (own.code == ERR_NOT_FOUND && part > 0)
			break;
		if (own.code != ERR_NONE) {
			if (e != NULL)
				*e = own;
			rc = -1;
		} else if ((rc = buf_check(&b, e)) == 0) {
			image_name_refs(name, 0, 0, part);
			rc = file_keep(g, image, name, b.p, b.len, e);
		}
	}
	buf_release(&b);
	return rc;
}

/* The snapshot's envelope and list, from a disk that has both; where one is kept already, none. */
static int
snapshot_keep(struct keeping *g, struct err *e)
{
	const struct snapshot *snap = g->o->snap;
	char name[IMAGE_NAME_MAX], image[64];
	uint8_t *bytes;
	size_t len;

	for (size_t i = 0; i < snap->places; i++) {
		const struct container *c = source_container(g->o->source, snap->at[i].container);

		if (c->is_kept || !c->is_disk)
			return 0;
	}
	for (size_t i = 0; i < snap->places; i++) {
		struct container *c = source_container(g->o->source, snap->at[i].container);
		const struct snap_place *p = &snap->at[i].place;
		int rc = -1;

		err_clear(e);
		image_path(g, snap->at[i].container, image);
		if (refs_keep(g, c, p, image, e) != 0)
			continue;
		for (int copy = 0; copy < 2 && rc != 0; copy++) {
			err_clear(e);
			image_name_envelope(name, copy, p->n);
			if (image_file_read(container_image(c)->fd, name, SMALL_STATEMENT_MAX, &bytes, &len, e) != 0)
				continue;
			image_name_envelope(name, 0, 0);
			rc = file_keep(g, image, name, bytes, len, e);
			free(bytes);
		}
		if (rc == 0)
			return 0;
	}
	return snap->places == 0 ? err_set(e, ERR_NOT_FOUND, "the snapshot is on no disk at hand") : -1;
}

/* --- all of it --- */

static int
keeping_begin(struct keeping *g, struct err *e)
{
	uint8_t seed[KEY_LEN], pub[SIGN_PUB_LEN];

	random_take(seed, sizeof(seed));
	sign_keys(seed, pub, g->secret);
	g->bytes = malloc(PACK_LEN_MAX);
	g->out = aligned_alloc(4096, PACK_LEN_MAX);
	g->frames = malloc(PACK_FRAMES_MAX * sizeof(*g->frames));
	if (g->bytes == NULL || g->out == NULL || g->frames == NULL)
		return err_set(e, ERR_MEMORY, "no memory to keep chunks");
	return (g->reader = source_reader_new(g->o->source, e)) != NULL ? 0 : -1;
}

static int
chunks_keep(struct keeping *g, struct err *e)
{
	struct pick *p = (struct pick *)(void *)g->picks.p;
	size_t n = g->picks.len / sizeof(*p);
	int with_unknown = g->unknown <= room(g), rc = 0;

	if (n > 1)
		qsort(p, n, sizeof(*p), pick_order);
	for (size_t i = 0; rc == 0 && i < n; i++)
		if (with_unknown || !p[i].unknown)
			rc = frame_keep(g, &p[i], e);
	return rc == 0 ? pack_write(g, e) : -1;
}

int
restore_keep_chunks(struct restore_keep *k, const struct restore_options *o, const struct restore_report *r,
    struct err *e)
{
	struct keeping g = { .k = k, .o = o, .r = r };
	int rc = 0;

	buf_init(&g.picks);
	if (keeping_begin(&g, e) != 0)
		rc = -1;
	for (size_t i = 0; rc == 0 && i < source_containers(o->source); i++) {
		const struct container *c = source_container(o->source, i);

		if (c->is_disk && !c->is_kept)
			rc = image_keep(&g, i, e);
	}
	if (rc == 0 && snapshot_keep(&g, e) == 0 && picks_make(&g, e) == 0)
		rc = chunks_keep(&g, e);
	else
		rc = -1;
	source_reader_free(g.reader);
	buf_release(&g.picks);
	free(g.bytes);
	free(g.out);
	free(g.frames);
	return rc == 0 ? 0 : err_during(e, "keep what is needed of this disk");
}
