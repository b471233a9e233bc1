#ifndef SAMARA_FLOW_AWAKE_H
#define SAMARA_FLOW_AWAKE_H

/*
 * The system does not go to sleep while a job runs, where systemd-logind is
 * there to be asked: by systemd-inhibit around a program that ends when we do,
 * however we end.  Elsewhere nothing happens.
 */

struct awake;

/* ${why} is shown to whoever wants to know ("building image RM4K").  NULL where it cannot be had. */
struct awake *awake_begin(const char *why);
void awake_end(struct awake *a);

#endif
