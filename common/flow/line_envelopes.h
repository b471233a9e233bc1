#ifndef SAMARA_FLOW_LINE_ENVELOPES_H
#define SAMARA_FLOW_LINE_ENVELOPES_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct envelope;
struct err;
struct state;

/**
 * line_envelopes(s, head_seq, env, bytes, len, out, e):
 * Append to ${out} the rows of a commit (fmt_line.h): the envelopes that a vault whose head is
 * ${head_seq} has not acknowledged, whatever became of their images, then ${env}'s own ${len} ${bytes}.
 * Numbers that a restored state never knew are left out.  0 or -1 with ${e}.
 */
int line_envelopes(struct state *s, uint64_t head_seq, const struct envelope *env, const uint8_t *bytes, size_t len,
    struct buf *out, struct err *e);

#endif
