#include <stdio.h>
#include <string.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/io.h"
#include "common/base/out.h"
#include "common/crypto/sign.h"
#include "common/flow/image_state.h"
#include "common/flow/parcel.h"
#include "common/flow/state.h"
#include "seed/seed_commands.h"
#include "seed/seed_state.h"

static unsigned
disks_of(const struct image_state *im)
{
	if (im->manifest.generation != 0)
		return (unsigned)list_count(im->manifest.disks, MANIFEST_DISK_LEN);
	return image_disks_live(im);
}

/* Where the parcel is, below the image's own line; and in its object. */
static void
parcel_print(const struct image_state *im, struct out *o)
{
	char words[PARCEL_WORDS_MAX];
	struct parcel p;
	int64_t late;

	if (parcel_of(im, &p, NULL) != 0)
		return;
	late = parcel_days_late(p.arrives, io_now());
	if (!im->cancelled && im->answer_bytes == NULL)
		out_text("       %s%s\n", parcel_words(words, p.shipped, p.arrives, p.carrier, p.tracking),
		    im->lost || late == 0 ? "" : "; it is late");
	out_name(o, "carrier", p.carrier, strlen(p.carrier));
	out_name(o, "tracking", p.tracking, strlen(p.tracking));
	out_i64(o, "shipped", p.shipped);
	out_i64(o, "arrives", p.arrives);
	out_i64(o, "days_late", late);
}

static void
image_print(const struct image_state *im)
{
	char keep[512], size[HUMAN_MAX], files[HUMAN_MAX] = "-", when[SEED_WHEN_MAX], digest[HUMAN_MAX] = "-";
	const struct envelope *env = im->envelope.seq != 0 ? &im->envelope : NULL;
	uint8_t d[DIGEST_LEN];
	struct out *o;

	if (im->manifest.generation != 0) {
		statement_digest(&manifest_schema, im->manifest_bytes, im->manifest_len, d);
		(void)human_digest(digest, d);
	}
	if (env != NULL)
		(void)human_count(files, im->counts.files);
	out_text("%-6s %-10s %-18s %5u  %10s  %14s  %-12s  %s\n", im->begin.short_name, image_state_word(im),
	    seed_when(when, im->begin.begin_ns / 1000000000), disks_of(im), human_size(size, im->pack_bytes),
	    files, im->begin.set_name, digest);

	if (seed_keep_line(im, keep, sizeof(keep))[0] != 0)
		out_text("       %s\n", keep);

	o = out_object("image");
	out_bool(o, "do_not_erase", keep[0] != 0);
	out_str(o, "image", im->begin.short_name);
	out_bytes(o, "image_id", im->begin.image_id, ID_LEN);
	out_str(o, "state", image_state_word(im));
	out_str(o, "set", im->begin.set_name);
	out_i64(o, "begun", im->begin.begin_ns / 1000000000);
	out_u64(o, "disks", disks_of(im));
	out_u64(o, "bytes", im->pack_bytes);
	out_u64(o, "packs", im->packs);
	out_u64(o, "chunks", im->chunks);
	if (env != NULL) {
		out_u64(o, "entries", im->counts.entries);
		out_u64(o, "files", im->counts.files);
		out_u64(o, "source_bytes", im->counts.bytes);
		out_u64(o, "unreadable", im->counts.unreadable);
		out_u64(o, "warnings", im->counts.warnings);
	}
	out_bool(o, "read_back", image_disks_done(im));
	if (env != NULL) {
		out_bytes(o, "snapshot_id", env->snapshot_id, ID_LEN);
		out_u64(o, "snapshot", env->seq);
	}
	if (im->manifest.generation != 0) {
		out_str(o, "manifest", digest);
		out_bytes(o, "root", im->manifest.root, DIGEST_LEN);
		out_bool(o, "key_tested", im->manifest.key_tested);
		out_i64(o, "sealed", im->manifest.sealed);
	}
	parcel_print(im, o);
	out_emit(o);
}

int
seed_images(struct args *a, struct err *e)
{
	const struct opt opts[] = { { NULL } };
	struct image_state **images;
	struct state *s;
	struct out *o;
	size_t n;
	int rc;

	if ((rc = args_parse(a, opts, e)) != 0)
		return rc > 0 ? 0 : -1;
	if (args_operands(a, 0, 0, e) != 0 || (s = seed_state_open(a, e)) == NULL)
		return -1;
	if ((rc = seed_images_load(s, &images, &n, e)) == 0) {
		if (n == 0)
			out_text("no images yet.  Next: samara-seed build --to DISK PATH...\n");
		else
			out_text("image  state      begun              disks        size           files  set           manifest\n");
		for (size_t i = 0; i < n; i++)
			image_print(images[i]);
		o = out_object("summary");
		out_u64(o, "images", n);
		out_emit(o);
		seed_images_free(images, n);
	}
	state_free(s);
	return rc;
}
