#include "common/flow/topup_build.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/progress.h"
#include "common/base/text.h"
#include "common/chunk/codec.h"
#include "common/flow/custody.h"
#include "common/flow/id_list.h"
#include "common/flow/lost_files.h"
#include "common/flow/pack_sink.h"
#include "common/flow/state_refs.h"
#include "common/flow/topup.h"
#include "common/pack/chunk_seal.h"
#include "common/pack/id_sorter.h"
#include "common/pack/refs.h"

#define SORT_MEMORY	((size_t)32 << 20)
#define GAPS		"gaps"
#define COPY_LEN	(1u << 20)

bool
topup_image(const struct image_state *im)
{
	static const uint8_t none[ID_LEN];

	return memcmp(im->begin.snapshot_id, none, ID_LEN) == 0;
}

bool
topup_is(const struct build *b)
{
	return b->im != NULL && topup_image(b->im);
}

int
topup_given_load(struct build *b, struct err *e)
{
	struct id_sorter *ids = id_sorter_new(b->runs_fd, SORT_MEMORY, e);
	uint8_t id[DIGEST_LEN];
	int rc = -1;

	if ((b->given = topup_ids_new()) == NULL)
		(void)err_errno(e, "list of what was given up");
	else if (ids != NULL && state_given_up(b->s, ids, e) == 0 && id_sorter_rewind(ids, e) == 0)
		while ((rc = id_sorter_next(ids, id, e)) == 1)
			if (topup_ids_add(b->given, id, e) != 0) {
				rc = -1;
				break;
			}
	id_sorter_free(ids);
	return rc;
}

/* --- the gap list --- */

static int
list_read(struct build *b, int dirfd, const char *path, struct topup_ids *want, struct id_list *about, struct err *e)
{
	struct id_list_reader *r = id_list_reader_new(dirfd, path, &gap_list_schema, b->s->trust.vault_pub, e);
	uint8_t id[DIGEST_LEN];
	int rc;

	if (r == NULL)
		return -1;
	*about = *id_list_about(r);
	about->ids = (struct fmt_view){ NULL, 0 };
	if (memcmp(about->vault_id, b->s->trust.vault_id, ID_LEN) != 0)
		rc = err_set(e, ERR_WRONG_VAULT, "%s is a gap list of another vault than %s", path, b->s->trust.vault_name);
	else if (memcmp(about->machine_id, b->s->id.machine_id, ID_LEN) != 0)
		rc = err_set(e, ERR_WRONG_DISK, "%s is a gap list for another machine", path);
	else
		while ((rc = id_list_next(r, id, e)) == 1)
			if (want != NULL && topup_ids_add(want, id, e) != 0) {
				rc = -1;
				break;
			}
	id_list_reader_free(r);
	return rc;
}

int
topup_check(struct build *b, struct err *e)
{
	struct id_list about;

	return list_read(b, AT_FDCWD, b->o->missing, NULL, &about, e);
}

static int
copy_all(int from, int to, struct err *e)
{
	uint8_t *buf = malloc(COPY_LEN);
	ssize_t n = -1;

	if (buf == NULL)
		return err_errno(e, "gap list");
	while ((n = io_read_full(from, buf, COPY_LEN, -1)) > 0)
		if (io_write_full(to, buf, (size_t)n, -1) != 0) {
			n = -1;
			break;
		}
	if (n == -1)
		(void)err_errno(e, "copy a list of ids");
	free(buf);
	return n == 0 ? 0 : -1;
}

/* Copy the file ${path} to the new ${name} in ${dirfd}, durably. */
static int
list_copy(int fromfd, const char *path, int dirfd, const char *name, struct err *e)
{
	int from = io->open(fromfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0), to, rc;

	if (from == -1)
		return err_errno(e, "%s", path);
	(void)io->unlinkat(dirfd, "list.tmp", 0);
	if ((to = io->open(dirfd, "list.tmp", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)) == -1) {
		(void)io->close(from);
		return err_errno(e, "write %s", name);
	}
	rc = copy_all(from, to, e);
	if (rc == 0 && io->fsync(to) != 0)
		rc = err_set(e, ERR_FSYNC, "sync %s: %s", name, strerror(errno));
	(void)io->close(to);
	(void)io->close(from);
	if (rc == 0)
		rc = file_publish(dirfd, "list.tmp", name, FILE_PLAIN_RENAME, e);
	if (rc != 0)
		(void)io->unlinkat(dirfd, "list.tmp", 0);
	return rc == 0 ? dir_sync(dirfd, NULL, e) : rc;
}

int
topup_begin(const struct build *b, int imagefd, struct err *e)
{
	(void)io->unlinkat(imagefd, GAPS, 0);	/* of an image that never got its journal */
	return list_copy(AT_FDCWD, b->o->missing, imagefd, GAPS, e);
}

/* --- chunks onto the disk --- */

struct putting {
	struct build *b;
	struct pack_sink *sink;
	struct codec *codec;
	uint8_t *inner;
	uint64_t files_lost, files_again;
	struct lost_files files;
};

static int
sink_open(struct putting *p, struct err *e)
{
	struct build *b = p->b;
	struct pack_sink_options o = { .keys = b->k, .maker = b->s->id.machine_id, .secret = b->s->sign_secret,
		.journal = b->j, .seen = b->seen };

	if (build_disks_writers(b, &o, e) != 0)
		return -1;
	p->codec = codec_new(b->o->level);
	p->inner = malloc(chunk_inner_bound(CHUNK_PLAIN_MAX));
	if (p->codec == NULL || p->inner == NULL)
		return err_set(e, ERR_MEMORY, "no memory for chunks");
	return (p->sink = pack_sink_new(&o, e)) == NULL ? -1 : 0;
}

static int
chunk_put(void *arg, unsigned kind, const uint8_t id[DIGEST_LEN], const uint8_t *plain, size_t len, struct err *e)
{
	struct putting *p = arg;
	uint8_t known;
	size_t n;

	/* Not before there is something to write: where nothing can be had no disk is asked for. */
	if (p->sink == NULL && sink_open(p, e) != 0)
		return -1;
	if (pack_sink_claim(p->sink, kind, id, 1, &known, e) != 0)
		return -1;
	if (known)
		return 0;
	n = chunk_inner(p->codec, plain, len, p->inner);
	return pack_sink_add(p->sink, kind, id, p->inner, (uint32_t)n, e);
}

static void
file_lost(void *arg, uint64_t seq, struct fmt_view dir, struct fmt_view name, bool live)
{
	struct putting *p = arg;
	char safe_dir[4096], safe_name[NAME_LEN_MAX * 4 + 4], line[8192];

	if (live) {
		p->files_again++;
		return;
	}
	if (seq == 0)
		(void)snprintf(line, sizeof(line), "chunks that no snapshot closed on this machine needs");
	else if (name.len == 0)
		(void)snprintf(line, sizeof(line), "snapshot %llu: parts of its listing cannot be made again", (unsigned long long)seq);
	else
		(void)snprintf(line, sizeof(line), "snapshot %llu: %s%s%s is not as it was", (unsigned long long)seq,
		    text_safe(safe_dir, sizeof(safe_dir), (const char *)dir.p, dir.len), dir.len > 1 ? "/" : "",
		    text_safe(safe_name, sizeof(safe_name), (const char *)name.p, name.len));
	p->files_lost += name.len > 0;
	if (seq != 0)
		lost_files_add(&p->files, seq, dir, name);
	say_warn("%s", line);
	if (p->b->job != NULL)
		job_warn(p->b->job, "%s", line);
}

/* What lay in one bundle with a file that changed. */
static void
again_say(const struct putting *p)
{
	if (p->files_again > 0)
		say_info("%llu files that lay in one chunk with these look as they did: the next build takes them anew",
		    (unsigned long long)p->files_again);
}

static int
table_strike(void *arg, uint32_t disk, uint32_t number, uint32_t file_len, const struct pack_table *t, const uint8_t *table,
    uint32_t table_len, const uint8_t *foot, struct err *e)
{
	struct pack_row row;

	(void)disk, (void)number, (void)file_len, (void)table, (void)table_len, (void)foot, (void)e;
	for (uint32_t i = 0; i < t->count; i++) {
		pack_table_row(t, i, &row);
		topup_ids_strike(arg, row.id);
	}
	return 0;
}

/* Everything that can be had goes onto the disk. */
static int
chunks_collect(struct putting *p, struct topup_ids *want, struct err *e)
{
	const struct topup_calls calls = { chunk_put, file_lost, p };
	int rc;

	progress_start("read", 0);
	rc = topup_collect(p->b->s, p->b->k, want, &calls, e);
	progress_end();
	if (rc == 0 && p->sink != NULL)
		rc = pack_sink_flush(p->sink, e);
	if (p->sink != NULL && pack_sink_stop(p->sink, rc != 0, rc == 0 ? e : NULL) != 0)
		rc = -1;
	pack_sink_free(p->sink);
	codec_free(p->codec);
	free(p->inner);
	return rc;
}

/* --- what is given up --- */

/* The list with that name in the state, twice onto a disk. */
static int
given_up_write(struct build *b, const struct build_disk *bd, const char *name, struct err *e)
{
	static const char *const dirs[] = { "snap", "snap2" };
	int fd, rc = 0;

	for (size_t i = 0; i < 2 && rc == 0; i++) {
		if (dir_make(bd->imagefd, dirs[i], 0755, e) != 0 || (fd = dir_open(bd->imagefd, dirs[i], e)) == -1)
			return -1;
		(void)io->unlinkat(fd, "givenup", 0);	/* of a run that was cut off */
		rc = list_copy(b->s->fd, name, fd, "givenup", e);
		(void)io->close(fd);
	}
	return rc;
}

/* Onto every disk at hand that is still open, and to where it was asked for. */
static int
given_up_spread(struct build *b, const char *name, struct err *e)
{
	const struct build_disk *bd;
	int rc = 0;

	for (size_t i = 0; i < b->im->ndisks && rc == 0; i++)
		if (b->im->disks[i].statement.disk == 0 && (bd = build_disk_at(b, b->im->disks[i].label.disk)) != NULL)
			rc = given_up_write(b, bd, name, e);
	if (rc != 0 || b->o->given_up == NULL)
		return rc;
	if ((rc = list_copy(b->s->fd, name, AT_FDCWD, b->o->given_up, e)) == 1)
		rc = err_set(e, ERR_EXISTS, "%s is already there, and samara writes over nothing", b->o->given_up);
	return rc;
}

static int
given_up_make(struct build *b, const struct topup_ids *want, const struct id_list *gaps, const struct lost_files *files,
    struct err *e)
{
	struct id_sorter *ids = id_sorter_new(b->runs_fd, SORT_MEMORY, e);
	struct id_list about = *gaps;
	char name[GIVEN_UP_NAME];
	const uint8_t *id;
	int had, rc = ids == NULL ? -1 : 0;

	about.time = io_now_ns();
	for (size_t i = 0; rc == 0 && (id = topup_ids_at(want, i, &had)) != NULL; i++)
		if (!had)
			rc = id_sorter_add(ids, id, e);
	if (rc == 0)
		rc = state_given_up_add(b->s, &about, ids, name, e);
	if (rc == 0)
		rc = lost_files_save(files, b->s, name, e);
	if (rc == 0)
		rc = given_up_spread(b, name, e);
	id_sorter_free(ids);
	return rc;
}

/* Nothing can be had: there is no image to make. */
static int
image_drop(struct build *b, size_t lost, struct err *e)
{
	if (custody_add(b->s, b->im, -1, CUSTODY_CANCELLED, 0, "nothing of it could be had", e) != 0 ||
	    journal_put(b->j, JOURNAL_CANCELLED, NULL, 0, e) != 0 || journal_sync(b->j, e) != 0)
		return -1;
	(void)err_set(e, ERR_INCOMPLETE, "none of the %zu missing chunks can be had any more: there is no image", lost);
	if (b->o->given_up != NULL)
		return err_next(e, "take %s to the vault: samara-import handoff VAULT %s", b->o->given_up, b->o->given_up);
	return err_next(e, "run it again with --given-up FILE and take that file to the vault: samara-import handoff VAULT FILE");
}

int
topup_read(struct build *b, struct err *e)
{
	struct topup_ids *want = topup_ids_new();
	struct putting p = { .b = b };
	struct id_list gaps;
	int rc = -1;

	lost_files_init(&p.files);
	if (want == NULL)
		return err_errno(e, "top-up");
	if (list_read(b, b->im->fd, GAPS, want, &gaps, e) == 0 && image_packs(b->s, b->im, table_strike, want, e) == 0 &&
	    chunks_collect(&p, want, e) == 0 && build_reload(b, e) == 0)
		rc = 0;
	again_say(&p);
	if (rc == 0) {
		b->r->missing = topup_ids_count(want);
		b->r->given_up = topup_ids_left(want);
		b->r->files_lost = p.files_lost;
		if (b->r->given_up > 0)
			rc = given_up_make(b, want, &gaps, &p.files, e);
		if (rc == 0 && b->im->packs == 0)
			rc = image_drop(b, topup_ids_left(want), e);
	}
	lost_files_release(&p.files);
	topup_ids_free(want);
	return rc;
}

int
topup_replace(struct build *b, struct err *e)
{
	struct topup_ids *want = topup_ids_new();
	struct putting p = { .b = b };
	int rc = -1;

	lost_files_init(&p.files);
	if (want == NULL)
		return err_errno(e, "replace a disk");
	/* The item log of a snapshot that is not sealed yet still lies with the image. */
	if (build_items_keep(b, e) == 0 && build_lacks(b, want, e) == 0)
		rc = topup_ids_count(want) == 0 ? 0 : chunks_collect(&p, want, e);
	b->r->missing = topup_ids_count(want);
	b->r->given_up = topup_ids_left(want);
	b->r->files_lost = p.files_lost;
	lost_files_release(&p.files);
	topup_ids_free(want);
	return rc == 0 ? build_reload(b, e) : -1;
}

static int
chunk_count(void *arg, unsigned kind, const uint8_t id[DIGEST_LEN], const uint8_t *plain, size_t len, struct err *e)
{
	(void)arg, (void)kind, (void)id, (void)plain, (void)len, (void)e;
	return 0;
}

int
topup_dry(struct build *b, struct err *e)
{
	struct topup_ids *want = topup_ids_new();
	struct putting p = { .b = b };
	const struct topup_calls calls = { chunk_count, file_lost, &p };
	struct id_list gaps;
	int rc = -1;

	lost_files_init(&p.files);
	if (want == NULL)
		return err_errno(e, "top-up");
	if (list_read(b, AT_FDCWD, b->o->missing, want, &gaps, e) == 0)
		rc = topup_collect(b->s, b->k, want, &calls, e);
	again_say(&p);
	b->r->missing = topup_ids_count(want);
	b->r->given_up = topup_ids_left(want);
	b->r->files_lost = p.files_lost;
	lost_files_release(&p.files);
	topup_ids_free(want);
	return rc;
}

/* --- what is carried --- */

static int
table_add(void *arg, uint32_t disk, uint32_t number, uint32_t file_len, const struct pack_table *t, const uint8_t *table,
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

/* All ids of the image, sorted; NULL with ${e}. */
static struct id_sorter *
carried_ids(struct state *s, const struct image_state *im, int runs, struct err *e)
{
	struct id_sorter *ids = id_sorter_new(runs, SORT_MEMORY, e);

	if (ids != NULL && image_packs(s, im, table_add, ids, e) != 0) {
		id_sorter_free(ids);
		return NULL;
	}
	return ids;
}

int
topup_carried_save(struct state *s, const struct image_state *im, int runs, int dirfd, const char *name, struct err *e)
{
	struct id_list about = { .time = io_now_ns() };
	struct id_sorter *ids = carried_ids(s, im, runs, e);
	int rc = -1;

	memcpy(about.vault_id, im->begin.vault_id, ID_LEN);
	memcpy(about.machine_id, im->begin.machine_id, ID_LEN);
	memcpy(about.domain_id, im->begin.domain_id, DIGEST_LEN);
	memcpy(about.image_id, im->begin.image_id, ID_LEN);
	if (ids != NULL)
		rc = id_list_save(dirfd, name, &carried_schema, &about, ids, s->sign_secret, e);
	id_sorter_free(ids);
	return rc;
}

int
topup_close(struct build *b, const struct build_disk *bd, struct err *e)
{
	static const char *const dirs[] = { "snap", "snap2" };
	int fd, rc = 0;

	for (size_t i = 0; i < 2 && rc == 0; i++) {
		if (dir_make(bd->imagefd, dirs[i], 0755, e) != 0 || (fd = dir_open(bd->imagefd, dirs[i], e)) == -1)
			return -1;
		(void)io->unlinkat(fd, "carried", 0);	/* of a run that was cut off before the disk was closed */
		rc = topup_carried_save(b->s, b->im, b->runs_fd, fd, "carried", e);
		(void)io->close(fd);
	}
	return rc;
}

int
topup_carried(struct build *b, uint8_t digest[DIGEST_LEN], struct err *e)
{
	struct refs_digest *d = refs_digest_new(b->im->begin.domain_id);
	struct id_sorter *ids = carried_ids(b->s, b->im, b->runs_fd, e);
	uint8_t id[DIGEST_LEN];
	uint64_t count;
	int got = -1;

	if (d == NULL)
		(void)err_set(e, ERR_MEMORY, "list of what is carried");
	else if (ids != NULL && id_sorter_rewind(ids, e) == 0)
		while ((got = id_sorter_next(ids, id, e)) == 1)
			(void)refs_digest_add(d, id);	/* a sorter's ids rise */
	if (got == 0)
		refs_digest_final(d, digest, &count);
	refs_digest_free(d);
	id_sorter_free(ids);
	return got;
}
