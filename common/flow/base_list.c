#include "common/flow/base_list.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"

#define SPILL_HEAD	(1 + DIGEST_LEN)

struct base_list {
	struct base_layer *layers;
	size_t n, at;			/* the layer being read */
	struct journal_reader *reader;
	struct rd rd;			/* in the current record */
	uint8_t dir[PATH_LEN_MAX];
	size_t dir_len;
	struct entry en;		/* the entry that was read last */
	int have;			/* it is not passed yet */
	struct base_place place;
	struct journal_mark spills;	/* of the entry to come */
	int spilled;
	/* The last name given out, for the change of layers. */
	uint8_t last_dir[PATH_LEN_MAX], last_name[NAME_LEN_MAX];
	size_t last_dir_len, last_name_len;
	int any;
};

struct base_list *
base_list_new(const struct base_layer *layers, size_t n, struct err *e)
{
	struct base_list *b = calloc(1, sizeof(*b));

	if (b == NULL || (b->layers = calloc(n + 1, sizeof(*layers))) == NULL) {
		free(b);
		err_errno(e, "previous listing");
		return NULL;
	}
	if (n > 0)
		memcpy(b->layers, layers, n * sizeof(*layers));
	b->n = n;
	if (n > 0 && (b->reader = journal_reader_new(layers[0].dirfd, layers[0].name, e)) == NULL) {
		base_list_free(b);
		return NULL;
	}
	return b;
}

void
base_list_free(struct base_list *b)
{
	if (b == NULL)
		return;
	journal_reader_free(b->reader);
	free(b->layers);
	free(b);
}

static int
key_order(struct fmt_view dir, struct fmt_view name, struct fmt_view dir2, struct fmt_view name2)
{
	int c = path_order(dir, dir2);

	return c != 0 ? c : name_order(name, name2);
}

/* The next record that matters: 1 items are there, 0 end of this layer, -1. */
static int
next_record(struct base_list *b, struct err *e)
{
	struct fmt_view payload;
	struct journal_mark before;
	unsigned type;
	int got;

	b->spilled = 0;		/* what nobody took belonged to a file that was left out */
	for (;;) {
		before = journal_here(b->reader);
		if ((got = journal_next(b->reader, &type, &payload, e)) != 1)
			return got;
		if (type == JOURNAL_SPILL && !b->spilled) {
			b->spilled = 1;
			b->spills = before;
		}
		if (type == JOURNAL_ITEMS) {
			b->rd = (struct rd){ .p = payload.p, .left = payload.len };
			return 1;
		}
	}
}

/* The next entry of this layer into b->en: 1, 0 at its end, -1. */
static int
layer_next(struct base_list *b, struct err *e)
{
	struct item it;
	int got;

	for (;;) {
		if (b->rd.left == 0 && (got = next_record(b, e)) != 1)
			return got;
		if (item_next(&b->rd, &it) != FMT_OK)
			return err_set(e, ERR_STATE, "the previous listing in the state directory is damaged");
		if (it.tag == ITEM_DIR) {
			memcpy(b->dir, it.path.p, it.path.len);
			b->dir_len = it.path.len;
			continue;
		}
		b->en = it.entry;
		b->place = (struct base_place){ .has = b->spilled && it.entry.longs != 0, .layer = (unsigned)b->at,
		    .mark = b->spills };
		b->spilled = 0;		/* they stand right before their entry */
		return 1;
	}
}

static int
layer_change(struct base_list *b, struct err *e)
{
	journal_reader_free(b->reader);
	b->reader = NULL;
	b->at++;
	b->rd.left = 0;
	b->spilled = 0;
	if (b->at >= b->n)
		return 0;
	b->reader = journal_reader_new(b->layers[b->at].dirfd, b->layers[b->at].name, e);
	return b->reader == NULL ? -1 : 1;
}

/* The next entry of all layers: 1, 0, -1. */
static int
list_next(struct base_list *b, struct err *e)
{
	struct fmt_view last_dir = view_of(b->last_dir, b->last_dir_len);
	struct fmt_view last_name = view_of(b->last_name, b->last_name_len);
	int got;

	while (b->reader != NULL) {
		if ((got = layer_next(b, e)) == -1)
			return -1;
		if (got == 0) {
			if (layer_change(b, e) == -1)
				return -1;
			continue;
		}
		if (b->any && key_order(view_of(b->dir, b->dir_len), b->en.name, last_dir, last_name) <= 0)
			continue;
		memcpy(b->last_dir, b->dir, b->dir_len);
		b->last_dir_len = b->dir_len;
		memcpy(b->last_name, b->en.name.p, b->en.name.len);
		b->last_name_len = b->en.name.len;
		b->any = 1;
		return 1;
	}
	return 0;
}

int
base_list_find(struct base_list *b, struct fmt_view dir, struct fmt_view name, struct entry *en,
    struct base_place *place, struct err *e)
{
	int got, c;

	for (;;) {
		if (!b->have) {
			if ((got = list_next(b, e)) != 1)
				return got;
			b->have = 1;
		}
		c = key_order(view_of(b->dir, b->dir_len), b->en.name, dir, name);
		if (c > 0)
			return 0;
		if (c == 0) {
			*en = b->en;
			*place = b->place;
			return 1;
		}
		b->have = 0;
	}
}

int
base_spills(const struct base_layer *layer, struct journal_mark mark, base_spill_fn fn, void *arg, struct err *e)
{
	struct journal_reader *r = journal_reader_new(layer->dirfd, layer->name, e);
	struct fmt_view payload, plain;
	unsigned type;
	int got;

	if (r == NULL)
		return -1;
	journal_go(r, mark);
	while ((got = journal_next(r, &type, &payload, e)) == 1 && type == JOURNAL_SPILL) {
		if (payload.len < SPILL_HEAD) {
			got = err_set(e, ERR_STATE, "the previous listing in the state directory is damaged");
			break;
		}
		plain = view_of(payload.p + SPILL_HEAD, payload.len - SPILL_HEAD);
		if (fn(arg, payload.p[0], payload.p + 1, plain, e) != 0) {
			got = -1;
			break;
		}
	}
	journal_reader_free(r);
	return got < 0 ? -1 : 0;
}
