#!/bin/sh
# From sealed to handed off over the line: an image is pledged while its disks travel,
# its snapshot is pending and names the image, a lost image becomes a gap and comes
# back, the lease is made longer, the disks come one after the other, and
# the receipt is fetched, answered and known on both sides without a file.
set -eu

fail() { echo "$1"; shift; cat "$@"; exit 1; }
# number NAME FILE: a number from the last object of --json
number() { tail -n 1 "$2" | tr ',{}' '\n\n\n' | sed -n "s/^ *\"$1\": *//p"; }
image() { samara-seed images --json | sed -n 's/.*"image": *"\([A-Z0-9]*\)".*/\1/p' | sed -n "$1p"; }
vault_says() { samara-import list vault snapshots | grep -q "$1"; }

port=$((20000 + $$ % 20000))
samara-import create vault --name dc --key-copy key.copy --url "https://127.0.0.1:$port" >log 2>&1 || fail create log
samara-import serve vault --listen "127.0.0.1:$port" >serve.log 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || :' EXIT
samara-import credential vault web1 --out web1.crd >log 2>&1 || fail credential log
echo 'correct horse battery staple' >pass
samara-seed register web1.crd --offline --machine web1 --passphrase-file pass --kit kit.txt >log 2>&1 || fail register log

mkdir -p src/dir disk1 disk2
head -c 24000000 /dev/urandom >src/dir/big
i=0
while [ $i -lt 80 ]; do
	i=$((i + 1))
	head -c $((i * 97)) /dev/urandom >"src/dir/small$i"
done
samara-seed build --to disk1 --plain-directory --passphrase-file pass src >out 2>log || fail build out log
first=$(image 1)

# The vault hears of it with the parcel.
samara-seed ship "$first" --carrier DHL --tracking T1 >out 2>log || fail ship out log
grep -q "The vault knows what is on its way" out || fail "ship did not tell the vault" out log serve.log
vault_says "pending on $first" || { samara-import list vault snapshots; fail "the snapshot is not pending" serve.log; }
samara-import list vault images | grep -q "$first.*shipped" || fail "the image is not shipped" serve.log
# Names and sizes are there before a disk is: the listing's chunks stand in the vault.
[ "$(find vault/packs -type f | wc -l)" -ge 1 ] || fail "no chunk of the listing was sent" out
samara-seed status >out 2>&1 || true
grep -q "^NOT YET PROTECTED OFF SITE: image $first is in the parcel" out || fail "status" out
grep -q "pledge: until" out || fail "status does not say how long the pledge holds" out
samara-seed snapshots >out 2>&1 || fail snapshots out
grep -q "pending on $first" out || fail "the machine does not call it pending" out
grep -q "^as vault dc says, " out || fail "snapshots does not say who says so" out

# It waits as long as it is told to.
samara-import pledge vault "$first" --extend 30d --reason snow >out 2>&1 || fail extend out
grep -q "1 disk to come, promised now until" out || fail "the lease is not longer" out

# Lost, and found again: the vault hears both at once.
samara-seed lost "$first" >out 2>&1 || fail lost out
vault_says gap || fail "a lost image promises still" out
samara-seed snapshots >out 2>&1 || fail snapshots out
grep -q "gap: the vault lacks .* chunks" out || fail "the machine does not say what the vault says" out
samara-seed lost "$first" --found >out 2>&1 || fail found out
vault_says "pending on $first" || fail "a found image promises nothing" out

# A second contact has nothing to say.
samara-seed receipt >out 2>&1 || fail receipt out
grep -q "there is no new receipt" out || fail "a receipt before the disk" out

# The disk comes; the receipt is given by itself, fetched and answered.
samara-import ingest vault disk1 >out 2>&1 || fail ingest out
vault_says whole || fail "not whole after its disk came" out
until samara-seed receipt --json >out 2>log && grep -q '"receipts": *1' out; do sleep 0.05; done
samara-seed receipt >out 2>&1 || fail "receipt again" out
samara-import list vault images | grep -q "$first.*handed-off" || { samara-import list vault images; fail "the vault does not know of the hand-off" out serve.log; }
samara-seed images >out 2>&1 || fail images out
grep -q "$first.*handed-off" out || fail "the machine does not know of the hand-off" out
samara-seed status >out 2>&1 || fail "status after the hand-off" out
grep -q "^PROTECTED" out || fail "not protected" out

# Both halves of the custody log are with the vault.
samara-import list vault custody >out 2>&1 || fail custody out
grep -q "handed off" out || fail "the machine's half" out

# A later image pledges what its list adds to the one that the vault has, and no more.
grep -q 'PUT .*/lists/1-whole-0 ' serve.log || fail "the first list did not go whole" serve.log
echo changed >src/dir/small7
samara-seed build --to disk2 --plain-directory --passphrase-file pass src >out 2>log || fail "second build" out log
second=$(image 2)
samara-seed ship "$second" --carrier DHL --tracking T2 >out 2>log || fail "second ship" out log
grep -q 'PUT .*/lists/2-delta-0 ' serve.log || fail "the second list did not go as a difference" serve.log
! grep -q 'PUT .*/lists/2-whole' serve.log || fail "the second list went whole" serve.log
vault_says "pending on $second" || fail "the second snapshot is not pending" serve.log
samara-seed status >out 2>&1 || fail "status with one image at the vault and the next in the parcel" out
grep -q "^PROTECTED BUT: image $second is in the parcel" out || fail "status forgets what is at the vault" out
samara-import ingest vault disk2 >out 2>&1 || fail "second ingest" out
! vault_says pending || { samara-import list vault snapshots; fail "not whole after its disk" out; }

# A third disk comes without its packs; a top-up is pledged with the list of what it carries, and that is promised.
mkdir disk3 disk4
head -c 3000000 /dev/urandom >src/dir/later
samara-seed build --to disk3 --plain-directory --passphrase-file pass --parity 0 src >out 2>log || fail "third build" out log
third=$(image 3)
samara-seed ship "$third" --carrier DHL --tracking T3 >out 2>log || fail "third ship" out log
rm "disk3/samara/$(echo "$third" | tr A-Z a-z)/packs/0000/"*.pk
samara-import ingest vault disk3 >out 2>&1 && fail "a disk without packs was taken in as if nothing were" out
vault_says gap || { samara-import list vault snapshots; fail "no gap" out; }
samara-import list vault gaps --image "$third" --out gaplist >out 2>&1 || fail "gap list" out
samara-seed build --missing gaplist --to disk4 --plain-directory --passphrase-file pass >out 2>log || fail "top-up" out log
topup=$(image 4)
samara-seed ship "$topup" --carrier DHL --tracking T4 >out 2>log || fail "ship the top-up" out log
grep -q 'PUT .*/carried ' serve.log || fail "what the top-up carries was not said" serve.log
vault_says "pending on $topup" || { samara-import list vault snapshots; fail "nothing is pending on the top-up" serve.log; }
! vault_says gap || { samara-import list vault snapshots; fail "what a top-up brings is a gap still" serve.log; }
samara-seed refill --json >out 2>log || fail "refill while the top-up travels" out log
grep -q '"nothing_missing": *true' out || fail "what travels is asked for over the line" out
samara-import lost vault "$topup" >out 2>&1 || fail "lose the top-up" out
vault_says gap || { samara-import list vault snapshots; fail "a lost top-up promises" serve.log; }
samara-import reopen vault "$topup" >out 2>&1 || fail "reopen the top-up" out
vault_says "pending on $topup" || { samara-import list vault snapshots; fail "a top-up that was found again promises nothing" serve.log; }
samara-import ingest vault disk4 >out 2>&1 || fail "ingest the top-up" out
! vault_says "pending\|gap" || { samara-import list vault snapshots; fail "not whole after the top-up" out; }

# A rebuilt catalog says the same.
kill $server
wait $server 2>/dev/null || true
samara-seed snapshots >out 2>&1 || fail "snapshots without the vault" out
grep -q '^as this machine knows, which heard of the vault last .*: ' out || fail "snapshots does not say that it is not the vault who says so" out
samara-seed snapshots --json >out 2>&1 || fail "snapshots without the vault" out
tail -n 1 out | grep -q '"from": *"state"' || fail "snapshots --json" out
samara-import list vault snapshots >before 2>/dev/null
samara-import rebuild vault >log 2>&1 || fail rebuild log
samara-import list vault snapshots >after 2>/dev/null
cmp before after || fail "a rebuild gives other answers" before after
echo "pledged, pending, lost, found, ingested, handed off: without a file"
