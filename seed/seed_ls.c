#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/out.h"
#include "common/base/stop.h"
#include "common/base/text.h"
#include "common/flow/path_within.h"
#include "common/pack/listing_read.h"
#include "seed/seed_commands.h"
#include "seed/seed_read.h"

#define NAME_SAFE_MAX	(NAME_LEN_MAX * 4 + 4)
#define PATH_SAFE_MAX	((size_t)PATH_LEN_MAX * 4 + 4)

struct showing {
	struct seed_read read;
	struct open_snapshot open;
	int recursive;
	char *safe;		/* PATH_SAFE_MAX: a path made printable */
	uint64_t entries, bytes;
};

static const char types[] = "?-dlpcb";
static const char *const type_words[] = { "?", "file", "directory", "symlink", "fifo", "character device", "block device" };

/* "-rw-r--r--" and the rest of ls(1)'s first column. */
static void
mode_text(char out[11], const struct entry *en)
{
	static const char bits[] = "rwxrwxrwx";

	out[0] = types[en->type];
	for (int i = 0; i < 9; i++)
		out[i + 1] = (en->mode & (0400u >> i)) != 0 ? bits[i] : '-';
	if ((en->mode & 04000) != 0)
		out[3] = out[3] == 'x' ? 's' : 'S';
	if ((en->mode & 02000) != 0)
		out[6] = out[6] == 'x' ? 's' : 'S';
	if ((en->mode & 01000) != 0)
		out[9] = out[9] == 'x' ? 't' : 'T';
	out[10] = '\0';
}

static const char *
owner_text(char *out, size_t cap, struct fmt_view name, uint32_t number)
{
	if (name.len > 0)
		return text_safe(out, cap, name.p, name.len);
	(void)snprintf(out, cap, "%u", number);
	return out;
}

static const char *
time_text(char *out, size_t cap, const struct entry *en)
{
	time_t t = (time_t)en->mtime_s;
	struct tm tm;

	if (localtime_r(&t, &tm) == NULL || strftime(out, cap, "%Y-%m-%d %H:%M", &tm) == 0)
		(void)snprintf(out, cap, "%lld", (long long)en->mtime_s);
	return out;
}

static void
entry_emit(struct fmt_view dir, const struct entry *en)
{
	struct out *o = out_object("entry");

	if (o == NULL)
		return;
	out_name(o, "directory", dir.p, dir.len);
	out_name(o, "name", en->name.p, en->name.len);
	out_str(o, "kind", type_words[en->type]);
	out_u64(o, "mode", en->mode);
	out_u64(o, "uid", en->uid);
	out_u64(o, "gid", en->gid);
	out_name(o, "user", en->user.p, en->user.len);
	out_name(o, "group", en->group.p, en->group.len);
	out_u64(o, "size", en->size);
	out_i64(o, "mtime", en->mtime_s);
	out_u64(o, "mtime_ns", en->mtime_ns);
	out_u64(o, "links", en->nlink);
	out_u64(o, "inode", en->inode);
	out_bool(o, "unsure", (en->flags & ENTRY_UNSURE) != 0);
	out_bool(o, "changed", (en->flags & ENTRY_CHANGED) != 0);
	out_bool(o, "partial", (en->flags & ENTRY_PARTIAL) != 0);
	if (en->type == ENTRY_SYMLINK)
		out_name(o, "target", en->target.p, en->target.len);
	out_emit(o);
}

static void
entry_show(struct showing *s, struct fmt_view dir, const struct entry *en)
{
	char mode[11], user[NAME_SAFE_MAX], group[NAME_SAFE_MAX], when[64], name[NAME_SAFE_MAX], size[48];
	char *target = NULL;

	mode_text(mode, en);
	if (en->type == ENTRY_CHAR || en->type == ENTRY_BLOCK)
		(void)snprintf(size, sizeof(size), "%u, %u", en->major, en->minor);
	else
		(void)snprintf(size, sizeof(size), "%llu", (unsigned long long)en->size);
	if (en->type == ENTRY_SYMLINK && (target = malloc(LINK_LEN_MAX * 4 + 4)) != NULL)
		(void)text_safe(target, LINK_LEN_MAX * 4 + 4, en->target.p, en->target.len);
	out_text("%s %3u %-8s %-8s %12s %s %s%s%s%s\n", mode, en->nlink, owner_text(user, sizeof(user), en->user, en->uid),
	    owner_text(group, sizeof(group), en->group, en->gid), size, time_text(when, sizeof(when), en),
	    text_safe(name, sizeof(name), en->name.p, en->name.len), target != NULL ? " -> " : "", target != NULL ? target : "",
	    (en->flags & ENTRY_PARTIAL) != 0 ? "   (partly unreadable)" :
	    (en->flags & ENTRY_CHANGED) != 0 ? "   (changed while it was read)" : "");
	free(target);
	entry_emit(dir, en);
	s->entries++;
	s->bytes += en->size;
}

static int
dir_show(struct showing *s, struct fmt_view top, struct err *e)
{
	const struct snapshot_root *root = &s->open.root;
	struct listing_reader *r = listing_reader_new(root->top_id, root->levels, source_get, s->read.s.reader, NULL, NULL);
	struct fmt_view dir;
	struct entry en;
	int rc, first = 1;

	if (r == NULL)
		return err_set(e, ERR_MEMORY, "no memory to read a listing");
	rc = listing_reader_seek(r, top, e);
	while (rc == 0 && (rc = listing_reader_next(r, &dir, &en, e)) > 0) {
		if (rc == 2 && (s->recursive ? !path_is_within(dir, top) : !first)) {
			rc = 0;
			break;
		}
		if (rc == 2 && s->recursive)
			out_text("%s%s:\n", first ? "" : "\n", text_safe(s->safe, PATH_SAFE_MAX, dir.p, dir.len));
		if (rc == 1)
			entry_show(s, dir, &en);
		first = 0;
		rc = stop_check(e);
	}
	listing_reader_free(r);
	return rc;
}

static int
path_show(struct showing *s, const char *text, struct err *e)
{
	const struct snapshot_root *root = &s->open.root;
	struct fmt_view path = view_of(text, strlen(text));
	uint8_t copy[ENTRY_LEN_MAX + 16];
	struct entry en = { .type = ENTRY_DIR };
	uint32_t slash;
	int rc;

	if (path.len > 1) {
		rc = listing_find(root->top_id, root->levels, source_get, s->read.s.reader, path, &en, copy, e);
		if (rc < 0)
			return -1;
		if (rc == 0)
			return err_set(e, ERR_NOT_FOUND, "%s is not in the snapshot", text_safe(s->safe, PATH_SAFE_MAX, path.p, path.len));
	}
	if (en.type == ENTRY_DIR)
		return dir_show(s, path, e);
	for (slash = path.len - 1; path.p[slash] != '/'; slash--)
		;
	entry_show(s, view_of(path.p, slash > 0 ? slash : 1), &en);
	return 0;
}

static int
opened_show(struct showing *s, const char *given, struct err *e)
{
	char *path = seed_read_path(&s->read, given, e);
	struct out *o;
	int rc;

	if (path == NULL)
		return -1;
	rc = snapshot_open(&s->open, s->read.s.source, s->read.s.reader, s->read.snap, s->read.s.keys, e);
	if (rc == 0) {
		rc = path_show(s, path, e);
		snapshot_close(&s->open);
	}
	free(path);
	if (rc == 0) {
		o = out_object("summary");
		out_u64(o, "entries", s->entries);
		out_u64(o, "bytes", s->bytes);
		out_emit(o);
	}
	return rc;
}

int
seed_ls(struct args *a, struct err *e)
{
	struct showing s = { 0 };
	const struct opt opts[] = {
		SEED_READ_OPTS(&s.read),
		{ "recursive", 'R', OPT_FLAG, &s.recursive, NULL, "everything below it too" },
		{ 0 },
	};
	int rc = args_parse(a, opts, e);

	if (rc != 0)
		return rc == 1 ? 0 : -1;
	if (args_operands(a, 1, 2, e) != 0)
		return -1;
	if ((s.safe = malloc(PATH_SAFE_MAX)) == NULL)
		return err_set(e, ERR_MEMORY, "no memory");
	rc = seed_read_open(a, &s.read, a->operands[0], e);
	if (rc == 0) {
		rc = opened_show(&s, a->n > 1 ? a->operands[1] : NULL, e);
		seed_read_close(&s.read);
	}
	free(s.safe);
	return rc;
}
