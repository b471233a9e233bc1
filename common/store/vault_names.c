#include <stdio.h>
#include <string.h>

#include "common/base/text.h"
#include "common/store/vault_names.h"
#include "formats/fmt_snapshot.h"

void
vault_name_desc(char out[VAULT_NAME_MAX], uint32_t generation)
{
	(void)snprintf(out, VAULT_NAME_MAX, "vault/%u.json", generation);
}

void
vault_name_record(char out[VAULT_NAME_MAX], uint64_t number)
{
	(void)snprintf(out, VAULT_NAME_MAX, "records/%016llx", (unsigned long long)number);
}

void
vault_name_pack_copies(char out[VAULT_NAME_MAX], const uint8_t id[DIGEST_LEN])
{
	char hex[2 * DIGEST_LEN + 1];

	(void)text_hex(hex, id, DIGEST_LEN);
	(void)snprintf(out, VAULT_NAME_MAX, "packs/%.2s/%s.", hex, hex);
}

void
vault_name_pack(char out[VAULT_NAME_MAX], const uint8_t id[DIGEST_LEN], uint32_t copy)
{
	char hex[2 * DIGEST_LEN + 1];

	(void)text_hex(hex, id, DIGEST_LEN);
	(void)snprintf(out, VAULT_NAME_MAX, "packs/%.2s/%s.%u", hex, hex, copy);
}

void
vault_name_origin(char out[VAULT_NAME_MAX], const uint8_t id[DIGEST_LEN])
{
	char hex[2 * DIGEST_LEN + 1];

	(void)text_hex(hex, id, DIGEST_LEN);
	(void)snprintf(out, VAULT_NAME_MAX, "origins/%.2s/%s", hex, hex);
}

void
vault_name_machine_snapshots(char out[VAULT_NAME_MAX], const uint8_t machine[ID_LEN])
{
	char hex[2 * ID_LEN + 1];

	(void)snprintf(out, VAULT_NAME_MAX, "snapshots/%s/", text_hex(hex, machine, ID_LEN));
}

void
vault_name_envelope(char out[VAULT_NAME_MAX], const uint8_t machine[ID_LEN], uint64_t seq)
{
	char hex[2 * ID_LEN + 1];

	(void)snprintf(out, VAULT_NAME_MAX, "snapshots/%s/%016llx.env", text_hex(hex, machine, ID_LEN),
	    (unsigned long long)seq);
}

void
vault_name_refs(char out[VAULT_NAME_MAX], const uint8_t machine[ID_LEN], uint64_t seq, unsigned kind, unsigned part)
{
	char hex[2 * ID_LEN + 1];

	(void)snprintf(out, VAULT_NAME_MAX, "snapshots/%s/%016llx.%c%02u", text_hex(hex, machine, ID_LEN),
	    (unsigned long long)seq, kind == REFS_WHOLE ? 'r' : 'd', part);
}

void
vault_name_keys_prefix(char out[VAULT_NAME_MAX], const uint8_t machine[ID_LEN], const char *what)
{
	char hex[2 * ID_LEN + 1];

	(void)snprintf(out, VAULT_NAME_MAX, "keys/%s/%.16s.", text_hex(hex, machine, ID_LEN), what);
}

void
vault_name_keys(char out[VAULT_NAME_MAX], const uint8_t machine[ID_LEN], const char *what, uint32_t n)
{
	char hex[2 * ID_LEN + 1];

	(void)snprintf(out, VAULT_NAME_MAX, "keys/%s/%.16s.%u", text_hex(hex, machine, ID_LEN), what, n);
}

void
vault_name_image(char out[VAULT_NAME_MAX], const uint8_t image[ID_LEN], const char *what, uint32_t n)
{
	char hex[2 * ID_LEN + 1];

	(void)snprintf(out, VAULT_NAME_MAX, "images/%s/%.16s-%u", text_hex(hex, image, ID_LEN), what, n);
}

void
vault_name_bad_disk_pack(char out[VAULT_NAME_MAX], const uint8_t image[ID_LEN], uint32_t disk, uint32_t number,
    uint32_t n)
{
	char hex[2 * ID_LEN + 1];

	(void)snprintf(out, VAULT_NAME_MAX, "quarantine/%s/%u-%08u.%u", text_hex(hex, image, ID_LEN), disk, number, n);
}

void
vault_name_bad_pack(char out[VAULT_NAME_MAX], const uint8_t id[DIGEST_LEN], uint32_t copy)
{
	char hex[2 * DIGEST_LEN + 1];

	(void)snprintf(out, VAULT_NAME_MAX, "quarantine/%s.%u", text_hex(hex, id, DIGEST_LEN), copy);
}

static int
digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* ${n} bytes from the hex at ${*s}, which moves behind it. */
static int
take_hex(const char **s, uint8_t *out, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int hi = digit_value((*s)[0]), lo = hi < 0 ? -1 : digit_value((*s)[1]);

		if (lo < 0)
			return -1;
		out[i] = (uint8_t)(hi << 4 | lo);
		*s += 2;
	}
	return 0;
}

static int
take_text(const char **s, const char *text)
{
	size_t n = strlen(text);

	if (strncmp(*s, text, n) != 0)
		return -1;
	*s += n;
	return 0;
}

/* A number from 1 without leading zeros, to the end of the name. */
static int
take_number(const char *s, uint32_t *out)
{
	uint64_t v = 0;

	if (*s < '1' || *s > '9')
		return -1;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9' || (v = v * 10 + (uint64_t)(*s - '0')) > UINT32_MAX)
			return -1;
	}
	*out = (uint32_t)v;
	return 0;
}

int
vault_name_parse_pack(const char *name, uint8_t id[DIGEST_LEN], uint32_t *copy)
{
	char again[VAULT_NAME_MAX];
	const char *s = name;

	if (strlen(name) < 9 || take_text(&s, "packs/") != 0)
		return -1;
	s += 3;
	if (take_hex(&s, id, DIGEST_LEN) != 0 || take_text(&s, ".") != 0 || take_number(s, copy) != 0)
		return -1;
	vault_name_pack(again, id, *copy);
	return strcmp(again, name) == 0 ? 0 : -1;
}

int
vault_name_parse_origin(const char *name, uint8_t id[DIGEST_LEN])
{
	char again[VAULT_NAME_MAX];
	const char *s = name;

	if (strlen(name) < 11 || take_text(&s, "origins/") != 0)
		return -1;
	s += 3;
	if (take_hex(&s, id, DIGEST_LEN) != 0)
		return -1;
	vault_name_origin(again, id);
	return strcmp(again, name) == 0 ? 0 : -1;
}

int
vault_name_parse_envelope(const char *name, uint8_t machine[ID_LEN], uint64_t *seq)
{
	const char *s = name;
	uint8_t number[8];

	if (take_text(&s, "snapshots/") != 0 || take_hex(&s, machine, ID_LEN) != 0 || take_text(&s, "/") != 0 ||
	    take_hex(&s, number, sizeof(number)) != 0 || strcmp(s, ".env") != 0)
		return -1;
	*seq = 0;
	for (size_t i = 0; i < sizeof(number); i++)
		*seq = *seq << 8 | number[i];
	return 0;
}

uint32_t
vault_name_number(const char *name)
{
	size_t len = strlen(name), at;
	char digits[16];
	uint32_t v;

	if (len > 5 && strcmp(name + len - 5, ".json") == 0)
		len -= 5;
	for (at = len; at > 0 && name[at - 1] >= '0' && name[at - 1] <= '9'; at--)
		;
	if (len - at >= sizeof(digits))
		return 0;
	memcpy(digits, name + at, len - at);
	digits[len - at] = '\0';
	return take_number(digits, &v) == 0 ? v : 0;
}
