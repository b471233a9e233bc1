/* Envelopes, reference lists and the manifest: from the disk into the vault. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_rows.h"
#include "common/flow/ingest_job.h"
#include "common/flow/list_file.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

struct filing {
	struct ingest *g;
	struct lists *lists;
	struct container *disk;
};

/* What the catalog has under the envelope's number: 0 this one, 1 nothing, 2 another, -1. */
static int
number_held(struct filing *f, const struct ingest_envelope *x, struct err *e)
{
	struct cat_snapshot row;
	struct cat_gone gone;
	int rc;

	memcpy(row.machine_id, x->env.machine_id, ID_LEN);
	row.seq = (int64_t)x->env.seq;
	if ((rc = catalog_get(f->g->v->catalog, &cat_snapshots, &row, e)) < 0)
		return -1;
	if (rc == 1) {
		memcpy(gone.machine_id, x->env.machine_id, ID_LEN);
		gone.seq = row.seq;
		/* One that was deleted for good is not filed again. */
		if ((rc = catalog_get(f->g->v->catalog, &cat_gone, &gone, e)) != 0)
			return rc;
		return memcmp(gone.digest, x->digest, DIGEST_LEN) == 0 ? 0 : 2;
	}
	return memcmp(row.digest, x->digest, DIGEST_LEN) == 0 ? 0 : 2;
}

static int
snapshot_record(struct filing *f, const struct ingest_envelope *x, struct err *e)
{
	struct vault *v = f->g->v;
	int rc;

	if (vault_begin(v, e) != 0)
		return -1;
	if ((rc = number_held(f, x, e)) == 1 &&
	    (rc = vault_record_bytes(v, REC_SNAPSHOT_RECEIVED, x->bytes, x->len, e)) == 0)
		f->g->r->snapshots_new++;
	if (rc < 0) {
		vault_rollback(v);
		return -1;
	}
	return vault_commit(v, e);
}

/* One snapshot, with nobody else filing meanwhile: bytes first, then the record that names them. */
static int
snapshot_file(struct filing *f, const struct ingest_envelope *x, struct err *e)
{
	int turn = vault_turn(f->g->v, "snapshots.lock", e), rc;

	if (turn == -1)
		return -1;
	if ((rc = number_held(f, x, e)) == 2) {
		say_warn("%s: snapshot %llu is not filed: another has that number", f->g->name,
		    (unsigned long long)x->env.seq);
		rc = 0;
	} else if (rc == 1) {
		struct list_from from = { f->disk, { .n = x->n }, 2 };

		if ((rc = lists_file(f->lists, &x->env, &from, e)) == 0 &&
		    (rc = envelope_file(f->g->v, &x->env, x->bytes, x->len, f->g->name, e)) == 0)
			rc = snapshot_record(f, x, e);
		else if (rc == 1 && (rc = ingest_is_there(f->g, e)) == 0)
			f->g->r->damage++;
	}
	(void)io->close(turn);
	return rc;
}

static int
manifest_file(struct ingest *g, struct err *e)
{
	char name[VAULT_NAME_MAX];
	struct cat_image i;
	int rc;

	if (g->manifest == NULL)
		return 0;
	vault_name_image(name, g->st.image_id, "manif", g->m.generation);
	if (g->v->store->ops->put_new(g->v->store, name, g->manifest, g->manifest_len, e) < 0 || vault_begin(g->v, e) != 0)
		return -1;
	memcpy(i.id, g->st.image_id, ID_LEN);
	if ((rc = catalog_get(g->v->catalog, &cat_images, &i, e)) == 0 && g->m.generation > i.generation)
		rc = vault_record_bytes(g->v, REC_MANIFEST, g->manifest, g->manifest_len, e);
	if (rc < 0) {
		vault_rollback(g->v);
		return -1;
	}
	return vault_commit(g->v, e);
}

int
ingest_snapshots(struct ingest *g, struct err *e)
{
	struct filing f = { g, lists_new(g->v, g->st.machine_id, g->name, e), NULL };
	int rc = -1;

	if (f.lists != NULL && (f.disk = container_disk(g->diskfd, g->path, g->dir.label.short_name, e)) != NULL &&
	    manifest_file(g, e) == 0)
		rc = ingest_extras(g, e);

	for (size_t i = 0; i < g->nenvs && rc == 0; i++)
		rc = snapshot_file(&f, &g->envs[i], e);
	lists_free(f.lists);
	container_free(f.disk);
	return rc;
}
