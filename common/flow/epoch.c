#include "common/flow/epoch.h"

#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/catalog/catalog.h"

int
session_enter(struct vault *v, struct cat_session *s, struct err *e)
{
	io_random(s->id, ID_LEN);
	if (catalog_number(v->catalog, "epoch", &s->epoch, e) < 0)
		return -1;
	s->opened = s->touched = v->slow;
	return catalog_put(v->catalog, &cat_sessions, s, e);
}

int
session_is_over(const struct vault *v, const struct cat_session *s)
{
	return v->slow - s->touched > (s->kind == SESSION_PLEDGE ? SESSION_IDLE_PLEDGE : SESSION_IDLE);
}

int
session_get(struct vault *v, const uint8_t id[ID_LEN], struct cat_session *s, struct err *e)
{
	int rc;

	memcpy(s->id, id, ID_LEN);
	if ((rc = catalog_get(v->catalog, &cat_sessions, s, e)) != 0)
		return rc;
	return vault_clock_look(v, e) != 0 ? -1 : session_is_over(v, s);
}

int
session_stay(struct vault *v, struct cat_session *s, struct err *e)
{
	struct cat_session there;
	int rc = session_get(v, s->id, &there, e);

	if (rc < 0)
		return -1;
	if (rc == 1 && catalog_number(v->catalog, "epoch", &s->epoch, e) < 0)
		return -1;
	s->touched = v->slow;
	return catalog_put(v->catalog, &cat_sessions, s, e);
}

int
session_end(struct vault *v, const uint8_t id[ID_LEN], struct err *e)
{
	struct cat_session s;

	memset(&s, 0, sizeof(s));
	memcpy(s.id, id, ID_LEN);
	return catalog_drop(v->catalog, &cat_sessions, &s, e);
}

int
session_enter_now(struct vault *v, struct cat_session *s, struct err *e)
{
	if (vault_begin(v, e) != 0)
		return -1;
	if (session_enter(v, s, e) == 0)
		return vault_commit(v, e);
	vault_rollback(v);
	return -1;
}

int
session_end_now(struct vault *v, const uint8_t id[ID_LEN], struct err *e)
{
	if (vault_begin(v, e) != 0)
		return -1;
	if (session_end(v, id, e) == 0)
		return vault_commit(v, e);
	vault_rollback(v);
	return -1;
}

struct waiting {
	struct vault *v;
	int64_t condemned;
	uint64_t n;
};

static int
session_look(void *arg, const void *row, struct err *e)
{
	const struct cat_session *s = row;
	struct waiting *w = arg;

	if (session_is_over(w->v, s))
		return catalog_drop(w->v->catalog, &cat_sessions, s, e);
	w->n += s->epoch < w->condemned;
	return 0;
}

int
epoch_wait(struct vault *v, int64_t condemned, uint64_t *n, struct err *e)
{
	struct waiting w = { v, condemned, 0 };
	int rc = catalog_each(v->catalog, &cat_sessions, 0, NULL, session_look, &w, e);

	*n = w.n;
	return rc;
}
