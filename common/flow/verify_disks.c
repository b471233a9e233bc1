#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/progress.h"
#include "common/base/stop.h"
#include "common/disk/image_file.h"
#include "common/disk/mount.h"
#include "common/flow/repair_copy.h"
#include "common/flow/verify_image.h"
#include "common/flow/verify_repair.h"

/* One check of several disks. */
struct disks {
	struct verify_job *j;
	struct verify_image *image;
	size_t n;
	size_t at;			/* image whose packs are being read */
	struct index_reader *index;
	uint32_t *extra;		/* second pass: packs under numbers of their own */
	size_t nextra, extra_at;
	struct disk_mount *mount;
	const char **dir;		/* the top directory of each */
	int to;				/* of the repaired copy; -1: none */
	size_t nmounts;
};

/* --sample: whether this pack is one of those read. */
static int
sampled(struct disks *d)
{
	uint32_t r;

	if (d->j->opt->sample == 0)
		return 1;
	io_random(&r, sizeof(r));
	return r % 1000000 < d->j->opt->sample;
}

/* Begin the index of image ${d}->at: 1, or 0 where it has none that can be read. */
static int
index_begin(struct disks *d)
{
	struct verify_image *im = &d->image[d->at];
	struct err own;

	if (!im->closed)
		return 0;
	err_clear(&own);
	if ((d->index = index_reader_new(&im->dir, &im->statement, &own)) != NULL)
		return 1;
	finding_err(d->j->found, SEV_LOST, im->name, "which packs the disk should have cannot be told", &own);
	return 0;
}

static void
pack_where(struct verify_pack *p, const struct verify_image *im)
{
	(void)snprintf(p->where, sizeof(p->where), "%s: packs/%04u/%08u.pk", im->name, p->number / PACKS_PER_DIR, p->number);
}

/* The pack is there, or its loss was told of. */
static void
pack_seen(struct disks *d, const struct verify_pack *p, struct verify_image *im)
{
	pthread_mutex_lock(&d->j->lock);
	if (p->at >= 0)
		im->expected[p->at].seen = 1;
	pthread_mutex_unlock(&d->j->lock);
}

static int
disk_next(void *arg, struct verify_pack *p, struct err *e)
{
	struct disks *d = arg;
	const uint8_t *table, *foot;
	uint32_t table_len;
	struct err own;
	int rc;

	(void)e;
	for (; d->at < d->n; d->at++) {
		struct verify_image *im = &d->image[d->at];

		if (d->index == NULL && !index_begin(d))
			continue;
		err_clear(&own);
		while ((rc = index_reader_next(d->index, &p->number, &p->len, &table, &table_len, &foot, &own)) == 1) {
			struct pack_foot f;

			d->j->r->packs++;
			memset(p->id, 0, sizeof(p->id));
			if (pack_foot_decode(&f, foot, PACK_FOOT_LEN) == FMT_OK)
				memcpy(p->id, f.pack_id, DIGEST_LEN);
			pthread_mutex_lock(&d->j->lock);
			p->at = verify_image_expects(im, p->number, p->id);
			pthread_mutex_unlock(&d->j->lock);
			if (!sampled(d)) {
				pack_seen(d, p, im);
				continue;
			}
			p->source = d->at;
			pack_where(p, im);
			return 1;
		}
		if (rc == -1)
			finding_err(d->j->found, SEV_LOST, im->name, "packs behind it were not looked at", &own);
		index_reader_free(d->index);
		d->index = NULL;
	}
	return 0;
}

static int
disk_read(void *arg, const struct verify_pack *p, uint8_t *buf, size_t *len, struct err *e)
{
	struct disks *d = arg;
	struct verify_image *im = &d->image[p->source];
	char name[IMAGE_NAME_MAX];
	uint64_t size;
	ssize_t got;
	int fd, rc = 0;

	*len = 0;
	image_name_pack(name, p->number);
	if ((fd = image_file_open(im->dir.fd, name, &size, e)) == -1) {
		if (e->code == ERR_NOT_FOUND)
			return 1;	/* it may stand under another number */
		pack_seen(d, p, im);
		return -1;
	}
	(void)io->fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	if (size > PACK_LEN_MAX)
		rc = err_set(e, ERR_DAMAGE, "it has %llu bytes; no pack is that long", (unsigned long long)size);
	else if ((got = io_read_full(fd, buf, (size_t)size, 0)) == -1)
		rc = err_errno(e, "read it");
	else
		*len = (size_t)got;
	(void)io->close(fd);
	if (rc != 0)
		pack_seen(d, p, im);
	return rc;
}

static int
disk_believe(void *arg, const struct verify_pack *p, const uint8_t *buf, size_t len, struct pack_view *v, uint8_t **keep)
{
	struct disks *d = arg;
	struct verify_image *im = &d->image[p->source];
	struct err own;

	err_clear(&own);
	*keep = NULL;
	if (pack_view_bytes(v, buf, len, im->dir.label.machine_id, im->dir.label.machine_pub, &own) == 0 &&
	    memcmp(v->foot.domain_id, im->dir.label.domain_id, DIGEST_LEN) != 0)
		(void)err_set(&own, ERR_SIGNATURE, "a pack of another key domain");
	if (own.code == ERR_NONE) {
		if (memcmp(v->foot.pack_id, p->id, DIGEST_LEN) == 0) {
			pack_seen(d, p, im);
			return 0;
		}
		pthread_mutex_lock(&d->j->lock);
		verify_image_misplaced(im, p->number, v->foot.pack_id);
		pthread_mutex_unlock(&d->j->lock);
		if (p->at >= 0)
			(void)verify_damaged_add(im->damaged, p->number, NULL);
		return 0;
	}
	pack_seen(d, p, im);
	(void)verify_damaged_add(im->damaged, p->number, NULL);
	if (verify_table_from_index(im, p->number, v, keep) == 0) {
		finding_err(d->j->found, SEV_REPAIRABLE, p->where, "its chunks are checked by its table in the disk's index", &own);
		return 0;
	}
	finding_err(d->j->found, SEV_LOST, p->where, "all chunks of this pack", &own);
	return -1;
}

static int
disk_damaged(void *arg, const struct verify_pack *p, const struct err *why)
{
	struct disks *d = arg;

	return verify_damaged_add(d->image[p->source].damaged, p->number, why);
}

static int
disk_mend(void *arg, struct verify_mender *m, struct err *e)
{
	struct disks *d = arg;

	for (size_t i = 0; i < d->n; i++)
		if (verify_damaged_mend(d->image[i].damaged, d->j, &d->image[i], m, e) != 0)
			return -1;
	return 0;
}

/* Second pass: packs that the index names, under numbers that it does not. */
static int
extra_next(void *arg, struct verify_pack *p, struct err *e)
{
	struct disks *d = arg;

	(void)e;
	if (d->extra_at == d->nextra)
		return 0;
	memset(p->id, 0, sizeof(p->id));	/* of whichever pack: it is misplaced in any case */
	p->number = d->extra[d->extra_at++];
	p->at = -1;
	p->source = d->at;
	pack_where(p, &d->image[d->at]);
	return 1;
}

/* All that is to be said of the packs of image ${i}, now that those of all indexes were read. */
static int
image_packs_end(struct disks *d, size_t i, struct err *e)
{
	struct verify_feed feed = { .next = extra_next, .read = disk_read, .believe = disk_believe, .arg = d };
	int rc;

	d->at = i;
	d->extra_at = 0;
	rc = verify_image_extras(d->j, &d->image[i], &d->extra, &d->nextra, e);
	if (rc == 0 && d->nextra > 0)
		rc = verify_packs(d->j, &feed, e);
	if (rc == 0)
		rc = verify_image_packs_end(d->j, &d->image[i], e);
	free(d->extra);
	d->extra = NULL;
	return rc;
}

/* Open every image on the disk ${path}. */
static int
disk_open(struct disks *d, int fd, const char *path, struct err *e)
{
	struct verify_image *more;
	char **names;
	size_t n;
	int rc = 0;

	if (image_list(fd, &names, &n, e) != 0)
		return err_during(e, "%s", path);
	if ((more = realloc(d->image, (d->n + n) * sizeof(*more))) == NULL)
		rc = err_set(e, ERR_MEMORY, "no memory for a list of images");
	else
		d->image = more;
	for (size_t i = 0; rc == 0 && i < n; i++)
		if ((rc = verify_image_open(d->j, &d->image[d->n], fd, path, names[i], e)) == 0)
			d->n++;
		else if (rc == 1)
			rc = 0;
	dir_list_free(names, n);
	return rc;
}

/* The disk that ${path} names. */
static int
mount_find(const char *path, struct disk_mount *m, struct err *e)
{
	struct err mine;

	err_clear(&mine);
	if (disk_mount_open(path, 0, NULL, m, &mine) == 0)
		return 0;
	if (mine.code == ERR_NOT_FOUND)
		return err_set(e, ERR_NO_IMAGE, "there is no disk at %s", path);
	if (e != NULL)
		*e = mine;
	return -1;
}

/* Open all disks and the images on them; devices stay mounted until disks_release. */
static int
disks_open(struct disks *d, const char *const *paths, size_t n, struct err *e)
{
	if ((d->mount = calloc(n, sizeof(*d->mount))) == NULL || (d->dir = calloc(n, sizeof(*d->dir))) == NULL)
		return err_set(e, ERR_MEMORY, "no memory for a list of disks");
	for (; d->nmounts < n; d->nmounts++) {
		struct disk_mount *m = &d->mount[d->nmounts];

		if (mount_find(paths[d->nmounts], m, e) != 0)
			return -1;
		d->dir[d->nmounts] = m->path;
	}
	for (size_t i = 0; i < n; i++)
		if (disk_open(d, d->mount[i].fd, paths[i], e) != 0)
			return -1;
	return 0;
}

static void
disks_release(struct disks *d)
{
	if (d->index != NULL)
		index_reader_free(d->index);
	for (size_t i = 0; i < d->n; i++)
		verify_image_close(&d->image[i]);
	for (size_t i = 0; i < d->nmounts; i++)
		(void)disk_mount_close(&d->mount[i], NULL);
	if (d->to != -1)
		(void)io->close(d->to);
	free(d->image);
	free(d->mount);
	free(d->dir);
}

/* A repaired copy of image ${im}, in the place that was given. */
static int
image_repair(struct disks *d, struct verify_image *im, struct err *e)
{
	struct repair_copy_result r;
	char meaning[96];

	if (!im->closed) {
		finding_tell(d->j->found, SEV_NOTE, ERR_NONE, im->name, "", "there is no repaired copy of it: nothing says what it should hold");
		return 0;
	}
	if (repair_copy(&im->dir, &im->statement, d->mount[0].fd, d->to, &r, e) != 0)
		return -1;
	d->j->r->packs_repaired += r.repaired;
	d->j->r->packs_lost += r.lost;
	(void)snprintf(meaning, sizeof(meaning), "%u packs repaired, %u not", r.repaired, r.lost);
	finding_tell(d->j->found, SEV_NOTE, ERR_NONE, im->name, meaning, "a copy of %u packs is in %s", r.packs, d->j->opt->repair_to);
	return 0;
}

static uint64_t
bytes_of(const struct disks *d)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < d->n; i++)
		sum += d->image[i].closed ? d->image[i].statement.pack_bytes : 0;
	return sum;
}

static void
name_add(struct verify_result *r, const char *name)
{
	size_t used = strlen(r->name);

	(void)snprintf(r->name + used, sizeof(r->name) - used, "%s%s", used > 0 ? ", " : "", name);
}

static int
disks_check(struct disks *d, const char *const *paths, size_t n, struct err *e)
{
	struct verify_feed feed = { disk_next, disk_read, disk_believe, disk_damaged, disk_mend, d };
	int rc = 0;

	if (disks_open(d, paths, n, e) != 0)
		return -1;
	d->j->repairs = d->j->opt->repair_to != NULL;
	if (d->j->repairs && (d->to = repair_copy_open(d->j->opt->repair_to, d->mount[0].fd, e)) == -1)
		return -1;
	for (size_t i = 0; i < d->n; i++)
		name_add(d->j->r, d->image[i].name);
	progress_start("check", bytes_of(d));
	rc = verify_packs(d->j, &feed, e);
	progress_end();
	if (rc != 0)
		return -1;
	for (size_t i = 0; i < d->n; i++)
		if (image_packs_end(d, i, e) != 0 ||
		    (!d->j->opt->quick && d->j->opt->sample == 0 && verify_parity(d->j, &d->image[i], e) != 0) ||
		    (d->j->repairs && image_repair(d, &d->image[i], e) != 0))
			return -1;
	for (size_t i = 0; i < d->n; i++) {
		if (verify_image_snapshots(d->j, d->image, d->n, i, e) != 0 || stop_check(e) != 0)
			return -1;
	}
	if (d->j->keys_fit && !d->j->opt->quick && d->j->opt->sample == 0)
		return verify_listings(d->j, d->j->repairs ? &d->j->opt->repair_to : d->dir, paths, n, e);
	return 0;
}

int
verify_disks(const char *const *paths, size_t n, const struct verify_options *o, struct verify_result *r, struct err *e)
{
	struct verify_job j;
	struct disks d = { .j = &j, .to = -1 };
	int rc;

	if (verify_job_init(&j, o, r, e) != 0)
		return -1;
	rc = disks_check(&d, paths, n, e);
	disks_release(&d);
	if (rc == 0)
		rc = verify_job_counts(&j, e);
	verify_job_release(&j);
	return rc;
}
