#include "common/base/args.h"
#include "import/import_commands.h"

static const struct cmd cmds[] = {
	{ "create", "VAULT --name NAME [OPTION...]", "make a vault", import_create },
	{ "credential", "VAULT [MACHINE] [OPTION...]", "a file that lets one machine register", import_credential },
};

int
main(int argc, char **argv)
{
	return cmd_main("samara-import", "keep a vault, and take in the disks that arrive", cmds,
	    sizeof(cmds) / sizeof(cmds[0]), argc, argv);
}
