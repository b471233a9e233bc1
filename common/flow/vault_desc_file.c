#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/doc.h"
#include "common/base/err.h"
#include "common/crypto/sign.h"
#include "common/flow/vault_desc_file.h"

#define DESC_MAX	4096

int
vault_desc_text(const struct vault_desc *d, const void *bytes, size_t len, struct buf *out, struct err *e)
{
	struct doc *j = doc_object();
	char *text;
	size_t n;
	int rc;

	doc_put_str(j, "type", "samara vault");
	doc_put_str(j, "name", d->name);
	doc_put_hex(j, "id", d->vault_id, ID_LEN);
	doc_put_u64(j, "generation", d->generation);
	doc_put_hex(j, "key", d->sign_pub, SIGN_PUB_LEN);
	doc_put_hex(j, "statement", bytes, len);
	if ((rc = doc_write(j, &text, &n, e)) == 0) {
		buf_add(out, text, n);
		free(text);
		rc = buf_check(out, e);
	}
	doc_free(j);
	return rc;
}

int
vault_desc_read(const void *text, size_t len, struct vault_desc *d, struct err *e)
{
	struct doc *j = doc_read(text, len, "the description of a vault", e);
	uint8_t bytes[DESC_MAX];
	const char *hex;
	size_t n;
	int rc = -1;

	if (j == NULL)
		return -1;
	hex = doc_get_str(j, "statement");
	n = hex == NULL ? 0 : strlen(hex) / 2;
	if (n == 0 || n > sizeof(bytes) || doc_get_hex(j, "statement", bytes, n) != 0)
		(void)err_set(e, ERR_FORMAT, "the description of a vault has no statement in it");
	else if (statement_open(&vault_desc_schema, d, bytes, n, NULL, e) != 0)
		(void)err_during(e, "the description of a vault");
	else if (!statement_check(&vault_desc_schema, bytes, n, d->sign_pub))
		(void)err_set(e, ERR_SIGNATURE, "the description of vault %s is not signed by its own key", d->name);
	else
		rc = 0;
	doc_free(j);
	return rc;
}
