#include "common/base/args.h"
#include "common/flow/job_status.h"
#include "seed/seed_commands.h"

static const struct cmd cmds[] = {
	{ "plan", "PATH... [--line RATE] [--disk SIZE]...", "what a first image takes: disks, days, and what changes", seed_plan },
	{ "register", "CREDENTIAL [--offline] [OPTION...]", "make this machine known to a vault", seed_register },
	{ "connection", "[--quick]", "whether the line to the vault works, step by step", seed_connection },
	{ "build", "--to DISK PATH... | --resume", "write what is below PATHs as an image onto a disk", seed_build },
	{ "images", "", "this machine's images and where they are on their way", seed_images },
	{ "cancel", "IMAGE", "give up an image", seed_cancel },
	{ "lost", "IMAGE [--found]", "an image was lost on its way", seed_lost },
	{ "ship", "[IMAGE] [--carrier C --tracking T]", "an image goes into a parcel; its packing slip", seed_ship },
	{ "receipt", "[FILE] [--answer FILE]", "check the vault's receipt for an image, and answer it", seed_receipt },
	{ "backup", "[PATH...] [--set NAME] [--max-upload SIZE]", "send what changed to the vault, over the line", seed_backup },
	{ "refill", "[IMAGE] [--all]", "make again what the vault misses, and send it", seed_refill },
	{ "snapshots", "[--from DISK|VAULT|line]", "the recovery points, oldest first", seed_snapshots },
	{ "ls", "SNAP [PATH]", "what a snapshot holds", seed_ls },
	{ "find", "PATTERN... [--snapshot SNAP]", "which snapshots hold what is called so", seed_find },
	{ "diff", "SNAP SNAP", "what one snapshot has and another has not", seed_diff },
	{ "dump", "SNAP PATH", "a file's content, or a directory as a tar archive, to stdout", seed_dump },
	{ "restore", "SNAP --to DIR [PATH...]", "bring a snapshot back", seed_restore },
	{ "status", "", "whether this machine is protected", seed_status },
	{ "jobs", "[ID]", "long jobs, how they ended and what they warned about", seed_jobs },
	{ "jobs watch", "[ID]", "follow a running job until it ends", seed_jobs_watch },
	{ "jobs cancel", "ID", "ask a running job to stop cleanly", seed_jobs_cancel },
	{ "policy show", "", "how the line may be used, and when", seed_policy_show },
	{ "policy set", "KEY=VALUE...", "change it; takes effect at once", seed_policy_set },
	{ "schedule install", "[--at HH:MM]... [--days DAYS] [PATH...]", "a backup every day, by systemd or cron", seed_schedule_install },
	{ "schedule remove", "[--set NAME]", "no more backups by themselves", seed_schedule_remove },
	{ "schedule run", "[--set NAME]", "the scheduled backup, if one is due", seed_schedule_run },
	{ "key list", "", "the ways to this machine's key", seed_key_list },
	{ "key test", "[IMAGE] --from DISK", "open a chunk on the disk with the passphrase; seals an image", seed_key_test },
	{ "key kit", "--kit FILE", "write the recovery kit again", seed_key_kit },
};

int
main(int argc, char **argv)
{
	job_status_allow(1);
	return cmd_main("samara-seed", "write a machine's data encrypted onto a disk, and bring it back", cmds,
	    sizeof(cmds) / sizeof(cmds[0]), argc, argv);
}
