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
#include "common/disk/image_file.h"
#include "common/flow/container.h"
#include "common/flow/ingest_job.h"
#include "common/flow/refs_read.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

#define REFS_PARTS	100u	/* that names of parts have room for */

struct filing {
	struct ingest *g;
	struct container *vault;
};

struct part_file {
	int fd;
	const char *name;
};

static ssize_t
part_read(void *arg, uint8_t *buf, size_t cap, struct err *e)
{
	struct part_file *f = arg;
	ssize_t n = io_read_full(f->fd, buf, cap, -1);

	return n >= 0 ? n : err_errno(e, "read %s", f->name);
}

/* Copy one part of copy ${copy} of the list: 0, 1 it is not there, -1 with ${e}. */
static int
part_copy(struct filing *f, const struct ingest_envelope *x, int copy, unsigned part, struct err *e)
{
	struct store *s = f->g->v->store;
	char from[IMAGE_NAME_MAX], to[VAULT_NAME_MAX];
	struct part_file file = { -1, from };
	struct err mine;
	uint64_t len;
	int rc;

	err_clear(&mine);
	image_name_refs(from, copy, x->n, part);
	vault_name_refs(to, x->env.machine_id, x->env.seq, REFS_WHOLE, part);
	if ((file.fd = image_file_open(f->g->dir.fd, from, &len, &mine)) == -1) {
		if (mine.code == ERR_NOT_FOUND)
			return 1;
		if (e != NULL)
			*e = mine;
		return -1;
	}
	rc = s->ops->put_new_from(s, to, part_read, &file, e);
	(void)io->close(file.fd);
	return rc < 0 ? -1 : 0;
}

/* Take away what was put of a list that no record names. */
static int
parts_drop(struct filing *f, const struct ingest_envelope *x, struct err *e)
{
	struct store *s = f->g->v->store;
	char name[VAULT_NAME_MAX];

	for (unsigned part = 0; part < REFS_PARTS; part++) {
		uint64_t len;

		vault_name_refs(name, x->env.machine_id, x->env.seq, REFS_WHOLE, part);
		if (s->ops->stat(s, name, &len, e) == 1 && part > 0)
			break;
		if (s->ops->del(s, name, e) != 0)
			return -1;
	}
	return 0;
}

/* Read the list back from the vault: 0 it is the one that the envelope names; 1 it is not, or not there; ${why} says so. */
static int
list_is_there(struct filing *f, const struct ingest_envelope *x, struct err *why)
{
	struct snap_place p = { .n = 0, .seq = x->env.seq };
	uint8_t id[DIGEST_LEN], without[DIGEST_LEN];
	struct refs_reader *r;
	int rc;

	memcpy(p.machine, x->env.machine_id, ID_LEN);
	err_clear(why);
	if ((r = refs_reader_new(f->vault, &p, &x->env, why)) == NULL)
		return 1;
	while ((rc = refs_reader_next(r, id, why)) == 1)
		;
	if (rc == 0 && !refs_reader_without_root(r, without))
		rc = err_set(why, ERR_DAMAGE, "the list does not name the snapshot's own root");
	refs_reader_free(r);
	return rc != 0;
}

/* The list into the vault, from the first copy that is good: 0; 1 none is; -1 with ${e}. */
static int
list_file(struct filing *f, const struct ingest_envelope *x, struct err *e)
{
	struct err why;

	if (list_is_there(f, x, &why) == 0)
		return 0;
	for (int copy = 0; copy < 2; copy++) {
		int rc = 0;

		/* A run that was stopped, or another image, may have left parts; nothing names them. */
		if (parts_drop(f, x, e) != 0)
			return -1;
		for (unsigned part = 0; part < REFS_PARTS && rc == 0; part++) {
			struct err mine;

			err_clear(&mine);
			if ((rc = part_copy(f, x, copy, part, &mine)) < 0 &&
			    (mine.code == ERR_NO_SPACE || mine.code == ERR_FSYNC || mine.code == ERR_PERMISSION)) {
				if (e != NULL)
					*e = mine;
				return -1;
			}
		}
		if (list_is_there(f, x, &why) == 0)
			return 0;
	}
	say_warn("%s: the reference list of snapshot %llu cannot be believed: %s", f->g->name,
	    (unsigned long long)x->env.seq, why.msg);
	return parts_drop(f, x, e) != 0 ? -1 : 1;
}

/* The envelope's object; one that nothing names and that is another is taken away first. */
static int
envelope_put(struct filing *f, const struct ingest_envelope *x, struct err *e)
{
	struct store *s = f->g->v->store;
	char name[VAULT_NAME_MAX];
	uint8_t *was;
	size_t n;
	int rc;

	vault_name_envelope(name, x->env.machine_id, x->env.seq);
	if ((rc = s->ops->put_new(s, name, x->bytes, x->len, e)) != 1)
		return rc;
	if (store_read(s, name, SMALL_STATEMENT_MAX, &was, &n, NULL) == 0) {
		int same = n == x->len && memcmp(was, x->bytes, n) == 0;

		free(was);
		if (same)
			return 0;
	}
	if (s->ops->del(s, name, e) != 0)
		return -1;
	return s->ops->put_new(s, name, x->bytes, x->len, e) == 0 ? 0 :
	    err_set(e, ERR_BUSY, "%s: somebody else writes %s", f->g->name, name);
}

/* What the catalog has under the envelope's number: 0 this one, 1 nothing, 2 another, -1. */
static int
number_held(struct filing *f, const struct ingest_envelope *x, struct err *e)
{
	struct cat_snapshot row;
	int rc;

	memcpy(row.machine_id, x->env.machine_id, ID_LEN);
	row.seq = (int64_t)x->env.seq;
	if ((rc = catalog_get(f->g->v->catalog, &cat_snapshots, &row, e)) != 0)
		return rc;
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
		if ((rc = list_file(f, x, e)) == 0 && (rc = envelope_put(f, x, e)) == 0)
			rc = snapshot_record(f, x, e);
		else if (rc == 1)
			f->g->r->damage++;
		rc = rc == 1 ? 0 : rc;
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
	struct filing f = { g, container_vault(g->v->path, NULL, e) };
	int rc = f.vault == NULL ? -1 : manifest_file(g, e);

	for (size_t i = 0; i < g->nenvs && rc == 0; i++)
		rc = snapshot_file(&f, &g->envs[i], e);
	container_free(f.vault);
	return rc;
}
