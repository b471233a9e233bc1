#include "common/flow/line_note.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/secret.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"

#define NOTE_NAME	"line"
#define MEASURE_LEAST	(256u << 10)	/* of fewer bytes than these a rate says nothing */

/* The bytes of ${n}, authenticated (n->mac is filled in). */
static int
note_make(struct line_note *n, const struct domain_keys *k, struct buf *out, struct err *e)
{
	size_t len;

	if (statement_make(&line_note_schema, n, NULL, out, e) != 0)
		return -1;
	len = out->len - DIGEST_LEN;	/* the authenticator stands at the end */
	mac_once(k->trust, out->p, len, n->mac);
	memcpy(out->p + len, n->mac, DIGEST_LEN);
	return 0;
}

static int
note_read(struct state *s, const struct domain_keys *k, struct line_note *n, struct err *e)
{
	uint8_t *bytes, mac[DIGEST_LEN];
	struct err own;
	size_t len;
	int rc = 0;

	memset(n, 0, sizeof(*n));
	memcpy(n->vault_id, s->trust.vault_id, ID_LEN);
	err_clear(&own);
	if (file_read(s->fd, NOTE_NAME, SMALL_STATEMENT_MAX, &bytes, &len, &own) != 0) {
		if (own.code == ERR_NOT_FOUND)
			return 0;
		if (e != NULL)
			*e = own;
		return -1;
	}
	if (schema_decode(&line_note_schema, n, bytes, len) != FMT_OK)
		rc = err_set(e, ERR_STATE, "the note of the line cannot be read");
	if (rc == 0) {
		mac_once(k->trust, bytes, len - DIGEST_LEN, mac);
		if (!secret_equal(mac, n->mac, DIGEST_LEN) || memcmp(n->vault_id, s->trust.vault_id, ID_LEN) != 0)
			rc = err_set(e, ERR_STATE, "the note of the line was changed by somebody without this machine's key");
	}
	free(bytes);
	return rc == 0 ? 0 : err_during(e, "state %s", s->path);
}

int
line_note_load(struct state *s, const struct domain_keys *k, struct line_note *n, struct err *e)
{
	return note_read(s, k, n, e);
}

static int
note_write(struct state *s, const struct domain_keys *k, struct line_note *n, struct err *e)
{
	struct buf bytes;
	int rc;

	buf_init(&bytes);
	if ((rc = note_make(n, k, &bytes, e)) == 0)
		rc = file_replace(s->fd, NOTE_NAME, bytes.p, bytes.len, 0600, e);
	buf_release(&bytes);
	return rc == 0 ? 0 : err_during(e, "state %s", s->path);
}

int
line_note_change(struct state *s, const struct domain_keys *k, line_note_fn fn, void *arg, struct err *e)
{
	int lock = state_lock(s, e), rc;
	struct line_note was, n;

	if (lock == -1)
		return -1;
	if ((rc = note_read(s, k, &was, e)) == 0) {
		n = was;
		fn(arg, &n);
		if (n.head_seq < was.head_seq) {
			n.head_seq = was.head_seq;
			memcpy(n.head, was.head, DIGEST_LEN);
		}
		if (n.generation < was.generation)
			n.generation = was.generation;
		rc = note_write(s, k, &n, e);
	}
	(void)io->close(lock);
	return rc;
}

struct acknowledged {
	uint64_t seq;
	const uint8_t *digest;
};

static void
acknowledged(void *arg, struct line_note *n)
{
	const struct acknowledged *a = arg;

	n->head_seq = a->seq;
	memcpy(n->head, a->digest, DIGEST_LEN);
}

int
line_note_acknowledged(struct state *s, const struct domain_keys *k, uint64_t seq, const uint8_t digest[DIGEST_LEN],
    struct err *e)
{
	struct acknowledged a = { seq, digest };

	return line_note_change(s, k, acknowledged, &a, e);
}

struct measured {
	uint64_t bytes;
	int64_t ns;
};

static void
measured(void *arg, struct line_note *n)
{
	const struct measured *m = arg;

	n->last_contact = io_now();
	if (n->first_contact == 0)
		n->first_contact = n->last_contact;
	if (m->ns > 0 && m->bytes >= MEASURE_LEAST)
		n->rate = (uint64_t)((double)m->bytes * 1e9 / (double)m->ns);
}

int
line_note_contact(struct state *s, const struct domain_keys *k, uint64_t bytes, int64_t ns, struct err *e)
{
	struct measured m = { bytes, ns };

	return line_note_change(s, k, measured, &m, e);
}
