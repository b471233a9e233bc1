#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/flow/container.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"
#include "formats/fmt_snapshot.h"

#define END_GUESS	(32u << 10)	/* most tables and footers are shorter: one read */

struct container_vault {
	struct container base;
	struct store *store;
	int one_machine;
	uint8_t machine[ID_LEN];
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
	uint8_t *end;		/* of a pack */
	size_t cap;
};

/* The last ${n} bytes of an object of ${len} bytes at ${j}->end. */
static int
end_read(struct vault_job *j, const char *name, uint64_t len, size_t n, struct err *e)
{
	size_t got;

	if (n > j->cap) {
		uint8_t *more = realloc(j->end, n);

		if (more == NULL)
			return err_set(e, ERR_MEMORY, "no memory for the table of a pack");
		j->end = more;
		j->cap = n;
	}
	if (j->v->store->ops->get(j->v->store, name, len - n, j->end, n, &got, e) != 0)
		return -1;
	return got == n ? 0 : err_set(e, ERR_DAMAGE, "%s is cut short", name);
}

static int
pack_look(struct vault_job *j, const char *name, uint64_t len, struct pack_view *view, struct err *e)
{
	size_t n = len < END_GUESS ? (size_t)len : END_GUESS, end;
	struct pack_foot f;
	enum fmt_status st;

	if (len > PACK_LEN_MAX || len < PACK_FOOT_LEN)
		return err_set(e, ERR_FORMAT, "no pack has %llu bytes", (unsigned long long)len);
	if (end_read(j, name, len, n, e) != 0)
		return -1;
	if ((st = pack_foot_decode(&f, j->end + n - PACK_FOOT_LEN, PACK_FOOT_LEN)) != FMT_OK)
		return err_set(e, st == FMT_VERSION ? ERR_VERSION : ERR_FORMAT, "its footer: %s", fmt_status_text(st));
	end = (size_t)f.table_len + PACK_FOOT_LEN;
	if (f.table_len > PACK_TABLE_MAX || end > len)
		return err_set(e, ERR_FORMAT, "its footer: a table of %u bytes cannot be in it", f.table_len);
	if (end > n) {
		if (end_read(j, name, len, end, e) != 0)
			return -1;
		n = end;
	}
	if (pack_view_open(view, j->end + n - end, f.table_len, j->end + n - PACK_FOOT_LEN, NULL, NULL, e) != 0)
		return -1;
	return view->file_len == len ? 0 : err_set(e, ERR_DAMAGE, "it has not the length that its footer says");
}

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
	if (pack_look(j, name, len, &view, &own) == 0 && memcmp(view.foot.pack_id, p.id, DIGEST_LEN) != 0)
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

	free(j.end);
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
	if (machine != NULL) {
		v->one_machine = 1;
		memcpy(v->machine, machine, ID_LEN);
	}
	(void)snprintf(v->base.name, sizeof(v->base.name), "vault %.300s", path);
	return &v->base;
}

void
container_free(struct container *c)
{
	if (c != NULL)
		c->ops->free(c);
}
