#!/bin/sh
# The end of an image: packs are lost on the way, the vault counts the gap and
# names it, a top-up is made from live data and heals it, a receipt is given,
# checked and answered, and only then the disks may be erased.  A file that
# changed meanwhile is named, given up, and left out of a partial receipt.
# Receipts that are old, forged or not for this machine are refused.
set -eu

fail() { echo "$1"; shift; cat "$@"; exit 1; }
# refused STATUS CODE COMMAND...
refused() {
	want=$1 code=$2
	shift 2
	rc=0
	"$@" >out 2>&1 || rc=$?
	[ "$rc" = "$want" ] || fail "exit $rc instead of $want from: $*" out
	grep -q "($code)" out || fail "no $code from: $*" out
}
# number NAME FILE: a number from the last object of --json
number() { tail -n 1 "$2" | tr ',{}' '\n\n\n' | sed -n "s/^ *\"$1\": *//p"; }
image() { samara-seed images --json | sed -n 's/.*"image": *"\([A-Z0-9]*\)".*/\1/p' | sed -n "$1p"; }

samara-import create vault --name dc --key-copy key.copy >log 2>&1 || fail create log
samara-import credential vault web1 --out web1.crd >log 2>&1 || fail credential log
echo 'correct horse battery staple' >pass
samara-seed register web1.crd --offline --machine web1 --passphrase-file pass --kit kit.txt >log 2>&1 || fail register log

mkdir -p src/dir/deep src/empty disk1 disk2 disk3
head -c 40000000 /dev/urandom >src/dir/big
head -c 3000000 /dev/urandom >src/mid
i=0
while [ $i -lt 120 ]; do
	i=$((i + 1))
	head -c $((i * 53)) /dev/urandom >"src/dir/small$i"
done
ln src/dir/small7 src/dir/deep/hard
truncate -s 9000000 src/hole
echo end >>src/hole
samara-seed build --to disk1 --plain-directory --passphrase-file pass src >out 2>log || fail build out log
first=$(image 1)
lower=$(echo "$first" | tr A-Z a-z)
samara-seed images | grep -q "do not erase $first-1" || fail "the machine must say: do not erase" /dev/null

# One pack is lost, and nothing stands in for it.
rm "disk1/samara/$lower/packs/0000/00000001.pk"
rm -r "disk1/samara/$lower/parity"
rc=0
samara-import ingest vault disk1 >out 2>&1 || rc=$?
[ "$rc" = 3 ] || [ "$rc" = 4 ] || fail "ingest of a damaged disk: exit $rc" out
samara-import list vault gaps --json >gaps.json 2>log || fail "list gaps" log
missing=$(sed -n 's/.*"type": *"snapshot".*/&/p' gaps.json | tr ',{}' '\n\n\n' | sed -n 's/^ *"missing": *//p')
[ "$missing" -gt 10 ] || fail "the gap" gaps.json
[ "$(grep -c '"type": *"missing"' gaps.json)" = "$missing" ] || fail "the list has other ids than the count says" gaps.json
refused 3 S-1103 samara-import receipt vault "$first" --out r0 --gaps list1
[ ! -e r0 ] || fail "a receipt for what is not there" out
samara-import list vault images | grep -q "do not erase $first-1" || fail "the vault must say: do not erase" out

# A list that was changed, or is for somebody else, is not worked on.
cp list1 bad
printf '\377' | dd of=bad bs=1 seek=300 conv=notrunc 2>/dev/null
refused 4 S-1504 samara-seed build --missing bad --to disk2 --plain-directory --passphrase-file pass

samara-seed build --missing list1 --to disk2 --plain-directory --passphrase-file pass --json >top.json 2>log || fail top-up top.json log
[ "$(number missing top.json)" = "$missing" ] && [ "$(number given_up top.json)" = 0 ] || fail "what was had" top.json
samara-verify disk disk2 >out 2>&1 || fail "the top-up disk" out
samara-import ingest vault disk2 >out 2>&1 || fail "ingest of the top-up" out
samara-import list vault gaps | grep -q '^none' || fail "the gap must be healed" out

# Receipt, answer, hand-off.
samara-import receipt vault "$first" --out r1 >out 2>&1 || fail receipt out
grep -q ': whole' out || fail "whole" out
samara-seed receipt r1 --answer a1 >out 2>&1 || fail "the machine's check" out
samara-import handoff vault a1 >out 2>&1 || fail handoff out
samara-import list vault images | grep "^$first" | grep -q handed-off || fail "state at the vault" out
samara-seed images | grep "^$first" | grep -q handed-off || fail "state on the machine" out
samara-seed images >out
! grep -q "do not erase $first-1" out || fail "it may be erased now" out

# The same again changes nothing; an older one, a forged one, another vault's are refused.
samara-seed receipt r1 --answer a1b >out 2>&1 || fail "the same receipt again" out
cmp a1 a1b
samara-import receipt vault "$first" --out r2 >out 2>&1 || fail "a second receipt" out
samara-seed receipt r2 --answer a2 >out 2>&1 || fail "the second receipt" out
refused 4 S-1508 samara-seed receipt r1
cp r2 forged
printf '\377' | dd of=forged bs=1 seek=90 conv=notrunc 2>/dev/null
refused 4 S-1504 samara-seed receipt forged
samara-import create other --name other --key-copy other.copy >log 2>&1 || fail create log
refused 14 S-1404 samara-import handoff other a2
cp a2 changed
printf '\377' | dd of=changed bs=1 seek=120 conv=notrunc 2>/dev/null
refused 4 S-1504 samara-import handoff vault changed
samara-import receipt vault "$(image 2)" --out r3 >out 2>&1 || fail "receipt of the top-up" out
samara-seed receipt r3 --answer a3 >out 2>&1 || fail "the top-up's receipt" out
samara-import handoff vault a3 >out 2>&1 || fail "hand-off of the top-up" out

# The vault loses its packs, and one file changed meanwhile: exactly that one is lost.
find vault/packs -type f -exec rm {} +
printf x | dd of=src/mid bs=1 conv=notrunc 2>/dev/null
printf x | dd of=src/mid bs=1 seek=1500000 conv=notrunc 2>/dev/null
printf x | dd of=src/mid bs=1 seek=2900000 conv=notrunc 2>/dev/null
rc=0
samara-import receipt vault "$first" --gaps list2 >out 2>&1 || rc=$?
[ "$rc" = 3 ] || fail "what is gone must be found" out
rc=0
samara-seed build --missing list2 --to disk3 --plain-directory --passphrase-file pass --given-up gone >out 2>log || rc=$?
if [ "$rc" = 3 ]; then
	grep -q '/src/mid is not as it was' log || fail "the file that is lost must be named" log
	[ "$(grep -c 'is not as it was' log)" = 1 ] || fail "only that file is lost" log
	samara-import ingest vault disk3 >out 2>&1 || fail "ingest of the second top-up" out
	samara-import list vault snapshots | grep -q partial || fail "partial" out
	samara-import receipt vault "$first" --out r4 >out 2>&1 || fail "partial receipt" out
	grep -q ': partial' out || fail "it must say partial" out
	samara-seed receipt r4 --answer a4 >out 2>&1 || fail "the machine gave it up itself" out
	samara-import handoff vault a4 >out 2>&1 || fail "partial hand-off" out
	[ -s gone ] || fail "the list of what is given up" out
else
	fail "the changed file must be missed (exit $rc)" out log
fi
samara-import rebuild vault >out 2>&1 || fail rebuild out
samara-import list vault snapshots | grep -q partial || fail "partial after a rebuild" out
rc=0
samara-verify vault vault >out 2>&1 || rc=$?
[ "$rc" = 4 ] && [ "$(grep -c '^lost .*file ' out)" = 1 ] && grep -q '/src/mid' out || fail "verify must name what is lost, and no more" out
