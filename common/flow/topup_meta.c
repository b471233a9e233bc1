/* The chunks of a snapshot's listing, made again from its item log. */

#include <stdio.h>
#include <stdlib.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/flow/topup_job.h"
#include "common/pack/chunk_seal.h"
#include "common/pack/listing_write.h"

struct meta {
	const struct domain_keys *k;
	struct listing_writer *listing;
	topup_put_fn put;
	void *arg;
};

static int
meta_put(struct meta *m, unsigned kind, const uint8_t *plain, size_t len, uint8_t id[DIGEST_LEN], struct err *e)
{
	chunk_id(m->k, kind, plain, len, id);
	return m->put(m->arg, kind, id, plain, len, e);
}

static int
listing_put(void *arg, unsigned kind, const uint8_t *plain, size_t len, uint8_t id[DIGEST_LEN], struct err *e)
{
	return meta_put(arg, kind, plain, len, id, e);
}

static int
meta_dir(void *arg, struct fmt_view path, struct err *e)
{
	return listing_writer_dir(((struct meta *)arg)->listing, path, e);
}

static int
meta_entry(void *arg, const struct entry *en, struct err *e)
{
	return listing_writer_entry(((struct meta *)arg)->listing, en, e);
}

static int
meta_spill(void *arg, struct fmt_view plain, struct err *e)
{
	uint8_t id[DIGEST_LEN];

	return meta_put(arg, KIND_SPILL, plain.p, plain.len, id, e);
}

static int
meta_root(struct state *s, struct meta *m, uint64_t seq, struct err *e)
{
	uint8_t *plain, id[DIGEST_LEN];
	struct err mine;
	char name[64];
	size_t len;
	int rc;

	err_clear(&mine);
	(void)snprintf(name, sizeof(name), "snaps/%08llu.root", (unsigned long long)seq);
	if (file_read(s->fd, name, CHUNK_PLAIN_MAX, &plain, &len, &mine) != 0)
		return mine.code == ERR_MEMORY ? err_set(e, ERR_MEMORY, "%s", mine.msg) : 1;
	rc = meta_put(m, KIND_ROOT, plain, len, id, e);
	free(plain);
	return rc;
}

int
snapshot_meta_each(struct state *s, const struct domain_keys *k, uint64_t seq, topup_put_fn put, void *arg, struct err *e)
{
	struct meta m = { .k = k, .put = put, .arg = arg };
	const struct topup_walk w = { .dir = meta_dir, .entry = meta_entry, .spill = meta_spill, .arg = &m };
	uint8_t top[DIGEST_LEN], levels;
	uint64_t entries;
	int rc;

	if ((m.listing = listing_writer_new(k->cut, listing_put, &m)) == NULL)
		return err_set(e, ERR_MEMORY, "listing");
	if ((rc = topup_walk(s, seq, &w, e)) == 0 &&
	    (rc = listing_writer_finish(m.listing, top, &levels, &entries, e)) == 0)
		rc = meta_root(s, &m, seq, e);
	listing_writer_free(m.listing);
	return rc;
}
