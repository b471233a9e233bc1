#include "common/flow/chunk_ahead.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/flow/chunk_fetch.h"
#include "formats/fmt_listing.h"
#include "formats/fmt_pack.h"

#define FAMILIES	8u		/* indexes that are remembered */
#define WINDOW_MAX	32u

/* The children of one index. */
struct family {
	uint8_t parent[DIGEST_LEN];
	uint8_t *child;			/* DIGEST_LEN each */
	size_t n;
	size_t next;			/* behind the one that was read last; n + 1 at first: none */
	size_t wanted;			/* children before this are wanted, or were */
	size_t kept;			/* and from this on the wants stand */
	unsigned window;
	uint64_t used;
};

struct ahead {
	struct fetch *f;
	pthread_mutex_t lock;
	struct family family[FAMILIES];
	uint64_t clock;
};

struct ahead *
ahead_new(struct fetch *f)
{
	struct ahead *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->f = f;
	pthread_mutex_init(&a->lock, NULL);
	return a;
}

/* Wants before position ${to} are taken back. */
static void
family_let(struct ahead *a, struct family *m, size_t to)
{
	for (; m->kept < to && m->kept < m->wanted; m->kept++)
		fetch_unwant(a->f, m->child + m->kept * DIGEST_LEN);
}

static void
family_drop(struct ahead *a, struct family *m)
{
	family_let(a, m, m->wanted);
	free(m->child);
	memset(m, 0, sizeof(*m));
}

void
ahead_free(struct ahead *a)
{
	if (a == NULL)
		return;
	for (size_t i = 0; i < FAMILIES; i++)
		family_drop(a, &a->family[i]);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

/* The ids of the children, in a new buffer; how many. */
static size_t
children(unsigned kind, const uint8_t *plain, size_t len, uint8_t **out)
{
	struct index_row row;
	unsigned level;
	uint32_t n, got = 0;
	struct rd r;

	*out = NULL;
	if ((kind == KIND_INDEX ? node_decode(plain, len, &r, &level, &n) :
	    kind == KIND_SPILL ? spill_node_decode(plain, len, &r, &level, &n) : FMT_MAGIC) != FMT_OK ||
	    n > LISTING_CHUNK_MAX / DIGEST_LEN || (*out = malloc((size_t)n * DIGEST_LEN + 1)) == NULL)
		return 0;
	while (got < n) {
		const uint8_t *id;

		if (kind == KIND_INDEX) {
			if (index_row_next(&r, &row) != FMT_OK)
				break;
			id = row.child;
		} else if ((id = rd_bytes(&r, SPILL_ROW_LEN)) == NULL) {
			break;
		}
		memcpy(*out + (size_t)got++ * DIGEST_LEN, id, DIGEST_LEN);
	}
	return got;
}

static struct family *
family_room(struct ahead *a, const uint8_t parent[DIGEST_LEN])
{
	struct family *best = &a->family[0];

	for (size_t i = 0; i < FAMILIES; i++) {
		struct family *m = &a->family[i];

		if (m->child != NULL && memcmp(m->parent, parent, DIGEST_LEN) == 0)
			return NULL;
		if (m->used < best->used)
			best = m;
	}
	return best;
}

void
ahead_opened(struct ahead *a, const uint8_t id[DIGEST_LEN], unsigned kind, const uint8_t *plain, size_t len)
{
	struct family *m;
	uint8_t *child;
	size_t n;

	if ((kind != KIND_INDEX && kind != KIND_SPILL) || (n = children(kind, plain, len, &child)) == 0)
		return;
	pthread_mutex_lock(&a->lock);
	if ((m = family_room(a, id)) == NULL) {
		free(child);
	} else {
		family_drop(a, m);
		memcpy(m->parent, id, DIGEST_LEN);
		m->child = child;
		m->n = n;
		m->next = n + 1;
		m->window = 1;
		m->used = ++a->clock;
	}
	pthread_mutex_unlock(&a->lock);
}

/* Child ${at} is read. */
static void
family_read(struct ahead *a, struct family *m, size_t at)
{
	size_t to;

	m->used = ++a->clock;
	if (at != m->next) {	/* somewhere else: not one after the other, so far */
		family_let(a, m, m->wanted);
		m->window = 1;
		m->wanted = m->kept = at + 1;
		m->next = at + 1;
		return;
	}
	family_let(a, m, at);	/* the one before was used */
	m->next = at + 1;
	m->window = m->window * 2 > WINDOW_MAX ? WINDOW_MAX : m->window * 2;
	to = at + 1 + m->window < m->n ? at + 1 + m->window : m->n;
	if (m->wanted < at + 1)
		m->wanted = m->kept = at + 1;
	for (; m->wanted < to; m->wanted++)
		fetch_want(a->f, m->child + m->wanted * DIGEST_LEN);
}

/* The family that ${id} is a child of, the place where it is expected first; NULL: none. */
static struct family *
family_of(struct ahead *a, const uint8_t id[DIGEST_LEN], size_t *at)
{
	for (size_t i = 0; i < FAMILIES; i++) {
		struct family *m = &a->family[i];

		*at = m->next;
		if (m->next < m->n && memcmp(m->child + m->next * DIGEST_LEN, id, DIGEST_LEN) == 0)
			return m;
	}
	for (size_t i = 0; i < FAMILIES; i++) {
		struct family *m = &a->family[i];

		for (*at = 0; *at < m->n; ++*at)
			if (memcmp(m->child + *at * DIGEST_LEN, id, DIGEST_LEN) == 0)
				return m;
	}
	return NULL;
}

void
ahead_asked(struct ahead *a, const uint8_t id[DIGEST_LEN])
{
	struct family *m;
	size_t at;

	pthread_mutex_lock(&a->lock);
	if ((m = family_of(a, id, &at)) != NULL)
		family_read(a, m, at);
	pthread_mutex_unlock(&a->lock);
}
