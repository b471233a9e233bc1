#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/log.h"
#include "common/flow/pack_put.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

#define READ_LEN	(1u << 20)
#define COPIES_MOST	1000u

/* 1 if the object is there with exactly these bytes, 0 if not (also where it cannot be read), -1 without memory. */
static int
object_is(struct store *s, const char *name, const uint8_t *bytes, size_t len, struct err *e)
{
	uint8_t *part = malloc(READ_LEN);
	uint64_t there;
	size_t at, got = 0;
	int same;

	if (part == NULL)
		return err_errno(e, "read %s back", name);
	same = s->ops->stat(s, name, &there, NULL) == 0 && there == len;
	for (at = 0; at < len && same; at += got) {
		size_t n = len - at < READ_LEN ? len - at : READ_LEN;

		same = s->ops->get(s, name, at, part, n, &got, NULL) == 0 && got == n && memcmp(part, bytes + at, n) == 0;
	}
	free(part);
	return same;
}

/* Does this copy's number stand in quarantine?  1, 0, -1. */
static int
number_used(struct store *s, const uint8_t id[DIGEST_LEN], uint32_t copy, struct err *e)
{
	char name[VAULT_NAME_MAX];
	uint64_t len;
	int rc;

	vault_name_bad_pack(name, id, copy);
	return (rc = s->ops->stat(s, name, &len, e)) < 0 ? -1 : !rc;
}

int
pack_put(struct store *s, const uint8_t id[DIGEST_LEN], const uint8_t *bytes, size_t len, struct pack_put *p,
    struct err *e)
{
	char name[VAULT_NAME_MAX];
	int rc;

	memset(p, 0, sizeof(*p));
	for (p->copy = 1; p->nbad < PACK_BAD_COPIES && p->copy <= COPIES_MOST; p->copy++) {
		if ((rc = number_used(s, id, p->copy, e)) < 0)
			return -1;
		vault_name_pack(name, id, p->copy);
		if (rc == 1)
			continue;
		if ((rc = s->ops->put_new(s, name, bytes, len, e)) < 0)
			return -1;
		p->made = rc == 0;
		if (rc == 0 || (rc = object_is(s, name, bytes, len, e)) == 1)
			return 0;
		if (rc < 0)
			return -1;
		p->bad[p->nbad++] = p->copy;
	}
	return err_set(e, ERR_MEDIUM, "%s: %u copies of one pack stand in the vault, and none reads back as it should", name,
	    p->copy - 1);
}

struct moving {
	struct store *s;
	const char *name;
	uint64_t at;
};

static ssize_t
moving_read(void *arg, uint8_t *buf, size_t cap, struct err *e)
{
	struct moving *m = arg;
	size_t got;

	if (m->s->ops->get(m->s, m->name, m->at, buf, cap, &got, e) != 0)
		return -1;
	m->at += got;
	return (ssize_t)got;
}

int
pack_condemn(struct store *s, const uint8_t id[DIGEST_LEN], uint32_t copy, struct err *e)
{
	char from[VAULT_NAME_MAX], to[VAULT_NAME_MAX];
	struct moving m = { s, from, 0 };
	struct err mine;
	uint64_t len;
	int rc;

	vault_name_pack(from, id, copy);
	vault_name_bad_pack(to, id, copy);
	if ((rc = s->ops->stat(s, from, &len, e)) != 0)
		return rc == 1 ? 0 : -1;
	err_clear(&mine);
	if (s->ops->put_new_from(s, to, moving_read, &m, &mine) < 0) {
		say_warn("%s is damaged and stays where it is; it cannot be put into quarantine: %s", from, mine.msg);
		return 0;
	}
	return s->ops->del(s, from, e);
}

int
pack_number_use(struct store *s, const uint8_t id[DIGEST_LEN], uint32_t copy, struct err *e)
{
	static const char gone[] = "This copy of the pack was gone, or could not be read.\n";
	char from[VAULT_NAME_MAX], to[VAULT_NAME_MAX];
	struct moving m = { s, from, 0 };
	struct err mine;

	vault_name_pack(from, id, copy);
	vault_name_bad_pack(to, id, copy);
	err_clear(&mine);
	if (s->ops->put_new_from(s, to, moving_read, &m, &mine) >= 0)
		return 0;
	return s->ops->put_new(s, to, gone, sizeof(gone) - 1, e) < 0 ? -1 : 0;
}
