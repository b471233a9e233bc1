#ifndef SAMARA_SEED_ALERT_H
#define SAMARA_SEED_ALERT_H

struct err;
struct state;

/**
 * seed_alert(s, program, state, set, status, e):
 * After a scheduled backup of ${set} that ended with ${status}: tell whom the policy names
 * if the machine is not protected, once, each week again, and when it is over (state file
 * `alert`).  ${program} is samara-seed, ${state} the state directory, by their paths.  0 or -1 with ${e}.
 */
int seed_alert(struct state *s, const char *program, const char *state, const char *set, int status, struct err *e);

#endif
