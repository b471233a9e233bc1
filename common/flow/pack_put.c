#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/flow/pack_put.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

#define READ_LEN	(1u << 20)

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

int
pack_put(struct store *s, const uint8_t id[DIGEST_LEN], const uint8_t *bytes, size_t len, struct pack_put *p,
    struct err *e)
{
	char name[VAULT_NAME_MAX];
	int rc;

	memset(p, 0, sizeof(*p));
	for (p->copy = 1; p->nbad < PACK_BAD_COPIES; p->copy++) {
		vault_name_pack(name, id, p->copy);
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
	    p->nbad);
}
