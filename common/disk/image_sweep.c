#include <string.h>

#include "common/base/file.h"
#include "common/base/io.h"
#include "common/disk/image_dir.h"
#include "common/disk/image_file.h"
#include "common/disk/image_sweep.h"

#define DIGITS	"0123456789"
#define HEX	"0123456789abcdef"
#define PLAIN	"abcdefghijklmnopqrstuvwxyz0123456789"

/* "00000012.tm": a pack that has not got its name (pack_writer.c). */
static int
is_pack(const char *name)
{
	return strspn(name, DIGITS) == 8 && strcmp(name + 8, ".tm") == 0;
}

/* "p0003.tmp", "00000000.tmp": an index part, a reference list (disk_write.c). */
static int
is_list(const char *name)
{
	size_t n = strspn(name, PLAIN);

	return n > 0 && n <= 8 && strcmp(name + n, ".tmp") == 0;
}

/* ".label.tmp-1234-0011223344556677": a small file (file.c). */
static int
is_small(const char *name)
{
	const char *p;
	size_t n;

	if (name[0] != '.' || (p = strstr(name, ".tmp-")) == NULL || p == name)
		return 0;
	p += strlen(".tmp-");
	if ((n = strspn(p, DIGITS)) == 0 || p[n] != '-')
		return 0;
	p += n + 1;
	return strspn(p, HEX) == 16 && p[16] == '\0';
}

static size_t sweep(int dirfd, int depth);

static size_t
sweep_below(int dirfd, const char *name, int depth)
{
	int fd = image_subdir_open(dirfd, name, NULL);
	size_t n;

	if (fd == -1)
		return 0;
	n = sweep(fd, depth);
	(void)io->close(fd);
	return n;
}

static size_t
sweep(int dirfd, int depth)
{
	char **names = NULL;
	size_t n = 0, gone = 0;
	struct stat st;

	if (dir_list(dirfd, ".", &names, &n, NULL) != 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (io->fstatat(dirfd, names[i], &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		if (S_ISDIR(st.st_mode) && depth > 0)
			gone += sweep_below(dirfd, names[i], depth - 1);
		else if (S_ISREG(st.st_mode) && (is_pack(names[i]) || is_list(names[i]) || is_small(names[i])))
			gone += io->unlinkat(dirfd, names[i], 0) == 0;
	}
	dir_list_free(names, n);
	return gone;
}

size_t
image_sweep(int imagefd)
{
	return sweep(imagefd, 2);
}
