#!/bin/sh
# A snapshot of btrfs is what is walked: names, times and inodes of the
# original, so that the next build finds unchanged what did not change; a
# subvolume below a path and another file system mounted there are not lost;
# the state and the disk inside the source are still never entered; nothing is
# left, after a kill either.
set -eu

# shellcheck source=tests/journey/at_call.sh
. "$TOP/tests/journey/at_call.sh"
fail() { echo "$1"; shift; for f; do echo "--- $f"; cat "$f"; done; exit 1; }
field() { python3 -c 'import json, sys
print([json.loads(l) for l in open(sys.argv[1]) if l.startswith("{")][-1][sys.argv[2]])' "$1" "$2"; }
[ "$(id -u)" = 0 ] || { echo "loop devices need root"; exit 77; }
command -v mkfs.btrfs >/dev/null && command -v btrfs >/dev/null || { echo "no btrfs-progs"; exit 77; }

truncate -s 400M volume.img
mkfs.btrfs -q volume.img >log 2>&1 || { echo "mkfs.btrfs fails"; exit 77; }
mkdir top
mount -o loop volume.img top 2>log || { echo "no loop device, or no btrfs in the kernel"; exit 77; }
trap 'umount top/data/other 2>/dev/null || true; umount top 2>/dev/null || umount -l top' EXIT

btrfs subvolume create top/data >log
mkdir -p top/data/dir/deep top/data/other top/data/state
btrfs subvolume create top/data/dir/nested >>log
echo nested >top/data/dir/nested/file
for i in 1 2 3 4 5 6 7 8 9; do head -c 300000 /dev/urandom >top/data/dir/deep/$i; done
head -c 100 /dev/urandom >top/data/small
setfattr -n user.colour -v green top/data/dir 2>/dev/null || true
mkdir elsewhere
echo elsewhere >elsewhere/file
mount --bind elsewhere top/data/other

SAMARA_STATE=$WORK/top/data/state/samara
export SAMARA_STATE
samara-import create vault --name dc-north >log 2>&1 || fail "create" log
samara-import credential vault db1 --out db1.crd >log 2>&1 || fail "credential" log
echo 'correct horse battery staple' >pass
samara-seed register db1.crd --offline --passphrase-file pass --kit kit.txt >log 2>&1 || fail "register" log
mkdir disk

cat >marks <<'END'
#!/bin/sh
# The snapshot is not there yet before, and gone after.
ls -a "$WORK/top/data" | grep -c '^\.samara' >>"$WORK/marks.log" || true
END
chmod +x marks
# Files younger than two seconds are read again by rule.
written=$(date +%s)
until [ "$(date +%s)" -gt $((written + 3)) ]; do sleep 0.05; done
samara-seed build --json --snapshot btrfs --before ./marks --after ./marks --plain-directory --to disk --passphrase-file pass \
    "$WORK/top/data/dir" "$WORK/top/data" >built 2>log || fail "build" built log
[ "$(tr '\n' ' ' <marks.log)" = '0 0 ' ] || fail "the snapshot is there when it should not be" marks.log
ls -a top/data | grep '^\.samara' && fail "the snapshot is left"
[ -z "$(ls "$SAMARA_STATE/views")" ] || fail "a note is left"
samara-seed restore latest --to back --from disk >log 2>&1 || fail "restore" log
for f in dir/deep/1 dir/deep/9 small dir/nested/file other/file; do
	cmp "top/data/$f" "back$WORK/top/data/$f" || fail "$f"
done
[ ! -e "back$WORK/top/data/state/samara/identity" ] || fail "the state was walked in the snapshot"
[ "$(stat -c %Y.%a top/data/dir)" = "$(stat -c %Y.%a "back$WORK/top/data/dir")" ] || fail "times and mode of a directory"

# --- again: what did not change is not read again, though each snapshot is another file system

echo more >top/data/more
samara-seed build --json --snapshot btrfs --plain-directory --to disk --passphrase-file pass "$WORK/top/data/dir" "$WORK/top/data" >built 2>log ||
    fail "the increment" built log
[ "$(field built read_bytes)" -lt 100000 ] || fail "unchanged files were read again" built

# --- what is written while it walks is not in it; killed, the next run removes the snapshot

head -c 30000000 /dev/urandom >top/data/long
samara-seed build --full --read-limit 200K --snapshot btrfs --plain-directory --to disk --passphrase-file pass "$WORK/top/data" >log 2>&1 &
pid=$!
reads() {
	ls -d top/data/.samara-* >/dev/null 2>&1 && ls "$SAMARA_STATE"/views/*.json >/dev/null 2>&1 &&
	    [ "$(samara-seed images --json | grep -c '"building"')" -gt 0 ]
}
until_so $pid reads || fail "it ended before it was killed" log
kill -KILL $pid
wait $pid 2>/dev/null || true
[ -n "$(ls -d top/data/.samara-*)" ] || fail "it was not killed in the middle"
echo late >top/data/late
samara-seed build --resume --read-limit 1G --to disk --passphrase-file pass >log 2>&1 || fail "resume" log
ls -a top/data | grep '^\.samara' && fail "the snapshot of the killed one is left"
[ -z "$(ls "$SAMARA_STATE/views")" ] || fail "a note of the killed one is left"
samara-seed restore latest --to back2 --from disk >log 2>&1 || fail "restore after the kill" log
cmp top/data/long "back2$WORK/top/data/long" || fail "long"
[ -e "back2$WORK/top/data/late" ] || fail "a new snapshot is taken by the next run"

# --- a path that is not on btrfs, and one that is a file: refused before anything is read

for bad in "$WORK/disk/.." "$WORK/top/data/small"; do
	rc=0
	samara-seed build --full --set other --snapshot btrfs --plain-directory --to disk --passphrase-file pass "$bad" >log 2>&1 || rc=$?
	[ "$rc" != 0 ] || fail "$bad was taken" log
	! samara-seed images --json | grep -q '"building"' || fail "$bad: an image was begun" log
done
[ -z "$(ls "$SAMARA_STATE/views")" ] || fail "a note of what was refused is left"
echo "a snapshot in the place of the source"
