#ifndef SAMARA_TESTS_CRASH_FAULTS_H
#define SAMARA_TESTS_CRASH_FAULTS_H

/*
 * Calls of the io table that fail while something is done: every kind of call,
 * with what a system may say about it, sampled over all calls that the deed
 * makes; each fifth call fails from then on.  SAMARA_FAULTS in the environment
 * sets how many of each kind are tried; where that is as many as there are
 * calls, each fails once, and in another try from then on.
 */

#include <stddef.h>
#include <stdint.h>

struct err;

struct fault_deed {
	const char *name;
	/* Everything as it is before. */
	void (*before)(void);
	/* What is done: 0 or more, or -1 with ${e}. */
	int (*run)(struct err *e);
	/*
	 * It said ${rc}, and ${why}.  What must hold then, the same again, and what
	 * must hold at the end: 0, or -1 with ${e}.
	 */
	int (*after)(int rc, const struct err *why, struct err *e);
};

/**
 * faults_main(name, deeds, n, wanted, setup, teardown):
 * Run a group of tests, one for each kind of failing call, over all ${deeds};
 * ${wanted} of each kind unless SAMARA_FAULTS says otherwise.  What cmocka says.
 */
int faults_main(const char *name, const struct fault_deed *deeds, size_t n, uint64_t wanted, int (*setup)(void **),
    int (*teardown)(void **));

#endif
