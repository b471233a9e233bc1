#!/bin/sh
# A vault that takes a connection and says nothing, as one behind a wall that drops
# packets: who only looks is told so after a few seconds, and sees what is known here.
set -eu

fail() { echo "$1"; shift; for f; do echo "--- $f"; cat "$f"; done; exit 1; }
say() { "$@" >out 2>log || fail "$*" out log; }
trap 'kill "$silent" 2>/dev/null || :' EXIT

python3 -c 'import signal, socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(64)
print(s.getsockname()[1], flush=True)
signal.pause()' >port &
silent=$!
until [ -s port ] || ! kill -0 "$silent" 2>/dev/null; do sleep 0.05; done
say samara-import create vault --name dc --key-copy key.copy --url "https://127.0.0.1:$(cat port)"
say samara-import credential vault db1 --out db1.crd
echo 'correct horse battery staple' >pass
say samara-seed register db1.crd --offline --machine db1 --passphrase-file pass --kit kit.txt
mkdir src disk1
echo one >src/one
say samara-seed build --to disk1 --plain-directory --passphrase-file pass src

rc=0
samara-seed status >out 2>log || rc=$?
[ "$rc" = 1 ] || fail "status: exit $rc" out log
grep -q '^NOT YET PROTECTED' out || fail "what is known here is not shown" out log
grep -q 'line: not reachable (no answer within 4 s)' out || fail "why it is not reachable is not said" out log
say samara-seed snapshots
grep -q 'pending on' out || fail "what is known of snapshots is not shown" out log
grep -q 'no answer within 4 s' out log || fail "snapshots does not say that nobody answers" out log
echo "silent: said so, and shown what is known"
