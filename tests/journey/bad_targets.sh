#!/bin/sh
# What is wrong around a build: targets that are none, full or gone, sources
# that are not there, passphrases that do not fit, two at once, an image in the
# way.  Each has its exit status, its number and a next step, and loses nothing.
set -eu

# shellcheck source=tests/journey/at_call.sh
. "$TOP/tests/journey/at_call.sh"
here=$TOP/tests/journey
fail() { echo "$1"; shift; for f; do echo "--- $f"; cat "$f"; done; exit 1; }

# No progress lines, no control characters: this is not a terminal.
plain() { ! LC_ALL=C grep -q "$(printf '[\001-\010\013-\037\177]')" "$@" || fail "control characters" "$@"; }
# ends STATUS COMMAND...
ends() {
	want=$1
	shift
	rc=0
	"$@" >out 2>log </dev/null || rc=$?
	[ "$rc" = "$want" ] || fail "exit $rc instead of $want from: $*" out log
	plain out log
}
# refused_once STATUS CODE WORDS COMMAND...: also with a number, words, and what to do next
refused_once() {
	status=$1 code=$2 words=$3
	shift 3
	ends "$status" "$@"
	grep -q "($code)\$" log || fail "no $code from: $*" log
	grep -qi -- "$words" log || fail "no \"$words\" from: $*" log
	grep -A 1 "($code)\$" log | tail -n 1 | grep -q '^  [A-Za-z"]' || fail "no next step from: $*" log
}
# The same, and the same again with --json.
refused() {
	refused_once "$@"
	shift 3
	rc=0
	"$@" --json >out 2>log </dev/null || rc=$?
	[ "$rc" = "$status" ] || fail "exit $rc instead of $status with --json from: $*" out log
	cat out log | python3 -c 'import json, sys
for line in sys.stdin:
    if line.startswith("{"):
        o = json.loads(line)
        if o.get("code") == sys.argv[1] and o.get("next"):
            sys.exit(0)
sys.exit(1)' "$code" || fail "no error with \"code\" and \"next\" with --json from: $*" out log
}

ends 0 samara-import create vault --name dc-north
for m in db1 db2; do
	ends 0 samara-import credential vault $m --out $m.crd
	echo "correct horse battery staple $m" >$m.pass
	ends 0 samara-seed register $m.crd --offline --passphrase-file $m.pass --kit $m.kit --state state-$m
done
SAMARA_STATE=$WORK/state-db1
mkdir src disk other
python3 -c 'import random
r = random.Random(1)
for i in range(40):
    open("src/f%02d" % i, "wb").write(r.randbytes(1000000))'
echo x >file

# --- no target, no source

refused 14 S-1106 'nothing is mounted at' samara-seed build --to disk src
refused 14 S-1106 'nothing is there' samara-seed build --plain-directory --to nowhere src
refused 14 S-1106 'not a directory' samara-seed build --plain-directory --to file src
refused 2 S-1101 'where to' samara-seed build src
refused 2 S-1101 'at least one PATH' samara-seed build --to disk
refused 2 S-1101 'unheard-of' samara-seed build --unheard-of --to disk src
refused 2 S-1101 'resume' samara-seed build --resume --to disk src
refused 1 S-1102 'nowhere' samara-seed build --plain-directory --to disk nowhere
refused 1 S-1102 'nowhere' samara-seed build --plain-directory --to disk src nowhere
refused 14 S-1106 'proc' samara-seed build --plain-directory --to disk /proc/self
refused 14 S-1106 'sys' samara-seed build --plain-directory --to disk /sys/kernel
[ -z "$(ls disk)" ] || fail "something was begun" /dev/null
ends 0 samara-seed images
grep -q '^no images yet' out || fail "an image was begun" out
refused 10 S-1201 'no unfinished image' samara-seed build --resume --to disk
refused 10 S-1309 'no state directory' samara-seed build --plain-directory --to disk src --state nostate
[ ! -e nostate ] || fail "a state was made" /dev/null

# --- the passphrase

refused_once 12 S-1312 'not sealed' samara-seed build --plain-directory --to disk src
ends 0 samara-seed images --json
grep -q '"building"' out || fail "no image is building" out
image=$(sed -n 's/.*"image": *"\([A-Z0-9]*\)".*/\1/p' out | head -n 1)
[ -n "$image" ] || fail "its name" out
refused 11 S-1105 'not finished' samara-seed build --plain-directory --to disk src
grep -q -- '--resume' log && grep -q "cancel $image" log || fail "the two ways on" log
refused 13 S-1204 'must be at hand' samara-seed build --resume --to other --passphrase-file db1.pass
refused 14 S-1106 'nothing is there' samara-seed build --resume --to nowhere --passphrase-file db1.pass
refused 12 S-1301 'passphrase' samara-seed build --resume --to disk --passphrase-file db2.pass
refused 12 S-1301 'passphrase' samara-seed key test "$image" --from disk --passphrase-file db2.pass
refused 10 S-1201 'no unfinished' samara-seed build --resume --to disk --state state-db2 --passphrase-file db2.pass
ends 0 samara-seed key test "$image" --from disk --passphrase-file db1.pass
ends 0 samara-seed images
grep -q "$image.*sealed" out || fail "it is not sealed" out
ends 0 samara-verify disk disk

# --- two at once: the first waits for its passphrase

mkfifo ask
samara-seed build --plain-directory --to other src --passphrase-file ask >first.out 2>first.log &
pid=$!
begun() { [ "$(find other -name stmt2 | wc -l)" = 1 ]; }
until_so $pid begun || fail "the first of two ended at once" first.out first.log
refused 11 S-1104 'another build of the set' samara-seed build --plain-directory --to disk src
refused 11 S-1104 'another build of the set' samara-seed build --resume --to other
ends 0 samara-seed build --plain-directory --set other --to disk file --passphrase-file db1.pass
cat db1.pass >ask
wait $pid || fail "the first of two" first.out first.log

# --- states that are not one

cp -R state-db1 mixed
cp state-db2/identity mixed/identity
refused 1 S-1310 'state' samara-seed build --plain-directory --to disk src --state mixed
cp -R state-db1 torn
head -c 60 state-db1/identity >torn/identity
refused 1 S-1310 'state' samara-seed build --plain-directory --to disk src --state torn
refused 10 S-1309 'state' samara-seed images --state file

# --- vaults and disks that are none

refused 10 S-1401 'no vault' samara-import status file
refused 10 S-1401 'no vault' samara-verify vault file
refused 10 S-1201 'no disk at file' samara-import ingest file
refused 10 S-1201 'image' samara-import ingest vault src
refused 10 S-1201 'image' samara-verify disk src
refused 10 S-1201 'there is no disk at' samara-verify disk nowhere
refused 10 S-1201 'there is no disk at' samara-verify label nowhere
refused 10 S-1401 'vault' samara-verify vault src
refused 10 S-1202 'snapshot' samara-seed restore 0123abcd --from disk --to back
refused 1 S-1107 'not empty' samara-seed restore "latest:files:$WORK/src" --from disk --to src
refused 12 S-1301 'passphrase' samara-seed restore latest --from disk --to back --state nostate --kit db1.kit --passphrase-file db2.pass
refused 12 S-1302 'passphrase' samara-seed restore latest --from disk --to back --state nostate --kit db1.kit
refused 14 S-1203 'belongs to machine db1' samara-seed restore latest --from disk --to back --state nostate --kit db2.kit --passphrase-file db2.pass
refused 12 S-1307 'kit' samara-seed restore latest --from disk --to back --state nostate --kit file --passphrase-file db1.pass
[ ! -e back ] || [ -z "$(ls -A back)" ] || fail "something was restored" /dev/null

# --- file systems: only root can mount one

mounted=
unmount() { [ -z "$mounted" ] || umount "$mounted" 2>/dev/null || true; mounted=; }
trap unmount EXIT
if [ "$(id -u)" != 0 ] || ! command -v mkfs.ext4 >/dev/null || ! truncate -s 16M probe || ! mkfs.ext4 -q probe ||
    ! mkdir mnt || ! mount -o loop probe mnt 2>/dev/null; then
	echo "targets and passphrases; without file systems of their own: nothing can be mounted here"
	exit 0
fi
mounted=$WORK/mnt
rm -rf mnt/lost+found

# Full: said, with the disk's name; larger: it goes on.
ends 13 samara-seed build --full --to mnt src --passphrase-file db1.pass
grep -q '(S-1204)$' log || fail "full: no S-1204" log
grep -q 'no room on mnt for a single pack' log || fail "full: what and where" log
grep -q 'build --resume --to' log || fail "full: the way on" log
ends 13 samara-seed build --resume --to mnt --passphrase-file db1.pass
umount mnt
truncate -s 120M probe
e2fsck -fp probe >log 2>&1 || [ $? -le 1 ] || fail "e2fsck" log
resize2fs probe >log 2>&1 || fail "resize2fs" log
mount -o loop probe mnt
ends 0 samara-seed build --resume --to mnt --passphrase-file db1.pass
ends 0 samara-verify disk mnt
ends 0 samara-seed restore "latest:$WORK/src" --from mnt --to back
python3 "$here/compare_trees.py" --inside src back >out || fail "after a full disk" out
rm -r back

# Its own file system has a source on it, too.
refused 14 S-1106 'same file system as' samara-seed build --to mnt mnt

# Read-only.
mount -o remount,ro mnt
refused 1 S-1004 'read-only' samara-seed build --to mnt src
mount -o remount,rw mnt
ends 0 samara-seed images --json
unfinished=$(sed -n 's/.*"image": *"\([A-Z0-9]*\)".*"building".*/\1/p' out | head -n 1)
[ -z "$unfinished" ] || ends 0 samara-seed cancel "$unfinished"

# A reader of a read-only disk needs to write nothing.
mount -o remount,ro mnt
ends 0 samara-verify disk mnt
ends 0 samara-seed restore "latest:$WORK/src" --from mnt --to back
ends 0 samara-import ingest vault mnt
ends 0 samara-verify vault vault

# Gone: the directory is there, the disk is not.
umount mnt
mounted=
refused 10 S-1201 'image' samara-verify disk mnt
refused 14 S-1106 'nothing is mounted' samara-seed build --to mnt src
echo "targets, sources, passphrases, states, and disks that are full, read-only or gone"
