#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/disk/image_file.h"
#include "common/flow/verify_image.h"

int64_t
verify_image_expects(struct verify_image *im, uint32_t number, const uint8_t id[DIGEST_LEN])
{
	struct verify_expected *x;

	if (im->nexpected == im->expected_cap) {
		size_t cap = im->expected_cap * 2 + 1024;
		struct verify_expected *more = realloc(im->expected, cap * sizeof(*more));

		if (more == NULL)
			return -1;
		im->expected = more;
		im->expected_cap = cap;
	}
	x = &im->expected[im->nexpected];
	x->number = number;
	memcpy(x->id, id, DIGEST_LEN);
	x->seen = 0;
	return (int64_t)im->nexpected++;
}

void
verify_image_misplaced(struct verify_image *im, uint32_t number, const uint8_t id[DIGEST_LEN])
{
	struct verify_misplaced *more = realloc(im->misplaced, (im->nmisplaced + 1) * sizeof(*more));

	if (more == NULL)
		return;		/* then its pack is told of as missing: never less than there is */
	im->misplaced = more;
	im->misplaced[im->nmisplaced].number = number;
	memcpy(im->misplaced[im->nmisplaced++].id, id, DIGEST_LEN);
}

static struct verify_expected *
by_number(const struct verify_image *im, uint32_t number)
{
	size_t low = 0, high = im->nexpected;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (im->expected[mid].number < number)
			low = mid + 1;
		else
			high = mid;
	}
	return low < im->nexpected && im->expected[low].number == number ? &im->expected[low] : NULL;
}

/* A table of ids; without memory for one NULL, and then nothing is known by its id. */
static const struct chunk_map *
ids_of(struct verify_image *im)
{
	if (im->ids != NULL || (im->ids = chunk_map_new(im->nexpected * sizeof(struct chunk_at) * 2)) == NULL)
		return im->ids;
	for (size_t i = 0; i < im->nexpected; i++)
		if (chunk_map_add(im->ids, im->expected[i].id, (uint32_t)i, 0, 0, 0, NULL) != 0)
			break;
	chunk_map_sort(im->ids);
	return im->ids;
}

static struct verify_expected *
by_id(struct verify_image *im, const uint8_t id[DIGEST_LEN])
{
	const struct chunk_map *ids = ids_of(im);
	const struct chunk_at *at = NULL;
	size_t n;

	if (ids != NULL)
		at = chunk_map_find(ids, id, &n);
	return at != NULL && memcmp(im->expected[at->pack].id, id, DIGEST_LEN) == 0 ? &im->expected[at->pack] : NULL;
}

static size_t
unseen(const struct verify_image *im)
{
	size_t n = 0;

	for (size_t i = 0; i < im->nexpected; i++)
		n += !im->expected[i].seen;
	return n;
}

/* Those found under another number are there; called before anything is said to be missing. */
static void
misplaced_strike(struct verify_image *im)
{
	struct verify_expected *x;

	for (size_t i = 0; i < im->nmisplaced; i++)
		if ((x = by_id(im, im->misplaced[i].id)) != NULL)
			x->seen = 1;
}

void
verify_image_missing(struct verify_image *im, void (*fn)(void *arg, uint32_t number), void *arg)
{
	misplaced_strike(im);
	for (size_t i = 0; i < im->nexpected; i++)
		if (!im->expected[i].seen)
			fn(arg, im->expected[i].number);
}

int
verify_image_found(struct verify_image *im, uint32_t number)
{
	struct verify_expected *x = by_number(im, number);
	int missing = x != NULL && !x->seen;

	if (missing)
		x->seen = 1;
	return missing;
}

/* 1 if the file ${number} ends like a pack that is missing. */
static int
holds_missing(struct verify_image *im, uint32_t number)
{
	const struct verify_expected *x = NULL;
	uint8_t foot[PACK_FOOT_LEN];
	char name[IMAGE_NAME_MAX];
	struct pack_foot f;
	uint64_t len;
	int fd;

	image_name_pack(name, number);
	if ((fd = image_file_open(im->dir.fd, name, &len, NULL)) == -1)
		return 0;
	if (len >= PACK_FOOT_LEN && len <= PACK_LEN_MAX &&
	    io_read_full(fd, foot, PACK_FOOT_LEN, (off_t)(len - PACK_FOOT_LEN)) == PACK_FOOT_LEN &&
	    pack_foot_decode(&f, foot, PACK_FOOT_LEN) == FMT_OK)
		x = by_id(im, f.pack_id);
	(void)io->close(fd);
	return x != NULL && !x->seen;
}

/* One name in packs/${dir}: keep its number, or tell of it. */
static int
extra_look(struct verify_job *j, struct verify_image *im, const char *dir, const char *file, uint32_t **numbers,
    size_t *n, struct err *e)
{
	uint32_t number = (uint32_t)strtoul(file, NULL, 10), *more;
	char name[IMAGE_NAME_MAX], where[WHERE_MAX];

	(void)snprintf(where, sizeof(where), "packs/%.64s/%.64s", dir, file);
	image_name_pack(name, number);
	if (strcmp(where, name) == 0 && by_number(im, number) != NULL)
		return 0;
	if (strcmp(where, name) == 0 && unseen(im) > 0 && holds_missing(im, number)) {
		if ((more = realloc(*numbers, (*n + 1) * sizeof(*more))) == NULL)
			return err_set(e, ERR_MEMORY, "no memory for a list of packs");
		*numbers = more;
		(*numbers)[(*n)++] = number;
		return 0;
	}
	(void)snprintf(where, sizeof(where), "%s: packs/%.64s/%.64s", im->name, dir, file);
	finding_tell(j->found, SEV_NOTE, ERR_NONE, where, "", "the disk's index does not name this file; nobody needs it");
	return 0;
}

int
verify_image_extras(struct verify_job *j, struct verify_image *im, uint32_t **numbers, size_t *n, struct err *e)
{
	char **dirs = NULL, **files;
	size_t ndirs = 0, nfiles;
	int top, rc = 0;

	*numbers = NULL;
	*n = 0;
	if (!im->closed || (top = image_subdir_open(im->dir.fd, "packs", NULL)) == -1)
		return 0;
	misplaced_strike(im);
	(void)dir_list(top, ".", &dirs, &ndirs, NULL);
	for (size_t i = 0; rc == 0 && i < ndirs; i++) {
		int fd = image_subdir_open(top, dirs[i], NULL);

		if (fd == -1)
			continue;
		if (dir_list(fd, ".", &files, &nfiles, NULL) == 0) {
			for (size_t k = 0; rc == 0 && k < nfiles; k++)
				rc = extra_look(j, im, dirs[i], files[k], numbers, n, e);
			dir_list_free(files, nfiles);
		}
		(void)io->close(fd);
	}
	dir_list_free(dirs, ndirs);
	(void)io->close(top);
	return rc;
}

int
verify_image_packs_end(struct verify_job *j, struct verify_image *im, struct err *e)
{
	char name[IMAGE_NAME_MAX], where[WHERE_MAX];

	(void)e;
	misplaced_strike(im);
	for (size_t i = 0; i < im->nmisplaced; i++) {
		const struct verify_expected *x = by_id(im, im->misplaced[i].id);

		image_name_pack(name, im->misplaced[i].number);
		(void)snprintf(where, sizeof(where), "%s: %s", im->name, name);
		if (x == NULL) {
			finding_tell(j->found, SEV_NOTE, ERR_NONE, where, "", "a good pack that the disk's index does not name");
			continue;
		}
		image_name_pack(name, x->number);
		finding_tell(j->found, SEV_REPAIRABLE, ERR_DAMAGE, where, "readers find it by its content", "this is the pack that belongs to %s", name);
	}
	for (size_t i = 0; i < im->nexpected; i++) {
		if (im->expected[i].seen)
			continue;
		image_name_pack(name, im->expected[i].number);
		(void)snprintf(where, sizeof(where), "%s: %s", im->name, name);
		finding_tell(j->found, SEV_LOST, ERR_MISSING, where, "all chunks of this pack", "the pack is not on the disk");
	}
	return 0;
}
