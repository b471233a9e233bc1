#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/log.h"
#include "common/base/out.h"
#include "common/base/text.h"
#include "common/flow/ingest_many.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_rows.h"
#include "common/flow/vault.h"
#include "common/flow/vault_status.h"
#include "import/import_commands.h"
#include "import/import_vault.h"

#define EXIT_NOT_ALL	3
#define EXIT_DAMAGE	4

/* An image that had a gap when its disk had been taken in; another disk of the same run may fill it. */
struct gap {
	char vault[4096];
	uint8_t image[ID_LEN];
	char short_name[SHORT_LEN + 1];
};

struct told {
	struct gap *gaps;
	size_t ngaps;
	const struct vault *v;	/* of the image in hand, while it is told of */
	char vault[NAME_MAX_LEN + 1];	/* of the newest image */
	int dry_run;
	int exit;
	size_t failed, disks;
	uint64_t images, stored, bad, unclaimed;
};

static void
emit_result(const struct ingest_result *r)
{
	struct out *j = out_object("image");

	out_str(j, "image", r->short_name);
	out_bytes(j, "image_id", r->image_id, ID_LEN);
	out_u64(j, "disk", r->disk);
	out_name(j, "machine", r->machine_name, strlen(r->machine_name));
	out_bool(j, "unclaimed", r->unclaimed);
	out_bool(j, "refused", r->refused);
	if (r->unclaimed || r->refused)
		out_str(j, "why", r->why);
	out_str(j, "manifest", r->manifest);
	out_u64(j, "packs", r->packs);
	out_u64(j, "packs_read", r->packs_read);
	out_u64(j, "packs_whole", r->packs_whole);
	out_u64(j, "packs_repacked", r->packs_repacked);
	out_u64(j, "packs_bad", r->packs_bad);
	out_u64(j, "packs_repaired", r->packs_repaired);
	out_u64(j, "chunks_new", r->chunks_new);
	out_u64(j, "chunks_held", r->chunks_held);
	out_u64(j, "chunks_bad", r->chunks_bad);
	out_u64(j, "statements_bad", r->damage);
	out_u64(j, "bytes_read", r->bytes_read);
	out_u64(j, "bytes_stored", r->bytes_stored);
	out_u64(j, "bytes_needed", r->needed);
	out_u64(j, "snapshots_new", r->snapshots_new);
	out_u64(j, "snapshots_whole", r->whole);
	out_u64(j, "snapshots_pending", r->pending);
	out_u64(j, "snapshots_gap", r->gap);
	out_u64(j, "disks", r->disks);
	out_u64(j, "disks_ingested", r->disks_in);
	out_emit(j);
}

static void
print_unclaimed(const struct told *t, const struct ingest_result *r)
{
	char why[TEXT_MAX_LEN * 4 + 4];

	out_text("%s-%u  unclaimed: %s.  Nothing of it entered the vault.\n", r->short_name, r->disk,
	    text_line(why, sizeof(why), r->why));
	out_text("Compare its manifest string with the customer by telephone; then: samara-import claim %s %s\n", t->v->path,
	    r->short_name);
}

static void
print_snapshots(const struct ingest_result *r)
{
	out_text("        snapshots of %s: %u whole", r->short_name, r->whole);
	if (r->pending > 0)
		out_text(", %u pending (%u of %u disks are in)", r->pending, r->disks_in, r->disks);
	if (r->gap > 0)
		out_text(", %u with a gap", r->gap);
	out_text("\n");
}

static void
print_done(const struct told *t, const struct ingest_result *r)
{
	char machine[NAME_MAX_LEN * 4 + 4], read[HUMAN_MAX], stored[HUMAN_MAX], new[HUMAN_MAX], held[HUMAN_MAX];

	(void)text_safe(machine, sizeof(machine), r->machine_name, strlen(r->machine_name));
	(void)human_size(read, r->bytes_read);
	(void)human_size(stored, t->dry_run ? r->needed : r->bytes_stored);
	(void)human_count(new, r->chunks_new);
	(void)human_count(held, r->chunks_held);
	if (t->dry_run) {
		out_text("%s-%u  of machine %s: %s chunks (%s) would be stored, %s are held already\n", r->short_name, r->disk,
		    machine, new, stored, held);
		return;
	}
	out_text("%s-%u  of machine %s: ", r->short_name, r->disk, machine);
	if (r->nothing_new && r->chunks_bad == 0)
		out_text("all of it was in the vault already\n");
	else
		out_text("%s read, %s stored; chunks: %s new, %s held before\n", read, stored, new, held);
	if (r->packs_repaired > 0)
		out_text("        %u packs were damaged and repaired from the disk's parity\n", r->packs_repaired);
	if (r->chunks_bad > 0)
		out_text("        %u packs are damaged: %llu chunks could not be taken.  Keep the disk.\n", r->packs_bad,
		    (unsigned long long)r->chunks_bad);
	else if (r->packs_bad > 0)
		out_text("        %u packs are damaged; what they should hold is in the vault all the same\n", r->packs_bad);
	if (r->damage > 0)
		out_text("        %u statements, lists or indexes on it are damaged and could not be believed\n", r->damage);
	print_snapshots(r);
}

/* 1 if it is looked at again in the end, 0 if it counts now. */
static int
gap_note(struct told *t, const struct vault *v, const struct ingest_result *r)
{
	struct gap *more = t->disks > 1 && !t->dry_run ? realloc(t->gaps, (t->ngaps + 1) * sizeof(*more)) : NULL;

	if (more == NULL)
		return 0;
	t->gaps = more;
	(void)snprintf(more[t->ngaps].vault, sizeof(more->vault), "%s", v->path);
	memcpy(more[t->ngaps].image, r->image_id, ID_LEN);
	memcpy(more[t->ngaps++].short_name, r->short_name, sizeof(more->short_name));
	return 1;
}

static void
image_done(void *arg, const struct vault *v, const char *disk, const struct ingest_result *r)
{
	struct told *t = arg;

	(void)disk;
	t->v = v;
	memcpy(t->vault, v->desc.name, sizeof(t->vault));
	t->images++;
	t->stored += r->bytes_stored;
	t->bad += r->chunks_bad;
	t->unclaimed += (uint64_t)r->unclaimed;
	if (r->unclaimed)
		print_unclaimed(t, r);
	else if (r->refused)
		out_text("%s-%u  refused: %s.  Nothing of it entered the vault.\n", r->short_name, r->disk, r->why);
	else
		print_done(t, r);
	emit_result(r);
	if (r->chunks_bad > 0 || r->damage > 0)
		t->exit = EXIT_DAMAGE;
	else if (r->refused && t->exit == 0)
		t->exit = err_exit(ERR_RULE);
	else if ((r->unclaimed || (r->gap > 0 && !gap_note(t, v, r))) && t->exit == 0)
		t->exit = EXIT_NOT_ALL;
}

/* Whether it still has one, now that every disk was taken in; said where it has not. */
static int
gap_stays(const struct gap *g)
{
	struct vault *v = vault_open(g->vault, VAULT_NO_KEY, NULL);
	struct cat_image row;
	int stays = 1;

	memcpy(row.id, g->image, ID_LEN);
	if (v != NULL && catalog_get(v->catalog, &cat_images, &row, NULL) == 0)
		stays = row.state == IMAGE_GAP;
	vault_close(v);
	if (!stays)
		out_text("%s    its gap is filled by another disk: %s\n", g->short_name, image_state_text(row.state));
	return stays;
}

static void
gaps_judge(struct told *t)
{
	for (size_t i = 0; i < t->ngaps; i++)
		if (gap_stays(&t->gaps[i]) && t->exit == 0)
			t->exit = EXIT_NOT_ALL;
	free(t->gaps);
}

/* The first failure is the command's own and is printed by its frame; with several disks each is said as it happens. */
static void
disk_failed(void *arg, const char *disk, const struct err *e)
{
	struct told *t = arg;

	t->failed++;
	if (t->disks > 1)
		say_warn("%s: %s", disk, e->msg);
}

static void
emit_summary(const struct told *t)
{
	struct out *j = out_object("summary");

	out_str(j, "vault", t->vault);
	out_u64(j, "images", t->images);
	out_u64(j, "unclaimed", t->unclaimed);
	out_u64(j, "disks_failed", t->failed);
	out_u64(j, "chunks_bad", t->bad);
	out_u64(j, "bytes_stored", t->stored);
	out_bool(j, "dry_run", t->dry_run);
	out_emit(j);
}

int
import_ingest(struct args *a, struct err *e)
{
	struct ingest_options o = { .image = NULL };
	struct told t = { .exit = 0 };
	const struct ingest_many_told told = { &t, image_done, disk_failed };
	uint64_t jobs = 0;
	const char *named;
	size_t first;
	const struct opt opts[] = {
		{ "jobs", 'j', OPT_NUMBER, &jobs, "N", "threads that check; by default one a processor" },
		{ "image", 0, OPT_STR, &o.image, "IMAGE", "only this image of those on the disk" },
		{ NULL, 0, 0, NULL, NULL, NULL }
	};
	int rc = args_parse(a, opts, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (jobs > 1024)
		return err_set(e, ERR_USAGE, "--jobs takes a number up to 1024");
	if (import_disks(a, &named, &first, e) != 0)
		return -1;
	o.jobs = (unsigned)jobs;
	o.memory = a->memory;
	o.dry_run = t.dry_run = a->dry_run;
	t.disks = a->n - first;
	rc = ingest_many(named, import_vaults(), a->operands + first, t.disks, &o, &told, e);
	gaps_judge(&t);
	if (rc != 0) {
		if (e->code == ERR_INTERRUPTED)
			(void)err_next(e, "The same command goes on; what was stored stays.");
		return -1;
	}
	emit_summary(&t);
	return t.exit;
}
