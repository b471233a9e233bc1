/* samara-seed restore where not all disks are at hand: one after the other. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/out.h"
#include "common/base/prompt.h"
#include "seed/seed_restoring.h"

char *
restoring_name(struct restoring *g, const char *text, struct err *e)
{
	const char *path = strstr(text, ":/");
	size_t n = sizeof(g->keep.snapshot) + strlen(text) + 1;
	char *name;

	g->said = text;
	if (restore_keep_open(&g->keep, g->o.to, e) == -1)
		return NULL;
	if ((name = malloc(n)) == NULL)
		(void)err_set(e, ERR_MEMORY, "no memory");
	else if (g->keep.fd != -1 && strcmp(g->keep.said, text) == 0)
		(void)snprintf(name, n, "%s%s", g->keep.snapshot, path != NULL ? path : "");
	else
		(void)snprintf(name, n, "%s", text);
	return name;
}

/* The place ${path} is a vault, or the line: it stays at hand, whatever becomes of disks. */
static int
is_vault(const char *path)
{
	char top[4200];
	struct stat st;

	if (strcmp(path, SESSION_LINE) == 0)
		return 1;

	(void)snprintf(top, sizeof(top), "%s/samara", path);
	return io->fstatat(AT_FDCWD, path, &st, 0) == 0 && S_ISDIR(st.st_mode) && io->fstatat(AT_FDCWD, top, &st, 0) != 0;
}

/* A word as a shell takes it. */
static void
word_add(struct buf *b, const char *option, const char *word)
{
	if (option != NULL)
		buf_print(b, " %s", option);
	if (word == NULL)
		return;
	if (word[0] != '\0' && strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-:+=@%,") == strlen(word)) {
		buf_print(b, " %s", word);
		return;
	}
	buf_str(b, " '");
	for (; *word != '\0'; word++) {
		if (*word == '\'')
			buf_str(b, "'\\''");
		else
			buf_u8(b, (uint8_t)*word);
	}
	buf_u8(b, '\'');
}

/* The command that goes on with the next disk. */
static void
command_make(const struct restoring *g, const struct args *a, struct buf *b)
{
	buf_str(b, "samara-seed restore");
	word_add(b, NULL, g->said);
	buf_str(b, " --from DISK");
	for (size_t i = 0; i < g->read.from.n; i++)
		if (is_vault(g->read.from.v[i]))
			word_add(b, "--from", g->read.from.v[i]);
	if (g->in_place)
		word_add(b, "--in-place", NULL);
	else
		word_add(b, "--to", g->o.to);
	if (g->overwrite != NULL)
		word_add(b, "--overwrite", g->overwrite);
	if (g->read.kit != NULL)
		word_add(b, "--kit", g->read.kit);
	if (g->read.pass_file != NULL)
		word_add(b, "--passphrase-file", g->read.pass_file);
	if (a->state != NULL)
		word_add(b, "--state", a->state);
	if (g->by_name)
		word_add(b, "--owners-by-name", NULL);
	for (size_t i = 1; i < a->n; i++)
		word_add(b, NULL, a->operands[i]);
	buf_u8(b, 0);
}

/* ${e} is set: say how to go on. */
static int
command_next(const struct restoring *g, const struct args *a, struct err *e)
{
	struct buf b;

	buf_init(&b);
	command_make(g, a, &b);
	if (buf_check(&b, NULL) == 0)
		(void)err_next(e, "%s", (const char *)b.p);
	buf_release(&b);
	return -1;
}

/* What was put in instead of the one that is needed: "disk RM4K-1 (/mnt/usb1)". */
static const char *
what_is_here(const struct restoring *g)
{
	for (size_t i = 0; i < source_containers(g->read.s.source); i++) {
		const struct container *c = source_container(g->read.s.source, i);

		if (c->is_disk && !c->is_kept)
			return c->name;
	}
	return "no disk";
}

/* Which disks there are, as things stand now. */
static int
disks_look(struct restoring *g, struct err *e)
{
	restore_disks_release(&g->disks);
	if (restore_disks_read(&g->disks, g->read.s.source, g->read.snap, g->read.s.keys->machine_pub, e) != 0)
		return -1;
	return restore_keep_read(&g->keep, &g->disks, e);
}

/* None of those at hand has anything to give. */
static int
disks_wrong(const struct restoring *g, const struct restore_disk *next, struct err *e)
{
	for (size_t i = 0; i < g->disks.n; i++)
		if (g->disks.disk[i].here)
			return err_set(e, ERR_DISK_NEEDED, "%s is needed next; %s has given all it has", next->name,
			    g->disks.disk[i].name);
	return err_set(e, ERR_WRONG_DISK, "%s is needed next; this is %s", next->name, what_is_here(g));
}

/* What is kept there belongs to a restore of something else: it goes, and the places are opened without it. */
static int
keep_check(struct restoring *g, const struct args *a, struct err *e)
{
	uint8_t key[DIGEST_LEN], id[ID_LEN];

	if (g->keep.fd == -1)
		return 0;
	restore_keep_key(&g->o, key);
	if (memcmp(key, g->keep.key, DIGEST_LEN) == 0)
		return 0;
	memcpy(id, g->o.snap->env.snapshot_id, ID_LEN);
	g->read.kept = NULL;
	seed_read_leave(&g->read);
	if (restore_keep_remove(&g->keep, g->o.to, e) != 0 ||
	    seed_read_again(a, &g->read, g->read.from.v, g->read.from.n, id, e) != 0)
		return -1;
	g->o.source = g->read.s.source;
	g->o.snap = g->read.snap;
	return 0;
}

/* There is a line, and no disk. */
static int
line_alone(const struct restoring *g)
{
	for (size_t i = 0; i < source_containers(g->read.s.source); i++)
		if (source_container(g->read.s.source, i)->is_disk)
			return 0;
	return source_line(g->read.s.source) != NULL;
}

int
restoring_disks(struct restoring *g, const struct args *a, uint64_t missing, struct err *e)
{
	const struct restore_disk *next;
	int vault = 0;

	if (g->o.dry_run || g->no_more_disks)
		return 0;
	if (keep_check(g, a, e) != 0 || disks_look(g, e) != 0)
		return -1;
	next = restore_disks_next(&g->disks);
	/* What the line lacks is on its way, or lost: disks are asked for only where one of them is at hand. */
	g->follow = g->keep.fd != -1 || (missing > 0 && next != NULL && !line_alone(g));
	if (!g->follow)
		return 0;
	if (g->o.overwrite == PLACE_ALWAYS || g->o.overwrite == PLACE_NEVER) {
		(void)err_set(e, ERR_USAGE, "with --overwrite %s all disks must be at hand at once", g->overwrite);
		return err_next(e, "give each with --from, or say --overwrite if-different, or --no-more-disks");
	}
	for (size_t i = 0; i < g->read.from.n; i++)
		vault |= is_vault(g->read.from.v[i]);
	if (vault || missing == 0 || next == NULL || restore_disks_useful(&g->disks))
		return 0;
	(void)disks_wrong(g, next, e);
	return command_next(g, a, e);
}

/* Open the disk at ${path}, and see that it has something to give. */
static int
disk_take(struct restoring *g, const struct args *a, const char *path, const uint8_t id[ID_LEN], const char *wanted,
    struct err *e)
{
	const char **from = calloc(g->read.from.n + 1, sizeof(*from));
	struct restore_disk next = { 0 };
	size_t n = 0;
	int rc;

	if (from == NULL)
		return err_set(e, ERR_MEMORY, "no memory");
	from[n++] = path;
	for (size_t i = 0; i < g->read.from.n; i++)
		if (is_vault(g->read.from.v[i]))
			from[n++] = g->read.from.v[i];
	rc = seed_read_again(a, &g->read, from, n, id, e);
	free(from);
	if (rc != 0 || disks_look(g, e) != 0)
		return -1;
	if (!restore_disks_useful(&g->disks)) {
		(void)snprintf(next.name, sizeof(next.name), "%s", wanted);
		return disks_wrong(g, &next, e);
	}
	g->o.source = g->read.s.source;
	g->o.snap = g->read.snap;
	return 0;
}

/* What is back so far, before a disk is asked for. */
static void
so_far(const struct restoring *g, const struct restore_report *r, const char *wanted)
{
	char files[HUMAN_MAX], size[HUMAN_MAX], n[HUMAN_MAX];
	struct out *o;

	(void)g;
	out_text("so far      %s files, %s; ", human_count(files, r->files), human_size(size, r->bytes));
	if (r->unread > 0)
		out_text("a part of the listing is on other disks\n");
	else
		out_text("%s wait for other disks\n", human_count(n, r->waiting));
	o = out_object("disk_needed");
	out_str(o, "disk", wanted);
	out_u64(o, "files", r->files);
	out_u64(o, "bytes", r->bytes);
	out_u64(o, "waiting", r->waiting);
	out_u64(o, "listing_parts_waiting", r->unread);
	out_emit(o);
}

/* The next disk: from the person at the terminal, or -1 with the command that goes on. */
static int
disk_get(struct restoring *g, const struct args *a, const char *wanted, struct err *e)
{
	char question[4300], last[4096] = "", path[4096];
	uint8_t id[ID_LEN];
	size_t len;

	for (size_t i = 0; i < g->read.from.n && last[0] == '\0'; i++)
		if (!is_vault(g->read.from.v[i]))
			(void)snprintf(last, sizeof(last), "%s", g->read.from.v[i]);
	memcpy(id, g->o.snap->env.snapshot_id, ID_LEN);
	seed_read_leave(&g->read);	/* so that it can be taken out */
	for (;;) {
		err_clear(e);
		(void)err_set(e, ERR_DISK_NEEDED, "%s is needed next", wanted);
		if (!isatty(STDIN_FILENO) || out_is_json())
			return command_next(g, a, e);
		err_clear(e);
		(void)snprintf(question, sizeof(question), "%s is needed next. Disk? [%s]", wanted, last);
		if (prompt_line(question, path, sizeof(path), &len, e) != 0) {
			if (e->code == ERR_INTERRUPTED)
				return -1;
			(void)err_set(e, ERR_DISK_NEEDED, "%s is needed next", wanted);
			return command_next(g, a, e);
		}
		if (len > 0)
			(void)snprintf(last, sizeof(last), "%s", path);
		if (disk_take(g, a, last, id, wanted, e) == 0)
			return 0;
		if (e->code == ERR_INTERRUPTED || e->code == ERR_MEMORY)
			return -1;
		say_warn("%s", e->msg);
		seed_read_leave(&g->read);
	}
}

/* All that can be had of those at hand is in place: keep what is still needed of them.  0 with ${wanted}, 1 none is left, -1. */
static int
disk_finish(struct restoring *g, const struct restore_report *r, char wanted[RESTORE_DISK_NAME_MAX], struct err *e)
{
	const struct restore_disk *next;

	if (g->keep.fd == -1 && restore_keep_make(&g->keep, &g->o, g->said, e) != 0)
		return -1;
	g->read.kept = g->kept;
	if (restore_keep_chunks(&g->keep, &g->o, r, e) != 0 ||
	    restore_keep_done(&g->keep, &g->disks, r->unread > 0, e) != 0)
		return -1;
	if ((next = restore_disks_next(&g->disks)) == NULL)
		return 1;
	(void)snprintf(wanted, RESTORE_DISK_NAME_MAX, "%s", next->name);
	return 0;
}

/* One run for each disk.  0 all is there; 1 nobody has what is missing; -1. */
static int
disks_run(struct restoring *g, const struct args *a, struct restore_report *r, struct err *e)
{
	char wanted[RESTORE_DISK_NAME_MAX];
	int rc;

	for (;;) {
		g->o.disks_follow = 1;
		if (restore_run(&g->o, r, e) != 0)
			return -1;
		g->o.disks_follow = 0;
		if (!restore_waits(r))
			return 0;
		if ((rc = disk_finish(g, r, wanted, e)) != 0)
			return rc;
		so_far(g, r, wanted);
		if (disk_get(g, a, wanted, e) != 0)
			return -1;
	}
}

int
restoring_run(struct restoring *g, const struct args *a, struct restore_report *r, struct err *e)
{
	int rc = g->follow ? disks_run(g, a, r, e) : 1;

	/* The last word on what is missing; a disk that turns up is taken by the same command. */
	if (rc == 1)
		rc = restore_keep_again(&g->keep, e) == 0 ? restore_run(&g->o, r, e) : -1;
	if (rc == 0 && !g->o.dry_run && r->failed == 0)
		rc = restore_keep_remove(&g->keep, g->o.to, e);
	return rc;
}
