#!/bin/sh
# The parcel: an image is sealed, goes into a parcel, is late, lost, found,
# received, wiped and given back; every refusal has its exit status, and both
# parties' logs tell the same.
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
says() { grep -q -- "$2" "$1" || fail "not said: $2" "$1"; }
quiet() { ! grep -q -- "$2" "$1" || fail "said: $2" "$1"; }

SAMARA_STATE=$PWD/state
export SAMARA_STATE
mkdir src disk1 disk2 disk3
for i in 1 2 3 4 5 6 7 8; do head -c 300000 /dev/urandom >"src/file$i"; done

run create 0 samara-import create vault --name dc-north --key-copy key.copy
run credential 0 samara-import credential vault db1 --out db1.crd
run register 0 samara-seed register db1.crd --offline --generate-passphrase pass --kit kit.txt

# --- before it is sealed

run none 10 samara-seed ship
run nothing 10 samara-seed lost RM4K
run build 0 samara-seed build --plain-directory --to disk1 --no-key-test src
image=$(sed -n 's/^image \([A-Z0-9]*\) sealed.*/\1/p' build.out)
[ -n "$image" ] || fail "no image" build.out
dir=$(echo "$image" | tr 'A-Z' 'a-z')
run open 12 env SAMARA_PASSPHRASE= samara-seed build --plain-directory --to disk2 --set other src </dev/null
other=$(samara-seed images --json | python3 -c 'import json, sys
print([o["image"] for o in map(json.loads, sys.stdin) if o.get("state") == "building"][0])')
run unsealed 16 samara-seed ship "$other" --carrier DHL --tracking 1
run unsealed_lost 16 samara-seed lost "$other"

# --- the slip, and what is missing on it

run slip 0 samara-seed ship "$image"
says slip.out 'not recorded as shipped'
run still 1 samara-seed status
says still.out "image $image is sealed and must be shipped"
run half 2 samara-seed ship "$image" --carrier DHL
run half2 2 samara-seed ship "$image" --tracking 1
run date 2 samara-seed ship "$image" --carrier DHL --tracking 1 --arrives 16.11.2026
run date2 2 samara-seed ship "$image" --carrier DHL --tracking 1 --arrives 2026-02-30
run past 2 samara-seed ship "$image" --carrier DHL --tracking 1 --arrives 2001-02-03
run empty 2 samara-seed ship "$image" --carrier '' --tracking 1
touch there
run there 1 samara-seed ship "$image" --carrier DHL --tracking 1 --slip there
run dry 0 samara-seed ship "$image" --carrier DHL --tracking 1 -n
run still2 0 samara-seed images
says still2.out "$image *sealed"
due=$(date -u -d '+4 days' +%Y-%m-%d)
printf 'Example Ltd\n1 Harbour Road\nSeaton\n' >address
run ship 0 samara-seed ship "$image" --carrier DHL --tracking 00340434161094042557 --arrives "$due" \
    --return-address address --slip slip.txt --announce parcel.txt
says slip.txt 'Harbour Road'
says slip.txt "$image-1"
says slip.txt 00340434161094042557
says slip.txt 'read this out on the phone'
says slip.txt 'If the machine dies'
awk 'length($0) > 80 { exit 1 }' slip.txt || fail "a line of the slip is longer than 80" slip.txt
manifest=$(sed -n 's/.*manifest \([0-9A-F-]*\)\..*/\1/p' build.out)
says slip.txt "$manifest"
quiet parcel.txt "$(cat pass)"
run status 1 samara-seed status
says status.out "^NOT YET PROTECTED OFF SITE: image $image is in the parcel (shipped .*, due .*, DHL 00340434161094042557)"
run images 0 samara-seed images
says images.out "$image *shipped"
says images.out 'due .*DHL 00340434161094042557'
run again 0 samara-seed ship "$image" --carrier DHL --tracking 00340434161094042557
says again.out 'as it was'
run correct 0 samara-seed ship --carrier UPS --tracking 1Z999 --announce parcel2.txt
says correct.out 'corrected'
says correct.out 'due'
run twice 1 samara-seed ship "$image" --announce parcel2.txt
run log 0 samara-verify custody state/images/$dir
says log.out 'shipped .*DHL 00340434161094042557'
says log.out 'shipped .*corrected'
run diskcheck 0 samara-verify disk disk1 --without-key

# --- lost, and found again

run sealed_other 0 samara-seed build --resume --to disk2 --plain-directory --passphrase-file pass
run number 16 samara-seed ship "$other" --carrier DHL --tracking 1z999
says number.log "belongs to image $image"
run chosen 0 samara-seed ship --carrier DHL --tracking 2 -n
says chosen.out "image $other would be in the parcel"
run nobody 10 samara-seed ship ZZZZ --carrier DHL --tracking 2
run lost 0 samara-seed lost "$image"
run lost_twice 0 samara-seed lost "$image"
says lost_twice.out 'lost before'
run shiplost 16 samara-seed ship "$image" --carrier DHL --tracking 3
run gone 0 samara-seed images
says gone.out "$image *lost"
run anew 0 samara-seed build --plain-directory --to disk3 --passphrase-file pass --json src
python3 - anew.out <<'END' || fail "after a loss everything is carried again" anew.out
import json, sys
s = [json.loads(line) for line in open(sys.argv[1])][-1]
assert s["sealed"] and s["stored_bytes"] > 2000000, s
END
run found 0 samara-seed lost "$image" --found
run cancel 0 samara-seed cancel "$other"
run cancelled 16 samara-seed ship "$other" --carrier DHL --tracking 3
run cancelled_lost 16 samara-seed lost "$other"
run log2 0 samara-verify custody state
says log2.out 'cancelled'
says log2.out 'reopened'

# --- a log that was tampered with

cp -R state/images/$dir/custody bad
rm bad/00000002
run hole 4 samara-verify custody bad
says hole.out 'record 2 .* is missing'
cp -R state/images/$dir/custody swapped
cp swapped/00000003 swapped/00000002
run swapped 4 samara-verify custody swapped
run nolog 1 samara-verify custody src
