#ifndef SAMARA_IMPORT_IMPORT_COMMANDS_H
#define SAMARA_IMPORT_IMPORT_COMMANDS_H

/* The commands of samara-import, each in a file of its name; struct cmd says what they return. */

struct args;
struct err;

/* Each: 0 or another exit status, or -1 with ${e}. */
int import_create(struct args *a, struct err *e);
int import_credential(struct args *a, struct err *e);
int import_dock(struct args *a, struct err *e);
int import_receive(struct args *a, struct err *e);
int import_ingest(struct args *a, struct err *e);
int import_claim(struct args *a, struct err *e);
int import_expect(struct args *a, struct err *e);
int import_lost(struct args *a, struct err *e);
int import_cancel(struct args *a, struct err *e);
int import_reopen(struct args *a, struct err *e);
int import_pledge(struct args *a, struct err *e);
int import_release(struct args *a, struct err *e);
int import_alerts(struct args *a, struct err *e);
int import_export(struct args *a, struct err *e);
int import_wipe(struct args *a, struct err *e);
int import_status(struct args *a, struct err *e);
int import_list(struct args *a, struct err *e);
int import_rebuild(struct args *a, struct err *e);
int import_kit(struct args *a, struct err *e);
int import_clock(struct args *a, struct err *e);
int import_key_copy(struct args *a, struct err *e);
int import_receipt(struct args *a, struct err *e);
int import_machine(struct args *a, struct err *e);
int import_serve(struct args *a, struct err *e);
int import_url(struct args *a, struct err *e);
int import_handoff(struct args *a, struct err *e);
int import_prune(struct args *a, struct err *e);
int import_gc(struct args *a, struct err *e);
/* import_retain.c */
int import_delete(struct args *a, struct err *e);
int import_undelete(struct args *a, struct err *e);
int import_protect(struct args *a, struct err *e);
int import_unprotect(struct args *a, struct err *e);

#endif
