#!/bin/sh
# Damage that no disk makes good, over the line: a bundle is lost with its disk, one of its
# files changes, a refill sends what can be had and names the one file that is
# lost; the next snapshot is whole, the old one partial with exactly that file.  What is not
# here at all is not given up.  Damage found in the vault later goes the same road.
set -eu

fail() { echo "$1"; shift; cat "$@"; exit 1; }
# number NAME FILE: a number from the last object of --json
number() { tail -n 1 "$2" | tr ',{}' '\n\n\n' | sed -n "s/^ *\"$1\": *//p"; }
image() { samara-seed images --json | sed -n 's/.*"image": *"\([A-Z0-9]*\)".*/\1/p' | sed -n "$1p"; }
vault_says() { samara-import list vault snapshots | grep -q "$1"; }

# Before all else: what is no older than the walk that reads it is never called the same file later.
mkdir -p src/small src/away disk1
head -c 30000000 /dev/urandom >src/big
head -c 5000000 /dev/urandom >src/away/mid
i=0
while [ $i -lt 60 ]; do
	i=$((i + 1))
	head -c $((i * 61)) /dev/urandom >"src/small/f$i"
done

port=$((20000 + $$ % 20000))
samara-import create vault --name dc --key-copy key.copy --url "https://127.0.0.1:$port" >log 2>&1 || fail create log
samara-import serve vault --listen "127.0.0.1:$port" >serve.log 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || :' EXIT
samara-import credential vault web1 --out web1.crd >log 2>&1 || fail credential log
echo 'correct horse battery staple' >pass
samara-seed register web1.crd --offline --machine web1 --passphrase-file pass --kit kit.txt >log 2>&1 || fail register log

samara-seed build --to disk1 --plain-directory --passphrase-file pass --parity 0 src >out 2>log || fail build out log
first=$(image 1)
lower=$(echo "$first" | tr A-Z a-z)
samara-seed ship "$first" --carrier DHL --tracking T1 >out 2>log || fail ship out log
vault_says "pending on $first" || fail "not pending" out log serve.log

# All packs of the disk are lost: nothing of the files is left.
rm "disk1/samara/$lower/packs/0000/"*.pk
rc=0
samara-import ingest vault disk1 >out 2>&1 || rc=$?
[ "$rc" = 3 ] || [ "$rc" = 4 ] || fail "ingest of a damaged disk: exit $rc" out
vault_says gap || fail "no gap" out
rc=0
samara-seed status >out 2>&1 || rc=$?

# While a directory is away nothing that came from it is given up.
mv src/away elsewhere
echo changed >src/small/f7
rc=0
samara-seed refill --json >out 2>log || rc=$?
[ "$rc" = 3 ] || fail "refill with a directory away: exit $rc" out log
[ "$(number left_open out)" -gt 0 ] || fail "nothing is left open" out log
[ "$(number given_up out)" = 0 ] || fail "what is away was given up" out log
mv elsewhere src/away

rc=0
samara-seed refill --json >out 2>log || rc=$?
[ "$rc" = 3 ] || fail "refill: exit $rc" out log
[ "$(number files_lost out)" = 1 ] || fail "not exactly one file is lost" out log
grep -q 'src/small/f7 is not as it was' log || fail "the lost file is not named" log
vault_says partial || { samara-import list vault snapshots; fail "the old snapshot is not partial" serve.log; }
samara-seed snapshots >out 2>&1 || fail snapshots out
grep -q 'partial (1 file lost)' out || fail "the machine does not call it partial" out

# Nothing is missing any more, and nothing is sent twice.
samara-seed refill --json >out 2>log || fail "a second refill" out log
grep -q '"nothing_missing": *true' out || fail "something is missing still" out

# The next snapshot is whole.
samara-seed backup src --max-upload none >out 2>log || fail backup out log serve.log
vault_says whole || { samara-import list vault snapshots; fail "the new snapshot is not whole" out log; }
mkdir back
samara-seed restore latest --to back/new --from vault >out 2>log || fail "restore of the new one" out log
diff -r src "back/new$PWD/src" >out || fail "restored otherwise" out

# Both sides count the file; the vault has no name of it.
samara-import list vault snapshots >out
grep -q 'partial (1 file lost)' out || fail "the vault does not count the lost file" out
samara-seed snapshots --from line >out 2>log || fail "snapshots over the line" out log
grep -q 'partial (1 file lost)' out || fail "over the line the lost file is not counted" out
old=$(sed -n 2p out | cut -d ' ' -f 1)
grep -rlq src/f7 vault/records && fail "the vault learnt a name"

# The old snapshot: what is still as it was comes out of the next one, and the one file is lost.
rc=0
samara-seed restore "$old" --to back/old --from line >out 2>log || rc=$?
[ "$rc" = 3 ] || fail "restore of the old one: exit $rc" out log
grep -q 'NOT BACK  *1;' out || fail "not exactly one is not back" out log
grep -q 'src/small/f7: .*no later snapshot here has the file as it was' log || fail "the lost file is not named" log
[ "$(grep -c 'lay in is lost: taken from snapshot .*(number 2)' log)" -gt 0 ] || fail "what came from elsewhere is not named" log
[ ! -e "back/old$PWD/src/small/f7" ] || fail "the lost file came from somewhere"
diff -r src "back/old$PWD/src" >out || :
[ "$(cat out)" = "Only in src/small: f7" ] || fail "restored otherwise" out log
attributes() { (cd "$1" && find . -type f ! -name f7 -printf '%p %m %T@ %s\n' | sort); }
attributes src >want
attributes "back/old$PWD/src" >have
diff want have >out || fail "times or modes are otherwise" out
# As anybody with the kit sees it, from the vault's directory.
rc=0
samara-seed restore "$old" --to back/kit --from vault --no-more-disks --kit kit.txt --passphrase-file pass --state nowhere >out 2>log || rc=$?
[ "$rc" = 3 ] || fail "with the kit: exit $rc" out log
diff -r "back/old$PWD/src" "back/kit$PWD/src" >out || fail "with the kit restored otherwise" out

# A pack rots in the vault: found, refilled, healed.
pack=$(find vault/packs -type f -size +1000k | sort | head -n 1)
printf 'xxxxxxxx' | dd of="$pack" bs=1 seek=5000 conv=notrunc 2>/dev/null
rc=0
samara-import receipt vault "$first" --dry-run >out 2>&1 || rc=$?
vault_says gap || { samara-import list vault snapshots; fail "damage in the vault is no gap" out; }
samara-seed refill --json >out 2>log || [ $? = 3 ] || fail "refill of rot" out log
[ "$(number sent_bytes out)" -gt 0 ] || fail "nothing was sent" out log
vault_says gap && { samara-import list vault snapshots; fail "the gap stays" out log; }

# The records say all of it.
kill "$server"
wait "$server" || :
samara-import rebuild vault >out 2>&1 || fail rebuild out
samara-import list vault snapshots >out
grep -q 'partial (1 file lost)' out || fail "a rebuilt catalog does not count the lost file" out
echo "refilled: whole, partial with one file, healed after rot"
