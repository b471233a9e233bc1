#include "formats/fmt_line_machine.h"
#include "tests/golden/golden_world.h"

/* How a machine comes to its token, what a contact tells it, and what the vault records of it. */
void
make_token(struct fmt_view desc)
{
	static const uint8_t notices[] = { 5, 0, 'h', 'e', 'l', 'l', 'o' };
	struct token_request q = { .time = BEGIN / 1000000000, .purpose = PURPOSE_NEW, .registration = regist_bytes };
	struct token_grant g = { .machine_name = "fileserver", .purpose = PURPOSE_RESTORE_ONLY,
		.until = BEGIN / 1000000000 + 30 * 86400, .descriptor = desc };
	struct contact c = { .time = BEGIN, .generation = 2, .machine_name = "fileserver", .purpose = PURPOSE_NEW, .head_seq = 3,
		.receipt = 1, .missing = 7, .whole = 2, .pending = 1, .newest_whole = BEGIN, .sets_waiting = 1, .quota = 5000000000, .used = 4000000000, .subscription = SUBSCRIPTION_ACTIVE,
		.notices = { notices, sizeof(notices) } };
	struct rec_token t = { .purpose = PURPOSE_RESTORE_ONLY, .until = g.until };
	struct rec_machine_fate f = { .fate = MFATE_QUOTA, .value = 5000000000, .why = "contract" };
	struct rec_takeover o = { .seq = 4 };

	memcpy(q.vault_id, w.vault_id, ID_LEN);
	memcpy(q.machine_id, w.machine_id, ID_LEN);
	memcpy(q.machine_pub, w.machine_pub, SIGN_PUB_LEN);
	rising(q.tls_pin, DIGEST_LEN, 0x11);
	rising(q.random, sizeof(q.random), 0x21);
	golden("token_request", &token_request_schema, &q, w.machine_secret);
	memcpy(g.vault_id, w.vault_id, ID_LEN);
	memcpy(g.machine_id, w.machine_id, ID_LEN);
	rising(g.token, TOKEN_LEN, 0x31);
	golden("token_grant", &token_grant_schema, &g, NULL);
	memcpy(c.vault_id, w.vault_id, ID_LEN);
	rising(c.head_id, ID_LEN, 0x41);
	rising(c.head, DIGEST_LEN, 0x51);
	memcpy(c.receipt_image, w.image_id, ID_LEN);
	golden("contact", &contact_schema, &c, NULL);
	memcpy(t.machine_id, w.machine_id, ID_LEN);
	memcpy(t.machine_pub, w.machine_pub, SIGN_PUB_LEN);
	rising(t.hash, DIGEST_LEN, 0x61);
	rising(t.credential_id, ID_LEN, 0x71);
	golden("rec_token", &rec_token_schema, &t, NULL);
	memcpy(f.machine_id, w.machine_id, ID_LEN);
	golden("rec_machine_fate", &rec_machine_fate_schema, &f, NULL);
	memcpy(o.machine_id, w.machine_id, ID_LEN);
	memcpy(o.machine_pub, w.machine_pub, SIGN_PUB_LEN);
	golden("rec_takeover", &rec_takeover_schema, &o, NULL);
}
