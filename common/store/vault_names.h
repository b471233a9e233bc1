#ifndef SAMARA_STORE_VAULT_NAMES_H
#define SAMARA_STORE_VAULT_NAMES_H

/*
 * What a vault's objects are called in its store (docs/formats/vault.md).  Ids
 * and digests are in lower-case hex.  What can change is numbered: .N, and the
 * highest whole one rules.
 *
 *   vault/N.json                          generation N of the vault's description
 *   records/NNNNNNNNNNNNNNNN              record, its number in 16 hex digits
 *   packs/xx/ID.n                         copy n of a pack; xx: the first two digits of ID
 *   origins/xx/ID                         table and footer of a pack that re-packed frames name
 *   snapshots/MACHINE/SEQ.env             envelope; SEQ in 16 hex digits
 *   snapshots/MACHINE/SEQ.rNN             its reference list, whole, part NN
 *   snapshots/MACHINE/SEQ.dNN             the same as a delta
 *   keys/MACHINE/WHAT.N                   WHAT: domain, member, slots, regist
 *   images/IMAGE/label-D, stmt-D, manif-G of disk D, generation G
 *   quarantine/IMAGE/D-PPPPPPPP.n         pack P of disk D, as it was read, with something wrong
 *   quarantine/ID.n                       the same of a pack that stood in the vault
 */

#include <stdint.h>

#include "formats/limits.h"

#define VAULT_NAME_MAX	128	/* bytes that any of these needs, with its zero */

/* The names of the table above, each as a string into ${out}. */
void vault_name_desc(char out[VAULT_NAME_MAX], uint32_t generation);
void vault_name_record(char out[VAULT_NAME_MAX], uint64_t number);
void vault_name_pack(char out[VAULT_NAME_MAX], const uint8_t id[DIGEST_LEN], uint32_t copy);
/* "packs/xx/ID.": every copy's name begins with it. */
void vault_name_pack_copies(char out[VAULT_NAME_MAX], const uint8_t id[DIGEST_LEN]);
void vault_name_origin(char out[VAULT_NAME_MAX], const uint8_t id[DIGEST_LEN]);
/* "snapshots/MACHINE/" */
void vault_name_machine_snapshots(char out[VAULT_NAME_MAX], const uint8_t machine[ID_LEN]);
void vault_name_envelope(char out[VAULT_NAME_MAX], const uint8_t machine[ID_LEN], uint64_t seq);
/* ${kind}: REFS_WHOLE or REFS_DELTA. */
void vault_name_refs(char out[VAULT_NAME_MAX], const uint8_t machine[ID_LEN], uint64_t seq, unsigned kind, unsigned part);
/* "keys/MACHINE/WHAT."; vault_name_keys adds the number. */
void vault_name_keys_prefix(char out[VAULT_NAME_MAX], const uint8_t machine[ID_LEN], const char *what);
void vault_name_keys(char out[VAULT_NAME_MAX], const uint8_t machine[ID_LEN], const char *what, uint32_t n);
void vault_name_image(char out[VAULT_NAME_MAX], const uint8_t image[ID_LEN], const char *what, uint32_t n);
void vault_name_bad_disk_pack(char out[VAULT_NAME_MAX], const uint8_t image[ID_LEN], uint32_t disk, uint32_t number,
    uint32_t n);
void vault_name_bad_pack(char out[VAULT_NAME_MAX], const uint8_t id[DIGEST_LEN], uint32_t copy);

/**
 * vault_name_parse_pack(name, id, copy):
 * 0 if ${name} is packs/xx/ID.n as vault_name_pack writes it, else -1.
 */
int vault_name_parse_pack(const char *name, uint8_t id[DIGEST_LEN], uint32_t *copy);

/* 0 if ${name} is origins/xx/ID as vault_name_origin writes it, else -1. */
int vault_name_parse_origin(const char *name, uint8_t id[DIGEST_LEN]);

/* 0 if ${name} is snapshots/MACHINE/SEQ.env, else -1. */
int vault_name_parse_envelope(const char *name, uint8_t machine[ID_LEN], uint64_t *seq);

/* The decimal number after the last '.' or '-' or '/' of ${name} (".json" is taken off first); 0 if there is none. */
uint32_t vault_name_number(const char *name);

#endif
