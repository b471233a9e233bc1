#ifndef SAMARA_FLOW_KIT_FILE_H
#define SAMARA_FLOW_KIT_FILE_H

/* Where the recovery kit of a registered machine was written. */

#include <stdbool.h>
#include <stdint.h>

struct err;
struct state;

/**
 * kit_save(s, path, inside, e):
 * Write the recovery kit of ${s} to the new file ${path} (0600), never over
 * one that is there (ERR_EXISTS), and remember where in kit.note.  ${inside}
 * says that it lies in the state directory itself, where it is lost with the
 * machine.  Return 0 when both are durable, or -1 with ${e}.
 */
int kit_save(struct state *s, const char *path, bool *inside, struct err *e);

/* What kit.note says. */
struct kit_note {
	char path[4096];	/* absolute, as it was then; for showing only */
	int64_t time;		/* seconds since 1970 */
	bool inside;
};

/* 0; 1 no kit was written yet; -1 with ${e}. */
int kit_note_read(struct state *s, struct kit_note *note, struct err *e);

#endif
