/* Armour: text that people mail, print and type.  There are many spellings of one content. */
#include "tests/fuzz/fuzz.h"

#include "formats/armor.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *out = fuzz_room(size), *back = fuzz_room(size);
	char *text;
	size_t len, len2, n;
	unsigned line;

	if (armor_decode(ARMOR_KIT, (const char *)data, size, out, size, &len, &line) == FMT_OK) {
		n = armor_size(ARMOR_KIT, len) + 1;
		text = (char *)fuzz_room(n);
		fuzz_true(armor_encode(ARMOR_KIT, out, len, text, n) == FMT_OK, "what is decoded can be encoded");
		fuzz_true(armor_decode(ARMOR_KIT, text, n - 1, back, size, &len2, &line) == FMT_OK, "and decoded again");
		fuzz_same("armour", back, len2, out, len);
		free(text);
	} else {
		fuzz_true(len == 0, "nothing is given out that was not checked");
	}
	free(back);
	free(out);
	return 0;
}
