#ifndef SAMARA_SEED_SEED_STANDING_H
#define SAMARA_SEED_SEED_STANDING_H

struct args;
struct err;
struct seed_read;

#define SEED_EVEN_IF_STOPPED	"restore from a disk though the subscription was ended; it is recorded"

/**
 * seed_standing(a, r, even, what, e):
 * May what ${r} opened be restored, by the state that it was opened with (with a kit: always)?  ${even}: from disks in
 * any case.  ${what} (may be NULL) is then kept among the jobs.  0 it may; 1 it may not, and is done all the same, which was said; -1 with ${e} (ERR_RULE).
 */
int seed_standing(const struct args *a, const struct seed_read *r, int even, const char *what, struct err *e);

#endif
