#ifndef SAMARA_FLOW_UPLOAD_JOB_H
#define SAMARA_FLOW_UPLOAD_JOB_H

/* What the parts of a session share; private to upload*.c. */

#include "common/flow/container.h"
#include "common/flow/id_run.h"
#include "common/flow/upload.h"
#include "common/flow/vault_count.h"
#include "formats/fmt_snapshot.h"

/* The session ${id} of ${m}, in a transaction or not.  0, or -1 with ERR_SESSION …. */
int upload_get(struct vault *v, const struct cat_machine *m, const uint8_t id[ID_LEN], struct cat_session *s, struct err *e);

/* The same, and now and then it is written down that somebody is there; not in a transaction. */
int upload_touch(struct vault *v, const struct cat_machine *m, const uint8_t id[ID_LEN], struct cat_session *s,
    struct err *e);

/*
 * What came may be what other snapshots of the machine lacked: where one is not whole, states are computed
 * anew.  Where that fails it is said, and they stay as they are.  Not in a transaction.
 */
void upload_heal(struct vault *v, const struct cat_machine *m);

/* The snapshot row of the base; 0, 1 it has none, -1 with ERR_NO_SNAPSHOT …. */
int upload_base(struct vault *v, const struct cat_session *s, struct cat_snapshot *base, struct err *e);

/* The session's directory: descriptor, or -1.  ${make}: made where it is not there. */
int upload_dir(const struct vault *v, const uint8_t id[ID_LEN], int make, struct err *e);
/* Take it away with all that is in it. */
int upload_dir_remove(const struct vault *v, const uint8_t id[ID_LEN], struct err *e);

#define UPLOAD_NAME_MAX	64
/* "12-delta-0" */
void upload_list_name(char out[UPLOAD_NAME_MAX], uint64_t seq, unsigned kind, unsigned part);

/**
 * upload_promises(v, s, dirfd, r, e):
 * The ids that images of the session's machine promise (vault_count.h), as runs in its directory, made anew where
 * pledges have changed since.  0, 1 there are none, -1.  Close them with upload_promises_close, whatever came of it.
 */
struct upload_promises {
	struct id_run usual, again;	/* vault_promised */
	struct promising by;
};
int upload_promises(struct vault *v, const struct cat_session *s, int dirfd, struct upload_promises *r, struct err *e);
void upload_promises_close(struct upload_promises *r);

/**
 * upload_judge(v, m, promises, ids, n, states, e):
 * ID_… of ${n} rising ids; ${promises} NULL: there are none.  ${doubt} (may be NULL) becomes 1 where a
 * collection has condemned one that would be held.  In a transaction or not.  upload_answer: as the session is
 * told, what was condemned being taken back; not in a transaction.
 */
int upload_judge(struct vault *v, const struct cat_machine *m, const struct upload_promises *promises, const uint8_t *ids, size_t n,
    uint8_t *states, int *doubt, struct err *e);
int upload_answer(struct vault *v, const struct cat_machine *m, const struct cat_session *s, const uint8_t *ids, size_t n,
    uint8_t *states, struct err *e);

/* Lists of the session ${id}, and behind them what the vault has.  NULL with ${e}. */
struct container *container_upload(const struct vault *v, const uint8_t id[ID_LEN], const uint8_t machine[ID_LEN],
    struct err *e);

/* --- a commit --- */

struct upload_envelope {
	const uint8_t *bytes;
	size_t len;
	struct envelope env;
	uint8_t digest[DIGEST_LEN];
	uint8_t pub[SIGN_PUB_LEN];	/* key of the machine that signed it */
	uint64_t first;			/* lowest number that this key may sign */
	int known;			/* the vault has it as a snapshot */
	int passed;			/* its number was passed over */
	int has_list;			/* in the session */
};

struct upload_job {
	struct vault *v;
	const struct cat_machine *m;
	const uint8_t *id;		/* of the session */
	struct cat_session s;
	struct cat_snapshot base;
	int has_base;
	const struct commit *c;
	struct upload_envelope *envs;
	size_t n;
	struct container *from;
	int dirfd;
	/* What the check of ids relied on. */
	int64_t removals, epoch;
	uint8_t pledges[DIGEST_LEN];
	int promised;			/* some of them are only promised */
	int whole;			/* all that is needed was looked at, not only what the base has not */
};

/* upload_envelopes.c: read and believe them.  0 or -1. */
int upload_envelopes_read(struct upload_job *j, struct err *e);
void upload_envelopes_free(struct upload_job *j);
/* What the vault knows of their numbers: 0; -1 with ${e} (ERR_FORK; then ${fork} is the one). */
int upload_envelopes_look(struct upload_job *j, const struct upload_envelope **fork, struct err *e);
/* Does each follow one that is known?  0; -1 with ERR_HEAD, or ERR_FORK and ${fork}. */
int upload_envelopes_chain(struct upload_job *j, const struct upload_envelope **fork, struct err *e);

/* upload_check.c: is all that the last one adds held or promised?  0; -1 with ERR_MISSING (the run "lacking" says what) …. */
int upload_check(struct upload_job *j, struct err *e);
/* In the transaction: does what that relied on still hold?  0 yes, 1 check again, -1. */
int upload_check_holds(struct upload_job *j, struct err *e);

#endif
