#include <stdio.h>
#include <string.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/out.h"
#include "common/flow/vault_status.h"
#include "import/import_commands.h"
#include "import/import_vault.h"

/* What needs a hand, as it is found: it comes first. */
static void
print_attention(void *arg, const struct attention *a)
{
	struct out *j = out_object("attention");

	(void)arg;
	out_text("attention   %s\n            %s\n", a->what, a->next);
	out_str(j, "kind", a->kind);
	out_str(j, "what", a->what);
	out_str(j, "next", a->next);
	if (a->image_id != NULL)
		out_bytes(j, "image_id", a->image_id, ID_LEN);
	if (a->machine_id != NULL)
		out_bytes(j, "machine_id", a->machine_id, ID_LEN);
	out_emit(j);
}

static void
print_summary(const struct vault *v, const struct vault_status *s)
{
	char bytes[HUMAN_MAX], room[HUMAN_MAX], when[HUMAN_MAX];
	const char *word = !s->active ? "Not active" : s->attention > 0 ? "Active, attention" : "Active";
	struct out *j = out_object("summary");

	out_text("vault       %s: %s\n", v->desc.name, word);
	out_text("machines    %llu\nimages      %llu, %llu disk%s to come\n", (unsigned long long)s->machines,
	    (unsigned long long)s->images, (unsigned long long)s->disks_expected, s->disks_expected == 1 ? "" : "s");
	out_text("snapshots   %llu whole, %llu pending, %llu with a gap%s\n", (unsigned long long)s->whole,
	    (unsigned long long)s->pending, (unsigned long long)s->gap, s->unknown > 0 ? ", others being looked at" : "");
	out_text("holds       %s in %llu packs; %s free\n", human_size(bytes, s->bytes), (unsigned long long)s->packs,
	    human_size(room, s->room));
	if (s->deleted > 0 || s->is_protected > 0)
		out_text("deleted     %llu snapshots, to be undeleted for 14 days; protected %llu\n", (unsigned long long)s->deleted,
		    (unsigned long long)s->is_protected);
	if (s->collected != 0)
		out_text("collected   last %s; %s in %llu packs so far\n", human_date(when, s->collected / 1000000000),
		    human_size(bytes, s->collected_bytes), (unsigned long long)s->collected_packs);
	out_str(j, "vault", v->desc.name);
	out_bytes(j, "vault_id", v->desc.vault_id, ID_LEN);
	out_bool(j, "active", s->active);
	out_u64(j, "attention", s->attention);
	out_u64(j, "machines", s->machines);
	out_u64(j, "images", s->images);
	out_u64(j, "disks_expected", s->disks_expected);
	out_u64(j, "snapshots_whole", s->whole);
	out_u64(j, "snapshots_pending", s->pending);
	out_u64(j, "snapshots_gap", s->gap);
	out_u64(j, "snapshots_unknown", s->unknown);
	out_u64(j, "packs", s->packs);
	out_u64(j, "bytes", s->bytes);
	out_u64(j, "room", s->room);
	out_u64(j, "snapshots_deleted", s->deleted);
	out_u64(j, "snapshots_protected", s->is_protected);
	out_u64(j, "sessions", s->sessions);
	out_u64(j, "collections", s->collections);
	out_i64(j, "collected", s->collected / 1000000000);
	out_u64(j, "collected_packs", s->collected_packs);
	out_u64(j, "collected_bytes", s->collected_bytes);
	out_u64(j, "records", s->records);
	out_u64(j, "key_copies", (uint64_t)s->key_copies);
	out_emit(j);
}

int
import_status(struct args *a, struct err *e)
{
	const struct opt opts[] = { { NULL, 0, 0, NULL, NULL, NULL } };
	struct vault_status s;
	const char *path;
	struct vault *v;
	int rc = args_parse(a, opts, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (args_operands(a, 0, 1, e) != 0 || import_vault(a, 0, &path, e) < 0 ||
	    (v = vault_open(path, VAULT_NO_KEY, e)) == NULL)
		return -1;
	if ((rc = vault_status(v, &s, print_attention, NULL, e)) == 0) {
		print_summary(v, &s);
		rc = s.attention > 0 || !s.active;
	}
	vault_close(v);
	return rc;
}
