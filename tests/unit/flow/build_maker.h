#ifndef SAMARA_TESTS_FLOW_BUILD_MAKER_H
#define SAMARA_TESTS_FLOW_BUILD_MAKER_H

/* Builds of small trees: a registered machine, a source, disks; and what is in an image, as text. */

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/crypto/hash.h"
#include "common/flow/build.h"
#include "common/flow/image_state.h"
#include "common/flow/keyring.h"
#include "common/flow/source.h"
#include "common/pack/listing_read.h"
#include "flow/machine_maker.h"

struct build_maker {
	struct machine_maker m;
	char src[80], disk[80];
	const char *paths[1];
	const char *disks[8];		/* the first is ${disk} */
	struct build_options o;		/* what build_maker_run will say */
	struct build_report r;
	struct err e;
};

static inline void
build_maker_start(struct build_maker *b)
{
	memset(b, 0, sizeof(*b));
	err_clear(&b->e);
	machine_maker_start(&b->m);
	assert_int_equal(machine_maker_register(&b->m, &b->e), 0);
	(void)snprintf(b->src, sizeof(b->src), "%s/src", b->m.root);
	(void)snprintf(b->disk, sizeof(b->disk), "%s/disk", b->m.root);
	assert_int_equal(mkdir(b->src, 0755), 0);
	assert_int_equal(mkdir(b->disk, 0755), 0);
	b->paths[0] = b->src;
	b->disks[0] = b->disk;
	b->o = (struct build_options){ .state_path = b->m.state, .disks = b->disks, .ndisks = 1, .parity = -1, .reserve = UINT64_MAX, .paths = b->paths, .npaths = 1, .level = 1,
	    .workers = 2, .memory = 300u << 20, .plain_directory = true, .no_key_test = true };
}

static inline void
build_maker_end(struct build_maker *b)
{
	machine_maker_end(&b->m);
}

/* One build (or with b->o.resume one more step); what build_run said. */
static inline int
build_maker_run(struct build_maker *b)
{
	err_clear(&b->e);
	return build_run(&b->o, &b->r, &b->e);
}

/* Bytes of the file ${name} below the source; the same for the same ${salt}. */
static inline void
build_maker_file(struct build_maker *b, const char *name, size_t len, unsigned salt)
{
	char path[512];
	uint32_t x = salt * 2654435761u + 77;
	uint8_t *p = malloc(len + 1);
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", b->src, name);
	for (size_t i = 0; i < len; i++) {
		x = x * 1103515245 + 12345;
		p[i] = (uint8_t)(x >> 16);
	}
	f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	free(p);
}

static inline void
build_maker_dir(struct build_maker *b, const char *name)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", b->src, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

/* --- an image as text --- */

struct image_text {
	char *text;		/* one line an entry below the source: path type size nlink flags holes extents content */
	size_t len, cap;
	uint64_t entries, unreadable;
	struct source_reader *files;
	struct hash content;
	uint64_t holes;
};

static inline void
image_text_add(struct image_text *t, const void *p, size_t n)
{
	if (t->len + n + 1 > t->cap) {
		t->cap = (t->len + n + 1) * 2;
		t->text = realloc(t->text, t->cap);
	}
	memcpy(t->text + t->len, p, n);
	t->len += n;
	t->text[t->len] = '\0';
}

static inline int
image_text_extent(void *arg, uint64_t at, const struct extent *x, struct err *e)
{
	struct image_text *t = arg;
	const uint8_t *plain;
	uint8_t zero[4096] = { 0 };
	size_t n;

	(void)at;
	if (extent_is_hole(x)) {
		t->holes += x->len;
		for (uint64_t left = x->len; left > 0; left -= n) {
			n = left < sizeof(zero) ? (size_t)left : sizeof(zero);
			hash_update(&t->content, zero, n);
		}
		return 0;
	}
	if (source_get(t->files, x->id, 0, &plain, &n, e) != 0)
		return -1;
	if (x->offset > n || x->len > n - x->offset)
		return err_set(e, ERR_DIFFERENT, "an extent past its chunk");
	hash_update(&t->content, plain + x->offset, (size_t)x->len);
	return 0;
}

static inline int
image_text_entry(struct image_text *t, struct fmt_view dir, const struct entry *en, struct err *e)
{
	uint8_t digest[DIGEST_LEN], extents[DIGEST_LEN];
	char line[256];

	t->holes = 0;
	hash_init(&t->content);
	if (en->type == ENTRY_FILE && extents_each(en, source_get, t->files, NULL, NULL, image_text_extent, t, e) != 0)
		return -1;
	hash_final(&t->content, digest);
	hash_init(&t->content);
	hash_update(&t->content, en->extents.p, en->extents.len);
	hash_update(&t->content, en->long_extents.id, DIGEST_LEN);
	hash_final(&t->content, extents);
	image_text_add(t, dir.p, dir.len);
	image_text_add(t, "/", 1);
	image_text_add(t, en->name.p, en->name.len);
	(void)snprintf(line, sizeof(line), " type=%u size=%llu nlink=%u flags=%u holes=%llu extents=%02x%02x%02x%02x %02x%02x%02x%02x\n", en->type,
	    (unsigned long long)en->size, en->nlink, en->flags, (unsigned long long)t->holes, extents[0], extents[1], extents[2], extents[3],
	    digest[0], digest[1], digest[2], digest[3]);
	image_text_add(t, line, strlen(line));
	return 0;
}

static inline int
image_text_listing(struct image_text *t, struct source_reader *first, const struct snapshot_root *root, struct err *e)
{
	struct listing_reader *l = listing_reader_new(root->top_id, root->levels, source_get, first, NULL, NULL);
	struct fmt_view dir;
	struct entry en;
	int got;

	while ((got = listing_reader_next(l, &dir, &en, e)) > 0)
		if (got == 1 && (en.flags & ENTRY_ABOVE) == 0 && image_text_entry(t, dir, &en, e) != 0) {
			got = -1;
			break;
		}
	listing_reader_free(l);
	return got;
}

/**
 * image_text_read(t, b, name, disks, n, e):
 * The snapshot of image ${name}, its chunks from ${disks}.  0, or -1 with
 * ${e}; ${t} is freed with image_text_free either way.
 */
static inline int
image_text_read(struct image_text *t, const char *state, const char *name, const char *const *disks, size_t n, struct err *e)
{
	struct state *s = state_open(state, e);
	struct keyring *k = s != NULL ? keyring_from_state(s, e) : NULL;
	struct image_state *im = k != NULL ? image_state_load(s, name, NULL, NULL, e) : NULL;
	struct source_options o = { .keys = k != NULL ? k->keys : NULL, .memory = 32u << 20 };
	struct source *source = im != NULL ? source_new(&o, e) : NULL;
	struct source_reader *first = NULL;
	struct snapshot_root root;
	const uint8_t *plain;
	size_t len;
	int rc = source != NULL ? 0 : -1;

	memset(t, 0, sizeof(*t));
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = source_add(source, disks[i], NULL, e);
	if (rc == 0)
		rc = source_index(source, e);
	if (rc == 0 && ((first = source_reader_new(source, e)) == NULL || (t->files = source_reader_new(source, e)) == NULL))
		rc = -1;
	if (rc == 0 && !im->sealed)
		rc = err_set(e, ERR_DIFFERENT, "image %s is not sealed", name);
	if (rc == 0)
		rc = source_get(t->files, im->envelope.root_id, KIND_ROOT, &plain, &len, e);
	if (rc == 0 && schema_decode(&snapshot_root_schema, &root, plain, len) != FMT_OK)
		rc = err_set(e, ERR_DIFFERENT, "the root cannot be read");
	if (rc == 0) {
		t->entries = root.entries;
		t->unreadable = root.unreadable;
		rc = image_text_listing(t, first, &root, e);
	}
	source_reader_free(first);
	source_reader_free(t->files);
	source_free(source);
	image_state_free(im);
	keyring_free(k);
	state_free(s);
	return rc;
}

static inline void
image_text_free(struct image_text *t)
{
	free(t->text);
	t->text = NULL;
}

/* What the text has behind "SRC/NAME", or NULL where the name is not in it. */
static inline const char *
image_text_find(const struct image_text *t, const struct build_maker *b, const char *name)
{
	char key[512];
	const char *at;

	(void)snprintf(key, sizeof(key), "%s/%s type=", b->src, name);
	at = strstr(t->text, key);
	return at != NULL ? at + strlen(key) - 5 : NULL;
}

#endif
