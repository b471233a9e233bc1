/* How a backup begins, or goes on: session, base, journal, and what the vault has for sure. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/catalog/seen.h"
#include "common/flow/backup_job.h"
#include "common/flow/line_base.h"
#include "common/flow/state_refs.h"
#include "common/pack/id_sorter.h"

#define BASES_TRIED	16u
#define SORT_MEMORY	((size_t)8 << 20)
#define CLAIMS		256u

/* --- session and base --- */

/* Whether snapshot ${seq} can be merged with: of the set, with its listing.  1 with k->base, 0, -1. */
static int
base_look(struct backup *k, uint64_t seq, struct err *e)
{
	struct build *b = k->b;
	char name[64];
	struct stat st;
	size_t len;
	int rc;

	free(k->base_bytes);
	k->base_bytes = NULL;
	memset(&k->base, 0, sizeof(k->base));
	(void)snprintf(name, sizeof(name), "snaps/%08llu.itm", (unsigned long long)seq);
	if (io->fstatat(b->s->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	(void)snprintf(name, sizeof(name), "snaps/%08llu.r00", (unsigned long long)seq);
	if (io->fstatat(b->s->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	if ((rc = state_envelope(b->s, seq, &k->base_bytes, &len, &k->base, e)) != 0)
		return rc == 1 ? 0 : -1;
	if (strcmp(k->base.set_name, b->set) == 0)
		return 1;
	memset(&k->base, 0, sizeof(k->base));
	return 0;
}

/* A session on the base at hand (none: without).  0; 1 the vault does not know it; -1. */
static int
session_try(struct backup *k, struct err *e)
{
	struct session_open o = { .kind = LINE_BACKUP };

	io_random(o.session_id, ID_LEN);
	memcpy(o.set_name, k->b->set, sizeof(o.set_name));
	memcpy(o.base, k->base.snapshot_id, ID_LEN);
	return line_session_open(&k->t, k->l, &o, k->o->patience != 0 ? k->o->patience : 300, e);
}

/* Nothing of the set is here: what the vault has of it is fetched.  1 with a session on it, 0 there is none, -1. */
static int
base_fetch(struct backup *k, struct err *e)
{
	struct err mine;
	uint64_t seq;
	int rc;

	err_clear(&mine);
	if ((rc = line_base_fetch(k->l, k->b->s, k->b->set, &seq, &mine)) != 0) {
		if (rc == 1)
			return 0;
		if (mine.code == ERR_INTERRUPTED || mine.code == ERR_MEMORY || mine.code == ERR_NO_SPACE || mine.code == ERR_ROLLBACK)
			return err_set(e, mine.code, "%s", mine.msg);
		say_warn("%s", mine.msg);
		return 0;
	}
	say_info("the listing of snapshot %llu was fetched from the vault: what it says is unchanged is not read", (unsigned long long)seq);
	if ((rc = base_look(k, seq, e)) != 1)
		return rc;
	return (rc = session_try(k, e)) < 0 ? -1 : rc == 0;
}

/* The newest snapshot of the set that the vault knows and whose listing is here; in the end none. */
static int
session_find(struct backup *k, struct err *e)
{
	unsigned tried = 0;
	uint64_t seq;
	int rc;

	if (state_highest(k->b->s, &seq, e) != 0)
		return -1;
	for (; seq > 0 && tried < BASES_TRIED; seq--) {
		if ((rc = base_look(k, seq, e)) == 0)
			continue;
		if (rc == -1)
			return -1;
		tried++;
		if ((rc = session_try(k, e)) != 1)
			return rc;
	}
	if ((rc = base_fetch(k, e)) != 0)
		return rc < 0 ? -1 : 0;
	free(k->base_bytes);
	k->base_bytes = NULL;
	memset(&k->base, 0, sizeof(k->base));
	if ((rc = session_try(k, e)) == 1)
		rc = err_set(e, ERR_PROTOCOL, "%s does not know a session without base", line_name(k->l));
	if (rc == 0 && k->t.opened.head_seq > 0)
		say_info("no earlier listing of set %s that the vault knows is here: every file is read, what it has is not sent", k->b->set);
	return rc;
}

/* The session for a snapshot that has its envelope: on its base, whatever else there is.  0, 1 the base is gone, -1. */
static int
session_for_envelope(struct backup *k, struct err *e)
{
	static const uint8_t none[ID_LEN];
	const struct envelope *env = &k->b->im->envelope;
	int rc;

	memset(&k->base, 0, sizeof(k->base));
	if (memcmp(env->base, none, ID_LEN) != 0) {
		for (uint64_t seq = env->seq - 1; seq > 0; seq--) {
			if ((rc = base_look(k, seq, e)) == -1)
				return -1;
			if (rc == 1 && memcmp(k->base.snapshot_id, env->base, ID_LEN) == 0)
				break;
			memset(&k->base, 0, sizeof(k->base));
		}
		if (k->base.seq == 0)
			return 1;
	}
	return session_try(k, e);
}

/* --- journal --- */

static int
journal_begin_new(struct backup *k, const char *path, const struct buf *begin, struct err *e)
{
	struct build *b = k->b;
	struct journal *j = NULL;
	int fd;

	if (dir_make(b->s->fd, path, 0700, e) != 0 || (fd = dir_open(b->s->fd, path, e)) == -1)
		return -1;
	j = journal_create(fd, "journal", JOURNAL_BEGIN, begin->p, begin->len, e);
	io->close(fd);
	if (j == NULL)
		return -1;
	journal_close(j);
	return (b->im = image_state_load_line(b->s, b->set, NULL, NULL, e)) == NULL ? -1 : 0;
}

/* Whether the two were begun for the same. */
static bool
begin_same(const struct journal_begin *a, const struct journal_begin *b)
{
	return a->flags == b->flags && a->level_u == b->level_u && memcmp(a->base, b->base, ID_LEN) == 0 &&
	    memcmp(a->vault_id, b->vault_id, ID_LEN) == 0 && a->paths.len == b->paths.len &&
	    memcmp(a->paths.p, b->paths.p, a->paths.len) == 0 && a->excludes.len == b->excludes.len &&
	    (a->excludes.len == 0 || memcmp(a->excludes.p, b->excludes.p, a->excludes.len) == 0);
}

static int
pack_copy(void *arg, uint32_t disk, uint32_t number, uint32_t file_len, const struct pack_table *t, const uint8_t *table,
    uint32_t table_len, const uint8_t *foot, struct err *e)
{
	uint8_t head[12];
	const struct fmt_view parts[3] = { view_of(head, sizeof(head)), view_of(table, table_len), view_of(foot, PACK_FOOT_LEN) };

	(void)t;
	le32_put(head, disk);
	le32_put(head + 4, number);
	le32_put(head + 8, file_len);
	return journal_add(arg, JOURNAL_PACK, parts, 3, e);
}

/* The same packs behind another beginning; the old journal or the new one stands after a power cut. */
static int
journal_rewrite(struct backup *k, const struct buf *begin, struct err *e)
{
	struct build *b = k->b;
	struct journal *j;
	int rc;

	journal_close(b->j);
	b->j = NULL;
	(void)io->unlinkat(b->im->fd, "journal.new", 0);
	if ((j = journal_create(b->im->fd, "journal.new", JOURNAL_BEGIN, begin->p, begin->len, e)) == NULL)
		return -1;
	if ((rc = image_packs(b->s, b->im, pack_copy, j, e)) == 0)
		rc = journal_sync(j, e);
	journal_close(j);
	if (rc == 0 && io->renameat2(b->im->fd, "journal.new", b->im->fd, "journal", 0) != 0)
		rc = err_errno(e, "journal of the backup");
	if (rc == 0)
		rc = dir_sync(b->im->fd, NULL, e);
	return rc == 0 ? build_reload(b, e) : -1;
}

int
backup_renew(struct backup *k, struct err *e)
{
	struct buf begin;
	int rc;

	buf_init(&begin);
	k->b->base_seq = k->base.seq;
	rc = build_begin_make(k->b, &begin, e);
	if (rc == 0)
		rc = journal_rewrite(k, &begin, e);
	if (rc == 0)
		rc = (k->b->j = journal_append(k->b->im->fd, "journal", e)) == NULL ? -1 : 0;
	buf_release(&begin);
	return rc;
}

/* A journal for what is asked for now: new, or the unfinished one, whose item logs hold whatever is asked for. */
static int
journal_open(struct backup *k, struct err *e)
{
	struct build *b = k->b;
	char path[IMAGE_PATH_MAX];
	struct journal_begin want;
	struct buf begin;
	int rc;

	buf_init(&begin);
	b->base_seq = k->base.seq;
	(void)snprintf(path, sizeof(path), BACKUP_DIR, b->set);
	if ((rc = build_begin_make(b, &begin, e)) != 0)
		goto out;
	if (b->im == NULL)
		rc = journal_begin_new(k, path, &begin, e);
	else if (schema_decode(&journal_begin_schema, &want, begin.p, begin.len) != FMT_OK)
		rc = err_set(e, ERR_INTERNAL, "backup");
	else if (!begin_same(&want, &b->im->begin))
		rc = journal_rewrite(k, &begin, e);
	if (rc == 0 && (b->j = journal_append(b->im->fd, "journal", e)) == NULL)
		rc = -1;
out:
	buf_release(&begin);
	return rc;
}

/* The unfinished backup of the set: b->im, or NULL where there is none.  One that was committed is put away. */
static int
journal_find(struct backup *k, struct err *e)
{
	struct build *b = k->b;

	if ((b->im = image_state_load_line(b->s, b->set, NULL, NULL, e)) == NULL) {
		if (e->code != ERR_NO_IMAGE && e->code != ERR_NOT_FOUND)
			return -1;
		err_clear(e);
		return 0;
	}
	return b->im->sealed ? backup_journal_drop(k, e) : 0;
}

int
backup_journal_drop(struct backup *k, struct err *e)
{
	struct build *b = k->b;
	char **names;
	size_t n;
	int rc = 0;

	journal_close(b->j);
	b->j = NULL;
	if (dir_list(b->im->fd, ".", &names, &n, e) != 0)
		return -1;
	/* The journal last: without it the others would be an unfinished backup's. */
	for (size_t i = 0; i < n && rc == 0; i++)
		if (strcmp(names[i], "journal") != 0 && io->unlinkat(b->im->fd, names[i], 0) != 0 && errno != ENOENT)
			rc = err_errno(e, "%s/%s", b->im->path, names[i]);
	dir_list_free(names, n);
	if (rc == 0)
		rc = dir_sync(b->im->fd, NULL, e);
	if (rc == 0 && io->unlinkat(b->im->fd, "journal", 0) != 0 && errno != ENOENT)
		rc = err_errno(e, "%s/journal", b->im->path);
	image_state_free(b->im);
	b->im = NULL;
	return rc;
}

int
backup_open(struct backup *k, struct err *e)
{
	struct build *b = k->b;
	int rc;

	if (journal_find(k, e) != 0)
		return -1;
	k->asks_all = b->im != NULL;
	if (b->im != NULL && b->im->envelope.seq != 0) {
		if ((rc = session_for_envelope(k, e)) == 0) {
			b->base_seq = k->base.seq;
			b->j = journal_append(b->im->fd, "journal", e);
			return b->j == NULL ? -1 : build_paths_take(b, e);
		}
		if (rc == -1 || session_find(k, e) != 0 || backup_renew(k, e) != 0)
			return -1;
		return build_paths_take(b, e);
	}
	if (session_find(k, e) != 0 || journal_open(k, e) != 0)
		return -1;
	return build_paths_take(b, e);
}

/* --- ids that are held --- */

int
backup_absent(void *arg, const uint8_t id[DIGEST_LEN], struct err *e)
{
	struct backup *k = arg;

	if (k->absent == NULL && (k->absent = id_sorter_new(k->b->runs_fd, SORT_MEMORY, e)) == NULL)
		return -1;
	return id_sorter_add(k->absent, id, e);
}

/* Claiming rising ids, but for those that are absent. */
struct claiming {
	struct backup *k;
	uint8_t ids[CLAIMS * DIGEST_LEN], known[CLAIMS];
	size_t n;
	uint8_t next[DIGEST_LEN];	/* of the absent ones */
	int more;
};

static int
claim_flush(struct claiming *c, struct err *e)
{
	int rc = c->n > 0 ? seen_claim(c->k->b->seen, c->ids, c->n, c->known, e) : 0;

	c->n = 0;
	return rc;
}

static int
claim_one(void *arg, const uint8_t id[DIGEST_LEN], struct err *e)
{
	struct claiming *c = arg;

	while (c->more == 1 && memcmp(c->next, id, DIGEST_LEN) < 0)
		c->more = id_sorter_next(c->k->absent, c->next, e);
	if (c->more == -1)
		return -1;
	if (c->more == 1 && memcmp(c->next, id, DIGEST_LEN) == 0)
		return 0;
	memcpy(c->ids + c->n++ * DIGEST_LEN, id, DIGEST_LEN);
	return c->n == CLAIMS ? claim_flush(c, e) : 0;
}

/* What the base needs is there, but for what was said to be lost. */
static int
held_base(struct backup *k, struct err *e)
{
	struct claiming *c = calloc(1, sizeof(*c));
	int rc = 0;

	if (c == NULL)
		return err_errno(e, "backup");
	c->k = k;
	if (k->absent != NULL && ((rc = id_sorter_rewind(k->absent, e)) != 0 || (c->more = id_sorter_next(k->absent, c->next, e)) == -1))
		rc = -1;
	if (rc == 0)
		rc = state_refs_each(k->b->s, &k->base, claim_one, c, e);
	if (rc == 0)
		rc = claim_flush(c, e);
	free(c);
	return rc;
}

static int
sort_table(void *arg, uint32_t disk, uint32_t number, uint32_t file_len, const struct pack_table *t, const uint8_t *table,
    uint32_t table_len, const uint8_t *foot, struct err *e)
{
	struct pack_row row;

	(void)disk, (void)number, (void)file_len, (void)table, (void)table_len, (void)foot;
	for (uint32_t i = 0; i < t->count; i++) {
		pack_table_row(t, i, &row);
		if (id_sorter_add(arg, row.id, e) != 0)
			return -1;
	}
	return 0;
}

/* One question about what was sent before; what is still there counts as held. */
static int
sent_ask(struct backup *k, const uint8_t *ids, uint32_t n, struct err *e)
{
	uint8_t states[ASK_IDS_MAX], known;
	int rc = line_session_ask(&k->t, ids, n, states, e);

	for (uint32_t i = 0; i < n && rc == 0; i++)
		if (states[i] != ID_MISSING)
			rc = seen_claim(k->b->seen, ids + (size_t)i * DIGEST_LEN, 1, &known, e);
	return rc;
}

/* What earlier runs of this backup sent: the vault may have taken it away since. */
static int
held_sent(struct backup *k, struct err *e)
{
	struct id_sorter *sent = id_sorter_new(k->b->runs_fd, SORT_MEMORY, e);
	uint8_t *ids = malloc((size_t)ASK_IDS_MAX * DIGEST_LEN);
	uint32_t n = 0;
	int got = -1, rc = -1;

	if (ids == NULL)
		err_errno(e, "backup");
	else if (sent != NULL && image_packs(k->b->s, k->b->im, sort_table, sent, e) == 0 && id_sorter_rewind(sent, e) == 0)
		rc = 0;
	while (rc == 0 && (got = id_sorter_next(sent, ids + (size_t)n * DIGEST_LEN, e)) == 1)
		if (++n == ASK_IDS_MAX) {
			rc = sent_ask(k, ids, n, e);
			n = 0;
		}
	if (rc == 0 && got == 0 && n > 0)
		rc = sent_ask(k, ids, n, e);
	free(ids);
	id_sorter_free(sent);
	return rc == 0 && got == 0 ? 0 : -1;
}

int
backup_held(struct backup *k, struct err *e)
{
	seen_free(k->b->seen);
	k->b->seen = NULL;
	if (build_seen_open(k->b, k->line.uploads, e) != 0 || line_session_lost(&k->t, backup_absent, k, e) != 0)
		return -1;
	if (k->base.seq != 0 && held_base(k, e) != 0)
		return -1;
	return k->b->im->packs > 0 ? held_sent(k, e) : 0;
}
