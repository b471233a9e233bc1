#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/flow/topup.h"
#include "common/flow/topup_job.h"

struct topup_ids {
	uint8_t (*ids)[DIGEST_LEN];
	uint8_t *had;
	size_t n, cap, left;
};

struct topup_ids *
topup_ids_new(void)
{
	return calloc(1, sizeof(struct topup_ids));
}

void
topup_ids_free(struct topup_ids *t)
{
	if (t == NULL)
		return;
	free(t->ids);
	free(t->had);
	free(t);
}

static int
ids_grow(struct topup_ids *t, struct err *e)
{
	size_t cap = t->cap * 2 + 1024;
	uint8_t (*ids)[DIGEST_LEN] = realloc(t->ids, cap * sizeof(*ids));
	uint8_t *had;

	if (ids != NULL)
		t->ids = ids;
	if (ids == NULL || (had = realloc(t->had, cap)) == NULL)
		return err_errno(e, "list of what is missing");
	t->had = had;
	t->cap = cap;
	return 0;
}

int
topup_ids_add(struct topup_ids *t, const uint8_t id[DIGEST_LEN], struct err *e)
{
	if (t->n == TOPUP_IDS_MAX) {
		(void)err_set(e, ERR_RULE, "more than %zu chunks are missing: that is no gap", TOPUP_IDS_MAX);
		return err_next(e, "build a new image: samara-seed build --full --to DISK PATH...");
	}
	if (t->n > 0 && memcmp(t->ids[t->n - 1], id, DIGEST_LEN) >= 0)
		return err_set(e, ERR_INTERNAL, "ids that are wanted do not rise");
	if (t->n == t->cap && ids_grow(t, e) != 0)
		return -1;
	memcpy(t->ids[t->n], id, DIGEST_LEN);
	t->had[t->n++] = 0;
	t->left++;
	return 0;
}

static int
id_order(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_LEN);
}

size_t
topup_ids_find(const struct topup_ids *t, const uint8_t *id)
{
	const uint8_t *at;

	if (t->n == 0 || (at = bsearch(id, t->ids, t->n, DIGEST_LEN, id_order)) == NULL)
		return TOPUP_NONE;
	return (size_t)(at - t->ids[0]) / DIGEST_LEN;
}

int
topup_ids_wanted(const struct topup_ids *t, size_t i)
{
	return i != TOPUP_NONE && !t->had[i];
}

void
topup_ids_had(struct topup_ids *t, size_t i)
{
	t->left -= !t->had[i];
	t->had[i] = 1;
}

void
topup_ids_strike(struct topup_ids *t, const uint8_t id[DIGEST_LEN])
{
	size_t i = topup_ids_find(t, id);

	if (i != TOPUP_NONE)
		topup_ids_had(t, i);
}

bool
topup_ids_has(const struct topup_ids *t, const uint8_t id[DIGEST_LEN])
{
	return topup_ids_find(t, id) != TOPUP_NONE;
}

size_t
topup_ids_count(const struct topup_ids *t)
{
	return t->n;
}

size_t
topup_ids_left(const struct topup_ids *t)
{
	return t->left;
}

const uint8_t *
topup_ids_at(const struct topup_ids *t, size_t i, int *had)
{
	if (i >= t->n)
		return NULL;
	*had = t->had[i];
	return t->ids[i];
}
