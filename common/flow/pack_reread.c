#include "common/flow/pack_reread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_rows.h"
#include "common/flow/pack_put.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

struct reread {
	struct vault *v;
	const struct pack_view *t;
	const uint8_t *table, *foot;
};

/* What is wrong with a copy. */
struct verdict {
	int all;			/* it is gone, or no pack any more */
	char why[TEXT_MAX_LEN + 1];	/* "": nothing */
	struct buf bad;			/* ids */
};

/* Are header, table and footer what they should be? */
static int
frame_is_sound(const struct reread *r, const uint8_t *in, size_t len)
{
	size_t body = PACK_HEAD_LEN + r->t->foot.body_len;

	return len == r->t->file_len && memcmp(in, r->table, PACK_HEAD_LEN) == 0 &&
	    memcmp(in + body, r->table, r->t->foot.table_len) == 0 &&
	    memcmp(in + body + r->t->foot.table_len, r->foot, PACK_FOOT_LEN) == 0;
}

static void
frames_judge(const struct reread *r, const uint8_t *in, struct verdict *d)
{
	size_t off = PACK_HEAD_LEN;

	for (uint32_t i = 0; i < r->t->table.count; i++) {
		struct pack_row row;
		const char *why;

		pack_table_row(&r->t->table, i, &row);
		if ((why = pack_frame_check(&row, in + off, r->t->foot.domain_id, PACK_FULL)) != NULL) {
			if (d->why[0] == '\0')
				(void)snprintf(d->why, sizeof(d->why), "chunk %u of it: %s", i + 1, why);
			buf_add(&d->bad, row.id, DIGEST_LEN);
		}
		off += row.len;
	}
}

static void
all_are_bad(const struct reread *r, const char *why, struct verdict *d)
{
	d->all = 1;
	(void)snprintf(d->why, sizeof(d->why), "%.200s", why);
	for (uint32_t i = 0; i < r->t->table.count; i++) {
		struct pack_row row;

		pack_table_row(&r->t->table, i, &row);
		buf_add(&d->bad, row.id, DIGEST_LEN);
	}
}

static int
copy_judge(const struct reread *r, const char *name, struct verdict *d, struct err *e)
{
	uint8_t *bytes;
	struct err mine;
	size_t len;

	err_clear(&mine);
	if (store_read(r->v->store, name, PACK_LEN_MAX, &bytes, &len, &mine) == 0) {
		if (frame_is_sound(r, bytes, len))
			frames_judge(r, bytes, d);
		else
			all_are_bad(r, "its header, table or footer is not what was written", d);
		free(bytes);
	} else if (mine.code == ERR_MEMORY || mine.code == ERR_PERMISSION) {
		if (e != NULL)
			*e = mine;
		return -1;
	} else {
		all_are_bad(r, mine.msg, d);
	}
	return buf_check(&d->bad, e);
}

/* Record it, unless somebody else has by now. */
static int
copy_record(const struct reread *r, struct cat_pack *p, const struct verdict *d, struct err *e)
{
	struct rec_damage k = { .copy = p->copy, .chunk_ids = { d->bad.p, (uint32_t)d->bad.len } };
	int rc;

	memcpy(k.pack_id, p->id, DIGEST_LEN);
	memcpy(k.why, d->why, sizeof(k.why));
	if (vault_begin(r->v, e) != 0)
		return -1;
	if ((rc = catalog_get(r->v->catalog, &cat_packs, p, e)) == 0 && p->state == PACK_GOOD)
		rc = vault_record(r->v, d->all ? REC_PACK_QUARANTINED : REC_DAMAGE_FOUND, &rec_damage_schema, &k, e);
	if (rc < 0) {
		vault_rollback(r->v);
		return -1;
	}
	return vault_commit(r->v, e);
}

static int
copy_reread(void *arg, const void *row, struct err *e)
{
	struct cat_pack p = *(const struct cat_pack *)row;
	const struct reread *r = arg;
	char name[VAULT_NAME_MAX];
	struct verdict d = { .all = 0 };
	int rc;

	if (p.state != PACK_GOOD)
		return 0;
	buf_init(&d.bad);
	vault_name_pack(name, p.id, p.copy);
	if ((rc = copy_judge(r, name, &d, e)) == 0 && d.why[0] != '\0') {
		say_warn("%s in the vault is damaged: %s", name, d.why);
		/* The number must be marked as used before a record speaks of it. */
		if (d.all)
			rc = pack_number_use(r->v->store, p.id, p.copy, e);
		if (rc == 0)
			rc = copy_record(r, &p, &d, e);
		if (rc == 0 && d.all)
			rc = pack_condemn(r->v->store, p.id, p.copy, e);
	}
	buf_release(&d.bad);
	return rc;
}

int
pack_reread(struct vault *v, const struct pack_view *t, const uint8_t *table, const uint8_t *foot, struct err *e)
{
	struct reread r = { v, t, table, foot };
	struct cat_pack like;

	memcpy(like.id, t->foot.pack_id, DIGEST_LEN);
	return catalog_each(v->catalog, &cat_packs, 1, &like, copy_reread, &r, e);
}
