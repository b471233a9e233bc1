#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/text.h"
#include "common/crypto/hash.h"
#include "common/disk/image_dir.h"
#include "common/disk/image_file.h"
#include "common/flow/restore_keep.h"

#define STATE_NAME	"state"
#define STATE_MAX	(1u << 20)
#define STATE_BEGINS	"samara-seed keeps here what a restore still needs of disks that are away\n"
#define DEPTH_MAX	5u

void
restore_keep_close(struct restore_keep *k)
{
	if (k->fd != -1)
		(void)io->close(k->fd);
	k->fd = -1;
}

void
restore_keep_key(const struct restore_options *o, uint8_t key[DIGEST_LEN])
{
	struct hash h;

	hash_init(&h);
	hash_update(&h, o->snap->env.snapshot_id, ID_LEN);
	hash_update(&h, o->root, strlen(o->root) + 1);
	for (size_t i = 0; i < o->nonly; i++)
		hash_update(&h, o->only[i], strlen(o->only[i]) + 1);
	hash_final(&h, key);
}

/* The state's text, a new string; NULL with ${e}. */
static char *
state_text(int fd, struct err *e)
{
	uint8_t *bytes;
	size_t len;

	if (file_read(fd, STATE_NAME, STATE_MAX, &bytes, &len, e) != 0)
		return NULL;
	if (strlen((char *)bytes) == len && strncmp((char *)bytes, STATE_BEGINS, strlen(STATE_BEGINS)) == 0)
		return (char *)bytes;
	free(bytes);
	(void)err_set(e, ERR_FORMAT, "%s/%s is not samara's", RESTORE_KEEP_NAME, STATE_NAME);
	return NULL;
}

static int
unhex(const char *hex, uint8_t *out, size_t len)
{
	unsigned v;

	for (size_t i = 0; i < len; i++) {
		if (sscanf(hex + 2 * i, "%2x", &v) != 1)
			return -1;
		out[i] = (uint8_t)v;
	}
	return 0;
}

int
restore_keep_open(struct restore_keep *k, const char *to, struct err *e)
{
	char *text = NULL, hex[2 * DIGEST_LEN + 1];
	int top = dir_open(AT_FDCWD, to, e), rc = -1;

	memset(k, 0, sizeof(*k));
	k->fd = -1;
	if (top != -1) {
		k->fd = image_subdir_open(top, RESTORE_KEEP_NAME, e);
		(void)io->close(top);
	}
	if (k->fd == -1)
		goto none;
	if ((text = state_text(k->fd, e)) != NULL &&
	    sscanf(text + strlen(STATE_BEGINS), "key %64s\nsnapshot %32s\nsaid %255[^\n]\n", hex, k->snapshot, k->said) == 3 &&
	    strlen(hex) == sizeof(hex) - 1 && unhex(hex, k->key, DIGEST_LEN) == 0)
		rc = 0;
	else if (text != NULL)
		(void)err_set(e, ERR_FORMAT, "%s in %s cannot be read", RESTORE_KEEP_NAME, to);
	free(text);
	if (rc == 0)
		return 0;
	restore_keep_close(k);
none:
	if (e->code != ERR_NOT_FOUND && e->code != ERR_FORMAT)
		return -1;
	err_clear(e);
	return 1;
}

/* State with these rows. */
static int
state_write(const struct restore_keep *k, const struct restore_disks *d, struct err *e)
{
	char hex[2 * DIGEST_LEN + 1];
	struct buf b;
	int rc;

	buf_init(&b);
	buf_print(&b, "%skey %s\n", STATE_BEGINS, text_hex(hex, k->key, DIGEST_LEN));
	buf_print(&b, "snapshot %s\nsaid %s\n", k->snapshot, k->said);
	for (size_t i = 0; d != NULL && i < d->n; i++)
		if (d->disk[i].done != RESTORE_DISK_NEW)
			buf_print(&b, "disk %s %u %d\n", text_hex(hex, d->disk[i].image_id, ID_LEN), d->disk[i].number,
			    (int)d->disk[i].done);
	if ((rc = buf_check(&b, e)) == 0)
		rc = file_replace(k->fd, STATE_NAME, b.p, b.len, 0600, e);
	buf_release(&b);
	return rc;
}

/* Nothing but samara's own is in it. */
static int
keep_is_free(int fd, const char *to, struct err *e)
{
	static const char half[] = "." STATE_NAME ".tmp-";
	size_t n, others = 0;
	char **names, *text;

	if ((text = state_text(fd, NULL)) != NULL) {
		free(text);
		return 0;
	}
	if (dir_list(fd, ".", &names, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		others += strncmp(names[i], half, sizeof(half) - 1) != 0;
	dir_list_free(names, n);
	return others == 0 ? 0 : err_set(e, ERR_NOT_EMPTY, "%s/%s is not samara's own", to, RESTORE_KEEP_NAME);
}

int
restore_keep_make(struct restore_keep *k, const struct restore_options *o, const char *said, struct err *e)
{
	int top = dir_open(AT_FDCWD, o->to, e);

	memset(k, 0, sizeof(*k));
	k->fd = -1;
	if (top == -1)
		return -1;
	if (dir_make(top, RESTORE_KEEP_NAME, 0700, e) == 0)
		k->fd = image_subdir_open(top, RESTORE_KEEP_NAME, e);
	(void)io->close(top);
	if (k->fd == -1)
		return -1;
	restore_keep_key(o, k->key);
	(void)text_hex(k->snapshot, o->snap->env.snapshot_id, ID_LEN);
	(void)snprintf(k->said, sizeof(k->said), "%.*s", (int)strcspn(said, "\n"), said);
	if (keep_is_free(k->fd, o->to, e) == 0 && state_write(k, NULL, e) == 0)
		return 0;
	restore_keep_close(k);
	return -1;
}

int
restore_keep_read(const struct restore_keep *k, struct restore_disks *d, struct err *e)
{
	char *text, *line, *save = NULL, hex[2 * ID_LEN + 1];
	struct restore_disk *at;
	uint8_t id[ID_LEN];
	unsigned number;
	int done, rc = 0;

	if (k->fd == -1)
		return 0;
	if ((text = state_text(k->fd, e)) == NULL)
		return -1;
	for (line = strtok_r(text, "\n", &save); rc == 0 && line != NULL; line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "disk %32s %u %d", hex, &number, &done) != 3 || strlen(hex) != sizeof(hex) - 1 ||
		    unhex(hex, id, ID_LEN) != 0 || done < RESTORE_DISK_PARTLY || done > RESTORE_DISK_WHOLE)
			continue;
		if ((at = restore_disks_add(d, id, "", number)) != NULL)
			at->done = (enum restore_disk_done)done;
		else
			rc = err_set(e, ERR_MEMORY, "no memory for a list of disks");
	}
	free(text);
	return rc;
}

int
restore_keep_done(const struct restore_keep *k, struct restore_disks *d, int partly, struct err *e)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->disk[i].here)
			d->disk[i].done = partly && d->disk[i].done == RESTORE_DISK_NEW ? RESTORE_DISK_PARTLY : RESTORE_DISK_WHOLE;
	return state_write(k, d, e);
}

int
restore_keep_again(const struct restore_keep *k, struct err *e)
{
	return k->fd == -1 ? 0 : state_write(k, NULL, e);
}

/* All below ${fd}: regular files, and directories that are empty then. */
static void
tree_remove(int fd, unsigned depth)
{
	char **names;
	size_t n;
	int below;

	if (dir_list(fd, ".", &names, &n, NULL) != 0)
		return;
	for (size_t i = 0; i < n; i++) {
		if (depth > 0 && (below = image_subdir_open(fd, names[i], NULL)) != -1) {
			tree_remove(below, depth - 1);
			(void)io->close(below);
			(void)io->unlinkat(fd, names[i], AT_REMOVEDIR);
		} else if (depth == DEPTH_MAX ? strcmp(names[i], STATE_NAME) != 0 : 1) {
			(void)io->unlinkat(fd, names[i], 0);
		}
	}
	dir_list_free(names, n);
}

int
restore_keep_remove(struct restore_keep *k, const char *to, struct err *e)
{
	int top, rc = 0;

	if (k->fd == -1)
		return 0;
	/* The state last: as long as it is there, all of it is known to be samara's. */
	tree_remove(k->fd, DEPTH_MAX);
	if (io->unlinkat(k->fd, STATE_NAME, 0) != 0 && errno != ENOENT)
		rc = err_errno(e, "remove %s/%s", to, RESTORE_KEEP_NAME);
	restore_keep_close(k);
	if (rc != 0 || (top = dir_open(AT_FDCWD, to, e)) == -1)
		return -1;
	if (io->unlinkat(top, RESTORE_KEEP_NAME, AT_REMOVEDIR) != 0 && errno != ENOENT)
		rc = err_errno(e, "remove %s/%s", to, RESTORE_KEEP_NAME);
	(void)io->close(top);
	return rc;
}
