#include "common/flow/source_note.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/doc.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/text.h"

#define NOTE_MAX	(16u << 20)
#define SNAPS_MAX	1024u
#define FILE_NAME_MAX	(SNAP_NAME_MAX + 8)

/* Which field of a snapshot stands under which key, each a list as long as the others. */
static const struct {
	const char *key;
	size_t at, size;
} fields[] = {
	{ "names", offsetof(struct source_snap, name), SNAP_NAME_MAX },
	{ "paths", offsetof(struct source_snap, path), PATH_MAX },
	{ "tops", offsetof(struct source_snap, top), PATH_MAX },
	{ "devices", offsetof(struct source_snap, device), PATH_MAX },
	{ "reals", offsetof(struct source_snap, real), PATH_MAX },
};
#define FIELDS		(sizeof(fields) / sizeof(fields[0]))

static void
name_make(char out[NOTE_NAME_MAX])
{
	uint8_t r[4];

	io_random(r, sizeof(r));
	(void)text_hex(out, r, sizeof(r));
}

static int
word_copy(char *out, size_t n, const char *word, struct err *e)
{
	size_t len = word == NULL ? 0 : strlen(word);

	if (len >= n)
		return err_set(e, ERR_USAGE, "a name is too long");
	if (len > 0)
		memcpy(out, word, len);
	out[len] = '\0';
	return 0;
}

int
source_note_init(struct source_note *note, const struct source_view_options *o, struct err *e)
{
	memset(note, 0, sizeof(*note));
	name_make(note->name);
	note->env = o->env;
	if (word_copy(note->kind, sizeof(note->kind), o->kind, e) != 0 || word_copy(note->hook, PATH_MAX, o->hook, e) != 0)
		return -1;
	return word_copy(note->after, PATH_MAX, o->after, e);
}

void
source_note_release(struct source_note *note)
{
	free(note->snap);
	note->snap = NULL;
	note->n = note->cap = 0;
}

struct source_snap *
source_note_add(struct source_note *note, const char *path, struct err *e)
{
	struct source_snap *grown, *s;

	if (note->n == SNAPS_MAX) {
		(void)err_set(e, ERR_USAGE, "too many paths for snapshots");
		return NULL;
	}
	if (note->n == note->cap) {
		if ((grown = realloc(note->snap, (note->cap + 4) * sizeof(*grown))) == NULL) {
			(void)err_errno(e, "note a snapshot");
			return NULL;
		}
		note->snap = grown;
		note->cap += 4;
	}
	s = &note->snap[note->n];
	memset(s, 0, sizeof(*s));
	s->env = note->env;
	memcpy(s->kind, note->kind, sizeof(s->kind));
	memcpy(s->hook, note->hook, sizeof(s->hook));
	(void)snprintf(s->name, sizeof(s->name), "%.15s%02u", note->name, (unsigned)note->n);
	if (word_copy(s->path, sizeof(s->path), path, e) != 0)
		return NULL;
	note->n++;
	return s;
}

/* Names are any bytes; a document takes text: they go in as hex. */
static void
put_hex(struct doc *d, const char *key, const char *bytes)
{
	char hex[2 * PATH_MAX + 1];

	doc_put_str(d, key, text_hex(hex, bytes, strlen(bytes)));
}

static int
get_hex(const char *hex, char *out, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	size_t len = hex == NULL ? 1 : strlen(hex);

	if (len % 2 != 0 || len / 2 >= n || strspn(hex, digits) != len)
		return -1;
	for (size_t i = 0; i < len / 2; i++)
		out[i] = (char)((strchr(digits, hex[2 * i]) - digits) * 16 + (strchr(digits, hex[2 * i + 1]) - digits));
	out[len / 2] = '\0';
	return 0;
}

int
source_note_save(int viewsfd, const struct source_note *note, struct err *e)
{
	struct doc *d = doc_object(), *list;
	char name[FILE_NAME_MAX], *text;
	size_t len;
	int rc;

	doc_put_str(d, "kind", note->kind);
	put_hex(d, "hook", note->hook);
	put_hex(d, "after", note->after);
	for (size_t f = 0; f < FIELDS; f++) {
		list = doc_list();
		for (size_t i = 0; i < note->n; i++)
			put_hex(list, NULL, (const char *)&note->snap[i] + fields[f].at);
		doc_put_value(d, fields[f].key, list);
	}
	if ((rc = doc_write(d, &text, &len, e)) == 0) {
		(void)snprintf(name, sizeof(name), "%s.json", note->name);
		rc = file_replace(viewsfd, name, text, len, 0600, e);
		free(text);
	}
	doc_free(d);
	return rc;
}

static int
snaps_get(const struct doc *d, struct source_note *note, struct err *e)
{
	size_t n = doc_list_length(d, fields[0].key);

	if (n > SNAPS_MAX)
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct source_snap *s = source_note_add(note, "", e);

		if (s == NULL)
			return -1;
		for (size_t f = 0; f < FIELDS; f++)
			if (get_hex(doc_list_str(d, fields[f].key, i), (char *)s + fields[f].at, fields[f].size) != 0)
				return -1;
	}
	return 0;
}

int
source_note_load(int viewsfd, const char *name, struct source_note *note, struct err *e)
{
	char file[FILE_NAME_MAX];
	const char *kind;
	struct doc *d;
	uint8_t *bytes;
	size_t len;
	int rc = -1;

	memset(note, 0, sizeof(*note));
	if (strlen(name) >= sizeof(note->name))
		return err_set(e, ERR_NOT_FOUND, "views/%s is not ours", name);
	(void)snprintf(note->name, sizeof(note->name), "%s", name);
	(void)snprintf(file, sizeof(file), "%s.json", note->name);
	if (file_read(viewsfd, file, NOTE_MAX, &bytes, &len, e) != 0)
		return -1;
	if ((d = doc_read(bytes, len, file, e)) != NULL) {
		kind = doc_get_str(d, "kind");
		if (kind != NULL && word_copy(note->kind, sizeof(note->kind), kind, e) == 0 &&
		    get_hex(doc_get_str(d, "hook"), note->hook, PATH_MAX) == 0 &&
		    get_hex(doc_get_str(d, "after"), note->after, PATH_MAX) == 0 && snaps_get(d, note, e) == 0)
			rc = 0;
		else
			(void)err_set(e, ERR_STATE, "views/%s does not say what it should", file);
	}
	doc_free(d);
	free(bytes);
	if (rc != 0)
		source_note_release(note);
	return rc;
}

void
source_note_drop(int viewsfd, const char *name)
{
	char file[FILE_NAME_MAX];

	(void)snprintf(file, sizeof(file), "%.15s.json", name);
	(void)io->unlinkat(viewsfd, file, 0);
	(void)dir_sync(viewsfd, NULL, NULL);
	(void)snprintf(file, sizeof(file), "%.15s.lock", name);
	(void)io->unlinkat(viewsfd, file, 0);
}

int
source_note_lock(int viewsfd, const char *name, struct err *e)
{
	char file[FILE_NAME_MAX];

	(void)snprintf(file, sizeof(file), "%.15s.lock", name);
	return lock_take(viewsfd, file, 0, e);
}

int
source_note_place(int fd, char *out, struct err *e)
{
	char link[64];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = io->readlinkat(AT_FDCWD, link, out, PATH_MAX - 1);
	if (n <= 0)
		return err_errno(e, "look for the state directory");
	out[n] = '\0';
	return 0;
}

void
mount_unescape(char *p)
{
	char *to = p;

	while (*p != '\0') {
		if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' && p[3] >= '0' && p[3] <= '7') {
			*to++ = (char)((p[1] - '0') * 64 + (p[2] - '0') * 8 + (p[3] - '0'));
			p += 4;
		} else {
			*to++ = *p++;
		}
	}
	*to = '\0';
}
