#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/log.h"
#include "common/base/out.h"
#include "common/base/passphrase.h"
#include "common/base/text.h"
#include "common/crypto/slots.h"
#include "common/flow/build.h"
#include "common/flow/image_state.h"
#include "common/flow/kit_file.h"
#include "common/flow/new_file.h"
#include "common/flow/state.h"
#include "seed/seed_commands.h"
#include "seed/seed_state.h"

#define SAFE_NAME_MAX	(NAME_MAX_LEN * 4 + 4)

static int
passphrase_ask(const struct state *s, const char *file, struct passphrase *p, struct err *e)
{
	char purpose[SAFE_NAME_MAX + 32], safe[SAFE_NAME_MAX];

	(void)snprintf(purpose, sizeof(purpose), "passphrase of machine %s",
	    text_safe(safe, sizeof(safe), s->id.machine_name, strlen(s->id.machine_name)));
	return passphrase_get(p, file, purpose, 0, e);
}

/* --- key list --- */

static const char *
slot_word(unsigned type)
{
	static const char *const words[] = { "?", "passphrase", "recovery key", "recipient", "local" };

	return words[type <= SLOT_LOCAL ? type : 0];
}

static void
slot_print(const struct slot *sl)
{
	char hex[2 * sizeof(sl->slot_id) + 1], label[sizeof(sl->label) * 4 + 4], date[HUMAN_MAX];
	const char *text = (const char *)sl->label;
	struct out *o;

	(void)text_safe(label, sizeof(label), text, strnlen(text, sizeof(sl->label)));
	out_text("%s  %-12s  %-18s  %s\n", text_hex(hex, sl->slot_id, sizeof(sl->slot_id)), slot_word(sl->type),
	    human_date(date, sl->created), label);
	o = out_object("slot");
	out_bytes(o, "id", sl->slot_id, sizeof(sl->slot_id));
	out_str(o, "kind", slot_word(sl->type));
	out_i64(o, "created", sl->created);
	out_name(o, "label", text, strnlen(text, sizeof(sl->label)));
	out_emit(o);
}

static int
slots_print(const struct state *s, struct err *e)
{
	struct slot_header h;
	struct slot sl;
	struct out *o;
	bool local;
	enum fmt_status st = schema_decode(&slot_header_schema, &h, s->slots_bytes, s->slots_len);

	if (st != FMT_OK)
		return err_set(e, ERR_STATE, "slots: %s", fmt_status_text(st));
	for (size_t i = 0; i < list_count(h.slots, SLOT_LEN); i++)
		if (element_get(slot_fields, slot_nfields, h.slots, i, &sl) == FMT_OK)
			slot_print(&sl);
	local = state_keeps_key(s);
	out_text("%s\n", local ? "This machine keeps a key of its own and asks only to seal an image and for key commands." :
	    "This machine keeps no key: every job asks.");
	o = out_object("summary");
	out_u64(o, "slots", list_count(h.slots, SLOT_LEN));
	out_u64(o, "generation", h.generation);
	out_bool(o, "local", local);
	out_emit(o);
	return 0;
}

int
seed_key_list(struct args *a, struct err *e)
{
	const struct opt opts[] = { { NULL } };
	struct state *s;
	int rc;

	if ((rc = args_parse(a, opts, e)) != 0)
		return rc > 0 ? 0 : -1;
	if (args_operands(a, 0, 0, e) != 0 || (s = seed_state_open(a, e)) == NULL)
		return -1;
	rc = slots_print(s, e);
	state_free(s);
	return rc;
}

/* --- key kit --- */

/* A kit is worth something only with a passphrase that opens it: show that first. */
static int
kit_try(struct state *s, const char *file, struct err *e)
{
	struct slot_secret how = { .type = SLOT_PASSPHRASE };
	struct domain_keys *k;
	struct passphrase p;

	if (passphrase_ask(s, file, &p, e) != 0)
		return -1;
	how.pass = p.text;
	how.pass_len = p.len;
	k = state_keys_with(s, &how, e);
	passphrase_release(&p);
	domain_keys_free(k);
	return k != NULL ? 0 : -1;
}

static int
kit_write(struct state *s, const char *kit, const char *file, int dry_run, struct err *e)
{
	struct out *o;
	bool inside = false;

	if (new_file_check(kit, e) != 0 || kit_try(s, file, e) != 0)
		return -1;
	if (!dry_run && kit_save(s, kit, &inside, e) != 0)
		return -1;
	if (inside)
		say_warn("the recovery kit lies in the state directory and would be lost with this machine: copy it somewhere "
		    "else.");
	out_text("recovery kit %s %s\n", dry_run ? "would be written to" : "written to", kit);
	o = out_object("summary");
	out_name(o, "kit", kit, strlen(kit));
	out_bool(o, "inside_state", inside);
	out_bool(o, "dry_run", dry_run);
	out_emit(o);
	return 0;
}

int
seed_key_kit(struct args *a, struct err *e)
{
	const char *kit = NULL, *file = NULL;
	const struct opt opts[] = {
		{ "kit", 0, OPT_STR, &kit, "FILE", "write the recovery kit to the new FILE" },
		{ "passphrase-file", 0, OPT_STR, &file, "FILE", "take the passphrase from the first line of FILE" },
		{ NULL },
	};
	struct state *s;
	int rc;

	if ((rc = args_parse(a, opts, e)) != 0)
		return rc > 0 ? 0 : -1;
	if (args_operands(a, 0, 0, e) != 0)
		return -1;
	if (kit == NULL)
		return err_set(e, ERR_USAGE, "say where the recovery kit goes: --kit FILE");
	if ((s = seed_state_open(a, e)) == NULL)
		return -1;
	rc = kit_write(s, kit, file, a->dry_run, e);
	state_free(s);
	return rc;
}

/* --- key test --- */

/* The one image that it could be about: the unfinished one, else the only one that is sealed. */
static int
image_guess(struct state *s, char name[SHORT_LEN + 1], struct err *e)
{
	struct image_state **images;
	size_t n, building = 0, sealed = 0;
	char unfinished[SHORT_LEN + 1] = "";

	if (seed_images_load(s, &images, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (images[i]->cancelled)
			continue;
		if (!image_is_unfinished(images[i])) {
			sealed++;
			memcpy(name, images[i]->begin.short_name, SHORT_LEN + 1);
		} else {
			building++;
			memcpy(unfinished, images[i]->begin.short_name, SHORT_LEN + 1);
		}
	}
	seed_images_free(images, n);
	if (building == 1)
		memcpy(name, unfinished, SHORT_LEN + 1);
	if (building == 1 || (building == 0 && sealed == 1))
		return 0;
	if (building + sealed == 0)
		return err_set(e, ERR_NO_IMAGE, "there is no image to test");
	return err_set(e, ERR_USAGE, "there are several images: say which");
}

static void
test_print(const struct build_report *r, bool sealed_now)
{
	char digest[HUMAN_MAX], safe[2 * ID_LEN + 1];
	struct out *o;

	(void)human_digest(digest, r->manifest_digest);
	out_text("image %s: a chunk from the disk opens with the passphrase%s.\nmanifest %s\n", r->short_name,
	    sealed_now ? "; the image is sealed" : "", digest);
	o = out_object("summary");
	out_str(o, "image", r->short_name);
	out_bool(o, "sealed", r->sealed);
	out_bool(o, "sealed_now", sealed_now);
	out_str(o, "manifest", digest);
	out_str(o, "snapshot_id", text_hex(safe, r->snapshot_id, ID_LEN));
	out_emit(o);
}

static int
test_run(struct state *s, const char *name, const struct opt_list *from, const char *file, struct err *e)
{
	struct build_report r = { 0 };
	struct image_state *im;
	struct passphrase p;
	bool was_sealed;
	int rc;

	if ((im = image_state_load(s, name, NULL, NULL, e)) == NULL)
		return -1;
	was_sealed = !image_is_unfinished(im);
	image_state_free(im);
	if (passphrase_ask(s, file, &p, e) != 0)
		return -1;
	rc = build_seal(s->path, name, (const char *const *)from->v, from->n, p.text, p.len, &r, e);
	passphrase_release(&p);
	if (rc == 0)
		test_print(&r, !was_sealed);
	return rc;
}

int
seed_key_test(struct args *a, struct err *e)
{
	const char *file = NULL;
	struct opt_list from = { 0 };
	const struct opt opts[] = {
		{ "from", 0, OPT_LIST, &from, "DISK", "a disk of the image" },
		{ "passphrase-file", 0, OPT_STR, &file, "FILE", "take the passphrase from the first line of FILE" },
		{ NULL },
	};
	char name[SHORT_LEN + 1] = "";
	struct state *s;
	int rc;

	if ((rc = args_parse(a, opts, e)) != 0)
		return rc > 0 ? 0 : -1;
	if (args_operands(a, 0, 1, e) != 0)
		return -1;
	if (from.n == 0)
		return err_set(e, ERR_USAGE, "say where the disk is mounted: --from DISK");
	if ((s = seed_state_open(a, e)) == NULL)
		return -1;
	if (a->n == 1)
		rc = test_run(s, a->operands[0], &from, file, e);
	else if ((rc = image_guess(s, name, e)) == 0)
		rc = test_run(s, name, &from, file, e);
	state_free(s);
	return rc;
}
