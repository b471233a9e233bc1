#ifndef SAMARA_FLOW_RECEIPT_H
#define SAMARA_FLOW_RECEIPT_H

/* The vault's receipt for an image, and what comes of it (docs/formats/receipt.md). */

#include <stdint.h>

#include "common/flow/vault.h"
#include "formats/fmt_receipt.h"

struct buf;

struct receipt_result {
	char short_name[SHORT_LEN + 1];
	uint8_t image_id[ID_LEN];
	uint8_t machine_id[ID_LEN];
	uint64_t number;		/* 0: none was given */
	int whole;
	uint64_t needed, held, given_up, missing;	/* ids of all lists together, each once */
	uint64_t promised_disks;	/* disks of the image that are still to come */
	uint32_t snapshots, unfiled;	/* that the manifest names; of them never filed */
	uint64_t packs, bytes;		/* read back */
	uint64_t packs_bad, copies_bad;	/* found bad in the vault now */
};

/**
 * vault_receipt(v, text, dry_run, out, r, e):
 * The receipt for the image that ${text} names, from the vault's own store
 * alone: envelopes, lists and root are computed from what is held; every pack
 * that may hold one of its chunks is read, and a chunk counts only where its
 * frame is what a table says that the machine signed.  What is found bad is
 * recorded, and states fall.  Return 0 with the signed receipt in ${out}
 * (in place of what was there; recorded, unless ${dry_run}); 1 the vault does not hold all of it and
 * not all the rest was given up: ${r} says how much; -1 with ${e}: ERR_NO_IMAGE,
 * ERR_UNCLAIMED, ERR_INCOMPLETE where its manifest has not come, ERR_DAMAGE
 * where what the vault keeps of it contradicts itself, ERR_BUSY.  Memory: a
 * pack and 96 MB.
 */
int vault_receipt(struct vault *v, const char *text, int dry_run, struct buf *out, struct receipt_result *r, struct err *e);

/**
 * vault_handoff(v, path, dry_run, h, e):
 * Take the machine's signed answer in file ${path}: the image is handed off.  0;
 * 1 it was before, by this very answer; -1 with ${e}: ERR_FORMAT, ERR_SIGNATURE,
 * ERR_WRONG_VAULT, ERR_RECEIPT where it answers no receipt of this vault.
 */
int vault_handoff(struct vault *v, const char *path, int dry_run, struct handoff *h, struct err *e);

/* The same of an answer that is here; messages call it ${name}. */
int vault_handoff_take(struct vault *v, const uint8_t *bytes, size_t len, const char *name, int dry_run, struct handoff *h,
    struct err *e);

/**
 * vault_given_up(v, path, dry_run, count, e):
 * Take a machine's signed list of what it gives up in file ${path}; states are
 * computed anew.  0 with how many ids it names, also where it came before; -1
 * with ${e} as vault_handoff.
 */
int vault_given_up(struct vault *v, const char *path, int dry_run, uint64_t *count, struct err *e);

/* The same from a list that is open and whose signer is believed; states are left as they are.  0 or -1. */
struct id_list_reader;
int vault_given_up_take(struct vault *v, struct id_list_reader *l, struct err *e);

/**
 * vault_given_up_part(v, machine, bytes, len, e):
 * One part of such a list, as ${machine} sent it; each part stands for itself.  With the
 * last one states are computed anew.  0; 1 it was known; -1 with ${e}.
 */
int vault_given_up_part(struct vault *v, const uint8_t machine[ID_LEN], const uint8_t *bytes, size_t len, struct err *e);

/* --- receipts over the line --- */

/**
 * vault_receipts_due(v, e):
 * Give a receipt for each image that is whole or partial and has none.  What cannot
 * be given is said in the log and left for the next time.  Reads all of such an image back:
 * it takes as long as that.  0, or -1 with ${e}: ERR_INTERRUPTED, ERR_MEMORY, ….
 */
int vault_receipts_due(struct vault *v, struct err *e);

/**
 * vault_receipt_get(v, machine, image, after, bytes, len, e):
 * A receipt that was given to ${machine}: the newest for ${image}, or where that
 * is NULL the one with the lowest number above ${after}.  0 with new ${bytes}; 1
 * there is none; 2 there is none yet for an image that is whole or partial; -1.
 */
int vault_receipt_get(struct vault *v, const uint8_t machine[ID_LEN], const uint8_t *image, uint64_t after, uint8_t **bytes,
    size_t *len, struct err *e);

/* 1 if the file at ${path} looks like a list of what was given up, 0 if not, or if it cannot be read. */
int vault_is_given_up(const char *path);

#endif
