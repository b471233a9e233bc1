#ifndef SAMARA_FLOW_STATE_H
#define SAMARA_FLOW_STATE_H

/*
 * A machine's state directory (0700): who it is, its keys at rest, what it
 * trusts, its snapshots, images and jobs.  docs/operations.md lists the files.
 *
 *   identity domain member slots local.key local.slt regist trust vault.crd
 *   pending                   a registration is under way (register.h)
 *   token vault.dsc           for the line (line.h): what the vault gave, and its newest description
 *   kit.note                  where the recovery kit was written (kit_file.h)
 *   line                      what is remembered of contacts with the vault (line_note.h)
 *   lock                      taken while a snapshot is numbered and trust changes
 *   policy                    how the line may be used (policy.h); may hold a proxy's password
 *   sets/NAME/{lock,latest}   lock: one build of a set at a time; latest: see set_latest
 *   alert                     what a scheduled backup told that is not over
 *   sets/NAME/{schedule,ran}  when it is backed up by itself, and when that last began (schedule.h)
 *   sets/NAME/{source,view}   what the last backup over the line was of, and how it was held still
 *   sets/NAME/backup/…        journal and item logs of an unfinished one
 *   snaps/NNNNNNNN.env        the envelope of each snapshot closed here
 *   snaps/NNNNNNNN.rNN        its whole reference list
 *   snaps/NNNNNNNN.itm        its listing as a journal of items: base of the next increment
 *   snaps/NNNNNNNN.root       its root chunk, plain, to make it again if it is lost
 *                             (where no listing of a set is here, the newest one's are fetched from the vault: line_base.h)
 *   givenup/NNNNNNNN          what this machine said it cannot make again (state_refs.h)
 *   givenup/NNNNNNNN.files    snapshots and files that were lost with it; givenup/told: lists that the vault has
 *   images/rm4k/…             journal of a build, label-N, manifest, custody/, told (image_told.h)
 *   subscription              as the vault said last (standing.h)
 *   views/NAME.{json,lock}    snapshots of a source that a build uses (source_view.h)
 *   jobs/NNNNNNNN.json        jobs; runs/: temporary, cache/: may be deleted
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/crypto/domain_keys.h"
#include "common/flow/job.h"
#include "formats/fmt_disk.h"
#include "formats/fmt_machine.h"
#include "formats/fmt_snapshot.h"
#include "formats/fmt_vault.h"

struct buf;
struct err;
struct slot_secret;

struct state {
	int fd;				/* of the directory */
	char path[4096];		/* as a person knows it */
	struct identity id;
	uint8_t *sign_secret;		/* 64 bytes, secret memory */
	uint8_t machine_pub[SIGN_PUB_LEN];
	/* Statements as bytes, and decoded (views point into the bytes). */
	uint8_t *domain_bytes, *member_bytes, *slots_bytes, *regist_bytes;
	size_t domain_len, member_len, slots_len, regist_len;
	uint8_t *older_bytes;		/* of an export: memberships before the one of today, each a length u32 and the statement */
	size_t older_len;
	struct domain_desc domain;
	struct membership member;
	struct trust trust;		/* as read; believed after state_keys */
};

/**
 * state_open(path, e):
 * Open the state of a registered machine and check that its parts belong
 * together (identity, membership, domain).  NULL with ${e}: ERR_NO_STATE,
 * ERR_STATE, ERR_PERMISSION.  Free with state_free (NULL is allowed).
 */
struct state *state_open(const char *path, struct err *e);
void state_free(struct state *s);

/**
 * state_keys(s, e):
 * The domain's keys from the local slot, and the trust state checked with
 * them (slots generation, vault).  NULL with ${e}: ERR_NO_PASSPHRASE where no
 * local slot is kept, ERR_STATE.  Free with domain_keys_free.
 */
struct domain_keys *state_keys(struct state *s, struct err *e);

/* Whether it keeps a local slot, so that state_keys asks for nothing. */
bool state_keeps_key(const struct state *s);

/**
 * state_keys_with(s, how, e):
 * The same with passphrase or recovery key on the machine's own slots.  NULL
 * with ${e}: ERR_PASSPHRASE, ERR_SLOTS, ERR_STATE, ERR_MEMORY.
 */
struct domain_keys *state_keys_with(struct state *s, const struct slot_secret *how, struct err *e);

/**
 * state_trust_load(s, k, e):
 * Read s->trust again and believe it only with its authenticator: another
 * process may have moved it on since state_open.  The state's lock must be
 * held by who is going to change it.  0 or -1 with ${e} (ERR_STATE).
 */
int state_trust_load(struct state *s, const struct domain_keys *k, struct err *e);

/**
 * trust_make(t, k, out, e):
 * Append the bytes of ${t} to ${out}, authenticated under ${k} (t->mac is
 * filled in).  Return 0, or -1 with ${e}.
 */
int trust_make(struct trust *t, const struct domain_keys *k, struct buf *out, struct err *e);

/**
 * state_trust_save(s, k, e): write s->trust, authenticated, durably, in place
 * of the old one.  The state's lock must be held.
 */
int state_trust_save(struct state *s, const struct domain_keys *k, struct err *e);

/* The state's lock, waiting for it (short steps only).  Descriptor to close, or -1. */
int state_lock(struct state *s, struct err *e);

/**
 * set_lock(s, set, e): one build of a set at a time.  Descriptor to close, or
 * -1 with ERR_BUSY.  Makes sets/NAME.  ${set} is 1 .. 64 of letters, digits, '-', '_', '.'.
 */
int set_lock(struct state *s, const char *set, struct err *e);

/**
 * set_latest(s, set, seq, e): number of the newest snapshot of the set that
 * stands in a sealed image or was committed over the line, and is the merge base; 0 none.  set_latest_save
 * replaces it durably (0: none).
 */
int set_latest(struct state *s, const char *set, uint64_t *seq, struct err *e);
int set_latest_save(struct state *s, const char *set, uint64_t seq, struct err *e);

/* The envelope of snapshot ${seq}, signature checked.  0, 1 not there, -1. */
int state_envelope(struct state *s, uint64_t seq, uint8_t **bytes, size_t *len, struct envelope *env, struct err *e);

/* Highest snapshot number in snaps/ (0: none). */
int state_highest(struct state *s, uint64_t *seq, struct err *e);

/* Short names (lower case) of images in the state; free with dir_list_free. */
int state_images(struct state *s, char ***names, size_t *n, struct err *e);

#endif
