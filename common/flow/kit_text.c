/* The recovery kit as a page for people, and back. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/text.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"
#include "common/flow/keyring.h"
#include "formats/armor.h"

static const char intro[] =
    "SAMARA RECOVERY KIT\n"
    "\n"
    "Keep this on paper or on a medium of its own, away from the machine and from\n"
    "its disks.  Together with the passphrase it opens every disk and every export\n"
    "of the machine below, on any computer, without a network.  Without the\n"
    "passphrase it opens nothing; without passphrase and recovery key the data is\n"
    "lost for everybody.  Write the passphrase down somewhere else.\n"
    "\n";

static const char commands[] =
    "To restore on another computer, with samara-seed installed, this text in a\n"
    "file kit.txt and a disk mounted at /mnt/disk (or the directory of the vault):\n"
    "\n"
    "  samara-seed snapshots --from /mnt/disk --kit kit.txt\n"
    "  samara-seed ls latest --from /mnt/disk --kit kit.txt\n"
    "  samara-seed restore latest --from /mnt/disk --kit kit.txt --to /mnt/new\n"
    "\n"
    "When typing the lines below, capitals and small letters are the same, and so\n"
    "are O and 0, I, L and 1.  A line that is mistyped will be named.\n"
    "\n";

static void
put_party(struct buf *out, const char *what, const char *name, const uint8_t id[ID_LEN], const uint8_t pub[SIGN_PUB_LEN])
{
	char safe[NAME_MAX_LEN * 4 + 4], hex[2 * ID_LEN + 1], digits[HUMAN_MAX];
	uint8_t digest[DIGEST_LEN];

	hash_once(pub, SIGN_PUB_LEN, digest);
	buf_print(out, "%-8s %s\n", what, text_safe(safe, sizeof(safe), name, strlen(name)));
	buf_print(out, "         id %s\n", text_hex(hex, id, ID_LEN));
	buf_print(out, "         key %s\n", human_digest(digits, digest));
}

/* The armour of the encoded kit. */
static int
put_armor(struct buf *out, const struct kit *kit, struct err *e)
{
	struct kit copy = *kit;
	struct buf bytes;
	size_t room;
	uint8_t *p;
	int rc = -1;

	buf_init(&bytes);
	if (statement_make(&kit_schema, &copy, NULL, &bytes, e) != 0)
		goto out;
	room = armor_size(ARMOR_KIT, bytes.len) + 1;
	if ((p = buf_room(out, room)) == NULL) {
		rc = buf_check(out, e);
		goto out;
	}
	if (armor_encode(ARMOR_KIT, bytes.p, bytes.len, (char *)p, room) != FMT_OK) {
		rc = err_set(e, ERR_INTERNAL, "the recovery kit is too long");
		goto out;
	}
	buf_grew(out, room - 1);
	rc = 0;
out:
	buf_release(&bytes);
	return rc;
}

int
kit_text(const struct kit *kit, struct buf *out, struct err *e)
{
	char date[HUMAN_MAX], digits[HUMAN_MAX], url[URL_MAX_LEN * 4 + 4];
	struct domain_desc d;
	uint8_t id[DIGEST_LEN];

	if (statement_open(&domain_desc_schema, &d, kit->domain_desc.p, kit->domain_desc.len, NULL, e) != 0)
		return -1;
	hash_once(d.domain_pub, SIGN_PUB_LEN, id);
	buf_str(out, intro);
	put_party(out, "machine", kit->machine_name, kit->machine_id, kit->machine_pub);
	buf_print(out, "         key domain %s\n", human_digest(digits, id));
	put_party(out, "vault", kit->vault_name, kit->vault_id, kit->vault_pub);
	if (kit->url[0] != '\0')
		buf_print(out, "         %s\n", text_safe(url, sizeof(url), kit->url, strlen(kit->url)));
	buf_print(out, "written  %s\n\n", human_date(date, kit->made));
	buf_str(out, commands);
	if (put_armor(out, kit, e) != 0)
		return -1;
	return buf_check(out, e);
}

/* Say which line has to be looked at. */
static int
armor_refused(enum fmt_status st, unsigned line, struct err *e)
{
	switch (st) {
	case FMT_MAGIC:
		return err_set(e, ERR_KIT, "there is no line \"-----BEGIN SAMARA %s-----\" in it", ARMOR_KIT);
	case FMT_CHECKSUM:
		if (line != 0)
			return err_set(e, ERR_KIT, "line %02u is mistyped or missing", line);
		return err_set(e, ERR_KIT, "the line \"-----END SAMARA %s ...\" is mistyped, or a line before it is missing",
		    ARMOR_KIT);
	case FMT_SHORT:
		return err_set(e, ERR_KIT, "it ends after line %02u, before \"-----END SAMARA %s ...\"",
		    line > 0 ? line - 1 : 0, ARMOR_KIT);
	default:
		return err_set(e, ERR_KIT, "%s", fmt_status_text(st));
	}
}

/* The statements in the kit must be of one domain and name one machine. */
static int
kit_agrees(const struct kit *kit, struct err *e)
{
	struct slot_header h;
	struct domain_desc d;
	struct membership m;
	uint8_t id[DIGEST_LEN];

	if (statement_open(&domain_desc_schema, &d, kit->domain_desc.p, kit->domain_desc.len, NULL, e) != 0 ||
	    statement_open(&slot_header_schema, &h, kit->slots.p, kit->slots.len, NULL, e) != 0 ||
	    statement_open(&membership_schema, &m, kit->membership.p, kit->membership.len, d.domain_pub, e) != 0)
		return -1;
	if (!statement_check(&domain_desc_schema, kit->domain_desc.p, kit->domain_desc.len, d.domain_pub))
		return err_set(e, ERR_KIT, "the signature in its domain descriptor is wrong");
	hash_once(d.domain_pub, SIGN_PUB_LEN, id);
	if (memcmp(h.domain_id, id, DIGEST_LEN) != 0 || memcmp(m.domain_pub, d.domain_pub, SIGN_PUB_LEN) != 0 ||
	    memcmp(m.machine_id, kit->machine_id, ID_LEN) != 0 || memcmp(m.machine_pub, kit->machine_pub, SIGN_PUB_LEN) != 0 ||
	    strcmp(m.machine_name, kit->machine_name) != 0)
		return err_set(e, ERR_KIT, "its parts belong to different machines");
	return 0;
}

int
kit_from_text(const char *text, size_t n, uint8_t **bytes, struct kit *kit, struct err *e)
{
	enum fmt_status st;
	unsigned line;
	size_t len;

	if ((*bytes = malloc(n + 1)) == NULL)
		return err_errno(e, "read the recovery kit");
	if ((st = armor_decode(ARMOR_KIT, text, n, *bytes, n, &len, &line)) != FMT_OK) {
		(void)armor_refused(st, line, e);
	} else if (statement_open(&kit_schema, kit, *bytes, len, NULL, e) == 0 && kit_agrees(kit, e) == 0) {
		return 0;
	} else if (e != NULL && e->code != ERR_VERSION) {
		e->code = ERR_KIT;
	}
	free(*bytes);
	*bytes = NULL;
	return err_during(e, "recovery kit");
}
