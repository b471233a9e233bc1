/* The lists of ids on a disk: what an image without snapshots carries, and what its machine gave up. */

#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/disk/image_file.h"
#include "common/flow/id_list.h"
#include "common/flow/ingest_job.h"
#include "common/flow/receipt.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

static const char *const dirs[] = { "snap", "snap2" };

struct list_file {
	int fd;
};

static ssize_t
list_bytes(void *arg, void *buf, size_t n, struct err *e)
{
	ssize_t got = io_read_full(((struct list_file *)arg)->fd, buf, n, -1);

	return got < 0 ? err_errno(e, "read a list of ids") : got;
}

static ssize_t
content_bytes(void *arg, uint8_t *buf, size_t cap, struct err *e)
{
	return list_bytes(arg, buf, cap, e);
}

/* Open copy ${copy} of the list: 0, 1 it is not there, -1 with ${e}. */
static int
list_open(const struct ingest *g, int copy, const char *what, struct list_file *f, struct err *e)
{
	char name[32];
	uint64_t len;
	struct err mine;

	err_clear(&mine);
	(void)snprintf(name, sizeof(name), "%s/%s", dirs[copy], what);
	if ((f->fd = image_file_open(g->dir.fd, name, &len, &mine)) != -1)
		return 0;
	if (mine.code == ERR_NOT_FOUND)
		return 1;
	if (e != NULL)
		*e = mine;
	return -1;
}

/* Read all of it: signed by the machine, for this vault, whole, and with the digest ${want} where not NULL. */
static int
list_is_good(const struct ingest *g, struct list_file *f, const struct fmt_schema *schema, const uint8_t *want, struct err *e)
{
	const struct label *l = &g->dir.label;
	struct id_list_reader *r = id_list_reader_from(list_bytes, f, schema->name, schema, l->machine_pub, e);
	uint8_t id[DIGEST_LEN];
	int rc;

	if (r == NULL)
		return -1;
	if (memcmp(id_list_about(r)->vault_id, l->vault_id, ID_LEN) != 0 ||
	    memcmp(id_list_about(r)->machine_id, l->machine_id, ID_LEN) != 0 ||
	    (schema == &carried_schema && memcmp(id_list_about(r)->image_id, l->image_id, ID_LEN) != 0) ||
	    (want != NULL && memcmp(id_list_about(r)->digest, want, DIGEST_LEN) != 0))
		rc = err_set(e, ERR_DAMAGE, "it is not the list that belongs here");
	else
		while ((rc = id_list_next(r, id, e)) == 1)
			;
	id_list_reader_free(r);
	return rc;
}

/* Copy ${copy}, if it is good, with ${f} at its beginning again: 0, 1 it is not there, -1 with ${e}. */
static int
list_take(const struct ingest *g, int copy, const char *what, const struct fmt_schema *schema, const uint8_t *want,
    struct list_file *f, struct err *e)
{
	int rc = list_open(g, copy, what, f, e);

	if (rc != 0)
		return rc;
	if (list_is_good(g, f, schema, want, e) == 0) {
		if (io->lseek(f->fd, 0, SEEK_SET) == 0)
			return 0;
		(void)err_errno(e, "%s", what);
	}
	(void)io->close(f->fd);
	return -1;
}

/* Either copy: 0 with ${f} open, 1 there is none or none is good (said). */
static int
list_either(struct ingest *g, const char *what, const struct fmt_schema *schema, const uint8_t *want, struct list_file *f)
{
	struct err mine;

	for (int copy = 0; copy < 2; copy++) {
		int rc;

		err_clear(&mine);
		if ((rc = list_take(g, copy, what, schema, want, f, &mine)) == 0)
			return 0;
		if (rc == -1) {
			say_warn("%s: %s/%s: %s", g->name, dirs[copy], what, mine.msg);
			g->r->damage++;
		}
	}
	return 1;
}

/*
 * What a top-up carries, so that its root can be computed from the vault alone.
 * The manifest may come on another disk; whether it is the list that this names
 * is looked at again when states are computed and a receipt is given.
 */
static int
carried_file(struct ingest *g, struct err *e)
{
	char name[VAULT_NAME_MAX];
	struct list_file f;
	int rc;

	if ((g->manifest != NULL && g->m.envelopes.len > 0) ||
	    list_either(g, "carried", &carried_schema, g->manifest != NULL ? g->m.carried : NULL, &f) != 0)
		return 0;
	vault_name_image(name, g->st.image_id, "list", 1);
	rc = g->v->store->ops->put_new_from(g->v->store, name, content_bytes, &f, e);
	(void)io->close(f.fd);
	return rc < 0 ? -1 : 0;
}

static int
given_up_file(struct ingest *g, struct err *e)
{
	struct id_list_reader *r;
	struct list_file f;
	int rc = -1;

	if (list_either(g, "givenup", &given_up_schema, NULL, &f) != 0)
		return 0;
	r = id_list_reader_from(list_bytes, &f, "givenup", &given_up_schema, g->dir.label.machine_pub, e);
	if (r != NULL)
		rc = vault_given_up_take(g->v, r, e);
	id_list_reader_free(r);
	(void)io->close(f.fd);
	return rc;
}

int
ingest_extras(struct ingest *g, struct err *e)
{
	return carried_file(g, e) != 0 || given_up_file(g, e) != 0 ? -1 : 0;
}
