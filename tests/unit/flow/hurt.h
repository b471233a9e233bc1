#ifndef SAMARA_TESTS_FLOW_HURT_H
#define SAMARA_TESTS_FLOW_HURT_H

/* Disks with parity in a vault's site, and what disks do to files.  After cmocka.h. */

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "flow/vault_site.h"
#include "formats/fmt_parity.h"

struct hurt {
	struct site *s;
	struct seed_image im;
	uint32_t packs;
};

static inline char *
hurt_path(const struct site *s, char out[512], const char *name)
{
	(void)snprintf(out, 512, "%s/samara/rm4k/%s", s->disk[0], name);
	return out;
}

/* A disk of ${packs} packs of ${each} chunks with ${percent} of parity. */
static inline void
hurt_disk(struct hurt *h, struct site *s, uint32_t packs, uint32_t each, uint8_t percent)
{
	memset(h, 0, sizeof(*h));
	h->s = s;
	h->packs = packs;
	seed_image_make(&h->im, &s->m, "RM4K");
	h->im.parity = percent;
	h->im.pack_chunks = each;
	seed_disk(&h->im, s->disk[0], 1, 0, packs * each);
	seed_snapshot(&h->im, s->disk[0], 1, 0, packs * each);
	seed_manifest(&h->im, s->disk[0], 1);
}

/* ${len} bytes of a file from ${at} become others. */
static inline void
hurt_bytes(struct hurt *h, const char *name, off_t at, size_t len)
{
	uint8_t *b = malloc(len);
	char path[512];
	int fd = open(hurt_path(h->s, path, name), O_RDWR);

	assert_true(fd != -1 && b != NULL);
	assert_int_equal(pread(fd, b, len, at), (ssize_t)len);
	for (size_t i = 0; i < len; i++)
		b[i] ^= 0x5a;
	assert_int_equal(pwrite(fd, b, len, at), (ssize_t)len);
	(void)close(fd);
	free(b);
}

static inline void
hurt_pack(struct hurt *h, uint32_t number, off_t at, size_t len)
{
	char name[IMAGE_NAME_MAX];

	image_name_pack(name, number);
	hurt_bytes(h, name, at, len);
}

static inline void
hurt_unlink(struct hurt *h, uint32_t number, int parity)
{
	char name[IMAGE_NAME_MAX], path[512];

	if (parity)
		image_name_parity(name, number);
	else
		image_name_pack(name, number);
	assert_int_equal(unlink(hurt_path(h->s, path, name)), 0);
}

static inline void
hurt_cut(struct hurt *h, uint32_t number, off_t len)
{
	char name[IMAGE_NAME_MAX], path[512];

	image_name_pack(name, number);
	assert_int_equal(truncate(hurt_path(h->s, path, name), len), 0);
}

static inline void
hurt_swap(struct hurt *h, uint32_t a, uint32_t b)
{
	char one[IMAGE_NAME_MAX], two[IMAGE_NAME_MAX], from[512], to[512], aside[512];

	image_name_pack(one, a);
	image_name_pack(two, b);
	hurt_path(h->s, from, one);
	hurt_path(h->s, to, two);
	(void)snprintf(aside, sizeof(aside), "%s/aside", h->s->root);
	assert_int_equal(rename(from, aside), 0);
	assert_int_equal(rename(to, from), 0);
	assert_int_equal(rename(aside, to), 0);
}

#endif
