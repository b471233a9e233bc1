#include "common/flow/image_state.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/flow/journal.h"

/* Keep a copy of a record's payload in place of the one before. */
static int
keep(struct fmt_view v, uint8_t **bytes, size_t *len, struct err *e)
{
	uint8_t *p = malloc((size_t)v.len + 1);

	if (p == NULL)
		return err_errno(e, "image");
	memcpy(p, v.p, v.len);
	free(*bytes);
	*bytes = p;
	*len = v.len;
	return 0;
}

static int
keep_statement(const struct fmt_schema *schema, void *value, struct fmt_view v, uint8_t **bytes, size_t *len, struct err *e)
{
	enum fmt_status st;

	if (keep(v, bytes, len, e) != 0)
		return -1;
	if ((st = schema_decode(schema, value, *bytes, *len)) != FMT_OK)
		return err_set(e, ERR_STATE, "%s in the journal: %s", schema->name, fmt_status_text(st));
	return 0;
}

/* The disk with that number; made where there is none yet.  Numbers rise, so the list stays sorted. */
static struct image_disk *
disk_take(struct image_state *im, uint32_t number, struct err *e)
{
	struct image_disk *d = image_disk(im, number), *grown;

	if (d != NULL)
		return d;
	if (number == 0 || (im->ndisks > 0 && im->disks[im->ndisks - 1].label.disk > number)) {
		err_set(e, ERR_STATE, "the journal names disk %u out of order", number);
		return NULL;
	}
	if ((grown = realloc(im->disks, (im->ndisks + 1) * sizeof(*grown))) == NULL) {
		err_errno(e, "image");
		return NULL;
	}
	im->disks = grown;
	d = &im->disks[im->ndisks++];
	memset(d, 0, sizeof(*d));
	return d;
}

static int
take_disk(struct image_state *im, struct fmt_view v, struct err *e)
{
	struct label l;
	struct image_disk *d;
	enum fmt_status st;

	if ((st = schema_decode(&label_schema, &l, v.p, v.len)) != FMT_OK)
		return err_set(e, ERR_STATE, "%s in the journal: %s", label_schema.name, fmt_status_text(st));
	if ((d = disk_take(im, l.disk, e)) == NULL)
		return -1;
	d->label = l;
	return keep(v, &d->label_bytes, &d->label_len, e);
}

/* The disk that a record is about. */
static struct image_disk *
disk_known(const struct image_state *im, uint32_t number, struct err *e)
{
	struct image_disk *d = image_disk(im, number);

	if (d == NULL)
		err_set(e, ERR_STATE, "the journal speaks of a disk %u that it never began", number);
	return d;
}

static int
take_closed(struct image_state *im, struct fmt_view v, struct err *e)
{
	struct disk_statement s;
	struct image_disk *d;

	if (schema_decode(&disk_statement_schema, &s, v.p, v.len) != FMT_OK)
		return err_set(e, ERR_STATE, "a disk statement in the journal is damaged");
	if ((d = disk_known(im, s.disk, e)) == NULL)
		return -1;
	return keep_statement(&disk_statement_schema, &d->statement, v, &d->statement_bytes, &d->statement_len, e);
}

static int
take_read_back(struct image_state *im, struct fmt_view v, struct err *e)
{
	struct image_disk *d;

	if (v.len != 4 || (d = disk_known(im, le32_get(v.p), e)) == NULL)
		return v.len == 4 ? -1 : err_set(e, ERR_STATE, "a record of a reading back is damaged");
	d->read_back = true;
	return 0;
}

static int
take_group(struct image_state *im, struct fmt_view v, struct err *e)
{
	struct image_disk *d;

	if (v.len != 8)
		return err_set(e, ERR_STATE, "a record of a parity group is damaged");
	if ((d = disk_known(im, le32_get(v.p), e)) == NULL)
		return -1;
	d->groups_done = le32_get(v.p + 4) + 1;
	return 0;
}

static int
take_replaced(struct image_state *im, struct fmt_view v, struct err *e)
{
	struct image_disk *old, *new = NULL;

	if (v.len != 8)
		return err_set(e, ERR_STATE, "a record of a replaced disk is damaged");
	if ((old = disk_known(im, le32_get(v.p), e)) == NULL ||
	    (le32_get(v.p + 4) != 0 && (new = disk_known(im, le32_get(v.p + 4), e)) == NULL))
		return -1;
	if (!old->gone) {
		im->packs -= old->packs;
		im->pack_bytes -= old->pack_bytes;
		im->chunks -= old->chunks;
	}
	old->gone = true;
	if (new != NULL)
		new->replaces = old->label.disk;
	return 0;
}

static int
take_options(struct image_state *im, struct fmt_view v, struct err *e)
{
	if (journal_options_decode(&im->options, v.p, v.len) != FMT_OK)
		return err_set(e, ERR_STATE, "the options in the journal are damaged");
	return 0;
}

/* A pack's record in its parts. */
struct pack_record {
	uint32_t disk, number, len, table_len;
	struct pack_table table;
};

static int
pack_record_decode(struct pack_record *p, struct fmt_view v, struct err *e)
{
	if (v.len < 12 + PACK_HEAD_LEN + PACK_FOOT_LEN)
		return err_set(e, ERR_STATE, "a pack in the journal is cut short");
	p->disk = le32_get(v.p);
	p->number = le32_get(v.p + 4);
	p->len = le32_get(v.p + 8);
	p->table_len = v.len - 12 - PACK_FOOT_LEN;
	if (pack_table_decode(&p->table, v.p + 12, p->table_len) != FMT_OK)
		return err_set(e, ERR_STATE, "a pack's table in the journal is damaged");
	return 0;
}

static int
take_pack(struct image_state *im, struct fmt_view v, struct err *e)
{
	struct pack_record p;
	struct image_disk *d = NULL;

	if (pack_record_decode(&p, v, e) != 0 || (p.disk != 0 && (d = disk_known(im, p.disk, e)) == NULL))
		return -1;
	if (d != NULL) {
		d->packs++;
		d->pack_bytes += p.len;
		d->chunks += p.table.count;
		if (p.number >= d->next_pack)
			d->next_pack = p.number + 1;
		if (d->gone)
			return 0;
	}
	im->packs++;
	im->pack_bytes += p.len;
	im->chunks += p.table.count;
	return 0;
}

static int
take_record(struct image_state *im, unsigned type, struct fmt_view v, struct err *e)
{
	size_t unused;

	switch (type) {
	case JOURNAL_BEGIN:
		return keep_statement(&journal_begin_schema, &im->begin, v, &im->begin_bytes, &unused, e);
	case JOURNAL_DISK:
		return take_disk(im, v, e);
	case JOURNAL_PACK:
		return take_pack(im, v, e);
	case JOURNAL_COUNTS:
		if (journal_counts_decode(&im->counts, v.p, v.len) != FMT_OK)
			return err_set(e, ERR_STATE, "journal: a record of counts is damaged");
		return 0;
	case JOURNAL_ENVELOPE:
		return keep_statement(&envelope_schema, &im->envelope, v, &im->envelope_bytes, &im->envelope_len, e);
	case JOURNAL_CLOSED:
		return take_closed(im, v, e);
	case JOURNAL_GROUP:
		return take_group(im, v, e);
	case JOURNAL_READ_BACK:
		return take_read_back(im, v, e);
	case JOURNAL_MANIFEST:
		return keep_statement(&manifest_schema, &im->manifest, v, &im->manifest_bytes, &im->manifest_len, e);
	case JOURNAL_SEALED:
		im->sealed = true;
		return 0;
	case JOURNAL_CANCELLED:
		im->cancelled = true;
		return 0;
	case JOURNAL_REPLACED:
		return take_replaced(im, v, e);
	case JOURNAL_OPTIONS:
		return take_options(im, v, e);
	case JOURNAL_SHIPPED:
		return keep(v, &im->parcel_bytes, &im->parcel_len, e);
	case JOURNAL_HANDED_OFF:
		return keep(v, &im->answer_bytes, &im->answer_len, e);
	case JOURNAL_SNAPSHOT:
		if (v.len != 4)
			return err_set(e, ERR_STATE, "a record of the snapshot's disk is damaged");
		im->snapshot_disk = le32_get(v.p);
		return 0;
	case JOURNAL_LOST:
		im->lost = true;
		return 0;
	case JOURNAL_REOPENED:
		im->lost = false;
		return 0;
	default:
		return 0;
	}
}

/* Tell the packs of disks that are gone, or not; the whole journal was understood before. */
static int
packs_tell(const struct image_state *im, struct journal_reader *r, bool gone, image_pack_fn fn, void *arg, struct err *e)
{
	struct pack_record p;
	struct image_disk *d;
	struct fmt_view v;
	unsigned type;
	int got;

	while ((got = journal_next(r, &type, &v, e)) == 1) {
		if (type != JOURNAL_PACK)
			continue;
		if (pack_record_decode(&p, v, e) != 0)
			return -1;
		/* A disk that another thread has begun since the journal was read is not of this state. */
		d = p.disk != 0 ? image_disk(im, p.disk) : NULL;
		if ((p.disk == 0 ? !gone : d != NULL && d->gone == gone) && fn(arg, p.disk, p.number, p.len, &p.table, v.p + 12, p.table_len, v.p + 12 + p.table_len, e) != 0)
			return -1;
	}
	return got;
}

static int
packs_read(const struct image_state *im, bool gone, image_pack_fn fn, void *arg, struct err *e)
{
	struct journal_reader *r = journal_reader_new(im->fd, "journal", e);
	int rc;

	if (r == NULL)
		return err_during(e, "image %s", im->begin.short_name);
	rc = packs_tell(im, r, gone, fn, arg, e);
	journal_reader_free(r);
	return rc;
}

int
image_packs(struct state *s, const struct image_state *im, image_pack_fn fn, void *arg, struct err *e)
{
	(void)s;
	return packs_read(im, false, fn, arg, e);
}

int
image_packs_gone(const struct image_state *im, image_pack_fn fn, void *arg, struct err *e)
{
	return packs_read(im, true, fn, arg, e);
}

static int
journal_take(struct image_state *im, struct journal_reader *r, struct err *e)
{
	struct fmt_view v;
	unsigned type;
	int got;

	while ((got = journal_next(r, &type, &v, e)) == 1)
		if (take_record(im, type, v, e) != 0)
			return -1;
	if (got == 0 && im->begin_bytes == NULL)
		return err_set(e, ERR_STATE, "the journal has no beginning");
	return got;
}

/* What the journal in the directory ${path} says; ${name} is for messages. */
static struct image_state *
state_load(struct state *s, const char *path, const char *name, image_pack_fn fn, void *arg, struct err *e)
{
	struct image_state *im = calloc(1, sizeof(*im));
	struct journal_reader *r = NULL;
	int rc = -1;

	if (im == NULL) {
		err_errno(e, "image");
		return NULL;
	}
	im->fd = -1;
	im->options.parity = PARITY_DEFAULT;
	(void)snprintf(im->path, sizeof(im->path), "%s", path);
	if ((im->fd = dir_open(s->fd, path, e)) == -1)
		err_set(e, ERR_NO_IMAGE, "there is no %s in %s", name, s->path);
	else if ((r = journal_reader_new(im->fd, "journal", e)) != NULL)
		rc = journal_take(im, r, e);
	journal_reader_free(r);
	if (rc == 0 && fn != NULL)
		rc = image_packs(s, im, fn, arg, e);
	if (rc != 0) {
		if (im->fd != -1)
			err_during(e, "%s", name);
		image_state_free(im);
		return NULL;
	}
	return im;
}

struct image_state *
image_state_load(struct state *s, const char *name, image_pack_fn fn, void *arg, struct err *e)
{
	struct image_state *im;
	char lower[SHORT_LEN + 1] = "", path[64], said[64];

	for (size_t i = 0; i < SHORT_LEN && name[i] != 0; i++)
		lower[i] = (char)tolower((unsigned char)name[i]);
	snprintf(path, sizeof(path), "images/%s", lower);
	snprintf(said, sizeof(said), "image %.32s", name);
	if ((im = state_load(s, path, said, fn, arg, e)) != NULL)
		memcpy(im->name, lower, sizeof(im->name));
	return im;
}

struct image_state *
image_state_load_line(struct state *s, const char *set, image_pack_fn fn, void *arg, struct err *e)
{
	char path[IMAGE_PATH_MAX];

	(void)snprintf(path, sizeof(path), BACKUP_DIR, set);
	return state_load(s, path, "unfinished backup", fn, arg, e);
}

struct image_state *
image_state_again(struct state *s, const struct image_state *im, struct err *e)
{
	return im->name[0] != '\0' ? image_state_load(s, im->name, NULL, NULL, e) :
	    image_state_load_line(s, im->begin.set_name, NULL, NULL, e);
}

void
image_state_free(struct image_state *im)
{
	if (im == NULL)
		return;
	if (im->fd != -1)
		io->close(im->fd);
	for (size_t i = 0; i < im->ndisks; i++) {
		free(im->disks[i].label_bytes);
		free(im->disks[i].statement_bytes);
	}
	free(im->disks);
	free(im->begin_bytes);
	free(im->envelope_bytes);
	free(im->manifest_bytes);
	free(im->parcel_bytes);
	free(im->answer_bytes);
	free(im);
}

struct image_disk *
image_disk(const struct image_state *im, uint32_t number)
{
	for (size_t i = 0; i < im->ndisks; i++)
		if (im->disks[i].label.disk == number)
			return &im->disks[i];
	return NULL;
}

struct image_disk *
image_disk_open(const struct image_state *im)
{
	for (size_t i = 0; i < im->ndisks; i++)
		if (!im->disks[i].gone && im->disks[i].statement.disk == 0)
			return &im->disks[i];
	return NULL;
}

unsigned
image_disks_live(const struct image_state *im)
{
	unsigned n = 0;

	for (size_t i = 0; i < im->ndisks; i++)
		n += !im->disks[i].gone;
	return n;
}

bool
image_disks_done(const struct image_state *im)
{
	for (size_t i = 0; i < im->ndisks; i++)
		if (!im->disks[i].gone && !im->disks[i].read_back)
			return false;
	return image_disks_live(im) > 0;
}

bool
image_is_written(const struct image_state *im)
{
	const struct image_disk *d = image_disk(im, im->snapshot_disk);

	return d != NULL && !d->gone && d->statement.disk != 0 && image_disks_done(im);
}

bool
image_manifest_fits(const struct image_state *im)
{
	size_t named = im->manifest.generation == 0 ? 0 : list_count(im->manifest.disks, MANIFEST_DISK_LEN);
	struct manifest_disk row;
	const struct image_disk *d;

	if (named == 0 || named != image_disks_live(im))
		return false;
	for (size_t i = 0; i < named; i++) {
		if (element_get(manifest_disk_fields, manifest_disk_nfields, im->manifest.disks, i, &row) != FMT_OK ||
		    (d = image_disk(im, row.disk)) == NULL || d->gone)
			return false;
	}
	return true;
}

bool
image_is_unfinished(const struct image_state *im)
{
	bool replaced = image_disks_live(im) < im->ndisks;

	return !im->cancelled && !im->lost && (!im->sealed || (replaced && !image_manifest_fits(im)));
}

bool
image_counts(const struct image_state *im)
{
	return im->sealed && !im->cancelled && !im->lost;
}

const char *
image_state_word(const struct image_state *im)
{
	if (im->cancelled)
		return "cancelled";
	if (im->answer_bytes != NULL)
		return "handed-off";
	if (im->lost)
		return "lost";
	if (image_is_unfinished(im))
		return "building";
	return im->parcel_bytes != NULL ? "shipped" : "sealed";
}

/* Whether the image is unfinished and of the set that is asked for. */
static bool
is_wanted(const struct image_state *im, const char *set)
{
	return image_is_unfinished(im) && (set == NULL || strcmp(im->begin.set_name, set) == 0);
}

int
image_state_find(struct state *s, const char *set, struct image_state **out, struct err *e)
{
	struct image_state *im, *found = NULL;
	char **names;
	size_t n;
	int rc = 1;

	*out = NULL;
	if (state_images(s, &names, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n && rc != -1; i++) {
		if ((im = image_state_load(s, names[i], NULL, NULL, e)) == NULL) {
			if (e->code == ERR_NOT_FOUND)
				err_clear(e);	/* it was never begun */
			else
				rc = -1;
		} else if (!is_wanted(im, set)) {
			image_state_free(im);
		} else if (found != NULL) {
			rc = err_set(e, ERR_USAGE, "images %s and %s are both unfinished: say which with --set",
			    found->begin.short_name, im->begin.short_name);
			image_state_free(im);
		} else {
			found = im;
			rc = 0;
		}
	}
	dir_list_free(names, n);
	if (rc != 0) {
		image_state_free(found);
		return rc;
	}
	*out = found;
	return 0;
}
