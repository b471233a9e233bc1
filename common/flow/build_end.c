/* The disks of a build once its snapshot is numbered: all are closed and read back. */

#include <stdio.h>
#include <string.h>

#include "common/base/progress.h"
#include "common/flow/build_run.h"
#include "common/flow/disk_room.h"
#include "common/flow/topup_build.h"

/* A disk is asked for by its name. */
static int
disk_away(struct build *b, uint32_t number, const char *what, struct err *e)
{
	char next[512];

	build_disk_needed(b, e, "disk %s-%u must be at hand again, to be %s", b->im->begin.short_name, number, what);
	(void)snprintf(next, sizeof(next), "%s", e->next);
	return err_next(e, "plug it in, then: %s; if it is lost or dead: samara-seed build --replace %s-%u=NEWDISK", next,
	    b->im->begin.short_name, number);
}

/* Room for the snapshot as it is, not as it was feared. */
static int
snapshot_fits(struct build *b, const struct build_disk *bd, bool *fits, struct err *e)
{
	uint64_t have = 0;

	if (disk_writable(&bd->target, bd->packs, &have, e) != 0)
		return -1;
	*fits = have >= disk_closing_cost(bd->b->im->options.parity, bd->packs, bd->longest, bd->index_bytes,
	    topup_is(b) ? b->im->chunks : b->im->envelope.refs_count);
	return 0;
}

/* Whether the snapshot lies on a disk that is not gone. */
static bool
snapshot_is_out(const struct image_state *im)
{
	const struct image_disk *d = image_disk(im, im->snapshot_disk);

	return d != NULL && !d->gone && d->statement.disk != 0;
}

/* The disk that takes the snapshot: the first that is open and has room, else a new one. */
static struct build_disk *
snapshot_disk(struct build *b, struct err *e)
{
	struct build_disk *bd;
	const struct image_disk *d;
	bool fits;

	for (size_t i = 0; i < b->im->ndisks; i++) {
		d = &b->im->disks[i];
		if (d->gone || d->statement.disk != 0 || (bd = build_disk_at(b, d->label.disk)) == NULL)
			continue;
		if (snapshot_fits(b, bd, &fits, e) != 0)
			return NULL;
		if (fits)
			return bd;
	}
	if ((bd = build_disk_fresh(b)) == NULL) {
		if ((d = image_disk_open(b->im)) != NULL)
			(void)disk_away(b, d->label.disk, "closed", e);
		else
			build_disk_needed(b, e, "image %s needs another disk, for its snapshot", b->im->begin.short_name);
		return NULL;
	}
	return build_disk_begin(b, bd, 0, e) == 0 && build_reload(b, e) == 0 ? bd : NULL;
}

static int
snapshot_close(struct build *b, struct err *e)
{
	struct build_disk *bd;

	if (snapshot_is_out(b->im))
		return 0;
	if ((bd = snapshot_disk(b, e)) == NULL || build_close_disk(b, b->im, bd, true, e) != 0)
		return -1;
	return build_reload(b, e);
}

/* Close what is open; those that are not at hand are asked for. */
static int
all_close(struct build *b, struct err *e)
{
	struct image_disk *d;
	struct build_disk *bd;

	while ((d = image_disk_open(b->im)) != NULL) {
		if ((bd = build_disk_at(b, d->label.disk)) == NULL)
			return disk_away(b, d->label.disk, "closed", e);
		if (build_close_disk(b, b->im, bd, false, e) != 0 || build_reload(b, e) != 0)
			return -1;
	}
	return 0;
}

/* Read back what has not been: several disks at once. */
static int
all_check(struct build *b, struct err *e)
{
	struct build_disk *bd, *alone = NULL;
	unsigned waiting = 0;
	uint64_t bytes = 0;
	uint32_t away = 0;
	const struct image_disk *d;
	int rc = 0;

	for (size_t i = 0; i < b->im->ndisks; i++) {
		d = &b->im->disks[i];
		if (d->gone || d->read_back)
			continue;
		if (build_no_read_back(b)) {
			if (build_excuse_disk(b, b->im, d, build_disk_at(b, d->label.disk), e) != 0)
				return -1;
		} else if ((bd = build_disk_at(b, d->label.disk)) != NULL) {
			alone = bd;
			bd->counted = bd->stays = true;
			bytes += d->pack_bytes;
			waiting++;
		} else {
			away = d->label.disk;
		}
	}
	if (waiting > 0)
		progress_start("read back", bytes);
	if (waiting == 1)
		rc = build_check_disk(b, b->im, alone, b->workers, e);
	for (size_t i = 0; i < b->im->ndisks && waiting > 1 && rc == 0; i++) {
		d = &b->im->disks[i];
		if (!d->gone && !d->read_back && (bd = build_disk_at(b, d->label.disk)) != NULL)
			rc = build_checker_start(bd, e);
	}
	if (build_checkers_join(b, rc == 0 ? e : NULL) != 0)
		rc = -1;
	progress_end();
	if (rc != 0 || build_reload(b, e) != 0)
		return -1;
	return away == 0 ? 0 : disk_away(b, away, "read back", e);
}

/* Disks that were begun and are not at hand, and that nothing was written on: nobody needs them. */
static int
empty_drop(struct build *b, struct err *e)
{
	const struct image_disk *d;
	uint8_t pair[8];
	bool any = false;

	for (size_t i = 0; i < b->im->ndisks; i++) {
		d = &b->im->disks[i];
		if (d->gone || d->packs > 0 || d->statement.disk != 0 || build_disk_at(b, d->label.disk) != NULL)
			continue;
		le32_put(pair, d->label.disk);
		le32_put(pair + 4, 0);
		if (custody_add(b->s, b->im, -1, CUSTODY_OVERRIDE, d->label.disk, "nothing was written on it; it is left out", e) != 0 ||
		    journal_put(b->j, JOURNAL_REPLACED, pair, sizeof(pair), e) != 0)
			return -1;
		any = true;
	}
	return any && (journal_sync(b->j, e) != 0 || build_reload(b, e) != 0) ? -1 : 0;
}

int
build_disks_finish(struct build *b, struct err *e)
{
	/* What they found is in the journal. */
	if (build_checkers_join(b, e) != 0 || build_reload(b, e) != 0)
		return -1;
	if (image_disks_done(b->im) && snapshot_is_out(b->im))
		return 0;
	if (empty_drop(b, e) != 0 || snapshot_close(b, e) != 0 || all_close(b, e) != 0)
		return -1;
	return all_check(b, e);
}
