#!/bin/sh
# A disk with parity, hurt in every way that tests/damage knows.  Up to the
# bound a repaired copy is the disk again, byte for byte, without a key, and an
# ingest repairs on the fly.  One beyond: what comes back is there, and every
# file that does not is named.
set -eu

fail() { echo "$1"; shift; for f; do echo "--- $f"; cat "$f"; done; exit 1; }
# run NAME STATUS COMMAND...: it ends so; what it says is in NAME.out and NAME.log
run() {
	name=$1 want=$2
	shift 2
	rc=0
	"$@" >"$name.out" 2>"$name.log" || rc=$?
	[ "$rc" = "$want" ] || fail "exit $rc instead of $want from: $*" "$name.out" "$name.log"
}
hurt() { python3 "$TOP/tests/damage/damage.py" disk hurt "$@" >hurt.txt; }
gone() { chmod -R u+rwX "$@" && rm -rf "$@"; }

# 22 packs of data that nothing compresses: one group, two of parity.
mkdir src
python3 - <<'P'
import random
r = random.Random(7)
for i in range(86):
    with open("src/f%02d" % i, "wb") as f:
        f.write(r.randbytes(4 << 20))
P
run create 0 samara-import create vault --name dc-north --key-copy key.copy
run credential 0 samara-import credential vault db1 --out db1.crd
run register 0 samara-seed register db1.crd --offline --generate-passphrase pass --kit kit.txt
mkdir disk
run build 0 samara-seed build --plain-directory --to disk --passphrase-file pass "$WORK/src"
packs=$(find disk/samara/*/packs -name '*.pk' | wc -l)
parity=$(find disk/samara/*/parity -name '*.pp' | wc -l)
[ "$packs" -gt 20 ] && [ "$parity" = 2 ] || fail "$packs packs, $parity of parity"
run whole 0 samara-verify disk disk --without-key
grep -q '^No error found' whole.out || fail "a whole disk has errors" whole.out whole.log

# within KIND AMOUNT SEED: it all comes back
within() {
	hurt "$1" --amount "$2" --seed "$3"
	cp -R hurt hurt.before
	run look 0 samara-verify disk hurt --without-key
	grep -q '^LOST' look.out && fail "$1: lost, and need not be" hurt.txt look.out look.log
	run repair 0 samara-verify disk hurt --without-key --repair-to new
	diff -r disk/samara new/samara >diff.txt || fail "$1: the repaired copy is not the disk" hurt.txt diff.txt repair.out
	diff -r hurt hurt.before >diff.txt || fail "$1: the damaged disk was written to" diff.txt
	run again 0 samara-verify disk new --without-key
	grep -q '^No error found' again.out || fail "$1: the repaired copy has errors" hurt.txt again.out again.log
	gone new hurt hurt.before
}
within sectors 40 1
within sectors 120 2
within burst 2 1
within missing 2 1
within truncated 2 1
within swapped 1 1
within parity 2 1
within small 1 1

# --- an ingest, of another disk that is hurt, and of the vault's own it is whole

hurt missing --amount 2 --seed 5
run ingest 0 samara-import ingest vault hurt
grep -q '2 packs were damaged and repaired' ingest.out || fail "the ingest says nothing of repairs" ingest.out ingest.log
run list 0 samara-import list vault snapshots --json
grep -q '"state": *"whole"' list.out || fail "the snapshot is not whole" list.out
run vault 0 samara-verify vault vault --without-key
gone hurt

# --- one beyond

# Not where the listing itself is hit: what its names were, nothing can say then.
for seed in 3 4 5 6 7 8 9; do
	hurt missing --amount 3 --seed $seed
	run beyond 4 samara-verify disk hurt --kit kit.txt --passphrase-file pass --repair-to new
	grep -qE 'this part of the listing|this snapshot cannot be restored' beyond.out beyond.log || break
	gone hurt new
done
# 3 where the packs are wholly gone, 4 where a few of their pieces came back: packs differ in length.
rc=0
samara-seed restore latest --kit kit.txt --passphrase-file pass --from new --to back >restore.out 2>restore.log || rc=$?
[ $rc = 3 ] || [ $rc = 4 ] || fail "exit $rc from the restore" restore.out restore.log
lost=0
for f in src/*; do
	if cmp -s "$f" "back/$WORK/$f"; then
		continue
	fi
	lost=$((lost + 1))
	grep -q "file .*/$f cannot be restored whole" beyond.out beyond.log || fail "$f is lost, and not named" beyond.out beyond.log
done
[ "$lost" -gt 0 ] || fail "three packs are gone, and no file"
[ "$lost" -lt 40 ] || fail "$lost files are lost with three packs of $packs"
named=$(cat beyond.out beyond.log | grep -c 'cannot be restored whole')
[ "$named" = "$lost" ] || fail "$named files are named, $lost are lost" beyond.out
run chunks 4 samara-verify disk hurt --without-key
grep -q 'chunks of this pack' chunks.out chunks.log || fail "without a key no chunks are named" chunks.out chunks.log
gone hurt new back

# --- never into wrong bytes: far too much, again and again

for seed in 1 2 3 4; do
	hurt heavy --amount 600 --seed $seed
	rc=0
	samara-verify disk hurt --without-key --repair-to new >heavy.out 2>heavy.log || rc=$?
	[ $rc = 0 ] || [ $rc = 4 ] || fail "exit $rc from a repair" heavy.out heavy.log
	# A pack of the copy is the one that was written, or is told of.
	for p in disk/samara/*/packs/0000/*.pk; do
		n=${p##*/}
		cmp -s "$p" new/samara/*/packs/0000/"$n" && continue
		grep -q "$n" heavy.out heavy.log || fail "$n is wrong in the copy, and not named" heavy.out heavy.log
	done
	gone hurt new
done
echo "repaired: sectors, bursts, missing, truncated and swapped packs; $lost files named beyond the bound"
