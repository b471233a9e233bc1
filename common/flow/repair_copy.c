#include "common/flow/repair_copy.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/progress.h"
#include "common/base/stop.h"
#include "common/disk/image_file.h"
#include "common/flow/parity_group.h"
#include "common/flow/repair.h"
#include "common/flow/repair_group.h"
#include "formats/fmt_pack.h"

/* One copy being made. */
struct copy {
	const struct image_dir *d;
	const struct disk_statement *s;
	int out;
	struct repair *repair;		/* NULL: the disk has no parity */
	struct repair_copy_result *r;
	uint8_t *buf;
	uint32_t dir;			/* of packs/ that was made last, + 1 */
};

/* --- the target --- */

static int
same_file(int a, const struct stat *b)
{
	struct stat st;

	return io->fstat(a, &st) == 0 && st.st_dev == b->st_dev && st.st_ino == b->st_ino;
}

/* Whether ${fd} is ${disk} or lies below it: 1, 0, or -1 with ${e}. */
static int
lies_in(int fd, int disk, struct err *e)
{
	struct stat top, here;
	int at = io->open(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), above, in = 0;

	if (at == -1 || io->fstat(disk, &top) != 0)
		return err_errno(e, "look at the target");
	for (;;) {
		if (same_file(at, &top)) {
			in = 1;
			break;
		}
		if (io->fstat(at, &here) != 0 || (above = io->open(at, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)) == -1) {
			in = err_errno(e, "look above the target");
			break;
		}
		(void)io->close(at);
		at = above;
		if (same_file(at, &here))
			break;		/* the root */
	}
	(void)io->close(at);
	return in;
}

int
repair_copy_open(const char *path, int diskfd, struct err *e)
{
	int fd, in, made = io->mkdirat(AT_FDCWD, path, 0755) == 0;

	if (!made && errno != EEXIST)
		return err_errno(e, "make the directory %s", path);
	if ((fd = dir_open(AT_FDCWD, path, e)) == -1)
		return -1;
	if ((in = lies_in(fd, diskfd, e)) == 0 && (!made || dir_sync(fd, "..", e) == 0))
		return fd;
	(void)io->close(fd);
	if (in == 0)
		return -1;
	return in == -1 ? -1 : err_set(e, ERR_TARGET, "%s lies on the disk that is to be repaired; nothing is written there", path);
}

int
repair_file_put(int out, const char *name, const uint8_t *bytes, size_t len, struct err *e)
{
	int fd = io->open(out, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd == -1)
		return err_errno(e, "create %s", name);
	if (io_write_full(fd, bytes, len, 0) != 0)
		(void)err_errno(e, "write %s", name);
	else if (io->fsync(fd) != 0)
		(void)err_set(e, ERR_FSYNC, "sync %s: %s", name, strerror(errno));
	else if (io->close(fd) != 0)
		return err_errno(e, "close %s", name);
	else
		return 0;
	(void)io->close(fd);
	return -1;
}

/* --- packs --- */

static int
pack_put(struct copy *c, uint32_t number, const uint8_t *bytes, size_t len, struct err *e)
{
	char name[IMAGE_NAME_MAX];

	if (c->dir != number / PACKS_PER_DIR + 1) {
		image_name_pack_dir(name, number);
		if (dir_make(c->out, name, 0755, e) != 0)
			return -1;
		c->dir = number / PACKS_PER_DIR + 1;
	}
	image_name_pack(name, number);
	return repair_file_put(c->out, name, bytes, len, e);
}

/* A file of at most ${cap} bytes: its length, or -1 where all of it cannot be read. */
static ssize_t
file_fetch(int dirfd, const char *name, uint8_t *buf, size_t cap)
{
	uint64_t len;
	ssize_t n = -1;
	int fd = image_file_open(dirfd, name, &len, NULL);

	if (fd == -1)
		return -1;
	(void)io->fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	if (len <= cap)
		n = io_read_full(fd, buf, (size_t)len, 0);
	(void)io->close(fd);
	return n;
}

/* One pack of the index: copied where it is whole, else wanted of the parity. */
static int
pack_copy(struct copy *c, const struct parity_member *x, struct err *e)
{
	char name[IMAGE_NAME_MAX];
	ssize_t n;

	image_name_pack(name, x->number);
	n = file_fetch(c->d->fd, name, c->buf, PACK_LEN_MAX);
	progress_add(x->file_len, 1);
	if (n >= 0 && repair_is_pack(c->d, x, c->buf, (size_t)n))
		return pack_put(c, x->number, c->buf, (size_t)n, e);
	if (c->repair != NULL) {
		repair_want(c->repair, x->number);
		return 0;
	}
	c->r->lost++;
	return n > 0 ? pack_put(c, x->number, c->buf, (size_t)n, e) : 0;
}

static int
packs_copy(struct copy *c, struct err *e)
{
	struct index_reader *r = index_reader_new(c->d, c->s, e);
	const uint8_t *table, *foot;
	struct parity_member x;
	struct pack_foot f;
	uint32_t table_len;
	int rc;

	if (r == NULL)
		return -1;
	while ((rc = index_reader_next(r, &x.number, &x.file_len, &table, &table_len, &foot, e)) == 1) {
		if (pack_foot_decode(&f, foot, PACK_FOOT_LEN) != FMT_OK)
			memset(f.pack_id, 0, DIGEST_LEN);
		memcpy(x.id, f.pack_id, DIGEST_LEN);
		c->r->packs++;
		if ((rc = stop_check(e)) != 0 || (rc = pack_copy(c, &x, e)) != 0)
			break;
	}
	index_reader_free(r);
	return rc;
}

static int
pack_repaired(void *arg, const struct repaired *p, struct err *e)
{
	struct copy *c = arg;

	c->r->repaired += p->whole != 0;
	c->r->lost += !p->whole;
	return p->empty ? 0 : pack_put(c, p->number, p->bytes, p->len, e);
}

/* --- parity --- */

/* Whether every parity pack of the group is whole; those that are, are copied. */
static int
group_copy(struct copy *c, const struct parity_table *t, const struct parity_member *members, uint32_t first, int *whole,
    struct err *e)
{
	size_t cap = (size_t)parity_pack_len(t->k, t->m, t->rows);
	uint8_t *buf = malloc(cap);
	char name[IMAGE_NAME_MAX];
	int rc = 0;

	*whole = 1;
	if (buf == NULL)
		return err_set(e, ERR_MEMORY, "no memory to copy parity");
	for (uint32_t i = 0; i < t->m && rc == 0; i++) {
		ssize_t n;

		image_name_parity(name, first + i);
		n = file_fetch(c->d->fd, name, buf, cap);
		if (n < 0 || !repair_parity_is_whole(buf, (size_t)n, t, members, i)) {
			*whole = 0;
			continue;
		}
		rc = repair_file_put(c->out, name, buf, (size_t)n, e);
	}
	free(buf);
	return rc;
}

/* Code a group from the packs of the copy: 0; 1 where they are not all whole; -1. */
static int
group_code(struct copy *c, const struct parity_table *t, const struct parity_member *members, uint32_t first, struct err *e)
{
	struct parity_group *g = parity_group_new(t->k, c->s->parity_percent, e);
	char name[IMAGE_NAME_MAX];
	int rc = -1;

	if (g == NULL)
		return -1;
	if (parity_group_begin(g, t, members, e) == 0) {
		rc = 0;
		for (uint32_t i = 0; i < t->k && rc == 0; i++) {
			ssize_t n;

			image_name_pack(name, members[i].number);
			n = file_fetch(c->out, name, c->buf, PACK_LEN_MAX);
			if (n < 0 || !repair_is_pack(c->d, &members[i], c->buf, (size_t)n))
				rc = 1;
			else
				parity_group_add(g, i, c->buf, (size_t)n);
		}
		if (rc == 0 && (rc = parity_group_write(g, c->out, first, e)) == 0)
			c->r->parity_made++;
	}
	parity_group_free(g);
	return rc;
}

static int
parity_copy(struct copy *c, struct err *e)
{
	struct parity_member members[PARITY_GROUP_MAX];
	struct parity_table t;
	char dir[IMAGE_NAME_MAX];
	uint32_t first;
	int whole, rc = 0;

	for (uint32_t group = 0; group < c->s->parity_groups && rc != -1; group++) {
		repair_group_describe(c->repair, group, &t, members, &first);
		for (uint32_t i = 0; i < t.m && rc != -1; i++) {
			image_name_parity_dir(dir, first + i);
			if (i == 0 || (first + i) % PACKS_PER_DIR == 0)
				rc = dir_make(c->out, dir, 0755, e);
		}
		if (rc != -1 && (rc = stop_check(e)) == 0)
			rc = group_copy(c, &t, members, first, &whole, e);
		if (rc == 0 && !whole)
			rc = group_code(c, &t, members, first, e);
		if (rc != -1)
			rc = dir_sync(c->out, dir, e);
	}
	return rc == -1 ? -1 : 0;
}

/* --- all of it --- */

static int
dirs_sync(struct copy *c, struct err *e)
{
	char **names, path[IMAGE_NAME_MAX];
	size_t n;
	int rc = 0;

	if (dir_make(c->out, "packs", 0755, e) != 0 || dir_list(c->out, "packs", &names, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n && rc == 0; i++) {
		(void)snprintf(path, sizeof(path), "packs/%.12s", names[i]);
		rc = dir_sync(c->out, path, e);
	}
	dir_list_free(names, n);
	return rc == 0 ? dir_sync(c->out, "packs", e) : -1;
}

static int
readme_copy(int diskfd, int to, struct err *e)
{
	uint8_t *bytes;
	struct stat st;
	size_t len;
	int rc;

	if (io->fstatat(to, IMAGE_README, &st, AT_SYMLINK_NOFOLLOW) == 0 ||
	    image_file_read(diskfd, IMAGE_README, 1u << 20, &bytes, &len, NULL) != 0)
		return 0;
	rc = repair_file_put(to, IMAGE_README, bytes, len, e);
	free(bytes);
	return rc;
}

static int
copy_run(struct copy *c, int diskfd, struct err *e)
{
	struct err own;

	err_clear(&own);
	c->repair = repair_new(c->d, c->s, &own);
	if (c->repair == NULL && c->s->parity_groups > 0) {
		if (e != NULL)
			*e = own;
		return -1;
	}
	if (packs_copy(c, e) != 0 || (c->repair != NULL && repair_run(c->repair, pack_repaired, c, e) != 0))
		return -1;
	if (dirs_sync(c, e) != 0 || (c->repair != NULL && parity_copy(c, e) != 0))
		return -1;
	/* With a label it is a disk: what stands beside it must have its name by then. */
	if (repair_small_copy(c->d, c->s, diskfd, c->out, e) != 0 || dir_sync(c->out, NULL, e) != 0)
		return -1;
	return repair_label_copy(c->d, c->out, e);
}

int
repair_copy(const struct image_dir *d, const struct disk_statement *s, int diskfd, int to, struct repair_copy_result *r,
    struct err *e)
{
	struct copy c = { .d = d, .s = s, .out = -1, .r = r };
	char name[16];
	int rc = -1;

	memset(r, 0, sizeof(*r));
	(void)snprintf(name, sizeof(name), IMAGE_TOP "/%s", d->label.short_name);
	for (char *p = name; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	if (dir_make(to, IMAGE_TOP, 0755, e) != 0)
		return -1;
	if (io->mkdirat(to, name, 0755) != 0)
		return errno == EEXIST ? err_set(e, ERR_EXISTS, "%s is there already; a copy is made in a new place", name) :
		    err_errno(e, "make %s", name);
	if ((c.buf = malloc(PACK_LEN_MAX)) == NULL)
		(void)err_set(e, ERR_MEMORY, "no memory to copy packs");
	else if ((c.out = dir_open(to, name, e)) != -1 && readme_copy(diskfd, to, e) == 0) {
		progress_start("repair", s->pack_bytes);
		rc = copy_run(&c, diskfd, e);
		progress_end();
	}
	if (rc == 0 && (rc = dir_sync(to, IMAGE_TOP, e)) == 0)
		rc = dir_sync(to, NULL, e);	/* README.txt */
	repair_free(c.repair);
	if (c.out != -1)
		(void)io->close(c.out);
	free(c.buf);
	return rc != 0 ? err_during(e, "repair %s-%u", d->label.short_name, d->label.disk) : 0;
}
