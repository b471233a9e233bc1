/* The paper that goes into the parcel. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/human.h"
#include "common/base/text.h"
#include "common/crypto/sign.h"
#include "common/flow/image_state.h"
#include "common/flow/parcel.h"
#include "common/flow/state.h"

#define WIDTH	80
#define INDENT	12
#define SAFE	(PARCEL_ADDRESS_MAX * 4 + 4)

/* The bytes of ${text} that fit into ${columns}: up to a blank where there is one, never within a character. */
static size_t
line_fit(const char *text, size_t columns)
{
	size_t n = 0, blank = 0, at = 0;

	while (text[at] != '\0') {
		if (((unsigned char)text[at] & 0xc0) != 0x80 && n++ == columns)
			return blank > 0 ? blank : at;
		if (text[at] == ' ')
			blank = at;
		at++;
	}
	return at;
}

/* "LABEL       text", text going on below itself where it is long. */
static void
field(struct buf *out, const char *label, const char *text)
{
	do {
		size_t n = line_fit(text, WIDTH - INDENT);

		buf_print(out, "%-*s%.*s\n", INDENT, label, (int)n, text);
		label = "";
		for (text += n; *text == ' '; text++)
			;
	} while (*text != '\0');
}

static void
field_safe(struct buf *out, const char *label, const char *text)
{
	char safe[SAFE];

	field(out, label, text_safe(safe, sizeof(safe), text, strlen(text)));
}

/* The serial number of disk ${number}, as the custody log noted it when the disk was closed; "" if it did not. */
static void
serial_find(const struct image_state *im, uint32_t number, char out[TEXT_MAX_LEN + 1])
{
	static const char word[] = "serial ";
	char **names, path[64];
	struct custody c;
	uint8_t *bytes;
	size_t n, len;

	out[0] = '\0';
	if (dir_list(im->fd, "custody", &names, &n, NULL) != 0)
		return;
	for (size_t i = 0; i < n; i++) {
		(void)snprintf(path, sizeof(path), "custody/%.16s", names[i]);
		if (file_read(im->fd, path, SMALL_STATEMENT_MAX, &bytes, &len, NULL) != 0)
			continue;
		if (schema_decode(&custody_schema, &c, bytes, len) == FMT_OK && c.event == CUSTODY_CLOSED && c.disk == number &&
		    strncmp(c.note, word, sizeof(word) - 1) == 0)
			(void)snprintf(out, TEXT_MAX_LEN + 1, "%.240s", c.note + sizeof(word) - 1);
		free(bytes);
	}
	dir_list_free(names, n);
}

static void
disks_print(const struct image_state *im, struct buf *out)
{
	char name[32], size[HUMAN_MAX], serial[TEXT_MAX_LEN + 1], line[512], label[32] = "Disks";

	for (size_t i = 0; i < im->ndisks; i++) {
		const struct image_disk *d = &im->disks[i];

		if (d->gone)
			continue;
		serial_find(im, d->label.disk, serial);
		(void)snprintf(name, sizeof(name), "%s-%u", im->begin.short_name, d->label.disk);
		(void)snprintf(line, sizeof(line), "%-9s %10s   %s", name, human_size(size, d->pack_bytes), serial[0] != '\0' ? serial :
		    "serial number: ______________________");
		field_safe(out, label, line);
		label[0] = '\0';
	}
}

static void
address_print(const char *address, struct buf *out)
{
	const char *label = "Return to";
	char line[PARCEL_ADDRESS_MAX + 1];

	if (address == NULL || *address == '\0') {
		field(out, label, "________________________________________________");
		return;
	}
	while (*address != '\0') {
		size_t n = strcspn(address, "\n");

		(void)snprintf(line, sizeof(line), "%.*s", (int)n, address);
		if (n > 0)
			field_safe(out, label, line);
		label = "";
		address += n + (address[n] == '\n');
	}
}

static void
image_lines(const struct state *s, const struct image_state *im, struct buf *out)
{
	char line[512], manifest[HUMAN_MAX], key[HUMAN_MAX], size[HUMAN_MAX], when[HUMAN_MAX];
	uint8_t digest[DIGEST_LEN];
	unsigned disks = image_disks_live(im);

	statement_digest(&manifest_schema, im->manifest_bytes, im->manifest_len, digest);
	field_safe(out, "To vault", s->trust.vault_name);
	field_safe(out, "Machine", s->id.machine_name);
	(void)snprintf(line, sizeof(line), "%s   (fingerprint of its key)", human_digest(key, s->machine_pub));
	field(out, "", line);
	(void)snprintf(line, sizeof(line), "%s, %u disk%s, %s, sealed %s", im->begin.short_name, disks, disks == 1 ? "" : "s",
	    human_size(size, im->pack_bytes), human_date(when, im->manifest.sealed));
	field(out, "Image", line);
	(void)snprintf(line, sizeof(line), "%s   (read this out on the phone)", human_digest(manifest, digest));
	field(out, "Manifest", line);
}

static void
slip(const struct state *s, const struct image_state *im, const struct ship_result *r, const char *address, struct buf *out)
{
	char words[PARCEL_WORDS_MAX], line[WIDTH + 1];
	const struct parcel *p = &r->parcel;

	memset(line, '-', WIDTH);
	line[WIDTH] = '\0';
	buf_print(out, "SAMARA PACKING SLIP%*s\n%s\n", WIDTH - 19, im->begin.short_name, line);
	image_lines(s, im, out);
	if (r->shipped)
		field(out, "Parcel", parcel_words(words, p->shipped, p->arrives, p->carrier, p->tracking));
	else
		field(out, "Parcel", "______________________   number: ______________________");
	buf_str(out, "\n");
	disks_print(im, out);
	buf_str(out, "\n");
	address_print(r->shipped && p->address[0] != '\0' ? p->address : address, out);
	buf_print(out, "\nIf the machine dies, these disks are opened by its recovery kit together with\n"
	    "its passphrase (or recovery key), and by nothing else.  Nothing on this paper\n"
	    "opens them.\n\n"
	    "At the vault: samara-import receive VAULT DISK...\n%s\n", line);
}

int
parcel_slip(struct state *s, const char *name, const struct ship_result *r, const char *address, struct buf *out,
    struct err *e)
{
	struct image_state *im = image_state_load(s, name, NULL, NULL, e);

	if (im == NULL)
		return -1;
	slip(s, im, r, address, out);
	image_state_free(im);
	return buf_check(out, e);
}
