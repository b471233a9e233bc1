/* What a vault hears of images on their way: pledges, fates, leases, disputes, and the receipts that it gives by itself. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/catalog/catalog_chunks.h"
#include "common/crypto/hash.h"
#include "common/flow/gaps.h"
#include "common/flow/ingest_job.h"
#include "common/flow/receipt.h"
#include "common/flow/vault_custody.h"
#include "common/flow/vault_dispute.h"
#include "common/flow/vault_fate.h"
#include "common/flow/vault_lost.h"
#include "common/flow/vault_pledge.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"
#include "flow/vault_site.h"

#define T(x)	cmocka_unit_test_setup_teardown(x, site_setup, site_teardown)
#define DAY	INT64_C(86400)

static void
snapshot_is(struct site *s, int64_t seq, unsigned state, int64_t missing, int64_t promised)
{
	struct cat_snapshot row;
	struct vault *v;

	err_clear(&s->e);
	v = vault_open(s->vault, VAULT_NO_KEY, &s->e);
	assert_non_null(v);
	memcpy(row.machine_id, s->m.id, ID_LEN);
	row.seq = seq;
	assert_int_equal(catalog_get(v->catalog, &cat_snapshots, &row, &s->e), 0);
	vault_close(v);
	assert_int_equal(row.missing, missing);
	assert_int_equal(row.promised, promised);
	assert_int_equal(row.state, state);
}

/* Image A, chunks 0 to 31 on disk 0, needed by snapshot 1; taken in, so that the machine is known. */
static void
image_a(struct site *s, struct seed_image *a)
{
	seed_image_make(a, &s->m, "AAAA");
	seed_disk(a, s->disk[0], 1, 0, 32);
	seed_snapshot(a, s->disk[0], 1, 0, 32);
	seed_manifest(a, s->disk[0], 1);
	assert_int_equal(site_ingest(s, 0), 0);
}

/* Image B, chunks 32 to 63 on disks 1 and 2; its snapshot 2 needs the second half of A too.  On its way. */
static void
image_b(struct site *s, struct seed_image *b, const struct seed_image *a)
{
	seed_image_make(b, &s->m, "BBBB");
	seed_disk(b, s->disk[1], 1, 32, 16);
	seed_disk(b, s->disk[2], 2, 48, 16);
	seed_snapshot(b, s->disk[1], 2, 16, 48);
	seed_leans(b, a);
	seed_manifest(b, s->disk[1], 1);
	seed_manifest(b, s->disk[2], 1);
}

/* The image that snapshot ${seq} waits for. */
static void
waits_for(struct site *s, int64_t seq, const uint8_t image[ID_LEN])
{
	struct cat_snapshot row;
	struct vault *v;

	err_clear(&s->e);
	v = vault_open(s->vault, VAULT_NO_KEY, &s->e);
	assert_non_null(v);
	memcpy(row.machine_id, s->m.id, ID_LEN);
	row.seq = seq;
	assert_int_equal(catalog_get(v->catalog, &cat_snapshots, &row, &s->e), 0);
	assert_memory_equal(row.pending_on, image, ID_LEN);
	vault_close(v);
}

static struct vault *
opened(struct site *s)
{
	struct vault *v;

	err_clear(&s->e);
	v = vault_open(s->vault, 0, &s->e);
	assert_non_null(v);
	return v;
}

/* What stands on disk ${i} in the image of short name ${image}. */
static uint8_t *
on_disk(struct site *s, unsigned i, const char *image, const char *name, size_t *len)
{
	char path[512];
	uint8_t *bytes;

	(void)snprintf(path, sizeof(path), "%s/samara/%s/%s", s->disk[i], image, name);
	assert_int_equal(file_read(AT_FDCWD, path, STATEMENT_MAX, &bytes, len, &s->e), 0);
	return bytes;
}

/* Snapshot ${seq} as a session's commit files it. */
static void
snapshot_file(struct site *s, struct vault *v, unsigned disk, const char *image, uint64_t seq)
{
	char name[VAULT_NAME_MAX], from[IMAGE_NAME_MAX];
	uint8_t *bytes;
	size_t len;

	image_name_refs(from, 0, 0, 0);
	bytes = on_disk(s, disk, image, from, &len);
	vault_name_refs(name, s->m.id, seq, REFS_WHOLE, 0);
	assert_int_equal(v->store->ops->put_new(v->store, name, bytes, len, &s->e), 0);
	free(bytes);
	image_name_envelope(from, 0, 0);
	bytes = on_disk(s, disk, image, from, &len);
	vault_name_envelope(name, s->m.id, seq);
	assert_int_equal(v->store->ops->put_new(v->store, name, bytes, len, &s->e), 0);
	assert_int_equal(vault_begin(v, &s->e), 0);
	assert_int_equal(vault_record_bytes(v, REC_SNAPSHOT_RECEIVED, bytes, len, &s->e), 0);
	assert_int_equal(vault_commit(v, &s->e), 0);
	free(bytes);
}

/* What vault_pledge_take says to the manifest of generation ${generation} on disk ${disk}. */
static int
pledge(struct site *s, unsigned disk, const char *image, uint32_t generation, struct pledge_taken *t)
{
	struct pledge_post p = { .commit = { NULL, 0 } };
	struct vault *v = opened(s);
	char from[IMAGE_NAME_MAX];
	uint8_t *bytes;
	size_t len;
	int rc;

	image_name_manifest(from, 0, generation);
	bytes = on_disk(s, disk, image, from, &len);
	p.manifest = (struct fmt_view){ bytes, (uint32_t)len };
	rc = vault_pledge_take(v, s->m.id, &p, -1, t, &s->e);
	if (rc == 0 && generation == 1)
		snapshot_file(s, v, disk, image, 2);
	if (rc == 0)
		assert_int_equal(vault_states(v, s->m.id, &s->e), 0);
	free(bytes);
	vault_close(v);
	return rc;
}

static void
what_was_pledged_is_pending_until_its_disks_come(void **state)
{
	struct site *s = *state;
	struct seed_image a, b;
	struct pledge_taken t;

	image_a(s, &a);
	image_b(s, &b, &a);
	assert_int_equal(pledge(s, 1, "bbbb", 1, &t), 0);
	assert_int_equal(t.generation, 1);
	assert_int_equal(t.disks_out, 2);
	assert_true(t.until > io_now() + 59 * DAY && t.until <= io_now() + 60 * DAY);
	assert_int_equal(site_image(s, &b), IMAGE_SEALED);
	snapshot_is(s, 2, SNAPSHOT_PENDING, 0, 32);
	waits_for(s, 2, b.id);
	site_rebuild_agrees(s);
	assert_int_equal(pledge(s, 1, "bbbb", 1, &t), 1);
	assert_int_equal(site_ingest(s, 2), 0);
	snapshot_is(s, 2, SNAPSHOT_PENDING, 0, 16);
	assert_int_equal(site_image(s, &b), IMAGE_INGESTING);
	assert_int_equal(site_ingest(s, 1), 0);
	snapshot_is(s, 2, SNAPSHOT_WHOLE, 0, 0);
	assert_int_equal(site_image(s, &b), IMAGE_WHOLE);
	site_rebuild_agrees(s);
}

static void
a_replaced_disk_is_pledged_with_a_higher_generation_and_never_back(void **state)
{
	struct site *s = *state;
	struct seed_image a, b;
	struct pledge_taken t;

	image_a(s, &a);
	image_b(s, &b, &a);
	assert_int_equal(pledge(s, 1, "bbbb", 1, &t), 0);
	seed_disk(&b, s->disk[3], 3, 48, 16);
	seed_manifest(&b, s->disk[3], 2);
	assert_int_equal(pledge(s, 3, "bbbb", 2, &t), 0);
	assert_int_equal(t.generation, 2);
	assert_int_equal(pledge(s, 1, "bbbb", 1, &t), -1);
	assert_int_equal(s->e.code, ERR_RULE);
	site_rebuild_agrees(s);
}

/* Post a manifest that was changed. */
static int
pledge_changed(struct site *s, const uint8_t *machine, int forge, struct pledge_taken *t)
{
	struct pledge_post p = { .commit = { NULL, 0 } };
	struct vault *v = opened(s);
	uint8_t seed[KEY_LEN] = { 9 }, pub[SIGN_PUB_LEN], secret[SIGN_SECRET_LEN];
	char from[IMAGE_NAME_MAX];
	struct manifest m;
	struct buf b;
	uint8_t *bytes;
	size_t len;
	int rc;

	buf_init(&b);
	sign_keys(seed, pub, secret);
	image_name_manifest(from, 0, 1);
	bytes = on_disk(s, 1, "bbbb", from, &len);
	assert_int_equal(schema_decode(&manifest_schema, &m, bytes, len), FMT_OK);
	if (forge == 1)
		m.root[0] ^= 1;
	if (forge == 2)
		m.vault_id[0] ^= 1;
	if (forge == 4)
		m.sealed++;
	seed_sign(&manifest_schema, &m, forge == 3 ? secret : s->m.secret, &b);
	p.manifest = (struct fmt_view){ b.p, (uint32_t)b.len };
	rc = vault_pledge_take(v, machine, &p, -1, t, &s->e);
	vault_close(v);
	buf_release(&b);
	free(bytes);
	return rc;
}

static void
a_pledge_is_believed_only_by_its_signature_root_and_vault(void **state)
{
	static const struct { int forge; enum err_code want; } cases[] = {
		{ 1, ERR_DAMAGE }, { 2, ERR_WRONG_VAULT }, { 3, ERR_SIGNATURE },
	};
	struct site *s = *state;
	uint8_t other[ID_LEN] = { 1 };
	struct seed_image a, b;
	struct pledge_taken t;

	image_a(s, &a);
	image_b(s, &b, &a);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(pledge_changed(s, s->m.id, cases[i].forge, &t), -1);
		assert_int_equal(s->e.code, cases[i].want);
	}
	assert_int_equal(pledge_changed(s, other, 0, &t), -1);
	assert_int_equal(s->e.code, ERR_SIGNATURE);
	assert_int_equal(site_image(s, &b), 0);
	assert_int_equal(pledge_changed(s, s->m.id, 0, &t), 0);
	assert_int_equal(pledge_changed(s, s->m.id, 4, &t), -1);
	assert_int_equal(s->e.code, ERR_FORK);
}

/* The machine says what became of image ${im}. */
static int
fate_says(struct site *s, const struct seed_image *im, uint32_t number, enum fate is, const uint8_t *secret)
{
	struct fate_statement f = { .number = number, .fate = (uint8_t)is, .why = "the carrier says so", .time = 7 };
	struct vault *v = opened(s);
	struct cat_image i;
	struct buf b;
	int rc;

	buf_init(&b);
	memcpy(f.vault_id, v->desc.vault_id, ID_LEN);
	memcpy(f.machine_id, s->m.id, ID_LEN);
	memcpy(f.image_id, im->id, ID_LEN);
	memcpy(f.short_name, im->short_name, sizeof(f.short_name));
	seed_sign(&fate_schema, &f, secret, &b);
	rc = vault_fate_take(v, s->m.id, b.p, b.len, &i, &s->e);
	buf_release(&b);
	vault_close(v);
	return rc;
}

static void
the_machine_itself_ends_a_pledge_and_takes_it_up_again(void **state)
{
	struct site *s = *state;
	struct seed_image a, b;
	struct pledge_taken t;
	uint8_t wrong[SIGN_SECRET_LEN];

	image_a(s, &a);
	image_b(s, &b, &a);
	assert_int_equal(pledge(s, 1, "bbbb", 1, &t), 0);
	memcpy(wrong, s->m.secret, sizeof(wrong));
	wrong[0] ^= 1;
	assert_int_equal(fate_says(s, &b, 1, FATE_IS_LOST, wrong), -1);
	assert_int_equal(s->e.code, ERR_SIGNATURE);
	assert_int_equal(fate_says(s, &b, 1, FATE_IS_LOST, s->m.secret), 0);
	assert_int_equal(site_image(s, &b), IMAGE_LOST);
	snapshot_is(s, 2, SNAPSHOT_GAP, 32, 0);
	site_rebuild_agrees(s);
	assert_int_equal(fate_says(s, &b, 1, FATE_IS_LOST, s->m.secret), 1);
	assert_int_equal(fate_says(s, &b, 2, FATE_IS_FOUND, s->m.secret), 0);
	snapshot_is(s, 2, SNAPSHOT_PENDING, 0, 32);
	/* What was said before it was found counts no more, however often it comes. */
	assert_int_equal(fate_says(s, &b, 1, FATE_IS_LOST, s->m.secret), 1);
	assert_int_equal(site_image(s, &b), IMAGE_SEALED);
	assert_int_equal(fate_says(s, &b, 3, FATE_IS_LOST, s->m.secret), 0);
	/* A lost image is taken in when it turns up. */
	assert_int_equal(site_ingest(s, 1), 0);
	assert_int_equal(site_ingest(s, 2), 0);
	snapshot_is(s, 2, SNAPSHOT_WHOLE, 0, 0);
	site_rebuild_agrees(s);
}

static void
a_cancelled_image_that_was_never_pledged_is_refused_when_it_comes(void **state)
{
	struct site *s = *state;
	struct seed_image a, b;

	image_a(s, &a);
	image_b(s, &b, &a);
	assert_int_equal(fate_says(s, &b, 1, FATE_IS_FOUND, s->m.secret), 1);
	assert_int_equal(site_image(s, &b), 0);
	assert_int_equal(fate_says(s, &b, 1, FATE_IS_CANCELLED, s->m.secret), 0);
	assert_int_equal(site_image(s, &b), IMAGE_CANCELLED);
	(void)site_ingest(s, 1);
	assert_int_equal(site_image(s, &b), IMAGE_CANCELLED);
	assert_int_equal(site_snapshot(s, 2, NULL), 0);
	assert_int_equal(fate_says(s, &b, 2, FATE_IS_FOUND, s->m.secret), 0);
	assert_int_equal(site_ingest(s, 1), 0);
	snapshot_is(s, 2, SNAPSHOT_PENDING, 0, 16);
	site_rebuild_agrees(s);
}

/* --- leases --- */

static struct io_ops shifted;
static int64_t shift;

static int
clock_later(clockid_t id, struct timespec *t)
{
	int rc = io_real()->clock_gettime(id, t);

	t->tv_sec += id == CLOCK_REALTIME || id == CLOCK_BOOTTIME ? shift : 0;
	return rc;
}

static int
notice_count(void *arg, const char *text, struct err *e)
{
	(void)e;
	assert_non_null(strstr(text, "BBBB"));
	++*(unsigned *)arg;
	return 0;
}

static unsigned
notices(struct site *s)
{
	struct vault *v = opened(s);
	unsigned n = 0;

	assert_int_equal(vault_begin(v, &s->e), 0);
	assert_int_equal(vault_commit(v, &s->e), 0);
	assert_int_equal(vault_pledge_notices(v, s->m.id, notice_count, &n, &s->e), 0);
	vault_close(v);
	return n;
}

/* So many seconds after the test began: what housekeeping does then. */
static void
later(struct site *s, int64_t seconds)
{
	struct vault *v;

	/* In steps, as a vault that is kept: a longer pause would be a jump. */
	for (; shift < seconds; shift += DAY / 2) {
		v = opened(s);
		assert_int_equal(vault_begin(v, &s->e), 0);
		assert_int_equal(vault_commit(v, &s->e), 0);
		assert_int_equal(vault_leases(v, &s->e), 0);
		vault_close(v);
	}
}

static int
extend(struct site *s, uint64_t seconds)
{
	struct vault *v = opened(s);
	struct cat_image i;
	int rc = vault_lease_extend(v, "bbbb", seconds, "snow", 0, &i, &s->e);

	vault_close(v);
	return rc;
}

static void
a_lease_ends_on_the_slow_clock_unless_it_is_extended(void **state)
{
	struct site *s = *state;
	struct seed_image a, b;
	struct pledge_taken t;

	image_a(s, &a);
	image_b(s, &b, &a);
	shift = 0;
	shifted = *io_real();
	shifted.clock_gettime = clock_later;
	(void)io_use(&shifted);
	assert_int_equal(pledge(s, 1, "bbbb", 1, &t), 0);
	later(s, 45 * DAY);
	assert_int_equal(notices(s), 0);
	later(s, 47 * DAY);
	assert_int_equal(notices(s), 1);
	assert_int_equal(extend(s, 0), -1);
	assert_int_equal(extend(s, (uint64_t)(30 * DAY)), 0);
	assert_int_equal(notices(s), 0);
	later(s, 61 * DAY);
	snapshot_is(s, 2, SNAPSHOT_PENDING, 0, 32);
	assert_int_equal(site_image(s, &b), IMAGE_SEALED);
	later(s, 92 * DAY);
	snapshot_is(s, 2, SNAPSHOT_GAP, 32, 0);
	assert_int_equal(site_image(s, &b), IMAGE_EXPIRED);
	assert_int_equal(notices(s), 1);
	assert_int_equal(extend(s, (uint64_t)(30 * DAY)), -1);
	assert_int_equal(s->e.code, ERR_RULE);
	/* Late, but here. */
	assert_int_equal(site_ingest(s, 1), 0);
	assert_int_equal(site_ingest(s, 2), 0);
	snapshot_is(s, 2, SNAPSHOT_WHOLE, 0, 0);
	(void)io_use(io_real());
}

/* --- disputes --- */

struct finding {
	struct vault *v;
	const uint8_t *id;
	struct dispute_row row;
};

static int
pack_look(void *arg, const void *row, struct err *e)
{
	const struct cat_pack *p = row;
	struct finding *f = arg;
	struct cat_place at[8];
	uint8_t above[DIGEST_LEN];
	size_t n;

	memcpy(above, f->id, DIGEST_LEN);
	above[DIGEST_LEN - 1]--;
	assert_int_equal(chunks_walk(f->v->catalog, p->domain_id, above, at, 8, &n, e), 0);
	for (size_t i = 0; i < n; i++)
		if (memcmp(at[i].id, f->id, DIGEST_LEN) == 0 && at[i].pack == p->n && at[i].state == COPY_GOOD) {
			memcpy(f->row.pack_id, p->id, DIGEST_LEN);
			f->row.copy = p->copy;
		}
	return 0;
}

/* The machine disputes its copy of chunk ${n}. */
static int
dispute_chunk(struct site *s, uint32_t n, uint64_t *copies)
{
	struct dispute d = { .time = 5 };
	struct vault *v = opened(s);
	uint8_t id[DIGEST_LEN], row[DISPUTE_ROW_LEN];
	struct wr w = { .p = row, .left = sizeof(row) };
	struct finding f = { .v = v, .id = id };
	struct buf b;
	int rc;

	buf_init(&b);
	seed_chunk(&s->m, n, id, NULL, NULL);
	memcpy(f.row.id, id, DIGEST_LEN);
	f.row.copy = 1;
	assert_int_equal(catalog_each(v->catalog, &cat_packs, 0, NULL, pack_look, &f, &s->e), 0);
	element_put(dispute_row_fields, dispute_row_nfields, &w, &f.row);
	memcpy(d.vault_id, v->desc.vault_id, ID_LEN);
	memcpy(d.machine_id, s->m.id, ID_LEN);
	memcpy(d.domain_id, s->m.k->domain_id, DIGEST_LEN);
	d.rows = (struct fmt_view){ row, sizeof(row) };
	seed_sign(&dispute_schema, &d, s->m.secret, &b);
	rc = vault_dispute_take(v, s->m.id, b.p, b.len, copies, &s->e);
	buf_release(&b);
	vault_close(v);
	return rc;
}

static void
a_disputed_copy_is_missing_until_a_good_one_comes(void **state)
{
	struct site *s = *state;
	struct seed_image a, c;
	uint64_t copies;

	image_a(s, &a);
	snapshot_is(s, 1, SNAPSHOT_WHOLE, 0, 0);
	assert_int_equal(dispute_chunk(s, 5, &copies), 0);
	assert_int_equal(copies, 1);
	snapshot_is(s, 1, SNAPSHOT_GAP, 1, 0);
	site_rebuild_agrees(s);
	/* Said again it is nothing new. */
	assert_int_equal(dispute_chunk(s, 5, &copies), 1);
	snapshot_is(s, 1, SNAPSHOT_GAP, 1, 0);
	/* Another image brings the same chunk, sealed anew. */
	seed_image_make(&c, &s->m, "CCCC");
	seed_disk(&c, s->disk[3], 1, 5, 1);
	seed_snapshot(&c, s->disk[3], 2, 5, 1);
	seed_manifest(&c, s->disk[3], 1);
	assert_int_equal(site_ingest(s, 3), 0);
	snapshot_is(s, 1, SNAPSHOT_WHOLE, 0, 0);
	site_rebuild_agrees(s);
}

/* --- files lost --- */

/* The machine says that with list ${number} so many files of snapshots 1 and 2 went. */
static int
say_lost(struct site *s, uint32_t number, uint64_t one, uint64_t two, const uint8_t *secret)
{
	const struct files_lost_row row[2] = { { 1, one }, { 2, two } };
	uint8_t rows[2 * FILES_LOST_ROW_LEN];
	struct wr w = { .p = rows, .left = sizeof(rows) };
	struct files_lost l = { .number = number, .rows = { rows, sizeof(rows) }, .time = 5 };
	struct vault *v = opened(s);
	struct buf b;
	int rc;

	buf_init(&b);
	for (unsigned i = 0; i < 2; i++)
		element_put(files_lost_row_fields, files_lost_row_nfields, &w, &row[i]);
	memcpy(l.vault_id, v->desc.vault_id, ID_LEN);
	memcpy(l.machine_id, s->m.id, ID_LEN);
	seed_sign(&files_lost_schema, &l, secret, &b);
	rc = vault_files_lost_take(v, s->m.id, b.p, b.len, &s->e);
	buf_release(&b);
	vault_close(v);
	return rc;
}

static void
lost_are(struct site *s, int64_t seq, uint64_t files)
{
	struct vault *v = opened(s);
	uint64_t n;

	assert_int_equal(vault_files_lost(v, s->m.id, seq, &n, &s->e), 0);
	assert_int_equal(n, files);
	vault_close(v);
}

static void
files_that_are_lost_are_counted_by_snapshot_over_all_lists(void **state)
{
	struct site *s = *state;
	uint8_t other[SIGN_SECRET_LEN];
	struct seed_image a;

	image_a(s, &a);
	lost_are(s, 1, 0);
	assert_int_equal(say_lost(s, 1, 3, 1, s->m.secret), 0);
	assert_int_equal(say_lost(s, 1, 3, 1, s->m.secret), 1);	/* nothing new */
	assert_int_equal(say_lost(s, 2, 2, 5, s->m.secret), 0);
	lost_are(s, 1, 5);
	lost_are(s, 2, 6);
	lost_are(s, 3, 0);
	assert_int_equal(say_lost(s, 2, 1, 5, s->m.secret), 0);	/* what was said of list 2 before is replaced */
	lost_are(s, 1, 4);
	memcpy(other, s->m.secret, sizeof(other));
	other[0] ^= 1;
	assert_int_equal(say_lost(s, 3, 9, 9, other), -1);
	assert_int_equal(s->e.code, ERR_SIGNATURE);
	lost_are(s, 1, 4);
	site_rebuild_agrees(s);
}

static void
nobody_disputes_what_another_wrote(void **state)
{
	uint8_t other[ID_LEN] = { 3 };
	struct site *s = *state;
	struct seed_image a;
	struct cat_pack p = { .copy = 1 };
	struct vault *v;
	uint8_t id[DIGEST_LEN];
	uint32_t st;

	image_a(s, &a);
	v = opened(s);
	seed_chunk(&s->m, 5, id, NULL, NULL);
	for (p.n = 1; p.n < 64 && vault_copy_state(v, s->m.k->domain_id, id, p.n, s->m.id, &st, &s->e) != 0; p.n++)
		;
	assert_int_equal(vault_copy_state(v, s->m.k->domain_id, id, p.n, s->m.id, &st, &s->e), 0);
	assert_int_equal(st, COPY_GOOD);
	assert_int_equal(vault_copy_state(v, s->m.k->domain_id, id, p.n, other, &st, &s->e), 1);
	vault_close(v);
}

/* --- receipts --- */

static void
an_image_that_is_whole_gets_its_receipt_by_itself_and_once(void **state)
{
	struct site *s = *state;
	struct seed_image a;
	struct receipt p;
	struct vault *v;
	uint8_t *bytes;
	size_t len;

	image_a(s, &a);
	v = opened(s);
	assert_int_equal(vault_receipt_get(v, s->m.id, a.id, 0, &bytes, &len, &s->e), 2);
	assert_int_equal(vault_receipt_get(v, s->m.id, NULL, 0, &bytes, &len, &s->e), 1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(vault_receipts_due(v, &s->e), 0);
		assert_int_equal(vault_receipt_get(v, s->m.id, NULL, 0, &bytes, &len, &s->e), 0);
		assert_int_equal(statement_open(&receipt_schema, &p, bytes, len, v->desc.sign_pub, &s->e), 0);
		assert_int_equal(p.number, 1);
		free(bytes);
	}
	assert_int_equal(vault_receipt_get(v, s->m.id, NULL, 1, &bytes, &len, &s->e), 1);
	vault_close(v);
	site_rebuild_agrees(s);
	v = opened(s);
	assert_int_equal(vault_receipt_get(v, s->m.id, a.id, 0, &bytes, &len, &s->e), 0);
	free(bytes);
	vault_close(v);
}

static void
a_receipt_is_given_to_its_own_machine_only(void **state)
{
	uint8_t other[ID_LEN] = { 3 }, *bytes;
	struct site *s = *state;
	struct seed_image a;
	struct vault *v;
	size_t len;

	image_a(s, &a);
	v = opened(s);
	assert_int_equal(vault_receipts_due(v, &s->e), 0);
	assert_int_equal(vault_receipt_get(v, other, a.id, 0, &bytes, &len, &s->e), 1);
	assert_int_equal(vault_receipt_get(v, other, NULL, 0, &bytes, &len, &s->e), 1);
	vault_close(v);
}

/* --- custody --- */

static int
custody_says(struct site *s, const struct seed_image *im, uint32_t number, const uint8_t previous[DIGEST_LEN], struct buf *b)
{
	struct custody c = { .number = number, .event = CUSTODY_SHIPPED, .time = 9, .note = "DHL" };
	struct vault *v = opened(s);
	int rc;

	buf_reset(b);
	memcpy(c.image_id, im->id, ID_LEN);
	memcpy(c.signer_id, s->m.id, ID_LEN);
	memcpy(c.signer_pub, s->m.pub, SIGN_PUB_LEN);
	memcpy(c.previous, previous, DIGEST_LEN);
	seed_sign(&custody_schema, &c, s->m.secret, b);
	rc = vault_custody_post(v, s->m.id, b->p, b->len, &s->e);
	vault_close(v);
	return rc;
}

static void
custody_records_come_in_order_and_each_once(void **state)
{
	static const uint8_t none[DIGEST_LEN];
	uint8_t first[DIGEST_LEN];
	struct site *s = *state;
	struct seed_image a, b;
	struct buf rec;

	buf_init(&rec);
	image_a(s, &a);
	image_b(s, &b, &a);
	assert_int_equal(custody_says(s, &b, 1, none, &rec), -1);
	assert_int_equal(s->e.code, ERR_NO_IMAGE);
	assert_int_equal(custody_says(s, &a, 2, none, &rec), -1);
	assert_int_equal(s->e.code, ERR_RULE);
	assert_int_equal(custody_says(s, &a, 1, none, &rec), 0);
	hash_once(rec.p, rec.len, first);
	assert_int_equal(custody_says(s, &a, 1, none, &rec), 1);
	assert_int_equal(custody_says(s, &a, 2, none, &rec), -1);
	assert_int_equal(custody_says(s, &a, 2, first, &rec), 0);
	site_rebuild_agrees(s);
	buf_release(&rec);
}

/* A top-up's pledge with the list on disk ${disk}, one byte changed at ${spoil} (0: none). */
static int
pledge_carried(struct site *s, struct vault *v, unsigned disk, const char *image, size_t spoil)
{
	struct pledge_post p = { .commit = { NULL, 0 } };
	struct pledge_taken t;
	char from[IMAGE_NAME_MAX], path[192];
	uint8_t *bytes, *list;
	size_t len, n;
	int fd, rc;

	image_name_manifest(from, 0, 1);
	bytes = on_disk(s, 4, "tttt", from, &len);
	list = on_disk(s, disk, image, "snap/carried", &n);
	if (spoil > 0)
		list[n - spoil] ^= 1;
	(void)snprintf(path, sizeof(path), "%s/list", s->root);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(fd != -1 && write(fd, list, n) == (ssize_t)n && lseek(fd, 0, SEEK_SET) == 0);
	p.manifest = (struct fmt_view){ bytes, (uint32_t)len };
	rc = vault_pledge_take(v, s->m.id, &p, fd, &t, &s->e);
	(void)close(fd);
	free(list);
	free(bytes);
	return rc;
}

static void
what_a_top_up_carries_is_believed_only_as_its_manifest_names_it(void **state)
{
	struct site *s = *state;
	struct seed_image a, t, u;
	struct carried *c;
	struct vault *v;

	seed_image_make(&a, &s->m, "AAAA");
	seed_disk(&a, s->disk[0], 1, 0, 8);
	seed_snapshot(&a, s->disk[0], 1, 0, 8);
	seed_manifest(&a, s->disk[0], 1);
	assert_int_equal(site_ingest(s, 0), 0);		/* the vault knows the machine */
	v = opened(s);
	seed_image_make(&t, &s->m, "TTTT");
	seed_disk(&t, s->disk[4], 1, 0, 8);
	seed_carried(&t, s->disk[4], 0, 8);
	seed_manifest(&t, s->disk[4], 1);
	seed_image_make(&u, &s->m, "UUUU");
	seed_disk(&u, s->disk[5], 1, 0, 8);
	seed_carried(&u, s->disk[5], 0, 8);
	seed_manifest(&u, s->disk[5], 1);
	assert_int_equal(pledge_carried(s, v, 5, "uuuu", 0), -1);
	assert_int_equal(s->e.code, ERR_DAMAGE);
	err_clear(&s->e);
	assert_int_equal(pledge_carried(s, v, 4, "tttt", 1), -1);	/* in its signature */
	assert_int_equal(s->e.code, ERR_SIGNATURE);
	err_clear(&s->e);
	assert_null(carried_open(v, t.id, NULL, &s->e));
	err_clear(&s->e);
	assert_int_equal(pledge_carried(s, v, 4, "tttt", 0), 0);
	c = carried_open(v, t.id, NULL, &s->e);
	assert_non_null(c);
	carried_close(c);
	vault_close(v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_a_top_up_carries_is_believed_only_as_its_manifest_names_it),
		T(what_was_pledged_is_pending_until_its_disks_come),
		T(a_replaced_disk_is_pledged_with_a_higher_generation_and_never_back),
		T(a_pledge_is_believed_only_by_its_signature_root_and_vault),
		T(the_machine_itself_ends_a_pledge_and_takes_it_up_again),
		T(a_cancelled_image_that_was_never_pledged_is_refused_when_it_comes),
		T(a_lease_ends_on_the_slow_clock_unless_it_is_extended),
		T(a_disputed_copy_is_missing_until_a_good_one_comes),
		T(nobody_disputes_what_another_wrote),
		T(files_that_are_lost_are_counted_by_snapshot_over_all_lists),
		T(an_image_that_is_whole_gets_its_receipt_by_itself_and_once),
		T(a_receipt_is_given_to_its_own_machine_only),
		T(custody_records_come_in_order_and_each_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
