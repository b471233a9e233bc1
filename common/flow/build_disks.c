#include "common/flow/build_disks.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/crypto/sign.h"
#include "common/disk/image_dir.h"
#include "common/disk/image_file.h"
#include "common/flow/build_run.h"

/* --- which disks are at hand --- */

static struct build_disk *
disk_at_locked(struct build *b, uint32_t number)
{
	struct build_disk *bd;

	for (unsigned i = 0; i < b->disks.n; i++) {
		bd = b->disks.at[i];
		if (bd->number == number && !bd->released)
			return bd;
	}
	return NULL;
}

struct build_disk *
build_disk_at(struct build *b, uint32_t number)
{
	struct build_disk *bd;

	pthread_mutex_lock(&b->disks.lock);
	bd = disk_at_locked(b, number);
	pthread_mutex_unlock(&b->disks.lock);
	return bd;
}

bool
build_disks_have(void *build, dev_t dev, ino_t ino)
{
	struct build *b = build;
	bool found = false;

	pthread_mutex_lock(&b->disks.lock);
	for (unsigned i = 0; i < b->disks.n && !found; i++)
		found = b->disks.at[i]->dev == dev && b->disks.at[i]->ino == ino;
	pthread_mutex_unlock(&b->disks.lock);
	return found;
}

void
build_disk_let_go(struct build_disk *bd)
{
	/* First, so that nobody looks at what is closed. */
	pthread_mutex_lock(&bd->b->disks.lock);
	bd->released = true;
	pthread_mutex_unlock(&bd->b->disks.lock);
	if (bd->imagefd != -1)
		io->close(bd->imagefd);
	bd->imagefd = -1;
	bd->mounted = disk_target_close(&bd->target) != 0;
}

static void
disk_number(struct build_disk *bd, uint32_t number)
{
	bd->number = number;
	(void)snprintf(bd->name, sizeof(bd->name), "%.4s-%u", bd->b->im->begin.short_name, number);
}

/* The label of this image on the disk, as bytes: 0; 1 there is none; -1. */
static int
label_read(struct build_disk *bd, uint8_t **bytes, size_t *len, struct err *e)
{
	char path[64];
	int fd, rc;

	(void)snprintf(path, sizeof(path), IMAGE_TOP "/%s", bd->b->im->name);
	if (!disk_has_image(&bd->target, bd->b->im->name))
		return 1;
	if ((fd = dir_open(bd->target.fd, path, e)) == -1)
		return err_during(e, "disk %s", bd->target.path);
	rc = image_file_read(fd, "label", SMALL_STATEMENT_MAX, bytes, len, e);
	if (rc != 0) {
		err_clear(e);
		rc = image_file_read(fd, "label2", SMALL_STATEMENT_MAX, bytes, len, e);
	}
	io->close(fd);
	if (rc != 0 && e->code == ERR_NOT_FOUND) {
		/* Cut off before its label was written: nothing else counts. */
		err_clear(e);
		return 1;
	}
	return rc;
}

/* Which disk of the image has exactly this label. */
static const struct image_disk *
label_find(const struct image_state *im, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < im->ndisks; i++)
		if (im->disks[i].label_len == len && memcmp(im->disks[i].label_bytes, bytes, len) == 0)
			return &im->disks[i];
	return NULL;
}

/* What a label says that no disk of the image has: an earlier try of ours, or another's. */
static int
label_foreign(struct build_disk *bd, const uint8_t *bytes, size_t len, struct err *e)
{
	const struct image_state *im = bd->b->im;
	struct label l;

	if (schema_decode(&label_schema, &l, bytes, len) == FMT_OK && memcmp(l.image_id, im->begin.image_id, ID_LEN) == 0) {
		const struct image_disk *d = image_disk(im, l.disk);

		/* Its number went to another disk before anything was written here. */
		if (d != NULL && d->packs == 0)
			return 0;
	}
	return err_set(e, ERR_WRONG_DISK, "the image %s on %s is not the one that was begun", im->begin.short_name,
	    bd->target.path);
}

/* The room that closing takes depends on what the disk carries. */
void
build_disk_carries(struct build_disk *bd, uint32_t file_len, uint32_t table_len)
{
	bd->packs++;
	bd->index_bytes += INDEX_ROW_HEAD_LEN + (uint64_t)table_len + PACK_FOOT_LEN;
	if (file_len > bd->longest)
		bd->longest = file_len;
}

static int
disk_weigh(void *arg, uint32_t disk, uint32_t number, uint32_t file_len, const struct pack_table *t, const uint8_t *table,
    uint32_t table_len, const uint8_t *foot, struct err *e)
{
	struct build_disk *bd = arg;

	(void)number, (void)t, (void)table, (void)foot, (void)e;
	if (disk == bd->number)
		build_disk_carries(bd, file_len, table_len);
	return 0;
}

/* Find out which disk of the image this is. */
static int
disk_bind(struct build_disk *bd, struct err *e)
{
	struct build *b = bd->b;
	const struct image_disk *d;
	uint8_t *bytes = NULL;
	size_t len;
	int rc;

	if (b->im == NULL)
		return 0;
	if ((rc = label_read(bd, &bytes, &len, e)) != 0)
		return rc == 1 ? 0 : -1;
	if ((d = label_find(b->im, bytes, len)) == NULL) {
		rc = label_foreign(bd, bytes, len, e);
	} else if (d->gone) {
		rc = err_set(e, ERR_WRONG_DISK, "%s is disk %s-%u, which was given up", bd->target.path,
		    b->im->begin.short_name, d->label.disk);
	} else {
		/* Cut off before both labels stood; packs come after them. */
		if (d->packs == 0 && d->statement.disk == 0)
			bd->imagefd = disk_begin(&bd->target, b->s, b->im->name, d->label_bytes, d->label_len, e);
		else
			bd->imagefd = disk_resume(&bd->target, b->im->name, d->label_bytes, d->label_len, e);
		rc = bd->imagefd == -1 ? -1 : 0;
		disk_number(bd, d->label.disk);
		bd->taken = d->statement.disk != 0;
		if (rc == 0)
			rc = image_packs(b->s, b->im, disk_weigh, bd, e);
	}
	free(bytes);
	return rc;
}

/* One DISK cannot be two. */
static int
disk_once(struct build *b, struct build_disk *bd, struct err *e)
{
	const struct build_disk *other;
	struct stat st;
	int rc = 0;

	if (io->fstat(bd->target.fd, &st) != 0)
		return err_errno(e, "look at %s", bd->target.path);
	bd->dev = st.st_dev;
	bd->ino = st.st_ino;
	pthread_mutex_lock(&b->disks.lock);
	for (unsigned i = 0; i < b->disks.n && rc == 0; i++) {
		other = b->disks.at[i];
		if (!other->released && st.st_dev == other->dev && (st.st_ino == other->ino || !bd->target.plain))
			rc = err_set(e, ERR_USAGE, "%s and %s are one disk", other->target.path, bd->target.path);
	}
	pthread_mutex_unlock(&b->disks.lock);
	return rc;
}

/* Open what a person calls a disk, and add it to those at hand; NULL with ${e}. */
struct build_disk *
build_disk_open(struct build *b, const char *path, struct err *e)
{
	struct build_disk *bd = calloc(1, sizeof(*bd));
	const char *const *sources = b->paths != NULL ? (const char *const *)b->paths : b->o->paths;
	size_t nsources = b->paths != NULL ? b->npaths : b->o->npaths;
	bool plain = b->o->plain_directory || (b->im != NULL && (b->im->begin.flags & JB_PLAIN_DIRECTORY) != 0);

	if (bd == NULL) {
		err_errno(e, "disk %s", path);
		return NULL;
	}
	bd->b = b;
	bd->imagefd = bd->target.fd = -1;
	err_clear(&bd->err);
	if (disk_target_open(path, plain, b->s->fd, sources, nsources, &bd->target, e) != 0 ||
	    disk_once(b, bd, e) != 0 || disk_bind(bd, e) != 0)
		goto fail;
	pthread_mutex_lock(&b->disks.lock);
	if (b->disks.n < BUILD_DISKS) {
		b->disks.at[b->disks.n++] = bd;
		pthread_mutex_unlock(&b->disks.lock);
		return bd;
	}
	pthread_mutex_unlock(&b->disks.lock);
	err_set(e, ERR_USAGE, "more than %u disks in one run: go on with build --resume", BUILD_DISKS);
fail:
	build_disk_let_go(bd);
	free(bd);
	return NULL;
}

int
build_disks_open(struct build *b, struct err *e)
{
	for (size_t i = 0; i < b->o->ndisks; i++)
		if (build_disk_open(b, b->o->disks[i], e) == NULL)
			return -1;
	if (b->im == NULL)
		return 0;
	if (b->o->ndisks == 0)
		build_where_open(b);
	pthread_mutex_lock(&b->disks.lock);
	build_where_keep_locked(b);
	pthread_mutex_unlock(&b->disks.lock);
	return 0;
}

void
build_disks_release(struct build *b)
{
	struct build_disk *bd;

	for (unsigned i = 0; i < b->disks.n; i++) {
		bd = b->disks.at[i];
		if (bd->checking && !bd->joined)
			pthread_join(bd->thread, NULL);
		if (!bd->released)
			build_disk_let_go(bd);
		free(bd);
	}
	b->disks.n = 0;
}

/* --- a new disk --- */

static int
label_make(struct build *b, const struct build_disk *bd, uint32_t number, struct buf *out, struct err *e)
{
	struct label l = { .disk = number, .format = FORMAT_VERSION, .suite = SUITE_1, .created = io_now() };
	const struct journal_begin *g = &b->im->begin;

	memcpy(l.image_id, g->image_id, ID_LEN);
	memcpy(l.short_name, g->short_name, sizeof(l.short_name));
	memcpy(l.vault_id, g->vault_id, ID_LEN);
	memcpy(l.vault_name, b->s->trust.vault_name, sizeof(l.vault_name));
	memcpy(l.machine_id, g->machine_id, ID_LEN);
	memcpy(l.machine_name, b->s->id.machine_name, sizeof(l.machine_name));
	memcpy(l.machine_pub, b->s->machine_pub, SIGN_PUB_LEN);
	memcpy(l.domain_id, g->domain_id, DIGEST_LEN);
	memcpy(l.fs_type, bd->target.fs_type, sizeof(l.fs_type));
	memcpy(l.fs_id, bd->target.fs_id, ID_LEN);
	return statement_make(&label_schema, &l, b->s->sign_secret, out, e);
}

/* Its number: that of a disk that was announced and never begun, else the next; never that of the one it replaces. */
static uint32_t
number_choose_locked(struct build *b, const struct image_state *im, uint32_t replaces)
{
	const struct image_disk *d;
	uint32_t highest = 0;

	for (size_t i = 0; i < im->ndisks; i++) {
		d = &im->disks[i];
		if (!d->gone && d->packs == 0 && d->statement.disk == 0 && d->label.disk != replaces &&
		    disk_at_locked(b, d->label.disk) == NULL)
			return d->label.disk;
		highest = d->label.disk;
	}
	return highest + 1;
}

static int
begin_locked(struct build *b, struct build_disk *bd, uint32_t replaces, struct err *e)
{
	struct image_state *im = image_state_load(b->s, b->im->name, NULL, NULL, e);
	uint8_t pair[8];
	struct buf label;
	uint32_t number;
	int rc = -1;

	if (im == NULL)
		return -1;
	buf_init(&label);
	number = number_choose_locked(b, im, replaces);
	if (number > DISKS_MAX)
		err_set(e, ERR_RULE, "image %s has %u disks already, and no image has more", b->im->begin.short_name, DISKS_MAX);
	else if (label_make(b, bd, number, &label, e) == 0)
		rc = journal_put(b->j, JOURNAL_DISK, label.p, label.len, e);
	if (rc == 0 && replaces != 0) {
		le32_put(pair, replaces);
		le32_put(pair + 4, number);
		rc = journal_put(b->j, JOURNAL_REPLACED, pair, sizeof(pair), e);
	}
	if (rc == 0)
		rc = journal_sync(b->j, e);
	if (rc == 0) {
		bd->imagefd = disk_begin(&bd->target, b->s, b->im->name, label.p, label.len, e);
		rc = bd->imagefd == -1 ? -1 : 0;
		disk_number(bd, number);
		build_where_keep_locked(b);
	}
	buf_release(&label);
	image_state_free(im);
	return rc;
}

int
build_disk_begin(struct build *b, struct build_disk *bd, uint32_t replaces, struct err *e)
{
	int rc;

	pthread_mutex_lock(&b->disks.lock);
	rc = begin_locked(b, bd, replaces, e);
	pthread_mutex_unlock(&b->disks.lock);
	return rc;
}

/* A disk that nothing of this image is on yet; whoever gets it has it. */
struct build_disk *
build_disk_fresh(struct build *b)
{
	struct build_disk *found = NULL;

	pthread_mutex_lock(&b->disks.lock);
	for (unsigned i = 0; i < b->disks.n && found == NULL; i++)
		if (b->disks.at[i]->number == 0 && !b->disks.at[i]->taken && !b->disks.at[i]->released)
			found = b->disks.at[i];
	if (found != NULL)
		found->taken = true;
	pthread_mutex_unlock(&b->disks.lock);
	return found;
}

int
build_disk_needed(struct build *b, struct err *e, const char *fmt, ...)
{
	char what[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	err_set(e, ERR_DISK_NEEDED, "%s", what);
	return err_next(e, "samara-seed build --resume --to DISK%s%s%s%s%s", b->o->set != NULL ? " --set " : "",
	    b->o->set != NULL ? b->o->set : "", b->o->state_given != NULL ? " --state " : "",
	    b->o->state_given != NULL ? b->o->state_given : "", b->o->plain_directory ? " --plain-directory" : "");
}
