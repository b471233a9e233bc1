#!/bin/sh
# What a machine may do by its subscription: active, expired, ended, active again; backups and
# restores, by line and by disk; images are always built; each refusal names its
# rule and ends with 16; what is done all the same stands among the jobs.
set -eu

fail() { echo "$1"; shift; for f; do echo "--- $f"; cat "$f"; done; exit 1; }
say() { "$@" >out 2>log || fail "$*" out log; }
# stopped RULE COMMAND...: exit 16, and the rule is named
stopped() {
	rule=$1
	shift
	rc=0
	"$@" >out 2>&1 || rc=$?
	[ "$rc" = 16 ] || fail "exit $rc instead of 16 from: $*" out
	grep -q "$rule" out || fail "the rule is not named ($rule) by: $*" out
	grep -q '(S-1601)' out || fail "no S-1601 from: $*" out
}
port=$((20000 + $$ % 20000))
say samara-import create vault --name dc-north --key-copy key.copy --url "https://127.0.0.1:$port"
samara-import serve vault --listen "127.0.0.1:$port" >serve.log 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || :' EXIT
say samara-import credential vault db1 --out db1.crd
echo 'correct horse battery staple' >pass
say samara-seed register db1.crd --offline --passphrase-file pass --kit kit.txt
say samara-seed policy set initial=network
mkdir src disk disk2 disk3
head -c 500000 /dev/urandom >src/a
build='samara-seed build --plain-directory --passphrase-file pass --full'

# Never connected: images are built, and restored from.
say $build --to disk src
say samara-seed restore latest --from disk --to r0
say samara-seed ship
say samara-import ingest vault disk

# Active: everything.
say samara-seed backup src --max-upload none
say samara-seed restore latest --from line --to r1
say samara-seed restore latest --from disk --to r2

# Expired: no backups to the vault; restores go on, and so do images.
say samara-import machine vault db1 subscription expired
stopped 'has expired: backups to the vault are stopped, restores are not' samara-seed backup src --max-upload none
say samara-seed restore latest --from line --to r3
say samara-seed restore latest --from disk --to r4
say $build --to disk2 src
samara-seed connection >out 2>&1 || :
grep -q 'has expired' out || fail "connection does not say it" out

# Ended: nothing but images; what the vault has is deleted, and can be undeleted.
say samara-import machine vault db1 subscription deprovisioned
stopped 'was ended: backups to the vault are stopped' samara-seed backup src --max-upload none
stopped 'was ended' samara-seed restore latest --from line --to r5
stopped 'was ended: restores from a disk are stopped' samara-seed restore latest --from disk --to r5
grep -q -- '--even-if-stopped' out || fail "the way on is not named" out
stopped 'was ended: restores from the vault are stopped, and its snapshots' samara-seed restore latest --from vault --to r5
stopped 'was ended' samara-seed restore latest --from vault --even-if-stopped --to r5
stopped 'was ended: restores from a disk are stopped' samara-seed dump latest:"$WORK/src/a" --from disk
[ ! -e r5 ] || fail "something was restored"
say samara-seed restore latest --from disk --even-if-stopped --to r6
cmp src/a "r6$WORK/src/a" || fail "restored otherwise"
grep -q 'done all the same, and recorded' log || fail "it is not said" log
samara-seed jobs >jobs 2>&1 || fail jobs jobs
grep -q 'though restores are stopped' jobs || { samara-seed jobs --json >jobs; grep -q 'though restores are stopped' jobs || fail "it is not recorded" jobs; }
say samara-seed dump latest:"$WORK/src/a" --from disk --even-if-stopped
cmp src/a out || fail "dumped otherwise"
# With kit and passphrase and no state no row applies.
say samara-seed restore latest --from disk --kit kit.txt --passphrase-file pass --state nowhere --to r7
say $build --to disk3 src
samara-import list vault snapshots >out 2>&1
grep -q deleted out || fail "what the vault has of it is not deleted" out

# Active again.
say samara-import machine vault db1 subscription active
for snap in $(samara-import list vault snapshots --json | sed -n 's/.*"id": *"\([0-9a-f]*\)".*/\1/p'); do
	say samara-import undelete vault "$snap"
done
echo more >src/b
say samara-seed backup src --max-upload none
say samara-seed restore latest --from line --to r8
cmp src/b "r8$WORK/src/b" || fail "the backup after it"
say samara-seed restore latest --from disk --to r9
echo "active, expired, ended, active again"
