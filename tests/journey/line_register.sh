#!/bin/sh
# Machines and their vault on the line: a machine registers at once, another by
# disk and gets its token at its first contact; names, revoking, renaming and
# taking another's place; a TLS key that is lost; a proxy; and what the server
# says of itself, where no secret stands.
set -eu

fail() { echo "$1"; shift; cat "$@"; exit 1; }
server=''
trap 'if [ -n "$server" ]; then kill "$server" 2>/dev/null || :; fi' EXIT

# serve PORT: start it, and know the port
serve() {
	: >serve.out
	samara-import serve vault --listen "127.0.0.1:$1" --json >serve.out 2>>serve.log &
	server=$!
	while ! grep -q listening serve.out && kill -0 "$server" 2>/dev/null; do sleep 0.05; done
	grep -q listening serve.out || fail "the server ended" serve.log
	port=$(sed -n 's/.*"port":\([0-9]*\).*/\1/p' serve.out)
}
stop() {
	kill "$server"
	wait "$server" || fail "the server did not end well" serve.log
	server=''
}
# refused STATUS CODE WORDS COMMAND...
refused() {
	want=$1 code=$2 words=$3
	shift 3
	rc=0
	"$@" >out 2>&1 || rc=$?
	[ "$rc" = "$want" ] || { echo "exit $rc instead of $want from: $*"; cat out; exit 1; }
	grep -q "($code)" out || { echo "no $code from: $*"; cat out; exit 1; }
	grep -q -- "$words" out || { echo "no \"$words\" from: $*"; cat out; exit 1; }
}

samara-import create vault --name dc-north --key-copy key.copy >log 2>&1 || fail create log
serve 0
samara-import url vault "https://localhost:$port" >log 2>&1 || fail url log
samara-import url vault nowhere >log 2>&1 && fail "an address that is none" log
echo 'correct horse battery staple' >pass

# --- at once

samara-import credential vault db1 --out db1.crd >log 2>&1 || fail credential log
samara-seed --version >/dev/null
samara-seed register db1.crd --state s1 --passphrase-file pass --kit kit1 >out 2>log || fail register out log
grep -q 'The vault has agreed' out || fail "what it says" out
[ "$(stat -c %a s1/token)" = 600 ] || fail "the token's mode" log
samara-seed connection --state s1 >out 2>log || fail connection out log
for line in '^reachable   yes' '^token       accepted' '^clock ' '^rate '; do
	grep -q "$line" out || fail "connection does not say $line" out
done
samara-import list vault machines >out 2>&1 || fail list out
grep -q db1 out || fail "the vault does not know it" out

# --- by disk, first contact first

samara-import credential vault db2 --out db2.crd >log 2>&1 || fail credential log
samara-seed register db2.crd --state s2 --offline --passphrase-file pass --kit kit2 >out 2>log || fail register out log
[ ! -e s2/token ] || fail "a token from nowhere" log
stop
refused 15 S-1701 localhost samara-seed connection --state s2 --quick
serve "$port"
samara-seed connection --state s2 --quick >out 2>log || fail connection out log
[ -s s2/token ] || fail "no token" log

# --- refused

samara-import credential vault db3 --out db3.crd >log 2>&1 || fail credential log
samara-import credential vault db3 --out db3b.crd >log 2>&1 || fail credential log
samara-seed register db3b.crd --state s3 --passphrase-file pass >out 2>log || fail register out log
refused 12 S-1305 'newer' samara-seed register db3.crd --state s4 --passphrase-file pass
[ ! -e s4/identity ] || fail "a refused machine is registered" log
samara-import machine vault db3 revoke --reason lost >out 2>&1 || fail revoke out
refused 12 S-1703 revoked samara-seed connection --state s3 --quick
samara-import machine vault db2 rename db20 >out 2>&1 || fail rename out
samara-seed connection --state s2 --quick >out 2>log || fail connection out log
grep -q 'calls this machine db20' out || fail "its new name" out
samara-import machine vault db20 quota 5G >out 2>&1 || fail quota out
grep -q 'quota 5.0\{0,2\} GB' out || fail "the quota" out
samara-import machine vault db20 retire >out 2>&1 && fail "retired without saying how" out
samara-import list vault credentials >out 2>&1 || fail list out
grep -q superseded out || fail "fates of credentials" out

# --- another machine in its place

refused 2 S-1101 'old-kit' sh -c 'samara-import credential vault db1 --replace --out r.crd >/dev/null 2>&1; samara-seed register r.crd --state s5 --passphrase-file pass'
samara-seed register r.crd --state s5 --old-kit kit1 --passphrase-file pass >out 2>log || fail "in its place" out log
samara-seed connection --state s5 --quick >out 2>log || fail connection out log
samara-seed connection --state s1 --quick >out 2>log || fail "the old one, before the first backup" out log

# --- a TLS key that is lost

stop
rm vault/local/tls.key
serve "$port"
samara-seed connection --state s1 --quick >out 2>log || fail "after a new key" out log
grep -q 'believed just now' out || fail "the new key" out
samara-seed connection --state s1 --quick >out 2>log || fail "once more" out log
grep -q 'believed just now' out && fail "believed twice" out

# --- through a proxy, with user and password

python3 "$TOP/tests/journey/proxy.py" proxy.port user:word >proxy.log 2>&1 &
proxy=$!
while [ ! -s proxy.port ]; do sleep 0.05; done
https_proxy="http://user:word@127.0.0.1:$(cat proxy.port)" samara-seed connection --state s1 --quick >out 2>log ||
    fail "through a proxy" out log proxy.log
grep -q "CONNECT localhost:$port" proxy.log || fail "the proxy saw nothing" proxy.log
refused 15 S-1704 'user and a password' env "https_proxy=http://127.0.0.1:$(cat proxy.port)" samara-seed connection --state s1 --quick
https_proxy=http://127.0.0.1:9 no_proxy=localhost samara-seed connection --state s1 --quick >out 2>log || fail no_proxy out log
kill "$proxy"

# --- what the server says of itself

stop
for secret in "$(cat s1/token)" "$(cat s2/token)" word; do
	grep -qF -- "$secret" serve.log proxy.log && fail "a secret in a log" serve.log
done
grep -q 'GET /v1/vaults/dc-north/contact 200 db1' serve.log || fail "the log" serve.log
samara-import rebuild vault >out 2>&1 || fail rebuild out
serve "$port"
samara-seed connection --state s5 --quick >out 2>log || fail "after a rebuild" out log
stop
echo 'registration at once and by disk, tokens, a machine in the place of another, a new TLS key, a proxy'
