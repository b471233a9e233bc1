#include "common/flow/restore_later.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/flow/snapshot_open.h"
#include "common/pack/listing_read.h"

#define TICK_NS		INT64_C(50000000)	/* times of files move in steps of a system's tick, 10 ms at most */

struct late {
	const struct snapshot *snap;
	struct open_snapshot open;
	enum { LATE_NEW, LATE_OPEN, LATE_BAD } is;
};

struct later {
	struct source *s;
	const struct keyring *keys;
	struct late late[LATER_MOST];	/* by rising number */
	size_t n;
	size_t hint;			/* where the last one was found */
	pthread_mutex_t lock;
};

struct later *
later_new(struct source *s, const struct keyring *keys, const struct snapshot_list *list, const struct snapshot *snap)
{
	struct later *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->s = s;
	l->keys = keys;
	pthread_mutex_init(&l->lock, NULL);
	for (size_t i = 0; i < list->n && l->n < LATER_MOST; i++)
		if (list->snap[i].env.seq > snap->env.seq && list->snap[i].env.kind == snap->env.kind &&
		    strcmp(list->snap[i].env.set_name, snap->env.set_name) == 0)
			l->late[l->n++].snap = &list->snap[i];
	return l;
}

void
later_free(struct later *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < l->n; i++)
		if (l->late[i].is == LATE_OPEN)
			snapshot_close(&l->late[i].open);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

int
later_some(const struct later *l)
{
	return l->n > 0;
}

/* Have it open: its root, or NULL where it cannot be read. */
static const struct snapshot_root *
late_root(struct later *l, struct late *one, struct source_reader *reader)
{
	struct err own;

	err_clear(&own);
	pthread_mutex_lock(&l->lock);
	if (one->is == LATE_NEW)
		one->is = snapshot_open(&one->open, l->s, reader, one->snap, l->keys, &own) == 0 ? LATE_OPEN : LATE_BAD;
	pthread_mutex_unlock(&l->lock);
	return one->is == LATE_OPEN ? &one->open.root : NULL;
}

/* Is it the same file, not touched in between? */
static int
is_same(const struct entry *a, const struct entry *b)
{
	return a->type == ENTRY_FILE && b->type == ENTRY_FILE && a->size == b->size && a->mtime_s == b->mtime_s &&
	    a->mtime_ns == b->mtime_ns && a->ctime_s == b->ctime_s && a->ctime_ns == b->ctime_ns && a->inode == b->inode &&
	    ((a->flags | b->flags) & (ENTRY_CHANGED | ENTRY_PARTIAL)) == 0;
}

static int
has_other_chunks(const struct entry *a, const struct entry *b)
{
	return a->longs != b->longs || a->extents.len != b->extents.len ||
	    memcmp(a->extents.p, b->extents.p, a->extents.len) != 0 || ((a->longs & LONG_EXTENTS) != 0 &&
	    memcmp(a->long_extents.id, b->long_extents.id, DIGEST_LEN) != 0);
}

/* Nothing was written to it after it was read without its times moving. */
static int
is_settled(const struct entry *en, int64_t begin_ns)
{
	int64_t s = en->ctime_s > en->mtime_s ? en->ctime_s : en->mtime_s;
	int64_t ns = en->ctime_s > en->mtime_s ? en->ctime_ns : en->ctime_s < en->mtime_s ? en->mtime_ns :
	    en->ctime_ns > en->mtime_ns ? en->ctime_ns : en->mtime_ns;

	return s < begin_ns / 1000000000 - 1 || (s <= begin_ns / 1000000000 && s * 1000000000 + ns + TICK_NS < begin_ns);
}

/* In one of them: 1 found, 0 the same chunks or not to be read, -1 it is another file there. */
static int
late_find(struct later *l, struct late *one, struct source_reader *reader, struct fmt_view path, const struct entry *en,
    struct entry *out, uint8_t *copy)
{
	const struct snapshot_root *root = late_root(l, one, reader);
	struct err own;
	int rc;

	err_clear(&own);
	if (root == NULL || (rc = listing_find(root->top_id, root->levels, source_get, reader, path, out, copy, &own)) < 0)
		return 0;
	if (rc == 0 || !is_same(en, out))
		return -1;
	return has_other_chunks(en, out);
}

int
later_find(struct later *l, struct source_reader *reader, struct fmt_view path, const struct entry *en, int64_t begin_ns,
    struct entry *out, uint8_t *copy, const struct snapshot **from)
{
	size_t hint = __atomic_load_n(&l->hint, __ATOMIC_RELAXED);
	int rc = 0;

	if (en->type != ENTRY_FILE || !is_settled(en, begin_ns))
		return 0;
	/* Those of one bundle are found in the same one, most of the time. */
	if (hint < l->n && late_find(l, &l->late[hint], reader, path, en, out, copy) == 1) {
		*from = l->late[hint].snap;
		return 1;
	}
	for (size_t i = 0; i < l->n && rc == 0; i++) {
		rc = i == hint ? 0 : late_find(l, &l->late[i], reader, path, en, out, copy);
		if (rc == 1) {
			*from = l->late[i].snap;
			__atomic_store_n(&l->hint, i, __ATOMIC_RELAXED);
			return 1;
		}
	}
	return 0;
}
