#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/progress.h"
#include "common/base/stop.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_chunks.h"
#include "common/catalog/catalog_rows.h"
#include "common/flow/ingest_job.h"
#include "common/flow/vault_machine.h"
#include "common/flow/vault_rebuild.h"
#include "common/pack/pack_view.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

#define CATALOG_NEW	"catalog.new"
#define STEP		256u	/* packs in one transaction */

struct rebuild {
	struct vault *v;
	struct rebuild_result *r;
	uint8_t *end;		/* of the pack in hand: table and footer */
	size_t cap;
	uint64_t step;
};

/* Table and footer of the pack object ${name}. */
static int
end_read(struct rebuild *b, const char *name, uint64_t len, size_t *table_len, struct err *e)
{
	uint8_t foot[PACK_FOOT_LEN];
	struct pack_foot f;
	size_t got, n;

	if (len < 2 * PACK_HEAD_LEN + PACK_FOOT_LEN || len > PACK_LEN_MAX)
		return err_set(e, ERR_FORMAT, "no pack has %llu bytes", (unsigned long long)len);
	if (b->v->store->ops->get(b->v->store, name, len - PACK_FOOT_LEN, foot, sizeof(foot), &got, e) != 0)
		return -1;
	if (got != sizeof(foot) || pack_foot_decode(&f, foot, sizeof(foot)) != FMT_OK ||
	    (uint64_t)f.table_len + PACK_FOOT_LEN > len)
		return err_set(e, ERR_FORMAT, "its footer cannot be read");
	n = (size_t)f.table_len + PACK_FOOT_LEN;
	if (n > b->cap) {
		uint8_t *more = realloc(b->end, n);

		if (more == NULL)
			return err_errno(e, "%s", name);
		b->end = more;
		b->cap = n;
	}
	if (b->v->store->ops->get(b->v->store, name, len - n, b->end, n, &got, e) != 0)
		return -1;
	*table_len = f.table_len;
	return got == n ? 0 : err_set(e, ERR_DAMAGE, "it is cut short");
}

struct any_key {
	const struct pack_view *v;
	const uint8_t *table;
	size_t table_len;
	int found;
};

static int
key_fits(void *arg, const void *row, struct err *e)
{
	const struct cat_machine_key *k = row;
	struct any_key *a = arg;
	struct pack_view v;

	(void)e;
	if (!a->found && pack_view_open(&v, a->table, a->table_len, a->table + a->table_len, k->machine_id, k->pub, NULL) == 0)
		a->found = 1;
	return 0;
}

/* Is it signed by the vault, or by a key that its machine has or had? */
static int
table_believe(struct rebuild *b, size_t table_len, struct pack_view *v, struct err *e)
{
	struct any_key a = { v, b->end, table_len, 0 };
	struct cat_machine_key like;

	if (pack_view_open(v, b->end, table_len, b->end + table_len, NULL, NULL, e) != 0)
		return -1;
	if (memcmp(v->foot.maker, b->v->desc.vault_id, ID_LEN) == 0)
		return pack_view_open(v, b->end, table_len, b->end + table_len, b->v->desc.vault_id, b->v->desc.sign_pub, e);
	if (v->table.head.flags != 0)
		return err_set(e, ERR_SIGNATURE, "it claims to be re-packed, but not by this vault");
	memcpy(like.machine_id, v->foot.maker, ID_LEN);
	if (catalog_each(b->v->catalog, &cat_machine_keys, 1, &like, key_fits, &a, e) != 0)
		return -1;
	return a.found ? 0 : err_set(e, ERR_SIGNATURE, "it is not signed by a machine of this vault");
}

static int
pack_rows(struct rebuild *b, const struct pack_view *v, const uint8_t id[DIGEST_LEN], uint32_t copy, struct err *e)
{
	struct cat_pack p = { .copy = copy, .flags = v->table.head.flags, .len = v->file_len, .count = v->table.count,
	    .state = PACK_GOOD };
	struct cat_copy *copies = calloc(v->table.count, sizeof(*copies));
	int rc = -1;

	if (copies == NULL)
		return err_errno(e, "the table of a pack");
	memcpy(p.id, id, DIGEST_LEN);
	memcpy(p.domain_id, v->foot.domain_id, DIGEST_LEN);
	memcpy(p.maker, v->foot.maker, ID_LEN);
	for (uint32_t i = 0; i < v->table.count; i++) {
		struct pack_row row;

		pack_table_row(&v->table, i, &row);
		memcpy(copies[i].id, row.id, DIGEST_LEN);
		memcpy(copies[i].writer, row.writer, ID_LEN);
		if (i == 0)
			memcpy(p.owner, row.writer, ID_LEN);
	}
	if ((p.n = catalog_pack_number(b->v->catalog, e)) >= 0 && catalog_put(b->v->catalog, &cat_packs, &p, e) == 0)
		rc = chunks_add(b->v->catalog, p.domain_id, p.n, copies, v->table.count, e);
	free(copies);
	b->r->copies += v->table.count;
	return rc;
}

static int
pack_take(void *arg, const char *name, uint64_t len, struct err *e)
{
	struct rebuild *b = arg;
	uint8_t id[DIGEST_LEN];
	struct pack_view v;
	struct err mine;
	size_t table_len = 0;
	uint32_t copy;

	if (vault_name_parse_pack(name, id, &copy) != 0)
		return 0;
	err_clear(&mine);
	if (end_read(b, name, len, &table_len, &mine) != 0 || table_believe(b, table_len, &v, &mine) != 0 ||
	    memcmp(v.foot.pack_id, id, DIGEST_LEN) != 0 || v.file_len != len) {
		/* Nothing is wrong with the pack: a catalog without it would only hide what is. */
		if (mine.code == ERR_MEMORY || mine.code == ERR_PERMISSION) {
			*e = mine;
			return err_during(e, "make the catalog anew");
		}
		say_warn("%s is left out: %s", name, mine.code == ERR_NONE ? "it is another pack than its name says" : mine.msg);
		b->r->packs_bad++;
		return 0;
	}
	if (pack_rows(b, &v, id, copy, e) != 0)
		return -1;
	b->r->packs++;
	progress_add(len, 1);
	if (++b->step % STEP != 0)
		return stop_check(e);
	return catalog_commit(b->v->catalog, e) != 0 || catalog_begin(b->v->catalog, 1, e) != 0 ? -1 : 0;
}

static int
packs_replay(struct rebuild *b, struct err *e)
{
	if (catalog_begin(b->v->catalog, 1, e) != 0)
		return -1;
	if (b->v->store->ops->list(b->v->store, "packs/", "", pack_take, b, e) == 0)
		return catalog_commit(b->v->catalog, e);
	catalog_rollback(b->v->catalog);
	return -1;
}

/* Damage to packs was recorded before the packs were known here: apply it once more, now that they are. */
static int
damage_replay(struct rebuild *b, struct err *e)
{
	struct vault *v = b->v;

	if (catalog_begin(v->catalog, 1, e) != 0)
		return -1;
	for (uint64_t n = 1; n <= v->number; n++) {
		struct record r;
		uint8_t *bytes;
		size_t len;
		int rc = vault_record_read(v, n, &r, &bytes, &len, e);

		if (rc == 0 && (r.type == REC_DAMAGE_FOUND || r.type == REC_PACK_QUARANTINED || r.type == REC_DISPUTE))
			rc = vault_apply(v, &r, e);
		free(bytes);
		if (rc != 0) {
			catalog_rollback(v->catalog);
			return -1;
		}
	}
	return catalog_commit(v->catalog, e);
}

static int
machine_states(void *arg, const void *row, struct err *e)
{
	const struct cat_machine *m = row;
	struct rebuild *b = arg;

	return vault_states(b->v, m->id, e);
}

static int
count_one(void *arg, const void *row, struct err *e)
{
	(void)row;
	(void)e;
	(*(uint64_t *)arg)++;
	return 0;
}

static int
record_beyond(void *arg, const char *name, uint64_t len, struct err *e)
{
	const struct vault *v = arg;

	(void)len;
	return err_set(e, ERR_DAMAGE, "record %llu of the vault is missing, and there is %s behind it",
	    (unsigned long long)v->number + 1, name);
}

/* Records are numbered without a gap: there is none behind the last one that was replayed. */
static int
records_have_no_gap(struct vault *v, struct err *e)
{
	char last[VAULT_NAME_MAX];

	vault_name_record(last, v->number);
	return v->store->ops->list(v->store, "records/", last, record_beyond, v, e);
}

static int
replay(struct rebuild *b, struct err *e)
{
	struct vault *v = b->v;

	if (vault_begin(v, e) != 0 || vault_commit(v, e) != 0 || records_have_no_gap(v, e) != 0)
		return err_during(e, "records");
	b->r->records = v->number;
	if (packs_replay(b, e) != 0 || damage_replay(b, e) != 0)
		return -1;
	if (catalog_each(v->catalog, &cat_machines, 0, NULL, machine_states, b, e) != 0)
		return -1;
	return catalog_each(v->catalog, &cat_snapshots, 0, NULL, count_one, &b->r->snapshots, e);
}

/*
 * Put the new file where the old one was.  The old one goes first, and its
 * journal then, both durably: without it the old one may be half changed, and
 * it must never be rolled back into the new file.
 */
static int
take_place(struct vault *v, const char *fresh, struct err *e)
{
	catalog_close(v->catalog);
	v->catalog = NULL;
	if (catalog_remove(v->catalog_path, e) != 0 || dir_sync(v->local, NULL, e) != 0)
		return -1;
	if (io->renameat2(AT_FDCWD, fresh, AT_FDCWD, v->catalog_path, 0) != 0)
		return err_errno(e, "rename %s", fresh);
	if (dir_sync(v->local, NULL, e) != 0)
		return -1;
	return catalog_remove(fresh, e);	/* its empty journal and its locks */
}

int
vault_rebuild(const char *path, struct rebuild_result *r, struct err *e)
{
	struct vault *v = vault_open(path, VAULT_NO_CATALOG | VAULT_NO_KEY, e);
	struct rebuild b = { .v = v, .r = r };
	char fresh[4352];
	int rc = -1;

	memset(r, 0, sizeof(*r));
	if (v == NULL)
		return -1;
	(void)snprintf(fresh, sizeof(fresh), "%s/local/" CATALOG_NEW, v->path);
	progress_start("rebuild", 0);
	if (catalog_remove(fresh, e) == 0 && (v->catalog = catalog_open(fresh, v->desc.vault_id, 1, e)) != NULL &&
	    replay(&b, e) == 0)
		rc = take_place(v, fresh, e);
	progress_end();
	free(b.end);
	vault_close(v);
	return rc == 0 ? 0 : err_during(e, "rebuild the catalog of %s", path);
}
