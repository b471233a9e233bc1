#include "common/flow/collect.h"

#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/catalog/catalog.h"
#include "common/flow/collect_job.h"
#include "common/flow/epoch.h"
#include "formats/fmt_retain.h"

#define TRIES	20

/* Mark, and walk beside it, until nothing is filed meanwhile. */
static int
mark_and_walk(struct collect *c, int condemn, struct err *e)
{
	int rc = 1;

	for (int i = 0; i < TRIES && rc == 1; i++)
		if ((rc = collect_mark(c, e)) == 0)
			rc = collect_walk(c, condemn, e);
	if (rc == 1)
		return err_set(e, ERR_BUSY, "snapshots are filed faster than their lists can be read");
	return rc;
}

/* How many sessions must end before what is condemned now goes. */
static int
sessions_wait(struct collect *c, struct err *e)
{
	int64_t condemned;

	if (vault_begin(c->v, e) != 0)
		return -1;
	if (catalog_number(c->v->catalog, "condemned", &condemned, e) >= 0 &&
	    epoch_wait(c->v, condemned, &c->r->waits, e) == 0)
		return vault_commit(c->v, e);
	vault_rollback(c->v);
	return -1;
}

/* Packs that an earlier run announced, if nobody is left who may rely on them. */
static int
old_delete(struct collect *c, struct err *e)
{
	if (sessions_wait(c, e) != 0)
		return -1;
	if (c->r->waits > 0 && !(c->o->bugs & COLLECT_BUG_NO_WAIT))
		return 0;
	return packs_delete(c, e) < 0 ? -1 : 0;
}

static int
bugged_run(struct collect *c, struct err *e)
{
	return mark_and_walk(c, 1, e) != 0 || packs_announce(c, e) != 0 || packs_delete(c, e) < 0 ? -1 : 0;
}

static int
marks_run(struct collect *c, struct err *e)
{
	if (c->o->bugs & COLLECT_BUG_ONE_MARK)
		return bugged_run(c, e);
	if (mark_and_walk(c, 0, e) != 0 || old_delete(c, e) != 0)
		return -1;
	/* One generation at a time: what is condemned while sessions never end would never go. */
	if (c->r->waits > 0)
		return 0;
	if (mark_and_walk(c, 1, e) != 0 || packs_announce(c, e) != 0 || packs_delete(c, e) < 0)
		return -1;
	return c->r->waits > 0 ? 0 : packs_repack(c, e);
}

/* What is asked with -n: the walk writes nothing, and what nobody needs counts as condemned. */
static int
dry_run(struct collect *c, struct err *e)
{
	return collect_mark(c, e) != 0 || collect_walk(c, 1, e) != 0 ? -1 : packs_announce(c, e);
}

static int
end_record(struct collect *c, struct err *e)
{
	const struct collect_result *r = c->r;
	struct rec_collected k = { .packs = r->packs, .bytes = r->bytes, .chunks = r->chunks_deleted, .repacked = r->repacked,
		.snapshots = r->snapshots_gone };

	if (r->packs == 0 && r->repacked == 0 && r->snapshots_gone == 0 && r->strays == 0)
		return 0;
	if (vault_begin(c->v, e) != 0)
		return -1;
	if (vault_record(c->v, REC_COLLECTED, &rec_collected_schema, &k, e) == 0)
		return vault_commit(c->v, e);
	vault_rollback(c->v);
	return -1;
}

/* Lists that cannot be read hold their machine back until somebody does something: it is kept for who asks how the vault is. */
static int
unread_note(struct collect *c, struct err *e)
{
	struct catalog *cat = c->v->catalog;
	int64_t was;

	c->r->unread = c->nunread;
	if (catalog_number(cat, COLLECT_UNREAD, &was, e) < 0)
		return -1;
	if (was == 0 && c->nunread == 0)
		return 0;
	if (vault_begin(c->v, e) != 0)
		return -1;
	if (catalog_number_set(cat, COLLECT_UNREAD, (int64_t)c->nunread, e) == 0 &&
	    catalog_number_set(cat, COLLECT_UNREAD_SEQ, c->unread.seq, e) == 0 &&
	    catalog_bytes_set(cat, COLLECT_UNREAD_MACHINE, c->unread.machine_id, ID_LEN, e) == 0)
		return vault_commit(c->v, e);
	vault_rollback(c->v);
	return -1;
}

static int
run(struct collect *c, struct err *e)
{
	if (c->o->dry_run)
		return collect_gone(c, e) != 0 || dry_run(c, e) != 0 ? -1 : collect_strays(c, e);
	if (packs_finish(c, e) != 0 || collect_gone(c, e) != 0 || marks_run(c, e) != 0 || collect_strays(c, e) != 0 ||
	    collect_origins(c, e) != 0 || unread_note(c, e) != 0)
		return -1;
	return end_record(c, e);
}

/* The clocks are moved on; where they jumped nothing is deleted. */
static int
clock_check(struct vault *v, struct err *e)
{
	if (vault_begin(v, e) != 0 || vault_commit(v, e) != 0)
		return -1;
	if (!v->clock_jumped)
		return 0;
	(void)err_set(e, ERR_RULE, "the clock of this computer jumped; nothing is collected until somebody says that it is right");
	return err_next(e, "Set it right, then samara-import clock %s --confirm.", v->path);
}

int
collect_run(struct vault *v, const struct collect_options *o, struct collect_result *r, struct err *e)
{
	struct collect c = { .v = v, .o = o, .r = r };
	int lock, rc;

	memset(r, 0, sizeof(*r));
	if (clock_check(v, e) != 0)
		return err_during(e, "collect vault %s", v->desc.name);
	if ((lock = lock_take(v->local, "collect.lock", 0, e)) == -1)
		return err_during(e, "another collection of vault %s", v->desc.name);
	rc = run(&c, e);
	collect_forget(&c);
	(void)io->close(lock);
	return rc == 0 ? 0 : err_during(e, "collect vault %s", v->desc.name);
}
