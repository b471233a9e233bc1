#include "common/flow/retain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/err.h"
#include "common/base/text.h"
#include "common/catalog/catalog.h"
#include "common/flow/vault_machine.h"
#include "formats/fmt_retain.h"

#define SECOND	INT64_C(1000000000)

/* --- which one is meant --- */

struct meant {
	const char *text;		/* beginning of an id, or the set, "" any */
	struct cat_snapshot *s;
	int found;
};

static int
id_begins(void *arg, const void *row, struct err *e)
{
	const struct cat_snapshot *s = row;
	struct meant *m = arg;
	char hex[2 * ID_LEN + 1];

	(void)e;
	(void)text_hex(hex, s->id, ID_LEN);
	if (strncasecmp(hex, m->text, strlen(m->text)) != 0)
		return 0;
	*m->s = *s;
	m->found++;
	return 0;
}

static int
newest_whole(void *arg, const void *row, struct err *e)
{
	const struct cat_snapshot *s = row;
	struct meant *m = arg;

	(void)e;
	if (s->state != SNAPSHOT_WHOLE || s->deleted != 0 || (m->text[0] != '\0' && strcmp(s->set_name, m->text) != 0))
		return 0;
	*m->s = *s;		/* by rising numbers */
	m->found = 1;
	return 0;
}

/* MACHINE/WHICH: 0 found, 1 not, -1. */
static int
find_of_machine(struct vault *v, const char *text, const char *slash, struct cat_snapshot *s, struct err *e)
{
	struct meant meant = { "", s, 0 };
	struct cat_snapshot like;
	struct cat_machine m;
	char name[NAME_MAX_LEN + 1], *end;
	unsigned long long n;

	if ((size_t)(slash - text) > NAME_MAX_LEN)
		return 1;
	(void)snprintf(name, sizeof(name), "%.*s", (int)(slash - text), text);
	if (vault_machine_find(v, name, &m, e) != 0)
		return -1;
	if (strncmp(slash + 1, "latest", 6) == 0 && (slash[7] == '\0' || slash[7] == ':')) {
		meant.text = slash[7] == ':' ? slash + 8 : "";
		memcpy(like.machine_id, m.id, ID_LEN);
		if (catalog_each(v->catalog, &cat_snapshots, 1, &like, newest_whole, &meant, e) != 0)
			return -1;
		return !meant.found;
	}
	n = strtoull(slash + 1, &end, 10);
	if (slash[1] < '0' || slash[1] > '9' || *end != '\0' || n > INT64_MAX)
		return 1;
	memcpy(s->machine_id, m.id, ID_LEN);
	s->seq = (int64_t)n;
	return catalog_get(v->catalog, &cat_snapshots, s, e);
}

int
vault_snapshot_find(struct vault *v, const char *text, struct cat_snapshot *s, struct err *e)
{
	const char *slash = strrchr(text, '/');
	struct meant m = { text, s, 0 };
	char safe[256];
	int rc = 1;

	if (slash != NULL && (rc = find_of_machine(v, text, slash, s, e)) <= 0)
		return rc;
	if (slash == NULL && strlen(text) >= 4 && catalog_each(v->catalog, &cat_snapshots, 0, NULL, id_begins, &m, e) != 0)
		return -1;
	if (m.found == 1)
		return 0;
	(void)text_safe(safe, sizeof(safe), text, strlen(text));
	(void)err_set(e, ERR_NO_SNAPSHOT, m.found > 1 ? "more than one snapshot of vault %s begins with \"%s\"" :
	    "vault %s has no snapshot \"%s\"", v->desc.name, safe);
	return err_next(e, "samara-import list %s snapshots shows all of them; name one by its id, or as MACHINE/NUMBER.", v->path);
}

/* --- what is decided about it --- */

static int
snapshot_record(struct vault *v, enum record_type type, const struct cat_snapshot *s, unsigned by, const char *why,
    struct err *e)
{
	struct rec_snapshot k = { .seq = (uint64_t)s->seq, .by = (uint8_t)by };

	memcpy(k.machine_id, s->machine_id, ID_LEN);
	memcpy(k.snapshot_id, s->id, ID_LEN);
	(void)snprintf(k.why, sizeof(k.why), "%.250s", why);
	return vault_record(v, type, &rec_snapshot_schema, &k, e);
}

/* May a person delete it?  0, or -1 with ERR_RULE. */
static int
delete_check(struct vault *v, const struct cat_snapshot *s, struct err *e)
{
	struct cat_snapshot newest, like;
	struct meant m = { s->set_name, &newest, 0 };

	if (s->is_protected) {
		(void)err_set(e, ERR_RULE, "snapshot %lld is protected", (long long)s->seq);
		return err_next(e, "samara-import unprotect %s SNAP takes that back.", v->path);
	}
	memcpy(like.machine_id, s->machine_id, ID_LEN);
	if (catalog_each(v->catalog, &cat_snapshots, 1, &like, newest_whole, &m, e) != 0)
		return -1;
	if (!m.found || newest.seq != s->seq)
		return 0;
	(void)err_set(e, ERR_RULE, "snapshot %lld is the newest whole one of set %s", (long long)s->seq, s->set_name);
	return err_next(e, "All that a machine has goes with samara-import machine %s MACHINE retire --delete.", v->path);
}

static const struct {
	enum record_type record;
	int deleted, is_protected;	/* as it is then; -1: as it was */
} acts[] = {
	[RETAIN_DELETE] = { REC_DELETED, 1, -1 },
	[RETAIN_UNDELETE] = { REC_UNDELETED, 0, -1 },
	[RETAIN_PROTECT] = { REC_PROTECTED, -1, 1 },
	[RETAIN_UNPROTECT] = { REC_UNPROTECTED, -1, 0 },
};

static int
decide(struct vault *v, const char *text, enum retain_act act, const char *why, int dry_run, struct cat_snapshot *s,
    struct err *e)
{
	if (vault_snapshot_find(v, text, s, e) != 0)
		return -1;
	if ((acts[act].deleted != -1 && (s->deleted != 0) == acts[act].deleted) ||
	    (acts[act].is_protected != -1 && (s->is_protected != 0) == acts[act].is_protected))
		return 1;
	if (act == RETAIN_DELETE && delete_check(v, s, e) != 0)
		return -1;
	if (dry_run)
		return 0;
	if (snapshot_record(v, acts[act].record, s, RETAIN_BY_HAND, why, e) != 0)
		return -1;
	return catalog_get(v->catalog, &cat_snapshots, s, e) != 0 ? -1 : 0;
}

int
retain_decide(struct vault *v, const char *text, enum retain_act act, const char *why, int dry_run, struct cat_snapshot *s,
    struct err *e)
{
	int rc;

	if (vault_begin(v, e) != 0)
		return -1;
	if ((rc = decide(v, text, act, why, dry_run, s, e)) >= 0)
		return vault_commit(v, e) != 0 ? -1 : rc;
	vault_rollback(v);
	return -1;
}

struct emptying {
	struct vault *v;
	const char *why;
	uint64_t *n;
};

static int
delete_one(void *arg, const void *row, struct err *e)
{
	const struct cat_snapshot *s = row;
	struct emptying *m = arg;

	if (s->is_protected || s->deleted_by == DELETED_WITH_MACHINE)
		return 0;
	++*m->n;
	return snapshot_record(m->v, REC_DELETED, s, RETAIN_WITH_MACHINE, m->why, e);
}

int
retain_machine(struct vault *v, const uint8_t machine[ID_LEN], const char *why, uint64_t *n, struct err *e)
{
	struct emptying m = { v, why, n };
	struct cat_snapshot like;

	*n = 0;
	memcpy(like.machine_id, machine, ID_LEN);
	if (vault_begin(v, e) != 0)
		return -1;
	if (catalog_each(v->catalog, &cat_snapshots, 1, &like, delete_one, &m, e) == 0)
		return vault_commit(v, e);
	vault_rollback(v);
	return -1;
}

int64_t
retain_left(const struct vault *v, const struct cat_snapshot *s)
{
	int64_t left = s->deleted + RETAIN_SOFT - v->slow;

	return left > 0 ? (left + SECOND - 1) / SECOND : 0;
}
