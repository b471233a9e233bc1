#include "common/flow/machine_receipt.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/crypto/sign.h"
#include "common/flow/custody.h"
#include "common/flow/image_root.h"
#include "common/flow/image_state.h"
#include "common/flow/journal.h"
#include "common/flow/state_refs.h"
#include "common/pack/id_sorter.h"
#include "common/pack/refs.h"

#define SORT_MEMORY	((size_t)16 << 20)

struct taking {
	struct state *s;
	const struct domain_keys *k;
	const uint8_t *bytes;
	size_t len;
	struct receipt p;
	uint8_t digest[DIGEST_LEN];
	struct image_state *im;
	struct machine_receipt *r;
};

/* --- whose it is --- */

static int
receipt_open(struct taking *t, const char *path, struct err *e)
{
	const struct trust *trust = &t->s->trust;

	if (statement_open(&receipt_schema, &t->p, t->bytes, t->len, NULL, e) != 0)
		return err_during(e, "%s", path);
	if (memcmp(t->p.vault_id, trust->vault_id, ID_LEN) != 0)
		return err_set(e, ERR_WRONG_VAULT, "%s is a receipt of another vault, not of %s", path, trust->vault_name);
	if (!statement_check(&receipt_schema, t->bytes, t->len, trust->vault_pub))
		return err_set(e, ERR_SIGNATURE, "%s was not signed by vault %s: it is forged, or was changed on its way", path,
		    trust->vault_name);
	if (memcmp(t->p.machine_id, t->s->id.machine_id, ID_LEN) != 0 ||
	    memcmp(t->p.domain_id, t->s->id.domain_id, DIGEST_LEN) != 0)
		return err_set(e, ERR_WRONG_DISK, "%s is a receipt for another machine", path);
	statement_digest(&receipt_schema, t->bytes, t->len, t->digest);
	return 0;
}

/* The image that it is for; any case of its name has that id. */
static int
image_find(struct taking *t, struct err *e)
{
	char **names;
	size_t n;
	int rc = 0;

	if (state_images(t->s, &names, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n && t->im == NULL && rc == 0; i++) {
		struct image_state *im = image_state_load(t->s, names[i], NULL, NULL, e);

		if (im != NULL && memcmp(im->begin.image_id, t->p.image_id, ID_LEN) == 0)
			t->im = im;
		else if (im == NULL && e->code != ERR_NOT_FOUND)
			rc = -1;
		else {
			err_clear(e);
			image_state_free(im);
		}
	}
	dir_list_free(names, n);
	if (rc == 0 && t->im == NULL)
		rc = err_set(e, ERR_NO_IMAGE, "the receipt is for image %s, which this machine did not build", t->p.short_name);
	return rc;
}

/* 1 if the image's answer is to this very receipt. */
static int
is_answered(const struct taking *t)
{
	struct handoff h;

	return t->im->answer_bytes != NULL &&
	    schema_decode(&handoff_schema, &h, t->im->answer_bytes, t->im->answer_len) == FMT_OK &&
	    memcmp(h.receipt, t->digest, DIGEST_LEN) == 0;
}

static int
number_check(const struct taking *t, struct err *e)
{
	if (is_answered(t) || t->p.number > t->s->trust.receipt_number)
		return 0;
	return err_set(e, ERR_RECEIPT, "receipt %llu is an old one: this machine has accepted receipt %llu of vault %s",
	    (unsigned long long)t->p.number, (unsigned long long)t->s->trust.receipt_number, t->s->trust.vault_name);
}

/* --- what it says --- */

static int
differs(const struct taking *t, struct err *e, const char *what)
{
	return err_set(e, ERR_RECEIPT, "receipt %llu for image %s: %s", (unsigned long long)t->p.number, t->p.short_name, what);
}

/* Each snapshot of the manifest, and none besides, with the count of its own list. */
static int
snapshots_check(const struct taking *t, struct err *e)
{
	const struct image_state *im = t->im;
	struct receipt_snapshot s;
	uint8_t own[DIGEST_LEN];
	size_t n = list_count(t->p.snapshots, RECEIPT_SNAPSHOT_LEN);

	if (n != list_count(im->manifest.envelopes, DIGEST_LEN))
		return differs(t, e, "it is about other snapshots than those of the image");
	if (im->envelope.seq != 0)
		statement_digest(&envelope_schema, im->envelope_bytes, im->envelope_len, own);
	for (size_t i = 0; i < n; i++) {
		if (element_get(receipt_snapshot_fields, receipt_snapshot_nfields, t->p.snapshots, i, &s) != FMT_OK ||
		    memcmp(s.envelope, im->manifest.envelopes.p + i * DIGEST_LEN, DIGEST_LEN) != 0)
			return differs(t, e, "it is about other snapshots than those of the image");
		if (im->envelope.seq != 0 && memcmp(s.envelope, own, DIGEST_LEN) == 0 && s.needed != im->envelope.refs_count)
			return differs(t, e, "it counts other chunks than the snapshot needs");
	}
	return 0;
}

static int
image_check(const struct taking *t, struct err *e)
{
	const struct image_state *im = t->im;
	uint8_t root[DIGEST_LEN];

	if (!im->sealed || im->manifest.generation == 0)
		return differs(t, e, "the image is not sealed");
	if (!statement_check(&manifest_schema, im->manifest_bytes, im->manifest_len, t->s->machine_pub))
		return err_set(e, ERR_STATE, "state %s: the manifest of image %s is not this machine's", t->s->path, t->p.short_name);
	image_root(t->p.vault_id, im->begin.image_id, im->manifest.envelopes, im->manifest.carried, root);
	if (memcmp(root, t->p.root, DIGEST_LEN) != 0 || memcmp(root, im->manifest.root, DIGEST_LEN) != 0)
		return differs(t, e, "its root is not the one that this machine computed");
	return snapshots_check(t, e);
}

/* --- what it leaves out --- */

struct leaving {
	struct id_sorter *given;	/* ids that this machine gave up */
	uint8_t next[DIGEST_LEN];
	int have;
	struct fmt_view returned;
	size_t at;			/* in it */
	struct refs_digest *digest;
};

/* An id of the image's list: given up by us, and not come back? */
static int
id_look(void *arg, const uint8_t id[DIGEST_LEN], struct err *e)
{
	struct leaving *l = arg;
	int c = 1;

	while (l->have == 1 && memcmp(l->next, id, DIGEST_LEN) < 0)
		l->have = id_sorter_next(l->given, l->next, e);
	if (l->have == -1)
		return -1;
	if (l->have == 0 || memcmp(l->next, id, DIGEST_LEN) != 0)
		return 0;
	while (l->at < l->returned.len && (c = memcmp(l->returned.p + l->at, id, DIGEST_LEN)) < 0)
		l->at += DIGEST_LEN;
	if (l->at < l->returned.len && c == 0)
		return 0;
	(void)refs_digest_add(l->digest, id);	/* ids of a list rise */
	return 0;
}

static int
left_out_count(struct taking *t, struct leaving *l, struct err *e)
{
	uint8_t digest[DIGEST_LEN];
	uint64_t count;

	if (state_given_up(t->s, l->given, e) != 0 || id_sorter_rewind(l->given, e) != 0 ||
	    (l->have = id_sorter_next(l->given, l->next, e)) == -1 ||
	    state_refs_each(t->s, &t->im->envelope, id_look, l, e) != 0)
		return -1;
	refs_digest_final(l->digest, digest, &count);
	if (count != t->p.given_up || memcmp(digest, t->p.missing, DIGEST_LEN) != 0)
		return differs(t, e, "it leaves out chunks that this machine has not given up");
	return 0;
}

/* A partial receipt leaves out what we gave up ourselves, and no more. */
static int
left_out_check(struct taking *t, struct err *e)
{
	struct leaving l = { .returned = t->p.returned };
	int runs = -1, rc = -1;

	if (t->p.whole)
		return 0;
	if (t->im->envelope.seq == 0 || list_count(t->p.snapshots, RECEIPT_SNAPSHOT_LEN) != 1)
		return differs(t, e, "it is partial, and leaves out what a top-up carried");
	if (dir_make(t->s->fd, "runs", 0700, e) != 0 || (runs = dir_open(t->s->fd, "runs", e)) == -1)
		return -1;
	l.digest = refs_digest_new(t->p.domain_id);
	l.given = id_sorter_new(runs, SORT_MEMORY, e);
	if (l.digest == NULL)
		(void)err_set(e, ERR_MEMORY, "receipt");
	else if (l.given != NULL)
		rc = left_out_count(t, &l, e);
	id_sorter_free(l.given);
	refs_digest_free(l.digest);
	(void)io->close(runs);
	return rc;
}

/* --- the answer --- */

static int
answer_make(struct taking *t, struct buf *out, struct err *e)
{
	struct handoff h = { .number = t->p.number, .whole = t->p.whole, .given_up = t->p.given_up, .time = io_now_ns() };

	memcpy(h.vault_id, t->p.vault_id, ID_LEN);
	memcpy(h.machine_id, t->p.machine_id, ID_LEN);
	memcpy(h.image_id, t->p.image_id, ID_LEN);
	memcpy(h.short_name, t->im->begin.short_name, sizeof(h.short_name));
	memcpy(h.receipt, t->digest, DIGEST_LEN);
	memcpy(h.root, t->p.root, DIGEST_LEN);
	memcpy(h.missing, t->p.missing, DIGEST_LEN);
	return statement_make(&handoff_schema, &h, t->s->sign_secret, out, e);
}

static int
answer_keep(struct taking *t, const struct buf *answer, struct err *e)
{
	struct journal *j;
	int rc = -1;

	if (custody_add(t->s, t->im, -1, CUSTODY_HANDED_OFF, 0, t->p.whole ? "" : "partial", e) != 0 ||
	    (j = journal_append(t->im->fd, "journal", e)) == NULL)
		return -1;
	if (journal_put(j, JOURNAL_HANDED_OFF, answer->p, answer->len, e) == 0 && journal_sync(j, e) == 0)
		rc = 0;
	journal_close(j);
	return rc;
}

/* The state's lock is held: trust is what it is now. */
static int
receipt_accept(struct taking *t, bool dry_run, struct buf *answer, struct err *e)
{
	if (number_check(t, e) != 0 || image_check(t, e) != 0 || left_out_check(t, e) != 0)
		return -1;
	t->r->before = is_answered(t);
	if (t->r->before)
		buf_add(answer, t->im->answer_bytes, t->im->answer_len);
	else if (answer_make(t, answer, e) != 0)
		return -1;
	if (buf_check(answer, e) != 0)
		return -1;
	if (dry_run)
		return 0;
	if (!t->r->before && answer_keep(t, answer, e) != 0)
		return -1;
	if (t->s->trust.receipt_number >= t->p.number)
		return 0;
	t->s->trust.receipt_number = t->p.number;
	return state_trust_save(t->s, t->k, e);
}

static void
result_fill(struct taking *t)
{
	struct machine_receipt *r = t->r;

	memcpy(r->short_name, t->im->begin.short_name, sizeof(r->short_name));
	r->number = t->p.number;
	r->whole = t->p.whole != 0;
	r->needed = t->p.needed;
	r->given_up = t->p.given_up;
	r->disks = image_disks_live(t->im);
}

int
machine_receipt_take(struct state *s, const struct domain_keys *k, const uint8_t *bytes, size_t len, const char *name,
    bool dry_run, struct buf *answer, struct machine_receipt *r, struct err *e)
{
	struct taking t = { .s = s, .k = k, .r = r, .bytes = bytes, .len = len };
	int lock = -1, rc = -1;

	memset(r, 0, sizeof(*r));
	if ((lock = state_lock(s, e)) != -1 && state_trust_load(s, k, e) == 0 && receipt_open(&t, name, e) == 0 &&
	    image_find(&t, e) == 0 && (rc = receipt_accept(&t, dry_run, answer, e)) == 0)
		result_fill(&t);
	image_state_free(t.im);
	if (lock != -1)
		(void)io->close(lock);
	return rc;
}

int
machine_receipt(struct state *s, const struct domain_keys *k, const char *path, bool dry_run, struct buf *answer,
    struct machine_receipt *r, struct err *e)
{
	uint8_t *bytes;
	size_t len;
	int rc;

	memset(r, 0, sizeof(*r));
	if (file_read(AT_FDCWD, path, RECEIPT_MAX, &bytes, &len, e) != 0)
		return -1;
	rc = machine_receipt_take(s, k, bytes, len, path, dry_run, answer, r, e);
	free(bytes);
	return rc;
}
