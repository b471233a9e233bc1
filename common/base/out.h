#ifndef SAMARA_BASE_OUT_H
#define SAMARA_BASE_OUT_H

/*
 * Results on stdout, in one of two modes.  For people: lines (out_text).  With
 * --json: one JSON object a line, each with a field "type", the last of them
 * {"type":"summary",...}.  A command makes both; only the mode in force is
 * written, so nothing has to ask for the mode.
 */

#include <stddef.h>
#include <stdint.h>

struct err;
struct out;

/* Choose the mode; text at start.  Before threads. */
void out_json_set(int json);
int out_is_json(void);

/**
 * out_text(fmt, ...):
 * In text mode, write this to stdout as it is (the newline is the caller's;
 * names from outside go through text_safe first).
 */
void out_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * out_object(type):
 * Start an object with this "type".  In text mode NULL, which all of the
 * following take and do nothing with.  Ends with out_emit.
 */
struct out *out_object(const char *type);

/* Members, by the rules of doc_put_* (doc.h). */
void out_str(struct out *o, const char *key, const char *s);
void out_name(struct out *o, const char *key, const void *bytes, size_t len);
void out_u64(struct out *o, const char *key, uint64_t v);
void out_i64(struct out *o, const char *key, int64_t v);
void out_real(struct out *o, const char *key, double v);
void out_bool(struct out *o, const char *key, int v);
void out_null(struct out *o, const char *key);
void out_bytes(struct out *o, const char *key, const void *bytes, size_t len);

/**
 * out_list(o, key), out_item(list):
 * A list as a member of ${o}: strings and numbers are put in with the
 * functions above (the key is not looked at); out_item starts an object
 * within it.  Each is closed with out_end before the one that holds it.
 */
struct out *out_list(struct out *o, const char *key);
struct out *out_item(struct out *list);
void out_end(struct out *inner);

/**
 * out_emit(o):
 * Write the object as one line and free it.  A "summary" waits for out_finish,
 * so that it is the last line whatever comes after it.
 */
void out_emit(struct out *o);

/**
 * out_finish(e):
 * Write the summary, and make sure that everything written so far has left the program.  Return 0, or
 * -1 with ${e} if any write to stdout failed since the start.
 */
int out_finish(struct err *e);

#endif
