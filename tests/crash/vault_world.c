#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdlib.h>

#include "common/base/io.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_rows.h"
#include "common/flow/vault.h"
#include "common/flow/vault_credential.h"
#include "common/flow/vault_rebuild.h"
#include "common/flow/verify.h"
#include "common/store/store.h"
#include "flow/build_maker.h"
#include "tests/crash/vault_world.h"

#define MACHINE	"db1"

static struct io_ops quick;

static int
no_fsync(int fd)
{
	(void)fd;
	return 0;
}

void
world_no_fsync(void)
{
	quick = *io_real();
	quick.fsync = no_fsync;
	(void)io_use(&quick);
}

void
world_fsync(void)
{
	(void)io_use(io_real());
}

/* ---- making ---- */

static void
file_copy(const char *from, const char *to, mode_t mode)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	uint8_t bytes[65536];
	ssize_t n;

	assert_true(in != -1 && out != -1);
	while ((n = read(in, bytes, sizeof(bytes))) > 0)
		assert_int_equal(write(out, bytes, (size_t)n), n);
	assert_int_equal(n, 0);
	close(in);
	close(out);
}

void
world_copy(const char *from, const char *to)
{
	DIR *d = opendir(from);
	struct dirent *x;
	struct stat st;
	char a[512], b[512];

	assert_non_null(d);
	assert_int_equal(fstat(dirfd(d), &st), 0);
	assert_int_equal(mkdir(to, st.st_mode & 0777), 0);
	while ((x = readdir(d)) != NULL) {
		if (strcmp(x->d_name, ".") == 0 || strcmp(x->d_name, "..") == 0)
			continue;
		assert_true(strlen(from) < 250 && strlen(to) < 250);
		snprintf(a, sizeof(a), "%s/%s", from, x->d_name);
		snprintf(b, sizeof(b), "%s/%s", to, x->d_name);
		assert_int_equal(lstat(a, &st), 0);
		if (S_ISDIR(st.st_mode))
			world_copy(a, b);
		else
			file_copy(a, b, st.st_mode & 0777);
	}
	closedir(d);
}

int
world_create(const char *vault, struct err *e)
{
	const struct vault_create o = { .name = "demo", .redundancy = REDUNDANCY_LOCAL };

	return vault_create(vault, &o, e);
}

int
world_credential(const char *vault, const char *machine, struct credential *c, struct err *e)
{
	const struct credential_order o = { .machine = machine, .purpose = PURPOSE_NEW, .valid = CREDENTIAL_VALID,
		.arrives_by = CREDENTIAL_ARRIVES };
	struct vault *v = vault_open(vault, 0, e);
	int rc = v == NULL ? -1 : vault_credential(v, &o, c, e);

	vault_close(v);
	return rc;
}

/* The machine, registered with a credential out of the vault. */
static void
machine_make(struct vault_world *w, struct build_maker *b)
{
	struct credential c;
	struct vault *v;
	struct buf text;

	memset(b, 0, sizeof(*b));
	machine_maker_start(&b->m);
	snprintf(w->root, sizeof(w->root), "%s", b->m.root);
	snprintf(w->state, sizeof(w->state), "%s", b->m.state);
	snprintf(w->vault[0], sizeof(w->vault[0]), "%s/vault0", b->m.root);
	assert_int_equal(world_create(w->vault[0], &b->e), 0);
	assert_int_equal(world_credential(w->vault[0], MACHINE, &c, &b->e), 0);
	v = vault_open(w->vault[0], 0, &b->e);
	assert_non_null(v);
	buf_init(&text);
	assert_int_equal(credential_text(v, &c, &text, &b->e), 0);
	vault_close(v);
	assert_int_equal(file_replace(AT_FDCWD, b->m.credential, text.p, text.len, 0600, &b->e), 0);
	buf_release(&text);
	b->m.o.machine = MACHINE;
	assert_int_equal(machine_maker_register(&b->m, &b->e), 0);
}

static void
files_make(struct build_maker *b, unsigned from, unsigned to, unsigned salt)
{
	char name[32];

	for (unsigned i = from; i < to; i++) {
		snprintf(name, sizeof(name), "d%u/f%02u", i % 3, i);
		build_maker_file(b, name, i == 5 ? 300000 : (i * 977) % 20000, salt + i);
	}
}

static void
image_make(struct vault_world *w, struct build_maker *b, unsigned i)
{
	const char *disks[WORLD_IMAGES] = { w->disk[0], w->disk[1] };
	struct image_text t;

	snprintf(w->disk[i], sizeof(w->disk[i]), "%s/disk%u", b->m.root, i);
	assert_int_equal(mkdir(w->disk[i], 0755), 0);
	b->disks[0] = w->disk[i];
	b->o.disks = b->disks;
	if (build_maker_run(b) != 0)
		fail_msg("build: %s", b->e.msg);
	memcpy(w->image[i], b->r.short_name, SHORT_LEN + 1);
	if (image_text_read(&t, w->state, w->image[i], disks, i + 1, &b->e) != 0)
		fail_msg("read: %s", b->e.msg);
	w->text[i] = t.text;
}

static int
add_name(void *arg, const char *name, uint64_t len, struct err *e)
{
	struct buf *b = arg;

	(void)len, (void)e;
	if (strncmp(name, "records/", 8) != 0)
		buf_print(b, "%s\n", name);
	return 0;
}

static char *
objects_list(const char *vault, struct err *e)
{
	struct store *s = store_dir_open(vault, 0, e);
	char *text = NULL;
	struct buf b;
	size_t len;

	if (s == NULL)
		return NULL;
	buf_init(&b);
	if (s->ops->list(s, "", "", add_name, &b, e) == 0)
		text = (char *)buf_take(&b, &len);
	buf_release(&b);
	s->ops->free(s);
	return text;
}

void
world_make(struct vault_world *w)
{
	struct ingest_result r;
	struct build_maker b;
	struct state *s;

	memset(w, 0, sizeof(*w));
	machine_make(w, &b);
	snprintf(b.src, sizeof(b.src), "%s/src", b.m.root);
	assert_int_equal(mkdir(b.src, 0755), 0);
	b.paths[0] = b.src;
	b.o = (struct build_options){ .state_path = w->state, .ndisks = 1, .parity = -1, .reserve = UINT64_MAX, .paths = b.paths, .npaths = 1, .level = 1, .workers = 2,
	    .memory = 300u << 20, .plain_directory = true, .no_key_test = true };
	for (unsigned i = 0; i < 3; i++)
		build_maker_dir(&b, (const char *[]){ "d0", "d1", "d2" }[i]);
	files_make(&b, 0, 30, 1);
	image_make(w, &b, 0);
	files_make(&b, 25, 40, 1000);
	image_make(w, &b, 1);
	if ((s = state_open(w->state, &b.e)) == NULL)
		fail_msg("%s", b.e.msg);
	memcpy(w->machine, s->id.machine_id, ID_LEN);
	state_free(s);
	for (unsigned i = 0; i <= WORLD_IMAGES; i++) {
		if (i > 0) {
			snprintf(w->vault[i], sizeof(w->vault[i]), "%s/vault%u", b.m.root, i);
			world_copy(w->vault[i - 1], w->vault[i]);
			if (world_ingest(w, w->vault[i], i - 1, &r, &b.e) != 0)
				fail_msg("ingest: %s", b.e.msg);
		}
		w->objects[i] = objects_list(w->vault[i], &b.e);
		assert_non_null(w->objects[i]);
	}
}

void
world_drop(struct vault_world *w)
{
	for (unsigned i = 0; i <= WORLD_IMAGES; i++)
		free(w->objects[i]);
	for (unsigned i = 0; i < WORLD_IMAGES; i++)
		free(w->text[i]);
	scratch_remove(w->root);
}

/* ---- asking ---- */

static void
result_take(void *arg, const struct ingest_result *r)
{
	*(struct ingest_result *)arg = *r;
}

int
world_ingest(const struct vault_world *w, const char *vault, unsigned i, struct ingest_result *r, struct err *e)
{
	const struct ingest_options o = { .jobs = 2, .memory = 100000000 };
	struct vault *v;
	int rc;

	memset(r, 0, sizeof(*r));
	if ((v = vault_open(vault, 0, e)) == NULL)
		return -1;
	rc = ingest_disk(v, w->disk[i], &o, result_take, r, e);
	vault_close(v);
	if (rc == 0 && r->unclaimed)
		return err_set(e, ERR_DIFFERENT, "unclaimed: %s", r->why);
	if (rc == 0 && r->chunks_bad > 0)
		return err_set(e, ERR_DIFFERENT, "%llu chunks are bad", (unsigned long long)r->chunks_bad);
	return rc;
}

int
world_snapshot_is_whole(const struct vault_world *w, const char *vault, unsigned i, struct err *e)
{
	struct cat_snapshot row = { .seq = (int64_t)i + 1 };
	struct vault *v = vault_open(vault, VAULT_NO_KEY, e);
	int rc;

	if (v == NULL)
		return -1;
	memcpy(row.machine_id, w->machine, ID_LEN);
	if ((rc = catalog_get(v->catalog, &cat_snapshots, &row, e)) == 1)
		rc = err_set(e, ERR_DIFFERENT, "the catalog does not know snapshot %u", i + 1);
	else if (rc == 0 && row.state != SNAPSHOT_WHOLE)
		rc = err_set(e, ERR_DIFFERENT, "snapshot %u is in state %u: %lld missing, %lld promised", i + 1, row.state,
		    (long long)row.missing, (long long)row.promised);
	vault_close(v);
	return rc;
}

/* Open a vault and apply what its records say beyond the catalog. */
static struct vault *
vault_now(const char *path, struct err *e)
{
	struct vault *v = vault_open(path, VAULT_NO_KEY, e);

	if (v != NULL && (vault_begin(v, e) != 0 || vault_commit(v, e) != 0)) {
		vault_close(v);
		return NULL;
	}
	return v;
}

int
world_credential_is_known(const char *vault, const struct credential *c, struct err *e)
{
	struct vault *v = vault_now(vault, e);
	struct cat_credential row;
	int rc;

	if (v == NULL)
		return -1;
	memcpy(row.id, c->credential_id, ID_LEN);
	if ((rc = catalog_get(v->catalog, &cat_credentials, &row, e)) == 1)
		rc = err_set(e, ERR_DIFFERENT, "the vault does not know a credential that it issued");
	vault_close(v);
	return rc;
}

static int
add_line(void *arg, const char *line, struct err *e)
{
	(void)e;
	buf_print(arg, "%s\n", line);
	return 0;
}

char *
world_dump(const char *vault, struct err *e)
{
	struct vault *v = vault_now(vault, e);
	char *text = NULL;
	struct buf b;
	size_t len;

	if (v == NULL)
		return NULL;
	buf_init(&b);
	if (catalog_dump(v->catalog, add_line, &b, e) == 0)
		text = (char *)buf_take(&b, &len);
	buf_release(&b);
	vault_close(v);
	return text;
}

static void
finding_keep(void *arg, const struct finding *f)
{
	char *first = arg;

	if (f->severity != SEV_NOTE && first[0] == '\0')
		snprintf(first, 400, "%.150s: %.200s", f->where, f->what);
}

/* What verify finds is only noted; ${n} snapshots, or at least so many, are whole. */
static int
verified(const char *vault, unsigned n, int more, struct err *e)
{
	char first[400] = "";
	const struct verify_options o = { .workers = 1, .memory = 64u << 20, .fn = finding_keep, .arg = first };
	struct verify_result r;

	if (verify_vault(vault, &o, &r, e) != 0)
		return -1;
	if (first[0] != '\0')
		return err_set(e, ERR_DIFFERENT, "verify: %s", first);
	if (more ? r.snapshots_whole < n : r.snapshots_whole != n || r.snapshots != n)
		return err_set(e, ERR_DIFFERENT, "verify: %llu snapshots, %llu of them whole, instead of %u",
		    (unsigned long long)r.snapshots, (unsigned long long)r.snapshots_whole, n);
	return 0;
}

static int
reads_back(const struct vault_world *w, const char *vault, unsigned i, struct err *e)
{
	struct image_text t;
	int rc = image_text_read(&t, w->state, w->image[i], &vault, 1, e);

	if (rc == 0 && strcmp(t.text, w->text[i]) != 0)
		rc = err_set(e, ERR_DIFFERENT, "the files of snapshot %u are not what they were", i + 1);
	image_text_free(&t);
	return rc;
}

static int
rebuild_agrees(const char *vault, struct err *e)
{
	char *was = world_dump(vault, e), *is = NULL;
	struct rebuild_result r;
	int rc = -1;

	if (was != NULL && vault_rebuild(vault, &r, e) == 0 && (is = world_dump(vault, e)) != NULL)
		rc = strcmp(was, is) == 0 ? 0 : err_set(e, ERR_DIFFERENT, "a rebuild gives other answers than the catalog");
	free(was);
	free(is);
	return rc;
}

int
world_whole(const struct vault_world *w, const char *vault, unsigned n, struct err *e)
{
	for (unsigned i = 0; i < n; i++)
		if (world_snapshot_is_whole(w, vault, i, e) != 0 || reads_back(w, vault, i, e) != 0)
			return -1;
	if (verified(vault, n, 0, e) != 0)
		return -1;
	return rebuild_agrees(vault, e);
}

int
world_good(const struct vault_world *w, const char *vault, unsigned n, int gaps, struct err *e)
{
	for (unsigned i = 0; i < n; i++) {
		if (world_snapshot_is_whole(w, vault, i, e) != 0 && e->code != ERR_CATALOG)
			return -1;
		err_clear(e);
		if (reads_back(w, vault, i, e) != 0)
			return -1;
	}
	return gaps ? 0 : verified(vault, n, 1, e);
}

int
world_objects_agree(const struct vault_world *w, const char *vault, unsigned n, struct err *e)
{
	char *names = objects_list(vault, e);
	const char *a = names, *b = w->objects[n];
	int rc = 0;

	if (names == NULL)
		return -1;
	if (strcmp(a, b) != 0) {
		while (*a != '\0' && *b != '\0' && strcspn(a, "\n") == strcspn(b, "\n") && strncmp(a, b, strcspn(a, "\n")) == 0) {
			a += strcspn(a, "\n") + 1;
			b += strcspn(b, "\n") + 1;
		}
		rc = err_set(e, ERR_DIFFERENT, "other objects: \"%.*s\" instead of \"%.*s\"", (int)strcspn(a, "\n"), a,
		    (int)strcspn(b, "\n"), b);
	}
	free(names);
	return rc;
}
