#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/flow/container.h"
#include "common/flow/store_pack.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"
#include "formats/fmt_snapshot.h"

struct container_vault {
	struct container base;
	struct store *store;
	int one_machine;
	uint8_t machine[ID_LEN];
	int local, held;	/* descriptors, or -1 */
};

/* One enumeration. */
struct vault_job {
	struct container_vault *v;
	const uint8_t *domain_id;
	pack_found_fn pack_fn;
	snap_found_fn snap_fn;
	void *arg;
	container_bad_fn bad;
	void *bad_arg;
	struct store_pack room;
};

static int
pack_found(void *arg, const char *name, uint64_t len, struct err *e)
{
	struct vault_job *j = arg;
	struct pack_place p = { .len = (uint32_t)len };
	struct pack_view view;
	struct err own;

	err_clear(&own);
	if (vault_name_parse_pack(name, p.id, &p.number) != 0)
		return 0;
	if (store_pack_table(j->v->store, name, len, &j->room, &view, &own) == 0 && memcmp(view.foot.pack_id, p.id, DIGEST_LEN) != 0)
		(void)err_set(&own, ERR_DAMAGE, "it is another pack than its name says");
	if (own.code != ERR_NONE) {
		j->bad(j->bad_arg, name, &own);
		return 0;
	}
	if (j->domain_id != NULL && memcmp(view.foot.domain_id, j->domain_id, DIGEST_LEN) != 0)
		return 0;
	return j->pack_fn(j->arg, &p, &view, e);
}

static int
vault_packs(struct container *c, const uint8_t *domain_id, pack_found_fn fn, void *arg, container_bad_fn bad,
    void *bad_arg, struct err *e)
{
	struct vault_job j = { .v = (struct container_vault *)c, .domain_id = domain_id, .pack_fn = fn, .arg = arg,
	    .bad = bad, .bad_arg = bad_arg };
	int rc = j.v->store->ops->list(j.v->store, "packs/", "", pack_found, &j, e);

	free(j.room.end);
	return rc;
}

static int
vault_read(struct container *c, const struct pack_place *p, uint64_t off, void *out, size_t len, struct err *e)
{
	struct container_vault *v = (struct container_vault *)c;
	char name[VAULT_NAME_MAX];
	size_t got;

	vault_name_pack(name, p->id, p->number);
	if (v->store->ops->get(v->store, name, off, out, len, &got, e) != 0)
		return -1;
	return got == len ? 0 : err_set(e, ERR_DAMAGE, "%s is cut short", name);
}

static int
snap_found(void *arg, const char *name, uint64_t len, struct err *e)
{
	struct vault_job *j = arg;
	struct snap_place p = { 0 };
	uint8_t *bytes;
	struct err own;
	size_t got;
	int rc;

	(void)len;
	if (vault_name_parse_envelope(name, p.machine, &p.seq) != 0)
		return 0;
	err_clear(&own);
	if (store_read(j->v->store, name, SMALL_STATEMENT_MAX, &bytes, &got, &own) != 0) {
		j->bad(j->bad_arg, name, &own);
		return 0;
	}
	rc = j->snap_fn(j->arg, &p, bytes, got, e);
	free(bytes);
	return rc;
}

static int
vault_snapshots(struct container *c, snap_found_fn fn, void *arg, container_bad_fn bad, void *bad_arg, struct err *e)
{
	struct vault_job j = { .v = (struct container_vault *)c, .snap_fn = fn, .arg = arg, .bad = bad, .bad_arg = bad_arg };
	char prefix[VAULT_NAME_MAX] = "snapshots/";

	if (j.v->one_machine)
		vault_name_machine_snapshots(prefix, j.v->machine);
	return j.v->store->ops->list(j.v->store, prefix, "", snap_found, &j, e);
}

static int
vault_refs(struct container *c, const struct snap_place *p, unsigned kind, unsigned part, uint64_t off, void *out,
    size_t len, size_t *got, struct err *e)
{
	struct container_vault *v = (struct container_vault *)c;
	char name[VAULT_NAME_MAX];

	vault_name_refs(name, p->machine, p->seq, kind, part);
	return v->store->ops->get(v->store, name, off, out, len, got, e);
}

static void
vault_free(struct container *c)
{
	struct container_vault *v = (struct container_vault *)c;

	v->store->ops->free(v->store);
	if (v->held != -1)
		(void)io->close(v->held);
	if (v->local != -1)
		(void)io->close(v->local);
	free(v);
}

static const struct container_ops vault_ops = { vault_packs, vault_read, NULL, vault_snapshots, vault_refs, vault_free };

struct container *
container_vault(const char *path, const uint8_t *machine, struct err *e)
{
	struct container_vault *v = calloc(1, sizeof(*v));

	if (v == NULL) {
		(void)err_set(e, ERR_MEMORY, "no memory to open a vault");
		return NULL;
	}
	if ((v->store = store_dir_open(path, 0, e)) == NULL) {
		free(v);
		return NULL;
	}
	v->base.ops = &vault_ops;
	v->local = v->held = -1;
	if (machine != NULL) {
		v->one_machine = 1;
		memcpy(v->machine, machine, ID_LEN);
	}
	(void)snprintf(v->base.name, sizeof(v->base.name), "vault %.300s", path);
	return &v->base;
}

void
container_vault_hold(struct container *c, const char *path)
{
	struct container_vault *v = (struct container_vault *)c;
	char local[4200];

	(void)snprintf(local, sizeof(local), "%s/local", path);
	if (v->local == -1 && (v->local = dir_open(AT_FDCWD, local, NULL)) != -1)
		v->held = lock_take(v->local, "readers.lock", 1, NULL);
}

void
container_free(struct container *c)
{
	if (c != NULL)
		c->ops->free(c);
}
