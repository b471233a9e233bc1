#!/bin/sh
# The desk over real block devices: mounted by it, read-only, unmounted when it
# is done; one of them slow and pulled out in the middle, which the others do
# not feel; put back, it goes on.
set -eu

# shellcheck source=tests/loop/loop.sh
. "$TOP/tests/loop/loop.sh"
fail() { echo "$1"; shift; for f; do echo "--- $f"; cat "$f"; done; exit 1; }
said() { "$@" >log 2>&1 || fail "$*" log; }
loop_need ext4 >why || { cat why; exit 77; }
desk=''
ends() {
	[ -z "$desk" ] || kill -KILL "$desk" 2>/dev/null || true
	loop_end
}
trap ends EXIT
trap 'exit 130' INT TERM

export SAMARA_VAULTS=$WORK/vaults
mkdir vaults src
said samara-import create vaults/north --name north
echo 'correct horse battery staple' >pass
for m in db1 db2 db3; do
	said samara-import credential vaults/north $m --out $m.crd
	said samara-seed register $m.crd --offline --passphrase-file pass --state "$WORK/state-$m"
done
# disk MACHINE DEVICE FILE-SYSTEM MIB: an image of so much onto the device
disk() {
	loop_format "$2" "$3"
	loop_mount "$2" mnt
	rm -rf src && mkdir src
	head -c "$4M" /dev/urandom >src/big
	said samara-seed build --state "$WORK/state-$1" --no-key-test --to mnt src
	loop_unmount mnt
}
# says WORDS: the desk said a line with them
says() { grep -qE "$1" desk.out; }

second=ext4
! loop_need exfat >/dev/null || second=exfat
loop_attach one.img 160M
one=$loop
disk db1 "$one" ext4 20
loop_attach two.img 160M
two=$loop
disk db2 "$two" $second 20
loop_slow_attach slow 160M
disk db3 "$loop" ext4 60
loop_slow_end slow
loop_slow_attach slow '' delay-read=20ms
slow=$loop

samara-import dock "$one" "$two" "$slow" >desk.out 2>desk.err &
desk=$!
loop_until says "$slow +working" || fail "the slow disk does not work" desk.out desk.err
loop_still slow		# from here on it is as slow as a disk can be
loop_until says "$one +remove .*north.*is whole" || fail "the first disk" desk.out desk.err
loop_until says "$two +remove .*north.*is whole" || fail "the second disk" desk.out desk.err
! says "$slow +remove" || fail "the slow disk was faster" desk.out
loop_pull slow
loop_until says "$slow +attention" || fail "nothing is said of the disk that was pulled out" desk.out desk.err
kill "$desk"
rc=0
wait "$desk" || rc=$?
desk=''
[ $rc = 0 ] || fail "the desk ended with $rc" desk.out desk.err
for d in "$one" "$two" "$slow"; do
	! grep -qE " - [^ ]+ $d " /proc/self/mountinfo || fail "$d is still mounted" /proc/self/mountinfo
done
samara-import list vaults/north images --json >images.json
[ "$(grep -c '"whole"' images.json)" = 2 ] || fail "two images are whole" images.json
! grep -q '"gap"' images.json || fail "a disk that was pulled out is no gap" desk.out desk.err

loop_slow_end slow
loop_slow_attach slow ''
said samara-import dock --once "$loop"
grep -qE "$loop +remove .*is whole" log || fail "put back" log
samara-import list vaults/north images --json >images.json
[ "$(grep -c '"whole"' images.json)" = 3 ] || fail "three images are whole" images.json
echo "three devices: ext4, $second, and a slow one that was pulled out and put back"
