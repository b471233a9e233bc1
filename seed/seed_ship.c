#include <stdlib.h>
#include <string.h>

#include "common/base/args.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/out.h"
#include "common/flow/new_file.h"
#include "common/flow/parcel.h"
#include "common/flow/state.h"
#include "seed/seed_commands.h"
#include "seed/seed_line.h"
#include "seed/seed_state.h"

struct shipping {
	struct ship_options o;
	struct ship_result r;
	const char *arrives, *address, *slip, *announce;
	char *address_read;		/* from a file */
	struct buf text;
};

/* --return-address is a text, or a file with one. */
static int
address_take(struct shipping *h, struct err *e)
{
	struct stat st;
	uint8_t *bytes;
	size_t len;

	if (h->address == NULL)
		return 0;
	h->o.address = h->address;
	if (io->fstatat(AT_FDCWD, h->address, &st, 0) != 0 || !S_ISREG(st.st_mode))
		return 0;
	if (file_read(AT_FDCWD, h->address, PARCEL_ADDRESS_MAX, &bytes, &len, e) != 0)
		return err_during(e, "return address");
	h->address_read = (char *)bytes;
	while (len > 0 && bytes[len - 1] == '\n')
		bytes[--len] = 0;
	if (strlen(h->address_read) != len)
		return err_set(e, ERR_USAGE, "the return address in %s is no text", h->address);
	h->o.address = h->address_read;
	return 0;
}

/* What is to be written can be written, and the words are words: before anything is recorded. */
static int
shipping_check(struct shipping *h, int dry_run, struct err *e)
{
	h->o.dry_run = dry_run != 0;
	if (h->arrives != NULL && parcel_date(h->arrives, &h->o.arrives, e) != 0)
		return err_during(e, "--arrives");
	if (address_take(h, e) != 0)
		return -1;
	if (h->slip != NULL && new_file_check(h->slip, e) != 0)
		return err_during(e, "packing slip");
	if (h->announce != NULL && new_file_check(h->announce, e) != 0)
		return err_during(e, "announcement");
	return 0;
}

static int
files_write(struct shipping *h, struct state *s, struct err *e)
{
	struct buf b;
	int rc = 0;

	if (h->o.dry_run)
		return 0;
	if (h->slip != NULL && new_file_put(h->slip, h->text.p, h->text.len, e) != 0)
		return err_during(e, "packing slip");
	if (h->announce == NULL)
		return 0;
	buf_init(&b);
	if (!h->r.shipped)
		rc = err_set(e, ERR_USAGE, "there is no parcel to announce: give --carrier and --tracking");
	else if ((rc = parcel_announce(s, &h->r.parcel, &b, e)) == 0)
		rc = new_file_put(h->announce, b.p, b.len, e);
	buf_release(&b);
	return rc == 0 ? 0 : err_during(e, "announcement");
}

static void
shipped_print(const struct shipping *h, int told)
{
	const struct ship_result *r = &h->r;
	char words[PARCEL_WORDS_MAX];
	struct out *o = out_object("summary");

	out_text("%.*s", (int)h->text.len, (const char *)h->text.p);
	if (!r->shipped)
		out_text("image %s is not recorded as shipped: --carrier and --tracking are missing.\n"
		    "Next: samara-seed ship %s --carrier C --tracking T --arrives DATE\n", r->short_name, r->short_name);
	else
		out_text("image %s %s: %s\n", r->short_name, !r->recorded ? "is in its parcel, as it was" : h->o.dry_run ?
		    "would be in the parcel" : r->corrected ? "is in the parcel, corrected" : "is in the parcel",
		    parcel_words(words, r->parcel.shipped, r->parcel.arrives, r->parcel.carrier, r->parcel.tracking));
	if (r->shipped && told)
		out_text("The vault knows what is on its way; backups go on over the line: samara-seed backup\n");
	else if (r->shipped && h->announce == NULL)
		out_text("The vault can be told by mail: samara-seed ship %s --announce FILE\n", r->short_name);
	out_str(o, "image", r->short_name);
	out_bool(o, "shipped", r->shipped);
	out_bool(o, "recorded", r->recorded && !h->o.dry_run);
	out_bool(o, "corrected", r->corrected);
	out_bool(o, "told", told);
	if (r->shipped) {
		out_name(o, "carrier", r->parcel.carrier, strlen(r->parcel.carrier));
		out_name(o, "tracking", r->parcel.tracking, strlen(r->parcel.tracking));
		out_i64(o, "shipped_at", r->parcel.shipped);
		out_i64(o, "arrives", r->parcel.arrives);
	}
	out_name(o, "slip", h->text.p, h->text.len);
	out_bool(o, "dry_run", h->o.dry_run);
	out_emit(o);
}

static int
ship(struct shipping *h, struct state *s, const char *name, struct err *e)
{
	int told;

	if (h->announce != NULL && h->o.dry_run)
		h->announce = NULL;
	if (ship_image(s, name, &h->o, &h->r, e) != 0 ||
	    parcel_slip(s, h->r.short_name, &h->r, h->o.address, &h->text, e) != 0)
		return -1;
	if (files_write(h, s, e) != 0)
		return -1;
	told = h->o.dry_run ? 0 : seed_line_tell(s, "what is on its way");
	shipped_print(h, told);
	return 0;
}

int
seed_ship(struct args *a, struct err *e)
{
	struct shipping h = { .arrives = NULL };
	const struct opt opts[] = {
		{ "carrier", 0, OPT_STR, &h.o.carrier, "C", "who carries the parcel" },
		{ "tracking", 0, OPT_STR, &h.o.tracking, "T", "the parcel's number; one image, one parcel" },
		{ "arrives", 0, OPT_STR, &h.arrives, "DATE", "the day it is due: 2026-11-16" },
		{ "return-address", 0, OPT_STR, &h.address, "TEXT|FILE", "where the disks go back to" },
		{ "slip", 0, OPT_STR, &h.slip, "FILE", "write the packing slip there too" },
		{ "announce", 0, OPT_STR, &h.announce, "FILE", "a signed text to mail to the vault's operator" },
		{ NULL },
	};
	struct state *s = NULL;
	int rc;

	if ((rc = args_parse(a, opts, e)) != 0)
		return rc > 0 ? 0 : -1;
	if (args_operands(a, 0, 1, e) != 0)
		return -1;
	buf_init(&h.text);
	rc = shipping_check(&h, a->dry_run, e);
	if (rc == 0 && (s = seed_state_open(a, e)) == NULL)
		rc = -1;
	if (rc == 0)
		rc = ship(&h, s, a->n > 0 ? a->operands[0] : NULL, e);
	state_free(s);
	buf_release(&h.text);
	free(h.address_read);
	return rc;
}
