/* What the vault has of ids: held, promised, missing; and which of the base are lost. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_doubt.h"
#include "common/flow/upload_job.h"
#include "common/flow/vault_count.h"

static const uint8_t nothing[DIGEST_LEN];

/* The session's directory, which a question seldom has to make: making it, even again, is made durable. */
static int
dir_at_hand(const struct vault *v, const uint8_t id[ID_LEN], struct err *e)
{
	struct err mine;
	int fd;

	err_clear(&mine);
	if ((fd = upload_dir(v, id, 0, &mine)) != -1)
		return fd;
	if (mine.code == ERR_NOT_FOUND)
		return upload_dir(v, id, 1, e);
	if (e != NULL)
		*e = mine;
	return -1;
}

/* Whoever makes a run does it alone: descriptor to close, or -1. */
static int
run_turn(int dirfd, struct err *e)
{
	int fd = io->open(dirfd, ".lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), rc;

	if (fd == -1)
		return err_errno(e, "lock a session");
	do {
		rc = io->flock(fd, LOCK_EX);
	} while (rc != 0 && errno == EINTR);
	if (rc == 0)
		return fd;
	(void)err_errno(e, "lock a session");
	(void)io->close(fd);
	return -1;
}

static int
run_add(void *arg, const uint8_t id[DIGEST_LEN], struct err *e)
{
	return id_run_add(arg, id, e);
}

/* What a run is made of: all that is promised, or what is lost of ${base}. */
struct making {
	struct vault *v;
	const struct cat_session *s;
	const struct cat_snapshot *base;	/* NULL: promises */
	int again;			/* those of images without snapshots */
};

static int
run_make(const struct making *k, int dirfd, const char *name, const uint8_t print[DIGEST_LEN], struct err *e)
{
	struct container *store = container_vault(k->v->path, k->s->machine_id, e);
	struct id_run_writer *w;
	int rc = -1;

	if (store == NULL)
		return -1;
	if ((w = id_run_new(dirfd, name, print, e)) != NULL) {
		rc = k->base == NULL ? vault_promised(k->v, store, k->s->machine_id, k->again, run_add, w, e) :
		    vault_lost(k->v, store, k->s->machine_id, k->base, run_add, w, e);
		if (rc == 0)
			rc = id_run_finish(w, e);
		id_run_drop(w);
	}
	container_free(store);
	return rc;
}

/* 0 the run is there and made from this; 1 it is not; -1. */
static int
run_is_good(int dirfd, const char *name, const uint8_t print[DIGEST_LEN], struct id_run *r, struct err *e)
{
	int rc = id_run_open(dirfd, name, r, e);

	if (rc != 0)
		return rc;
	if (memcmp(r->print, print, DIGEST_LEN) == 0)
		return 0;
	id_run_close(r);
	return 1;
}

/* The run, made if it is not there. */
static int
run_get(const struct making *k, int dirfd, const char *name, const uint8_t print[DIGEST_LEN], struct id_run *r,
    struct err *e)
{
	int rc = run_is_good(dirfd, name, print, r, e), turn;

	if (rc != 1)
		return rc;
	if ((turn = run_turn(dirfd, e)) == -1)
		return -1;
	if ((rc = run_is_good(dirfd, name, print, r, e)) == 1 && (rc = run_make(k, dirfd, name, print, e)) == 0 &&
	    (rc = run_is_good(dirfd, name, print, r, e)) == 1)
		rc = err_set(e, ERR_BUSY, "the ids of a session changed while they were gathered");
	(void)io->close(turn);
	return rc;
}

int
upload_promises(struct vault *v, const struct cat_session *s, int dirfd, struct upload_promises *r, struct err *e)
{
	struct making k = { v, s, NULL, 0 };
	uint8_t print[DIGEST_LEN];
	int rc;

	*r = (struct upload_promises){ .usual = { .fd = -1 }, .again = { .fd = -1 } };
	if (vault_promises(v, s->machine_id, print, &r->by, e) != 0)
		return -1;
	if (memcmp(print, nothing, DIGEST_LEN) == 0)
		return 1;
	if ((rc = run_get(&k, dirfd, "promised", print, &r->usual, e)) != 0 || r->by.again == 0)
		return rc;
	k.again = 1;
	return run_get(&k, dirfd, "again", print, &r->again, e);
}

void
upload_promises_close(struct upload_promises *r)
{
	id_run_close(&r->usual);
	id_run_close(&r->again);
}

/*
 * Those of the missing ones that the vault never had, that an image carries and no disk of the images on their way
 * lost; and what an image brings once more, unless it was lost again with one of its disks.
 */
static int
promised_judge(struct vault *v, const struct cat_machine *m, const struct upload_promises *promises, const uint8_t *ids, size_t n,
    const uint8_t *copies, uint8_t *states, struct err *e)
{
	uint64_t *lost = calloc(n, sizeof(*lost) + 2);
	uint8_t *found = (uint8_t *)(lost + n), *again = found + n;
	int rc = -1;

	if (lost == NULL)
		return err_errno(e, "answer a question");
	if (id_run_find(&promises->usual, ids, n, found, e) == 0 &&
	    (promises->again.fd == -1 || id_run_find(&promises->again, ids, n, again, e) == 0) &&
	    unstored_find(v->catalog, m->id, promises->by.images, promises->by.n, ids, n, lost, e) == 0) {
		for (size_t i = 0; i < n; i++)
			if (states[i] == ID_MISSING && ((copies[i] == 0 && found[i] && (lost[i] & ~promises->by.again) == 0) ||
			    (again[i] && (lost[i] & promises->by.again) == 0)))
				states[i] = ID_PROMISED;
		rc = 0;
	}
	free(lost);
	return rc;
}

int
upload_judge(struct vault *v, const struct cat_machine *m, const struct upload_promises *promises, const uint8_t *ids, size_t n,
    uint8_t *states, int *doubt, struct err *e)
{
	uint8_t *copies = malloc(n);
	int rc;

	if (copies == NULL)
		return err_errno(e, "answer a question");
	rc = chunks_find(v->catalog, m->domain_id, m->id, ids, n, copies, e);
	for (size_t i = 0; i < n && rc == 0; i++) {
		states[i] = copies[i] & COPY_GOOD ? ID_HELD : ID_MISSING;
		if (doubt != NULL && copies[i] & COPY_CONDEMNED)
			*doubt = 1;
	}
	if (rc == 0 && promises != NULL)
		rc = promised_judge(v, m, promises, ids, n, copies, states, e);
	free(copies);
	return rc;
}

/* The same, and what a collection condemned comes back: it is relied on from here on. */
static int
judge_and_revive(struct vault *v, const struct cat_machine *m, const uint8_t id[ID_LEN], const struct upload_promises *promises,
    const uint8_t *ids, size_t n, uint8_t *states, struct err *e)
{
	struct cat_session s;
	int doubt = 0;

	if (upload_judge(v, m, promises, ids, n, states, &doubt, e) != 0)
		return -1;
	if (!doubt)
		return 0;
	if (vault_begin(v, e) != 0)
		return -1;
	if (upload_get(v, m, id, &s, e) != 0 || chunks_revive(v->catalog, m->domain_id, m->id, ids, n, NULL, e) != 0 ||
	    upload_judge(v, m, promises, ids, n, states, NULL, e) != 0) {
		vault_rollback(v);
		return -1;
	}
	return vault_commit(v, e);
}

int
upload_answer(struct vault *v, const struct cat_machine *m, const struct cat_session *s, const uint8_t *ids, size_t n,
    uint8_t *states, struct err *e)
{
	struct upload_promises promises;
	int fd = dir_at_hand(v, s->id, e), rc;

	if (fd == -1)
		return -1;
	if ((rc = upload_promises(v, s, fd, &promises, e)) >= 0)
		rc = judge_and_revive(v, m, s->id, rc == 0 ? &promises : NULL, ids, n, states, e);
	upload_promises_close(&promises);
	(void)io->close(fd);
	return rc;
}

int
upload_ask(struct vault *v, const struct cat_machine *m, const uint8_t id[ID_LEN], const uint8_t *ids, size_t n,
    uint8_t *states, struct err *e)
{
	struct cat_session s;

	return upload_touch(v, m, id, &s, e) != 0 ? -1 : upload_answer(v, m, &s, ids, n, states, e);
}

/* --- pages --- */

int
upload_lost(struct vault *v, const struct cat_machine *m, const uint8_t id[ID_LEN], const uint8_t *after,
    struct upload_page *p, struct err *e)
{
	struct cat_session s;
	struct cat_snapshot base;
	struct making k = { v, &s, &base };
	struct id_run r;
	int fd, rc;

	p->n = 0;
	p->more = 0;
	if (upload_touch(v, m, id, &s, e) != 0 || (rc = upload_base(v, &s, &base, e)) < 0)
		return -1;
	if (rc == 1 || base.state == SNAPSHOT_WHOLE)
		return 0;
	if ((fd = dir_at_hand(v, id, e)) == -1)
		return -1;
	if ((rc = run_get(&k, fd, "lost", base.digest, &r, e)) == 0) {
		rc = id_run_page(&r, after, p->ids, p->cap, &p->n, &p->more, e);
		id_run_close(&r);
	}
	(void)io->close(fd);
	return rc;
}

int
upload_lacking(struct vault *v, const struct cat_machine *m, const uint8_t id[ID_LEN], const uint8_t *after,
    struct upload_page *p, struct err *e)
{
	struct cat_session s;
	struct id_run r;
	int fd, rc;

	p->n = 0;
	p->more = 0;
	if (upload_touch(v, m, id, &s, e) != 0 || (fd = dir_at_hand(v, id, e)) == -1)
		return -1;
	if ((rc = id_run_open(fd, "lacking", &r, e)) == 0) {
		rc = id_run_page(&r, after, p->ids, p->cap, &p->n, &p->more, e);
		id_run_close(&r);
	} else if (rc == 1) {
		rc = 0;
	}
	(void)io->close(fd);
	return rc;
}
