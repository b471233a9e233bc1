#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/human.h"
#include "common/base/io.h"
#include "common/base/secret.h"
#include "common/base/text.h"
#include "common/crypto/sign.h"
#include "common/flow/credential_file.h"
#include "formats/armor.h"

#define SAFE_NAME_MAX	(NAME_MAX_LEN * 4 + 4)

static int
armor_refused(enum fmt_status st, unsigned line, struct err *e)
{
	if (st == FMT_MAGIC)
		return err_set(e, ERR_CRED_UNREADABLE, "there is no vault credential in it");
	if (st == FMT_CHECKSUM && line != 0)
		return err_set(e, ERR_CRED_UNREADABLE, "line %02u was changed on the way, or is missing", line);
	return err_set(e, ERR_CRED_UNREADABLE, "it was changed on the way, or a part of it is missing");
}

/* The credential in the text, signed by the vault it names. */
static int
credential_parse(struct credential_file *f, struct err *e)
{
	uint8_t *bytes = secret_new(SMALL_STATEMENT_MAX);
	enum fmt_status st;
	unsigned line;
	size_t len;
	int rc = -1;

	st = armor_decode(ARMOR_CREDENTIAL, (const char *)f->text, f->len, bytes, SMALL_STATEMENT_MAX, &len, &line);
	if (st != FMT_OK) {
		(void)armor_refused(st, line, e);
		goto out;
	}
	if (statement_open(&credential_schema, f->c, bytes, len, NULL, e) != 0) {
		if (e != NULL && e->code != ERR_VERSION)
			e->code = ERR_CRED_UNREADABLE;
		goto out;
	}
	if (!statement_check(&credential_schema, bytes, len, f->c->vault_pub)) {
		(void)err_set(e, ERR_CRED_INVALID, "it is not signed by the vault \"%s\" that it names: somebody else made or "
		    "changed it", f->c->vault_name);
		goto out;
	}
	rc = 0;
out:
	secret_free(bytes);
	return rc;
}

int
credential_file_read(const char *path, struct credential_file *f, struct err *e)
{
	*f = (struct credential_file){ 0 };
	if (file_read(AT_FDCWD, path, ARMOR_TEXT_MAX, &f->text, &f->len, e) != 0) {
		if (e != NULL && e->code == ERR_FORMAT)
			e->code = ERR_CRED_UNREADABLE;
		return err_during(e, "vault credential");
	}
	f->c = secret_new(sizeof(*f->c));
	if (credential_parse(f, e) == 0)
		return 0;
	credential_file_release(f);
	return err_during(e, "vault credential %s", path);
}

void
credential_file_release(struct credential_file *f)
{
	if (f->text != NULL)
		secret_wipe(f->text, f->len);
	free(f->text);
	secret_free(f->c);
	*f = (struct credential_file){ 0 };
}

static int
purpose_refused(const struct credential *c, struct err *e)
{
	(void)err_set(e, ERR_RULE, "the vault credential is for %s, which the vault must agree to at once: that needs the "
	    "line and is not offered offline", c->purpose == PURPOSE_REPLACE ? "taking the place of an existing machine" :
	    "reading one machine's snapshots");
	return err_next(e, "For a new machine ask the operator of \"%s\" for a credential without --replace and "
	    "--restore-only; to restore, use a disk or the vault's directory with --kit.", c->vault_name);
}

static int
future_refused(const struct credential *c, int64_t now, struct err *e)
{
	char issued[HUMAN_MAX], here[HUMAN_MAX];

	(void)err_set(e, ERR_CRED_INVALID, "the vault credential comes from the future: it was issued %s, and here it is %s",
	    human_date(issued, c->issued), human_date(here, now));
	return err_next(e, "Set the clock of this machine; if it is right, ask the operator of \"%s\" to look at theirs.",
	    c->vault_name);
}

int
credential_judge(const struct credential *c, const char *machine, int64_t now, int online, struct err *e)
{
	char until[HUMAN_MAX], here[HUMAN_MAX], theirs[SAFE_NAME_MAX], ours[SAFE_NAME_MAX];

	if (machine != NULL && c->machine_name[0] != '\0' && strcmp(machine, c->machine_name) != 0) {
		(void)err_set(e, ERR_CRED_INVALID, "the vault credential is for the machine \"%s\", not for \"%s\"",
		    text_safe(theirs, sizeof(theirs), c->machine_name, strlen(c->machine_name)),
		    text_safe(ours, sizeof(ours), machine, strnlen(machine, NAME_MAX_LEN)));
		return err_next(e, "Leave out --machine, or ask the operator of \"%s\" for a credential for that name.",
		    c->vault_name);
	}
	if (c->issued > now && c->issued - now > CREDENTIAL_CLOCK_SLACK)
		return future_refused(c, now, e);
	if (now > c->use_by) {
		(void)err_set(e, ERR_CRED_EXPIRED, "the vault credential expired %s; here it is %s",
		    human_date(until, c->use_by), human_date(here, now));
		return err_next(e, "Ask the operator of the vault \"%s\" for a new one, or set this machine's clock if it is wrong.",
		    c->vault_name);
	}
	if (c->purpose == PURPOSE_RESTORE_ONLY) {
		(void)err_set(e, ERR_RULE, "the vault credential lets a computer read the snapshots of one machine; it registers none");
		return err_next(e, "Give it with that machine's recovery kit to the command that reads: --credential FILE --kit FILE.");
	}
	if (c->purpose == PURPOSE_REPLACE && !online)
		return purpose_refused(c, e);
	return 0;
}
