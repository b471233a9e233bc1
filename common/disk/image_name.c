#include <stdio.h>

#include "common/base/io.h"
#include "common/disk/image_dir.h"

/* Every copy 1 stands in a directory of its own name and a 2. */
static const char *
second(int copy)
{
	return copy == 0 ? "" : "2";
}

void
image_name_draw(char out[SHORT_LEN + 1], char lower[SHORT_LEN + 1])
{
	static const char alphabet[] = "ABCDEFGHJKMNPQRSTUVWXYZ23456789";
	uint8_t r[SHORT_LEN];

	io_random(r, sizeof(r));
	for (size_t i = 0; i < SHORT_LEN; i++) {
		/* The first a letter; the small bias of the remainder hides nothing secret. */
		out[i] = alphabet[r[i] % (i == 0 ? 23 : sizeof(alphabet) - 1)];
		lower[i] = (char)(out[i] >= 'A' ? out[i] + 32 : out[i]);
	}
	out[SHORT_LEN] = lower[SHORT_LEN] = 0;
}

void
image_name_pack(char out[IMAGE_NAME_MAX], uint32_t number)
{
	snprintf(out, IMAGE_NAME_MAX, "packs/%04u/%08u.pk", number / PACKS_PER_DIR, number);
}

void
image_name_pack_dir(char out[IMAGE_NAME_MAX], uint32_t number)
{
	snprintf(out, IMAGE_NAME_MAX, "packs/%04u", number / PACKS_PER_DIR);
}

void
image_name_parity(char out[IMAGE_NAME_MAX], uint32_t number)
{
	snprintf(out, IMAGE_NAME_MAX, "parity/%04u/%08u.pp", number / PACKS_PER_DIR, number);
}

void
image_name_parity_dir(char out[IMAGE_NAME_MAX], uint32_t number)
{
	snprintf(out, IMAGE_NAME_MAX, "parity/%04u", number / PACKS_PER_DIR);
}

void
image_name_index(char out[IMAGE_NAME_MAX], int copy, unsigned part)
{
	snprintf(out, IMAGE_NAME_MAX, "index%s/p%04u", second(copy), part);
}

void
image_name_envelope(char out[IMAGE_NAME_MAX], int copy, uint32_t n)
{
	snprintf(out, IMAGE_NAME_MAX, "snap%s/%08u.env", second(copy), n);
}

void
image_name_refs(char out[IMAGE_NAME_MAX], int copy, uint32_t n, unsigned part)
{
	snprintf(out, IMAGE_NAME_MAX, "snap%s/%08u.r%02u", second(copy), n, part);
}

void
image_name_manifest(char out[IMAGE_NAME_MAX], int copy, uint32_t generation)
{
	snprintf(out, IMAGE_NAME_MAX, "manif%s/g%04u", second(copy), generation);
}

void
image_name_label(char out[IMAGE_NAME_MAX], int copy)
{
	snprintf(out, IMAGE_NAME_MAX, "label%s", second(copy));
}

void
image_name_statement(char out[IMAGE_NAME_MAX], int copy)
{
	snprintf(out, IMAGE_NAME_MAX, "stmt%s", second(copy));
}

void
image_name_keys(char out[IMAGE_NAME_MAX], int copy, const char *what)
{
	snprintf(out, IMAGE_NAME_MAX, "keys%s/%.12s", second(copy), what);
}
