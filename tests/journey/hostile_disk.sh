#!/bin/sh
# Disks that somebody has meddled with: packs, statements and lists that are
# cut, flipped, swapped, missing or somebody else's.  hostile.py has the kinds.
set -eu

fail() { echo "$1"; shift; for f; do echo "--- $f"; cat "$f"; done; exit 1; }
say() { "$@" >out 2>log || fail "$*" out log; }

say samara-import create vault --name dc-north
say samara-import create other --name dc-south
say samara-import credential vault db1 --out db1.crd
say samara-import credential vault db2 --out db2.crd
say samara-import credential other db1 --out alien.crd
echo 'correct horse battery staple' >pass
say samara-seed register db1.crd --offline --passphrase-file pass --kit kit.txt
say samara-seed register db2.crd --offline --passphrase-file pass --state state2
say samara-seed register alien.crd --offline --passphrase-file pass --state state3
mkdir disk old foreign alien src first
python3 - <<'END'
import random
r = random.Random(3)
for i in range(8):
    open("first/f%d" % i, "wb").write(r.randbytes(3000 + i * 20000))
for i in range(40):
    open("src/small%02d" % i, "wb").write(r.randbytes(i * 100))
for i in range(9):
    open("src/big%d" % i, "wb").write(r.randbytes(2000000))
END
build() { say samara-seed build --plain-directory --no-key-test "$@"; }
build --set first --to old "$WORK/first"
build --full --to disk "$WORK/src"
build --to foreign "$WORK/first" --state state2
build --to alien "$WORK/first" --state state3
say samara-import ingest vault old
say samara-verify vault vault
say samara-verify disk disk --without-key
say samara-seed snapshots --from old --json
FIRST=$(python3 -c 'import json
print([json.loads(l) for l in open("out") if "\"id\"" in l][0]["id"])') || fail "the first snapshot" out
export FIRST
python3 "$TOP/tests/journey/hostile.py" "$WORK"
