#include <stdlib.h>
#include <string.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/out.h"
#include "common/base/text.h"
#include "common/flow/against.h"
#include "common/flow/session.h"
#include "common/walk/compare.h"
#include "verify/verify_commands.h"
#include "verify/verify_common.h"

struct checking {
	struct verify_keys keys;
	struct opt_list from;
	const char *against;
	int no_owner, no_mtime;
	uint64_t jobs;
	struct session s;
	const struct snapshot *snap;
	char *path;
};

static void
bad_told(void *arg, const char *where, const uint8_t *id, const struct err *why)
{
	(void)arg;
	if (id != NULL)
		say_warn("%s: chunk %02x%02x%02x%02x: %s", where, id[0], id[1], id[2], id[3], why->msg);
	else
		say_warn("%s: %s", where, why->msg);
}

static void
difference_print(void *arg, struct fmt_view path, const char *what)
{
	char *safe = malloc((size_t)path.len * 4 + 4);
	struct out *o;

	(void)arg;
	if (safe != NULL)
		out_text("different   %s: %s\n", text_safe(safe, (size_t)path.len * 4 + 4, path.p, path.len), what);
	free(safe);
	o = out_object("difference");
	out_name(o, "path", path.p, path.len);
	out_str(o, "what", what);
	out_emit(o);
}

static int
against_print(const struct against_result *r, int64_t ns)
{
	char n[HUMAN_MAX], m[HUMAN_MAX], size[HUMAN_MAX], time[HUMAN_MAX];
	struct out *o;

	out_text("compared: %s entries, %s files, %s of content, in %s\n", human_count(n, r->entries), human_count(m, r->files),
	    human_size(size, r->bytes), human_duration(time, ns));
	if (r->different == 0 && r->extra == 0)
		out_text("No difference found.\n");
	if (r->different > 0)
		out_text("DIFFERENT   %s entries; each is named above\n", human_count(n, r->different));
	if (r->extra > 0)
		out_text("more        %s names there that the snapshot does not have\n", human_count(n, r->extra));
	o = out_object("summary");
	out_u64(o, "entries", r->entries);
	out_u64(o, "files", r->files);
	out_u64(o, "bytes", r->bytes);
	out_u64(o, "different", r->different);
	out_u64(o, "extra", r->extra);
	out_u64(o, "ns", (uint64_t)ns);
	out_emit(o);
	return r->different > 0 || r->extra > 0 ? err_exit(ERR_DIFFERENT) : 0;
}

/* Compare with what is on this computer. */
static int
against_check(struct checking *c, struct err *e)
{
	struct against_options o = { .reader = c->s.reader, .root = c->path, .path = c->against, .fn = difference_print,
	    .skip = (c->no_owner ? COMPARE_NO_OWNER : 0) | (c->no_mtime ? COMPARE_NO_MTIME : 0) };
	int64_t begin = io_mono_ns();
	struct open_snapshot open;
	struct against_result r;
	int rc = -1;

	if (snapshot_open(&open, c->s.source, c->s.reader, c->snap, c->s.keys, e) != 0)
		return -1;
	o.snap = &open;
	if ((o.content = source_reader_new(c->s.source, e)) != NULL) {
		rc = against_run(&o, &r, e);
		source_reader_free(o.content);
	}
	snapshot_close(&open);
	return rc != 0 ? -1 : against_print(&r, io_mono_ns() - begin);
}

/* Open everything that the snapshot needs. */
static int
chunks_check(struct checking *c, const struct args *a, struct err *e)
{
	const struct verify_options o = { .keys = c->s.keys, .workers = c->jobs > 256 ? 256 : (unsigned)c->jobs,
	    .memory = a->memory, .fn = verify_finding_print };
	int64_t begin = io_mono_ns();
	struct verify_result r;

	if (verify_snapshot(&c->s, c->snap, &o, &r, e) != 0)
		return -1;
	return verify_result_print(&r, io_mono_ns() - begin);
}

static int
opened_check(struct checking *c, const struct args *a, struct err *e)
{
	const struct snapshot *newer = NULL;
	size_t n;

	if (snapshot_pick(&c->s.list, c->s.source, a->operands[0], &c->snap, &c->path, &newer, e) != 0)
		return -1;
	for (n = strlen(c->path); n > 1 && c->path[n - 1] == '/'; n--)
		c->path[n - 1] = '\0';
	if (!path_is_valid(view_of(c->path, strlen(c->path))))
		return err_set(e, ERR_USAGE, "%s is not an absolute path", c->path);
	return c->against != NULL ? against_check(c, e) : chunks_check(c, a, e);
}

int
verify_snapshot_cmd(struct args *a, struct err *e)
{
	struct checking c = { 0 };
	struct session_options so = { .bad = bad_told };
	const struct opt opts[] = {
		{ "from", 0, OPT_LIST, &c.from, "DISK|VAULT|line", "where to read; may be repeated; the line if not given" },
		{ "against", 0, OPT_STR, &c.against, "PATH", "compare with what stands below PATH, content and attributes" },
		{ "no-owner", 0, OPT_FLAG, &c.no_owner, NULL, "do not compare owners" },
		{ "no-mtime", 0, OPT_FLAG, &c.no_mtime, NULL, "do not compare times" },
		{ "kit", 0, OPT_STR, &c.keys.kit, "FILE", "recovery kit, where the machine is not registered here" },
		{ "passphrase-file", 0, OPT_STR, &c.keys.pass_file, "FILE", "where the kit's passphrase is" },
		{ "jobs", 0, OPT_NUMBER, &c.jobs, "N", "threads that check; one a processor if not given" },
		{ 0 },
	};
	char *state = NULL;
	int rc = args_parse(a, opts, e);

	if (rc != 0)
		return rc == 1 ? 0 : -1;
	if (args_operands(a, 1, 1, e) != 0 || (c.keys.kit == NULL && args_state(a, &state, e) != 0))
		return -1;
	so.kit = c.keys.kit;
	so.pass_file = c.keys.pass_file;
	so.state_path = state;
	so.from = c.from.v;
	so.nfrom = c.from.n;
	so.memory = a->memory;
	if ((rc = session_open(&c.s, &so, e)) == 0) {
		rc = opened_check(&c, a, e);
		session_disputes(&c.s, state);
		session_close(&c.s);
		free(c.path);
	}
	free(state);
	return rc;
}
