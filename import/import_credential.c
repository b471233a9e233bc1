#include <string.h>

#include "common/base/args.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/out.h"
#include "common/base/secret.h"
#include "common/base/text.h"
#include "common/flow/new_file.h"
#include "common/flow/vault_credential.h"
#include "import/import_commands.h"
#include "import/import_vault.h"

#define TRIES	100

/* Write the file: where it was asked for, or under the next free name made of vault and day. */
static int
file_write(const char *out, const struct credential *c, const struct buf *text, char name[CREDENTIAL_NAME_MAX],
    const char **written, struct err *e)
{
	struct err mine;

	if (out != NULL) {
		*written = out;
		return new_file_put(out, text->p, text->len, e);
	}
	*written = name;
	for (unsigned n = 1; n <= TRIES; n++) {
		credential_file_name(c, n, name);
		err_clear(&mine);
		if (new_file_put(name, text->p, text->len, &mine) == 0)
			return 0;
		if (mine.code != ERR_EXISTS)
			break;
	}
	if (e != NULL)
		*e = mine;
	return -1;
}

static void
issued_print(const struct credential *c, const char *file)
{
	char by[HUMAN_MAX], arrive[HUMAN_MAX], safe[NAME_MAX_LEN * 4 + 4];
	struct out *j = out_object("summary");

	(void)human_date(by, c->use_by);
	(void)human_date(arrive, c->arrive_by);
	(void)text_safe(safe, sizeof(safe), c->machine_name, strlen(c->machine_name));
	out_text("credential for %s: %s\n", c->machine_name[0] != '\0' ? safe : "one machine of any name", file);
	out_text("use it by %s; what is registered with it must have come by %s\n", by, arrive);
	out_text("Older unused credentials %s%s are no longer good for registering by line.\n",
	    c->machine_name[0] != '\0' ? "for " : "of this vault", c->machine_name[0] != '\0' ? safe : "");
	out_name(j, "file", file, strlen(file));
	out_bytes(j, "credential_id", c->credential_id, ID_LEN);
	out_str(j, "vault", c->vault_name);
	out_name(j, "machine", c->machine_name, strlen(c->machine_name));
	out_i64(j, "use_by", c->use_by);
	out_i64(j, "arrive_by", c->arrive_by);
	out_emit(j);
}

/* Issue it and write its file. */
static int
issue(struct vault *v, const struct credential_order *o, const char *out, struct err *e)
{
	struct credential *c = secret_new(sizeof(*c));
	char name[CREDENTIAL_NAME_MAX];
	const char *written;
	struct buf text;
	int rc;

	buf_init(&text);
	if ((rc = vault_credential(v, o, c, e)) == 0 && (rc = credential_text(v, c, &text, e)) == 0 &&
	    (rc = file_write(out, c, &text, name, &written, e)) == 0)
		issued_print(c, written);
	if (text.p != NULL)
		secret_wipe(text.p, text.len);
	buf_release(&text);
	secret_free(c);
	return rc;
}

int
import_credential(struct args *a, struct err *e)
{
	struct credential_order o = { .purpose = PURPOSE_NEW };
	uint64_t valid = (uint64_t)CREDENTIAL_VALID, arrives = (uint64_t)CREDENTIAL_ARRIVES;
	int replace = 0, restore_only = 0, used, rc;
	const char *out = NULL, *path;
	const struct opt opts[] = {
		{ "replace", 0, OPT_FLAG, &replace, NULL, "the machine takes the place of the one of that name" },
		{ "restore-only", 0, OPT_FLAG, &restore_only, NULL, "it may only read that machine's snapshots" },
		{ "out", 0, OPT_STR, &out, "FILE", "where to write it; by default a name made of vault and date" },
		{ "valid", 0, OPT_DURATION, &valid, "TIME", "for how long it can be used (48h)" },
		{ "arrives-by", 0, OPT_DURATION, &arrives, "TIME", "for how long its registration may travel (90d)" },
		{ NULL, 0, 0, NULL, NULL, NULL }
	};
	struct vault *v;

	if ((rc = args_parse(a, opts, e)) != 0)
		return rc < 0 ? -1 : 0;
	if (args_operands(a, 0, 2, e) != 0 || (used = import_vault(a, 1, &path, e)) < 0)
		return -1;
	if (a->n > (size_t)used)
		o.machine = a->operands[used];
	if (replace && restore_only)
		return err_set(e, ERR_USAGE, "--replace and --restore-only exclude each other");
	if (valid == 0 || valid > 366 * 86400 || arrives < valid || arrives > UINT64_C(3660) * 86400)
		return err_set(e, ERR_USAGE, "a credential is good for up to a year, and what it registers arrives later than that "
		    "time ends and within ten years");
	o.purpose = replace ? PURPOSE_REPLACE : restore_only ? PURPOSE_RESTORE_ONLY : PURPOSE_NEW;
	o.valid = (int64_t)valid;
	o.arrives_by = (int64_t)arrives;
	if (out != NULL && new_file_check(out, e) != 0)
		return -1;
	if ((v = vault_open(path, 0, e)) == NULL)
		return -1;
	if (a->dry_run) {
		out_text("a credential of vault %s would be issued\n", v->desc.name);
		rc = 0;
	} else {
		rc = issue(v, &o, out, e);
	}
	vault_close(v);
	return rc;
}
