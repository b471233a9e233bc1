#ifndef SAMARA_FORMATS_FMT_LINE_H
#define SAMARA_FORMATS_FMT_LINE_H

/* What a machine and its vault say to each other in a session.  Specification: docs/formats/line.md. */

#include "formats/schema.h"

enum line_kind { LINE_BACKUP = 1, LINE_PLEDGE = 2, LINE_REFILL = 3 };

/* "Here I am, and this is what I build on." */
struct session_open {
	uint8_t session_id[ID_LEN];	/* the machine's own choice, random: the same one again is the same session */
	uint8_t kind;			/* LINE_… */
	char set_name[SET_NAME_MAX + 1];	/* of a backup; else it may be empty */
	uint8_t base[ID_LEN];		/* snapshot; zeros: none */
};
extern const struct fmt_schema session_open_schema;

struct session_opened {
	uint8_t session_id[ID_LEN];
	uint64_t epoch;			/* of the vault's collections */
	uint64_t head_seq;		/* highest snapshot number of this machine that the vault knows; 0: none */
	uint8_t head_id[ID_LEN];	/* that snapshot */
	uint8_t head[DIGEST_LEN];	/* statement digest of its envelope */
	uint8_t base_whole;		/* 1: nothing of the base is lost, there is no need to ask */
	uint32_t seconds;		/* it ends when it is not touched for so long */
};
extern const struct fmt_schema session_opened_schema;

/* Ids in rising order, a page of them. */
struct id_page {
	struct fmt_view ids;		/* DIGEST_LEN each */
	uint8_t more;			/* 1: there are more, above the last of these */
};
extern const struct fmt_schema id_page_schema;

/* "What of these do you have?" */
struct ask {
	struct fmt_view ids;		/* DIGEST_LEN each, rising */
};
extern const struct fmt_schema ask_schema;

enum id_state {
	ID_HELD = 1,			/* a good copy that this machine wrote */
	ID_PROMISED = 2,		/* on its way, on a disk */
	ID_MISSING = 3
};
struct answer {
	struct fmt_view states;		/* ID_…, one byte for each id of the question */
};
extern const struct fmt_schema answer_schema;

/* "These are my snapshots from here on; the last one is what this session is about." */
struct commit {
	uint64_t head_seq;		/* of the vault's head as the machine knows it; 0: none */
	uint8_t head_id[ID_LEN];
	struct fmt_view envelopes;	/* rows: length u16, as many bytes; see commit_next */
};
extern const struct fmt_schema commit_schema;

/**
 * commit_next(r, envelope):
 * The next row at ${r}, a view into its bytes: FMT_OK; FMT_SHORT at the end
 * (r->left == 0) or where it is cut; FMT_RANGE where it is empty or too long.
 */
enum fmt_status commit_next(struct rd *r, struct fmt_view *envelope);
/* Append a row; w->bad is set where there is no room or it is too long. */
void commit_put(struct wr *w, const void *envelope, size_t len);

enum line_state { LINE_UNKNOWN = 1, LINE_WHOLE = 2, LINE_PENDING = 3, LINE_GAP = 4, LINE_PARTIAL = 5 };
struct committed {
	uint64_t head_seq;		/* the vault's head now */
	uint8_t head_id[ID_LEN];
	uint8_t head[DIGEST_LEN];
	uint8_t state;			/* LINE_… of the last snapshot; unknown: it is being computed */
	int64_t time;			/* when the vault took it, nanoseconds */
};
extern const struct fmt_schema committed_schema;

#endif
