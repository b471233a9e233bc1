#ifndef SAMARA_IMPORT_FATE_H
#define SAMARA_IMPORT_FATE_H

/* What lost, cancel and reopen share. */

#include "common/flow/vault_fate.h"

struct args;
struct err;

/* VAULT IMAGE [--reason TEXT]: decide, and say it.  0 or -1 with ${e}. */
int import_fate(struct args *a, enum vault_fate fate, struct err *e);

#endif
