#ifndef SAMARA_FLOW_SESSION_H
#define SAMARA_FLOW_SESSION_H

/* What every command that reads snapshots back begins with: keys, places, snapshots. */

#include "common/flow/disputes.h"
#include "common/flow/keyring.h"
#include "common/flow/snapshot_open.h"

struct err;

/* In place of a path: the line.  (A directory of that name is "./line".) */
#define SESSION_LINE	"line"

struct line;

struct session_options {
	const char *kit, *pass_file;	/* of --kit and --passphrase-file, or NULL */
	const char *credential;		/* restore-only: the line without a state, with ${kit}; NULL: none */
	const char *state_path;		/* where there is no kit */
	const char *const *from;	/* disks, vaults, and SESSION_LINE; none: the line of the registered machine */
	size_t nfrom;
	const char *kept;		/* what a restore keeps of disks (restore_keep.h), or NULL */
	size_t memory;
	source_bad_fn bad;		/* told of what is wrong with a place while there may be another */
	void *bad_arg;
};

struct session {
	struct keyring *keys;
	struct state *state;		/* of the line, */
	struct policy_watch *policy;	/* and how it may be used */
	struct throttle *throttle;
	struct line *line;		/* NULL: it was not asked for */
	uint64_t line_rate;		/* bytes a second, as last measured; 0: not known */
	struct disputes *disputes;	/* wrong copies of the vault */
	struct source *source;
	struct source_reader *reader;
	struct snapshot_list list;
};

/**
 * session_open(s, o, e):
 * Get the keys, add all places, read their tables and list the machine's
 * snapshots.  0 or -1 with ${e} (ERR_USAGE where no place is named and there is no line); release
 * with session_close, which takes what is there.
 */
int session_open(struct session *s, const struct session_options *o, struct err *e);
void session_close(struct session *s);

/**
 * session_leave(s), session_places(s, o, e):
 * Let go of all places, so that disks can be taken out; go on with others,
 * with the keys that are there.  0 or -1 with ${e}: then it is left again.
 */
void session_leave(struct session *s);
int session_places(struct session *s, const struct session_options *o, struct err *e);

/**
 * session_disputes(s, state_path):
 * After all was read, what became of copies of the vault that were found wrong.  Those that
 * the line gave were disputed as they came; those in a vault's directory are looked at over the
 * line, where ${state_path} (may be NULL) is that of the machine itself and its vault has
 * an address, and disputed where they are wrong there too.  What was done, and what could not
 * be, is said; what was read is what it is, whatever comes of this.
 */
void session_disputes(struct session *s, const char *state_path);

#endif
