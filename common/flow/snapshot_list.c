#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/err.h"
#include "common/base/text.h"
#include "common/crypto/sign.h"
#include "common/flow/refs_read.h"
#include "common/flow/snapshot_list.h"
#include "common/flow/state.h"
#include "formats/fmt_line_read.h"

#define PREFIX_LEAST	4u

struct reading {
	struct snapshot_list *l;
	struct source *s;
	size_t container;
	const uint8_t *machine_id, *machine_pub;
	uint64_t from_seq;
	source_bad_fn bad;
	void *bad_arg;
};

static struct snapshot *
list_add(struct snapshot_list *l, struct err *e)
{
	if (l->n == l->cap) {
		size_t cap = l->cap * 2 + 16;
		struct snapshot *more = realloc(l->snap, cap * sizeof(*more));

		if (more == NULL) {
			(void)err_set(e, ERR_MEMORY, "no memory for a list of snapshots");
			return NULL;
		}
		l->snap = more;
		l->cap = cap;
	}
	memset(&l->snap[l->n], 0, sizeof(l->snap[0]));
	return &l->snap[l->n++];
}

static struct snapshot *
list_number(struct snapshot_list *l, uint64_t seq)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->snap[i].env.seq == seq)
			return &l->snap[i];
	return NULL;
}

void
snapshot_list_release(struct snapshot_list *l)
{
	free(l->snap);
	memset(l, 0, sizeof(*l));
}

static void
told(const struct reading *r, struct err *own)
{
	const char *name = source_container(r->s, r->container)->name;

	if (r->bad != NULL)
		r->bad(r->bad_arg, name, NULL, own);
}

static int
envelope_found(void *arg, const struct snap_place *p, const uint8_t *bytes, size_t len, struct err *e)
{
	struct reading *r = arg;
	struct snapshot *snap;
	struct envelope env;
	uint8_t digest[DIGEST_LEN];
	struct err own;
	int older;

	err_clear(&own);
	if (statement_open(&envelope_schema, &env, bytes, len, NULL, &own) != 0) {
		told(r, &own);
		return 0;
	}
	if (memcmp(env.machine_id, r->machine_id, ID_LEN) != 0)
		return 0;
	older = !statement_check(&envelope_schema, bytes, len, r->machine_pub);
	if (older && env.seq >= r->from_seq) {
		(void)err_set(&own, ERR_SIGNATURE, "the envelope of snapshot %llu is not signed by its machine",
		    (unsigned long long)env.seq);
		told(r, &own);
		return 0;
	}
	statement_digest(&envelope_schema, bytes, len, digest);
	snap = list_number(r->l, env.seq);
	if (snap != NULL && memcmp(snap->digest, digest, DIGEST_LEN) != 0) {
		(void)err_set(&own, ERR_FORK, "there are two different snapshots of number %llu: a cloned machine or an old state",
		    (unsigned long long)env.seq);
		told(r, &own);
		return 0;
	}
	if (snap == NULL && (snap = list_add(r->l, e)) == NULL)
		return -1;
	snap->env = env;
	snap->older = older;
	memcpy(snap->digest, digest, DIGEST_LEN);
	if (snap->places < SNAP_PLACES) {
		snap->at[snap->places].container = r->container;
		snap->at[snap->places++].place = *p;
	}
	return 0;
}

static void
envelope_bad(void *arg, const char *where, const struct err *why)
{
	struct reading *r = arg;
	struct err own = *why;

	(void)err_during(&own, "%s", where);
	told(r, &own);
}

static int
seq_order(const void *a, const void *b)
{
	const struct snapshot *x = a, *y = b;

	return (x->env.seq > y->env.seq) - (x->env.seq < y->env.seq);
}

static void
list_sort(struct snapshot_list *l)
{
	if (l->n > 1)
		qsort(l->snap, l->n, sizeof(*l->snap), seq_order);
}

int
snapshot_list_read(struct snapshot_list *l, struct source *s, const uint8_t machine_id[ID_LEN],
    const uint8_t machine_pub[SIGN_PUB_LEN], uint64_t from_seq, source_bad_fn bad, void *arg, struct err *e)
{
	struct reading r = { .l = l, .s = s, .machine_id = machine_id, .machine_pub = machine_pub, .from_seq = from_seq, .bad = bad, .bad_arg = arg };

	memset(l, 0, sizeof(*l));
	for (size_t i = 0; i < source_containers(s); i++) {
		struct container *c = source_container(s, i);

		r.container = i;
		if (c->ops->snapshots(c, envelope_found, &r, envelope_bad, &r, e) != 0) {
			snapshot_list_release(l);
			return c->is_line ? -1 : err_during(e, "%s", c->name);	/* the line names its vault */
		}
	}
	list_sort(l);
	return 0;
}

int
snapshot_list_state(struct snapshot_list *l, struct state *st, struct err *e)
{
	struct snapshot *snap;
	struct envelope env;
	uint64_t highest;
	uint8_t *bytes;
	size_t len;
	int rc;

	if (state_highest(st, &highest, e) != 0)
		return -1;
	for (uint64_t seq = 1; seq <= highest; seq++) {
		if ((rc = state_envelope(st, seq, &bytes, &len, &env, e)) < 0)
			return -1;
		if (rc == 1)
			continue;
		if ((snap = list_number(l, seq)) == NULL && (snap = list_add(l, e)) != NULL) {
			snap->env = env;
			statement_digest(&envelope_schema, bytes, len, snap->digest);
		}
		free(bytes);
		if (snap == NULL)
			return -1;
		snap->in_state = 1;
	}
	list_sort(l);
	return 0;
}

/* Count what is missing by the list at place ${i}. */
static int
missing_by(const struct source *s, const struct snapshot *snap, size_t i, uint64_t *missing, struct err *e)
{
	struct container *c = source_container(s, snap->at[i].container);
	struct refs_reader *r = refs_reader_new(c, &snap->at[i].place, &snap->env, e);
	uint8_t id[DIGEST_LEN];
	int rc;

	if (r == NULL)
		return -1;
	*missing = 0;
	while ((rc = refs_reader_next(r, id, e)) == 1)
		*missing += source_has(s, id, NULL, NULL) == 0;
	refs_reader_free(r);
	return rc;
}

const struct snap_place *
snapshot_on_line(const struct source *s, const struct snapshot *snap)
{
	for (size_t i = 0; i < snap->places; i++)
		if (source_container(s, snap->at[i].container)->is_line)
			return &snap->at[i].place;
	return NULL;
}

int
snapshot_missing(const struct source *s, const struct snapshot *snap, uint64_t *missing, struct err *e)
{
	const struct snap_place *line = snapshot_on_line(s, snap);
	struct err first, own;

	if (line != NULL && line->state == LINE_WHOLE) {
		*missing = 0;
		return 0;
	}

	err_clear(&first);
	(void)err_set(&first, ERR_NOT_FOUND, "no reference list of snapshot %llu is there", (unsigned long long)snap->env.seq);
	*missing = 0;
	for (size_t i = 0; i < snap->places; i++) {
		if (source_container(s, snap->at[i].container)->is_line)
			continue;
		err_clear(&own);
		if (missing_by(s, snap, i, missing, &own) == 0) {
			if (line != NULL && *missing > line->missing && line->missing > 0)
				*missing = line->missing;
			return 0;
		}
		if (first.code == ERR_NOT_FOUND)
			first = own;
	}
	if (line != NULL) {	/* of what it waits for, and of what was given up, the numbers alone are known */
		*missing = line->missing > 0 ? line->missing : 1;
		return 0;
	}
	if (e != NULL)
		*e = first;
	return -1;
}

/* The newest of ${set} (NULL: of any) that is all there. */
static int
pick_latest(const struct snapshot_list *l, const struct source *s, const char *set, const struct snapshot **snap,
    const struct snapshot **newer, struct err *e)
{
	uint64_t missing;
	struct err own;

	for (size_t i = l->n; i-- > 0; ) {
		const struct snapshot *at = &l->snap[i];

		if (set != NULL && strcmp(at->env.set_name, set) != 0)
			continue;
		err_clear(&own);
		if (s == NULL || (snapshot_missing(s, at, &missing, &own) == 0 && missing == 0)) {
			*snap = at;
			return 0;
		}
		if (*newer == NULL)
			*newer = at;
	}
	if (*newer != NULL) {	/* none is whole: better an incomplete one than none */
		*snap = *newer;
		return 0;
	}
	return set != NULL ? err_set(e, ERR_NO_SNAPSHOT, "there is no snapshot of the set %s", set) :
	    err_set(e, ERR_NO_SNAPSHOT, "there is no snapshot");
}

/* The last that began on the day ${text} ("2026-11-12"); 1 if it is no date. */
static int
pick_date(const struct snapshot_list *l, const char *text, const struct snapshot **snap, struct err *e)
{
	struct tm tm = { .tm_isdst = -1 }, got;
	const char *end = strptime(text, "%Y-%m-%d", &tm);
	time_t t;

	if (end == NULL || *end != '\0')
		return 1;
	for (size_t i = l->n; i-- > 0; ) {
		t = (time_t)(l->snap[i].env.begin_ns / 1000000000);
		if (localtime_r(&t, &got) == NULL || got.tm_year != tm.tm_year || got.tm_mon != tm.tm_mon ||
		    got.tm_mday != tm.tm_mday)
			continue;
		*snap = &l->snap[i];
		return 0;
	}
	return err_set(e, ERR_NO_SNAPSHOT, "there is no snapshot of %s", text);
}

static int
pick_id(const struct snapshot_list *l, const char *text, const struct snapshot **snap, struct err *e)
{
	char hex[2 * ID_LEN + 1], safe[64];
	size_t len = strlen(text);

	(void)text_safe(safe, sizeof(safe), text, len);
	if (len > 2 * ID_LEN || strspn(text, "0123456789abcdefABCDEF") != len)
		return err_set(e, ERR_NO_SNAPSHOT, "\"%s\" is neither an id, nor a date, nor latest", safe);
	if (len < PREFIX_LEAST)
		return err_set(e, ERR_NO_SNAPSHOT, "\"%s\" is too short for an id: give %u digits at least", safe, PREFIX_LEAST);
	for (size_t i = 0; i < l->n; i++) {
		(void)text_hex(hex, l->snap[i].env.snapshot_id, ID_LEN);
		if (strncasecmp(hex, text, len) != 0)
			continue;
		if (*snap != NULL) {
			*snap = NULL;
			return err_set(e, ERR_NO_SNAPSHOT, "more than one snapshot begins with \"%s\"", safe);
		}
		*snap = &l->snap[i];
	}
	return *snap != NULL ? 0 : err_set(e, ERR_NO_SNAPSHOT, "there is no snapshot \"%s\"", safe);
}

int
snapshot_pick(const struct snapshot_list *l, const struct source *s, const char *text, const struct snapshot **snap,
    char **path, const struct snapshot **newer, struct err *e)
{
	const char *colon = strstr(text, ":/");
	char *name = strndup(text, colon != NULL ? (size_t)(colon - text) : strlen(text));
	int rc;

	*snap = *newer = NULL;
	*path = strdup(colon != NULL ? colon + 1 : "/");
	if (name == NULL || *path == NULL) {
		rc = err_set(e, ERR_MEMORY, "no memory");
	} else if (strcmp(name, "latest") == 0) {
		rc = pick_latest(l, s, NULL, snap, newer, e);
	} else if (strncmp(name, "latest:", 7) == 0) {
		rc = pick_latest(l, s, name + 7, snap, newer, e);
	} else if ((rc = pick_date(l, name, snap, e)) == 1) {
		rc = pick_id(l, name, snap, e);
	}
	free(name);
	if (rc != 0) {
		free(*path);
		*path = NULL;
	}
	return rc;
}

char *
snapshot_short(char out[SNAPSHOT_SHORT_LEN], const uint8_t id[ID_LEN])
{
	return text_hex(out, id, (SNAPSHOT_SHORT_LEN - 1) / 2);
}
