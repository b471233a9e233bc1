#include "common/flow/line_asker.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/flow/line_session.h"

#define OUT_MAX		4u	/* questions on their way at the same time */
#define FIRST_IDS	64u

/* A question that is being put together, on its way, or answered. */
struct question {
	uint8_t *ids;			/* sorted, each once, when it goes */
	uint8_t *states;
	size_t n, cap;
	unsigned users;			/* threads that have not taken their answers yet */
	bool gone, answered;
	int rc;
	struct err err;
};

struct line_asker {
	struct line_session *t;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct question *open;		/* the one that can still be joined */
	unsigned out;
	uint64_t questions, ids;
};

struct line_asker *
line_asker_new(struct line_session *t)
{
	struct line_asker *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->t = t;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->changed, NULL);
	return a;
}

static void
question_free(struct question *q)
{
	if (q == NULL)
		return;
	free(q->ids);
	free(q->states);
	free(q);
}

void
line_asker_free(struct line_asker *a)
{
	if (a == NULL)
		return;
	question_free(a->open);
	pthread_cond_destroy(&a->changed);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

/* Join the open question, or begin one.  NULL with ${e}. */
static struct question *
join_locked(struct line_asker *a, const uint8_t *ids, size_t n, struct err *e)
{
	struct question *q = a->open;
	size_t cap;
	uint8_t *grown;

	if (q != NULL && q->n + n > ASK_IDS_MAX)
		q = NULL;	/* it goes by itself, with those who are in it */
	if (q == NULL) {
		if ((q = calloc(1, sizeof(*q))) == NULL) {
			err_errno(e, "ask for chunks");
			return NULL;
		}
		err_clear(&q->err);
		a->open = q;
	}
	if (q->n + n > q->cap) {
		cap = q->cap == 0 ? FIRST_IDS : q->cap * 2;
		if (cap < q->n + n)
			cap = q->n + n;
		if ((grown = realloc(q->ids, cap * DIGEST_LEN)) == NULL) {
			err_errno(e, "ask for chunks");
			return NULL;
		}
		q->ids = grown;
		q->cap = cap;
	}
	memcpy(q->ids + q->n * DIGEST_LEN, ids, n * DIGEST_LEN);
	q->n += n;
	q->users++;
	return q;
}

static int
id_order(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_LEN);
}

/* Send the question, which nobody joins any more; the lock is not held. */
static void
question_send(struct line_asker *a, struct question *q)
{
	size_t m = 0;

	qsort(q->ids, q->n, DIGEST_LEN, id_order);
	for (size_t i = 0; i < q->n; i++)
		if (m == 0 || memcmp(q->ids + (m - 1) * DIGEST_LEN, q->ids + i * DIGEST_LEN, DIGEST_LEN) != 0)
			memmove(q->ids + m++ * DIGEST_LEN, q->ids + i * DIGEST_LEN, DIGEST_LEN);
	q->n = m;
	if ((q->states = malloc(m)) == NULL)
		q->rc = err_errno(&q->err, "ask for chunks");
	else
		q->rc = line_session_ask(a->t, q->ids, (uint32_t)m, q->states, &q->err);
}

/* Be the one who sends ${q}; the lock is held before and after. */
static void
lead_locked(struct line_asker *a, struct question *q)
{
	if (a->open == q)
		a->open = NULL;
	q->gone = true;
	a->out++;
	a->questions++;
	a->ids += q->n;
	pthread_mutex_unlock(&a->lock);
	question_send(a, q);
	pthread_mutex_lock(&a->lock);
	a->out--;
	q->answered = true;
	pthread_cond_broadcast(&a->changed);
}

static int
answers_take(const struct question *q, const uint8_t *ids, size_t n, uint8_t *known, struct err *e)
{
	const uint8_t *at;

	if (q->rc != 0) {
		if (e != NULL)
			*e = q->err;
		return -1;
	}
	for (size_t i = 0; i < n; i++) {
		at = bsearch(ids + i * DIGEST_LEN, q->ids, q->n, DIGEST_LEN, id_order);
		known[i] = at != NULL && q->states[(size_t)(at - q->ids) / DIGEST_LEN] != ID_MISSING;
	}
	return 0;
}

static int
ask_some(struct line_asker *a, const uint8_t *ids, size_t n, uint8_t *known, struct err *e)
{
	struct question *q;
	int rc;

	pthread_mutex_lock(&a->lock);
	if ((q = join_locked(a, ids, n, e)) == NULL) {
		pthread_mutex_unlock(&a->lock);
		return -1;
	}
	while (!q->answered) {
		if (!q->gone && a->out < OUT_MAX)
			lead_locked(a, q);
		else
			pthread_cond_wait(&a->changed, &a->lock);
	}
	rc = answers_take(q, ids, n, known, e);
	if (--q->users == 0)
		question_free(q);
	pthread_mutex_unlock(&a->lock);
	return rc;
}

int
line_asker_ask(struct line_asker *a, const uint8_t *ids, size_t n, uint8_t *known, struct err *e)
{
	size_t some;

	for (size_t at = 0; at < n; at += some) {
		some = n - at < ASK_IDS_MAX ? n - at : ASK_IDS_MAX;
		if (ask_some(a, ids + at * DIGEST_LEN, some, known + at, e) != 0)
			return -1;
	}
	return 0;
}

void
line_asker_counts(struct line_asker *a, uint64_t *questions, uint64_t *ids)
{
	pthread_mutex_lock(&a->lock);
	*questions = a->questions;
	*ids = a->ids;
	pthread_mutex_unlock(&a->lock);
}
