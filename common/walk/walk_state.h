#ifndef SAMARA_WALK_WALK_STATE_H
#define SAMARA_WALK_WALK_STATE_H

/* The inside of a walker, for walker.c and walk_begin.c alone. */

#include "common/walk/meta.h"
#include "common/walk/walk_block.h"
#include "common/walk/walk_fs.h"
#include "common/walk/walk_paths.h"
#include "common/walk/walk_stack.h"
#include "common/walk/walker.h"

struct walker {
	struct walk_options opt;
	int open_flags;			/* of a directory that is to be read */
	struct path_list paths;
	dev_t *real_dev;		/* of each of opt.instead */
	struct fs_table *fs;
	struct walk_stack stack;
	struct block block;		/* of the deepest directory, while it is shown */
	struct window window;
	size_t at;			/* the next name of it */
	bool showing;
	bool begun;
	struct xattr_rows xattrs;
	char target[LINK_LEN_MAX + 1];
	struct err error;		/* of the item */
	struct fmt_view late;		/* an error that follows the entry it belongs to */
};

#endif
