#ifndef SAMARA_CHECK_FINDING_H
#define SAMARA_CHECK_FINDING_H

/* What a check finds.  A finding never ends a check. */

#include <stdint.h>

#include "common/base/err.h"

enum severity {
	SEV_NOTE,	/* worth knowing; nothing is wrong */
	SEV_REPAIRABLE,	/* something is wrong, and everything is still there */
	SEV_LOST,	/* bytes are lost, or not to be believed */
	SEVERITIES
};

struct finding {
	enum severity severity;
	enum err_code code;	/* ERR_NONE for a note */
	const char *where;	/* "RM4K-1: packs/0000/00000007.pk" */
	const char *what;	/* "chunk 7f3a91cc: its checksum does not agree" */
	const char *meaning;	/* what that costs; "" where a later finding says it */
};

typedef void (*finding_fn)(void *arg, const struct finding *f);

/* Where findings go; safe from several threads. */
struct findings;

/* Each finding is told to ${fn} (never by two threads at once).  NULL without memory. */
struct findings *findings_new(finding_fn fn, void *arg);
void findings_free(struct findings *f);

/* Tell one; ${meaning} and ${where} are whole, the rest is printed by ${fmt}. */
void finding_tell(struct findings *f, enum severity severity, enum err_code code, const char *where, const char *meaning,
    const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/* Tell of an error that was caught. */
void finding_err(struct findings *f, enum severity severity, const char *where, const char *meaning, const struct err *why);

/* How many of ${severity} there were. */
uint64_t findings_count(struct findings *f, enum severity severity);

/* "note", "repairable", "lost" */
const char *severity_text(enum severity severity);

#endif
