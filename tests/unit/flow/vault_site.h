#ifndef SAMARA_TESTS_FLOW_VAULT_SITE_H
#define SAMARA_TESTS_FLOW_VAULT_SITE_H

/* A vault, disks and what is seen of them, in a scratch directory.  After cmocka.h. */

#include "base/scratch.h"
#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/secret.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_rows.h"
#include "common/flow/ingest.h"
#include "common/flow/vault.h"
#include "common/flow/vault_credential.h"
#include "common/flow/vault_rebuild.h"
#include "flow/seed_maker.h"

struct site {
	char root[64], vault[96], disk[SEED_DISKS][96];
	struct credential c;
	struct seed_machine m;
	struct ingest_result r;		/* of the newest image */
	struct err e;			/* of the newest failure */
};

/* A credential for ${machine} out of the vault. */
static inline void
site_credential(struct site *s, const char *machine, struct credential *c)
{
	struct credential_order o = { .machine = machine, .purpose = PURPOSE_NEW, .valid = CREDENTIAL_VALID,
		.arrives_by = CREDENTIAL_ARRIVES };
	struct vault *v;

	err_clear(&s->e);
	v = vault_open(s->vault, 0, &s->e);
	assert_non_null(v);
	assert_int_equal(vault_credential(v, &o, c, &s->e), 0);
	vault_close(v);
}

static inline int
site_setup(void **state)
{
	struct site *s = calloc(1, sizeof(*s));
	struct vault_create o = { .name = "demo", .redundancy = REDUNDANCY_LOCAL };

	assert_non_null(s);
	(void)close(scratch_make(s->root));
	(void)snprintf(s->vault, sizeof(s->vault), "%s/vault", s->root);
	for (unsigned i = 0; i < SEED_DISKS; i++)
		(void)snprintf(s->disk[i], sizeof(s->disk[i]), "%s/disk%u", s->root, i);
	err_clear(&s->e);
	assert_int_equal(vault_create(s->vault, &o, &s->e), 0);
	site_credential(s, "laptop", &s->c);
	seed_machine_make(&s->m, "laptop", &s->c);
	*state = s;
	return 0;
}

static inline int
site_teardown(void **state)
{
	struct site *s = *state;

	(void)io_use(io_real());
	seed_machine_drop(&s->m);
	scratch_remove(s->root);
	free(s);
	return 0;
}

static inline void
site_done(void *arg, const struct ingest_result *r)
{
	((struct site *)arg)->r = *r;
}

/* Take in what is on disk ${i}: what ingest_disk returns; s->r and s->e say the rest. */
static inline int
site_ingest(struct site *s, unsigned i)
{
	const struct ingest_options o = { .jobs = 2, .memory = 100000000 };
	struct vault *v;
	int rc;

	err_clear(&s->e);
	memset(&s->r, 0, sizeof(s->r));
	if ((v = vault_open(s->vault, 0, &s->e)) == NULL)
		return -1;
	rc = ingest_disk(v, s->disk[i], &o, site_done, s, &s->e);
	vault_close(v);
	return rc;
}

static inline int
site_line(void *arg, const char *line, struct err *e)
{
	struct buf *b = arg;

	(void)e;
	buf_str(b, line);
	buf_str(b, "\n");
	return 0;
}

/* All that the catalog says, as text in new memory. */
static inline char *
site_dump(struct site *s)
{
	struct vault *v;
	struct buf b;
	size_t len;

	err_clear(&s->e);
	v = vault_open(s->vault, VAULT_NO_KEY, &s->e);
	assert_non_null(v);
	buf_init(&b);
	assert_int_equal(catalog_dump(v->catalog, site_line, &b, &s->e), 0);
	vault_close(v);
	return (char *)buf_take(&b, &len);
}

/* A rebuild must give the very same answers. */
static inline void
site_rebuild_agrees(struct site *s)
{
	struct rebuild_result r;
	char *before = site_dump(s), *after;

	err_clear(&s->e);
	assert_int_equal(vault_rebuild(s->vault, &r, &s->e), 0);
	after = site_dump(s);
	assert_string_equal(before, after);
	free(before);
	free(after);
}

/* The state of snapshot ${seq}, and how much of it is missing. */
static inline unsigned
site_snapshot(struct site *s, int64_t seq, int64_t *missing)
{
	struct cat_snapshot row;
	struct vault *v;

	err_clear(&s->e);
	v = vault_open(s->vault, VAULT_NO_KEY, &s->e);
	assert_non_null(v);
	memcpy(row.machine_id, s->m.id, ID_LEN);
	row.seq = seq;
	if (catalog_get(v->catalog, &cat_snapshots, &row, &s->e) != 0)
		row.state = 0;
	else if (missing != NULL)
		*missing = row.missing;
	vault_close(v);
	return row.state;
}

static inline unsigned
site_image(struct site *s, const struct seed_image *im)
{
	struct cat_image row;
	struct vault *v;

	err_clear(&s->e);
	v = vault_open(s->vault, VAULT_NO_KEY, &s->e);
	assert_non_null(v);
	memcpy(row.id, im->id, ID_LEN);
	if (catalog_get(v->catalog, &cat_images, &row, &s->e) != 0)
		row.state = 0;
	vault_close(v);
	return row.state;
}

#endif
