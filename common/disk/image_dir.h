#ifndef SAMARA_DISK_IMAGE_DIR_H
#define SAMARA_DISK_IMAGE_DIR_H

/*
 * Where things stand in samara/IMAGE/ on a disk (docs/formats/disk.md), for
 * writer and readers.  Names are 8.3, lower case; nothing relies on them but
 * as a place to look.
 */

#include <stddef.h>
#include <stdint.h>

#include "formats/fmt_disk.h"

struct err;

#define IMAGE_TOP	"samara"
#define IMAGE_README	"samara/README.txt"
#define IMAGE_NAME_MAX	32

/* Names below the image's directory, as a string into ${out}.  ${copy}: 0, or 1 for what stands twice. */
/*
 * A short name by chance, as it is said (RM4K) and as its directory is called: a letter first, none that look like
 * digits.  Whether it is taken is for the caller to see.
 */
void image_name_draw(char out[SHORT_LEN + 1], char lower[SHORT_LEN + 1]);

/* Where each thing stands below samara/IMAGE/; ${copy} is 0 or 1 where it stands twice. */
void image_name_pack(char out[IMAGE_NAME_MAX], uint32_t number);		/* packs/0000/00000000.pk */
void image_name_pack_dir(char out[IMAGE_NAME_MAX], uint32_t number);		/* packs/0000 */
void image_name_parity(char out[IMAGE_NAME_MAX], uint32_t number);		/* parity/0000/00000000.pp */
void image_name_parity_dir(char out[IMAGE_NAME_MAX], uint32_t number);	/* parity/0000 */
void image_name_index(char out[IMAGE_NAME_MAX], int copy, unsigned part);	/* index/p0000, index2/p0000 */
void image_name_envelope(char out[IMAGE_NAME_MAX], int copy, uint32_t n);	/* snap/00000000.env: n-th of the image */
void image_name_refs(char out[IMAGE_NAME_MAX], int copy, uint32_t n, unsigned part);	/* snap/00000000.r00 (part < 100) */
void image_name_manifest(char out[IMAGE_NAME_MAX], int copy, uint32_t generation);	/* manif/g0001 */
void image_name_label(char out[IMAGE_NAME_MAX], int copy);			/* label, label2 */
void image_name_statement(char out[IMAGE_NAME_MAX], int copy);			/* stmt, stmt2 */
void image_name_keys(char out[IMAGE_NAME_MAX], int copy, const char *what);	/* keys/slots, keys/regist, keys/domain, keys/member */

/**
 * image_list(diskfd, names, n, e):
 * The short names (lower case) of the images on a disk: directories below
 * samara/ that have a label or label2.  A new array, free with dir_list_free.
 * ERR_NO_IMAGE if there is none.
 */
int image_list(int diskfd, char ***names, size_t *n, struct err *e);

/* A directory of one image on one disk, opened for reading; every file in it is hostile. */
struct image_dir {
	int fd;				/* of samara/IMAGE */
	struct label label;		/* signature checked with the key inside it */
	uint8_t label_digest[DIGEST_LEN];	/* of the whole label file */
};

/**
 * image_dir_open(diskfd, short_name, d, e):
 * Open samara/NAME (any case) and read its label, from the second copy where the first is
 * damaged.  The label's own key signs it: who that is, the caller must know.
 * Return 0; -1 with ${e}: ERR_NO_IMAGE, ERR_DAMAGE, ERR_VERSION.
 */
int image_dir_open(int diskfd, const char *short_name, struct image_dir *d, struct err *e);
/* Close what image_dir_open opened. */
void image_dir_close(struct image_dir *d);

/**
 * image_statement(d, out, len, s, e):
 * Read and check the disk statement (signed by the label's machine key, about this
 * label); first copy or second.  The bytes are a new buffer of the caller.
 * 0; 1 there is none (the disk is not closed); -1 with ${e}.
 */
int image_statement(const struct image_dir *d, uint8_t **out, size_t *len, struct disk_statement *s, struct err *e);

/**
 * image_manifest(d, out, len, m, e):
 * The manifest of the highest generation that is whole and signed.  0; 1 there is none; -1.
 */
int image_manifest(const struct image_dir *d, uint8_t **out, size_t *len, struct manifest *m, struct err *e);

/*
 * Walk the disk index row by row: number, file length, table, footer.  Reads the
 * parts as a stream (first copy, else the second), and checks the digest of the
 * statement first.
 */
struct index_reader;
struct index_reader *index_reader_new(const struct image_dir *d, const struct disk_statement *s, struct err *e);
/* 1 with a row (pointers valid until the next call), 0 at the end, -1 with ${e}. */
int index_reader_next(struct index_reader *r, uint32_t *number, uint32_t *file_len, const uint8_t **table, uint32_t *table_len,
    const uint8_t **foot, struct err *e);
void index_reader_free(struct index_reader *r);

/* Is copy ${copy} (0 or 1) of the index, all its parts, the one that the statement signs?  0, or -1 with ${e}. */
int image_index_check(const struct image_dir *d, const struct disk_statement *s, int copy, struct err *e);

/* Open pack ${number} for reading (regular file only, no symlink).  Descriptor or -1 with ${e}. */
int image_pack_open(const struct image_dir *d, uint32_t number, struct err *e);

#endif
