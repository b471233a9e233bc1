#ifndef SAMARA_FORMATS_FMT_CUSTODY_LOG_H
#define SAMARA_FORMATS_FMT_CUSTODY_LOG_H

/*
 * A custody log as one file, to be handed on: custody records (fmt_vault.h) of
 * one image or many, by one signer or many, in any order.
 * Specification: docs/formats/vault.md.
 *
 *   file:  "SAMCLOG\n" | version u16 = 1 | zero u16 | zero u32
 *   row:   length u32 | custody record
 */

#include "formats/fmt.h"

#define CUSTODY_LOG_HEAD_LEN	16
#define CUSTODY_RECORD_MAX	512u	/* one record, encoded */
#define CUSTODY_LOG_MAX		(64u << 20)	/* what a reader accepts */

/* FMT_OK if ${len} untrusted bytes begin like a custody log. */
enum fmt_status custody_log_head_decode(const uint8_t *in, size_t len);
void custody_log_head_encode(uint8_t out[CUSTODY_LOG_HEAD_LEN]);

/**
 * custody_log_next(r, record):
 * The next row at ${r}, which stands behind the head; ${record} points into its
 * bytes.  FMT_OK; FMT_SHORT at the end (r->left == 0) or where it is cut;
 * FMT_RANGE: no record is that long.
 */
enum fmt_status custody_log_next(struct rd *r, struct fmt_view *record);

#endif
