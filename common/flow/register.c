#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/human.h"
#include "common/base/io.h"
#include "common/base/secret.h"
#include "common/base/text.h"
#include "common/flow/kit_file.h"
#include "common/flow/new_file.h"
#include "common/flow/registering.h"
#include "common/flow/state.h"
#include "formats/names.h"

/* The host's name with everything that a machine's name may not hold as a hyphen. */
static void
host_name(char out[NAME_MAX_LEN + 1])
{
	static const char fine[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
	char host[256] = "";
	size_t n;

	(void)gethostname(host, sizeof(host) - 1);
	n = strnlen(host, NAME_MAX_LEN);
	for (size_t i = 0; i < n; i++)
		out[i] = strchr(fine, host[i]) != NULL && (i > 0 || host[i] != '.') ? host[i] : '-';
	out[n] = '\0';
	if (n < 2)
		memcpy(out, "machine", sizeof("machine"));
}

static int
name_choose(struct registering *r, struct err *e)
{
	const char *given = r->o->machine;
	char safe[256];

	if (given != NULL && (!machine_name_is_valid(given) || !text_is_printable(given, strlen(given))))
		return err_set(e, ERR_VAULT_NAME, "\"%s\" cannot be a machine's name",
		    text_safe(safe, sizeof(safe), given, strlen(given)));
	if (r->cred.c->machine_name[0] != '\0')
		memcpy(r->machine_name, r->cred.c->machine_name, sizeof(r->machine_name));
	else if (given != NULL)
		memcpy(r->machine_name, given, strlen(given) + 1);
	else
		host_name(r->machine_name);
	return 0;
}

/* A power of two that samara knows and the vault accepts. */
static int
chunk_choose(struct registering *r, struct err *e)
{
	const struct credential *c = r->cred.c;
	char want[HUMAN_MAX];
	uint64_t avg = r->o->chunk_avg;

	if (avg == 0) {
		avg = CHUNK_AVG_DEFAULT;
		avg = avg < c->chunk_avg_min ? c->chunk_avg_min : avg > c->chunk_avg_max ? c->chunk_avg_max : avg;
	}
	if (avg < CHUNK_AVG_MIN || avg > CHUNK_AVG_MAX || (avg & (avg - 1)) != 0) {
		(void)err_set(e, ERR_USAGE, "%s is not a size for chunks", human_size(want, avg));
		return err_next(e, "Give one of 64Ki, 128Ki, 256Ki, 512Ki, 1Mi, 2Mi.");
	}
	if (avg < c->chunk_avg_min || avg > c->chunk_avg_max)
		return err_set(e, ERR_CHUNK_SIZE, "the vault \"%s\" takes chunks of %u to %u KiB on average, not of %u KiB",
		    c->vault_name, c->chunk_avg_min >> 10, c->chunk_avg_max >> 10, (unsigned)(avg >> 10));
	r->chunk_avg = (uint32_t)avg;
	return 0;
}

/* The places of new files: nothing may be there but what an interrupted run of this command left. */
static int
places_check(struct registering *r, struct err *e)
{
	if (r->o->kit != NULL && new_file_check(r->o->kit, e) != 0)
		return -1;
	if (r->o->generate == NULL)
		return 0;
	if (register_left_take(r)) {
		r->made = r->left = true;
		return 0;
	}
	return new_file_check(r->o->generate, e);
}

/* What registering at once needs, and taking another machine's place. */
static int
line_check(const struct registering *r, struct err *e)
{
	const struct register_options *o = r->o;

	if (o->online && !register_has_address(r)) {
		(void)err_set(e, ERR_USAGE, "the vault \"%s\" has no address in this credential", r->cred.c->vault_name);
		return err_next(e, "Say --offline: the registration then travels on the first disk.");
	}
	if (r->cred.c->purpose == PURPOSE_REPLACE && o->old_kit == NULL) {
		(void)err_set(e, ERR_USAGE, "this credential is for taking the place of machine %s", r->machine_name);
		return err_next(e, "Give that machine's recovery kit and its passphrase: --old-kit FILE --passphrase-file FILE.");
	}
	if (r->cred.c->purpose != PURPOSE_REPLACE && o->old_kit != NULL)
		return err_set(e, ERR_USAGE, "--old-kit goes with a credential that was made with --replace");
	if (o->old_kit != NULL && o->generate != NULL)
		return err_set(e, ERR_USAGE, "the passphrase of the old machine's kit is the new machine's too: it is given, not made");
	return 0;
}

struct registering *
register_prepare(const struct register_options *o, struct err *e)
{
	struct registering *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		(void)err_errno(e, "register");
		return NULL;
	}
	r->o = o;
	if (register_dir_check(o->state, e) != 0 || credential_file_read(o->credential, &r->cred, e) != 0 ||
	    credential_judge(r->cred.c, o->machine, io_now(), o->online, e) != 0 || name_choose(r, e) != 0 ||
	    chunk_choose(r, e) != 0 || places_check(r, e) != 0 ||
	    line_check(r, e) != 0) {
		register_free(r);
		return NULL;
	}
	return r;
}

void
register_free(struct registering *r)
{
	if (r == NULL)
		return;
	credential_file_release(&r->cred);
	passphrase_release(&r->pass);
	secret_free(r->id);
	secret_free(r->sign_secret);
	secret_free(r->local_key);
	secret_free(r->identity);
	if (r->old != NULL)
		r->keys = NULL;		/* the old machine's, which is freed with its keyring */
	domain_keys_free(r->keys);
	keyring_free(r->old);
	buf_release(&r->domain);
	buf_release(&r->member);
	buf_release(&r->slots);
	buf_release(&r->local);
	buf_release(&r->regist);
	buf_release(&r->trust);
	free(r);
}

const char *
register_machine(const struct registering *r)
{
	return r->machine_name;
}

const char *
register_vault(const struct registering *r)
{
	return r->cred.c->vault_name;
}

uint32_t
register_chunk_avg(const struct registering *r)
{
	return r->chunk_avg;
}

bool
register_kit_inside(const struct registering *r)
{
	return r->kit_inside;
}

int
register_passphrase(struct registering *r, struct err *e)
{
	char purpose[sizeof(r->machine_name) * 4 + 64], safe[sizeof(r->machine_name) * 4];

	if (r->left)
		return 0;
	if (r->o->generate != NULL) {
		passphrase_generate(&r->pass);
		r->made = true;
		return 0;
	}
	(void)snprintf(purpose, sizeof(purpose), r->o->old_kit != NULL ? "passphrase of machine %s" :
	    "new passphrase for machine %s", text_safe(safe, sizeof(safe), r->machine_name, strlen(r->machine_name)));
	return passphrase_get(&r->pass, r->o->passphrase_file, purpose, r->o->old_kit == NULL, e);
}

bool
register_has_address(const struct registering *r)
{
	return r->cred.c->url[0] != '\0';
}

const char *
register_passphrase_made(const struct registering *r)
{
	return r->made ? r->pass.text : NULL;
}

/* The file of a passphrase that was made here; not over what another run left, which is the same. */
static int
passphrase_write(const struct registering *r, struct err *e)
{
	char *line;
	int rc;

	if (!r->made || r->left)
		return 0;
	line = secret_new(r->pass.len + 1);
	memcpy(line, r->pass.text, r->pass.len);
	line[r->pass.len] = '\n';
	rc = new_file_put(r->o->generate, line, r->pass.len + 1, e);
	secret_free(line);
	return rc;
}

static int
part_write(int fd, const char *name, const void *bytes, size_t len, struct err *e)
{
	return file_replace(fd, name, bytes, len, 0600, e);
}

/* The key that stays on the machine; none, also none of an interrupted run, where it is not wanted. */
static int
local_write(const struct registering *r, int fd, struct err *e)
{
	static const char *const names[] = { "local.key", "local.slt" };

	if (r->local_key != NULL)
		return part_write(fd, "local.key", r->local_key, KEY_LEN, e) != 0 ? -1 :
		    part_write(fd, "local.slt", r->local.p, r->local.len, e);
	for (size_t i = 0; i < 2; i++)
		if (io->unlinkat(fd, names[i], 0) != 0 && errno != ENOENT)
			return err_errno(e, "remove %s", names[i]);
	return 0;
}

/* All parts; the identity is the last, and makes them count. */
static int
parts_write(const struct registering *r, int fd, struct err *e)
{
	int rc;

	if (passphrase_write(r, e) != 0 || part_write(fd, "domain", r->domain.p, r->domain.len, e) != 0 ||
	    part_write(fd, "member", r->member.p, r->member.len, e) != 0 ||
	    part_write(fd, "slots", r->slots.p, r->slots.len, e) != 0 || local_write(r, fd, e) != 0 ||
	    part_write(fd, "regist", r->regist.p, r->regist.len, e) != 0 ||
	    part_write(fd, "trust", r->trust.p, r->trust.len, e) != 0 ||
	    part_write(fd, "vault.crd", r->cred.text, r->cred.len, e) != 0)
		return -1;
	rc = file_put_new(fd, "identity", r->identity, r->identity_len, 0600, e);
	return rc == 1 ? err_set(e, ERR_REGISTERED, "another run registered a machine meanwhile") : rc;
}

/* In the locked directory: from `pending` to `identity`. */
static int
dir_fill(struct registering *r, int fd, struct err *e)
{
	if (register_dir_check_open(fd, r->o->state, e) != 0)
		return -1;
	if (io->fchmod(fd, 0700) != 0)
		return err_errno(e, "set the mode of %s", r->o->state);
	if (register_pending_write(r, fd, e) != 0 || parts_write(r, fd, e) != 0 || register_pending_drop(fd, e) != 0)
		return err_during(e, "state directory %s", r->o->state);
	return 0;
}

/* Read it all back as every later command will, and write the kit. */
static int
state_prove(struct registering *r, struct err *e)
{
	struct state *s = state_open(r->o->state, e);
	struct domain_keys *k = NULL;
	int rc = -1;

	if (s == NULL || (!r->o->ask_always && (k = state_keys(s, e)) == NULL))
		goto out;
	if (r->o->kit == NULL || kit_save(s, r->o->kit, &r->kit_inside, e) == 0) {
		rc = 0;
		goto out;
	}
	(void)err_during(e, "%s is registered, but its recovery kit is not written", r->machine_name);
	(void)err_next(e, "Write it with samara-seed key kit --kit FILE.");
out:
	domain_keys_free(k);
	state_free(s);
	return rc;
}

int
register_write(struct registering *r, struct err *e)
{
	int fd, lock, rc = -1;

	if (dir_make(AT_FDCWD, r->o->state, 0700, e) != 0 || (fd = dir_open(AT_FDCWD, r->o->state, e)) == -1)
		return err_during(e, "state directory");
	if ((lock = lock_take(fd, "lock", 0, e)) != -1) {
		rc = dir_fill(r, fd, e);
		(void)io->close(lock);
	}
	(void)io->close(fd);
	return rc == 0 ? state_prove(r, e) : -1;
}
