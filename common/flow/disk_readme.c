#include "common/flow/disk_readme.h"

#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/text.h"
#include "common/disk/image_dir.h"

static void
image_line(struct buf *b, const struct label *l)
{
	char machine[NAME_MAX_LEN * 4 + 4];

	buf_print(b, "  %s-%u%*s machine %s, for vault %s\n", l->short_name, l->disk, l->disk < 10 ? 3 : l->disk < 100 ? 2 : 1, "",
	    text_safe(machine, sizeof(machine), l->machine_name, strlen(l->machine_name)), l->vault_name);
}

/* The other images on the disk; one whose label cannot be read says nothing of itself. */
static void
others_list(struct buf *b, int diskfd, const struct label *l)
{
	struct image_dir d;
	char **names;
	size_t n;

	if (image_list(diskfd, &names, &n, NULL) != 0)
		return;
	for (size_t i = 0; i < n; i++) {
		if (image_dir_open(diskfd, names[i], &d, NULL) != 0)
			continue;
		if (memcmp(d.label.image_id, l->image_id, ID_LEN) != 0)
			image_line(b, &d.label);
		image_dir_close(&d);
	}
	dir_list_free(names, n);
}

int
disk_readme_write(int diskfd, const struct label *l, struct err *e)
{
	struct buf b;
	int rc;

	buf_init(&b);
	buf_str(&b,
	    "This disk carries backups made by samara, in the directories beside this file.\n"
	    "\n"
	    "They are encrypted.  Whoever finds this disk can read nothing from it, and\n"
	    "does no harm by looking; please do not change or delete anything.\n"
	    "\n");
	others_list(&b, diskfd, l);
	image_line(&b, l);
	buf_str(&b,
	    "\n"
	    "Found it?  Please give it back to the organisation whose name is on the parcel.\n"
	    "At the vault:    samara-import receive DISK, then samara-import ingest DISK\n"
	    "To check it:     samara-verify disk DISK            (needs no key)\n"
	    "To restore:      samara-seed restore latest --from DISK --to DIR --kit FILE\n"
	    "                 (needs the machine's recovery kit and its passphrase)\n");
	if ((rc = buf_check(&b, e)) == 0)
		rc = file_replace(diskfd, IMAGE_README, b.p, b.len, 0644, e);
	buf_release(&b);
	return rc;
}
