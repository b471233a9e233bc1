/*
 * A vault against a plain second model of it: images on their way, pledges, disks taken in
 * whole or not and again, damage, disputes, loss, expiry, hand-off, what a machine
 * gives up, machines revoked and replaced, clocks that jump, retention, collections, rebuilds and
 * sessions in random order, in the middle of each other, and killed in the middle.  The
 * model knows ranges of chunks and reads the store's packs by itself; it never looks into the
 * catalog's chunks.
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
#include <sys/wait.h>
#include <unistd.h>

#include "flow/vault_site.h"

#include "common/base/log.h"
#include "common/flow/collect_job.h"
#include "common/flow/ingest_job.h"
#include "common/flow/pack_rows.h"
#include "common/flow/vault_apply.h"
#include "common/flow/vault_fate.h"
#include "flow/keep_maker.h"
#include "flow/upload_maker.h"
#include "flow/vault_model.h"
#include "flow/vault_model_check.h"
#include "flow/vault_model_line.h"
#include "flow/vault_model_word.h"

#define EVENTS	45
#define YEAR	(365 * KEEP_DAY)

/* Bugs that the test puts in, one at a time: into a collection by its options, or in place of a function (--wrap). */
enum bug {
	NO_BUG, BUG_ONE_MARK, BUG_NO_WAIT, BUG_MARK_FORGETS, BUG_SOFT_DELETE, BUG_DISPUTED_WHOLE, BUG_LACKING_IS_GIVEN_UP,
	BUG_LOST_IS_PROMISED, BUG_CONDEMNED_IS_HELD, BUG_REBUILD_FORGETS,
};

static struct model m;
static enum bug bug;
static unsigned nested, in_event, in_rebuild;
static long calls_left;			/* until somebody is killed; 0: nobody is */
static struct io_ops table;

/* ---- bugs ---- */

#define WRAPPED(type, name, ...)		\
	extern __typeof__(name) __real_##name, __wrap_##name;	\
	type __wrap_##name(__VA_ARGS__)

WRAPPED(void, id_filter_add, struct id_filter *f, const uint8_t id[DIGEST_LEN])
{
	if (bug != BUG_MARK_FORGETS || id[0] % 8 != 0)
		__real_id_filter_add(f, id);
}

WRAPPED(int, retain_keeps, struct vault *v, const struct cat_snapshot *s, const char **why, struct err *e)
{
	return bug == BUG_SOFT_DELETE && s->deleted != 0 && !s->is_protected ? 0 : __real_retain_keeps(v, s, why, e);
}

/* Whoever takes ids away does not say so. */
WRAPPED(int, apply_removed, struct vault *v, struct err *e)
{
	return bug == BUG_DISPUTED_WHOLE ? 0 : __real_apply_removed(v, e);
}

WRAPPED(int, given_up_find, struct catalog *c, const uint8_t machine[ID_LEN], const uint8_t *ids, size_t n, uint8_t *found,
    struct err *e)
{
	int rc = __real_given_up_find(c, machine, ids, n, found, e);

	if (bug == BUG_LACKING_IS_GIVEN_UP)
		memset(found, 1, n);
	return rc;
}

WRAPPED(int, unstored_find, struct catalog *c, const uint8_t machine[ID_LEN], const uint8_t *images, size_t nimages,
    const uint8_t *ids, size_t n, uint64_t *lost, struct err *e)
{
	int rc = __real_unstored_find(c, machine, images, nimages, ids, n, lost, e);

	if (bug == BUG_LOST_IS_PROMISED)
		memset(lost, 0, n * sizeof(*lost));
	return rc;
}

WRAPPED(int, chunks_find, struct catalog *c, const uint8_t domain[DIGEST_LEN], const uint8_t *writer, const uint8_t *ids,
    size_t n, uint8_t *states, struct err *e)
{
	int rc = __real_chunks_find(c, domain, writer, ids, n, states, e);

	for (size_t i = 0; i < n && bug == BUG_CONDEMNED_IS_HELD; i++)
		if (states[i] & COPY_CONDEMNED)
			states[i] = COPY_GOOD;
	return rc;
}

WRAPPED(int, vault_apply, struct vault *v, const struct record *r, struct err *e)
{
	if (bug == BUG_REBUILD_FORGETS && in_rebuild && (r->type == REC_DISPUTE || r->type == REC_DAMAGE_FOUND))
		return 0;
	return __real_vault_apply(v, r, e);
}

/* ---- the system below ---- */

static void small_event(void);
static void event_damage(void);

/* Somebody else works on the vault just now, one time in ${n}. */
static void
meanwhile(unsigned n)
{
	if (!in_event || nested || model_random(&m, n) != 0)
		return;
	nested = 1;
	if (model_is_free(&m, "snapshots.lock"))
		small_event();
	else if (model_random(&m, 3) == 0)
		event_damage();		/* which waits for nobody's turn */
	nested = 0;
}

/* A call that changes something: the one with which somebody is killed does not happen. */
static void
call_counted(void)
{
	if (calls_left > 0 && --calls_left == 0)
		_exit(9);
}

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

static int
open_between(int dirfd, const char *path, int flags, mode_t mode)
{
	const char *name = strrchr(path, '/');

	name = name == NULL ? path : name + 1;
	if ((strstr(name, ".r00") != NULL || strstr(name, ".d00") != NULL || strlen(name) > 64) &&
	    (flags & O_ACCMODE) == O_RDONLY && strstr(path, "tmp") == NULL)
		meanwhile(bug ? 3 : 6);
	if (flags & O_CREAT)
		call_counted();
	return io_real()->open(dirfd, path, flags, mode);
}

/* The same whenever somebody is about to read the catalog or to write to it, and holds no lock of it yet. */
static int
flock_between(int fd, int op)
{
	char link[64], name[256];
	ssize_t n;

	if (in_event && !nested && (op & LOCK_SH)) {
		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, name, sizeof(name) - 1);
		if (n > 6 && memcmp(name + n - 6, "lock-p", 6) == 0)
			meanwhile(bug ? 10 : 25);
	}
	return io_real()->flock(fd, op);
}

static int
clock_off(clockid_t id, struct timespec *ts)
{
	int rc = io_real()->clock_gettime(id, ts);

	if (id == CLOCK_REALTIME)
		ts->tv_sec += m.wall / 1000000000;
	return rc;
}

static ssize_t
write_counted(int fd, const void *buf, size_t n)
{
	call_counted();
	return io_real()->write(fd, buf, n);
}

static ssize_t
pwrite_counted(int fd, const void *buf, size_t n, off_t at)
{
	call_counted();
	return io_real()->pwrite(fd, buf, n, at);
}

static int
unlinkat_counted(int dirfd, const char *path, int flags)
{
	call_counted();
	return io_real()->unlinkat(dirfd, path, flags);
}

static int
renameat2_counted(int from, const char *old, int to, const char *new, unsigned flags)
{
	call_counted();
	return io_real()->renameat2(from, old, to, new, flags);
}

static int
linkat_counted(int from, const char *old, int to, const char *new, int flags)
{
	call_counted();
	return io_real()->linkat(from, old, to, new, flags);
}

/* Another process does ${work} and is killed at one of its first ${most} calls that change something. */
static void
kill_over(void (*work)(struct model *m, struct m_session *x), struct m_session *x, uint32_t most)
{
	long at = 1 + (long)model_random(&m, most);
	pid_t pid;
	int status;

	(void)fflush(NULL);
	if ((pid = fork()) == 0) {
		in_event = 0;
		calls_left = at;
		m.rng ^= UINT64_C(0x5555555555555555);	/* not the names that this process makes next */
		work(&m, x);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 9));
	model_say(&m, "the same before, killed at call %ld%s", at, WEXITSTATUS(status) == 9 ? "" : ": it came to its end");
}

static void
interrupt(void (*work)(struct model *m, struct m_session *x), struct m_session *x)
{
	if (nested || in_event || model_random(&m, 4) != 0)
		return;
	x->interrupted = 1;
	kill_over(work, x, 60);
}

/* ---- events ---- */

static void
event_image(void)
{
	struct m_image *i = model_image_new(&m);

	if (i == NULL)
		return;
	model_say(&m, "image %s: snapshot %u needs %u-%u, carries from %u, %u disks, known from %u", i->im.short_name, i->seq, i->from,
	    i->to, i->carried, i->ndisks, i->first);
	if (model_random(&m, 4) == 0)
		model_spoil(&m, i);
}

static void
event_pledge(void)
{
	struct m_image *i = model_pick_image(&m);

	if (i != NULL && model_wants_pledge(&m, i))
		model_pledge(&m, i, model_random(&m, 4) == 0);
}

static void
child_ingest(struct model *unused, struct m_session *x)
{
	(void)unused, (void)x;
	(void)site_ingest(m.s, 0);
}

/* What the model knows when disk ${d} has been taken in. */
static void
disk_is_in(struct m_image *i, unsigned d)
{
	uint32_t from = d == 0 ? i->carried : i->half, to = d == 0 ? i->half : i->to;

	if (!i->manifest)
		i->lease = m.slow + 60 * KEEP_DAY;
	else if (i->fate == IMAGE_LOST)
		i->lease = i->lease < m.slow ? i->lease : m.slow - 1;
	i->known = 1;
	i->in[d] = 1;
	if (i->fate == IMAGE_LOST)
		i->fate = 0;
	model_scan(&m);
	for (uint32_t c = from; c < to; c++) {
		i->had[c] = model_copy(&m, c) == 1;
		if (m.spoiled[c] && model_copy(&m, c) != 1)
			m.unstored[c] |= (uint16_t)(1u << (i - m.image));
	}
	if (d < i->first)
		return;
	i->manifest = 1;
	model_file(&m, i->seq, i->from, i->to, i);
}

static void
event_ingest(void)
{
	struct m_image *i = model_pick_image(&m);
	unsigned d;
	int rc = 0;

	if (i == NULL || i->fate == IMAGE_CANCELLED)
		return;
	d = model_random(&m, i->ndisks);
	model_say(&m, "take in disk %u of %s", d, i->im.short_name);
	(void)snprintf(m.s->disk[0], sizeof(m.s->disk[0]), "%s", i->disk[d]);
	if (!nested && model_random(&m, 5) == 0)
		kill_over(child_ingest, NULL, 150);
	for (int k = 0; k < 9 && (rc = site_ingest(m.s, 0)) != 0 && m.s->e.code == ERR_BUSY; k++)
		;	/* the same command again */
	if (rc != 0)
		m.alarm = model_wrong(&m, "ingest: %s", m.s->e.msg);
	else if (m.s->r.unclaimed)
		m.alarm = model_wrong(&m, "unclaimed: %s", m.s->r.why);
	else
		disk_is_in(i, d);
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
		i->lease = m.slow + 60 * KEEP_DAY;
	} else {
		i->fate = fate == FATE_LOST ? IMAGE_LOST : IMAGE_CANCELLED;
		if (i->lease >= m.slow)
			i->lease = m.slow - 1;
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
		h.whole = r.given_up == 0;
		h.given_up = r.given_up;
		h.missing[0] = r.given_up != 0;	/* nobody here looks at the digest of that list */
		seed_sign(&handoff_schema, &h, m.s->m.secret, &answer);
		assert_int_equal(vault_begin(v, &m.s->e), 0);
		assert_int_equal(vault_record_bytes(v, REC_HANDED_OFF, answer.p, answer.len, &m.s->e), 0);
		assert_int_equal(vault_commit(v, &m.s->e), 0);
		i->fate = IMAGE_HANDED_OFF;
		m.receipt = i;
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
			if (!p->bad[i])
				model_spoil_frame(&m, p, i);
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
event_dispute(void)
{
	struct m_pack *p = model_pick_pack(&m);

	if (p != NULL && !m.revoked)
		model_dispute(&m, p);
}

static void
event_give_up(void)
{
	struct m_snapshot *s = model_pick_snapshot(&m);

	if (s != NULL && !m.revoked)
		model_give_up(&m, s);
}

static void
event_machine(void)
{
	if (m.jumped)
		return;		/* no credential is made */
	if (m.revoked || model_random(&m, 2) == 0)
		model_replace(&m);
	else
		model_revoke(&m);
}

/* The wall clock jumps by years; or somebody says that it is right as it is. */
static void
event_clock(void)
{
	int64_t to = ((int64_t)model_random(&m, 21) - 10) * YEAR;
	struct vault *v;

	if (!m.jumped && to == m.wall)
		return;
	if (!m.jumped)
		m.wall = to;
	v = keep_open(m.s);
	assert_int_equal(vault_begin(v, &m.s->e), 0);
	assert_int_equal(vault_commit(v, &m.s->e), 0);
	if (m.jumped)
		assert_int_equal(vault_clock_confirm(v, &m.s->e), 0);
	else if (!v->clock_jumped)
		m.alarm = model_wrong(&m, "nobody saw that the clock jumped");
	vault_close(v);
	m.jumped = !m.jumped;
	model_say(&m, m.jumped ? "the clock jumps to %d years from now" : "the clock is right", (int)(m.wall / YEAR));
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
		s->deleted = m.slow;
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
	if (s->is_protected || s->state == SNAPSHOT_PENDING || model_is_newest_whole(&m, s) || (s->image != NULL && s->image->fate == 0))
		m.alarm = model_wrong(&m, "snapshot %u was pruned", s->seq);
	s->deleted = m.slow;
}

/* Nobody knows what time it is: nothing is deleted. */
static void
refused_check(int rc, const char *what)
{
	if (rc != 0 && !(m.jumped && m.s->e.code == ERR_RULE))
		m.alarm = model_wrong(&m, "%s: %s", what, m.s->e.msg);
	else if (rc == 0 && m.jumped)
		m.alarm = model_wrong(&m, "%s: the clock had jumped", what);
}

static void
event_prune(void)
{
	struct prune_options o = { .rules = { .last = 1 + model_random(&m, 3), .daily = model_random(&m, 2) }, .fn = pruned };
	struct prune_result r;
	struct vault *v = keep_open(m.s);

	model_say(&m, "prune, the last %u", (unsigned)o.rules.last);
	refused_check(prune_run(v, &o, &r, &m.s->e), "prune");
	vault_close(v);
}

static int
collect_once(struct collect_result *r)
{
	const struct collect_options o = { .memory = 1u << 20, .bugs = bug == BUG_ONE_MARK ? COLLECT_BUG_ONE_MARK :
		bug == BUG_NO_WAIT ? COLLECT_BUG_NO_WAIT : 0 };
	struct vault *v = keep_open(m.s);
	int rc = collect_run(v, &o, r, &m.s->e);

	vault_close(v);
	return rc;
}

static void
child_collect(struct model *unused, struct m_session *x)
{
	struct collect_result r;

	(void)unused, (void)x;
	(void)collect_once(&r);
}

static void
event_collect(unsigned between)
{
	struct collect_result r;

	model_say(&m, "collect");
	if (between && !m.jumped && model_random(&m, 4) == 0)
		kill_over(child_collect, NULL, 80);
	in_event = between;
	refused_check(collect_once(&r), "collect");
	in_event = 0;
	model_say(&m, "collected: %u gone, %u packs, %u written anew, %u waited for", (unsigned)r.snapshots_gone, (unsigned)r.packs,
	    (unsigned)r.repacked, (unsigned)r.waits);
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
		m.alarm = model_wrong(&m, "states: %s", m.s->e.msg);
	in_event = 0;
	vault_close(v);
}

static void
child_rebuild(struct model *unused, struct m_session *x)
{
	struct rebuild_result r;

	(void)unused, (void)x;
	(void)vault_rebuild(m.s->vault, &r, &m.s->e);
}

/* The first line that two dumps do not share. */
static const char *
differs_at(const char *a, const char *b)
{
	size_t line = 0;

	for (size_t i = 0; a[i] == b[i]; i++) {
		if (a[i] == '\0')
			return NULL;
		if (a[i] == '\n')
			line = i + 1;
	}
	return model_wrong(&m, "a rebuild says %.100s instead of %.100s", b + line, a + line);
}

static int
there_are_strays(void)
{
	int strays = 0;

	model_scan(&m);
	for (unsigned i = 0; i < m.npacks; i++)
		strays |= m.pack[i].stray;
	return strays;
}

/* The catalog anew, from records and packs: it says the same, but where somebody was killed over a pack. */
static void
event_rebuild(void)
{
	struct rebuild_result r;
	char *before, *after;
	struct vault *v = keep_open(m.s);
	int strays;

	model_say(&m, "rebuild");
	/* The slow clock goes on from the newest record. */
	assert_int_equal(vault_clock_confirm(v, &m.s->e), 0);
	m.jumped = 0;
	vault_close(v);
	event_states(0);
	strays = there_are_strays();
	before = site_dump(m.s);
	if (model_random(&m, 3) == 0)
		kill_over(child_rebuild, NULL, 200);
	in_rebuild = 1;
	if (vault_rebuild(m.s->vault, &r, &m.s->e) != 0)
		m.alarm = model_wrong(&m, "rebuild: %s", m.s->e.msg);
	in_rebuild = 0;
	after = site_dump(m.s);
	if (!strays && m.alarm == NULL)
		m.alarm = differs_at(before, after);
	free(before);
	free(after);
	model_sessions_forget(&m);
}

static void
event_wait(void)
{
	int64_t days = 1 + model_random(&m, 12);

	if (m.jumped)
		return;		/* no clock moves */
	model_say(&m, "%d days", (int)days);
	keep_wait(m.s, days * KEEP_DAY);
	m.slow += days * KEEP_DAY;
}

static struct m_session *
session_any(void)
{
	return &m.session[model_random(&m, M_SESSIONS)];
}

/* What may happen while something else is under way. */
static void
small_event(void)
{
	/* What shows the bug. */
	if (bug == BUG_ONE_MARK || bug == BUG_NO_WAIT) {
		struct m_session *x = session_any();

		/* A session that is still open would hide that nothing was looked at again. */
		do
			model_session_step(&m, x);
		while (bug == BUG_ONE_MARK && x->open && model_is_free(&m, "states.lock"));
		return;
	}
	switch (model_random(&m, 11)) {
	case 0:
	case 1:
	case 2:
	case 3:
		model_session_step(&m, session_any());
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
	case 8:
		if (model_is_free(&m, "states.lock"))
			event_dispute();
		break;
	case 9:
		if (model_is_free(&m, "states.lock"))
			event_pledge();
		break;
	default:
		if (model_is_free(&m, "states.lock"))
			event_ingest();
		break;
	}
}

static void
rare_event(void)
{
	switch (model_random(&m, 8)) {
	case 0:
		event_rebuild();
		break;
	case 1:
	case 2:
		event_machine();
		break;
	case 3:
	case 4:
		event_clock();
		break;
	default:
		event_give_up();
		break;
	}
}

static void
event(void)
{
	/* What makes chunks that nobody needs, sessions, and collections. */
	static const uint8_t few[] = { 0, 3, 4, 5, 8, 10, 11, 12, 12, 13, 14, 15, 16, 16, 21, 22, 23, 24, 25 };
	uint32_t which = model_random(&m, 27);

	if (bug == BUG_ONE_MARK || bug == BUG_NO_WAIT)
		which = few[which % sizeof(few)];
	switch (which) {
	case 0:
	case 1:
	case 2:
		event_image();
		break;
	case 3:
	case 4:
	case 5:
		event_ingest();
		break;
	case 6:
	case 7:
		event_pledge();
		break;
	case 8:
		event_fate(FATE_LOST);
		break;
	case 9:
		event_fate(model_random(&m, 2) == 0 ? FATE_CANCELLED : FATE_REOPENED);
		break;
	case 10:
	case 11:
		event_hand_off();
		break;
	case 12:
		event_prune();
		break;
	case 13:
	case 14:
	case 15:
		event_collect(1);
		break;
	case 16:
		event_wait();
		event_wait();
		break;
	case 17:
		event_retain(RETAIN_UNPROTECT);
		break;
	case 18:
	case 19:
		rare_event();
		break;
	case 20:
		event_dispute();
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

	if (m.jumped)
		event_clock();
	model_sessions_end(&m);
	/* Leases, and sessions of whoever was killed. */
	keep_wait(m.s, 61 * KEEP_DAY);
	m.slow += 61 * KEEP_DAY;
	for (int i = 0; i < 6; i++) {
		event_states(0);
		event_collect(0);
		event_states(0);
		if ((why = model_check(&m)) != NULL)
			return why;
	}
	return model_check_garbage(&m, bug != BUG_ONE_MARK);	/* that one writes nothing anew */
}

/* NULL, or what was found wrong. */
static const char *
sequence_run(uint64_t seed, unsigned events)
{
	const char *why = NULL;
	void *state;

	model_begin(&m, seed);
	m.interrupt = interrupt;
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
		model_say(&m, "=> %s", why);
	(void)site_teardown(&state);
	model_end(&m);
	(void)io_use(&table);
	return why;
}

/* Does one of 60 sequences with the bug ${b} show it? */
static void
bug_is_found(enum bug b)
{
	const char *why = NULL;
	uint64_t i = 0;

	bug = b;
	for (; i < 60 && why == NULL; i++)
		why = sequence_run(1000 + i, 60);
	bug = NO_BUG;
	assert_non_null(why);
	print_message("found in sequence %u: %s\n", (unsigned)i, why);
}

/* Under sanitizers a sequence takes ten times as long: what is looked for there is another kind of bug. */
#define FOUND(name, b)	static void name(void **state) { (void)state; if (SAMARA_SANITIZED) skip(); bug_is_found(b); }

FOUND(a_collection_after_one_mark_is_found_out, BUG_ONE_MARK)
FOUND(a_collection_that_waits_for_no_session_is_found_out, BUG_NO_WAIT)
FOUND(a_mark_that_forgets_is_found_out, BUG_MARK_FORGETS)
FOUND(a_soft_delete_without_its_days_is_found_out, BUG_SOFT_DELETE)
FOUND(a_dispute_that_leaves_the_word_whole_is_found_out, BUG_DISPUTED_WHOLE)
FOUND(a_gap_that_counts_as_given_up_is_found_out, BUG_LACKING_IS_GIVEN_UP)
FOUND(a_promise_of_what_a_disk_lost_is_found_out, BUG_LOST_IS_PROMISED)
FOUND(a_condemned_chunk_that_counts_as_held_is_found_out, BUG_CONDEMNED_IS_HELD)
FOUND(a_rebuild_that_forgets_damage_is_found_out, BUG_REBUILD_FORGETS)

static void
nothing_is_called_whole_that_is_not_and_nothing_needed_goes(void **state)
{
	uint64_t n = number_wanted("SAMARA_MODEL_SEQUENCES", SAMARA_SANITIZED ? 4 : 30);
	uint64_t first = number_wanted("SAMARA_MODEL_SEED", 1);

	(void)state;
	for (uint64_t i = 0; i < n; i++) {
		const char *why = sequence_run(first + i, EVENTS);

		if (why != NULL) {
			(void)fputs(m.log, stderr);
			fail_msg("sequence %llu: %s", (unsigned long long)(first + i), why);
		}
	}
	print_message("figures: model %llu sequences of %u events\n", (unsigned long long)n, EVENTS);
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
	table.clock_gettime = clock_off;
	table.write = write_counted;
	table.pwrite = pwrite_counted;
	table.unlinkat = unlinkat_counted;
	table.renameat2 = renameat2_counted;
	table.linkat = linkat_counted;
	(void)io_use(&table);
	return 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_collection_after_one_mark_is_found_out),
		cmocka_unit_test(a_collection_that_waits_for_no_session_is_found_out),
		cmocka_unit_test(a_mark_that_forgets_is_found_out),
		cmocka_unit_test(a_soft_delete_without_its_days_is_found_out),
		cmocka_unit_test(a_dispute_that_leaves_the_word_whole_is_found_out),
		cmocka_unit_test(a_gap_that_counts_as_given_up_is_found_out),
		cmocka_unit_test(a_promise_of_what_a_disk_lost_is_found_out),
		cmocka_unit_test(a_condemned_chunk_that_counts_as_held_is_found_out),
		cmocka_unit_test(a_rebuild_that_forgets_damage_is_found_out),
		cmocka_unit_test(nothing_is_called_whole_that_is_not_and_nothing_needed_goes),
	};

	say_level_set(SAY_QUIET);
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, setup, NULL);
}
