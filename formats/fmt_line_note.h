#ifndef SAMARA_FORMATS_FMT_LINE_NOTE_H
#define SAMARA_FORMATS_FMT_LINE_NOTE_H

/* What a machine's state remembers of its contacts with the vault.  Specification: docs/formats/machine.md. */

#include "formats/schema.h"

struct line_note {
	uint8_t vault_id[ID_LEN];
	uint32_t generation;		/* newest description of the vault that was believed; 0: none but the credential's */
	uint64_t head_seq;		/* highest snapshot that the vault acknowledged over the line; 0: none */
	uint8_t head[DIGEST_LEN];	/* digest of its envelope */
	int64_t first_contact;		/* seconds, by the machine's clock; 0: never */
	int64_t last_contact;
	uint64_t rate;			/* of the line as last measured, bytes a second; 0: never */
	uint64_t receipt;		/* number of the newest receipt that was seen; 0: none */
	uint8_t mac[DIGEST_LEN];	/* BLAKE2b-256 keyed (subkey 5; everything before) */
};
extern const struct fmt_schema line_note_schema;

#endif
