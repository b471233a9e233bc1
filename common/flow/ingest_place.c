/* Where a disk that is to be taken in stands. */

#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/flow/ingest_job.h"

int
disk_place_open(const char *path, struct disk_place *p, struct err *e)
{
	struct err mine;

	memset(p, 0, sizeof(*p));
	p->fd = p->m.fd = p->m.lock = -1;
	err_clear(&mine);
	if (disk_mount_open(path, 0, NULL, &p->m, &mine) != 0) {
		if (mine.code == ERR_NOT_FOUND)
			return err_set(e, ERR_NO_IMAGE, "there is no disk at %s", path);
		if (e != NULL)
			*e = mine;
		return -1;
	}
	p->fd = p->m.fd;
	if (image_list(p->fd, &p->names, &p->n, e) == 0)
		return 0;
	(void)disk_place_close(p, NULL);
	return err_during(e, "%s", path);
}

int
disk_place_close(struct disk_place *p, struct err *e)
{
	dir_list_free(p->names, p->n);
	p->names = NULL;
	p->n = 0;
	p->fd = -1;
	return disk_mount_close(&p->m, e);
}
