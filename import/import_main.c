#include "common/base/args.h"
#include "import/import_commands.h"

static const struct cmd cmds[] = {
	{ "create", "VAULT --name NAME [OPTION...]", "make a vault", import_create },
	{ "credential", "VAULT [MACHINE] [OPTION...]", "a file that lets one machine register", import_credential },
	{ "dock", "[DEVICE|DIR...]", "the receiving desk: receive and take in whatever is plugged in", import_dock },
	{ "receive", "[VAULT] DISK... [--tracking T]", "look whose disks these are, and write down that they are here", import_receive },
	{ "ingest", "[VAULT] DISK...", "take in what stands on disks", import_ingest },
	{ "receipt", "[VAULT] [IMAGE] [--out FILE] [--gaps FILE]", "what the vault holds of an image, read back and signed", import_receipt },
	{ "handoff", "[VAULT] FILE", "take a machine's answer to a receipt, or its list of what it gives up", import_handoff },
	{ "claim", "VAULT IMAGE", "admit an image that was not admitted by itself", import_claim },
	{ "expect", "VAULT FILE | IMAGE --tracking T", "a parcel that a machine announced, or that was told on the phone", import_expect },
	{ "lost", "VAULT IMAGE", "an image was lost on its way", import_lost },
	{ "cancel", "VAULT IMAGE", "an image is not to be taken in", import_cancel },
	{ "reopen", "VAULT IMAGE", "a lost, cancelled or expired image is to be taken in after all", import_reopen },
	{ "pledge", "[VAULT] [IMAGE] [--extend TIME]", "until when the disks of an image are waited for, and longer", import_pledge },
	{ "release", "VAULT IMAGE", "the disks of an image go back", import_release },
	{ "export", "[VAULT] --machine M --to DISK", "snapshots of a machine onto disks, for a restore too big for the line", import_export },
	{ "wipe", "VAULT DISK", "delete the files of an image from a disk that goes back", import_wipe },
	{ "machine", "VAULT M rename NEW | revoke | retire --keep|--delete | quota SIZE | subscription STATE",
	    "what becomes of a machine", import_machine },
	{ "serve", "[VAULT...] [--listen ADDR:PORT]", "answer the machines over HTTPS", import_serve },
	{ "url", "VAULT URL", "the address by which a vault is reached", import_url },
	{ "status", "[VAULT]", "what needs a hand, first", import_status },
	{ "alerts", "[VAULT] [--command P] [--mail A]", "tell what is new of what needs a hand, and say whom to tell", import_alerts },
	{ "list", "[VAULT] WHAT", "machines, images, disks, snapshots, jobs, alerts, gaps, custody or credentials", import_list },
	{ "delete", "VAULT SNAP", "a snapshot is to go; for 14 days it can be undeleted", import_delete },
	{ "undelete", "VAULT SNAP", "a deleted snapshot is to stay after all", import_undelete },
	{ "protect", "VAULT SNAP", "no rule and no command deletes this snapshot", import_protect },
	{ "unprotect", "VAULT SNAP", "a snapshot is protected no more", import_unprotect },
	{ "prune", "VAULT --keep-daily N ...", "delete the snapshots that no rule keeps", import_prune },
	{ "gc", "VAULT", "take away what no snapshot needs any more", import_gc },
	{ "rebuild", "VAULT", "make the catalog anew from records, packs and snapshots", import_rebuild },
	{ "clock", "VAULT --confirm", "say that this computer's clock is right, after it jumped", import_clock },
	{ "kit", "VAULT MACHINE [--out FILE]", "a machine's recovery kit, from what the vault keeps", import_kit },
	{ "key copy", "VAULT --out FILE", "a copy of the vault's own key", import_key_copy },
};

int
main(int argc, char **argv)
{
	return cmd_main("samara-import", "keep a vault, and take in the disks that arrive", cmds,
	    sizeof(cmds) / sizeof(cmds[0]), argc, argv);
}
