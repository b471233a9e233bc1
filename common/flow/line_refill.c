#include "common/flow/line_refill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/human.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/progress.h"
#include "common/base/text.h"
#include "common/flow/id_list.h"
#include "common/flow/image_state.h"
#include "common/flow/job.h"
#include "common/flow/line_note.h"
#include "common/flow/line_packs.h"
#include "common/flow/line_pledge.h"
#include "common/flow/lost_files.h"
#include "common/flow/line_session.h"
#include "common/flow/state_refs.h"
#include "common/flow/topup.h"
#include "common/pack/id_sorter.h"
#include "formats/fmt_line_machine.h"

#define TRIES		5u
#define LEVEL		3	/* zstd */
#define GAPS		"runs/gaps"
#define GAPS_MAX	(UINT64_C(1) << 30)
#define SORT_MEMORY	((size_t)16 << 20)
#define SLOW_LINE	UINT64_C(125000)	/* bytes a second: what is assumed of a line that was never measured */

struct refilling {
	struct line *l;
	struct state *s;
	const struct domain_keys *k;
	const struct refill_options *o;
	struct refill_result *r;
	struct topup_ids *want;
	struct id_list about;		/* of the gap list, without ids */
	struct line_session session;	/* open where there are packs */
	struct line_packs *packs;
	struct lost_files files;
	bool absent;			/* a directory in which a lost file lay is not here */
	char last_dir[4096];		/* that was looked at last */
	bool last_absent;
};

/* --- the gap list --- */

static int
gaps_take(void *arg, const void *bytes, size_t len, struct err *e)
{
	return io_write_full(*(int *)arg, bytes, len, -1) == 0 ? 0 : err_errno(e, "write " GAPS);
}

/* The list as a file: 0; 1 nothing is missing; -1. */
static int
gaps_fetch(struct refilling *g, struct err *e)
{
	char path[64] = "gaps", hex[2 * ID_LEN + 1];
	struct net_answer r = { .status = 0 };
	int fd = -1, rc = -1;
	struct net_ask a = { .method = "GET", .path = path, .take = gaps_take, .take_arg = &fd, .answer_max = GAPS_MAX, .tries = 1 };

	if (g->o->image != NULL)
		(void)snprintf(path, sizeof(path), "gaps?image=%s", text_hex(hex, g->o->image->begin.image_id, ID_LEN));
	if (dir_make(g->s->fd, "runs", 0700, e) != 0)
		return -1;
	if ((fd = io->open(g->s->fd, GAPS, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)) == -1)
		return err_errno(e, "state %s: " GAPS, g->s->path);
	if (line_ask(g->l, &a, &r, e) == 0) {
		rc = r.status == 204;
		net_answer_free(&r);
	}
	(void)io->close(fd);
	return rc;
}

static int
gaps_read(struct refilling *g, struct err *e)
{
	struct id_list_reader *r = id_list_reader_new(g->s->fd, GAPS, &gap_list_schema, g->s->trust.vault_pub, e);
	uint8_t id[DIGEST_LEN];
	int rc;

	if (r == NULL)
		return err_during(e, "the gap list of %s", line_name(g->l));
	g->about = *id_list_about(r);
	g->about.ids = (struct fmt_view){ NULL, 0 };
	if (memcmp(g->about.vault_id, g->s->trust.vault_id, ID_LEN) != 0)
		rc = err_set(e, ERR_WRONG_VAULT, "%s gave a gap list of another vault", line_name(g->l));
	else if (memcmp(g->about.machine_id, g->s->id.machine_id, ID_LEN) != 0)
		rc = err_set(e, ERR_PROTOCOL, "%s gave a gap list for another machine", line_name(g->l));
	else
		while ((rc = id_list_next(r, id, e)) == 1)
			if (topup_ids_add(g->want, id, e) != 0) {
				rc = -1;
				break;
			}
	id_list_reader_free(r);
	return rc;
}

/* --- what can be had --- */

static int
chunk_put(void *arg, unsigned kind, const uint8_t id[DIGEST_LEN], const uint8_t *plain, size_t len, struct err *e)
{
	struct refilling *g = arg;

	if (g->o->dry_run)
		return 0;
	if (g->packs == NULL) {
		if (line_session_begin(&g->session, g->l, LINE_REFILL, NULL, e) != 0)
			return -1;
		if ((g->packs = line_packs_new(&g->session, g->s, g->k, g->o->level, e)) == NULL) {
			line_session_end(&g->session);
			return -1;
		}
	}
	return line_packs_add(g->packs, kind, id, plain, len, e);
}

/* Is the directory gone in which a lost file lay?  Perhaps it is only not mounted. */
static bool
dir_is_absent(struct refilling *g, struct fmt_view dir)
{
	char path[sizeof(g->last_dir)];
	struct stat st;

	if (dir.len >= sizeof(path))
		return false;
	memcpy(path, dir.p, dir.len);
	path[dir.len] = '\0';
	if (strcmp(path, g->last_dir) != 0) {
		memcpy(g->last_dir, path, dir.len + 1);
		g->last_absent = io->fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) != 0;
	}
	return g->last_absent;
}

static void
file_lost(void *arg, uint64_t seq, struct fmt_view dir, struct fmt_view name, bool live)
{
	struct refilling *g = arg;

	if (live) {
		g->r->files_again++;
		return;
	}
	if (seq == 0)
		return;
	if (name.len > 0 && dir_is_absent(g, dir))
		g->absent = true;
	g->r->files_lost += name.len > 0;
	lost_files_add(&g->files, seq, dir, name);
}

/* --- what cannot --- */

static int
given_up_save(struct refilling *g, struct err *e)
{
	int runs = dir_open(g->s->fd, "runs", e), had, rc = -1;
	struct id_sorter *ids = runs == -1 ? NULL : id_sorter_new(runs, SORT_MEMORY, e);
	char name[GIVEN_UP_NAME];
	const uint8_t *id;

	g->about.time = io_now_ns();
	if (ids != NULL)
		rc = 0;
	for (size_t i = 0; rc == 0 && (id = topup_ids_at(g->want, i, &had)) != NULL; i++)
		if (!had)
			rc = id_sorter_add(ids, id, e);
	if (rc == 0)
		rc = state_given_up_add(g->s, &g->about, ids, name, e);
	if (rc == 0)
		rc = lost_files_save(&g->files, g->s, name, e);
	id_sorter_free(ids);
	if (runs != -1)
		(void)io->close(runs);
	return rc;
}

/* What was not had: given up, or left open where it may only be away. */
static int
rest_decide(struct refilling *g, struct err *e)
{
	size_t left = topup_ids_left(g->want);

	if (left == 0)
		return 0;
	if (g->absent && !g->o->all) {
		g->r->absent = left;
		g->r->files_lost = 0;
		say_warn("%zu chunks are not given up: directories that they came from, like %s, are not here.  Mount them; or where they "
		    "are gone for good: samara-seed refill --all", left, g->last_dir);
		return 0;
	}
	g->r->given_up = left;
	if (!g->o->dry_run && given_up_save(g, e) != 0)
		return -1;
	lost_files_say(&g->files, g->o->job);
	if (g->r->files_again > 0)
		say_info("%llu files that lay in one chunk with these look as they did: the next backup takes them anew",
		    (unsigned long long)g->r->files_again);
	return 0;
}

/* --- all of it --- */

static int
too_much(struct refilling *g)
{
	uint64_t rate = g->o->rate != 0 ? g->o->rate : SLOW_LINE;

	g->r->missing = topup_ids_count(g->want);
	g->r->estimate = g->r->missing * g->s->domain.chunk_avg;
	g->r->waits = !g->o->all && g->r->estimate / rate > (uint64_t)REFILL_HOURS * 3600;
	return g->r->waits;
}

static int
collect(struct refilling *g, struct err *e)
{
	const struct topup_calls calls = { chunk_put, file_lost, g };
	struct line_packs_totals t;
	int rc;

	progress_start("refill", 0);
	rc = topup_collect(g->s, g->k, g->want, &calls, e);
	if (rc == 0 && g->packs != NULL)
		rc = line_packs_flush(g->packs, e);
	progress_end();
	if (g->packs != NULL) {
		line_packs_totals(g->packs, &t);
		g->r->packs = t.packs;
		g->r->bytes = t.bytes;
		g->r->held = t.held;
		line_session_end(&g->session);
	}
	return rc;
}

int
line_refill(struct line *l, struct state *s, const struct domain_keys *k, const struct refill_options *o,
    struct refill_result *r, struct err *e)
{
	struct refilling g = { .l = l, .s = s, .k = k, .o = o, .r = r };
	int rc;

	memset(r, 0, sizeof(*r));
	lost_files_init(&g.files);
	if ((rc = gaps_fetch(&g, e)) == 0) {
		if ((g.want = topup_ids_new()) == NULL)
			rc = err_errno(e, "refill");
		else if ((rc = gaps_read(&g, e)) == 0 && !too_much(&g) && (rc = collect(&g, e)) == 0)
			rc = rest_decide(&g, e);
	}
	line_packs_free(g.packs);
	topup_ids_free(g.want);
	lost_files_release(&g.files);
	return rc >= 0 ? rc : err_during(e, "refill");
}

/* What the vault has to say to this machine's people. */
static void
notices_say(const struct line *l, struct fmt_view notices, struct job *job)
{
	struct rd r = { .p = notices.p, .left = notices.len };
	char text[NOTICE_LEN_MAX * 4 + 4];
	struct fmt_view one;

	while (notice_next(&r, &one) == FMT_OK) {
		(void)text_safe(text, sizeof(text), (const char *)one.p, one.len);
		say_warn("%s says: %s", line_name(l), text);
		if (job != NULL)
			job_warn(job, "the vault says: %s", text);
	}
}

int
line_mend(struct line *l, struct state *s, const struct domain_keys *k, struct job *job, struct refill_result *r,
    struct err *e)
{
	struct refill_options o = { .level = LEVEL, .job = job };
	struct line_told told = { .pledges = 0 };
	struct line_note note;
	struct contact c;
	uint8_t *bytes = NULL;
	char n[HUMAN_MAX];
	int rc;

	memset(r, 0, sizeof(*r));
	if ((rc = line_call(l, "GET", "contact", TRIES, NULL, NULL, &contact_schema, &c, &bytes, e)) == 0)
		notices_say(l, c.notices, job);
	free(bytes);
	if (rc != 0)
		return -1;
	if (c.missing == 0)
		return 1;
	if (line_note_load(s, k, &note, e) != 0)
		return -1;
	o.rate = note.rate;
	if ((rc = line_refill(l, s, k, &o, r, e)) != 0)
		return rc;
	if (r->waits)
		say_warn("the vault misses %s chunks of this machine, more than the line carries in %u hours: samara-seed refill --all sends "
		    "them, samara-seed build --missing puts them onto a disk", human_count(n, r->missing), REFILL_HOURS);
	else
		say_info("%s chunks that the vault missed were made again", human_count(n, r->missing - r->given_up - r->absent));
	return r->given_up > 0 ? line_tell(l, s, k, &told, e) : 0;
}
