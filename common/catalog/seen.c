#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/catalog/seen.h"
#include "common/catalog/seen_run.h"
#include "common/catalog/seen_table.h"

#define TABLES	256u
#define BATCH	256u		/* ids looked up in runs at a time */
#define ID	32u
#define RUNS_MAX	256u	/* each holds a descriptor; then the oldest is forgotten too */

/*
 * Claims hold ${turn} for reading, whoever spills holds it for writing; so the
 * runs stand still during a claim.  A claim puts its key into the table first:
 * that decides between threads.  Only then the runs are asked, under no table's
 * lock, and where one has the key it is taken out of the table again.  Whoever
 * meets it there meanwhile is told "known", which is true either way.
 */
struct table {
	pthread_mutex_t lock;
	struct seen_table t;
};

struct seen {
	int dirfd;
	size_t limit;			/* of memory */
	uint64_t disk_limit;
	pthread_rwlock_t turn;
	struct table tables[TABLES];
	struct seen_run *runs[RUNS_MAX];	/* the oldest first */
	size_t nruns;
	uint64_t disk;
	_Atomic size_t memory;
	_Atomic uint64_t held, forgotten;
	_Atomic int spill_wanted;
	int broken;			/* a spill failed half way */
};

/* Keys of a claim that are new to memory and must be looked for in the runs. */
struct asked {
	struct seen_key key;
	size_t at;			/* in the caller's arrays */
};

static int
turn_init(pthread_rwlock_t *turn)
{
	pthread_rwlockattr_t a;
	int rc;

	if ((rc = pthread_rwlockattr_init(&a)) != 0)
		return rc;
	/* Or a spill would wait as long as claims keep coming. */
	(void)pthread_rwlockattr_setkind_np(&a, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	rc = pthread_rwlock_init(turn, &a);
	(void)pthread_rwlockattr_destroy(&a);
	return rc;
}

struct seen *
seen_new(int dirfd, size_t memory, uint64_t disk, struct err *e)
{
	struct seen *s = calloc(1, sizeof(*s));
	int rc;

	if (s == NULL) {
		err_errno(e, "the duplicate index");
		return NULL;
	}
	if ((rc = turn_init(&s->turn)) != 0) {
		errno = rc;
		err_errno(e, "the duplicate index");
		free(s);
		return NULL;
	}
	s->dirfd = dirfd;
	s->limit = memory;
	s->disk_limit = disk;
	atomic_store(&s->memory, sizeof(*s) + TABLES * SEEN_TABLE_MIN * sizeof(struct seen_key));
	for (unsigned i = 0; i < TABLES; i++)
		(void)pthread_mutex_init(&s->tables[i].lock, NULL);
	for (unsigned i = 0; i < TABLES; i++)
		if (seen_table_init(&s->tables[i].t, SEEN_TABLE_MIN) != 0) {
			err_errno(e, "the duplicate index");
			seen_free(s);
			return NULL;
		}
	return s;
}

void
seen_free(struct seen *s)
{
	if (s == NULL)
		return;
	for (unsigned i = 0; i < TABLES; i++) {
		seen_table_release(&s->tables[i].t);
		(void)pthread_mutex_destroy(&s->tables[i].lock);
	}
	for (size_t i = 0; i < s->nruns; i++)
		seen_run_free(s->runs[i]);
	(void)pthread_rwlock_destroy(&s->turn);
	free(s);
}

/*
 * See to it that ${t} has a free place beyond the next key.  Past the share of
 * memory it fills up instead of growing, until the spill that is then due; it
 * grows all the same when it is about to overflow before that.
 */
static int
table_room(struct seen *s, struct seen_table *t)
{
	uint32_t cap = seen_table_next_cap(t);
	size_t more = (size_t)(cap - t->cap) * sizeof(struct seen_key);

	if (!seen_table_is_full(t))
		return 0;
	if (atomic_load(&s->memory) + more > s->limit) {
		atomic_store(&s->spill_wanted, 1);
		if (t->used + t->cap / 32 + 2 < t->cap)
			return 0;
	}
	if (seen_table_grow(t, cap) != 0)
		return -1;
	atomic_fetch_add(&s->memory, more);
	return 0;
}

/* Add ${key} to its table: 1 if it was there, 0 if it is new, -1 without memory. */
static int
key_add(struct seen *s, const uint8_t *id, struct seen_key key)
{
	struct table *t = &s->tables[id[0]];
	int rc;

	(void)pthread_mutex_lock(&t->lock);
	if ((rc = table_room(s, &t->t)) == 0)
		rc = seen_table_add(&t->t, key);
	(void)pthread_mutex_unlock(&t->lock);
	if (rc == 0)
		atomic_fetch_add(&s->held, 1);
	return rc;
}

static void
key_drop(struct seen *s, const uint8_t *id, struct seen_key key)
{
	struct table *t = &s->tables[id[0]];
	int gone;

	(void)pthread_mutex_lock(&t->lock);
	gone = seen_table_drop(&t->t, key);
	(void)pthread_mutex_unlock(&t->lock);
	if (gone)
		atomic_fetch_sub(&s->held, 1);
}

static int
asked_compare(const void *a, const void *b)
{
	const struct asked *x = a, *y = b;

	return seen_key_compare(x->key, y->key);
}

/* Look for the ${n} sorted keys in one run; those found are struck off.  Return how many are left, or -1. */
static int
run_ask(struct seen *s, const struct seen_run *r, const uint8_t *ids, struct asked *q, size_t n, uint8_t *known,
    struct err *e)
{
	struct seen_block b;
	size_t left = 0;
	int has;

	b.run = NULL;
	for (size_t i = 0; i < n; i++) {
		if ((has = seen_run_has(r, q[i].key, &b, e)) == -1)
			return -1;
		if (!has) {
			q[left++] = q[i];
			continue;
		}
		known[q[i].at] = 1;
		key_drop(s, ids + q[i].at * ID, q[i].key);
	}
	return (int)left;
}

/* Claim up to BATCH ids.  ${turn} is held for reading. */
static int
claim_batch(struct seen *s, const uint8_t *ids, size_t n, uint8_t *known, struct err *e)
{
	struct asked q[BATCH];
	size_t asked = 0;
	int rc, left;

	for (size_t i = 0; i < n; i++) {
		struct seen_key key = seen_key_of(ids + i * ID);

		if ((rc = key_add(s, ids + i * ID, key)) == -1)
			return err_errno(e, "the duplicate index");
		known[i] = (uint8_t)rc;
		if (rc == 0)
			q[asked++] = (struct asked){ .key = key, .at = i };
	}
	if (s->nruns == 0)
		return 0;
	qsort(q, asked, sizeof(q[0]), asked_compare);
	for (size_t r = s->nruns; r > 0 && asked > 0; r--) {
		if ((left = run_ask(s, s->runs[r - 1], ids, q, asked, known, e)) == -1)
			return -1;
		asked = (size_t)left;
	}
	return 0;
}

/* --- spilling; ${turn} is held for writing --- */

static void
forget_oldest(struct seen *s)
{
	struct seen_run *r = s->runs[0];

	s->nruns--;
	memmove(s->runs, s->runs + 1, s->nruns * sizeof(*s->runs));
	s->disk -= seen_run_count(r) * sizeof(struct seen_key);
	atomic_fetch_sub(&s->memory, seen_run_memory(r));
	atomic_fetch_sub(&s->held, seen_run_count(r));
	atomic_fetch_add(&s->forgotten, seen_run_count(r));
	seen_run_free(r);
}

/* The sorted tables as one run; NULL with ${e}. */
static struct seen_run *
run_write(struct seen *s, uint64_t keys, struct err *e)
{
	struct seen_run *r = seen_run_new(s->dirfd, keys, e);

	for (unsigned i = 0; r != NULL && i < TABLES; i++)
		if (seen_run_add(r, s->tables[i].t.keys, s->tables[i].t.used, e) != 0) {
			seen_run_free(r);
			r = NULL;
		}
	return r;
}

/* The same where a full disk costs the oldest runs; ${out} NULL when there was no room even so. */
static int
run_write_somehow(struct seen *s, uint64_t keys, struct seen_run **out, struct err *e)
{
	uint64_t bytes = keys * sizeof(struct seen_key);
	struct err why;

	*out = NULL;
	while (s->nruns == RUNS_MAX || (s->nruns > 0 && s->disk + bytes > s->disk_limit))
		forget_oldest(s);
	while (bytes <= s->disk_limit) {
		err_clear(&why);
		if ((*out = run_write(s, keys, &why)) != NULL)
			return 0;
		if (why.code != ERR_NO_SPACE) {
			if (e != NULL)
				*e = why;
			return -1;
		}
		if (s->nruns == 0)
			break;
		forget_oldest(s);
	}
	return 0;
}

/* All that is in memory becomes a run; the tables keep their size. */
static int
spill(struct seen *s, struct err *e)
{
	struct seen_run *r;
	uint64_t keys = 0;

	for (unsigned i = 0; i < TABLES; i++) {
		seen_table_sort(&s->tables[i].t);
		keys += s->tables[i].t.used;
	}
	s->broken = 1;
	if (run_write_somehow(s, keys, &r, e) != 0)
		return -1;
	if (r == NULL) {
		atomic_fetch_sub(&s->held, keys);
		atomic_fetch_add(&s->forgotten, keys);
	} else {
		s->runs[s->nruns++] = r;
		s->disk += keys * sizeof(struct seen_key);
		atomic_fetch_add(&s->memory, seen_run_memory(r));
	}
	for (unsigned i = 0; i < TABLES; i++)
		seen_table_clear(&s->tables[i].t);
	s->broken = 0;
	return 0;
}

static int
spill_if_wanted(struct seen *s, struct err *e)
{
	int rc = 0;

	if (!atomic_load(&s->spill_wanted))
		return 0;
	(void)pthread_rwlock_wrlock(&s->turn);
	if (atomic_load(&s->spill_wanted) && !s->broken) {
		rc = spill(s, e);
		atomic_store(&s->spill_wanted, 0);
	}
	(void)pthread_rwlock_unlock(&s->turn);
	return rc;
}

int
seen_claim(struct seen *s, const uint8_t *ids, size_t n, uint8_t *known, struct err *e)
{
	size_t some;
	int rc;

	for (size_t at = 0; at < n; at += some) {
		some = n - at < BATCH ? n - at : BATCH;
		(void)pthread_rwlock_rdlock(&s->turn);
		if (s->broken)
			rc = err_set(e, ERR_IO, "the duplicate index could not be written out before");
		else
			rc = claim_batch(s, ids + at * ID, some, known + at, e);
		(void)pthread_rwlock_unlock(&s->turn);
		if (rc != 0 || spill_if_wanted(s, e) != 0)
			return -1;
	}
	return 0;
}

/* ${turn} is held for reading. */
static int
key_find(struct seen *s, const uint8_t *id, struct err *e)
{
	struct table *t = &s->tables[id[0]];
	struct seen_key key = seen_key_of(id);
	struct seen_block b = { .run = NULL };
	int has;

	(void)pthread_mutex_lock(&t->lock);
	has = seen_table_has(&t->t, key);
	(void)pthread_mutex_unlock(&t->lock);
	for (size_t r = s->nruns; r > 0 && has == 0; r--)
		has = seen_run_has(s->runs[r - 1], key, &b, e);
	return has;
}

int
seen_has(struct seen *s, const uint8_t *id, struct err *e)
{
	int rc;

	(void)pthread_rwlock_rdlock(&s->turn);
	rc = s->broken ? err_set(e, ERR_IO, "the duplicate index could not be written out before") : key_find(s, id, e);
	(void)pthread_rwlock_unlock(&s->turn);
	return rc;
}

void
seen_drop(struct seen *s, const uint8_t *id)
{
	(void)pthread_rwlock_rdlock(&s->turn);
	if (!s->broken)
		key_drop(s, id, seen_key_of(id));
	(void)pthread_rwlock_unlock(&s->turn);
}

void
seen_counts(const struct seen *s, uint64_t *held, uint64_t *forgotten, size_t *memory)
{
	*held = atomic_load(&s->held);
	*forgotten = atomic_load(&s->forgotten);
	*memory = atomic_load(&s->memory);
}
