#include "formats/fmt_line_machine.h"

#include <string.h>

#include "formats/names.h"

static int
is_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != 0)
			return 0;
	return 1;
}

/* Either a registration, or a credential's own proof. */
static enum fmt_status
token_request_check(const void *value)
{
	const struct token_request *t = value;

	if (t->purpose != PURPOSE_NEW)
		return t->registration.len == 0 && !is_zero(t->credential_id, ID_LEN) ? FMT_OK : FMT_RANGE;
	return t->registration.len > 0 && is_zero(t->credential_id, ID_LEN) &&
	    is_zero(t->mac, DIGEST_LEN) ? FMT_OK : FMT_RANGE;
}

static const struct fmt_field token_request_fields[] = {
	FMT_BYTES(token_request, vault_id),
	FMT_BYTES(token_request, machine_id),
	FMT_BYTES(token_request, machine_pub),
	FMT_BYTES(token_request, tls_pin),
	FMT_BYTES(token_request, random),
	FMT_I64(token_request, time),
	FMT_U8(token_request, purpose, PURPOSE_NEW, PURPOSE_RESTORE_ONLY),
	FMT_BYTES(token_request, credential_id),
	FMT_BLOB(token_request, registration, 0, REGISTRATION_MAX),
	FMT_BYTES(token_request, mac),
};
const struct fmt_schema token_request_schema = {
	"token request", "SAMTKRQ\n", 1, "samara token request v1",
	sizeof(struct token_request), offsetof(struct token_request, sig),
	FMT_FIELDS(token_request_fields), token_request_check
};

static const struct fmt_field token_grant_fields[] = {
	FMT_BYTES(token_grant, vault_id),
	FMT_BYTES(token_grant, machine_id),
	FMT_STR(token_grant, machine_name, 2),
	FMT_BYTES(token_grant, token),
	FMT_U8(token_grant, purpose, PURPOSE_NEW, PURPOSE_RESTORE_ONLY),
	FMT_I64(token_grant, until),
	FMT_BLOB(token_grant, descriptor, 1, SMALL_STATEMENT_MAX),
};
const struct fmt_schema token_grant_schema = {
	"token grant", "SAMTKGR\n", 1, NULL,
	sizeof(struct token_grant), 0, FMT_FIELDS(token_grant_fields), NULL
};

enum fmt_status
notice_next(struct rd *r, struct fmt_view *text)
{
	uint16_t len = rd_u16(r);
	const uint8_t *p = rd_bytes(r, len);

	*text = (struct fmt_view){ NULL, 0 };
	if (r->bad)
		return FMT_SHORT;
	if (len == 0 || len > NOTICE_LEN_MAX)
		return FMT_RANGE;
	*text = (struct fmt_view){ p, len };
	return FMT_OK;
}

void
notice_put(struct wr *w, const char *text, size_t len)
{
	if (len == 0 || len > NOTICE_LEN_MAX || w->left < len + 2)
		return;
	wr_u16(w, (uint16_t)len);
	wr_bytes(w, text, len);
}

static const struct fmt_field contact_fields[] = {
	FMT_BYTES(contact, vault_id),
	FMT_I64(contact, time),
	FMT_U32(contact, generation, 1, UINT32_MAX),
	FMT_STR(contact, machine_name, 2),
	FMT_U8(contact, purpose, PURPOSE_NEW, PURPOSE_RESTORE_ONLY),
	FMT_I64(contact, until),
	FMT_U64(contact, head_seq, 0, INT64_MAX),
	FMT_BYTES(contact, head_id),
	FMT_BYTES(contact, head),
	FMT_U64(contact, receipt, 0, INT64_MAX),
	FMT_BYTES(contact, receipt_image),
	FMT_U64(contact, missing, 0, UINT64_MAX),
	FMT_U64(contact, whole, 0, INT64_MAX),
	FMT_U64(contact, pending, 0, INT64_MAX),
	FMT_I64(contact, newest_whole),
	FMT_U32(contact, sets_waiting, 0, UINT32_MAX),
	FMT_U64(contact, quota, 0, INT64_MAX),
	FMT_U64(contact, used, 0, INT64_MAX),
	FMT_U8(contact, subscription, SUBSCRIPTION_ACTIVE, SUBSCRIPTION_DEPROVISIONED),
	FMT_BLOB(contact, notices, 0, NOTICES_MAX),
};
const struct fmt_schema contact_schema = {
	"contact", "SAMCONT\n", 1, NULL,
	sizeof(struct contact), 0, FMT_FIELDS(contact_fields), NULL
};

static const struct fmt_field rec_token_fields[] = {
	FMT_BYTES(rec_token, machine_id),
	FMT_BYTES(rec_token, machine_pub),
	FMT_BYTES(rec_token, hash),
	FMT_U8(rec_token, purpose, PURPOSE_NEW, PURPOSE_RESTORE_ONLY),
	FMT_I64(rec_token, until),
	FMT_BYTES(rec_token, credential_id),
};
const struct fmt_schema rec_token_schema = {
	"record of a token", "SAMRTOK\n", 1, NULL,
	sizeof(struct rec_token), 0, FMT_FIELDS(rec_token_fields), NULL
};

static enum fmt_status
rec_machine_fate_check(const void *value)
{
	const struct rec_machine_fate *r = value;

	if (r->fate == MFATE_RENAMED && !machine_name_is_valid(r->name))
		return FMT_RANGE;
	if (r->fate == MFATE_SUBSCRIPTION)
		return r->value >= SUBSCRIPTION_ACTIVE && r->value <= SUBSCRIPTION_DEPROVISIONED ? FMT_OK : FMT_RANGE;
	return r->fate == MFATE_QUOTA || r->value == 0 ? FMT_OK : FMT_RANGE;
}

static const struct fmt_field rec_machine_fate_fields[] = {
	FMT_BYTES(rec_machine_fate, machine_id),
	FMT_U8(rec_machine_fate, fate, MFATE_REVOKED, MFATE_MAX - 1),
	FMT_STR(rec_machine_fate, name, 0),
	FMT_U64(rec_machine_fate, value, 0, INT64_MAX),
	FMT_STR(rec_machine_fate, why, 0),
};
const struct fmt_schema rec_machine_fate_schema = {
	"record of a machine", "SAMRMCH\n", 1, NULL,
	sizeof(struct rec_machine_fate), 0, FMT_FIELDS(rec_machine_fate_fields), rec_machine_fate_check
};

static const struct fmt_field rec_takeover_fields[] = {
	FMT_BYTES(rec_takeover, machine_id),
	FMT_BYTES(rec_takeover, machine_pub),
	FMT_U64(rec_takeover, seq, 1, INT64_MAX),
};
const struct fmt_schema rec_takeover_schema = {
	"record of a takeover", "SAMRTKO\n", 1, NULL,
	sizeof(struct rec_takeover), 0, FMT_FIELDS(rec_takeover_fields), NULL
};
