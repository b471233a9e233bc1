#include "tests/crash/image_reader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/flow/image_state.h"
#include "common/flow/keyring.h"
#include "common/flow/source.h"
#include "common/pack/listing_read.h"

struct comparison {
	struct source_reader *reader;
	uint8_t *file;
	size_t len, cap;
	unsigned files;
};

static int
append(void *arg, uint64_t at, const struct extent *x, struct err *e)
{
	struct comparison *c = arg;
	const uint8_t *plain;
	size_t n;

	if (at != c->len || c->len + x->len > c->cap)
		return err_set(e, ERR_DIFFERENT, "an extent at %llu", (unsigned long long)at);
	if (extent_is_hole(x)) {
		memset(c->file + c->len, 0, x->len);
	} else {
		if (source_get(c->reader, x->id, 0, &plain, &n, e) != 0)
			return -1;
		if (x->offset > n || x->len > n - x->offset)
			return err_set(e, ERR_DIFFERENT, "an extent past its chunk");
		memcpy(c->file + c->len, plain + x->offset, x->len);
	}
	c->len += x->len;
	return 0;
}

static int
file_compare(struct comparison *c, struct fmt_view dir, const struct entry *en, struct err *e)
{
	char path[4096];
	uint8_t *live;
	size_t n;
	int rc;

	snprintf(path, sizeof(path), "%.*s/%.*s", (int)dir.len, (const char *)dir.p, (int)en->name.len, (const char *)en->name.p);
	if (file_read(AT_FDCWD, path, 64u << 20, &live, &n, e) != 0)
		return -1;
	c->len = 0;
	c->cap = n;
	c->file = malloc(n + 1);
	rc = extents_each(en, source_get, c->reader, NULL, NULL, append, c, e);
	if (rc == 0 && (c->len != n || memcmp(c->file, live, n) != 0))
		rc = err_set(e, ERR_DIFFERENT, "%s is not what it was", path);
	free(c->file);
	free(live);
	c->files++;
	return rc != 0 ? err_during(e, "%s", path) : 0;
}

static unsigned
files_below(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *x;
	struct stat st;
	char sub[4096];
	unsigned n = 0;

	while (d != NULL && (x = readdir(d)) != NULL) {
		if (strcmp(x->d_name, ".") == 0 || strcmp(x->d_name, "..") == 0)
			continue;
		snprintf(sub, sizeof(sub), "%s/%s", path, x->d_name);
		if (lstat(sub, &st) == 0)
			n += S_ISDIR(st.st_mode) ? files_below(sub) : S_ISREG(st.st_mode) ? 1 : 0;
	}
	if (d != NULL)
		closedir(d);
	return n;
}

static int
listing_compare(struct comparison *c, const struct snapshot_root *root, struct err *e)
{
	struct source_reader *files = c->reader;
	struct listing_reader *l;
	struct fmt_view dir;
	struct entry en;
	int got;

	l = listing_reader_new(root->top_id, root->levels, source_get, files, NULL, NULL);
	if (l == NULL)
		return err_set(e, ERR_MEMORY, "listing");
	while ((got = listing_reader_next(l, &dir, &en, e)) > 0)
		if (got == 1 && en.type == ENTRY_FILE && file_compare(c, dir, &en, e) != 0) {
			got = -1;
			break;
		}
	listing_reader_free(l);
	return got;
}

int
image_compare(const char *state, const char *short_name, const char *const *disks, size_t n, const char *src, struct err *e)
{
	struct state *s = state_open(state, e);
	struct keyring *k = s != NULL ? keyring_from_state(s, e) : NULL;
	struct image_state *im = k != NULL ? image_state_load(s, short_name, NULL, NULL, e) : NULL;
	struct source_options o = { .keys = k != NULL ? k->keys : NULL, .memory = 32u << 20 };
	struct source *source = im != NULL ? source_new(&o, e) : NULL;
	struct comparison c = { 0 };
	struct snapshot_root root;
	struct source_reader *first = NULL;
	const uint8_t *plain;
	uint8_t *copy = NULL;
	size_t len;
	int rc = -1;

	for (size_t i = 0; i < n && source != NULL; i++)
		if (source_add(source, disks[i], NULL, e) != 0)
			goto out;
	if (source == NULL || source_index(source, e) != 0 ||
	    (first = source_reader_new(source, e)) == NULL || (c.reader = source_reader_new(source, e)) == NULL)
		goto out;
	if (im->envelope.seq == 0 || !im->sealed) {
		err_set(e, ERR_DIFFERENT, "image %s is not sealed", short_name);
		goto out;
	}
	if (source_get(first, im->envelope.root_id, KIND_ROOT, &plain, &len, e) != 0)
		goto out;
	copy = malloc(len + 1);
	memcpy(copy, plain, len);
	if (schema_decode(&snapshot_root_schema, &root, copy, len) != FMT_OK) {
		err_set(e, ERR_DIFFERENT, "the root cannot be read");
		goto out;
	}
	if ((rc = listing_compare(&c, &root, e)) == 0 && c.files != files_below(src))
		rc = err_set(e, ERR_DIFFERENT, "%u files in the snapshot, %u in %s", c.files, files_below(src), src);
out:
	free(copy);
	source_reader_free(first);
	source_reader_free(c.reader);
	source_free(source);
	image_state_free(im);
	keyring_free(k);
	state_free(s);
	return rc;
}
