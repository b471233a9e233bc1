#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"
#include "common/disk/image_dir.h"
#include "common/disk/image_file.h"

/* A disk in a directory of its own, with one closed image on it. */
struct fixture {
	char path[64];
	int disk, image;
	uint8_t pub[SIGN_PUB_LEN], secret[SIGN_SECRET_LEN];
	struct label label;
	struct disk_statement statement;
	struct manifest manifest;
	uint8_t label_digest[DIGEST_LEN];
};

static struct fmt_view
view_of(const void *p, size_t n)
{
	return (struct fmt_view){ .p = p, .len = (uint32_t)n };
}

static void
put(struct fixture *f, const char *name, const void *data, size_t len)
{
	struct err e;

	err_clear(&e);
	assert_int_equal(file_replace(f->image, name, data, len, 0644, &e), 0);
}

/* Sign ${value} and put it under ${name}. */
static void
put_statement(struct fixture *f, const struct fmt_schema *s, void *value, const char *name, uint8_t *digest)
{
	struct buf b;
	struct err e;

	err_clear(&e);
	buf_init(&b);
	assert_int_equal(statement_make(s, value, f->secret, &b, &e), 0);
	put(f, name, b.p, b.len);
	if (digest != NULL)
		hash_once(b.p, b.len, digest);
	buf_release(&b);
}

/* Rows of ${n} packs; the tables are noise. */
static void
rows_make(struct buf *out, unsigned n, uint64_t *pack_bytes)
{
	uint8_t noise[200];

	*pack_bytes = 0;
	for (unsigned i = 0; i < n; i++) {
		uint32_t table = 64 + i % 100;

		memset(noise, (int)i, sizeof(noise));
		buf_u32(out, i * 3);
		buf_u32(out, 1000 + i);
		buf_u32(out, table);
		buf_add(out, noise, table);
		buf_add(out, noise, PACK_FOOT_LEN);
		*pack_bytes += 1000 + i;
	}
}

static void
put_part(struct fixture *f, int copy, unsigned part, const uint8_t *p, size_t n, struct hash *all)
{
	struct index_part h = { .part = (uint16_t)part, .disk = f->label.disk, .payload_len = n };
	uint8_t head[INDEX_PART_HEAD_LEN], digest[DIGEST_LEN];
	char name[IMAGE_NAME_MAX];
	struct buf b;

	memcpy(h.image_id, f->label.image_id, ID_LEN);
	index_part_encode(&h, head);
	buf_init(&b);
	buf_add(&b, head, sizeof(head));
	buf_add(&b, p, n);
	image_name_index(name, copy, part);
	put(f, name, b.p, b.len);
	hash_once(b.p, b.len, digest);
	hash_update(all, digest, DIGEST_LEN);
	buf_release(&b);
}

/* An index of ${packs} rows in ${parts} parts, both copies, and the statement that signs it. */
static void
put_index(struct fixture *f, unsigned packs, unsigned parts)
{
	struct buf rows;
	struct disk_statement *s = &f->statement;

	buf_init(&rows);
	rows_make(&rows, packs, &s->pack_bytes);
	for (int copy = 0; copy < 2; copy++) {
		struct hash all;
		size_t at = 0;

		hash_init(&all);
		for (unsigned i = 0; i < parts; i++) {
			size_t n = i + 1 == parts ? rows.len - at : rows.len / parts;

			put_part(f, copy, i, rows.p + at, n, &all);
			at += n;
		}
		hash_final(&all, s->index_digest);
	}
	s->packs = packs;
	s->index_parts = (uint16_t)parts;
	s->index_bytes = rows.len;
	put_statement(f, &disk_statement_schema, s, "stmt", NULL);
	put_statement(f, &disk_statement_schema, s, "stmt2", NULL);
	buf_release(&rows);
}

static void
put_label(struct fixture *f)
{
	put_statement(f, &label_schema, &f->label, "label", f->label_digest);
	put_statement(f, &label_schema, &f->label, "label2", NULL);
}

static void
put_manifest(struct fixture *f, uint32_t generation, const char *name)
{
	struct manifest m = f->manifest;

	m.generation = generation;
	put_statement(f, &manifest_schema, &m, name, NULL);
}

static void
fill(struct fixture *f)
{
	struct label *l = &f->label;
	struct disk_statement *s = &f->statement;
	struct manifest *m = &f->manifest;
	static uint8_t row[MANIFEST_DISK_LEN] = { 1 };
	static const uint8_t seed[KEY_LEN] = { 42 }, envelope[DIGEST_LEN] = { 5 };

	sign_keys(seed, f->pub, f->secret);
	*l = (struct label){ .image_id = { 1 }, .short_name = "RM4K", .disk = 1, .vault_id = { 2 }, .vault_name = "vault",
	    .machine_id = { 3 }, .machine_name = "machine", .domain_id = { 4 }, .format = FORMAT_VERSION, .suite = SUITE_1 };
	memcpy(l->machine_pub, f->pub, SIGN_PUB_LEN);
	put_label(f);
	*s = (struct disk_statement){ .vault_id = { 2 }, .machine_id = { 3 }, .domain_id = { 4 }, .image_id = { 1 }, .disk = 1 };
	memcpy(s->label_digest, f->label_digest, DIGEST_LEN);
	put_index(f, 300, 1);
	*m = (struct manifest){ .vault_id = { 2 }, .machine_id = { 3 }, .domain_id = { 4 }, .image_id = { 1 },
	    .short_name = "RM4K", .generation = 1 };
	m->disks = view_of(row, sizeof(row));
	m->envelopes = view_of(envelope, sizeof(envelope));
	put_manifest(f, 1, "manif/g0001");
}

static int
setup(void **state)
{
	static const char *const dirs[] = { "packs/0000", "index", "index2", "snap", "snap2", "manif", "manif2", "keys" };
	struct fixture *f = calloc(1, sizeof(*f));
	struct err e;

	err_clear(&e);
	strcpy(f->path, "/tmp/samara-test-XXXXXX");
	if (mkdtemp(f->path) == NULL || (f->disk = dir_open(AT_FDCWD, f->path, &e)) == -1 ||
	    dir_make(f->disk, "samara/rm4k", 0755, &e) != 0 || (f->image = dir_open(f->disk, "samara/rm4k", &e)) == -1)
		return -1;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (dir_make(f->image, dirs[i], 0755, &e) != 0)
			return -1;
	fill(f);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	char cmd[128];
	int rc;

	close(f->image);
	close(f->disk);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", f->path);
	rc = system(cmd);
	free(f);
	return rc;
}

static void
flip(struct fixture *f, const char *name, off_t at)
{
	int fd = openat(f->image, name, O_RDWR);
	uint8_t b;

	assert_true(fd != -1);
	assert_int_equal(pread(fd, &b, 1, at), 1);
	b ^= 1;
	assert_int_equal(pwrite(fd, &b, 1, at), 1);
	close(fd);
}

static enum err_code
open_code(struct fixture *f, struct image_dir *d)
{
	struct err e;

	err_clear(&e);
	return image_dir_open(f->disk, "RM4K", d, &e) == 0 ? ERR_NONE : e.code;
}

static void
names_are_of_eight_and_three(void **state)
{
	static const struct { void (*fn)(char *, uint32_t); uint32_t n; const char *want; } t[] = {
		{ image_name_pack, 0, "packs/0000/00000000.pk" },
		{ image_name_pack, 1234567, "packs/1234/01234567.pk" },
		{ image_name_pack_dir, 999, "packs/0000" },
		{ image_name_pack_dir, 9999999, "packs/9999" },
	};
	char out[IMAGE_NAME_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		t[i].fn(out, t[i].n);
		assert_string_equal(out, t[i].want);
	}
	image_name_index(out, 1, PARTS_MAX);
	assert_string_equal(out, "index2/p65535");
	image_name_envelope(out, 0, 7);
	assert_string_equal(out, "snap/00000007.env");
	image_name_refs(out, 1, 65535, 99);
	assert_string_equal(out, "snap2/00065535.r99");
	image_name_manifest(out, 0, 3);
	assert_string_equal(out, "manif/g0003");
	image_name_keys(out, 1, "slots");
	assert_string_equal(out, "keys2/slots");
}

static void
the_images_of_a_disk_are_listed(void **state)
{
	struct fixture *f = *state;
	struct err e;
	char **names;
	size_t n;

	err_clear(&e);
	assert_int_equal(dir_make(f->disk, "samara/none", 0755, &e), 0);	/* no label */
	assert_int_equal(dir_make(f->disk, "samara/toolong", 0755, &e), 0);
	assert_int_equal(dir_make(f->disk, "samara/AB12", 0755, &e), 0);
	assert_int_equal(file_replace(f->disk, "samara/AB12/label2", "x", 1, 0644, &e), 0);
	assert_int_equal(symlinkat("rm4k", f->disk, "samara/link"), 0);
	assert_int_equal(image_list(f->disk, &names, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_string_equal(names[0], "ab12");
	assert_string_equal(names[1], "rm4k");
	dir_list_free(names, n);
	assert_int_equal(image_list(f->image, &names, &n, &e), -1);
	assert_int_equal(e.code, ERR_NO_IMAGE);
}

static void
an_image_is_opened_by_its_name_in_any_case(void **state)
{
	struct fixture *f = *state;
	struct image_dir d;
	struct err e;

	err_clear(&e);
	assert_int_equal(image_dir_open(f->disk, "rm4K", &d, &e), 0);
	assert_string_equal(d.label.short_name, "RM4K");
	assert_memory_equal(d.label_digest, f->label_digest, DIGEST_LEN);
	image_dir_close(&d);
	assert_int_equal(image_dir_open(f->disk, "xxxx", &d, &e), -1);
	assert_int_equal(e.code, ERR_NO_IMAGE);
	assert_int_equal(image_dir_open(f->disk, "..", &d, &e), -1);
	assert_int_equal(e.code, ERR_NO_IMAGE);
}

static void
a_damaged_label_is_read_from_its_second_copy(void **state)
{
	struct fixture *f = *state;
	struct image_dir d;

	flip(f, "label", 40);
	assert_int_equal(open_code(f, &d), ERR_NONE);
	image_dir_close(&d);
	flip(f, "label2", 60);
	assert_true(open_code(f, &d) == ERR_SIGNATURE || open_code(f, &d) == ERR_FORMAT);
	assert_int_equal(unlinkat(f->image, "label", 0), 0);
	assert_int_equal(unlinkat(f->image, "label2", 0), 0);
	assert_int_equal(open_code(f, &d), ERR_NO_IMAGE);
}

static void
what_is_no_regular_file_is_refused_and_never_waited_for(void **state)
{
	struct fixture *f = *state;
	struct image_dir d;

	for (int kind = 0; kind < 4; kind++) {
		for (int copy = 0; copy < 2; copy++) {
			char name[IMAGE_NAME_MAX];

			image_name_label(name, copy);
			if (unlinkat(f->image, name, 0) != 0)
				assert_int_equal(unlinkat(f->image, name, AT_REMOVEDIR), 0);
			if (kind == 0)
				assert_int_equal(mkfifoat(f->image, name, 0644), 0);
			else if (kind == 1)
				assert_int_equal(mkdirat(f->image, name, 0755), 0);
			else if (kind == 2)
				assert_int_equal(symlinkat("stmt", f->image, name), 0);
			else
				assert_int_equal(symlinkat("/dev/zero", f->image, name), 0);
		}
		assert_int_equal(open_code(f, &d), ERR_FORMAT);
	}
}

static void
a_symlink_on_the_way_is_refused(void **state)
{
	struct fixture *f = *state;
	struct err e;
	uint64_t len;
	struct image_dir d;

	err_clear(&e);
	assert_int_equal(open_code(f, &d), ERR_NONE);
	put(f, "packs/0000/00000000.pk", "x", 1);
	close(image_pack_open(&d, 0, &e));
	assert_int_equal(renameat(f->image, "packs/0000", f->image, "packs/real"), 0);
	assert_int_equal(symlinkat("real", f->image, "packs/0000"), 0);
	assert_int_equal(image_pack_open(&d, 0, &e), -1);
	assert_int_equal(e.code, ERR_FORMAT);
	assert_int_equal(image_file_open(d.fd, "../rm4k/label", &len, &e), -1);
	assert_int_equal(image_file_open(d.fd, "/etc/passwd", &len, &e), -1);
	assert_int_equal(image_pack_open(&d, 1000, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	image_dir_close(&d);
}

static int
statement_rc(struct fixture *f, enum err_code *code)
{
	struct image_dir d;
	struct disk_statement s;
	uint8_t *bytes = NULL;
	size_t len;
	struct err e;
	int rc;

	err_clear(&e);
	assert_int_equal(open_code(f, &d), ERR_NONE);
	rc = image_statement(&d, &bytes, &len, &s, &e);
	*code = e.code;
	if (rc == 0)
		free(bytes);
	image_dir_close(&d);
	return rc;
}

static void
a_statement_counts_only_for_its_own_label(void **state)
{
	struct fixture *f = *state;
	struct disk_statement s;
	enum err_code code;
	static const uint8_t other[KEY_LEN] = { 9 };
	uint8_t pub[SIGN_PUB_LEN], secret[SIGN_SECRET_LEN];

	assert_int_equal(statement_rc(f, &code), 0);
	flip(f, "stmt", 50);
	assert_int_equal(statement_rc(f, &code), 0);	/* the second copy */
	for (int field = 0; field < 7; field++) {
		enum err_code want = field == 5 ? ERR_DAMAGE : ERR_SIGNATURE;

		memcpy(secret, f->secret, sizeof(secret));
		s = f->statement;
		switch (field) {
		case 0: s.vault_id[0]++; break;
		case 1: s.machine_id[0]++; break;
		case 2: s.domain_id[0]++; break;
		case 3: s.image_id[0]++; break;
		case 4: s.disk++; break;
		case 5: s.label_digest[0]++; break;
		case 6: sign_keys(other, pub, f->secret); break;	/* a valid signature by the wrong party */
		}
		put_statement(f, &disk_statement_schema, &s, "stmt", NULL);
		put_statement(f, &disk_statement_schema, &s, "stmt2", NULL);
		memcpy(f->secret, secret, sizeof(secret));
		assert_int_equal(statement_rc(f, &code), -1);
		assert_int_equal(code, want);
	}
	assert_int_equal(unlinkat(f->image, "stmt", 0), 0);
	assert_int_equal(unlinkat(f->image, "stmt2", 0), 0);
	assert_int_equal(statement_rc(f, &code), 1);
}

static int
manifest_rc(struct fixture *f, uint32_t *generation, enum err_code *code)
{
	struct image_dir d;
	struct manifest m;
	uint8_t *bytes = NULL;
	size_t len;
	struct err e;
	int rc;

	err_clear(&e);
	assert_int_equal(open_code(f, &d), ERR_NONE);
	rc = image_manifest(&d, &bytes, &len, &m, &e);
	*code = e.code;
	*generation = m.generation;
	if (rc == 0)
		free(bytes);
	image_dir_close(&d);
	return rc;
}

static void
the_highest_whole_manifest_counts(void **state)
{
	struct fixture *f = *state;
	uint32_t g;
	enum err_code code;

	assert_int_equal(manifest_rc(f, &g, &code), 0);
	assert_int_equal(g, 1);
	put_manifest(f, 2, "manif/g0002");
	put_manifest(f, 11, "manif2/g0011");
	put(f, "manif/gXX", "x", 1);
	assert_int_equal(manifest_rc(f, &g, &code), 0);
	assert_int_equal(g, 11);
	flip(f, "manif2/g0011", 30);
	assert_int_equal(manifest_rc(f, &g, &code), 0);
	assert_int_equal(g, 2);
	f->manifest.image_id[0]++;
	put_manifest(f, 2, "manif/g0002");
	put_manifest(f, 1, "manif/g0001");
	assert_int_equal(manifest_rc(f, &g, &code), -1);
	assert_int_equal(unlinkat(f->image, "manif/g0001", 0), 0);
	assert_int_equal(unlinkat(f->image, "manif/g0002", 0), 0);
	assert_int_equal(unlinkat(f->image, "manif2/g0011", 0), 0);
	assert_int_equal(manifest_rc(f, &g, &code), 1);
}

/* Read the index: the code it ends with. */
static enum err_code
index_code(struct fixture *f, const struct disk_statement *s, unsigned *rows)
{
	struct index_reader *r;
	struct image_dir d;
	uint32_t number, file_len, table_len;
	const uint8_t *table, *foot;
	struct err e;
	int rc = -1;

	err_clear(&e);
	*rows = 0;
	assert_int_equal(open_code(f, &d), ERR_NONE);
	if ((r = index_reader_new(&d, s, &e)) != NULL) {
		while ((rc = index_reader_next(r, &number, &file_len, &table, &table_len, &foot, &e)) == 1) {
			unsigned i = (*rows)++;

			assert_int_equal(number, i * 3);
			assert_int_equal(file_len, 1000 + i);
			assert_int_equal(table_len, 64 + i % 100);
			assert_int_equal(table[0], (uint8_t)i);
			assert_int_equal(table[table_len - 1], (uint8_t)i);
			assert_int_equal(foot[PACK_FOOT_LEN - 1], (uint8_t)i);
		}
		index_reader_free(r);
	}
	image_dir_close(&d);
	return rc == 0 ? ERR_NONE : e.code;
}

static void
the_index_is_read_in_any_number_of_parts(void **state)
{
	static const unsigned t[][2] = { { 0, 1 }, { 1, 1 }, { 300, 1 }, { 300, 7 }, { 9000, 2 }, { 50, 400 } };
	struct fixture *f = *state;
	unsigned rows;

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		put_index(f, t[i][0], t[i][1]);
		assert_int_equal(index_code(f, &f->statement, &rows), ERR_NONE);
		assert_int_equal(rows, t[i][0]);
	}
}

static void
a_damaged_index_is_read_from_its_second_copy(void **state)
{
	struct fixture *f = *state;
	unsigned rows;

	put_index(f, 300, 3);
	flip(f, "index/p0001", 100);
	assert_int_equal(index_code(f, &f->statement, &rows), ERR_NONE);
	assert_int_equal(rows, 300);
	assert_int_equal(unlinkat(f->image, "index2/p0002", 0), 0);
	assert_int_not_equal(index_code(f, &f->statement, &rows), ERR_NONE);
}

static void
an_index_and_a_statement_that_disagree_are_damage(void **state)
{
	struct fixture *f = *state;
	struct disk_statement s;
	unsigned rows;

	for (int field = 0; field < 5; field++) {
		s = f->statement;
		switch (field) {
		case 0: s.packs++; break;
		case 1: s.pack_bytes++; break;
		case 2: s.index_bytes--; break;
		case 3: s.index_digest[31] ^= 1; break;
		case 4: s.disk = 2; break;
		}
		assert_int_equal(index_code(f, &s, &rows), ERR_DAMAGE);
	}
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_of_eight_and_three),
		TEST(the_images_of_a_disk_are_listed),
		TEST(an_image_is_opened_by_its_name_in_any_case),
		TEST(a_damaged_label_is_read_from_its_second_copy),
		TEST(what_is_no_regular_file_is_refused_and_never_waited_for),
		TEST(a_symlink_on_the_way_is_refused),
		TEST(a_statement_counts_only_for_its_own_label),
		TEST(the_highest_whole_manifest_counts),
		TEST(the_index_is_read_in_any_number_of_parts),
		TEST(a_damaged_index_is_read_from_its_second_copy),
		TEST(an_index_and_a_statement_that_disagree_are_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
