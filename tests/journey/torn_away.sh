#!/bin/sh
# Disks that are torn away at random moments, while an image is built on them
# and while one is taken in: the block device dies under the mount, the file
# system is shut down, its FUSE driver is killed.  Afterwards the disk is put in
# again and the same build is resumed, or the same disk ingested once more: the
# image verifies with the key, and what is restored is what was there.
#
# Its argument says how often; 5 if it has none.
set -eu

# shellcheck source=tests/loop/loop.sh
. "$TOP/tests/loop/loop.sh"
here=$TOP/tests/journey
tears=${1:-5}
fail() { echo "tear $tear ($how, $job): $1"; shift; for f; do echo "--- $f"; cat "$f"; done; exit 1; }
tear=0 how=none job=none

kinds=''
for kind in 'cut ext4' 'pull ext4 slow' 'driver exfat' 'cut xfs' 'driver ntfs'; do
	# shellcheck disable=SC2086 # a list of words
	! loop_need ${kind#* } >why || kinds="$kinds ${kind%% *}:$(echo "$kind" | cut -d' ' -f2)"
	[ ! -s why ] || cat why
done
[ -n "$kinds" ] || { tail -n 1 why; exit 77; }
[ -e /dev/fuse ] || kinds=$(echo "$kinds" | tr ' ' '\n' | grep -v driver | tr '\n' ' ')
# Disks in memory, where there is such a place: torn away they are there all the same.
store=$PWD
[ ! -w /dev/shm ] || store=$(mktemp -d /dev/shm/samara-torn.XXXXXX)
end() {
	loop_end
	[ "$store" = "$WORK" ] || rm -rf "$store"
}
trap end EXIT
trap 'exit 130' INT TERM

samara-import create vault --name dc-north >log 2>&1 || fail create log
samara-import credential vault db1 --out db1.crd >log 2>&1 || fail credential log
echo 'correct horse battery staple' >pass
samara-seed register db1.crd --offline --passphrase-file pass --kit kit.txt >log 2>&1 || fail register log
cp -a vault fresh
cp -a state registered
python3 - <<'PY'
import os, random
r = random.Random(5)
for i in range(200):
    os.makedirs("src/d%d" % (i % 7), exist_ok=True)
    open("src/d%d/f%03d" % (i % 7, i), "wb").write(r.randbytes(r.randrange(20000)))
for i in range(3):
    open("src/big%d" % i, "wb").write(r.randbytes(7 << 20))
PY

# random_below N: 0 … N - 1
random_below() { python3 -c 'import random, sys; print(random.randrange(int(sys.argv[1])))' "$1"; }

# put_in TYPE [new]: the disk behind disk/disk.img, mounted at $mnt; $device, and the driver's process where there is one
put_in() {
	if [ "$how" = pull ]; then
		loop_slow_attach "$disk" "${2:+320M}" delay-write=1ms delay-read=1ms || fail "no slow disk"
		attached=slow
	else
		mkdir -p "$disk"
		# shellcheck disable=SC2086
		loop_attach "$disk/disk.img" ${2:+320M}
		attached=loop
	fi
	device=$loop
	[ -z "${2:-}" ] || loop_format "$device" "$1"
	# A journal that was cut is played when it is mounted; FUSE drivers want it checked.
	[ -n "${2:-}" ] || [ "$how" != driver ] || case $1 in
	exfat)	fsck.exfat -p "$device" >log 2>&1 || true ;;
	ntfs)	ntfsfix -d "$device" >log 2>&1 || true ;;
	esac
	loop_mount "$device" "$mnt" || fail "it cannot be mounted again" log loop.log
}
take_out() {
	umount "$mnt" 2>/dev/null || umount -l "$mnt" 2>/dev/null || true	# its driver may be dead
	if [ "$attached" = slow ]; then
		loop_slow_end "$disk"
	else
		loop_detach "$device"
	fi
}
driver_of() { pgrep -f "^(mount.)?[a-z.-]*(exfat|ntfs)[a-z0-9-]* .*$device .*$mnt" | head -n 1; }
tear_away() {
	case $how in
	pull)	loop_pull "$disk" ;;
	cut)	loop_cut "$mnt" 2>/dev/null || true ;;
	driver) kill -KILL "$driver" 2>/dev/null || true ;;
	esac
}
ended() { ! kill -0 "$pid" 2>/dev/null; }
# bytes_there DIR FLOOR: so much is written below it
bytes_there() { [ "$(du -sk "$1" 2>/dev/null | cut -f1)" -ge "$2" ]; }

# during DIR KIB COMMAND...: run it, and tear the disk away when so much stands in DIR, or at once where it ends before
during() {
	dir=$1 floor=$2
	shift 2
	[ "$how" != driver ] || driver=$(driver_of)
	[ "$how" != driver ] || [ -n "$driver" ] || fail "the driver of $device is not found"
	"$@" >torn.out 2>torn.err &
	pid=$!
	until bytes_there "$dir" "$floor" || ended; do sleep 0.005; done
	! ended || early=$((early + 1))
	tear_away
	rc=0
	wait "$pid" || rc=$?
	[ $rc -lt 128 ] || fail "it ended with $rc" torn.out torn.err
}
build() { samara-seed build --full --passphrase-file pass --to "$mnt" "$@"; }
check_image() {
	samara-verify disk "$mnt" >out 2>log || fail "the disk does not verify" out log torn.err
	grep -q 'every chunk opened' out || fail "not with the key" out
}
check_restored() {
	rm -rf back
	samara-seed restore latest --from "$1" --to back >out 2>log || fail "restore from $1" out log
	python3 "$here/compare_trees.py" --inside src "back$WORK/src" >out || fail "not what was there" out
	rm -rf back
}

torn_build() {
	put_in "$type" new
	during "$mnt" $((random_floor + 500)) build src
	take_out
	put_in "$type"
	# What was said to be sealed stays so; else it goes on, or none was begun.
	if [ $rc -ne 0 ]; then
		went=0
		samara-seed build --resume --passphrase-file pass --to "$mnt" >out 2>log || went=$?
		if [ $went = 10 ]; then
			went=0
			build src >out 2>log || went=$?
		fi
		[ $went = 0 ] || fail "it does not go on: $went" out log torn.err
	fi
	check_image
	check_restored "$mnt"
}
torn_ingest() {
	put_in "$type" new
	build src >out 2>log || fail "build" out log
	take_out
	put_in "$type"
	during vault $((random_floor + 100)) samara-import ingest vault "$mnt"
	take_out
	put_in "$type"
	samara-import ingest vault "$mnt" >out 2>log || fail "it does not go on" out log torn.err
	samara-verify vault vault >out 2>log || fail "the vault does not verify" out log
	check_restored vault
	check_image
}

early=0 builds=0 ingests=0
while [ $tear -lt "$tears" ]; do
	# shellcheck disable=SC2086
	set -- $kinds
	shift $((tear % $#))
	how=${1%%:*} type=${1#*:}
	tear=$((tear + 1))
	[ $((tear % 2)) = 1 ] && job=build || job=ingest
	rm -rf state vault
	cp -a registered state
	cp -a fresh vault
	random_floor=$(random_below 22000)
	disk=$store/disk$tear mnt=mnt$tear
	"torn_$job"
	eval "${job}s=\$((${job}s + 1))"
	take_out
	rm -f "$disk/disk.img"
	echo "$job on $type, $how at $random_floor KiB: ended with $rc, and whole in the end"
done
echo "figures: tears $tear ($builds builds, $ingests ingests, $early ended before), kinds$kinds, whole $tear"
