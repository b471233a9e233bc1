#!/bin/sh
# Backups over the line, all of it from the first: what the second sends, what a
# third without a change does; the machine killed at any moment, the vault killed
# and put up again; nothing that was acknowledged is sent twice; the vault's own
# directory gives back what was there.
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
# until_true COMMAND...: look again until it is so
until_true() { until "$@"; do sleep 0.05; done; }
# field FILE KEY: of the summary
field() { python3 -c 'import json, sys
print([json.loads(l) for l in open(sys.argv[1]) if "summary" in l][-1][sys.argv[2]])' "$1" "$2"; }
# bytes of packs that the vault acknowledged, after line $1 of its log
acknowledged() {
	tail -n +"$(($1 + 1))" serve.log | sed -n 's/.* PUT [^ ]*\/packs\/[0-9a-f]* 20[01] [^ ]* in \([0-9]*\) .*/\1/p' |
	    awk '{ s += $1 } END { print s + 0 }'
}
log_lines() { wc -l <serve.log; }

SAMARA_STATE=$PWD/state
export SAMARA_STATE
mkdir src src/small src/sub
i=0
while [ "$i" -lt 400 ]; do
	head -c $((100 + i * 41)) /dev/urandom >"src/small/file$i"
	i=$((i + 1))
done
for i in 1 2 3 4 5 6; do head -c 12000000 /dev/urandom >"src/sub/large$i"; done
ln -s small src/link
ln src/small/file7 src/sub/again

# A file that changes as it is read is read again the next time.
while [ -n "$(find src -newerct '3 seconds ago')" ]; do sleep 0.05; done

port=$(python3 -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
answers() { python3 -c 'import socket, sys
socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1).close()' "$port" 2>/dev/null; }
serve() {
	samara-import serve vault --listen "127.0.0.1:$port" >>serve.out 2>>serve.log &
	server=$!
	until_true answers
}
server=
trap '[ -z "$server" ] || kill -9 "$server" 2>/dev/null || true' EXIT

run create 0 samara-import create vault --name dc-north --url "https://127.0.0.1:$port" --key-copy key.copy
run credential 0 samara-import credential vault db1 --out db1.crd
run register 0 samara-seed register db1.crd --offline --generate-passphrase pass --kit kit.txt
: >serve.log

# --- out of reach: said with the command that goes on

run away 15 samara-seed backup src --max-upload none --retry-for 1s
says away.log 'S-1701'
says away.log 'samara-seed backup --max-upload none'

serve

# --- more than is allowed: counted, nothing sent

run limit 16 samara-seed backup src --max-upload 1M
says limit.log 'S-1602'
says limit.log 'src/sub/large'
says limit.log 'samara-seed build'
says limit.log -- '--max-upload none'
[ "$(acknowledged 0)" = 0 ] || fail "something was sent" serve.log

# --- the machine is killed, again and again

tries=0
while :; do
	tries=$((tries + 1))
	[ "$tries" -lt 60 ] || fail "it never came to an end" first.log
	before=$(log_lines)
	samara-seed backup src --max-upload none --read-limit 15M --json >first.out 2>first.log &
	backup=$!
	# After so many packs as there were tries, or when it is done.
	until_true sh -c "! kill -0 $backup 2>/dev/null || [ \$(tail -n +$((before + 1)) serve.log | grep -c /packs/) -ge $(((tries + 1) / 2)) ]"
	if kill -9 "$backup" 2>/dev/null; then
		wait "$backup" || true
		[ "$tries" -lt 8 ] || break
	else
		wait "$backup" || fail "backup failed" first.log
		break
	fi
done
run first 0 samara-seed backup --max-upload none --json
total=$(acknowledged 0)
plain=$(du -sb src | cut -f1)
# Compressed random data is itself; the listing and a few small packs come on top.
[ "$total" -lt $((plain + plain / 25 + 2000000)) ] || fail "$total bytes of packs for $plain: something was sent twice" serve.log

# --- unchanged, and a little changed

before=$(log_lines)
run same 0 samara-seed backup --json
[ "$(field same.out read_bytes)" = 0 ] || fail "an unchanged tree was read" same.out
# A leaf of the listing: what is written here changes the directories above the tree.
[ "$(field same.out line_sent)" -lt 100000 ] || fail "an unchanged tree is sent" same.out
[ "$(acknowledged "$before")" = "$(field same.out sent_bytes)" ] || fail "the two do not agree on what was sent" same.out
echo more >>src/small/file11
head -c 3000000 /dev/urandom >src/sub/large3
rm src/small/file12
run more 0 samara-seed backup --json
[ "$(field more.out sent_bytes)" -gt 3000000 ] && [ "$(field more.out sent_bytes)" -lt 3300000 ] || fail "not what changed" more.out
run dry 0 samara-seed backup -n
says dry.out 'Nothing was sent'

# --- the vault is killed under a backup, and put up again: it goes on by itself

for i in 7 8 9; do head -c 16000000 /dev/urandom >"src/sub/large$i"; done
before=$(log_lines)
samara-seed backup --max-upload none --retry-for 2m --json >through.out 2>through.log &
backup=$!
until_true sh -c "[ \$(tail -n +$((before + 1)) serve.log | grep -c /packs/) -ge 1 ] || ! kill -0 $backup 2>/dev/null"
kill -9 "$server"
wait "$server" 2>/dev/null || true
serve
wait "$backup" || fail "it did not go on" through.out through.log
[ "$(acknowledged "$before")" -lt 51000000 ] || fail "acknowledged packs came twice" serve.log

# --- stopped in words: goes on with the command that it names

head -c 60000000 /dev/urandom >src/sub/large10
before=$(log_lines)
samara-seed backup --max-upload none --read-limit 2M >stop.out 2>stop.log &
backup=$!
until_true sh -c "grep -q 'set files' state/jobs/*.now 2>/dev/null || ls state/sets/files/backup/items* >/dev/null 2>&1"
kill -TERM "$backup"
rc=0
wait "$backup" || rc=$?
[ "$rc" = 130 ] || fail "exit $rc after SIGTERM" stop.out stop.log
says stop.log 'go on with: samara-seed backup'
run busy 0 samara-seed backup --max-upload none

# --- what the vault has

run snapshots 0 samara-seed snapshots --from vault
run verify 0 env SAMARA_PASSPHRASE_FILE="$PWD/pass" samara-verify vault vault --kit kit.txt
mkdir back
run restore 0 samara-seed restore latest --to back --from vault --kit kit.txt --passphrase-file pass
diff -r --no-dereference src "back$PWD/src" >diff.out || fail "not what was there" diff.out
kill -TERM "$server"
wait "$server" || fail "serve did not end well" serve.log
server=
