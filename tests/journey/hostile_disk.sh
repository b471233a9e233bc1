#!/bin/sh
# Disks that somebody has meddled with: packs, statements, lists, parity, custody
# logs and announcements that are cut, flipped, swapped, missing or somebody
# else's.  hostile.py has the kinds.
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
mkdir disk old foreign alien guarded holed topup src first little lost
python3 - <<'END'
import random
r = random.Random(3)
def make(name, n):
    with open(name, "wb") as f:
        f.write(r.randbytes(n))
for i in range(8):
    make("first/f%d" % i, 3000 + i * 20000)
for i in range(40):
    make("src/small%02d" % i, i * 100)
for i in range(9):
    make("src/big%d" % i, 2000000)
for i in range(6):
    make("little/f%d" % i, 50000 + i)
for i in range(9):
    make("lost/f%d" % i, 300000 + i)
END
build() { say samara-seed build --plain-directory --no-key-test "$@"; }
image() { samara-verify label "$1" --json | sed -n 's/.*"image":"\([A-Z0-9]*\)".*/\1/p'; }
announce() {
	disk=$1
	shift
	say samara-seed ship "$(image "$disk")" --carrier DHL --tracking "$disk" "$@"
}
build --parity 0 --set first --to old "$WORK/first"
build --parity 0 --set lost --to holed "$WORK/lost"
build --set guarded --to guarded "$WORK/little"
build --parity 0 --full --to disk "$WORK/src"
build --to foreign "$WORK/first" --state state2
build --to alien "$WORK/first" --state state3
announce disk --announce parcel.txt
announce alien --announce parcel-alien.txt --state state3
say samara-import ingest vault old
cp -a vault vault-foreign
say samara-import ingest vault-foreign foreign
say samara-import ingest other alien
# A gap, and what fills it but for a file that is no more what it was.
rm "$(find holed -name 00000000.pk)"
! samara-import ingest vault-foreign holed >out 2>log || fail "no gap" out log
samara-import receipt vault-foreign "$(image holed)" --gaps list >out 2>log || [ -s list ] || fail "no list of the gap" out log
echo changed >lost/f3
samara-seed build --missing list --to topup --plain-directory --no-key-test >out 2>log || [ $? = 3 ] || fail "top-up" out log
say samara-verify disk topup
say samara-verify vault vault
say samara-verify disk disk --without-key
say samara-seed snapshots --from old --json
FIRST=$(python3 -c 'import json
print([json.loads(l) for l in open("out") if "\"id\"" in l][0]["id"])') || fail "the first snapshot" out
export FIRST
python3 "$TOP/tests/journey/hostile.py" "$WORK"
