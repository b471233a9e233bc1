/* The small files of a repaired copy: of what stands twice, a whole one goes to both places. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"
#include "common/disk/image_file.h"
#include "common/flow/container.h"
#include "common/flow/refs_read.h"
#include "common/flow/repair_copy.h"
#include "formats/fmt_machine.h"
#include "formats/fmt_snapshot.h"

#define PIECE		((size_t)1 << 20)
#define NAME_MOST	12

struct small {
	const struct image_dir *d;
	const struct disk_statement *s;
	struct container *c;
	int out;
};

static int
is_good_name(const char *name)
{
	return strlen(name) <= NAME_MOST && name[0] != '.' && name[strspn(name, "0123456789abcdefghijklmnopqrstuvwxyz.")] == '\0';
}

/* Copy ${from} on the disk to ${to}: 0; 1 it cannot be read; -1 with ${e}: it cannot be written. */
static int
stream_copy(const struct small *k, int dirfd, const char *from, const char *to, struct err *e)
{
	uint8_t *buf = malloc(PIECE);
	uint64_t len, at = 0;
	ssize_t n = 0;
	int in, fd = -1, rc = -1;

	if (buf == NULL)
		return err_set(e, ERR_MEMORY, "no memory to copy a file");
	if ((in = image_file_open(dirfd, from, &len, NULL)) == -1) {
		free(buf);
		return 1;
	}
	if ((fd = io->open(k->out, to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644)) == -1) {
		(void)err_errno(e, "create %s", to);
		goto out;
	}
	for (; (n = io_read_full(in, buf, PIECE, (off_t)at)) > 0; at += (uint64_t)n)
		if (io_write_full(fd, buf, (size_t)n, (off_t)at) != 0) {
			(void)err_errno(e, "write %s", to);
			goto out;
		}
	if (io->fsync(fd) != 0)
		(void)err_set(e, ERR_FSYNC, "sync %s", to);
	else
		rc = n < 0 ? 1 : 0;
out:
	if (fd != -1 && io->close(fd) != 0 && rc == 0)
		rc = err_errno(e, "close %s", to);
	(void)io->close(in);
	free(buf);
	return rc;
}

/* Both places of a thing get copy ${good} of it, or each its own where none is known to be good. */
static int
twice_copy(const struct small *k, const char *const name[2], int good, struct err *e)
{
	int rc = 0;

	for (int i = 0; i < 2 && rc != -1; i++) {
		int first = good == -1 ? i : good;

		rc = stream_copy(k, k->d->fd, name[first], name[i], e);
		if (rc == 1)
			rc = stream_copy(k, k->d->fd, name[1 - first], name[i], e);
	}
	if (rc == 1)
		say_warn("%s cannot be read; the copy has it not", name[0]);
	return rc == -1 ? -1 : 0;
}

/* Signed by the domain that the label names? */
static int
by_domain(const struct label *l, const struct fmt_schema *s, const uint8_t pub[SIGN_PUB_LEN], const uint8_t *bytes, size_t len)
{
	uint8_t id[DIGEST_LEN];

	hash_once(pub, SIGN_PUB_LEN, id);
	return memcmp(id, l->domain_id, DIGEST_LEN) == 0 && statement_check(s, bytes, len, pub);
}

/* Whether these bytes are the statement of schema ${s} that this image should have. */
static int
is_whole(const struct small *k, const struct fmt_schema *s, const uint8_t *bytes, size_t len)
{
	const struct label *l = &k->d->label;
	union {
		struct label label;
		struct disk_statement statement;
		struct manifest manifest;
		struct envelope envelope;
		struct registration registration;
		struct domain_desc domain;
		struct membership member;
		struct disk_keys keys;
	} v;

	if (schema_decode(s, &v, bytes, len) != FMT_OK)
		return 0;
	if (s == &disk_keys_schema)
		return memcmp(v.keys.machine_id, l->machine_id, ID_LEN) == 0 && memcmp(v.keys.domain_id, l->domain_id, DIGEST_LEN) == 0;
	if (s == &domain_desc_schema)
		return by_domain(l, s, v.domain.domain_pub, bytes, len);
	if (s == &membership_schema)
		return by_domain(l, s, v.member.domain_pub, bytes, len);
	return statement_check(s, bytes, len, l->machine_pub);
}

/* Which of the two copies is whole: 0, 1, or -1 for none. */
static int
good_of(const struct small *k, const char *const name[2], const struct fmt_schema *s)
{
	uint8_t *bytes;
	size_t len;

	for (int i = 0; i < 2; i++) {
		int good;

		if (image_file_read(k->d->fd, name[i], STATEMENT_MAX, &bytes, &len, NULL) != 0)
			continue;
		good = is_whole(k, s, bytes, len);
		free(bytes);
		if (good)
			return i;
	}
	return -1;
}

/* Which copy of the list of snapshot ${n} is whole, all its parts. */
static int
good_refs(const struct small *k, uint32_t n)
{
	char env[2][IMAGE_NAME_MAX];
	const char *const name[2] = { env[0], env[1] };
	uint8_t *bytes, id[DIGEST_LEN];
	struct envelope v;
	int which, good = -1;
	size_t len;

	image_name_envelope(env[0], 0, n);
	image_name_envelope(env[1], 1, n);
	if (k->c == NULL || (which = good_of(k, name, &envelope_schema)) == -1 ||
	    image_file_read(k->d->fd, name[which], STATEMENT_MAX, &bytes, &len, NULL) != 0)
		return -1;
	for (int copy = 0; copy < 2 && good == -1; copy++) {
		struct snap_place place = { .n = n, .copy = copy };
		struct refs_reader *r;
		int rc;

		if (schema_decode(&envelope_schema, &v, bytes, len) != FMT_OK || (r = refs_reader_new(k->c, &place, &v, NULL)) == NULL)
			continue;
		while ((rc = refs_reader_next(r, id, NULL)) == 1)
			;
		good = rc == 0 ? copy : -1;
		refs_reader_free(r);
	}
	free(bytes);
	return good;
}

static int
good_copy(const struct small *k, const char *dir, const char *file, const char *const name[2])
{
	static const struct { const char *dir, *file; const struct fmt_schema *schema; } t[] = {
		{ "keys", "domain", &domain_desc_schema }, { "keys", "member", &membership_schema },
		{ "keys", "regist", &registration_schema }, { "keys", "slots", &disk_keys_schema },
	};

	if (strcmp(dir, "index") == 0) {
		for (int i = 0; i < 2; i++)
			if (image_index_check(k->d, k->s, i, NULL) == 0)
				return i;
		return -1;
	}
	if (strcmp(dir, "manif") == 0)
		return good_of(k, name, &manifest_schema);
	if (strcmp(dir, "snap") == 0)
		return strstr(file, ".env") != NULL ? good_of(k, name, &envelope_schema) :
		    good_refs(k, (uint32_t)strtoul(file, NULL, 10));
	if (strcmp(dir, "keys") == 0 && strncmp(file, "older", 5) == 0)
		return good_of(k, name, &membership_schema);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		if (strcmp(dir, t[i].dir) == 0 && strcmp(file, t[i].file) == 0)
			return good_of(k, name, t[i].schema);
	return -1;
}

/* The files of ${dir} and ${dir}2 that are in either; those that are in the first are left out of the second list. */
static int
pair_copy(const struct small *k, const char *dir, struct err *e)
{
	char two[16], name[2][64];
	const char *const names[2] = { name[0], name[1] };
	int rc = 0;

	(void)snprintf(two, sizeof(two), "%s2", dir);
	if (dir_make(k->out, dir, 0755, e) != 0 || dir_make(k->out, two, 0755, e) != 0)
		return -1;
	for (int side = 0; side < 2 && rc == 0; side++) {
		int fd = image_subdir_open(k->d->fd, side == 0 ? dir : two, NULL);
		char **files;
		size_t n;

		if (fd == -1)
			continue;
		if (dir_list(fd, ".", &files, &n, NULL) == 0) {
			for (size_t i = 0; i < n && rc == 0; i++) {
				struct stat st;

				if (!is_good_name(files[i]))
					continue;
				(void)snprintf(name[0], sizeof(name[0]), "%s/%s", dir, files[i]);
				(void)snprintf(name[1], sizeof(name[1]), "%s/%s", two, files[i]);
				if (side == 1 && io->fstatat(k->out, name[0], &st, AT_SYMLINK_NOFOLLOW) == 0)
					continue;
				rc = twice_copy(k, names, good_copy(k, dir, files[i], names), e);
			}
			dir_list_free(files, n);
		}
		(void)io->close(fd);
	}
	if (rc == 0 && (dir_sync(k->out, dir, e) != 0 || dir_sync(k->out, two, e) != 0))
		rc = -1;
	return rc;
}

/* What stands once, as it is. */
static int
custody_copy(const struct small *k, struct err *e)
{
	int fd = image_subdir_open(k->d->fd, "custody", NULL), rc = 0;
	char **files, name[64];
	size_t n;

	if (fd == -1)
		return 0;
	if (dir_make(k->out, "custody", 0755, e) != 0) {
		rc = -1;
	} else if (dir_list(fd, ".", &files, &n, NULL) == 0) {
		for (size_t i = 0; i < n && rc != -1; i++) {
			(void)snprintf(name, sizeof(name), "custody/%.*s", NAME_MOST, files[i]);
			if (is_good_name(files[i]))
				rc = stream_copy(k, k->d->fd, name, name, e);
		}
		dir_list_free(files, n);
		if (rc != -1)
			rc = dir_sync(k->out, "custody", e);
	}
	(void)io->close(fd);
	return rc == -1 ? -1 : 0;
}

int
repair_small_copy(const struct image_dir *d, const struct disk_statement *s, int diskfd, int out, struct err *e)
{
	static const char *const pairs[] = { "keys", "snap", "index", "manif" };
	static const char *const statements[2] = { "stmt", "stmt2" };
	struct small k = { .d = d, .s = s, .out = out };
	int rc = 0;

	k.c = container_disk(diskfd, "", d->label.short_name, NULL);
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]) && rc == 0; i++)
		rc = pair_copy(&k, pairs[i], e);
	if (rc == 0)
		rc = custody_copy(&k, e);
	if (rc == 0)
		rc = twice_copy(&k, statements, good_of(&k, statements, &disk_statement_schema), e);
	container_free(k.c);
	return rc;
}

int
repair_label_copy(const struct image_dir *d, int out, struct err *e)
{
	static const char *const labels[2] = { "label", "label2" };
	struct small k = { .d = d, .out = out };

	return twice_copy(&k, labels, good_of(&k, labels, &label_schema), e) == 0 ? dir_sync(out, NULL, e) : -1;
}
