#include "common/flow/custody.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"
#include "common/disk/disk_device.h"
#include "common/flow/image_state.h"
#include "common/flow/state.h"

#define PATH_LEN	32	/* custody/00000001 */

static void
record_path(char out[PATH_LEN], uint32_t number)
{
	(void)snprintf(out, PATH_LEN, "custody/%08u", number);
}

/* The newest custody record in the state: its number and digest. */
static int
custody_last(int fd, uint32_t *number, uint8_t digest[DIGEST_LEN], struct err *e)
{
	char **names, path[PATH_LEN];
	uint8_t *bytes;
	size_t n, len;

	*number = 0;
	memset(digest, 0, DIGEST_LEN);
	if (dir_make(fd, "custody", 0700, e) != 0 || dir_list(fd, "custody", &names, &n, e) != 0)
		return -1;
	while (n > 0 && (strlen(names[n - 1]) != 8 || strspn(names[n - 1], "0123456789") != 8))
		free(names[--n]);
	if (n > 0)
		*number = (uint32_t)strtoul(names[n - 1], NULL, 10);
	dir_list_free(names, n);
	if (*number == 0)
		return 0;
	record_path(path, *number);
	if (file_read(fd, path, SMALL_STATEMENT_MAX, &bytes, &len, e) != 0)
		return -1;
	hash_once(bytes, len, digest);
	free(bytes);
	return 0;
}

/* Write ${c} as the one that follows the newest: 0, 1 somebody else was faster, -1. */
static int
record_put(struct state *s, const struct image_state *im, struct custody *c, struct err *e)
{
	char path[PATH_LEN];
	struct buf b;
	int rc;

	if (custody_last(im->fd, &c->number, c->previous, e) != 0)
		return -1;
	record_path(path, ++c->number);
	buf_init(&b);
	if ((rc = statement_make(&custody_schema, c, s->sign_secret, &b, e)) == 0)
		rc = file_put_new(im->fd, path, b.p, b.len, 0600, e);
	buf_release(&b);
	return rc;
}

/* Records up to ${last} that the disk does not have. */
static int
disk_fill(const struct image_state *im, int imagefd, uint32_t last, struct err *e)
{
	char path[PATH_LEN];
	struct stat st;
	uint8_t *bytes;
	size_t len;
	int rc = 0;

	if (dir_make(imagefd, "custody", 0755, e) != 0)
		return -1;
	for (uint32_t n = 1; n <= last && rc == 0; n++) {
		record_path(path, n);
		if (n < last && io->fstatat(imagefd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
			continue;
		if (file_read(im->fd, path, SMALL_STATEMENT_MAX, &bytes, &len, e) != 0)
			return -1;
		rc = file_replace(imagefd, path, bytes, len, 0644, e);
		free(bytes);
	}
	return rc;
}

int
custody_add(struct state *s, const struct image_state *im, int imagefd, unsigned event, uint32_t disk, const char *note,
    struct err *e)
{
	struct custody c = { .event = (uint8_t)event, .disk = disk, .time = io_now_ns() };
	char serial[DISK_SERIAL_MAX];
	int rc;

	memcpy(c.image_id, im->begin.image_id, ID_LEN);
	memcpy(c.signer_id, s->id.machine_id, ID_LEN);
	memcpy(c.signer_pub, s->machine_pub, SIGN_PUB_LEN);
	(void)snprintf(c.note, sizeof(c.note), "%s", note);
	if (event == CUSTODY_CLOSED && imagefd != -1 && *note == '\0' && disk_serial(imagefd, serial) == 0)
		(void)snprintf(c.note, sizeof(c.note), "serial %s", serial);
	do {
		rc = record_put(s, im, &c, e);
	} while (rc == 1);
	if (rc == 0 && imagefd != -1)
		rc = disk_fill(im, imagefd, c.number, e);
	return rc != 0 ? err_during(e, "custody log") : 0;
}
