#include <string.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/io_tape_log.h"

/* The bytes of the file ${fd}, without blocks of zeros, as they are now. */
static int
scan_bytes(int fd, uint32_t node, off_t size)
{
	static const uint8_t zeros[65536];
	uint8_t block[sizeof(zeros)];
	ssize_t n;

	for (off_t at = 0; (n = pread(fd, block, sizeof(block), at)) > 0; at += n)
		if (memcmp(block, zeros, (size_t)n) != 0)
			tape_op_write(node, block, (size_t)n, (uint64_t)at);
	tape_op_length(TAPE_EXTEND, node, (uint64_t)size);
	return n < 0 ? -1 : 0;
}

static int
scan_entry(int dirfd, uint32_t dir, const char *name, struct err *e)
{
	char target[4097];
	struct stat st, above;
	uint32_t node;
	ssize_t len;
	int fd, rc;

	if (fstat(dirfd, &above) != 0 || fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return err_errno(e, "tape %s", name);
	if (st.st_dev != above.st_dev)
		return err_set(e, ERR_INTERNAL, "tape %s: it is another file system", name);
	if ((node = tape_node_of_stat(&st)) != TAPE_NONE) {
		tape_op_name(TAPE_LINK, node, dir, tape_must(strdup(name)));
		return 0;
	}
	node = tape_node_new(&st);
	tape_op_name(TAPE_MAKE, node, dir, tape_must(strdup(name)));
	if (S_ISLNK(st.st_mode)) {
		if ((len = readlinkat(dirfd, name, target, sizeof(target) - 1)) == -1)
			return err_errno(e, "tape %s", name);
		target[len] = '\0';
		tape_node_target(node, target);
	}
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return 0;
	fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return err_errno(e, "tape %s", name);
	if (S_ISDIR(st.st_mode))
		return tape_scan(fd, node, e);
	if ((rc = scan_bytes(fd, node, st.st_size)) != 0)
		(void)err_errno(e, "tape %s", name);
	(void)close(fd);
	return rc;
}

int
tape_scan(int dirfd, uint32_t dir, struct err *e)
{
	DIR *d = fdopendir(dirfd);
	struct dirent *entry;
	int rc = 0;

	if (d == NULL) {
		(void)close(dirfd);
		return err_errno(e, "tape a directory");
	}
	while (rc == 0 && (entry = readdir(d)) != NULL) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			rc = scan_entry(dirfd, dir, entry->d_name, e);
	}
	(void)closedir(d);
	return rc;
}

