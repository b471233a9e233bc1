/* Names and paths: order and validity, of two that the first zero byte divides. */
#include "tests/fuzz/fuzz.h"

#include "formats/fmt_listing.h"
#include "formats/names.h"

static int
sign_of(int v)
{
	return (v > 0) - (v < 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
	size_t first = zero != NULL ? (size_t)(zero - data) : size, second = zero != NULL ? size - first - 1 : 0;
	struct fmt_view a = view_of(data, first), b = view_of(data + (zero != NULL ? first + 1 : first), second);
	char text[64];

	fuzz_true(sign_of(name_order(a, b)) == -sign_of(name_order(b, a)), "names have one order");
	if (path_is_valid(a) && path_is_valid(b)) {
		fuzz_true(sign_of(path_order(a, b)) == -sign_of(path_order(b, a)), "paths have one order");
		fuzz_true((path_order(a, b) == 0) == (name_order(a, b) == 0), "only equal paths are equal in order");
	}
	snprintf(text, sizeof(text), "%.*s", (int)(first < 60 ? first : 60), (const char *)data);
	if (vault_name_is_valid(text))
		fuzz_true(machine_name_is_valid(text), "a vault's name could be a machine's");
	fuzz_true(!short_name_is_valid(text) || strlen(text) == SHORT_LEN, "a short name has four characters");
	return 0;
}
