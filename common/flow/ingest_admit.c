#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/text.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_rows.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"
#include "common/flow/ingest_job.h"
#include "common/flow/vault_machine.h"

int
vault_turn(struct vault *v, const char *name, struct err *e)
{
	int fd = io->open(v->local, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644), rc;

	if (fd == -1)
		return err_errno(e, "open %s/local/%s", v->path, name);
	do {
		rc = io->flock(fd, LOCK_EX);
	} while (rc != 0 && errno == EINTR);
	if (rc == 0)
		return fd;
	(void)err_errno(e, "lock %s/local/%s", v->path, name);
	(void)io->close(fd);
	return -1;
}

int
vault_custody(struct vault *v, const uint8_t image[ID_LEN], enum custody_event event, uint32_t disk, const char *note,
    struct err *e)
{
	struct custody c = { .by_vault = 1, .event = (uint8_t)event, .disk = disk, .time = v->now };
	struct cat_image i;
	int rc;

	memcpy(i.id, image, ID_LEN);
	if ((rc = catalog_get(v->catalog, &cat_images, &i, e)) != 0)
		return rc == 1 ? err_set(e, ERR_INTERNAL, "a custody record of an image that is not known") : -1;
	memcpy(c.image_id, image, ID_LEN);
	memcpy(c.signer_id, v->desc.vault_id, ID_LEN);
	memcpy(c.signer_pub, v->desc.sign_pub, SIGN_PUB_LEN);
	c.number = i.custody + 1;
	memcpy(c.previous, i.custody_head, DIGEST_LEN);
	(void)snprintf(c.note, sizeof(c.note), "%.250s", note);
	return vault_record(v, REC_CUSTODY, &custody_schema, &c, e);
}

static int
record_unclaimed(struct ingest *g, struct err *e)
{
	struct rec_image i = { .registration = { g->registration, (uint32_t)g->registration_len } };
	const struct label *l = &g->dir.label;

	memcpy(i.image_id, l->image_id, ID_LEN);
	memcpy(i.machine_id, l->machine_id, ID_LEN);
	memcpy(i.short_name, l->short_name, sizeof(i.short_name));
	memcpy(i.why, g->r->why, sizeof(i.why));
	return vault_record(g->v, REC_UNCLAIMED, &rec_image_schema, &i, e);
}

/* Is the number of envelope ${x} taken: by a snapshot in the vault, or by another on this disk?  0, 1, -1. */
static int
number_taken(struct ingest *g, const struct ingest_envelope *x, struct err *e)
{
	struct cat_passed passed;
	struct cat_snapshot s;
	int rc;

	memcpy(s.machine_id, x->env.machine_id, ID_LEN);
	s.seq = (int64_t)x->env.seq;
	if ((rc = catalog_get(g->v->catalog, &cat_snapshots, &s, e)) < 0)
		return -1;
	if (rc == 0 && memcmp(s.digest, x->digest, DIGEST_LEN) != 0)
		return 1;
	memcpy(passed.machine_id, x->env.machine_id, ID_LEN);
	passed.seq = s.seq;
	if ((rc = catalog_get(g->v->catalog, &cat_passed, &passed, e)) < 0)
		return -1;
	if (rc == 0 && memcmp(passed.digest, x->digest, DIGEST_LEN) != 0)
		return 1;
	for (const struct ingest_envelope *y = g->envs; y < x; y++)
		if (y->env.seq == x->env.seq && memcmp(y->digest, x->digest, DIGEST_LEN) != 0)
			return 1;
	return 0;
}

/* A second snapshot with one number: a cloned machine, or an old state. */
static int
judge_forks(struct ingest *g, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < g->nenvs && rc == 0; i++)
		if ((rc = number_taken(g, &g->envs[i], e)) == 1)
			(void)snprintf(g->r->why, sizeof(g->r->why), "fork: another snapshot of this machine has number %llu"
			    " already; a cloned machine, or an old state put back", (unsigned long long)g->envs[i].env.seq);
	return rc;
}

/* The first number that the key may sign which signed the label: by its membership, that of the registration if it is ${fresh}. */
static int
first_number(struct ingest *g, int fresh, uint64_t *first, struct err *e)
{
	struct cat_machine_key k;
	struct registration reg;
	struct membership m;
	int rc;

	*first = 0;
	if (fresh) {
		if (schema_decode(&registration_schema, &reg, g->registration, g->registration_len) != FMT_OK ||
		    schema_decode(&membership_schema, &m, reg.membership.p, reg.membership.len) != FMT_OK)
			return err_set(e, ERR_FORMAT, "%s: the registration on it cannot be read", g->name);
		*first = m.from_seq;
		return 0;
	}
	memcpy(k.machine_id, g->dir.label.machine_id, ID_LEN);
	memcpy(k.pub, g->dir.label.machine_pub, SIGN_PUB_LEN);
	if ((rc = catalog_get(g->v->catalog, &cat_machine_keys, &k, e)) == 0)
		*first = (uint64_t)k.from_seq;
	return rc < 0 ? -1 : 0;
}

/* Was each snapshot signed with a key that its domain lets sign that number?  A claim does not heal this. */
static int
judge_numbers(struct ingest *g, int fresh, struct err *e)
{
	uint64_t first;

	if (first_number(g, fresh, &first, e) != 0)
		return -1;
	for (size_t i = 0; i < g->nenvs; i++)
		if (g->envs[i].env.seq < first) {
			(void)snprintf(g->r->why, sizeof(g->r->why), "snapshot %llu is signed with a key that its domain lets sign"
			    " from number %llu on", (unsigned long long)g->envs[i].env.seq, (unsigned long long)first);
			return 1;
		}
	return 0;
}

/* Is the machine that signed the label one of the vault's?  0 yes, 1 no (why), -1; may register it. */
static int
judge_machine(struct ingest *g, int *fresh, struct err *e)
{
	const struct label *l = &g->dir.label;
	char safe[NAME_MAX_LEN * 4 + 4];
	struct cat_machine m;
	int rc;

	*fresh = 0;
	if ((rc = vault_machine(g->v, l->machine_id, &m, e)) < 0)
		return -1;
	if (rc == 0 && memcmp(m.domain_id, l->domain_id, DIGEST_LEN) != 0) {
		(void)snprintf(g->r->why, sizeof(g->r->why), "it is of another key domain than machine %s",
		    text_safe(safe, sizeof(safe), m.name, strlen(m.name)));
		return 1;
	}
	if (rc == 0) {
		if ((rc = vault_machine_has_key(g->v, l->machine_id, l->machine_pub, e)) < 0)
			return -1;
		if (rc == 1)
			return 0;
	}
	*fresh = 1;
	return registration_judge(g->v, l, g->registration, g->registration_len, g->r->why, e);
}

static int
register_machine(struct ingest *g, struct err *e)
{
	if (registration_file(g->v, g->registration, g->registration_len, e) != 0)
		return -1;
	return vault_record_bytes(g->v, REC_MACHINE_REGISTERED, g->registration, g->registration_len, e);
}

/* The string that the operator compares with the customer stands in the record. */
static void
why_add_manifest(struct ingest_result *r)
{
	char why[TEXT_MAX_LEN + 1];

	if (r->manifest[0] == '\0')
		return;
	(void)snprintf(why, sizeof(why), "%.200s; manifest %s", r->why, r->manifest);
	memcpy(r->why, why, sizeof(why));
}

int
ingest_record_refused(struct ingest *g, const char *why, struct err *e)
{
	struct rec_refused k = { .disk = g->dir.label.disk };
	const struct label *l = &g->dir.label;
	struct cat_refusal was;
	int rc;

	memcpy(k.image_id, l->image_id, ID_LEN);
	memcpy(k.machine_id, l->machine_id, ID_LEN);
	memcpy(k.short_name, l->short_name, sizeof(k.short_name));
	memcpy(k.label, g->dir.label_digest, DIGEST_LEN);
	(void)snprintf(k.why, sizeof(k.why), "%.250s", why);
	memcpy(was.image_id, k.image_id, ID_LEN);
	was.number = k.disk;
	if ((rc = catalog_get(g->v->catalog, &cat_refusals, &was, e)) < 0)
		return -1;
	if (rc == 0 && memcmp(was.label, k.label, DIGEST_LEN) == 0 && strcmp(was.why, k.why) == 0)
		return 0;
	return vault_record(g->v, REC_DISK_REFUSED, &rec_refused_schema, &k, e);
}

/* Its image was cancelled: 1, and recorded. */
static int
refuse_cancelled(struct ingest *g, struct err *e)
{
	g->r->refused = 1;
	(void)snprintf(g->r->why, sizeof(g->r->why), "image %s was cancelled", g->dir.label.short_name);
	if (g->o->dry_run)
		return 1;
	return ingest_record_refused(g, g->r->why, e) != 0 ? -1 : 1;
}

int
ingest_decide(struct ingest *g, struct err *e)
{
	struct cat_image i;
	int fresh, rc, known;

	memcpy(i.id, g->dir.label.image_id, ID_LEN);
	if ((known = catalog_get(g->v->catalog, &cat_images, &i, e)) < 0)
		return -1;
	/* Ids stand in clear on every disk: nobody gets at another machine's image by naming it. */
	if (known == 0 && i.state != IMAGE_UNCLAIMED && memcmp(i.machine_id, g->dir.label.machine_id, ID_LEN) != 0)
		return err_set(e, ERR_WRONG_DISK, "%s: its label names an image of another machine; nothing of it was taken",
		    g->name);
	if (known == 0 && i.state == IMAGE_CANCELLED)
		return refuse_cancelled(g, e);
	if ((rc = judge_machine(g, &fresh, e)) == 0)
		rc = judge_numbers(g, fresh, e);
	if (rc == 0 && !(known == 0 && i.state == IMAGE_CLAIMED))
		rc = judge_forks(g, e);
	if (rc < 0)
		return -1;
	if (rc == 1) {
		g->r->unclaimed = 1;
		why_add_manifest(g->r);
		if (g->o->dry_run || (known == 0 && i.state == IMAGE_UNCLAIMED && strcmp(i.why, g->r->why) == 0))
			return 1;
		return record_unclaimed(g, e) != 0 ? -1 : 1;
	}
	g->registers = fresh;
	if (fresh && !g->only_receive && !g->o->dry_run && register_machine(g, e) != 0)
		return -1;
	return 0;
}

int
ingest_admit(struct ingest *g, struct err *e)
{
	int rc;

	if (vault_begin(g->v, e) != 0)
		return -1;
	if ((rc = ingest_decide(g, e)) < 0) {
		vault_rollback(g->v);
		return -1;
	}
	return vault_commit(g->v, e) != 0 ? -1 : rc;
}
