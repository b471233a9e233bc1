#!/bin/sh
# What a vault keeps: two machines over the line and one by a disk, keep rules, soft deletion,
# undelete, protect, delete, and collections when the days are over.  What goes gives its
# bytes back, down to what a new vault with the same snapshots takes; what stays comes back
# equal, and verify finds nothing.
set -eu

fail() { echo "$1"; shift; for f; do echo "--- $f"; tail -n 40 "$f"; done; exit 1; }
# run NAME STATUS COMMAND...: it ends so; what it says is in NAME.out and NAME.log
run() {
	name=$1 want=$2
	shift 2
	rc=0
	"$@" >"$name.out" 2>"$name.log" || rc=$?
	[ "$rc" = "$want" ] || fail "exit $rc instead of $want from: $*" "$name.out" "$name.log"
}
says() { grep -q -- "$2" "$1" || fail "not said: $2" "$1"; }
# field FILE KEY: of the last line of --json
field() { tail -n 1 "$1" | python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$2"; }
until_true() { until "$@"; do sleep 0.05; done; }
# later COMMAND...: as it is $days days from now
days=0
later() {
	env AT_CLOCK=$((days * 86400)) LD_PRELOAD="$BUILD/tests/libat_clock.so" \
	    ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0" "$@"
}
bytes_of() { find "$1/packs" "$1/origins" "$1/snapshots" -type f -printf '%s\n' 2>/dev/null | awk '{ s += $1 } END { print s + 0 }'; }
settle() { while [ -n "$(find src -newerct '3 seconds ago')" ]; do sleep 0.05; done; }

port=$(python3 -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || :' EXIT
serve() {
	env AT_CLOCK=$((days * 86400)) LD_PRELOAD="$BUILD/tests/libat_clock.so" \
	    ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0" samara-import serve "$1" --listen "127.0.0.1:$port" >serve.out 2>>serve.log &
	server=$!
	until_true python3 -c 'import socket, sys
socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1).close()' "$port" 2>/dev/null
}
serve_end() { kill "$server"; wait "$server" || :; server=; }
# machine VAULT NAME: registered, its state in VAULT-NAME
machine() {
	run credential 0 samara-import credential "$1" "$2" --out "$1-$2.crd"
	run register 0 samara-seed register "$1-$2.crd" --state "$1-$2" --offline --machine "$2" --generate-passphrase "$1-$2.pass" \
	    --kit "$1-$2.kit"
}
# seed VAULT NAME COMMAND...
seed() {
	seed_state=$1-$2
	shift 2
	later env SAMARA_PASSPHRASE_FILE="$PWD/$seed_state.pass" samara-seed "$@" --state "$seed_state"
}
# random FILE BYTES
random() { head -c "$2" /dev/urandom >"$1"; }
# small FROM TO: files of 3 kB each
small() { for i in $(seq "$1" "$2"); do random "src/web1/small/f$i" 3000; done; }

run create 0 samara-import create vault --name dc --key-copy key.copy --url "https://127.0.0.1:$port"
for m in web1 db1 files1; do machine vault "$m"; done
mkdir -p src/web1/small src/db1 src/files1 disk kept
small 1 1500
for i in 1 2 3 4; do random "src/web1/large$i" 3000000; done
random src/db1/dump 6000000
random src/files1/archive 5000000

# --- four snapshots of web1, three of db1, one of files1 by a disk

serve vault
run build 0 seed vault files1 build --to disk --plain-directory src/files1
run ingest 0 samara-import ingest vault disk
for n in 1 2 3 4; do
	settle
	run "web1-$n" 0 seed vault web1 backup src/web1 --max-upload none
	cp -a src/web1 "kept/web1-$n"
	[ "$n" = 4 ] && break
	# Nearly all of what is small changes, and one large file.
	small 1 1400
	random "src/web1/large$n" 3000000
done
for n in 1 2 3; do
	settle
	run "db1-$n" 0 seed vault db1 backup src/db1 --max-upload none
	cp -a src/db1 "kept/db1-$n"
	random src/db1/dump 6000000
done
full=$(bytes_of vault)

# --- keep rules: said first, then done; nothing goes yet

run dry 0 samara-import prune vault --keep-last 1 --dry-run
says dry.out '8 snapshots looked at, 5 would be deleted, 3 stay'
says dry.out 'keep-last'
says dry.out 'not handed off'
run prune 0 samara-import prune vault --keep-last 1
says prune.out '8 snapshots looked at, 5 deleted, 3 stay'
run again 0 samara-import prune vault --keep-last 1
says again.out ' 0 deleted'
run undelete 0 samara-import undelete vault web1/1
run protect 0 samara-import protect vault web1/1
run refused 16 samara-import delete vault web1/1
says refused.log protected
run newest 16 samara-import delete vault db1/3
run listed 0 samara-import list vault snapshots
for i in 1 2; do
	run "soon$i" 0 samara-import gc vault --json
	[ "$(field "soon$i.out" packs)" = 0 ] || fail "something went before its days were over" "soon$i.out"
done
[ "$(bytes_of vault)" = "$full" ] || fail "the vault shrank before the days were over"
run undelete2 0 samara-import undelete vault db1/2
run delete2 0 samara-import delete vault db1/2 --reason 'not wanted after all'
serve_end

# --- the days are over

days=16
run wouldgo 0 later samara-import gc vault --dry-run
says wouldgo.out '4 would be gone for good'
if grep -q '^packs  *0 ' wouldgo.out; then fail "what these need is not counted" wouldgo.out; fi
[ "$(bytes_of vault)" = "$full" ] || fail "a dry run took something"
gone=0 repacked=0
for i in 1 2 3 4 5; do
	run "gc$i" 0 later samara-import gc vault --json
	gone=$((gone + $(field "gc$i.out" snapshots_gone)))
	repacked=$((repacked + $(field "gc$i.out" repacked)))
done
[ "$gone" = 4 ] || fail "$gone snapshots are gone, not 4" gc1.out gc2.out
[ "$repacked" -gt 0 ] || fail "nothing was written anew, though little of the packs was needed" gc1.out gc2.out gc3.out
[ "$(field gc5.out packs)" = 0 ] && [ "$(field gc5.out repacked)" = 0 ] || fail "collections do not come to an end" gc5.out
left=$(bytes_of vault)
run lost 10 later samara-import undelete vault web1/2
run verify 0 later env SAMARA_PASSPHRASE_FILE="$PWD/vault-web1.pass" samara-verify vault vault --kit vault-web1.kit
run rebuild 0 later samara-import rebuild vault
run status 0 later samara-import list vault snapshots
run rows 0 later samara-import list vault snapshots --json
# id_of MACHINE NUMBER
id_of() { python3 -c 'import json, sys
print([r["snapshot_id"] for r in map(json.loads, open("rows.out")) if r.get("machine") == sys.argv[1] and r["number"] == int(sys.argv[2])][0])' "$@"; }
[ "$(grep -c whole status.out)" = 4 ] || fail "not four whole snapshots" status.out

# --- what stays comes back equal, and takes what it takes in a new vault

run create2 0 samara-import create fresh --name dc2 --key-copy key2.copy --url "https://127.0.0.1:$port"
for m in web1 db1 files1; do machine fresh "$m"; done
for kept in web1/1 web1/4 db1/3 files1/1; do
	m=${kept%/*} n=${kept#*/}
	run restore 0 seed vault "$m" restore "$(id_of "$m" "$n")" --from vault --to back
	if [ "$m" = files1 ]; then
		diff -r "back$WORK/src/files1" src/files1 || fail "$kept is not as it was"
	else
		diff -r "back$WORK/src/$m" "kept/$m-$n" || fail "$kept is not as it was"
	fi
	rm -rf "src/$m"
	mv "back$WORK/src/$m" "src/$m"
	rm -rf back
	[ -n "$server" ] || serve fresh
	settle
	run fresh 0 seed fresh "$m" backup "src/$m" --max-upload none
done
serve_end
fresh=$(bytes_of fresh)
# A pack goes, or is written anew, when half of it is needed by nobody.
[ "$left" -lt $((fresh + fresh / 3 + 500000)) ] || fail "$left bytes stay of $full, and a new vault takes $fresh"
echo "$full bytes, $left after the collections, $fresh in a new vault"
