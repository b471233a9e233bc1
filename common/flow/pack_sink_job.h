#ifndef SAMARA_FLOW_PACK_SINK_JOB_H
#define SAMARA_FLOW_PACK_SINK_JOB_H

/* What the sink and the writers of its disks or its line share; private to pack_sink.c, pack_writer.c and pack_upload.c. */

#include <pthread.h>
#include <stdbool.h>

#include "common/base/err.h"
#include "common/flow/pack_sink.h"
#include "common/pack/pack_build.h"

#define SINK_SLOTS	4u	/* finished packs in memory, and one more for each disk */
#define SINK_SLOTS_MAX	(SINK_SLOTS + PACK_SINK_DISKS)
#define ARENAS		4u	/* packs being filled or sealed */
#define LINE_RAMP	4u	/* packs over a line that are shorter than they may be, the first */
#define BLOCK		4096u
#define SLOT_CAP	(PACK_LEN_MAX + BLOCK)
#define FLIGHT_BUCKETS	65536u
#define RING		4096u	/* sequences that may be on their way at once */

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

enum slot_state { SLOT_EMPTY, SLOT_READY, SLOT_TAKEN };

/* A sealed pack on its way to a disk; slot = seq % nslots. */
struct slot {
	enum slot_state state;
	uint64_t turn;		/* the sequence that comes here next, or is here */
	uint8_t *bytes;		/* SLOT_CAP, aligned */
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

/* The thread that writes a disk, or one of those that send. */
struct writer {
	struct pack_sink *s;
	struct sink_disk d;
	bool begun;		/* its directory of packs was made by this run */
	struct pending batch[PACK_SINK_BATCH];
	unsigned nbatch;
	int64_t batch_since;
	pthread_t thread;
	bool running;
};

struct pack_sink {
	struct pack_sink_options o;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct flight *flights[FLIGHT_BUCKETS];
	struct arena *filling, *spare;
	struct slot slots[SINK_SLOTS_MAX];
	unsigned nslots;
	uint64_t next_seq;	/* of the next pack that is detached */
	uint64_t nwritten;	/* packs that lie on a disk, published or not */
	uint64_t durable;
	uint8_t published[RING];	/* of sequences above durable */
	uint64_t wanted;	/* publish at least up to here now */
	bool stopping, dropping, failed;
	struct err err;
	struct writer writers[PACK_SINK_DISKS];
	unsigned nwriters;
	unsigned live;		/* writers that have a disk with room */
	struct pack_sink_totals totals;
};

/* The lock is held by the callers of all that is named *_locked. */

/* The first failure is everybody's. */
void sink_fail(struct pack_sink *s, const struct err *e);
/* Batch ${b} of ${n} packs is published and in the journal. */
void sink_landed(struct pack_sink *s, struct pending *b, unsigned n);
/* The finished pack with the lowest sequence; NULL if none waits. */
struct slot *slot_ready_locked(struct pack_sink *s);
/* The pack is written: its slot is free; or it waits for another writer. */
void slot_done(struct pack_sink *s, struct slot *slot, bool written);
/* The record of a durable pack into the journal; 0 for ${disk}: it is at the other end of a line. */
int sink_journal(struct pack_sink *s, uint32_t disk, uint32_t number, const struct pack_info *info, const uint8_t *table,
    struct err *e);
/* A writer's thread; ${arg} is its struct writer: for a disk, for a line. */
void *writer_main(void *arg);
void *upload_main(void *arg);

#endif
