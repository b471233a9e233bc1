#include "common/base/args.h"
#include "verify/verify_commands.h"

static const struct cmd cmds[] = {
	{ "disk", "DISK... [OPTION...]", "check disks, with the key or without it", verify_disk_cmd },
	{ "vault", "[VAULT] [OPTION...]", "check a vault, with a machine's key or without it", verify_vault_cmd },
	{ "snapshot", "SNAP --from DISK|VAULT --against PATH", "compare a snapshot with what is on this computer",
	    verify_snapshot_cmd },
	{ "label", "DISK", "what a disk says it is", verify_label_cmd },
	{ "custody", "FILE|DIR|DISK...", "who did what to an image, and whether the log is whole", verify_custody_cmd },
};

int
main(int argc, char **argv)
{
	return cmd_main("samara-verify", "check disks and vaults, with a key or without one", cmds,
	    sizeof(cmds) / sizeof(cmds[0]), argc, argv);
}
