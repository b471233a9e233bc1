#ifndef SAMARA_FLOW_RECEIPT_JOB_H
#define SAMARA_FLOW_RECEIPT_JOB_H

/* What the parts of making a receipt share; private to receipt*.c. */

#include "common/base/buf.h"
#include "common/catalog/catalog_rows.h"
#include "common/flow/receipt.h"
#include "common/pack/id_sorter.h"
#include "formats/fmt_disk.h"

struct container;

/* A snapshot that the manifest names. */
struct receipt_part {
	uint64_t seq;
	struct receipt_snapshot row;
	uint8_t *bytes;			/* envelope */
	size_t len;
	struct envelope *env;		/* decoded; views none */
};

struct receipt_job {
	struct vault *v;
	struct receipt_result *r;
	struct cat_image image;
	struct cat_machine_key *keys;	/* that the machine signs or signed with */
	size_t nkeys;
	uint8_t *manifest;
	struct manifest m;
	struct receipt_part *parts;	/* in order of envelope digests */
	size_t nparts;
	struct container *store;
	struct id_sorter *needed, *good, *gone;
	struct buf returned;
	uint8_t missing[DIGEST_LEN];	/* digest of what was given up and is not held */
	int64_t removals;		/* the catalog's removal number that all of this stands on */
};

/* A sorted stream with its next id at hand. */
struct id_stream {
	struct id_sorter *s;
	uint8_t id[DIGEST_LEN];
	int have;
};
/* Begin with what ${s}, borrowed, holds.  0, or -1 with ${e}. */
int id_stream_start(struct id_stream *h, struct id_sorter *s, struct err *e);
/* 1 if ${id} is in the stream, 0 if not, -1; asked in rising order. */
int id_stream_has(struct id_stream *h, const uint8_t id[DIGEST_LEN], struct err *e);

/**
 * receipt_books(j, e) (receipt_books.c):
 * Manifest, envelopes, lists: believed by the machine's signatures and by each
 * other; every id goes into j->needed.  0; 1 snapshots were never filed; -1.
 */
int receipt_books(struct receipt_job *j, struct err *e);
/* Call ${fn} with each id of part ${i}'s list. */
int receipt_list(struct receipt_job *j, size_t i, int (*fn)(void *arg, const uint8_t *id, struct err *e), void *arg, struct err *e);
void receipt_books_release(struct receipt_job *j);

/**
 * receipt_read_back(j, e) (receipt_read.c):
 * Read every pack that the catalog says holds a good copy of a needed id by
 * this machine; what is good goes into j->good.  What is not is recorded.
 */
int receipt_read_back(struct receipt_job *j, struct err *e);

#endif
