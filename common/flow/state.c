#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/secret.h"
#include "common/base/stop.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"
#include "common/crypto/slots.h"
#include "common/flow/state.h"

/* Whatever was wrong with a file of the state: it is the state that is damaged. */
static int
state_damaged(const struct state *s, struct err *e)
{
	if (e != NULL && (e->code == ERR_FORMAT || e->code == ERR_SIGNATURE || e->code == ERR_NOT_FOUND ||
	    e->code == ERR_PASSPHRASE || e->code == ERR_SLOTS)) {
		e->code = ERR_STATE;
		e->next[0] = '\0';
	}
	return err_during(e, "state %s", s->path);
}

static int
part_read(const struct state *s, const char *name, uint8_t **bytes, size_t *len, struct err *e)
{
	return file_read(s->fd, name, SMALL_STATEMENT_MAX, bytes, len, e);
}

static int
identity_read(struct state *s, struct err *e)
{
	uint8_t *bytes;
	size_t len;
	int rc;

	if (part_read(s, "identity", &bytes, &len, e) != 0) {
		if (e != NULL && e->code == ERR_NOT_FOUND)
			return err_set(e, ERR_NO_STATE, "no machine is registered in %s", s->path);
		return state_damaged(s, e);
	}
	rc = statement_open(&identity_schema, &s->id, bytes, len, NULL, e);
	secret_wipe(bytes, len);
	free(bytes);
	if (rc != 0) {
		secret_wipe(&s->id, sizeof(s->id));
		return state_damaged(s, e);
	}
	s->sign_secret = secret_new(SIGN_SECRET_LEN);
	sign_keys(s->id.seed, s->machine_pub, s->sign_secret);
	secret_wipe(s->id.seed, sizeof(s->id.seed));
	return 0;
}

/* Domain and membership: signed by the key whose hash the identity names. */
static int
domain_read(struct state *s, struct err *e)
{
	uint8_t id[DIGEST_LEN];

	if (part_read(s, "domain", &s->domain_bytes, &s->domain_len, e) != 0 ||
	    statement_open(&domain_desc_schema, &s->domain, s->domain_bytes, s->domain_len, NULL, e) != 0)
		return state_damaged(s, e);
	hash_once(s->domain.domain_pub, SIGN_PUB_LEN, id);
	if (memcmp(id, s->id.domain_id, DIGEST_LEN) != 0 ||
	    !statement_check(&domain_desc_schema, s->domain_bytes, s->domain_len, s->domain.domain_pub)) {
		(void)err_set(e, ERR_STATE, "domain is not that of this machine's identity");
		return state_damaged(s, e);
	}
	if (part_read(s, "member", &s->member_bytes, &s->member_len, e) != 0 ||
	    statement_open(&membership_schema, &s->member, s->member_bytes, s->member_len, s->domain.domain_pub, e) != 0)
		return state_damaged(s, e);
	if (memcmp(s->member.domain_pub, s->domain.domain_pub, SIGN_PUB_LEN) != 0 ||
	    memcmp(s->member.machine_id, s->id.machine_id, ID_LEN) != 0 ||
	    memcmp(s->member.machine_pub, s->machine_pub, SIGN_PUB_LEN) != 0 ||
	    strcmp(s->member.machine_name, s->id.machine_name) != 0) {
		(void)err_set(e, ERR_STATE, "member is another machine's");
		return state_damaged(s, e);
	}
	return 0;
}

static int
slots_read(struct state *s, struct err *e)
{
	struct slot_header h;

	if (part_read(s, "slots", &s->slots_bytes, &s->slots_len, e) != 0 ||
	    statement_open(&slot_header_schema, &h, s->slots_bytes, s->slots_len, NULL, e) != 0)
		return state_damaged(s, e);
	if (memcmp(h.domain_id, s->id.domain_id, DIGEST_LEN) != 0) {
		(void)err_set(e, ERR_STATE, "slots are another key domain's");
		return state_damaged(s, e);
	}
	return 0;
}

/* Decoded only: what stands in it is believed after its authenticator was checked. */
static int
trust_read(struct state *s, struct err *e)
{
	uint8_t *bytes = NULL;
	size_t len;
	int rc = -1;

	if (part_read(s, "trust", &bytes, &len, e) == 0)
		rc = statement_open(&trust_schema, &s->trust, bytes, len, NULL, e);
	free(bytes);
	return rc == 0 ? 0 : state_damaged(s, e);
}

static int
registration_read(struct state *s, struct err *e)
{
	struct registration r;

	if (part_read(s, "regist", &s->regist_bytes, &s->regist_len, e) != 0 ||
	    statement_open(&registration_schema, &r, s->regist_bytes, s->regist_len, s->machine_pub, e) != 0)
		return state_damaged(s, e);
	if (memcmp(r.machine_id, s->id.machine_id, ID_LEN) != 0) {
		(void)err_set(e, ERR_STATE, "regist is another machine's");
		return state_damaged(s, e);
	}
	if (memcmp(r.vault_id, s->trust.vault_id, ID_LEN) != 0) {
		(void)err_set(e, ERR_STATE, "regist and trust name different vaults");
		return state_damaged(s, e);
	}
	return 0;
}

struct state *
state_open(const char *path, struct err *e)
{
	struct state *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		(void)err_errno(e, "state %s", path);
		return NULL;
	}
	(void)snprintf(s->path, sizeof(s->path), "%s", path);
	if ((s->fd = dir_open(AT_FDCWD, path, e)) == -1) {
		if (e != NULL && e->code == ERR_NOT_FOUND)
			(void)err_set(e, ERR_NO_STATE, "there is no state directory %s", path);
		goto fail;
	}
	if (identity_read(s, e) != 0 || domain_read(s, e) != 0 || slots_read(s, e) != 0 || trust_read(s, e) != 0 ||
	    registration_read(s, e) != 0)
		goto fail;
	return s;
fail:
	state_free(s);
	return NULL;
}

void
state_free(struct state *s)
{
	if (s == NULL)
		return;
	if (s->fd != -1)
		(void)io->close(s->fd);
	secret_free(s->sign_secret);
	secret_wipe(&s->id, sizeof(s->id));
	free(s->domain_bytes);
	free(s->member_bytes);
	free(s->slots_bytes);
	free(s->regist_bytes);
	free(s);
}

int
trust_make(struct trust *t, const struct domain_keys *k, struct buf *out, struct err *e)
{
	size_t start = out->len, n;

	if (statement_make(&trust_schema, t, NULL, out, e) != 0)
		return -1;
	n = out->len - start - DIGEST_LEN;	/* the authenticator stands at the end */
	mac_once(k->trust, out->p + start, n, t->mac);
	memcpy(out->p + start + n, t->mac, DIGEST_LEN);
	return 0;
}

static int
trust_believe(const struct state *s, const struct domain_keys *k, struct err *e)
{
	struct trust again = s->trust;
	struct buf bytes;
	int rc;

	buf_init(&bytes);
	rc = trust_make(&again, k, &bytes, e);
	buf_release(&bytes);
	if (rc == 0 && !secret_equal(again.mac, s->trust.mac, DIGEST_LEN))
		rc = err_set(e, ERR_STATE, "trust was changed by somebody without this machine's key");
	return rc;
}

/*
 * Slots are written before the trust state that names their generation, so a
 * power cut may leave newer ones; older ones were put back by somebody.
 */
static int
slots_believe(const struct state *s, const struct domain_keys *k, struct err *e)
{
	uint8_t mac[DIGEST_LEN];
	struct slot_header h;

	if (statement_open(&slot_header_schema, &h, s->slots_bytes, s->slots_len, NULL, e) != 0)
		return -1;
	mac_once(k->slots, s->slots_bytes, s->slots_len - DIGEST_LEN, mac);
	if (!secret_equal(mac, h.mac, DIGEST_LEN))
		return err_set(e, ERR_STATE, "slots were changed by somebody without this machine's key");
	if (h.generation < s->trust.slots_generation)
		return err_set(e, ERR_STATE, "slots are older (generation %u) than they were once (%u)", h.generation,
		    s->trust.slots_generation);
	return 0;
}

/* All keys of ${master} once everything that they authenticate is shown to be right. */
static struct domain_keys *
keys_believe(const struct state *s, const uint8_t master[KEY_LEN], struct err *e)
{
	struct domain_keys *k = domain_keys_new(master);

	if (trust_believe(s, k, e) == 0 && slots_believe(s, k, e) == 0)
		return k;
	(void)state_damaged(s, e);
	domain_keys_free(k);
	return NULL;
}

/* The local key into secret memory; ERR_NO_PASSPHRASE where none is kept. */
static uint8_t *
local_key_read(const struct state *s, struct err *e)
{
	uint8_t *bytes, *key = NULL;
	size_t len;

	if (file_read(s->fd, "local.key", KEY_LEN, &bytes, &len, e) != 0) {
		if (e == NULL || e->code != ERR_NOT_FOUND) {
			(void)state_damaged(s, e);
			return NULL;
		}
		(void)err_set(e, ERR_NO_PASSPHRASE, "this machine keeps no key of its own: its passphrase is needed");
		return NULL;
	}
	if (len == KEY_LEN) {
		key = secret_new(KEY_LEN);
		memcpy(key, bytes, KEY_LEN);
	} else {
		(void)err_set(e, ERR_STATE, "local.key has %zu bytes instead of %d", len, KEY_LEN);
		(void)state_damaged(s, e);
	}
	secret_wipe(bytes, len);
	free(bytes);
	return key;
}

struct domain_keys *
state_keys(struct state *s, struct err *e)
{
	struct slot_secret how = { .type = SLOT_LOCAL };
	struct domain_keys *k = NULL;
	uint8_t *master = NULL, *key, *slt = NULL;
	uint32_t generation;
	size_t len;

	if ((key = local_key_read(s, e)) == NULL)
		return NULL;
	how.key = key;
	if (part_read(s, "local.slt", &slt, &len, e) != 0) {
		(void)state_damaged(s, e);
		goto free_key;
	}
	master = secret_new(KEY_LEN);
	if (slots_open(slt, len, s->id.domain_id, &how, master, &generation, e) == 0) {
		k = keys_believe(s, master, e);
	} else {
		(void)err_during(e, "local.slt");
		(void)state_damaged(s, e);
	}
	secret_free(master);
free_key:
	free(slt);
	secret_free(key);
	return k;
}

bool
state_keeps_key(const struct state *s)
{
	struct stat st;

	return io->fstatat(s->fd, "local.key", &st, AT_SYMLINK_NOFOLLOW) == 0;
}

struct domain_keys *
state_keys_with(struct state *s, const struct slot_secret *how, struct err *e)
{
	uint8_t *master = secret_new(KEY_LEN);
	struct domain_keys *k = NULL;
	uint32_t generation;

	if (slots_open(s->slots_bytes, s->slots_len, s->id.domain_id, how, master, &generation, e) == 0)
		k = keys_believe(s, master, e);
	secret_free(master);
	return k;
}

int
state_trust_load(struct state *s, const struct domain_keys *k, struct err *e)
{
	struct trust old = s->trust;

	if (trust_read(s, e) != 0) {
		s->trust = old;
		return -1;
	}
	if (trust_believe(s, k, e) != 0 || slots_believe(s, k, e) != 0) {
		s->trust = old;
		return state_damaged(s, e);
	}
	return 0;
}

int
state_trust_save(struct state *s, const struct domain_keys *k, struct err *e)
{
	struct buf bytes;
	int rc = -1;

	buf_init(&bytes);
	if (trust_make(&s->trust, k, &bytes, e) == 0)
		rc = file_replace(s->fd, "trust", bytes.p, bytes.len, 0600, e);
	buf_release(&bytes);
	return rc == 0 ? 0 : err_during(e, "state %s", s->path);
}

int
state_lock(struct state *s, struct err *e)
{
	int fd = io->open(s->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd == -1) {
		(void)err_errno(e, "state %s: open lock", s->path);
		return -1;
	}
	while (io->flock(fd, LOCK_EX) != 0) {
		if (errno != EINTR)
			(void)err_errno(e, "state %s: lock", s->path);
		else if (stop_check(e) == 0)
			continue;
		(void)io->close(fd);
		return -1;
	}
	return fd;
}
