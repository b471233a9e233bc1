#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/text.h"
#include "common/crypto/hash.h"
#include "common/flow/restore_job.h"

/* What stands in a target that is being filled. */
#define NOTE_NAME	".samara-restore"
#define NOTE_MAX	4096u
#define NOTE_BEGINS	"samara-seed restores snapshot "

/* Whose is what stands under that name? */
enum note_kind { NOTE_NONE, NOTE_OURS, NOTE_OTHER_RESTORE, NOTE_NOT_OURS };

/* The note's text: which snapshot, which directory of it. */
static void
note_text(const struct restore_job *j, char out[NOTE_MAX])
{
	char id[2 * ID_LEN + 1], root[3000];

	(void)snprintf(out, NOTE_MAX, NOTE_BEGINS "%s into this directory.\nfrom %s\n"
	    "Run the same command again to go on; this file goes away when all is there.\n",
	    text_hex(id, j->opt->snap->env.snapshot_id, ID_LEN),
	    text_safe(root, sizeof(root), j->opt->root, strlen(j->opt->root)));
}

/* A name for the meantime that our note had when a run was killed: it goes, and counts as nothing. */
static bool
is_half_a_note(const struct restore_job *j, const char *name)
{
	static const char begins[] = "." NOTE_NAME ".tmp-";

	return strncmp(name, begins, sizeof(begins) - 1) == 0 && io->unlinkat(j->target, name, 0) == 0;
}

/* 1 if nothing but what a new file system has is in the target, 0 if not, -1. */
static int
target_is_empty(const struct restore_job *j, struct err *e)
{
	DIR *d;
	struct dirent *de;
	int fd = dir_open(j->target, ".", e), empty = 1;

	if (fd == -1)
		return -1;
	if ((d = io->fdopendir(fd)) == NULL) {
		(void)err_errno(e, "read %s", j->opt->to);
		(void)io->close(fd);
		return -1;
	}
	while ((de = io->readdir(d)) != NULL)
		empty &= strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0 || strcmp(de->d_name, "lost+found") == 0 ||
		    is_half_a_note(j, de->d_name);
	(void)io->closedir(d);
	return empty;
}

/* ${want} is the text of this restore's own. */
static enum note_kind
note_look(const struct restore_job *j, const char *want)
{
	enum note_kind kind = NOTE_NOT_OURS;
	struct err own;
	uint8_t *have;
	size_t len;

	err_clear(&own);
	if (file_read(j->target, NOTE_NAME, NOTE_MAX, &have, &len, &own) != 0)
		return own.code == ERR_NOT_FOUND ? NOTE_NONE : NOTE_NOT_OURS;
	if (len == strlen(want) && memcmp(have, want, len) == 0)
		kind = NOTE_OURS;
	else if (len > strlen(NOTE_BEGINS) && memcmp(have, NOTE_BEGINS, strlen(NOTE_BEGINS)) == 0)
		kind = NOTE_OTHER_RESTORE;
	free(have);
	return kind;
}

static int
target_judge(struct restore_job *j, const char *note, struct err *e)
{
	int empty = target_is_empty(j, e);

	if (empty == -1)
		return -1;
	j->empty = empty == 1;
	j->r->resumed = !empty && note_look(j, note) == NOTE_OURS;
	if (empty || j->r->resumed || j->opt->overwrite >= 0)
		return 0;
	return err_set(e, ERR_NOT_EMPTY, "%s is not empty, and what is in it is no unfinished restore of this snapshot",
	    j->opt->to);
}

int
target_open(struct restore_job *j, enum place_overwrite *how, uint64_t *tag, struct err *e)
{
	uint8_t digest[DIGEST_LEN];
	char note[NOTE_MAX];

	if (dir_make(AT_FDCWD, j->opt->to, 0755, e) != 0 || (j->target = dir_open(AT_FDCWD, j->opt->to, e)) == -1)
		return -1;
	note_text(j, note);
	if (target_judge(j, note, e) != 0)
		return -1;
	hash_once(note, strlen(note), digest);
	*tag = le64_get(digest);
	*how = j->opt->overwrite >= 0 ? (enum place_overwrite)j->opt->overwrite : PLACE_IF_DIFFERENT;
	if (note_look(j, note) == NOTE_NOT_OURS)	/* somebody's own file: it stays, and nothing marks this restore */
		return 0;
	return file_replace(j->target, NOTE_NAME, note, strlen(note), 0644, e);
}

int
target_done(struct restore_job *j, struct err *e)
{
	char note[NOTE_MAX];

	note_text(j, note);
	if (note_look(j, note) != NOTE_OURS)	/* a file of that name that was restored, for one */
		return 0;
	if (io->unlinkat(j->target, NOTE_NAME, 0) != 0 && errno != ENOENT)
		return err_errno(e, "remove %s/%s", j->opt->to, NOTE_NAME);
	return 0;
}
