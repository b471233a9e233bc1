#ifndef SAMARA_VERIFY_COMMANDS_H
#define SAMARA_VERIFY_COMMANDS_H

/*
 * What samara-verify can do, one function a command, each in a file of its
 * name.  They parse the words after the command, call one flow and print; what
 * they return is said at struct cmd (common/base/args.h).
 */

struct args;
struct err;

/* Each: 0 or another exit status, or -1 with ${e}. */
int verify_disk_cmd(struct args *a, struct err *e);
int verify_vault_cmd(struct args *a, struct err *e);
int verify_snapshot_cmd(struct args *a, struct err *e);
int verify_label_cmd(struct args *a, struct err *e);
int verify_custody_cmd(struct args *a, struct err *e);

#endif
