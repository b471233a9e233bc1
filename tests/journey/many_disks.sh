#!/bin/sh
# An image over several real disks of different file systems, one attached at a
# time: each is filled, closed, read back and taken away before the next is put
# in.  The source changes meanwhile, a disk dies and is replaced, a build is
# killed, and all of it comes back from the vault and from the disks.
set -eu

# shellcheck source=tests/loop/loop.sh
. "$TOP/tests/loop/loop.sh"
# shellcheck source=tests/journey/at_call.sh
. "$TOP/tests/journey/at_call.sh"
why=$(loop_need ext4 xfs btrfs) || { echo "$why"; exit 77; }
here=$TOP/tests/journey
fail() { echo "$1"; shift; for f; do echo "--- $f"; cat "$f"; done; exit 1; }
number() { python3 -c 'import json, sys
print([json.loads(l) for l in open(sys.argv[1]) if l.startswith("{")][-1][sys.argv[2]])' "$1" "$2"; }
trap loop_end EXIT

samara-import create vault --name dc-north >log 2>&1 || fail "create" log
samara-import credential vault db1 --out db1.crd >log 2>&1 || fail "credential" log
echo 'correct horse battery staple' >pass
samara-seed register db1.crd --offline --passphrase-file pass --kit kit.txt >log 2>&1 || fail "register" log

mkdir src
python3 - <<'END'
import random
r = random.Random(7)
for i in range(96):
    open("src/big%02d" % i, "wb").write(r.randbytes(2 << 20))
for i in range(300):
    open("src/small%03d" % i, "wb").write(r.randbytes(r.randrange(40000)))
END
total=$(find src -type f -printf '%s\n' | awk '{ n += $1 } END { print n }')

# What is younger than two seconds when it is looked at may still change unseen, and is read again.
while [ -n "$(find src -newerct '3 seconds ago')" ]; do sleep 0.05; done

# disk N SIZE TYPE: make it and put it in at "bay"
disk() {
	loop_attach "disk$1" "$2"
	device=$loop
	loop_format "$device" "$3"
	loop_mount "$device" bay
}
away() { loop_unmount bay; loop_detach "$device"; }
back() { loop_attach "disk$1"; device=$loop; loop_mount "$device" bay; }
# run WANTED-STATUS ARG...
run() {
	want=$1
	shift
	rc=0
	samara-seed build "$@" --json --passphrase-file pass >out 2>log || rc=$?
	[ "$rc" = "$want" ] || fail "build $* ended with $rc, not $want" out log
}

# --- one port, one disk after the other

disk 1 225M ext4
run 13 --to bay src
grep -q '"full":true' out || fail "the full disk is not released in words" out log
grep -q 'build --resume --to DISK' log || fail "the command that goes on is missing" log
away

# What is read again is what is not on the first disk, what changed, and what was in memory:
# at most nine packs on their way and as many big files that were read ahead.
first=$(head -n 1 out | python3 -c 'import json, sys; print(json.load(sys.stdin)["bytes"])')
rm src/small299
echo changed >src/small000
disk 2 400M xfs
run 0 --resume --to bay
away
again=$(number out read_bytes)
[ "$again" -lt $((total - first + 100000000)) ] || fail "$again of $total bytes were read again" out log
[ "$(number out disks)" = 2 ] || fail "not two disks" out

# --- the first is lost before it was shipped: what it held is made again, the image sealed anew

back 2
loop_attach disk7 400M
replacement=$loop
loop_format "$loop" ext4
loop_mount "$loop" bay7
name=$(samara-seed images --json | python3 -c 'import json, sys
print([i["image"] for i in map(json.loads, sys.stdin) if i.get("state") == "sealed"][0])')
run 0 --replace "$name-1=bay7" --to bay
[ "$(number out missing)" -gt 100 ] || fail "nothing was made again" out log
[ "$(number out given_up)" = 0 ] || fail "unchanged files cannot be had" out log
[ "$(number out disks)" = 2 ] || fail "not two disks" out
loop_unmount bay7
loop_detach "$replacement"
away

# --- the second disk alone is judged, taken in and asked for the other

back 2
samara-verify disk bay >out 2>&1 || fail "verify disk 2" out
samara-import ingest vault bay >out 2>&1 || fail "ingest disk 2" out
grep -q '1 pending' out || fail "the snapshot is not pending" out
away
back 7
samara-import ingest vault bay >out 2>&1 || fail "ingest the replacement" out
grep -q '1 whole' out || fail "the snapshot is not whole" out
away
samara-seed restore latest --from vault --to back >out 2>&1 || fail "restore" out
python3 "$here/compare_trees.py" src "back$WORK/src" || fail "what came back is different"
rm -rf back

# --- the next image: three disks at the same time, one of them dies, another is killed under the build

for n in 3 4 5; do
	loop_attach "disk$n" "$([ $n = 5 ] && echo 400M || echo 130M)"
	eval "device$n=\$loop"
	loop_format "$loop" "$([ $n = 5 ] && echo btrfs || echo ext4)"
	loop_mount "$loop" "bay$n"
done
killed_at pwrite64 5 samara-seed build --full --spread --to bay3 --to bay4 src --passphrase-file pass >out 2>log ||
    fail "it was to be killed and ended with $rc" out log
run 13 --resume --to bay3 --to bay4
name=$(samara-seed images --json | python3 -c 'import json, sys
print([i["image"] for i in map(json.loads, sys.stdin) if i.get("state") == "building"][0])')
lower=$(echo "$name" | tr A-Z a-z)
first=$([ -e "bay3/samara/$lower/stmt" ] && echo 3 || echo 4)
other=$((7 - first))
number_of() { samara-verify label "$1" --json | python3 -c 'import json, sys
print([l["disk"] for l in map(json.loads, sys.stdin) if "disk" in l][0])'; }
dead=$(number_of "bay$first")
eval "device=\$device$first"
loop_unmount "bay$first"
loop_detach "$device"
# In its own place it is not taken; another disk is, and what it held is read again, not more.
rc=0
samara-seed build --replace "$name-$dead=bay$other" --passphrase-file pass >out 2>log || rc=$?
[ "$rc" = 2 ] || fail "a disk of the same image was taken for the dead one: $rc" out log
rc=0
samara-seed build --replace "$name-$dead=bay5" --json --passphrase-file pass >out 2>log || rc=$?
if [ "$rc" = 13 ]; then
	loop_attach disk6 250M
	loop_format "$loop" ext4
	loop_mount "$loop" bay6
	rc=0
	samara-seed build --resume --to bay6 --to "bay$other" --to bay5 --json --passphrase-file pass >out 2>log || rc=$?
fi
[ "$rc" = 0 ] || fail "the replacement ended with $rc" out log
disks="bay5 bay$other"
[ ! -d bay6/samara ] || disks="$disks bay6"
# shellcheck disable=SC2086
samara-verify disk $disks --passphrase-file pass >out 2>&1 || fail "verify" out
from=''
for d in $disks; do from="$from --from $d"; done
# shellcheck disable=SC2086
samara-seed restore latest $from --to back >out 2>&1 || fail "restore from the disks" out
python3 "$here/compare_trees.py" src "back$WORK/src" || fail "what came back is different"
for d in $disks; do
	samara-import ingest vault "$d" >out 2>&1 || fail "ingest $d" out
done
samara-import list vault snapshots >out
[ "$(grep -c whole out)" = 2 ] || fail "not both are whole" out
echo "two images over several disks came back"
