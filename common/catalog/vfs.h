#ifndef SAMARA_CATALOG_VFS_H
#define SAMARA_CATALOG_VFS_H

/*
 * SQLite on the io table: every file, clock and random call of the catalog goes
 * where those of the rest of samara go, so that a test can record and fail them.
 *
 * Locks are flock(2) on three small files beside the database (NAME-lock-p,
 * -r, -s for SQLite's pending, reserved and shared locks).  flock belongs to the
 * open file, so that several connections in one process, several threads and
 * several processes are kept apart in the same way, which fcntl's locks are
 * not: closing any descriptor of a file drops all of them.
 *
 * There is no shared memory and so no write-ahead log.  The catalog runs with
 * journal_mode=TRUNCATE and synchronous=EXTRA: its transactions are few and
 * are decisions that must last; long reads are made in batches, each a short
 * transaction, so readers and writers are not in each other's way; and a log
 * in mapped memory would be invisible to a test that replays what a power cut
 * leaves.
 */

#define VFS_NAME	"samara"

/* Make the VFS known to SQLite; any number of times, from any thread.  0, or -1 without memory. */
int vfs_register(void);

#endif
