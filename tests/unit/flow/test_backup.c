/* Backups over a line that goes nowhere, to a vault in this process: what is sent, what is not, and how they go on. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/stop.h"
#include "common/flow/backup.h"
#include "common/flow/ingest_job.h"
#include "common/flow/line_note.h"
#include "common/flow/vault_credential.h"
#include "flow/build_maker.h"
#include "flow/line_inside.h"

#define T(x)	cmocka_unit_test_setup_teardown(x, world_setup, world_teardown)

#define LISTING_BYTES	(128u << 10)	/* more than the listing of the tree takes: files as new as these are flagged, and the next one differs */

/* Each waits for a second: races between the hands are seen at a third of the places. */
#ifdef __SANITIZE_THREAD__
#define TORN_STEP	3
#else
#define TORN_STEP	1
#endif

struct world {
	struct build_maker b;
	char vault[96];
	struct backup_options o;
	struct backup_report r;
	struct err e;
};

/* A vault, and a machine that is registered with it. */
static int
world_setup(void **state)
{
	struct vault_create create = { .name = "demo", .redundancy = REDUNDANCY_LOCAL };
	struct credential_order order = { .purpose = PURPOSE_NEW, .valid = CREDENTIAL_VALID, .arrives_by = CREDENTIAL_ARRIVES };
	struct world *w = calloc(1, sizeof(*w));
	struct machine_maker *m = &w->b.m;
	uint8_t *regist;
	struct buf text;
	size_t len;
	int fd;

	err_clear(&w->e);
	machine_maker_start(m);
	(void)snprintf(w->vault, sizeof(w->vault), "%s/vault", m->root);
	assert_int_equal(vault_create(w->vault, &create, &w->e), 0);
	memset(&inside, 0, sizeof(inside));
	pthread_mutex_init(&inside.lock, NULL);
	assert_non_null(inside.v = vault_open(w->vault, 0, &w->e));
	assert_int_equal(vault_credential(inside.v, &order, &m->c, &w->e), 0);
	buf_init(&text);
	assert_int_equal(credential_text(inside.v, &m->c, &text, &w->e), 0);
	assert_int_equal(file_replace(AT_FDCWD, m->credential, text.p, text.len, 0600, &w->e), 0);
	buf_release(&text);
	assert_int_equal(machine_maker_register(m, &w->e), 0);
	assert_true((fd = open(m->state, O_DIRECTORY | O_RDONLY)) >= 0);
	assert_int_equal(file_read(fd, "regist", 1u << 20, &regist, &len, &w->e), 0);
	(void)close(fd);
	assert_int_equal(vault_begin(inside.v, &w->e), 0);
	assert_int_equal(registration_file(inside.v, regist, len, &w->e), 0);
	assert_int_equal(vault_record_bytes(inside.v, REC_MACHINE_REGISTERED, regist, len, &w->e), 0);
	assert_int_equal(vault_commit(inside.v, &w->e), 0);
	free(regist);
	{
		struct state *s = state_open(m->state, &w->e);

		assert_non_null(s);
		assert_int_equal(vault_machine(inside.v, s->id.machine_id, &inside.m, &w->e), 0);
		state_free(s);
	}
	(void)snprintf(w->b.src, sizeof(w->b.src), "%s/src", m->root);
	assert_int_equal(mkdir(w->b.src, 0755), 0);
	w->b.paths[0] = w->b.src;
	w->o = (struct backup_options){ .max_upload = BACKUP_NO_LIMIT, .patience = 1,
		.from = { .state_path = m->state, .paths = w->b.paths, .npaths = 1, .level = 1, .workers = 2, .memory = 300u << 20,
		.parity = -1, .reserve = UINT64_MAX } };
	*state = w;
	return 0;
}

static int
world_teardown(void **state)
{
	struct world *w = *state;

	stop_reset();
	vault_close(inside.v);
	pthread_mutex_destroy(&inside.lock);
	machine_maker_end(&w->b.m);
	free(w);
	return 0;
}

static int
run(struct world *w)
{
	err_clear(&w->e);
	return backup_run(&w->o, &w->r, &w->e);
}

static void
done(struct world *w)
{
	int rc = run(w);

	if (rc != 0)
		fail_msg("%d: %s; %s", rc, w->e.msg, w->e.next);
}

static void
fails(struct world *w, enum err_code code)
{
	assert_int_equal(run(w), -1);
	if (w->e.code != code)
		fail_msg("S-%d, not S-%d: %s", w->e.code, code, w->e.msg);
}

/* What is counted begins anew. */
static void
count_anew(void)
{
	inside.requests = inside.packs = inside.asks = 0;
	inside.pack_bytes = inside.ask_ids = inside.list_bytes = 0;
	inside.cut_at = 0;
	inside.stop_at = 0;
}

/* Bytes that nothing compresses and no other salt gives. */
static void
file_put(struct world *w, const char *name, size_t len, uint64_t salt)
{
	uint64_t x = salt * UINT64_C(0x9e3779b97f4a7c15) + 1;
	char path[512];
	uint8_t *p = malloc(len + 8);
	FILE *f;

	assert_non_null(p);
	for (size_t i = 0; i < len; i += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(p + i, &x, 8);
	}
	(void)snprintf(path, sizeof(path), "%s/%s", w->b.src, name);
	assert_non_null(f = fopen(path, "wb"));
	assert_int_equal(fwrite(p, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	free(p);
}

/* Some large files, many small ones, and directories. */
static void
tree(struct world *w)
{
	char name[64];

	build_maker_dir(&w->b, "small");
	for (unsigned i = 0; i < 200; i++) {
		(void)snprintf(name, sizeof(name), "small/%03u", i);
		file_put(w, name, 300 + i * 7, i);
	}
	file_put(w, "big1", 5u << 20, 1001);
	for (unsigned i = 0; i < 4; i++) {
		(void)snprintf(name, sizeof(name), "large%u", i);
		file_put(w, name, 12u << 20, 1010 + i);
	}
	file_put(w, "empty", 0, 1003);
}

static void
a_first_backup_is_whole_and_the_next_sends_next_to_nothing(void **state)
{
	struct world *w = *state;

	tree(w);
	done(w);
	assert_int_equal(w->r.seq, 1);
	assert_int_equal(w->r.result.files, 206);
	assert_true(inside.pack_bytes > 40u << 20);
	assert_true(inside.packs >= 8);	/* four of 16 MiB and the listing, if the first were not short */
	assert_int_equal(w->r.sent_bytes, inside.pack_bytes);
	count_anew();
	done(w);
	assert_int_equal(w->r.seq, 2);
	assert_true(inside.packs <= 2);	/* what changed of the listing, if anything; the root */
	assert_true(inside.pack_bytes < LISTING_BYTES);
	assert_true(inside.list_bytes < 4096);
	assert_int_equal(inside.chunks.twice, 0);
}

static void
an_increment_sends_what_changed(void **state)
{
	struct world *w = *state;

	tree(w);
	done(w);
	count_anew();
	file_put(w, "big1", 5u << 20, 2001);
	file_put(w, "small/007", 400, 2002);
	done(w);
	assert_true(inside.pack_bytes > 5u << 20);
	assert_true(inside.pack_bytes < 6u << 20);
	assert_int_equal(inside.chunks.twice, 0);
}

static void
what_another_set_sent_is_not_sent_again(void **state)
{
	struct world *w = *state;

	tree(w);
	done(w);
	count_anew();
	w->o.from.set = "other";
	done(w);
	assert_true(inside.pack_bytes < 1u << 20);
	assert_true(inside.asks > 0);
}

/* Wherever the line is torn, before or after the vault heard it: the same command goes on, and nothing acknowledged is sent twice. */
static void
a_torn_line_costs_nothing_twice(void **state)
{
	struct world *w = *state;
	unsigned torn = 0;

	tree(w);
	w->o.patience = 1;
	for (unsigned at = 1; at < 40; at += TORN_STEP) {
		count_anew();
		inside.cut_at = at;
		inside.cut_for = 1000000;
		inside.cut = at % 2 != 0 ? CUT_BEFORE : CUT_AFTER;
		if (run(w) == 0)
			break;
		assert_int_equal(w->e.code, ERR_LINE);
		assert_non_null(strstr(w->e.next, "samara-seed backup"));
		torn++;
	}
	assert_true(torn > 4 / TORN_STEP);
	assert_int_equal(inside.chunks.twice, 0);
	count_anew();
	done(w);
	assert_true(inside.pack_bytes < LISTING_BYTES);
}

/* Its list is a delta, and a run that finds only the commit open sends that too. */
static void
a_torn_increment_goes_on(void **state)
{
	struct world *w = *state;
	unsigned torn = 0;

	tree(w);
	done(w);
	file_put(w, "fresh", 5000, 77);
	w->o.patience = 1;
	for (unsigned at = 1; at < 40; at += TORN_STEP) {
		count_anew();
		inside.cut_at = at;
		inside.cut_for = 1000000;
		inside.cut = at % 2 != 0 ? CUT_BEFORE : CUT_AFTER;
		if (run(w) == 0)
			break;
		assert_int_equal(w->e.code, ERR_LINE);
		torn++;
	}
	assert_true(torn > 3 / TORN_STEP);
	count_anew();
	done(w);
	assert_true(w->r.seq >= 2);
}

static void
a_short_break_is_waited_for(void **state)
{
	struct world *w = *state;

	tree(w);
	w->o.patience = 60;
	inside.cut_at = 3;
	inside.cut_for = 2;
	inside.cut = CUT_AFTER;
	done(w);
	assert_int_equal(w->r.seq, 1);
}

static void
a_vault_that_is_busy_is_asked_again(void **state)
{
	struct world *w = *state;

	tree(w);
	w->o.patience = 60;
	inside.cut_at = 3;
	inside.cut_for = 2;
	inside.cut_code = ERR_BUSY;
	inside.cut = CUT_AFTER;
	done(w);
	assert_int_equal(w->r.seq, 1);
}

static void
one_that_is_stopped_goes_on(void **state)
{
	struct world *w = *state;

	tree(w);
	inside.stop_at = 2;
	fails(w, ERR_INTERRUPTED);
	stop_reset();
	inside.stop_at = 0;
	done(w);
	assert_int_equal(inside.chunks.twice, 0);
	assert_int_equal(w->r.seq, 1);
}

static void
more_than_is_allowed_is_not_sent(void **state)
{
	struct world *w = *state;

	tree(w);
	w->o.max_upload = 1u << 20;
	fails(w, ERR_MAX_UPLOAD);
	assert_int_equal(err_exit(w->e.code), 16);
	assert_non_null(strstr(w->e.msg, "large0"));
	assert_non_null(strstr(w->e.next, "--max-upload none"));
	assert_non_null(strstr(w->e.next, "samara-seed build"));
	assert_int_equal(inside.packs, 0);
	w->o.max_upload = BACKUP_NO_LIMIT;
	done(w);
	/* What is new by its size alone, but is there already, is counted, not feared. */
	build_maker_dir(&w->b, "copy");
	file_put(w, "copy/large", 12u << 20, 1010);
	count_anew();
	w->o.max_upload = 1u << 20;
	done(w);
	assert_true(inside.pack_bytes < 1u << 20);
}

static void
two_at_once_are_refused(void **state)
{
	struct world *w = *state;
	struct state *s;
	int fd;

	tree(w);
	assert_non_null(s = state_open(w->b.m.state, &w->e));
	assert_true((fd = set_lock(s, "files", &w->e)) >= 0);
	fails(w, ERR_BUSY);
	assert_int_equal(err_exit(w->e.code), 11);
	(void)close(fd);
	state_free(s);
	done(w);
}

static void
without_a_path_it_is_what_it_was(void **state)
{
	struct world *w = *state;
	static const char *const none[] = { "*7" };

	tree(w);
	w->o.from.excludes = none;
	w->o.from.nexcludes = 1;
	done(w);
	assert_int_equal(w->r.result.files, 186);
	w->o.from.npaths = w->o.from.nexcludes = 0;
	done(w);
	assert_int_equal(w->r.result.files, 186);
	w->o.from.set = "other";
	fails(w, ERR_USAGE);
}

/* A build onto a disk; what it ended with. */
static int
image_build(struct world *w, bool sealed)
{
	struct build_maker *b = &w->b;

	(void)snprintf(b->disk, sizeof(b->disk), "%s/disk", b->m.root);
	assert_int_equal(mkdir(b->disk, 0755), 0);
	b->disks[0] = b->disk;
	b->o = w->o.from;
	b->o.disks = b->disks;
	b->o.ndisks = 1;
	b->o.plain_directory = true;
	b->o.no_key_test = sealed;
	return build_maker_run(b);
}

static void
while_the_first_image_is_built_nothing_is_sent(void **state)
{
	struct world *w = *state;

	tree(w);
	assert_int_equal(image_build(w, false), -1);
	assert_int_equal(w->b.e.code, ERR_KEY_TEST);
	fails(w, ERR_PLEDGED);
	assert_int_equal(err_exit(w->e.code), 16);
	assert_int_equal(inside.requests, 0);
}

static void
before_the_first_image_is_pledged_nothing_is_sent(void **state)
{
	struct world *w = *state;

	tree(w);
	if (image_build(w, true) != 0)
		fail_msg("%s", w->b.e.msg);
	fails(w, ERR_PLEDGED);
	assert_true(inside.pack_bytes < LISTING_BYTES);
	assert_non_null(strstr(w->e.next, "samara-seed ship"));
}

/* --- what the vault loses --- */

/* A chunk of pack ${i} of those that it acknowledged is rotten. */
static void
chunk_rots(struct world *w, unsigned i)
{
	struct rec_damage d = { .copy = 1, .why = "rotten" };

	memcpy(d.pack_id, inside.ids[i], DIGEST_LEN);
	d.chunk_ids = (struct fmt_view){ inside.one[i], DIGEST_LEN };
	assert_int_equal(vault_begin(inside.v, &w->e), 0);
	assert_int_equal(vault_record(inside.v, REC_DAMAGE_FOUND, &rec_damage_schema, &d, &w->e), 0);
	assert_int_equal(vault_commit(inside.v, &w->e), 0);
}

static void
what_the_vault_lost_of_the_base_is_brought_again(void **state)
{
	struct world *w = *state;

	tree(w);
	done(w);
	assert_true(inside.packs > 2);
	chunk_rots(w, 1);
	count_anew();
	inside.chunks.n = 0;
	done(w);
	assert_true(inside.chunks.n > 1);
	assert_int_equal(w->r.state, LINE_WHOLE);
	assert_true(inside.pack_bytes < 2u << 20);
	count_anew();
	done(w);
	assert_true(inside.pack_bytes < LISTING_BYTES);
}

/* Between the last pack and the commit. */
static void
rots_once(void *arg)
{
	inside.before_commit = NULL;
	chunk_rots(arg, 0);
}

static void
what_the_vault_loses_before_the_commit_is_read_again(void **state)
{
	struct world *w = *state;

	tree(w);
	inside.before_commit = rots_once;
	inside.arg = w;
	done(w);
	/* The envelope of the first try took a number. */
	assert_int_equal(w->r.seq, 2);
	assert_int_equal(w->r.state, LINE_WHOLE);
}

/* --- the vault's head --- */

/* Another set of the machine commits first: its own whole backup, in between. */
static void
other_set_commits(void *arg)
{
	struct world *w = arg;
	struct backup_options o = w->o;
	struct backup_report r;
	struct err e;

	inside.before_commit = NULL;
	err_clear(&e);
	o.from.set = "other";
	pthread_mutex_unlock(&inside.lock);
	if (backup_run(&o, &r, &e) != 0)
		fail_msg("%s", e.msg);
	pthread_mutex_lock(&inside.lock);
}

static void
another_set_may_be_quicker(void **state)
{
	struct world *w = *state;

	tree(w);
	inside.before_commit = other_set_commits;
	inside.arg = w;
	done(w);
	assert_int_equal(w->r.seq, 1);
	count_anew();
	done(w);
	assert_int_equal(w->r.seq, 3);
	assert_true(inside.pack_bytes < LISTING_BYTES);
}

static void
a_vault_that_shows_less_than_it_acknowledged_gets_nothing(void **state)
{
	struct world *w = *state;
	uint8_t digest[DIGEST_LEN] = { 1 };
	struct domain_keys *k;
	struct state *s;

	tree(w);
	done(w);
	assert_non_null(s = state_open(w->b.m.state, &w->e));
	assert_non_null(k = state_keys(s, &w->e));
	assert_int_equal(line_note_acknowledged(s, k, 7, digest, &w->e), 0);
	domain_keys_free(k);
	state_free(s);
	count_anew();
	fails(w, ERR_ROLLBACK);
	assert_int_equal(inside.packs, 0);
	assert_int_equal(err_exit(w->e.code), 4);
}

static void
a_state_that_was_put_back_is_a_fork(void **state)
{
	struct world *w = *state;
	char command[512];

	tree(w);
	done(w);
	(void)snprintf(command, sizeof(command), "cp -a %s %s.old", w->b.m.state, w->b.m.state);
	assert_int_equal(system(command), 0);
	done(w);
	(void)snprintf(command, sizeof(command), "rm -rf %s && mv %s.old %s", w->b.m.state, w->b.m.state, w->b.m.state);
	assert_int_equal(system(command), 0);
	count_anew();
	fails(w, ERR_FORK);
	assert_int_equal(inside.packs, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_first_backup_is_whole_and_the_next_sends_next_to_nothing),
		T(an_increment_sends_what_changed),
		T(what_another_set_sent_is_not_sent_again),
		T(a_torn_line_costs_nothing_twice),
		T(a_torn_increment_goes_on), T(a_short_break_is_waited_for),
		T(a_vault_that_is_busy_is_asked_again),
		T(one_that_is_stopped_goes_on),
		T(more_than_is_allowed_is_not_sent),
		T(two_at_once_are_refused),
		T(without_a_path_it_is_what_it_was),
		T(while_the_first_image_is_built_nothing_is_sent),
		T(before_the_first_image_is_pledged_nothing_is_sent),
		T(what_the_vault_lost_of_the_base_is_brought_again),
		T(what_the_vault_loses_before_the_commit_is_read_again),
		T(another_set_may_be_quicker),
		T(a_vault_that_shows_less_than_it_acknowledged_gets_nothing),
		T(a_state_that_was_put_back_is_a_fork),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
