#!/bin/sh
# A machine is registered with a vault: credentials that are damaged, expired or
# for somebody else are refused, each in its own words and with its own number;
# what is already there is never written over; then the status, the kit and the
# keys of a registered machine.
set -eu

# refused STATUS CODE WORDS COMMAND...: it fails so, says so, and leaves no state
refused() {
	want=$1 code=$2 words=$3
	shift 3
	rc=0
	"$@" >out 2>&1 || rc=$?
	[ "$rc" = "$want" ] || { echo "exit $rc instead of $want from: $*"; cat out; exit 1; }
	grep -q "($code)" out || { echo "no $code from: $*"; cat out; exit 1; }
	grep -q -- "$words" out || { echo "no \"$words\" from: $*"; cat out; exit 1; }
	[ ! -e state/identity ] || { echo "registered by: $*"; exit 1; }
}
fail() { echo "$1"; shift; cat "$@"; exit 1; }

samara-import create vault --name dc-north --key-copy key.copy >log 2>&1 || fail "create" log
samara-import credential vault db1 --out db1.crd >log 2>&1 || fail "credential" log
echo 'correct horse battery staple' >pass

# --- credentials

sed '/^05 /s/[0-9a-h]/z/5' db1.crd >damaged
refused 12 S-1306 'line 05' samara-seed register damaged --offline --passphrase-file pass
sed '/^05 /d' db1.crd >cut
refused 12 S-1306 'line 05' samara-seed register cut --offline --passphrase-file pass
head -c 600 db1.crd >short
refused 12 S-1306 'missing' samara-seed register short --offline --passphrase-file pass
refused 12 S-1306 'no vault credential' samara-seed register pass --offline --passphrase-file pass
refused 12 S-1306 'credential' samara-seed register . --offline --passphrase-file pass
refused 1 S-1005 'nowhere' samara-seed register nowhere --offline --passphrase-file pass
refused 12 S-1305 'for the machine "db1", not for "db2"' \
    samara-seed register db1.crd --offline --machine db2 --passphrase-file pass

# A credential is good for a second at least: ask until its time is over.
samara-import credential vault db3 --valid 1s --out short-lived.crd >log 2>&1 || fail "credential" log
while samara-seed register short-lived.crd --offline --dry-run >/dev/null 2>&1; do :; done
refused 12 S-1304 'expired' samara-seed register short-lived.crd --offline --passphrase-file pass

# --- what else is refused

refused 12 S-1303 'passphrase' sh -c 'echo short | samara-seed register db1.crd --offline --passphrase-file /dev/stdin'
refused 12 S-1302 'passphrase' samara-seed register db1.crd --offline
refused 2 S-1101 'no address' samara-seed register db1.crd --passphrase-file pass
refused 2 S-1101 'not a size' samara-seed register db1.crd --offline --chunk-size 300Ki --passphrase-file pass
refused 1 S-1108 'already there' samara-seed register db1.crd --offline --kit pass --passphrase-file pass
refused 1 S-1108 'already there' samara-seed register db1.crd --offline --generate-passphrase pass
refused 14 S-1106 'not empty' samara-seed register db1.crd --offline --state . --passphrase-file pass
[ "$(cat pass)" = 'correct horse battery staple' ] || fail "the passphrase's file was changed" pass
refused 10 S-1309 'state' samara-seed status

# --- registered

samara-seed register db1.crd --offline --generate-passphrase made --kit kit.txt >out 2>log || fail "register" out log
grep -q '^machine db1 registered with vault dc-north' out || fail "what it says" out
grep -qE '^([^-]{5}-){5}[^-]{5}$' made || fail "the passphrase" made
for file in made kit.txt state/identity state/local.key; do
	[ "$(stat -c %a "$file")" = 600 ] || fail "mode of $file" /dev/null
done
[ "$(stat -c %a state)" = 700 ]
! grep -qf made kit.txt out log || fail "the passphrase stands where it should not" out log

rc=0
samara-seed register db1.crd --offline --passphrase-file pass >out 2>&1 || rc=$?
[ "$rc" = 14 ] && grep -q S-1311 out || fail "registered twice" out

rc=0
samara-seed status >out || rc=$?
[ "$rc" = 1 ] && grep -q '^NOT PROTECTED: ' out || fail "status" out
grep -q 'kit: saved$' out || fail "status" out
samara-seed images >out && grep -q '^no images yet' out || fail "images" out
samara-seed jobs >out && grep -q '^no jobs yet' out || fail "jobs" out
samara-seed key list >out && grep -q 'passphrase' out || fail "key list" out

# --- the kit again: the passphrase must open it, nothing is written over

rc=0
samara-seed key kit --kit again.txt --passphrase-file pass >out 2>&1 || rc=$?
[ "$rc" = 12 ] && grep -q S-1301 out && [ ! -e again.txt ] || fail "a kit for a wrong passphrase" out
samara-seed key kit --kit again.txt --passphrase-file made >out 2>&1 || fail "key kit" out
sed '/^written/d; /^-----BEGIN/,$d' kit.txt >one
sed '/^written/d; /^-----BEGIN/,$d' again.txt >two
cmp one two
rc=0
samara-seed key kit --kit again.txt --passphrase-file made >out 2>&1 || rc=$?
[ "$rc" = 1 ] && grep -q S-1108 out || fail "a kit over a kit" out

# In the state directory it is of no use, and that is said.
samara-seed key kit --kit state/kit.txt --passphrase-file made >out 2>&1 || fail "key kit" out
grep -q 'lost with this machine' out || fail "key kit" out
rc=0
samara-seed status >out || rc=$?
grep -q 'kit: only in the state directory' out || fail "status" out

# Another machine, whose key never stays on it.
samara-import credential vault db2 --out db2.crd >log 2>&1 || fail "credential" log
samara-seed register db2.crd --offline --ask-always --state other --passphrase-file pass >out 2>log || fail "register" out log
grep -q 'no recovery kit was written' log || fail "no word about the missing kit" log
[ ! -e other/local.key ] || fail "a local key" /dev/null
samara-seed key list --state other >out && grep -q 'keeps no key' out || fail "key list" out
echo "credentials, registration, kit and keys"
