#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/catalog/catalog.h"
#include "common/catalog/catalog_chunks.h"
#include "common/flow/container.h"
#include "common/flow/vault_count.h"
#include "common/flow/vault_rebuild.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"
#include "flow/upload_maker.h"
#include "tests/crash/upload_world.h"
#include "tests/crash/vault_world.h"

#define PACKS	2u

/* What the machine brings, always the same. */
static struct {
	struct seed_machine m;
	uint8_t session[ID_LEN];
	uint8_t *pack[PACKS];
	struct pack_info info[PACKS];
	struct up_snap a, b;
	struct buf list;
} w;

/* ---- making ---- */

void
upload_world_make(struct upload_world *world)
{
	struct credential c;
	struct up u;
	struct err e;

	err_clear(&e);
	(void)close(scratch_make(world->root));
	(void)snprintf(world->vault, sizeof(world->vault), "%s/vault0", world->root);
	if (world_create(world->vault, &e) != 0 || world_credential(world->vault, "laptop", &c, &e) != 0)
		fail_msg("%s", e.msg);
	seed_machine_make(&w.m, "laptop", &c);
	up_start(&u, world->vault, &w.m);
	if (up_open(&u, NULL) < 0 || up_pack(&u, 0, 16) < 0 || up_pack(&u, 16, 16) < 0)
		fail_msg("%s", u.e.msg);
	up_snap(&u, &w.a, 1, NULL, NULL, 0, 32);
	if (up_list(&u, &w.a, NULL) < 0 || up_commit(&u, NULL, &w.a) < 0)
		fail_msg("%s", u.e.msg);
	up_snap(&u, &w.b, 2, &w.a, &w.a, 4, 32);
	up_list_make(&u, &w.b, &w.a, &w.list);
	for (uint32_t i = 0; i < PACKS; i++)
		w.pack[i] = up_pack_make(&w.m, 32 + 2 * i, 2, &w.info[i]);
	io_random(w.session, ID_LEN);
	up_end(&u);
}

void
upload_world_drop(struct upload_world *world)
{
	for (uint32_t i = 0; i < PACKS; i++)
		free(w.pack[i]);
	up_drop(&w.a);
	up_drop(&w.b);
	buf_release(&w.list);
	seed_machine_drop(&w.m);
	scratch_remove(world->root);
}

/* ---- bringing ---- */

struct bringing {
	struct vault *v;
	struct cat_machine m;
	void (*told)(void *arg, unsigned step);
	void *arg;
	unsigned step;
};

static void
acknowledged(struct bringing *b)
{
	if (b->told != NULL)
		b->told(b->arg, b->step);
	b->step++;
}

static int
commit_bring(struct bringing *b, struct err *e)
{
	uint8_t rows[ENVELOPE_LEN_MAX + 2];
	struct wr r = { .p = rows, .left = sizeof(rows) };
	struct commit c = { .head_seq = 1 };
	struct committed done;

	commit_put(&r, w.b.bytes.p, w.b.bytes.len);
	c.envelopes = (struct fmt_view){ rows, (uint32_t)(r.p - rows) };
	memcpy(c.head_id, w.a.env.snapshot_id, ID_LEN);
	if (upload_commit(b->v, &b->m, w.session, &c, &done, e) != 0)
		return -1;
	return done.head_seq == 2 ? 0 : err_set(e, ERR_DIFFERENT, "another head than was committed");
}

static int
bring(struct bringing *b, struct err *e)
{
	struct session_open o = { .kind = LINE_BACKUP, .set_name = "files" };
	struct session_opened opened;

	memcpy(o.session_id, w.session, ID_LEN);
	memcpy(o.base, w.a.env.snapshot_id, ID_LEN);
	if (upload_open(b->v, &b->m, &o, &opened, e) < 0)
		return -1;
	for (uint32_t i = 0; i < PACKS; i++) {
		if (upload_pack(b->v, &b->m, w.session, w.info[i].id, w.pack[i], w.info[i].len, e) < 0)
			return -1;
		acknowledged(b);
	}
	if (upload_list(b->v, &b->m, w.session, 2, REFS_DELTA, 0, w.list.len, up_read, &w.list, e) < 0)
		return -1;
	acknowledged(b);
	if (commit_bring(b, e) != 0)
		return -1;
	acknowledged(b);
	return 0;
}

int
upload_world_bring(const char *vault, void (*told)(void *arg, unsigned step), void *arg, struct err *e)
{
	struct bringing b = { .v = vault_open(vault, 0, e), .told = told, .arg = arg };
	int rc = -1;

	if (b.v != NULL && vault_machine(b.v, w.m.id, &b.m, e) == 0)
		rc = bring(&b, e);
	vault_close(b.v);
	return rc;
}

/* ---- what must hold ---- */

static int
pack_is_whole(void *arg, const void *row, struct err *e)
{
	const struct cat_pack *p = row;
	struct vault *v = arg;
	char name[VAULT_NAME_MAX];
	struct pack_view view;
	uint8_t *bytes;
	size_t len;
	int rc;

	vault_name_pack(name, p->id, p->copy);
	if (store_read(v->store, name, PACK_LEN_MAX, &bytes, &len, e) != 0)
		return err_during(e, "a pack that the catalog names");
	if ((rc = pack_view_bytes(&view, bytes, len, w.m.id, w.m.pub, e)) == 0) {
		size_t off = PACK_HEAD_LEN;

		for (uint32_t i = 0; i < view.table.count && rc == 0; i++) {
			struct pack_row r;

			pack_table_row(&view.table, i, &r);
			if (pack_frame_check(&r, bytes + off, w.m.k->domain_id, PACK_FULL) != NULL)
				rc = err_set(e, ERR_DAMAGE, "a chunk of a pack that the catalog names is bad");
			off += r.len;
		}
	}
	free(bytes);
	return rc;
}

/* Are the chunks of pack ${i} held? */
static int
pack_is_held(struct vault *v, uint32_t i, struct err *e)
{
	struct up_snap none = { .n = 0 };
	uint8_t *ids, states[2];
	size_t n;
	int rc;

	ids = up_ids(&w.m, 32 + 2 * i, 2, &none, &n);
	if ((rc = chunks_find(v->catalog, w.m.k->domain_id, w.m.id, ids, n, states, e)) == 0 &&
	    (!(states[0] & COPY_GOOD) || !(states[1] & COPY_GOOD)))
		rc = err_set(e, ERR_DIFFERENT, "pack %u was acknowledged and is not held", i);
	free(ids);
	return rc;
}

static int
snapshot_is_whole(void *arg, const void *row, struct err *e)
{
	struct cat_snapshot s = *(const struct cat_snapshot *)row;
	struct container *store;
	struct vault *v = arg;
	int rc;

	if ((store = container_vault(v->path, s.machine_id, e)) == NULL)
		return -1;
	rc = vault_count(v, store, s.machine_id, &s, 1, e);
	container_free(store);
	if (rc != 0 || s.missing + s.promised + s.given_up == 0)
		return rc != 0 ? -1 : 0;
	return err_set(e, ERR_DIFFERENT, "snapshot %lld lacks %lld chunks", (long long)s.seq, (long long)s.missing);
}

static int
good(struct vault *v, unsigned steps, struct err *e)
{
	struct cat_snapshot s = { .seq = 2 };

	memcpy(s.machine_id, w.m.id, ID_LEN);
	/* Records that the catalog has not seen are applied first. */
	if (vault_begin(v, e) != 0 || vault_commit(v, e) != 0 ||
	    catalog_each(v->catalog, &cat_packs, 0, NULL, pack_is_whole, v, e) != 0 ||
	    catalog_each(v->catalog, &cat_snapshots, 0, NULL, snapshot_is_whole, v, e) != 0)
		return -1;
	for (uint32_t i = 0; i < PACKS && i < steps; i++)
		if (pack_is_held(v, i, e) != 0)
			return -1;
	if (steps < UPLOAD_STEPS)
		return 0;
	if (catalog_get(v->catalog, &cat_snapshots, &s, e) != 0 || s.state != SNAPSHOT_WHOLE)
		return err_set(e, ERR_DIFFERENT, "the snapshot was committed and is not there, whole");
	return 0;
}

int
upload_world_good(const char *vault, unsigned steps, struct err *e)
{
	struct vault *v = vault_open(vault, 0, e);
	int rc = v == NULL ? -1 : good(v, steps, e);

	vault_close(v);
	return rc;
}

int
upload_world_rebuilds(const char *vault, struct err *e)
{
	char *before = world_dump(vault, e), *after = NULL;
	struct rebuild_result r;
	int rc = -1;

	if (before != NULL && vault_rebuild(vault, &r, e) == 0 && (after = world_dump(vault, e)) != NULL)
		rc = strcmp(before, after) == 0 ? 0 : err_set(e, ERR_DIFFERENT, "a catalog made anew says something else");
	free(before);
	free(after);
	return rc;
}
