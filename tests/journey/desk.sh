#!/bin/sh
# The receiving desk: 30 images of 12 vaults over 8 bays in any order, with a
# disk of a vault that is not here, one that comes twice, one that is empty; the
# service is killed twice in the middle and started again.  Nobody types a command for
# a disk, and at the end every image is whole in its vault.
set -eu

fail() { echo "$1"; shift; for f; do echo "--- $f"; cat "$f"; done; exit 1; }
said() { "$@" >"log${of:-}" 2>&1 || fail "$*" "log${of:-}"; }
export SAMARA_VAULTS=$WORK/vaults
mkdir vaults elsewhere machines disks bays

echo 'correct horse battery staple' >pass
# machine VAULT-DIRECTORY NAME IMAGES: a vault, its machine and the machine's images, a disk each
machine() {
	state=$WORK/machines/$2
	of=.$2
	said samara-import create "$1/$2" --name "$2"
	said samara-import credential "$1/$2" "m-$2" --out "$2.crd"
	said env SAMARA_STATE="$state" samara-seed register "$2.crd" --offline --passphrase-file pass
	mkdir "src-$2"
	i=0
	while [ $i -lt "$3" ]; do
		i=$((i + 1))
		head -c 300000 /dev/urandom >"src-$2/file$i"
		mkdir "disks/$2-$i"
		said env SAMARA_STATE="$state" samara-seed build --plain-directory --no-key-test --full --to "disks/$2-$i" \
		    "$WORK/src-$2"
	done
}
images_of() { [ "$1" -gt 6 ] && echo 2 || echo 3; }
# Four at a time: a registration takes its share of memory.
for some in '01 02 03 04' '05 06 07 08' '09 10 11 12'; do
	pids=''
	for n in $some; do
		machine vaults "v$n" "$(images_of "$n")" &
		pids="$pids $!"
	done
	for pid in $pids; do wait "$pid" || fail "the images were not built"; done
done
machine elsewhere far 1
of=''

mkdir disks/empty
cp -R disks/v03-2 disks/v03-2-again
python3 "$TOP/tests/journey/desk_feed.py" || fail "the desk" dock.err

for n in 01 02 03 04 05 06 07 08 09 10 11 12; do
	samara-import list "vaults/v$n" images --json >images.json
	samara-import list "vaults/v$n" disks --json >disks.json
	python3 - "$n" <<'END' || fail "vault v$n" images.json disks.json
import json, sys
rows = [json.loads(line) for line in open("images.json")]
images = [r for r in rows if r["type"] == "image"]
assert len(images) == (3 if int(sys.argv[1]) <= 6 else 2), images
assert all(i["state"] == "whole" for i in images), images
disks = [r for r in (json.loads(line) for line in open("disks.json")) if r["type"] == "disk"]
assert len(disks) == len(images) and all(d["state"] == "ingested" and d["complete"] for d in disks), disks
END
	samara-import list "vaults/v$n" custody --json >custody.json
	# Each disk was received once, however often the service looked at it.
	received=$(grep -c '"event":"received"\|"event": "received"' custody.json)
	[ "$received" = "$(grep -c '"type":"disk"\|"type": "disk"' disks.json)" ] || fail "vault v$n: $received received" custody.json
done
said samara-verify vault vaults/v03

# Once, over bays that hold a disk that is in and the foreign one.
mkdir once
cp -R parked/v01-1 once/a
rc=0
samara-import dock --once once/a once/b >once.out 2>&1 || rc=$?
[ $rc = 0 ] || fail "once: exit $rc" once.out
grep -q 'once/a  *remove  *.*-1 of m-v01 for v01: .*is whole' once.out || fail "once" once.out
cp -R parked/far-1 once/b
rc=0
samara-import dock --once once/a once/b >once.out 2>&1 || rc=$?
[ $rc = 3 ] || fail "once, with a foreign disk: exit $rc" once.out
grep -q 'once/b  *attention  *.*was made for vault far' once.out || fail "once, with a foreign disk" once.out
cat fed
