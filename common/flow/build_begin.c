/* How a build begins, or goes on. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/catalog/seen.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"
#include "common/disk/image_dir.h"
#include "common/disk/image_file.h"
#include "common/flow/build_run.h"
#include "common/flow/source_view.h"
#include "common/flow/pack_sink.h"
#include "common/flow/topup.h"
#include "common/flow/topup_build.h"
#include "common/pack/pack_view.h"

#define SEEN_MEMORY_MIN	(16u << 20)
#define SEEN_DISK	(UINT64_C(64) << 30)

static bool
disks_have_image(const struct build *b, const char *lower)
{
	for (unsigned i = 0; i < b->disks.n; i++)
		if (disk_has_image(&b->disks.at[i]->target, lower))
			return true;
	return false;
}

/* A short name that neither this state nor the disk knows. */
static void
short_name_choose(struct build *b, char out[SHORT_LEN + 1])
{
	char lower[SHORT_LEN + 1], path[32];
	struct stat st;

	do {
		image_name_draw(out, lower);
		snprintf(path, sizeof(path), "images/%s", lower);
	} while (disks_have_image(b, lower) || io->fstatat(b->s->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0);
}

static void
rows_add(struct buf *b, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		buf_u16(b, (uint16_t)strlen(list[i]));
		buf_add(b, list[i], strlen(list[i]));
	}
}

static uint32_t
begin_flags(const struct build_options *o)
{
	return (o->one_file_system ? JB_ONE_FILE_SYSTEM : 0) | (o->exclude_caches ? JB_EXCLUDE_CACHES : 0) |
	    (o->network_file_systems ? JB_NETWORK_FS : 0) | (o->plain_directory ? JB_PLAIN_DIRECTORY : 0) |
	    (o->no_read_back ? JB_NO_READ_BACK : 0) | (o->no_key_test ? JB_NO_KEY_TEST : 0) | (o->full ? JB_FULL : 0);
}

/* Absolute names of the paths, so that --resume works from anywhere. */
static int
paths_add(struct buf *out, const char *const *paths, size_t n, struct err *e)
{
	char *real;

	for (size_t i = 0; i < n; i++) {
		if ((real = realpath(paths[i], NULL)) == NULL) {
			err_errno(e, "%s", paths[i]);
			e->code = ERR_SOURCE;
			return -1;
		}
		rows_add(out, (const char *const *)&real, 1);
		free(real);
	}
	return 0;
}

/* The merge base: of a backup the one that the vault knows, else the set's newest. */
static int
base_choose(struct build *b, uint8_t id[ID_LEN], struct err *e)
{
	struct envelope base;
	uint8_t *bytes = NULL;
	size_t len;
	uint64_t seq = b->base_seq;

	if (!b->over_line && set_latest(b->s, b->set, &seq, e) != 0)
		return -1;
	if (seq != 0 && !b->o->full && state_envelope(b->s, seq, &bytes, &len, &base, e) == 0)
		memcpy(id, base.snapshot_id, ID_LEN);
	free(bytes);
	return 0;
}

int
build_begin_make(struct build *b, struct buf *out, struct err *e)
{
	const struct build_options *o = b->o;
	struct journal_begin g = { .begin_ns = io_now_ns(), .flags = begin_flags(o), .level_u = o->level };
	struct buf paths, excludes;
	int rc = -1;

	buf_init(&paths);
	buf_init(&excludes);
	if (paths_add(&paths, o->paths, o->npaths, e) != 0)
		goto out;
	rows_add(&excludes, o->excludes, o->nexcludes);
	if (buf_check(&paths, e) != 0 || buf_check(&excludes, e) != 0 || base_choose(b, g.base, e) != 0)
		goto out;
	if (o->missing == NULL)	/* a top-up has none */
		io_random(g.snapshot_id, ID_LEN);
	if (b->over_line) {	/* no image has such a name, nor zeros for an id */
		memcpy(g.short_name, "LINE", SHORT_LEN + 1);
	} else {
		io_random(g.image_id, ID_LEN);
		short_name_choose(b, g.short_name);
	}
	memcpy(g.machine_id, b->s->id.machine_id, ID_LEN);
	memcpy(g.vault_id, b->s->trust.vault_id, ID_LEN);
	memcpy(g.domain_id, b->s->id.domain_id, DIGEST_LEN);
	snprintf(g.set_name, sizeof(g.set_name), "%s", b->set);
	g.paths = view_of(paths.p, paths.len);
	g.excludes = view_of(excludes.p, excludes.len);
	rc = statement_make(&journal_begin_schema, &g, NULL, out, e);
	if (rc == 0)
		memcpy(b->r->short_name, g.short_name, sizeof(b->r->short_name));
out:
	buf_release(&paths);
	buf_release(&excludes);
	return rc;
}

/* What was asked for beside the beginning; where nothing was, it stays as it is. */
static int
options_put(struct build *b, unsigned parity, struct err *e)
{
	const struct build_options *o = b->o;
	struct journal_options had = { .parity = (uint8_t)parity }, want;
	uint8_t code[JOURNAL_OPTIONS_LEN];

	if (b->im != NULL)
		had = b->im->options;
	want = had;
	if (o->parity >= 0)
		want.parity = (uint8_t)o->parity;
	if (o->reserve != UINT64_MAX)
		want.reserve = o->reserve;
	if (o->spread)
		want.flags |= JO_SPREAD;
	if (b->im != NULL && want.parity == had.parity && want.reserve == had.reserve && want.flags == had.flags)
		return 0;
	journal_options_encode(&want, code);
	return journal_put(b->j, JOURNAL_OPTIONS, code, sizeof(code), e) == 0 ? journal_sync(b->j, e) : -1;
}

static int
image_new(struct build *b, struct err *e)
{
	char path[32], lower[SHORT_LEN + 1];
	struct buf begin;
	int fd = -1, rc = -1;

	buf_init(&begin);
	if (build_begin_make(b, &begin, e) != 0)
		goto out;
	for (size_t i = 0; i <= SHORT_LEN; i++)
		lower[i] = (char)(b->r->short_name[i] >= 'A' ? b->r->short_name[i] + 32 : b->r->short_name[i]);
	snprintf(path, sizeof(path), "images/%s", lower);
	if (dir_make(b->s->fd, path, 0700, e) != 0 || (fd = dir_open(b->s->fd, path, e)) == -1)
		goto out;
	/* With its journal the image is begun, and goes on from what stands beside it. */
	if ((b->o->missing != NULL && topup_begin(b, fd, e) != 0) ||
	    (b->j = journal_create(fd, "journal", JOURNAL_BEGIN, begin.p, begin.len, e)) == NULL ||
	    options_put(b, PARITY_DEFAULT, e) != 0)
		goto out;
	rc = (b->im = image_state_load(b->s, lower, NULL, NULL, e)) == NULL ? -1 : 0;
out:
	if (fd != -1)
		io->close(fd);
	buf_release(&begin);
	return rc;
}

/* Which image this build is about: a new one, or the unfinished one. */
static int
image_choose(struct build *b, struct err *e)
{
	int rc;

	if (b->o->replace != 0) {
		/* It may be sealed. */
		if ((b->im = image_state_load(b->s, b->o->image, NULL, NULL, e)) == NULL)
			return -1;
		snprintf(b->set, sizeof(b->set), "%s", b->im->begin.set_name);
		return 0;
	}
	if ((rc = image_state_find(b->s, b->o->resume && b->o->set == NULL ? NULL : b->set, &b->im, e)) == -1)
		return -1;
	if (b->o->resume) {
		if (rc == 1)
			return err_set(e, ERR_NO_IMAGE, "there is no unfinished image to go on with");
		snprintf(b->set, sizeof(b->set), "%s", b->im->begin.set_name);
		return 0;
	}
	if (rc == 0) {
		err_set(e, ERR_UNFINISHED, "image %s of set %s is not finished", b->im->begin.short_name, b->set);
		return err_next(e, "go on with it: samara-seed build --resume --to DISK; or give it up: samara-seed cancel %s",
		    b->im->begin.short_name);
	}
	return 0;
}

static int
rows_split(struct fmt_view rows, char ***out, size_t *n, struct err *e)
{
	struct rd r = { .p = rows.p, .left = rows.len };
	char **list = NULL, **grown;
	const uint8_t *p;
	size_t len;

	*n = 0;
	while (r.left > 0) {
		len = rd_u16(&r);
		p = rd_bytes(&r, len);
		if (p == NULL || (grown = realloc(list, (*n + 1) * sizeof(*list))) == NULL ||
		    ((list = grown)[*n] = strndup((const char *)p, len)) == NULL) {
			dir_list_free(list, *n);
			return err_set(e, ERR_MEMORY, "paths of the image");
		}
		++*n;
	}
	*out = list;
	return 0;
}

int
build_paths_take(struct build *b, struct err *e)
{
	return rows_split(b->im->begin.paths, &b->paths, &b->npaths, e);
}

/* --- ids that are held --- */

static int
held_table(void *arg, uint32_t disk, uint32_t number, uint32_t file_len, const struct pack_table *t, const uint8_t *table,
    uint32_t table_len, const uint8_t *foot, struct err *e)
{
	struct build *b = arg;
	uint8_t ids[256 * DIGEST_LEN], known[256];
	struct pack_row row;
	uint32_t n = 0;

	(void)disk, (void)number, (void)file_len, (void)table, (void)table_len, (void)foot;
	for (uint32_t i = 0; i < t->count; i++) {
		pack_table_row(t, i, &row);
		if (b->given == NULL || !topup_ids_has(b->given, row.id))
			memcpy(ids + (size_t)n++ * DIGEST_LEN, row.id, DIGEST_LEN);
		if (n == 256 || (i + 1 == t->count && n > 0)) {
			if (seen_claim(b->seen, ids, n, known, e) != 0)
				return -1;
			n = 0;
		}
	}
	return 0;
}

static int
held_load(struct build *b, struct err *e)
{
	struct image_state *im, *again;
	struct topup_ids *given;
	char **names;
	size_t n;
	int rc = 0;

	if (topup_given_load(b, e) != 0 || state_images(b->s, &names, &n, e) != 0)
		return -1;
	given = b->given;
	for (size_t i = 0; i < n && rc == 0; i++) {
		bool own = strcasecmp(names[i], b->im->name) == 0;

		if ((im = image_state_load(b->s, names[i], NULL, NULL, e)) == NULL) {
			if (e->code == ERR_NOT_FOUND)
				err_clear(e);	/* it was never begun */
			else
				rc = -1;
			continue;
		}
		if (own || (!topup_is(b) && image_counts(im) && (b->im->begin.flags & JB_FULL) == 0)) {
			b->given = own ? NULL : given;	/* what it packed itself it has, whatever was given up before */
			if ((again = image_state_load(b->s, names[i], held_table, b, e)) == NULL)
				rc = -1;
			image_state_free(again);
		}
		image_state_free(im);
	}
	dir_list_free(names, n);
	topup_ids_free(given);
	b->given = NULL;
	return rc;
}

/* Disks that are written at the same time. */
static unsigned
writers_most(const struct build *b)
{
	return (b->im->options.flags & JO_SPREAD) == 0 ? 1 : b->disks.n < PACK_SINK_DISKS ? b->disks.n : PACK_SINK_DISKS;
}

int
build_runs_open(struct build *b, struct err *e)
{
	if (b->runs_fd == -1 && (dir_make(b->s->fd, "runs", 0700, e) != 0 || (b->runs_fd = dir_open(b->s->fd, "runs", e)) == -1))
		return -1;
	return 0;
}

int
build_seen_open(struct build *b, unsigned writers, struct err *e)
{
	size_t memory = b->o->memory, other = pack_sink_memory(writers) + (80u << 20) + b->workers * (size_t)(8u << 20);

	if (build_runs_open(b, e) != 0)
		return -1;
	memory = memory > other + SEEN_MEMORY_MIN ? memory - other : SEEN_MEMORY_MIN;
	b->seen = seen_new(b->runs_fd, memory, SEEN_DISK, e);
	return b->seen == NULL ? -1 : 0;
}

/* --- packs that were published but are not in the journal (a power cut between the two) --- */

static int
pack_adopt(struct build *b, struct build_disk *bd, uint32_t number, uint8_t *bytes, size_t len, struct err *e)
{
	struct pack_view v;
	struct fmt_view parts[2];
	uint8_t head[12];
	size_t table_len;

	if (pack_view_bytes(&v, bytes, len, b->s->id.machine_id, b->s->machine_pub, e) != 0)
		return err_during(e, "pack %u on %s", number, bd->target.path);
	table_len = v.foot.table_len;
	le32_put(head, bd->number);
	le32_put(head + 4, number);
	le32_put(head + 8, (uint32_t)len);
	parts[0] = view_of(head, sizeof(head));
	parts[1] = view_of(bytes + len - PACK_FOOT_LEN - table_len, table_len + PACK_FOOT_LEN);
	if (journal_add(b->j, JOURNAL_PACK, parts, 2, e) != 0)
		return -1;
	build_disk_carries(bd, (uint32_t)len, (uint32_t)table_len);
	return held_table(b, bd->number, number, (uint32_t)len, &v.table, NULL, 0, NULL, e);
}

/* 1 the pack ${number} was there and is in the journal now, 0 it is not there, -1. */
static int
pack_look(struct build *b, struct build_disk *bd, uint32_t number, struct err *e)
{
	char name[IMAGE_NAME_MAX], dir[IMAGE_NAME_MAX];
	uint8_t *bytes;
	size_t len;
	int rc;

	image_name_pack(name, number);
	if (image_file_read(bd->imagefd, name, PACK_LEN_MAX, &bytes, &len, e) != 0) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		err_clear(e);
		return 0;
	}
	rc = pack_adopt(b, bd, number, bytes, len, e);
	free(bytes);
	image_name_pack_dir(dir, number);
	return rc == 0 && dir_sync(bd->imagefd, dir, e) == 0 ? 1 : -1;
}

/*
 * A batch at most, and not every pack of it need have kept its name: not all
 * file systems keep the order of renames.
 */
static int
disk_adopt(struct build *b, const struct image_disk *d, struct build_disk *bd, struct err *e)
{
	bool any = false;
	int got;

	for (uint32_t i = 0; i < PACK_SINK_BATCH; i++) {
		if ((got = pack_look(b, bd, d->next_pack + i, e)) == -1)
			return -1;
		any |= got == 1;
	}
	return any ? journal_sync(b->j, e) : 0;
}

static int
packs_adopt(struct build *b, struct err *e)
{
	struct build_disk *bd;
	const struct image_disk *d;

	for (size_t i = 0; i < b->im->ndisks; i++) {
		d = &b->im->disks[i];
		if (d->gone || d->statement.disk != 0 || (bd = build_disk_at(b, d->label.disk)) == NULL)
			continue;
		if (disk_adopt(b, d, bd, e) != 0)
			return -1;
	}
	return 0;
}

int
build_reload(struct build *b, struct err *e)
{
	struct image_state *im = image_state_again(b->s, b->im, e);

	if (im == NULL)
		return -1;
	image_state_free(b->im);
	b->im = im;
	return 0;
}

int
build_paths_check(const struct build_options *o, struct err *e)
{
	struct walk_options w = { .paths = o->paths, .npaths = o->npaths, .network_file_systems = o->network_file_systems };
	const struct source_view_options still = { .kind = o->snapshot, .hook = o->hook };
	struct walker *walker = walker_new(&w, e);

	walker_free(walker);
	return walker == NULL ? -1 : source_view_try(&still, o->paths, o->npaths, e);
}

/* The unfinished image, its journal, and the disks of it that are at hand. */
static int
resume_open(struct build *b, struct err *e)
{
	if ((b->set_fd = set_lock(b->s, b->set, e)) == -1)
		return -1;
	/* Somebody may have finished it while we waited for the lock. */
	if (build_reload(b, e) != 0 || (b->j = journal_append(b->im->fd, "journal", e)) == NULL)
		return -1;
	if (!image_is_unfinished(b->im) && (b->o->replace == 0 || b->im->cancelled || b->im->lost || b->im->answer_bytes != NULL))
		return err_set(e, ERR_NO_IMAGE, "image %s is %s", b->im->begin.short_name, image_state_word(b->im));
	if (build_paths_take(b, e) != 0 || options_put(b, PARITY_DEFAULT, e) != 0 ||
	    build_reload(b, e) != 0)
		return -1;
	return build_disks_open(b, e);
}

/* A new image; refused before anything of it is made where it cannot be. */
static int
image_open(struct build *b, struct err *e)
{
	if (build_disks_open(b, e) != 0 || (b->o->missing == NULL && build_paths_check(b->o, e) != 0))
		return -1;
	/* So is a disk that takes nothing: read-only, full, or another user's. */
	for (unsigned i = 0; i < b->disks.n; i++)
		if (dir_make(b->disks.at[i]->target.fd, IMAGE_TOP, 0755, e) != 0)
			return err_during(e, "disk %s", b->disks.at[i]->target.path);
	if (image_new(b, e) != 0)
		return -1;
	return build_paths_take(b, e);
}

/* A disk is gone: the new one takes its place, and what it held is read again. */
static int
disk_replace(struct build *b, struct err *e)
{
	const struct image_disk *old = image_disk(b->im, b->o->replace);
	const char *name = b->im->begin.short_name;
	struct build_disk *new = NULL;

	if (old == NULL)
		return err_set(e, ERR_WRONG_DISK, "image %s has no disk %u", name, b->o->replace);
	if (old->gone) {
		(void)err_set(e, ERR_WRONG_DISK, "disk %s-%u was given up already", name, b->o->replace);
		return image_is_unfinished(b->im) ? err_next(e, "go on with: samara-seed build --resume --to %s", b->o->disks[0]) : -1;
	}
	if (build_disk_at(b, b->o->replace) != NULL)
		return err_set(e, ERR_USAGE, "%s-%u itself was given in its own place", name, b->o->replace);
	for (unsigned i = 0; i < b->disks.n && new == NULL; i++)
		if (b->disks.at[i]->number == 0)
			new = b->disks.at[i];
	if (new == NULL)
		return err_set(e, ERR_USAGE, "a new disk must take the place of %s-%u, not one of the same image", name, b->o->replace);
	new->taken = true;
	if (custody_add(b->s, b->im, -1, CUSTODY_OVERRIDE, b->o->replace, "the disk was given up; another takes its place", e) != 0 ||
	    build_disk_begin(b, new, b->o->replace, e) != 0)
		return -1;
	return build_reload(b, e);
}

int
build_prepare(struct build *b, struct err *e)
{
	struct envelope base;
	uint8_t *bytes;
	uint64_t latest, ids;
	size_t len;

	if (!b->o->resume && (b->set_fd = set_lock(b->s, b->set, e)) == -1)
		return -1;
	if (image_choose(b, e) != 0 || (b->o->resume ? resume_open(b, e) : image_open(b, e)) != 0)
		return -1;
	memcpy(b->r->short_name, b->im->begin.short_name, sizeof(b->r->short_name));
	memcpy(b->r->snapshot_id, b->im->begin.snapshot_id, ID_LEN);
	b->flags = b->im->begin.flags;
	if (b->o->replace != 0 && disk_replace(b, e) != 0)
		return -1;
	if (build_seen_open(b, writers_most(b), e) != 0 || held_load(b, e) != 0)
		return -1;
	/* Also after the snapshot has its envelope: a disk that takes another's place gets packs then. */
	if (packs_adopt(b, e) != 0 || build_reload(b, e) != 0)
		return -1;
	/* The reference list will be about as long as the last one and what is new. */
	ids = b->im->chunks;
	if (set_latest(b->s, b->set, &latest, e) != 0)
		return -1;
	if (latest != 0 && (b->flags & JB_FULL) == 0 && state_envelope(b->s, latest, &bytes, &len, &base, e) == 0) {
		ids += base.refs_count;
		free(bytes);
	}
	atomic_store(&b->disks.ids, ids);
	return 0;
}

int
build_prepare_dry(struct build *b, struct err *e)
{
	struct buf begin;
	size_t len;
	int rc = -1;

	buf_init(&begin);
	if (!b->over_line && (image_choose(b, e) != 0 || build_disks_open(b, e) != 0))
		goto out;
	if (b->im == NULL) {
		if (build_begin_make(b, &begin, e) != 0)
			goto out;
		if ((b->im = calloc(1, sizeof(*b->im))) == NULL) {
			err_errno(e, "dry run");
			goto out;
		}
		b->im->fd = -1;
		b->im->begin_bytes = buf_take(&begin, &len);
		if (b->im->begin_bytes == NULL || schema_decode(&journal_begin_schema, &b->im->begin, b->im->begin_bytes, len) != FMT_OK) {
			err_set(e, ERR_INTERNAL, "dry run");
			goto out;
		}
	}
	rc = build_paths_take(b, e);
out:
	buf_release(&begin);
	return rc;
}
