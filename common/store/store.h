#ifndef SAMARA_STORE_STORE_H
#define SAMARA_STORE_STORE_H

/*
 * Stores: where a vault's objects live.  Five verbs and no others; what changes
 * is a new numbered object.  Names are "packs/ab/…", "records/00000001": parts
 * of lower-case letters, digits, '.', '-', '_'; never absolute, never "..".
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct store;

/* Content given piece by piece: put bytes at ${buf}, return how many (0: the end), -1 with ${e}. */
typedef ssize_t (*content_fn)(void *arg, uint8_t *buf, size_t cap, struct err *e);

struct store_ops {
	int (*put_new)(struct store *s, const char *name, const void *data, size_t len, struct err *e);
	int (*put_new_from)(struct store *s, const char *name, content_fn read, void *arg, struct err *e);
	int (*get)(struct store *s, const char *name, uint64_t off, void *out, size_t len, size_t *got, struct err *e);
	int (*stat)(struct store *s, const char *name, uint64_t *len, struct err *e);
	int (*list)(struct store *s, const char *prefix, const char *from,
	    int (*fn)(void *arg, const char *name, uint64_t len, struct err *e), void *arg, struct err *e);
	int (*del)(struct store *s, const char *name, struct err *e);
	int (*room)(struct store *s, uint64_t *bytes, struct err *e);
	void (*free)(struct store *s);
};
struct store {
	const struct store_ops *ops;
};

/*
 * put_new:  0 created and durable; 1 something of that name is there already; -1 with ${e} (then it is there whole or not at all).
 * put_new_from: the same, content streamed.
 * get:      bytes ${off} .. of the object, at most ${len}, into ${out}; ${got} is less only at its end.  -1: ERR_NOT_FOUND, ERR_IO.
 * stat:     0 with the length; 1 not there; -1 with ${e}.
 * list:     every name that begins with ${prefix}, in byte order, above ${from} ("" for all); ${fn} may stop it with non-zero, which is returned.
 * del:      0 gone, durably (also where it was not there); -1 with ${e}.
 * room:     bytes free, as far as known (UINT64_MAX: unknown).
 */

/**
 * store_dir_open(path, create, e):
 * The directory store at ${path}.  ${create}: it may be empty or absent, and is
 * made; a file system with neither RENAME_NOREPLACE nor link is ERR_FILE_SYSTEM.
 * Return NULL with ${e}: ERR_NO_VAULT, ERR_PERMISSION, …
 */
struct store *store_dir_open(const char *path, int create, struct err *e);

/* Read a whole object of at most ${max} bytes into a new buffer with a zero byte after it. */
int store_read(struct store *s, const char *name, size_t max, uint8_t **out, size_t *len, struct err *e);

#endif
