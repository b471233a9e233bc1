#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/disk/image_dir.h"
#include "common/flow/restore_disks.h"

#define IMAGES_MAX	4096u

/* Images that are still to be looked at; they may name others. */
struct images {
	uint8_t (*id)[ID_LEN];
	size_t n;
};

static int
image_add(struct images *im, const uint8_t id[ID_LEN], struct err *e)
{
	uint8_t (*more)[ID_LEN];

	for (size_t i = 0; i < im->n; i++)
		if (memcmp(im->id[i], id, ID_LEN) == 0)
			return 0;
	if (im->n == IMAGES_MAX || (more = realloc(im->id, (im->n + 1) * sizeof(*more))) == NULL)
		return err_set(e, ERR_MEMORY, "no memory for a list of images");
	im->id = more;
	memcpy(im->id[im->n++], id, ID_LEN);
	return 0;
}

struct restore_disk *
restore_disks_add(struct restore_disks *d, const uint8_t id[ID_LEN], const char *short_name, uint32_t number)
{
	struct restore_disk *at;

	for (size_t i = 0; i < d->n; i++)
		if (d->disk[i].number == number && memcmp(d->disk[i].image_id, id, ID_LEN) == 0)
			return &d->disk[i];
	if (d->n == d->cap) {
		size_t cap = d->cap * 2 + 8;

		if ((at = realloc(d->disk, cap * sizeof(*at))) == NULL)
			return NULL;
		d->disk = at;
		d->cap = cap;
	}
	at = &d->disk[d->n++];
	memset(at, 0, sizeof(*at));
	memcpy(at->image_id, id, ID_LEN);
	at->number = number;
	if (number != 0)
		(void)snprintf(at->name, sizeof(at->name), "%s-%u", short_name, number);
	else if (short_name[0] != '\0')
		(void)snprintf(at->name, sizeof(at->name), "the last disk of image %s", short_name);
	else
		(void)snprintf(at->name, sizeof(at->name), "the last disk of an earlier image, %02x%02x%02x%02x,", id[0], id[1],
		    id[2], id[3]);
	return at;
}

/* What one manifest says.  0 or -1 with ${e}. */
static int
manifest_take(struct restore_disks *d, struct images *im, const struct manifest *m, struct err *e)
{
	struct manifest_disk md;

	for (size_t at = m->disks.len / MANIFEST_DISK_LEN; at-- > 0; ) {
		if (element_get(manifest_disk_fields, manifest_disk_nfields, m->disks, at, &md) == FMT_OK && md.disk != 0 &&
		    restore_disks_add(d, m->image_id, m->short_name, md.disk) == NULL)
			return err_set(e, ERR_MEMORY, "no memory for a list of disks");
	}
	for (size_t at = 0; at + ID_LEN <= m->leans_on.len; at += ID_LEN)
		if (image_add(im, m->leans_on.p + at, e) != 0)
			return -1;
	return 0;
}

/* One image: its newest manifest; without one, that some disk with it is wanted. */
static int
image_take(struct restore_disks *d, struct images *im, size_t i, const struct source *s, const uint8_t *pub, struct err *e)
{
	uint8_t id[ID_LEN], *best = NULL, *bytes;
	const char *name = "";
	struct manifest m, top = { 0 };
	struct err own;
	size_t len;
	int rc = 0;

	memcpy(id, im->id[i], ID_LEN);
	for (size_t c = 0; c < source_containers(s); c++) {
		const struct container *at = source_container(s, c);

		if (!at->is_disk || memcmp(container_label(at)->image_id, id, ID_LEN) != 0 ||
		    memcmp(container_label(at)->machine_pub, pub, SIGN_PUB_LEN) != 0)
			continue;
		name = container_label(at)->short_name;
		err_clear(&own);
		if (image_manifest(container_image(at), &bytes, &len, &m, &own) != 0)
			continue;
		if (best == NULL || m.generation > top.generation) {
			free(best);
			best = bytes;
			top = m;
		} else {
			free(bytes);
		}
	}
	if (best != NULL)
		rc = manifest_take(d, im, &top, e);
	else if (restore_disks_add(d, id, name, 0) == NULL)
		rc = err_set(e, ERR_MEMORY, "no memory for a list of disks");
	free(best);
	return rc;
}

/* Those at hand, also where no manifest names them. */
static int
here_mark(struct restore_disks *d, const struct images *im, const struct source *s, struct err *e)
{
	struct restore_disk *at;

	for (size_t c = 0; c < source_containers(s); c++) {
		const struct container *k = source_container(s, c);

		if (!k->is_disk || k->is_kept)
			continue;
		for (size_t i = 0; i < im->n; i++) {
			if (memcmp(im->id[i], container_label(k)->image_id, ID_LEN) != 0)
				continue;
			at = restore_disks_add(d, im->id[i], container_label(k)->short_name, container_label(k)->disk);
			if (at == NULL)
				return err_set(e, ERR_MEMORY, "no memory for a list of disks");
			at->here = 1;
		}
	}
	return 0;
}

int
restore_disks_read(struct restore_disks *d, const struct source *s, const struct snapshot *snap,
    const uint8_t pub[SIGN_PUB_LEN], struct err *e)
{
	static const uint8_t none[ID_LEN];
	struct images im = { 0 };
	int rc = 0;

	memset(d, 0, sizeof(*d));
	if (memcmp(snap->env.image_id, none, ID_LEN) == 0)
		return 0;
	rc = image_add(&im, snap->env.image_id, e);
	for (size_t i = 0; rc == 0 && i < im.n; i++)
		rc = image_take(d, &im, i, s, pub, e);
	if (rc == 0)
		rc = here_mark(d, &im, s, e);
	free(im.id);
	if (rc != 0)
		restore_disks_release(d);
	return rc;
}

void
restore_disks_release(struct restore_disks *d)
{
	free(d->disk);
	memset(d, 0, sizeof(*d));
}

const struct restore_disk *
restore_disks_next(const struct restore_disks *d)
{
	for (int done = RESTORE_DISK_NEW; done < RESTORE_DISK_WHOLE; done++)
		for (size_t i = 0; i < d->n; i++)
			if (!d->disk[i].here && (int)d->disk[i].done == done)
				return &d->disk[i];
	return NULL;
}

int
restore_disks_useful(const struct restore_disks *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->disk[i].here && d->disk[i].done != RESTORE_DISK_WHOLE)
			return 1;
	return 0;
}
