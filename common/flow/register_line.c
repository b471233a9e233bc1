/* Registering over the line: the vault agrees at once, or what was made here is taken back. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/flow/line.h"
#include "common/flow/registering.h"
#include "common/flow/state.h"

/* Did the vault say no, so that saying it again is of no use? */
static int
is_refusal(const struct err *e)
{
	switch (e->code) {
	case ERR_CRED_EXPIRED: case ERR_CRED_INVALID: case ERR_TOKEN: case ERR_RULE: case ERR_SIGNATURE: case ERR_FORMAT:
	case ERR_WRONG_VAULT: case ERR_CHUNK_SIZE: case ERR_NO_MACHINE: case ERR_NO_VAULT: case ERR_UNCLAIMED:
		return 1;
	default:
		return 0;
	}
}

/*
 * Nothing was built with these keys yet, and this process made them: the
 * identity goes first, so that from then on the directory is one that an
 * interrupted run left, over which the same command begins anew.
 */
static int
take_back(struct registering *r, struct err *e)
{
	int fd, rc = -1;

	if ((fd = dir_open(AT_FDCWD, r->o->state, e)) == -1)
		return -1;
	if (register_pending_write(r, fd, e) == 0) {
		rc = io->unlinkat(fd, "identity", 0) != 0 ? err_errno(e, "remove identity") : dir_sync(fd, NULL, e);
		(void)io->unlinkat(fd, "kit.note", 0);
	}
	(void)io->close(fd);
	if (rc == 0 && r->o->kit != NULL && io->unlinkat(AT_FDCWD, r->o->kit, 0) != 0)
		say_warn("the kit %s is good for nothing; remove it", r->o->kit);
	return rc;
}

int
register_contact(struct registering *r, struct err *e)
{
	struct line_options o = { .proxy = r->o->proxy };
	struct err undo;
	struct line *l;
	int rc = -1;

	if ((o.state = state_open(r->o->state, e)) == NULL)
		return -1;
	if ((l = line_open(&o, e)) != NULL) {
		rc = line_token(l, e);
		line_close(l);
	}
	state_free(o.state);
	if (rc == 0)
		return 0;
	if (!is_refusal(e)) {
		(void)err_during(e, "%s is registered here, and the vault does not know it yet", r->machine_name);
		(void)err_next(e, "samara-seed connection says what fails and tries again; the first disk brings the registration as well.");
		return 1;
	}
	err_clear(&undo);
	if (take_back(r, &undo) != 0)
		say_warn("what was registered here could not be taken back: %s", undo.msg);
	return err_during(e, "vault %s refuses", r->cred.c->vault_name);
}
