#include "common/flow/disk_room.h"

#include <string.h>

#include "common/base/space.h"
#include "common/flow/disk_write.h"
#include "formats/fmt_parity.h"

#define CLOSING_SLACK	(UINT64_C(4) << 20)	/* label, keys, custody, statement, and what the file system keeps for itself */
#define BTRFS_GROUPS	(UINT64_C(3) << 30)
#define BTRFS_SLACK	(UINT64_C(16) << 20)
#define CLOSING_FILES	64u	/* index, snapshot, statement, manifest and custody log, with their directories */
#define PACK_SLACK	(UINT64_C(16) << 10)	/* a pack's inode, and the end of its last block */

uint64_t
disk_closing_cost(unsigned percent, uint32_t packs, uint32_t longest, uint64_t index_bytes, uint64_t ids)
{
	uint32_t groups = parity_groups(packs, percent);
	uint64_t files = (uint64_t)packs + (groups == 0 ? 0 : parity_number(packs, groups, percent, groups));

	return 2 * index_bytes + 2 * ids * DIGEST_LEN + parity_room(packs, longest, percent) + CLOSING_SLACK +
	    files * PACK_SLACK;
}

int
disk_writable(const struct disk_target *t, uint32_t packs, uint64_t *bytes, struct err *e)
{
	uint64_t files = CLOSING_FILES + packs / 5;	/* at most as much parity as there may be */
	uint64_t keep;
	struct space s;

	if (space_read(t->fd, t->path, &s, e) != 0)
		return -1;
	*bytes = s.free;
	/* btrfs guesses: metadata, of which it keeps two copies, grows out of the same space by whole groups. */
	if (strcmp(t->fs_type, "btrfs") == 0) {
		keep = s.total / 5;
		keep = (keep < BTRFS_GROUPS ? keep : BTRFS_GROUPS) + BTRFS_SLACK;
		*bytes = *bytes > keep ? *bytes - keep : 0;
	}
	/* Without an inode no byte can be written; where they are not counted, none is missing. */
	if (s.files_counted && s.files_free < files)
		*bytes = 0;
	return 0;
}
