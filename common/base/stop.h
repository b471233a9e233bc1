#ifndef SAMARA_BASE_STOP_H
#define SAMARA_BASE_STOP_H

/*
 * The person asks to stop.  SIGINT and SIGTERM only set a flag, however often
 * they come; the job looks at it between two steps, ends cleanly and says how
 * to go on.  SIGHUP never ends a job: the terminal may go away.
 */

struct err;

/* Take the signals over.  Once, at the start of main, before any thread. */
void stop_init(void);

/* 1 once somebody asked. */
int stop_asked(void);

/**
 * stop_check(e):
 * 0, or -1 with ERR_INTERRUPTED once somebody asked.  The caller puts the
 * command that goes on into err_next.
 */
int stop_check(struct err *e);

/* Ask by program: one part of a job failed and the others need not go on. */
void stop_ask(void);

/* Forget that somebody asked (tests). */
void stop_reset(void);

#endif
