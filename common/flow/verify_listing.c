#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/stop.h"
#include "common/base/text.h"
#include "common/flow/refs_read.h"
#include "common/flow/snapshot_open.h"
#include "common/flow/verify_job.h"
#include "common/pack/listing_read.h"
#include "common/pack/refs.h"

/* One snapshot's listing, read from end to end. */
struct walk {
	struct verify_job *j;
	struct source_reader *reader;
	const struct open_snapshot *o;
	struct id_sorter *ids;		/* of all chunks that it needs */
	char where[WHERE_MAX];
	uint8_t last[DIGEST_LEN];	/* id added last: neighbours often share one */
	uint64_t entries, files, bytes;
	uint64_t bad_bytes;		/* of the file in hand */
	struct err why;
};

/*
 * How bad it is that something cannot be read: nothing is lost by it where
 * parity makes again what is damaged, and the listing is read from the disk as it is.
 */
static enum severity
severity_of(const struct verify_job *j)
{
	size_t mended = 0;

	if (j->mended != NULL && !j->repairs)
		(void)chunk_map_all(j->mended, &mended);
	return mended > 0 && j->r->snapshots_whole == j->r->snapshots ? SEV_REPAIRABLE : SEV_LOST;
}

/* What it costs; ${lost} where it cannot be made again. */
static const char *
meaning_of(const struct verify_job *j, const char *lost)
{
	return severity_of(j) == SEV_LOST ? lost : verify_mended_text(j);
}

static int
id_seen(void *arg, const uint8_t id[DIGEST_LEN], unsigned kind, struct err *e)
{
	struct walk *w = arg;

	(void)kind;
	if (memcmp(w->last, id, DIGEST_LEN) == 0)
		return 0;
	memcpy(w->last, id, DIGEST_LEN);
	return id_sorter_add(w->ids, id, e);
}

/* An extent lies within a chunk that was found good. */
static int
extent_look(void *arg, uint64_t at, const struct extent *x, struct err *e)
{
	struct walk *w = arg;
	const struct chunk_at *c;
	size_t n;

	(void)at;
	if (extent_is_hole(x))
		return 0;
	if (id_seen(w, x->id, 0, e) != 0)
		return -1;
	if ((c = chunk_map_find(w->j->good, x->id, &n)) != NULL && x->offset <= c->off && x->len <= c->off - x->offset)
		return 0;
	if (w->bad_bytes == 0)
		(void)err_set(&w->why, c != NULL ? ERR_DAMAGE : chunk_map_find(w->j->bad, x->id, &n) != NULL ? ERR_DAMAGE : ERR_MISSING,
		    c != NULL ? "an extent of it lies outside its chunk" : "chunk %02x%02x%02x%02x is damaged or not there", x->id[0],
		    x->id[1], x->id[2], x->id[3]);
	w->bad_bytes += x->len;
	return 0;
}

static int
xattrs_look(struct walk *w, const struct entry *en, struct err *e)
{
	struct spill_reader *r;
	const uint8_t *p;
	size_t n;
	int rc;

	if ((en->longs & LONG_XATTRS) == 0)
		return 0;
	if ((r = spill_reader_new(&en->long_xattrs, source_get, w->reader, id_seen, w)) == NULL)
		return err_set(e, ERR_MEMORY, "no memory to read attributes");
	while ((rc = spill_reader_next(r, &p, &n, e)) == 1)
		;
	spill_reader_free(r);
	return rc;
}

static void
entry_tell(struct walk *w, struct fmt_view dir, const struct entry *en)
{
	char d[256], name[256];

	finding_tell(w->j->found, severity_of(w->j), w->why.code, w->where, meaning_of(w->j, ""),
	    "file %s%s%s cannot be restored whole from here: %s (%llu of its %llu bytes)", text_safe(d, sizeof(d), dir.p, dir.len), dir.len > 1 ? "/" : "",
	    text_safe(name, sizeof(name), en->name.p, en->name.len), w->why.msg, (unsigned long long)w->bad_bytes,
	    (unsigned long long)en->size);
}

/* One entry; an error of the check itself is -1, damage is told. */
static int
entry_look(struct walk *w, struct fmt_view dir, const struct entry *en, struct err *e)
{
	struct err own;
	int rc;

	err_clear(&own);
	err_clear(&w->why);
	w->bad_bytes = 0;
	w->entries++;
	rc = xattrs_look(w, en, &own);
	if (rc == 0 && en->type == ENTRY_FILE) {
		w->files++;
		w->bytes += en->size;
		rc = extents_each(en, source_get, w->reader, id_seen, w, extent_look, w, &own);
	}
	if (rc != 0) {
		if (own.code == ERR_MEMORY || own.code == ERR_NO_SPACE) {
			if (e != NULL)
				*e = own;
			return -1;
		}
		w->why = own;
		w->bad_bytes = en->size > 0 ? en->size : 1;
	}
	if (w->bad_bytes > 0)
		entry_tell(w, dir, en);
	return 0;
}

/* The listing to its end: 0, or -1 with ${e}; ${lost}: parts that cannot be read (told). */
static int
items_look(struct walk *w, uint64_t *lost, struct err *e)
{
	const struct snapshot_root *root = &w->o->root;
	struct listing_reader *r = listing_reader_new(root->top_id, root->levels, source_get, w->reader, id_seen, w);
	struct fmt_view dir;
	struct entry en;
	struct err own;
	int bad = 0, rc;

	if (r == NULL)
		return err_set(e, ERR_MEMORY, "no memory to read a listing");
	err_clear(&own);
	while (!bad && (rc = listing_reader_next(r, &dir, &en, &own)) != 0) {
		if (rc == -1) {
			char text[512];

			++*lost;
			(void)err_during(&own, "behind %s", dir.len > 0 ? text_safe(text, sizeof(text), dir.p, dir.len) : "/");
			finding_err(w->j->found, severity_of(w->j), w->where, meaning_of(w->j, "all files in this part of the listing"), &own);
			err_clear(&own);
		} else if (rc == 1) {
			bad = entry_look(w, dir, &en, e) != 0 || (w->entries % 1024 == 0 && stop_check(e) != 0);
		}
	}
	listing_reader_free(r);
	return bad ? -1 : 0;
}

/* The ids that the listing needs are those of the signed list. */
static int
refs_compare(struct walk *w, struct source *s, struct err *e)
{
	const struct snapshot *snap = w->o->snap;
	struct refs_reader *r = NULL;
	uint8_t want[DIGEST_LEN], have[DIGEST_LEN];
	uint64_t more = 0, less = 0;
	struct err own;
	int a, b, c;

	err_clear(&own);
	for (size_t i = 0; i < snap->places && r == NULL; i++)
		r = refs_reader_new(source_container(s, snap->at[i].container), &snap->at[i].place, &snap->env, &own);
	if (r == NULL)
		return 0;	/* told before */
	if (id_sorter_rewind(w->ids, e) != 0) {
		refs_reader_free(r);
		return -1;
	}
	a = refs_reader_next(r, want, &own);
	b = id_sorter_next(w->ids, have, e);
	while (a == 1 || b == 1) {
		c = a != 1 ? 1 : b != 1 ? -1 : memcmp(want, have, DIGEST_LEN);
		more += c < 0;
		less += c > 0;
		if (c <= 0)
			a = refs_reader_next(r, want, &own);
		if (c >= 0)
			b = id_sorter_next(w->ids, have, e);
	}
	refs_reader_free(r);
	if (b == -1)
		return -1;
	if (a == 0 && less > 0)
		finding_tell(w->j->found, SEV_LOST, ERR_DAMAGE, w->where, "a vault would not keep them for it",
		    "its listing needs %llu chunks that its reference list does not name", (unsigned long long)less);
	if (a == 0 && more > 0)
		finding_tell(w->j->found, SEV_NOTE, ERR_NONE, w->where, "",
		    "its reference list names %llu chunks that its listing does not need", (unsigned long long)more);
	return 0;
}

static int
walk_run(struct walk *w, struct source *s, struct err *e)
{
	uint64_t lost = 0;

	if (id_seen(w, w->o->snap->env.root_id, KIND_ROOT, e) != 0 || items_look(w, &lost, e) != 0)
		return -1;
	if (lost == 0 && (w->entries != w->o->root.entries || w->files != w->o->root.files || w->bytes != w->o->root.bytes))
		finding_tell(w->j->found, SEV_LOST, ERR_DAMAGE, w->where, "the listing is not the one that was closed",
		    "its root chunk counts other entries, files or bytes than its listing");
	else if (lost == 0 && refs_compare(w, s, e) != 0)
		return -1;
	w->j->r->entries += w->entries;
	w->j->r->files += w->files;
	return 0;
}

int
verify_listing(struct verify_job *j, struct source *s, struct source_reader *reader, const struct snapshot *snap,
    struct err *e)
{
	const char *tmp = getenv("TMPDIR");
	struct walk w = { .j = j, .reader = reader };
	char id[SNAPSHOT_SHORT_LEN];
	struct open_snapshot o;
	struct err own;
	int dir, rc;

	err_clear(&own);
	(void)snprintf(w.where, sizeof(w.where), "snapshot %s (number %llu, set %s)", snapshot_short(id, snap->env.snapshot_id),
	    (unsigned long long)snap->env.seq, snap->env.set_name);
	if (snapshot_open(&o, s, reader, snap, j->opt->keys, &own) != 0) {
		finding_err(j->found, severity_of(j), w.where, meaning_of(j, "this snapshot cannot be restored from here"), &own);
		return 0;
	}
	w.o = &o;
	if (snapshot_refs_line(&o, s, &own) != 0)
		finding_err(j->found, SEV_LOST, w.where, "", &own);
	else if (!o.refs_checked)
		finding_tell(j->found, SEV_LOST, ERR_DAMAGE, w.where, "", "no whole reference list of it is here");
	dir = io->open(AT_FDCWD, tmp != NULL && *tmp != '\0' ? tmp : "/var/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (dir == -1) {
		rc = err_errno(e, "open the directory for temporary files");
	} else {
		w.ids = id_sorter_new(dir, j->opt->memory / 8, e);
		rc = w.ids != NULL ? walk_run(&w, s, e) : -1;
		id_sorter_free(w.ids);
		(void)io->close(dir);
	}
	snapshot_close(&o);
	return rc;
}
