#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/walk/exclude.h"

#define PATTERN_MAX	65535u
#define FILE_MAX	(16u << 20)

/* A stretch of a pattern between two slashes. */
struct part {
	const uint8_t *p;
	size_t len;
	bool deep;		/* "**": any number of directories */
	bool plain;		/* no wildcard and no backslash in it */
};

struct pattern {
	uint8_t *text;
	struct part *part;
	size_t nparts;
	bool back;		/* "!": takes an exclusion back */
	bool dirs;		/* "/" at the end: directories alone */
	bool tied;		/* to the top; else any name anywhere */
	bool broken;		/* "[" without "]" and the like: fits nothing */
};

struct exclude {
	struct pattern *pattern;
	size_t n, cap;
};

struct exclude *
exclude_new(void)
{
	return calloc(1, sizeof(struct exclude));
}

void
exclude_free(struct exclude *x)
{
	if (x == NULL)
		return;
	for (size_t i = 0; i < x->n; i++) {
		free(x->pattern[i].text);
		free(x->pattern[i].part);
	}
	free(x->pattern);
	free(x);
}

bool
exclude_any(const struct exclude *x)
{
	return x->n > 0;
}

/* The classes of POSIX in the C locale: bytes above 127 are in none. */
static const struct class {
	const char *name;
	int (*has)(int c);
} classes[] = {
	{ "alnum", isalnum }, { "alpha", isalpha }, { "blank", isblank }, { "cntrl", iscntrl },
	{ "digit", isdigit }, { "graph", isgraph }, { "lower", islower }, { "print", isprint },
	{ "punct", ispunct }, { "space", isspace }, { "upper", isupper }, { "xdigit", isxdigit },
};

/*
 * The named class that begins at ${p} (just behind "[:"): its end, just behind
 * ":]", or NULL where there is no such closing; ${class} becomes NULL for a
 * name that is not known.
 */
static const uint8_t *
class_named(const uint8_t *p, const uint8_t *end, const struct class **class)
{
	const uint8_t *close = memchr(p, ']', (size_t)(end - p));
	size_t len;

	*class = NULL;
	if (close == NULL || close == p || close[-1] != ':')
		return NULL;
	len = (size_t)(close - 1 - p);
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (strlen(classes[i].name) == len && memcmp(classes[i].name, p, len) == 0)
			*class = &classes[i];
	return close + 1;
}

/*
 * The set that begins at ${p} (just behind "["): its end, just behind "]", or
 * NULL where it is not one; ${in} says whether the byte ${c} is meant.
 */
static const uint8_t *
set_read(const uint8_t *p, const uint8_t *end, uint8_t c, bool *in)
{
	bool not = p < end && (*p == '!' || *p == '^'), hit = false, first = true;
	int before = -1;		/* what a "-" could begin a range with */

	for (p += not; p < end && (*p != ']' || first); first = false) {
		const struct class *class;
		const uint8_t *past;
		uint8_t at = *p++;

		if (at == '[' && p < end && *p == ':') {
			if (memchr(p + 1, ']', (size_t)(end - p - 1)) == NULL)
				return NULL;
			if ((past = class_named(p + 1, end, &class)) != NULL) {
				if (class == NULL)
					return NULL;
				hit |= c < 128 && class->has(c) != 0;
				p = past;
				before = -1;
				continue;
			}
		}
		if (at == '-' && before >= 0 && p < end && *p != ']') {
			at = *p++;
			if (at == '\\' && p < end)
				at = *p++;
			else if (at == '\\')
				return NULL;
			hit |= c >= before && c <= at;
			before = -1;
			continue;
		}
		if (at == '\\') {
			if (p == end)
				return NULL;
			at = *p++;
		}
		hit |= at == c;
		before = at;
	}
	if (p >= end)
		return NULL;
	*in = hit != not;
	return p + 1;
}

/* One byte of a name against what stands at ${p}: just behind it, or NULL where it does not fit. */
static const uint8_t *
byte_fits(const uint8_t *p, const uint8_t *end, uint8_t c)
{
	bool in = false;

	switch (*p) {
	case '?':
		return p + 1;
	case '[':
		p = set_read(p + 1, end, c, &in);
		return in ? p : NULL;
	case '\\':
		return p + 1 < end && p[1] == c ? p + 2 : NULL;
	default:
		return *p == c ? p + 1 : NULL;
	}
}

/* A whole name against a part; a star that fitted too little is tried one byte longer. */
static bool
part_fits(const struct part *part, const uint8_t *name, size_t len)
{
	const uint8_t *p = part->p, *end = p + part->len, *stop = name + len;
	const uint8_t *star = NULL, *from = NULL, *next;

	if (part->plain)
		return part->len == len && memcmp(p, name, len) == 0;
	while (name < stop || p < end) {
		if (p < end && *p == '*') {
			star = ++p;
			from = name;
			continue;
		}
		next = p < end && name < stop ? byte_fits(p, end, *name) : NULL;
		if (next != NULL) {
			p = next;
			name++;
			continue;
		}
		if (star == NULL || from == stop)
			return false;
		p = star;
		name = ++from;
	}
	return true;
}

/* The length of the first name in a path. */
static size_t
name_len(const uint8_t *path, const uint8_t *end)
{
	const uint8_t *slash = path < end ? memchr(path, '/', (size_t)(end - path)) : NULL;

	return (size_t)((slash != NULL ? slash : end) - path);
}

/* A whole path, name by name; "**" that fitted too little is tried one name longer. */
static bool
path_fits(const struct pattern *x, const uint8_t *path, size_t len)
{
	const uint8_t *end = path + len, *from = NULL;
	size_t i = 0, deep = SIZE_MAX, n;

	for (;;) {
		n = name_len(path, end);
		if (i < x->nparts && x->part[i].deep) {
			if (i + 1 == x->nparts)
				return path < end;	/* something must be below */
			deep = ++i;
			from = path;
			continue;
		}
		if (i == x->nparts && path >= end)
			return true;
		if (i < x->nparts && path < end && part_fits(&x->part[i], path, n)) {
			i++;
			path += n + (path + n < end);
			continue;
		}
		if (deep == SIZE_MAX || from >= end)
			return false;
		n = name_len(from, end);
		from += n + (from + n < end);
		path = from;
		i = deep;
	}
}

static bool
pattern_fits(const struct pattern *x, const uint8_t *rel, size_t len, bool is_dir)
{
	const uint8_t *slash;

	if (x->broken || (x->dirs && !is_dir))
		return false;
	if (x->tied)
		return path_fits(x, rel, len);
	slash = memrchr(rel, '/', len);
	if (slash != NULL) {
		len -= (size_t)(slash + 1 - rel);
		rel = slash + 1;
	}
	return part_fits(&x->part[0], rel, len);
}

bool
exclude_match(const struct exclude *x, const char *rel, size_t len, bool is_dir)
{
	for (size_t i = x->n; i-- > 0;)
		if (pattern_fits(&x->pattern[i], (const uint8_t *)rel, len, is_dir))
			return !x->pattern[i].back;
	return false;
}

bool
exclude_match_below(const struct exclude *x, const char *rel, size_t len, bool is_dir)
{
	for (size_t i = 1; i < len; i++)
		if (rel[i] == '/' && exclude_match(x, rel, i, true))
			return true;
	return exclude_match(x, rel, len, is_dir);
}

/* Blanks at the end that no backslash keeps. */
static size_t
trimmed(const char *line, size_t len)
{
	size_t end = 0;

	for (size_t i = 0; i < len; i++) {
		if (line[i] == '\\')
			i++;
		else if (line[i] == ' ')
			continue;
		end = i + 1;
	}
	return end < len ? end : len;
}

/* The end of the part that begins at ${p}: a slash that is in no set, or ${end}. */
static const uint8_t *
part_end(const uint8_t *p, const uint8_t *end, struct part *part, bool *broken)
{
	bool in;

	part->p = p;
	part->plain = true;
	while (p < end && *p != '/') {
		if (*p == '*' || *p == '?' || *p == '[' || *p == '\\')
			part->plain = false;
		if (*p == '\\' && p + 1 < end && p[1] == '/')
			break;		/* a slash is a slash, escaped or not */
		if (*p == '\\' && p + 1 == end)
			*broken = true;
		if (*p == '\\')
			p += p + 1 < end ? 2 : 1;
		else if (*p != '[')
			p++;
		else if ((p = set_read(p + 1, end, 0, &in)) == NULL) {
			*broken = true;
			p = end;
		}
	}
	part->len = (size_t)(p - part->p);
	part->deep = part->len > 1;
	for (size_t i = 0; i < part->len; i++)
		part->deep &= part->p[i] == '*';
	return p;
}

/* Cut the pattern into its parts. */
static int
pattern_cut(struct pattern *x, size_t len)
{
	const uint8_t *p = x->text, *end = p + len;
	size_t slashes = 0;

	for (size_t i = 0; i < len; i++)
		slashes += p[i] == '/';
	x->tied = slashes > 0;
	if ((x->part = calloc(slashes + 1, sizeof(*x->part))) == NULL)
		return -1;
	if (p < end && *p == '/')
		p++;
	for (;;) {
		p = part_end(p, end, &x->part[x->nparts++], &x->broken);
		if (p >= end)
			break;
		p += *p == '\\' ? 2 : 1;
	}
	if (!x->tied)
		x->part[0].deep = false;
	return 0;
}

int
exclude_add(struct exclude *x, const char *line, size_t len, struct err *e)
{
	struct pattern *p;

	if (len > PATTERN_MAX || memchr(line, 0, len) != NULL)
		return err_set(e, ERR_USAGE, "an exclude pattern is too long or has a zero byte in it");
	if (len == 0 || line[0] == '#')
		return 0;
	if (x->n == x->cap) {
		size_t more = x->cap == 0 ? 16 : x->cap * 2;
		struct pattern *grown = reallocarray(x->pattern, more, sizeof(*grown));

		if (grown == NULL)
			return err_errno(e, "note an exclude pattern");
		x->pattern = grown;
		x->cap = more;
	}
	p = &x->pattern[x->n];
	*p = (struct pattern){ 0 };
	len = trimmed(line, len);
	if (len > 0 && line[0] == '!') {
		p->back = true;
		line++;
		len--;
	}
	if (len > 0 && line[len - 1] == '/') {
		p->dirs = true;
		len--;
	}
	if (len == 0)
		return 0;
	if ((p->text = malloc(len)) == NULL)
		return err_errno(e, "note an exclude pattern");
	memcpy(p->text, line, len);
	x->n++;				/* exclude_free clears up from here */
	if (pattern_cut(p, len) == 0)
		return 0;
	p->broken = true;
	return err_errno(e, "note an exclude pattern");
}

int
exclude_add_file(struct exclude *x, int dirfd, const char *path, struct err *e)
{
	const char *p, *end;
	uint8_t *bytes;
	size_t len;
	int rc = 0;

	if (file_read(dirfd, path, FILE_MAX, &bytes, &len, e) != 0)
		return err_during(e, "read exclude patterns");
	p = (const char *)bytes;
	end = p + len;
	if (len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		p += 3;
	while (p < end && rc == 0) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));

		if (stop == NULL)
			stop = end;
		rc = exclude_add(x, p, (size_t)(stop - p), e);
		p = stop + 1;
	}
	free(bytes);
	return rc;
}
