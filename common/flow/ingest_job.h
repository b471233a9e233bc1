#ifndef SAMARA_FLOW_INGEST_JOB_H
#define SAMARA_FLOW_INGEST_JOB_H

/* What the parts of an ingest share; private to them. */

#include <stddef.h>
#include <stdint.h>

#include "common/catalog/catalog_rows.h"
#include "common/disk/image_dir.h"
#include "common/disk/mount.h"
#include "common/flow/ingest.h"
#include "common/flow/vault.h"
#include "formats/fmt_machine.h"
#include "formats/fmt_snapshot.h"

struct ingest_envelope {
	uint32_t n;			/* n-th of the image */
	uint8_t *bytes;
	size_t len;
	struct envelope env;
	uint8_t digest[DIGEST_LEN];
};

/* What is to be done with a pack of the disk. */
enum plan { PLAN_SKIP, PLAN_PARTS, PLAN_WHOLE };

struct ingest {
	struct vault *v;
	const struct ingest_options *o;
	struct ingest_result *r;
	const char *path;		/* of the disk, for messages */
	int diskfd;
	char name[SHORT_LEN + 12];	/* "RM4K-1" */
	struct image_dir dir;
	uint8_t *label, *statement, *manifest, *registration, *slots;	/* as on the disk; NULL where there is none */
	size_t label_len, statement_len, manifest_len, registration_len, slots_len;
	struct disk_statement st;
	uint8_t st_digest[DIGEST_LEN];
	struct manifest m;
	struct ingest_envelope *envs;
	size_t nenvs;
	uint8_t *plan;			/* for each row of the index */
	uint32_t rows;
	uint64_t to_read;		/* bytes of packs */
	struct cat_session session;	/* while it runs: what it finds to be held stays */
	int only_receive;		/* decide, but register nobody: ${registers} says what ingest would do */
	int registers;			/* its registration is good and not taken in yet */
};

/* A disk that is opened for reading, and the short names of the images on it. */
struct disk_place {
	struct disk_mount m;
	int fd;				/* of its top directory */
	char **names;
	size_t n;
};

/**
 * disk_place_open(path, p, e) (ingest_place.c):
 * Open the disk that ${path} names, a directory or a block device, which is
 * mounted for the job if it is not.  0, or -1 with ${e}: ERR_NO_IMAGE,
 * ERR_TARGET, ….  disk_place_close: 0, or -1 with ${e}: it could not be
 * unmounted and must not be taken out.
 */
int disk_place_open(const char *path, struct disk_place *p, struct err *e);
int disk_place_close(struct disk_place *p, struct err *e);

/**
 * ingest_look(g, e) (ingest_look.c): read label, statement, manifest, envelopes,
 * keys, and believe them as far as signatures go and they agree with each other.
 */
int ingest_look(struct ingest *g, struct err *e);

/* The first part of it: label, statement, manifest and registration. */
int ingest_look_head(struct ingest *g, struct err *e);
void ingest_forget(struct ingest *g);

/**
 * ingest_admit(g, e) (ingest_admit.c): decide whether the image may enter: the
 * machine is known, or its registration is accepted now; no snapshot in it has
 * a number that another has already.  0 it may; 1 it may not (recorded; the
 * result says why); -1 with ${e}.
 */
int ingest_admit(struct ingest *g, struct err *e);

/* The same, in a transaction that runs already. */
int ingest_decide(struct ingest *g, struct err *e);

/* In a transaction: a record that the disk was refused, unless the newest about it says the same.  0 or -1. */
int ingest_record_refused(struct ingest *g, const char *why, struct err *e);

/**
 * registration_judge(v, label, bytes, len, why, e) (registration_judge.c):
 * Whether the vault accepts this registration of the machine that signed the
 * label.  0 yes; 1 no, ${why} says why (TEXT_MAX_LEN + 1); -1 with ${e}.  In a
 * transaction.
 */
int registration_judge(struct vault *v, const struct label *l, const uint8_t *bytes, size_t len,
    char why[TEXT_MAX_LEN + 1], struct err *e);

/**
 * registration_sound(v, bytes, len, g, why): whether the registration, the
 * credential apart, is what it should be: signed by the machine, its domain
 * and membership in order, for this vault.  0 with ${g}; 1 with ${why}.
 */
int registration_sound(const struct vault *v, const uint8_t *bytes, size_t len, struct registration *g,
    char why[TEXT_MAX_LEN + 1]);

/**
 * registration_file(v, bytes, len, e) (registration_judge.c): put a
 * registration and what it carries into keys/ of the store.
 */
int registration_file(struct vault *v, const uint8_t *bytes, size_t len, struct err *e);

/* Put a new numbered object keys/MACHINE/WHAT.N unless the newest has this content already. */
int vault_keys_put(struct vault *v, const uint8_t machine[ID_LEN], const char *what, const void *bytes, size_t len,
    struct err *e);

/**
 * ingest_is_there(g, e) (ingest_there.c):
 * After something could not be read: 0 if the disk answers (then that was
 * damage), -1 with ERR_IO if it is gone (then nothing may be concluded).
 */
int ingest_is_there(const struct ingest *g, struct err *e);

/* Read the index and decide what is to be done with each pack; r->needed. */
int ingest_plan(struct ingest *g, struct err *e);

/* Read, check and store the packs that the plan names. */
int ingest_packs(struct ingest *g, struct err *e);

/* File envelopes, reference lists and manifest. */
int ingest_snapshots(struct ingest *g, struct err *e);

/* The lists of ids beside them (ingest_extras.c): what an image without snapshots carries, what the machine gave up. */
int ingest_extras(struct ingest *g, struct err *e);

/**
 * vault_states(v, machine, e) (vault_states.c): compute the states of all
 * snapshots of the machine that are not whole, and of its images, from what is
 * held and promised now.
 */
int vault_states(struct vault *v, const uint8_t machine[ID_LEN], struct err *e);

/**
 * vault_leases(v, e) (vault_states.c): where the lease of an image has run out
 * before all of its disks came, what it promised is promised no more: states of
 * its machine are computed anew.  Outside a transaction; the clocks are moved on.
 */
int vault_leases(struct vault *v, struct err *e);

/* A custody record by the vault, in a transaction; ${disk} 0: the image. */
int vault_custody(struct vault *v, const uint8_t image[ID_LEN], enum custody_event event, uint32_t disk,
    const char *note, struct err *e);

/* Hold the lock NAME of the vault among processes, waiting for it.  Descriptor to close, or -1. */
int vault_turn(struct vault *v, const char *name, struct err *e);

#endif
