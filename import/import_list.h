#ifndef SAMARA_IMPORT_IMPORT_LIST_H
#define SAMARA_IMPORT_IMPORT_LIST_H

/* The lists of samara-import list, each printed row by row. */

#include <stdint.h>

struct err;
struct vault;

struct listing {
	struct vault *v;
	int expected;		/* of disks and images: those only that have not come */
	int has_machine, has_image;	/* of gaps and custody: those only of this one */
	uint8_t machine_id[16], image_id[16];
	const char *file;		/* where the list is written to; NULL: nowhere */
	uint64_t rows;
};

/* Print the rows of one list and count them in l->rows.  0, or -1 with ${e}. */
int list_machines(struct listing *l, struct err *e);
int list_images(struct listing *l, struct err *e);
/* import_list_parcels.c: images that are on their way, and where. */
int list_expected(struct listing *l, struct err *e);
int list_disks(struct listing *l, struct err *e);
int list_snapshots(struct listing *l, struct err *e);
int list_gaps(struct listing *l, struct err *e);
int list_credentials(struct listing *l, struct err *e);
int list_alerts(struct listing *l, struct err *e);
/* import_gaps.c: with --json the ids that are missing; the list for the machine as a file. */
int list_missing(struct listing *l, struct err *e);
int gap_list_write(struct listing *l, const char *path, struct err *e);
/* From the records themselves (import_list_records.c). */
int list_jobs(struct listing *l, struct err *e);
int list_custody(struct listing *l, struct err *e);

#endif
