#ifndef SAMARA_FLOW_UPLOAD_H
#define SAMARA_FLOW_UPLOAD_H

/*
 * What a machine adds to its vault over the line (docs/formats/line.md): a session
 * is opened, ids are asked for, packs and lists are put, a commit makes
 * snapshots of them.  No function here is called in a transaction; each uses short
 * ones of its own.  ${m} is the machine whose token the request carried, ${id} the
 * session.  A session that is not open any more, or is another machine's, is ERR_SESSION.
 *
 * VAULT/local/sessions/ID/ holds what belongs to a session alone: parts of lists as
 * they came, ids that are promised, lost or lacking.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/catalog/catalog_rows.h"
#include "common/flow/vault.h"
#include "formats/fmt_line.h"

struct err;

#define UPLOAD_SESSIONS_MOST	16u	/* of one machine: the one that nobody touched for longest makes room */

/* The highest number of a machine's snapshots that the vault knows, whatever became of it; seq 0: none. */
struct upload_head {
	uint64_t seq;
	uint8_t id[ID_LEN];
	uint8_t digest[DIGEST_LEN];	/* of the envelope's statement */
};
int upload_head(struct vault *v, const uint8_t machine[ID_LEN], struct upload_head *h, struct err *e);

/**
 * upload_open(v, m, o, out, e):
 * Open the session that ${o} describes.  0; 1 it is open already; -1 with ${e}: ERR_NO_SNAPSHOT
 * where the vault has no such base, ERR_USAGE where an open session of that id is another.
 */
int upload_open(struct vault *v, const struct cat_machine *m, const struct session_open *o, struct session_opened *out,
    struct err *e);

/* The same of a session that is open; it counts as a touch.  0 or -1 with ${e}. */
int upload_look(struct vault *v, const struct cat_machine *m, const uint8_t id[ID_LEN], struct session_opened *out,
    struct err *e);

/* It ends, and what it brought counts for all of the machine's snapshots.  0, also where it has ended, or -1. */
int upload_end(struct vault *v, const struct cat_machine *m, const uint8_t id[ID_LEN], struct err *e);

/* End sessions that were idle too long and remove what was left of those that ended; now and then.  0 or -1. */
int upload_sweep(struct vault *v, struct err *e);

/* Ids in pages: at most ${cap} above ${after} (NULL: from the first) into ${ids}, in rising order. */
struct upload_page {
	uint8_t *ids;			/* room for ${cap} of DIGEST_LEN */
	size_t cap, n;
	int more;
};

/* Ids of the base without a good copy by this machine and without a live promise.  0 or -1. */
int upload_lost(struct vault *v, const struct cat_machine *m, const uint8_t id[ID_LEN], const uint8_t *after,
    struct upload_page *p, struct err *e);

/* What the newest refused commit of the session lacked.  0 or -1. */
int upload_lacking(struct vault *v, const struct cat_machine *m, const uint8_t id[ID_LEN], const uint8_t *after,
    struct upload_page *p, struct err *e);

/**
 * upload_ask(v, m, id, ids, n, states, e):
 * For each of ${n} <= ASK_IDS_MAX rising ids ID_HELD, ID_PROMISED or ID_MISSING.  What was held
 * or promised stays until the session ends; a promise is looked at again by the commit.  0 or -1.
 */
int upload_ask(struct vault *v, const struct cat_machine *m, const uint8_t id[ID_LEN], const uint8_t *ids, size_t n,
    uint8_t *states, struct err *e);

/**
 * upload_pack(v, m, id, pack, bytes, len, e):
 * Take the pack that calls itself ${pack}: signed by this machine, of its domain, every
 * frame as its table says.  When 0 (made) or 1 (it was there, read and equal) is returned, it
 * stands durably and the catalog knows it.  -1 with ${e}: ERR_DAMAGE, ERR_FORMAT, ERR_SIGNATURE …: nothing of it
 * stays; ERR_QUOTA.
 */
int upload_pack(struct vault *v, const struct cat_machine *m, const uint8_t id[ID_LEN], const uint8_t pack[DIGEST_LEN],
    const uint8_t *bytes, size_t len, struct err *e);

/*
 * Bytes of lists that the machine's open sessions have brought and no commit has taken yet, into ${bytes}: they are no
 * packs, and take room all the same.  0 or -1.
 */
int upload_waiting(struct vault *v, const struct cat_machine *m, uint64_t *bytes, struct err *e);

/* Gives bytes ${off} … of a body: how many, 0 at its end, -1. */
typedef ssize_t (*upload_read_fn)(void *arg, uint64_t off, void *out, size_t cap);

/**
 * upload_list(v, m, id, seq, kind, part, len, read, arg, e):
 * Keep part ${part} of the list of snapshot ${seq} (${kind}: REFS_…), ${len} bytes, durably under
 * the session.  Its head must fit its name; the ids are looked at by the commit.
 * 0; 1 it took the place of one that was there; -1 with ${e} (ERR_FORMAT).
 */
int upload_list(struct vault *v, const struct cat_machine *m, const uint8_t id[ID_LEN], uint64_t seq, unsigned kind,
    unsigned part, uint64_t len, upload_read_fn read, void *arg, struct err *e);

/**
 * upload_carried(v, m, id, len, read, arg, e):
 * Keep the list of what an image without snapshots carries, ${len} bytes, durably under the session, as they are: the
 * pledge looks at them.  As upload_list.
 */
int upload_carried(struct vault *v, const struct cat_machine *m, const uint8_t id[ID_LEN], uint64_t len, upload_read_fn read,
    void *arg, struct err *e);
/* That list: a descriptor, or -1: none came. */
int upload_carried_open(const struct vault *v, const uint8_t id[ID_LEN]);

/**
 * upload_commit(v, m, id, c, out, e):
 * Make snapshots of what the session brought, all or nothing, and end it.  The same commit again is
 * answered as before.  -1 with ${e}: ERR_HEAD, ERR_FORK (recorded), ERR_MISSING (upload_lacking names
 * the ids), ERR_NO_SNAPSHOT where the base is gone, ERR_RULE where an envelope is not of this
 * session, ERR_SIGNATURE, ERR_FORMAT, ERR_DAMAGE where a list is not what its envelope says:
 * then nothing is changed and the session stays open.
 */
int upload_commit(struct vault *v, const struct cat_machine *m, const uint8_t id[ID_LEN], const struct commit *c,
    struct committed *out, struct err *e);

#endif
