#ifndef SAMARA_FORMATS_ARMOR_H
#define SAMARA_FORMATS_ARMOR_H

/*
 * Bytes as text that survives mail, printers and typing: credential files,
 * recovery kits, announcements of parcels.  Specification: docs/formats/armor.md.
 *
 *   -----BEGIN SAMARA <WHAT>-----
 *   01 xxxxx xxxxx xxxxx xxxxx xxxxx xxxxx xxxxx xxxxx cccc
 *   …
 *   -----END SAMARA <WHAT> xxxxxxxx-----
 *
 * Groups are base32 (digits and lower case without i, l, o, u; on reading these
 * and capitals are taken for what they look like), 25 bytes a line; cccc the low
 * 20 bits of the CRC-32 of line number (u32) and the line's bytes, in the last
 * line the CRC-32 of all bytes in hex.  Text before and after is for people and
 * ignored; so are empty lines, blanks and '>' before a line.
 */

#include "formats/fmt.h"
#include "formats/limits.h"

#define ARMOR_CREDENTIAL	"VAULT CREDENTIAL"
#define ARMOR_KIT		"RECOVERY KIT"
#define ARMOR_PARCEL		"PARCEL"
#define ARMOR_LINE_LEN		25	/* bytes that stand in a line */

/* Characters that armor_encode will write for ${len} bytes, without a final zero. */
size_t armor_size(const char *what, size_t len);

/**
 * armor_encode(what, in, len, out, cap):
 * Write the armour of ${len} bytes to ${out}, zero-terminated.  FMT_SHORT if
 * ${cap} <= armor_size, FMT_RANGE if that is more than ARMOR_TEXT_MAX; then
 * ${out} is empty.
 */
enum fmt_status armor_encode(const char *what, const uint8_t *in, size_t len, char *out, size_t cap);

/**
 * armor_decode(what, text, n, out, cap, len, line):
 * Find the armour of kind ${what} in ${n} characters of untrusted ${text} and
 * put its bytes into ${out}.  FMT_MAGIC: there is none; FMT_CHECKSUM: line
 * ${line} (1 ..; 0: the whole) is mistyped or missing; FMT_SHORT: cut, or no
 * room; FMT_RANGE: more text than ARMOR_TEXT_MAX.  ${len} is 0 then and what
 * stands in ${out} is zeros.
 */
enum fmt_status armor_decode(const char *what, const char *text, size_t n, uint8_t *out, size_t cap, size_t *len,
    unsigned *line);

#endif
