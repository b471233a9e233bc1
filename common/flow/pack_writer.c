/* The thread that writes packs onto a disk, and gives them their names. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/io.h"
#include "common/disk/image_dir.h"
#include "common/flow/journal.h"
#include "common/flow/pack_sink_job.h"

#define BATCH_NS	INT64_C(10000000000)

static void
pack_tmp_name(char out[IMAGE_NAME_MAX], uint32_t number)
{
	image_name_pack(out, number);
	memcpy(out + strlen(out) - 2, "tm", 2);
}

/* Open a new file for a pack, direct where the file system lets us. */
static int
pack_file_open(const struct writer *w, const char *name, int *direct, struct err *e)
{
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, fd;

	*direct = 1;
	fd = io->open(w->d.imagefd, name, flags | O_DIRECT, 0644);
	if (fd == -1 && errno == EINVAL) {
		*direct = 0;
		/* Some file systems make the file before they refuse O_DIRECT. */
		(void)io->unlinkat(w->d.imagefd, name, 0);
		fd = io->open(w->d.imagefd, name, flags, 0644);
	}
	if (fd == -1)
		return err_errno(e, "create %s", name);
	return fd;
}

static int
pack_file_write(int fd, const struct slot *slot, int direct, const char *name, struct err *e)
{
	size_t len = slot->info.len, whole = (len + BLOCK - 1) / BLOCK * BLOCK;

	if (!direct)
		whole = len;
	if (io_write_full(fd, slot->bytes, whole, 0) != 0) {
		if (!direct || errno != EINVAL)
			return err_errno(e, "write %s", name);
		/* Blocks larger than ours: go on through the cache. */
		if (io->fcntl_int(fd, F_SETFL, O_WRONLY) != 0 || io_write_full(fd, slot->bytes, len, 0) != 0)
			return err_errno(e, "write %s", name);
	}
	if (whole != len && io->ftruncate(fd, (off_t)len) != 0)
		return err_errno(e, "cut %s to its length", name);
	return 0;
}

/* Have the directory that pack ${number} goes into. */
static int
pack_dir_make(struct writer *w, uint32_t number, struct err *e)
{
	char dir[IMAGE_NAME_MAX];

	if (number % PACKS_PER_DIR != 0 && w->begun)
		return 0;
	image_name_pack_dir(dir, number);
	if (dir_make(w->d.imagefd, dir, 0755, e) != 0)
		return -1;
	w->begun = true;
	return 0;
}

/* Write the pack in ${slot} under a temporary name and add it to the batch. */
static int
writer_write(struct writer *w, struct slot *slot, struct err *e)
{
	struct pending *p = &w->batch[w->nbatch];
	char name[IMAGE_NAME_MAX];
	int direct;

	memset(p, 0, sizeof(*p));
	p->number = w->d.next_pack;
	p->seq = slot->turn;
	p->info = slot->info;
	if (pack_dir_make(w, p->number, e) != 0)
		return -1;
	pack_tmp_name(name, p->number);
	(void)io->unlinkat(w->d.imagefd, name, 0);	/* of a run that was killed: the image is ours alone */
	if ((p->fd = pack_file_open(w, name, &direct, e)) == -1)
		return -1;
	if (pack_file_write(p->fd, slot, direct, name, e) != 0)
		goto fail;
	if ((p->table = malloc((size_t)p->info.table_len + PACK_FOOT_LEN)) == NULL) {
		err_errno(e, "pack %s", name);
		goto fail;
	}
	memcpy(p->table, slot->bytes + p->info.table_off, (size_t)p->info.table_len + PACK_FOOT_LEN);
	p->ids = slot->ids;
	slot->ids = NULL;
	if (w->nbatch == 0)
		w->batch_since = io_mono_ns();
	w->nbatch++;
	w->d.next_pack++;
	return 0;
fail:
	io->close(p->fd);
	(void)io->unlinkat(w->d.imagefd, name, 0);
	return -1;
}

static int
publish_files(struct writer *w, struct err *e)
{
	char tmp[IMAGE_NAME_MAX], name[IMAGE_NAME_MAX];
	int made;

	for (unsigned i = 0; i < w->nbatch; i++)
		if (io->fsync(w->batch[i].fd) != 0)
			return err_set(e, ERR_FSYNC, "sync pack %u: %s", w->batch[i].number, strerror(errno));
	for (unsigned i = 0; i < w->nbatch; i++) {
		pack_tmp_name(tmp, w->batch[i].number);
		image_name_pack(name, w->batch[i].number);
		made = file_publish(w->d.imagefd, tmp, name, FILE_PLAIN_RENAME, e);
		if (made == 1)
			return err_set(e, ERR_WRONG_DISK, "%s is there already, and not by this build", name);
		if (made != 0)
			return -1;
	}
	for (unsigned i = 0; i < w->nbatch; i++) {
		if (i > 0 && w->batch[i].number / PACKS_PER_DIR == w->batch[i - 1].number / PACKS_PER_DIR)
			continue;
		image_name_pack_dir(name, w->batch[i].number);
		if (dir_sync(w->d.imagefd, name, e) != 0)
			return -1;
	}
	return 0;
}

static int
publish_journal(struct writer *w, struct err *e)
{
	for (unsigned i = 0; i < w->nbatch; i++)
		if (sink_journal(w->s, w->d.number, w->batch[i].number, &w->batch[i].info, w->batch[i].table, e) != 0)
			return -1;
	return journal_sync(w->s->o.journal, e);
}

static void
pending_free(struct pending *p)
{
	io->close(p->fd);
	free(p->table);
	free(p->ids);
}

static void
batch_drop(struct writer *w)
{
	char name[IMAGE_NAME_MAX];

	for (unsigned i = 0; i < w->nbatch; i++) {
		pack_tmp_name(name, w->batch[i].number);
		pending_free(&w->batch[i]);
		(void)io->unlinkat(w->d.imagefd, name, 0);
	}
	w->nbatch = 0;
}

/* Publish the batch: the one place where packs get their names. */
static int
writer_publish(struct writer *w, struct err *e)
{
	if (w->nbatch == 0)
		return 0;
	if (publish_files(w, e) != 0 || publish_journal(w, e) != 0)
		return -1;
	sink_landed(w->s, w->batch, w->nbatch);
	for (unsigned i = 0; i < w->nbatch; i++)
		pending_free(&w->batch[i]);
	w->nbatch = 0;
	return 0;
}

/* Whether the batch must not wait for more packs. */
static bool
batch_is_due_locked(const struct writer *w, const struct slot *next)
{
	const struct pack_sink *s = w->s;

	if (w->nbatch == 0)
		return false;
	return w->nbatch == PACK_SINK_BATCH || io_mono_ns() - w->batch_since >= BATCH_NS || s->stopping ||
	    (s->wanted >= w->batch[0].seq && (next == NULL || next->turn > s->wanted));
}

/* What the writer does next. */
enum writer_step { STEP_WRITE, STEP_PUBLISH, STEP_END };

static enum writer_step
writer_wait(struct writer *w, struct slot **slot)
{
	struct pack_sink *s = w->s;
	struct timespec until;
	enum writer_step step = STEP_END;

	pthread_mutex_lock(&s->lock);
	while (!s->failed && !(s->stopping && s->dropping)) {
		*slot = slot_ready_locked(s);
		if (batch_is_due_locked(w, *slot) && (*slot == NULL || !s->stopping || w->nbatch == PACK_SINK_BATCH)) {
			step = STEP_PUBLISH;
			break;
		}
		if (*slot != NULL) {
			(*slot)->state = SLOT_TAKEN;
			step = STEP_WRITE;
			break;
		}
		if (s->stopping && s->nwritten == s->next_seq - 1)
			break;
		if (w->nbatch == 0) {
			pthread_cond_wait(&s->changed, &s->lock);
			continue;
		}
		io->clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += 1;
		pthread_cond_timedwait(&s->changed, &s->lock, &until);
	}
	pthread_mutex_unlock(&s->lock);
	return step;
}

/* The disk is full: go on with another.  0, 1 there is none for this writer, -1. */
static int
writer_next_disk(struct writer *w, struct err *e)
{
	struct pack_sink *s = w->s;
	int last, rc;

	if (writer_publish(w, e) != 0)
		return -1;
	pthread_mutex_lock(&s->lock);
	last = s->live == 1;
	if (!last)
		s->live--;	/* until it has another */
	pthread_mutex_unlock(&s->lock);
	rc = s->o.calls->full(s->o.calls->arg, &w->d, last, e);
	if (rc != 0)
		return rc;
	w->begun = false;
	pthread_mutex_lock(&s->lock);
	s->live += !last;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

/* One pack onto this disk, or the next.  0, 1 it must go onto another writer's, -1. */
static int
writer_store(struct writer *w, struct slot *slot, struct err *e)
{
	const struct sink_calls *c = w->s->o.calls;
	int rc;

	for (;;) {
		rc = c != NULL ? c->room(c->arg, &w->d, &slot->info, e) : 0;
		if (rc == 0 && (rc = writer_write(w, slot, e)) != 0 && e->code == ERR_NO_SPACE && c != NULL) {
			/* The system counts otherwise than we do. */
			err_clear(e);
			rc = 1;
		}
		if (rc != 1)
			return rc;
		if ((rc = writer_next_disk(w, e)) != 0)
			return rc;
	}
}

void *
writer_main(void *arg)
{
	struct writer *w = arg;
	struct slot *slot;
	enum writer_step step;
	struct err e;
	int rc = 0;

	err_clear(&e);
	while (rc == 0 && (step = writer_wait(w, &slot)) != STEP_END) {
		if (step == STEP_PUBLISH)
			rc = writer_publish(w, &e);
		else if ((rc = writer_store(w, slot, &e)) != -1)
			slot_done(w->s, slot, rc == 0);
	}
	if (rc == -1) {
		if (e.code != ERR_DISK_NEEDED)
			err_during(&e, "disk %s", w->d.name);
		sink_fail(w->s, &e);
	}
	batch_drop(w);
	return NULL;
}
