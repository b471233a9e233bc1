#include "common/flow/pack_sink.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/catalog/seen.h"
#include "common/disk/image_dir.h"
#include "common/flow/journal.h"
#include "common/pack/chunk_seal.h"
#include "common/pack/pack_build.h"

#define SLOTS		5u	/* finished packs in memory, at most */
#define ARENAS		4u	/* packs being filled or sealed */
#define BATCH_NS	INT64_C(10000000000)
#define BLOCK		4096u
#define SLOT_CAP	(PACK_LEN_MAX + BLOCK)
#define FLIGHT_BUCKETS	65536u
#define PARTS_MAX_PACK	8192u

/* A chunk claimed and not yet durable. */
struct flight {
	struct flight *next;
	uint64_t seq;		/* 0: being compressed */
	uint8_t id[DIGEST_LEN];
};

/* A pack being filled, then sealed. */
struct arena {
	struct arena *next;
	uint8_t *bytes;		/* inner chunks, PACK_LEN_MAX */
	size_t used;
	uint64_t frames_len;
	uint32_t n;
	struct pack_part *parts;
	uint64_t seq;
};

/* A sealed pack on its way to the disk; slot = seq % SLOTS. */
struct slot {
	uint8_t *bytes;		/* SLOT_CAP, aligned */
	uint64_t seq;
	int ready;
	struct pack_info info;
	uint8_t *ids;		/* of its chunks */
};

/* Written, not yet published. */
struct pending {
	uint64_t seq;
	uint32_t number;
	int fd;
	struct pack_info info;
	uint8_t *table;		/* table and footer */
	uint8_t *ids;
};

struct pack_sink {
	struct pack_sink_options o;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct flight *flights[FLIGHT_BUCKETS];
	struct arena *filling, *spare;
	struct slot slots[SLOTS];
	uint64_t next_seq;	/* of the next pack that is detached */
	uint64_t written;	/* highest sequence taken by the writer */
	uint64_t durable;
	uint64_t wanted;	/* publish at least up to here now */
	struct pending batch[PACK_SINK_BATCH];
	unsigned nbatch;
	int64_t batch_since;
	int stopping, dropping, failed;
	struct err err;
	pthread_t thread;
	int running;
	uint32_t next_pack;
	struct pack_sink_totals totals;
};

/* The lock is held by the callers of all that is named *_locked. */

static int
sink_failed_locked(struct pack_sink *s, struct err *e)
{
	if (!s->failed)
		return 0;
	if (e != NULL)
		*e = s->err;
	return -1;
}

static void
sink_fail(struct pack_sink *s, const struct err *e)
{
	pthread_mutex_lock(&s->lock);
	if (!s->failed) {
		s->failed = 1;
		s->err = *e;
	}
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

static struct flight **
flight_find_locked(struct pack_sink *s, const uint8_t *id)
{
	struct flight **f = &s->flights[le16_get(id)];

	while (*f != NULL && memcmp((*f)->id, id, DIGEST_LEN) != 0)
		f = &(*f)->next;
	return f;
}

int
pack_sink_claim(struct pack_sink *s, const uint8_t *ids, size_t n, uint8_t *known, struct err *e)
{
	struct flight *f;
	int rc = -1;

	pthread_mutex_lock(&s->lock);
	if (sink_failed_locked(s, e) != 0 || seen_claim(s->o.seen, ids, n, known, e) != 0)
		goto out;
	for (size_t i = 0; i < n; i++) {
		if (known[i])
			continue;
		if ((f = malloc(sizeof(*f))) == NULL) {
			err_errno(e, "claim a chunk");
			goto out;
		}
		memcpy(f->id, ids + i * DIGEST_LEN, DIGEST_LEN);
		f->seq = 0;
		f->next = s->flights[le16_get(f->id)];
		s->flights[le16_get(f->id)] = f;
	}
	rc = 0;
out:
	/* Some ids may count as claimed now, with nobody to pack them: nothing may be believed any more. */
	if (rc != 0 && !s->failed) {
		s->failed = 1;
		s->err = *e;
		pthread_cond_broadcast(&s->changed);
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

/* Take the filling pack away and wait for its place among the finished ones. */
static struct arena *
arena_detach_locked(struct pack_sink *s)
{
	struct arena *a = s->filling;

	s->filling = NULL;
	a->seq = s->next_seq++;
	while (!s->failed && a->seq >= s->written + 1 + SLOTS)
		pthread_cond_wait(&s->changed, &s->lock);
	return a;
}

/* Seal ${a} into its slot; the lock is not held. */
static int
arena_seal(struct pack_sink *s, struct arena *a, struct err *e)
{
	struct slot *slot = &s->slots[a->seq % SLOTS];
	uint8_t *ids = malloc((size_t)a->n * DIGEST_LEN);

	if (ids == NULL)
		return err_errno(e, "seal a pack");
	for (uint32_t i = 0; i < a->n; i++)
		memcpy(ids + (size_t)i * DIGEST_LEN, a->parts[i].id, DIGEST_LEN);
	pack_build(s->o.keys, s->o.maker, s->o.secret, a->parts, a->n, slot->bytes, &slot->info);
	memset(slot->bytes + slot->info.len, 0, BLOCK - slot->info.len % BLOCK);
	slot->ids = ids;
	return 0;
}

/* Seal the filling pack and give its arena back. */
static int
sink_push_locked(struct pack_sink *s, struct err *e)
{
	struct arena *a = arena_detach_locked(s);
	int rc = s->failed ? sink_failed_locked(s, e) : 0;

	if (rc == 0) {
		pthread_mutex_unlock(&s->lock);
		rc = arena_seal(s, a, e);
		pthread_mutex_lock(&s->lock);
	}
	if (rc == 0) {
		s->slots[a->seq % SLOTS].seq = a->seq;
		s->slots[a->seq % SLOTS].ready = 1;
	} else if (!s->failed) {
		s->failed = 1;
		s->err = *e;
	}
	a->used = 0;
	a->frames_len = 0;
	a->n = 0;
	a->next = s->spare;
	s->spare = a;
	pthread_cond_broadcast(&s->changed);
	return rc;
}

/* Have a pack being filled that takes ${len} more inner bytes. */
static int
sink_room_locked(struct pack_sink *s, uint32_t len, struct err *e)
{
	uint64_t frame = chunk_frame_len(len);

	for (;;) {
		if (sink_failed_locked(s, e) != 0)
			return -1;
		if (s->filling == NULL && s->spare != NULL) {
			s->filling = s->spare;
			s->spare = s->filling->next;
		}
		if (s->filling == NULL) {
			pthread_cond_wait(&s->changed, &s->lock);
			continue;
		}
		if (s->filling->n < PARTS_MAX_PACK && s->filling->used + len <= PACK_LEN_MAX &&
		    pack_len(s->filling->n + 1, s->filling->frames_len + frame) <= PACK_LEN_MAX)
			return 0;
		if (sink_push_locked(s, e) != 0)
			return -1;
	}
}

int
pack_sink_add(struct pack_sink *s, unsigned kind, const uint8_t *id, const uint8_t *inner, uint32_t len, struct err *e)
{
	struct flight **f;
	struct arena *a;
	struct pack_part *p;
	int rc;

	pthread_mutex_lock(&s->lock);
	if ((rc = sink_room_locked(s, len, e)) == 0) {
		a = s->filling;
		p = &a->parts[a->n++];
		memcpy(p->id, id, DIGEST_LEN);
		p->kind = (uint16_t)kind;
		p->inner = memcpy(a->bytes + a->used, inner, len);
		p->inner_len = len;
		a->used += len;
		a->frames_len += chunk_frame_len(len);
		f = flight_find_locked(s, id);
		if (*f != NULL)
			(*f)->seq = s->next_seq;
		pthread_cond_broadcast(&s->changed);
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

int
pack_sink_seq(struct pack_sink *s, const uint8_t *ids, size_t n, uint64_t *seq, struct err *e)
{
	struct flight *f;
	uint64_t high = 0;
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	rc = sink_failed_locked(s, e);
	for (size_t i = 0; i < n && rc == 0; i++) {
		while ((f = *flight_find_locked(s, ids + i * DIGEST_LEN)) != NULL && f->seq == 0) {
			if ((rc = sink_failed_locked(s, e)) != 0)
				break;
			pthread_cond_wait(&s->changed, &s->lock);
		}
		if (f != NULL && f->seq > high)
			high = f->seq;
	}
	pthread_mutex_unlock(&s->lock);
	*seq = high;
	return rc;
}

uint64_t
pack_sink_durable(struct pack_sink *s)
{
	uint64_t d;

	pthread_mutex_lock(&s->lock);
	d = s->durable;
	pthread_mutex_unlock(&s->lock);
	return d;
}

/* Seal what is being filled and want all of it published. */
static int
sink_want_locked(struct pack_sink *s, struct err *e)
{
	int rc = 0;

	if (s->filling != NULL && s->filling->n > 0)
		rc = sink_push_locked(s, e);
	s->wanted = s->next_seq - 1;
	pthread_cond_broadcast(&s->changed);
	return rc;
}

void
pack_sink_hurry(struct pack_sink *s)
{
	struct err e;

	err_clear(&e);
	pthread_mutex_lock(&s->lock);
	if (s->wanted < s->next_seq - 1 || (s->filling != NULL && s->filling->n > 0))
		(void)sink_want_locked(s, &e);
	pthread_mutex_unlock(&s->lock);
}

int
pack_sink_flush(struct pack_sink *s, struct err *e)
{
	int rc;

	pthread_mutex_lock(&s->lock);
	rc = sink_want_locked(s, e);
	while (rc == 0 && s->durable < s->wanted) {
		if ((rc = sink_failed_locked(s, e)) == 0)
			pthread_cond_wait(&s->changed, &s->lock);
	}
	if (rc == 0)
		rc = sink_failed_locked(s, e);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

void
pack_sink_totals(struct pack_sink *s, struct pack_sink_totals *t)
{
	pthread_mutex_lock(&s->lock);
	*t = s->totals;
	pthread_mutex_unlock(&s->lock);
}

/* --- the writer's thread --- */

static void
pack_tmp_name(char out[IMAGE_NAME_MAX], uint32_t number)
{
	image_name_pack(out, number);
	memcpy(out + strlen(out) - 2, "tm", 2);
}

/* Open a new file for a pack, direct where the file system lets us. */
static int
pack_file_open(struct pack_sink *s, const char *name, int *direct, struct err *e)
{
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, fd;

	*direct = 1;
	fd = io->open(s->o.imagefd, name, flags | O_DIRECT, 0644);
	if (fd == -1 && errno == EINVAL) {
		*direct = 0;
		/* Some file systems make the file before they refuse O_DIRECT. */
		(void)io->unlinkat(s->o.imagefd, name, 0);
		fd = io->open(s->o.imagefd, name, flags, 0644);
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

/* Write the pack in ${slot} under a temporary name and add it to the batch. */
static int
writer_write(struct pack_sink *s, struct slot *slot, struct err *e)
{
	struct pending *p = &s->batch[s->nbatch];
	char name[IMAGE_NAME_MAX], dir[IMAGE_NAME_MAX];
	int direct;

	memset(p, 0, sizeof(*p));
	p->number = s->next_pack;
	p->seq = slot->seq;
	p->info = slot->info;
	if (p->number % PACKS_PER_DIR == 0 || s->totals.packs + s->nbatch == 0) {
		image_name_pack_dir(dir, p->number);
		if (dir_make(s->o.imagefd, dir, 0755, e) != 0)
			return -1;
	}
	pack_tmp_name(name, p->number);
	(void)io->unlinkat(s->o.imagefd, name, 0);	/* of a run that was killed: the image is ours alone */
	if ((p->fd = pack_file_open(s, name, &direct, e)) == -1)
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
	if (s->nbatch == 0)
		s->batch_since = io_mono_ns();
	s->nbatch++;
	s->next_pack++;
	return 0;
fail:
	io->close(p->fd);
	(void)io->unlinkat(s->o.imagefd, name, 0);
	return -1;
}

static int
publish_files(struct pack_sink *s, struct err *e)
{
	char tmp[IMAGE_NAME_MAX], name[IMAGE_NAME_MAX];
	int made;

	for (unsigned i = 0; i < s->nbatch; i++)
		if (io->fsync(s->batch[i].fd) != 0)
			return err_set(e, ERR_FSYNC, "sync pack %u: %s", s->batch[i].number, strerror(errno));
	for (unsigned i = 0; i < s->nbatch; i++) {
		pack_tmp_name(tmp, s->batch[i].number);
		image_name_pack(name, s->batch[i].number);
		made = file_publish(s->o.imagefd, tmp, name, s->o.plain_rename ? FILE_PLAIN_RENAME : 0, e);
		if (made == 1)
			return err_set(e, ERR_WRONG_DISK, "%s is there already, and not by this build", name);
		if (made != 0)
			return -1;
	}
	for (unsigned i = 0; i < s->nbatch; i++) {
		if (i > 0 && s->batch[i].number / PACKS_PER_DIR == s->batch[i - 1].number / PACKS_PER_DIR)
			continue;
		image_name_pack_dir(name, s->batch[i].number);
		if (dir_sync(s->o.imagefd, name, e) != 0)
			return -1;
	}
	return 0;
}

static int
publish_journal(struct pack_sink *s, struct err *e)
{
	uint8_t head[12];
	struct fmt_view parts[2];

	for (unsigned i = 0; i < s->nbatch; i++) {
		le32_put(head, s->o.disk);
		le32_put(head + 4, s->batch[i].number);
		le32_put(head + 8, s->batch[i].info.len);
		parts[0] = (struct fmt_view){ .p = head, .len = sizeof(head) };
		parts[1] = (struct fmt_view){ .p = s->batch[i].table, .len = s->batch[i].info.table_len + PACK_FOOT_LEN };
		if (journal_add(s->o.journal, JOURNAL_PACK, parts, 2, e) != 0)
			return -1;
	}
	return journal_sync(s->o.journal, e);
}

static void
flights_land_locked(struct pack_sink *s, const uint8_t *ids, uint32_t n)
{
	struct flight **f, *gone;

	for (uint32_t i = 0; i < n; i++) {
		f = flight_find_locked(s, ids + (size_t)i * DIGEST_LEN);
		if ((gone = *f) != NULL) {
			*f = gone->next;
			free(gone);
		}
	}
}

static void
batch_drop(struct pack_sink *s)
{
	char name[IMAGE_NAME_MAX];

	for (unsigned i = 0; i < s->nbatch; i++) {
		io->close(s->batch[i].fd);
		pack_tmp_name(name, s->batch[i].number);
		(void)io->unlinkat(s->o.imagefd, name, 0);
		free(s->batch[i].table);
		free(s->batch[i].ids);
	}
	s->nbatch = 0;
}

/* Publish the batch: the one place where packs get their names. */
static int
writer_publish(struct pack_sink *s, struct err *e)
{
	if (s->nbatch == 0)
		return 0;
	if (publish_files(s, e) != 0 || publish_journal(s, e) != 0)
		return -1;
	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < s->nbatch; i++) {
		s->totals.packs++;
		s->totals.bytes += s->batch[i].info.len;
		s->totals.chunks += s->batch[i].info.count;
		s->durable = s->batch[i].seq;
		flights_land_locked(s, s->batch[i].ids, s->batch[i].info.count);
		io->close(s->batch[i].fd);
		free(s->batch[i].table);
		free(s->batch[i].ids);
	}
	s->nbatch = 0;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

/* What the writer does next. */
enum writer_step { STEP_WRITE, STEP_PUBLISH, STEP_END };

static enum writer_step
writer_wait(struct pack_sink *s)
{
	struct slot *slot;
	struct timespec until;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		slot = &s->slots[(s->written + 1) % SLOTS];
		if (s->failed || (s->stopping && s->dropping)) {
			pthread_mutex_unlock(&s->lock);
			return STEP_END;
		}
		if (s->nbatch == PACK_SINK_BATCH || (s->nbatch > 0 && (s->wanted == s->written ||
		    io_mono_ns() - s->batch_since >= BATCH_NS)))
			break;
		if (slot->ready && slot->seq == s->written + 1) {
			pthread_mutex_unlock(&s->lock);
			return STEP_WRITE;
		}
		if (s->stopping && s->written == s->next_seq - 1) {
			pthread_mutex_unlock(&s->lock);
			return s->nbatch > 0 ? STEP_PUBLISH : STEP_END;
		}
		if (s->nbatch == 0) {
			pthread_cond_wait(&s->changed, &s->lock);
			continue;
		}
		io->clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += 1;
		pthread_cond_timedwait(&s->changed, &s->lock, &until);
	}
	pthread_mutex_unlock(&s->lock);
	return STEP_PUBLISH;
}

static void *
writer_main(void *arg)
{
	struct pack_sink *s = arg;
	struct slot *slot;
	struct err e;
	enum writer_step step;
	int rc = 0;

	err_clear(&e);
	while (rc == 0 && (step = writer_wait(s)) != STEP_END) {
		if (step == STEP_PUBLISH) {
			rc = writer_publish(s, &e);
			continue;
		}
		slot = &s->slots[(s->written + 1) % SLOTS];
		if ((rc = writer_write(s, slot, &e)) != 0)
			continue;
		pthread_mutex_lock(&s->lock);
		slot->ready = 0;
		s->written++;
		pthread_cond_broadcast(&s->changed);
		pthread_mutex_unlock(&s->lock);
	}
	if (rc != 0) {
		err_during(&e, "disk %s", s->o.disk_name);
		sink_fail(s, &e);
	}
	batch_drop(s);
	return NULL;
}

static int
sink_memory(struct pack_sink *s)
{
	struct arena *a;

	for (unsigned i = 0; i < SLOTS; i++)
		if ((s->slots[i].bytes = aligned_alloc(BLOCK, SLOT_CAP)) == NULL)
			return -1;
	for (unsigned i = 0; i < ARENAS; i++) {
		if ((a = calloc(1, sizeof(*a))) == NULL)
			return -1;
		a->next = s->spare;
		s->spare = a;
		a->bytes = malloc(PACK_LEN_MAX);
		a->parts = malloc(PARTS_MAX_PACK * sizeof(*a->parts));
		if (a->bytes == NULL || a->parts == NULL)
			return -1;
	}
	return 0;
}

struct pack_sink *
pack_sink_new(const struct pack_sink_options *o, struct err *e)
{
	struct pack_sink *s = calloc(1, sizeof(*s));
	int rc;

	if (s == NULL) {
		err_errno(e, "pack writer");
		return NULL;
	}
	s->o = *o;
	s->next_seq = 1;
	s->next_pack = o->first_pack;
	err_clear(&s->err);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	if (sink_memory(s) != 0) {
		err_errno(e, "memory for packs");
		goto fail;
	}
	if ((rc = pthread_create(&s->thread, NULL, writer_main, s)) != 0) {
		errno = rc;
		err_errno(e, "start the pack writer");
		goto fail;
	}
	s->running = 1;
	return s;
fail:
	pack_sink_free(s);
	return NULL;
}

int
pack_sink_stop(struct pack_sink *s, int drop, struct err *e)
{
	int rc = drop ? 0 : pack_sink_flush(s, e);

	pthread_mutex_lock(&s->lock);
	s->stopping = 1;
	s->dropping = drop;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	if (s->running)
		pthread_join(s->thread, NULL);
	s->running = 0;
	return rc;
}

void
pack_sink_free(struct pack_sink *s)
{
	struct arena *a;
	struct flight *f;

	if (s == NULL)
		return;
	if (s->running)
		(void)pack_sink_stop(s, 1, NULL);
	for (unsigned i = 0; i < SLOTS; i++) {
		free(s->slots[i].bytes);
		free(s->slots[i].ids);
	}
	if (s->filling != NULL) {
		s->filling->next = s->spare;
		s->spare = s->filling;
	}
	while ((a = s->spare) != NULL) {
		s->spare = a->next;
		free(a->bytes);
		free(a->parts);
		free(a);
	}
	for (unsigned i = 0; i < FLIGHT_BUCKETS; i++)
		while ((f = s->flights[i]) != NULL) {
			s->flights[i] = f->next;
			free(f);
		}
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
