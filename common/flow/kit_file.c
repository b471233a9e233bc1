#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/doc.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/flow/keyring.h"
#include "common/flow/kit_file.h"
#include "common/flow/new_file.h"

#define NOTE_MAX	(64u << 10)
#define ABOVE_MAX	4096	/* directories above one another */

/* Whether ${fd} is the state directory or one below it; on doubt it is not. */
static bool
lies_inside(const struct state *s, int fd)
{
	struct stat state, here, above;
	int at, up;
	bool found = false;

	if (io->fstat(s->fd, &state) != 0 || (at = dir_open(fd, ".", NULL)) == -1)
		return false;
	for (int i = 0; i < ABOVE_MAX && io->fstat(at, &here) == 0; i++) {
		found = here.st_dev == state.st_dev && here.st_ino == state.st_ino;
		if (found || (up = dir_open(at, "..", NULL)) == -1)
			break;
		(void)io->close(at);
		at = up;
		if (io->fstat(at, &above) != 0 || (above.st_dev == here.st_dev && above.st_ino == here.st_ino))
			break;
	}
	(void)io->close(at);
	return found;
}

/* Where ${name} below ${fd} is, as an absolute path; ${path} itself where that cannot be found out. */
static void
place_name(int fd, const char *name, const char *path, char *out, size_t cap)
{
	char link[64], dir[3800];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if ((n = io->readlinkat(AT_FDCWD, link, dir, sizeof(dir) - 1)) > 0 && dir[0] == '/') {
		dir[n] = '\0';
		(void)snprintf(out, cap, "%s/%.255s", n == 1 ? "" : dir, name);
	} else {
		(void)snprintf(out, cap, "%s", path);
	}
}

static int
note_save(struct state *s, const struct kit_note *note, struct err *e)
{
	struct doc *d = doc_object();
	char *text;
	size_t len;
	int rc;

	doc_put_name(d, "path", note->path, strlen(note->path));
	doc_put_i64(d, "time", note->time);
	doc_put_bool(d, "inside", note->inside);
	if ((rc = doc_write(d, &text, &len, e)) == 0)
		rc = file_replace(s->fd, "kit.note", text, len, 0600, e);
	free(text);
	doc_free(d);
	return rc;
}

static void
kit_fill(const struct state *s, struct kit *kit)
{
	memset(kit, 0, sizeof(*kit));
	memcpy(kit->vault_name, s->trust.vault_name, sizeof(kit->vault_name));
	memcpy(kit->vault_id, s->trust.vault_id, ID_LEN);
	memcpy(kit->vault_pub, s->trust.vault_pub, SIGN_PUB_LEN);
	memcpy(kit->url, s->trust.url, sizeof(kit->url));
	memcpy(kit->machine_name, s->id.machine_name, sizeof(kit->machine_name));
	memcpy(kit->machine_id, s->id.machine_id, ID_LEN);
	memcpy(kit->machine_pub, s->machine_pub, SIGN_PUB_LEN);
	kit->domain_desc = (struct fmt_view){ s->domain_bytes, (uint32_t)s->domain_len };
	kit->membership = (struct fmt_view){ s->member_bytes, (uint32_t)s->member_len };
	kit->slots = (struct fmt_view){ s->slots_bytes, (uint32_t)s->slots_len };
	kit->made = io_now();
}

int
kit_save(struct state *s, const char *path, bool *inside, struct err *e)
{
	struct kit_note note = { .time = io_now() };
	const char *name;
	struct buf text;
	struct kit kit;
	int fd, rc = -1;

	*inside = false;
	if ((fd = new_file_dir(path, &name, e)) == -1)
		return err_during(e, "recovery kit %s", path);
	buf_init(&text);
	kit_fill(s, &kit);
	if (kit_text(&kit, &text, e) != 0 || new_file_put(path, text.p, text.len, e) != 0)
		goto out;
	note.inside = *inside = lies_inside(s, fd);
	place_name(fd, name, path, note.path, sizeof(note.path));
	rc = note_save(s, &note, e);
out:
	if (rc != 0)
		(void)err_during(e, "recovery kit");
	buf_release(&text);
	(void)io->close(fd);
	return rc;
}

int
kit_note_read(struct state *s, struct kit_note *note, struct err *e)
{
	struct doc *d = NULL;
	const char *path;
	uint8_t *bytes;
	int inside, rc = -1;
	size_t len;

	memset(note, 0, sizeof(*note));
	if (file_read(s->fd, "kit.note", NOTE_MAX, &bytes, &len, e) != 0) {
		if (e == NULL || e->code != ERR_NOT_FOUND)
			return err_during(e, "state %s", s->path);
		err_clear(e);
		return 1;
	}
	if ((d = doc_read(bytes, len, "kit.note", e)) == NULL)
		goto out;
	if ((path = doc_get_str(d, "path")) == NULL || doc_get_i64(d, "time", &note->time) != 0 ||
	    doc_get_bool(d, "inside", &inside) != 0) {
		rc = err_set(e, ERR_STATE, "state %s: kit.note is damaged", s->path);
		goto out;
	}
	(void)snprintf(note->path, sizeof(note->path), "%s", path);
	note->inside = inside != 0;
	rc = 0;
out:
	doc_free(d);
	free(bytes);
	return rc;
}
