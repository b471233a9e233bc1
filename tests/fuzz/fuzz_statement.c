/* Statements: every schema gets every input; the magic tells which one takes it. */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/formats/statements.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static union statement_value value;
	uint8_t *again;
	size_t len;

	for (size_t i = 0; i < STATEMENTS; i++) {
		if (schema_decode(statements[i], &value, data, size) != FMT_OK)
			continue;
		again = fuzz_room(size);
		fuzz_true(schema_size(statements[i], &value) == size, "the size is told");
		fuzz_true(schema_encode(statements[i], &value, again, size, &len) == FMT_OK, "what is decoded can be encoded");
		fuzz_same(statements[i]->name, again, len, data, size);
		free(again);
	}
	return 0;
}
