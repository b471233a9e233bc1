#include <string.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/out.h"
#include "common/base/text.h"
#include "common/flow/retain.h"
#include "common/flow/vault_machine.h"
#include "import/import_commands.h"
#include "import/import_vault.h"

static const struct {
	const char *is, *would, *was;
} words[] = {
	[RETAIN_DELETE] = { "is deleted", "would be deleted", "was deleted before" },
	[RETAIN_UNDELETE] = { "is deleted no more", "would be deleted no more", "was not deleted" },
	[RETAIN_PROTECT] = { "is protected", "would be protected", "was protected before" },
	[RETAIN_UNPROTECT] = { "is protected no more", "would be protected no more", "was not protected" },
};

static void
retained_print(struct vault *v, const struct cat_snapshot *s, enum retain_act act, int before, int dry_run)
{
	char name[TEXT_MAX_LEN * 4 + 4] = "?", left[HUMAN_MAX];
	struct out *j = out_object("summary");
	struct cat_machine m;

	if (vault_machine(v, s->machine_id, &m, NULL) == 0)
		(void)text_safe(name, sizeof(name), m.name, strlen(m.name));
	out_text("snapshot %s/%lld %s.\n", name, (long long)s->seq, before ? words[act].was : dry_run ? words[act].would : words[act].is);
	if (act == RETAIN_DELETE && !dry_run)
		out_text("It can be undeleted for another %s; its chunks go with the first samara-import gc after that.\n",
		    human_duration(left, retain_left(v, s) * INT64_C(1000000000)));
	out_name(j, "machine", name, strlen(name));
	out_bytes(j, "machine_id", s->machine_id, ID_LEN);
	out_i64(j, "number", s->seq);
	out_bytes(j, "snapshot_id", s->id, ID_LEN);
	out_bool(j, "deleted", s->deleted != 0);
	out_bool(j, "protected", s->is_protected != 0);
	if (s->deleted != 0)
		out_i64(j, "undelete_left", retain_left(v, s));
	out_bool(j, "before", before);
	out_bool(j, "dry_run", dry_run);
	out_emit(j);
}

static int
retain(struct args *a, enum retain_act act, struct err *e)
{
	const char *path, *reason = "";
	const struct opt opts[] = {
		{ "reason", 0, OPT_STR, &reason, "TEXT", "why; goes into the record" },
		{ NULL, 0, 0, NULL, NULL, NULL }
	};
	struct cat_snapshot s;
	struct vault *v;
	int rc = args_parse(a, opts, e), used;

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (args_operands(a, 1, 2, e) != 0 || (used = import_vault(a, 1, &path, e)) < 0)
		return -1;
	if (a->n <= (size_t)used)
		return err_set(e, ERR_USAGE, "no snapshot was named");
	if ((v = vault_open(path, 0, e)) == NULL)
		return -1;
	if ((rc = retain_decide(v, a->operands[used], act, reason, a->dry_run, &s, e)) >= 0)
		retained_print(v, &s, act, rc, a->dry_run);
	vault_close(v);
	return rc < 0 ? -1 : 0;
}

int
import_delete(struct args *a, struct err *e)
{
	return retain(a, RETAIN_DELETE, e);
}

int
import_undelete(struct args *a, struct err *e)
{
	return retain(a, RETAIN_UNDELETE, e);
}

int
import_protect(struct args *a, struct err *e)
{
	return retain(a, RETAIN_PROTECT, e);
}

int
import_unprotect(struct args *a, struct err *e)
{
	return retain(a, RETAIN_UNPROTECT, e);
}
