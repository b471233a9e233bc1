#!/bin/sh
# A vault that swaps, drops, mixes, rolls back or forges: a server with the vault's own
# TLS key stands between and edits the answers, in each way that line_between.py
# knows.  Each is said in words of its own or does no harm, no wrong byte is
# restored, nothing outside the target is touched, and no token goes elsewhere.
set -eu

fail() { echo "$1"; shift; for f; do echo "--- $f"; cat "$f"; done; exit 1; }
say() { "$@" >out 2>log || fail "$*" out log; }
trap 'kill "$server" 2>/dev/null || :' EXIT

say samara-import create vault --name dc-north --key-copy key.copy
say samara-import create other --name dc-south --key-copy key2.copy
samara-import serve vault other --listen 127.0.0.1:0 --json >serve.out 2>serve.log &
server=$!
until grep -q listening serve.out || ! kill -0 "$server" 2>/dev/null; do sleep 0.05; done
grep -q listening serve.out || fail "the server ended" serve.log
port=$(tr ',{}' '\n\n\n' <serve.out | sed -n 's/^ *"port": *//p')
# The address in between, which is not taken yet.
between=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
curl -sk "https://127.0.0.1:$port/v1/vaults/dc-north/identity" -o old.identity 2>/dev/null ||
    python3 -c 'import ssl, sys, urllib.request as u; open("old.identity", "wb").write(u.urlopen(sys.argv[1], context=ssl._create_unverified_context()).read())' \
    "https://127.0.0.1:$port/v1/vaults/dc-north/identity"
say samara-import url vault "https://127.0.0.1:$between"
echo 'correct horse battery staple' >pass
for m in db1 db2; do
	say samara-import credential vault $m --out $m.crd
	say samara-seed register $m.crd --offline --machine $m --passphrase-file pass --state state.$m
done
mkdir src alien disk1 disk2 disk3
python3 - <<'END'
import random
r = random.Random(5)
for i in range(12):
    with open("src/f%d" % i, "wb") as f:
        f.write(r.randbytes(200000 + i * 1000))
for i in range(30):
    with open("src/small%d" % i, "wb") as f:
        f.write(r.randbytes(i * 90))
with open("alien/x", "wb") as f:
    f.write(r.randbytes(500000))
END
say samara-seed build --to disk3 --plain-directory --passphrase-file pass --state state.db2 alien
say samara-import ingest vault disk3
say samara-seed build --to disk1 --plain-directory --passphrase-file pass --state state.db1 src
say samara-import ingest vault disk1
cp -a src before
echo changed >src/small3
say samara-seed build --to disk2 --plain-directory --passphrase-file pass --state state.db1 src
say samara-import ingest vault disk2
python3 "$TOP/tests/journey/line_hostile.py" "$port" "$between" "$@"
