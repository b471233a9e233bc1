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
mkdir src disk1 disk2 disk3 address1
echo one >address1/file
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

# Two images on one disk: its README names both.
mkdir disk4
run p 0 samara-seed build --plain-directory --to disk4 --no-key-test --set p address1
run q 0 samara-seed build --plain-directory --to disk4 --no-key-test --set q address1
for name in $(ls disk4/samara | grep -v README | tr 'a-z' 'A-Z'); do
	says disk4/samara/README.txt "^  $name-1 .*machine db1, for vault dc-north"
done
[ "$(grep -c 'for vault' disk4/samara/README.txt)" = 2 ] || fail "not two images" disk4/samara/README.txt
for set in p q; do
	run away 0 samara-seed cancel "$(sed -n 's/^image \([A-Z0-9]*\) sealed.*/\1/p' $set.out)"
done

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

# --- the vault is told by mail

run vault2 0 samara-import create other/vault --name dc-south
sed '/^02 /s/[0-9a-h]/z/5' parcel2.txt >torn.txt
run torn 4 samara-import expect vault torn.txt
run notext 4 samara-import expect vault pass
run nofile 1 samara-import expect vault nowhere
run nothing2 2 samara-import expect vault
run wrong 14 samara-import expect other/vault parcel2.txt
run expect_dry 0 samara-import expect vault parcel2.txt -n
run expect_none 0 samara-import list vault images --expected
says expect_none.out '^none'
run expect 0 samara-import expect vault parcel2.txt
says expect.out 'not known to this vault yet'
run older 16 samara-import expect vault parcel.txt
run expected 0 samara-import list vault images --expected
says expected.out "$image .*UPS 1Z999"
run unseen 10 samara-import lost vault "$image"

# The third image comes first and brings the machine with it.
third=$(samara-seed images --json | python3 -c 'import json, sys
print([o["image"] for o in map(json.loads, sys.stdin) if o.get("state") == "sealed"][0])')
run ingest3 0 samara-import ingest vault disk3
for command in lost cancel reopen "expect --tracking 77"; do
	run here 16 samara-import ${command%% *} vault "$third" $(echo "$command" | sed 's/^[a-z]* *//')
done
run expect_known 0 samara-import expect vault parcel2.txt
quiet expect_known.out 'not known'
run expect_twice 0 samara-import expect vault parcel2.txt
says expect_twice.out 'expected before'
run shipped 0 samara-import list vault images
says shipped.out "$image .*shipped"
run baddate 2 samara-import expect vault "$image" --arrives tomorrow
run typed 0 samara-import expect vault "$image" --arrives "$(date -u -d '-3 days' +%Y-%m-%d)"
run late 0 samara-import list vault images --expected
says late.out "$image .*UPS 1Z999; [23] days late"
run attention 1 samara-import status vault
says attention.out 'days late'

run others 16 samara-import receive vault disk3 --tracking 1Z999

# --- lost, cancelled, and it comes all the same

run vlost 0 samara-import lost vault "$image" --reason 'the carrier says so'
run vlost2 0 samara-import lost vault "$image"
says vlost2.out 'lost before'
run vnone 0 samara-import list vault images --expected
says vnone.out '^none'
run vcancel 0 samara-import cancel vault "$image"
run vlost3 16 samara-import lost vault "$image"
rc=0
samara-import ingest vault disk1 >refused.out 2>refused.log || rc=$?
[ "$rc" != 0 ] || fail "a disk of a cancelled image was taken in" refused.out refused.log
run reopen 0 samara-import reopen vault "$image"
run relost 0 samara-import lost vault "$image"
run ingest 0 samara-import ingest vault disk1
run whole 0 samara-import list vault images
says whole.out "$image .*whole"

# --- nothing is erased before the machine has answered

run early 16 samara-import wipe vault disk1
says early.log "do not erase $image-1"
run early2 16 samara-import release vault "$image"
run noreason 2 samara-import wipe vault disk1 --force
run noreason2 2 samara-import release vault "$image" --force
run nodisk 10 samara-import wipe vault nowhere
run nothere 10 samara-import wipe vault src
run strange 10 samara-import wipe vault disk2
run south 14 samara-import wipe other/vault disk1
run receipt 0 samara-import receipt vault "$image" --out receipt.txt
run answer 0 samara-seed receipt receipt.txt --answer answer.txt
run handoff 0 samara-import handoff vault answer.txt
run protected 0 samara-seed status
says protected.out "^PROTECTED BUT: image .* is sealed and must be shipped"
run toolate 16 samara-seed lost "$image"
run toolate2 16 samara-seed ship "$image" --carrier DHL --tracking 5
run toolate3 16 samara-import cancel vault "$image"

# --- only the image's own files go, and the label last

cp -R disk1 disk1.half
rm -r disk1.half/samara/$dir/packs disk1.half/samara/$dir/index disk1.half/samara/$dir/index2
echo mine >disk1/samara/$dir/notes.txt
mkdir -p disk1/samara/$dir/custody
echo mine >disk1/samara/$dir/custody/00000099
echo mine >disk1/file.txt
ln -s ../../../file.txt disk1/samara/$dir/keys/link
run wipedry 0 samara-import wipe vault disk1 -n
[ -e disk1/samara/$dir/packs/0000/00000000.pk ] || fail "a dry run deleted" wipedry.out
run wipe 3 samara-import wipe vault disk1
says wipe.out 'notes.txt'
says wipe.out 'custody/00000099'
says wipe.out 'keys/link'
says wipe.out 'not overwritten'
left=$(cd disk1 && find . ! -type d | sort | tr '\n' ' ')
[ "$left" = "./file.txt ./samara/README.txt ./samara/$dir/custody/00000099 ./samara/$dir/keys/link ./samara/$dir/notes.txt " ] ||
    fail "left: $left" wipe.out
run wipe_again 10 samara-import wipe vault disk1
run half_wiped 0 samara-import wipe vault disk1.half
[ -z "$(ls disk1.half)" ] || fail "left of a disk that held nothing else: $(find disk1.half)" half_wiped.out
run wiped 0 samara-import list vault disks
says wiped.out "$image-1 *wiped"
run release 0 samara-import release vault "$image" --carrier DHL --tracking 99
run release2 0 samara-import release vault "$image"
says release2.out 'went back before'
run returned 0 samara-import list vault disks
says returned.out "$image-1 *returned"
run forced 3 sh -c "echo x >disk3/samara/$(echo "$third" | tr A-Z a-z)/x && samara-import wipe vault disk3 --force --reason 'asked by the customer'"

# --- both halves of the log, and the catalog made anew

run export 0 samara-import list vault custody --image "$image" --out vault.log
run alone 0 samara-verify custody vault.log
says alone.out 'machine .*sealed'
says alone.out 'vault .*wiped'
run exported 1 samara-import list vault custody --out vault.log
run both 0 samara-verify custody vault.log state/images/$dir
says both.out 'vault .*wiped'
says both.out 'vault .*returned'
says both.out 'vault .*lost .*the carrier says so'
says both.out 'machine .*shipped'
run every 0 samara-import list vault custody --out all.log
run allchecked 0 samara-verify custody all.log
says allchecked.out 'override .*asked by the customer'
answers() { for what in images disks custody 'images --expected'; do samara-import list vault $what --json; done; }
answers >before.txt
run rebuild 0 samara-import rebuild vault
answers >after.txt
cmp before.txt after.txt || fail "a rebuilt catalog answers otherwise" before.txt after.txt
run checked 0 samara-verify vault vault --without-key
echo "a parcel there and back: $(wc -l <both.out) lines of custody"
