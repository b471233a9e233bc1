#!/bin/sh
# The road over one disk on real file systems: a build onto each kind that disks
# are sold with, from its mount point and from its block device; then the ways
# in which a disk fails while it is written.  Nothing stays mounted afterwards.
set -eu

# shellcheck source=tests/loop/loop.sh
. "$TOP/tests/loop/loop.sh"
# shellcheck source=tests/journey/at_call.sh
. "$TOP/tests/journey/at_call.sh"
here=$TOP/tests/journey
fail() { echo "$1"; shift; for f; do echo "--- $f"; cat "$f"; done; exit 1; }
says() { grep -qF "$1" "$2" || fail "$2 does not say: $1" "$2"; }
# gives STATUS NAME COMMAND...: it ends so; NAME.out and NAME.err are what it said
gives() {
	want=$1 name=$2
	shift 2
	rc=0
	"$@" >"$name.out" 2>"$name.err" || rc=$?
	[ "$rc" = "$want" ] || fail "exit $rc, not $want, from $*" "$name.out" "$name.err"
}
# ours DEVICE: where samara has mounted it, if it has (others may be at work on this machine)
ours() { awk -v dev="$1" '$5 ~ "^/run/samara/" && $0 ~ " - [^ ]+ " dev " " { print $5 }' /proc/self/mountinfo; }
is_ours() { [ -n "$(ours "$1")" ]; }
not_mounted() {
	! is_ours "$1" || fail "$1 is still mounted" /proc/self/mountinfo
}

loop_need ext4 >why || { cat why; exit 77; }
trap loop_end EXIT
trap 'exit 130' INT TERM

samara-import create vault --name dc-north >log 2>&1 || fail "create" log
samara-import credential vault db1 --out db1.crd >log 2>&1 || fail "credential" log
echo 'correct horse battery staple' >pass
samara-seed register db1.crd --offline --passphrase-file pass --kit kit.txt >log 2>&1 || fail "register" log
python3 - <<'END'
import os, random
r = random.Random(11)
for d in range(4):
    os.makedirs("src/d%d" % d)
    for f in range(40):
        with open("src/d%d/f%02d" % (d, f), "wb") as o:
            o.write(r.randbytes(r.randrange(30000)))
for i in range(3):
    with open("src/big%d" % i, "wb") as o:
        o.write(r.randbytes(9 << 20))
END
build() { samara-seed build --full --passphrase-file pass "$@"; }

# --- there and back on each file system: built by mount point, read by device, and the other way round

types=''
for type in ext4 xfs btrfs exfat ntfs; do
	loop_need "$type" >why || { echo "without $type: $(cat why)"; continue; }
	types="$types $type"
	loop_attach "$type.img" 320M
	dev=$loop
	loop_format "$dev" "$type"
	loop_mount "$dev" mnt
	gives 0 build build --to mnt src
	says "sealed: 1 disk" build.out
	says "read back without error" build.out	# also under FUSE, from the medium
	loop_unmount mnt

	gives 0 ingest samara-import ingest vault "$dev"
	says "1 whole" ingest.out
	gives 0 verify samara-verify disk "$dev"
	says "every chunk opened" verify.out
	! grep -F /run/samara verify.out verify.err || fail "it names a directory that nobody knows"
	gives 0 restore samara-seed restore latest --from "$dev" --to "out-$type"
	python3 "$here/compare_trees.py" --inside src "out-$type$WORK/src" >log || fail "not what was built" log
	not_mounted "$dev"

	loop_mount "$dev" mnt ro
	gives 0 again samara-import ingest vault mnt
	says "in the vault already" again.out
	gives 0 label samara-verify label "$dev"		# where it is mounted already
	not_mounted "$dev"
	gives 0 listed samara-seed ls latest --from mnt
	loop_unmount mnt
	loop_detach "$dev"

	loop_attach "$type.img" ro		# the switch on its side is set
	gives 0 quick samara-verify disk --quick "$loop"
	gives 1 protected build --to "$loop" src
	says "is write-protected" protected.err
	loop_detach "$loop"

	loop_attach "$type.img"			# by device, beside the first image
	gives 0 second build --to "$loop" src
	says "sealed: 1 disk" second.out
	not_mounted "$loop"
	gives 0 both samara-verify disk --quick "$loop"
	loop_detach "$loop"
	rm -rf "$type.img" "out-$type"
done
echo "there and back on:$types"

# --- what cannot be written: nothing is begun

loop_attach plain.img 64M
dev=$loop
gives 14 empty build --to "$dev" src
says "mkfs.ext4 -m 0 -T largefile4 -L " empty.err
gives 14 empty-read samara-verify disk "$dev"
! grep mkfs empty-read.err || fail "tells a reader to format"
# The very command that it names.
sh -c "$(sed -n "s/.*\(mkfs\.ext4 .*$(basename "$dev")\).*/\1/p" empty.err) -q" || fail "that command does not work" empty.err
loop_mount "$dev" mnt ro
gives 1 read-only build --to "$dev" src
says "is mounted read-only" read-only.err
gives 1 read-only build --to mnt src
says "is mounted read-only" read-only.err
loop_unmount mnt
gives 10 none samara-verify disk "$dev"
loop_detach "$dev"

python3 - table.img <<'END'
import struct, sys
row = lambda first, n, kind: struct.pack("<B3sB3sII", 0, bytes(3), kind, bytes(3), first, n)
with open(sys.argv[1], "wb") as f:
    f.truncate(64 << 20)
    f.seek(446)
    f.write(row(2048, 40960, 0x83) + row(43008, 40960, 7) + bytes(32) + b"\x55\xaa")
END
loop_attach table.img
gives 14 whole build --to "$loop" src
says "is a whole disk with 2 partitions: ${loop}p1" whole.err
loop_detach "$loop"

# --- full: it says so, and goes on with another

loop_attach small.img 32M
small=$loop
loop_format "$small" ext4
gives 13 full build --to "$small" src
not_mounted "$small"
says "build --resume" full.err
loop_attach large.img 128M
large=$loop
loop_format "$large" ext4
gives 0 went-on samara-seed build --resume --passphrase-file pass --to "$large"
case $(cat went-on.out) in
*"sealed: 2 disks"*) gives 0 pair samara-verify disk "$small" "$large" ;;
*"sealed: 1 disk"*) gives 0 alone samara-verify disk "$large" ;;	# no pack was whole on the small one
*) fail "not sealed" went-on.out went-on.err ;;
esac
loop_detach "$small"
loop_detach "$large"

# --- a disk that holds less than it says: ext4 finds out at the first sync, exFAT when data does not arrive

building() {
	samara-seed images --json | python3 -c 'import json, sys
print(*[j["image"] for j in map(json.loads, sys.stdin) if j.get("state") == "building"])'
}
cancel_building() {
	for image in $(building); do
		gives 0 cancelled samara-seed cancel "$image"
	done
}
sealed() { samara-seed images --json | grep -c '"state":"sealed"' || true; }
for type in ext4 exfat; do
	case $types in *"$type"*) ;; *) continue ;; esac
	before=$(sealed)
	loop_attach fake.img 320M
	dev=$loop
	loop_format "$dev" "$type"
	loop_mount "$dev" mnt
	loop_shrink "$dev" fake.img 24M
	gives 1 fake build --to mnt src
	grep -qE 'Input/output error \(S-100[17]\)' fake.err || fail "no word of what is wrong" fake.err
	! grep -F "you can remove it" fake.out || fail "a bad disk was released"
	[ "$(sealed)" = "$before" ] || fail "an image on it counts"
	umount mnt 2>/dev/null || umount -l mnt
	loop_detach "$dev"
	rm fake.img
	cancel_building
done

# --- pulled out while it is written; and a run that was killed while it reads

loop_need ext4 slow >why || { echo "without the pulled disk: $(cat why)"; exit 0; }
loop_slow_attach slow 160M
loop_format "$loop" ext4
loop_mount "$loop" mnt
# The first packs are durable, the last is not.
stopped_at pwrite64 8 samara-seed build --full --passphrase-file pass --to mnt src >pulled.out 2>pulled.err ||
    fail "the build ended before, with $rc" pulled.out pulled.err
loop_pull slow
goes_on
[ "$rc" != 0 ] || fail "a disk that was pulled out was believed" pulled.out pulled.err
grep -qE 'S-(1001|1004|1007|1205)' pulled.err || fail "no word of what is wrong" pulled.err
! grep -F "you can remove it" pulled.out || fail "a disk that is gone was released"
umount mnt || umount -l mnt
loop_slow_end slow

loop_attach slow/disk.img		# a copy of it is not the disk
dev=$loop
loop_mount "$dev" mnt ro
loop_attach copy.img 160M
loop_format "$loop" ext4
loop_mount "$loop" copy
cp -a mnt/samara copy
loop_unmount mnt
loop_detach "$dev"
gives 14 copied samara-seed build --resume --passphrase-file pass --to copy
says "is not the file system on which disk" copied.err
loop_unmount copy
loop_detach "$loop"

loop_slow_attach slow '' delay-read=1ms
gives 0 resumed samara-seed build --resume --passphrase-file pass --to "$loop"
says "sealed: 1 disk" resumed.out
not_mounted "$loop"
# Seen while it lives: once it is dead, any other run on this machine puts in order what it left.
stopped_at pread64 4 samara-verify disk "$loop" >killed.out 2>&1 || fail "it ended before it was killed, with $rc" killed.out
left=$(ours "$loop")
[ -n "$left" ] || fail "it was to be killed when it had mounted it" killed.out
kill -KILL "$pid"
wait "$pid" 2>/dev/null || true
gives 0 after samara-verify disk --quick "$loop"
not_mounted "$loop"
for file in "$left" "$left.lock"; do
	[ ! -e "$file" ] || fail "$file was left behind"
done
loop_mount "$loop" mnt ro
find mnt -name '*.tm' -o -name '*.tmp*' >left
[ ! -s left ] || fail "what the cut build left on the disk" left
loop_unmount mnt
loop_slow_end slow
echo "write-protected, read-only, empty, full, fake and pulled disks; a mount left behind"
