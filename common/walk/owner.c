#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "common/walk/owner.h"

#define KINDS	4
enum { USER_NAME, GROUP_NAME, USER_NUMBER, GROUP_NUMBER };

/* One answer.  Names are looked for by number in the first two kinds, by name in the others. */
struct answer {
	uint32_t number;
	bool known;
	uint8_t len;
	char *name;
};

/* Answers are few: a list in the order asked, the last one found tried first. */
struct answers {
	struct answer **row;
	size_t n, cap, last;
};

struct owner_names {
	pthread_mutex_t lock;
	struct answers kind[KINDS];
};

struct owner_names *
owner_names_new(void)
{
	struct owner_names *o = calloc(1, sizeof(*o));

	if (o != NULL && pthread_mutex_init(&o->lock, NULL) != 0) {
		free(o);
		return NULL;
	}
	return o;
}

void
owner_names_free(struct owner_names *o)
{
	if (o == NULL)
		return;
	for (size_t k = 0; k < KINDS; k++) {
		for (size_t i = 0; i < o->kind[k].n; i++) {
			free(o->kind[k].row[i]->name);
			free(o->kind[k].row[i]);
		}
		free(o->kind[k].row);
	}
	(void)pthread_mutex_destroy(&o->lock);
	free(o);
}

/* Keep an answer; takes ${name} over.  NULL when there is no memory. */
static struct answer *
answer_add(struct answers *a, uint32_t number, char *name, bool known)
{
	struct answer *row;

	if (a->n == a->cap) {
		size_t more = a->cap == 0 ? 16 : a->cap * 2;
		struct answer **grown = reallocarray(a->row, more, sizeof(*grown));

		if (grown == NULL)
			goto fail;
		a->row = grown;
		a->cap = more;
	}
	if ((row = calloc(1, sizeof(*row))) == NULL)
		goto fail;
	row->number = number;
	row->known = known;
	row->name = name;
	row->len = name != NULL ? (uint8_t)strlen(name) : 0;
	a->last = a->n;
	a->row[a->n++] = row;
	return row;
fail:
	free(name);
	return NULL;
}

static struct answer *
find_number(struct answers *a, uint32_t number)
{
	if (a->n > 0 && a->row[a->last]->number == number)
		return a->row[a->last];
	for (size_t i = 0; i < a->n; i++)
		if (a->row[i]->number == number) {
			a->last = i;
			return a->row[i];
		}
	return NULL;
}

static struct answer *
find_name(struct answers *a, struct fmt_view name)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->row[i]->len == name.len && memcmp(a->row[i]->name, name.p, name.len) == 0)
			return a->row[i];
	return NULL;
}

/* Ask the system: by ${name} if it is not NULL, else by number.  False: not known. */
static bool
ask_user(const char *name, uint32_t *number, char **found)
{
	struct passwd pw, *got = NULL;
	size_t n = 4096;
	char *buf = NULL, *grown;
	int rc;

	do {
		if (n > (1u << 20) || (grown = realloc(buf, n)) == NULL)
			break;
		buf = grown;
		rc = name != NULL ? getpwnam_r(name, &pw, buf, n, &got) : getpwuid_r(*number, &pw, buf, n, &got);
		n *= 4;
	} while (rc == ERANGE || rc == EINTR);
	if (got != NULL && name != NULL)
		*number = pw.pw_uid;
	else if (got != NULL)
		*found = strdup(pw.pw_name);
	free(buf);
	return got != NULL;
}

static bool
ask_group(const char *name, uint32_t *number, char **found)
{
	struct group gr, *got = NULL;
	size_t n = 4096;
	char *buf = NULL, *grown;
	int rc;

	do {
		if (n > (16u << 20) || (grown = realloc(buf, n)) == NULL)
			break;
		buf = grown;
		rc = name != NULL ? getgrnam_r(name, &gr, buf, n, &got) : getgrgid_r(*number, &gr, buf, n, &got);
		n *= 4;
	} while (rc == ERANGE || rc == EINTR);
	if (got != NULL && name != NULL)
		*number = gr.gr_gid;
	else if (got != NULL)
		*found = strdup(gr.gr_name);
	free(buf);
	return got != NULL;
}

static struct fmt_view
name_of(struct owner_names *o, unsigned kind, uint32_t number)
{
	struct fmt_view v = { 0 };
	struct answer *row;
	char *name = NULL;

	(void)pthread_mutex_lock(&o->lock);
	row = find_number(&o->kind[kind], number);
	if (row == NULL) {
		bool known = kind == USER_NAME ? ask_user(NULL, &number, &name) : ask_group(NULL, &number, &name);

		if (name != NULL && strlen(name) > 255) {
			free(name);
			name = NULL;
		}
		row = answer_add(&o->kind[kind], number, name, known);
	}
	if (row != NULL && row->name != NULL)
		v = (struct fmt_view){ .p = (const uint8_t *)row->name, .len = row->len };
	(void)pthread_mutex_unlock(&o->lock);
	return v;
}

static uint32_t
number_of(struct owner_names *o, unsigned kind, struct fmt_view name, uint32_t number)
{
	struct answer *row;
	uint32_t found = number;
	char *copy, *unused = NULL;

	if (name.len == 0 || name.len > 255 || memchr(name.p, 0, name.len) != NULL)
		return number;
	(void)pthread_mutex_lock(&o->lock);
	row = find_name(&o->kind[kind], name);
	if (row == NULL && (copy = strndup((const char *)name.p, name.len)) != NULL) {
		bool known = kind == USER_NUMBER ? ask_user(copy, &found, &unused) : ask_group(copy, &found, &unused);

		row = answer_add(&o->kind[kind], found, copy, known);
	}
	found = row != NULL && row->known ? row->number : number;
	(void)pthread_mutex_unlock(&o->lock);
	return found;
}

struct fmt_view
owner_user(struct owner_names *o, uint32_t uid)
{
	return name_of(o, USER_NAME, uid);
}

struct fmt_view
owner_group(struct owner_names *o, uint32_t gid)
{
	return name_of(o, GROUP_NAME, gid);
}

uint32_t
owner_uid(struct owner_names *o, struct fmt_view name, uint32_t number)
{
	return number_of(o, USER_NUMBER, name, number);
}

uint32_t
owner_gid(struct owner_names *o, struct fmt_view name, uint32_t number)
{
	return number_of(o, GROUP_NUMBER, name, number);
}
