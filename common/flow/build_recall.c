/* What an earlier run of this image read, for the report of the run that ends it. */

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/disk/image_dir.h"
#include "common/disk/image_file.h"
#include "common/flow/build_run.h"
#include "common/pack/chunk_open.h"
#include "formats/fmt_snapshot.h"

/* Where the root chunk lies. */
struct root_place {
	const uint8_t *id;
	uint32_t disk, number, offset, len;
	bool found;
};

static int
root_find(void *arg, uint32_t disk, uint32_t number, uint32_t file_len, const struct pack_table *t, const uint8_t *table,
    uint32_t table_len, const uint8_t *foot, struct err *e)
{
	struct root_place *p = arg;
	struct pack_row row;
	uint32_t offset = PACK_HEAD_LEN;

	(void)file_len, (void)table, (void)table_len, (void)foot, (void)e;
	for (uint32_t i = 0; i < t->count && !p->found; i++) {
		pack_table_row(t, i, &row);
		if (memcmp(row.id, p->id, DIGEST_LEN) == 0) {
			p->disk = disk;
			p->number = number;
			p->offset = offset;
			p->len = row.len;
			p->found = true;
		}
		offset += row.len;
	}
	return 0;
}

static int
root_open(struct build *b, const struct build_disk *bd, const struct root_place *p, struct snapshot_root *root, uint8_t *plain, struct err *e)
{
	struct opener *op = opener_new(b->k);
	char name[IMAGE_NAME_MAX];
	uint8_t *bytes = NULL;
	size_t len, n;
	int rc = -1;

	image_name_pack(name, p->number);
	if (op == NULL)
		err_set(e, ERR_MEMORY, "no memory for the snapshot's root");
	else if (image_file_read(bd->imagefd, name, PACK_LEN_MAX, &bytes, &len, e) == 0) {
		if (len < p->offset || len - p->offset < p->len)
			err_set(e, ERR_MEDIUM, "%s is shorter than it was", name);
		else if (chunk_open(op, bytes + p->offset, p->len, p->id, KIND_ROOT, plain, CHUNK_PLAIN_MAX, &n, e) == 0)
			rc = schema_decode(&snapshot_root_schema, root, plain, n) == FMT_OK ? 0 :
			    err_set(e, ERR_FORMAT, "the snapshot's root cannot be read");
	}
	free(bytes);
	opener_free(op);
	return rc;
}

int
build_recall(struct build *b, struct err *e)
{
	struct build_result *res = &b->r->result;
	struct root_place p = { .id = b->im->envelope.root_id };
	struct snapshot_root root;
	struct image_state *walked;
	const struct build_disk *bd;
	uint8_t *plain;
	int rc;

	if (b->im->envelope.seq == 0 || res->entries > 0)
		return 0;
	if ((walked = image_state_load(b->s, b->im->name, root_find, &p, e)) == NULL)
		return -1;
	image_state_free(walked);
	if (!p.found)
		return err_set(e, ERR_STATE, "the journal of image %s does not know its snapshot's root", b->im->begin.short_name);
	if ((bd = build_disk_at(b, p.disk)) == NULL)
		return 0;	/* it is not at hand: what is sealed is the same without the figures */
	if ((plain = malloc(CHUNK_PLAIN_MAX)) == NULL)
		return err_errno(e, "snapshot's root");
	if ((rc = root_open(b, bd, &p, &root, plain, e)) == 0) {
		res->entries = root.entries;
		res->files = root.files;
		res->bytes = root.bytes;
		res->unreadable = root.unreadable;
	}
	free(plain);
	return rc;
}
