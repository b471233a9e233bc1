#ifndef SAMARA_IMPORT_IMPORT_LIST_H
#define SAMARA_IMPORT_IMPORT_LIST_H

/* The lists of samara-import list, each printed row by row. */

#include <stdint.h>

struct err;
struct vault;

struct listing {
	struct vault *v;
	int expected;		/* of disks: those only that have not come */
	uint64_t rows;
};

int list_machines(struct listing *l, struct err *e);
int list_images(struct listing *l, struct err *e);
int list_disks(struct listing *l, struct err *e);
int list_snapshots(struct listing *l, struct err *e);
int list_gaps(struct listing *l, struct err *e);
int list_credentials(struct listing *l, struct err *e);
int list_alerts(struct listing *l, struct err *e);
/* From the records themselves (import_list_records.c). */
int list_jobs(struct listing *l, struct err *e);
int list_custody(struct listing *l, struct err *e);

#endif
