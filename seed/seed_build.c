/* samara-seed build: options in, one flow, what came of it. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/human.h"
#include "common/base/out.h"
#include "common/base/passphrase.h"
#include "common/base/prompt.h"
#include "common/flow/build.h"
#include "common/flow/new_file.h"
#include "seed/seed_background.h"
#include "seed/seed_commands.h"
#include "seed/seed_source.h"

struct build_args {
	struct build_options o;
	struct opt_list to;
	struct seed_source src;
	const char *passphrase_file, *replace, *missing, *given_up;
	const char **disks;		/* of --replace and --to */
	char image[SHORT_LEN + 1];	/* of --replace */
	char last[4096];		/* what was answered to "Next disk?" */
	int resume, full, plain, no_test, no_back;
	int background, spread;
	uint64_t reserve;
	uint32_t parity;
	struct passphrase pass;
};

static int
ask(void *arg, char **pass, size_t *len, struct err *e)
{
	struct build_args *b = arg;

	if (b->pass.text == NULL && passphrase_get(&b->pass, b->passphrase_file, "passphrase, for the key test", 0, e) != 0)
		return -1;
	*pass = b->pass.text;
	*len = b->pass.len;
	return 0;
}

static void
report(const struct build_args *b, const struct build_report *r, int rc)
{
	char size[HUMAN_MAX], digest[HUMAN_MAX], count[HUMAN_MAX], unchanged[HUMAN_MAX], jobs[96] = "";
	struct out *o;

	if (out_is_json()) {
		o = out_object("summary");
		out_str(o, "image", r->short_name);
		out_bytes(o, "snapshot", r->snapshot_id, ID_LEN);
		out_u64(o, "number", r->seq);
		out_bool(o, "sealed", r->sealed);
		out_u64(o, "disks", r->disks);
		out_bool(o, "read_back", r->read_back);
		out_u64(o, "files", r->result.files);
		out_u64(o, "entries", r->result.entries);
		out_u64(o, "bytes", r->result.bytes);
		out_u64(o, "unchanged", r->result.unchanged);
		out_u64(o, "read_bytes", r->result.read_bytes);
		out_u64(o, "stored_bytes", r->disk_bytes);
		out_u64(o, "packs", r->disk_packs);
		out_u64(o, "unreadable", r->result.unreadable);
		out_u64(o, "missing", r->missing);
		out_u64(o, "given_up", r->given_up);
		out_u64(o, "files_lost", r->files_lost);
		out_u64(o, "job", r->job);
		out_bytes(o, "manifest", r->manifest_digest, DIGEST_LEN);
		out_emit(o);
		return;
	}
	if (r->missing > 0)
		out_text("%llu of %llu missing chunks made again%s%llu cannot be had any more and are given up%s.\n",
		    (unsigned long long)(r->missing - r->given_up), (unsigned long long)r->missing, r->given_up > 0 ? "; " : ": ",
		    (unsigned long long)r->given_up, r->files_lost > 0 ? " (the files are named above)" : "");
	human_count(count, r->result.files);
	human_count(unchanged, r->result.unchanged);
	human_size(size, r->disk_bytes);
	if (rc == 3 && r->result.unreadable > 0)
		snprintf(jobs, sizeof(jobs), " %llu files could not be read (samara-seed jobs %llu).",
		    (unsigned long long)r->result.unreadable, (unsigned long long)r->job);
	if (r->result.files > 0 || r->result.entries > 0)
		out_text("image %s sealed: %u disk%s, %s, %s files, %s of them unchanged.%s\n", r->short_name, r->disks,
		    r->disks == 1 ? "" : "s", size, count, unchanged, jobs);
	else
		out_text("image %s sealed: %u disk%s, %s.\n", r->short_name, r->disks, r->disks == 1 ? "" : "s", size);
	out_text("manifest %s. Nobody can open %s without kit + passphrase. Next: samara-seed ship --carrier C --tracking T\n",
	    human_digest(digest, r->manifest_digest), r->disks == 1 ? "this disk" : "these disks");
	(void)b;
}

/* Told of each disk that can be removed. */
static void
disk_done(void *arg, const struct build_disk_report *d)
{
	char size[HUMAN_MAX];
	struct out *o;

	(void)arg;
	out_text("%s  %s%s, %s. Write \"%s\" on it; %s.\n", d->name, d->full ? "full, " : "",
	    human_size(size, d->bytes), d->read_back ? "read back without error" : "not read back from the medium", d->name,
	    d->mounted ? "it is still mounted: unmount it before you remove it" : "you can remove it");
	o = out_object("disk");
	out_bool(o, "mounted", d->mounted);
	out_str(o, "disk", d->name);
	out_bool(o, "full", d->full);
	out_u64(o, "bytes", d->bytes);
	out_u64(o, "packs", d->packs);
	out_bool(o, "read_back", d->read_back);
	out_emit(o);
}

/* A person at the terminal puts in another disk; the same place is what an empty line says. */
static int
disk_ask(void *arg, const char *last, char *path, size_t n, struct err *e)
{
	struct build_args *b = arg;
	const char *same = b->last[0] != 0 ? b->last : b->o.disks[b->o.ndisks - 1];
	char question[4200];
	size_t len;

	(void)last;
	if (!isatty(STDIN_FILENO) || out_is_json())
		return 1;
	(void)snprintf(question, sizeof(question), "Next disk? [%s]", same);
	if (prompt_line(question, path, n, &len, e) != 0) {
		if (e->code == ERR_INTERRUPTED)
			return -1;
		err_clear(e);
		return 1;
	}
	if (len == 0)
		(void)snprintf(path, n, "%s", same);
	(void)snprintf(b->last, sizeof(b->last), "%s", path);
	return 0;
}

static void
report_dry(const struct build_report *r)
{
	char count[HUMAN_MAX], size[HUMAN_MAX], unchanged[HUMAN_MAX], to_read[HUMAN_MAX];
	struct out *o;

	if (out_is_json()) {
		o = out_object("summary");
		out_bool(o, "dry_run", 1);
		out_u64(o, "entries", r->result.entries);
		out_u64(o, "files", r->result.files);
		out_u64(o, "bytes", r->result.bytes);
		out_u64(o, "unchanged", r->result.unchanged);
		out_u64(o, "read_bytes", r->result.read_bytes);
		out_u64(o, "unreadable", r->result.unreadable);
		out_emit(o);
		return;
	}
	if (r->missing > 0) {
		out_text("%llu of %llu missing chunks can be made again; %llu cannot be had any more. Nothing was written.\n",
		    (unsigned long long)(r->missing - r->given_up), (unsigned long long)r->missing, (unsigned long long)r->given_up);
		return;
	}
	out_text("would take %s files, %s; %s of them unchanged, %s to read. Nothing was written.\n",
	    human_count(count, r->result.files), human_size(size, r->result.bytes),
	    human_count(unchanged, r->result.unchanged), human_size(to_read, r->result.read_bytes));
}

/* --replace RM4K-1=NEW and --to, in this order. */
static int
disks_fill(struct build_args *b, struct err *e)
{
	struct build_options *o = &b->o;
	const char *dash = b->replace != NULL ? strchr(b->replace, '-') : NULL, *equal;
	char *end = NULL;

	if ((b->disks = calloc(b->to.n + 1, sizeof(*b->disks))) == NULL)
		return err_errno(e, "build");
	o->disks = b->disks;
	if (b->replace != NULL) {
		equal = strchr(b->replace, '=');
		if (dash == NULL || equal == NULL || dash != b->replace + SHORT_LEN || equal[1] == 0 || dash[1] < '1' || dash[1] > '9' ||
		    (o->replace = (uint32_t)strtoul(dash + 1, &end, 10)) == 0 || end != equal)
			return err_set(e, ERR_USAGE, "--replace takes OLD=NEW, like RM4K-1=/mnt/usb2");
		memcpy(b->image, b->replace, SHORT_LEN);
		o->image = b->image;
		o->resume = true;
		b->disks[o->ndisks++] = equal + 1;
	}
	for (size_t i = 0; i < b->to.n; i++)
		b->disks[o->ndisks++] = b->to.v[i];
	return 0;
}

static int
options_fill(struct build_args *b, const struct args *a, char *state, struct err *e)
{
	struct build_options *o = &b->o;

	if (seed_source_fill(&b->src, a, state, o, e) != 0)
		return -1;
	o->resume = b->resume;
	o->full = b->full;
	o->plain_directory = b->plain;
	o->no_read_back = b->no_back;
	o->no_key_test = b->no_test;
	o->missing = b->missing;
	o->given_up = b->given_up;
	o->passphrase = ask;
	o->passphrase_arg = b;
	o->spread = b->spread;
	o->reserve = b->reserve;
	o->parity = b->parity == UINT32_MAX ? -1 : (int)(b->parity / 10000);
	o->disk_done = disk_done;
	o->disk_ask = disk_ask;
	o->disk_arg = b;
	if (disks_fill(b, e) != 0)
		return -1;
	if (o->ndisks == 0 && !o->resume)
		return err_set(e, ERR_USAGE, "where to? Give --to DISK");
	if (b->parity != UINT32_MAX && (b->parity > 20 * 10000 || b->parity % 10000 != 0))
		return err_set(e, ERR_USAGE, "--parity is 0 to 20 percent");
	if (o->resume && (a->n > 0 || b->src.npatterns > 0))
		return err_set(e, ERR_USAGE, "--resume knows its paths and patterns; give none");
	if (b->missing != NULL && (b->resume || a->n > 0 || b->src.npatterns > 0 || b->src.set != NULL))
		return err_set(e, ERR_USAGE, "--missing takes what the list names; give no paths, patterns or set");
	if (b->given_up != NULL && (b->missing == NULL || new_file_check(b->given_up, e) != 0))
		return b->missing == NULL ? err_set(e, ERR_USAGE, "--given-up goes with --missing") : -1;
	if (!o->resume && b->missing == NULL && a->n == 0)
		return err_set(e, ERR_USAGE, "what shall be backed up? Give at least one PATH");
	return 0;
}

/* Whatever there is to ask is asked while there is somebody to answer. */
static int
background(struct build_args *b, const struct args *a, struct err *e)
{
	char *pass;
	size_t len;

	if (!b->background || a->dry_run)
		return 0;
	if (seed_background(e) != 0)
		return -1;
	return b->no_test ? 0 : ask(b, &pass, &len, e);
}

int
seed_build(struct args *a, struct err *e)
{
	struct build_args b = { .parity = UINT32_MAX, .reserve = UINT64_MAX, .src = { .level = 1 } };
	const struct opt opts[] = {
		{ "to", 0, OPT_LIST, &b.to, "DISK", "a disk to write to: a mounted directory or a block device" },
		{ "spread", 0, OPT_FLAG, &b.spread, NULL, "write all disks at the same time" },
		{ "reserve", 0, OPT_SIZE, &b.reserve, "SIZE", "leave so much free on each disk" },
		{ "parity", 0, OPT_PERCENT, &b.parity, "P%", "parity on each disk, 0 to 20 percent (5)" },
		SEED_SOURCE_OPTS(b.src),
		{ "resume", 0, OPT_FLAG, &b.resume, NULL, "go on with the unfinished image" },
		{ "missing", 0, OPT_STR, &b.missing, "GAPLIST", "make a top-up: what the vault misses, from live data" },
		{ "given-up", 0, OPT_STR, &b.given_up, "FILE", "write there what of it cannot be had any more, signed" },
		{ "replace", 0, OPT_STR, &b.replace, "OLD=NEW", "disk OLD (RM4K-1) is dead or lost; NEW takes its place" },
		{ "full", 0, OPT_FLAG, &b.full, NULL, "carry everything, lean on no earlier image" },
		{ "plain-directory", 0, OPT_FLAG, &b.plain, NULL, "DISK is a plain directory, not a mounted disk" },
		{ "background", 0, OPT_FLAG, &b.background, NULL, "let go of the terminal once it runs" },
		{ "no-read-back", 0, OPT_FLAG, &b.no_back, NULL, "do not read the disk back; goes into the custody log" },
		{ "no-key-test", 0, OPT_FLAG, &b.no_test, NULL, "seal without the passphrase; goes into the custody log" },
		{ "passphrase-file", 0, OPT_STR, &b.passphrase_file, "FILE", "the passphrase for the key test" },
		{ NULL, 0, OPT_FLAG, NULL, NULL, NULL }
	};
	struct build_report r;
	char *state = NULL;
	int rc = args_parse(a, opts, e);

	if (rc == 0) {
		rc = -1;
		if (args_state(a, &state, e) == 0 && options_fill(&b, a, state, e) == 0 && background(&b, a, e) == 0)
			rc = build_run(&b.o, &r, e);
		if (rc >= 0 && a->dry_run)
			report_dry(&r);
		else if (rc >= 0)
			report(&b, &r, rc);
	} else if (rc == 1) {
		rc = 0;
	}
	passphrase_release(&b.pass);
	free(b.disks);
	seed_source_release(&b.src);
	free(state);
	return rc;
}
