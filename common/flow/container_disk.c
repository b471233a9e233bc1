#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/disk/image_dir.h"
#include "common/disk/image_file.h"
#include "common/flow/chunk_map.h"
#include "common/flow/container.h"
#include "formats/fmt_snapshot.h"

struct container_disk {
	struct container base;
	struct image_dir image;
	pthread_mutex_t lock;
	struct chunk_map *by_id;	/* every pack file by the id in it; made when one is not where it should be */
};

#define BY_ID_MEMORY	(64u << 20)

/* One enumeration of packs. */
struct packs_job {
	struct container_disk *d;
	const uint8_t *domain_id;
	pack_found_fn fn;
	void *arg;
	container_bad_fn bad;
	void *bad_arg;
};

static int
pack_tell(const struct packs_job *j, uint32_t number, uint32_t file_len, const struct pack_view *v, struct err *e)
{
	struct pack_place p = { .number = number, .len = file_len };

	if (j->domain_id != NULL && memcmp(v->foot.domain_id, j->domain_id, DIGEST_LEN) != 0)
		return 0;
	memcpy(p.id, v->foot.pack_id, DIGEST_LEN);
	return j->fn(j->arg, &p, v, e);
}

static void
pack_bad(const struct packs_job *j, uint32_t number, const struct err *why)
{
	char where[IMAGE_NAME_MAX];

	image_name_pack(where, number);
	j->bad(j->bad_arg, where, why);
}

/* A closed disk: its index says all. */
static int
packs_by_index(const struct packs_job *j, const struct disk_statement *s, struct err *e)
{
	struct index_reader *r = index_reader_new(&j->d->image, s, e);
	uint32_t number, file_len, table_len;
	const uint8_t *table, *foot;
	struct pack_view v;
	struct err own;
	int rc;

	if (r == NULL)
		return -1;
	while ((rc = index_reader_next(r, &number, &file_len, &table, &table_len, &foot, e)) == 1) {
		err_clear(&own);
		if (pack_view_open(&v, table, table_len, foot, NULL, NULL, &own) != 0) {
			pack_bad(j, number, &own);
			continue;
		}
		if (v.file_len != file_len) {
			(void)err_set(&own, ERR_DAMAGE, "the index gives it another length than its footer");
			pack_bad(j, number, &own);
			continue;
		}
		if ((rc = pack_tell(j, number, file_len, &v, e)) != 0)
			break;
	}
	index_reader_free(r);
	return rc;
}

/* Table and footer from the end of an open pack, in a new buffer ${out}. */
static int
pack_end_read(int fd, uint64_t len, uint8_t **out, struct pack_view *v, struct err *e)
{
	uint8_t foot[PACK_FOOT_LEN];
	struct pack_foot f;
	enum fmt_status st;
	size_t end;

	if (len > PACK_LEN_MAX || len < PACK_FOOT_LEN)
		return err_set(e, ERR_FORMAT, "no pack has %llu bytes", (unsigned long long)len);
	if (io_read_full(fd, foot, sizeof(foot), (off_t)(len - PACK_FOOT_LEN)) != PACK_FOOT_LEN)
		return err_set(e, ERR_DAMAGE, "its footer cannot be read");
	if ((st = pack_foot_decode(&f, foot, sizeof(foot))) != FMT_OK)
		return err_set(e, st == FMT_VERSION ? ERR_VERSION : ERR_FORMAT, "its footer: %s", fmt_status_text(st));
	end = (size_t)f.table_len + PACK_FOOT_LEN;
	if (f.table_len > PACK_TABLE_MAX || end > len)
		return err_set(e, ERR_FORMAT, "its footer: a table of %u bytes cannot be in it", f.table_len);
	if ((*out = malloc(end)) == NULL)
		return err_set(e, ERR_MEMORY, "no memory for the table of a pack");
	if (io_read_full(fd, *out, end, (off_t)(len - end)) != (ssize_t)end) {
		(void)err_set(e, ERR_DAMAGE, "its table cannot be read");
		goto fail;
	}
	if (pack_view_open(v, *out, f.table_len, *out + f.table_len, NULL, NULL, e) != 0)
		goto fail;
	if (v->file_len == len)
		return 0;
	(void)err_set(e, ERR_DAMAGE, "it has not the length that its footer says");
fail:
	free(*out);
	*out = NULL;
	return -1;
}

/* One file of packs/. */
static int
pack_by_file(const struct packs_job *j, uint32_t number, struct err *e)
{
	char name[IMAGE_NAME_MAX];
	struct pack_view v;
	uint8_t *end = NULL;
	struct err own;
	uint64_t len;
	int fd, rc;

	err_clear(&own);
	image_name_pack(name, number);
	fd = image_file_open(j->d->image.fd, name, &len, &own);
	if (fd == -1 || pack_end_read(fd, len, &end, &v, &own) != 0) {
		j->bad(j->bad_arg, name, &own);
		rc = 0;
	} else {
		rc = pack_tell(j, number, (uint32_t)len, &v, e);
		free(end);
	}
	if (fd != -1)
		(void)io->close(fd);
	return rc;
}

/* The number that a name of digits and ".pk" says, or -1. */
static int64_t
pack_number(const char *name)
{
	char *end;
	unsigned long n;

	if (name[0] < '0' || name[0] > '9')
		return -1;
	n = strtoul(name, &end, 10);
	return strcmp(end, ".pk") == 0 && n < PACKS_PER_DISK_MAX ? (int64_t)n : -1;
}

/* A disk that is not closed, or whose index is lost: every file of packs/. */
static int
packs_by_files(const struct packs_job *j, struct err *e)
{
	char **dirs = NULL, **files, path[IMAGE_NAME_MAX];
	size_t ndirs = 0, nfiles;
	int top = image_subdir_open(j->d->image.fd, "packs", e), rc;

	if (top == -1)
		return -1;
	rc = dir_list(top, ".", &dirs, &ndirs, e);
	for (size_t i = 0; rc == 0 && i < ndirs; i++) {
		int fd = strlen(dirs[i]) > 8 ? -1 : image_subdir_open(top, dirs[i], NULL);

		if (fd == -1)
			continue;
		if (dir_list(fd, ".", &files, &nfiles, NULL) == 0) {
			for (size_t k = 0; rc == 0 && k < nfiles; k++) {
				int64_t n = pack_number(files[k]);

				if (n < 0)
					continue;
				image_name_pack(path, (uint32_t)n);
				if (strncmp(path + strlen("packs/"), dirs[i], strlen(dirs[i])) == 0)
					rc = pack_by_file(j, (uint32_t)n, e);
			}
			dir_list_free(files, nfiles);
		}
		(void)io->close(fd);
	}
	dir_list_free(dirs, ndirs);
	(void)io->close(top);
	return rc;
}

static int
disk_packs(struct container *c, const uint8_t *domain_id, pack_found_fn fn, void *arg, container_bad_fn bad,
    void *bad_arg, struct err *e)
{
	struct packs_job j = { (struct container_disk *)c, domain_id, fn, arg, bad, bad_arg };
	struct disk_statement s;
	uint8_t *bytes;
	struct err own;
	size_t len;
	int rc;

	err_clear(&own);
	rc = image_statement(&j.d->image, &bytes, &len, &s, &own);
	if (rc == 0) {
		free(bytes);
		if ((rc = packs_by_index(&j, &s, &own)) >= 0)
			return rc;
		if (own.code == ERR_MEMORY || own.code == ERR_INTERRUPTED) {
			if (e != NULL)
				*e = own;
			return -1;
		}
	}
	if (rc == -1)
		bad(bad_arg, "index", &own);
	return packs_by_files(&j, e);
}

static int
disk_read(struct container *c, const struct pack_place *p, uint64_t off, void *out, size_t len, struct err *e)
{
	struct container_disk *d = (struct container_disk *)c;
	int fd = image_pack_open(&d->image, p->number, e), rc = 0;
	ssize_t got;

	if (fd == -1)
		return -1;
	if ((got = io_read_full(fd, out, len, (off_t)off)) == -1)
		rc = err_errno(e, "read pack %u", p->number);
	else if ((size_t)got != len)
		rc = err_set(e, ERR_DAMAGE, "pack %u is cut short", p->number);
	(void)io->close(fd);
	return rc;
}

static int
located(void *arg, const struct pack_place *p, const struct pack_view *v, struct err *e)
{
	struct container_disk *d = arg;

	(void)v;
	return chunk_map_add(d->by_id, p->id, p->number, 0, p->len, 0, e);
}

static void
located_bad(void *arg, const char *where, const struct err *why)
{
	(void)arg;
	(void)where;
	(void)why;
}

static int
disk_locate(struct container *c, struct pack_place *p)
{
	struct container_disk *d = (struct container_disk *)c;
	struct packs_job j = { d, NULL, located, d, located_bad, NULL };
	const struct chunk_at *at = NULL;
	size_t n;
	int rc = 1;

	pthread_mutex_lock(&d->lock);
	if (d->by_id == NULL && (d->by_id = chunk_map_new(BY_ID_MEMORY)) != NULL) {
		(void)packs_by_files(&j, NULL);
		chunk_map_sort(d->by_id);
	}
	if (d->by_id != NULL)
		at = chunk_map_find(d->by_id, p->id, &n);
	if (at != NULL && at->pack != p->number) {
		p->number = at->pack;
		rc = 0;
	}
	pthread_mutex_unlock(&d->lock);
	return rc;
}

/* The n-th envelope, from either copy: 0, 1 neither is there, -1. */
static int
envelope_read(struct container_disk *d, uint32_t n, uint8_t **out, size_t *len, struct err *e)
{
	char name[IMAGE_NAME_MAX];
	struct envelope env;
	struct err own;
	int there = 0;

	for (int copy = 0; copy < 2; copy++) {
		err_clear(&own);
		image_name_envelope(name, copy, n);
		if (image_file_read(d->image.fd, name, SMALL_STATEMENT_MAX, out, len, &own) == 0) {
			if (schema_decode(&envelope_schema, &env, *out, *len) == FMT_OK)
				return 0;
			free(*out);
			(void)err_set(&own, ERR_FORMAT, "%s is no envelope", name);
		}
		if (own.code == ERR_NOT_FOUND)
			continue;
		there = 1;
		if (e != NULL)
			*e = own;
	}
	return there ? -1 : 1;
}

static int
disk_snapshots(struct container *c, snap_found_fn fn, void *arg, container_bad_fn bad, void *bad_arg, struct err *e)
{
	struct container_disk *d = (struct container_disk *)c;
	char name[IMAGE_NAME_MAX];
	struct err own;
	uint8_t *bytes;
	size_t len;
	int rc;

	for (uint32_t n = 0; n < SNAPS_PER_IMAGE_MAX; n++) {
		struct snap_place p = { .n = n };

		err_clear(&own);
		if ((rc = envelope_read(d, n, &bytes, &len, &own)) == 1)
			return 0;
		if (rc == -1) {
			image_name_envelope(name, 0, n);
			bad(bad_arg, name, &own);
			continue;
		}
		for (rc = 0; rc == 0 && p.copy < 2; p.copy++)
			rc = fn(arg, &p, bytes, len, e);
		free(bytes);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int
disk_refs(struct container *c, const struct snap_place *p, unsigned kind, unsigned part, uint64_t off, void *out,
    size_t len, size_t *got, struct err *e)
{
	struct container_disk *d = (struct container_disk *)c;
	char name[IMAGE_NAME_MAX];
	uint64_t size;
	ssize_t n;
	int fd;

	*got = 0;
	if (kind != REFS_WHOLE)
		return err_set(e, ERR_NOT_FOUND, "a disk carries whole reference lists only");
	image_name_refs(name, p->copy, p->n, part);
	if ((fd = image_file_open(d->image.fd, name, &size, e)) == -1)
		return -1;
	if ((n = io_read_full(fd, out, len, (off_t)off)) == -1)
		(void)err_errno(e, "read %s", name);
	(void)io->close(fd);
	if (n == -1)
		return -1;
	*got = (size_t)n;
	return 0;
}

static void
disk_free(struct container *c)
{
	struct container_disk *d = (struct container_disk *)c;

	image_dir_close(&d->image);
	chunk_map_free(d->by_id);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

static const struct container_ops disk_ops = { disk_packs, disk_read, disk_locate, disk_snapshots, disk_refs, disk_free };

struct container *
container_disk(int diskfd, const char *path, const char *short_name, struct err *e)
{
	struct container_disk *d = calloc(1, sizeof(*d));

	if (d == NULL) {
		(void)err_set(e, ERR_MEMORY, "no memory to open a disk");
		return NULL;
	}
	if (image_dir_open(diskfd, short_name, &d->image, e) != 0) {
		free(d);
		return NULL;
	}
	pthread_mutex_init(&d->lock, NULL);
	d->base.ops = &disk_ops;
	d->base.is_disk = 1;
	(void)snprintf(d->base.name, sizeof(d->base.name), "disk %s-%u (%.280s)", d->image.label.short_name,
	    d->image.label.disk, path);
	return &d->base;
}

const struct label *
container_label(const struct container *c)
{
	return &((const struct container_disk *)c)->image.label;
}

const struct image_dir *
container_image(const struct container *c)
{
	return &((const struct container_disk *)c)->image;
}
