#!/bin/sh
# A snapshot of a logical volume, real ones: ext4 and xfs, changed while they
# are walked; killed, the next run removes what is left of it.  Needs lvm2 and
# a kernel with snapshots of the device mapper (docs/reliability.md).
set -eu

# shellcheck source=tests/journey/at_call.sh
. "$TOP/tests/journey/at_call.sh"
fail() { echo "$1"; shift; for f; do echo "--- $f"; cat "$f"; done; exit 1; }
[ "$(id -u)" = 0 ] || { echo "volumes need root"; exit 77; }
command -v lvcreate >/dev/null || { echo "no lvm2"; exit 77; }
modprobe dm-snapshot 2>/dev/null || true
[ -e /dev/mapper/control ] && dmsetup targets 2>/dev/null | grep -q '^snapshot ' || { echo "no device mapper in this kernel"; exit 77; }

# Settings of our own: only our device is looked at, and nobody is waited for.
group=samara$$
truncate -s 1G volume.img
device=$(losetup -f --show volume.img) || { echo "no loop device"; exit 77; }
LVM_SYSTEM_DIR=$WORK/lvm
DM_DISABLE_UDEV=1
export LVM_SYSTEM_DIR DM_DISABLE_UDEV
mkdir lvm
cat >lvm/lvm.conf <<END
devices { filter = [ "a|^$device\$|", "r|.*|" ]  use_devicesfile = 0  obtain_device_list_from_udev = 0 }
activation { udev_sync = 0  udev_rules = 0 }
backup { backup = 0  archive = 0 }
END
trap 'umount state/views/*.mnt src.ext4 src.xfs 2>/dev/null || true; vgremove -q -y $group >/dev/null 2>&1 || true; losetup -d "$device"' EXIT
pvcreate -q "$device" >log 2>&1 && vgcreate -q $group "$device" >log 2>&1 || fail "the volume group" log

samara-import create vault --name dc-north >log 2>&1 || fail "create" log
samara-import credential vault db1 --out db1.crd >log 2>&1 || fail "credential" log
echo 'correct horse battery staple' >pass
samara-seed register db1.crd --offline --passphrase-file pass --kit kit.txt >log 2>&1 || fail "register" log

snapshots() { lvs --noheadings --options lv_name $group | grep -c samara- || true; }

for kind in ext4 xfs; do
	command -v mkfs.$kind >/dev/null || continue
	modprobe $kind 2>/dev/null || true
	lvcreate -q -L 320M -n $kind $group >log 2>&1 && mkfs.$kind -q /dev/$group/$kind && mkdir src.$kind || fail "a volume" log
	mount /dev/$group/$kind src.$kind 2>log || { echo "no $kind in this kernel" >>left_out; continue; }
	mkdir src.$kind/dir disk.$kind
	i=0
	while [ $((i += 1)) -le 9 ]; do head -c 300000 /dev/urandom >src.$kind/dir/$i; done
	echo was >src.$kind/a
	cp -a src.$kind as_it_was
	# Not synced: taking the snapshot has to do it.
	{
		until [ "$(snapshots)" -gt 0 ] 2>/dev/null; do sleep 0.05; done
		echo now >src.$kind/a
		echo new >src.$kind/later
	} &
	changes=$!
	samara-seed build --set $kind --full --read-limit 400K --snapshot lvm --plain-directory --to disk.$kind --passphrase-file pass \
	    "$WORK/src.$kind" >log 2>&1 || fail "build of $kind" log
	wait $changes
	[ "$(cat src.$kind/a)" = now ] || fail "the volume itself did not change meanwhile"
	[ "$(snapshots)" = 0 ] && [ -z "$(ls state/views)" ] || fail "the snapshot is left"
	samara-seed restore latest:$kind --to back --from disk.$kind >log 2>&1 || fail "restore of $kind" log
	diff -r as_it_was "back$WORK/src.$kind" >log 2>&1 || fail "not as it was when the snapshot was taken" log
	rm -r as_it_was back

	samara-seed build --set k$kind --full --read-limit 200K --snapshot lvm --plain-directory --to disk.$kind --passphrase-file pass \
	    "$WORK/src.$kind" >log 2>&1 &
	pid=$!
	reads() { [ "$(snapshots)" = 1 ] && [ "$(samara-seed images --json | grep -c '"building"')" -gt 0 ]; }
	until_so $pid reads || fail "it ended before it was killed" log
	kill -KILL $pid
	wait $pid 2>/dev/null || true
	[ "$(snapshots)" = 1 ] || fail "the kill left no snapshot: nothing is shown"
	samara-seed build --resume --read-limit 1G --passphrase-file pass >log 2>&1 || fail "resume" log
	[ "$(snapshots)" = 0 ] && [ -z "$(ls state/views)" ] || fail "the snapshot of a killed run is left"
	umount src.$kind
	tried="${tried:+$tried, }$kind"
done
[ -n "${tried:-}" ] || { echo "no file system for a volume"; exit 77; }
echo "snapshots of logical volumes: $tried"
