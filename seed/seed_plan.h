#ifndef SAMARA_SEED_PLAN_H
#define SAMARA_SEED_PLAN_H

/* What samara-seed plan was asked, and the words of its answer. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/flow/plan.h"
#include "common/flow/plan_route.h"

#define PLAN_DISKS_MAX	16u

struct plan_wish {
	const uint64_t *disks;
	size_t ndisks;			/* 0: not said */
	uint64_t line;			/* bytes a second; 0: not said */
	unsigned transit;		/* days */
	bool registered;
	const char *state;		/* --state as it was said, or NULL */
	const char *const *paths;
	size_t npaths;
};

/* Everything on stdout, in the mode in force, the summary last. */
void plan_show(const struct plan_result *r, const struct plan_wish *w);

#endif
