#include <stdio.h>
#include <stdlib.h>

#include "common/base/args.h"
#include "common/base/human.h"
#include "common/base/out.h"
#include "common/base/text.h"
#include "common/flow/keyring_get.h"
#include "verify/verify_common.h"

int
verify_keys_get(const struct args *a, const struct verify_keys *k, struct keyring **keys, struct err *e)
{
	struct err own;
	char *path;

	*keys = NULL;
	if (k->kit != NULL)
		return (*keys = keyring_get(k->kit, k->pass_file, NULL, e)) != NULL ? 0 : -1;
	if (k->without)
		return 0;
	err_clear(&own);
	if (args_state(a, &path, &own) != 0)
		return 0;
	*keys = keyring_get(NULL, NULL, path, &own);
	free(path);
	if (*keys == NULL && a->state != NULL) {	/* asked for by name: say why not */
		*e = own;
		return -1;
	}
	return 0;
}

void
verify_finding_print(void *arg, const struct finding *f)
{
	char where[2048], what[ERR_MSG_MAX + 512];
	struct out *o;

	(void)arg;
	(void)text_line(where, sizeof(where), f->where);
	(void)text_line(what, sizeof(what), f->what);
	out_text("%-10s  %s: %s\n", severity_text(f->severity), where, what);
	if (f->meaning[0] != '\0')
		out_text("            %s\n", f->meaning);
	o = out_object("finding");
	out_str(o, "severity", severity_text(f->severity));
	if (f->code != ERR_NONE) {
		char code[16];

		(void)snprintf(code, sizeof(code), "S-%d", (int)f->code);
		out_str(o, "code", code);
	}
	out_str(o, "where", f->where);
	out_str(o, "what", f->what);
	out_str(o, "meaning", f->meaning);
	out_emit(o);
}

static void
summary_emit(const struct verify_result *r, int64_t ns)
{
	static const char *const proof[] = { "quick", "digests", "opened" };
	struct out *o = out_object("summary");

	out_str(o, "name", r->name);
	out_str(o, "proof", proof[r->proof]);
	out_u64(o, "packs", r->packs);
	out_u64(o, "packs_read", r->packs_read);
	out_u64(o, "chunks", r->chunks);
	out_u64(o, "bad_chunks", r->bad_chunks);
	out_u64(o, "bytes", r->bytes);
	out_u64(o, "packs_repaired", r->packs_repaired);
	out_u64(o, "packs_not_repaired", r->packs_lost);
	out_u64(o, "records", r->records);
	out_u64(o, "snapshots", r->snapshots);
	out_u64(o, "snapshots_whole", r->snapshots_whole);
	out_u64(o, "entries", r->entries);
	out_u64(o, "files", r->files);
	out_u64(o, "notes", r->notes);
	out_u64(o, "repairable", r->repairable);
	out_u64(o, "lost", r->lost);
	out_u64(o, "ns", (uint64_t)ns);
	out_emit(o);
}

int
verify_result_print(const struct verify_result *r, int64_t ns)
{
	char size[HUMAN_MAX], rate[HUMAN_MAX], packs[HUMAN_MAX], chunks[HUMAN_MAX], n[HUMAN_MAX], m[HUMAN_MAX];

	out_text("%s: %s packs, %s chunks, %s read (%s)\n", r->name, human_count(packs, r->packs_read),
	    human_count(chunks, r->chunks), human_size(size, r->bytes), human_rate(rate, r->bytes, ns));
	out_text("snapshots   %s, %s of them whole here", human_count(n, r->snapshots), human_count(m, r->snapshots_whole));
	if (r->proof == PROOF_OPENED)
		out_text("; %s entries, %s files in their listings", human_count(n, r->entries), human_count(m, r->files));
	out_text("\nproof       %s\n", proof_text(r->proof));
	if (r->lost > 0)
		out_text("LOST        %s findings; each is named above\n", human_count(n, r->lost));
	if (r->repairable > 0)
		out_text("repairable  %s findings; nothing is lost by them\n", human_count(n, r->repairable));
	if (r->packs_repaired + r->packs_lost > 0)
		out_text("repaired    %s packs from parity, %s not whole in the copy either\n", human_count(n, r->packs_repaired),
		    human_count(m, r->packs_lost));
	if (r->lost == 0 && r->repairable == 0)
		out_text("No error found.\n");
	summary_emit(r, ns);
	return r->lost > 0 ? err_exit(ERR_DAMAGE) : 0;
}
