#include "common/base/space.h"

#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"

int
space_read(int fd, const char *what, struct space *s, struct err *e)
{
	struct statfs fs;
	uint64_t unit;

	memset(s, 0, sizeof(*s));
	if (io->fstatfs(fd, &fs) != 0)
		return err_errno(e, "ask for the free space of %s", what);
	unit = (uint64_t)(fs.f_frsize != 0 ? fs.f_frsize : fs.f_bsize);
	s->free = (uint64_t)fs.f_bavail * unit;
	s->total = (uint64_t)fs.f_blocks * unit;
	s->files_counted = fs.f_files != 0;
	s->files_free = (uint64_t)fs.f_ffree;
	return 0;
}
