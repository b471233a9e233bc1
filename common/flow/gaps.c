#include "common/flow/gaps.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_chunks.h"
#include "common/catalog/catalog_rows.h"
#include "common/flow/container.h"
#include "common/flow/id_list.h"
#include "common/flow/vault_count.h"
#include "common/flow/vault_machine.h"
#include "common/pack/id_sorter.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

#define SORT_MEMORY	((size_t)32 << 20)

/* --- what is missing --- */

struct finding_gaps {
	const uint8_t *image;
	struct id_sorter *out;
	struct cat_snapshot *rows;
	size_t n;
};

static int
snapshot_take(void *arg, const void *row, struct err *e)
{
	const struct cat_snapshot *s = row;
	struct finding_gaps *g = arg;
	struct cat_snapshot *more;

	if (s->state == SNAPSHOT_WHOLE || (g->image != NULL && memcmp(s->image_id, g->image, ID_LEN) != 0))
		return 0;
	if ((more = realloc(g->rows, (g->n + 1) * sizeof(*more))) == NULL)
		return err_errno(e, "gaps");
	g->rows = more;
	g->rows[g->n++] = *s;
	return 0;
}

static int
missing_take(void *arg, const uint8_t id[DIGEST_LEN], struct err *e)
{
	struct finding_gaps *g = arg;

	return id_sorter_add(g->out, id, e);
}

int
gaps_find(struct vault *v, const uint8_t machine[ID_LEN], const uint8_t *image, struct id_sorter *out, struct err *e)
{
	struct finding_gaps g = { .image = image, .out = out };
	struct container *store = container_vault(v->path, machine, e);
	struct cat_snapshot like;
	int rc;

	if (store == NULL)
		return -1;
	memcpy(like.machine_id, machine, ID_LEN);
	if ((rc = catalog_each(v->catalog, &cat_snapshots, 1, &like, snapshot_take, &g, e)) == 0)
		rc = vault_missing(v, store, machine, g.rows, g.n, missing_take, &g, e);
	container_free(store);
	free(g.rows);
	return rc;
}

static int
ids_count(struct id_sorter *s, uint64_t *n, struct err *e)
{
	uint8_t id[DIGEST_LEN];
	int got = -1;

	*n = 0;
	if (id_sorter_rewind(s, e) == 0)
		while ((got = id_sorter_next(s, id, e)) == 1)
			++*n;
	return got;
}

int
gaps_save(struct vault *v, const uint8_t machine[ID_LEN], const uint8_t *image, const char *path, uint64_t *count,
    struct err *e)
{
	struct id_sorter *ids = id_sorter_new(v->local, SORT_MEMORY, e);
	struct id_list about = { .time = io_now_ns() };
	struct cat_machine m;
	int rc = -1;

	memcpy(about.vault_id, v->desc.vault_id, ID_LEN);
	memcpy(about.machine_id, machine, ID_LEN);
	if (image != NULL)
		memcpy(about.image_id, image, ID_LEN);
	if (ids != NULL && vault_machine(v, machine, &m, e) == 0) {
		memcpy(about.domain_id, m.domain_id, DIGEST_LEN);
		rc = gaps_find(v, machine, image, ids, e);
	}
	if (rc == 0)
		rc = ids_count(ids, count, e);
	if (rc == 0 && *count > 0)
		rc = id_list_save_path(path, &gap_list_schema, &about, ids, v->sign_secret, e);
	id_sorter_free(ids);
	return rc;
}

struct one_machine {
	uint8_t *machine;
	int n;
};

static int
machine_look(void *arg, const void *row, struct err *e)
{
	const struct cat_snapshot *s = row;
	struct one_machine *o = arg;

	(void)e;
	if (s->state != SNAPSHOT_GAP || (o->n > 0 && memcmp(o->machine, s->machine_id, ID_LEN) == 0))
		return 0;
	memcpy(o->machine, s->machine_id, ID_LEN);
	o->n++;
	return 0;
}

int
gaps_machine(struct vault *v, uint8_t machine[ID_LEN], struct err *e)
{
	struct one_machine o = { machine, 0 };

	if (catalog_each(v->catalog, &cat_snapshots, 0, NULL, machine_look, &o, e) != 0)
		return -1;
	if (o.n > 1) {
		(void)err_set(e, ERR_USAGE, "several machines have gaps, and a list is for one");
		return err_next(e, "say whose: --machine M, or --image IMAGE");
	}
	return o.n == 0;
}

/* --- what an image without snapshots carries --- */

struct carried {
	struct store *store;
	char name[VAULT_NAME_MAX];
	uint64_t at;
	struct id_list_reader *list;
};

static ssize_t
carried_read(void *arg, void *buf, size_t n, struct err *e)
{
	struct carried *c = arg;
	size_t got;

	if (c->store->ops->get(c->store, c->name, c->at, buf, n, &got, e) != 0)
		return -1;
	c->at += got;
	return (ssize_t)got;
}

struct carried *
carried_open(struct vault *v, const uint8_t image[ID_LEN], const uint8_t *pub, struct err *e)
{
	struct carried *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		(void)err_errno(e, "list of what is carried");
		return NULL;
	}
	c->store = v->store;
	vault_name_image(c->name, image, "list", 1);
	if ((c->list = id_list_reader_from(carried_read, c, c->name, &carried_schema, pub, e)) == NULL) {
		free(c);
		return NULL;
	}
	return c;
}

struct id_list_reader *
carried_list(struct carried *c)
{
	return c->list;
}

void
carried_close(struct carried *c)
{
	if (c == NULL)
		return;
	id_list_reader_free(c->list);
	free(c);
}

/* Count what is not held among the ids of ${l}. */
static int
lacks_count(struct vault *v, const struct cat_image *image, const uint8_t domain[DIGEST_LEN], struct id_list_reader *l,
    uint64_t *n, struct err *e)
{
	uint8_t ids[512 * DIGEST_LEN], states[512];
	size_t have = 0;
	int rc;

	do {
		if ((rc = id_list_next(l, ids + have * DIGEST_LEN, e)) == -1)
			return -1;
		have += rc == 1;
		if (have < 512 && rc == 1)
			continue;
		if (chunks_find(v->catalog, domain, image->machine_id, ids, have, states, e) != 0)
			return -1;
		for (size_t i = 0; i < have; i++)
			*n += (states[i] & COPY_GOOD) == 0;
		have = 0;
	} while (rc == 1);
	return 0;
}

int
carried_lacks(struct vault *v, const struct cat_image *image, const struct manifest *m, uint64_t *n, struct err *e)
{
	struct carried *c;
	struct err mine;
	int rc;

	*n = 0;
	err_clear(&mine);
	if ((c = carried_open(v, image->id, NULL, &mine)) == NULL) {
		*n = UINT64_MAX;
		return mine.code == ERR_MEMORY ? err_set(e, ERR_MEMORY, "%s", mine.msg) : 0;
	}
	if (memcmp(id_list_about(c->list)->digest, m->carried, DIGEST_LEN) != 0) {
		*n = UINT64_MAX;
		rc = 0;
	} else {
		rc = lacks_count(v, image, m->domain_id, c->list, n, e);
	}
	carried_close(c);
	return rc;
}
