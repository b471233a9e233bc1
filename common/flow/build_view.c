#include "common/flow/build_view.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/doc.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/pace.h"
#include "common/base/text.h"
#include "common/flow/build_run.h"
#include "common/flow/job.h"

#define VIEW_FILE	"view"		/* in the image's directory in the state, or the set's of a backup over the line */
#define VIEW_MAX	(64u << 10)
#define WORDS		4
#define PLACE_MAX	(SET_NAME_MAX + 16)

/* What was asked for, as it stands with the image. */
struct view_words {
	char word[WORDS][PATH_MAX];	/* kind, hook, before, after; empty: none */
	uint64_t read_limit;
};

static const char *const keys[WORDS] = { "snapshot", "hook", "before", "after" };

/* A program is found again from any directory, under the name it was given. */
static int
program_put(char out[PATH_MAX], const char *given, struct err *e)
{
	char here[PATH_MAX] = "";
	bool relative = given[0] != '/' && strchr(given, '/') != NULL;
	int len;

	if (relative && getcwd(here, sizeof(here)) == NULL)
		return err_errno(e, "%s", given);
	len = snprintf(out, PATH_MAX, "%s%s%s", here, relative ? "/" : "", given);
	return len >= 0 && len < PATH_MAX ? 0 : err_set(e, ERR_USAGE, "%s: the name is too long", given);
}

static int
words_given(const struct build_options *o, struct view_words *w, struct err *e)
{
	const char *const given[WORDS] = { o->snapshot, o->hook, o->before, o->after };

	for (size_t i = 0; i < WORDS; i++) {
		if (given[i] == NULL)
			continue;
		if (i == 0)
			(void)snprintf(w->word[0], PATH_MAX, "%s", given[0]);
		else if (program_put(w->word[i], given[i], e) != 0)
			return -1;
	}
	if (o->read_limit != 0)
		w->read_limit = o->read_limit;
	return 0;
}

/* Where it stands: a directory, and the file's name below it. */
static int
words_place(const struct build *b, char path[PLACE_MAX])
{
	if (b->over_line)
		(void)snprintf(path, PLACE_MAX, "sets/%s/" VIEW_FILE, b->set);
	else
		(void)snprintf(path, PLACE_MAX, VIEW_FILE);
	return b->over_line ? b->s->fd : b->im->fd;
}

/* What an earlier run of this image, or backup of this set, was told; nothing where there is no such file. */
static int
words_load(const struct build *b, struct view_words *w, struct err *e)
{
	char path[PLACE_MAX];
	int dirfd = words_place(b, path);
	uint8_t *bytes;
	struct doc *d;
	size_t len;

	if (file_read(dirfd, path, VIEW_MAX, &bytes, &len, e) != 0) {
		if (e == NULL || e->code != ERR_NOT_FOUND)
			return -1;
		err_clear(e);
		return 0;
	}
	d = doc_read(bytes, len, VIEW_FILE, e);
	free(bytes);
	if (d == NULL)
		return -1;
	for (size_t i = 0; i < WORDS; i++)
		if (doc_get_str(d, keys[i]) != NULL)
			(void)snprintf(w->word[i], PATH_MAX, "%s", doc_get_str(d, keys[i]));
	(void)doc_get_u64(d, "read_limit", &w->read_limit);
	doc_free(d);
	return 0;
}

static int
words_save(const struct build *b, const struct view_words *w, struct err *e)
{
	struct doc *d = doc_object();
	char path[PLACE_MAX], *text;
	int dirfd = words_place(b, path), rc;
	size_t len;

	for (size_t i = 0; i < WORDS; i++) {
		if (w->word[i][0] != '\0' && !text_is_utf8(w->word[i], strlen(w->word[i]))) {
			doc_free(d);
			return err_set(e, ERR_USAGE, "--%s: the name of a program must be UTF-8", keys[i]);
		}
		if (w->word[i][0] != '\0')
			doc_put_str(d, keys[i], w->word[i]);
	}
	doc_put_u64(d, "read_limit", w->read_limit);
	if ((rc = doc_write(d, &text, &len, e)) == 0) {
		rc = file_replace(dirfd, path, text, len, 0600, e);
		free(text);
	}
	doc_free(d);
	return rc;
}

static const char *
word(const struct view_words *w, size_t i)
{
	return w->word[i][0] != '\0' ? w->word[i] : NULL;
}

/* Snapshots and hooks, with what they are told. */
static int
view_make(struct build *b, const struct view_words *w, struct err *e)
{
	struct source_view_options o = { .kind = word(w, 0), .hook = word(w, 1), .before = word(w, 2), .after = word(w, 3) };

	(void)snprintf(b->env_text[0], sizeof(b->env_text[0]), "SAMARA_SET=%s", b->set);
	(void)snprintf(b->env_text[1], sizeof(b->env_text[1]), "SAMARA_IMAGE=%s", b->over_line ? "" : b->im->begin.short_name);
	(void)snprintf(b->env_text[2], sizeof(b->env_text[2]), "SAMARA_STATE=%s", b->s->path);
	for (size_t i = 0; i < 3; i++)
		b->env[i] = b->env_text[i];
	o.env = b->env;
	if (source_view_check(&o, e) != 0)
		return -1;
	if (o.kind == NULL && o.before == NULL && o.after == NULL)
		return 0;
	b->view = source_view_open(b->s->fd, &o, (const char *const *)b->paths, b->npaths, e);
	return b->view == NULL ? -1 : 0;
}

int
build_view_open(struct build *b, struct err *e)
{
	struct view_words *w = calloc(1, sizeof(*w));
	bool any = b->o->snapshot != NULL || b->o->hook != NULL || b->o->before != NULL || b->o->after != NULL || b->o->read_limit != 0;
	bool again = b->o->resume || b->source_again;
	int rc = -1;

	/* A backup that says what is read says how, too. */
	any = any || (b->over_line && !again);

	if (w == NULL)
		return err_errno(e, "build");
	if (source_view_sweep(b->s->fd, e) == -1 || (again && words_load(b, w, e) != 0) || words_given(b->o, w, e) != 0 ||
	    (any && words_save(b, w, e) != 0))
		goto out;
	if (w->read_limit != 0 && (b->pace = pace_new(w->read_limit, e)) == NULL)
		goto out;
	rc = view_make(b, w, e);
out:
	if (rc != 0)
		build_view_close(b);
	free(w);
	return rc;
}

void
build_view_close(struct build *b)
{
	struct err e;

	err_clear(&e);
	if (source_view_close(b->view, &e) != 0) {
		say_warn("%s", e.msg);
		job_warn(b->job, "%s", e.msg);
	}
	b->view = NULL;
	pace_free(b->pace);
	b->pace = NULL;
}
