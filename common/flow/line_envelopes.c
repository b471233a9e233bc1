#include "common/flow/line_envelopes.h"

#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/flow/state.h"
#include "formats/fmt_line.h"

static int
row_add(struct buf *out, const uint8_t *envelope, size_t len, struct err *e)
{
	struct wr w;
	uint8_t *p;

	if ((p = buf_room(out, len + 2)) == NULL)
		return buf_check(out, e);
	w = (struct wr){ .p = p, .left = len + 2 };
	commit_put(&w, envelope, len);
	if (w.bad)
		return err_set(e, ERR_INTERNAL, "an envelope is too long");
	buf_grew(out, len + 2);
	return 0;
}

int
line_envelopes(struct state *s, uint64_t head_seq, const struct envelope *env, const uint8_t *bytes, size_t len,
    struct buf *out, struct err *e)
{
	uint64_t seq = head_seq + 1;
	struct envelope before;
	uint8_t *old;
	size_t n;
	int rc;

	if (seq < s->member.from_seq)
		seq = s->member.from_seq;
	if (env->seq > seq && env->seq - seq >= COMMIT_ENVELOPES_MAX)
		seq = env->seq - COMMIT_ENVELOPES_MAX + 1;
	for (; seq < env->seq; seq++) {
		if ((rc = state_envelope(s, seq, &old, &n, &before, e)) == -1)
			return -1;
		if (rc == 1)
			continue;
		rc = row_add(out, old, n, e);
		free(old);
		if (rc != 0)
			return -1;
	}
	return row_add(out, bytes, len, e);
}
