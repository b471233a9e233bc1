/*
 * make_golden DIR: writes the golden files of a format version into the empty
 * directory DIR.  It was run once for each statement of a version and never
 * again: what it wrote is frozen, and this stays only to show where it came from.  Nothing of
 * samara but formats/ is used, so that what is frozen is what the
 * specification says, and not what samara happens to do.
 */
#include <sodium.h>
#include <unistd.h>
#include <xxhash.h>

#include "tests/golden/golden_world.h"

static void
make_nodes(void)
{
	static uint8_t b[512];
	struct wr out = { .p = b + NODE_HEAD_LEN, .left = sizeof(b) - NODE_HEAD_LEN };
	struct index_row row = { .entries = 4, .path = view_of("/", 1) };

	node_head_encode(b, 1, 2);
	rising(row.child, DIGEST_LEN, 1);
	index_row_put(&out, &row);
	row = (struct index_row){ .entries = 70000, .path = view_of("/srv", 4), .name = view_of("file", 4) };
	rising(row.child, DIGEST_LEN, 2);
	index_row_put(&out, &row);
	save("node.bin", b, (size_t)(out.p - b));
	spill_node_head_encode(b, 1, 2);
	for (unsigned i = 0; i < 2; i++) {
		rising(b + NODE_HEAD_LEN + i * SPILL_ROW_LEN, DIGEST_LEN, 3 + i);
		le64_put(b + NODE_HEAD_LEN + i * SPILL_ROW_LEN + DIGEST_LEN, 44000 + i);
	}
	save("spill-node.bin", b, NODE_HEAD_LEN + 2 * SPILL_ROW_LEN);
}

static void
journal_add(struct wr *out, uint8_t type, struct fmt_view payload, uint64_t *sum)
{
	uint8_t *start = out->p;

	journal_record_head_encode(wr_room(out, JOURNAL_RECORD_HEAD), type, payload.len);
	wr_bytes(out, payload.p, payload.len);
	*sum = XXH3_64bits_withSeed(start, (size_t)(out->p - start), *sum);
	wr_u64(out, *sum);
}

static void
make_journal(void)
{
	static uint8_t b[4096];
	struct wr out = { .p = b, .left = sizeof(b) };
	struct journal_begin begin = { .short_name = "RM4K", .set_name = "files", .begin_ns = BEGIN,
		.flags = JB_ONE_FILE_SYSTEM | JB_PLAIN_DIRECTORY, .level_u = -1, .paths = view_of("\4\0/srv", 6),
		.excludes = view_of("\5\0*.tmp", 7) };
	uint64_t sum = 0;

	memcpy(begin.image_id, w.image_id, ID_LEN);
	memcpy(begin.machine_id, w.machine_id, ID_LEN);
	memcpy(begin.vault_id, w.vault_id, ID_LEN);
	memcpy(begin.domain_id, w.domain_id, DIGEST_LEN);
	memcpy(begin.snapshot_id, w.snapshot_id, ID_LEN);
	journal_head_encode(wr_room(&out, JOURNAL_HEAD_LEN));
	journal_add(&out, JOURNAL_BEGIN, golden("journal_begin", &journal_begin_schema, &begin, NULL), &sum);
	journal_add(&out, JOURNAL_READ_BACK, view_of("\1\0\0\0", 4), &sum);
	journal_add(&out, JOURNAL_CANCELLED, view_of(NULL, 0), &sum);
	save("journal.bin", b, (size_t)(out.p - b));
}

int
main(int argc, char **argv)
{
	struct fmt_view desc;

	if (argc != 2 || sodium_init() < 0 || chdir(argv[1]) != 0 || (vectors = fopen("vectors.txt", "wx")) == NULL)
		die("make_golden DIR, an empty directory");
	make_world();
	world_vectors();
	make_machine();
	make_registration();
	make_kit();
	desc = make_vault();
	make_records(desc);
	make_golden_image();
	make_nodes();
	make_journal();
	make_end();
	make_parcel();
	make_line();
	make_retain();
	make_pledge();
	make_token(desc);
	return fclose(vectors) == 0 ? 0 : 1;
}
