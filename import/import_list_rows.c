#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/out.h"
#include "common/base/text.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_rows.h"
#include "common/flow/retain.h"
#include "common/flow/vault_lost.h"
#include "common/flow/vault_machine.h"
#include "common/flow/vault_status.h"
#include "import/import_list.h"

#define SECOND	INT64_C(1000000000)
#define SAFE	(TEXT_MAX_LEN * 4 + 4)
#define WORDS	64u	/* a snapshot's state */

static const char *
safe(char buf[SAFE], const char *text)
{
	return text_safe(buf, SAFE, text, strlen(text));
}

static int
machine_row(void *arg, const void *row, struct err *e)
{
	const struct cat_machine *m = row;
	struct listing *l = arg;
	char name[SAFE], day[HUMAN_MAX], id[HUMAN_MAX];
	struct out *j = out_object("machine");

	(void)e;
	if (l->rows++ == 0)
		out_text("%-24s %-8s  %-10s  %-11s  chunks\n", "machine", "id", "state", "since");
	out_text("%-24s %-8s  %-10s  %-11s  %u KiB\n", safe(name, m->name), human_id(id, m->id),
	    machine_state_text(m->state), human_day(day, m->registered / SECOND), m->chunk_avg >> 10);
	out_name(j, "name", m->name, strlen(m->name));
	out_bytes(j, "machine_id", m->id, ID_LEN);
	out_bytes(j, "domain_id", m->domain_id, DIGEST_LEN);
	out_bytes(j, "key", m->pub, SIGN_PUB_LEN);
	out_str(j, "state", machine_state_text(m->state));
	out_i64(j, "registered", m->registered / SECOND);
	out_u64(j, "chunk_size", m->chunk_avg);
	out_emit(j);
	return 0;
}

int
list_machines(struct listing *l, struct err *e)
{
	return catalog_each(l->v->catalog, &cat_machines, 0, NULL, machine_row, l, e);
}

/* Names of disks of one image that must not be erased yet. */
struct keeping {
	const struct cat_image *image;
	char line[512];
	size_t at;
};

static int
disk_keep(void *arg, const void *row, struct err *e)
{
	const struct cat_disk *d = row;
	struct keeping *k = arg;

	(void)e;
	if (d->state == DISK_REPLACED || d->state == DISK_WIPED || d->state == DISK_RETURNED || k->at + 24 >= sizeof(k->line))
		return 0;
	k->at += (size_t)snprintf(k->line + k->at, sizeof(k->line) - k->at, "%s%s-%u", k->at == 0 ? "do not erase " : ", ",
	    k->image->short_name, d->number);
	return 0;
}

/* Until the machine has answered a receipt; "" then, and for an image that counts for nothing. */
static int
keep_line(struct vault *v, const struct cat_image *i, struct keeping *k, struct err *e)
{
	struct cat_disk like;

	k->image = i;
	k->line[0] = 0;
	k->at = 0;
	if (i->state == IMAGE_HANDED_OFF || i->state == IMAGE_RELEASED || i->state == IMAGE_CANCELLED)
		return 0;
	memcpy(like.image_id, i->id, ID_LEN);
	return catalog_each(v->catalog, &cat_disks, 1, &like, disk_keep, k, e);
}

static int
image_row(void *arg, const void *row, struct err *e)
{
	const struct cat_image *i = row;
	struct listing *l = arg;
	char name[SAFE], why[SAFE], day[HUMAN_MAX], manifest[HUMAN_MAX];
	struct keeping keep;
	struct out *j;

	if (keep_line(l->v, i, &keep, e) != 0)
		return -1;
	j = out_object("image");
	if (l->rows++ == 0)
		out_text("%-6s %-24s  %-10s  %-11s  %-5s  manifest\n", "image", "machine", "state", "since", "disks");
	out_text("%-6s %-24s  %-10s  %-11s  %5u  %s\n", i->short_name, safe(name, i->machine_name),
	    image_state_text(i->state), human_day(day, i->seen / SECOND), i->disks,
	    i->generation > 0 ? human_digest(manifest, i->manifest) : "-");
	if (i->state == IMAGE_UNCLAIMED)
		out_text("       %s\n", text_line(why, sizeof(why), i->why));
	if (keep.at > 0)
		out_text("       %s\n", keep.line);
	out_bool(j, "do_not_erase", keep.at > 0);
	out_str(j, "image", i->short_name);
	out_bytes(j, "image_id", i->id, ID_LEN);
	out_bytes(j, "machine_id", i->machine_id, ID_LEN);
	out_name(j, "machine", i->machine_name, strlen(i->machine_name));
	out_str(j, "state", image_state_text(i->state));
	out_str(j, "why", i->why);
	out_i64(j, "seen", i->seen / SECOND);
	out_u64(j, "generation", i->generation);
	out_u64(j, "disks", i->disks);
	out_bytes(j, "manifest", i->manifest, DIGEST_LEN);
	out_emit(j);
	return 0;
}

int
list_images(struct listing *l, struct err *e)
{
	if (l->expected)
		return list_expected(l, e);
	return catalog_each(l->v->catalog, &cat_images, 0, NULL, image_row, l, e);
}

static int
disk_row(void *arg, const void *row, struct err *e)
{
	const struct cat_disk *d = row;
	struct listing *l = arg;
	struct cat_image i;
	char name[32], day[HUMAN_MAX], stored[HUMAN_MAX];
	struct out *j;

	if (l->expected && d->state != DISK_EXPECTED)
		return 0;
	memcpy(i.id, d->image_id, ID_LEN);
	if (catalog_get(l->v->catalog, &cat_images, &i, e) != 0)
		return -1;
	if (l->rows++ == 0)
		out_text("%-10s  %-9s  %-11s  %12s  %12s  %8s\n", "disk", "state", "since", "chunks new", "bad", "stored");
	(void)snprintf(name, sizeof(name), "%s-%u", i.short_name, d->number);
	out_text("%-10s  %-9s  %-11s  %12lld  %12lld  %8s\n", name, disk_state_text(d->state),
	    human_day(day, d->time / SECOND), (long long)d->chunks_new, (long long)d->chunks_bad,
	    human_size(stored, (uint64_t)d->bytes_stored));
	j = out_object("disk");
	out_str(j, "disk", name);
	out_bytes(j, "image_id", d->image_id, ID_LEN);
	out_u64(j, "number", d->number);
	out_str(j, "state", disk_state_text(d->state));
	out_bool(j, "complete", d->complete != 0);
	out_i64(j, "chunks_new", d->chunks_new);
	out_i64(j, "chunks_held", d->chunks_held);
	out_i64(j, "chunks_bad", d->chunks_bad);
	out_i64(j, "bytes_stored", d->bytes_stored);
	out_i64(j, "time", d->time / SECOND);
	out_emit(j);
	return 0;
}

/* A disk that was refused: all that is said of it is what its label claims. */
static int
refusal_row(void *arg, const void *row, struct err *e)
{
	const struct cat_refusal *r = row;
	struct listing *l = arg;
	char name[32], day[HUMAN_MAX], why[SAFE];
	struct out *j = out_object("refused");

	(void)e;
	if (l->rows++ == 0)
		out_text("%-10s  %-9s  %-11s\n", "disk", "state", "since");
	(void)snprintf(name, sizeof(name), "%s-%u", r->short_name, r->number);
	out_text("%-10s  %-9s  %-11s  %s\n", name, "refused", human_day(day, r->time / SECOND),
	    text_line(why, sizeof(why), r->why));
	out_str(j, "disk", name);
	out_bytes(j, "image_id", r->image_id, ID_LEN);
	out_bytes(j, "machine_id", r->machine_id, ID_LEN);
	out_u64(j, "number", r->number);
	out_str(j, "state", "refused");
	out_name(j, "why", r->why, strlen(r->why));
	out_i64(j, "time", r->time / SECOND);
	out_emit(j);
	return 0;
}

int
list_disks(struct listing *l, struct err *e)
{
	if (catalog_each(l->v->catalog, &cat_disks, 0, NULL, disk_row, l, e) != 0)
		return -1;
	return l->expected ? 0 : catalog_each(l->v->catalog, &cat_refusals, 0, NULL, refusal_row, l, e);
}

/* What was decided about it, for the end of its line. */
static const char *
fate_text(const struct vault *v, const struct cat_snapshot *s, char fate[64])
{
	char left[HUMAN_MAX];

	fate[0] = '\0';
	if (s->deleted != 0 && s->is_protected)
		(void)snprintf(fate, 64, "  deleted, protected");
	else if (s->deleted != 0)
		(void)snprintf(fate, 64, "  deleted, to be undeleted for %s", human_duration(left, retain_left(v, s) * SECOND));
	else if (s->is_protected)
		(void)snprintf(fate, 64, "  protected");
	return fate;
}

/* "pending on RM4K": what a snapshot waits for; "partial (1 file lost)". */
static int
snapshot_words(struct listing *l, const struct cat_snapshot *s, struct cat_image *i, char words[WORDS], uint64_t *lost,
    struct err *e)
{
	char n[HUMAN_MAX];
	int rc = 1;

	*lost = 0;
	if (s->state == SNAPSHOT_PARTIAL && vault_files_lost(l->v, s->machine_id, s->seq, lost, e) != 0)
		return -1;

	i->short_name[0] = '\0';
	if (s->state == SNAPSHOT_PENDING) {
		memcpy(i->id, s->pending_on, ID_LEN);
		if ((rc = catalog_get(l->v->catalog, &cat_images, i, e)) < 0)
			return -1;
	}
	if (rc == 0)
		(void)snprintf(words, WORDS, "pending on %s", i->short_name);
	else if (*lost > 0)
		(void)snprintf(words, WORDS, "partial (%s file%s lost)", human_count(n, *lost), *lost == 1 ? "" : "s");
	else
		(void)snprintf(words, WORDS, "%s", snapshot_state_text(s->state));
	return 0;
}

static int
snapshot_print(struct listing *l, const struct cat_snapshot *s, const struct cat_machine *m, struct err *e)
{
	char words[WORDS], fate[64];
	struct cat_image on;
	uint64_t lost;
	char name[SAFE], set[SAFE], begin[HUMAN_MAX], id[HUMAN_MAX], chunks[HUMAN_MAX];
	struct out *j;

	if (snapshot_words(l, s, &on, words, &lost, e) != 0)
		return -1;
	j = out_object("snapshot");
	if (l->rows++ == 0)
		out_text("%-8s  %-18s  %6s  %-17s  %-12s  %-15s  %12s  missing\n", "snapshot", "machine", "number", "of", "set",
		    "state", "chunks");
	out_text("%-8s  %-18s  %6lld  %-17s  %-12s  %-15s  %12s  %lld%s\n", human_id(id, s->id), safe(name, m->name),
	    (long long)s->seq, human_date(begin, s->begin_ns / SECOND), safe(set, s->set_name), words,
	    human_count(chunks, (uint64_t)s->refs_count), (long long)s->missing, fate_text(l->v, s, fate));
	out_bytes(j, "snapshot_id", s->id, ID_LEN);
	out_bytes(j, "machine_id", s->machine_id, ID_LEN);
	out_name(j, "machine", m->name, strlen(m->name));
	out_i64(j, "number", s->seq);
	out_str(j, "set", s->set_name);
	out_i64(j, "begin", s->begin_ns / SECOND);
	out_i64(j, "end", s->end_ns / SECOND);
	out_i64(j, "received", s->received / SECOND);
	out_bytes(j, "image_id", s->image_id, ID_LEN);
	out_str(j, "state", snapshot_state_text(s->state));
	out_i64(j, "chunks", s->refs_count);
	out_i64(j, "missing", s->missing);
	out_i64(j, "promised", s->promised);
	out_i64(j, "given_up", s->given_up);
	if (s->state == SNAPSHOT_PARTIAL)
		out_u64(j, "files_lost", lost);
	if (on.short_name[0] != '\0')
		out_str(j, "pending_on", on.short_name);
	out_bool(j, "deleted", s->deleted != 0);
	if (s->deleted != 0) {
		out_i64(j, "deleted_time", s->deleted_time / SECOND);
		out_i64(j, "undelete_left", retain_left(l->v, s));
	}
	out_bool(j, "protected", s->is_protected != 0);
	out_emit(j);
	return 0;
}

static int
snapshot_row(void *arg, const void *row, struct err *e)
{
	const struct cat_snapshot *s = row;
	struct listing *l = arg;
	struct cat_machine m;

	if (vault_machine(l->v, s->machine_id, &m, e) != 0)
		return -1;
	return snapshot_print(l, s, &m, e);
}

int
list_snapshots(struct listing *l, struct err *e)
{
	return catalog_each(l->v->catalog, &cat_snapshots, 0, NULL, snapshot_row, l, e);
}

static int
gap_row(void *arg, const void *row, struct err *e)
{
	const struct cat_snapshot *s = row;
	const struct listing *l = arg;

	if (s->state != SNAPSHOT_GAP || (l->has_machine && memcmp(s->machine_id, l->machine_id, ID_LEN) != 0) ||
	    (l->has_image && memcmp(s->image_id, l->image_id, ID_LEN) != 0))
		return 0;
	return snapshot_row(arg, row, e);
}

int
list_gaps(struct listing *l, struct err *e)
{
	if (catalog_each(l->v->catalog, &cat_snapshots, 0, NULL, gap_row, l, e) != 0)
		return -1;
	return list_missing(l, e);
}

static int
credential_row(void *arg, const void *row, struct err *e)
{
	static const char *const purposes[] = { "?", "new", "replace", "restore-only" };
	const struct cat_credential *c = row;
	struct listing *l = arg;
	char name[SAFE], day[HUMAN_MAX], id[HUMAN_MAX];
	const char *purpose = purposes[c->purpose <= PURPOSE_RESTORE_ONLY ? c->purpose : 0];
	struct out *j = out_object("credential");

	(void)e;
	if (l->rows++ == 0)
		out_text("%-10s  %-24s  %-12s  %-10s  use by\n", "credential", "machine", "purpose", "state");
	out_text("%-10s  %-24s  %-12s  %-10s  %s\n", human_id(id, c->id),
	    c->machine_name[0] == '\0' ? "(any)" : safe(name, c->machine_name), purpose, credential_state_text(c->state),
	    human_date(day, c->use_by));
	out_bytes(j, "credential_id", c->id, ID_LEN);
	out_name(j, "machine", c->machine_name, strlen(c->machine_name));
	out_str(j, "purpose", purpose);
	out_str(j, "state", credential_state_text(c->state));
	out_i64(j, "issued", c->issued);
	out_i64(j, "use_by", c->use_by);
	out_i64(j, "arrive_by", c->arrive_by);
	if (c->state == CREDENTIAL_USED)
		out_bytes(j, "used_by", c->used_by, ID_LEN);
	out_emit(j);
	return 0;
}

int
list_credentials(struct listing *l, struct err *e)
{
	return catalog_each(l->v->catalog, &cat_credentials, 0, NULL, credential_row, l, e);
}

static void
alert_row(void *arg, const struct attention *a)
{
	struct listing *l = arg;
	struct out *j = out_object("alert");

	l->rows++;
	out_text("%-10s  %s\n            %s\n", a->kind, a->what, a->next);
	out_str(j, "kind", a->kind);
	out_str(j, "what", a->what);
	out_str(j, "next", a->next);
	out_emit(j);
}

int
list_alerts(struct listing *l, struct err *e)
{
	struct vault_status s;

	return vault_status(l->v, &s, alert_row, l, e);
}
