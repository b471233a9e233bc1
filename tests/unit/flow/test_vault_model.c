/*
 * A vault against a plain second model of it: images on their way, disks taken in,
 * damage, loss, expiry, hand-off, what a machine gives up, retention, collections and
 * sessions in random order, and in the middle of each other.  The model knows ranges of
 * chunks and reads the store's packs by itself; it never looks into the catalog's chunks.
 *
 * SAMARA_MODEL_SEQUENCES in the environment sets how many sequences are tried, and
 * SAMARA_MODEL_SEED the first one.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "flow/vault_site.h"

#include "common/base/log.h"
#include "common/flow/ingest_job.h"
#include "common/flow/pack_rows.h"
#include "common/flow/receipt.h"
#include "common/flow/vault_fate.h"
#include "flow/keep_maker.h"
#include "flow/upload_maker.h"
#include "flow/vault_model.h"

#define EVENTS	45

/* A bug that the test puts in. */
#define BUG_ONE_MARK	1u

static struct model m;
static unsigned bug, nested, in_event;
static struct io_ops table;

/* ---- the system below ---- */

static int
no_fsync(int fd)
{
	(void)fd;
	return 0;
}

static int
same_random(void *buf, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)buf)[i] = (uint8_t)model_random(&m, 256);
	return 0;
}

static void small_event(void);

/* Somebody else works on the vault while lists and packs are read. */
static int
open_between(int dirfd, const char *path, int flags, mode_t mode)
{
	const char *name = strrchr(path, '/');

	name = name == NULL ? path : name + 1;
	if (in_event && !nested && (strstr(name, ".r00") != NULL || strstr(name, ".d00") != NULL || strlen(name) > 64) &&
	    (flags & O_ACCMODE) == O_RDONLY && strstr(path, "tmp") == NULL && model_random(&m, bug ? 3 : 6) == 0 && model_is_free(&m, "snapshots.lock")) {
		nested = 1;
		small_event();
		nested = 0;
	}
	return io_real()->open(dirfd, path, flags, mode);
}

/* The same whenever somebody is about to read the catalog or to write to it, and holds no lock of it yet. */
static int
flock_between(int fd, int op)
{
	char link[64], name[256];
	ssize_t n;

	if (in_event && !nested && (op & LOCK_SH) && model_random(&m, bug ? 10 : 25) == 0) {
		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, name, sizeof(name) - 1);
		if (n > 6 && memcmp(name + n - 6, "lock-p", 6) == 0 && model_is_free(&m, "snapshots.lock")) {
			nested = 1;
			small_event();
			nested = 0;
		}
	}
	return io_real()->flock(fd, op);
}

/* ---- events ---- */

static void
event_image(void)
{
	struct m_image *i = model_image_new(&m);

	if (i != NULL)
		model_say(&m, "image %s: snapshot %u needs %u-%u, carries from %u, %u disks", i->im.short_name, i->seq, i->from, i->to,
		    i->carried, i->ndisks);
}

static void
event_ingest(void)
{
	struct m_image *i = model_pick_image(&m);
	unsigned d;

	if (i == NULL || i->fate == IMAGE_CANCELLED)
		return;
	d = model_random(&m, i->ndisks);
	model_say(&m, "take in disk %u of %s", d, i->im.short_name);
	(void)snprintf(m.s->disk[0], sizeof(m.s->disk[0]), "%s", i->disk[d]);
	if (site_ingest(m.s, 0) != 0)
		fail_msg("ingest: %s", m.s->e.msg);
	if (m.s->r.unclaimed)
		fail_msg("unclaimed: %s", m.s->r.why);
	if (!i->manifest)
		i->lease = model_slow(&m) + 60 * KEEP_DAY;
	else if (i->fate == IMAGE_LOST)
		i->lease = i->lease < model_slow(&m) ? i->lease : model_slow(&m) - 1;
	i->manifest = 1;
	i->in[d] = 1;
	if (i->fate == IMAGE_LOST)
		i->fate = 0;
	model_file(&m, i->seq, i->from, i->to, i);
}

static void
event_fate(enum vault_fate fate)
{
	struct m_image *i = model_pick_image(&m);
	struct cat_image row;
	struct vault *v;
	char id[2 * ID_LEN + 1];
	int rc;

	if (i == NULL || !i->manifest)
		return;
	v = keep_open(m.s);
	rc = vault_fate(v, model_hex(id, i->im.id), fate, "a test", 0, &row, &m.s->e);
	vault_close(v);
	if (rc != 0)
		return;		/* a rule forbids it */
	model_say(&m, "image %s: fate %u", i->im.short_name, fate);
	if (fate == FATE_REOPENED) {
		i->fate = 0;
		i->lease = model_slow(&m) + 60 * KEEP_DAY;
	} else {
		i->fate = fate == FATE_LOST ? IMAGE_LOST : IMAGE_CANCELLED;
		if (i->lease >= model_slow(&m))
			i->lease = model_slow(&m) - 1;
	}
}

/* A receipt, and the machine's answer. */
static void
event_hand_off(void)
{
	struct m_image *i = model_pick_image(&m);
	struct receipt_result r;
	struct handoff h;
	struct vault *v;
	struct buf out, answer;
	char id[2 * ID_LEN + 1];

	if (i == NULL || !i->manifest || i->fate != 0)
		return;
	v = keep_open(m.s);
	buf_init(&out);
	buf_init(&answer);
	if (vault_receipt(v, model_hex(id, i->im.id), 0, &out, &r, &m.s->e) == 0) {
		memset(&h, 0, sizeof(h));
		memcpy(h.vault_id, m.s->m.vault_id, ID_LEN);
		memcpy(h.machine_id, m.s->m.id, ID_LEN);
		memcpy(h.image_id, i->im.id, ID_LEN);
		memcpy(h.short_name, i->im.short_name, sizeof(h.short_name));
		h.number = r.number;
		h.whole = 1;
		seed_sign(&handoff_schema, &h, m.s->m.secret, &answer);
		assert_int_equal(vault_begin(v, &m.s->e), 0);
		assert_int_equal(vault_record_bytes(v, REC_HANDED_OFF, answer.p, answer.len, &m.s->e), 0);
		assert_int_equal(vault_commit(v, &m.s->e), 0);
		i->fate = IMAGE_HANDED_OFF;
		model_say(&m, "image %s: handed off", i->im.short_name);
	}
	vault_close(v);
	buf_release(&out);
	buf_release(&answer);
}

/* Some or all copies in a pack are bad, or the pack is put into quarantine. */
static void
event_damage(void)
{
	struct m_pack *p = model_pick_pack(&m);
	int gone = model_random(&m, 3) == 0;
	struct rec_damage d = { .why = "a test" };
	struct vault *v;
	struct buf ids;

	if (p == NULL)
		return;
	v = keep_open(m.s);
	if (!model_has_row(v, p)) {
		vault_close(v);
		return;
	}
	buf_init(&ids);
	for (unsigned i = 0; i < p->n; i++)
		if (gone || model_random(&m, 2) == 0) {
			buf_add(&ids, m.ids[p->chunk[i]], DIGEST_LEN);
			p->bad[i] = 1;
			model_forget(&m, p->chunk[i]);
		}
	memcpy(d.pack_id, p->id, DIGEST_LEN);
	d.copy = p->copy;
	d.chunk_ids = seed_view(&ids);
	if (ids.len > 0) {
		model_say(&m, "%zu chunks of pack %02x%02x.%u %s", ids.len / DIGEST_LEN, p->id[0], p->id[1], p->copy,
		    gone ? "go to quarantine" : "are damaged");
		assert_int_equal(vault_begin(v, &m.s->e), 0);
		assert_int_equal(vault_record(v, gone ? REC_PACK_QUARANTINED : REC_DAMAGE_FOUND, &rec_damage_schema, &d, &m.s->e), 0);
		assert_int_equal(vault_commit(v, &m.s->e), 0);
		if (gone)
			assert_int_equal(pack_condemn(v->store, p->id, p->copy, &m.s->e), 0);
	}
	vault_close(v);
	buf_release(&ids);
}

static void
event_retain(enum retain_act act)
{
	struct m_snapshot *s = model_pick_snapshot(&m);
	int rc;

	if (s == NULL || (rc = keep_act(m.s, s->seq, act)) != 0)
		return;
	model_say(&m, "snapshot %u: act %u", s->seq, act);
	if (act == RETAIN_DELETE)
		s->deleted = model_slow(&m);
	else if (act == RETAIN_UNDELETE)
		s->deleted = -1;
	else
		s->is_protected = act == RETAIN_PROTECT;
}

static void
pruned(void *arg, const struct cat_snapshot *row, const struct cat_machine *machine, const char *rule)
{
	struct m_snapshot *s = model_snapshot(&m, (uint32_t)row->seq);

	(void)arg, (void)machine;
	assert_non_null(s);
	if (rule != NULL)
		return;
	/* It may have been protected while this went on: then it stays. */
	assert_false(s->is_protected || s->state == SNAPSHOT_PENDING || model_is_newest_whole(&m, s));
	assert_true(s->image == NULL || s->image->fate != 0);
	s->deleted = model_slow(&m);
}

static void
event_prune(void)
{
	struct prune_options o = { .rules = { .last = 1 + model_random(&m, 3), .daily = model_random(&m, 2) }, .fn = pruned };
	struct prune_result r;
	struct vault *v = keep_open(m.s);

	model_say(&m, "prune, the last %u", (unsigned)o.rules.last);
	if (prune_run(v, &o, &r, &m.s->e) != 0)
		fail_msg("prune: %s", m.s->e.msg);
	vault_close(v);
}

static void
event_collect(unsigned between)
{
	const struct collect_options o = { .memory = 1u << 20, .bugs = bug & BUG_ONE_MARK ? COLLECT_BUG_ONE_MARK : 0 };
	struct collect_result r;
	struct vault *v = keep_open(m.s);

	model_say(&m, "collect");
	in_event = between;
	if (collect_run(v, &o, &r, &m.s->e) != 0)
		fail_msg("collect: %s", m.s->e.msg);
	in_event = 0;
	vault_close(v);
	model_say(&m, "collected: %u gone, %u packs, %u written anew, %u waited for", (unsigned)r.snapshots_gone, (unsigned)r.packs,
	    (unsigned)r.repacked, (unsigned)r.waits);
}

static void
event_rebuild(void)
{
	struct rebuild_result r;

	model_say(&m, "rebuild");
	if (vault_rebuild(m.s->vault, &r, &m.s->e) != 0)
		fail_msg("rebuild: %s", m.s->e.msg);
	model_sessions_forget(&m);
}

static void
event_wait(void)
{
	int64_t days = 1 + model_random(&m, 12);

	model_say(&m, "%d days", (int)days);
	keep_wait(m.s, days * KEEP_DAY);
}

/* States anew; with ${between}, others at work meanwhile. */
static void
event_states(unsigned between)
{
	struct vault *v = keep_open(m.s);

	assert_int_equal(vault_begin(v, &m.s->e), 0);
	assert_int_equal(vault_commit(v, &m.s->e), 0);
	in_event = between;
	if (vault_leases(v, &m.s->e) != 0 || vault_states(v, m.s->m.id, &m.s->e) != 0)
		fail_msg("states: %s", m.s->e.msg);
	in_event = 0;
	vault_close(v);
}

/* What may happen while something else is under way. */
static void
small_event(void)
{
	/* What shows the bug. */
	if (bug & BUG_ONE_MARK) {
		model_session_step(&m);
		return;
	}
	switch (model_random(&m, 9)) {
	case 0:
	case 1:
	case 2:
	case 3:
		model_session_step(&m);
		break;
	case 4:
		event_damage();
		break;
	case 5:
		event_retain(RETAIN_UNDELETE);
		break;
	case 6:
		event_retain(RETAIN_DELETE);
		break;
	case 7:
		event_retain(RETAIN_PROTECT);
		break;
	default:
		if (model_is_free(&m, "states.lock"))
			event_ingest();
		break;
	}
}

static void
event(void)
{
	switch (model_random(&m, 24)) {
	case 0:
	case 1:
	case 2:
		event_image();
		break;
	case 3:
	case 4:
	case 5:
	case 6:
		event_ingest();
		break;
	case 7:
		event_fate(FATE_LOST);
		break;
	case 8:
		event_fate(model_random(&m, 2) == 0 ? FATE_CANCELLED : FATE_REOPENED);
		break;
	case 9:
	case 10:
		event_hand_off();
		break;
	case 11:
		event_prune();
		break;
	case 12:
	case 13:
	case 14:
		event_collect(1);
		break;
	case 15:
		event_wait();
		event_wait();
		break;
	case 16:
		event_retain(RETAIN_UNPROTECT);
		break;
	case 17:
		if (model_random(&m, 2) == 0)
			event_rebuild();
		break;
	default:
		small_event();
		break;
	}
}

/* ---- sequences ---- */

static uint64_t
number_wanted(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);

	return s != NULL ? strtoull(s, NULL, 10) : otherwise;
}

/* Everything ends, and is collected: what nobody needs does not stay. */
static const char *
end(void)
{
	const char *why;

	model_sessions_end(&m);
	for (int i = 0; i < 4; i++) {
		event_collect(0);
		event_states(0);
		if ((why = model_check(&m)) != NULL)
			return why;
	}
	return model_check_garbage(&m);
}

/* NULL, or what was found wrong. */
static const char *
sequence_run(uint64_t seed, unsigned events)
{
	const char *why = NULL;
	void *state;

	model_begin(&m, seed);
	assert_int_equal(site_setup(&state), 0);
	model_site(&m, state);
	for (unsigned i = 0; i < events && why == NULL; i++) {
		event();
		/* As the event left it: nothing may be called whole that is not. */
		if ((why = model_check_whole(&m)) != NULL)
			break;
		event_states(1);
		if ((why = model_check_whole(&m)) != NULL)
			break;
		event_states(0);
		why = model_check(&m);
	}
	if (why == NULL)
		why = end();
	if (why != NULL)
		model_note(&m, why);
	(void)site_teardown(&state);
	model_end(&m);
	(void)io_use(&table);
	return why;
}

/* Does one of ${n} sequences with the bug ${b} show it? */
static void
bug_is_found(unsigned b, unsigned n)
{
	const char *why = NULL;

	bug = b;
	for (uint64_t i = 0; i < n && why == NULL; i++)
		why = sequence_run(1000 + i, 60);
	bug = 0;
	assert_non_null(why);
	print_message("found: %s\n", why);
}

static void
a_collection_after_one_mark_is_found_out(void **state)
{
	(void)state;
	bug_is_found(BUG_ONE_MARK, 60);
}

static void
nothing_is_called_whole_that_is_not_and_nothing_needed_goes(void **state)
{
	uint64_t n = number_wanted("SAMARA_MODEL_SEQUENCES", SAMARA_SANITIZED ? 8 : 40);
	uint64_t first = number_wanted("SAMARA_MODEL_SEED", 1);

	(void)state;
	for (uint64_t i = 0; i < n; i++) {
		const char *why = sequence_run(first + i, EVENTS);

		if (why != NULL) {
			(void)fputs(m.log, stderr);
			fail_msg("sequence %llu: %s", (unsigned long long)(first + i), why);
		}
	}
}

static int
setup(void **state)
{
	(void)state;
	table = *io_real();
	table.fsync = no_fsync;
	table.random = same_random;
	table.open = open_between;
	table.flock = flock_between;
	(void)io_use(&table);
	return 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_collection_after_one_mark_is_found_out),
		cmocka_unit_test(nothing_is_called_whole_that_is_not_and_nothing_needed_goes),
	};

	say_level_set(SAY_QUIET);
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, setup, NULL);
}
