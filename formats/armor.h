#ifndef SAMARA_FORMATS_ARMOR_H
#define SAMARA_FORMATS_ARMOR_H

/*
 * Bytes as text that survives mail, printers and typing: credential files and
 * recovery kits.  Specification: docs/formats/armor.md.
 *
 *   -----BEGIN SAMARA <WHAT>-----
 *   01 xxxxx xxxxx xxxxx xxxxx xxxxx xxxxx xxxxx xxxxx cccc
 *   …
 *   -----END SAMARA <WHAT> xxxxxxxx-----
 *
 * Groups are base32 (digits and lower case without i, l, o, u; on reading these
 * and capitals are taken for what they look like), cccc the low 20 bits of the
 * CRC-32 of line number and the line's bytes, the last line the CRC-32 of all bytes in hex.
 * Text before and after is for people and ignored.
 */

#include "formats/fmt.h"
#include "formats/limits.h"

/* Characters that armor_encode will write for ${len} bytes, without a final zero. */
size_t armor_size(const char *what, size_t len);

/**
 * armor_encode(what, in, len, out, cap):
 * Write the armour of ${len} bytes to ${out}, zero-terminated.  FMT_SHORT if ${cap} <= armor_size.
 */
enum fmt_status armor_encode(const char *what, const uint8_t *in, size_t len, char *out, size_t cap);

/**
 * armor_decode(what, text, n, out, cap, len, line):
 * Find the armour of kind ${what} in ${n} characters of untrusted ${text} and
 * put its bytes into ${out}.  FMT_MAGIC: there is none; FMT_CHECKSUM: line
 * ${line} (1 ..; 0: the whole) is mistyped; FMT_SHORT: cut, or no room.
 */
enum fmt_status armor_decode(const char *what, const char *text, size_t n, uint8_t *out, size_t cap, size_t *len,
    unsigned *line);

#endif
