#ifndef SAMARA_STORE_STORE_DIR_H
#define SAMARA_STORE_STORE_DIR_H

/* The parts of the directory store that its own files share. */

#include <pthread.h>

#include "common/store/store.h"

#define STORE_NAME_MAX	256	/* of a whole name, with its zero */
#define STORE_PART_MAX	200	/* of one part */
#define STORE_TMP	"tmp"
#define STORE_LOCAL	"local"
#define STORE_DIRS_KNOWN 1024

struct store_dir {
	struct store base;
	int root;
	char *path;			/* as a person knows it */
	pthread_mutex_t lock;		/* of the names below */
	char **known;			/* directories that this handle made durable */
	size_t nknown;
	int swept;			/* what stopped runs left in tmp/ was looked at */
};

/* 1 if ${name} may be an object: parts of [a-z0-9._-], none beginning with '.', none of ours first. */
int store_name_is_valid(const char *name);

/* The verb list. */
int store_dir_list(struct store *s, const char *prefix, const char *from,
    int (*fn)(void *arg, const char *name, uint64_t len, struct err *e), void *arg, struct err *e);

/**
 * store_tmp_create(d, tmp, e):
 * A new file in tmp/, locked as long as its descriptor is open, so that no
 * other process takes it for one that a stopped run left.  Return the
 * descriptor, with the name ("tmp/…") in ${tmp}, or -1 with ${e}.
 */
int store_tmp_create(struct store_dir *d, char tmp[64], struct err *e);

/* Remove what stopped runs left in tmp/: files named as ours that nobody has locked. */
void store_tmp_sweep(struct store_dir *d);

#endif
