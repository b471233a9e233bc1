#ifndef SAMARA_SEED_COMMANDS_H
#define SAMARA_SEED_COMMANDS_H

/*
 * What samara-seed can do, one function a command, each in a file of its name.
 * They parse the words after the command, call one flow and print; what they
 * return is said at struct cmd (common/base/args.h).
 */

struct args;
struct err;

/* Each: 0 or another exit status, or -1 with ${e}. */
int seed_connection(struct args *a, struct err *e);
int seed_register(struct args *a, struct err *e);
int seed_plan(struct args *a, struct err *e);
int seed_backup(struct args *a, struct err *e);
int seed_build(struct args *a, struct err *e);
int seed_images(struct args *a, struct err *e);
int seed_cancel(struct args *a, struct err *e);
int seed_lost(struct args *a, struct err *e);
int seed_ship(struct args *a, struct err *e);
int seed_receipt(struct args *a, struct err *e);
int seed_refill(struct args *a, struct err *e);
int seed_snapshots(struct args *a, struct err *e);
int seed_ls(struct args *a, struct err *e);
int seed_find(struct args *a, struct err *e);
int seed_diff(struct args *a, struct err *e);
int seed_dump(struct args *a, struct err *e);
int seed_restore(struct args *a, struct err *e);
int seed_status(struct args *a, struct err *e);
int seed_jobs(struct args *a, struct err *e);
int seed_jobs_watch(struct args *a, struct err *e);
int seed_jobs_cancel(struct args *a, struct err *e);
int seed_policy_show(struct args *a, struct err *e);
int seed_policy_set(struct args *a, struct err *e);
int seed_schedule_install(struct args *a, struct err *e);
int seed_schedule_remove(struct args *a, struct err *e);
int seed_schedule_run(struct args *a, struct err *e);
int seed_key_list(struct args *a, struct err *e);
int seed_key_test(struct args *a, struct err *e);
int seed_key_kit(struct args *a, struct err *e);

#endif
