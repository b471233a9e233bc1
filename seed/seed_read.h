#ifndef SAMARA_SEED_READ_H
#define SAMARA_SEED_READ_H

/* What the commands that read snapshots back share. */

#include "common/base/args.h"
#include "common/flow/session.h"

struct seed_read {
	const char *kit, *pass_file, *credential;
	struct opt_list from;
	const char *kept;		/* what a restore keeps of disks, or NULL */
	uint64_t bad;			/* copies, tables and statements found bad */
	struct session s;
	char *state;			/* its path, or NULL */
	const struct snapshot *snap;	/* the one that was named */
	char *path;			/* behind it; "/" if none */
};

/* Rows for a table of options. */
#define SEED_READ_OPTS(r) \
	{ "from", 0, OPT_LIST, &(r)->from, "DISK|VAULT|line", "where to read; may be repeated; the line if not given" }, \
	{ "kit", 0, OPT_STR, &(r)->kit, "FILE", "recovery kit, where the machine is not registered here" }, \
	{ "credential", 0, OPT_STR, &(r)->credential, "FILE", "restore-only credential: the line, with the kit" }, \
	{ "passphrase-file", 0, OPT_STR, &(r)->pass_file, "FILE", "where the kit's passphrase is" }

/**
 * seed_read_open(a, r, text, e):
 * Open the session and find the snapshot ${text} (NULL: none is wanted), saying
 * on stderr which newer one is incomplete.  0 or -1 with ${e}; release with
 * seed_read_close, which says which copies of the vault were disputed.
 */
int seed_read_open(const struct args *a, struct seed_read *r, const char *text, struct err *e);
void seed_read_close(struct seed_read *r);

/**
 * seed_read_leave(r), seed_read_again(a, r, from, n, id, e):
 * Let go of all places; go on with others, with the keys that are there, and
 * the snapshot ${id}.  0, or -1 with ${e}: then they are left again.
 */
void seed_read_leave(struct seed_read *r);
int seed_read_again(const struct args *a, struct seed_read *r, const char *const *from, size_t n, const uint8_t id[ID_LEN],
    struct err *e);

/* The state of a snapshot in words, as lists show it: as the vault says it over the line, else as the places at hand have it. */
#define SEED_STATE_MAX	128
void seed_snapshot_state(const struct seed_read *r, const struct snapshot *snap, char out[SEED_STATE_MAX]);
/* The same of what the vault says alone, in ${line}. */
void seed_state_of_line(const struct snap_place *line, char out[SEED_STATE_MAX]);

/**
 * seed_read_path(r, given, e):
 * A new string: the absolute path that ${given} (NULL: nothing more) means
 * below the path behind the snapshot's name; no slash at its end.  NULL with ${e}.
 */
char *seed_read_path(const struct seed_read *r, const char *given, struct err *e);

#endif
