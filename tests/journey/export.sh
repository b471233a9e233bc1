#!/bin/sh
# Snapshots go out of a vault onto disks, without a key: planned, over two disks
# with a stop between them, checked, restored with kit and passphrase, and
# refused where they do not belong.
set -eu

here=$TOP/tests/journey
fail() { echo "$1"; shift; for f; do echo "--- $f"; cat "$f"; done; exit 1; }

# shellcheck source=tests/loop/loop.sh
. "$TOP/tests/loop/loop.sh"
why=$(loop_need ext4) || { echo "$why"; exit 77; }
trap loop_end EXIT

samara-import create vault --name dc-north >log 2>&1 || fail "create" log
echo 'correct horse battery staple' >pass
samara-import credential vault db1 --out db1.crd >log 2>&1 || fail "credential" log
samara-seed register db1.crd --offline --passphrase-file pass --kit kit.txt >log 2>&1 || fail "register" log
mkdir -p src/deep
python3 - <<'END'
import random
r = random.Random(3)
for i in range(6):
    open("src/big%d" % i, "wb").write(r.randbytes(15 << 20))
for i in range(300):
    open("src/deep/s%03d" % i, "wb").write(r.randbytes(r.randrange(30000)))
END
while [ -n "$(find src -newerct '3 seconds ago')" ]; do sleep 0.05; done
mkdir d1 d2
samara-seed build --to d1 --plain-directory src --passphrase-file pass >log 2>&1 || fail "build" log
cp -a src before
rm src/deep/s00*
head -c 3000000 /dev/urandom >src/new
samara-seed build --to d2 --plain-directory src --passphrase-file pass >log 2>&1 || fail "second build" log
# The second may come in first: what it leans on comes in the same run.
samara-import ingest vault d2 d1 >log 2>&1 || fail "ingest" log

# The plan writes nothing.
samara-import export vault --machine db1 --plan >out 2>log || fail "plan" out log
grep -q '^export of machine db1: 2 snapshots, ' out || fail "plan" out
[ -z "$(ls vault/local/exports/images)" ] || fail "the plan began something"
rc=0
samara-import export vault --machine db9 --plan >out 2>log || rc=$?
[ "$rc" != 0 ] || fail "a machine that is not there" out
rc=0
samara-import export vault --machine db1 --snapshot ffffffff --plan >out 2>log || rc=$?
[ "$rc" = 10 ] || fail "a snapshot that is not there: $rc" log

# Two disks, one at a time: the first is full, and the same command goes on.
for n in 1 2; do
	loop_attach "disk$n" 100M
	eval "device$n=\$loop"
	loop_format "$loop" ext4
	loop_mount "$loop" "bay$n"
done
rc=0
samara-import export vault --machine db1 --to bay1 >out 2>log || rc=$?
[ "$rc" = 13 ] || fail "the first disk is full: $rc" out log
name=$(sed -n 's/^\([A-Z0-9]*\)-1  full, .*/\1/p' out)
[ -n "$name" ] || fail "the full disk is not named" out log
grep -q "samara-import export vault --machine db1 --to DISK" log || fail "the command that goes on is not named" log
samara-import export vault --machine db1 --to bay2 >out 2>log || fail "second disk" out log
grep -q "^image $name sealed: 2 disks, .* 2 snapshots of machine db1\." out || fail "end" out
[ -z "$(ls vault/local/exports/images)" ] || fail "something is left in the vault"

# Checked without a key and with it; damage is found, and repaired from parity.
samara-verify disk bay1 bay2 >out 2>log || fail "verify without a key" out log
samara-verify disk bay1 bay2 --kit kit.txt --passphrase-file pass >out 2>log || fail "verify with the key" out log
grep -q 'every chunk opened with the key' out || fail "how far it was checked" out

# Both snapshots come back from the export alone.
rm -rf "$SAMARA_STATE"
samara-seed snapshots --from bay1 --from bay2 --kit kit.txt --passphrase-file pass >out 2>log || fail "snapshots" out log
[ "$(grep -c whole out)" = 2 ] || fail "not two whole snapshots" out
first=$(grep -oE '^[0-9a-f]{8}' out | head -n 1)
samara-seed restore latest --from bay1 --from bay2 --to back --kit kit.txt --passphrase-file pass >out 2>log || fail "restore" out log
python3 "$here/compare_trees.py" src "back$WORK/src" || fail "what came back is different"
samara-seed restore "$first" --from bay2 --from bay1 --to back1 --kit kit.txt --passphrase-file pass >out 2>log ||
    fail "restore of the first" out log
python3 "$here/compare_trees.py" before "back1$WORK/src" || fail "the first snapshot is different"

# It is no image of a machine: no vault takes it in.
rc=0
samara-import ingest vault bay1 >out 2>log || rc=$?
[ "$rc" != 0 ] || fail "an export was ingested" out log

# Killed again and again it goes on, and what comes out is whole.
mkdir d4
for k in 0 1 2 4 5; do
	samara-import export vault --machine db1 --to d4 --plain-directory >out 2>log &
	pid=$!
	while kill -0 $pid 2>/dev/null && [ "$(find d4 -name '*.pk' | wc -l)" -lt $k ]; do sleep 0.01; done
	kill -KILL $pid 2>/dev/null || true
	wait $pid 2>/dev/null || true
done
if [ -n "$(ls vault/local/exports/images)" ]; then
	samara-import export vault --machine db1 --to d4 --plain-directory >out 2>log || fail "after the kills" out log
fi
samara-verify disk d4 --kit kit.txt --passphrase-file pass >out 2>log || fail "verify after the kills" out log
[ "$(find d4/samara -name stmt | wc -l)" = 1 ] || fail "the kills left images behind"

# One snapshot alone, without what only the other needs; a bad copy in the vault is named, the rest goes out.
pack=$(find vault/packs -type f -size +4M | sort | head -n 1)
python3 - "$pack" <<'END'
import sys
f = open(sys.argv[1], "r+b")
f.seek(1 << 20)
f.write(b"damaged")
END
mkdir d3
rc=0
samara-import export vault --machine db1 --snapshot latest --to d3 --plain-directory >out 2>log || rc=$?
[ "$rc" = 3 ] || fail "a vault with damage: $rc" out log
grep -q '1 snapshot of machine db1' out || fail "latest alone" out
grep -q '^1 chunks of it are not in the vault, or damaged there' out || fail "the damage is not counted" out log
samara-verify disk d3 >out 2>log && fail "a disk that lacks a chunk is called complete" out log
[ ! -e "$WORK/core" ]
