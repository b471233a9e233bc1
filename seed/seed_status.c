#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/io.h"
#include "common/base/out.h"
#include "common/base/text.h"
#include "common/flow/image_state.h"
#include "common/flow/job.h"
#include "common/flow/kit_file.h"
#include "common/flow/parcel.h"
#include "common/flow/snapshot_list.h"
#include "common/flow/state.h"
#include "seed/seed_commands.h"
#include "seed/seed_state.h"
#include "seed/seed_status_line.h"

#define LINE_MAX_LEN	1024
#define NS		1000000000

/* What there is to be said, gathered before a word is printed. */
struct status {
	struct state *s;
	struct image_state **images;
	size_t n;
	const struct image_state *sealed, *building;	/* the newest of each, NULL: none; sealed: not handed off */
	const struct image_state *held;	/* the newest that the vault has answered for; NULL: none */
	size_t nsealed, nbuilding, ncancelled, nlost;
	const struct image_state *leant;	/* cancelled or lost, and the newest sealed one leans on it; NULL: none */
	uint64_t snapshots;		/* in sealed images that count and are not handed off */
	uint64_t whole;			/* in those handed off */
	int64_t newest;			/* end of the newest of them; 0: none */
	const char *on;			/* the image of the newest */
	struct job_info last;		/* the last build; number 0: none */
	struct status_line line;
	uint64_t by_line;		/* snapshots that went over the line, and of them: */
	uint64_t line_pending;		/* later than an image that is on its way */
	int64_t line_newest;
	int kit;			/* as kit_note_read */
	struct kit_note note;
};

static void
images_look(struct status *st)
{
	const struct image_state *topup = NULL;

	for (size_t i = 0; i < st->n; i++) {
		const struct image_state *im = st->images[i];

		if (im->cancelled || im->lost) {
			st->ncancelled += im->cancelled;
			st->nlost += !im->cancelled;
			continue;
		}
		if (im->answer_bytes != NULL) {
			st->held = im;
			st->whole += im->envelope.seq != 0;
			continue;
		}
		if (image_is_unfinished(im)) {
			st->building = im;
			st->nbuilding++;
			continue;
		}
		st->nsealed++;
		if (im->envelope.seq == 0) {
			topup = im;
			continue;
		}
		st->sealed = im;
		st->snapshots++;
		if (im->envelope.end_ns / NS >= st->newest) {
			st->newest = im->envelope.end_ns / NS;
			st->on = im->begin.short_name;
		}
	}
	/* A top-up has nothing of its own to protect: what it mends is spoken of, and where that is handed off it has arrived. */
	if (st->sealed == NULL && st->held == NULL)
		st->sealed = topup;
}

/* Snapshots that came to the vault by no disk.  What an image on its way promises, they may need. */
static int
by_line_look(struct status *st, struct err *e)
{
	static const uint8_t none[ID_LEN];
	struct snapshot_list list = { 0 };
	uint64_t from = UINT64_MAX, latest;

	for (size_t i = 0; i < st->n; i++) {
		const struct image_state *im = st->images[i];

		if (image_counts(im) && im->answer_bytes == NULL && im->envelope.seq != 0 && im->envelope.seq < from)
			from = im->envelope.seq;
	}
	if (snapshot_list_state(&list, st->s, e) != 0)
		return -1;
	for (size_t i = 0; i < list.n; i++) {
		const struct envelope *v = &list.snap[i].env;

		if (memcmp(v->image_id, none, ID_LEN) != 0 || (st->line.reachable && v->seq > st->line.head_seq))
			continue;
		/* One that was closed here and never committed there is no merge base. */
		if (set_latest(st->s, v->set_name, &latest, e) != 0) {
			snapshot_list_release(&list);
			return -1;
		}
		if (v->seq > latest)
			continue;
		st->by_line++;
		if (v->seq > from)
			st->line_pending++;
		if (v->end_ns / NS > st->line_newest)
			st->line_newest = v->end_ns / NS;
	}
	snapshot_list_release(&list);
	st->snapshots += st->line_pending;
	st->whole += st->by_line - st->line_pending;
	if (st->line_pending > 0 && st->line_newest > st->newest)
		st->newest = st->line_newest;
	return 0;
}

/* Sealed, with a snapshot, and the vault has not answered for it. */
static bool
is_waiting(const struct image_state *im)
{
	return image_counts(im) && !image_is_unfinished(im) && im->answer_bytes == NULL && im->envelope.seq != 0;
}

/* What the vault says of all snapshots that it has, where it answers; those that it has not heard of wait too. */
static void
vault_says(struct status *st)
{
	if (!st->line.reachable)
		return;
	st->whole = st->line.whole;
	st->snapshots = st->line.pending;
	for (size_t i = 0; i < st->n; i++)
		st->snapshots += is_waiting(st->images[i]) && st->images[i]->envelope.seq > st->line.head_seq;
}

/* Has the vault answered for an image of the same set? */
static bool
set_is_held(const struct status *st, const char *set)
{
	for (size_t i = 0; i < st->n; i++)
		if (st->images[i]->answer_bytes != NULL && image_counts(st->images[i]) && st->images[i]->envelope.seq != 0 &&
		    strcmp(st->images[i]->envelope.set_name, set) == 0)
			return true;
	return false;
}

/* Does every set that waits for an image have a snapshot that is whole at the vault? */
static bool
has_older(const struct status *st)
{
	if (st->line.reachable ? st->line.whole == 0 || st->line.sets_waiting > 0 : st->held == NULL)
		return false;
	for (size_t i = 0; i < st->n; i++) {
		const struct image_state *im = st->images[i];

		if (is_waiting(im) && !(st->line.reachable && im->envelope.seq <= st->line.head_seq) &&
		    !set_is_held(st, im->envelope.set_name))
			return false;
	}
	return true;
}

/* A cancelled or lost image that the newest sealed one cannot be restored without. */
static void
leant_look(struct status *st)
{
	struct fmt_view ids = st->sealed != NULL ? st->sealed->manifest.leans_on : (struct fmt_view){ 0 };

	for (size_t i = 0; i < st->n; i++)
		for (size_t k = 0; (st->images[i]->cancelled || st->images[i]->lost) && k < list_count(ids, ID_LEN); k++)
			if (memcmp(st->images[i]->begin.image_id, ids.p + k * ID_LEN, ID_LEN) == 0)
				st->leant = st->images[i];
}

/* The build that was started last. */
static int
jobs_look(struct status *st, struct err *e)
{
	uint64_t *numbers;
	size_t n;
	int rc = 0;

	if (job_list(st->s, &numbers, &n, e) != 0)
		return -1;
	while (n-- > 0) {
		if ((rc = job_read(st->s, numbers[n], &st->last, e)) == 0 && (strcmp(st->last.kind, "build") == 0 ||
		    strcmp(st->last.kind, "backup") == 0 || strcmp(st->last.kind, "refill") == 0))
			break;
		if (rc == -1)
			break;
		job_info_release(&st->last);
		st->last.number = 0;
		rc = 0;
	}
	free(numbers);
	return rc;
}

/* What an unfinished image waits for. */
static void
building_words(const struct image_state *im, char *line)
{
	char when[SEED_WHEN_MAX];
	const char *name = im->begin.short_name;

	(void)seed_when(when, im->begin.begin_ns / NS);
	if (image_is_written(im))
		(void)snprintf(line, LINE_MAX_LEN, "image %s is written since %s, and not sealed.  Seal it: samara-seed key test %s "
		    "--from DISK", name, when, name);
	else
		(void)snprintf(line, LINE_MAX_LEN, "image %s is building since %s%s.  Go on with samara-seed build --resume --to "
		    "DISK, or give it up with samara-seed cancel %s", name, when,
		    im->sealed ? ", anew since a disk of it was replaced" : image_disks_done(im) ? ", and needs another disk" : "", name);
}

/* Where a sealed image is. */
static void
sealed_words(const struct status *st, const struct image_state *im, char line[LINE_MAX_LEN])
{
	size_t disks = list_count(im->manifest.disks, MANIFEST_DISK_LEN);
	char when[SEED_WHEN_MAX], words[PARCEL_WORDS_MAX];
	const char *name = im->begin.short_name;
	struct parcel p;
	int64_t late;

	if (parcel_of(im, &p, NULL) != 0) {
		(void)snprintf(line, LINE_MAX_LEN, "image %s is sealed and must be shipped to vault %s (%zu disk%s, since %s).  "
		    "Next: samara-seed ship %s --carrier C --tracking T", name, st->s->trust.vault_name, disks,
		    disks == 1 ? "" : "s", seed_when(when, im->manifest.sealed), name);
		return;
	}
	late = parcel_days_late(p.arrives, io_now());
	(void)parcel_words(words, p.shipped, p.arrives, p.carrier, p.tracking);
	if (late == 0)
		(void)snprintf(line, LINE_MAX_LEN, "image %s is in the parcel (%.700s).", name, words);
	else
		(void)snprintf(line, LINE_MAX_LEN, "image %s is in the parcel (%.700s), %" PRId64 " day%s late.  Ask the carrier and the "
		    "vault; where it is lost: samara-seed lost %s", name, words, late, late == 1 ? "" : "s", name);
}

/* Disks came, and something of them could not be read; or something was damaged since. */
static void
missing_words(const struct status *st, char line[LINE_MAX_LEN])
{
	(void)snprintf(line, LINE_MAX_LEN, "vault %s misses %" PRIu64 " chunks of this machine's snapshots.  Next: samara-seed refill",
	    st->s->trust.vault_name, st->line.missing);
}

/* The word for the state of things, and why and what to do in ${line}. */
static const char *
verdict(const struct status *st, char line[LINE_MAX_LEN])
{
	char when[SEED_WHEN_MAX], cancelled[96] = "";

	if (st->line.there && !st->line.reachable && st->line.why.code == ERR_TOKEN) {
		(void)snprintf(line, LINE_MAX_LEN, "vault %s takes nothing from this machine any more: %.500s", st->s->trust.vault_name,
		    st->line.why.msg);
		return "NOT PROTECTED";
	}
	if (st->sealed != NULL) {
		if (st->line.reachable && st->line.missing > 0)
			missing_words(st, line);
		else
			sealed_words(st, st->sealed, line);
		return has_older(st) ? "PROTECTED BUT" : "NOT YET PROTECTED OFF SITE";
	}
	if (st->line.reachable && st->line.missing > 0 && (st->held != NULL || st->by_line > 0)) {
		missing_words(st, line);
		return "PROTECTED BUT";
	}
	if (st->line.notices > 0 && (st->held != NULL || st->by_line > 0)) {
		(void)snprintf(line, LINE_MAX_LEN, "vault %s says: %s.", st->s->trust.vault_name, st->line.notice[0]);
		return "PROTECTED BUT";
	}
	if (st->by_line > 0 && (st->held == NULL || st->line_newest > st->held->envelope.end_ns / NS)) {
		(void)snprintf(line, LINE_MAX_LEN, "vault %s has the snapshot of %s.", st->s->trust.vault_name,
		    seed_when(when, st->line_newest));
		return "PROTECTED";
	}
	if (st->held != NULL) {
		(void)snprintf(line, LINE_MAX_LEN, "vault %s holds image %s of %s and has answered for it.", st->s->trust.vault_name,
		    st->held->begin.short_name, seed_when(when, st->held->manifest.sealed));
		return "PROTECTED";
	}
	if (st->building != NULL) {
		building_words(st->building, line);
		return "NOT PROTECTED";
	}
	if (st->ncancelled + st->nlost != 0)
		(void)snprintf(cancelled, sizeof(cancelled), " but %zu that %s %s", st->ncancelled + st->nlost,
		    st->ncancelled + st->nlost == 1 ? "was" : "were", st->nlost == 0 ? "cancelled" : st->ncancelled == 0 ? "lost" :
		    "cancelled or lost");
	(void)snprintf(line, LINE_MAX_LEN, "there is no image of this machine%s, registered %s.  Next: samara-seed build --to DISK "
	    "PATH...", cancelled, seed_when(when, st->s->member.made));
	return "NOT PROTECTED";
}

static const char *
kit_word(const struct status *st)
{
	if (st->kit != 0)
		return "not saved (samara-seed key kit --kit FILE)";
	return st->note.inside ? "only in the state directory: copy it away from this machine" : "saved";
}

static void
last_print(const struct status *st)
{
	const struct job_info *j = &st->last;
	char when[SEED_WHEN_MAX], text[2048], warned[96] = "";

	if (j->number == 0) {
		out_text("last run    none\n");
		return;
	}
	if (j->warnings != 0)
		(void)snprintf(warned, sizeof(warned), ", %" PRIu64 " warning%s (samara-seed jobs %" PRIu64 ")", j->warnings,
		    j->warnings == 1 ? "" : "s", j->number);
	out_text("last run    %s, %s%s\n", seed_when(when, j->start), text_line(text, sizeof(text), j->result != NULL ? j->result :
	    j->running ? "running" : "was cut off"), warned);
}

/* Another image that waits, or travels, beside the newest. */
static bool
is_sealed_too(const struct status *st, const struct image_state *im)
{
	return im != st->sealed && image_counts(im) && im->answer_bytes == NULL;
}

static void
next_print(const struct status *st)
{
	char when[SEED_WHEN_MAX], word[STATUS_LINE_MAX], day[HUMAN_MAX], pledge[96] = "";

	if (st->line.pledge_until != 0)
		(void)snprintf(pledge, sizeof(pledge), ".  pledge: until %s", human_day(day, st->line.pledge_until));
	else if (st->line.there && st->line.unpledged != NULL)
		(void)snprintf(pledge, sizeof(pledge), ".  pledge: the vault has not heard of %s", st->line.unpledged);
	out_text("next run    %s.  line: %s.  kit: %s%s\n", st->line.next != 0 ? seed_when(when, st->line.next) : "when you start one",
	    status_line_word(&st->line, word), kit_word(st), pledge);
}

static void
snapshots_print(const struct status *st)
{
	char when[SEED_WHEN_MAX], whole[SEED_WHEN_MAX + 64] = "none", newest[SEED_WHEN_MAX + 64] = "";

	if (st->whole != 0 && st->line.reachable && st->line.newest_whole != 0)
		(void)snprintf(whole, sizeof(whole), "%" PRIu64 ", newest %s", st->whole, seed_when(when, st->line.newest_whole));
	else if (st->whole != 0)
		(void)snprintf(whole, sizeof(whole), "%" PRIu64, st->whole);
	if (st->newest != 0 && st->on != NULL)
		(void)snprintf(newest, sizeof(newest), ", newest %s on %s", seed_when(when, st->newest), st->on);
	if (st->snapshots != 0)
		out_text("snapshots   %" PRIu64 " pending%s.  whole: %s\n", st->snapshots, newest, whole);
	else if (st->whole != 0)
		out_text("snapshots   %" PRIu64 " whole at the vault\n", st->whole);
	else
		out_text("snapshots   %s\n", st->line.reachable && st->line.missing > 0 ? "with gaps (samara-seed snapshots)" : "none");
}

static void
text_print(const struct status *st, const char *word, const char *why)
{
	char line[LINE_MAX_LEN], keep[512];

	out_text("%s: %s\n", word, why);
	if (st->leant != NULL)
		out_text("attention   image %s cannot be restored without a disk of %s, which is %s: build again\n",
		    st->sealed->begin.short_name, st->leant->begin.short_name, image_state_word(st->leant));
	if (status_line_ends_soon(&st->line, io_now()))
		out_text("attention   the pledge of %s ends on %s: ask where its disks are; the vault can wait longer (samara-import pledge "
		    "VAULT %s --extend 30d)\n", st->line.pledged, human_day(keep, st->line.pledge_until), st->line.pledged);
	for (unsigned i = strcmp(word, "PROTECTED BUT") == 0 && st->line.missing == 0; i < st->line.notices; i++)
		out_text("attention   vault %s says: %s\n", st->s->trust.vault_name, st->line.notice[i]);
	for (size_t i = 0; i < st->n; i++)
		if (is_sealed_too(st, st->images[i])) {
			sealed_words(st, st->images[i], line);
			out_text("also        %s\n", line);
		}
	snapshots_print(st);
	if (st->building != NULL && (st->sealed != NULL || st->held != NULL)) {
		building_words(st->building, line);
		out_text("unfinished  %s\n", line);
	}
	for (size_t i = 0; i < st->n; i++)
		if (seed_keep_line(st->images[i], keep, sizeof(keep))[0] != 0)
			out_text("disks       %s\n", keep);
	last_print(st);
	next_print(st);
}

static void
json_print(const struct status *st, const char *word, const char *why)
{
	struct out *o = out_object("summary");

	out_str(o, "status", word);
	out_str(o, "reason", why);
	out_name(o, "machine", st->s->id.machine_name, strlen(st->s->id.machine_name));
	out_str(o, "vault", st->s->trust.vault_name);
	out_u64(o, "images_sealed", st->nsealed);
	out_u64(o, "images_building", st->nbuilding);
	if (st->leant != NULL)
		out_str(o, "leans_on_cancelled", st->leant->begin.short_name);
	out_u64(o, "images_lost", st->nlost);
	out_u64(o, "snapshots", st->snapshots);
	out_u64(o, "snapshots_whole", st->whole);
	if (st->newest != 0)
		out_i64(o, "newest", st->newest);
	if (st->last.number != 0) {
		out_u64(o, "last_job", st->last.number);
		out_u64(o, "last_warnings", st->last.warnings);
	}
	out_str(o, "line", !st->line.there ? "none" : st->line.reachable ? "reachable" : "not reachable");
	if (st->line.reachable)
		out_u64(o, "missing", st->line.missing);
	if (st->line.notices > 0) {
		struct out *list = out_list(o, "notices");

		for (unsigned i = 0; i < st->line.notices; i++)
			out_str(list, "", st->line.notice[i]);
		out_end(list);
	}
	if (st->line.pledge_until != 0)
		out_i64(o, "pledge_until", st->line.pledge_until);
	if (st->line.next != 0)
		out_i64(o, "next_run", st->line.next);
	out_str(o, "kit", st->kit != 0 ? "missing" : st->note.inside ? "inside state" : "saved");
	out_emit(o);
}

static int
status_gather(struct status *st, struct err *e)
{
	if (seed_images_load(st->s, &st->images, &st->n, e) != 0)
		return -1;
	images_look(st);
	leant_look(st);
	if (status_line_gather(st->s, st->images, st->n, &st->line, e) != 0 || by_line_look(st, e) != 0)
		return -1;
	vault_says(st);
	if (jobs_look(st, e) != 0)
		return -1;
	st->kit = kit_note_read(st->s, &st->note, e);
	return st->kit == -1 ? -1 : 0;
}

int
seed_status(struct args *a, struct err *e)
{
	const struct opt opts[] = { { NULL } };
	char line[LINE_MAX_LEN];
	struct status st = { 0 };
	const char *word;
	int rc;

	if ((rc = args_parse(a, opts, e)) != 0)
		return rc > 0 ? 0 : -1;
	if (args_operands(a, 0, 0, e) != 0 || (st.s = seed_state_open(a, e)) == NULL)
		return -1;
	if ((rc = status_gather(&st, e)) == 0) {
		word = verdict(&st, line);
		text_print(&st, word, line);
		json_print(&st, word, line);
		rc = strncmp(word, "PROTECTED", 9) == 0 ? 0 : 1;	/* all other words mean that a hand is needed */
	}
	job_info_release(&st.last);
	seed_images_free(st.images, st.n);
	state_free(st.s);
	return rc;
}
