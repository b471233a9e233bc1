#include <stdio.h>
#include <string.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/out.h"
#include "common/base/text.h"
#include "common/check/finding.h"
#include "common/flow/custody_log.h"
#include "verify/verify_commands.h"
#include "verify/verify_common.h"

#define SECOND	INT64_C(1000000000)

static void
event_print(const struct custody *c)
{
	char when[HUMAN_MAX], who[HUMAN_MAX], disk[24] = "image", note[TEXT_MAX_LEN * 4 + 4];
	struct out *o = out_object("event");

	if (c->disk != 0)
		(void)snprintf(disk, sizeof(disk), "disk %u", c->disk);
	out_text("%-17s  %-7s %-8s  %-26s  %-8s  %s\n", human_date(when, c->time / SECOND), c->by_vault ? "vault" : "machine",
	    human_id(who, c->signer_id), custody_event_text(c->event), disk, text_line(note, sizeof(note), c->note));
	out_bytes(o, "image_id", c->image_id, ID_LEN);
	out_i64(o, "time_ns", c->time);
	out_str(o, "by", c->by_vault ? "vault" : "machine");
	out_bytes(o, "signer_id", c->signer_id, ID_LEN);
	out_bytes(o, "signer_key", c->signer_pub, SIGN_PUB_LEN);
	out_u64(o, "number", c->number);
	out_str(o, "event", custody_event_text(c->event));
	out_u64(o, "disk", c->disk);
	out_name(o, "note", c->note, strlen(c->note));
	out_emit(o);
}

/* A heading where another image begins. */
static void
log_print(const struct custody_log *l, uint64_t *events, uint64_t *images)
{
	const struct custody *c, *before = NULL;
	char id[HUMAN_MAX];

	for (size_t i = 0; (c = custody_log_at(l, i)) != NULL; before = c, i++) {
		if (before == NULL || memcmp(before->image_id, c->image_id, ID_LEN) != 0) {
			out_text("image %s\n", human_id(id, c->image_id));
			++*images;
		}
		event_print(c);
		++*events;
	}
}

static int
result_print(const struct custody_log *l, struct findings *found)
{
	uint64_t events = 0, images = 0, wrong = findings_count(found, SEV_LOST);
	char n[HUMAN_MAX];
	struct out *o;

	log_print(l, &events, &images);
	if (wrong > 0)
		out_text("WRONG       %s findings; each is named above\n", human_count(n, wrong));
	else
		out_text("%s events: each is signed and follows the one before it.\n", human_count(n, events));
	o = out_object("summary");
	out_u64(o, "images", images);
	out_u64(o, "events", events);
	out_u64(o, "notes", findings_count(found, SEV_NOTE));
	out_u64(o, "lost", wrong);
	out_emit(o);
	return wrong > 0 ? err_exit(ERR_DAMAGE) : 0;
}

int
verify_custody_cmd(struct args *a, struct err *e)
{
	const struct opt opts[] = { { 0 } };
	struct custody_log *l = NULL;
	struct findings *found = NULL;
	int rc = args_parse(a, opts, e);

	if (rc != 0)
		return rc == 1 ? 0 : -1;
	if (args_operands(a, 1, 4096, e) != 0)
		return -1;
	if ((l = custody_log_new()) == NULL || (found = findings_new(verify_finding_print, NULL)) == NULL)
		rc = err_errno(e, "custody log");
	for (size_t i = 0; i < a->n && rc == 0; i++)
		rc = custody_log_read(l, found, a->operands[i], e);
	if (rc == 0) {
		custody_log_check(l, found);
		rc = result_print(l, found);
	}
	findings_free(found);
	custody_log_free(l);
	return rc;
}
