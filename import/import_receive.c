#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/out.h"
#include "common/base/text.h"
#include "common/flow/desk.h"
#include "common/flow/vault.h"
#include "common/flow/vault_status.h"
#include "import/import_commands.h"
#include "import/import_vault.h"

struct told {
	struct receive_options o;
	const struct vault *v;
	const char *disk;
	int dry_run;
	int exit;
	uint64_t received, refused;
};

static void
emit_result(const struct receive_result *r)
{
	struct out *j = out_object("disk");
	char missing[RECEIVE_MISSING_MAX * 12 + 1] = "";
	size_t at = 0;

	for (uint32_t i = 0; i < r->disks_missing && i < RECEIVE_MISSING_MAX; i++)
		at += (size_t)snprintf(missing + at, sizeof(missing) - at, "%s%u", i == 0 ? "" : " ", r->missing[i]);
	out_str(j, "image", r->short_name);
	out_bytes(j, "image_id", r->image_id, ID_LEN);
	out_u64(j, "disk", r->disk);
	out_name(j, "machine", r->machine_name, strlen(r->machine_name));
	out_name(j, "vault", r->vault_name, strlen(r->vault_name));
	out_bool(j, "received", r->refused == 0);
	out_bool(j, "unclaimed", r->unclaimed);
	out_name(j, "why", r->why, strlen(r->why));
	out_str(j, "manifest", r->manifest);
	out_bool(j, "registers", r->registers);
	out_bool(j, "again", r->again);
	out_name(j, "announced", r->announced, strlen(r->announced));
	out_bool(j, "other_parcel", r->other_parcel);
	out_str(j, "disk_state", r->disk_state == 0 ? "" : disk_state_text(r->disk_state));
	out_str(j, "image_state", r->image_state == 0 ? "" : image_state_text(r->image_state));
	out_u64(j, "disks", r->disks);
	out_u64(j, "disks_ingested", r->disks_in);
	out_u64(j, "disks_received", r->disks_here);
	out_u64(j, "disks_missing", r->disks_missing);
	out_str(j, "missing", missing);
	out_emit(j);
}

static void
print_refused(const struct told *t, const struct receive_result *r)
{
	char why[TEXT_MAX_LEN * 4 + 4];

	out_text("%s-%u  refused: %s.  Nothing of it enters the vault.\n", r->short_name, r->disk,
	    text_line(why, sizeof(why), r->why));
	if (r->unclaimed)
		out_text("        Compare its manifest string with the customer by telephone; then: samara-import claim %s %s\n",
		    t->v->path, r->short_name);
	else if (r->refused == ERR_RULE)
		out_text("        If it is to be taken in after all: samara-import reopen %s %s\n", t->v->path, r->short_name);
}

static void
print_missing(const struct receive_result *r)
{
	if (r->disks == 0) {
		out_text("        how many disks image %s has is not known yet: its manifest is on another disk\n", r->short_name);
		return;
	}
	out_text("        image %s: %u of %u disks are in", r->short_name, r->disks_in, r->disks);
	if (r->disks_here > 0)
		out_text(", %u here to be taken in", r->disks_here);
	if (r->disks_missing > 0)
		out_text(", still to come: ");
	for (uint32_t i = 0; i < r->disks_missing && i < RECEIVE_MISSING_MAX; i++)
		out_text("%s%s-%u", i == 0 ? "" : ", ", r->short_name, r->missing[i]);
	out_text("%s\n", r->disks_missing > RECEIVE_MISSING_MAX ? ", …" : "");
}

static void
print_received(const struct told *t, const struct receive_result *r)
{
	char machine[NAME_MAX_LEN * 4 + 4], announced[sizeof(r->announced) * 4];

	(void)text_safe(machine, sizeof(machine), r->machine_name, strlen(r->machine_name));
	out_text("%s-%u  of machine %s, for vault %s: %s\n", r->short_name, r->disk, machine, t->v->desc.name,
	    r->complete ? "all of it is in the vault already" : t->dry_run ? "would be received" :
	    r->again ? "is here already" : "received");
	if (r->other_parcel)
		out_text("        it was announced with another parcel: %s\n",
		    text_safe(announced, sizeof(announced), r->announced, strlen(r->announced)));
	if (r->registers)
		out_text("        the machine is not registered yet; its registration on this disk is good: it registers with "
		    "ingest\n");
	print_missing(r);
	if (!r->complete)
		out_text("        Next: samara-import ingest %s %s\n", t->v->path, t->disk);
}

static void
disk_done(void *arg, const struct receive_result *r)
{
	struct told *t = arg;

	emit_result(r);
	if (r->refused == 0) {
		t->received++;
		print_received(t, r);
		return;
	}
	t->refused++;
	print_refused(t, r);
	if (t->exit == 0)
		t->exit = err_exit((enum err_code)r->refused);
}

static void
emit_summary(const struct told *t)
{
	struct out *j = out_object("summary");

	out_u64(j, "received", t->received);
	out_u64(j, "refused", t->refused);
	out_bool(j, "dry_run", t->dry_run);
	out_emit(j);
}

static int
receive_into(void *arg, struct vault *v, const char *path, struct err *e)
{
	struct told *t = arg;

	t->v = v;
	return receive_disk(v, path, &t->o, disk_done, t, e);
}

/* Each disk for the vault that was named, or for those that its labels name. */
static int
receive_all(struct args *a, struct told *t, struct err *e)
{
	struct desk_vaults where = { .dir = import_vaults() };
	size_t first;

	if (import_disks(a, &where.vault, &first, e) != 0)
		return -1;
	t->o.only_own = where.vault == NULL;
	for (size_t i = first; i < a->n; i++) {
		t->disk = a->operands[i];
		if (desk_each_vault(&where, a->operands[i], receive_into, t, e) != 0)
			return -1;
	}
	return 0;
}

int
import_receive(struct args *a, struct err *e)
{
	struct told t = { .exit = 0 };
	const struct opt opts[] = {
		{ "tracking", 0, OPT_STR, &t.o.tracking, "NUMBER", "of the parcel that they came in" },
		{ "image", 0, OPT_STR, &t.o.image, "IMAGE", "only this image of those on the disk" },
		{ NULL, 0, 0, NULL, NULL, NULL }
	};
	int rc = args_parse(a, opts, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (t.o.tracking != NULL && (*t.o.tracking == '\0' || strlen(t.o.tracking) > 64))
		return err_set(e, ERR_USAGE, "--tracking takes a number of up to 64 characters");
	t.o.dry_run = t.dry_run = a->dry_run;
	if (receive_all(a, &t, e) != 0)
		return -1;
	emit_summary(&t);
	return t.exit;
}
