/* What a state keeps of sets, snapshots and images. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/crypto/sign.h"
#include "common/flow/state.h"

#define SEQ_DIGITS	8	/* at least; larger numbers have more */
#define SET_PATH_MAX	(SET_NAME_MAX + 32)

static int
set_name_is_valid(const char *set)
{
	size_t n = strnlen(set, SET_NAME_MAX + 1);

	if (n < 1 || n > SET_NAME_MAX || set[0] == '.')
		return 0;
	for (size_t i = 0; i < n; i++)
		if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", set[i]) == NULL)
			return 0;
	return 1;
}

/* sets/NAME and below it ${file}, or -1: that is no name for a set. */
static int
set_path(char out[SET_PATH_MAX], const char *set, const char *file, struct err *e)
{
	if (!set_name_is_valid(set)) {
		(void)err_set(e, ERR_USAGE, "that is not a name for a set");
		return err_next(e, "Use 1 to %d letters, digits, '-', '_' and '.', no '.' first.", SET_NAME_MAX);
	}
	(void)snprintf(out, SET_PATH_MAX, "sets/%s%s", set, file);
	return 0;
}

int
set_lock(struct state *s, const char *set, struct err *e)
{
	char path[SET_PATH_MAX];
	int fd;

	if (set_path(path, set, "", e) != 0 || dir_make(s->fd, path, 0700, e) != 0 ||
	    set_path(path, set, "/lock", e) != 0)
		return err_during(e, "set %s", set);
	if ((fd = lock_take(s->fd, path, 0, e)) == -1) {
		if (e != NULL && e->code == ERR_BUSY)
			(void)err_set(e, ERR_BUSY, "another build of the set \"%s\" is running", set);
		else
			(void)err_during(e, "state %s", s->path);
	}
	return fd;
}

/* Digits up to ${end}, which must follow them; 0 where that is not a number above 0. */
static uint64_t
number_read(const char *s, const char *end)
{
	uint64_t v = 0;

	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return 0;
	return strcmp(s, end) == 0 ? v : 0;
}

int
set_latest(struct state *s, const char *set, uint64_t *seq, struct err *e)
{
	char path[SET_PATH_MAX];
	uint8_t *bytes;
	size_t len;

	*seq = 0;
	if (set_path(path, set, "/latest", e) != 0)
		return -1;
	if (file_read(s->fd, path, 32, &bytes, &len, e) != 0) {
		if (e != NULL && e->code == ERR_NOT_FOUND) {
			err_clear(e);
			return 0;
		}
		return err_during(e, "state %s", s->path);
	}
	*seq = number_read((const char *)bytes, "\n");
	if (*seq == 0 && strcmp((const char *)bytes, "0\n") != 0)
		(void)err_set(e, ERR_STATE, "state %s: %s is not a number", s->path, path);
	else
		len = 0;
	free(bytes);
	return len == 0 ? 0 : -1;
}

int
set_latest_save(struct state *s, const char *set, uint64_t seq, struct err *e)
{
	char path[SET_PATH_MAX], text[32];
	int n = snprintf(text, sizeof(text), "%" PRIu64 "\n", seq);

	if (set_path(path, set, "", e) != 0 || dir_make(s->fd, path, 0700, e) != 0 ||
	    set_path(path, set, "/latest", e) != 0 || file_replace(s->fd, path, text, (size_t)n, 0600, e) != 0)
		return err_during(e, "state %s", s->path);
	return 0;
}

int
state_envelope(struct state *s, uint64_t seq, uint8_t **bytes, size_t *len, struct envelope *env, struct err *e)
{
	char path[48];

	(void)snprintf(path, sizeof(path), "snaps/%0*" PRIu64 ".env", SEQ_DIGITS, seq);
	if (file_read(s->fd, path, SMALL_STATEMENT_MAX, bytes, len, e) != 0) {
		if (e != NULL && e->code == ERR_NOT_FOUND) {
			err_clear(e);
			return 1;
		}
		return err_during(e, "state %s", s->path);
	}
	if (statement_open(&envelope_schema, env, *bytes, *len, s->machine_pub, e) == 0) {
		if (env->seq == seq && memcmp(env->machine_id, s->id.machine_id, ID_LEN) == 0 &&
		    memcmp(env->domain_id, s->id.domain_id, DIGEST_LEN) == 0)
			return 0;
		(void)err_set(e, ERR_STATE, "it is another snapshot's");
	} else if (e != NULL && e->code != ERR_VERSION) {
		e->code = ERR_STATE;
	}
	free(*bytes);
	*bytes = NULL;
	*len = 0;
	return err_during(e, "state %s: %s", s->path, path);
}

/* The names in a directory of the state; none where it was never made. */
static int
names_list(struct state *s, const char *dir, char ***names, size_t *n, struct err *e)
{
	if (dir_list(s->fd, dir, names, n, e) == 0)
		return 0;
	if (e != NULL && e->code == ERR_NOT_FOUND) {
		err_clear(e);
		return 0;
	}
	return err_during(e, "state %s", s->path);
}

int
state_highest(struct state *s, uint64_t *seq, struct err *e)
{
	char **names;
	size_t n;

	*seq = 0;
	if (names_list(s, "snaps", &names, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		uint64_t v = strlen(names[i]) < SEQ_DIGITS + 4 ? 0 : number_read(names[i], ".env");

		if (v > *seq)
			*seq = v;
	}
	dir_list_free(names, n);
	return 0;
}

static int
image_name_is_valid(const char *name)
{
	return strlen(name) == SHORT_LEN && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789") == SHORT_LEN;
}

int
state_images(struct state *s, char ***names, size_t *n, struct err *e)
{
	size_t kept = 0;

	if (names_list(s, "images", names, n, e) != 0)
		return -1;
	for (size_t i = 0; i < *n; i++) {
		if (image_name_is_valid((*names)[i]))
			(*names)[kept++] = (*names)[i];
		else
			free((*names)[i]);
	}
	*n = kept;
	return 0;
}
