/* Which vaults the images on a disk are for. */

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/flow/desk.h"
#include "common/flow/ingest_job.h"

/* A label for each of them. */
struct wanted {
	struct label *labels;
	size_t n;
};

static void
wanted_add(struct wanted *w, const struct label *l)
{
	for (size_t i = 0; i < w->n; i++)
		if (memcmp(w->labels[i].vault_id, l->vault_id, ID_LEN) == 0)
			return;
	w->labels[w->n++] = *l;
}

/* The vaults that labels on the disk name; a label that cannot be believed names none: 0, or -1 if all are so. */
static int
labels_read(const struct disk_place *p, struct wanted *w, struct err *e)
{
	struct err mine;

	for (size_t i = 0; i < p->n; i++) {
		struct image_dir d;

		err_clear(&mine);
		if (image_dir_open(p->fd, p->names[i], &d, &mine) != 0) {
			if (p->n > 1)
				say_warn("%s", mine.msg);
			continue;
		}
		wanted_add(w, &d.label);
		image_dir_close(&d);
	}
	if (w->n > 0)
		return 0;
	if (e != NULL)
		*e = mine;
	return -1;
}

static int
one_vault(const char *vault, const struct disk_place *p, int (*fn)(void *, struct vault *, const char *, struct err *),
    void *arg, struct err *e)
{
	struct vault *v = vault_open(vault, 0, e);
	int rc;

	if (v == NULL)
		return -1;
	rc = fn(arg, v, p->m.path, e);
	vault_close(v);
	return rc;
}

static void
say_unknown(const struct label *l, const char *dir, struct err *e)
{
	char safe[NAME_MAX_LEN * 4 + 4];

	(void)err_set(e, ERR_NO_VAULT, "%s-%u was made for vault %s; no vault in %s is that one", l->short_name, l->disk,
	    text_safe(safe, sizeof(safe), l->vault_name, strlen(l->vault_name)), dir);
	(void)err_next(e, "Take it to where that vault is, or name the vault's directory if it is elsewhere.");
}

static int
by_labels(const char *dir, const struct disk_place *p, int (*fn)(void *, struct vault *, const char *, struct err *),
    void *arg, struct err *e)
{
	struct wanted w = { calloc(p->n, sizeof(*w.labels)), 0 };
	char path[4096];
	struct err unknown;
	int rc;

	if (w.labels == NULL)
		return err_errno(e, "%s", p->m.path);
	err_clear(&unknown);
	rc = labels_read(p, &w, e);
	for (size_t i = 0; i < w.n && rc == 0; i++) {
		if (vault_find(dir, w.labels[i].vault_id, path, sizeof(path), NULL) == 0)
			rc = one_vault(path, p, fn, arg, e);
		else
			say_unknown(&w.labels[i], dir, &unknown);
	}
	free(w.labels);
	if (rc != 0 || unknown.code == ERR_NONE)
		return rc;
	if (e != NULL)
		*e = unknown;
	return -1;
}

int
desk_each_vault(const struct desk_vaults *where, const char *path,
    int (*fn)(void *arg, struct vault *v, const char *path, struct err *e), void *arg, struct err *e)
{
	struct disk_place p;
	int rc;

	if (disk_place_open(path, &p, e) != 0)
		return -1;
	if (where->vault != NULL)
		rc = one_vault(where->vault, &p, fn, arg, e);
	else
		rc = by_labels(where->dir, &p, fn, arg, e);
	if (disk_place_close(&p, rc == 0 ? e : NULL) != 0)
		rc = -1;
	return rc;
}
