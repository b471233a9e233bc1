#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/log.h"
#include "formats/fmt_line_read.h"
#include "formats/fmt_listing.h"
#include "seed/seed_read.h"

void
seed_state_of_line(const struct snap_place *line, char out[SEED_STATE_MAX])
{
	const char *more = (line->flags & LINE_DELETED) != 0 ? ", deleted" : (line->flags & LINE_PROTECTED) != 0 ? ", protected" : "";
	char n[HUMAN_MAX];

	switch (line->state) {
	case LINE_WHOLE:
		(void)snprintf(out, SEED_STATE_MAX, "whole%s", more);
		break;
	case LINE_PENDING:
		(void)snprintf(out, SEED_STATE_MAX, "pending on %s%s", line->image[0] != '\0' ? line->image : "an image", more);
		break;
	case LINE_PARTIAL:
		if (line->files_lost > 0)
			(void)snprintf(out, SEED_STATE_MAX, "partial (%s file%s lost)%s", human_count(n, line->files_lost),
			    line->files_lost == 1 ? "" : "s", more);
		else
			(void)snprintf(out, SEED_STATE_MAX, "partial (%s chunks given up)%s", human_count(n, line->given_up), more);
		break;
	case LINE_GAP:
		(void)snprintf(out, SEED_STATE_MAX, "gap: the vault lacks %s chunks%s", human_count(n, line->missing), more);
		break;
	default:
		(void)snprintf(out, SEED_STATE_MAX, "unknown: the vault is still finding out%s", more);
	}
}

void
seed_snapshot_state(const struct seed_read *r, const struct snapshot *snap, char out[SEED_STATE_MAX])
{
	const struct snap_place *line = snapshot_on_line(r->s.source, snap);
	char n[HUMAN_MAX];
	uint64_t missing;
	struct err own;

	err_clear(&own);
	if (line != NULL && (line->state == LINE_WHOLE || snap->places == 1))
		seed_state_of_line(line, out);
	else if (snapshot_missing(r->s.source, snap, &missing, &own) != 0)
		(void)snprintf(out, SEED_STATE_MAX, "unknown: its reference list is damaged or not here");
	else if (missing == 0)
		(void)snprintf(out, SEED_STATE_MAX, "whole");
	else if (line != NULL)
		seed_state_of_line(line, out);
	else
		(void)snprintf(out, SEED_STATE_MAX, "gap: %s chunks are not here", human_count(n, missing));
}

static void
bad_told(void *arg, const char *where, const uint8_t *id, const struct err *why)
{
	struct seed_read *r = arg;

	r->bad++;
	if (id != NULL)
		say_warn("%s: chunk %02x%02x%02x%02x: %s", where, id[0], id[1], id[2], id[3], why->msg);
	else
		say_warn("%s: %s", where, why->msg);
}

/* With a kit the keys come from it, and the line from the state of this computer. */
static int
wants_line(const struct seed_read *r)
{
	for (size_t i = 0; i < r->from.n; i++)
		if (strcmp(r->from.v[i], SESSION_LINE) == 0)
			return 1;
	return 0;
}

int
seed_read_open(const struct args *a, struct seed_read *r, const char *text, struct err *e)
{
	struct session_options o = { .kit = r->kit, .pass_file = r->pass_file, .credential = r->credential, .from = r->from.v,
	    .nfrom = r->from.n, .kept = r->kept, .memory = a->memory, .bad = bad_told, .bad_arg = r };
	char date[HUMAN_MAX], id[SNAPSHOT_SHORT_LEN], is[SEED_STATE_MAX];
	const struct snapshot *newer = NULL;
	int rc;

	if (r->credential != NULL && r->kit == NULL)
		return err_set(e, ERR_USAGE, "a credential for reading goes with the machine's recovery kit: --kit FILE");
	if ((r->kit == NULL || (wants_line(r) && r->credential == NULL)) && args_state(a, &r->state, e) != 0)
		return -1;
	o.state_path = r->state;
	if ((rc = session_open(&r->s, &o, e)) != 0) {
		free(r->state);
		r->state = NULL;
	}
	if (rc != 0 || text == NULL)
		return rc;
	if (snapshot_pick(&r->s.list, r->s.source, text, &r->snap, &r->path, &newer, e) != 0) {
		seed_read_close(r);
		return -1;
	}
	if (newer != NULL && newer != r->snap) {
		seed_snapshot_state(r, newer, is);
		say_warn("snapshot %s of %s is newer, but not all of it is here: %s", snapshot_short(id, newer->env.snapshot_id),
		    human_date(date, newer->env.begin_ns / 1000000000), is);
	}
	return 0;
}

void
seed_read_leave(struct seed_read *r)
{
	r->snap = NULL;
	session_leave(&r->s);
}

int
seed_read_again(const struct args *a, struct seed_read *r, const char *const *from, size_t n, const uint8_t id[ID_LEN],
    struct err *e)
{
	const struct session_options o = { .credential = r->credential, .from = from, .nfrom = n, .kept = r->kept, .memory = a->memory, .bad = bad_told,
	    .bad_arg = r };

	r->snap = NULL;
	if (session_places(&r->s, &o, e) != 0)
		return -1;
	for (size_t i = 0; i < r->s.list.n; i++)
		if (memcmp(r->s.list.snap[i].env.snapshot_id, id, ID_LEN) == 0)
			r->snap = &r->s.list.snap[i];
	if (r->snap != NULL)
		return 0;
	seed_read_leave(r);
	return err_set(e, ERR_NO_SNAPSHOT, "the snapshot is not there any more");
}

void
seed_read_close(struct seed_read *r)
{
	session_disputes(&r->s, r->state);
	session_close(&r->s);
	free(r->state);
	r->state = NULL;
	free(r->path);
	r->path = NULL;
}

char *
seed_read_path(const struct seed_read *r, const char *given, struct err *e)
{
	size_t a = strlen(r->path), b = given != NULL ? strlen(given) : 0;
	char *p = malloc(a + b + 3);

	if (p == NULL) {
		(void)err_set(e, ERR_MEMORY, "no memory");
		return NULL;
	}
	if (given == NULL)
		(void)snprintf(p, a + b + 3, "%s", r->path);
	else if (given[0] == '/' && a == 1)
		(void)snprintf(p, a + b + 3, "%s", given);
	else if (given[0] == '/' && strncmp(given, r->path, a) == 0 && (given[a] == '/' || given[a] == '\0'))
		(void)snprintf(p, a + b + 3, "%s", given);
	else
		(void)snprintf(p, a + b + 3, "%s%s%s", r->path, a > 1 && given[0] != '/' ? "/" : "", given);
	for (a = strlen(p); a > 1 && p[a - 1] == '/'; a--)
		p[a - 1] = '\0';
	if (path_is_valid(view_of(p, strlen(p))))
		return p;
	(void)err_set(e, ERR_USAGE, "%s is not an absolute path without \".\", \"..\" and double slashes", p);
	free(p);
	return NULL;
}
