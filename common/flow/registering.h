#ifndef SAMARA_FLOW_REGISTERING_H
#define SAMARA_FLOW_REGISTERING_H

/* What the parts of a registration share (register.h); private to them. */

#include "common/base/buf.h"
#include "common/base/passphrase.h"
#include "common/crypto/domain_keys.h"
#include "common/flow/credential_file.h"
#include "common/flow/keyring.h"
#include "common/flow/register.h"
#include "formats/fmt_machine.h"

struct err;

#define IDENTITY_MAX	256

struct registering {
	const struct register_options *o;
	struct credential_file cred;
	char machine_name[NAME_MAX_LEN + 1];
	uint32_t chunk_avg;
	struct passphrase pass;
	bool made;		/* here, not given */
	bool left;		/* in its file by an interrupted run */
	bool kit_inside;

	/* By register_make; what is secret in secret memory. */
	struct identity *id;
	uint8_t *sign_secret;
	uint8_t *local_key;
	struct domain_keys *keys;
	uint8_t *identity;	/* encoded */
	size_t identity_len;
	struct buf domain, member, slots, local, regist, trust;

	/* Of the machine whose place it takes (register_replace.c). */
	struct keyring *old;
	uint64_t head_seq;	/* where that one ended */
	uint8_t head_id[ID_LEN], head[DIGEST_LEN];
};

struct line;

/**
 * register_head(r, e):
 * Look, with what the credential allows, where the machine ended whose place is
 * taken: head_seq, head_id, head.  0 or -1 with ${e}.
 */
int register_head(struct registering *r, struct err *e);

/* The old machine's keys from its kit and the passphrase in r->pass.  0 or -1 with ${e}. */
int register_old_open(struct registering *r, struct err *e);

/* Whether ${path} may become a state directory (register.h); it may be absent.  0 or -1 with ${e}. */
int register_dir_check(const char *path, struct err *e);
/* The same for an open one. */
int register_dir_check_open(int fd, const char *path, struct err *e);

/**
 * register_left_take(r):
 * Where an interrupted run left its passphrase in --generate-passphrase's
 * file, as `pending` shows: take it again.  1 taken, 0 there is none.
 */
int register_left_take(struct registering *r);

/* Write `pending` with what shows the file of a passphrase made here to be ours. */
int register_pending_write(struct registering *r, int fd, struct err *e);

/* Remove `pending` and the temporary files that interrupted runs left. */
int register_pending_drop(int fd, struct err *e);

#endif
