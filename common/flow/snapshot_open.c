#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/crypto/sign.h"
#include "common/flow/refs_read.h"
#include "common/flow/snapshot_open.h"

/* What envelope and root chunk both say must be the same: the name of the first field that is not, or NULL. */
static const char *
difference(const struct envelope *v, const struct snapshot_root *r)
{
	const struct { const char *name; const void *a, *b; size_t len; } same[] = {
		{ "snapshot", v->snapshot_id, r->snapshot_id, ID_LEN },
		{ "machine", v->machine_id, r->machine_id, ID_LEN },
		{ "key domain", v->domain_id, r->domain_id, DIGEST_LEN },
		{ "number", &v->seq, &r->seq, sizeof(v->seq) },
		{ "previous snapshot", v->previous, r->previous, ID_LEN },
		{ "set", v->set_name, r->set_name, sizeof(v->set_name) },
		{ "base", v->base, r->base, ID_LEN },
		{ "kind", &v->kind, &r->kind, sizeof(v->kind) },
		{ "begin", &v->begin_ns, &r->begin_ns, sizeof(v->begin_ns) },
		{ "end", &v->end_ns, &r->end_ns, sizeof(v->end_ns) },
		{ "image", v->image_id, r->image_id, ID_LEN },
	};

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		if (memcmp(same[i].a, same[i].b, same[i].len) != 0)
			return same[i].name;
	return v->refs_count == r->refs_count + 1 ? NULL : "number of chunks";
}

/* The signer is a machine that the domain key names, from this snapshot on. */
static int
member_check(const struct snapshot *snap, const struct snapshot_root *r, const struct keyring *k, struct err *e)
{
	const struct envelope *v = &snap->env;

	if (memcmp(v->domain_id, k->keys->domain_id, DIGEST_LEN) != 0)
		return err_set(e, ERR_DAMAGE, "it belongs to another key domain");
	if (snap->older)
		return memcmp(snap->signer, r->signer_pub, SIGN_PUB_LEN) == 0 && v->seq < k->member.from_seq ? 0 :
		    err_set(e, ERR_SIGNATURE, "its signer is not the one that it was listed with");
	if (memcmp(k->member.machine_id, v->machine_id, ID_LEN) != 0 ||
	    memcmp(k->member.machine_pub, r->signer_pub, SIGN_PUB_LEN) != 0 ||
	    memcmp(k->machine_pub, r->signer_pub, SIGN_PUB_LEN) != 0)
		return err_set(e, ERR_SIGNATURE, "its signer is not the machine that the key domain names");
	if (v->seq < k->member.from_seq)
		return err_set(e, ERR_SIGNATURE, "its number lies before the first that this machine's key may sign");
	return 0;
}

/* The list at place ${i}: with the root as the envelope says, without it as the root chunk says. */
static int
refs_check(struct source *s, const struct open_snapshot *o, size_t i, struct err *e)
{
	const struct snapshot *snap = o->snap;
	struct refs_reader *r = refs_reader_new(source_container(s, snap->at[i].container), &snap->at[i].place, &snap->env, e);
	uint8_t id[DIGEST_LEN], digest[DIGEST_LEN];
	int rc;

	if (r == NULL)
		return -1;
	while ((rc = refs_reader_next(r, id, e)) == 1)
		;
	if (rc == 0 && (!refs_reader_without_root(r, digest) || memcmp(digest, o->root.refs_digest, DIGEST_LEN) != 0))
		rc = err_set(e, ERR_SIGNATURE, "its reference list is not the one that its root chunk names");
	refs_reader_free(r);
	return rc;
}

/* A list that disagrees with the root chunk is fatal; one that is lost or damaged is not, as long as another is whole. */
static int
refs_check_any(struct source *s, struct open_snapshot *o, int line, struct err *e)
{
	struct err own;

	for (size_t i = 0; i < o->snap->places && !o->refs_checked; i++) {
		/* Over the line it is read by who needs it: the listing hangs on the root chunk, which the key has opened. */
		if (source_container(s, o->snap->at[i].container)->is_line != line)
			continue;
		err_clear(&own);
		o->refs_checked = refs_check(s, o, i, &own) == 0;
		if (own.code == ERR_SIGNATURE) {
			if (e != NULL)
				*e = own;
			return -1;
		}
	}
	return 0;
}

int
snapshot_refs_line(struct open_snapshot *o, struct source *s, struct err *e)
{
	return o->refs_checked ? 0 : refs_check_any(s, o, 1, e);
}

int
snapshot_open(struct open_snapshot *o, struct source *s, struct source_reader *reader, const struct snapshot *snap,
    const struct keyring *k, struct err *e)
{
	const uint8_t *plain;
	const char *which;
	enum fmt_status st;
	size_t len;

	memset(o, 0, sizeof(*o));
	o->snap = snap;
	if (source_get(reader, snap->env.root_id, KIND_ROOT, &plain, &len, e) != 0)
		goto fail;
	if ((o->bytes = malloc(len)) == NULL) {
		(void)err_set(e, ERR_MEMORY, "no memory for its root chunk");
		goto fail;
	}
	memcpy(o->bytes, plain, len);
	if ((st = schema_decode(&snapshot_root_schema, &o->root, o->bytes, len)) != FMT_OK) {
		(void)err_set(e, st == FMT_VERSION ? ERR_VERSION : ERR_DAMAGE, "its root chunk: %s", fmt_status_text(st));
		goto fail;
	}
	if ((which = difference(&snap->env, &o->root)) != NULL) {
		(void)err_set(e, ERR_SIGNATURE, "envelope and root chunk contradict each other: %s", which);
		goto fail;
	}
	if (member_check(snap, &o->root, k, e) != 0 || refs_check_any(s, o, 0, e) != 0)
		goto fail;
	return 0;
fail:
	snapshot_close(o);
	return err_during(e, "snapshot %llu", (unsigned long long)snap->env.seq);
}

void
snapshot_close(struct open_snapshot *o)
{
	free(o->bytes);
	memset(o, 0, sizeof(*o));
}

/* The root chunk of an older snapshot, and by it the signer of its envelope. */
static int
older_prove(struct snapshot *snap, struct source_reader *reader, struct err *e)
{
	uint8_t bytes[ENVELOPE_LEN_MAX];
	struct snapshot_root root;
	const uint8_t *plain;
	const char *which;
	size_t len, n;

	if (source_get(reader, snap->env.root_id, KIND_ROOT, &plain, &len, e) != 0)
		return -1;
	if (schema_decode(&snapshot_root_schema, &root, plain, len) != FMT_OK)
		return err_set(e, ERR_DAMAGE, "its root chunk cannot be read");
	if ((which = difference(&snap->env, &root)) != NULL)
		return err_set(e, ERR_SIGNATURE, "envelope and root chunk contradict each other: %s", which);
	if (schema_encode(&envelope_schema, &snap->env, bytes, sizeof(bytes), &n) != FMT_OK ||
	    !statement_check(&envelope_schema, bytes, n, root.signer_pub))
		return err_set(e, ERR_SIGNATURE, "its envelope is not signed by the key that its root chunk names");
	memcpy(snap->signer, root.signer_pub, SIGN_PUB_LEN);
	return 0;
}

int
snapshot_list_prove(struct snapshot_list *l, struct source *s, struct source_reader *reader, source_bad_fn bad, void *arg,
    struct err *e)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->n; i++) {
		struct snapshot *snap = &l->snap[i];
		struct err own;

		err_clear(&own);
		if (snap->older && older_prove(snap, reader, &own) != 0) {
			if (own.code == ERR_INTERRUPTED || own.code == ERR_MEMORY) {
				if (e != NULL)
					*e = own;
				return -1;
			}
			(void)err_during(&own, "snapshot %llu", (unsigned long long)snap->env.seq);
			if (bad != NULL)
				bad(arg, snap->places > 0 ? source_container(s, snap->at[0].container)->name : "the state", NULL, &own);
			continue;
		}
		if (kept != i)
			l->snap[kept] = *snap;
		kept++;
	}
	l->n = kept;
	return 0;
}
