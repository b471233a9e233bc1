#ifndef SAMARA_FLOW_REGISTER_H
#define SAMARA_FLOW_REGISTER_H

/*
 * Register this machine: it gets an identity, a key domain and a state
 * directory; the registration goes to the vault at once over the line, or
 * travels on the first disk, whichever the vault sees first.
 *
 * Nothing is written before register_write.  That writes `pending` first and
 * `identity` last of all: a directory with `identity` is a registered machine,
 * one with `pending` alone is what an interrupted run left, and the same
 * command begins anew over it.  Any other directory that is not empty is
 * refused: what lies there may be the only copy of a key.
 */

#include <stdbool.h>
#include <stdint.h>

#include "formats/limits.h"

struct err;
struct registering;

struct register_options {
	const char *state;		/* the directory to be */
	const char *credential;		/* file */
	const char *machine;		/* --machine; NULL: the credential's or the host's name */
	const char *generate;		/* new file for a passphrase made here; NULL: it is given */
	const char *passphrase_file;	/* of --passphrase-file, or NULL */
	const char *kit;		/* new file for the recovery kit, or NULL */
	uint64_t chunk_avg;		/* bytes; 0: the default, or the nearest that the vault accepts */
	bool ask_always;		/* keep no local slot */
	bool online;			/* the vault is to agree at once (register_contact) */
	const char *old_kit;		/* taking the place of a machine: its recovery kit, whose passphrase is given */
	const char *proxy;		/* as net_client_options */
};

/**
 * register_prepare(o, e):
 * Check everything that can be refused without a key: the directory, the
 * credential, names, sizes, the places of new files.  ${o} and its strings
 * must outlive the result.  Free with register_free.  NULL with ${e}:
 * ERR_REGISTERED, ERR_STATE, ERR_TARGET, ERR_EXISTS, ERR_CHUNK_SIZE,
 * ERR_VAULT_NAME, or as credential_file_read and credential_judge.
 */
struct registering *register_prepare(const struct register_options *o, struct err *e);
void register_free(struct registering *r);

/* Whom it will be registered as, and where; for the person. */
const char *register_machine(const struct registering *r);
const char *register_vault(const struct registering *r);
uint32_t register_chunk_avg(const struct registering *r);

/**
 * register_passphrase(r, e):
 * Make the passphrase (--generate-passphrase; one that an interrupted run of
 * the same command left in its file is taken again) or get it from the usual
 * sources.  Return 0, or -1 with ${e}: ERR_WEAK, ERR_NO_PASSPHRASE, …
 */
int register_passphrase(struct registering *r, struct err *e);

/* The passphrase that was made here, to be shown once; NULL if it was given. */
const char *register_passphrase_made(const struct registering *r);

/**
 * register_make(r, e):
 * Make identity, master key, slots and all statements, in memory.  Return 0,
 * or -1 with ${e}.
 */
int register_make(struct registering *r, struct err *e);

/**
 * register_write(r, e):
 * Write it all.  Return 0: the machine is registered, durably, and its kit
 * written where one was asked for.  -1 with ${e}: it is not, and the same
 * command works again; or only the kit is missing, and ${e} says so.
 */
int register_write(struct registering *r, struct err *e);

/**
 * register_contact(r, e):
 * After register_write, where the vault is to agree at once: it is shown the
 * registration and gives the machine its token.  0: it is admitted, durably on both
 * sides.  1 with ${e}: nobody knows; the state stays, and the next contact, or the
 * first disk, brings the registration.  -1 with ${e}: the vault refused; what was
 * registered here is taken back, and the same command with a good
 * credential works.
 */
int register_contact(struct registering *r, struct err *e);

/* Whether the credential names an address on the line. */
bool register_has_address(const struct registering *r);

/* Whether the kit was written into the state directory, where it is lost with the machine. */
bool register_kit_inside(const struct registering *r);

#endif
