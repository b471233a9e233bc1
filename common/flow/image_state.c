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

static int
take_pack(struct image_state *im, struct fmt_view v, image_pack_fn fn, void *arg, struct err *e)
{
	struct pack_table table;
	uint32_t number, len, table_len;

	if (v.len < 12 + PACK_HEAD_LEN + PACK_FOOT_LEN)
		return err_set(e, ERR_STATE, "a pack in the journal is cut short");
	number = le32_get(v.p + 4);
	len = le32_get(v.p + 8);
	table_len = v.len - 12 - PACK_FOOT_LEN;
	if (pack_table_decode(&table, v.p + 12, table_len) != FMT_OK)
		return err_set(e, ERR_STATE, "a pack's table in the journal is damaged");
	im->packs++;
	im->pack_bytes += len;
	im->chunks += table.count;
	if (number >= im->next_pack)
		im->next_pack = number + 1;
	return fn == NULL ? 0 : fn(arg, number, len, &table, v.p + 12, table_len, v.p + 12 + table_len, e);
}

static int
take_record(struct image_state *im, unsigned type, struct fmt_view v, image_pack_fn fn, void *arg, struct err *e)
{
	size_t unused;

	switch (type) {
	case JOURNAL_BEGIN:
		return keep_statement(&journal_begin_schema, &im->begin, v, &im->begin_bytes, &unused, e);
	case JOURNAL_DISK:
		return keep_statement(&label_schema, &im->label, v, &im->label_bytes, &im->label_len, e);
	case JOURNAL_PACK:
		return take_pack(im, v, fn, arg, e);
	case JOURNAL_WARN:
		im->warnings++;
		return 0;
	case JOURNAL_ENVELOPE:
		return keep_statement(&envelope_schema, &im->envelope, v, &im->envelope_bytes, &im->envelope_len, e);
	case JOURNAL_CLOSED:
		return keep_statement(&disk_statement_schema, &im->statement, v, &im->statement_bytes, &im->statement_len, e);
	case JOURNAL_READ_BACK:
		im->read_back = true;
		return 0;
	case JOURNAL_MANIFEST:
		return keep_statement(&manifest_schema, &im->manifest, v, &im->manifest_bytes, &im->manifest_len, e);
	case JOURNAL_SEALED:
		im->sealed = true;
		return 0;
	case JOURNAL_CANCELLED:
		im->cancelled = true;
		return 0;
	default:
		return 0;
	}
}

struct image_state *
image_state_load(struct state *s, const char *name, image_pack_fn fn, void *arg, struct err *e)
{
	struct image_state *im = calloc(1, sizeof(*im));
	struct journal_reader *r = NULL;
	struct fmt_view v;
	char path[64];
	unsigned type;
	int got = -1;

	if (im == NULL) {
		err_errno(e, "image");
		return NULL;
	}
	im->fd = -1;
	for (size_t i = 0; i < SHORT_LEN && name[i] != 0; i++)
		im->name[i] = (char)tolower((unsigned char)name[i]);
	snprintf(path, sizeof(path), "images/%s", im->name);
	if ((im->fd = dir_open(s->fd, path, e)) == -1) {
		err_set(e, ERR_NO_IMAGE, "there is no image %s in %s", name, s->path);
	} else if ((r = journal_reader_new(im->fd, "journal", e)) != NULL) {
		while ((got = journal_next(r, &type, &v, e)) == 1)
			if (take_record(im, type, v, fn, arg, e) != 0) {
				got = -1;
				break;
			}
		if (got == 0 && im->begin_bytes == NULL)
			got = err_set(e, ERR_STATE, "the journal has no beginning");
	}
	journal_reader_free(r);
	if (got != 0) {
		if (im->fd != -1)
			err_during(e, "image %s", name);
		image_state_free(im);
		return NULL;
	}
	return im;
}

void
image_state_free(struct image_state *im)
{
	if (im == NULL)
		return;
	if (im->fd != -1)
		io->close(im->fd);
	free(im->begin_bytes);
	free(im->label_bytes);
	free(im->envelope_bytes);
	free(im->statement_bytes);
	free(im->manifest_bytes);
	free(im);
}

const char *
image_state_word(const struct image_state *im)
{
	return im->cancelled ? "cancelled" : im->sealed ? "sealed" : "building";
}

/* Whether the image is unfinished and of the set that is asked for. */
static bool
is_wanted(const struct image_state *im, const char *set)
{
	return !im->sealed && !im->cancelled && (set == NULL || strcmp(im->begin.set_name, set) == 0);
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
