#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"
#include "common/disk/image_dir.h"
#include "common/disk/image_file.h"

#define COPIES	2

/* 1 if ${name} can be an image's directory: four letters or digits. */
static int
short_name_like(const char *name)
{
	size_t n = strlen(name);

	if (n != SHORT_LEN)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]))
			return 0;
	return 1;
}

static int
has_label(int topfd, const char *name)
{
	int fd = image_subdir_open(topfd, name, NULL), there = 0;
	char label[IMAGE_NAME_MAX];
	struct stat st;

	if (fd == -1)
		return 0;
	for (int copy = 0; copy < COPIES; copy++) {
		image_name_label(label, copy);
		there |= io->fstatat(fd, label, &st, AT_SYMLINK_NOFOLLOW) == 0;
	}
	(void)io->close(fd);
	return there;
}

static int
top_open(int diskfd, struct err *e)
{
	int fd = image_subdir_open(diskfd, IMAGE_TOP, e);

	if (fd == -1 && e != NULL && e->code == ERR_NOT_FOUND)
		(void)err_set(e, ERR_NO_IMAGE, "there is no directory \"%s\" on this disk", IMAGE_TOP);
	return fd;
}

int
image_list(int diskfd, char ***names, size_t *n, struct err *e)
{
	int fd = top_open(diskfd, e), rc = -1;
	size_t kept = 0;

	*names = NULL;
	*n = 0;
	if (fd == -1)
		return -1;
	if (dir_list(fd, ".", names, n, e) != 0)
		goto close;
	for (size_t i = 0; i < *n; i++) {
		char *name = (*names)[i];

		if (!short_name_like(name) || !has_label(fd, name)) {
			free(name);
			continue;
		}
		for (char *p = name; *p != '\0'; p++)
			*p = (char)tolower((unsigned char)*p);
		(*names)[kept++] = name;
	}
	*n = kept;
	rc = 0;
	if (kept == 0) {
		dir_list_free(*names, 0);
		*names = NULL;
		rc = err_set(e, ERR_NO_IMAGE, "there is no image in the directory \"%s\" of this disk", IMAGE_TOP);
	}
close:
	(void)io->close(fd);
	return rc;
}

/* The directory below samara/ whose name is ${short_name} in any case. */
static int
image_open(int diskfd, const char *short_name, struct err *e)
{
	int top, fd = -1;
	char **names;
	size_t n;

	if (!short_name_like(short_name))
		return err_set(e, ERR_NO_IMAGE, "\"%.32s\" is not the short name of an image", short_name);
	if ((top = top_open(diskfd, e)) == -1)
		return -1;
	if (dir_list(top, ".", &names, &n, e) == 0) {
		(void)err_set(e, ERR_NO_IMAGE, "there is no image %s on this disk", short_name);
		for (size_t i = 0; i < n && fd == -1; i++)
			if (strcasecmp(names[i], short_name) == 0)
				fd = image_subdir_open(top, names[i], e);
		dir_list_free(names, n);
	}
	(void)io->close(top);
	return fd;
}

/* Believe a label: it names the key that signs it. */
static int
label_take(const uint8_t *in, size_t len, struct image_dir *d, struct err *e)
{
	if (statement_open(&label_schema, &d->label, in, len, NULL, e) != 0)
		return -1;
	if (!statement_check(&label_schema, in, len, d->label.machine_pub))
		return err_set(e, ERR_SIGNATURE, "the label is not signed by the key that it names");
	hash_once(in, len, d->label_digest);
	return 0;
}

/*
 * Try both copies of something that stands twice: ${name} names them, ${take}
 * believes their bytes.  0 with the bytes of the good one; 1 neither is there;
 * -1 with what is wrong with the first that is there.
 */
typedef int (*take_fn)(void *arg, const uint8_t *in, size_t len, struct err *e);

static int
either_copy(int fd, char name[COPIES][IMAGE_NAME_MAX], take_fn take, void *arg, uint8_t **out, size_t *len, struct err *e)
{
	struct err own;
	int there = 0;

	for (int copy = 0; copy < COPIES; copy++) {
		err_clear(&own);
		if (image_file_read(fd, name[copy], STATEMENT_MAX, out, len, &own) == 0) {
			if (take(arg, *out, *len, &own) == 0)
				return 0;
			(void)err_during(&own, "%s", name[copy]);
			free(*out);
			*out = NULL;
		}
		if (own.code == ERR_NOT_FOUND)
			continue;
		if (!there && e != NULL)
			*e = own;
		there = 1;
	}
	return there ? -1 : 1;
}

static int
take_label(void *arg, const uint8_t *in, size_t len, struct err *e)
{
	return label_take(in, len, arg, e);
}

int
image_dir_open(int diskfd, const char *short_name, struct image_dir *d, struct err *e)
{
	char name[COPIES][IMAGE_NAME_MAX];
	uint8_t *bytes;
	size_t len;
	int rc;

	memset(d, 0, sizeof(*d));
	if ((d->fd = image_open(diskfd, short_name, e)) == -1)
		return -1;
	for (int copy = 0; copy < COPIES; copy++)
		image_name_label(name[copy], copy);
	rc = either_copy(d->fd, name, take_label, d, &bytes, &len, e);
	if (rc == 0) {
		free(bytes);
		return 0;
	}
	if (rc == 1)
		(void)err_set(e, ERR_NO_IMAGE, "image %s: there is no label", short_name);
	else
		(void)err_during(e, "image %s", short_name);
	image_dir_close(d);
	return -1;
}

void
image_dir_close(struct image_dir *d)
{
	if (d->fd != -1)
		(void)io->close(d->fd);
	d->fd = -1;
}

struct take {
	const struct image_dir *d;
	void *value;
};

static int
take_statement(void *arg, const uint8_t *in, size_t len, struct err *e)
{
	const struct take *t = arg;
	const struct label *l = &t->d->label;
	struct disk_statement *s = t->value;

	if (statement_open(&disk_statement_schema, s, in, len, l->machine_pub, e) != 0)
		return -1;
	if (memcmp(s->vault_id, l->vault_id, ID_LEN) != 0 || memcmp(s->machine_id, l->machine_id, ID_LEN) != 0 ||
	    memcmp(s->domain_id, l->domain_id, DIGEST_LEN) != 0 || memcmp(s->image_id, l->image_id, ID_LEN) != 0 ||
	    s->disk != l->disk)
		return err_set(e, ERR_SIGNATURE, "the statement is about another disk than the label");
	if (memcmp(s->label_digest, t->d->label_digest, DIGEST_LEN) != 0)
		return err_set(e, ERR_DAMAGE, "the statement is about another label");
	return 0;
}

int
image_statement(const struct image_dir *d, uint8_t **out, size_t *len, struct disk_statement *s, struct err *e)
{
	struct take t = { .d = d, .value = s };
	char name[COPIES][IMAGE_NAME_MAX];

	for (int copy = 0; copy < COPIES; copy++)
		image_name_statement(name[copy], copy);
	return either_copy(d->fd, name, take_statement, &t, out, len, e);
}

static int
take_manifest(void *arg, const uint8_t *in, size_t len, struct err *e)
{
	const struct take *t = arg;
	const struct label *l = &t->d->label;
	struct manifest *m = t->value;

	if (statement_open(&manifest_schema, m, in, len, l->machine_pub, e) != 0)
		return -1;
	if (memcmp(m->vault_id, l->vault_id, ID_LEN) != 0 || memcmp(m->machine_id, l->machine_id, ID_LEN) != 0 ||
	    memcmp(m->domain_id, l->domain_id, DIGEST_LEN) != 0 || memcmp(m->image_id, l->image_id, ID_LEN) != 0)
		return err_set(e, ERR_SIGNATURE, "the manifest is about another image than the label");
	return 0;
}

/* The highest generation below ${under} of which there is a file; 0: none. */
static uint32_t
generation_below(const struct image_dir *d, uint32_t under)
{
	static const char *const dirs[COPIES] = { "manif", "manif2" };
	uint32_t best = 0;

	for (int copy = 0; copy < COPIES; copy++) {
		int fd = image_subdir_open(d->fd, dirs[copy], NULL);
		char **names;
		size_t n;

		if (fd == -1)
			continue;
		if (dir_list(fd, ".", &names, &n, NULL) == 0) {
			for (size_t i = 0; i < n; i++) {
				const char *s = names[i] + 1;
				unsigned long g = strlen(s) <= 7 && s[strspn(s, "0123456789")] == '\0' ? strtoul(s, NULL, 10) : 0;

				if (names[i][0] == 'g' && g > best && g < under)
					best = (uint32_t)g;
			}
			dir_list_free(names, n);
		}
		(void)io->close(fd);
	}
	return best;
}

int
image_manifest(const struct image_dir *d, uint8_t **out, size_t *len, struct manifest *m, struct err *e)
{
	struct take t = { .d = d, .value = m };
	char name[COPIES][IMAGE_NAME_MAX];
	uint32_t g = UINT32_MAX;
	struct err own;
	int there = 0;

	while ((g = generation_below(d, g)) != 0) {
		for (int copy = 0; copy < COPIES; copy++)
			image_name_manifest(name[copy], copy, g);
		err_clear(&own);
		if (either_copy(d->fd, name, take_manifest, &t, out, len, &own) == 0)
			return 0;
		if (!there && e != NULL)
			*e = own;
		there = 1;
	}
	return there ? -1 : 1;
}

int
image_pack_open(const struct image_dir *d, uint32_t number, struct err *e)
{
	char name[IMAGE_NAME_MAX];
	uint64_t len;

	image_name_pack(name, number);
	return image_file_open(d->fd, name, &len, e);
}
