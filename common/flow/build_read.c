/* The reading of a build: engine, workers and order thread around one walk. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/progress.h"
#include "common/base/queue.h"
#include "common/base/stop.h"
#include "common/chunk/cutter.h"
#include "common/flow/build_order.h"
#include "common/flow/build_run.h"
#include "common/flow/build_view.h"
#include "common/flow/bundle_use.h"
#include "common/walk/exclude.h"
#include "common/walk/owner.h"

#define LAYERS_MAX	1024u
#define NEVER_MAX	4u
#define VAULTS_DEFAULT	"/srv/samara"

/* Everything that one reading holds. */
struct reading {
	struct build *b;
	struct engine g;
	struct build_source src;
	struct pack_sink_options sink;
	struct exclude *exclude;
	struct owner_names *owners;
	struct walk_never never[NEVER_MAX];
	struct base_layer *layers;
	size_t nlayers;
	int snaps_fd;
	struct bundle_use *base_use;
	unsigned run;			/* number of the item log of this run */
	struct order *order;
};

/* Item logs of earlier runs of this image, newest first, then the base's. */
static int
layers_find(struct reading *rd, struct err *e)
{
	struct build *b = rd->b;
	struct stat st;
	char name[64];
	uint64_t latest;
	unsigned n;

	if ((rd->layers = calloc(LAYERS_MAX + 1, sizeof(*rd->layers))) == NULL)
		return err_errno(e, "previous listing");
	for (n = 0; n < LAYERS_MAX - 1; n++) {
		snprintf(name, sizeof(name), "items.%04u", n + 1);
		if (io->fstatat(b->im->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			break;
	}
	rd->run = n + 1;
	for (; n > 0; n--) {
		rd->layers[rd->nlayers].dirfd = b->im->fd;
		snprintf(rd->layers[rd->nlayers++].name, 64, "items.%04u", n);
	}
	if (dir_make(b->s->fd, "snaps", 0700, e) != 0 || (rd->snaps_fd = dir_open(b->s->fd, "snaps", e)) == -1)
		return -1;
	if ((b->im->begin.flags & JB_FULL) != 0)
		return 0;
	latest = b->base_seq;
	if (!b->over_line && set_latest(b->s, b->set, &latest, e) != 0)
		return -1;
	snprintf(name, sizeof(name), "%08llu.itm", (unsigned long long)latest);
	if (latest == 0 || io->fstatat(rd->snaps_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	rd->layers[rd->nlayers].dirfd = rd->snaps_fd;
	memcpy(rd->layers[rd->nlayers++].name, name, sizeof(name));
	snprintf(name, sizeof(name), "%08llu.use", (unsigned long long)latest);
	rd->base_use = bundle_use_load(rd->snaps_fd, name);
	return 0;
}

static int
excludes_make(struct reading *rd, struct err *e)
{
	struct rd r = { .p = rd->b->im->begin.excludes.p, .left = rd->b->im->begin.excludes.len };
	const uint8_t *p;
	size_t n;

	if ((rd->exclude = exclude_new()) == NULL)
		return err_set(e, ERR_MEMORY, "exclude patterns");
	while (r.left > 0) {
		n = rd_u16(&r);
		if ((p = rd_bytes(&r, n)) == NULL || exclude_add(rd->exclude, (const char *)p, n, e) != 0)
			return -1;
	}
	return 0;
}

static int
never_add(struct reading *rd, int fd, struct err *e)
{
	struct stat st;

	if (io->fstat(fd, &st) != 0)
		return err_errno(e, "look at a directory");
	rd->never[rd->src.nnever].dev = st.st_dev;
	rd->never[rd->src.nnever++].ino = st.st_ino;
	return 0;
}

/* Vaults that this system keeps are not sources; what is not there needs no exclusion. */
static void
never_vaults(struct reading *rd)
{
	const char *const paths[2] = { getenv("SAMARA_VAULT"), getenv("SAMARA_VAULTS") != NULL ? getenv("SAMARA_VAULTS") : VAULTS_DEFAULT };
	struct stat st;

	for (size_t i = 0; i < 2; i++)
		if (paths[i] != NULL && io->fstatat(AT_FDCWD, paths[i], &st, 0) == 0 && S_ISDIR(st.st_mode)) {
			rd->never[rd->src.nnever].dev = st.st_dev;
			rd->never[rd->src.nnever++].ino = st.st_ino;
		}
}

static int
source_make(struct reading *rd, struct err *e)
{
	const struct journal_begin *g = &rd->b->im->begin;
	const struct build_options *o = rd->b->o;
	struct build_source *s = &rd->src;

	if (excludes_make(rd, e) != 0 || never_add(rd, rd->b->s->fd, e) != 0)
		return -1;
	never_vaults(rd);
	s->paths = (const char *const *)rd->b->paths;
	s->npaths = rd->b->npaths;
	s->exclude = rd->exclude;
	s->never = rd->never;
	s->one_file_system = (g->flags & JB_ONE_FILE_SYSTEM) != 0;
	s->network_file_systems = (g->flags & JB_NETWORK_FS) != 0;
	s->exclude_caches = (g->flags & JB_EXCLUDE_CACHES) != 0;
	s->force_read = o->force_read;
	s->ignore_inode = o->ignore_inode;
	s->ignore_ctime = o->ignore_ctime;
	s->level = g->level_u;
	s->workers = rd->b->workers;
	s->memory = o->memory;
	s->pace = rd->b->pace;
	return 0;
}

static int
walker_make(struct reading *rd, struct err *e)
{
	struct walk_options w = { .paths = rd->src.paths, .npaths = rd->src.npaths, .exclude = rd->exclude,
	    .never = rd->never, .nnever = rd->src.nnever, .one_file_system = rd->src.one_file_system,
	    .network_file_systems = rd->src.network_file_systems, .exclude_caches = rd->src.exclude_caches };

	if ((rd->owners = owner_names_new()) == NULL)
		return err_set(e, ERR_MEMORY, "no memory for the walk");
	w.owners = rd->owners;
	w.never_more = build_disks_have;
	w.never_arg = rd->b;
	w.small_max = cutter_min(rd->g.cutter);
	w.small_enough = (uint64_t)cutter_avg(rd->g.cutter) + 1;
	source_view_apply(rd->b->view, &w);
	return (rd->g.walker = walker_new(&w, e)) == NULL ? -1 : 0;
}

static int
sink_make(struct reading *rd, struct err *e)
{
	struct build *b = rd->b;

	rd->sink.keys = b->k;
	rd->sink.maker = b->s->id.machine_id;
	rd->sink.secret = b->s->sign_secret;
	rd->sink.journal = b->j;
	rd->sink.seen = b->seen;
	rd->sink.line = b->line;
	return (rd->g.sink = pack_sink_new(&rd->sink, e)) == NULL ? -1 : 0;
}

static int
engine_make(struct reading *rd, struct err *e)
{
	struct engine *g = &rd->g;
	struct build *b = rd->b;
	char name[64];

	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->changed, NULL);
	pthread_cond_init(&g->work, NULL);
	pthread_cond_init(&g->room, NULL);
	err_clear(&g->err);
	g->src = &rd->src;
	g->res = &b->r->result;
	g->keys = b->k;
	g->job = b->job;
	g->layers = rd->layers;
	g->nlayers = rd->nlayers;
	g->seen = b->seen;
	if ((g->cutter = cutter_new(b->k->cut, b->s->domain.chunk_avg)) == NULL)
		return err_set(e, ERR_MEMORY, "no memory for the cutter");
	if (rd->base_use == NULL)
		rd->base_use = bundle_use_new();
	g->base_use = rd->base_use;
	if (rd->base_use == NULL || (g->use = bundle_use_new()) == NULL)
		return err_set(e, ERR_MEMORY, "no memory for the use of bundles");
	snprintf(name, sizeof(name), "items.%04u", rd->run);
	g->news = b->news;
	if (b->news == NULL && (g->items = journal_create(b->im->fd, name, 0, NULL, 0, e)) == NULL)
		return -1;
	return walker_make(rd, e) != 0 ? -1 : sink_make(rd, e);
}

/* Threads run until all is out. */
static int
engine_run(struct reading *rd, struct err *e)
{
	struct engine *g = &rd->g;
	struct pool *walk, *work;
	int rc = -1;

	if ((work = pool_start(rd->src.workers, engine_work, g, e)) == NULL)
		return -1;
	if ((walk = pool_start(1, engine_walk, g, e)) != NULL)
		rc = order_run(rd->order, e);
	pthread_mutex_lock(&g->lock);
	g->ending = true;
	if (rc != 0)
		g->failed = true;
	engine_tick_all(g);
	pthread_mutex_unlock(&g->lock);
	pool_wait(walk);
	pool_wait(work);
	return rc;
}

static void
reading_release(struct reading *rd)
{
	struct engine *g = &rd->g;
	struct unit *u;

	if (g->sink != NULL)
		(void)pack_sink_stop(g->sink, 1, NULL);
	while ((u = g->first) != NULL) {
		g->first = u->next;
		unit_free(u);
	}
	if (rd->order != NULL)
		order_end(rd->order);
	free(rd->order);
	pack_sink_free(g->sink);
	walker_free(g->walker);
	journal_close(g->items);
	cutter_free(g->cutter);
	bundle_use_free(g->use);
	bundle_use_free(rd->base_use);
	owner_names_free(rd->owners);
	exclude_free(rd->exclude);
	free(rd->layers);
	if (rd->snaps_fd != -1)
		io->close(rd->snaps_fd);
	if (g->src != NULL) {
		pthread_cond_destroy(&g->changed);
		pthread_cond_destroy(&g->work);
		pthread_cond_destroy(&g->room);
		pthread_mutex_destroy(&g->lock);
	}
}

/* What would have been sent. */
static void
reading_count(struct reading *rd)
{
	struct pack_sink_totals t;

	pack_sink_totals(rd->g.sink, &t);
	rd->b->r->result.stored_bytes = t.bytes;
}

/* The listing is complete: number it. */
static int
reading_end(struct reading *rd, struct err *e)
{
	uint8_t top[DIGEST_LEN], levels;
	uint64_t entries;
	char name[64];

	rd->b->r->result.read_bytes = atomic_load(&rd->g.read_bytes);
	if (listing_writer_finish(rd->order->listing, top, &levels, &entries, e) != 0)
		return -1;
	if (rd->b->news != NULL) {
		reading_count(rd);
		return 0;
	}
	if (build_number(rd->b, rd->order, top, levels, entries, rd->g.walker, e) != 0 || build_reload(rd->b, e) != 0)
		return -1;
	bundle_use_lengths(rd->g.use, rd->base_use);
	snprintf(name, sizeof(name), "%08llu.use", (unsigned long long)rd->b->im->envelope.seq);
	return bundle_use_save(rd->g.use, rd->snaps_fd, name, e);
}

int
build_read(struct build *b, struct err *e)
{
	struct reading *rd = calloc(1, sizeof(*rd));
	int rc = -1;

	if (rd == NULL || (rd->order = calloc(1, sizeof(*rd->order))) == NULL) {
		free(rd);
		return err_errno(e, "build");
	}
	rd->b = b;
	rd->snaps_fd = -1;
	progress_start(b->news != NULL ? "count" : "read", b->expect);
	/* The disks first: a new one moves the journal on. */
	if ((b->over_line || build_disks_writers(b, &rd->sink, e) == 0) && build_view_open(b, e) == 0 && layers_find(rd, e) == 0 &&
	    source_make(rd, e) == 0 && engine_make(rd, e) == 0 && order_begin(rd->order, &rd->g, b->runs_fd, e) == 0)
		rc = engine_run(rd, e);
	progress_end();
	if (rc == 0)
		rc = reading_end(rd, e);
	reading_release(rd);
	build_view_close(b);	/* nothing holds the source open any more */
	free(rd);
	return rc;
}

/* --- what a build would do --- */

static int
dry_entry(struct reading *rd, struct base_list *base, const struct walk_item *it, struct err *e)
{
	struct build_result *res = &rd->b->r->result;
	struct base_place place;
	struct entry before;
	int found = base_list_find(base, it->path, it->entry.name, &before, &place, e);

	if (found == -1)
		return -1;
	res->entries++;
	if (it->entry.type != ENTRY_FILE)
		return 0;
	res->files++;
	res->bytes += it->entry.size;
	if (found == 1 && entry_is_unchanged(&rd->src, rd->g.walker, &it->entry, &before, &place))
		res->unchanged++;
	else
		res->read_bytes += it->entry.size;
	return 0;
}

static int
dry_walk(struct reading *rd, struct base_list *base, struct err *e)
{
	struct build_result *res = &rd->b->r->result;
	struct walk_item it;
	int got;

	while ((got = walker_next(rd->g.walker, &it, e)) == 1) {
		if (stop_check(e) != 0)
			return -1;
		if (it.kind == WALK_ENTRY && dry_entry(rd, base, &it, e) != 0)
			return -1;
		res->skipped += it.kind == WALK_SKIPPED;
		res->unreadable += it.kind == WALK_ERROR;
	}
	return got;
}

int
build_dry(struct build *b, struct err *e)
{
	struct reading *rd = calloc(1, sizeof(*rd));
	struct base_list *base = NULL;
	int rc = -1;

	if (rd == NULL)
		return err_errno(e, "dry run");
	rd->b = b;
	rd->snaps_fd = -1;
	progress_start("walk", 0);
	if (layers_find(rd, e) == 0 && source_make(rd, e) == 0 &&
	    (rd->g.cutter = cutter_new(b->k->cut, b->s->domain.chunk_avg)) != NULL && walker_make(rd, e) == 0 &&
	    (base = base_list_new(rd->layers, rd->nlayers, e)) != NULL)
		rc = dry_walk(rd, base, e);
	progress_end();
	base_list_free(base);
	reading_release(rd);
	free(rd);
	return rc;
}
