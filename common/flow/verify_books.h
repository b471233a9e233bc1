#ifndef SAMARA_FLOW_VERIFY_BOOKS_H
#define SAMARA_FLOW_VERIFY_BOOKS_H

/* A vault's description and its chain of records: who it is, whom it knows. */

#include "common/flow/verify_job.h"
#include "formats/fmt_machine.h"
#include "formats/fmt_vault.h"

struct store;

/* One registration: a machine has several where another computer took its place. */
struct verify_machine {
	uint8_t id[ID_LEN];
	uint8_t pub[SIGN_PUB_LEN];
	uint8_t domain_id[DIGEST_LEN];
	uint64_t from_seq;		/* first snapshot number that its key may sign */
	char name[NAME_MAX_LEN + 1];
};

/* A snapshot that the records say was received. */
struct verify_received {
	uint8_t machine_id[ID_LEN];
	uint64_t seq;
	uint8_t digest[DIGEST_LEN];
	int found;
	int gone;			/* a record says that it was deleted for good */
};

struct verify_books {
	struct vault_desc desc;
	struct verify_machine *machine;
	size_t nmachines;
	struct verify_received *received;
	size_t nreceived;
};

/**
 * verify_books_read(j, s, b, e):
 * Check every description and every record, in order, and tell of what is
 * wrong.  0; -1 with ${e} (ERR_NO_VAULT: no description can be believed).
 */
int verify_books_read(struct verify_job *j, struct store *s, struct verify_books *b, struct err *e);
void verify_books_release(struct verify_books *b);

/* The newest registration of the machine with this id, NULL ${after}; or the one before ${after}.  NULL: there is none. */
const struct verify_machine *verify_books_machine(const struct verify_books *b, const uint8_t id[ID_LEN],
    const struct verify_machine *after);

#endif
