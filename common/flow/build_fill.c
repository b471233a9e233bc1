/* The disks of a build while packs are written: room, full, read back, the next one. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/human.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/progress.h"
#include "common/base/space.h"
#include "common/disk/image_dir.h"
#include "common/flow/build_run.h"
#include "common/flow/disk_room.h"
#include "common/pack/pack_build.h"
#include "formats/fmt_parity.h"


bool
build_no_read_back(const struct build *b)
{
	return b->o->no_read_back || (b->flags & JB_NO_READ_BACK) != 0;
}

/* --- closing, reading back, releasing --- */

static void
disk_tell(struct build_disk *bd, bool full)
{
	struct build *b = bd->b;
	struct build_disk_report r = { .full = full, .read_back = bd->medium, .mounted = bd->mounted, .packs = bd->packs };
	struct image_state *im;
	const struct image_disk *d;
	struct err e;

	err_clear(&e);
	memcpy(r.name, bd->name, sizeof(r.name));
	if ((im = image_state_load(b->s, b->r->short_name, NULL, NULL, &e)) != NULL && (d = image_disk(im, bd->number)) != NULL) {
		r.bytes = d->pack_bytes;
		r.packs = d->packs;
	}
	image_state_free(im);
	if (!bd->medium)
		atomic_store(&b->disks.unproven, true);
	pthread_mutex_lock(&b->disks.lock);
	if (b->o->disk_done != NULL)
		b->o->disk_done(b->o->disk_arg, &r);
	pthread_mutex_unlock(&b->disks.lock);
}

void
build_disks_tell(struct build *b)
{
	struct build_disk *bd;

	for (unsigned i = 0; i < b->disks.n; i++) {
		bd = b->disks.at[i];
		if (bd->number == 0 || bd->released)
			continue;
		build_disk_let_go(bd);
		if (bd->done)
			disk_tell(bd, false);
	}
	b->r->read_back = !atomic_load(&b->disks.unproven) && !build_no_read_back(b);
}

/* Read back, say so, release: by the thread of a disk that is full. */
static int
disk_check_full(struct build_disk *bd, unsigned workers, struct err *e)
{
	struct build *b = bd->b;
	struct image_state *im = image_state_load(b->s, b->r->short_name, NULL, NULL, e);
	int rc;

	if (im == NULL)
		return -1;
	rc = build_check_disk(b, im, bd, workers, e);
	image_state_free(im);
	if (rc != 0 || bd->stays)
		return rc;
	build_disk_let_go(bd);
	disk_tell(bd, true);
	return 0;
}

static void *
checker_main(void *arg)
{
	struct build_disk *bd = arg;
	struct build_disks *all = &bd->b->disks;

	if ((bd->rc = disk_check_full(bd, 1, &bd->err)) != 0) {
		pthread_mutex_lock(&all->lock);
		if (!atomic_load(&all->bad))
			all->err = bd->err;
		atomic_store(&all->bad, true);
		pthread_mutex_unlock(&all->lock);
		say_warn("%s", bd->err.msg);
	}
	return NULL;
}

int
build_checker_start(struct build_disk *bd, struct err *e)
{
	int rc;

	bd->checking = true;
	if ((rc = pthread_create(&bd->thread, NULL, checker_main, bd)) == 0)
		return 0;
	bd->checking = false;
	errno = rc;
	return err_errno(e, "read back disk %s", bd->name);
}

/* Wait for those that are being read back; the first failure. */
int
build_checkers_join(struct build *b, struct err *e)
{
	struct build_disk *bd;
	int rc = 0;

	for (unsigned i = 0; i < b->disks.n; i++) {
		bd = b->disks.at[i];
		if (!bd->checking || bd->joined)
			continue;
		pthread_join(bd->thread, NULL);
		bd->joined = true;
		if (bd->rc != 0 && rc == 0) {
			if (e != NULL)
				*e = bd->err;
			rc = -1;
		}
	}
	return rc;
}

/* --- while packs are written --- */

/* A disk that was full did not give back what was written: the first. */
static int
disks_bad(struct build *b, struct err *e)
{
	pthread_mutex_lock(&b->disks.lock);
	*e = b->disks.err;
	pthread_mutex_unlock(&b->disks.lock);
	return -1;
}

/* How far it is to the next disk, where there is one at a time. */
static void
room_tell(const struct build *b, uint64_t left)
{
	char size[HUMAN_MAX], note[64];

	if ((b->im->options.flags & JO_SPREAD) != 0)
		return;
	(void)snprintf(note, sizeof(note), "%s to the next disk", human_size(size, left / (100 + b->im->options.parity) * 100));
	progress_note(note);
}

static int
disk_room(void *arg, const struct sink_disk *d, const struct pack_info *next, struct err *e)
{
	struct build *b = arg;
	struct build_disk *bd = build_disk_at(b, d->number);
	uint64_t row = INDEX_ROW_HEAD_LEN + (uint64_t)next->table_len + PACK_FOOT_LEN, ids, have = 0, need;
	uint32_t longest;

	if (atomic_load(&b->disks.bad))
		return disks_bad(b, e);
	if (bd == NULL)
		return err_set(e, ERR_INTERNAL, "disk %s is not at hand", d->name);
	if (bd->packs >= PACKS_PER_DISK_MAX)
		return 1;
	if (disk_writable(&bd->target, bd->packs, &have, e) != 0)
		return -1;
	ids = atomic_load(&b->disks.ids) + next->count;
	longest = next->len > bd->longest ? next->len : bd->longest;
	need = next->len + disk_closing_cost(b->im->options.parity, bd->packs + 1, longest, bd->index_bytes + row, ids) + b->im->options.reserve;
	if (have < need)
		return 1;
	build_disk_carries(bd, next->len, next->table_len);
	atomic_fetch_add(&b->disks.ids, next->count);
	room_tell(b, have - need);
	return 0;
}

static void
writer_fill(struct sink_disk *d, const struct build_disk *bd, uint32_t next_pack)
{
	d->imagefd = bd->imagefd;
	d->number = bd->number;
	d->next_pack = next_pack;
	memcpy(d->name, bd->name, sizeof(d->name));
}

/*
 * Begun by an earlier run, and not closed.  Packs that a power cut kept out of
 * the journal are only taken over when a run begins: not where there are such.
 */
static bool
disk_has_room(const struct build *b, const struct build_disk *bd)
{
	const struct image_disk *d = image_disk(b->im, bd->number);
	char name[IMAGE_NAME_MAX];
	struct stat st;

	if (d == NULL || d->gone || d->statement.disk != 0 || bd->imagefd == -1)
		return false;
	for (uint32_t i = 0; i < PACK_SINK_BATCH; i++) {
		image_name_pack(name, d->next_pack + i);
		if (io->fstatat(bd->imagefd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
			return false;
	}
	return true;
}

/* Such a one that is at hand and that nobody writes; else one that nothing of this image is on.  NULL if there is none. */
static struct build_disk *
disk_next(struct build *b)
{
	struct build_disk *found = NULL;

	pthread_mutex_lock(&b->disks.lock);
	for (unsigned i = 0; i < b->disks.n && found == NULL; i++) {
		struct build_disk *bd = b->disks.at[i];

		if (bd->number != 0 && !bd->taken && !bd->released && disk_has_room(b, bd))
			found = bd;
	}
	if (found != NULL)
		found->taken = true;
	pthread_mutex_unlock(&b->disks.lock);
	return found != NULL ? found : build_disk_fresh(b);
}

/* Write on ${next} from now on: it goes on where it stopped, or is begun. */
static int
disk_use(struct build *b, struct build_disk *next, struct sink_disk *d, struct err *e)
{
	const struct image_disk *begun = next->number != 0 ? image_disk(b->im, next->number) : NULL;

	if (begun == NULL && build_disk_begin(b, next, 0, e) != 0)
		return -1;
	writer_fill(d, next, begun != NULL ? begun->next_pack : 0);
	return 0;
}

/* On a terminal somebody can put in another disk; ${bd} was released. */
static struct build_disk *
disk_ask(struct build *b, const struct build_disk *bd, struct err *e)
{
	struct build_disk *next;
	struct err why;
	char path[4096];
	int rc;

	while (b->o->disk_ask != NULL) {
		if ((rc = b->o->disk_ask(b->o->disk_arg, bd->name, path, sizeof(path), e)) != 0) {
			if (rc == -1)
				return NULL;
			break;
		}
		err_clear(&why);
		if ((next = build_disk_open(b, path, &why)) == NULL) {
			say_warn("%s%s%s", why.msg, why.next[0] != 0 ? "; " : "", why.next);
			continue;
		}
		if (next->number == 0 || disk_has_room(b, next)) {
			next->taken = true;
			return next;
		}
		say_warn("%s is %s, a disk of this image: put in another", path, next->name);
		build_disk_let_go(next);
	}
	build_disk_needed(b, e, "disk %s is full%s, and image %s needs another", bd->name,
	    bd->medium ? " and was read back without error; it can be removed" : "", b->im->begin.short_name);
	return NULL;
}

/* Nothing can go on before it is read back. */
static int
check_alone(struct build_disk *bd, struct err *e)
{
	char note[64];

	(void)snprintf(note, sizeof(note), "%s is full and is read back", bd->name);
	progress_note(note);
	return disk_check_full(bd, bd->b->workers, e);
}

/* Not one pack and its closing fit on the disk: it is left out, and its number goes to the next. */
static int
disk_skip(struct build_disk *bd, struct sink_disk *d, int last, struct err *e)
{
	static const char why[] = "there is no room on %s for a single pack and what closing it takes (or no inode: a small disk is "
	    "formatted without -T largefile4)";
	struct build *b = bd->b;
	struct build_disk *next = disk_next(b);

	if (next == NULL && last)
		return build_disk_needed(b, e, why, bd->target.path);
	say_warn(why, bd->target.path);
	build_disk_let_go(bd);
	return next == NULL ? 1 : disk_use(b, next, d, e);
}

/* The disk is full: closed here, read back beside the next one or before it is asked for. */
static int
disk_full(void *arg, struct sink_disk *d, int last, struct err *e)
{
	struct build *b = arg;
	struct build_disk *bd = build_disk_at(b, d->number), *next;
	struct image_state *im;
	int rc = -1;

	build_number_pause(b);
	if (d->next_pack == 0)
		return disk_skip(bd, d, last, e);
	if ((im = image_state_load(b->s, b->im->name, NULL, NULL, e)) != NULL)
		rc = build_close_disk(b, im, bd, false, e);
	image_state_free(im);
	if (rc != 0)
		return -1;
	next = disk_next(b);
	if (next != NULL || !last) {
		if (build_checker_start(bd, e) != 0)
			return -1;
	} else if (check_alone(bd, e) != 0 || (next = disk_ask(b, bd, e)) == NULL) {
		return -1;
	}
	return next == NULL ? 1 : disk_use(b, next, d, e);
}

/* The disks that are open and at hand. */
static unsigned
writers_open(struct build *b, struct pack_sink_options *o, unsigned most)
{
	struct build_disk *bd;
	unsigned n = 0;

	for (size_t i = 0; i < b->im->ndisks && n < most; i++) {
		const struct image_disk *d = &b->im->disks[i];

		if (d->gone || d->statement.disk != 0 || (bd = build_disk_at(b, d->label.disk)) == NULL)
			continue;
		bd->taken = true;
		writer_fill(&o->disks[n++], bd, d->next_pack);
	}
	return n;
}

/*
 * Disks that an earlier run closed and did not read back: now that they are at
 * hand, beside those that are written, or before another is asked for.
 */
static int
disks_catch_up(struct build *b, bool beside, struct err *e)
{
	const struct image_disk *d;
	struct build_disk *bd;

	for (size_t i = 0; i < b->im->ndisks; i++) {
		d = &b->im->disks[i];
		if (d->gone || d->statement.disk == 0 || d->read_back || (bd = build_disk_at(b, d->label.disk)) == NULL)
			continue;
		if ((beside ? build_checker_start(bd, e) : disk_check_full(bd, b->workers, e)) != 0)
			return -1;
	}
	return 0;
}

int
build_disks_writers(struct build *b, struct pack_sink_options *o, struct err *e)
{
	unsigned most = (b->im->options.flags & JO_SPREAD) != 0 ? PACK_SINK_DISKS : 1;
	struct build_disk *bd;

	b->calls = (struct sink_calls){ .room = disk_room, .full = disk_full, .arg = b };
	o->calls = &b->calls;
	o->ndisks = writers_open(b, o, most);
	while (o->ndisks < most && (bd = build_disk_fresh(b)) != NULL) {
		if (build_disk_begin(b, bd, 0, e) != 0)
			return -1;
		writer_fill(&o->disks[o->ndisks++], bd, 0);
	}
	if (disks_catch_up(b, o->ndisks > 0, e) != 0)
		return -1;
	if (o->ndisks > 0)
		return build_reload(b, e);
	return build_disk_needed(b, e, b->disks.n == 0 ? "no disk of image %s is where it was, and it needs one" :
	    "every disk at hand is full, and image %s needs another", b->im->begin.short_name);
}
