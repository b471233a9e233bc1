#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/out.h"
#include "common/base/text.h"
#include "common/flow/register.h"
#include "common/flow/state.h"
#include "seed/seed_commands.h"

#define SAFE_NAME_MAX	(NAME_MAX_LEN * 4 + 4)

/* On the terminal, once; never into a log. */
static void
passphrase_show(const char *made, const char *file)
{
	say_info("the passphrase is in %s.  Without it, what is written to the disks is lost: nobody can recover it.", file);
	if (!isatty(STDERR_FILENO))
		return;
	say_raw("\n    ");
	say_raw(made);
	say_raw("\n\n");
}

static void
facts_print(const struct registering *r, const struct register_options *o, int known, int dry_run)
{
	char machine[SAFE_NAME_MAX];
	const char *name = register_machine(r);

	(void)text_safe(machine, sizeof(machine), name, strlen(name));
	out_text("machine %s %s with vault %s, chunks of %u KiB\n", machine, dry_run ? "would be registered" : "registered",
	    register_vault(r), register_chunk_avg(r) >> 10);
	out_text("state   %s\n", o->state);
	if (o->kit != NULL)
		out_text("kit     %s.  Keep it away from this machine; kit and passphrase open its disks anywhere\n", o->kit);
	if (dry_run)
		return;
	if (known)
		out_text("The vault has agreed and given this machine its token.  Next: samara-seed build --to DISK PATH..., or "
		    "samara-seed backup PATH...\n");
	else
		out_text("The registration travels on the first disk.  Next: samara-seed build --to DISK PATH...\n");
}

static void
summary_emit(const struct registering *r, const struct register_options *o, const struct state *s, int known)
{
	const char *name = register_machine(r);
	struct out *j = out_object("summary");

	out_name(j, "machine", name, strlen(name));
	out_str(j, "vault", register_vault(r));
	out_u64(j, "chunk_size", register_chunk_avg(r));
	out_name(j, "state", o->state, strlen(o->state));
	out_bool(j, "dry_run", s == NULL);
	out_bool(j, "online", known);
	if (o->kit != NULL)
		out_name(j, "kit", o->kit, strlen(o->kit));
	if (o->generate != NULL)
		out_name(j, "passphrase_file", o->generate, strlen(o->generate));
	if (s != NULL) {
		out_bytes(j, "machine_id", s->id.machine_id, ID_LEN);
		out_bytes(j, "domain_id", s->id.domain_id, DIGEST_LEN);
		out_bytes(j, "vault_id", s->trust.vault_id, ID_LEN);
	}
	out_emit(j);
}

static void
kit_warn(const struct registering *r, const struct register_options *o)
{
	if (o->kit == NULL)
		say_warn("no recovery kit was written: without one nothing can be restored on another computer.  "
		    "Write it with samara-seed key kit --kit FILE.");
	else if (register_kit_inside(r))
		say_warn("the recovery kit lies in the state directory and would be lost with this machine: copy it "
		    "somewhere else.");
}

static int
register_run(const struct register_options *o, int dry_run, struct err *e)
{
	struct registering *r = register_prepare(o, e);
	struct state *s = NULL;
	int rc = -1, known = 1;

	if (r == NULL)
		return -1;
	if (!dry_run) {
		if (register_passphrase(r, e) != 0 || register_make(r, e) != 0 || register_write(r, e) != 0 ||
		    (known = o->online ? register_contact(r, e) : 1) < 0 || (s = state_open(o->state, o->online ? NULL : e)) == NULL)
			goto out;
		if (register_passphrase_made(r) != NULL)
			passphrase_show(register_passphrase_made(r), o->generate);
		kit_warn(r, o);
	}
	facts_print(r, o, o->online && known == 0, dry_run);
	summary_emit(r, o, s, o->online && known == 0);
	rc = o->online && known == 1 && !dry_run ? -1 : 0;	/* registered, and ${e} says what is left to do */
out:
	state_free(s);
	register_free(r);
	return rc;
}

int
seed_register(struct args *a, struct err *e)
{
	int offline = 0, ask_always = 0, rc;
	struct register_options o = { 0 };
	const struct opt opts[] = {
		{ "offline", 0, OPT_FLAG, &offline, NULL, "register by disk: nothing is sent now" },
		{ "old-kit", 0, OPT_STR, &o.old_kit, "FILE", "take the place of the machine whose recovery kit this is" },
		{ "machine", 0, OPT_STR, &o.machine, "NAME", "the machine's name, where the credential has none" },
		{ "passphrase-file", 0, OPT_STR, &o.passphrase_file, "FILE", "take the passphrase from the first line of FILE" },
		{ "generate-passphrase", 0, OPT_STR, &o.generate, "FILE", "make a passphrase and write it to the new FILE" },
		{ "kit", 0, OPT_STR, &o.kit, "FILE", "write the recovery kit to the new FILE" },
		{ "chunk-size", 0, OPT_SIZE, &o.chunk_avg, "SIZE", "average chunk, 64Ki to 2Mi; cannot be changed later" },
		{ "ask-always", 0, OPT_FLAG, &ask_always, NULL, "keep no key on this machine; every job asks" },
		{ NULL },
	};
	char *state;

	if ((rc = args_parse(a, opts, e)) != 0)
		return rc > 0 ? 0 : -1;
	if (args_operands(a, 1, 1, e) != 0)
		return -1;
	o.online = offline == 0;
	if (o.generate != NULL && o.passphrase_file != NULL)
		return err_set(e, ERR_USAGE, "a passphrase is either given or made: --passphrase-file or --generate-passphrase");
	if (args_state(a, &state, e) != 0)
		return -1;
	o.state = state;
	o.credential = a->operands[0];
	o.ask_always = ask_always != 0;
	rc = register_run(&o, a->dry_run, e);
	free(state);
	return rc;
}
